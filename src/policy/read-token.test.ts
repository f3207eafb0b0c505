import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { laterToken, parseToken, tokenLengthMax, tokenText } from './read-token.ts'

test('a token is a timeline and a position, and comes back as it was', () => {
  assert.equal(tokenText({ timeline: 3, lsn: 0x16b374d848 }), '3/16B374D848')
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      (timeline, lsn) => {
        const text = tokenText({ timeline, lsn })
        assert.ok(text.length <= tokenLengthMax)
        assert.deepEqual(parseToken(text), { timeline, lsn })
      },
    ),
  )
})

test('what is no token is none', () => {
  const wrong = ['', '/', '1/', '/1', '0/1', '01/1', '1/01', '1/16b', '1/G', '-1/1', '1/1/1', ' 1/1', '1/1\n']
  for (const text of [...wrong, '4294967296/1', '1/FFFFFFFFFFFFFF', `1/${'1'.repeat(40)}`, "1/1'; --"])
    assert.equal(parseToken(text), null, JSON.stringify(text))
})

test('the further of two tokens on one timeline goes on, on two the one given last', () => {
  assert.equal(laterToken('2/A0', '2/9'), '2/A0')
  assert.equal(laterToken('2/9', '2/A0'), '2/A0')
  assert.equal(laterToken('1/FFFF', '2/1'), '2/1')
  assert.equal(laterToken('2/1', '1/FFFF'), '1/FFFF')
  assert.equal(laterToken('forged', '1/1'), '1/1')
  assert.equal(laterToken('1/1', 'forged'), '1/1')
})
