import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Random, seededRandom } from '../../kit/random.ts'
import { Reason } from '../reason.ts'
import { bimodal, constant, exponential, OverloadRehearsal } from '../testing/overload-rehearsal.ts'
import { LimitPhase, type LimitSample, type LimitSettings, moveLimit, newLimitState } from './limit.ts'

const settings: LimitSettings = {
  limitMin: 4,
  limitMax: 1_000,
  limitStart: 20,
  tolerance: 1.5,
  probeMs: 30_000,
}
const line = {
  kind: 'adaptive',
  targetUs: 20_000,
  intervalUs: 200_000,
  patienceUs: 5_000_000,
  lengthMax: 1_024,
} as const

interface Shape {
  readonly service: (random: Random) => number
  readonly meanUs: number
}
const shapes: Readonly<Record<string, Shape>> = {
  'exponential, 10 ms': { service: exponential(10_000), meanUs: 10_000 },
  'constant, 10 ms': { service: constant(10_000), meanUs: 10_000 },
  'half 5 ms, half 100 ms': { service: bimodal(5_000, 100_000, 0.5), meanUs: 52_500 },
  'a tenth 200 ms, the others 1 ms': { service: bimodal(1_000, 200_000, 0.1), meanUs: 20_900 },
}

function world(
  seed: number,
  { service, meanUs }: Shape,
  slots: number,
  load: number,
  limit: LimitSettings | null = settings,
): OverloadRehearsal {
  const arrivalsPerSecond = (load * slots * 1_000_000) / meanUs
  return new OverloadRehearsal({
    seed,
    slots,
    service,
    arrivalsPerSecond,
    patienceUs: 1_000_000,
    limit,
    line,
  })
}

/** Share of the server's capacity, or of what came where that is less. */
function goodput(one: OverloadRehearsal, seconds: number, { meanUs }: Shape): number {
  const capacity = (one.slots * 1_000_000) / (meanUs * one.slowness)
  return one.total.good / (seconds * Math.min(capacity, one.arrivalsPerSecond))
}

for (const [name, shape] of Object.entries(shapes))
  for (const slots of [8, 24])
    test(`under twice the load the limit finds the knee: ${slots} slots, ${name}`, () => {
      for (const seed of [1, 2, 3]) {
        const one = world(seed, shape, slots, 2)
        one.run(20).run(20)
        const found = one.limitMedian
        assert.ok(found >= 0.75 * slots && found <= 3 * slots, `seed ${seed}: ${found} for ${slots} slots`)
        assert.ok(goodput(one, 20, shape) > 0.85, `seed ${seed}: goodput ${goodput(one, 20, shape)}`)
      }
    })

test('without a limit the same load leaves almost nobody with an answer in time', () => {
  const shape = shapes['exponential, 10 ms'] as Shape
  const one = world(4, shape, 8, 2, null).run(8).run(4)
  assert.ok(goodput(one, 4, shape) < 0.1, `goodput ${goodput(one, 20, shape)}`)
})

test('noise lowers nothing: at seven tenths of the capacity nobody is refused, whatever the latencies are like', () => {
  for (const [name, shape] of Object.entries(shapes))
    for (const seed of [11, 12]) {
      const one = world(seed, shape, 24, 0.7).run(30).run(60)
      const { shed, arrived } = one.total
      assert.ok(shed <= 0.01 * arrived, `${name}, seed ${seed}: ${shed} of ${arrived} refused`)
      assert.ok(Math.min(...one.limits.slice(-40)) > settings.limitMin, `${name}, seed ${seed}`)
    }
})

test('an upstream that becomes slower keeps its places, and one that recovers gets on at once', () => {
  const shape = shapes['exponential, 10 ms'] as Shape
  for (const seed of [21, 22, 23]) {
    const one = world(seed, shape, 24, 2).run(20)
    one.slowness = 4
    one.run(20).run(20)
    assert.ok(goodput(one, 20, shape) > 0.85, `seed ${seed}: slow, goodput ${goodput(one, 20, shape)}`)
    one.slowness = 1
    one.run(5).run(20)
    assert.ok(goodput(one, 20, shape) > 0.9, `seed ${seed}: recovered, goodput ${goodput(one, 20, shape)}`)
  }
})

test('an upstream that loses half of its slots gets half of the limit, and all of it when they are back', () => {
  const shape = shapes['exponential, 10 ms'] as Shape
  for (const seed of [31, 32, 33]) {
    const one = world(seed, shape, 32, 2).run(40)
    one.slots = 16
    one.run(10).run(20)
    assert.ok(one.limitMedian <= 40, `seed ${seed}: ${one.limitMedian} for 16 slots`)
    assert.ok(goodput(one, 20, shape) > 0.9, `seed ${seed}: half, goodput ${goodput(one, 20, shape)}`)
    one.slots = 32
    one.run(10).run(20)
    assert.ok(one.limitMedian >= 28, `seed ${seed}: ${one.limitMedian} for 32 slots`)
    assert.ok(goodput(one, 20, shape) > 0.9, `seed ${seed}: back, goodput ${goodput(one, 20, shape)}`)
  }
})

// --- steps ------------------------------------------------------------------------------------------------------

const random = seededRandom(5)

/** `answers` of about `latencyUs` in the window that ends at `nowUs`. */
function answered(nowUs: number, latencyUs: number, change: Partial<LimitSample> = {}): LimitSample {
  const answers = change.answers ?? 100
  const log = Math.log(latencyUs)
  return {
    nowUs,
    answers,
    logs: answers * log,
    logSquares: answers * log * log,
    failures: 0,
    inFlight: 100,
    full: true,
    ...change,
  }
}

function after(samples: readonly ((nowUs: number) => LimitSample)[]): ReturnType<typeof newLimitState> {
  let state = newLimitState(settings)
  let nowUs = 1_000_000
  for (const sample of samples) {
    nowUs += 250_000
    state = moveLimit(state, sample(nowUs), settings, random)
  }
  return state
}

const times = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one)

test('while less than half of it is used it stays, however short the latencies', () => {
  const state = after(times(40, nowUs => answered(nowUs, 1_000, { inFlight: 3, full: false })))
  assert.equal(state.allowed, settings.limitStart)
  assert.equal(state.why, Reason.limitUnused)
})

test('failures lower it, and tell so', () => {
  const good = times(4, (nowUs: number) => answered(nowUs, 1_000))
  const before = after(good)
  const state = after([...good, nowUs => answered(nowUs, 1_000, { failures: 50 })])
  assert.ok(state.allowed < before.allowed, `${state.allowed} after ${before.allowed}`)
  assert.equal(state.why, Reason.limitFailures)
})

test('answers that were on their way when it moved do not count', () => {
  let state = newLimitState(settings)
  state = moveLimit(state, answered(1_000_000, 900_000), settings, random)
  const moved = moveLimit(state, answered(1_250_000, 900_000), settings, random)
  assert.equal(moved.allowed, state.allowed, 'answers of before')
  const later = moveLimit(moved, answered(2_000_000, 900_000), settings, random)
  assert.ok(later.allowed > state.allowed, `${later.allowed} after ${state.allowed}`)
})

test('a measurement under load uses half of the limit and ends, whatever it sees', () => {
  let state = after([...times(20, (nowUs: number) => answered(nowUs, 1_000))])
  const phases = new Set<number>()
  for (let nowUs = 7_000_000; nowUs < 60_000_000; nowUs += 250_000) {
    // Nobody answers while it probes.
    const sample =
      state.phase === LimitPhase.probe
        ? answered(nowUs, 1, { answers: 0, inFlight: 500 })
        : answered(nowUs, 1_000)
    state = moveLimit(state, sample, settings, random)
    phases.add(state.phase)
    if (state.phase === LimitPhase.probe) assert.ok(state.allowed <= state.limit / 2 + 1)
  }
  assert.ok(phases.has(LimitPhase.probe) && phases.size > 1, [...phases].join())
})

test('it is a whole number within its bounds, whatever is measured', () => {
  const sample = fc.record({
    answers: fc.nat(1_000),
    latencyUs: fc.double({ min: 1, max: 1e9, noNaN: true }),
    failures: fc.nat(300),
    inFlight: fc.nat(2_000),
    full: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 200 }), fc.integer(), (samples, seed) => {
      const random = seededRandom(seed)
      let state = newLimitState(settings)
      let nowUs = 1
      for (const { latencyUs, ...rest } of samples) {
        nowUs += 250_000
        state = moveLimit(state, answered(nowUs, latencyUs, rest), settings, random)
        assert.ok(Number.isInteger(state.allowed), `${state.allowed}`)
        assert.ok(
          state.allowed >= settings.limitMin && state.allowed <= settings.limitMax,
          `${state.allowed}`,
        )
        assert.ok(Number.isFinite(state.limit), `${state.limit}`)
      }
    }),
  )
})
