// The published examples of the autoscaler, its rules about those that start or say nothing, windows, steps, schedules; and
// what holds for whatever comes.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decideScale,
  newScaleState,
  type ScaleObservation,
  type ScalePlan,
  type ScaleState,
} from './scale.ts'
import type { ScaleSettings } from './settings.ts'

const second = 1_000_000
const settings: ScaleSettings = {
  min: 1,
  max: 100,
  metrics: [{ kind: 'cpu', target: 0.5 }],
  syncMs: 15_000,
  warmupMs: 30_000,
  up: {
    tolerance: 0.1,
    stabilisationMs: 0,
    steps: [
      { by: 'share', amount: 1, periodMs: 15_000 },
      { by: 'count', amount: 4, periodMs: 15_000 },
    ],
    select: 'most',
  },
  down: {
    tolerance: 0.1,
    stabilisationMs: 300_000,
    steps: [{ by: 'share', amount: 1, periodMs: 15_000 }],
    select: 'most',
  },
  schedule: [],
  downsPerHourMax: null,
}
const free: ScaleSettings = {
  ...settings,
  up: { ...settings.up, steps: [] },
  down: { ...settings.down, stabilisationMs: 0, steps: [] },
}

function instances(count: number, ...values: (number | null)[]): ScaleObservation[] {
  return Array.from({ length: count }, () => ({ readySinceUs: -1_000 * second, values }))
}

function plan(
  current: number,
  seen: readonly ScaleObservation[],
  with_: Partial<ScaleSettings> = {},
): ScalePlan {
  return decideScale(0, 0, current, seen, newScaleState, { ...free, ...with_ })[1]
}

function wanted(
  current: number,
  seen: readonly ScaleObservation[],
  with_: Partial<ScaleSettings> = {},
): number {
  const decided = plan(current, seen, with_)
  return decided.kind === 'resize' ? decided.to : current
}

test('desired = ceil(instances x metric / target), as documented: twice the target doubles, half of it halves', () => {
  assert.equal(wanted(4, instances(4, 1)), 8)
  assert.equal(wanted(4, instances(4, 0.25)), 2)
  assert.equal(wanted(3, instances(3, 0.6)), 4)
  assert.equal(wanted(1, instances(1, 0.9)), 2)
})

test('within the tolerance nothing is done, exactly at it neither; each direction has its own', () => {
  assert.equal(wanted(10, instances(10, 0.55)), 10)
  assert.equal(wanted(10, instances(10, 0.551)), 12)
  assert.equal(wanted(10, instances(10, 0.45)), 10)
  assert.equal(wanted(10, instances(10, 0.55), { up: { ...free.up, tolerance: 0 } }), 11)
  assert.equal(wanted(10, instances(10, 0.3), { down: { ...free.down, tolerance: 0.5 } }), 10)
})

test('of several metrics the one that wants most counts', () => {
  const metrics = [
    { kind: 'cpu', target: 0.5 },
    { kind: 'inFlight', target: 10 },
  ] as const
  assert.equal(wanted(4, instances(4, 0.5, 30), { metrics }), 12)
  assert.equal(wanted(4, instances(4, 0.1, 10), { metrics }), 4)
})

test('a metric that nobody tells forbids going down, not going up', () => {
  const metrics = [
    { kind: 'cpu', target: 0.5 },
    { kind: 'rate', target: 10 },
  ] as const
  assert.equal(wanted(4, instances(4, 0.1, null), { metrics }), 4)
  assert.equal(wanted(4, instances(4, 1, null), { metrics }), 8)
  assert.match(plan(4, instances(4, 0.1, null), { metrics }).why, /not all metrics are known/)
})

test('who says nothing counts as idle on the way up and as at the target on the way down', () => {
  // Three at 90 % and one silent: (3 x 0.9 + 0) / 4 / 0.5 = 1.35 -> ceil(5.4).
  assert.equal(wanted(4, [...instances(3, 0.9), ...instances(1, null)]), 6)
  // Three at 10 % and one silent: (0.3 + 0.5) / 4 / 0.5 = 0.4 -> 2.
  assert.equal(wanted(4, [...instances(3, 0.1), ...instances(1, null)]), 2)
})

test('the work of starting scales nothing up: who is not warm counts as idle', () => {
  const cold: ScaleObservation = { readySinceUs: -10 * second, values: [1] }
  // Without the rule: (3 x 0.5 + 1) / 4 = 0.625 -> 5.
  assert.equal(wanted(4, [...instances(3, 0.5), cold]), 4)
  const starting: ScaleObservation = { readySinceUs: null, values: [null] }
  // Two at 90 %: with the two that start 1.8 / 4 = 0.45 of 0.5: they will do.
  assert.equal(wanted(4, [...instances(2, 0.9), starting, starting]), 4)
})

test('upwards at most twice as many or four more in 15 s, whichever is more; downwards after five minutes of less', () => {
  let state: ScaleState = newScaleState
  let current = 1
  const steps: number[] = []
  for (let at = 0; at < 5; at++) {
    const [next, decided] = decideScale(at * 15 * second, 0, current, instances(current, 5), state, settings)
    state = next
    if (decided.kind === 'resize') current = decided.to
    steps.push(current)
  }
  assert.deepEqual(steps, [5, 10, 20, 40, 80])
  const quietFrom = 5
  let wentDownAt = -1
  for (let at = quietFrom; at < 40 && wentDownAt < 0; at++) {
    const [next, decided] = decideScale(
      at * 15 * second,
      0,
      current,
      instances(current, 0.05),
      state,
      settings,
    )
    state = next
    if (decided.kind === 'resize') wentDownAt = (at - quietFrom + 1) * 15
  }
  assert.ok(wentDownAt >= 300 && wentDownAt <= 330, `${wentDownAt} s`)
})

test('load that goes up and down within the window does not flap', () => {
  let state: ScaleState = newScaleState
  let current = 10
  let changes = 0
  for (let at = 0; at < 200; at++) {
    const busy = at % 4 < 2 ? 0.7 : 0.3
    const total = busy * 10
    const [next, decided] = decideScale(
      at * 15 * second,
      0,
      current,
      instances(current, total / current),
      state,
      settings,
    )
    state = next
    if (decided.kind === 'resize') {
      current = decided.to
      changes++
    }
  }
  assert.ok(changes <= 2, `${changes} changes`)
})

test('a schedule gives other bounds for its time, over midnight too', () => {
  const schedule = [{ days: [1, 2, 3, 4, 5], fromMinute: 22 * 60, toMinute: 2 * 60, min: 20, max: 30 }]
  const at = (iso: string): number => {
    const decided = decideScale(0, Date.parse(iso), 4, instances(4, 0.5), newScaleState, {
      ...free,
      schedule,
    })[1]
    return decided.kind === 'resize' ? decided.to : 4
  }
  // 2026-11-20 is a Friday.
  assert.equal(at('2026-11-20T21:59:00Z'), 4)
  assert.equal(at('2026-11-20T22:00:00Z'), 20)
  assert.equal(at('2026-11-21T01:59:00Z'), 20)
  assert.equal(at('2026-11-21T22:30:00Z'), 4)
})

test('ways down are bounded by the hour, ways up never', () => {
  const few = { ...free, downsPerHourMax: 1 }
  const [state, first] = decideScale(0, 0, 8, instances(8, 0.25), newScaleState, few)
  assert.equal(first.kind, 'resize')
  const [, second_] = decideScale(60 * second, 0, 4, instances(4, 0.25), state, few)
  assert.match(second_.why, /went down 1 times within an hour/)
  const [, up] = decideScale(120 * second, 0, 4, instances(4, 1), state, few)
  assert.equal(up.kind, 'resize')
})

test('whatever is seen: within bounds, nothing without knowledge, and never down when a metric is above its target', () => {
  const value = fc.option(fc.double({ min: 0, max: 50, noNaN: true }), { nil: null })
  const seen = fc.array(
    fc.record({
      readySinceUs: fc.option(fc.integer({ min: -1_000 * second, max: 0 }), { nil: null }),
      values: fc.tuple(value, value),
    }),
    { minLength: 1, maxLength: 40 },
  )
  fc.assert(
    fc.property(seen, fc.integer({ min: 0, max: 1e9 }), (list, wallMs) => {
      const with_: ScaleSettings = {
        ...settings,
        min: 2,
        max: 30,
        metrics: [
          { kind: 'cpu', target: 0.5 },
          { kind: 'inFlight', target: 10 },
        ],
      }
      const current = list.length
      const [state, decided] = decideScale(0, wallMs, current, list, newScaleState, with_)
      const to = decided.kind === 'resize' ? decided.to : current
      if (decided.kind === 'resize') assert.ok(to >= 2 && to <= 30 && to !== current)
      assert.ok(decided.why.length > 0 && state.wanted.length === 1)
      const isUnknown = list.every(({ values }) => values[0] === null && values[1] === null)
      if (isUnknown && current >= 2 && current <= 30) assert.equal(to, current)
      const above = list.every(({ values, readySinceUs }) => readySinceUs !== null && (values[1] ?? 0) > 11)
      if (above && current >= 2 && current <= 30) assert.ok(to >= current)
    }),
    { numRuns: 500 },
  )
})
