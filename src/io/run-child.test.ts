import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { processes } from './process-table.ts'
import { type ChildOutcome, runChild } from './run-child.ts'

function run(script: string, over: object = {}): Promise<ChildOutcome> {
  return runChild({
    command: process.execPath,
    args: ['-e', script],
    directory: import.meta.dirname,
    env: process.env,
    timeoutMs: 30_000,
    outputBytesMax: 1000,
    channelBytesMax: 1000,
    ...over,
  })
}

/** Alive and not a zombie: a zombie's pid stays until its parent has looked. */
function runs(pid: number): boolean {
  const row = processes.row(pid)
  return row !== null && !row.zombie
}

async function mustEnd(pid: number): Promise<void> {
  for (let tries = 0; tries < 200 && runs(pid); tries++) await delay(50)
  assert.ok(!runs(pid), `process ${pid} still runs`)
}

const grandchild = `const { spawn } = require('node:child_process')
const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' })
require('node:fs').writeSync(3, String(child.pid))
`

test('the channel, stdout and stderr are kept apart, and the exit code is told', async () => {
  const outcome = await run(
    "require('fs').writeSync(3, 'data'); console.log('out'); console.error('err'); process.exitCode = 7",
  )
  assert.deepEqual(outcome, {
    ended: 'exit',
    exitCode: 7,
    signal: null,
    channel: 'data',
    stdout: 'out\n',
    stderr: 'err\n',
  })
})

test('output beyond the bound is thrown away, the child goes on', async () => {
  const outcome = await run(
    "process.stdout.write('x'.repeat(500000), () => require('fs').writeSync(3, 'done'))",
  )
  assert.equal(outcome.stdout.length, 1000)
  assert.equal(outcome.channel, 'done')
})

test('a child that writes too much on the channel is ended', async () => {
  const outcome = await run("const fs = require('fs'); for (;;) fs.writeSync(3, 'x'.repeat(100))")
  assert.equal(outcome.ended, 'channel-full')
  assert.equal(outcome.channel.length, 1000)
})

test('a child that takes too long is killed, also when it ignores signals and spins', async () => {
  const outcome = await run("process.on('SIGTERM', () => {}); for (;;);", { timeoutMs: 300 })
  assert.equal(outcome.ended, 'timeout')
  assert.equal(outcome.signal, 'SIGKILL')
})

test('what a child started is gone when the child is, whether it exits or is stopped', async () => {
  assert.ok(runs(process.pid))
  const exited = await run(`${grandchild}; process.exit(0)`)
  assert.ok(Number(exited.channel) > 1)
  await mustEnd(Number(exited.channel))
  const stopped = await run(`${grandchild}; setInterval(() => {}, 1000)`, { timeoutMs: 1500 })
  assert.equal(stopped.ended, 'timeout')
  assert.ok(Number(stopped.channel) > 1)
  await mustEnd(Number(stopped.channel))
})

test('a command that does not exist rejects', async () => {
  await assert.rejects(run('', { command: '/nonexistent/program' }), { code: 'ENOENT' })
})
