import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import {
  ejected,
  ejectionUs,
  mayEject,
  type OutlierDecision,
  type OutlierObservation,
  outlierText,
  shouldEjectNow,
  sweepOutliers,
} from './outlier.ts'
import { Reason } from './reason.ts'
import type { OutlierSettings } from './settings.ts'

const settings: OutlierSettings = {
  consecutiveFailures: 5,
  failureShare: 0.5,
  requestsMin: 20,
  windowMs: 10_000,
  latencyFactor: 3,
  ejectBaseMs: 10_000,
  ejectMaxMs: 60_000,
  ejectShareMax: 0.4,
}
const second = 1_000_000

function member(given: Partial<OutlierObservation> = {}): OutlierObservation {
  return {
    requests: 100,
    failures: 0,
    consecutiveFailures: 0,
    latencyUs: 10_000,
    ejectedUntilUs: 0,
    ejections: 0,
    changedUs: 0,
    probes: 'none',
    serving: true,
    ...given,
  }
}

function group(size: number, ...special: Partial<OutlierObservation>[]): OutlierObservation[] {
  return Array.from({ length: size }, (_, i) => member(special[i]))
}

function lines(decisions: readonly OutlierDecision[]): string[] {
  return decisions.map(decision => `${decision.kind} ${decision.member}: ${outlierText(decision)}`)
}

test('a sound group gets no decision', () => {
  assert.deepEqual(sweepOutliers(group(5), second, settings), [])
  assert.deepEqual(sweepOutliers([], second, settings), [])
})

test('each rule ejects, with its numbers', () => {
  const seen = group(8, { consecutiveFailures: 5, failures: 5 }, { failures: 52 }, { latencyUs: 31_000 })
  const decisions = sweepOutliers(seen, 7 * second, { ...settings, ejectShareMax: 1 })
  assert.deepEqual(lines(decisions), [
    'eject 0: ejected: 5 failures in a row',
    'eject 1: ejected: 52 % of 100 requests failed',
    'eject 2: ejected: latency 31 ms, median of the group 10 ms',
  ])
  for (const decision of decisions)
    assert.deepEqual(decision.standing, { ejectedUntilUs: 17 * second, ejections: 1, changedUs: 7 * second })
})

test('a rule set to 0 is off', () => {
  const off = { ...settings, consecutiveFailures: 0, failureShare: 0, latencyFactor: 0 }
  const seen = group(5, { consecutiveFailures: 99, failures: 100 }, { latencyUs: 900_000 })
  assert.deepEqual(sweepOutliers(seen, 0, off), [])
  assert.equal(shouldEjectNow(1_000, off), false)
})

test('shares and latencies of too few requests say nothing', () => {
  const seen = group(5, { requests: 19, failures: 19 }, { requests: 19, latencyUs: 900_000 }, { requests: 0 })
  assert.deepEqual(sweepOutliers(seen, 0, settings), [])
})

test('latencies within a millisecond of the median are noise', () => {
  const seen = group(4, { latencyUs: 900 }).map((one, i) => ({ ...one, latencyUs: i === 0 ? 900 : 100 }))
  assert.deepEqual(sweepOutliers(seen, 0, settings), [])
})

test('with two members the slow one is out, not the fast one', () => {
  assert.deepEqual(lines(sweepOutliers(group(2, {}, { latencyUs: 50_000 }), 0, settings)), [
    'eject 1: ejected: latency 50 ms, median of the group 10 ms',
  ])
})

test('the cap lets out the worst and holds the rest, saying so', () => {
  const seen = group(5, { failures: 60 }, { failures: 90 }, { consecutiveFailures: 6 }, { latencyUs: 40_000 })
  assert.deepEqual(lines(sweepOutliers(seen, second, settings)), [
    'eject 2: ejected: 6 failures in a row',
    'eject 1: ejected: 90 % of 100 requests failed',
    'hold 0: not ejected: 2 of 5 are out already',
    'hold 3: not ejected: 2 of 5 are out already',
  ])
})

test('one may always be ejected, whatever the share, but never the last that serves', () => {
  const none = { ...settings, ejectShareMax: 0 }
  assert.equal(mayEject(0, 3, 3, none), Reason.none)
  assert.equal(mayEject(1, 2, 3, none), Reason.ejectCapReached)
  assert.equal(mayEject(0, 1, 1, { ...settings, ejectShareMax: 1 }), Reason.lastMember)
  const seen = group(2, { consecutiveFailures: 9 }, { serving: false })
  assert.deepEqual(lines(sweepOutliers(seen, 0, settings)), ['hold 0: not ejected: no other member is left'])
})

test('a member that is draining or unhealthy by its probes is not ejected on top', () => {
  assert.deepEqual(sweepOutliers(group(4, { serving: false, consecutiveFailures: 50 }), 0, settings), [])
})

test('ejections double up to the maximum', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 9, 500].map(n => ejectionUs(n, settings) / second),
    [10, 20, 40, 60, 60, 60],
  )
  assert.deepEqual(ejected({ ejectedUntilUs: 0, ejections: 2, changedUs: 0 }, 5 * second, settings), {
    ejectedUntilUs: 45 * second,
    ejections: 3,
    changedUs: 5 * second,
  })
})

test('an unprobed member is back when its time is over, not before', () => {
  const out = { ejectedUntilUs: 10 * second, ejections: 1, consecutiveFailures: 5 }
  assert.deepEqual(sweepOutliers(group(3, out), 10 * second - 1, settings), [])
  const [back] = sweepOutliers(group(3, out), 10 * second, settings)
  assert.equal(outlierText(back!), 'back: ejection of 10 s is over')
  assert.deepEqual(back!.standing, { ejectedUntilUs: 0, ejections: 1, changedUs: 10 * second })
})

test('a probed member is back early after its first ejection when probes saw it fail and pass again, and not while they fail', () => {
  const out = { ejectedUntilUs: 10 * second, ejections: 1 }
  assert.deepEqual(sweepOutliers(group(3, { ...out, probes: 'passing' }), 3 * second, settings), [])
  assert.deepEqual(lines(sweepOutliers(group(3, { ...out, probes: 'recovered' }), 3 * second, settings)), [
    'return 0: back: its probes failed and pass again',
  ])
  assert.deepEqual(sweepOutliers(group(3, { ...out, probes: 'failing' }), 99 * second, settings), [])
})

test('a repeat offender serves its whole time whatever its probes say', () => {
  const out = { ejectedUntilUs: 20 * second, ejections: 2, probes: 'recovered' } as const
  assert.deepEqual(sweepOutliers(group(3, out), 19 * second, settings), [])
  assert.equal(sweepOutliers(group(3, out), 20 * second, settings)[0]!.kind, 'return')
})

test('a place that a return frees is used in the same sweep', () => {
  const one = { ...settings, ejectShareMax: 0.2 }
  const seen = group(5, { ejectedUntilUs: second, ejections: 1 }, { consecutiveFailures: 7 })
  assert.deepEqual(
    sweepOutliers(seen, second, one).map(decision => `${decision.kind} ${decision.member}`),
    ['return 0', 'eject 1'],
  )
})

test('good standing is forgiven step by step, each as long as the ejection it forgives', () => {
  let standing = { ejectedUntilUs: 0, ejections: 3, changedUs: 0 }
  const forgiven: string[] = []
  for (let now = 0; now <= 100 * second; now += second) {
    const [decision] = sweepOutliers(group(3, standing), now, settings)
    if (decision === undefined) continue
    assert.equal(decision.kind, 'forgive')
    standing = { ...decision.standing }
    forgiven.push(`${now / second} s: ${standing.ejections}`)
  }
  assert.deepEqual(forgiven, ['40 s: 2', '60 s: 1', '70 s: 0'])
})

test('on random runs the cap holds, somebody always serves, and nobody stays out for ever', () => {
  const random = seededRandom(73)
  for (let round = 0; round < 60; round++) {
    const size = 1 + random.below(9)
    const given = { ...settings, ejectShareMax: random.float() }
    const standings = Array.from({ length: size }, () => ({ ejectedUntilUs: 0, ejections: 0, changedUs: 0 }))
    for (let tick = 1; tick < 120; tick++) {
      const seen = standings.map(standing =>
        member({
          ...standing,
          consecutiveFailures: random.below(8),
          failures: random.below(100),
          latencyUs: random.below(100_000),
          probes: (['none', 'failing', 'passing', 'recovered'] as const)[random.below(4)]!,
        }),
      )
      for (const decision of sweepOutliers(seen, tick * second, given)) {
        if (decision.kind !== 'hold') standings[decision.member] = { ...decision.standing }
        else assert.deepEqual(decision.standing, standings[decision.member])
      }
      const out = standings.filter(standing => standing.ejectedUntilUs > 0)
      assert.ok(out.length <= Math.max(1, Math.floor(given.ejectShareMax * size)))
      assert.ok(out.length < size)
      for (const standing of out) {
        assert.ok(standing.ejections >= 1)
        assert.ok(standing.ejectedUntilUs - standing.changedUs <= settings.ejectMaxMs * 1_000)
      }
    }
    const late = standings.map(standing => member({ ...standing }))
    const returns = sweepOutliers(late, 1_000 * second, given).filter(decision => decision.kind === 'return')
    assert.equal(returns.length, standings.filter(standing => standing.ejectedUntilUs > 0).length)
  }
})
