import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { createHistograms, emptyDistribution } from '../kit/histogram.ts'
import { decideHedge, hedgeDelayUs, hedgeSamplesMin } from './hedge.ts'
import { Reason } from './reason.ts'

const settings = { percentile: 95, delayMinMs: 5 }

/** 1 ms to 100 ms in even steps, `rounds` times. */
function latencies(rounds: number) {
  const histograms = createHistograms(1)
  for (let n = 0; n < rounds * 100; n++) histograms.record(0, ((n % 100) + 1) * 1_000)
  return histograms.read([0])
}

test('the second attempt starts at the percentile of the latencies', () => {
  const delay = hedgeDelayUs(latencies(10), settings)
  assert.ok(Number.isInteger(delay) && Math.abs(delay / 95_000 - 1) < 0.03, `${delay}`)
})

test('it never starts before the minimum', () => {
  assert.equal(hedgeDelayUs(latencies(10), { percentile: 50, delayMinMs: 80 }), 80_000)
})

test('too few latencies give no delay', () => {
  assert.equal(hedgeDelayUs(emptyDistribution, settings), -1)
  const histograms = createHistograms(1)
  for (let n = 1; n < hedgeSamplesMin; n++) histograms.record(0, 1_000)
  assert.equal(hedgeDelayUs(histograms.read([0]), settings), -1)
  histograms.record(0, 1_000)
  assert.equal(hedgeDelayUs(histograms.read([0]), settings), 5_000)
})

test('only a safe request without a body is hedged, once, within the budget', () => {
  assert.equal(decideHedge(1_000, true, true, false, true), Reason.hedge)
  assert.equal(decideHedge(1_000, false, true, false, true), Reason.noHedgeUnsafe)
  assert.equal(decideHedge(1_000, true, false, false, true), Reason.noHedgeBody)
  assert.equal(decideHedge(1_000, true, true, true, true), Reason.noHedgeAlready)
  assert.equal(decideHedge(1_000, true, true, false, false), Reason.noHedgeBudget)
  assert.equal(decideHedge(-1, true, true, false, true), Reason.noHedgeLatencyUnknown)
})
