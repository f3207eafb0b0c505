import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { firstMap, type ShardsSpec, type TableSpec } from '../policy/shard/map.ts'
import { ShardMaps } from './shard-maps.ts'

const customers: TableSpec = {
  kind: 'sharded',
  key: ['id'],
  types: ['bigint'],
  with: null,
  rule: { by: 'hash' },
}

function specOf(tables: Record<string, TableSpec>, shards = 2): ShardsSpec {
  return { shards: Array.from({ length: shards }, (_, index) => String(index + 1)), slots: 8, tables }
}

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tenfold-maps-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('the first file makes the map, and the map outlives it', t => {
  const path = directory(t)
  const first = new ShardMaps(path).follow('main', specOf({ 'public.customers': customers }))
  assert.deepEqual(first.families['public.customers']?.rule, { by: 'hash', slots: [0, 0, 0, 0, 1, 1, 1, 1] })
  assert.deepEqual(new ShardMaps(path).current('main'), first)
  assert.equal(new ShardMaps(path).current('other'), null)
})

test('a later file adds tables, and is refused where rows would have to move', t => {
  const path = directory(t)
  const maps = new ShardMaps(path)
  maps.follow('main', specOf({ 'public.customers': customers }))
  const more = maps.follow(
    'main',
    specOf({ 'public.customers': customers, 'public.films': { kind: 'everywhere' } }),
  )
  assert.equal(more.version, 2)
  assert.throws(() => maps.follow('main', specOf({ 'public.customers': { ...customers, key: ['name'] } })), {
    code: 'SYSTEM_SHARD_MAP_MOVED',
    message: /table 'public\.customers' of database 'main'/,
  })
  assert.throws(() => maps.follow('main', specOf({ 'public.customers': customers }, 1)), {
    code: 'SYSTEM_SHARD_MAP_MOVED',
    message: /there are 2 shards, the file says 1, and shard 2 still has rows/,
  })
  assert.equal(maps.current('main')?.version, 2)
})

test('a shard more holds nothing yet; while rows move no table comes or goes', t => {
  const maps = new ShardMaps(directory(t))
  const both = { 'public.customers': customers, 'public.films': { kind: 'everywhere' } } as const
  maps.follow('main', specOf(both))
  assert.deepEqual(maps.follow('main', specOf(both, 3)).shards, ['1', '2'])
  const moving = maps.current('main')!
  assert.equal(maps.follow('main', specOf(both, 3), moving).version, 1)
  assert.throws(() => maps.follow('main', specOf({ 'public.customers': customers }, 3), moving), {
    code: 'SYSTEM_SHARD_MAP_MOVED',
    message: /when the resharding under way is over/,
  })
})

test('while rows move to another rule, a supervisor that comes back takes the file that says it', t => {
  const path = directory(t)
  new ShardMaps(path).follow('main', specOf({ 'public.customers': customers }))
  const list = { ...customers, rule: { by: 'list', lists: [], otherwise: 1 } } as const
  const changed = specOf({ 'public.customers': list })
  const next = { ...firstMap(changed), version: 2 }
  assert.throws(() => new ShardMaps(path).follow('main', changed), {
    code: 'SYSTEM_SHARD_MAP_MOVED',
    message: /db reshard --rule public\.customers/,
  })
  assert.equal(new ShardMaps(path).follow('main', changed, next).version, 1)
  assert.equal(new ShardMaps(path).follow('main', specOf({ 'public.customers': customers }), next).version, 1)
})

test('a map that is not whole is not used', t => {
  const path = directory(t)
  new ShardMaps(path).follow('main', specOf({ 'public.customers': customers }))
  const file = join(path, 'shard-maps', 'main.json')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.slice(0, 40))
  assert.throws(() => new ShardMaps(path).current('main'), { code: 'SYSTEM_SHARD_MAP_BROKEN' })
  writeFileSync(file, text.replace('1,1,1,1]', '1,1,1,7]'))
  assert.throws(() => new ShardMaps(path).current('main'), {
    code: 'SYSTEM_SHARD_MAP_BROKEN',
    message: /a slot without a shard/,
  })
})
