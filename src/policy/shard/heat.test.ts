// Heat against exact counts: the bounds of the sketch, fading, maps that change.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { FrequentKeys } from './frequent.ts'
import { ShardHeatCounters } from './heat.ts'
import { firstMap } from './map.ts'
import { compilePlacement } from './placement.ts'

const map = firstMap({
  shards: ['1', '2'],
  slots: 16,
  tables: {
    'public.orders': { kind: 'sharded', key: ['id'], types: ['bigint'], with: null, rule: { by: 'hash' } },
    'public.logs': {
      kind: 'sharded',
      key: ['n'],
      types: ['integer'],
      with: null,
      rule: {
        by: 'range',
        ranges: [
          { from: null, shard: 0 },
          { from: '100', shard: 1 },
        ],
      },
    },
  },
})
const placement = compilePlacement(map)
const place = (family: string, values: readonly string[]) => placement.place(family, values)

function hit(heat: ShardHeatCounters, family: string, key: number, writes: boolean): void {
  const placed = place(family, [String(key)])
  assert.ok('shard' in placed)
  heat.key(family, placed.shard, placed.slot, key, writes)
}

test('frequent keys: every key above 2/max of the load is there, and its count is within the error', () => {
  for (const skew of [0, 0.7, 1.2]) {
    const random = seededRandom(7 + skew)
    const max = 64
    const sketch = new FrequentKeys<number>(max)
    const exact = new Map<number, number>()
    const keys = 5_000
    const weights = Array.from({ length: keys }, (_, at) => 1 / (at + 1) ** skew)
    const sums = weights.map(
      (
        sum => (weight: number) =>
          (sum += weight)
      )(0),
    )
    const all = 60_000
    for (let at = 0; at < all; at++) {
      const drawn = random.float() * (sums.at(-1) as number)
      let [low, high] = [0, keys - 1]
      while (low < high) {
        const middle = (low + high) >> 1
        if ((sums[middle] as number) < drawn) low = middle + 1
        else high = middle
      }
      sketch.add(low, low % 2 === 0)
      exact.set(low, (exact.get(low) ?? 0) + 1)
    }
    const top = sketch.top(max)
    assert.ok(top.length <= max)
    for (const { key, count, error, writes } of top) {
      const truth = exact.get(key) ?? 0
      assert.ok(count >= truth && count - error <= truth, `${key}: ${count} - ${error}, ${truth}`)
      assert.ok(key % 2 === 0 ? Math.abs(writes - count) < 1e-6 : writes === 0)
    }
    const found = new Set(top.map(({ key }) => key))
    for (const [key, count] of exact)
      if (count > (2 / max) * all) assert.ok(found.has(key), `${key}: ${count}`)
    assert.ok((top[0]?.error ?? 0) <= (2 / max) * all)
  }
})

test('heat by shard, slot and key; what has no slots counts by its shard', () => {
  const heat = new ShardHeatCounters(map)
  for (let at = 0; at < 600; at++) hit(heat, 'public.orders', at % 6 === 0 ? at : 7, at % 3 === 0)
  for (let at = 0; at < 50; at++) hit(heat, 'public.logs', 150, true)
  heat.shard(0, false)
  heat.shard(1, false)
  const { shards, families } = heat.report(place)
  const orders = families['public.orders']
  assert.deepEqual([orders?.reads, orders?.writes], [400, 200])
  const seven = place('public.orders', ['7'])
  assert.ok('shard' in seven)
  const [hottest] = orders?.keys ?? []
  assert.deepEqual(hottest, { key: ['7'], shard: map.shards[seven.shard], count: 500, error: 0, writes: 100 })
  const slot = orders?.slots?.find(one => one.slot === seven.slot)
  assert.ok((slot?.reads ?? 0) >= 400 && (slot?.writes ?? 0) >= 100)
  assert.equal(families['public.logs']?.slots, null)
  const sum = shards.reduce((all, one) => all + one.reads + one.writes, 0)
  assert.equal(sum, 652)
  assert.deepEqual(heat.totals.get('1')?.map(Math.round), [shards[0]?.reads, shards[0]?.writes])
})

test('half is gone after the half-life, and a rate is a rate from the first second on', () => {
  const heat = new ShardHeatCounters(map)
  const perSecond = 40
  for (let second = 0; second < 600; second++) {
    for (let at = 0; at < perSecond; at++) hit(heat, 'public.orders', at, false)
    heat.advance(1_000)
    if (second !== 0 && second !== 9 && second !== 599) continue
    const { overMs, families } = heat.report(place)
    const rate = ((families['public.orders']?.reads ?? 0) / overMs) * 1_000
    assert.ok(Math.abs(rate - perSecond) < 1, `${second}: ${rate}`)
  }
  const before = heat.report(place).families['public.orders']?.reads ?? 0
  heat.advance(60_000)
  const after = heat.report(place).families['public.orders']?.reads ?? 0
  assert.ok(Math.abs(after / before - 0.5) < 0.01)
  assert.equal(heat.totals.get('1')?.[1], 0)
})

test('a slot that moves takes its heat along', () => {
  const heat = new ShardHeatCounters(map)
  for (let at = 0; at < 100; at++) hit(heat, 'public.orders', at, true)
  const family = map.families['public.orders']
  assert.ok(family !== undefined && family.rule.by === 'hash')
  const rule = { ...family.rule, slots: family.rule.slots.map(() => 2) }
  const next = {
    ...map,
    version: 2,
    shards: ['1', '2', '3'],
    families: { ...map.families, 'public.orders': { ...family, rule } },
  }
  heat.use(next)
  const { shards } = heat.report((name, values) => compilePlacement(next).place(name, values))
  assert.deepEqual(
    shards.map(({ shard, writes }) => [shard, writes]),
    [
      ['1', 0],
      ['2', 0],
      ['3', 100],
    ],
  )
})
