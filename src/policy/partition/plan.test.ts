// Partitions that roll forward: no gap, no overlap, nothing made twice; months and leap years; what somebody else made.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { type FoundPartition, type PartitionSpec, partitionPeriods } from './contract.ts'
import { laterStart, periodName, startOf, timeOf, timeText } from './periods.ts'
import { partitionName, planPartitions } from './plan.ts'

const us = (text: string): number => Date.parse(text) * 1_000
const monthly: PartitionSpec = {
  table: 'public.events',
  rule: { by: 'time', column: 'at', every: 'month' },
  ahead: 2,
  keep: 2,
  old: 'drop',
}

const found = (plan: ReturnType<typeof planPartitions>): FoundPartition[] =>
  plan.make.map(({ name, range }) => ({
    kind: 'range',
    name,
    from: range?.from ?? 0,
    to: range?.to ?? 0,
  }))

test('the month of now and those ahead, with bounds in UTC', () => {
  const plan = planPartitions(monthly, [], us('2026-11-23T12:00:00Z'))
  assert.deepEqual(
    plan.make.map(({ name, bounds }) => [name, bounds]),
    [
      ['events_p2026_11', "FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')"],
      ['events_p2026_12', "FROM ('2026-12-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')"],
      ['events_p2027_01', "FROM ('2027-01-01 00:00:00+00') TO ('2027-02-01 00:00:00+00')"],
    ],
  )
  assert.deepEqual(planPartitions(monthly, found(plan), us('2026-11-30T23:59:59Z')).make, [])
})

test('periods against the calendar of JavaScript: each begins where the one before ends, over five centuries', () => {
  const random = seededRandom(11)
  const units = { hour: 13, day: 10, month: 7, year: 4 } as const
  for (let round = 0; round < 4_000; round++) {
    // Exact in a double.
    const at = Math.floor(us('1700-01-01T00:00:00Z') + random.float() * 500 * 365 * 86_400e6)
    const iso = new Date(Math.floor(at / 1_000)).toISOString()
    for (const period of partitionPeriods) {
      const start = startOf(period, at)
      const next = laterStart(period, start, 1)
      assert.ok(start <= at && at < next, `${period} ${iso}`)
      assert.equal(startOf(period, next), next)
      assert.equal(startOf(period, next - 1), start)
      assert.equal(laterStart(period, next, -1), start)
      if (period === 'week') assert.equal(new Date(start / 1_000).getUTCDay(), 1)
      else {
        const kept = iso.slice(0, units[period])
        assert.equal(new Date(start / 1_000).toISOString().slice(0, units[period]), kept)
        assert.equal(periodName(period, start), kept.replaceAll(/[-T]/g, '_'))
      }
      assert.equal(timeOf(timeText(start)), start)
    }
  }
  assert.equal(timeOf('2026-03-29 01:02:03.5+00'), us('2026-03-29T01:02:03.500Z'))
  assert.equal(timeOf('2024-02-29'), us('2024-02-29T00:00:00Z'))
  assert.equal(timeOf('infinity'), null)
})

test('rolled for years, by any length, at any pace: what is now and ahead is always there, once; what is old goes', () => {
  const random = seededRandom(5)
  for (const every of partitionPeriods) {
    const spec: PartitionSpec = { ...monthly, rule: { by: 'time', column: 'at', every }, ahead: 3, keep: 4 }
    let there: FoundPartition[] = []
    let at = us('2019-12-30T23:00:00Z')
    const length = laterStart(every, 0, 1)
    for (let round = 0; round < 300; round++) {
      const plan = planPartitions(spec, there, at)
      assert.deepEqual(plan.troubles, [])
      const gone = new Set(plan.remove)
      there = [...there, ...found(plan)].filter(({ name }) => !gone.has(name))
      const ranges = there.flatMap(one => (one.kind === 'range' ? [one] : []))
      ranges.sort((one, other) => one.from - other.from)
      for (const [index, one] of ranges.entries())
        assert.ok(index === 0 || one.from >= (ranges[index - 1]?.to ?? 0), 'no overlap')
      const first = startOf(every, at)
      for (let count = 0; count <= 3; count++) {
        const from = laterStart(every, first, count)
        assert.ok(ranges.some(one => one.from <= from && one.to >= laterStart(every, from, 1)))
      }
      assert.ok(ranges.every(one => one.to > laterStart(every, first, -4)))
      assert.equal(new Set(there.map(({ name }) => name)).size, there.length)
      at += Math.floor(random.float() * 2 * length)
    }
  }
})

test('what somebody else made counts: covered is covered, a part is said', () => {
  const quarter: FoundPartition = {
    kind: 'range',
    name: 'q4',
    from: us('2026-10-01T00:00:00Z'),
    to: us('2027-01-01T00:00:00Z'),
  }
  const old: FoundPartition = { kind: 'range', name: 'old', from: -Infinity, to: quarter.from }
  const at = us('2026-11-05T00:00:00Z')
  const plan = planPartitions(monthly, [old, quarter], at)
  assert.deepEqual(
    plan.make.map(({ name }) => name),
    ['events_p2027_01'],
  )
  assert.deepEqual(plan.remove, [])
  const half: FoundPartition = { ...quarter, name: 'half', to: us('2026-12-15T00:00:00Z') }
  const other = planPartitions(monthly, [half], at)
  assert.match(other.troubles[0] ?? '', /half has a part of what p2026_12 would have/)
  assert.deepEqual(
    other.make.map(({ name }) => name),
    ['events_p2027_01'],
  )
  const taken = planPartitions(monthly, [{ ...quarter, name: 'events_p2027_01' }], at)
  assert.match(taken.troubles[0] ?? '', /events_p2027_01 is there with other bounds/)
  assert.deepEqual(
    planPartitions(monthly, [{ ...quarter, from: -Infinity, to: us('2026-08-01T00:00:00Z') }], at).remove,
    ['q4'],
  )
})

test('steps of integers, negative ones too; hash partitions are made once and never rearranged', () => {
  const spec: PartitionSpec = {
    ...monthly,
    table: 'shop.rows',
    rule: { by: 'step', column: 'id', step: 1_000 },
    ahead: 1,
    keep: null,
  }
  assert.deepEqual(
    planPartitions(spec, [], 5_999).make.map(({ name, bounds }) => [name, bounds]),
    [
      ['rows_p5000', "FROM ('5000') TO ('6000')"],
      ['rows_p6000', "FROM ('6000') TO ('7000')"],
    ],
  )
  assert.deepEqual(
    planPartitions(spec, [], -1).make.map(({ name }) => name),
    ['rows_pm1000', 'rows_p0'],
  )
  const hash: PartitionSpec = { ...spec, rule: { by: 'hash', column: 'id', count: 3 } }
  const one: FoundPartition = { kind: 'hash', name: 'rows_h1', modulus: 3, remainder: 1 }
  assert.deepEqual(
    planPartitions(hash, [one], 0).make.map(({ name, bounds }) => [name, bounds]),
    [
      ['rows_h0', 'WITH (MODULUS 3, REMAINDER 0)'],
      ['rows_h2', 'WITH (MODULUS 3, REMAINDER 2)'],
    ],
  )
  const four = planPartitions({ ...hash, rule: { by: 'hash', column: 'id', count: 4 } }, [one], 0)
  assert.deepEqual(four.make, [])
  assert.match(four.troubles[0] ?? '', /rows_h1 is one of 3, and the file says 4/)
})

test('names fit, in bytes', () => {
  const name = partitionName(`public.${'ü'.repeat(40)}`, 'p2026_11')
  assert.ok(new TextEncoder().encode(name).length <= 63)
  assert.match(name, /^ü+_p2026_11$/)
})
