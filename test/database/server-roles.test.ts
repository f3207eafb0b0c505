// Who may do what inside PostgreSQL, proven by SQL, and who may read what on disk, proven by another user's attempt.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import type { Access } from '../../src/database/contract.ts'
import { type Group, serverGroup, startServers, until } from '../tools/servers-harness.ts'

async function as(t: TestContext, group: Group, role: string, database = 'app'): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: group.url('main-1', role, database) })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  return client
}

const forbidden = { code: '42501' }
const access: Readonly<Record<string, Access>> = {
  web: 'owner',
  'back-office': 'owner',
  api: 'write',
  report: 'read',
}

test('a service has the rights of its access and no others, also on what other services make', async t => {
  const group = await startServers(t, { replicas: 0, access })
  const web = await as(t, group, 'svc_web')
  await web.query('CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text)')
  await web.query('CREATE SCHEMA sales')
  await web.query('CREATE TABLE sales.tickets (id serial PRIMARY KEY)')
  await web.query('CREATE EXTENSION IF NOT EXISTS pgcrypto')

  const office = await as(t, group, 'svc_back-office')
  await office.query('ALTER TABLE orders ADD COLUMN note text')
  await office.query('CREATE TABLE notes (id int)')
  await web.query('DROP TABLE notes')

  const api = await as(t, group, 'svc_api')
  await api.query("INSERT INTO orders (text) VALUES ('a'), ('b')")
  await api.query("UPDATE orders SET text = 'c' WHERE id = 1")
  await api.query('DELETE FROM orders WHERE id = 2')
  await api.query('INSERT INTO sales.tickets DEFAULT VALUES')
  for (const sql of [
    'CREATE TABLE x (id int)',
    'ALTER TABLE orders ADD COLUMN x int',
    'TRUNCATE orders',
    'DROP TABLE orders',
    'CREATE SCHEMA x',
  ])
    await assert.rejects(api.query(sql), forbidden, sql)

  const report = await as(t, group, 'svc_report')
  assert.equal((await report.query('SELECT text FROM orders')).rows[0].text, 'c')
  assert.equal((await report.query('SELECT id FROM sales.tickets')).rowCount, 1)
  for (const sql of [
    "INSERT INTO orders (text) VALUES ('x')",
    'DELETE FROM orders',
    "SELECT nextval('sales.tickets_id_seq')",
    'CREATE TABLE x (id int)',
  ])
    await assert.rejects(report.query(sql), forbidden, sql)

  for (const client of [web, api, report]) {
    for (const sql of [
      "COPY orders TO '/tmp/x'",
      "SELECT pg_read_file('PG_VERSION')",
      'SELECT * FROM pg_authid',
      'SELECT pg_promote()',
      "ALTER ROLE tenfold PASSWORD 'x'",
      'CREATE ROLE x',
      'SET ROLE tenfold',
    ])
      await assert.rejects(client.query(sql), forbidden, sql)
  }
})

test('a service reaches its own database and no other, and replication is for our own role', async t => {
  const group = await startServers(t, { replicas: 0, access })
  await assert.rejects(as(t, group, 'svc_web', 'postgres'), forbidden)
  await assert.rejects(as(t, group, 'svc_web', 'template1'), forbidden)
  const config = { connectionString: group.url('main-1', 'svc_web'), replication: 'true' } as pg.ClientConfig
  await assert.rejects(new pg.Client(config).connect(), /pg_hba\.conf rejects replication connection/)
  const wrong = group.url('main-1', 'svc_web').replace(/:[^:@]+@/, ':wrong@')
  await assert.rejects(new pg.Client({ connectionString: wrong }).connect(), { code: '28P01' })
})

test('the role that watches sees how far a server is and nothing of the users', async t => {
  const group = await startServers(t, { replicas: 0, access })
  const web = await as(t, group, 'svc_web')
  await web.query('CREATE TABLE orders (id int)')
  const monitor = await as(t, group, 'tenfold_monitor')
  assert.equal(
    (await monitor.query('SELECT pg_current_wal_flush_lsn() IS NOT NULL AS here')).rows[0].here,
    true,
  )
  assert.ok((await monitor.query('SELECT usename FROM pg_stat_activity WHERE usename IS NOT NULL')).rowCount)
  await assert.rejects(monitor.query('SELECT * FROM public.orders'), forbidden)
  await assert.rejects(monitor.query('CREATE TABLE public.x (id int)'), forbidden)
})

test('a changed access holds at once, and a service that is gone can log in no more', async t => {
  const group = await startServers(t, { replicas: 0, access })
  const web = await as(t, group, 'svc_web')
  await web.query('CREATE TABLE orders (id int)')
  const api = await as(t, group, 'svc_api')
  let ended = false
  api.on('end', () => {
    ended = true
  })
  const report = await as(t, group, 'svc_report')
  await assert.rejects(report.query('INSERT INTO orders VALUES (1)'), forbidden)
  let outdated = false
  web.on('end', () => {
    outdated = true
  })
  await group.servers.change({ ...group.spec, access: { web: 'read', report: 'write', extra: 'owner' } })
  await until('who began with other rights is put out', () => outdated)
  await (await as(t, group, 'svc_report')).query('INSERT INTO orders VALUES (1)')
  await assert.rejects((await as(t, group, 'svc_web')).query('INSERT INTO orders VALUES (1)'), forbidden)
  await (await as(t, group, 'svc_extra')).query('DROP TABLE orders')
  await until('who was in is put out', () => ended)
  const { roles } = group.servers
  assert.ok(!roles.some(role => role.name === 'svc_api'))
  const home = join(group.data('main-1'), '..', '..')
  const kept = JSON.parse(readFileSync(join(home, 'roles.json'), 'utf8')).passwords as Record<string, string>
  const url = group.url('main-1', 'svc_web').replace(/svc_web:[^@]+/, `svc_api:${kept.svc_api}`)
  await assert.rejects(new pg.Client({ connectionString: url }).connect(), { code: '28000' })
  // Taken back: the same password is good again.
  await group.servers.change({ ...group.spec, access })
  assert.equal(group.servers.roles.find(role => role.name === 'svc_api')?.password, kept.svc_api)
  await as(t, group, 'svc_api')
})

test('who owns the database can make our superuser call nothing of his', async t => {
  const group = await startServers(t, { replicas: 0, access })
  const web = await as(t, group, 'svc_web')
  // Better matches than PostgreSQL's own, and a schema that is looked at first (CVE-2018-1058).
  await web.query(`CREATE TABLE calls (who text); GRANT ALL ON calls TO PUBLIC;
    CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap, public TO PUBLIC`)
  for (const schema of ['public', 'trap'])
    await web.query(`
      CREATE FUNCTION ${schema}.note() RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.calls VALUES (current_user); RETURN 'SELECT 1'; END $$;
      CREATE FUNCTION ${schema}.format(text, name, text, text) RETURNS text LANGUAGE sql AS $$ SELECT ${schema}.note() $$;
      CREATE FUNCTION ${schema}.format(text, name, text) RETURNS text LANGUAGE sql AS $$ SELECT ${schema}.note() $$`)
  await web.query(`CREATE VIEW trap.pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE trap.note() <> '';
    ALTER DATABASE app SET search_path = trap, pg_catalog, public`)
  await group.servers.stop('main-1', 'fast')
  await group.servers.start('main-1')
  await group.servers.change({ ...group.spec, access: { ...access, extra: 'read' } })
  await (await as(t, group, 'svc_extra')).query('SELECT * FROM public.calls')
  assert.deepEqual(await group.servers.query('main-1', 'SELECT DISTINCT who FROM public.calls', 10_000), [])
})

test('no password stands in a log, a setting or the catalogue in clear', async t => {
  const group = await startServers(t, { replicas: 1, access, settings: { log_statement: 'all' } })
  await group.servers.change({ ...group.spec, access: { ...access, extra: 'read' } })
  const secrets = group.servers.roles.map(role => role.password)
  const logs = group.ids.map(id =>
    readFileSync(join(group.options.stateDirectory, 'logs', `db-main-${id}.log`), 'utf8'),
  )
  assert.ok(
    logs.some(text => text.includes('ALTER ROLE "svc_extra"')),
    'statements were logged at all',
  )
  const told = await group.servers.query(
    'main-1',
    "SELECT string_agg(rolpassword, ' ') FROM pg_authid",
    10_000,
  )
  const settings = await group.servers.query(
    'main-2',
    "SELECT string_agg(setting, ' ') FROM pg_settings",
    10_000,
  )
  const all = [...logs, told[0]?.[0], settings[0]?.[0]].join('\n')
  assert.match(all, /SCRAM-SHA-256\$4096:/)
  for (const secret of secrets) assert.ok(!all.includes(secret))
})

test('the user of services can read neither the data nor the passwords', async t => {
  const group = await startServers(t, { replicas: 0 })
  const home = join(group.data('main-1'), '..', '..')
  const files = [
    join(home, 'roles.json'),
    join(home, 'main-1', 'replication.pgpass'),
    join(group.data('main-1'), 'PG_VERSION'),
  ]
  for (const file of files) assert.ok(existsSync(file), file)
  if (process.geteuid?.() !== 0) {
    // The same user owns them: there is no other to try it as.
    for (const file of files) assert.ok(readFileSync(file).length > 0)
    return
  }
  for (const file of files)
    assert.throws(
      () =>
        execFileSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'cat', file], {
          stdio: 'pipe',
        }),
      /Permission denied/,
    )
})

test('passwords that are gone or damaged are said, not made anew over data that knows the old ones', async t => {
  const group = await startServers(t, { replicas: 0 })
  const file = join(group.data('main-1'), '..', '..', 'roles.json')
  const kept = readFileSync(file)
  writeFileSync(file, '{"format":1,')
  await assert.rejects(group.again().open(), { code: 'DATABASE_ROLES_UNUSABLE', message: /is damaged/ })
  rmSync(file)
  await assert.rejects(group.again().open(), { code: 'DATABASE_ROLES_UNUSABLE', message: /is gone/ })
  writeFileSync(file, kept, { mode: 0o600 })
  await group.again().open()
})

test('a damaged record of the servers is said with what to do', async t => {
  const group = await serverGroup(t, { replicas: 0 })
  const file = join(group.data('main-1'), '..', '..', 'servers.json')
  const kept = readFileSync(file)
  writeFileSync(file, 'null')
  assert.throws(() => group.again(), {
    code: 'DATABASE_DIRECTORY_UNUSABLE',
    message: /servers\.json is damaged/,
  })
  writeFileSync(file, kept, { mode: 0o600 })
})
