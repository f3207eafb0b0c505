// Run lengths of M/M/1 as the tables print them, and the quantiles they stand on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { studentQuantile } from '../../kit/student.ts'
import { mm1HalfWidth, mm1RunLength, mm1Variance, samplesForShare, twoSided } from './statistics.ts'
import { near, same, value } from './testing.ts'

test('service times for a half-width of 1 % and 2 %, 95 %', () => {
  const loads = [0.5, 0.7, 0.8, 0.9, 0.95]
  for (const [relative, row] of [
    [0.01, ['9.2e5', '2.1e6', '4.3e6', '1.6e7', '6.3e7']],
    [0.02, ['2.3e5', '5.2e5', '1.1e6', '4.1e6', '1.6e7']],
  ] as const)
    for (const [at, rho] of loads.entries())
      same(value(mm1RunLength(rho, relative, 0.95)), row[at] as string, `${rho}`)
})

test('the variance at .5 is 24; half-width and run length are inverses', () => {
  near(value(mm1Variance(0.5)), 24, 1e-12)
  near(value(mm1Variance(0.9)), 34_200, 1e-9)
  for (const rho of [0.1, 0.5, 0.95])
    near(value(mm1HalfWidth(rho, value(mm1RunLength(rho, 0.013, 0.99)), 0.99)), 0.013, 1e-9)
})

test('quantiles of intervals: 1.96 and 2.576; Student comes down to them', () => {
  same(value(twoSided(0.95)), '1.960')
  same(value(twoSided(0.99)), '2.576')
  // Printed tables, 97.5 %: 5, 10 and 30 degrees of freedom.
  for (const [freedom, t] of [
    [5, '2.571'],
    [10, '2.228'],
    [30, '2.042'],
  ] as const)
    same(studentQuantile(0.975, freedom), t)
  // A poll: 50 % ± 3 points takes 1,068 people.
  assert.equal(value(samplesForShare(0.5, 0.03, 0.95)), 1068)
})

test('unstable is said, and what can not be is named', () => {
  const full = mm1RunLength(1, 0.01, 0.95)
  assert.ok(!full.ok && full.unstable)
  for (const bad of [
    twoSided(1),
    mm1Variance(0),
    mm1RunLength(0.5, 0, 0.95),
    mm1HalfWidth(0.5, 0, 0.95),
    samplesForShare(0, 0.1, 0.95),
  ])
    assert.ok(!bad.ok && /must be/.test(bad.why), JSON.stringify(bad))
})
