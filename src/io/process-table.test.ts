import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { processes, procSource, psSource } from './process-table.ts'

const linux = process.platform === 'linux'
const sources = { ps: psSource(), ...(linux ? { proc: procSource() } : {}) }

for (const [name, source] of Object.entries(sources)) {
  test(`${name}: this process is known by pid, parent and a start time that stays`, () => {
    const row = source.row(process.pid)
    assert.equal(row?.parent, process.ppid)
    assert.equal(row?.zombie, false)
    assert.ok((row?.rssBytes ?? 0) > 10 << 20)
    assert.ok(row?.startedAt)
    assert.equal(source.row(process.pid)?.startedAt, row?.startedAt)
    assert.ok(source.rows().some(one => one.pid === process.pid && one.startedAt === row?.startedAt))
    assert.equal(source.bootId(), source.bootId())
  })

  test(`${name}: there is no row for a pid that nobody has`, () => {
    assert.equal(source.row(0x7ffffff), null)
    assert.equal(source.environmentValue(0x7ffffff, 'PATH'), null)
  })

  test(`${name}: the environment and the group of a child are seen, and its end`, async () => {
    const env = { ...process.env, MARK: 'here' }
    const child = spawn(process.execPath, ['-e', "console.log('up'); setInterval(() => {}, 1000)"], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await new Promise(resolve => child.stdout?.once('data', resolve))
    const pid = child.pid as number
    assert.equal(source.environmentValue(pid, 'MARK'), 'here')
    assert.equal(source.environmentValue(pid, 'NO_SUCH_MARK'), null)
    assert.equal(source.row(pid)?.group, pid)
    child.kill('SIGKILL')
    await new Promise(resolve => child.once('exit', resolve))
    assert.equal(source.row(pid), null)
  })
}

test('who listens on a port is told apart from who does not', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  assert.deepEqual(processes.listeners(port, new Set([process.pid])), {
    found: true,
    candidate: true,
    other: null,
  })
  const others = processes.listeners(port, new Set([process.ppid]))
  assert.equal(others.candidate, false)
  assert.match(others.other ?? '', new RegExp(`\\(pid ${process.pid}\\)`))
  await new Promise(resolve => server.close(resolve))
  assert.notEqual(processes.listeners(port, new Set([process.pid])).candidate, true)
})
