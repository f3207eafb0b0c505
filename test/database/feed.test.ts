// The change feed against real PostgreSQL: what committed changes say to sinks, what survives crashes, what is forgotten when
// something could have been missed. The whole process, killed: feed-process.test.ts.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import type { FeedSpec, Invalidation } from '../../src/database/feed/contract.ts'
import { ChangeFeed, type FeedOptions, type FeedRecord } from '../../src/database/feed/feed.ts'
import type { FeedPlace } from '../../src/database/feed/place.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { waitFor } from '../tools/router-harness.ts'

const spec: FeedSpec = {
  database: 'main',
  rules: [{ on: 'films', tags: ['film:{id}'], urls: ['/films/{slug}'], keys: ['film:{id}'] }],
  tables: [],
}

interface Listening {
  readonly feed: ChangeFeed
  readonly heard: Invalidation[]
  readonly told: string[]
  readonly memory: { record: FeedRecord | null }
  /** Tags that were heard since the last call, sorted. */
  tags(): string[]
  streaming(): Promise<void>
}

function placeOf(server: PostgresServer, more: Partial<FeedPlace> = {}): FeedPlace {
  return {
    id: 'main-1',
    host: server.host,
    port: server.port,
    user: 'tenfold',
    password: 'secret',
    database: 'app',
    tls: { mode: 'off' },
    epoch: 1,
    own: true,
    others: [],
    ...more,
  }
}

function listen(
  t: TestContext,
  more: Partial<FeedOptions> = {},
  memory: { record: FeedRecord | null } = { record: null },
): Listening {
  const heard: Invalidation[] = []
  const told: string[] = []
  const feed = new ChangeFeed({
    spec,
    slot: 'tenfold_feed',
    sinks: [{ name: 'test', sink: async invalidation => void heard.push(invalidation) }],
    memory: {
      read: () => memory.record,
      write: record => {
        memory.record = record
      },
    },
    clock: systemClock,
    tell: text => told.push(text),
    ...more,
  })
  t.after(() => feed.close())
  return {
    feed,
    heard,
    told,
    memory,
    tags: () =>
      heard
        .splice(0)
        .flatMap(one => (one.everything ? ['*'] : one.tags))
        .sort(),
    streaming: () =>
      waitFor(
        () => feed.status.state === 'streaming',
        () => JSON.stringify([feed.status, told]),
      ),
  }
}

async function until(one: Listening, what: string): Promise<void> {
  await waitFor(
    () => one.heard.some(({ everything, tags }) => (everything ? what === '*' : tags.includes(what))),
    () => `${what} was not heard: ${JSON.stringify([one.heard, one.feed.status, one.told])}`,
  )
}

/** Until nothing waits and the server was told so. */
async function settled({ feed, told }: Listening): Promise<void> {
  await waitFor(
    () => feed.status.lagBytes === 0 && feed.status.sinks.every(sink => sink.state === 'heard'),
    () => JSON.stringify([feed.status, told]),
  )
}

async function connected(t: TestContext, server: PostgresServer): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url })
  // The server may end before its clients.
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end().catch(() => {}))
  return client
}

const logical = { wal_level: 'logical' }
const makeFilms = 'CREATE TABLE films (id int PRIMARY KEY, slug text, studio text)'

async function begun(t: TestContext, more: Partial<FeedOptions> = {}) {
  const server = await startPostgres(t, { settings: logical })
  const client = await connected(t, server)
  await client.query(makeFilms)
  const one = listen(t, more)
  one.feed.use(placeOf(server))
  await one.streaming()
  await until(one, '*')
  await settled(one)
  one.heard.length = 0
  return { server, client, one }
}

test('committed changes are told as rules say, one after the other, and those rolled back never', async t => {
  const { client, one } = await begun(t)
  await client.query(`INSERT INTO films VALUES (1, 'a b', 'x'), (2, NULL, NULL)`)
  await until(one, 'film:2')
  assert.deepEqual(one.heard[0]?.urls, ['/films/a%20b'])
  assert.deepEqual(one.heard[0]?.tables, ['public.films'])
  assert.deepEqual(one.tags(), ['film:1', 'film:2'])
  await client.query(`BEGIN; INSERT INTO films VALUES (3, 'no', 'x'); ROLLBACK`)
  await client.query(`UPDATE films SET slug = 'new', id = 4 WHERE id = 1`)
  await until(one, 'film:4')
  assert.deepEqual(
    one.heard[0]?.urls.toSorted(),
    ['/films/a%20b', '/films/new'],
    'the whole old row is known',
  )
  assert.deepEqual(one.tags(), ['film:1', 'film:4'])
  await client.query('DELETE FROM films WHERE id = 4')
  await until(one, 'film:4')
  assert.deepEqual(one.heard[0]?.urls, ['/films/new'])
  assert.ok(
    one.told.some(text => text.startsWith('ALTER TABLE public.films REPLICA IDENTITY FULL')),
    one.told.join('\n'),
  )
  one.heard.length = 0
  await client.query('TRUNCATE films')
  await until(one, '*')
})

test('a sink that fails hears it later, and the log is held until then', async t => {
  let broken = true
  const heard: Invalidation[] = []
  const sink = async (invalidation: Invalidation): Promise<void> => {
    if (broken && !invalidation.everything) throw new Error('the sink is broken')
    heard.push(invalidation)
  }
  const server = await startPostgres(t, { settings: logical })
  const client = await connected(t, server)
  await client.query(makeFilms)
  const one = listen(t, { sinks: [{ name: 'broken', sink }] })
  one.feed.use(placeOf(server))
  await one.streaming()
  await waitFor(
    () => one.memory.record !== null,
    () => 'the slot is not remembered',
  )
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  await waitFor(
    () => one.feed.status.sinks[0]?.state === 'away',
    () => JSON.stringify(one.feed.status),
  )
  const confirmed = async (): Promise<number> => {
    const { rows } = await client.query(
      `SELECT (confirmed_flush_lsn - '0/0')::float8 AS lsn FROM pg_replication_slots WHERE slot_name = 'tenfold_feed'`,
    )
    return rows[0].lsn
  }
  const held = await confirmed()
  await client.query(`INSERT INTO films VALUES (2, 'b', 'x')`)
  await waitFor(
    () => one.feed.status.lagBytes > 0,
    () => JSON.stringify(one.feed.status),
  )
  assert.equal(await confirmed(), held)
  broken = false
  await settled(one)
  const tags = heard.flatMap(({ tags: found }) => found)
  assert.deepEqual(tags, ['film:1', 'film:2'], 'merged, in order')
  await client.query('SELECT pg_switch_wal()')
  while ((await confirmed()) <= held);
})

test('a sink that stays away holds the log only so long, and then forgets everything', async t => {
  let broken = true
  const heard: Invalidation[] = []
  const sink = async (invalidation: Invalidation): Promise<void> => {
    if (broken) throw new Error('the sink is broken')
    heard.push(invalidation)
  }
  const { one, client, server } = await begun(t)
  await one.feed.close()
  const next = listen(t, { sinks: [{ name: 'broken', sink }], awayMs: 300 }, one.memory)
  next.feed.use(placeOf(server))
  await next.streaming()
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  await waitFor(
    () => next.feed.status.sinks[0]?.state === 'owed',
    () => JSON.stringify(next.feed.status),
  )
  assert.deepEqual(next.memory.record?.owed, ['broken'])
  await waitFor(
    () => next.feed.status.lagBytes === 0,
    () => JSON.stringify(next.feed.status),
  )
  // The process ends; the next one knows what is owed.
  await next.feed.close()
  broken = false
  const last = listen(t, { sinks: [{ name: 'broken', sink }] }, next.memory)
  last.feed.use(placeOf(server))
  await last.streaming()
  await settled(last)
  assert.equal(heard.length, 1)
  assert.equal(heard[0]?.everything, true)
  assert.deepEqual(last.memory.record?.owed, [])
})

test('the next process goes on where the last one was, and hears what was committed in between', async t => {
  const { server, client, one } = await begun(t)
  await one.feed.close()
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  const next = listen(t, {}, one.memory)
  next.feed.use(placeOf(server))
  await until(next, 'film:1')
  assert.equal(
    next.heard.some(({ everything }) => everything),
    false,
  )
})

test('a slot that is gone, or not the one that is remembered, is made anew and everything forgotten', async t => {
  const { server, client, one } = await begun(t)
  await one.feed.close()
  // The connection that was cut holds it for a moment.
  const drop = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active`
  while ((await client.query(drop)).rowCount === 0);
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  const next = listen(t, {}, one.memory)
  next.feed.use(placeOf(server))
  await until(next, '*')
  await settled(next)
  await next.feed.close()
  const other = listen(t, {}, { record: { system: 'another', timeline: 1, rules: '', owed: [] } })
  other.feed.use(placeOf(server))
  await until(other, '*')
  await settled(other)
  await other.feed.remove()
  const { rows } = await client.query('SELECT slot_name FROM pg_replication_slots')
  assert.deepEqual(rows, [], 'nothing is left when nobody wants it any more')
  assert.deepEqual((await client.query('SELECT pubname FROM pg_publication')).rows, [])
})

test('with other rules everything is forgotten, with other tables that nobody names nothing', async t => {
  const { server, client, one } = await begun(t)
  await client.query('CREATE TABLE orders (id int PRIMARY KEY)')
  one.feed.use(placeOf(server), { ...spec, tables: ['orders'] })
  await waitFor(
    () => one.feed.followed.has('public.orders'),
    () => JSON.stringify(one.feed.status),
  )
  await client.query('INSERT INTO orders VALUES (1)')
  await waitFor(
    () => one.heard.filter(({ tables }) => tables.includes('public.orders')).length === 2,
    () => JSON.stringify(one.heard),
  )
  assert.deepEqual(one.tags(), [])
  const rules = [{ on: 'films', tags: ['f{id}'], urls: [], keys: [] }]
  one.feed.use(placeOf(server), { ...spec, rules })
  await until(one, '*')
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  await until(one, 'f1')
})

test('a table made later is followed from then on, and what was missed is everything', async t => {
  const server = await startPostgres(t, { settings: logical })
  const client = await connected(t, server)
  const one = listen(t)
  one.feed.use(placeOf(server))
  await until(one, '*')
  await settled(one)
  one.heard.length = 0
  assert.match(one.told.join('\n'), /there is no table public\.films/)
  await client.query(makeFilms)
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  await until(one, '*')
  await client.query(`INSERT INTO films VALUES (2, 'a', 'x')`)
  await until(one, 'film:2')
  one.heard.length = 0
  await client.query('DROP TABLE films')
  await client.query('CREATE TABLE films (id int, slug text)')
  await until(one, '*')
  await client.query(`INSERT INTO films VALUES (3, 'a')`)
  await client.query(`UPDATE films SET slug = 'b'`)
  await until(one, 'film:3')
})

test('partitions speak as their table', async t => {
  const server = await startPostgres(t, { settings: logical })
  const client = await connected(t, server)
  await client.query(`CREATE TABLE films (id int PRIMARY KEY, slug text) PARTITION BY HASH (id)`)
  for (const rest of [0, 1])
    await client.query(
      `CREATE TABLE films_${rest} PARTITION OF films FOR VALUES WITH (MODULUS 2, REMAINDER ${rest})`,
    )
  const one = listen(t)
  one.feed.use(placeOf(server))
  await until(one, '*')
  await settled(one)
  await client.query(`INSERT INTO films SELECT i, 'f' || i FROM generate_series(1, 4) AS i`)
  await client.query(`UPDATE films SET slug = 'x' WHERE id = 3`)
  await until(one, 'film:4')
  await waitFor(
    () => one.heard.some(({ urls }) => urls.includes('/films/x') && urls.includes('/films/f3')),
    () => JSON.stringify(one.heard),
  )
})

test('a commit that waits for a replica is told when others can see it, not before', async t => {
  const { client, server, one } = await begun(t)
  await client.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
  await client.query('SELECT pg_reload_conf()')
  const writer = await connected(t, server)
  await waitForSetting(writer, 'synchronous_standby_names', 'nobody')
  const wrote = writer.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  await waitFor(
    () => one.feed.status.lagMs > 300,
    () => `the commit was not decoded: ${JSON.stringify(one.feed.status)}`,
  )
  assert.deepEqual(one.tags(), [], 'decoded, and nobody can see it yet')
  assert.deepEqual((await client.query('SELECT * FROM films')).rows, [])
  await client.query('ALTER SYSTEM RESET synchronous_standby_names')
  await client.query('SELECT pg_reload_conf()')
  await wrote
  await until(one, 'film:1')
})

async function waitForSetting(client: pg.Client, name: string, value: string): Promise<void> {
  for (;;) {
    const { rows } = await client.query(`SELECT current_setting('${name}') AS value`)
    if (rows[0].value === value) return
  }
}

test('on servers of others nothing of the tables is altered, and it is said what to run', async t => {
  const server = await startPostgres(t, { settings: logical })
  const client = await connected(t, server)
  await client.query(makeFilms)
  const one = listen(t)
  one.feed.use(placeOf(server, { own: false }))
  await until(one, '*')
  await settled(one)
  one.heard.length = 0
  await client.query(`INSERT INTO films VALUES (1, 'a', 'x')`)
  await client.query(`UPDATE films SET slug = 'b'`)
  await waitFor(
    () => one.heard.some(({ urls }) => urls.includes('/films/b')),
    () => JSON.stringify(one.heard),
  )
  assert.match(one.feed.status.told.join('\n'), /run "ALTER TABLE public\.films REPLICA IDENTITY FULL"/)
  const { rows } = await client.query(`SELECT relreplident FROM pg_class WHERE relname = 'films'`)
  assert.equal(rows[0].relreplident, 'd')
})

test('a server that keeps too little log is said, and nothing is followed', async t => {
  const server = await startPostgres(t, { settings: { wal_level: 'replica' } })
  const one = listen(t)
  one.feed.use(placeOf(server))
  await waitFor(
    () => one.feed.status.problem.includes("wal_level is 'replica'"),
    () => JSON.stringify(one.feed.status),
  )
})
