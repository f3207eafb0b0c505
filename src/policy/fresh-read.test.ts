import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { Need, ReadHorizon, type SessionNeed, WaitEstimate } from './fresh-read.ts'

const session = (): SessionNeed => ({ lastWrite: 0, after: null })

function sighted(lsn = 100, timeline = 1): ReadHorizon {
  const horizon = new ReadHorizon()
  assert.ok(horizon.sampled(horizon.began(), timeline, lsn))
  return horizon
}

test('a horizon that has seen nothing lets no fresh read go before a sample', () => {
  const horizon = new ReadHorizon()
  assert.equal(horizon.freshNeed(false), Need.sample)
  assert.equal(horizon.needSample, 1)
  horizon.sampled(horizon.began(), 1, 100)
  assert.equal(horizon.freshNeed(false), Need.position)
  assert.equal(horizon.needLsn, 100)
})

test('a sample covers the writes that were acknowledged before it began, and no later ones', () => {
  const horizon = sighted()
  const first = horizon.wrote()
  const sample = horizon.began()
  const second = horizon.wrote()
  horizon.sampled(sample, 1, 200)
  assert.equal(horizon.lsnOf(first), 200)
  assert.equal(horizon.lsnOf(second), -1)
  assert.equal(horizon.freshNeed(false), Need.sample, 'the second write is not covered')
  horizon.sampled(horizon.began(), 1, 300)
  assert.equal(horizon.freshNeed(false), Need.position)
  assert.equal(horizon.needLsn, 300)
})

test('samples that nobody needed do not raise what a fresh read needs', () => {
  const horizon = sighted(100)
  horizon.sampled(horizon.began(), 1, 900)
  assert.equal(horizon.freshNeed(false), Need.position)
  assert.equal(horizon.needLsn, 100)
})

test('where others write too, every fresh read needs a sample that begins after it came', () => {
  const horizon = sighted()
  const sample = horizon.began()
  assert.equal(horizon.freshNeed(true), Need.sample)
  assert.equal(horizon.needSample, sample + 1, 'not the one under way')
})

test('what was sampled on the old primary is void on the new one, also when it arrives late', () => {
  const horizon = sighted(500)
  const late = horizon.began()
  horizon.forget()
  assert.equal(horizon.freshNeed(false), Need.sample)
  assert.equal(horizon.sampled(late, 1, 600), false)
  assert.equal(horizon.timeline, 0)
  assert.ok(horizon.sampled(horizon.began(), 2, 400))
  assert.equal(horizon.freshNeed(false), Need.position)
  assert.equal(horizon.needLsn, 400)
})

test('a session needs the position of its own write, however many others wrote since', () => {
  const horizon = sighted()
  const state = session()
  assert.equal(horizon.sessionNeed(state), Need.nothing)
  state.lastWrite = horizon.wrote()
  assert.equal(horizon.sessionNeed(state), Need.sample)
  horizon.sampled(horizon.began(), 1, 200)
  for (let lsn = 300; lsn < 600; lsn += 100) {
    horizon.wrote()
    horizon.sampled(horizon.began(), 1, lsn)
  }
  assert.equal(horizon.sessionNeed(state), Need.position)
  assert.equal(horizon.needLsn, 200)
  assert.deepEqual(state, { lastWrite: 0, after: { timeline: 1, lsn: 200 } })
})

test('a session that was away for many samples needs an older position than now, never one below its own', () => {
  const horizon = sighted()
  const state = session()
  state.lastWrite = horizon.wrote()
  for (let lsn = 200; lsn < 400; lsn++) horizon.sampled(horizon.began(), 1, lsn)
  assert.equal(horizon.sessionNeed(state), Need.position)
  assert.ok(horizon.needLsn >= 200 && horizon.needLsn < 399, `${horizon.needLsn}`)
})

test('a token of this timeline is a position; one ahead of what we know asks for a sample, which bounds it', () => {
  const horizon = sighted(1_000)
  const state = session()
  horizon.told(state, { timeline: 1, lsn: 700 })
  assert.equal(horizon.sessionNeed(state), Need.position)
  assert.equal(horizon.needLsn, 700)
  horizon.told(state, { timeline: 1, lsn: 9_000_000 })
  assert.equal(horizon.sessionNeed(state), Need.sample)
  horizon.sampled(horizon.began(), 1, 1_200)
  assert.equal(horizon.sessionNeed(state), Need.position)
  assert.equal(horizon.needLsn, 1_200, 'nobody has more than the primary')
})

test('a token of an older timeline needs what was before the switch, and no more than the new primary began with', () => {
  const horizon = sighted(1_000, 1)
  const [survived, lost] = [session(), session()]
  horizon.told(survived, { timeline: 1, lsn: 800 })
  horizon.told(lost, { timeline: 1, lsn: 999 })
  horizon.forget()
  horizon.sampled(horizon.began(), 2, 900)
  horizon.sampled(horizon.began(), 2, 5_000)
  assert.equal(horizon.sessionNeed(survived), Need.position)
  assert.equal(horizon.needLsn, 800)
  assert.equal(horizon.sessionNeed(lost), Need.position)
  assert.equal(horizon.needLsn, 900)
})

test('a token of a timeline that we have not heard of is for the primary', () => {
  const horizon = sighted(1_000, 1)
  const state = session()
  horizon.told(state, { timeline: 2, lsn: 10 })
  assert.equal(horizon.sessionNeed(state), Need.otherTimeline)
  state.lastWrite = horizon.wrote()
  horizon.sampled(horizon.began(), 1, 2_000)
  assert.equal(
    horizon.sessionNeed(state),
    Need.otherTimeline,
    'its own write here does not make that one known',
  )
})

test('the further of two tokens on one timeline counts, and the younger timeline over the older', () => {
  const horizon = sighted(1_000, 3)
  const state = session()
  for (const token of [
    { timeline: 3, lsn: 500 },
    { timeline: 3, lsn: 400 },
    { timeline: 2, lsn: 900 },
  ])
    horizon.told(state, token)
  assert.deepEqual(state.after, { timeline: 3, lsn: 500 })
})

test('a token that comes after an own write is covered by what the session waits for', () => {
  const horizon = sighted(100)
  const state = session()
  state.lastWrite = horizon.wrote()
  const sample = horizon.began()
  horizon.told(state, { timeline: 1, lsn: 300 })
  horizon.sampled(sample, 1, 200)
  assert.equal(horizon.sessionNeed(state), Need.sample, 'the sample began before the token was given')
  horizon.sampled(horizon.began(), 1, 320)
  assert.equal(horizon.sessionNeed(state), Need.position)
  assert.equal(horizon.needLsn, 320)
})

/** A primary's log, acknowledged writes and switches, against the horizon: what it asks for always covers them. */
test('whatever happens in whatever order, a need that is met has every acknowledged write', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('write' as const), session: fc.nat(2) }),
      fc.record({ kind: fc.constantFrom('begin', 'end', 'switch', 'fresh'), session: fc.constant(0) }),
      fc.record({ kind: fc.constant('session' as const), session: fc.nat(2) }),
    ),
    { maxLength: 80 },
  )
  fc.assert(
    fc.property(steps, list => {
      const horizon = new ReadHorizon()
      const states = [session(), session(), session()]
      const owned = [0, 0, 0]
      let [log, timeline, acknowledged] = [100, 1, 0]
      let underWay: { number: number; timeline: number; lsn: number } | null = null
      for (const { kind, session: who } of list) {
        log += 3
        if (kind === 'write') {
          acknowledged = owned[who] = log
          states[who]!.lastWrite = horizon.wrote()
        } else if (kind === 'begin' && underWay === null) {
          underWay = { number: horizon.began(), timeline, lsn: log }
        } else if (kind === 'end' && underWay !== null) {
          horizon.sampled(underWay.number, underWay.timeline, underWay.lsn)
          underWay = null
        } else if (kind === 'switch') {
          // Nothing acknowledged is lost: the new primary begins at or above it.
          timeline++
          horizon.forget()
        } else if (kind === 'fresh' && horizon.freshNeed(false) === Need.position) {
          assert.ok(horizon.needLsn >= acknowledged, `${horizon.needLsn} < ${acknowledged}`)
        } else if (kind === 'session' && horizon.sessionNeed(states[who]!) === Need.position) {
          assert.ok(horizon.needLsn >= owned[who]!, `${horizon.needLsn} < ${owned[who]}`)
        }
      }
    }),
    { numRuns: 3_000 },
  )
})

test('waits in vain stop further ones, and are tried again after a second', () => {
  const estimate = new WaitEstimate()
  const limitUs = 10_000
  for (let i = 0; i < 20; i++) estimate.ended(500, i)
  assert.ok(estimate.worth(20, limitUs))
  let vain = 0
  while (estimate.worth(20, limitUs)) {
    estimate.ended(2 * limitUs, 20)
    vain++
  }
  assert.ok(vain > 2 && vain < 10, `${vain} in a row`)
  assert.ok(estimate.worth(1_000_020, limitUs))
  assert.equal(estimate.worth(5_000_000, 0), false, 'a limit of 0 means never')
})
