import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FieldName, fieldId, fieldIdCount } from '../fields.ts'
import { bodilessDrop, chunkLine, reasonOf, requestDrop, responseDrop, withDropped } from './compose.ts'
import { problem, problemOf } from './problem.ts'

const dropped = (table: Uint8Array): string[] =>
  (Object.keys(fieldId) as FieldName[]).filter(name => table[fieldId[name]] === 1).sort()

const hopByHop = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]

test('hop-by-hop fields go in both directions; requests lose their framing, responses keep their length', () => {
  const own = [
    'content-length',
    'host',
    'max-forwards',
    'proxy',
    'proxy-authenticate',
    'proxy-authorization',
    'trailer',
  ]
  assert.deepEqual(dropped(requestDrop), [...hopByHop, ...own].sort())
  assert.deepEqual(dropped(responseDrop), [...hopByHop, 'proxy-authenticate'].sort())
  assert.deepEqual(dropped(bodilessDrop), [...hopByHop, 'proxy-authenticate', 'content-length'].sort())
  for (const table of [requestDrop, responseDrop, bodilessDrop]) {
    assert.equal(table.length, fieldIdCount)
    assert.equal(table[0], 0, 'names that are not interned stay')
  }
})

test('a table with more dropped is a copy', () => {
  const copy = withDropped(responseDrop, [fieldId.server])
  assert.deepEqual([copy[fieldId.server], responseDrop[fieldId.server]], [1, 0])
})

test('the line before a chunk is its size in hexadecimal', () => {
  for (const size of [1, 9, 10, 255, 256, 65_535, 2 ** 40])
    assert.equal(chunkLine(size), `${size.toString(16)}\r\n`)
})

test('every status that a problem has is named', () => {
  for (const code of Object.values(problem)) assert.notEqual(reasonOf(problemOf(code).status), '')
  assert.equal(reasonOf(299), '')
})
