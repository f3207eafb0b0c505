// Databases in a whole system: real PostgreSQL servers, the router, a service on DATABASE_URL, and the bad days of each
// process. That nothing a test started outlives it is asserted by the project.

import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DatabaseView } from '../../src/system/control/views.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { fetched, type Project, project, until } from '../tools/project.ts'
import { dead } from '../tools/system-harness.ts'

const serviceFile = join(import.meta.dirname, '../tools/database-service.mjs')

interface Shop extends Project {
  /** Writes the file: the databases as given, a service on them. */
  describe(databases: object, services?: object): void
  database(name?: string): Promise<DatabaseView>
}

const service = (more: object = {}): object => ({
  command: [process.execPath, serviceFile],
  health: { path: '/healthz' },
  ready: { timeout: '60s' },
  ...more,
})

function shopOf(t: TestContext): Shop {
  const base = project(t)
  return {
    ...base,
    describe: (databases, services = { api: service() }) =>
      base.configure({
        name: 'shop',
        control: { listen: 0 },
        edge: { listen: { http: '127.0.0.1:0' }, workers: 1, routes: [{ path: '/*', to: 'api' }] },
        services,
        databases,
      }),
    database: async (name = 'main') => {
      const found = (await base.status()).databases.find(one => one.name === name)
      assert.ok(found, `a database ${name}`)
      return found
    },
  }
}

const pidsOf = ({ servers }: DatabaseView): (number | null)[] => servers.map(server => server.pid)

/** Every file below, apart from those that are private to say secrets. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}

test('a service finds its database: replicas stream, the primary moves, nothing says a password, nothing is left', async t => {
  const shop = shopOf(t)
  shop.describe({ main: { replicas: 2, durability: 'one-replica', reads: 'fresh' } })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  assert.equal(await fetched(`${url}/env`), 'DATABASE_URL DATABASE_URL_MAIN')
  assert.equal(await fetched(`${url}/whoami`), 'svc_api')
  assert.equal(await fetched(`${url}/add`), 'added')
  assert.equal(await fetched(`${url}/count`), '1')

  const main = await shop.database()
  assert.equal(main.servers.filter(server => server.role === 'replica').length, 2)
  assert.equal(up.status.router?.state, 'running')
  const status = await shop.run('db')
  assert.match(status.out, /main-1 +primary +ready/)
  assert.match(status.out, /main-2 +replica +ready .* streams from main-1/)

  const moved = await shop.run('db', 'switchover', '--to', 'main-2')
  assert.equal(moved.code, 0, moved.error)
  assert.match(moved.out, /main-2 is the primary/)
  assert.equal(await fetched(`${url}/add`), 'added')
  assert.equal(await fetched(`${url}/count`), '2')
  const after = await shop.database()
  assert.equal(after.servers.find(server => server.role === 'primary')?.id, 'main-2')
  assert.equal(after.epoch, main.epoch + 1)
  assert.equal(after.failovers[0]?.kind, 'switchover')
  await until('the former primary streams again', async () =>
    (await shop.database()).servers.every(server => server.state === 'ready'),
  )

  const paused = await shop.run('db', 'pause', '--reason', 'a new disk')
  assert.equal(paused.code, 0, paused.error)
  assert.equal((await shop.database()).paused, 'a new disk')
  await shop.run('db', 'resume')
  assert.equal((await shop.database()).paused, null)

  const settings = await shop.run('db', 'settings', '--json')
  assert.ok((JSON.parse(settings.out) as { settings: object[] }).settings.length > 10)
  const slow = await shop.run('db', 'slow')
  assert.match(slow.out, /INSERT INTO notes/)

  const wide = 'CREATE TABLE visits AS SELECT n AS id, n % 400 AS visitor FROM generate_series(1, 40000) AS n'
  const visits = Array.from({ length: 9 }, (_, n) => `SELECT id FROM visits WHERE visitor = ${n}`)
  const made = await shop.run(
    'db',
    'psql',
    '--as',
    'api',
    '--command',
    [wide, 'ANALYZE visits', ...visits].join('; '),
  )
  assert.equal(made.code, 0, made.error)
  const advised = await shop.run('db', 'advise')
  assert.match(
    advised.out,
    /make an index: public\.visits \(visitor\): its statements would take about \d+ % .*\n {2}CREATE INDEX CONCURRENTLY ON "public"\."visits" \("visitor"\);\n {2}9 x, .* cost \d+ -> [\d.]+: SELECT id FROM visits WHERE visitor = \$1/,
    advised.error,
  )

  const metrics = await (
    await fetch(`${up.status.controlUrl}/metrics`, {
      headers: {
        authorization: `Bearer ${readFileSync(join(shop.directory, '.tenfold', 'token'), 'utf8').trim()}`,
      },
    })
  ).text()
  assert.match(metrics, /^database_server_primary\{database="main",server="main-2"\} 1$/m)
  assert.match(metrics, /^database_statements_total\{/m)

  const asked = await shop.run('db', 'reset', 'main')
  assert.notEqual(asked.code, 0)
  assert.match(asked.error, /CLI_NOT_CONFIRMED/)
  const busy = await shop.run('db', 'reset', 'main', '--yes')
  assert.match(busy.error, /The system runs.*SYSTEM_DATABASE_RUNNING/s)
  for (const [args, says] of [
    [['db', 'status', 'other'], /There is no database 'other'; there is 'main'.*CLI_DATABASE_UNNAMED/s],
    [['db', 'rebuild', 'main-9'], /There is no server 'main-9'/],
    [['db', 'restore'], /needs a moment/],
    [['db', 'backup'], /asks for no backups of 'main'.*SYSTEM_BACKUP_UNASKED/s],
    [['db', 'psql', '--as', 'web'], /'web' has no access to 'main'.*SYSTEM_DATABASE_USER_UNKNOWN/s],
    [['db', 'psql', '--as', 'api', '--primary'], /exclude each other/],
  ] as const) {
    const ran = await shop.run(...args)
    assert.notEqual(ran.code, 0, args.join(' '))
    assert.match(ran.error, says)
  }

  const verified = await shop.run('db', 'verify')
  assert.equal(verified.code, 0, verified.out + verified.error)
  assert.match(verified.out, /2 replicas have the rows of main-2: 40002 rows/)
  const { PATH } = process.env
  process.env.PATH = '/nowhere'
  const without = await shop.run('db', 'psql').finally(() => {
    process.env.PATH = PATH
  })
  assert.match(without.error, /This machine has no psql.*CLI_PROGRAM_MISSING/s)

  const state = join(shop.directory, '.tenfold')
  const passwords = passwordsIn(state)
  assert.ok(passwords.length >= 5, `only ${passwords.length} passwords are known`)
  const said = [status, moved, paused, settings, slow, verified, without]
    .map(ran => ran.out + ran.error)
    .join('\n')
  const shown = `${said}\n${JSON.stringify(up.lines)}\n${JSON.stringify(await shop.status())}`
  for (const password of passwords) assert.ok(!shown.includes(password), 'a password is shown')
  const { code } = await shop.run('stop')
  assert.equal(code, 0)
  const holders = filesBelow(state).filter(file => {
    const text = readFileSync(file, 'latin1')
    return passwords.some(password => text.includes(password))
  })
  for (const file of holders) {
    assert.equal(statSync(file).mode & 0o077, 0, `${file} can be read by others`)
    assert.match(file, /roles\.json$|router\/snapshot\.json$|replication\.pgpass$/)
  }
  for (const pid of pidsOf(after)) assert.ok(pid === null || dead(pid))

  const reset = await shop.run('db', 'reset', 'main', '--yes')
  assert.equal(reset.code, 0, reset.error)
  assert.match(reset.out, /deleted all data of 'main': main-1, main-2, main-3/)
  const again = await shop.up('--no-watch')
  assert.equal(await fetched(`${again.status.edge.listeners[0]?.url}/count`), '0')
})

/** Of roles, and those that clients of the router have. */
function passwordsIn(state: string): string[] {
  const { passwords } = JSON.parse(readFileSync(join(state, 'db', 'main', 'roles.json'), 'utf8')) as {
    passwords: Record<string, string>
  }
  const { databases } = JSON.parse(readFileSync(join(state, 'router', 'snapshot.json'), 'utf8')) as {
    databases: { users: { password: string }[] }[]
  }
  return [
    ...Object.values(passwords),
    ...databases.flatMap(database => database.users.map(user => user.password)),
  ]
}

test('the supervisor is killed: router and servers serve on, and the next one takes all of them back', async t => {
  const shop = shopOf(t)
  shop.describe({ main: { replicas: 1 } })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  assert.equal(await fetched(`${url}/add`), 'added')
  const before = await shop.database()
  const routerPid = (await shop.status()).router?.pid
  up.child.kill('SIGKILL')
  await up.exited
  assert.equal(await fetched(`${url}/add`), 'added', 'nobody need be there for a write')

  const next = await shop.up('--no-watch')
  const after = await shop.database()
  assert.deepEqual(pidsOf(after), pidsOf(before))
  assert.equal(next.status.router?.pid, routerPid)
  assert.equal(next.status.router?.adopted, true)
  assert.equal(after.epoch, before.epoch)
  assert.equal(await fetched(`${url}/add`), 'added')

  process.kill(routerPid as number, 'SIGKILL')
  await until('another router serves', async () => {
    const { router } = await shop.status()
    return router?.state === 'running' && router.pid !== routerPid
  })
  await until('the service is back', async () => (await fetched(`${url}/add`)) === 'added')
  assert.equal((await shop.status()).ready, true)

  const primary = after.servers.find(server => server.role === 'primary')
  process.kill(primary?.pid as number, 'SIGKILL')
  await until('the replica has taken over', async () => {
    const { servers, epoch } = await shop.database()
    return epoch > after.epoch && servers.some(one => one.role === 'primary' && one.id !== primary?.id)
  })
  await until('writes go on', async () => (await fetched(`${url}/add`)) === 'added')
})

test('a dead supervisor leaves servers that stop ends with the rest', async t => {
  const shop = shopOf(t)
  shop.describe({ main: {} })
  const up = await shop.up('--no-watch')
  const pids = [...pidsOf(await shop.database()), up.status.router?.pid ?? null]
  up.child.kill('SIGKILL')
  await up.exited
  const kept = await shop.run('db', 'reset', 'main', '--yes')
  assert.match(kept.error, /may run on: 'main' may be in use.*SYSTEM_DATABASE_RUNNING/s)
  const stopped = await shop.run('stop')
  assert.equal(stopped.code, 0, stopped.error)
  assert.match(stopped.out, /database router \(process \d+\)/)
  assert.match(stopped.out, /database server main-1/)
  for (const pid of pids) assert.ok(pid !== null && dead(pid))
})

test('a reload changes pool, reads and replicas live, brings a database, and rolls who gets its URL', async t => {
  const shop = shopOf(t)
  // Its share of the machine's memory would change with the number of servers, and that needs a restart.
  const settings = { shared_buffers: '32MB', min_dynamic_shared_memory: '16MB' }
  shop.describe({ main: { settings } })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  assert.equal(await fetched(`${url}/add`), 'added')
  const primaryPid = pidsOf(await shop.database())[0]

  shop.describe({
    main: { settings, replicas: 1, reads: 'session', pool: { size: 3 }, durability: 'primary' },
  })
  const live = await shop.run('reload')
  assert.equal(live.code, 0, live.error)
  const main = await shop.database()
  assert.equal(main.reads, 'session')
  assert.equal(main.servers.length, 2)
  assert.equal(pidsOf(main)[0], primaryPid, 'the primary was not started again')
  await until('the new replica streams', async () =>
    (await shop.database()).servers.every(server => server.state === 'ready'),
  )

  shop.describe({
    main: { settings, replicas: 1, reads: 'session', pool: { size: 3 } },
    side: { access: { api: 'owner' } },
  })
  const brought = await shop.run('reload')
  assert.equal(brought.code, 0, brought.error)
  assert.match(brought.out, /rolls api/)
  assert.equal(await fetched(`${url}/env`), 'DATABASE_URL DATABASE_URL_MAIN DATABASE_URL_SIDE')
  assert.equal(await fetched(`${url}/count`), '1')

  shop.describe({ main: { settings, replicas: 1, listen: 6999 } })
  const refused = await shop.run('reload')
  assert.equal(refused.code, 1)
  assert.match(refused.error, /services hold connections to where the router listens/)
  assert.equal((await shop.status()).databases.length, 2)

  shop.describe({ main: { replicas: 1, settings: { ...settings, work_memory: '1MB' } } })
  const wrong = await shop.run('reload')
  assert.equal(wrong.code, 1)
  assert.match(wrong.error, /work_memory/)
  assert.equal(await fetched(`${url}/add`), 'added', 'what ran before runs on')

  shop.describe({ main: { settings, replicas: 1 } })
  const gone = await shop.run('reload')
  assert.equal(gone.code, 0, gone.error)
  assert.deepEqual(
    (await shop.status()).databases.map(one => one.name),
    ['main'],
  )
  assert.equal(await fetched(`${url}/env`), 'DATABASE_URL DATABASE_URL_MAIN')
})

test('trap: max_connections goes up and down again with a reload, and each time every replica is back', async t => {
  const shop = shopOf(t)
  const settings = { shared_buffers: '32MB', min_dynamic_shared_memory: '16MB' }
  shop.describe({ main: { replicas: 1, settings } })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  shop.describe({ main: { replicas: 1, settings: { ...settings, max_connections: 200 } } })
  const raised = await shop.run('reload')
  assert.equal(raised.code, 0, raised.error)
  assert.equal((await shop.database()).epoch, 2, 'its replica has it first, and takes over')
  shop.describe({ main: { replicas: 1, settings } })
  const lowered = await shop.run('reload')
  assert.equal(lowered.code, 0, lowered.error)
  const moved = await shop.run('db', 'switchover')
  assert.equal(moved.code, 0, moved.error)
  await until('the former primary is back', async () =>
    (await shop.database()).servers.every(server => server.state === 'ready'),
  )
  assert.equal(await fetched(`${url}/add`), 'added')
  const misnamed = await shop.run('db', 'switchover', 'main-2')
  assert.match(misnamed.error, /'main-2' is a server of 'main'.* --to main-2/)
})

test('a setting that PostgreSQL does not know is refused in a sentence, and the start leaves nothing behind', async t => {
  const shop = shopOf(t)
  shop.describe({ main: { replicas: 1, settings: { work_memory: '1MB' } } })
  const ran = await shop.run('up', '--no-watch')
  assert.equal(ran.code, 1)
  assert.match(ran.error, /work_memory.*DATABASE_SETTING_REFUSED/s)
})

test('servers that run elsewhere are used by a URL that is a secret, and never promoted', async t => {
  const server = await startPostgres(t)
  const shop = shopOf(t)
  shop.write('secrets.env', `DB=postgres://tenfold:${server.password}@127.0.0.1:${server.port}/app\n`)
  chmodSync(join(shop.directory, 'secrets.env'), 0o600)
  shop.describe({ main: { servers: [{ secret: 'DB' }] } })
  const up = await shop.up('--no-watch')
  const url = up.status.edge.listeners[0]?.url ?? ''
  assert.equal(await fetched(`${url}/add`), 'added')
  const main = await shop.database()
  assert.equal(main.servedBy, 'elsewhere')
  assert.equal(main.servers[0]?.address, `127.0.0.1:${server.port}`)
  const refused = await shop.run('db', 'failover')
  assert.notEqual(refused.code, 0)
  assert.match(refused.error, /DATABASE_NOT_OURS/)
  const slow = await shop.run('db', 'slow')
  assert.equal(slow.code, 2)
  assert.match(slow.error, /pg_stat_statements.*SYSTEM_DATABASE_UNCOUNTED/s)
})
