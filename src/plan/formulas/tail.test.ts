// Retries, fan-out, hedging, the scalability law, coordinated omission: the tables, inverses, limits.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anySlow, hedged, leafQuantile, leafSlowFor } from './fanout.ts'
import { closedLoopView, intendedView } from './omission.ts'
import { budgetedAmplification, layeredAmplification, retryAmplification, retrySuccess } from './retries.ts'
import { scaledThroughput, scalingPeak } from './scaling-law.ts'
import { near, same, value } from './testing.ts'

test('retry load as in the tables; three layers of three multiply to 27', () => {
  for (const [failure, load] of [
    [0.5, '1.75'],
    [0.9, '2.71'],
    [1, '3'],
  ] as const)
    same(value(retryAmplification(failure, 3)), load)
  near(value(layeredAmplification(1, [3, 3, 3])), 27, 1e-12)
  near(value(layeredAmplification(0.5, [3])), 1.75, 1e-12)
  // Above the first layer only an eighth fails: 1.75 · (1 + 1/8 + 1/64).
  near(value(layeredAmplification(0.5, [3, 3])), 1.75 * 1.140625, 1e-12)
  near(value(retrySuccess(0.1, 3)), 0.999, 1e-12)
  near(value(budgetedAmplification(1, 3, 0.2)), 1.2, 1e-12)
  near(value(budgetedAmplification(0.01, 3, 0.2)), 1.0101, 1e-12)
})

test('retries against a draw of tries one by one', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.integer({ min: 1, max: 30 }),
      (p, tries) => {
        near(value(retryAmplification(p, tries)), (1 - p ** tries) / (1 - p), 1e-9)
        const layers = value(layeredAmplification(p, [tries, tries]))
        assert.ok(layers >= value(retryAmplification(p, tries)) - 1e-12 && layers <= tries * tries + 1e-9)
      },
    ),
  )
})

test('fan-out and hedging as in the tables', () => {
  same(100 * value(anySlow(0.01, 10)), '9.56')
  same(100 * value(anySlow(0.01, 100)), '63.4')
  same(100 * value(anySlow(0.0001, 2000)), '18.1')
  const twice = value(hedged(0.01, 100, 0.95))
  same(100 * twice.anySlow, '.995')
  near(twice.extraLoad, 0.05, 1e-12)
  near(value(leafQuantile(0.5, 100)), 0.99309, 1e-5)
  // 10⁻¹⁸ keeps its digits.
  near(value(anySlow(1e-18, 1000)), 1e-15, 1e-9)
  for (const leaves of [1, 7, 2000])
    near(value(anySlow(value(leafSlowFor(0.05, leaves)), leaves)), 0.05, 1e-12)
})

test('the scalability law: the peak of the table, Amdahl without coherence, linear without either', () => {
  const law = { single: 995.6, contention: 0.02671, coherence: 0.000769 }
  const peak = value(scalingPeak(law))
  same(peak.workers as number, '35.6')
  near(peak.throughput as number, 12_344, 1e-4)
  const best = value(scaledThroughput(law, peak.workers as number))
  for (const beside of [0.9, 1.1])
    assert.ok(value(scaledThroughput(law, beside * (peak.workers as number))) < best)
  assert.deepEqual(value(scalingPeak({ single: 10, contention: 0.1, coherence: 0 })), {
    workers: null,
    throughput: 100,
  })
  assert.deepEqual(value(scalingPeak({ single: 10, contention: 0, coherence: 0 })), {
    workers: null,
    throughput: null,
  })
  near(value(scaledThroughput({ single: 10, contention: 0, coherence: 0 }, 7)), 70, 1e-12)
})

test('coordinated omission: 100 s at 1 ms, then a stall of 100 s, 100 requests a second', () => {
  const stall = { goodSeconds: 100, latencySeconds: 0.001, stallSeconds: 100, rate: 100 }
  const naive = value(closedLoopView(stall))
  same(naive.mean * 1000, '11.0')
  same(value(naive.quantile(0.999)) * 1000, '1')
  assert.equal(naive.samples, 10_001)
  const meant = value(intendedView(stall))
  same(meant.mean, '25.0')
  same(value(meant.quantile(0.5)) * 1000, '1')
  same(value(meant.quantile(0.75)), '50')
  // The table counts ranks from the next one on: one interval of 10 ms.
  assert.ok(Math.abs(value(meant.quantile(0.9999)) - 99.99) <= 0.0101)
})

test('what the intended view says is what counting says', () => {
  const stall = { goodSeconds: 3, latencySeconds: 0.002, stallSeconds: 2, rate: 50 }
  const all: number[] = []
  for (let at = 0; at < 250; at++) all.push(at < 150 ? 0.002 : 5 - at / 50)
  all.sort((a, b) => a - b)
  const view = value(intendedView(stall))
  near(view.mean, all.reduce((a, b) => a + b) / all.length, 1e-9)
  for (const q of [0.1, 0.6, 0.61, 0.9, 0.999])
    near(value(view.quantile(q)), all[Math.ceil(q * all.length - 1e-9) - 1] as number, 1e-9, `${q}`)
})

test('what can not be is named', () => {
  const stall = { goodSeconds: 1, latencySeconds: 0.001, stallSeconds: 1, rate: 100 }
  for (const bad of [
    retryAmplification(1.1, 3),
    retryAmplification(0.5, 0),
    layeredAmplification(0.5, []),
    layeredAmplification(0.5, [3, 0]),
    budgetedAmplification(0.5, 3, -1),
    anySlow(-0.1, 3),
    anySlow(0.1, 0),
    leafSlowFor(1, 10),
    hedged(0.1, 10, 1),
    scaledThroughput({ single: 0, contention: 0, coherence: 0 }, 3),
    scalingPeak({ single: 1, contention: 2, coherence: 0 }),
    closedLoopView({ ...stall, rate: 0 }),
    intendedView({ ...stall, stallSeconds: Number.NaN }),
    intendedView({ ...stall, rate: 1e300 }),
    value(intendedView(stall)).quantile(1),
  ])
    assert.ok(!bad.ok && /must be/.test(bad.why), JSON.stringify(bad))
})
