// Traps that other routers and poolers fell into, where sharding touches them and no other test is named after them: two routers
// over two small servers, with few connections and few prepared transactions.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf, poolOfTests } from '../tools/router-harness.ts'

const ids = ['1', '2']
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: {
    accounts: {
      types: ['bigint'],
      rule: {
        by: 'range',
        ranges: [
          { from: null, shard: 0 },
          { from: '1000', shard: 1 },
        ],
      },
    },
  },
  tables: {
    'public.accounts': { kind: 'sharded', family: 'accounts', key: ['id'] },
    'public.films': { kind: 'everywhere' },
  },
}

const endings: (() => Promise<void> | void)[] = []
let servers: readonly PostgresServer[]
let operators: readonly Session[]
let routers: readonly Router[]
const preparedMax = 3
const poolMax = 4

before(async () => {
  const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
  const settings = { max_prepared_transactions: String(preparedMax) }
  servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[at] as string, map })
    await operator.query(
      `CREATE TABLE public.accounts (id bigint PRIMARY KEY, balance int NOT NULL);
       CREATE TABLE public.films (id int PRIMARY KEY, title text);
       ALTER TABLE public.accounts OWNER TO app; ALTER TABLE public.films OWNER TO app;
       INSERT INTO public.accounts SELECT n + ${at * 1_000}, 100 FROM generate_series(1, 20) AS n`,
      20_000,
    )
  }
  const snapshot = snapshotOf(1)
  routers = await Promise.all([0, 1].map(() => createRouter({ snapshot, tell: () => {} })))
})

function snapshotOf(version: number) {
  const pool = { ...poolOfTests, sizeMax: poolMax, waitTimeoutMs: 1_500 }
  const groups = servers.map((server, at) => ({
    ...databaseOf({ servers: [server], pool }),
    name: `main.${ids[at]}`,
  }))
  const whole = {
    ...databaseOf({ servers: [], pool }),
    primary: null,
    shards: { map, groups, systemId: 'test' },
  }
  return { format: 1 as const, version, databases: [whole] as const }
}

test.after(async () => {
  for (const router of routers) router.close()
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
})

async function client(t: { after(end: () => Promise<void>): void }, router = 0): Promise<pg.Client> {
  const made = new pg.Client(`postgres://app:secret@127.0.0.1:${routers[router]?.portOf('main')}/app`)
  await made.connect()
  t.after(() => made.end())
  return made
}

const code = (error: { code?: string }): string => error.code ?? ''
const done = (work: Promise<unknown>): Promise<string> => work.then(() => 'done', code)

/** A transaction on both shards; `said` before the first, between, or after the last of its writes. */
async function transfer(db: pg.Client, first: number, at: number, said: string): Promise<string> {
  await db.query('BEGIN')
  for (const [index, id] of [first, first < 1_000 ? first + 1_000 : first - 1_000].entries()) {
    if (index === at) await db.query(said)
    await db.query('UPDATE accounts SET balance = balance + $2 WHERE id = $1', [id, index === 0 ? -1 : 1])
  }
  if (at === 2) await db.query(said)
  return done(db.query('COMMIT'))
}

const sumOf = async (db: pg.Client): Promise<number> =>
  Number((await db.query('SELECT sum(balance)::int AS sum FROM accounts')).rows[0].sum)

async function nothingPrepared(): Promise<void> {
  for (const operator of operators)
    assert.deepEqual(await operator.query('SELECT gid FROM pg_prepared_xacts', 5_000), [])
}

test('trap: NOTIFY in a commit over shards: told once, with the commit, whichever shard was written first', async t => {
  const [listener, db] = [await client(t, 1), await client(t)]
  const heard: (string | undefined)[] = []
  listener.on('notification', ({ payload }) => heard.push(payload))
  await listener.query('LISTEN moves')
  for (const first of [1, 1_001])
    for (const at of [0, 1, 2])
      assert.equal(await transfer(db, first, at, `NOTIFY moves, '${first} ${at}'`), 'done', `${first} ${at}`)
  await db.query('BEGIN')
  await db.query("SELECT pg_notify('moves', 'never')")
  await db.query('UPDATE accounts SET balance = balance + 1 WHERE id = 1001')
  await db.query('ROLLBACK')
  assert.equal(await done(db.query("NOTIFY moves, 'last'")), 'done')
  for (let tries = 0; heard.at(-1) !== 'last' && tries < 200; tries++) await sleep(50)
  assert.deepEqual(heard, ['1 0', '1 1', '1 2', '1001 0', '1001 1', '1001 2', 'last'])
  await nothingPrepared()
})

test('trap: NOTIFY in a commit that another shard refuses is heard by nobody', async t => {
  const [listener, db] = [await client(t, 1), await client(t)]
  const heard: (string | undefined)[] = []
  listener.on('notification', ({ payload }) => heard.push(payload))
  await listener.query('LISTEN late')
  await db.query(`CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'too late' USING ERRCODE = 'P0001'; END $$`)
  await db.query(
    'CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.late()',
  )
  for (const told of ["NOTIFY late, 'never'", "SELECT pg_notify('late', 'never')"])
    for (const ids of [[1_001], [1_001, 1], [1, 1_001], [1]]) {
      await db.query('BEGIN')
      await db.query(told)
      for (const id of ids) await db.query('UPDATE accounts SET balance = 0 WHERE id = $1', [id])
      await assert.rejects(db.query('COMMIT'), { code: 'P0001' }, `${told} ${ids.join()}`)
    }
  await db.query('DROP TRIGGER late ON accounts')
  await db.query("NOTIFY late, 'last'")
  for (let tries = 0; heard.at(-1) !== 'last' && tries < 200; tries++) await sleep(50)
  assert.deepEqual(heard, ['last'])
  await nothingPrepared()
})

test('trap: what can not be prepared on several shards is refused as a whole, with what is in the way', async t => {
  const db = await client(t)
  const before = await sumOf(db)
  // By triggers, on both shards: nobody can know before.
  await db.query(`CREATE FUNCTION public.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('moves', 'trigger'); RETURN NEW; END $$`)
  await db.query('CREATE TRIGGER told AFTER UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION public.told()')
  await db.query('BEGIN')
  for (const id of [1, 1_001]) await db.query('UPDATE accounts SET balance = 0 WHERE id = $1', [id])
  await assert.rejects(db.query('COMMIT'), {
    code: '0A000',
    message:
      'This transaction has written on several shards, and cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY: nothing was committed.',
  })
  await db.query('DROP TRIGGER told ON accounts')
  assert.equal(await sumOf(db), before)
  await nothingPrepared()
})

test('trap: cursors WITH HOLD in a commit over shards are kept, whichever shard was written first', async t => {
  const db = await client(t)
  for (const first of [1, 1_001])
    for (const id of [1, 1_001]) {
      const declare = `DECLARE held CURSOR WITH HOLD FOR SELECT id FROM accounts WHERE id = ${id}`
      assert.equal(await transfer(db, first, 2, declare), 'done', `${first} ${id}`)
      assert.deepEqual((await db.query('FETCH ALL FROM held')).rows, [{ id: String(id) }])
      await db.query('CLOSE held')
    }
  for (const id of [1, 1_001])
    await db.query(`DECLARE "on ${id}" CURSOR WITH HOLD FOR SELECT id FROM accounts WHERE id = ${id}`)
  await db.query('CLOSE ALL')
  for (const id of [1, 1_001]) await assert.rejects(db.query(`FETCH "on ${id}"`), { code: '34000' })
  await nothingPrepared()
})

test('trap: settings that a DO block or a function hides reach nobody else', async t => {
  const db = await client(t)
  await assert.rejects(db.query("DO $$ BEGIN SET work_mem = '7MB'; END $$"), { code: '0A000' })
  await assert.rejects(db.query("SELECT set_config($1, '7MB', false)", ['work_mem']), { code: '0A000' })
  await db.query(
    "CREATE FUNCTION public.hides() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '9MB'; RETURN 1; END $$",
  )
  // Each group's router reads the functions anew.
  await sleep(2_000)
  for (const text of ['SELECT public.hides()', 'SELECT public.hides() FROM accounts WHERE id = 1'])
    await db.query(text)
  for (let others = 0; others < 3; others++) {
    const other = await client(t, others % 2)
    for (const id of [1, 1_001]) {
      const { rows } = await other.query(
        "SELECT current_setting('work_mem') AS it FROM accounts WHERE id = $1",
        [id],
      )
      assert.deepEqual(rows, [{ it: '4MB' }])
    }
  }
})

test('trap: settings of the login are there on each shard', async t => {
  const made = new pg.Client({
    connectionString: `postgres://app:secret@127.0.0.1:${routers[0]?.portOf('main')}/app`,
    options: '-c work_mem=6MB -c search_path=public,pg_temp',
    application_name: "o'neill",
  })
  await made.connect()
  t.after(() => made.end())
  for (const id of [1, 1_001]) {
    const { rows } = await made.query(
      `SELECT current_setting('work_mem') || ' ' || current_setting('search_path') || ' ' || current_setting('application_name') AS it
       FROM accounts WHERE id = $1`,
      [id],
    )
    assert.deepEqual(rows, [{ it: "6MB public,pg_temp o'neill" }])
  }
})

test('trap: a cached plan: after DDL by another router a statement costs one error at most on each shard, and none by its own', async t => {
  const [one, other] = [await client(t), await client(t, 1)]
  const ask = (id: number) =>
    one.query({ name: 'all', text: 'SELECT * FROM accounts WHERE id = $1', values: [id] })
  for (const id of [1, 1_001]) await ask(id)
  await other.query('ALTER TABLE accounts ADD COLUMN more int DEFAULT 5')
  for (const id of [1, 1_001]) {
    const first = await done(ask(id))
    assert.ok(first === 'done' || first === '0A000', first)
    assert.deepEqual(Object.keys((await ask(id)).rows[0]), ['id', 'balance', 'more'])
  }
  await one.query('ALTER TABLE accounts DROP COLUMN more')
  for (const id of [1, 1_001]) assert.deepEqual(Object.keys((await ask(id)).rows[0]), ['id', 'balance'])
})

test("trap: what one server session would keep is refused, or is the first shard's", async t => {
  const [one, other] = [await client(t), await client(t, 1)]
  for (const text of [
    'CREATE TEMP TABLE mine (id int)',
    "LOAD 'plpgsql'",
    'PREPARE mine AS SELECT 1',
    'CREATE TEMP SEQUENCE mine',
  ])
    await assert.rejects(one.query(text), { code: '0A000' }, text)
  await one.query("SELECT lo_from_bytea(77, 'large')")
  for (const db of [one, other, await client(t), await client(t, 1)])
    assert.deepEqual((await db.query('SELECT lo_get(77) AS it')).rows, [{ it: Buffer.from('large') }])
  await other.query('SELECT lo_unlink(77)')
})

test('trap: more commits over shards than max_prepared_transactions: each whole or refused, and nothing stays', async t => {
  const db = await client(t)
  const before = await sumOf(db)
  // Somebody else has nearly all of them.
  const holder = operators[1] as Session
  for (let number = 0; number < preparedMax; number++)
    await holder.query(
      `BEGIN; INSERT INTO public.films VALUES (${900 + number}); PREPARE TRANSACTION 'other${number}'`,
      5_000,
    )
  assert.equal(await transfer(db, 1, 3, ''), '53200')
  await holder.query("ROLLBACK PREPARED 'other0'", 5_000)
  const clients = await Promise.all([0, 1, 0, 1].map(router => client(t, router)))
  const ends: string[] = []
  await Promise.all(
    clients.map(async (one, index) => {
      for (let round = 0; round < 10; round++) ends.push(await transfer(one, 2 + index, 3, ''))
    }),
  )
  assert.deepEqual(
    [...new Set(ends)].filter(end => end !== 'done' && end !== '53200'),
    [],
  )
  assert.ok(ends.includes('done'))
  for (let number = 1; number < preparedMax; number++)
    await holder.query(`ROLLBACK PREPARED 'other${number}'`, 5_000)
  assert.equal(await sumOf(db), before)
  await nothingPrepared()
})

test('trap: pools that are full on both shards: who waits for the other one is refused in time, and all goes on', async t => {
  // Each has a connection of one shard, and all of them are taken.
  const clients = await Promise.all(Array.from({ length: 2 * poolMax }, () => client(t)))
  for (const [index, one] of clients.entries()) {
    await one.query('BEGIN')
    await one.query('UPDATE accounts SET balance = balance WHERE id = $1', [
      index < poolMax ? 1 + index : 1_001 + index,
    ])
  }
  const ends = await Promise.all(
    clients.map(async (one, index) => {
      const end = await done(
        one.query('UPDATE accounts SET balance = balance WHERE id = $1', [
          index < poolMax ? 1_011 + index : 1 + index,
        ]),
      )
      await one.query('ROLLBACK').catch(() => {})
      return end
    }),
  )
  assert.ok(ends.includes('53300'), ends.join())
  assert.deepEqual(
    ends.filter(end => end !== '53300' && end !== 'done'),
    [],
  )
  const after = await client(t)
  assert.equal((await after.query('SELECT count(*)::int AS n FROM accounts')).rows[0].n, 40)
})

test('trap: an older epoch of a shard brings no old primary back, and an older map no old places', async t => {
  const db = await client(t)
  const [router] = routers as [Router]
  const [whole] = snapshotOf(2).databases
  const groups = whole.shards.groups.map(group => ({ ...group, epoch: 7 }))
  const newer = { ...map, version: 5 }
  await router.apply({
    format: 1,
    version: 2,
    databases: [{ ...whole, shards: { ...whole.shards, groups, map: newer } }],
  })
  // Of who has been the primary before: nobody listens there.
  const old = whole.shards.groups.map(group => ({
    ...group,
    epoch: 6,
    servers: group.servers.map(server => ({ ...server, port: 1 })),
  }))
  const moved = {
    ...map,
    version: 4,
    families: {
      accounts: {
        types: ['bigint'] as const,
        rule: { by: 'range' as const, ranges: [{ from: null, shard: 1 }] },
      },
    },
  }
  await router
    .apply({
      format: 1,
      version: 3,
      databases: [{ ...whole, shards: { ...whole.shards, groups: old, map: moved } }],
    })
    .catch(() => {})
  for (const id of [1, 1_001])
    assert.equal((await db.query('SELECT balance FROM accounts WHERE id = $1', [id])).rows.length, 1)
})
