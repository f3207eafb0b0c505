import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AssignPolicy, ShardMap } from '../../policy/shard/contract.ts'
import { foldedMap, pinnedMap } from '../../policy/shard/directory.ts'
import { Directory } from './directory.ts'

const mapOf = (more: { otherwise?: number; assign?: AssignPolicy } = {}, version = 1): ShardMap => ({
  format: 1,
  version,
  shards: ['1', '2', '3'],
  families: { t: { types: ['text'], rule: { by: 'directory', otherwise: null, ...more } } },
  tables: { 'public.t': { kind: 'sharded', family: 't', key: ['id'] } },
})

/** Rows at home, by what is asked; each question is noted. */
function serverOf(rows: Map<string, string>) {
  const asked: string[] = []
  const gate = { fails: 0, opens: Promise.resolve() as Promise<void> }
  const ask = async (shard: string, sql: string): Promise<readonly (readonly string[])[]> => {
    asked.push(`${shard}: ${sql}`)
    await gate.opens
    if (gate.fails-- > 0) throw new Error('no primary')
    if (sql.includes('INSERT')) {
      if (shard === '1')
        for (const [, key = '', at = ''] of sql.matchAll(/\('t', '([^']*)', '(\d)'\)/g))
          if (!rows.has(key)) rows.set(key, at)
      return []
    }
    if (sql.includes('count(*)'))
      return [
        ['1', '7'],
        ['2', '3'],
      ]
    return [...rows].filter(([key]) => sql.includes(`'${key}'`))
  }
  return { ask, asked, gate, rows }
}

test('keys of one turn are looked up together, and remembered', async () => {
  const server = serverOf(
    new Map([
      ['a', '2'],
      ['b', '3'],
    ]),
  )
  const directory = new Directory(mapOf(), server.ask)
  assert.equal(directory.lookup('t', 'a'), undefined)
  assert.deepEqual(await Promise.all(['a', 'b', 'c', 'a'].map(key => directory.find('t', key, false))), [
    1,
    2,
    null,
    1,
  ])
  assert.equal(server.asked.length, 1)
  assert.equal(directory.lookup('t', 'a'), 1)
  // It may be given a place at any time.
  assert.equal(directory.lookup('t', 'c'), undefined)
})

test('that a key has no row is remembered where none can get one', async () => {
  const directory = new Directory(mapOf({ otherwise: 1 }), serverOf(new Map()).ask)
  assert.equal(await directory.find('t', 'a', true), null)
  assert.equal(directory.lookup('t', 'a'), null)
})

test('a new key has its row on its own shard before the one at home', async () => {
  const server = serverOf(new Map())
  const directory = new Directory(mapOf({ assign: 'least-full' }), server.ask)
  assert.deepEqual(await Promise.all(['a', 'b'].map(key => directory.find('t', key, true))), [2, 2])
  const writes = server.asked.filter(one => one.includes('INSERT')).map(one => one[0])
  assert.deepEqual(writes, ['3', '1'])
})

test('what is answered after the map has changed is not remembered by the new one', async () => {
  const server = serverOf(new Map([['a', '2']]))
  const { promise, resolve } = Promise.withResolvers<void>()
  server.gate.opens = promise
  const directory = new Directory(mapOf(), server.ask)
  const looked = directory.find('t', 'a', false)
  await new Promise(setImmediate)
  directory.use(mapOf({}, 2))
  resolve()
  assert.equal(await looked, 1)
  assert.equal(directory.lookup('t', 'a'), undefined)
})

test('who asks while a look is under way does not get its answer', async () => {
  const server = serverOf(new Map())
  const { promise, resolve } = Promise.withResolvers<void>()
  server.gate.opens = promise
  const directory = new Directory(mapOf(), server.ask)
  const early = directory.find('t', 'a', false)
  await new Promise(setImmediate)
  const late = directory.find('t', 'a', false)
  assert.notEqual(early, late)
  resolve()
  assert.equal(await early, null)
  server.rows.set('a', '3')
  assert.equal(await late, 2)
})

test('a shard that gives no answer is asked again; a shard that has not joined is said', async () => {
  const server = serverOf(
    new Map([
      ['a', '2'],
      ['x', '9'],
    ]),
  )
  server.gate.fails = 2
  const directory = new Directory(mapOf(), server.ask)
  assert.equal(await directory.find('t', 'a', false), 1)
  assert.equal(server.asked.length, 3)
  await assert.rejects(directory.find('t', 'x', false))
  server.gate.fails = 1
  directory.close()
  await assert.rejects(directory.find('t', 'b', false))
})

test('a key that a server can not read has no row and gets none', async () => {
  const server = serverOf(new Map())
  const directory = new Directory(mapOf({ assign: 'round-robin' }), server.ask)
  assert.equal(await directory.find('t', 'a\0b', true), null)
  assert.equal(server.asked.length, 0)
})

test('a key is pinned where it is, and becomes a row of every shard later', () => {
  const map = mapOf()
  const pinned = pinnedMap(map, 't', 'a', 1)
  assert.equal(pinned.version, 2)
  assert.deepEqual(pinned.families.t?.exceptions, [{ key: ['a'], shard: 1 }])
  assert.equal(pinnedMap(pinned, 't', 'a', 2).families.t?.exceptions?.length, 1)
  const { map: folded, rows } = foldedMap(pinned)
  assert.deepEqual(rows, [{ family: 't', key: 'a', shard: '2' }])
  assert.deepEqual(folded, { ...map, version: 3 })
  assert.equal(foldedMap(map).map, map)
})
