import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  leaderAlive,
  lifeGone,
  processesOf,
  type StartedLife,
  signalLife,
  startLife,
  whyNotStartable,
} from './process.ts'

function started(context: TestContext, command: string | string[], nonce = 'n1'): Promise<StartedLife> {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-process-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  const env = { PATH: process.env.PATH ?? '' }
  return startLife({ command, directory, env, nonce, outputFile: join(directory, 'logs', 'out.log') })
}

async function gone(life: StartedLife): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!lifeGone(life) && performance.now() < deadline)
    await new Promise(resolve => setTimeout(resolve, 10))
  assert.ok(lifeGone(life))
}

test('a life is a group of its own, known by start time and nonce, with its output in a file', async context => {
  const life = await started(context, ['sh', '-c', 'echo "$TENFOLD_NONCE"; echo err >&2; exit 7'])
  assert.deepEqual(await life.exited, { code: 7, signal: null })
  assert.ok(life.startedAt)
  await gone(life)
})

test('output of both streams is appended to the file', async context => {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-process-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  const outputFile = join(directory, 'out.log')
  const options = { directory, env: { PATH: process.env.PATH ?? '' }, outputFile }
  for (const nonce of ['one', 'two']) {
    const command = 'echo "out $TENFOLD_NONCE"; echo "err $TENFOLD_NONCE" >&2'
    await (await startLife({ ...options, command, nonce })).exited
  }
  assert.equal(readFileSync(outputFile, 'utf8'), 'out one\nerr one\nout two\nerr two\n')
})

test('a signal reaches every process of the group, and those that left it but carry the nonce', async context => {
  const life = await started(context, 'sleep 600 & setsid sleep 600 & wait', `nonce-${process.pid}`)
  const deadline = performance.now() + 20_000
  while (processesOf(life, true).length < 3 && performance.now() < deadline)
    await new Promise(r => setTimeout(r, 10))
  assert.equal(processesOf(life, false).length, 2)
  assert.equal(processesOf(life, true).length, 3)
  assert.equal(signalLife(life, 'SIGKILL'), true)
  assert.deepEqual(await life.exited, { code: null, signal: 'SIGKILL' })
  await gone(life)
  assert.equal(signalLife(life, 'SIGKILL'), false)
})

test('a process with the pid but another start time, and without the nonce, is never signalled', async context => {
  const life = await started(context, ['sleep', '600'])
  const before = { pid: life.pid, startedAt: '1', nonce: 'of an earlier one' }
  assert.equal(leaderAlive(before), false)
  assert.equal(lifeGone(before), true)
  assert.equal(signalLife(before, 'SIGKILL'), false)
  assert.equal(leaderAlive(life), true)
  signalLife(life, 'SIGKILL')
  await life.exited
})

test('why a program can not be started is found out before it is tried', () => {
  const path = process.env.PATH ?? ''
  assert.equal(whyNotStartable('sh', '/', path), null)
  assert.equal(whyNotStartable('/bin/sh', '/', ''), null)
  assert.match(whyNotStartable('no-such-program', '/', '/bin:/usr/bin') ?? '', /no no-such-program in PATH/)
  assert.match(whyNotStartable('./x', '/tmp', path) ?? '', /\/tmp\/x does not exist/)
  assert.match(whyNotStartable('/tmp', '/', path) ?? '', /\/tmp is not a file/)
  assert.match(whyNotStartable('sh', '/no/where', path) ?? '', /the directory \/no\/where does not exist/)
})
