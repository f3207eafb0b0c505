// Candidates where the answer is known, and indexes that nobody needs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IndexFacts, StatementUse, TableFacts, TableUse } from './contract.ts'
import { indexCandidates, indexDrops } from './indexes.ts'

const column = (name: string, distinct: number, ordered = true) => ({ name, distinct, ordered })
const index = (name: string, columns: readonly string[], more: Partial<IndexFacts> = {}): IndexFacts => ({
  name,
  columns,
  plain: true,
  definition: `btree (${columns.join(', ')})`,
  unique: false,
  needed: false,
  valid: true,
  scans: 5,
  bytes: 20 << 20,
  ...more,
})
const orders: TableFacts = {
  table: 'public.orders',
  rows: 1_000_000,
  bytes: 1e9,
  writes: 10,
  columns: [
    column('id', 1_000_000),
    column('customer', 50_000),
    column('state', 4),
    column('at', 900_000),
    column('shop', 1),
    column('extra', 1_000, false),
  ],
  indexes: [index('orders_pkey', ['id'], { unique: true, needed: true })],
}
const statement = (text: string, totalMs: number, ...uses: Partial<TableUse>[]): StatementUse => ({
  text,
  calls: 10,
  totalMs,
  uses: uses.map(one => ({ table: 'public.orders', equal: [], range: [], order: [], ...one })),
})
const columnsOf = (...statements: StatementUse[]): string[] =>
  indexCandidates(statements, [orders]).map(one => one.columns.join(' '))

test('equality first, what tells most apart before the rest; then what is sorted by, or compared by order', () => {
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['state', 'customer'] })), ['customer state'])
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['state'], range: ['at'] })), ['state at'])
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['state'], range: ['id'], order: ['at'] })), [
    'state at',
  ])
  assert.deepEqual(columnsOf(statement('a', 1, { range: ['at', 'customer'] })), ['at'])
  // Enough is enough: a customer has 20 orders, a moment one.
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['at', 'customer', 'state'] })), ['at'])
})

test('what finds nothing, can not be ordered, or is there already, is no candidate', () => {
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['shop'] })), [])
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['extra'] })), [])
  assert.deepEqual(columnsOf(statement('a', 1, { equal: ['id'] })), [])
  const more = { ...orders, indexes: [index('by_state', ['state', 'customer', 'at'])] }
  const has = (use: Partial<TableUse>): number => indexCandidates([statement('a', 1, use)], [more]).length
  assert.equal(has({ equal: ['customer', 'state'] }), 0)
  assert.equal(has({ equal: ['customer', 'state'], order: ['at'] }), 0)
  assert.equal(has({ equal: ['customer'] }), 1)
  const broken = { ...orders, indexes: [index('by_customer', ['customer'], { valid: false })] }
  assert.equal(indexCandidates([statement('a', 1, { equal: ['customer'] })], [broken]).length, 1)
  const small = { ...orders, rows: 100 }
  assert.equal(indexCandidates([statement('a', 1, { equal: ['customer'] })], [small]).length, 0)
})

test('one serves many, a longer one for the shorter; what takes no time is left alone', () => {
  const found = indexCandidates(
    [
      statement('few', 0.001, { equal: ['extra', 'at'] }),
      statement('short', 10, { equal: ['customer'] }),
      statement('long', 40, { equal: ['customer'], order: ['at'] }),
      statement('again', 20, { equal: ['customer'], order: ['at'] }),
    ],
    [orders],
  )
  assert.deepEqual(
    found.map(one => [one.columns, one.statements.map(({ text }) => text)]),
    [
      [
        ['customer', 'at'],
        ['long', 'again', 'short'],
      ],
    ],
  )
})

test('indexes for nothing: twice the same, the beginning of another, never used, broken; never one that is needed', () => {
  const table: TableFacts = {
    ...orders,
    indexes: [
      index('a', ['customer']),
      index('b', ['customer']),
      index('c', ['customer', 'at']),
      index('d', ['state'], { scans: 0 }),
      index('e', ['at'], { scans: 0, bytes: 1 << 20 }),
      index('f', ['shop'], { valid: false }),
      index('g', ['id'], { scans: 0, unique: true }),
      index('h', ['id', 'at'], { scans: 0, needed: true }),
      index('i', [], { definition: 'btree (lower(name))' }),
      index('j', [], { definition: 'btree (lower(name))' }),
    ],
  }
  const drops = indexDrops([table], true)
  assert.deepEqual(
    drops.map(one => [one.index, one.kind, one.kind === 'duplicate' ? one.like : '']),
    [
      ['a', 'duplicate', 'b'],
      ['b', 'duplicate', 'c'],
      ['d', 'unused', ''],
      ['f', 'invalid', ''],
      ['i', 'duplicate', 'j'],
    ],
  )
  assert.ok(!indexDrops([table], false).some(({ kind }) => kind === 'unused'))
  // Of what goes, something stays that does the same.
  const gone = new Set(drops.map(one => one.index))
  assert.ok(!gone.has('c') && !gone.has('j'))
})

test('what takes the place of one that goes stays; only plain indexes stand for each other', () => {
  const dropsOf = (...indexes: IndexFacts[]): string[] =>
    indexDrops([{ ...orders, indexes }], true).map(one => `${one.kind} ${one.index}`)
  assert.deepEqual(dropsOf(index('a', ['state']), index('c', ['state', 'at'], { scans: 0 })), ['duplicate a'])
  assert.deepEqual(dropsOf(index('a', ['state'], { plain: false }), index('c', ['state', 'at'])), [])
  assert.deepEqual(dropsOf(index('a', ['state']), index('c', ['state', 'at'], { plain: false })), [])
  // A partitioned index that is being put together.
  assert.deepEqual(dropsOf(index('a', ['state'], { valid: false, needed: true })), [])
  assert.deepEqual(dropsOf(index('a', ['state'], { valid: false })), ['invalid a'])
})
