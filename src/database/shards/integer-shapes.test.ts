import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { firstMap } from '../../policy/shard/map.ts'
import { createStatementBook, loadParser } from '../sql/index.ts'
import type { CatalogueColumn, CatalogueTable, ShardedCatalogue } from '../sql/shards/contract.ts'
import { createShardPlanner, loadDeparser } from '../sql/shards/index.ts'
import { integerAt, shapeOfIntegers } from './integer-shapes.ts'
import { TextBook, type TextMeaning } from './texts.ts'

before(async () => {
  await Promise.all([loadParser(), loadDeparser()])
})

const own = { kind: 'sharded', key: ['id'], types: ['integer'], with: null, rule: { by: 'hash' } } as const
const map = firstMap({ shards: ['1', '2'], slots: 64, tables: { 'public.t': own, 'public.u': own } })
const column = (name: string): CatalogueColumn => ({
  name,
  type: 'integer',
  collation: '',
  notNull: true,
  volatileDefault: false,
  generated: false,
  hasDefault: false,
})
const meaning: TextMeaning = { searchPath: ['public'], allowBroadcast: false, key: '' }

function bookOf(): TextBook {
  const table: CatalogueTable = {
    kind: 'table',
    columns: ['id', 'v'].map(column),
    unique: [['id']],
    cascades: false,
    triggers: false,
  }
  const tables = new Map(['public.t', 'public.u'].map(name => [name, table]))
  const catalogue: ShardedCatalogue = { tables, calm: new Set() }
  return new TextBook(createShardPlanner({ map, catalogue }), createStatementBook())
}

test('integers stand alone; digits of names, parameters and other numbers are no integers', () => {
  const cases: readonly (readonly [string, readonly number[]])[] = [
    ['SELECT 7', [7]],
    ['SELECT v FROM t WHERE id=12 AND v = 3', [12, 3]],
    ["SELECT '4', -5, (6)", [4, 5, 6]],
    ['SELECT a1, $1, 1.5, .5, 5., 1e5, 0x1f, 1_000, é7, $$7$$', []],
    ['SELECT 1234567890123456', [Number.NaN]],
    ['SELECT 007, 0', [Number.NaN, 0]],
  ]
  for (const [text, integers] of cases) {
    const shape = shapeOfIntegers(text)
    assert.deepEqual(
      integers.map((_, at) => integerAt(text, at)),
      integers,
      text,
    )
    assert.equal(shape === null, integers.length === 0, text)
    assert.equal((shape ?? '').split('\x01').length - 1, integers.length, text)
  }
  assert.equal(shapeOfIntegers(`SELECT '\x01', 5`), null)
})

test('texts of a shape go by the key in their own text, as they do when each is planned', () => {
  const book = bookOf()
  const shapes = [
    (id: number, v: number) => `SELECT v FROM t WHERE id = ${id} AND v > ${v} LIMIT ${v}`,
    (id: number, v: number) => `UPDATE t SET v = v + ${v} WHERE id = ${id}`,
    (id: number, v: number) => `INSERT INTO t (v, id) VALUES (${v}, ${id})`,
    (id: number, v: number) => `DELETE FROM t WHERE id = '${id}' AND v = ${v}`,
  ]
  for (const shape of shapes)
    for (const [id, v] of [
      [7, 3],
      [8, 3],
      [9, 9],
      [12, 7],
      [7, 12],
    ] as const) {
      const text = shape(id, v)
      const family = book.familyOf(text, meaning)
      const [planned] = bookOf().look(text, meaning)
      assert.ok(planned?.plan.kind === 'keys', text)
      assert.deepEqual(planned.plan.keys, [[{ from: 'literal', text: String(id) }]], text)
      assert.equal(family, planned.plan.family, text)
      assert.equal(book.integer, id, text)
    }
})

test('several keys, keys that stand there twice, and keys with a sign are looked at in full', () => {
  for (const text of [
    'SELECT v FROM t WHERE id IN (7, 8)',
    'SELECT v FROM t WHERE id IN (7, 7)',
    'SELECT v FROM t WHERE id = 7 AND v = 7',
    'SELECT t.v FROM t JOIN u ON t.id = u.id WHERE t.id = 7 AND u.id = 8',
    'SELECT v FROM t WHERE id = -7',
    'SELECT v FROM t WHERE v = 7',
    'SELECT v FROM t WHERE id = 7; SELECT v FROM t WHERE id = 8',
    'BEGIN; SELECT v FROM t WHERE id = 7',
    'SELECT 7',
  ]) {
    const book = bookOf()
    assert.equal(book.familyOf(text, meaning), null, text)
    assert.equal(book.familyOf(text, meaning), null, `${text}, again`)
  }
})

test('what is forgotten is planned anew', () => {
  const book = bookOf()
  assert.equal(book.familyOf('SELECT v FROM t WHERE id = 7', meaning), 'public.t')
  book.forget()
  assert.equal(book.familyOf('SELECT v FROM t WHERE id = 8', meaning), 'public.t')
  assert.equal(book.integer, 8)
})
