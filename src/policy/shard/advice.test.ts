// Advice where the answer is known: one hot key, one hot slot, a hot shard of many keys, a load that is even, too small, or all reads.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shardAdvice } from './advice.ts'
import type { ShardMap } from './contract.ts'
import { ShardHeatCounters } from './heat.ts'
import type { ShardServers } from './heat-contract.ts'
import { firstMap } from './map.ts'
import { compilePlacement } from './placement.ts'

const serversOf = (...ids: string[]): ShardServers[] => ids.map(shard => ({ shard }))

function mapOf(shards: readonly string[]): ShardMap {
  const rule = { by: 'hash' } as const
  return firstMap({
    shards,
    slots: 64,
    tables: { 'public.orders': { kind: 'sharded', key: ['id'], types: ['bigint'], with: null, rule } },
  })
}

interface Load {
  readonly key: number
  readonly times: number
  readonly writes?: boolean
}

function reported(map: ShardMap, loads: Iterable<Load>) {
  const heat = new ShardHeatCounters(map)
  const placement = compilePlacement(map)
  for (const { key, times, writes = true } of loads) {
    const placed = placement.place('public.orders', [String(key)])
    assert.ok('shard' in placed)
    for (let at = 0; at < times; at++) heat.key('public.orders', placed.shard, placed.slot, key, writes)
  }
  return heat.report((family, values) => placement.place(family, values))
}

const many = (count: number, times: number, writes = true): Load[] =>
  Array.from({ length: count }, (_, key) => ({ key, times, writes }))

test('an even load, and one that is too small, are left alone', () => {
  const map = mapOf(['1', '2', '3'])
  const [even, ...none] = shardAdvice(reported(map, many(2_000, 2)), serversOf('1', '2', '3'), map, 1)
  assert.equal(even?.kind, 'enough')
  assert.match(even?.why ?? '', /hottest shard, \d, has 3\d % of the load, the mean is 33 %/)
  assert.deepEqual(none, [])
  const [few] = shardAdvice(reported(map, many(100, 2)), serversOf('1', '2', '3'), map, 1)
  assert.match(few?.kind === 'enough' ? few.why : '', /only 200 statements/)
})

test('one hot key: it is named, and goes where its going helps', () => {
  const map = mapOf(['1', '2', '3'])
  const report = reported(map, [...many(2_000, 1), { key: 42, times: 4_000 }])
  const advice = shardAdvice(report, serversOf('1', '2', '3'), map, 1)
  const isolate = advice.find(one => one.kind === 'isolate')
  assert.ok(isolate?.kind === 'isolate')
  assert.deepEqual(isolate.command?.slice(0, 3), ['reshard', '--isolate', 'public.orders=42'])
  assert.match(isolate.why, /the key 42 of public\.orders alone has \d+ % of the load of shard/)
  assert.ok((isolate.effect?.is ?? 0) > 0.75)
  // A shard of its own: what is left is the key itself.
  assert.ok(Math.abs((isolate.effect?.would ?? 0) - 4_000 / 6_000) < 0.01)
})

test('hot slots of one shard go to the coolest one', () => {
  const map = mapOf(['1', '2'])
  const placement = compilePlacement(map)
  const slotOf = (key: number): number => {
    const placed = placement.place('public.orders', [String(key)])
    return 'slot' in placed && placed.shard === 0 ? placed.slot : -1
  }
  const own = many(4_000, 1).map(({ key }) => ({ key, slot: slotOf(key) }))
  const wanted = [...new Set(own.map(({ slot }) => slot))].filter(slot => slot >= 0).slice(0, 2)
  const report = reported(map, [
    ...many(1_000, 2),
    ...own.filter(({ slot }) => wanted.includes(slot)).map(({ key }) => ({ key, times: 16 })),
  ])
  const advice = shardAdvice(report, serversOf('1', '2'), map, 1)
  const move = advice.find(one => one.kind === 'move-slots')
  assert.ok(move?.kind === 'move-slots')
  const [, , , , slot] = move.command ?? []
  assert.ok(wanted.map(String).includes(slot ?? ''))
  assert.deepEqual(move.command, ['reshard', '--family', 'public.orders', '--slots', slot, '--into', '2'])
  assert.ok((move.effect?.is ?? 0) > 0.7 && (move.effect?.would ?? 1) < 0.56)
})

test('a shard that is hot all over is split, onto servers that stand idle where there are some', () => {
  const map = mapOf(['1', '2'])
  const placement = compilePlacement(map)
  const hot = many(4_000, 1).filter(({ key }) => {
    const placed = placement.place('public.orders', [String(key)])
    return 'shard' in placed && placed.shard === 0
  })
  const report = reported(map, [...many(4_000, 1), ...hot.map(({ key }) => ({ key, times: 3 }))])
  for (const [servers, into] of [
    [serversOf('1', '2'), '3'],
    [serversOf('1', '2', '7'), '7'],
  ] as const) {
    const split = shardAdvice(report, servers, map, 1).find(one => one.kind === 'split')
    assert.ok(split?.kind === 'split')
    assert.deepEqual(split.command, ['reshard', '--split', '1', '--into', into])
    assert.ok(Math.abs((split.effect?.is ?? 0) - 0.8) < 0.02)
    assert.ok(Math.abs((split.effect?.would ?? 0) - 0.4) < 0.06)
  }
})

test('reads without a replica: one is advised, in the words of the file', () => {
  const map = mapOf(['1'])
  const report = reported(map, many(2_000, 1, false))
  const [replicas] = shardAdvice(report, serversOf('1'), map, 0)
  assert.equal(replicas?.kind, 'replicas')
  assert.match(replicas?.kind === 'replicas' ? (replicas.file ?? '') : '', /replicas: 1/)
  const [enough] = shardAdvice(report, serversOf('1'), map, 1)
  assert.equal(enough?.kind, 'enough')
})

test('keys that a command could not name are not advised to go', () => {
  const map = firstMap({
    shards: ['1', '2'],
    slots: 8,
    tables: {
      'public.days': { kind: 'sharded', key: ['day'], types: ['date'], with: null, rule: { by: 'hash' } },
    },
  })
  const heat = new ShardHeatCounters(map)
  for (let at = 0; at < 5_000; at++) heat.key('public.days', 0, 0, '9000', true)
  const advice = shardAdvice(
    heat.report(() => ({ shard: 0, slot: 0 })),
    serversOf('1', '2'),
    map,
    1,
  )
  assert.ok(!advice.some(({ kind }) => kind === 'isolate'))
})
