import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressBytes, addressText } from './address.ts'

test('parsing agrees with the system about which texts are addresses', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 })), text => {
      if (text.includes('%')) return // zones are cut off here
      assert.equal(addressBytes(text) !== null, isIP(text) !== 0, text)
    }),
  )
})

test('an address that is written from its bytes reads as the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(3), (bytes, zeros) => {
      bytes.fill(0, 4, 4 + zeros * 4)
      const text = addressText(bytes)
      assert.ok(isIP(text) !== 0, text)
      assert.deepEqual(addressBytes(text), bytes)
    }),
  )
})

test('an address is written as RFC 5952 wants it', () => {
  for (const [text, written] of [
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
  ] as const)
    assert.equal(addressText(addressBytes(text) as Uint8Array), written)
})
