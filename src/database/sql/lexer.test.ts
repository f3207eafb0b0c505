import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeholder, sampleText, shapeOf, shownText, withoutComments } from './lexer.ts'

const { string: S, number: N, more, parameter: P } = placeholder
const keyOf = (text: string): string => shapeOf(text).key

test('values of every spelling are taken out', () => {
  const cases: readonly (readonly [string, string])[] = [
    ["select 'it''s'", `select ${S}`],
    ["select E'it\\'s', 1", `select ${S}, ${N}`],
    ["select e'\\\\'", `select ${S}`],
    ["select '\\', 1", `select ${S}, ${N}`],
    ["select b'01', X'ff', n'x'", `select ${S}${more}`],
    ["select $$it's$$, $a$ $$ $b$ $a$", `select ${S}${more}`],
    ['select 1, 1.5, .5, 5., 1e-5, 0x1F, 0o7, 0b1, 1_000', `select ${N}${more}`],
    ['select 1+1, a, 1-1', `select ${N}+${N}, a, ${N}-${N}`],
    ['select a1, t2.c3 from x4', 'select a1, t2.c3 from x4'],
    ['select $1, $22', `select ${P}${more}`],
    ['select a$1', 'select a$1'],
    ['select "a\'b", "c""d"', 'select "a\'b", "c""d"'],
    ['select é1, 1', `select é1, ${N}`],
    ['select x[1:2]', `select x[${N}:${N}]`],
    ["select 'a'::text", `select ${S}::text`],
    ["select 'a' -- 'b'\n'c'", `select ${S} ${S}`],
    ['select 0x1e+5', `select ${N}+${N}`],
  ]
  for (const [text, key] of cases) assert.equal(keyOf(text), key, text)
})

test('comments and spaces are one space, at the ends none', () => {
  assert.equal(keyOf(' \n select\t1 /* a /* b */ c */ , a -- x'), `select ${N} , a`)
  assert.equal(keyOf('select/**/1'), `select ${N}`)
  assert.equal(keyOf("select 'a /* b' , a, '*/'"), `select ${S} , a, ${S}`)
  assert.equal(keyOf('select a--b\n+1'), `select a +${N}`)
  assert.equal(keyOf('select a - -1'), `select a - -${N}`)
})

test('lists of values are as long as one value, rows as many as one', () => {
  assert.equal(keyOf('select a in (1, 2,3)'), keyOf('select a in (7,8, 9 ,10)'))
  assert.equal(keyOf("f(1, 'a')"), `f(${N}, ${S})`)
  const row = "(1,'a',null),\n"
  const few = `insert into t values ${row.repeat(100)}(1,'a',null)`
  const many = `insert into t values ${row.repeat(5_000)}(1,'a',null)`
  assert.equal(keyOf(few), keyOf(many))
  assert.ok(keyOf(many).length < 100)
})

test('two numbers beside a comma are no list if anything is between', () => {
  assert.equal(keyOf('select 1, a, 2'), `select ${N}, a, ${N}`)
  assert.equal(keyOf('select 1, -2'), `select ${N}, -${N}`)
  assert.equal(keyOf('values (1), (2)'), `values (${N}), (${N})`)
})

test('where a value can matter, the text stands for itself', () => {
  const exact = [
    "set a = 'b'",
    'explain (analyze 1) select 1',
    "select set_config('a', 'b', false)",
    "select SET_CONFIG('a', 'b', false)",
    "select pg_catalog.\"set_config\"('a', 'b', false)",
    "select current_setting('a')",
    "select U&'\\0061'",
    'select U&"\\0061"()',
    "select 1; set a = 'b'",
    "create role a password 'b'",
    "select 'never closed",
    'select "never closed',
    'select $a$ never closed',
    'select /* never closed',
    'select \x01',
    '1',
    "'a'",
  ]
  for (const text of exact) assert.equal(shapeOf(text).exact, true, text)
  const merged = [
    'select 1',
    '(select 1)',
    'select 1; insert into t values (2);',
    'WITH a AS (select 1) table a',
  ]
  for (const text of merged) assert.equal(shapeOf(text).exact, false, text)
})

test('statements are counted, and the first word is known', () => {
  const of = (text: string): string => `${shapeOf(text).statements} ${shapeOf(text).verb}`
  assert.equal(of('SELECT 1; INSERT INTO a VALUES (1);'), '2 select')
  assert.equal(of("select ';'; ;"), '1 select')
  assert.equal(of('-- nothing'), '0 ')
})

test('a hint is the first comment in front that is one', () => {
  assert.equal(shapeOf('/* tenfold: primary */ select 1').hint, 'primary')
  assert.equal(shapeOf('/* x */ -- tenfold: any\nselect 1').hint, 'any')
  assert.equal(shapeOf('select /* tenfold: primary */ 1').hint, null)
  assert.equal(shapeOf("select '/* tenfold: primary */'").hint, null)
  assert.equal(shapeOf('/* tenfoldish: primary */ select 1').hint, null)
})

test('what is shown has numbers for values, and what stands for a shape can be parsed', () => {
  const key = keyOf("select 'secret', 1 from t where a in (1,2,3) and b = $7")
  assert.equal(shownText(key), 'select $1, $2 from t where a in ($3, ...) and b = $4')
  assert.equal(sampleText(key), "select '', 1 from t where a in (1) and b = $1")
})

test('a text is walked once, however it is made', () => {
  const hostile = [
    "'".repeat(200_001),
    '/*'.repeat(100_000),
    '$a'.repeat(100_000),
    '(1,'.repeat(70_000),
    '1,'.repeat(100_000),
    "E'\\".repeat(60_000),
  ]
  for (const text of hostile) assert.ok(shapeOf(`select ${text}`).key.length <= text.length + 7)
})

test('without its comments a text keeps everything else', () => {
  const text = "select 'a -- b', /* x */ E'\\'/*' , $$--$$ -- y\n, \"/*\", 1,2 , 3"
  assert.equal(withoutComments(text), "select 'a -- b', E'\\'/*' , $$--$$ , \"/*\", 1,2 , 3")
})
