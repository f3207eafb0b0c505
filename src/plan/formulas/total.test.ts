// Every formula that takes plain numbers, called with numbers that nobody meant: it answers or refuses with a sentence,
// never throws, and never gives NaN, infinity or a number below none.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Answer } from './answer.ts'
import * as formulas from './index.ts'

type Formula = (...values: number[]) => Answer<unknown>

const ofNumbers = {
  erlangB: 2,
  erlangC: 2,
  halfinWhitt: 1,
  halfinWhittBeta: 1,
  squareRootStaffing: 2,
  mm1: 2,
  mm1SojournQuantile: 3,
  mm1k: 3,
  mg1: 3,
  gg1: 4,
  processorSharing: 3,
  dm1: 1,
  ekm1: 2,
  supermarket: 2,
  supermarketTail: 3,
  supermarketQuantile: 3,
  missRate: 2,
  cacheBytes: 4,
  cyclicScanHitRatio: 3,
  kOfN: 3,
  correlated: 2,
  fromRepair: 2,
  leaderWithFailover: 2,
  downtime: 1,
  errorBudget: 2,
  burnRate: 2,
  burnThreshold: 3,
  averageRate: 2,
  peakRate: 2,
  concurrency: 2,
  yearsUntil: 2,
  blockingServers: 2,
  withSpare: 2,
  withZoneLoss: 2,
  queueBound: 3,
  drainTime: 3,
  scalerTarget: 3,
  serversByCpu: 4,
  failuresPerYear: 1,
  meanTimeToDataLoss: 3,
  lossProbability: 3,
  yearlyDurability: 1,
  writesAtRisk: 3,
  retryAmplification: 2,
  retrySuccess: 2,
  budgetedAmplification: 3,
  anySlow: 2,
  leafSlowFor: 2,
  leafQuantile: 2,
  hedged: 3,
  ringMaxByMean: 2,
  movedShare: 1,
  replicaLag: 4,
  catchUpTime: 2,
  freshShare: 2,
  freshAfter: 2,
  bandwidth: 2,
  behindCache: 2,
  replicationBandwidth: 2,
  transferSeconds: 3,
  twoSided: 1,
  mm1Variance: 1,
  mm1RunLength: 3,
  mm1HalfWidth: 3,
  samplesForShare: 3,
} as const

const strange = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -0,
  0,
  5e-324,
  1e-300,
  1e-9,
  0.5,
  1 - 2 ** -53,
  1,
  1.5,
  2,
  7,
  100,
  1e6,
  1e15,
  1e300,
  Number.MAX_VALUE,
]

function sound(found: unknown, where: string): void {
  if (typeof found === 'number')
    assert.ok(found >= 0 && found < Number.POSITIVE_INFINITY, `${where} is ${found}`)
  else if (typeof found === 'object' && found !== null)
    for (const [key, inner] of Object.entries(found)) sound(inner, `${where}.${key}`)
}

test('numbers that nobody meant give an answer or a sentence', () => {
  const value = fc.oneof(
    fc.constantFrom(...strange),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.integer({ min: 0, max: 2000 }),
  )
  const all = new Map<string, unknown>(Object.entries(formulas))
  for (const [name, count] of Object.entries(ofNumbers)) {
    const formula = all.get(name) as Formula
    fc.assert(
      fc.property(fc.array(value, { minLength: count, maxLength: count }), values => {
        const answer = formula(...values)
        const where = `${name}(${values.join(', ')})`
        if (answer.ok) sound(answer.value, where)
        else assert.match(answer.why, /^.{12,}$/, where)
      }),
      { numRuns: 100 },
    )
  }
})

test('no formula of plain numbers is left out of this test', () => {
  const others = [
    // Of checks and answers; and those that take lists, popularities, choices, stations, stalls, laws or draws.
    'given impossible unstable then firstWrong everyOne positive notNegative share inside whole nextPowerOfTwo',
    'series parallel serversFor cacheHitRatio cacheEntriesFor ttlCache coldStartSeconds layeredHitRatio zipf popularityOf',
    'mmc mmcWaitQuantile mmcSojournQuantile mmck sojournTail sojournQuantile ggc ggcSojournQuantile sojournByChoice',
    'sojournQuantileByChoice pooledServers perNodeServers utilisationFor layeredAmplification scaledThroughput scalingPeak',
    'shardsNeeded readReplicas quorum staleness storagePerDay storageAfter storageGrown closedLoopView intendedView',
  ]
  const known = new Set([...Object.keys(ofNumbers), ...others.join(' ').split(' ')])
  const all = Object.entries(formulas).filter(([, one]) => typeof one === 'function')
  assert.deepEqual(
    all.map(([name]) => name).filter(name => !known.has(name)),
    [],
  )
})
