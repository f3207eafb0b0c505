// Words of the hint, alone and together.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cacheMsOf, hintOf } from './hint.ts'

test('a hint says where a statement goes and how long its result is kept, in any order', () => {
  assert.deepEqual([hintOf('primary'), cacheMsOf('primary')], ['primary', null])
  assert.deepEqual([hintOf('cache=10s'), cacheMsOf('cache=10s')], [null, 10_000])
  assert.deepEqual([hintOf('reads=any cache = 500ms'), cacheMsOf('reads=any cache = 500ms')], ['any', 500])
  assert.deepEqual([hintOf("cache='2min', fresh"), cacheMsOf("cache='2min', fresh")], ['fresh', 120_000])
})

test('words that are none of ours say nothing', () => {
  for (const text of [null, '', 'cache', 'cache=10', 'cache=s', 'cache=10d', 'nowhere']) {
    assert.equal(cacheMsOf(text), null, String(text))
    assert.equal(hintOf(text), null, String(text))
  }
})
