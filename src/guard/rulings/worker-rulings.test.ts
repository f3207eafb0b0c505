import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressText } from '../../kit/address.ts'
import { isInBlocks, parseBlock } from '../../policy/address.ts'
import { BlockMap } from './blocks.ts'
import { WorkerRulings } from './worker-rulings.ts'

const spec = { allow: [], ban: [], rulings: [], ipv6PrefixBits: 64 }
const ban = (key: string, untilMs: number) => ({ key, untilMs, reason: 'a test', by: 'rule' })

test('a block map finds what a walk over all blocks finds', () => {
  const addresses = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter(text => parseBlock(text) !== null),
    fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `10.0.${a}.${b}`),
  )
  const blocks = fc.array(
    addresses.chain(address => fc.nat(address.includes(':') ? 128 : 32).map(bits => `${address}/${bits}`)),
    { maxLength: 20 },
  )
  fc.assert(
    fc.property(blocks, addresses, (list, address) => {
      const map = new BlockMap(list.map(block => [block, block] as const))
      const naive = list.some(block => isInBlocks(address, [parseBlock(block)!]))
      return [...map.find(address)].length > 0 === naive
    }),
  )
})

test('nothing is looked up where nobody is banned; a short ban ends by itself, an allowance goes before it', () => {
  let now = 0
  const rulings = new WorkerRulings(() => now)
  rulings.take(spec)
  assert.equal(rulings.quiet, true)
  rulings.change([ban('192.0.2.7', 100), ban('2001:db8:1:2::/64', 100)])
  assert.equal(rulings.banOf('192.0.2.7')?.by, 'rule')
  assert.equal(rulings.banOf('2001:db8:1:2:3::4')?.by, 'rule')
  assert.equal(rulings.banOf('2001:db8:1:3::4'), null)
  rulings.take({ ...spec, allow: ['192.0.2.0/28'] })
  assert.equal(rulings.banOf('192.0.2.7'), null)
  rulings.take(spec)
  now = 100
  assert.equal(rulings.banOf('192.0.2.7'), null)
  rulings.change([ban('192.0.2.7', 0), ban('2001:db8:1:2::/64', 0)])
  assert.equal(rulings.quiet, true)
})

test('bans of accounts and sessions are no bans of addresses', () => {
  const rulings = new WorkerRulings(() => 0)
  rulings.take(spec)
  rulings.change([ban('account:ann', 100), ban('session:abc@192.0.2.7', 100)])
  assert.equal(rulings.banOf('192.0.2.7'), null)
  assert.equal(rulings.banOfSubject('account:ann', '192.0.2.7')?.by, 'rule')
  assert.equal(rulings.banOfSubject('session:abc@192.0.2.8', '192.0.2.8'), null)
})

test('the text of an address does not decide: IPv4 within IPv6 is the same client', () => {
  const rulings = new WorkerRulings(() => 0)
  rulings.take({ ...spec, ban: ['192.0.2.0/24'] })
  const mapped = addressText(parseBlock('192.0.2.9')!.bytes)
  for (const address of ['192.0.2.9', '::ffff:192.0.2.9', '::ffff:c000:209', mapped])
    assert.equal(rulings.banOf(address)?.by, 'file', address)
})

test('bans that are over are not kept for ever, however many there were; counts of subjects stay right', () => {
  let now = 0
  const rulings = new WorkerRulings(() => now)
  rulings.take(spec)
  for (let i = 0; i < 30_000; i++) {
    now += 10
    rulings.change([
      ban(i % 2 === 0 ? `session:${i}@192.0.2.1` : `2001:db8:0:${i.toString(16)}::/64`, now + 1_000),
    ])
  }
  assert.ok(rulings.kept <= 2_100, String(rulings.kept))
  assert.equal(rulings.banOfSubject('session:29998@192.0.2.1', '192.0.2.1')?.by, 'rule')
  assert.equal(rulings.banOf(`2001:db8:0:${(29_999).toString(16)}::1`)?.by, 'rule')
  rulings.change([ban('session:29998@192.0.2.1', 0)])
  assert.equal(rulings.banOfSubject('session:29998@192.0.2.1', '192.0.2.1'), null)
})
