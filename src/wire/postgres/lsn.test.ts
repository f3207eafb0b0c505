import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { lsnOf, lsnText } from './lsn.ts'
import { commandComplete } from './write-backend.ts'

test('a position is one number, and its text comes back', () => {
  assert.equal(lsnOf('0/0'), 0)
  assert.equal(lsnOf('16/B374D848'), 0x16 * 2 ** 32 + 0xb374d848)
  assert.equal(lsnText(lsnOf('16/b374d848') as number), '16/B374D848')
  fc.assert(
    fc.property(fc.maxSafeNat(), lsn => {
      assert.equal(lsnOf(lsnText(lsn)), lsn)
    }),
  )
})

test('what is no position is null', () => {
  for (const text of ['', '/', '1/', '/1', '1', 'g/1', '1/123456789', ' 1/1', '1/1 ', '-1/1', 'FFFFFFFF/0'])
    assert.equal(lsnOf(text), null, text)
})

test('a NUL in a text of ours does not end a message early', () => {
  assert.deepEqual(commandComplete('a\0b'), commandComplete('a?b'))
})
