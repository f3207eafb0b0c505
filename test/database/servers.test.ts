// Real PostgreSQL servers as the product runs them: made, copied, promoted, followed, fenced, taken back.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { processesAt } from '../../src/io/process-places.ts'
import { serverGroup, startServers, streams, until } from '../tools/servers-harness.ts'

const quiet = (): void => {}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  // Servers are killed in these tests.
  client.on('error', quiet)
  await client.connect()
  return client
}

test('a new primary takes writes, has checksums and the locale that is the same everywhere, and copies stream', async t => {
  const group = await startServers(t)
  const { servers } = group
  const primary = await servers.observe('main-1', 10_000)
  assert.equal(primary.answers, true)
  assert.equal(primary.writes, true)
  assert.equal(primary.inRecovery, false)
  assert.equal(primary.position.timeline, 1)
  await until('both are listed as streaming', async () => {
    const { standbys } = await servers.observe('main-1', 10_000)
    return standbys.filter(standby => standby.state === 'streaming').length === 2
  })
  const { standbys } = await servers.observe('main-1', 10_000)
  assert.deepEqual(standbys.map(standby => standby.id).sort(), ['main-2', 'main-3'])
  const settings = await servers.query(
    'main-1',
    "SELECT current_setting('data_checksums'), datlocprovider, datlocale, pg_encoding_to_char(encoding), current_setting('wal_level') FROM pg_database WHERE datname = 'app'",
    10_000,
  )
  assert.deepEqual(settings, [['on', 'b', 'C.UTF-8', 'UTF8', 'logical']])
  await servers.query('main-1', 'CREATE TABLE public.t AS SELECT generate_series(1, 1000) AS id', 10_000)
  const { position } = await servers.observe('main-1', 10_000)
  for (const id of ['main-2', 'main-3']) {
    await until(`${id} has replayed it`, async () => {
      const replica = await servers.observe(id, 10_000)
      assert.equal(replica.inRecovery, true)
      assert.equal(replica.writes, false)
      return replica.replayedLsn >= position.lsn
    })
    assert.deepEqual(await servers.query(id, 'SELECT count(*) FROM public.t', 10_000), [['1000']])
    assert.equal((await servers.observe(id, 10_000)).systemId, primary.systemId)
  }
})

test('a promoted replica takes writes on the next timeline, and the others and the old primary follow it', async t => {
  const { servers } = await startServers(t)
  await servers.query('main-1', 'CREATE TABLE public.t (id int)', 10_000)
  await servers.stop('main-1', 'fast')
  const position = await servers.promote('main-2')
  assert.equal(position.timeline, 2)
  assert.equal((await servers.observe('main-2', 10_000)).writes, true)
  assert.equal(await servers.follow('main-3', 'main-2'), 'streams')
  assert.equal(await servers.follow('main-1', 'main-2'), 'streams', 'it was ended cleanly: nothing diverged')
  await servers.query('main-2', 'INSERT INTO public.t VALUES (1)', 10_000)
  for (const id of ['main-1', 'main-3'])
    await until(
      `${id} has it`,
      async () => (await servers.query(id, 'SELECT count(*) FROM public.t', 10_000))[0]?.[0] === '1',
    )
})

test('an old primary that went on alone is found to have diverged, is not served from, and is copied anew', async t => {
  const { servers } = await startServers(t, { replicas: 1 })
  await servers.query('main-1', 'CREATE TABLE public.t (id int)', 10_000)
  const { position } = await servers.observe('main-1', 10_000)
  await until(
    'the replica has the table',
    async () => (await servers.observe('main-2', 10_000)).replayedLsn >= position.lsn,
  )
  await servers.stop('main-2', 'immediate')
  await servers.query('main-1', 'INSERT INTO public.t SELECT generate_series(1, 1000)', 10_000)
  await servers.fence('main-1')
  await servers.start('main-2')
  await servers.promote('main-2')
  assert.equal(await servers.follow('main-1', 'main-2'), 'diverged')
  assert.equal(servers.pid('main-1'), null, 'it answers nobody')
  await servers.clone('main-1', 'main-2', quiet)
  await streams(servers, 'main-1')
  assert.deepEqual(await servers.query('main-1', 'SELECT count(*) FROM public.t', 10_000), [['0']])
})

test('a fenced primary is not started or promoted again until it follows', async t => {
  const { servers, data } = await startServers(t, { replicas: 1 })
  // What only the old primary has would lead its log another way. A checkpoint: nothing is logged by itself just after it.
  await servers.query('main-1', 'CHECKPOINT', 10_000)
  await until('the replica has all', async () => {
    const { position } = await servers.observe('main-1', 10_000)
    return (await servers.observe('main-2', 10_000)).receivedLsn >= position.lsn
  })
  await servers.fence('main-1')
  assert.equal(servers.pid('main-1'), null)
  assert.equal((await servers.observe('main-1', 1000)).problem, 'not running')
  await assert.rejects(servers.start('main-1'), { code: 'DATABASE_SERVER_FENCED' })
  await assert.rejects(servers.promote('main-1'), { code: 'DATABASE_SERVER_FENCED' })
  assert.ok(existsSync(join(data('main-1'), '..', 'fenced')))
  await servers.promote('main-2')
  assert.equal(await servers.follow('main-1', 'main-2'), 'streams')
  assert.ok(!existsSync(join(data('main-1'), '..', 'fenced')))
})

test('trap: a busy backend of a killed postmaster goes on to commit; after the fence it has not, and none is left', async t => {
  const group = await startServers(t, { replicas: 0 })
  const { servers } = group
  await servers.query('main-1', 'CREATE TABLE public.t (id int)', 10_000)
  const client = await connect(group.url('main-1'))
  await client.query('BEGIN')
  await client.query('INSERT INTO public.t VALUES (1)')
  let acknowledged = false
  // Bound to the processor: it looks at nothing until it is done, and then commits.
  const busy = client
    .query(
      'DO $$ DECLARE x bigint := 0; BEGIN FOR i IN 1..60000000 LOOP x := x + i; END LOOP; END $$; COMMIT',
    )
    .then(() => {
      acknowledged = true
    }, quiet)
  await until('the loop runs', async () => {
    const rows = await servers.query(
      'main-1',
      "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'",
      10_000,
    )
    return rows[0]?.[0] === '1'
  })
  process.kill(servers.pid('main-1') as number, 'SIGKILL')
  await until('the postmaster is gone', () => servers.pid('main-1') === null)
  // Without this the fence would prove nothing.
  assert.ok(
    processesAt(group.data('main-1'), 'postgres').length > 0,
    'the busy backend has outlived its postmaster',
  )
  await servers.fence('main-1')
  assert.deepEqual(processesAt(group.data('main-1'), 'postgres'), [])
  await busy
  assert.equal(acknowledged, false)
})

test('a stopped (SIGSTOP) server does not answer in time, and can be fenced as it is', async t => {
  const { servers, data } = await startServers(t, { replicas: 0 })
  const all = processesAt(data('main-1'), 'postgres')
  for (const { pid } of all) process.kill(pid, 'SIGSTOP')
  const look = await servers.observe('main-1', 300)
  assert.equal(look.answers, false)
  assert.equal(look.processAlive, true)
  assert.match(look.problem, /no answer within/)
  await servers.fence('main-1')
  assert.deepEqual(processesAt(data('main-1'), 'postgres'), [])
})

test('servers run on without us, and the next supervisor takes them back by process, port and role', async t => {
  const group = await startServers(t, { replicas: 1 })
  const pids = group.ids.map(id => group.servers.pid(id))
  group.servers.release()
  const next = group.again()
  const found = await next.open()
  assert.deepEqual(
    found.map(({ id, disk, running }) => ({ id, disk, running })),
    [
      { id: 'main-1', disk: 'primary', running: true },
      { id: 'main-2', disk: 'replica', running: true },
    ],
  )
  assert.deepEqual(
    group.ids.map(id => next.pid(id)),
    pids,
  )
  await next.start('main-1')
  assert.deepEqual(
    group.ids.map(id => next.pid(id)),
    pids,
    'what runs is not started again',
  )
  assert.equal((await next.observe('main-1', 10_000)).writes, true)
  let told = ''
  next.watch(id => {
    told = id
  })
  process.kill(next.pid('main-2') as number, 'SIGKILL')
  await until('its end is told', () => told === 'main-2')
})

test('a server that was killed starts with all that it acknowledged', async t => {
  const { servers } = await startServers(t, { replicas: 1 })
  await servers.query('main-1', 'CREATE TABLE public.t AS SELECT generate_series(1, 500) AS id', 10_000)
  for (const id of ['main-1', 'main-2']) process.kill(servers.pid(id) as number, 'SIGKILL')
  await until('both are gone', () => servers.pid('main-1') === null && servers.pid('main-2') === null)
  await Promise.all(['main-1', 'main-2'].map(id => servers.start(id)))
  assert.deepEqual(await servers.query('main-1', 'SELECT count(*) FROM public.t', 10_000), [['500']])
  await streams(servers, 'main-2')
})

test('a cascading replica copies from the one that the file names, and a delayed one applies later', async t => {
  const { servers } = await startServers(t, {
    members: [
      { id: 'main-1', from: 'primary', delayMs: 0 },
      { id: 'main-2', from: 'primary', delayMs: 0 },
      { id: 'main-3', from: 'main-2', delayMs: 0 },
      { id: 'main-4', from: 'primary', delayMs: 3_600_000 },
    ],
  })
  const { host, port } = servers.address('main-2')
  assert.equal((await servers.observe('main-3', 10_000)).streamsFrom, `${host}:${port}`)
  await servers.query('main-1', 'CREATE TABLE public.t (id int)', 10_000)
  const { position } = await servers.observe('main-1', 10_000)
  await until(
    'the end of the chain has it',
    async () => (await servers.observe('main-3', 10_000)).replayedLsn >= position.lsn,
  )
  await until(
    'the delayed one has received it',
    async () => (await servers.observe('main-4', 10_000)).receivedLsn >= position.lsn,
  )
  assert.ok((await servers.observe('main-4', 10_000)).replayedLsn < position.lsn)
})

test('a synchronous primary waits for a replica, tells that it is one, and is let go by an empty list', async t => {
  const { servers } = await startServers(t, { replicas: 1 })
  await servers.query('main-1', 'CREATE TABLE public.t (id int)', 10_000)
  await servers.setSynchronous('main-1', 'ANY 1 ("main-2")')
  await until('it counts as one of the quorum', async () =>
    (await servers.observe('main-1', 10_000)).standbys.some(standby => standby.sync === 'quorum'),
  )
  await servers.stop('main-2', 'fast')
  let acknowledged = false
  const write = servers
    .query('main-1', 'SET synchronous_commit = on; INSERT INTO public.t VALUES (1)', 60_000)
    .then(() => {
      acknowledged = true
    })
  await until('it waits for the replica', async () => {
    const look = await servers.observe('main-1', 10_000)
    assert.equal(look.writes, true, 'our own tiny write waits for nobody')
    return false || (await waiting(servers))
  })
  assert.equal(acknowledged, false)
  await servers.setSynchronous('main-1', '')
  await write
  assert.equal(acknowledged, true)
})

async function waiting(servers: Awaited<ReturnType<typeof startServers>>['servers']): Promise<boolean> {
  const rows = await servers.query(
    'main-1',
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
    10_000,
  )
  return rows[0]?.[0] === '1'
}

test('slots are kept for the replicas that are named, and only for them', async t => {
  const { servers } = await startServers(t, { replicas: 1 })
  await servers.query('main-1', "SELECT pg_create_physical_replication_slot('archive')", 10_000)
  const names = async (): Promise<(string | null)[]> =>
    (await servers.query('main-1', 'SELECT slot_name FROM pg_replication_slots ORDER BY 1', 10_000)).map(
      row => row[0] ?? null,
    )
  assert.deepEqual(await names(), ['archive', 'tenfold_replica_main_2'])
  await servers.keepSlots('main-1', ['main-2', 'main-3'])
  assert.deepEqual(await names(), ['archive', 'tenfold_replica_main_2', 'tenfold_replica_main_3'])
  await servers.keepSlots('main-1', ['main-3'])
  assert.deepEqual(await names(), ['archive', 'tenfold_replica_main_3'])
})

test('what only a fenced server has can be read from it alone, and nobody else gets in', async t => {
  const group = await startServers(t, { replicas: 0 })
  const { servers } = group
  await servers.query('main-1', 'CREATE TABLE public.t AS SELECT 42 AS id', 10_000)
  await servers.fence('main-1')
  const alone = await servers.isolate('main-1')
  assert.deepEqual(await alone.query('SELECT id FROM public.t', 10_000), [['42']])
  await assert.rejects(alone.query('INSERT INTO public.t VALUES (1)', 10_000), { code: '25006' })
  await assert.rejects(connect(group.url('main-1')), { code: 'ECONNREFUSED' })
  await alone.close()
  assert.equal(servers.pid('main-1'), null)
  await assert.rejects(servers.start('main-1'), { code: 'DATABASE_SERVER_FENCED' })
})

test('settings of the file are used; unknown, impossible and our own ones are refused in a sentence', async t => {
  const group = await startServers(t, {
    replicas: 0,
    settings: { work_mem: '7MB', 'pg_stat_statements.max': '777' },
  })
  assert.deepEqual(
    await group.servers.query(
      'main-1',
      "SELECT current_setting('work_mem'), current_setting('pg_stat_statements.max')",
      10_000,
    ),
    [['7MB', '777']],
  )
  const withSettings = (settings: Record<string, string>) => ({
    ...group.spec,
    servers: { ...group.spec.servers, settings: { fsync: 'off', ...settings } } as typeof group.spec.servers,
  })
  const refusals: [Record<string, string>, RegExp][] = [
    [{ wrok_mem: '1MB' }, /databases\.main\.settings: .*unrecognized configuration parameter "wrok_mem"/],
    [{ work_mem: 'plenty' }, /invalid value for parameter "work_mem": "plenty"/],
    [{ port: '5432' }, /'port' is decided by Tenfold/],
    [{ "x' = 1\nfsync": 'off' }, /is not a name of a PostgreSQL setting/],
  ]
  for (const [settings, says] of refusals)
    await assert.rejects(group.servers.change(withSettings(settings)), {
      code: 'DATABASE_SETTING_REFUSED',
      message: says,
    })
  assert.deepEqual(
    await group.servers.change(withSettings({ work_mem: '9MB' })),
    { restart: ['main-1'] },
    'pg_stat_statements.max went back',
  )
  await until(
    'it is reloaded',
    async () => (await group.servers.query('main-1', 'SHOW work_mem', 10_000))[0]?.[0] === '9MB',
  )
})

test('a server that is not there is named, and what it is asked for is not done', async t => {
  const { servers } = await serverGroup(t, { replicas: 1 })
  assert.throws(() => servers.address('main-9'), {
    code: 'DATABASE_SERVER_UNKNOWN',
    message: /main-1, main-2/,
  })
  await assert.rejects(servers.start('main-1'), { code: 'DATABASE_SERVER_FAILED', message: /is empty/ })
})

test('a port that a stranger took meanwhile is given up for another', async t => {
  const group = await startServers(t, { replicas: 1 })
  const { servers } = group
  await servers.stop('main-1', 'fast')
  const { createServer } = await import('node:net')
  const { port } = servers.address('main-1')
  const stranger = createServer().listen(port, '127.0.0.1')
  t.after(() => stranger.close())
  await servers.start('main-1')
  assert.notEqual(servers.address('main-1').port, port)
  assert.equal(await servers.follow('main-2', 'main-1'), 'streams')
})

test('the files of servers are readable by their user and by us alone', async t => {
  const group = await startServers(t, { replicas: 0 })
  const home = join(group.data('main-1'), '..', '..')
  const mode = (path: string): number => statSync(path).mode & 0o777
  assert.equal(mode(group.data('main-1')), 0o700)
  for (const file of ['roles.json', 'servers.json']) assert.equal(mode(join(home, file)), 0o600)
  assert.equal(mode(join(home, 'main-1', 'replication.pgpass')), 0o600)
  const password = group.servers.roles[0]?.password ?? ''
  assert.ok(password.length >= 43, '32 random bytes')
  for (const file of ['main-1/postgresql.conf', 'main-1/pg_hba.conf'])
    assert.ok(
      !group.servers.roles.some(role => readFileSync(join(home, file), 'utf8').includes(role.password)),
      file,
    )
})

test('a killed server leaves neither memory of the system behind nor a name in /dev/shm', async t => {
  const group = await startServers(t, { replicas: 0 })
  const { servers } = group
  const pid = servers.pid('main-1') as number
  const held = sharedMemory(pid)
  if (process.platform === 'linux') assert.ok(held.memory.length > 0, 'it had some')
  await servers.fence('main-1')
  assert.deepEqual(sharedMemory(pid), { memory: [], names: [] })
})

/** System V segments that this process made, and names that it could have mapped. */
function sharedMemory(pid: number): { memory: string[]; names: string[] } {
  if (process.platform !== 'linux') return { memory: [], names: [] }
  const rows = readFileSync('/proc/sysvipc/shm', 'utf8').trim().split('\n').slice(1)
  const memory = rows.filter(row => Number(row.trim().split(/\s+/)[4]) === pid)
  const maps = existsSync(`/proc/${pid}/maps`) ? readFileSync(`/proc/${pid}/maps`, 'utf8') : ''
  return { memory, names: maps.split('\n').filter(line => line.includes('/dev/shm/PostgreSQL')) }
}

test('what we died before making is made by the first look that misses it', async t => {
  const group = await startServers(t, { replicas: 0 })
  const { servers } = group
  const client = await connect(group.url('main-1', 'tenfold', 'postgres'))
  t.after(() => client.end())
  await client.query('DROP SCHEMA tenfold CASCADE')
  await until('the table is there', async () => {
    await servers.observe('main-1', 10_000)
    const { rows } = await client.query("SELECT to_regclass('tenfold.heartbeat') IS NOT NULL AS made")
    return rows[0].made
  })
})

test('a fast stop that was overtaken by a fence does not touch the server that is started after it', async t => {
  const { servers, data } = await startServers(t, { replicas: 1 })
  const all = processesAt(data('main-1'), 'postgres')
  for (const { pid } of all) process.kill(pid, 'SIGSTOP')
  const stopping = servers.stop('main-1', 'fast')
  await servers.fence('main-1')
  await servers.promote('main-2')
  assert.equal(await servers.follow('main-1', 'main-2'), 'streams')
  const pid = servers.pid('main-1')
  await stopping
  assert.equal(servers.pid('main-1'), pid)
  assert.equal((await servers.observe('main-1', 10_000)).answers, true)
})

test('trap: a lower max_connections does not keep a replica from starting before its primary has it', async t => {
  const group = await startServers(t, { replicas: 1, settings: { max_connections: '90' } })
  const { servers, spec } = group
  assert.ok(spec.servers.kind === 'embedded')
  const settings = { ...spec.servers.settings, max_connections: '40' }
  const { restart } = await servers.change({ ...spec, servers: { ...spec.servers, settings } })
  // Whoever restarted one of them for it could not start a replica, nor ever be done.
  assert.deepEqual(restart, [])
  await servers.stop('main-2', 'fast')
  await servers.start('main-2')
  await streams(servers, 'main-2')
  await servers.stop('main-1', 'fast')
  await servers.start('main-1')
  assert.deepEqual(await servers.query('main-1', 'SHOW max_connections', 10_000), [['40']])
  await streams(servers, 'main-2')
  assert.equal((await servers.observe('main-2', 10_000)).answers, true)
})

test('trap: after a switchover, too, a former primary starts that was to have a lower max_connections', async t => {
  const group = await startServers(t, { replicas: 1, settings: { max_connections: '90' } })
  const { servers, spec } = group
  assert.ok(spec.servers.kind === 'embedded')
  const settings = { ...spec.servers.settings, max_connections: '40' }
  await servers.change({ ...spec, servers: { ...spec.servers, settings } })
  await servers.stop('main-1', 'fast')
  await servers.promote('main-2')
  assert.equal(await servers.follow('main-1', 'main-2'), 'streams')
  assert.equal((await servers.observe('main-1', 10_000)).answers, true)
  // A copy is as large as what it copies.
  await servers.stop('main-1', 'fast')
  await servers.clone('main-1', 'main-2', () => {})
  await streams(servers, 'main-1')
})

test('what a server died of is told, not only that it ended', async t => {
  const group = await startServers(t, { replicas: 1 })
  await group.servers.stop('main-2', 'fast')
  writeFileSync(join(group.data('main-2'), 'global', 'pg_control'), 'x')
  await assert.rejects(group.servers.start('main-2'), /It said: (PANIC|FATAL): .*pg_control/)
})

test('a replica that is pointed to a server that died keeps its data and is not taken for diverged', async t => {
  const { servers } = await startServers(t, { replicas: 2 })
  await servers.stop('main-1', 'fast')
  await assert.rejects(servers.follow('main-3', 'main-1'), /ECONNREFUSED/)
  const look = await servers.observe('main-3', 10_000)
  assert.equal(look.answers, true)
  await servers.promote('main-2')
  assert.equal(await servers.follow('main-3', 'main-2'), 'streams')
})

test('a running replica that was ahead of the one that was promoted has diverged', async t => {
  const { servers } = await startServers(t, { replicas: 2 })
  await servers.query('main-1', 'CREATE TABLE public.t (id int)', 10_000)
  const before = (await servers.observe('main-1', 10_000)).position
  await until(
    'main-2 has the table',
    async () => (await servers.observe('main-2', 10_000)).replayedLsn >= before.lsn,
  )
  await servers.stop('main-2', 'immediate')
  await servers.query('main-1', 'INSERT INTO public.t SELECT generate_series(1, 5000)', 10_000)
  const after = (await servers.observe('main-1', 10_000)).position
  await until(
    'main-3 has more',
    async () => (await servers.observe('main-3', 10_000)).replayedLsn >= after.lsn,
  )
  await servers.fence('main-1')
  await servers.start('main-2')
  await servers.promote('main-2')
  assert.equal(await servers.follow('main-3', 'main-2'), 'diverged')
  assert.equal(servers.pid('main-3'), null)
})
