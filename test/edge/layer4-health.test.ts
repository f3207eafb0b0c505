// The health listener: what a keepalived or a balancer before this edge asks.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EdgeSnapshot, ListenerSpec } from '../../src/edge/snapshot.ts'
import { startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const health: ListenerSpec = { id: 'health', kind: 'health', host: '127.0.0.1', port: 0, path: '/healthz' }
const origin = await startRawOrigin(await import('node:test'))
const edge = await startEdge(await import('node:test'), {
  members: [origin.port],
  listeners: [health],
  limits: { connectionsMax: 2 },
})
const port = await edge.portOf('health')

async function ask(
  text = 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n',
): Promise<{ status: number; body: string }> {
  const peer = await RawPeer.connect(port)
  peer.write(text)
  const answer = await peer.response(text.split(' ')[0])
  await peer.rest()
  peer.halfClose()
  assert.equal(answer.fields.get('connection'), 'close')
  return { status: answer.status, body: answer.body.toString() }
}

const change = (part: Partial<EdgeSnapshot>): Promise<number> =>
  edge.applySnapshot({ ...edge.snapshot, version: edge.snapshot.version + 1, ...part })

test('an edge that serves says ok, to GET and HEAD', async () => {
  assert.deepEqual(await ask(), { status: 200, body: 'ok\n' })
  assert.deepEqual(await ask('GET /healthz?from=keepalived HTTP/1.1\r\nHost: h\r\n\r\n'), {
    status: 200,
    body: 'ok\n',
  })
  assert.deepEqual(await ask('HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n'), { status: 200, body: '' })
})

test('an edge that is told to stand down says so, while it serves on', async () => {
  await change({ standDown: 'kernel update — back at noon' })
  assert.deepEqual(await ask(), {
    status: 503,
    body: 'This edge stands down: kernel update — back at noon\n',
  })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  assert.equal((await client.response()).status, 200)
  client.destroy()
  const { standDown, ...rest } = edge.snapshot
  assert.ok(standDown)
  await edge.applySnapshot({ ...rest, version: rest.version + 1 })
  assert.equal((await ask()).status, 200)
})

test('an edge none of whose upstreams has a member that serves says so', async () => {
  const empty = [upstreamOf('app', []), upstreamOf('other', [{ port: 1, state: 'draining' }])]
  await change({ upstreams: empty })
  assert.deepEqual(await ask(), { status: 503, body: 'No upstream has a member that serves.\n' })
  await change({ upstreams: [upstreamOf('app', [origin.port]), empty[1]!] })
  assert.equal((await ask()).status, 200, 'one of two is enough')
})

test('an edge whose members fail their probes says so, though it would still try them (panic)', async () => {
  const [app] = edge.snapshot.upstreams
  assert.ok(app)
  const expectStatus = { from: 200, to: 299 }
  const often = { intervalMs: 100, timeoutMs: 2_000, rise: 1, fall: 1, jitter: 0.1 }
  const active = { kind: 'tcp', path: '/', expectStatus, ...often } as const
  const gone = upstreamOf('app', [1])
  await change({ upstreams: [{ ...gone, health: { ...gone.health, active, panicShare: 0.3 } }] })
  await until('the probes have failed', async () => (await ask()).status === 503)
  await change({ upstreams: [app] })
  assert.equal((await ask()).status, 200)
})

test('other paths, methods and what is no request are told apart', async () => {
  assert.equal((await ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).status, 404)
  assert.equal((await ask('POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')).status, 405)
  assert.equal((await ask('nonsense\r\n\r\n')).status, 400)
  assert.equal((await ask(`GET /healthz HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`)).status, 400)
})

test('it answers when the edge has all the client connections that it may have', async () => {
  const clients = [await edge.connect(), await edge.connect()]
  const further = await edge.connect()
  await further.when('the end', () => further.over !== '')
  assert.deepEqual(await ask(), { status: 200, body: 'ok\n' })
  for (const client of [...clients, further]) client.destroy()
})
