// What a router does for a sharded database beside its clients, through a whole router over real servers.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf, waitFor } from '../tools/router-harness.ts'

const ids = ['1', '2']
const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ids,
  families: {
    accounts: {
      types: ['bigint'],
      rule: {
        by: 'list',
        lists: [
          { values: ['1'], shard: 0 },
          { values: ['2', '12', '32', '34'], shard: 1 },
        ],
        otherwise: 0,
      },
    },
  },
  tables: { 'public.accounts': { kind: 'sharded', family: 'accounts', key: ['id'] } },
}

const endings: (() => Promise<void> | void)[] = []
const told: string[] = []
let operators: readonly Session[]
let router: Router
/** Another process of the system has it; nobody knows of the other's clients. */
let spare: Router

before(async () => {
  const scope = { after: (end: unknown) => void endings.push(end as () => void) } as never
  const servers: readonly PostgresServer[] = await Promise.all(
    ids.map(() => startPostgres(scope, { settings: { max_prepared_transactions: '20' } })),
  )
  operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  for (const [at, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[at] as string, map })
    await operator.query(
      `CREATE TABLE public.accounts (id bigint PRIMARY KEY, balance int NOT NULL, tag int UNIQUE DEFERRABLE INITIALLY DEFERRED);
       ALTER TABLE public.accounts OWNER TO app; INSERT INTO public.accounts VALUES (${at + 1}, 100)`,
      20_000,
    )
  }
  const groups = servers.map((server, at) => ({
    ...databaseOf({ servers: [server] }),
    name: `main.${ids[at]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  const routerOf = () =>
    createRouter({
      snapshot: { format: 1, version: 1, databases: [whole] },
      tell: (subject, text) => told.push(`${subject}: ${text}`),
    })
  router = await routerOf()
  spare = await routerOf()
})

test.after(async () => {
  router.close()
  spare.close()
  for (const operator of operators) operator.close()
  for (const end of endings.reverse()) await end()
})

async function client(t: { after(end: () => Promise<void>): void }, by = router): Promise<pg.Client> {
  const made = new pg.Client(`postgres://app:secret@127.0.0.1:${by.portOf('main')}/app`)
  await made.connect()
  t.after(() => made.end())
  return made
}

/** Somebody waits for a lock there. */
async function untilLocked(operator: Session): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const [row] = await operator.query('SELECT count(*) FROM pg_locks WHERE NOT granted', 5_000)
    if (row?.[0] !== '0') return
    await sleep(50)
  }
  assert.fail('nobody waits')
}

const take = (id: number): string => `UPDATE accounts SET balance = balance + 1 WHERE id = ${id}`
const code = (error: { code?: string }): string => error.code ?? ''

test('trap: deadlocks over shards: one client gets 40P01, the other one goes on', async t => {
  const [one, other] = [await client(t), await client(t)]
  for (const db of [one, other]) await db.query('BEGIN')
  await one.query(take(1))
  await other.query(take(2))
  const ends = await Promise.all(
    [one.query(take(2)), other.query(take(1))].map((wait, at) =>
      wait.then(
        () => 'taken',
        // The one that waits goes on when this one is rolled back.
        async error => {
          await [one, other][at]?.query('ROLLBACK')
          return code(error)
        },
      ),
    ),
  )
  assert.deepEqual(ends.toSorted(), ['40P01', 'taken'])
  const winner = ends[0] === 'taken' ? one : other
  assert.equal((await winner.query('COMMIT')).command, 'COMMIT')
  assert.match(told.join(), /2 clients waited for each other over shards/)
})

/** How each ended; who is refused rolls back, and the others go on. */
async function endsOf(clients: readonly pg.Client[], work: readonly Promise<unknown>[]): Promise<string[]> {
  return Promise.all(
    work.map((one, at) =>
      one.then(
        () => 'done',
        async error => {
          await clients[at]?.query('ROLLBACK')
          return code(error)
        },
      ),
    ),
  )
}

test('trap: deadlocks over shards of clients of two routers: one gets 40P01, the other one goes on', async t => {
  const clients = [await client(t), await client(t, spare)] as const
  const [one, other] = clients
  for (const db of clients) await db.query('BEGIN')
  await one.query(take(1))
  await other.query(take(2))
  const ends = await endsOf(clients, [one.query(take(2)), other.query(take(1))])
  assert.deepEqual(ends, ['done', '40P01'])
  await one.query('COMMIT')
})

test('trap: deadlocks over shards with a statement outside of transactions', async t => {
  const clients = [await client(t), await client(t, spare)] as const
  const [one, other] = clients
  await one.query('INSERT INTO accounts VALUES (11, 0)')
  await one.query('BEGIN')
  await one.query(take(2))
  await other.query('SET tenfold.allow_broadcast TO on')
  // Has the other shard's rows, and waits.
  const broadcast = other.query('UPDATE accounts SET balance = balance + 1 WHERE balance >= 0')
  await untilLocked(operators[1] as Session)
  const ends = await endsOf(clients, [one.query(take(11)), broadcast])
  assert.deepEqual(ends, ['done', '40P01'])
  await one.query('COMMIT')
})

test('trap: deadlocks over shards of two commits that wait for each other: one is given up, whole', async t => {
  const clients = [await client(t), await client(t, spare)] as const
  const [one, other] = clients
  for (const db of clients) await db.query('BEGIN')
  // A deferred check waits only at the commit; each has another shard first, that decides.
  await one.query('INSERT INTO accounts VALUES (31, 0, 7)')
  await other.query('INSERT INTO accounts VALUES (34, 0, 8)')
  await one.query('INSERT INTO accounts VALUES (32, 0, 8)')
  await other.query('INSERT INTO accounts VALUES (33, 0, 7)')
  const ends = await endsOf(clients, [one.query('COMMIT'), other.query('COMMIT')])
  assert.deepEqual(ends, ['done', '40P01'])
  const rows = await Promise.all(
    operators.map(db => db.query('SELECT id FROM public.accounts WHERE tag IS NOT NULL', 5_000)),
  )
  assert.deepEqual(rows, [[['31']], [['32']]])
  for (const db of operators) assert.deepEqual(await db.query('SELECT gid FROM pg_prepared_xacts', 5_000), [])
})

test('trap: deadlocks over shards, many at once, at two routers: every client goes on, and nothing is changed by half', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const keys = [1, 11, 13, 2, 12, 32]
  const writer = await client(t)
  for (const key of keys)
    await writer.query('INSERT INTO accounts VALUES ($1, 0) ON CONFLICT (id) DO UPDATE SET balance = 0', [
      key,
    ])
  const counts: Record<string, number> = {}
  const work = async (db: pg.Client): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      // In any order: what is taken from one is given to another, over shards or not.
      const [from, to, last] = keys.toSorted(() => random.float() - 0.5)
      try {
        await db.query('BEGIN')
        for (const [id, change] of [
          [from, -2],
          [to, 1],
          [last, 1],
        ])
          await db.query('UPDATE accounts SET balance = balance + $2 WHERE id = $1', [id, change])
        await db.query('COMMIT')
        counts.done = (counts.done ?? 0) + 1
      } catch (error) {
        const end = code(error as { code?: string })
        counts[end] = (counts[end] ?? 0) + 1
        await db.query('ROLLBACK')
      }
    }
  }
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, at) => client(t, at % 2 === 0 ? router : spare)),
  )
  await Promise.all(clients.map(work))
  t.diagnostic(JSON.stringify(counts))
  assert.deepEqual(
    Object.keys(counts).filter(end => end !== 'done' && end !== '40P01'),
    [],
  )
  assert.ok((counts.done ?? 0) > 3)
  const { rows } = await writer.query(
    `SELECT sum(balance)::int AS sum FROM accounts WHERE id IN (${keys.join()})`,
  )
  assert.deepEqual(rows, [{ sum: 0 }])
})

test('trap: clients vanish amid commits over shards: each commit is whole or not there, and nothing stays open', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const vanish = async (move: number): Promise<void> => {
    const url = `postgres://app:secret@127.0.0.1:${(move % 2 === 0 ? router : spare).portOf('main')}/app`
    const db = new pg.Client(url)
    db.on('error', () => {})
    await db.connect()
    const { stream } = (db as unknown as { connection: { stream: { destroy(): void } } }).connection
    await db.query('BEGIN')
    // Balances of ids that no other test has: keys of both shards.
    await db.query('UPDATE accounts SET balance = balance - 1 WHERE id = 34')
    await db.query('UPDATE accounts SET balance = balance + 1 WHERE id = 99')
    const gone = db.query('COMMIT').catch(() => {})
    await sleep(random.float() * 6)
    stream.destroy()
    await Promise.race([gone, sleep(50)])
  }
  const writer = await client(t)
  for (const id of [34, 99])
    await writer.query(
      'INSERT INTO accounts VALUES ($1, 1000) ON CONFLICT (id) DO UPDATE SET balance = 1000',
      [id],
    )
  for (let move = 0; move < 60; move++) await vanish(move)
  const left = `SELECT (SELECT count(*) FROM pg_prepared_xacts) + (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%')`
  for (const operator of operators) {
    let open = ''
    for (let tries = 0; tries < 300 && open !== '0'; tries++) {
      open = (await operator.query(left, 5_000))[0]?.[0] ?? ''
      if (open !== '0') await sleep(50)
    }
    assert.equal(open, '0', 'something is open')
  }
  const { rows } = await writer.query(
    'SELECT id::int, balance FROM accounts WHERE id IN (34, 99) ORDER BY id',
  )
  t.diagnostic(JSON.stringify(rows))
  assert.equal(rows[0].balance + rows[1].balance, 2_000)
  assert.ok(rows[1].balance > 1_000)
})

test('a router ends what a dead coordinator left, by its decision', async () => {
  const commit = (end: string): string => `tenfold:test:1:0b54c2a4-8d3c-4c56-9a55-2d3a5d1f0a${end}`
  const [first, second] = operators as [Session, Session]
  await first.query(`SELECT tenfold.decide('${commit('01')}')`, 5_000)
  for (const [end, id] of [
    ['01', 21],
    ['02', 22],
  ])
    await second.query(
      `BEGIN; INSERT INTO public.accounts VALUES (${id}, 1); PREPARE TRANSACTION '${commit(String(end))}:2'`,
      5_000,
    )
  let left = 2
  const look = setInterval(async () => {
    left = Number((await second.query('SELECT count(*) FROM pg_prepared_xacts', 5_000))[0]?.[0])
  }, 200)
  try {
    await waitFor(
      () => left === 0,
      () => `${left} prepared transactions are left: ${told.join()}`,
    )
  } finally {
    clearInterval(look)
  }
  const rows = await second.query('SELECT id FROM public.accounts WHERE id IN (21, 22)', 5_000)
  assert.deepEqual(rows, [['21']])
  await waitFor(
    () => router.metricsText().includes('database_shards_prepared{database="main"} 0'),
    () => router.metricsText(),
  )
  // Of both: who comes first does it.
  const total = (name: string): number =>
    [router, spare]
      .map(
        one => new RegExp(`database_shards_${name}\\{database="main"\\} (\\d+)`).exec(one.metricsText())?.[1],
      )
      .reduce((sum, one) => sum + Number(one), 0)
  assert.equal(total('recovered_commits_total'), 1)
  assert.equal(total('recovered_rollbacks_total'), 1)
  assert.ok(total('deadlocks_total') >= 3)
})
