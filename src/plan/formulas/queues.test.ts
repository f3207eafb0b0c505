// Queues with general arrivals and service, against tables and the cases where they become M/M/1.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mmc } from './erlang.ts'
import {
  gg1,
  ggc,
  ggcSojournQuantile,
  mg1,
  mm1,
  mm1k,
  mm1SojournQuantile,
  processorSharing,
} from './queues.ts'
import { near, same, value } from './testing.ts'

test('Pollaczek and Khinchine as in the tables', () => {
  const variations = [0, 0.25, 1, 4, 16]
  const rows: [number, string[]][] = [
    [0.8, ['2', '2.5', '4', '10', '34']],
    [0.9, ['4.5', '5.625', '9', '22.5', '76.5']],
  ]
  for (const [rho, waits] of rows)
    for (const [at, variation] of variations.entries())
      same(value(mg1(rho, 1, variation)).waitMean, waits[at] as string)
})

test('exponential service makes M/G/1 an M/M/1; Kingman and Allen-Cunneen agree with it', () => {
  for (const rho of [0.1, 0.5, 0.9, 0.99]) {
    near(value(mg1(rho, 1, 1)).sojournMean, value(mm1(rho, 1)).sojournMean, 1e-12)
    near(value(gg1(rho, 1, 1, 1)).waitMean, value(mm1(rho, 1)).waitMean, 1e-12)
    const pool = { arrivalRate: rho * 8, serviceMean: 1, servers: 8 }
    near(value(ggc(pool, 1, 1)).waitMean, value(mmc(pool)).waitMean, 1e-12)
    near(value(ggc(pool, 0.5, 2.5)).waitMean, 1.5 * value(mmc(pool)).waitMean, 1e-12)
  }
})

test('units carry through: twice the rate at half the service halves every time', () => {
  const [slow, fast] = [value(mg1(0.4, 2, 4)), value(mg1(0.8, 1, 4))]
  near(slow.sojournMean, 2 * fast.sojournMean, 1e-12)
  near(slow.queueMean, fast.queueMean, 1e-12)
  near(value(mm1SojournQuantile(0.4, 2, 0.99)), 2 * value(mm1SojournQuantile(0.8, 1, 0.99)), 1e-9)
})

test('quantiles of G/G/c: exact for M/M/c, between fixed and erratic service elsewhere', () => {
  const pool = { arrivalRate: 3.2, serviceMean: 1, servers: 4 }
  const at = (variation: number): number => value(ggcSojournQuantile(pool, 1, variation, 0.99))
  assert.ok(at(0) < at(0.5) && at(0.5) < at(1) && at(1) < at(4), `${at(0)} ${at(0.5)} ${at(1)} ${at(4)}`)
  near(at(1), at(1 + 1e-9), 1e-6)
  // No wait at all leaves the service alone.
  const empty = { arrivalRate: 0, serviceMean: 1, servers: 4 }
  near(value(ggcSojournQuantile(empty, 1, 2, 0.99)), Math.log(100), 1e-9)
  near(value(ggcSojournQuantile(empty, 1, 0, 0.99)), 1, 1e-12)
})

test('processor sharing: the mean of M/M/1 whatever the law, in proportion to the size', () => {
  near(value(processorSharing(0.9, 1)), 10, 1e-9)
  near(value(processorSharing(0.9, 1, 0.1)), 1, 1e-9)
})

test('unstable is said, and what can not be is named', () => {
  for (const full of [mm1(1, 1), mg1(2, 1, 0), gg1(1, 1, 1, 1), processorSharing(1, 1)])
    assert.ok(!full.ok && full.unstable)
  for (const bad of [mg1(0.5, 1, -1), gg1(0.5, 1, Number.NaN, 1), mm1(0.5, 0), processorSharing(-1, 1)])
    assert.ok(!bad.ok && !bad.unstable)
  assert.ok(mm1k(5, 1, 3).ok)
})
