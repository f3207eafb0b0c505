// The life of instances with real processes: start, exit, end, and what is said of it.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../kit/clock.ts'
import type { Failure } from '../kit/failure.ts'
import { alive, ask, fixtures, marked, rig, service, until } from './fixtures/harness.ts'

const app = [process.execPath, join(fixtures, 'app.mjs')]

test('instances are published when they are ready, each with a port, a name and a nonce of its own', async context => {
  const { fleet, front } = rig(context)
  const report = await fleet.apply([
    service('web', { instances: { min: 2, max: 4 }, env: { GREETING: 'hello' } }),
  ])
  assert.deepEqual(report.services, [{ service: 'web', outcome: 'ready', ready: 2, wanted: 2, failures: [] }])
  const members = front.active('web')
  assert.deepEqual(
    members.map(member => member.id),
    ['web-1', 'web-2'],
  )
  for (const member of members) {
    const said = await ask(member)
    assert.equal(said.TENFOLD_INSTANCE, member.id)
    assert.equal(said.TENFOLD_SERVICE, 'web')
    assert.equal(said.TENFOLD_NONCE, member.epoch)
    assert.equal(said.GREETING, 'hello')
  }
  assert.notEqual(members[0]?.port, members[1]?.port)
  const [status] = fleet.status()
  assert.equal(status?.state, 'ready')
  assert.deepEqual(
    status?.members.map(member => member.state),
    ['ready', 'ready'],
  )
})

test('an instance is not published before its health path answers as expected', async context => {
  const { fleet, front } = rig(context)
  const done = fleet.apply([service('web', { env: { READY_AFTER_MS: '400' } })])
  await until('it listens', () => fleet.status()[0]?.members[0]?.pid)
  assert.deepEqual(front.active('web'), [])
  assert.equal(fleet.status()[0]?.state, 'starting')
  await done
  const first = front.events.findIndex(event => event.includes('web-1'))
  assert.ok(first >= 0)
  assert.equal(front.active('web').length, 1)
})

test('an instance that is not ready in time is ended, and the failure quotes what it wrote last', async context => {
  const { fleet } = rig(context)
  const ready = { ...service('web').ready, timeoutMs: 1000 }
  const command = 'echo "started $TENFOLD_INSTANCE"; exec sleep 600'
  const report = await fleet.apply([service('web', { ready, command })])
  const [web] = report.services
  assert.equal(web?.outcome, 'failed')
  assert.equal(web?.failures[0]?.code, 'FLEET_NOT_READY_IN_TIME')
  assert.match(
    web?.failures[0]?.message ?? '',
    /web-1 was not ready within 1 s: it does not listen on 127\.0\.0\.1:\d+\. Last output:\n {4}started web-1/,
  )
})

test('an instance that exits leaves the list at once and is started again', async context => {
  const { fleet, front, decisions } = rig(context)
  await fleet.apply([service('web', { instances: { min: 2, max: 2 } })])
  const [first] = fleet.status()[0]?.members ?? []
  process.kill(first?.pid as number, 'SIGKILL')
  await until('it left the list', () => front.active('web').every(member => member.epoch !== first?.epoch))
  await until('another one follows', () => front.active('web').length === 2)
  const follower = front.active('web').find(member => member.id === 'web-1')
  assert.notEqual(follower?.epoch, first?.epoch)
  assert.ok(decisions.some(decision => /was ended by SIGKILL/.test(decision.text)))
  assert.equal(fleet.status()[0]?.members[0]?.restarts, 1)
})

test('a restart that falls due while others are decided on is not forgotten', async context => {
  // Each look at the clock takes 10 ms, as on a machine that is loaded: back-offs end between two looks of one decision.
  let looks = 0
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + looks++ * 10_000 }
  const { fleet } = rig(context, { clock })
  const restart = { backoffBaseMs: 60, backoffMaxMs: 60, exitsMax: 30, windowMs: 600_000 }
  const report = await fleet.apply([
    service('web', { env: { EXIT_AFTER_MS: '1', EXIT_CODE: '3', NEVER_LISTEN: '1' }, restart }),
  ])
  assert.equal(report.services[0]?.failures[0]?.code, 'FLEET_EXITS_TOO_OFTEN')
})

test('an instance that exits again and again is given up, with its exit code and its last lines', async context => {
  const { fleet, decisions } = rig(context)
  const report = await fleet.apply([
    service('web', { env: { EXIT_AFTER_MS: '1', EXIT_CODE: '3', NEVER_LISTEN: '1' } }),
  ])
  const [web] = report.services
  assert.equal(web?.outcome, 'failed')
  assert.equal(web?.failures[0]?.code, 'FLEET_EXITS_TOO_OFTEN')
  assert.match(
    web?.failures[0]?.message ?? '',
    /4 exits in .*exited with code 3 after .*something is wrong here/s,
  )
  assert.equal((web?.failures[0]?.cause as Failure | undefined)?.code, 'FLEET_EXITED')
  assert.equal(fleet.status()[0]?.state, 'failed')
  assert.equal(fleet.status()[0]?.members[0]?.state, 'failed')
  assert.equal(decisions.filter(decision => /again in/.test(decision.text)).length, 3)
})

test('a command that does not exist fails at once and says where', async context => {
  const { fleet } = rig(context)
  const report = await fleet.apply([
    service('one', { command: ['/nowhere/to/be/found', 'x'] }),
    service('two', { command: 'no-such-program --listen' }),
    service('three', { command: ['no-such-program'] }),
    service('four', { directory: '/no/such/directory' }),
  ])
  const messages = report.services.map(one => one.failures[0]?.message ?? '')
  assert.ok(report.services.every(one => one.failures[0]?.code === 'FLEET_COMMAND_MISSING'))
  assert.match(
    messages[0] ?? '',
    /services\.one\.command: one-1 could not be started: \/nowhere\/to\/be\/found does not exist/,
  )
  assert.match(
    messages[1] ?? '',
    /services\.two\.command: the shell could not run it \(exit code 127\)\. Last output:\n.*no-such-program/,
  )
  assert.match(messages[2] ?? '', /no no-such-program in PATH/)
  assert.match(messages[3] ?? '', /the directory \/no\/such\/directory does not exist/)
})

test('a command that is not executable is said to be so', async context => {
  const { fleet, stateDirectory } = rig(context)
  const plain = join(stateDirectory, 'plain')
  writeFileSync(plain, 'just text')
  const report = await fleet.apply([service('one', { command: [plain] })])
  assert.match(report.services[0]?.failures[0]?.message ?? '', /plain is not executable/)
})

test('an instance that lost its port to another process is started on another one', async context => {
  const { fleet, front, decisions } = rig(context)
  // The command gives the port to a thief that answers every request, and does not listen itself.
  const thief = createServer(socket => {
    socket.on('error', () => {})
    socket.resume()
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  })
  context.after(() => new Promise(resolve => thief.close(resolve)))
  const marker = join(fixtures, 'app.mjs')
  const wait = `if [ -e stolen ]; then exec "${process.execPath}" "${marker}"; fi; echo $PORT > port; sleep 30`
  const { stateDirectory } = rig(context)
  const done = fleet.apply([service('web', { command: wait, directory: stateDirectory })])
  const port = await until('the command wrote its port', () => readPort(join(stateDirectory, 'port')))
  await new Promise<void>(resolve => thief.listen(port, '127.0.0.1', resolve))
  writeFileSync(join(stateDirectory, 'stolen'), '')
  const report = await done
  assert.equal(report.services[0]?.outcome, 'ready')
  assert.notEqual(front.active('web')[0]?.port, port)
  assert.ok(decisions.some(decision => /its port \d+ was taken by .*\(pid \d+\)/.test(decision.text)))
})

test('an instance whose port is always answered by a process outside of it fails, and says by which', async context => {
  const { fleet, mark } = rig(context)
  const command = `env -u TENFOLD_NONCE setsid -f "${process.execPath}" "${app[1]}"; exec sleep 600`
  const restart = { ...service('web').restart, exitsMax: 0 }
  const report = await fleet.apply([service('web', { command, restart })])
  const [failure] = report.services[0]?.failures ?? []
  assert.equal((failure?.cause as Failure | undefined)?.code, 'FLEET_PORT_TAKEN')
  assert.match(failure?.message ?? '', /its port \d+ was taken by .*\(pid \d+\)/)
  await fleet.stop()
  // What gave up its nonce and its group is nobody's any more.
  for (const pid of marked(mark)) process.kill(pid, 'SIGKILL')
})

function readPort(path: string): number | null {
  try {
    return Number(readFileSync(path, 'utf8')) || null
  } catch {
    return null
  }
}

test('an instance that ignores its signal is killed, and so are its grandchildren', async context => {
  const { fleet, front, decisions, mark } = rig(context)
  const stop = { ...service('web').stop, timeoutMs: 300 }
  await fleet.apply([
    service('web', { stop, env: { IGNORE_TERM: '1', GRANDCHILD: 'group' } }),
    service('api', { stop, env: { GRANDCHILD: 'session' } }),
  ])
  // Their grandchildren are deaf to the signal by then.
  await until('both serve', () => front.active('web').length === 1 && front.active('api').length === 1)
  assert.equal(marked(mark).length, 4)
  await fleet.stop()
  assert.deepEqual(marked(mark), [])
  assert.equal(
    decisions.filter(decision => /did not end within 300 ms of SIGTERM: killed/.test(decision.text)).length,
    2,
  )
})

test('what a dead instance leaves of its group is ended before another one is long up', async context => {
  const { fleet, front, mark } = rig(context)
  const stop = { ...service('web').stop, timeoutMs: 200 }
  await fleet.apply([service('web', { stop, env: { GRANDCHILD: 'session' } })])
  await until('the grandchild runs', () => marked(mark).length === 2)
  const before = new Set(marked(mark))
  process.kill(fleet.status()[0]?.members[0]?.pid as number, 'SIGKILL')
  await until('both of the first life are gone', () => [...before].every(pid => !alive(pid)))
  await until('another one serves', () => front.active('web').length === 1)
})

test('stop sends the signal and waits for an instance that takes its time', async context => {
  const { fleet, decisions, mark } = rig(context)
  await fleet.apply([service('web', { env: { LINGER_MS: '300' } })])
  await fleet.stop()
  assert.deepEqual(marked(mark), [])
  assert.ok(decisions.every(decision => !/killed/.test(decision.text)))
})

test('kill cuts a stop in progress short', async context => {
  const { fleet, mark } = rig(context)
  await fleet.apply([
    service('web', { env: { IGNORE_TERM: '1' }, stop: { ...service('web').stop, timeoutMs: 600_000 } }),
  ])
  const stopped = fleet.stop({ graceMs: 600_000 })
  await fleet.kill()
  await stopped
  assert.deepEqual(marked(mark), [])
  await assert.rejects(fleet.apply([]), { code: 'FLEET_STOPPING' })
})

test('readiness by TCP needs no health path', async context => {
  const { fleet, front } = rig(context)
  const ready = { ...service('web').ready, kind: 'tcp' as const }
  await fleet.apply([service('web', { ready, command: app, env: { READY_AFTER_MS: '600000' } })])
  assert.equal(front.active('web').length, 1)
})

test('output goes to a file of the member, can be read at its end and followed', async context => {
  const { fleet, front } = rig(context)
  const lines: string[] = []
  const leave = fleet.followOutput({ service: 'web' }, line => lines.push(`${line.member}: ${line.text}`))
  await fleet.apply([service('web'), service('api')])
  await until('the first lines arrive', () => lines.includes('web-1: listening'))
  assert.ok(lines.every(line => line.startsWith('web-1')))
  const last = await fleet.lastOutput({ service: 'api', lines: 1 })
  assert.deepEqual(last, [{ service: 'api', member: 'api-1', text: 'listening' }])
  leave()
  assert.equal(front.active('api').length, 1)
  await assert.rejects(fleet.lastOutput({ service: 'nobody', lines: 1 }), { code: 'FLEET_SERVICE_UNKNOWN' })
})

test('the output of a member stays within its limits while it runs', async context => {
  const { fleet, stateDirectory } = rig(context)
  const command = `yes "a line that is written again and again" | head -c 3000000; echo done; exec sleep 600`
  const logs = { bytesMax: 100_000, filesMax: 2 }
  const applied = fleet.apply([service('web', { command, logs })])
  const folder = join(stateDirectory, 'logs', 'web')
  await until('it was rotated, and no more than two files are left', () => {
    const names = existsSync(folder) ? readdirSync(folder).sort() : []
    const bytes = names.reduce(
      (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
    return names.join() === 'web-1.log,web-1.log.1' && bytes <= 4 * logs.bytesMax
  })
  await fleet.kill()
  await applied
})
