import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deriveKey, nameOf, signToken, verifyToken } from './keys.ts'

const secret = Buffer.alloc(32, 1).toString('base64')
const key = deriveKey(secret, 'tickets')
const claims = { account: 'ann', n: 7 }
const token = signToken(key, 'ticket', claims, 1_000)

test('a token says what was signed until its last millisecond, for its purpose and key only', () => {
  assert.deepEqual(verifyToken(key, 'ticket', token, 1_000), claims)
  assert.equal(verifyToken(key, 'ticket', token, 1_001), null)
  assert.equal(verifyToken(key, 'grant', token, 0), null)
  assert.equal(verifyToken(deriveKey(secret, 'grants'), 'ticket', token, 0), null)
  assert.equal(
    verifyToken(deriveKey(Buffer.alloc(32, 2).toString('base64'), 'tickets'), 'ticket', token, 0),
    null,
  )
})

test('every other spelling of a token is refused, whichever character is another one', () => {
  for (let at = 0; at < token.length; at++)
    for (const other of ['A', 'B', 'z', '0', '-', '.', '=', ' ']) {
      if (token[at] === other) continue
      const changed = token.slice(0, at) + other + token.slice(at + 1)
      assert.equal(verifyToken(key, 'ticket', changed, 0), null, changed)
    }
  for (const odd of [
    '',
    'v1',
    `${token}=`,
    `${token} `,
    `${token}.x`,
    token.slice(0, -1),
    'x'.repeat(10_000),
  ])
    assert.equal(verifyToken(key, 'ticket', odd, 0), null)
})

test('a name is the same for the same text and key, and shows neither', () => {
  assert.equal(nameOf(key, 'session 1'), nameOf(key, 'session 1'))
  assert.notEqual(nameOf(key, 'session 1'), nameOf(key, 'session 2'))
  assert.notEqual(nameOf(key, 'session 1'), nameOf(deriveKey(secret, 'others'), 'session 1'))
  assert.match(nameOf(key, 'session 1'), /^[\w-]{22}$/)
})
