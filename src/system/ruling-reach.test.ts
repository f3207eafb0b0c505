import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doubtedReach } from './ruling-reach.ts'

const asked = (
  block: string,
  more: { kind?: 'ban' | 'allow'; trustedProxies?: string[]; operatorAt?: string } = {},
): string | null => doubtedReach({ kind: 'ban', block, trustedProxies: [], ...more })

test('a block that is wider than one attacker is asked about, for bans and allowances', () => {
  for (const block of ['0.0.0.0/0', '64.0.0.0/7', '::/0', '2000::/3', '2001:d00::/31']) {
    assert.match(asked(block) ?? '', /is wider than \/8 .*locks out people/, block)
    assert.match(asked(block, { kind: 'allow' }) ?? '', /nearly everybody pass/, block)
  }
  for (const block of ['192.0.2.7', '64.0.0.0/8', '2001:db8::/32', '2001:db8::1'])
    assert.equal(asked(block), null, block)
})

test('a ban of this host, of a trusted proxy or of the operator is asked about, an allowance of them is not', () => {
  assert.match(asked('127.0.0.1') ?? '', /this host itself/)
  assert.match(asked('127.0.0.0/8') ?? '', /this host itself/)
  assert.match(asked('::1') ?? '', /this host itself/)
  const trustedProxies = ['10.1.0.0/16', '2001:db8:1::5']
  assert.match(asked('10.1.2.3', { trustedProxies }) ?? '', /meets 10\.1\.0\.0\/16 of edge\.trustedProxies/)
  assert.match(asked('10.0.0.0/8', { trustedProxies }) ?? '', /meets 10\.1\.0\.0\/16/)
  assert.match(asked('2001:db8:1::/48', { trustedProxies }) ?? '', /meets 2001:db8:1::5/)
  assert.equal(asked('10.2.0.0/16', { trustedProxies }), null)
  assert.match(asked('198.51.100.0/24', { operatorAt: '198.51.100.9' }) ?? '', /where you are logged in from/)
  assert.equal(asked('198.51.100.0/24', { operatorAt: '198.51.101.9' }), null)
  assert.equal(asked('127.0.0.1', { kind: 'allow', trustedProxies: ['127.0.0.1'] }), null)
})

test('who trusts everybody named no proxy, and may ban anybody', () => {
  assert.equal(asked('192.0.2.7', { trustedProxies: ['0.0.0.0/0', '::/0'] }), null)
})
