import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startThread, type Worker } from '../../io/threads.ts'
import { seededRandom } from '../../kit/random.ts'
import { limitOutcome, limitRule } from '../../policy/limit/index.ts'
import { ConcurrencyTable, concurrencyTableBytes } from './concurrency-table.ts'
import { entriesPerBucket, tableCounts } from './keyed-table.ts'
import { LimitTable, limitTableBytes } from './limit-table.ts'
import { type HammerWork, keyOf, overflowKey, takePerMs } from './testing/hammer.ts'

const HOUR = 3_600_000
const now = 1_000_000_000_000

interface Stage {
  readonly table: LimitTable
  readonly concurrency: ConcurrencyTable
  readonly counts: Int32Array
  start(worker: number, kind: HammerWork['kind']): Promise<Worker>
  go(): void
  stop(): void
  passed(key: number): number
}

function stage(t: TestContext, workers: number, keys: number, amount: number, entries = 1_024): Stage {
  const table = new SharedArrayBuffer(limitTableBytes({ entries, workers }))
  const concurrency = new SharedArrayBuffer(concurrencyTableBytes({ entries, workers }))
  const counts = new SharedArrayBuffer((2 + workers * keys) * 4)
  const cells = new Int32Array(counts)
  const threads: Worker[] = []
  t.after(async () => {
    await Promise.all(threads.map(thread => thread.terminate()))
  })
  return {
    table: new LimitTable(table, { entries, workers }, workers),
    concurrency: new ConcurrencyTable(concurrency, { entries, workers }, workers),
    counts: cells,
    start: async (worker, kind) => {
      const work: HammerWork = { worker, workers, entries, table, concurrency, counts, keys, amount, kind }
      const thread = startThread(import.meta.url, './testing/hammer', work)
      threads.push(thread)
      await once(thread, 'online')
      return thread
    },
    go: () => {
      Atomics.store(cells, 0, 1)
      Atomics.notify(cells, 0)
    },
    stop: () => Atomics.store(cells, 1, 1),
    passed: key =>
      Array.from({ length: workers }, (_, worker) => cells[2 + worker * keys + key]!).reduce((a, b) => a + b),
  }
}

const gcra = (amount: number): { rule: ReturnType<typeof limitRule>; overflow: typeof overflowKey } => ({
  rule: limitRule({ algorithm: 'gcra', amount, perMs: HOUR, burst: amount }),
  overflow: overflowKey,
})
const out = limitOutcome()

test('sixteen threads that hammer one key get exactly its burst between them', async t => {
  const { start, go, passed } = stage(t, 16, 1, 20_000)
  const threads = await Promise.all(Array.from({ length: 16 }, (_, worker) => start(worker, 'take')))
  const ended = threads.map(thread => once(thread, 'exit'))
  go()
  await Promise.all(ended)
  assert.equal(passed(0), 20_000)
})

test('threads that meet a hundred keys for the first time at once make one entry of each', async t => {
  for (let round = 0; round < 5; round++) {
    const { start, go, passed, table } = stage(t, 4, 100, 3, 1_024)
    const threads = await Promise.all(Array.from({ length: 4 }, (_, worker) => start(worker, 'take')))
    const ended = threads.map(thread => once(thread, 'exit'))
    go()
    await Promise.all(ended)
    for (let key = 0; key < 100; key++) assert.equal(passed(key), 3, `key ${key}`)
    const seen = new Set<string>()
    table.table.each((_entry, low, high) => {
      assert.ok(!seen.has(`${low} ${high}`))
      seen.add(`${low} ${high}`)
    })
    assert.equal(seen.size, 100)
  }
})

test('a thread that is killed in the middle leaves nothing locked and nothing counted twice', async t => {
  const random = seededRandom(Date.now() & 0xffff)
  const { start, go, passed, table, stop } = stage(t, 5, 8, 2_000_000, 64)
  const rule = limitRule({ algorithm: 'gcra', amount: 2_000_000, perMs: takePerMs, burst: 2_000_000 })
  const limit = { rule, overflow: overflowKey }
  const before = 100_000
  for (let key = 0; key < 8; key++) table.debit(limit, keyOf(key), now, before)
  for (let worker = 0; worker < 3; worker++) await start(worker, 'take')
  const rotating = await Promise.all([start(3, 'rotate'), start(4, 'rotate')])
  go()
  for (let kills = 0; kills < 8; kills++) {
    await sleep(5 + random.below(20))
    await rotating[kills % 2]!.terminate()
    rotating[kills % 2] = await start(3 + (kills % 2), 'rotate')
  }
  const victim = await start(0, 'take')
  await sleep(5)
  await victim.terminate()
  stop()
  // Whoever died between the exchange and his own count took one that he did not tell of.
  for (let key = 0; key < 8; key++) {
    let rest = before
    while (table.take(limit, keyOf(key), now, 1_000, 1, out)) rest += 1_000
    while (table.take(limit, keyOf(key), now, 1, 1, out)) rest++
    const sum = passed(key) + rest
    assert.ok(sum <= 2_000_000 && sum >= 2_000_000 - 9, `key ${key}: ${passed(key)} + ${rest}`)
  }
  // No bucket is stuck: a day later every entry is idle, and any key finds a place.
  for (let key = 1_000; key < 1_200; key++)
    assert.ok(
      table.take(gcra(1), keyOf(key), now + (takePerMs * 3 + key * HOUR) * 1_000, 1, 1, out),
      `key ${key}`,
    )
})

test('entries that still limit are never given away; who finds no place shares one, and that limits too', t => {
  const { table } = stage(t, 1, 1, 1, 64)
  const limit = gcra(1)
  let passed = 0
  const lowOf = (key: number): { low: number; high: number } => ({
    low: key * 64,
    high: Math.imul(key + 1, 0x85ebca6b),
  })
  // All in one bucket of 16.
  for (let key = 0; key < 100; key++) if (table.take(limit, lowOf(key), now, 1, 1, out)) passed++
  assert.equal(passed, entriesPerBucket + 1)
  for (let key = 0; key < 100; key++) assert.ok(!table.take(limit, lowOf(key), now, 1, 1, out))
  assert.ok(table.table.head[tableCounts.full]! > 0)
  // When they have become idle, new ones take their places.
  const later = now + (HOUR + 2_000) * 1_000
  for (let key = 100; key < 100 + entriesPerBucket; key++)
    assert.ok(table.take(limit, lowOf(key), later, 1, 1, out))
  assert.equal(table.live(later), entriesPerBucket)
})

test('the entry that has been idle longest gives way first', t => {
  const { table } = stage(t, 1, 1, 1, 16)
  const limit = {
    rule: limitRule({ algorithm: 'gcra', amount: 1, perMs: 10_000, burst: 1 }),
    overflow: overflowKey,
  }
  for (let key = 0; key < 16; key++) table.take(limit, keyOf(key), now + key * 1_000_000, 1, 1, out)
  table.take(limit, keyOf(100), now + 3_600_000_000, 1, 1, out)
  assert.equal(table.table.find(keyOf(0).low, keyOf(0).high), -1)
  assert.ok(table.table.find(keyOf(1).low, keyOf(1).high) >= 0)
})

test('looking counts nothing, giving back and counting afterwards do', t => {
  const { table } = stage(t, 1, 1, 1)
  const limit = gcra(3)
  const key = keyOf(5)
  for (let i = 0; i < 10; i++) assert.ok(table.look(limit, key, now, 1, 1, out))
  assert.ok(table.take(limit, key, now, 2, 1, out))
  table.refund(limit, key, now, 2, 1)
  assert.ok(table.take(limit, key, now, 3, 1, out))
  table.debit(limit, key, now, 2)
  assert.ok(!table.look(limit, key, now, 1, 1, out))
  // Five units of three an hour: two thirds of an hour of debt, and a third for the next one.
  assert.equal(Math.round(out.retryAfterUs / 1_000), HOUR)
  table.forget(limit, key, now)
  assert.ok(table.take(limit, key, now, 3, 1, out))
})

test('concurrency over threads never exceeds its limit, and all is given back in the end', async t => {
  const { start, go, stop, concurrency, counts } = stage(t, 4, 3, 10)
  const threads = await Promise.all(Array.from({ length: 4 }, (_, worker) => start(worker, 'hold')))
  const ended = threads.map(thread => once(thread, 'exit'))
  go()
  while (counts[2 + 3 * 3]! < 3_000) {
    concurrency.table.each((_entry, _low, _high, state) => assert.ok(Math.floor(state / 2 ** 32) <= 10))
    await sleep(1)
  }
  stop()
  await Promise.all(ended)
  assert.equal(concurrency.underWay, 0)
})

test('what a killed worker held is settled to the last request, wherever it died', async t => {
  const random = seededRandom(Date.now() & 0xffff)
  const { start, go, stop, concurrency, counts } = stage(t, 3, 3, 40)
  const lasting = await Promise.all([start(0, 'hold'), start(1, 'hold')])
  const ended = lasting.map(thread => once(thread, 'exit'))
  go()
  for (let kills = 0; kills < 15; kills++) {
    counts[2 + 2 * 3] = 0
    const victim = await start(2, 'hold')
    while (counts[2 + 2 * 3]! < 50) await sleep(1)
    await sleep(random.below(4))
    await victim.terminate()
    concurrency.settle(2)
  }
  stop()
  await Promise.all(ended)
  assert.equal(concurrency.underWay, 0)
})

test('a worker that holds as much as its ledger can is refused more, and its own come back', t => {
  const { concurrency } = stage(t, 1, 1, 1)
  const rows = [1, 2, 3].map(() => concurrency.acquire(keyOf(1), 1, 3))
  assert.deepEqual(rows, [0, 1, 2])
  assert.equal(concurrency.acquire(keyOf(1), 1, 3), -1)
  concurrency.release(rows[1]!)
  assert.equal(concurrency.acquire(keyOf(1), 1, 3), 1)
  assert.equal(concurrency.inUse, 3)
  assert.equal(concurrency.underWay, 3)
})
