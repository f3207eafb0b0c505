// What a trial says of a candidate, and which tables ask to be cut.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IndexCandidate, IndexTrial, StatementUse, TableFacts } from './contract.ts'
import { partitionAdvice } from './partitions.ts'
import { judgeIndex } from './trials.ts'

const candidate: IndexCandidate = {
  table: 'public.orders',
  columns: ['customer'],
  statements: [
    { text: 'a', calls: 10, totalMs: 900 },
    { text: 'b', calls: 10, totalMs: 100 },
  ],
}
const trial = (...statements: IndexTrial['statements'][number][]): IndexTrial => ({
  rows: 1_000,
  statements,
  insertUs: { before: 1, after: 2 },
  bytesPerRow: 20,
})

test('a gain is weighed by the time that statements take', () => {
  const a = { text: 'a', before: 1_000, after: 10, used: true }
  const verdict = judgeIndex(candidate, trial(a, { text: 'b', before: 50, after: 50, used: false }))
  assert.ok(verdict !== null && Math.abs(verdict.left - 0.109) < 1e-9)
  assert.ok(Math.abs((verdict?.savedMs ?? 0) - 891) < 1e-9)
  // Only the cheap one gains.
  const b = { text: 'b', before: 50, after: 1, used: true }
  assert.equal(judgeIndex(candidate, trial({ ...a, after: 1_000, used: false }, b)), null)
  // What was not tried says nothing.
  assert.equal(judgeIndex(candidate, trial(b))?.left, 0.02)
  // A plan that is cheaper for another reason does not count.
  assert.equal(judgeIndex(candidate, trial({ ...a, used: false })), null)
  assert.equal(judgeIndex(candidate, trial({ ...a, after: 2_000 })), null)
  assert.equal(judgeIndex({ ...candidate, statements: [] }, trial(a)), null)
})

test('large tables that are read or emptied by time', () => {
  const table = (bytes: number, spanDays: number | null): TableFacts => ({
    table: 'public.events',
    rows: 1e9,
    bytes,
    writes: 1,
    indexes: [],
    columns: [
      { name: 'id', distinct: 1e9, ordered: true },
      { name: 'at', distinct: 1e9, ordered: true, spanDays },
    ],
  })
  const use = (range: readonly string[], calls: number, deletes?: true): StatementUse => ({
    text: 'x',
    calls,
    totalMs: 1,
    uses: [{ table: 'public.events', equal: [], range, order: [], ...(deletes ? { deletes } : {}) }],
  })
  const everyOf = (bytes: number, spanDays: number | null, ...uses: StatementUse[]): string[] =>
    partitionAdvice(uses, [table(bytes, spanDays)]).map(one => `${one.column} ${one.every}`)
  const G = 2 ** 30
  assert.deepEqual(everyOf(100 * G, 365, use(['at'], 1, true)), ['at week'])
  assert.deepEqual(everyOf(20 * G, 365, use(['at'], 50)), ['at month'])
  assert.deepEqual(everyOf(2_000 * G, 365, use(['at'], 50)), ['at day'])
  assert.deepEqual(everyOf(20 * G, 3_650, use(['at'], 50)), ['at year'])
  assert.deepEqual(everyOf(2 * G, 365, use(['at'], 50)), [])
  assert.deepEqual(everyOf(20 * G, null, use(['at'], 50)), [])
  assert.deepEqual(everyOf(20 * G, 365, use(['id'], 50)), [])
  // One in a thousand names a span.
  assert.deepEqual(everyOf(20 * G, 365, use(['at'], 1), use([], 999)), [])
  assert.deepEqual(everyOf(20 * G, 365, use(['at'], 1, true), use([], 999)), ['at month'])
  assert.deepEqual(
    partitionAdvice([use(['at'], 1, true)], [{ ...table(20 * G, 365), partitioned: true }]),
    [],
  )
})
