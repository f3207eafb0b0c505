// Quorums: strict ones never read stale, partial ones as often as the paper says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { type DelayLaw, quorum, staleness, type WarsDelays } from './quorum.ts'
import { value } from './testing.ts'

const law = (least: number, shape: number, tail: number, rate: number): DelayLaw => ({
  paretoLeast: least,
  paretoShape: shape,
  exponentialShare: tail,
  exponentialMean: 1 / rate,
})
const every = (write: DelayLaw, others: DelayLaw): WarsDelays => ({
  write,
  acknowledge: others,
  read: others,
  respond: others,
})
// The paper's fits, table 3, in milliseconds.
const ssd = law(0.235, 10, 0.0878, 1.66)
const disk = law(1.05, 1.51, 0.62, 0.183)
const linkedinSsd = every(ssd, ssd)
const linkedinDisk = every(disk, ssd)
const yammer = every(law(3, 3.35, 0.061, 0.0028), law(1.5, 3.8, 0.018, 0.0217))
const one = { copies: 3, reads: 1, writes: 1 }

test('R + W > N, and what may be lost', () => {
  assert.deepEqual(value(quorum({ copies: 3, reads: 2, writes: 2 })), {
    strict: true,
    writesMeet: true,
    readsSurvive: 1,
    writesSurvive: 1,
  })
  assert.equal(value(quorum(one)).strict, false)
  assert.equal(value(quorum({ copies: 4, reads: 2, writes: 2 })).strict, false)
})

test('the fits of the paper give its shares of consistent reads, R = W = 1 of 3', () => {
  const rows: [WarsDelays, number, number][] = [
    [linkedinSsd, 0, 0.974],
    [linkedinDisk, 0, 0.439],
    [linkedinDisk, 10, 0.925],
    [yammer, 0, 0.893],
    [yammer, 1364, 0.999],
  ]
  for (const [delays, since, share] of rows) {
    const figures = value(staleness(one, delays, since, 100_000, seededRandom(1)))
    assert.ok(Math.abs(figures.consistent - share) < 0.008, `${figures.consistent} for ${share}`)
    assert.ok(figures.halfWidth < 0.004)
  }
})

test('a strict quorum is always consistent; more copies asked, more consistent and slower', () => {
  const strict = value(
    staleness({ copies: 3, reads: 2, writes: 2 }, linkedinDisk, 0, 20_000, seededRandom(2)),
  )
  assert.equal(strict.consistent, 1)
  assert.ok(strict.halfWidth > 0)
  const [first, second] = [1, 2].map(reads =>
    value(staleness({ copies: 3, reads, writes: 1 }, linkedinDisk, 0, 20_000, seededRandom(3))),
  )
  assert.ok(second!.consistent > first!.consistent + 0.05 && second!.readMean > first!.readMean)
  assert.equal(first!.consistent, value(staleness(one, linkedinDisk, 0, 20_000, seededRandom(3))).consistent)
})

test('what can not be is named', () => {
  for (const bad of [
    quorum({ copies: 3, reads: 4, writes: 1 }),
    quorum({ copies: 0, reads: 1, writes: 1 }),
    staleness(one, linkedinSsd, -1, 1000, seededRandom(1)),
    staleness(one, linkedinSsd, 0, 10, seededRandom(1)),
    staleness(one, every(law(0, 1, 0, 1), ssd), 0, 1000, seededRandom(1)),
    staleness(one, every(law(1, 1, 2, 1), ssd), 0, 1000, seededRandom(1)),
  ])
    assert.ok(!bad.ok && /must be/.test(bad.why), JSON.stringify(bad))
})
