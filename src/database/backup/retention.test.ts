// What can go, and the way through the log that a restore takes: over values, without files.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BaseBackup } from './base.ts'
import type { KeptSegment } from './log-archive.ts'
import { dispensable } from './retention.ts'
import { historyOf, segmentName } from './segments.ts'
import { segmentsOn, wayFrom } from './staging.ts'

const size = 16 * 1024 * 1024
const archive = {
  segmentBytes: size,
  nameOf: (one: { timeline: number; number: number }) => segmentName(one, size),
}

const base = (timeline: number, segment: number): BaseBackup => ({
  name: `base-${segment}`,
  database: 'main',
  systemId: '1',
  timeline,
  startLsn: segment * size + 40,
  stopLsn: segment * size + 240,
  startedAtMs: segment,
  endedAtMs: segment,
  postgres: '18.4',
  segmentBytes: size,
  preparedMax: 64,
  bytes: 1,
  packedBytes: 1,
  sha256: '',
})

const kept = (timeline: number, from: number, to: number, growing?: number): KeptSegment[] =>
  Array.from({ length: to - from }, (_, index) => ({
    timeline,
    number: from + index,
    finished: from + index !== growing,
    bytes: 1,
    modifiedMs: 0,
  }))

const named = (list: readonly KeptSegment[]): string[] => list.map(one => `${one.timeline}/${one.number}`)

test('the newest base backups stay, and the log from the oldest of them on, on every timeline', () => {
  const log = [...kept(1, 0, 9), ...kept(2, 8, 20)]
  const bases = [base(1, 2), base(1, 6), base(2, 12)]
  const plan = dispensable(bases, log, 2, size)
  assert.deepEqual(plan.bases, [bases[0]])
  assert.deepEqual(named(plan.segments), named(kept(1, 0, 6)))
  assert.deepEqual(dispensable(bases, log, 5, size).bases, [])
  assert.deepEqual(named(dispensable(bases, log, 5, size).segments), ['1/0', '1/1'])
})

test('without a base backup nothing goes', () => {
  assert.deepEqual(dispensable([], kept(1, 0, 9), 1, size), { bases: [], segments: [] })
})

test('a restore goes on with the newest timeline that its base backup leads to', () => {
  // Timeline 2 was left for 3 at segment 5; timeline 4 began before the base backup on 2 was taken.
  const histories = new Map([
    [2, `1\t0/3000000\tx`],
    [3, `1\t0/3000000\tx\n2\t0/5000100\ty`],
    [4, `1\t0/3000000\tx\n2\t0/3800000\tz`],
  ])
  assert.deepEqual(
    wayFrom(base(2, 4), histories).map(step => step.timeline),
    [1, 2, 3],
  )
  assert.deepEqual(
    wayFrom(base(7, 4), histories).map(step => step.timeline),
    [7],
    'a timeline that nobody knows stands alone',
  )
})

test('the segment of a switch is taken from the newer timeline, and from the older only as far as it goes', () => {
  const way = historyOf(3, '2\t0/5000100\ty')
  const log = [...kept(2, 4, 7, 5), ...kept(3, 5, 8, 7)]
  const { segments, problem } = segmentsOn(way, base(2, 4), archive, log)
  assert.deepEqual(named(segments), ['2/4', '2/5', '3/5', '3/6', '3/7'])
  assert.equal(problem, '')
  const without = segmentsOn(way, base(2, 4), archive, [...kept(2, 4, 5), ...kept(3, 5, 8)])
  assert.deepEqual(named(without.segments), ['2/4', '3/5', '3/6', '3/7'])
  assert.equal(without.problem, '')
})

test('the way ends before the first segment that is missing', () => {
  const log = kept(1, 4, 10).filter(one => one.number !== 7)
  const { segments, problem } = segmentsOn(historyOf(1, ''), base(1, 4), archive, log)
  assert.deepEqual(named(segments), ['1/4', '1/5', '1/6'])
  assert.match(problem, /segment 000000010000000000000007 is missing/)
})
