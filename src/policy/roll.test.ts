import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { decideRoll, newRollState, type RolledInstance, type RollPlan, type RollWanted } from './roll.ts'
import { FleetRehearsal } from './testing/fleet-rehearsal.ts'

const settings = { surge: 1, drainTimeoutMs: 10_000, readyTimeoutMs: 30_000 }
const second = 1_000_000

/** The invariants of one plan, whatever was there before: reached by us or not. */
function assertPlan(
  wanted: RollWanted,
  surge: number,
  before: readonly RolledInstance[],
  plan: RollPlan,
): void {
  const ids = plan.steps.flatMap(step => ('id' in step ? [step.id] : []))
  assert.equal(new Set(ids).size, ids.length, 'an instance gets one step')
  const states = ids.map(id => before.find(one => one.id === id)?.state)
  assert.ok(states.every(state => state !== undefined && state !== 'stopping'))
  const ready = before.filter(one => one.state === 'ready').length
  const ended = states.filter(state => state === 'ready').length
  assert.ok(
    ready - ended >= Math.min(wanted.count, ready),
    `${ready} ready, ${ended} of them ended, ${wanted.count} wanted`,
  )
  for (const step of plan.steps)
    if (step.kind === 'drain') assert.equal(before.find(one => one.id === step.id)!.state, 'ready')
  const starts = plan.steps.reduce((sum, step) => sum + (step.kind === 'start' ? step.count : 0), 0)
  if (starts === 0) return
  const live = before.filter(one => one.state === 'starting' || one.state === 'ready').length
  const liveEnded = states.filter(state => state === 'starting' || state === 'ready').length
  const leaving = before.filter(one => one.state === 'draining' || one.state === 'stopping').length
  assert.ok(live - liveEnded + starts <= wanted.count + surge, 'starting and ready')
  assert.ok(live + leaving + starts <= 2 * wanted.count + surge, 'with those on their way out')
}

const version = fc.constantFrom('v1', 'v2', 'v3')
const observed = fc.array(
  fc.record({
    version,
    state: fc.constantFrom('starting', 'ready', 'draining', 'stopping', 'failed'),
    sinceUs: fc.integer({ min: 0, max: 60 * second }),
    idle: fc.boolean(),
  }),
  { maxLength: 12 },
)

test('whatever is there, a plan keeps the invariants', () => {
  fc.assert(
    fc.property(
      observed,
      fc.record({ count: fc.integer({ min: 0, max: 6 }), version }),
      fc.integer({ min: 0, max: 3 }),
      fc.option(version, { nil: null }),
      (list, wanted, surge, abandoned) => {
        const before = list.map((one, i): RolledInstance => ({ ...one, id: `web-${i + 1}` }))
        const state =
          abandoned === null ? newRollState : { abandoned: { version: abandoned, why: 'it failed' } }
        const [, plan] = decideRoll(60 * second, wanted, before, state, { ...settings, surge })
        assertPlan(wanted, Math.max(1, surge), before, plan)
        assert.ok(plan.wakeAtUs === null || plan.wakeAtUs > 60 * second)
      },
    ),
    { numRuns: 3_000 },
  )
})

/** An operator's orders and a world that obeys them, at random moments. */
const orders = fc.array(
  fc.record({
    count: fc.integer({ min: 0, max: 5 }),
    version,
    waitMs: fc.integer({ min: 0, max: 20_000 }),
  }),
  { minLength: 1, maxLength: 6 },
)
const pace = fc.record({
  readyMs: fc.integer({ min: 1, max: 9_000 }),
  idleMs: fc.oneof(fc.integer({ min: 1, max: 9_000 }), fc.constant(Infinity)),
})

test('with healthy instances every sequence of orders ends as ordered, and the ready ones never fell short by our doing', () => {
  fc.assert(
    fc.property(orders, pace, fc.integer({ min: 1, max: 3 }), (list, { readyMs, idleMs }, surge) => {
      const fleet = new FleetRehearsal(1)
      fleet.roll = { ...settings, surge }
      for (const name of ['v1', 'v2', 'v3'])
        fleet.behaviours.set(name, { readyUs: readyMs * 1_000, crashUs: Infinity, idleUs: idleMs * 1_000 })
      fleet.onPlan = (before, plan) => assertPlan(fleet.wanted, surge, before, plan)
      for (const order of list) {
        fleet.wanted = { count: order.count, version: order.version }
        fleet.advance(order.waitMs * 1_000)
      }
      fleet.advance(300 * second)
      assert.ok(fleet.plan?.settled, fleet.plan?.why ?? 'no plan')
      assert.equal(fleet.instances.length, fleet.wanted.count)
      for (const one of fleet.instances) {
        assert.equal(one.state, 'ready')
        assert.equal(one.version, fleet.wanted.version)
      }
    }),
    { numRuns: 300 },
  )
})

test('a new version that is never ready costs no ready instance, whenever it comes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      (count, surge, crashes) => {
        const fleet = new FleetRehearsal(1)
        fleet.roll = { ...settings, surge }
        fleet.behaviours.set('v2', {
          readyUs: Infinity,
          crashUs: crashes ? second : Infinity,
          idleUs: second,
        })
        fleet.wanted = { count, version: 'v1' }
        fleet.advance(10 * second)
        fleet.onPlan = before => assert.ok(before.filter(one => one.state === 'ready').length >= count)
        fleet.wanted = { count, version: 'v2' }
        fleet.advance(200 * second)
        assert.ok(fleet.plan?.settled)
        assert.match(
          fleet.plan.why,
          /^roll given up: web-\d+ (was not ready within 30 s|of the new version failed)$/,
        )
        assert.equal(
          fleet.instances.filter(one => one.state === 'ready' && one.version === 'v1').length,
          count,
        )
        assert.equal(fleet.instances.filter(one => one.state === 'starting').length, 0)
      },
    ),
    { numRuns: 60 },
  )
})

test('an instance that is not ready in time while no old one serves is left to the restart policy', () => {
  const one: RolledInstance = { id: 'web-1', version: 'v1', state: 'starting', sinceUs: 0 }
  const [state, plan] = decideRoll(99 * second, { count: 1, version: 'v1' }, [one], newRollState, settings)
  assert.equal(state.abandoned, null)
  assert.deepEqual(plan.steps, [])
  assert.equal(plan.settled, false)
})

test('old instances that are not ready go once the ready ones suffice without them', () => {
  const old: RolledInstance = { id: 'web-1', version: 'v1', state: 'starting', sinceUs: 0 }
  const fresh: RolledInstance = { id: 'web-2', version: 'v2', state: 'starting', sinceUs: 0 }
  const wanted = { count: 1, version: 'v2' }
  const [, waiting] = decideRoll(second, wanted, [old, fresh], newRollState, settings)
  assert.deepEqual(waiting.steps, [])
  const [, done] = decideRoll(second, wanted, [old, { ...fresh, state: 'ready' }], newRollState, settings)
  assert.deepEqual(
    done.steps.map(step => step.kind),
    ['stop'],
  )
})

test('a service at rest asks for nothing and never wakes', () => {
  const ready = [1, 2].map(
    (n): RolledInstance => ({ id: `web-${n}`, version: 'v1', state: 'ready', sinceUs: 0 }),
  )
  const [, plan] = decideRoll(second, { count: 2, version: 'v1' }, ready, newRollState, settings)
  assert.deepEqual(plan, { steps: [], wakeAtUs: null, why: '2 of 2 ready', settled: true })
})
