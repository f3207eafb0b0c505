// The command line and the running system together: real processes, real sockets.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetched, project, until } from '../tools/project.ts'

const base = { name: 'shop', control: { listen: 0 } }
const edge = { listen: { http: '127.0.0.1:0' }, workers: 1 }
const web = { command: ['node', 'web.mjs'], instances: { min: 1, max: 3 }, health: { path: '/' } }

test('a system is started, looked at, changed and stopped by its commands', async t => {
  const shop = project(t)
  const service = { ...web, env: { KEY: { secret: 'KEY_VALUE' } } }
  shop.configure({ ...base, edge, services: { web: service } })
  const { child, status, exited, lines } = await shop.up('--no-watch')
  const url = status.edge.listeners[0]?.url ?? ''
  assert.equal(status.ready, true, status.waitingFor.join())
  assert.match(await fetched(url), /^web-1/)
  assert.ok(lines.some(line => line.type === 'event' && line.subject === 'web/web-1'))

  const second = await shop.run('up')
  assert.equal(second.code, 1)
  assert.match(second.error, new RegExp(`process ${child.pid} .*SYSTEM_ALREADY_RUNNING`, 's'))

  assert.equal((await shop.run('scale', 'web', '2')).code, 0)
  assert.equal((await shop.status()).services[0]?.instances?.ready, 2)
  assert.equal((await shop.run('scale', 'web', '9')).code, 2)
  const [one, other] = await Promise.all([shop.run('restart', 'web'), shop.run('restart', 'web')])
  const codes = [one, other].map(ran => ran.code).sort()
  assert.equal(codes[0], 0, one.error + other.error)
  if (codes[1] === 1) assert.match(one.error + other.error, /SYSTEM_BUSY/)

  assert.equal((await shop.run('drain', 'web-2')).code, 0)
  assert.equal((await shop.status()).services[0]?.members[1]?.state, 'drained')
  for (let count = 0; count < 4; count += 1) assert.match(await fetched(url), /^web-1/)
  assert.equal((await shop.run('undrain', 'web/web-2')).code, 0)
  assert.equal((await shop.run('drain', 'web-7')).code, 2)

  const logs = await shop.run('logs', 'web', '-n', '50')
  assert.match(logs.out, /web-1.* listens; key \*\*\*$/m, 'secrets are redacted')
  assert.match((await shop.run('status')).out, /shop {2}ready/)

  const changed = { ...service, env: { GREETING: 'hi' } }
  shop.configure({ ...base, edge, services: { web: changed } })
  const dry = await shop.run('reload', '--dry-run')
  assert.match(dry.out, /web rolls \(nothing was applied\)/)
  assert.equal((await shop.run('reload')).code, 0)
  assert.match(await fetched(url), / hi$/)

  shop.configure({ ...base, name: 'other', edge, services: { web: changed } })
  const refused = await shop.run('reload')
  assert.equal(refused.code, 1)
  assert.match(refused.error, /name cannot change live.*SYSTEM_RELOAD_REFUSED/s)
  const dies = { command: 'echo dies at once; exit 3', restart: { max: 1 } }
  const routes = [
    { path: '/new/*', to: 'dies' },
    { path: '/*', to: 'web' },
  ]
  shop.configure({ ...base, edge: { ...edge, routes }, services: { web: changed, dies } })
  const failed = await shop.run('reload')
  assert.match(failed.error, /what ran before runs on.*dies at once.*SYSTEM_RELOAD_FAILED/s)
  assert.match(await fetched(`${url}/new/x`), / hi$/, 'routes are the old ones')

  assert.equal((await shop.run('rollback')).code, 0)
  assert.match(await fetched(url), /^web-\d$/)
  const history = JSON.parse((await shop.run('history', '--json')).out) as { entries: { number: number }[] }
  assert.deepEqual(
    history.entries.map(entry => entry.number),
    [3, 2, 1],
  )
  const unknown = await shop.run('rollback', '77')
  assert.equal(unknown.code, 2)
  assert.match(unknown.error, /SYSTEM_HISTORY_UNKNOWN/)

  assert.equal((await shop.run('stop')).code, 0)
  assert.equal(await exited, 0)
  assert.equal(lines.at(-1)?.type, 'ended')
  const after = await shop.run('status')
  assert.equal(after.code, 1)
  assert.match(after.error, /SYSTEM_NOT_RUNNING/)
})

test('a change of the watched file is applied by itself, and a bad one changes nothing', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web } })
  const { status } = await shop.up()
  const url = status.edge.listeners[0]?.url ?? ''
  shop.write('tenfold.config.mjs', 'export default {')
  await until('the refusal is told', async () => (await shop.status()).lastReload?.outcome === 'refused')
  assert.match(await fetched(url), /^web-1/)
  shop.configure({ ...base, edge, services: { web: { ...web, env: { GREETING: 'again' } } } })
  await until('the change is there', async () => (await fetched(url)).endsWith('again'))
})

test('an edge that is killed comes back on the same port', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web } })
  const { status } = await shop.up('--no-watch')
  const url = status.edge.listeners[0]?.url ?? ''
  process.kill(status.edge.pid ?? 0, 'SIGKILL')
  await until('another edge answers', async () => (await fetched(url)).startsWith('web-1'))
  const now = await shop.status()
  assert.notEqual(now.edge.pid, status.edge.pid)
  assert.equal(now.edge.restarts, 1)
  assert.equal(now.edge.listeners[0]?.url, url)
})

test('what a killed supervisor leaves serves on, is taken back by the next, and ended by `stop` alone', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web } })
  const first = await shop.up('--no-watch')
  const url = first.status.edge.listeners[0]?.url ?? ''
  first.child.kill('SIGKILL')
  assert.equal(await first.exited, 'SIGKILL')
  assert.match(await fetched(url), /^web-1/)

  const second = await shop.up('--no-watch')
  assert.equal(second.status.edge.pid, first.status.edge.pid)
  assert.equal(second.status.edge.adopted, true)
  assert.equal(second.status.services[0]?.members[0]?.pid, first.status.services[0]?.members[0]?.pid)
  assert.match(await fetched(url), /^web-1/)
  second.child.kill('SIGKILL')
  await second.exited

  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.error)
  assert.match(stopped.out, /edge \(process \d+\), web\/web-1/)
  assert.equal(await fetched(url), 'ECONNREFUSED')
})

test('a supervisor that comes back applies what the file says by now, or goes on with what ran', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web } })
  const first = await shop.up('--no-watch')
  const url = first.status.edge.listeners[0]?.url ?? ''
  first.child.kill('SIGKILL')
  await first.exited

  const routes = [
    { path: '/api/*', to: 'api' },
    { path: '/*', to: 'web' },
  ]
  const api = { ...web, env: { GREETING: 'api' } }
  shop.configure({ ...base, edge: { ...edge, routes }, services: { web, api } })
  const second = await shop.up('--no-watch')
  assert.equal(second.status.edge.adopted, true)
  assert.match(await fetched(`${url}/api/x`), /^api-1 api/)
  assert.equal(second.status.services[0]?.members[0]?.pid, first.status.services[0]?.members[0]?.pid)
  second.child.kill('SIGKILL')
  await second.exited

  const dies = { command: 'exit 3', restart: { max: 0 } }
  shop.configure({ ...base, edge: { ...edge, routes }, services: { web, api, dies } })
  const third = await shop.up('--no-watch')
  assert.equal(third.status.lastReload?.outcome, 'refused')
  assert.deepEqual(
    third.status.services.map(one => one.name),
    ['web', 'api'],
  )
  assert.match(await fetched(`${url}/api/x`), /^api-1 api/)
})

test('TERM drains: a request in flight is answered before anything ends', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web } })
  const { child, status, exited, lines } = await shop.up('--no-watch')
  const answer = fetched(`${status.edge.listeners[0]?.url}/held`)
  await until('the request is in flight', async () =>
    (await shop.status()).edge.workers.some(worker => worker.exchanges > 0),
  )
  child.kill('SIGTERM')
  await until('it is waited for', () => lines.some(line => /waiting for 1 request/.test(String(line.text))))
  assert.match((await shop.run('reload')).error, /SYSTEM_STOPPING/)
  assert.match((await shop.run('stop', '--wait', '0')).error, /CLI_STOP_TIMED_OUT/)
  shop.write('release', '')
  assert.equal(await exited, 0)
  assert.equal(await answer, 'let go')
})

test('a second TERM ends everything at once', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web } })
  const { child, status, exited, lines } = await shop.up('--no-watch')
  const answer = fetched(`${status.edge.listeners[0]?.url}/held`)
  await until('it is asked', async () => (await shop.status()).edge.workers.some(one => one.exchanges > 0))
  child.kill('SIGTERM')
  await until('it stops', () => lines.some(line => line.kind === 'stopping'))
  child.kill('SIGTERM')
  assert.equal(await exited, 130)
  assert.notEqual(await answer, 'let go')
})

test('a start that fails is one sentence and leaves nothing behind', async t => {
  const shop = project(t)
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const cases: [string, object, number, RegExp][] = [
    [
      'missing command',
      { edge, services: { web: { command: ['no-such-program'] } } },
      2,
      /no-such-program.*FLEET_/s,
    ],
    [
      'taken port',
      { edge: { listen: { http: `127.0.0.1:${port}` } }, services: { web } },
      1,
      /SYSTEM_PORT_TAKEN/,
    ],
    ['unknown key', { edge, servces: {}, services: { web } }, 2, /'services'.*FILE_INVALID/s],
    [
      'missing secret',
      { edge, services: { web: { ...web, env: { A: { secret: 'NOT_SET_ANYWHERE' } } } } },
      2,
      /NOT_SET_ANYWHERE.*FILE_SECRET_MISSING/s,
    ],
  ]
  for (const [what, system, code, words] of cases) {
    shop.configure({ ...base, ...system })
    const { code: found, error } = await shop.run('up', '--no-watch')
    assert.match(error, words, what)
    assert.ok(found === code || found === 1, `${what}: ${found}`)
  }
  shop.configure({ ...base, control: { listen: port }, edge, services: { web } })
  assert.match((await shop.run('up')).error, new RegExp(`control port .*${port} is taken`))
})

test('a state directory deep down works: its socket is elsewhere', async t => {
  const shop = project(t, { folder: join('a'.repeat(60), 'b'.repeat(60)) })
  shop.configure({ ...base, edge, services: { web } })
  const { status } = await shop.up('--no-watch')
  assert.match(await fetched(status.edge.listeners[0]?.url ?? ''), /^web-1/)
})

test('check says of a doubt what to write instead', async t => {
  const shop = project(t)
  shop.configure({ ...base, edge, services: { web }, databases: { main: { reads: 'fresh' } } })
  const doubted = await shop.run('check')
  assert.equal(doubted.code, 0, doubted.error)
  assert.match(
    doubted.out,
    /databases\.main\.reads is 'fresh', but there is no replica.*\n +Write replicas: 2\./,
  )
})

test('check, init, doctor and export need no running system', async t => {
  const shop = project(t)
  const made = await shop.run('init')
  assert.equal(made.code, 0, made.error)
  assert.equal((await shop.run('check')).code, 0)
  assert.match((await shop.run('init')).error, /CLI_FILE_EXISTS/)
  assert.match((await shop.run('init', 'no/such/folder')).error, /CLI_FOLDER_MISSING/)
  const findings = JSON.parse((await shop.run('doctor', '--json')).out) as { findings: { check: string }[] }
  assert.ok(findings.findings.some(finding => finding.check === 'node'))
  assert.match((await shop.run('export', 'systemd', '--user', 'shop')).out, /^ExecStart=.* up --no-watch /m)
})
