import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ticksAt } from './gcra.ts'
import {
  adaptiveShare,
  type LimitAlgorithm,
  type LimitNumbers,
  limitDebit,
  limitNext,
  limitOutcome,
  limitRefund,
  limitResetUs,
  limitRule,
  limitStateMax,
  sharedNumbers,
} from './index.ts'

const SECOND = 1_000_000
const years = 365 * 86_400 * SECOND

/** One client of one limit, as a cell would hold it. */
class Client {
  readonly rule
  readonly out = limitOutcome()
  state = 0
  constructor(numbers: LimitNumbers) {
    this.rule = limitRule(numbers)
  }
  ask(nowUs: number, cost = 1, share = 1): boolean {
    this.state = limitNext(this.rule, this.state, nowUs, cost, share, this.out)
    return this.out.allowed
  }
}

const odd = (algorithm: LimitAlgorithm): fc.Arbitrary<LimitNumbers> =>
  fc
    .record({
      amount: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5_000 })),
      perMs: fc.constantFrom(1_000, 60_000, 3_600_000, 7_000, 86_400_000),
      burst: fc.integer({ min: 1, max: 50 }),
    })
    .map(numbers => ({ ...numbers, algorithm }))

/** Gaps between requests in shares of the interval, so that limits are met often. */
const gaps: fc.Arbitrary<readonly number[]> = fc.array(
  fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3, noNaN: true })),
  { minLength: 1, maxLength: 200, size: 'max' },
)
const starts: fc.Arbitrary<number> = fc.integer({ min: 0, max: 4 * years })

/** The bucket of fractions in BigInt: level in parts of 1/perUs, exact for ever. */
class ExactBucket {
  readonly numbers: LimitNumbers
  #level = 0n
  #at: bigint
  constructor(numbers: LimitNumbers, nowUs: number) {
    this.numbers = numbers
    this.#at = BigInt(nowUs)
  }
  /** How far above the brim (below zero: how far under) the request would bring it, in parts of 1/perUs. */
  over(nowUs: number): bigint {
    const per = BigInt(this.numbers.perMs) * 1_000n
    const now = BigInt(nowUs)
    const leaked = this.#level - (now - this.#at) * BigInt(this.numbers.amount)
    this.#level = leaked < 0n ? 0n : leaked
    this.#at = now
    return this.#level + per - BigInt(Math.max(1, this.numbers.burst)) * per
  }
  take(): void {
    this.#level += BigInt(this.numbers.perMs) * 1_000n
  }
}

test('gcra decides as a leaky bucket of exact fractions does, but for one tick at the brim', () => {
  fc.assert(
    fc.property(odd('gcra'), gaps, starts, (numbers, list, start) => {
      const client = new Client(numbers)
      let now = start
      const bucket = new ExactBucket(numbers, now)
      const interval = (numbers.perMs * 1_000) / numbers.amount
      for (const gap of list) {
        now += Math.round(gap * interval)
        const over = bucket.over(now)
        const allowed = client.ask(now)
        // A tick is at most a microsecond of the even flow: amount/perUs of a request, `amount` parts. Two roundings.
        const brim = 2n * BigInt(numbers.amount)
        if (over <= -brim) assert.ok(allowed, `${over} parts under the brim`)
        if (over >= brim) assert.ok(!allowed, `${over} parts above the brim`)
        if (allowed) bucket.take()
      }
    }),
  )
})

test('gcra does not drift: ten million requests at an odd rate take exactly their time', () => {
  for (const amount of [3, 7, 9_999, 77_777]) {
    const rule = limitRule({ algorithm: 'gcra', amount, perMs: 1_000, burst: 1 })
    const start = 17 * SECOND
    let state = ticksAt(rule, start)
    const first = state
    const count = amount * 1_000
    for (let i = 0; i < 1_000; i++) state = limitDebit(rule, state, start, amount)
    assert.equal(state - first, count * rule.ticksPerUnit)
    assert.equal(state, ticksAt(rule, start + 1_000 * SECOND), `${amount} a second`)
  }
})

test('no stretch of time of any length gets more than its even flow and one burst through gcra', () => {
  fc.assert(
    fc.property(odd('gcra'), gaps, starts, (numbers, list, start) => {
      const client = new Client(numbers)
      const passed: number[] = []
      let now = start
      for (const gap of list) {
        now += Math.round(gap * ((numbers.perMs * 1_000) / numbers.amount))
        if (client.ask(now)) passed.push(now)
      }
      for (let from = 0; from < passed.length; from++)
        for (let to = from; to < passed.length; to++) {
          const flow = ((passed[to]! - passed[from]! + 2) * numbers.amount) / (numbers.perMs * 1_000)
          assert.ok(to - from + 1 <= numbers.burst + flow + 1e-6)
        }
    }),
    { numRuns: 60 },
  )
})

test('around the edge of a calendar window gcra and sliding let one amount through, fixed two', () => {
  const passes = (algorithm: LimitAlgorithm): number => {
    const client = new Client({ algorithm, amount: 100, perMs: 60_000, burst: 100 })
    let passed = 0
    for (const now of [59.99 * SECOND, 60.01 * SECOND])
      for (let i = 0; i < 200; i++) if (client.ask(Math.round(now))) passed++
    return passed
  }
  assert.equal(passes('gcra'), 100)
  assert.equal(passes('sliding'), 100)
  assert.equal(passes('fixed'), 200)
})

test('windows decide as a list of all that passed, counted anew each time', () => {
  for (const algorithm of ['fixed', 'sliding'] as const)
    fc.assert(
      fc.property(odd(algorithm), gaps, starts, (numbers, list, start) => {
        const client = new Client(numbers)
        const perUs = numbers.perMs * 1_000
        const counts = new Map<number, number>()
        let now = start
        let resetAt = Number.POSITIVE_INFINITY
        for (const gap of list) {
          now += Math.round((gap * perUs) / numbers.amount)
          if (now >= resetAt) client.state = 0
          const window = Math.floor(now / perUs)
          const within = counts.get(window) ?? 0
          const before = algorithm === 'sliding' ? (counts.get(window - 1) ?? 0) : 0
          const weight = (perUs - (now % perUs)) / perUs
          const used = within + before * weight
          if (Math.abs(used + 1 - numbers.amount) < 1e-9) continue
          assert.equal(client.ask(now), used + 1 <= numbers.amount)
          if (client.out.allowed) counts.set(window, within + 1)
          resetAt = now + client.out.resetAfterUs
        }
      }),
    )
})

test('who waits as long as he is told passes, and a hundredth of a second earlier he did not', () => {
  for (const algorithm of ['gcra', 'fixed', 'sliding'] as const)
    fc.assert(
      fc.property(
        odd(algorithm),
        gaps,
        starts,
        fc.integer({ min: 1, max: 3 }),
        (numbers, list, start, cost) => {
          const client = new Client(numbers)
          let now = start
          for (const gap of list) {
            now += Math.round(gap * ((numbers.perMs * 1_000) / numbers.amount))
            if (client.ask(now, cost)) continue
            const wait = client.out.retryAfterUs
            assert.ok(wait > 0)
            const look = limitOutcome()
            limitNext(client.rule, client.state, now + wait, cost, 1, look)
            assert.ok(look.allowed, `${algorithm}: refused after ${wait} us`)
            if (wait <= 10_000) continue
            limitNext(client.rule, client.state, now + wait - 10_000, cost, 1, look)
            assert.ok(!look.allowed, `${algorithm}: would have passed before ${wait} us`)
          }
        },
      ),
    )
})

test('after the time of reset nothing of the past counts', () => {
  for (const algorithm of ['gcra', 'fixed', 'sliding'] as const)
    fc.assert(
      fc.property(odd(algorithm), gaps, starts, (numbers, list, start) => {
        const client = new Client(numbers)
        let now = start
        for (const gap of list) {
          now += Math.round(gap * ((numbers.perMs * 1_000) / numbers.amount))
          client.ask(now)
        }
        const reset = client.out.resetAfterUs
        assert.equal(reset, limitResetUs(client.rule, client.state, now))
        const used = limitOutcome()
        limitNext(client.rule, client.state, now + reset, 1, 1, used)
        const fresh = limitOutcome()
        limitNext(client.rule, 0, now + reset, 1, 1, fresh)
        assert.deepEqual(used, fresh)
      }),
    )
})

test('a state is an integer that a cell can hold, for years and with what is debited beyond all limits', () => {
  const numbers = [
    { amount: 10e9, perMs: 1_000, burst: 20e9 },
    { amount: 1, perMs: 30 * 86_400_000, burst: 5 },
    { amount: 104_729, perMs: 86_400_000, burst: 104_729 },
    { amount: 1e12, perMs: 86_400_000, burst: 1e12 },
  ]
  for (const algorithm of ['gcra', 'fixed', 'sliding'] as const)
    for (const one of numbers) {
      const client = new Client({ algorithm, ...one })
      assert.ok(client.ask(3 * years))
      for (let i = 0; i < 5; i++) {
        assert.ok(Number.isInteger(client.state) && client.state >= 0 && client.state < limitStateMax)
        client.state = limitDebit(client.rule, client.state, 3 * years, one.amount * 2)
      }
      assert.ok(!client.ask(3 * years))
    }
})

test('what is given back can be taken again, and never more than that', () => {
  for (const algorithm of ['gcra', 'fixed', 'sliding'] as const) {
    const client = new Client({ algorithm, amount: 10, perMs: 60_000, burst: 10 })
    for (let i = 0; i < 10; i++) assert.ok(client.ask(5 * SECOND))
    for (let i = 0; i < 3; i++) client.state = limitRefund(client.rule, client.state, 5 * SECOND, 1, 1)
    let again = 0
    while (client.ask(5 * SECOND)) again++
    assert.equal(again, 3)
  }
})

test('what was taken in a window that is over is not given back from the next one', () => {
  const client = new Client({ algorithm: 'fixed', amount: 10, perMs: 60_000, burst: 10 })
  assert.ok(client.ask(59 * SECOND, 10))
  assert.ok(client.ask(61 * SECOND, 10))
  client.state = limitRefund(client.rule, client.state, 59 * SECOND, 10, 1)
  assert.ok(!client.ask(61 * SECOND))
})

test('a thread whose clock is a little behind does not lose the count of a window that has begun for others', () => {
  for (const algorithm of ['fixed', 'sliding'] as const) {
    const client = new Client({ algorithm, amount: 10, perMs: 60_000, burst: 10 })
    for (let i = 0; i < 10; i++) assert.ok(client.ask(60 * SECOND))
    assert.ok(!client.ask(60 * SECOND - 5), algorithm)
    assert.ok(!client.ask(60 * SECOND + 5), algorithm)
  }
})

test('a request that costs more than there can be takes all of it', () => {
  for (const algorithm of ['gcra', 'fixed', 'sliding', 'concurrency'] as const) {
    const client = new Client({ algorithm, amount: 10, perMs: 60_000, burst: 10 })
    assert.ok(client.ask(SECOND, 1_000), algorithm)
    assert.equal(client.out.remaining, 0)
    assert.ok(!client.ask(SECOND, 1), algorithm)
  }
})

test('a share of a limit is left when it tightens; of none of it nothing passes', () => {
  for (const algorithm of ['gcra', 'fixed', 'sliding', 'concurrency'] as const) {
    const passes = (share: number): number => {
      const client = new Client({ algorithm, amount: 100, perMs: 60_000, burst: 100 })
      let passed = 0
      while (client.ask(SECOND, 1, share)) passed++
      return passed
    }
    assert.deepEqual([1, 0.5, 0.25, 0].map(passes), [100, 50, 25, 0], algorithm)
  }
  assert.equal(adaptiveShare(0.2, 0, 0), 1)
  assert.equal(adaptiveShare(0.2, 100, 0), 0.2)
  assert.equal(adaptiveShare(0.5, 20, 0.5), 0.75)
  assert.equal(adaptiveShare(1, 100, 1), 1)
  assert.deepEqual(sharedNumbers({ algorithm: 'gcra', amount: 5, perMs: 1_000, burst: 20 }, 0.1), {
    algorithm: 'gcra',
    amount: 1,
    perMs: 1_000,
    burst: 2,
  })
})

test('concurrency counts what is under way and forgets it when it ends', () => {
  const client = new Client({ algorithm: 'concurrency', amount: 2, perMs: 0, burst: 1 })
  assert.deepEqual([client.ask(0), client.ask(0), client.ask(0)], [true, true, false])
  client.state = limitDebit(client.rule, client.state, 0, -1)
  assert.deepEqual([client.ask(0), client.ask(0)], [true, false])
})
