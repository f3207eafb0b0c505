import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fields } from './testing/fields.ts'
import { keyPart, varyNames, varyText } from './vary.ts'

test('a Vary is a set of names, and one star makes it match nothing (RFC 9111 4.1)', () => {
  assert.deepEqual(varyNames(undefined), [])
  assert.deepEqual(varyNames(''), [])
  assert.deepEqual(varyNames('Foo, bar,, FOO'), ['bar', 'foo'])
  for (const field of ['*', '*, *', ', *', 'Foo, *', '*, Foo']) assert.equal(varyNames(field), null, field)
})

const key = (name: string, ...values: readonly string[]): string | null =>
  varyText([name.toLowerCase()], fields(...values.map(value => [name, value] as const)))

const same: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['Foo', ['1, 2'], ['1', '2']],
  ['Foo', ['1,2'], [' 1, 2 ']],
  ['Foo', ['"a,  b", c'], ['"a,  b",c']],
  ['Accept-Language', ['en, de'], ['de, en']],
  ['Accept-Language', ['en, de'], ['eN , De']],
  ['Accept-Language', ['fr;q=0.5, de;q=1.0'], ['de, fr; q=0.500']],
  ['Accept-Encoding', ['gzip, deflate, br'], ['br,deflate , GZIP;q=0.5']],
  ['Accept-Encoding', ['x-gzip'], ['gzip']],
  ['Accept', ['text/html, */*;q=0.8'], ['*/*; Q=0.8, TEXT/html']],
  ['Accept', ['text/html;level=A'], ['Text/HTML;Level=A']],
]
for (const [name, one, other] of same) {
  test(`${name}: ${one.join(' + ')} means the same as ${other.join(' + ')}`, () => {
    assert.equal(key(name, ...one), key(name, ...other))
  })
}

const different: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['Foo', ['1'], ['2']],
  ['Foo', ['1'], []],
  ['Foo', [''], []],
  ['Foo', ['a'], ['A']],
  ['Foo', ['1, 2'], ['2, 1']],
  ['Foo', ['"a, b"'], ['"a,b"']],
  ['User-Agent', ['a (b, c)'], ['a (b,c)']],
  ['Cookie', ['a=1, 2'], ['a=1,2']],
  ['Accept-Language', ['en, de;q=0.5'], ['de, en;q=0.5']],
  ['Accept-Language', ['en'], ['en;q=0']],
  ['Accept-Encoding', ['gzip'], ['gzip;q=0']],
  ['Accept-Encoding', ['gzip'], ['gzip, br']],
  ['Accept', ['text/html;level=A'], ['text/html;level=a']],
  ['Accept', ['text/html;q=2'], ['text/html']],
]
for (const [name, one, other] of different) {
  test(`${name}: ${one.join(' + ')} is not ${other.join(' + ') || 'absent'}`, () => {
    assert.notEqual(key(name, ...one), key(name, ...other))
  })
}

test('names and values cannot run into each other', () => {
  const of = (a: string | undefined, b: string | undefined): string | null =>
    varyText(
      ['a', 'b'],
      fields(
        ...(a === undefined ? [] : [['a', a] as const]),
        ...(b === undefined ? [] : [['b', b] as const]),
      ),
    )
  assert.notEqual(of('1&b=2', undefined), of('1', '2'))
  assert.notEqual(of('%26;', undefined), of('&', undefined))
  assert.notEqual(of(undefined, '1'), of('1', undefined))
})

test('a secondary key has no blanks, no controls, nothing beyond ASCII, and a bound', () => {
  assert.match(keyPart('a b\t\r\né%&=|'), /^[!-~]*$/)
  assert.equal(varyText(['a'], fields(['a', 'x'.repeat(5_000)])), null)
  assert.equal(varyText(['a'], fields(['a', ' '.repeat(10) + 'é'.repeat(2_000)])), null)
})

test('a long list is compared as it came', () => {
  const long = Array.from({ length: 500 }, (_, index) => `l${index}`)
  assert.notEqual(key('Accept-Language', long.join(',')), key('Accept-Language', long.reverse().join(',')))
})
