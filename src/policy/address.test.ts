import assert from 'node:assert/strict'
import { BlockList } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { isInBlocks, parseBlock } from './address.ts'

const block = (text: string) => {
  const parsed = parseBlock(text)
  assert.ok(parsed, text)
  return parsed
}

test('addresses in a block are told from those outside, IPv4 also when mapped into IPv6', () => {
  const blocks = [block('10.0.0.0/8'), block('192.168.1.0/25'), block('2001:db8::/33'), block('127.0.0.1')]
  for (const inside of ['10.255.1.2', '::ffff:10.1.1.1', '192.168.1.127', '2001:db8:7fff::1', '127.0.0.1'])
    assert.equal(isInBlocks(inside, blocks), true, inside)
  for (const outside of ['11.0.0.0', '192.168.1.128', '2001:db8:8000::1', '127.0.0.2', '::1', '', 'unknown'])
    assert.equal(isInBlocks(outside, blocks), false, outside)
})

test('what is no address or block is refused', () => {
  for (const text of [
    '10.0.0.0/33',
    '10.0.0/8',
    '1.2.3.4/',
    '01.2.3.4',
    '256.1.1.1',
    '::/129',
    ':::',
    '1::2::3',
    'g::',
    '1.2.3.4/8x',
  ])
    assert.equal(parseBlock(text), null, text)
})

test('membership agrees with the system', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.ipV4(), fc.nat(32), (network, address, bits) => {
      const list = new BlockList()
      list.addSubnet(network, bits)
      assert.equal(isInBlocks(address, [block(`${network}/${bits}`)]), list.check(address))
    }),
  )
  fc.assert(
    fc.property(fc.ipV6(), fc.ipV6(), fc.nat(128), (network, address, bits) => {
      if (/\d\.\d/.test(network + address)) return // the system's list keeps mapped IPv4 apart
      const list = new BlockList()
      list.addSubnet(network, bits, 'ipv6')
      assert.equal(isInBlocks(address, [block(`${network}/${bits}`)]), list.check(address, 'ipv6'))
    }),
  )
})
