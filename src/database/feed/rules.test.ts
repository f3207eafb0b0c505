// What rules say of changed rows, by pgoutput's messages as values.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { readLogicalMessage } from '../../wire/postgres/index.ts'
import { ChangeReader, type Commit } from './changes.ts'
import { Names, namesMax } from './names.ts'
import { rulesByTable } from './rules.ts'

const spec = {
  database: 'main',
  rules: [
    { on: 'films', tags: ['film:{id}', 'films'], urls: ['/films/{slug}'], keys: ['film:{id}:{slug}'] },
    { on: 'films', tags: ['studio:{studio}'], urls: [], keys: [] },
  ],
  tables: ['orders'],
}

type Message = NonNullable<ReturnType<typeof readLogicalMessage>>

const films = (full: boolean): Message => ({
  kind: 'relation',
  id: 1,
  schema: 'public',
  name: 'films',
  columns: ['id', 'slug', 'studio'].map(name => ({ name, key: full || name === 'id', typeId: 25 })),
})
const orders: Message = { kind: 'relation', id: 2, schema: 'public', name: 'orders', columns: [] }
const other: Message = { kind: 'relation', id: 3, schema: 'public', name: 'other', columns: [] }

function commitOf(full: boolean, ...changes: Message[]): Commit {
  const reader = new ChangeReader(rulesByTable(spec))
  for (const message of [films(full), orders, other]) reader.take(message)
  reader.take({ kind: 'begin', finalLsn: 9, xid: 7 })
  for (const change of changes) assert.equal(reader.take(change), null)
  const commit = reader.take({ kind: 'commit', lsn: 9, endLsn: 10 })
  assert.ok(commit)
  assert.deepEqual([commit.endLsn, commit.xid], [10, 7])
  return commit
}

const all = ({ names }: Commit): string[] => [...names.tags, ...names.urls, ...names.keys]

test('a new row fills every template, values in URLs percent-encoded', () => {
  const commit = commitOf(true, { kind: 'insert', relation: 1, row: ['1', 'a/b ü', null] })
  assert.deepEqual(all(commit), ['film:1', 'films', '/films/a%2Fb%20%C3%BC', 'film:1:a/b ü'])
  assert.deepEqual([...commit.names.tables], ['public.films'])
})

test('a rule with a NULL in it does not apply', () => {
  const commit = commitOf(true, { kind: 'insert', relation: 1, row: ['1', null, null] })
  assert.deepEqual(all(commit), ['film:1', 'films'])
})

test('of a changed row the old values are forgotten as well as the new', () => {
  const commit = commitOf(true, {
    kind: 'update',
    relation: 1,
    old: ['1', 'old', 'a'],
    oldWhole: true,
    row: ['1', 'new', 'b'],
  })
  assert.deepEqual(all(commit), [
    'film:1',
    'films',
    'studio:b',
    'studio:a',
    '/films/new',
    '/films/old',
    'film:1:new',
    'film:1:old',
  ])
})

test('a large value that was not sent is that of the old row', () => {
  const commit = commitOf(true, {
    kind: 'update',
    relation: 1,
    old: ['1', 'same', null],
    oldWhole: true,
    row: ['1', undefined, null],
  })
  assert.deepEqual(all(commit), ['film:1', 'films', '/films/same', 'film:1:same'])
})

test('without the whole old row its key and the new values are what is known', () => {
  const commit = commitOf(false, {
    kind: 'update',
    relation: 1,
    old: ['1', null, null],
    oldWhole: false,
    row: ['2', 'new', null],
  })
  assert.deepEqual(all(commit), ['film:2', 'films', 'film:1', '/films/new', 'film:2:new'])
  assert.equal(commit.names.everything, false)
})

test('what a deleted row or an unsent value named and nobody knows is everything', () => {
  const gone: Message = { kind: 'delete', relation: 1, old: ['1', null, null], oldWhole: false }
  assert.equal(commitOf(false, gone).names.everything, true)
  const unsent: Message = {
    kind: 'update',
    relation: 1,
    old: null,
    oldWhole: false,
    row: ['1', undefined, null],
  }
  assert.equal(commitOf(false, unsent).names.everything, true)
  const whole: Message = { kind: 'delete', relation: 1, old: ['1', 'a', null], oldWhole: true }
  assert.deepEqual(all(commitOf(true, whole)), ['film:1', 'films', '/films/a', 'film:1:a'])
})

test('TRUNCATE of a table with rules is everything, of one without only its name', () => {
  assert.equal(commitOf(true, { kind: 'truncate', relations: [1, 2] }).names.everything, true)
  const bare = commitOf(true, { kind: 'truncate', relations: [2, 3] })
  assert.equal(bare.names.everything, false)
  assert.deepEqual([...bare.names.tables], ['public.orders'])
})

test('a table that nobody watches says nothing, a change before its description is refused', () => {
  assert.equal(commitOf(true, { kind: 'insert', relation: 3, row: [] }).names.empty, true)
  assert.throws(() => commitOf(true, { kind: 'insert', relation: 4, row: [] }), /before its description/)
  const reader = new ChangeReader(rulesByTable(spec))
  assert.throws(() => reader.take({ kind: 'commit', lsn: 1, endLsn: 2 }), /outside a transaction/)
})

test('a transaction with too many names is everything, and so is what it is merged with', () => {
  const names = new Names()
  for (let id = 0; id <= namesMax; id++) names.add('tags', `film:${id}`)
  assert.equal(names.everything, true)
  assert.equal(names.tags.size, 0)
  const merged = new Names()
  merged.add('tags', 'a')
  merged.addAll(names)
  assert.deepEqual(merged.invalidation('main', 1, 5).tags, [])
  assert.equal(merged.invalidation('main', 1, 5).everything, true)
  const long = new Names()
  for (let at = 0; at < 5; at++) long.add('keys', `${at}${'x'.repeat(1024 * 1024)}`)
  assert.equal(long.everything, true)
})
