import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { contentLengthOf, eachListElement, isValidAuthority } from './grammar.ts'

test('an authority is a name, an IPv4 or a bracketed IPv6 address, with a port of at most 65535', () => {
  const good = [
    'a',
    'Shop.example',
    'a_b.example',
    'a:',
    'a:0',
    'a:65535',
    '10.0.0.1:80',
    '[::]',
    '[::1]:443',
    'a-b.',
  ]
  good.push('[2001:db8::8:800:200c:417a]', '[::ffff:1.2.3.4]:1', "!$&'()*+;=~", 'x'.repeat(260))
  for (const text of good) assert.equal(isValidAuthority(text), true, text)
  const bad = [
    '',
    ':',
    ':80',
    'a:b',
    'a:65536',
    'a:000080',
    'a:80:80',
    'a,b',
    'a b',
    'u@a',
    'a/b',
    'a?b',
    'a#b',
    'a\\b',
  ]
  bad.push(
    '%61',
    'a%00',
    '\xe4',
    'a\t',
    '"a"',
    '<a>',
    '[]',
    '[',
    '[::1',
    '::1',
    '[::1]80',
    '[::1]:x',
    '[[::1]]',
    'a[::1]',
  )
  bad.push(
    '[1:2]',
    '[:::]',
    '[1::2::3]',
    '[1.2.3.4]',
    '[::1.2.3.256]',
    '[::1.2.3.4:1]',
    '[fe80::1%25eth0]',
    '[v1.a]',
  )
  bad.push('x'.repeat(261), 'a\r\n', 'a\n', '[12345::]', '[1:2:3:4:5:6:7:8:9]', '[1:2:3:4:5:6:7:8::]')
  for (const text of bad) assert.equal(isValidAuthority(text), false, text)
})

test('bracketed addresses are those that the system takes for IPv6', () => {
  const piece = fc.constantFrom('0', 'f', 'abcd', '12345', 'g', '', ':', '::', '1.2.3.4', '01.2.3.4', '.')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), fc.constantFrom(':', ''), (pieces, joint) => {
      const text = pieces.join(joint)
      assert.equal(isValidAuthority(`[${text}]`), isIPv6(text) && text !== '')
    }),
    { numRuns: 2_000 },
  )
  fc.assert(
    fc.property(fc.ipV6(), text => {
      assert.equal(isValidAuthority(`[${text}]`), isIPv6(text))
    }),
  )
})

test('Content-Length is read exactly up to 2^53 - 1 and never guessed', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), number => {
      assert.equal(contentLengthOf(String(number)), number)
      assert.equal(contentLengthOf(`0${number}`), -1)
      assert.equal(contentLengthOf(`+${number}`), -1)
      assert.equal(contentLengthOf(`${number} `), -1)
    }),
  )
  for (const text of ['', '9007199254740992', '99999999999999999999', '1e3', '٣', '1_0', '1.0'])
    assert.equal(contentLengthOf(text), -1, text)
})

test('a list gives its elements in lower case, without empty ones and without the white space of HTTP only', () => {
  const elements: string[] = []
  eachListElement(' A ,,\tb\t, , \xa0c,D e', element => elements.push(element))
  assert.deepEqual(elements, ['a', 'b', '\xa0c', 'd e'])
})
