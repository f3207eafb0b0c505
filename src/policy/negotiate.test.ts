import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acceptanceOf, bestCoding, type Coding, isOfTypes } from './negotiate.ts'

const ours: readonly Coding[] = ['zstd', 'br', 'gzip']
const table: readonly (readonly [string | undefined, readonly Coding[], Coding | 'identity' | null])[] = [
  [undefined, ours, 'identity'],
  ['', ours, 'identity'],
  ['gzip', ours, 'gzip'],
  ['x-gzip', ours, 'gzip'],
  ['GZIP', ours, 'gzip'],
  ['gzip, deflate, br, zstd', ours, 'zstd'],
  ['gzip, deflate, br, zstd', ['br', 'gzip'], 'br'],
  ['gzip;q=1.0, br;q=0.5', ours, 'gzip'],
  ['gzip ; q=0.3 , br ; q=0.5', ours, 'br'],
  ['br;q=0', ours, 'identity'],
  ['*', ours, 'zstd'],
  ['*;q=0.5, gzip', ours, 'gzip'],
  ['zstd;q=0, *', ours, 'br'],
  ['identity, gzip;q=0.5', ours, 'identity'],
  ['identity;q=0.5, gzip;q=0.5', ours, 'gzip'],
  ['identity;q=0', ours, null],
  ['identity;q=0, gzip', ours, 'gzip'],
  ['*;q=0', ours, null],
  ['*;q=0, identity', ours, 'identity'],
  ['*;q=0, identity;q=0.001', ours, 'identity'],
  ['gzip;q=0, *;q=0', ours, null],
  ['gzip', [], 'identity'],
  ['deflate', ours, 'identity'],
  ['gzip;q=2', ours, 'identity'],
  ['gzip;q=0.1234', ours, 'identity'],
  ['gzip;q=', ours, 'identity'],
  ['gzip;level=9', ours, 'identity'],
  ['gzip;q=0.001', ours, 'gzip'],
  [', ,gzip,,', ours, 'gzip'],
  [`${'x, '.repeat(40)}gzip`, ours, 'identity'],
]

test('the best coding is what the client weighs most, then what we prefer; identity unless it is refused', () => {
  for (const [field, offered, expected] of table)
    assert.equal(bestCoding(acceptanceOf(field), offered), expected, JSON.stringify(field))
})

test('a media type is found by its name or its family, whatever its parameters', () => {
  const types = ['text/*', 'application/json']
  for (const type of ['text/html', 'Text/HTML; charset=utf-8', 'application/json ;x=y', 'text/css'])
    assert.equal(isOfTypes(type, types), true, type)
  for (const type of ['', 'text', 'application/jsonp', 'image/png', '/json', 'texture/x'])
    assert.equal(isOfTypes(type, types), false, type)
})
