import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { MS, SECOND } from '../kit/clock.ts'
import { seededRandom } from '../kit/random.ts'
import { ReplicaChoice, type ReplicaSettings, ReplicaStanding } from './replica.ts'
import { LagHistory } from './replica-lag.ts'

const settings: ReplicaSettings = { balance: 'least-connections', lessFromMs: 1_000, notFromMs: 10_000 }
const now = 1_000 * SECOND

function standing(id: string, given: Partial<ReplicaStanding> = {}): ReplicaStanding {
  const whole = { ready: true, watched: true, timeline: 1, lsn: 1_000, asOf: now, caughtUp: true, ...given }
  return Object.assign(new ReplicaStanding(id), whole)
}

function choiceOf(replicas: readonly ReplicaStanding[], given: Partial<ReplicaSettings> = {}): ReplicaChoice {
  const choice = new ReplicaChoice({ ...settings, ...given })
  choice.use({ ...settings, ...given }, replicas)
  return choice
}

/** How often each is taken, in share of the picks. */
function shares(pick: () => ReplicaStanding | null, rounds = 4_000): Record<string, number> {
  const found: Record<string, number> = {}
  for (let i = 0; i < rounds; i++) {
    const id = pick()?.id ?? 'nobody'
    found[id] = (found[id] ?? 0) + 1 / rounds
  }
  return found
}

const random = () => seededRandom(4)

test('a read that needs a position goes only where it has been replayed, on the same timeline', () => {
  const replicas = [
    standing('behind', { lsn: 999 }),
    standing('other-timeline', { timeline: 2, lsn: 5_000 }),
    standing('unknown', { timeline: 0, lsn: 5_000 }),
    standing('delayed', { delayed: true }),
    standing('down', { ready: false }),
    standing('silent', { watched: false }),
    standing('there'),
  ]
  const choice = choiceOf(replicas)
  assert.deepEqual(Object.keys(shares(() => choice.pickAt(now, 1, 1_000, random()))), ['there'])
  assert.equal(choice.pickAt(now, 1, 1_001, random()), null)
  assert.equal(choice.pickAt(now, 0, 0, random()), null, 'an unknown timeline is nobody’s')
})

test('a bound on staleness is kept by the time since which nothing can be missing', () => {
  const choice = choiceOf([
    standing('a', { asOf: now - 5 * SECOND, caughtUp: false }),
    standing('b', { asOf: now - 200 * MS, caughtUp: false }),
    standing('c', { asOf: -1, caughtUp: false }),
  ])
  assert.deepEqual(Object.keys(shares(() => choice.pickWithin(now, SECOND, random()))), ['b'])
  assert.equal(choice.pickWithin(now, 100 * MS, random()), null)
})

test('from the first threshold a replica is used less, from the second not while another is nearer', () => {
  for (const balance of ['least-connections', 'least-response-time', 'round-robin'] as const) {
    const late = standing('late', { caughtUp: false, asOf: now - 5 * SECOND, latencyUs: 500, latencyAt: now })
    const near = standing('near', { latencyUs: 500, latencyAt: now })
    const choice = choiceOf([late, near], { balance })
    const one = random()
    const pick = (): ReplicaStanding | null => {
      const taken = choice.pickAny(now, one)
      // As many in flight as its share: least connections balances by what is under way.
      if (taken !== null && balance !== 'round-robin') choice.began(taken)
      return taken
    }
    const found = shares(pick)
    assert.ok(found.late! > 0.1 && found.late! < 0.45, `${balance}: ${found.late}`)
    late.asOf = now - 11 * SECOND
    late.inFlight = near.inFlight = 0
    assert.deepEqual(Object.keys(shares(pick)), ['near'], balance)
  }
})

test('when all are too far behind, the least bad one serves reads that take anything', () => {
  const choice = choiceOf([
    standing('an-hour', { caughtUp: false, asOf: now - 3_600 * SECOND }),
    standing('a-minute', { caughtUp: false, asOf: now - 60 * SECOND }),
    standing('unknown', { caughtUp: false, asOf: -1 }),
    standing('delayed', { delayed: true }),
  ])
  assert.deepEqual(Object.keys(shares(() => choice.pickAny(now, random()))), ['a-minute'])
})

test('while nobody’s lag is known, reads that take anything are spread over all', () => {
  const choice = choiceOf([
    standing('a', { caughtUp: false, asOf: -1 }),
    standing('b', { caughtUp: false, asOf: -1 }),
  ])
  const one = random()
  const found = shares(() => choice.pickAny(now, one))
  assert.ok(Math.abs(found.a! - 0.5) < 0.1, JSON.stringify(found))
})

test('a replica that fails statements is out for a second, then doubled, and is forgiven; the last one stays', () => {
  const [a, b] = [standing('a'), standing('b')]
  const choice = choiceOf([a, b])
  const fail = (one: ReplicaStanding, times: number, at: number): void => {
    for (let i = 0; i < times; i++) {
      choice.began(one)
      choice.ended(one, at, 0, true)
    }
  }
  fail(a, 2, now)
  assert.equal(a.isOut(now), false)
  fail(a, 1, now)
  assert.ok(a.isOut(now + 900 * MS) && !a.isOut(now + 1_001 * MS))
  assert.match(choice.standing(a, now, 1), /^not used for another 1 s/)
  fail(b, 50, now)
  assert.equal(b.isOut(now), false, 'nothing is gained by having nobody')
  assert.equal(choice.pickAt(now, 1, 0, random()), b)
  fail(a, 1, now + 2 * SECOND)
  assert.ok(a.isOut(now + 3_900 * MS), 'one failure after its return, for twice as long')
  choice.ended(a, now + 10 * SECOND, 400, false)
  choice.ended(a, now + 20 * SECOND, 400, false)
  assert.equal(a.ejections, 0)
})

test('of none that answer, the one that may be there is named only for want of a primary', () => {
  const choice = choiceOf([
    standing('silent', { watched: false, caughtUp: false, asOf: -1 }),
    standing('down', { ready: false }),
  ])
  assert.equal(choice.pickAny(now, random()), null)
  assert.equal(choice.anyUsable(now), false)
  assert.equal(choice.pickLast(now)?.id, 'silent')
})

test('weights and response times decide among those that may', () => {
  const heavy = standing('heavy', { weight: 3 })
  const choice = choiceOf([heavy, standing('light')], { balance: 'round-robin' })
  assert.ok(Math.abs(shares(() => choice.pickAt(now, 1, 1, random())).heavy! - 0.75) < 0.02)
  const quick = standing('quick', { latencyUs: 100, latencyAt: now })
  const slow = standing('slow', { latencyUs: 9_000, latencyAt: now })
  const byTime = choiceOf([quick, slow], { balance: 'least-response-time' })
  assert.deepEqual(Object.keys(shares(() => byTime.pickAt(now, 1, 1, random()))), ['quick'])
})

test('every state of a replica has a sentence', () => {
  const choice = choiceOf([])
  const sentences = [
    standing('a'),
    standing('a', { caughtUp: false, asOf: now - 2 * SECOND }),
    standing('a', { caughtUp: false, asOf: now - 20 * SECOND }),
    standing('a', { delayed: true }),
    standing('a', { ready: false }),
    standing('a', { watched: false }),
    standing('a', { timeline: 2 }),
    standing('a', { caughtUp: false, asOf: -1 }),
  ].map(one => choice.standing(one, now, 1))
  assert.deepEqual(sentences, [
    'used',
    'used less: 2 s behind',
    'not used while another is nearer: 20 s behind',
    'never read from: it is delayed on purpose',
    'not used: it is not ready',
    'not used: it does not answer the monitor',
    'not used for fresh reads: it is on timeline 2, the primary on 1',
    'not used: how far it is is not known yet',
  ])
})

test('a lag is the time since the last sample that the replica has replayed, however far back', () => {
  const history = new LagHistory(10 * MS)
  history.sampled(1_000, 100)
  history.sampled(2_000, 150)
  history.sampled(30_000, 200)
  assert.equal(history.asOf(99), -1)
  assert.equal(history.asOf(199), 1_000, 'the second sample came too soon to be kept')
  assert.equal(history.asOf(200), 30_000)
  for (let i = 1; i <= 1_000; i++) history.sampled(30_000 + i * 20_000, 200 + i)
  assert.equal(history.asOf(300), -1, 'forgotten: who is there yet knows from before')
  assert.equal(history.asOf(1_200), 20_030_000)
  history.forget()
  assert.equal(history.asOf(1_200), -1)
})
