import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../kit/random.ts'
import { exponential, OverloadRehearsal } from '../testing/overload-rehearsal.ts'
import {
  Importance,
  type ImportanceCode,
  importanceOf,
  isShed,
  lineSettings,
  loopLoad,
  placesFor,
  shedShare,
  smoothedLoad,
  upstreamLoad,
  type Waiting,
  WaitingLine,
} from './index.ts'

const settings = { targetUs: 20_000, intervalUs: 200_000, patienceUs: 5_000_000 }
const { sheddable, normal, critical } = Importance

test('an admission raises a request to critical, risk lowers it by a class', () => {
  assert.equal(importanceOf(normal, 0, false), normal)
  assert.equal(importanceOf(sheddable, 0, true), critical)
  assert.equal(importanceOf(normal, 80, false), sheddable)
  assert.equal(importanceOf(critical, 80, false), normal)
  assert.equal(importanceOf(sheddable, 80, false), sheddable)
  assert.equal(importanceOf(sheddable, 80, true), normal)
})

test('a share of the places is held for the critical, and everybody gets one at least', () => {
  assert.deepEqual(
    [sheddable, normal, critical].map(one => placesFor(one, 100, 0.2)),
    [60, 80, 100],
  )
  assert.deepEqual(
    [sheddable, normal, critical].map(one => placesFor(one, 100, 0)),
    [90, 100, 100],
  )
  assert.deepEqual(
    [sheddable, normal, critical].map(one => placesFor(one, 1, 0.5)),
    [1, 1, 1],
  )
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      (limit, reserve) => {
        const [low, middle, high] = [sheddable, normal, critical].map(one => placesFor(one, limit, reserve))
        assert.ok(1 <= low! && low! <= middle! && middle! <= high! && high === limit)
      },
    ),
  )
})

test('a loop that is late counts only where it is busy too', () => {
  assert.equal(loopLoad(500_000, 0.3), 0)
  assert.equal(loopLoad(5_000, 1), 0)
  assert.equal(loopLoad(500_000, 1), 1)
  const middle = loopLoad(110_000, 1)
  assert.ok(middle > 0.4 && middle < 0.6, `${middle}`)
})

test('an upstream whose places are all used is half loaded; the wait for one is the rest', () => {
  assert.equal(upstreamLoad(0, 10, 0, 1_000), 0)
  assert.equal(upstreamLoad(10, 10, 0, 1_000), 0.5)
  assert.equal(upstreamLoad(15, 10, 2_000, 1_000), 1)
})

test('load comes quickly and goes slowly', () => {
  assert.equal(smoothedLoad(0, 1), 0.5)
  assert.equal(smoothedLoad(1, 0), 0.9)
})

test('the more loaded, the more are refused: the sheddable first, the critical never, and the risky before others', () => {
  for (const importance of [sheddable, normal, critical]) {
    assert.equal(shedShare(0, importance, 100), 0, 'nobody without load')
    let before = 0
    for (let load = 0; load <= 1; load += 0.05) {
      const share = shedShare(load, importance, 0)
      assert.ok(share >= before)
      assert.ok(shedShare(load, importance, 90) >= share)
      before = share
    }
  }
  assert.equal(shedShare(0.8, sheddable, 0), 1)
  assert.ok(shedShare(0.8, normal, 0) < 0.5)
  assert.equal(shedShare(1, critical, 100), 0)
  const random = seededRandom(3)
  const refused = Array.from({ length: 10_000 }, () => isShed(0.825, normal, 0, random)).filter(
    Boolean,
  ).length
  assert.ok(refused > 4_700 && refused < 5_300, `${refused} of 10,000`)
})

// --- the line ---------------------------------------------------------------------------------------------------

const who = (one: Waiting<string> | null): string | undefined => one?.who

test('first come, first served, until the line has stood for an interval: then the newest is first', () => {
  const line = new WaitingLine<string>()
  line.enter('a', normal, 0)
  line.enter('b', normal, 10)
  assert.equal(who(line.next(100_000, settings)), 'a')
  line.enter('c', normal, 199_000)
  assert.equal(who(line.next(200_000, settings)), 'c')
})

test('who waits is dropped after the interval, and after the target once the line stands', () => {
  const line = new WaitingLine<string>()
  line.enter('a', normal, 0)
  line.enter('b', normal, 150_000)
  assert.equal(who(line.late(199_999, settings)), undefined)
  const a = line.late(200_000, settings) as Waiting<string>
  assert.equal(a.who, 'a')
  line.leave(a)
  assert.equal(who(line.late(200_000, settings)), 'b', 'it stands, and b has waited for 50 ms')
})

test('a line that was empty is patient again', () => {
  const line = new WaitingLine<string>()
  line.leave(line.enter('a', normal, 0))
  line.enter('b', normal, 500_000)
  assert.equal(who(line.late(600_000, settings)), undefined)
})

test('critical ones are first, wait longer, and make room for themselves', () => {
  const line = new WaitingLine<string>()
  line.enter('cheap', sheddable, 0)
  line.enter('other', normal, 1)
  line.enter('buyer', critical, 2)
  assert.equal(who(line.next(10, settings)), 'buyer')
  assert.equal(who(line.givesWay(critical)), 'cheap')
  assert.equal(who(line.givesWay(sheddable)), undefined)
  assert.ok(line.isBehind(normal, 10, settings))
  assert.equal(who(line.late(1_000_000, settings)), 'cheap')
  const short = { ...settings, patienceUs: 100_000 }
  line.leave(line.late(1_000_000, settings) as Waiting<string>)
  line.leave(line.late(1_000_000, settings) as Waiting<string>)
  assert.equal(who(line.late(1_000_000, settings)), 'buyer', 'stands: ten times the target')
  assert.equal(who(line.late(90_000, short)), undefined)
  assert.equal(who(line.late(100_002, short)), 'buyer', 'nobody beyond the patience')
})

test('waits are judged beside the latency of the upstream', () => {
  assert.deepEqual(lineSettings(settings, 1_000), settings)
  assert.equal(lineSettings(settings, 1_000_000).targetUs, 500_000)
})

test('whoever enters leaves exactly once, in any order, and the count is right', () => {
  const step = fc.record({
    enter: fc.boolean(),
    importance: fc.integer({ min: 0, max: 2 }),
    how: fc.integer({ min: 0, max: 3 }),
    forward: fc.nat(50_000),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), steps => {
      const line = new WaitingLine<number>()
      const inside = new Map<number, Waiting<number>>()
      let now = 0
      for (const [at, { enter, importance, how, forward }] of steps.entries()) {
        now += forward
        if (enter) inside.set(at, line.enter(at, importance as ImportanceCode, now))
        else {
          const some = [...inside.values()][how * 7] ?? null
          const gone = [some, line.next(now, settings), line.late(now, settings), line.givesWay(critical)][
            how
          ]!
          if (gone !== null) {
            assert.ok(inside.delete(gone.who), 'somebody who waits')
            line.leave(gone)
            line.leave(gone)
          }
        }
        assert.equal(line.count, inside.size)
        assert.equal(line.next(now, settings) === null, inside.size === 0)
      }
    }),
  )
})

// --- what it is for ---------------------------------------------------------------------------------------------

const overloaded = (
  seed: number,
  kind: 'adaptive' | 'fifo',
  shares?: [number, number, number],
): OverloadRehearsal =>
  new OverloadRehearsal({
    seed,
    slots: 20,
    service: exponential(20_000),
    arrivalsPerSecond: 2_000,
    patienceUs: 300_000,
    limit: 20,
    line: { kind, ...settings, lengthMax: 1_024 },
    ...(shares === undefined ? {} : { shares, reserve: 0.2 }),
  })

test('under twice the load waits stay near the target and goodput near the capacity; first come, first served collapses', () => {
  for (const seed of [1, 2, 3]) {
    const ours = overloaded(seed, 'adaptive').run(5).run(20)
    assert.ok(ours.total.good > 0.95 * 20_000, `seed ${seed}: ${ours.total.good} of 20,000`)
    assert.ok(ours.waitQuantile(0.5) < 20_000, `seed ${seed}: half waited ${ours.waitQuantile(0.5)} us`)
    assert.ok(ours.waitQuantile(0.99) <= 202_000, `seed ${seed}: p99 waited ${ours.waitQuantile(0.99)} us`)
    const fifo = overloaded(seed, 'fifo').run(5).run(20)
    assert.ok(
      fifo.total.good < 0.05 * 20_000,
      `seed ${seed}: ${fifo.total.good} of 20,000 first come, first served`,
    )
  }
})

test('a flood of sheddable requests takes nothing from the critical, and little from the normal', () => {
  for (const seed of [1, 2, 3]) {
    const one = overloaded(seed, 'adaptive', [0.75, 0.15, 0.1]).run(5).run(20)
    const [flood, others, buyers] = one.counts
    const share = (count: { good: number; arrived: number } | undefined): number =>
      count!.good / count!.arrived
    assert.ok(share(buyers) > 0.99, `seed ${seed}: ${share(buyers)} of the critical`)
    assert.ok(share(others) > 0.95, `seed ${seed}: ${share(others)} of the normal`)
    assert.ok(share(flood) > 0.1, `seed ${seed}: ${share(flood)} of the flood: nobody starves`)
    const alike = overloaded(seed, 'fifo', [0, 1, 0]).run(5).run(20)
    assert.ok(share(alike.counts[1]) < 0.1, `seed ${seed}: ${share(alike.counts[1])} where all are alike`)
  }
})
