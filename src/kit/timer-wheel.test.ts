import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timed, TimerWheel } from './timer-wheel.ts'

class Item extends Timed {
  firedAt: number[] = []
  onFire: ((now: number) => void) | null = null
  override expired(now: number): void {
    this.firedAt.push(now)
    this.onFire?.(now)
  }
}

const tickUs = 10

test('a deadline fires within one tick after it and never before, however it was moved', () => {
  const steps = fc.array(
    fc.record({ item: fc.nat(4), deadlineIn: fc.integer({ min: -5, max: 900 }), advance: fc.nat(120) }),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(steps, list => {
      let now = 1000
      const wheel = new TimerWheel(now, tickUs, 16)
      const items = Array.from({ length: 5 }, () => new Item())
      const due = new Map<Item, number>()
      const check = (): void => {
        wheel.advance(now)
        for (const item of items) {
          const at = due.get(item)
          if (item.firedAt.length > 0) {
            assert.ok(at !== undefined && at <= now, 'fired early or without a deadline')
            assert.equal(item.firedAt.length, 1)
            item.firedAt = []
            due.delete(item)
          } else if (at !== undefined) assert.ok(at > now - 2 * tickUs, 'fired too late')
        }
        assert.equal(wheel.count, due.size)
      }
      for (const { item, deadlineIn, advance } of list) {
        const one = items[item]!
        due.set(one, now + deadlineIn)
        wheel.set(one, now + deadlineIn)
        for (let moved = 0; moved < advance; moved += 7) {
          now += 7
          check()
        }
      }
    }),
  )
})

test('an object may remove its neighbours in the same bucket while it fires', () => {
  const wheel = new TimerWheel(0, tickUs, 8)
  const items = Array.from({ length: 6 }, () => new Item())
  for (const item of items) {
    wheel.set(item, 15)
    item.onFire = () => {
      for (const other of items) wheel.remove(other)
    }
  }
  wheel.advance(40)
  assert.equal(
    items.reduce((sum, item) => sum + item.firedAt.length, 0),
    1,
  )
  assert.equal(wheel.count, 0)
})

test('removing a deadline means it never fires, and a jump over many turns fires each deadline once', () => {
  const wheel = new TimerWheel(0, tickUs, 8)
  const [kept, removed] = [new Item(), new Item()]
  wheel.set(kept, 5_000)
  wheel.set(removed, 5_000)
  wheel.set(removed, Infinity)
  wheel.advance(1_000_000)
  assert.deepEqual([kept.firedAt.length, removed.firedAt.length], [1, 0])
  assert.equal(wheel.count, 0, 'nothing is kept after its bucket came round')
})
