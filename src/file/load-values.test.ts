import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CheckedTime } from './checked-workload.ts'
import {
  bitsPerSecond,
  bitsText,
  law,
  lawMeanUs,
  lawText,
  longTime,
  nearestRate,
  parsePerSecond,
  parseTimeUs,
  perSecondText,
  timeText,
  wideShare,
} from './load-values.ts'

const bare = law('How long.', 'exponential', '0us')

test('fine times go down to nanoseconds, and need a unit', () => {
  const cases: Readonly<Record<string, number | undefined>> = {
    '20us': 20,
    '0.4ms': 400,
    '1.234567ms': 1234.567,
    '0.001us': 0.001,
    '2s': 2_000_000,
    '1.5m': 90_000_000,
    '1h': 3_600_000_000,
    '0us': 0,
    '5': undefined,
    '5d': undefined,
    '-1ms': undefined,
    '1e3ms': undefined,
    ' 1ms': undefined,
  }
  for (const [text, us] of Object.entries(cases)) assert.equal(parseTimeUs(text), us, text)
})

test('times and rates are written so that they are read back as they were', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 86_400_000_000_000 }), nanoseconds => {
      const us = nanoseconds / 1000
      assert.equal(parseTimeUs(timeText(us)), us)
    }),
  )
  const amounts = fc.oneof(
    fc.integer({ min: 1, max: 1e10 }),
    fc.integer({ min: 1, max: 1e9 }).map(one => one / 1e6),
  )
  fc.assert(
    fc.property(
      amounts,
      fc.constantFrom('s', 'min', 'h', 'd'),
      fc.integer({ min: 1, max: 9 }),
      (amount, unit, times) => {
        const rate = nearestRate(parsePerSecond(`${Number(amount.toFixed(6))}/${unit}`) as number)
        assert.equal(parsePerSecond(perSecondText(rate)), rate)
        const more = nearestRate(rate * times)
        assert.equal(parsePerSecond(perSecondText(more)), more)
        assert.ok(Math.abs(more / (rate * times) - 1) < 1e-12)
      },
    ),
    { numRuns: 1000 },
  )
  for (const bits of [1e6, 1.5e8, 1e9, 2.5e9, 1e10, 1e13, 123_456_000])
    assert.equal(bitsPerSecond('Speed.').parse(bitsText(bits)), bits)
})

test('a law of a mean and a 99th percentile has that percentile', () => {
  for (const ratio of [1.05, 2, 5, 10, 14.9]) {
    const made = bare.parse({ mean: '10ms', p99: `${10 * ratio}ms` })
    assert.ok(made.kind === 'log-normal')
    // The standard normal's 99th percentile; of a log-normal law exp(mu + z sigma), where mu = ln(mean) - sigma^2 / 2.
    const p99 = Math.exp(Math.log(made.meanUs) - made.sigma ** 2 / 2 + 2.3263478740408408 * made.sigma)
    assert.ok(Math.abs(p99 / (10_000 * ratio) - 1) < 1e-9, `${ratio}: ${p99}`)
  }
})

test('what was measured keeps its shares, in whichever order and spelling they are written', () => {
  const made = bare.parse({
    quantiles: { max: '100ms', p999: '50ms', p50: '2ms', min: '1ms', 'p99.99': '60ms' },
  })
  assert.deepEqual(made, {
    kind: 'measured',
    shares: [0, 0.5, 0.999, 0.9999, 1],
    boundsUs: [1000, 2000, 50_000, 60_000, 100_000],
  })
  // Half between 1 and 2 ms, 0.499 between 2 and 50, 0.0009 up to 60, the last 0.0001 up to 100.
  assert.ok(Math.abs(lawMeanUs(made) - (750 + 0.499 * 26_000 + 0.0009 * 55_000 + 0.0001 * 80_000)) < 1e-6)
  assert.equal(lawMeanUs(bare.parse({ quantiles: { max: '4ms' } })), 2000)
})

test('laws of every kind are written so that they are read back as they were', () => {
  const laws: readonly CheckedTime[] = [
    { kind: 'fixed', us: 0 },
    { kind: 'fixed', us: 12.345 },
    { kind: 'exponential', meanUs: 400 },
    { kind: 'log-normal', meanUs: 4000, sigma: 0.8454634740331499 },
    { kind: 'measured', shares: [0, 0.1, 0.999999, 1], boundsUs: [0, 5, 5, 1e9] },
  ]
  for (const one of laws) assert.deepEqual(bare.parse(lawText(one)), one)
})

test('a bare time is exponential or fixed as its key says, and none is fixed', () => {
  assert.deepEqual(bare.parse('10ms'), { kind: 'exponential', meanUs: 10_000 })
  assert.deepEqual(law('How long.', 'fixed', '0us').parse('10ms'), { kind: 'fixed', us: 10_000 })
  assert.deepEqual(bare.parse('0ms'), { kind: 'fixed', us: 0 })
  assert.equal(law('How long.', 'exponential').safeParse('0ms').success, false)
})

test('long times have weeks and years, wide shares may be above one or below zero', () => {
  const year = longTime('How long.', '1s', '10y')
  assert.equal(year.parse('1.5y'), 1.5 * 365 * 86_400_000)
  assert.equal(year.parse('2w'), 14 * 86_400_000)
  assert.equal(year.safeParse('11y').success, false)
  const growth = wideShare('Growth.', -0.9, 100)
  assert.deepEqual(
    ['50%', '-10%', 0.5, '1234.5678%'].map(one => growth.parse(one)),
    [0.5, -0.1, 0.5, 12.345678],
  )
  for (const one of ['-100%', 101, '5', 'many', Number.NaN, null])
    assert.equal(growth.safeParse(one).success, false)
})
