// The memory in front of the parser: that it never answers for one text what is true of another, holds no values, and has
// bounds. What statements are is in statements.test.ts.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import type { Catalogue } from './contract.ts'
import { createStatementBook, loadParser, pinBit } from './index.ts'
import { sampleText, shapeOf } from './lexer.ts'
import { goldenLines, wordsOf } from './testing/golden.ts'
import { soup, variantOf } from './testing/variants.ts'

const seed = Number(process.env.TENFOLD_SEED ?? Date.now() % 2 ** 31)
const statements = goldenLines()
  .filter(line => line.heading === '')
  .map(line => line.sql)

before(async () => {
  console.log(`seed ${seed} (TENFOLD_SEED)`)
  await loadParser()
})

/** Of a text that does not parse. */
const refused = 'write other'

/** Judged by a book that has seen nothing else. */
const alone = (text: string): string => wordsOf(createStatementBook().look(text))

test('values, spaces, comments and case change nothing, and no text is answered for another', () => {
  const random = seededRandom(seed)
  const book = createStatementBook()
  // Unclosed texts have no tokens.
  for (const sql of statements.filter(one => alone(one) !== refused && !one.includes('tenfold'))) {
    const expected = alone(sql)
    assert.equal(wordsOf(book.look(sql)), expected, sql)
    for (let round = 0; round < 5; round++) {
      const variant = variantOf(sql, random, !shapeOf(sql).exact)
      const said = wordsOf(book.look(variant))
      assert.equal(said, alone(variant), `told for another: ${variant}`)
      assert.equal(said, expected, `${sql}\n${variant}`)
    }
  }
  assert.ok(book.counts.normalisedHits > 500)
})

test('texts that lexers get wrong are judged as the parser sees them', () => {
  const random = seededRandom(seed)
  const book = createStatementBook()
  let read = 0
  for (let round = 0; round < 20_000; round++) {
    const text = soup(random)
    const expected = alone(text)
    const said = wordsOf(book.look(text))
    // What PostgreSQL refuses it refuses anywhere; what it takes must be told from everything that was seen before.
    if (expected !== refused) assert.equal(said, expected, text)
    // Again, from the memory.
    assert.equal(wordsOf(book.look(text)), said, text)
    if (expected.startsWith('read')) read++
  }
  assert.ok(read > 100, `only ${read} of the texts were SQL`)
})

test('a hundred thousand texts of one shape are parsed once', () => {
  const book = createStatementBook()
  for (let index = 0; index < 100_000; index++)
    book.look(`SELECT * FROM t WHERE id = ${index} AND b = 'x${index}'`)
  assert.deepEqual({ ...book.counts }, { hits: 0, normalisedHits: 99_999, parses: 1, failures: 0 })
  const again = "SELECT * FROM t WHERE id = 7 AND b = 'again'"
  for (let round = 0; round < 20; round++) book.look(again)
  assert.ok(book.counts.hits > 10, 'what comes again and again is found by its text')
})

test('what is shown of a statement holds none of its values', () => {
  const book = createStatementBook()
  const secret = 'hunter2'
  for (const sql of statements) {
    const text = sql.replaceAll(/'[^']*'/g, `'${secret}'`)
    assert.ok(!book.look(text).normalised.includes(secret), text)
  }
  assert.equal(book.look(`ALTER ROLE a PASSWORD '${secret}'`).normalised, 'ALTER ROLE a PASSWORD $1')
  assert.equal(book.look(`SELECT '${secret}`).normalised, '(does not parse)')
  assert.equal(book.look(`SELECT 1 /* ${secret} */`).normalised, 'SELECT $1')
})

test('what is nested too deeply to be parsed counts as a write, and the next statement is parsed', () => {
  const book = createStatementBook()
  const deep = `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}`
  const chain = `SELECT a${' + a'.repeat(15_000)} FROM t`
  for (const text of [deep, chain]) {
    const info = book.look(text)
    assert.equal(info.readOnly, false)
    assert.equal(info.mayWrite, true)
  }
  assert.equal(book.look('SELECT 2').readOnly, true)
})

test('what stands for a shape is judged like the statement that it was made of', () => {
  for (const sql of statements.filter(one => alone(one) !== refused && !one.includes('tenfold'))) {
    const shape = shapeOf(sql)
    const sampled = alone(sampleText(shape.key))
    if (!shape.exact && sampled !== refused) assert.equal(sampled, alone(sql), sql)
  }
  const awkward = `SELECT ${'1 BETWEEN 0 AND 2, '.repeat(200)}pg_advisory_lock(1)`
  assert.equal(createStatementBook().look(awkward).advisoryLocks, 1)
})

test('a long list of values is not what the parser gets', () => {
  const book = createStatementBook()
  const info = book.look(
    `SELECT * FROM t WHERE id IN (${Array.from({ length: 10_000 }, (_, id) => id).join(', ')})`,
  )
  assert.deepEqual([info.readOnly, info.normalised], [true, 'SELECT * FROM t WHERE id IN ($1, ...)'])
  assert.equal(book.look('SELECT * FROM t WHERE id IN (1, 2)').readOnly, true)
  assert.equal(book.counts.parses, 1)
})

test('a long insert is parsed by its shape', () => {
  const book = createStatementBook()
  const info = book.look(`INSERT INTO t VALUES ${"(1, 'abc', NULL), ".repeat(20_000)}(1, 'abc', NULL)`)
  assert.equal(info.kind, 'insert')
  assert.equal(info.mayWrite, true)
  assert.equal(info.pins, 0)
  assert.equal(book.counts.failures, 0)
})

test('a long text that can only be guessed at keeps its connection, unless it is plainly one about rows', () => {
  const book = createStatementBook()
  const columns = Array.from({ length: 10_000 }, (_, index) => `column_${index}`).join(', ')
  const plain = book.look(`SELECT ${columns} FROM t`)
  assert.deepEqual([plain.kind, plain.readOnly, plain.mayWrite, plain.pins], ['select', false, true, 0])
  const script = book.look(`SET a.b = 'c'; SELECT ${columns} FROM t`)
  assert.deepEqual([script.mayWrite, script.pins], [true, pinBit('unknown')])
  const hidden = book.look(`SELECT set_config('a', 'b', false), ${columns} FROM t`)
  assert.deepEqual([hidden.mayWrite, hidden.pins], [true, pinBit('unknown')])
})

const catalogue = (calm: readonly string[], unsafe: readonly string[]): Catalogue => ({
  calm: new Set(calm),
  unsafeRelations: new Set(unsafe),
  asynchronousCommit: false,
})

test('what is learnt of a database changes what was said before', () => {
  const book = createStatementBook()
  assert.equal(book.look('SELECT own(1)').readOnly, false)
  assert.equal(book.look('SELECT * FROM shown').readOnly, true)
  book.learn(catalogue(['own'], ['shown']))
  assert.equal(book.look('SELECT own(1)').readOnly, true)
  assert.equal(book.look('SELECT * FROM shown').readOnly, false)
  assert.equal(book.counts.parses, 2)
})

test('a strict book takes no table for one before it knows', () => {
  const book = createStatementBook({ strict: true })
  assert.equal(book.look('SELECT * FROM t').readOnly, false)
  assert.equal(book.look('SELECT 1').readOnly, true)
  assert.equal(book.look('SELECT * FROM pg_class').readOnly, true)
  book.learn(catalogue([], []))
  assert.equal(book.look('SELECT * FROM t').readOnly, true)
})

test('no read keeps a connection, and nothing both reads only and writes', () => {
  const book = createStatementBook()
  for (const sql of statements) {
    const info = book.look(sql)
    assert.ok(!(info.readOnly && (info.mayWrite || info.pins !== 0)), sql)
  }
})

test('names that JavaScript has of its own are names like others', () => {
  const book = createStatementBook()
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    assert.equal(book.look(`SELECT ${name}(1)`).mayWrite, true)
    assert.equal(book.look(`SELECT ${name} FROM ${name}`).readOnly, true)
    assert.equal(book.look(`${name} 1`).mayWrite, true)
    assert.deepEqual(book.look(`SET a.${name} = 1`).settings.length, 1)
  }
})
