// Rows move between shards while clients read and write: nothing is lost, nothing is seen twice, and every sum holds all the
// time; at each step it can be cancelled, or its executor die; what has moved can go back with what was written since.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import type { ReshardStep } from '../../src/policy/shard/reshard-contract.ts'
import { type Resharding, startResharding } from './reshard-harness.ts'

const accounts = 200
const each = 1_000

const map: ShardMap = {
  format: 1,
  version: 1,
  shards: ['1', '2'],
  families: {
    accounts: {
      types: ['bigint'],
      rule: { by: 'hash', slots: Array.from({ length: 64 }, (_, slot) => slot % 2) },
    },
  },
  tables: {
    'public.accounts': { kind: 'sharded', family: 'accounts', key: ['id'] },
    'public.entries': { kind: 'sharded', family: 'accounts', key: ['account'] },
    // Without large values: its identity need not change, and so nobody waits for who reads it.
    'public.points': { kind: 'sharded', family: 'accounts', key: ['account'] },
    'public.films': { kind: 'everywhere' },
  },
}

const schema = `CREATE TABLE public.accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, note text);
CREATE TABLE public.entries (id bigint PRIMARY KEY DEFAULT tenfold.next_id(), account bigint NOT NULL REFERENCES public.accounts, move text NOT NULL, amount bigint NOT NULL);
CREATE INDEX entries_account ON public.entries (account);
CREATE TABLE public.points (account bigint, number int, PRIMARY KEY (account, number));
CREATE TABLE public.films (id integer PRIMARY KEY, title text);
ALTER TABLE public.accounts OWNER TO app; ALTER TABLE public.entries OWNER TO app; ALTER TABLE public.films OWNER TO app; ALTER TABLE public.points OWNER TO app`

async function started(t: Parameters<typeof startResharding>[0]): Promise<Resharding> {
  const harness = await startResharding(t, { map, schema })
  const client = await harness.client()
  for (let id = 1; id <= accounts; id++)
    await client.query('INSERT INTO accounts VALUES ($1, $2, $3)', [id, each, 'x'.repeat(id * 20)])
  await client.query("INSERT INTO films VALUES (1, 'one'), (2, 'two')")
  return harness
}

interface Load {
  /** Ends it; what was counted. */
  stop(): Promise<{ readonly transfers: number; readonly reads: number; readonly refused: readonly string[] }>
}

/** Transfers over shards, each with its two entries; reads over all shards that must find every account once. */
function load(harness: Resharding, random: () => number): Load {
  let goesOn = true
  let transfers = 0
  let reads = 0
  const refused: string[] = []
  const acknowledged = new Set<string>()
  const account = (): number => 1 + Math.floor(random() * accounts)
  const writer = async (name: string): Promise<void> => {
    const client = await harness.client()
    for (let number = 0; goesOn; number++) {
      const [from, to] = [account(), account()]
      if (from === to) continue
      const amount = Math.floor(random() * 10)
      const move = `${name}-${number}`
      try {
        await client.query('BEGIN')
        // In one order: no deadlocks.
        const parts: [number, number][] =
          from < to
            ? [
                [from, -amount],
                [to, amount],
              ]
            : [
                [to, amount],
                [from, -amount],
              ]
        for (const [id, change] of parts) {
          await client.query('UPDATE accounts SET balance = balance + $2 WHERE id = $1', [id, change])
          await client.query('INSERT INTO entries (account, move, amount) VALUES ($1, $2, $3)', [
            id,
            move,
            change,
          ])
        }
        await client.query('COMMIT')
        acknowledged.add(move)
        transfers++
        if (random() < 0.1) {
          await client.query('DELETE FROM entries WHERE account = $1 AND move = $2 AND amount = $3 - 99999', [
            from,
            move,
            amount,
          ])
          await client.query('UPDATE accounts SET note = $2 WHERE id = $1', [
            from,
            'y'.repeat(Math.floor(random() * 5_000)),
          ])
        }
      } catch (error) {
        refused.push((error as Error).message)
        await client.query('ROLLBACK')
      }
    }
  }
  const reader = async (): Promise<void> => {
    const client = await harness.client()
    while (goesOn) {
      const { rows } = await client.query(
        'SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids FROM accounts',
      )
      assert.deepEqual(rows, [{ rows: accounts, ids: accounts }])
      const all = await client.query('SELECT id FROM accounts ORDER BY id')
      assert.deepEqual(
        all.rows.map(one => Number(one.id)),
        Array.from({ length: accounts }, (_, at) => at + 1),
      )
      reads++
    }
  }
  const work = Promise.all([writer('a'), writer('b'), writer('c'), reader()])
  work.catch(() => {})
  return {
    stop: async () => {
      goesOn = false
      await work
      const client = await harness.client()
      await sums(client, acknowledged)
      return { transfers, reads, refused }
    },
  }
}

/** Nothing is lost, nothing doubled. */
async function sums(client: pg.Client, acknowledged: ReadonlySet<string>): Promise<void> {
  const { rows } = await client.query('SELECT count(*)::int AS rows, sum(balance)::int AS sum FROM accounts')
  assert.deepEqual(rows, [{ rows: accounts, sum: accounts * each }])
  const entries = await client.query('SELECT account, move, amount FROM entries')
  const moves = new Map<string, number[]>()
  const byAccount = new Map<number, number>()
  for (const { account, move, amount } of entries.rows) {
    moves.set(move, [...(moves.get(move) ?? []), Number(amount)])
    byAccount.set(Number(account), (byAccount.get(Number(account)) ?? 0) + Number(amount))
  }
  for (const move of acknowledged) assert.equal(moves.get(move)?.length, 2, `${move} is whole`)
  for (const [move, amounts] of moves)
    assert.equal(
      amounts.reduce((sum, one) => sum + one, 0),
      0,
      move,
    )
  const balances = await client.query('SELECT id, balance FROM accounts')
  for (const { id, balance } of balances.rows)
    assert.equal(Number(balance), each + (byAccount.get(Number(id)) ?? 0), `account ${id}`)
}

/** Each row is where the map says, and nowhere else. */
async function tidy(harness: Resharding): Promise<number[]> {
  const counts: number[] = []
  for (const operator of harness.operators) {
    const [there] = await operator.query("SELECT to_regclass('public.accounts') IS NOT NULL", 5_000)
    if (there?.[0] !== 't') {
      counts.push(0)
      continue
    }
    const [row] = await operator.query('SELECT count(*) FROM public.accounts', 5_000)
    counts.push(Number(row?.[0]))
  }
  assert.equal(
    counts.reduce((sum, one) => sum + one, 0),
    accounts,
    `rows: ${counts}`,
  )
  return counts
}

test('two shards become three while clients write: every read is right, and nothing is left behind', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const harness = await started(t)
  const work = load(harness, () => random.float())
  await harness.begin({ kind: 'even', shards: ['1', '2', '3'] })
  const { pauseMs } = await harness.reach('reversible')
  await sleep(500)
  assert.equal(harness.executor.wish('cancel'), 'rows have moved already: roll it back instead')
  assert.equal(harness.executor.wish('finish'), null)
  await harness.reach('done')
  await sleep(1_500)
  const { transfers, reads, refused } = await work.stop()
  assert.deepEqual(refused, [])
  const counts = await tidy(harness)
  assert.ok(
    counts.every(count => count > 20),
    `rows: ${counts}`,
  )
  assert.deepEqual(await harness.left(), [])
  const [films] = await (harness.operators[2] as NonNullable<(typeof harness.operators)[2]>).query(
    'SELECT count(*) FROM public.films',
    5_000,
  )
  assert.deepEqual(films, ['2'])
  t.diagnostic(`clients were held for ${pauseMs} ms; ${transfers} transfers, ${reads} reads; rows ${counts}`)
  assert.ok(transfers > 50 && reads > 5)
})

test('at each step: cancelled, and nothing is left; the executor dies, and another one goes on; all goes back with what was written since', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const harness = await started(t)
  const work = load(harness, () => random.float())
  const even = { kind: 'even', shards: ['1', '2', '3'] } as const

  for (const step of ['preparing', 'copying', 'catching-up', 'comparing', 'holding'] as const) {
    await harness.begin(even)
    let wished: string | null = 'never'
    harness.onStep = now => {
      if (now === step) queueMicrotask(() => (wished = harness.executor.wish('cancel')))
    }
    await harness.reach('cancelled')
    assert.equal(wished, null, step)
    harness.onStep = () => {}
    await sleep(1_200)
    assert.deepEqual(await harness.left(), [], step)
    assert.equal((await tidy(harness))[2], 0)
    assert.equal(harness.map().version, 1)
  }

  const dying: readonly ReshardStep[] = [
    'preparing',
    'copying',
    'catching-up',
    'comparing',
    'holding',
    'switching',
    'reversible',
  ]
  const pauses: number[] = []
  for (const way of ['rolling-back', 'cleaning'] as const) {
    await harness.begin(even)
    const died = new Set<ReshardStep>()
    harness.onStep = step => {
      if (died.has(step) || ![...dying, way].includes(step)) return
      died.add(step)
      // Before it is kept, or soon after.
      const restart = (): void => void harness.restart()
      if (random.float() < 0.5) setTimeout(restart, random.float() * 100)
      else queueMicrotask(restart)
    }
    pauses.push((await harness.reach('reversible')).pauseMs)
    await sleep(500)
    await harness.reach('reversible')
    for (const wish of [way === 'cleaning' ? 'finish' : 'rollBack'] as const)
      assert.equal(harness.executor.wish(wish), null)
    await harness.reach(way === 'cleaning' ? 'done' : 'rolled-back')
    harness.onStep = () => {}
    t.diagnostic(`died at ${[...died].join(', ')}`)
    assert.ok(died.size > 5)
    await sleep(1_500)
    assert.deepEqual(await harness.left(), [])
    const counts = await tidy(harness)
    assert.equal(counts[2] === 0, way === 'rolling-back', `rows: ${counts}`)
  }
  const { transfers, reads, refused } = await work.stop()
  assert.deepEqual(refused, [])
  t.diagnostic(`clients were held for ${pauses.join(' and ')} ms; ${transfers} transfers, ${reads} reads`)
})

test('trap: rows are not copied before statements over several shards that know nothing of it are over', async t => {
  const harness = await started(t)
  const client = await harness.client()
  // It is planned without the filter, and its client does not read on.
  const points = 3_000
  const rowsOf = Array.from({ length: points }, (_, n) => `(${n % accounts}, ${n})`).join(', ')
  await client.query(`INSERT INTO points VALUES ${rowsOf}`)
  const slow = client.query("SELECT number, repeat('x', 20000) FROM points")
  const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } }).connection
  stream.pause()
  while (harness.router.openOn('main') === 0) await sleep(2)
  await harness.begin({ kind: 'split', from: '1', into: '2' })
  await harness.reach('copying')
  await sleep(300)
  assert.equal(harness.executor.journal.step, 'copying')
  assert.equal(harness.router.earlierOn('main'), 1)
  const [target] = [harness.operators[1]]
  const before = await target?.query('SELECT count(*) FROM public.points', 5_000)
  stream.resume()
  const { rows } = await slow
  assert.equal(new Set(rows.map(one => one.number)).size, points)
  assert.equal(rows.length, points)
  await harness.reach('reversible')
  assert.equal(harness.router.earlierOn('main'), 0)
  const after = await target?.query('SELECT count(*) FROM public.points', 5_000)
  assert.ok(Number(after?.[0]?.[0]) > Number(before?.[0]?.[0]), 'rows came only afterwards')
})

test('a transaction that stays open is named, and when it ends the rows go', async t => {
  const harness = await started(t)
  const client = await harness.client()
  const before = harness.map()
  await harness.begin({ kind: 'split', from: '1', into: '2' })
  await harness.reach('copying')
  // Of the user's, on one of the shards, in the way of the switch alone.
  await client.query('BEGIN')
  await client.query('SELECT balance FROM accounts WHERE id = 7')
  const open =
    /clients had transactions open: app, idle in transaction, for \d+ s on shard [12] \(process \d+\)/
  const end = Date.now() + 40_000
  while (!open.test(harness.executor.journal.trouble)) {
    assert.ok(Date.now() < end, harness.executor.journal.trouble)
    await sleep(20)
  }
  assert.equal(harness.map().version, before.version)
  await client.query('COMMIT')
  await harness.reach('reversible')
  assert.equal(harness.executor.journal.trouble, '')
})

test('trap: more streams than servers have slots, senders or origins for: refused before anything is made', async t => {
  const settings = { max_active_replication_origins: '1', max_replication_slots: '1', max_wal_senders: '1' }
  const harness = await startResharding(t, { map, schema, settings })
  const client = await harness.client()
  await client.query("INSERT INTO accounts SELECT 7, 7, 'one'")
  await harness.begin({ kind: 'split', from: '1', into: '2' })
  const { trouble } = await harness.reach('cancelled')
  for (const shard of ['1', '2'])
    for (const [what, name] of [
      ['replication slots', 'max_replication_slots'],
      ['WAL senders', 'max_wal_senders'],
      ['replication origins', 'max_active_replication_origins'],
    ])
      assert.ok(
        trouble.includes(`Shard ${shard} has 1 ${what} left, and 2 are needed: raise ${name}.`),
        trouble,
      )
  assert.deepEqual(await harness.left(), [])
  assert.deepEqual((await client.query('SELECT count(*)::int AS n FROM accounts')).rows, [{ n: 1 }])
})

test('it dies when all rows are where they belong: the next one takes away what the servers still have', async t => {
  const harness = await started(t)
  for (const [wish, end] of [
    ['rollBack', 'rolled-back'],
    ['cancel', 'cancelled'],
    ['finish', 'done'],
  ] as const) {
    let died: Promise<void> | null = null
    harness.onKept = ({ ending }) => {
      if (ending !== '') died ??= harness.restart()
    }
    await harness.begin({ kind: 'split', from: '1', into: '2' })
    await harness.reach(wish === 'cancel' ? 'copying' : 'reversible')
    assert.equal(harness.executor.wish(wish), null)
    await harness.reach(end)
    assert.ok(died !== null, 'it did not die')
    await died
    assert.deepEqual(await harness.left(), [], end)
  }
})

test('another rule while clients write: by hash, then by lists, then by ranges, and back to the lists', async t => {
  const harness = await started(t)
  const random = seededRandom(Date.now() % 1e9)
  const work = load(harness, () => random.float())
  const values = Array.from({ length: 50 }, (_, at) => String(at + 1))
  await harness.begin({
    kind: 'rule',
    family: 'accounts',
    rule: { by: 'list', lists: [{ values, shard: 1 }], otherwise: 0 },
  })
  await harness.reach('reversible')
  await sleep(300)
  assert.equal(harness.executor.wish('finish'), null)
  await harness.reach('done')
  assert.equal(harness.map().families.accounts?.rule.by, 'list')
  await harness.begin({
    kind: 'rule',
    family: 'accounts',
    rule: {
      by: 'range',
      ranges: [
        { from: null, shard: 0 },
        { from: '26', shard: 1 },
        { from: '150', shard: 0 },
      ],
    },
  })
  await harness.reach('reversible')
  await sleep(300)
  assert.equal(harness.executor.wish('rollBack'), null)
  await harness.reach('rolled-back')
  await harness.executor.stop()
  const { transfers, refused } = await work.stop()
  assert.deepEqual(refused, [])
  assert.ok(transfers > 0)
  assert.deepEqual(await tidy(harness), [150, 50, 0])
  assert.deepEqual(await harness.left(), [])
})
