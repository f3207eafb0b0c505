import assert from 'node:assert/strict'
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { isHostName, isIp, isIpv4, isIpv6 } from './network.ts'

test('addresses are told apart as Node does it', () => {
  const piece = fc.constantFrom(
    '0',
    '1',
    '255',
    '256',
    '01',
    'ffff',
    'abcde',
    '::',
    ':',
    '.',
    'g',
    '%eth0',
    '10.0.0.1',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.array(piece, { maxLength: 9 }).map(parts => parts.join('')),
      ),
      text => {
        // Node takes a zone index; a file's address is for every host and has none.
        if (text.includes('%')) return
        assert.equal(isIpv4(text), isIPv4(text), text)
        assert.equal(isIpv6(text), isIPv6(text), text)
        assert.equal(isIp(text), isIP(text) !== 0, text)
      },
    ),
    { numRuns: 5000 },
  )
})

test('host names are names, and mistyped addresses are not', () => {
  for (const name of ['a', 'db.example', 'x-1.y', '_http._tcp.x', 'xn--bcher-kva.example', 'a.example.'])
    assert.ok(isHostName(name), name)
  for (const name of [
    '',
    '-a',
    'a-',
    'a..b',
    '10.0.0',
    '10.0.0.300',
    '1',
    'a b',
    'ä.example',
    `${'a'.repeat(64)}.x`,
    '.a',
  ])
    assert.ok(!isHostName(name), name)
})
