// Chance: laws of times, popularity, arrivals, against their moments and shares.

import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import type { CheckedArrivalShape } from '../../file/checked-rehearsals.ts'
import type { CheckedTime } from '../../file/checked-workload.ts'
import { Arrivals, never } from './arrivals.ts'
import { Law } from './laws.ts'
import { Zipf } from './popularity.ts'
import { Stream } from './streams.ts'

function near(value: number, wanted: number, share: number, what: string): void {
  assert.ok(Math.abs(value / wanted - 1) <= share, `${what}: ${value} instead of ${wanted}`)
}

test('laws have the mean and the variation that they say, and draws have them too', () => {
  const laws: CheckedTime[] = [
    { kind: 'fixed', us: 700 },
    { kind: 'exponential', meanUs: 700 },
    { kind: 'log-normal', meanUs: 700, sigma: 0.8 },
    { kind: 'measured', shares: [0.5, 0.9, 1], boundsUs: [400, 1_000, 5_000] },
    { kind: 'measured', shares: [0, 0.5, 1], boundsUs: [300, 400, 1_000] },
  ]
  for (const time of laws) {
    const law = new Law(time)
    const stream = new Stream(time.kind, 5)
    const count = 300_000
    let sum = 0
    let square = 0
    for (let at = 0; at < count; at++) {
      const one = law.draw(stream)
      assert.ok(Number.isInteger(one) && one >= 0)
      sum += one
      square += one * one
    }
    const mean = sum / count
    near(mean, law.meanUs, 0.01, `${time.kind} mean`)
    const variation = square / count / mean ** 2 - 1
    if (time.kind === 'fixed') assert.equal(law.cv2, 0)
    else near(variation, law.cv2, 0.05, `${time.kind} variation`)
    if (time.kind === 'exponential') near(law.cv2, 1, 1e-9, 'Cs²')
  }
})

test('what is measured is drawn on straight lines between what was seen', () => {
  const law = new Law({ kind: 'measured', shares: [0.5, 0.9, 1], boundsUs: [400, 1_000, 5_000] })
  const stream = new Stream('quantiles', 1)
  const draws = Array.from({ length: 100_000 }, () => law.draw(stream)).sort((a, b) => a - b)
  for (const [share, bound] of [
    [0.25, 200],
    [0.5, 400],
    [0.7, 700],
    [0.88, 970],
    [0.95, 3_000],
  ] as const)
    near(draws[Math.floor(share * draws.length)]!, bound, 0.03, `${share}`)
})

test("Zipf's law: the shares of the first things, for few and for a hundred million", () => {
  for (const [count, alpha] of [
    [10, 0],
    [10, 1],
    [1_000, 0.8],
    [1_000, 1.3],
    [100_000_000, 1.1],
  ] as const) {
    const zipf = new Zipf(count, alpha)
    const stream = new Stream('things', 9)
    const draws = 200_000
    const seen = new Float64Array(11)
    for (let at = 0; at < draws; at++) {
      const one = zipf.draw(stream)
      assert.ok(one >= 1 && one <= count && Number.isInteger(one))
      if (one <= 10) seen[one]!++
    }
    const total = sumOfPowers(count, alpha)
    for (const thing of [1, 2, 5, 10])
      near(seen[thing]! / draws, thing ** -alpha / total, 0.08, `${count} ${alpha} thing ${thing}`)
  }
})

/** Exact up to a million, then Euler and Maclaurin. */
function sumOfPowers(count: number, alpha: number): number {
  const exact = Math.min(count, 1_000_000)
  let sum = 0
  for (let at = 1; at <= exact; at++) sum += at ** -alpha
  if (count === exact) return sum
  return sum + (count ** (1 - alpha) - exact ** (1 - alpha)) / (1 - alpha)
}

function times(shape: CheckedArrivalShape, perSecond: number, untilUs: number): number[] {
  const arrivals = new Arrivals(shape, perSecond, 0)
  const stream = new Stream('gaps', 11)
  const all: number[] = []
  for (let at = arrivals.next(stream); at !== never && at < untilUs; at = arrivals.next(stream)) all.push(at)
  return all
}

test('arrivals: the rate, and how much their gaps vary', () => {
  const second = 1_000_000
  for (const [shape, variation] of [
    [{ kind: 'poisson' }, 1],
    [{ kind: 'even' }, 0],
    [{ kind: 'bursty', cv2: 6 }, 6],
  ] as const) {
    const all = times(shape, 500, 200 * second)
    near(all.length, 100_000, 0.02, `${shape.kind} rate`)
    const gaps = all.slice(1).map((at, index) => at - all[index]!)
    const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length
    const square = gaps.reduce((sum, gap) => sum + gap * gap, 0) / gaps.length
    const cv2 = square / mean ** 2 - 1
    assert.ok(Math.abs(cv2 - variation) < 0.05 * variation + 0.01, `${shape.kind}: ${cv2}`)
  }
  // Above a million a second the whole microseconds must not change the rate.
  near(times({ kind: 'poisson' }, 3_000_000, 200_000).length, 600_000, 0.01, 'fast')
})

test('a flash crowd rises, stays and fades; a day has its peak where it is said; nothing at no rate', () => {
  const second = 1_000_000
  const flash = times(
    { kind: 'flash', atMs: 100_000, times: 5, rampMs: 10_000, holdMs: 50_000, fadeMs: 20_000 },
    100,
    400 * second,
  )
  const within = (from: number, to: number): number =>
    flash.filter(at => at >= from * second && at < to * second).length / (to - from)
  near(within(0, 100), 100, 0.05, 'before')
  near(within(110, 160), 500, 0.05, 'held')
  near(within(160, 400), 100 + (400 * 20) / 240, 0.05, 'faded')
  const hour = 3_600 * second
  const day = times({ kind: 'diurnal', lowest: 0.2, peakAtMs: 20 * 3_600_000, startAtMs: 0 }, 2, 24 * hour)
  near(day.length, 2 * 86_400, 0.02, 'day')
  const around = (at: number): number => day.filter(time => Math.abs(time - at * hour) < hour).length
  near(around(20) / around(8), 1.8 / 0.2, 0.15, 'peak to lowest')
  assert.deepEqual(times({ kind: 'poisson' }, 0, hour), [])
})

test('a trace gives its counts, and ends', () => {
  const arrivals = new Arrivals({ kind: 'trace', file: 'x' }, 100, 0, {
    stepUs: 1_000_000,
    counts: [10, 0, 30],
  })
  const stream = new Stream('gaps', 2)
  const all: number[] = []
  for (let at = arrivals.next(stream); at !== never; at = arrivals.next(stream)) all.push(at)
  const steps = [0, 1, 2].map(step => all.filter(at => Math.floor(at / 1_000_000) === step).length)
  // The mean step stands for 100 a second: 75, 0, 225.
  assert.equal(steps[1], 0)
  near(steps[0]! + steps[2]!, 300, 0.15, 'all')
  assert.ok(all.at(-1)! <= 3_000_000)
})
