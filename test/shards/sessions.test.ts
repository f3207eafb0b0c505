// Clients of a sharded database, over real servers: the protocol message by message, transactions over shards, errors, cancel,
// clients that vanish, two drivers.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import postgres from 'postgres'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import type { RoutedShards } from '../../src/database/router/snapshot.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import {
  bindMessage,
  cancelRequest,
  closeMessage,
  copyDoneMessage,
  copyFailMessage,
  describeMessage,
  executeMessage,
  flushMessage,
  parseMessage,
  portalTarget,
  queryMessage,
  statementTarget,
  syncMessage,
} from '../../src/wire/postgres/index.ts'
import { PostgresPeer } from '../tools/postgres-peer.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf, waitFor } from '../tools/router-harness.ts'

const ids = ['1', '2', '3']
const slots = 12
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: {
    accounts: {
      types: ['bigint'],
      rule: { by: 'hash', slots: Array.from({ length: slots }, (_, slot) => slot % ids.length) },
    },
  },
  tables: {
    'public.accounts': { kind: 'sharded', family: 'accounts', key: ['id'] },
    'public.films': { kind: 'everywhere' },
  },
}

const endings: (() => Promise<void> | void)[] = []
const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
let servers: readonly PostgresServer[]
let operators: readonly Session[]
let router: Router
let url = ''

before(async () => {
  const settings = { max_prepared_transactions: '50', shared_buffers: '16MB', fsync: 'off' }
  servers = await Promise.all(ids.map(() => startPostgres(scope, { settings })))
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [index, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[index] as string, map })
    await operator.query(
      `CREATE TABLE public.accounts (id bigint PRIMARY KEY, balance integer NOT NULL CHECK (balance >= 0));
       CREATE TABLE public.films (id integer PRIMARY KEY, title text);
       ALTER TABLE public.accounts OWNER TO app; ALTER TABLE public.films OWNER TO app`,
      20_000,
    )
  }
  const groups = servers.map((server, index) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[index]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  router = await createRouter({
    snapshot: { format: 1, version: 1, databases: [whole] },
    tell: (subject, text) => told.push(`${subject}: ${text}`),
  })
  url = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`
})
const told: string[] = []

test.after(async () => {
  router.close()
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
  assert.deepEqual(
    told.filter(line => line.includes('fault')),
    [],
  )
})

/** The next snapshot. */
async function apply(change: Partial<RoutedShards>): Promise<void> {
  const { databases, version } = router.snapshot
  const next = databases.map(one => ({
    ...one,
    shards: { ...(one.shards as RoutedShards), holding: false, ...change },
  }))
  await router.apply({ format: 1, version: version + 1, databases: next })
}

async function client(
  t: { after(end: () => Promise<void>): void },
  options: pg.ClientConfig = {},
): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: url, ...options })
  made.on('error', () => {})
  await made.connect()
  t.after(() => made.end().catch(() => {}))
  return made
}

async function peerOf(t: { after(end: () => void): void }): Promise<PostgresPeer> {
  const port = router.portOf('main')
  const peer = await PostgresPeer.logIn({
    host: '127.0.0.1',
    port,
    database: 'app',
    user: 'app',
    password: 'secret',
  })
  t.after(() => peer.close())
  return peer
}

/** Rows of each shard, asked of the servers themselves. */
async function rowsOn(sql: string): Promise<string[]> {
  const answers = await Promise.all(operators.map(operator => operator.query(sql, 20_000)))
  return answers.map(rows => rows.map(row => row.join(',')).join(' '))
}

/** The accounts of one test: `base + 1` to `base + 12`, on all three shards. */
async function fill(db: pg.Client, base: number): Promise<void> {
  for (let id = base + 1; id <= base + 12; id++) await db.query(`INSERT INTO accounts VALUES (${id}, 100)`)
}

async function sumOf(from: number): Promise<number> {
  const parts = await rowsOn(
    `SELECT coalesce(sum(balance), 0)::text FROM public.accounts WHERE id > ${from} AND id <= ${from + 12}`,
  )
  return parts.reduce((sum, part) => sum + Number(part), 0)
}

async function shardOf(db: pg.Client, id: number): Promise<string> {
  await db.query(`SELECT balance FROM accounts WHERE id = ${id}`)
  const { rows } = await db.query('SHOW tenfold.shard')
  return (rows[0] as Record<string, string>)['tenfold.shard'] as string
}

/** Two accounts of different shards. */
async function twoOf(db: pg.Client, base: number): Promise<readonly [number, number]> {
  const first = await shardOf(db, base + 1)
  for (let id = base + 2; id <= base + 12; id++) if ((await shardOf(db, id)) !== first) return [base + 1, id]
  throw new Error('all accounts are on one shard')
}

test('statements of one shard go there, and rows are where the map says', async t => {
  const db = await client(t)
  await fill(db, 0)
  const counts = await rowsOn('SELECT count(*)::text FROM public.accounts WHERE id > 0 AND id <= 12')
  assert.equal(
    counts.reduce((sum, count) => sum + Number(count), 0),
    12,
  )
  assert.ok(
    counts.every(count => Number(count) > 0),
    counts.join(),
  )
  for (let id = 1; id <= 12; id++) {
    const { rows } = await db.query('SELECT id, balance FROM accounts WHERE id = $1', [id])
    assert.deepEqual(rows, [{ id: String(id), balance: 100 }])
  }
  const { rowCount } = await db.query('UPDATE accounts SET balance = 101 WHERE id = $1', [3])
  assert.equal(rowCount, 1)
  assert.equal(await sumOf(0), 1201)
})

test('a named statement prepared once is used on every shard', async t => {
  const db = await client(t)
  await fill(db, 100)
  for (let id = 101; id <= 112; id++) {
    const { rows } = await db.query({
      name: 'one',
      text: 'SELECT balance FROM accounts WHERE id = $1',
      values: [id],
    })
    assert.deepEqual(rows, [{ balance: 100 }])
  }
})

test('reads of all shards give all rows', async t => {
  const db = await client(t)
  await fill(db, 200)
  const { rows } = await db.query('SELECT id FROM accounts WHERE id > 200 AND id <= 212')
  assert.deepEqual(
    rows.map(row => Number(row.id)).sort((a, b) => a - b),
    Array.from({ length: 12 }, (_, i) => 201 + i),
  )
  const bound = await db.query('SELECT id FROM accounts WHERE id > $1 AND id <= $2', [200, 206])
  assert.equal(bound.rows.length, 6)
})

test('a transaction over shards commits as one, or not at all', async t => {
  const db = await client(t)
  await fill(db, 300)
  const [one, other] = await twoOf(db, 300)
  await db.query('BEGIN')
  await db.query(`UPDATE accounts SET balance = balance - 30 WHERE id = ${one}`)
  await db.query('UPDATE accounts SET balance = balance + 30 WHERE id = $1', [other])
  assert.equal(await sumOf(300), 1200)
  const commit = await db.query('COMMIT')
  assert.equal(commit.command, 'COMMIT')
  const { rows } = await db.query(`SELECT balance FROM accounts WHERE id = ${other}`)
  assert.deepEqual(rows, [{ balance: 130 }])
  assert.equal(await sumOf(300), 1200)
  const decisions = await rowsOn('SELECT count(*)::text FROM tenfold.decisions')
  assert.ok(
    decisions.some(count => Number(count) > 0),
    'no decision was recorded',
  )

  await db.query('BEGIN')
  await db.query(`UPDATE accounts SET balance = balance - 30 WHERE id = ${one}`)
  await assert.rejects(db.query('UPDATE accounts SET balance = -1 WHERE id = $1', [other]), { code: '23514' })
  await assert.rejects(db.query('SELECT 1'), { code: '25P02' })
  const end = await db.query('COMMIT')
  assert.equal(end.command, 'ROLLBACK')
  const after = await db.query(`SELECT balance FROM accounts WHERE id = ${one}`)
  assert.deepEqual(after.rows, [{ balance: 70 }])
  assert.deepEqual(await rowsOn('SELECT count(*)::text FROM pg_prepared_xacts'), ['0', '0', '0'])
})

test('whoever refuses to commit, first or last, nobody has committed', async t => {
  const db = await client(t)
  await fill(db, 1700)
  const [one, other] = await twoOf(db, 1700)
  for (const operator of operators)
    await operator.query(
      `CREATE FUNCTION public.no_devil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF new.balance = 666 THEN RAISE EXCEPTION 'no' USING ERRCODE = 'P0666'; END IF; RETURN NULL; END $$;
       CREATE CONSTRAINT TRIGGER no_devil AFTER UPDATE ON public.accounts DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION public.no_devil()`,
      20_000,
    )
  for (const [first, last] of [
    [100, 666],
    [666, 100],
  ] as const) {
    await db.query('BEGIN')
    await db.query(`UPDATE accounts SET balance = ${first} + 1 - 1 WHERE id = ${one}`)
    await db.query(`UPDATE accounts SET balance = ${last} WHERE id = ${other}`)
    await assert.rejects(db.query('COMMIT'), { code: 'P0666' })
    assert.equal(await sumOf(1700), 1200)
    assert.equal((await db.query('SELECT 1 AS one')).rows[0].one, 1)
  }
  assert.deepEqual(await rowsOn('SELECT count(*)::text FROM pg_prepared_xacts'), ['0', '0', '0'])
  for (const operator of operators)
    await operator.query('DROP TRIGGER no_devil ON public.accounts; DROP FUNCTION public.no_devil()', 20_000)
})

test('savepoints are on shards that join before and after them', async t => {
  const db = await client(t)
  await fill(db, 400)
  const [one, other] = await twoOf(db, 400)
  await db.query('BEGIN')
  await db.query(`UPDATE accounts SET balance = 1 WHERE id = ${one}`)
  await db.query('SAVEPOINT a')
  await db.query(`UPDATE accounts SET balance = 2 WHERE id = ${one}`)
  await db.query(`UPDATE accounts SET balance = 2 WHERE id = ${other}`)
  await assert.rejects(db.query(`UPDATE accounts SET balance = -2 WHERE id = ${other}`), { code: '23514' })
  await db.query('ROLLBACK TO a')
  await db.query(`UPDATE accounts SET balance = 3 WHERE id = ${other}`)
  await db.query('RELEASE a')
  await assert.rejects(db.query('ROLLBACK TO a'), { code: '3B001' })
  await db.query('ROLLBACK')
  await db.query('BEGIN')
  await db.query('SAVEPOINT b')
  await db.query(`UPDATE accounts SET balance = 5 WHERE id = ${other}`)
  await db.query('ROLLBACK TO b')
  await db.query(`UPDATE accounts SET balance = 6 WHERE id = ${one}`)
  await db.query('COMMIT')
  const { rows } = await db.query(`SELECT balance FROM accounts WHERE id = ${one}`)
  assert.deepEqual(rows, [{ balance: 6 }])
  assert.equal((await db.query(`SELECT balance FROM accounts WHERE id = ${other}`)).rows[0].balance, 100)
})

test('settings hold on every shard, and a rollback undoes them', async t => {
  const db = await client(t)
  await fill(db, 500)
  const [one, other] = await twoOf(db, 500)
  const shown = async (id: number): Promise<string> =>
    (await db.query(`SELECT current_setting('work_mem') AS m FROM accounts WHERE id = ${id}`)).rows[0].m
  await db.query("SET work_mem TO '5MB'")
  assert.deepEqual([await shown(one), await shown(other)], ['5MB', '5MB'])
  await db.query('BEGIN')
  await shown(one)
  await db.query("SET work_mem TO '7MB'")
  assert.deepEqual([await shown(one), await shown(other)], ['7MB', '7MB'])
  await db.query('ROLLBACK')
  assert.deepEqual([await shown(one), await shown(other)], ['5MB', '5MB'])
  await db.query('BEGIN')
  await db.query("SET work_mem TO '9MB'")
  await shown(one)
  await db.query('COMMIT')
  assert.deepEqual([await shown(one), await shown(other)], ['9MB', '9MB'])
})

const types = (messages: readonly { type: string }[]): string => messages.map(({ type }) => type).join('')

test('messages are answered in their order, in one batch for two shards and behind an error', async t => {
  const db = await client(t)
  await fill(db, 600)
  const [one, other] = await twoOf(db, 600)
  const peer = await peerOf(t)
  const text = 'SELECT balance FROM accounts WHERE id = $1'
  peer.write(
    parseMessage('s', text),
    describeMessage(statementTarget, 's'),
    bindMessage('', 's', [String(one)]),
    executeMessage('', 0),
    bindMessage('', 's', [String(other)]),
    describeMessage(portalTarget, ''),
    executeMessage('', 0),
    syncMessage,
  )
  assert.equal(types(await peer.until('Z')), '1tT2DC2TDCZ')
  peer.write(
    bindMessage('', 's', [String(one)]),
    executeMessage('', 0),
    bindMessage('', 'missing', []),
    executeMessage('', 0),
    syncMessage,
    queryMessage('SELECT 1'),
  )
  assert.equal(types(await peer.until('Z')), '2DCEZ')
  assert.equal(types(await peer.until('Z')), 'TDCZ')
  peer.write(parseMessage('s', text), syncMessage)
  assert.equal(types(await peer.until('Z')), 'EZ')
  peer.write(closeMessage(statementTarget, 's'), parseMessage('s', text), flushMessage)
  assert.equal(types(await peer.until('1')), '31')
  peer.write(bindMessage('', 's', [String(one)]), executeMessage('', 0), syncMessage)
  assert.equal(types(await peer.until('Z')), '2DCZ')
})

test('a portal is read in pieces', async t => {
  const db = await client(t)
  await fill(db, 700)
  const peer = await peerOf(t)
  peer.write(queryMessage('BEGIN'))
  assert.equal(types(await peer.until('Z')), 'CZ')
  peer.write(
    parseMessage('', 'SELECT id FROM accounts WHERE id > 700 AND id <= 712'),
    bindMessage('p', '', []),
    executeMessage('p', 5),
    syncMessage,
  )
  assert.equal(types(await peer.until('Z')), '12DDDDDsZ')
  peer.write(executeMessage('p', 5), executeMessage('p', 5), syncMessage)
  assert.equal(types(await peer.until('Z')), 'DDDDDsDDCZ')
  peer.write(queryMessage('COMMIT'))
  assert.equal(types(await peer.until('Z')), 'CZ')
})

test('warnings and errors of transaction control are those of PostgreSQL', async t => {
  const db = await client(t)
  const notices: string[] = []
  db.on('notice', notice => notices.push(`${notice.code} ${notice.message}`))
  await db.query('COMMIT')
  await db.query('BEGIN')
  await db.query('BEGIN')
  await db.query('ROLLBACK')
  assert.deepEqual(notices, [
    '25P01 there is no transaction in progress',
    '25001 there is already a transaction in progress',
  ])
  await assert.rejects(db.query('SAVEPOINT a'), { code: '25P01' })
  await assert.rejects(db.query('SELEC 1'), { code: '42601' })
})

test('several statements of one Query are one transaction', async t => {
  const db = await client(t)
  await fill(db, 800)
  const [one, other] = await twoOf(db, 800)
  await assert.rejects(
    db.query(
      `UPDATE accounts SET balance = 0 WHERE id = ${one}; UPDATE accounts SET balance = -1 WHERE id = ${other}`,
    ),
    { code: '23514' },
  )
  assert.equal(await sumOf(800), 1200)
  await db.query(
    `UPDATE accounts SET balance = 90 WHERE id = ${one}; UPDATE accounts SET balance = 110 WHERE id = ${other}`,
  )
  assert.equal(await sumOf(800), 1200)
  assert.equal((await db.query(`SELECT balance FROM accounts WHERE id = ${other}`)).rows[0].balance, 110)
})

test('a cancel request reaches what runs on the shards', async t => {
  const peer = await peerOf(t)
  peer.write(queryMessage('BEGIN'), queryMessage('SELECT pg_sleep(60)'))
  await peer.until('Z')
  await waitForSleep(1)
  const canceller = await PostgresPeer.connect({ host: '127.0.0.1', port: router.portOf('main') })
  canceller.write(cancelRequest(peer.processId, peer.key))
  const answer = await peer.until('Z')
  assert.match(types(answer), /EZ$/)
  canceller.close()
})

test('what a client that vanishes had open is rolled back on all shards', async t => {
  const db = await client(t)
  await fill(db, 900)
  const [one, other] = await twoOf(db, 900)
  const gone = await peerOf(t)
  for (const text of [
    'BEGIN',
    `UPDATE accounts SET balance = 0 WHERE id = ${one}`,
    `UPDATE accounts SET balance = 0 WHERE id = ${other}`,
  ]) {
    gone.write(queryMessage(text))
    await gone.until('Z')
  }
  gone.close()
  await db.query(`UPDATE accounts SET balance = balance + 1 WHERE id = ${one}`)
  await db.query(`UPDATE accounts SET balance = balance + 1 WHERE id = ${other}`)
  assert.equal(await sumOf(900), 1202)
})

test('postgres.js works, transactions and all', async t => {
  const sql = postgres(url, { max: 3, onnotice: () => {} })
  t.after(() => sql.end({ timeout: 1 }))
  for (let id = 1001; id <= 1012; id++) await sql`INSERT INTO accounts VALUES (${id}, 100)`
  const rows = await sql`SELECT id FROM accounts WHERE id > 1000 AND id <= 1012`
  assert.equal(rows.length, 12)
  await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      sql
        .begin(async tx => {
          await tx`UPDATE accounts SET balance = balance - 1 WHERE id = ${1001 + index}`
          await tx`UPDATE accounts SET balance = balance + 1 WHERE id = ${1001 + ((index + 1) % 12)}`
        })
        .catch(() => null),
    ),
  )
  assert.equal(await sumOf(1000), 1200)
})

async function waitForSleep(count: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const running = await rowsOn(
      "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()",
    )
    if (running.reduce((sum, one) => sum + Number(one), 0) >= count) return
    await sleep(20)
  }
  throw new Error('it does not run')
}

test('several rows of one INSERT, and what is everywhere, are one transaction', async t => {
  const db = await client(t)
  const values = Array.from({ length: 12 }, (_, index) => `(${1101 + index}, 100)`).join(', ')
  const made = await db.query(`INSERT INTO accounts VALUES ${values} RETURNING id`)
  assert.equal(made.rowCount, 12)
  assert.equal(await sumOf(1100), 1200)
  await assert.rejects(db.query('INSERT INTO accounts VALUES (1120, 1), (1121, 1), (1122, 1), (1101, 1)'), {
    code: '23505',
  })
  assert.equal((await db.query('SELECT id FROM accounts WHERE id IN (1120, 1121, 1122)')).rows.length, 0)
  await db.query('INSERT INTO films VALUES ($1, $2)', [1, 'one'])
  assert.deepEqual(await rowsOn('SELECT title FROM public.films WHERE id = 1'), ['one', 'one', 'one'])
  const { rows } = await db.query('SELECT title FROM films WHERE id = 1')
  assert.deepEqual(rows, [{ title: 'one' }])
})

test('what would go to all shards is refused until it is allowed, and nothing happens', async t => {
  const db = await client(t)
  await fill(db, 1200)
  const text = 'UPDATE accounts SET balance = balance + 1 WHERE balance = 100 AND id > 1200 AND id <= 1212'
  await assert.rejects(db.query(text), { detail: 'shard-broadcast' })
  await db.query('SET tenfold.allow_broadcast TO on')
  assert.equal((await db.query(text)).rowCount, 12)
  assert.equal(await sumOf(1200), 1212)
  await db.query('BEGIN')
  await db.query('SET LOCAL tenfold.allow_broadcast TO off')
  await assert.rejects(db.query(text), { detail: 'shard-broadcast' })
  await db.query('ROLLBACK')
  assert.equal((await db.query('SHOW tenfold.allow_broadcast')).rows[0]['tenfold.allow_broadcast'], 'on')
  await db.query('SET tenfold.dry_run = on')
  const { rows } = await db.query('DELETE FROM accounts WHERE id > 1200')
  assert.equal(rows[0].shards, '1, 2, 3')
  assert.equal(await sumOf(1200), 1212)
})

test('COPY puts each row on its shard, and brings all of them out', async t => {
  await client(t)
  const peer = await peerOf(t)
  const copyData = (text: string): Buffer => {
    const body = Buffer.from(text)
    const head = Buffer.from('d\0\0\0\0', 'latin1')
    head.writeInt32BE(4 + body.length, 1)
    return Buffer.concat([head, body])
  }
  const lines = Array.from({ length: 12 }, (_, index) => `${1301 + index}\t100\n`).join('')
  peer.write(queryMessage('COPY accounts FROM STDIN'))
  assert.equal(types(await peer.until('G')), 'G')
  peer.write(copyData(lines.slice(0, 37)), copyData(lines.slice(37)), copyDoneMessage)
  assert.equal(types(await peer.until('Z')), 'CZ')
  assert.equal(await sumOf(1300), 1200)
  peer.write(queryMessage('COPY accounts FROM STDIN'), copyData('1320\t1\n1301\t1\n'), copyDoneMessage)
  assert.equal(types(await peer.until('Z')), 'GEZ')
  peer.write(queryMessage('COPY accounts FROM STDIN'), copyData('1321\t1\n'), copyFailMessage('no'))
  assert.equal(types(await peer.until('Z')), 'GEZ')
  const left = await rowsOn('SELECT id::text FROM public.accounts WHERE id > 1312 AND id < 1400')
  assert.deepEqual(left, ['', '', ''])
  peer.write(queryMessage('COPY accounts TO STDOUT'))
  const answer = await peer.until('Z')
  assert.match(types(answer), /^Hd+cCZ$/)
  const out = answer.filter(({ type }) => type === 'd').map(({ payload }) => payload.toString())
  assert.equal(
    out
      .join('')
      .split('\n')
      .filter(line => /^13(0[1-9]|1[0-2])\t/.test(line)).length,
    12,
  )
})

test('a server connection that is lost costs a statement its answer, and a transaction its connection', async t => {
  const db = await client(t)
  await fill(db, 1500)
  const kill = (): Promise<unknown> =>
    rowsOn(
      "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()",
    )
  const values = Array.from({ length: 12 }, (_, index) => `(${1521 + index}, 100)`).join(', ')
  await kill()
  await waitFor(
    () => router.status().every(one => one.servers.every(({ connections }) => connections === 0)),
    () => 'connections that were ended are still there',
  )
  await db.query(`INSERT INTO accounts VALUES ${values}`)
  assert.equal(await sumOf(1520), 1200)
  const [one, other] = await twoOf(db, 1500)
  await db.query('BEGIN')
  await db.query(`UPDATE accounts SET balance = 1 WHERE id = ${one}`)
  await db.query(`UPDATE accounts SET balance = 1 WHERE id = ${other}`)
  const ended = new Promise(resolve => db.once('end', resolve))
  await kill()
  await ended
  assert.equal(await sumOf(1500), 1200)
})

test('a transaction that only reads on several shards needs no decision, and one that calls what may write does', async t => {
  const one = await client(t)
  const decisions = async (): Promise<number> => {
    const counts = await Promise.all(
      operators.map(operator => operator.query('SELECT count(*) FROM tenfold.decisions', 5_000)),
    )
    return counts.reduce((sum, [row]) => sum + Number(row?.[0]), 0)
  }
  for (const operator of operators)
    await operator.query(
      'CREATE FUNCTION public.noted(a bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT a $$',
      5_000,
    )
  const counted = async (sql: string): Promise<number> => {
    const before = await decisions()
    await one.query('BEGIN')
    for (let id = 1; id <= 8; id++) await one.query(sql, [id])
    await one.query('COMMIT')
    return (await decisions()) - before
  }
  // What functions do is known a moment after the first statement.
  const read = 'SELECT balance FROM accounts WHERE id = $1'
  for (let tries = 0; tries < 50 && (await counted(read)) > 0; tries++) await sleep(100)
  assert.equal(await counted(read), 0)
  assert.equal(await counted('SELECT noted(id) FROM accounts WHERE id = $1'), 1)
  assert.equal(await counted('UPDATE accounts SET balance = balance WHERE id = $1'), 1)
})

test('random pipelines, cut into random pieces, are answered one for one', async t => {
  const db = await client(t)
  await fill(db, 1600)
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const pick = (below: number): number => random.below(below)
  const id = (): number => 1601 + pick(12)
  const byKey = 'SELECT id, balance FROM accounts WHERE id = $1'
  const execute = (key: number | string): Buffer[] => [
    bindMessage('', 'n', [String(key)]),
    executeMessage('', 0),
  ]
  const kinds: (() => [Buffer[], string])[] = [
    () => [[queryMessage(`SELECT id FROM accounts WHERE id = ${id()}`)], 'TDCZ'],
    () => [[...execute(id()), syncMessage], '2DCZ'],
    () => [[...execute(id()), ...execute(id()), ...execute(id()), syncMessage], '2DC2DC2DCZ'],
    () => [[...execute(id()), bindMessage('', 'none', []), ...execute(id()), syncMessage], '2DCEZ'],
    () => [[...execute('x'), ...execute(id()), syncMessage], 'EZ'],
    () => [
      [parseMessage('', 'SELECT 1/0'), bindMessage('', '', []), executeMessage('', 0), syncMessage],
      '12EZ',
    ],
    () => [[queryMessage('BEGIN')], 'CZ'],
    () => [[queryMessage(`UPDATE accounts SET balance = 7 WHERE id = ${id()}`)], 'CZ'],
    () => [[queryMessage('COMMIT')], 'CZ'],
    () => [[queryMessage('SELECT count(*) FROM accounts WHERE id > 1600 AND id <= 1612')], 'TDCZ'],
    () => [[queryMessage(`SELECT 1; SELECT id FROM accounts WHERE id = ${id()}; SELECT 2`)], 'TDCTDCTDCZ'],
    () => [[syncMessage], 'Z'],
    () => [[queryMessage('')], 'IZ'],
    () => [[...execute(id()), flushMessage, ...execute(id()), syncMessage], '2DC2DCZ'],
  ]
  const peer = await peerOf(t)
  peer.write(parseMessage('n', byKey), syncMessage)
  await peer.until('Z')
  let said = Buffer.alloc(0)
  const expected: string[] = []
  for (let count = 0; count < 400; count++) {
    const [frames, answer] = (kinds[pick(kinds.length)] as () => [Buffer[], string])()
    said = Buffer.concat([said, ...frames])
    expected.push(answer)
  }
  const reading = (async () => {
    let failed = false
    for (const [at, answer] of expected.entries()) {
      // Notices of BEGIN and COMMIT that were not needed do not count; in a failed transaction only its end goes through.
      const messages = (await peer.until('Z')).filter(({ type }) => type !== 'N')
      const got = types(messages)
      const status = String.fromCharCode((messages.at(-1)?.payload[0] as number) ?? 0)
      if (failed && answer !== 'Z' && got !== 'CZ') assert.match(got, /^[12]*EZ$|^IZ$/, `answer ${at}`)
      else if (!failed)
        assert.equal(got.replace(/^[12]+E/, 'E'), answer.replace(/^[12]+E/, 'E'), `answer ${at}`)
      failed = status === 'E'
    }
  })()
  for (let at = 0; at < said.length; ) {
    const size = 1 + pick(pick(4) === 0 ? 4_000 : 60)
    peer.write(said.subarray(at, at + size))
    at += size
    if (pick(3) === 0) await sleep(0)
  }
  await reading
})

test('DDL goes to all shards in one transaction, and is known at once', async t => {
  const db = await client(t)
  await db.query('ALTER TABLE accounts ADD COLUMN note text')
  await db.query('INSERT INTO accounts (id, balance, note) VALUES (1401, 1, $1)', ['new'])
  const { rows } = await db.query('SELECT note FROM accounts WHERE id > 1400 AND note IS NOT NULL')
  assert.deepEqual(rows, [{ note: 'new' }])
  await operators[2]?.query('ALTER TABLE public.accounts ADD COLUMN only_here text', 20_000)
  await assert.rejects(db.query('ALTER TABLE accounts ADD COLUMN only_here text'), { code: '42701' })
  const columns = await rowsOn(
    "SELECT count(*)::text FROM information_schema.columns WHERE table_name = 'accounts' AND column_name = 'only_here'",
  )
  assert.deepEqual(columns, ['0', '0', '1'])
  await operators[2]?.query('ALTER TABLE public.accounts DROP COLUMN only_here', 20_000)
})

test('while the map is about to change nothing begins; then it goes by the next map', async t => {
  const db = await client(t)
  await fill(db, 1800)
  const [one, other] = await twoOf(db, 1800)
  const target = ids.indexOf(await shardOf(db, other))
  const open = await client(t)
  await open.query('BEGIN')
  await open.query(`UPDATE accounts SET balance = 99 WHERE id = ${one}`)
  await apply({ holding: true })
  let answered = false
  const held = db.query(`INSERT INTO accounts VALUES (1899, ${one})`).then(() => {
    answered = true
  })
  await open.query('COMMIT')
  await sleep(50)
  assert.equal(answered, false)
  const all = Array.from({ length: slots }, () => target)
  const [family] = Object.values(map.families)
  await apply({
    map: {
      ...map,
      version: 2,
      families: { accounts: { ...family, types: ['bigint'], rule: { by: 'hash', slots: all } } },
    },
  })
  await held
  const found = await rowsOn('SELECT id::text FROM public.accounts WHERE id = 1899')
  assert.deepEqual(
    found,
    ids.map((_, index) => (index === target ? '1899' : '')),
  )
})

test('nothing is left: no client, no connection in use', async () => {
  await waitFor(
    () =>
      router
        .status()
        .every(({ clients, servers: all }) => clients === 0 && all.every(one => one.active === 0)),
    () => JSON.stringify(router.status()),
  )
})
