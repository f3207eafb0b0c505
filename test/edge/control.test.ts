// The control socket and the edge's own start: what is refused is refused with its code and changes nothing.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { EdgeSnapshot } from '../../src/edge/snapshot.ts'
import { startEdge } from '../tools/edge-harness.ts'

const nobody = 65_534

/** Runs an edge over the snapshot until it ends by itself; what it said on standard error. */
async function failedStart(
  t: TestContext,
  snapshot: EdgeSnapshot,
  as?: number,
): Promise<{ code: number | null; said: string }> {
  const state = mkdtempSync(join(tmpdir(), 'tenfold-start-'))
  t.after(() => rmSync(state, { recursive: true, force: true }))
  mkdirSync(join(state, 'edge'))
  writeFileSync(join(state, 'edge', 'snapshot.json'), JSON.stringify(snapshot))
  if (as !== undefined) chownSync(state, as, as)
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '..', 'tools', 'edge-process.ts'), state, '1'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 60_000,
      ...(as === undefined ? {} : { uid: as, gid: as }),
    },
  )
  let said = ''
  child.stderr?.on('data', chunk => {
    said += chunk
  })
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, said }
}

function listening(t: TestContext): Promise<number> {
  return new Promise(resolve => {
    const server: Server = createServer()
    t.after(() => new Promise(done => server.close(done)))
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}

const withListener = (snapshot: EdgeSnapshot, host: string, port: number): EdgeSnapshot => ({
  ...snapshot,
  listeners: [{ id: 'http', kind: 'http', host, port }],
})

test('a port that somebody else holds is noticed at the start, although workers share theirs: EDGE_PORT_TAKEN', async t => {
  const edge = await startEdge(t)
  const { code, said } = await failedStart(t, withListener(edge.snapshot, '127.0.0.1', await listening(t)))
  assert.equal(code, 1)
  assert.match(said, /EDGE_PORT_TAKEN: Listener 'http': 127\.0\.0\.1:\d+ is taken by .*ss -ltnp/)
  // Also one that another edge shares among its workers.
  const shared = await failedStart(t, withListener(edge.snapshot, '127.0.0.1', edge.port))
  assert.match(shared.said, /EDGE_PORT_TAKEN/)
})

test('an address that this machine lacks: EDGE_ADDRESS_UNKNOWN', async t => {
  const edge = await startEdge(t)
  const { code, said } = await failedStart(t, withListener(edge.snapshot, '198.51.100.7', 8080))
  assert.equal(code, 1)
  assert.match(said, /EDGE_ADDRESS_UNKNOWN: Listener 'http': 198\.51\.100\.7:8080 /)
})

test('a port below 1024 without the right to it: EDGE_PORT_FORBIDDEN', async t => {
  const edge = await startEdge(t)
  const root = process.getuid?.() === 0
  if (!root) {
    assert.match(
      (await failedStart(t, withListener(edge.snapshot, '127.0.0.1', 81))).said,
      /EDGE_PORT_FORBIDDEN/,
    )
    return
  }
  // As nobody, from a copy that nobody may read.
  const copy = mkdtempSync(join(tmpdir(), 'tenfold-copy-'))
  t.after(() => rmSync(copy, { recursive: true, force: true }))
  const project = join(import.meta.dirname, '..', '..')
  for (const part of ['src', 'test/tools', 'package.json'])
    cpSync(join(project, part), join(copy, part), { recursive: true })
  chmodSync(copy, 0o755)
  const state = join(copy, 'state')
  mkdirSync(join(state, 'edge'), { recursive: true })
  writeFileSync(
    join(state, 'edge', 'snapshot.json'),
    JSON.stringify(withListener(edge.snapshot, '127.0.0.1', 81)),
  )
  chownSync(state, nobody, nobody)
  const child = spawn(process.execPath, [join(copy, 'test', 'tools', 'edge-process.ts'), state, '1'], {
    cwd: copy,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 60_000,
    uid: nobody,
    gid: nobody,
  })
  let said = ''
  child.stderr?.on('data', chunk => {
    said += chunk
  })
  await new Promise(resolve => child.once('close', resolve))
  assert.match(said, /EDGE_PORT_FORBIDDEN: Listener 'http': 127\.0\.0\.1:81 /)
})

test('a snapshot that does not fit is refused with EDGE_SNAPSHOT_INVALID, an older one with EDGE_SNAPSHOT_OLD, and the edge serves on as before', async t => {
  const edge = await startEdge(t, {
    routes: [
      {
        id: '/*',
        match: { path: '/*' },
        action: { kind: 'respond', status: 200, body: 'one', contentType: 'text/plain' },
      },
    ],
  })
  const { snapshot } = edge
  const broken: [EdgeSnapshot, RegExp][] = [
    [{ ...snapshot, version: 9, routes: [...snapshot.routes, ...snapshot.routes] }, /same id/],
    [{ ...snapshot, version: 9, trustedProxies: ['10.0.0.0/99'] }, /10\.0\.0\.0\/99/],
    [
      {
        ...snapshot,
        version: 9,
        routes: [
          { id: 'x', match: { path: '/*' }, action: { kind: 'proxy', upstream: 'nowhere', upgrade: false } },
        ],
      },
      /nowhere/,
    ],
    [{ ...snapshot, version: 9, format: 2 as never }, /format 2/],
  ]
  for (const [one, words] of broken) {
    await assert.rejects(edge.call('apply', { snapshot: one }), words)
    await assert.rejects(edge.call('apply', { snapshot: one }), /EDGE_SNAPSHOT_INVALID|snapshot/i)
  }
  await assert.rejects(edge.call('apply', { snapshot }), /older/)
  const taken = withListener({ ...snapshot, version: 9 }, '127.0.0.1', await listening(t))
  await assert.rejects(edge.call('apply', { snapshot: taken }), /is taken by/)
  assert.equal((await edge.status()).version, snapshot.version)
  assert.equal(await (await fetch(edge.url)).text(), 'one')
})

test('an unknown control method gets EDGE_CONTROL_REQUEST, and the socket stays of use', async t => {
  const edge = await startEdge(t)
  await assert.rejects(edge.call('dance' as never, {} as never), /no control method 'dance'/)
  assert.equal((await edge.status()).draining, false)
})

test('a second edge of the same state directory leaves the first alone: EDGE_CONTROL_BUSY', async t => {
  const edge = await startEdge(t)
  const second = spawn(
    process.execPath,
    [join(import.meta.dirname, '..', 'tools', 'edge-process.ts'), edge.stateDirectory, '1'],
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 },
  )
  let said = ''
  second.stderr?.on('data', chunk => {
    said += chunk
  })
  assert.equal(await new Promise(resolve => second.once('close', resolve)), 1)
  assert.match(said, /EDGE_CONTROL_BUSY: Another edge answers on .*edge\.sock/)
  assert.equal((await edge.status()).draining, false)
})
