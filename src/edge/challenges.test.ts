import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readChallenges } from './challenges.ts'

test('tokens and key authorizations are taken as they are', () => {
  const read = readChallenges({ 'a_token-1': 'a_token-1.thumb_print-2' })
  assert.deepEqual([...(read ?? [])], [['a_token-1', 'a_token-1.thumb_print-2']])
  assert.equal(readChallenges({})?.size, 0)
})

test('what could break the answer or the path is refused', () => {
  for (const tokens of [
    null,
    'token',
    { token: 7 },
    { token: 'a\r\nSet-Cookie: b' },
    { '../up': 'a.b' },
    { '': 'a.b' },
    { token: '' },
    { token: 'x'.repeat(2_000) },
    Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`t${index}`, 'a'])),
  ])
    assert.equal(readChallenges(tokens), null, JSON.stringify(tokens)?.slice(0, 60))
})
