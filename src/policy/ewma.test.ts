import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { fadedEwma, peakEwma, ratePerSecond } from './ewma.ts'

const decay = 10_000_000

test('the first sample is taken as it is', () => {
  assert.equal(peakEwma(0, 0, 5, 1_200, decay), 1_200)
})

test('a higher sample is taken at once, a lower one only with time', () => {
  assert.equal(peakEwma(1_000, 0, 1, 50_000, decay), 50_000)
  assert.equal(peakEwma(50_000, 1_000, 1_000, 1_000, decay), 50_000)
  const later = peakEwma(50_000, 0, decay, 1_000, decay)
  assert.ok(Math.abs(later - (50_000 * Math.exp(-1) + 1_000 * (1 - Math.exp(-1)))) < 1e-6)
})

test('a sample of nothing is one microsecond, because 0 means unknown', () => {
  assert.equal(peakEwma(0, 0, 0, 0, decay), 1)
  assert.ok(peakEwma(5, 0, 1e12, 0, decay) >= 1)
})

test('a clock that stands still or goes back changes nothing but peaks', () => {
  assert.equal(peakEwma(900, 100, 50, 800, decay), 900)
  assert.equal(fadedEwma(900, 100, 50, decay), 900)
})

test('an idle member fades to unknown', () => {
  assert.ok(fadedEwma(50_000, 0, decay, decay) < 20_000)
  assert.equal(fadedEwma(50_000, 0, 20 * decay, decay), 0)
})

test('the average stays between the lowest and the highest sample', () => {
  const random = seededRandom(5)
  let value = 0
  let last = 0
  let highest = 0
  for (let n = 0; n < 10_000; n++) {
    const now = last + random.below(2_000_000)
    const sample = 500 + random.below(90_000)
    highest = Math.max(highest, sample)
    value = peakEwma(value, last, now, sample, decay)
    last = now
    assert.ok(value >= 500 && value <= highest && value >= sample - 1e-6)
  }
})

test('a steady stream is measured at its rate whatever its spacing', () => {
  for (const spacing of [1_000, 50_000, 400_000]) {
    let rate = 0
    let mean = 0
    const bytes = spacing // one byte a microsecond
    const steps = Math.ceil((20 * decay) / spacing)
    for (let n = 1; n <= steps; n++) rate = ratePerSecond(rate, (n - 1) * spacing, n * spacing, bytes, decay)
    // Just after a chunk it is high by half a chunk, just before the next low by half.
    mean = rate - (bytes * 1_000_000) / decay / 2
    assert.ok(Math.abs(mean / 1_000_000 - 1) < 0.01, `spacing ${spacing}: ${mean}`)
  }
})
