import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import {
  firstProbeAt,
  HealthState,
  healthLayout,
  healthReason,
  healthStateNames,
  mayServe,
  nextProbeAt,
  probeVerdict,
  recordProbe,
} from './health.ts'
import { Reason } from './reason.ts'

const settings = { intervalMs: 1_000, rise: 2, fall: 3, jitter: 0.2 }

/** Applies `+` (ok) and `-` (failed), a second apart; gives the state after each. */
function states(outcomes: string, given = settings): string {
  const cells = healthLayout.create(1)
  return [...outcomes]
    .map((outcome, n) => {
      recordProbe(cells, 0, outcome === '+', n * 1_000_000, given)
      return healthStateNames[cells.at.state[0]!]![0]
    })
    .join('')
}

test('a zeroed row is unchecked and may serve', () => {
  const cells = healthLayout.create(2)
  assert.equal(cells.at.state[1], HealthState.unchecked)
  assert.ok(mayServe(cells, 1))
  assert.equal(healthReason(cells, 1, settings), 'not probed yet')
})

test('one probe makes an unchecked member healthy, `fall` in a row an unhealthy one', () => {
  assert.equal(states('+'), 'h')
  assert.equal(states('---'), 'uuu')
  assert.equal(states('--+'), 'uuh')
})

test('a healthy member leaves after `fall` failures in a row and comes back after `rise` successes in a row', () => {
  assert.equal(states('+--+---'), 'hhhhhhu')
  assert.equal(states('+---+-++'), 'hhhuuuuh')
})

test('thresholds below one count as one', () => {
  assert.equal(states('+-+-', { ...settings, rise: 0, fall: 0 }), 'huhu')
})

test('a change of state is reported once, with the time it happened', () => {
  const cells = healthLayout.create(1)
  const codes = [...'+---+++'].map((outcome, n) =>
    recordProbe(cells, 0, outcome === '+', n * 1_000, settings),
  )
  const { none, probesOk, probesFailed } = Reason
  assert.deepEqual(codes, [probesOk, none, none, probesFailed, none, probesOk, none])
  assert.equal(cells.at.sinceUs[0], 5_000)
  assert.equal(cells.at.probedUs[0], 6_000)
})

test('the reason names the streak, and how far it is from a change', () => {
  const cells = healthLayout.create(1)
  const reasons = [...'++-++---+++'].map(outcome => {
    recordProbe(cells, 0, outcome === '+', 0, settings)
    return healthReason(cells, 0, settings)
  })
  assert.deepEqual(reasons, [
    '1 probe ok',
    '2 probes ok',
    'probe failed, 1 of 3 to leave',
    '1 probe ok',
    '2 probes ok',
    'probe failed, 1 of 3 to leave',
    'probe failed, 2 of 3 to leave',
    '3 probes failed',
    'probe ok, 1 of 2 to come back',
    '2 probes ok',
    '3 probes ok',
  ])
})

test('the documented invariants hold on random outcomes', () => {
  const random = seededRandom(61)
  for (let round = 0; round < 200; round++) {
    const given = { ...settings, rise: 1 + random.below(4), fall: 1 + random.below(4) }
    const cells = healthLayout.create(1)
    let ok = 0
    let failed = 0
    let everOk = false
    for (let n = 0; n < 60; n++) {
      const good = random.below(2) === 0
      recordProbe(cells, 0, good, n, given)
      ok = good ? ok + 1 : 0
      failed = good ? 0 : failed + 1
      everOk ||= good
      const state = cells.at.state[0]!
      if (state === HealthState.unchecked) assert.ok(!everOk && failed < given.fall)
      if (state === HealthState.healthy) assert.ok(everOk && failed < given.fall)
      if (state === HealthState.unhealthy) assert.ok(ok < given.rise)
    }
  }
})

test('a streak stops growing at a million', () => {
  const cells = healthLayout.create(1)
  cells.at.streak[0] = 1_000_000
  recordProbe(cells, 0, true, 0, settings)
  assert.equal(cells.at.streak[0], 1_000_000)
})

test('probes stay within the jitter around the interval, and on average an interval apart', () => {
  const random = seededRandom(67)
  let sum = 0
  for (let n = 0; n < 10_000; n++) {
    const wait = nextProbeAt(5_000, 2_000, 0.2, random) - 5_000
    assert.ok(Number.isInteger(wait) && wait >= 1_600_000 && wait <= 2_400_000)
    sum += wait
  }
  assert.ok(Math.abs(sum / 10_000 - 2_000_000) < 10_000)
  assert.equal(nextProbeAt(0, 2_000, 0, random), 2_000_000)
})

test('a first probe comes within the jitter, and never is a probe due at once again and again', () => {
  const random = seededRandom(71)
  for (let n = 0; n < 1_000; n++) {
    const first = firstProbeAt(0, 1_000, 0.5, random)
    assert.ok(first >= 0 && first <= 500_000)
    assert.ok(nextProbeAt(0, 0, 1, random) >= 1_000)
  }
})

test('the verdict since a moment tells failing, passing and recovered apart', () => {
  const cells = healthLayout.create(1)
  const probe = (ok: boolean, now: number) => recordProbe(cells, 0, ok, now, settings)
  probe(true, 10)
  assert.equal(probeVerdict(cells, 0, 20, 2), 'failing', 'none has come since')
  probe(true, 30)
  probe(true, 40)
  assert.equal(probeVerdict(cells, 0, 20, 2), 'passing', 'it never failed')
  probe(false, 50)
  assert.equal(probeVerdict(cells, 0, 20, 2), 'failing')
  probe(true, 60)
  assert.equal(probeVerdict(cells, 0, 20, 2), 'passing')
  probe(true, 70)
  assert.equal(probeVerdict(cells, 0, 20, 2), 'recovered')
  assert.equal(probeVerdict(cells, 0, 55, 2), 'passing', 'the failure was before')
})
