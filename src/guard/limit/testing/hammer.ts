// A thread of tests: hammers keys of the tables that it is given, until it is told to stop or is killed, and counts in
// memory of its own what it got.

import { threadContext } from '../../../io/threads.ts'
import { limitOutcome, limitRule } from '../../../policy/limit/index.ts'
import { ConcurrencyTable } from '../concurrency-table.ts'
import { LimitTable } from '../limit-table.ts'

export interface HammerWork {
  readonly worker: number
  readonly workers: number
  readonly entries: number
  readonly table: SharedArrayBuffer
  readonly concurrency: SharedArrayBuffer
  /** [0] go, [1] stop; then one count of passes a key and worker. */
  readonly counts: SharedArrayBuffer
  readonly keys: number
  readonly amount: number
  /** `rotate`: another key each time, so that entries change hands all the time. */
  readonly kind: 'take' | 'rotate' | 'hold'
}

/** So long that no thread's time outruns it. */
export const takePerMs: number = 1_000 * 86_400_000

/** Same for all: where a key lies is theirs to choose here. */
export const keyOf = (key: number): { low: number; high: number } => ({
  low: Math.imul(key + 1, 0x9e3779b1),
  high: Math.imul(key + 1, 0x85ebca6b),
})
export const overflowKey: { low: number; high: number } = { low: 77, high: 99 }

if (isThread()) run(threadContext<HammerWork>().data)

function isThread(): boolean {
  try {
    return 'kind' in threadContext<object>().data
  } catch {
    return false
  }
}

function run(work: HammerWork): void {
  const counts = new Int32Array(work.counts)
  const size = { entries: work.entries, workers: work.workers }
  const table = new LimitTable(work.table, size, work.worker)
  const concurrency = new ConcurrencyTable(work.concurrency, size, work.worker)
  Atomics.wait(counts, 0, 0, 20_000)
  if (work.kind === 'hold') hold(work, concurrency, counts)
  else take(work, table, counts)
}

function take(work: HammerWork, table: LimitTable, counts: Int32Array): void {
  const rule = limitRule({ algorithm: 'gcra', amount: work.amount, perMs: takePerMs, burst: work.amount })
  const out = limitOutcome()
  const from = 2 + work.worker * work.keys
  // One moment for all: nothing flows back.
  const now = 1_000_000_000_000
  let refusedInRow = 0
  for (let i = 0; Atomics.load(counts, 1) === 0; i++) {
    if (work.kind === 'rotate') {
      // Idle after two and a half seconds of table time, which runs with `i`.
      const quick = limitRule({ algorithm: 'gcra', amount: 1, perMs: 1_000, burst: 1 })
      table.take(
        { rule: quick, overflow: overflowKey },
        keyOf(i * work.workers + work.worker),
        now + i * 50_000,
        1,
        1,
        out,
      )
      continue
    }
    const key = i % work.keys
    if (table.take({ rule, overflow: overflowKey }, keyOf(key), now, 1, 1, out)) {
      counts[from + key] = counts[from + key]! + 1
      refusedInRow = 0
    } else if (++refusedInRow > work.keys * 3) break
  }
}

function hold(work: HammerWork, concurrency: ConcurrencyTable, counts: Int32Array): void {
  const held: number[] = []
  const from = 2 + work.worker * work.keys
  for (let i = 0; Atomics.load(counts, 1) === 0; i++) {
    const row = concurrency.acquire(keyOf((i * 7) % work.keys), 1 + (i % 2), work.amount)
    if (row >= 0) held.push(row)
    if (row < 0 || held.length > 20) {
      const one = held.shift()
      if (one !== undefined) concurrency.release(one)
    }
    counts[from] = i
  }
  for (const row of held) concurrency.release(row)
}
