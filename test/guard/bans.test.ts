// Who is banned and who is allowed, on a real edge: lists of the file, rulings of operators, allowances before bans.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policyOf, specOf, startGuardedEdge } from './harness.ts'

test('a block that the file bans gets 403 with the id of the request, on guarded routes and others, and reaches nobody', async t => {
  const guard = specOf([policyOf('trial')], { ban: ['198.51.100.0/24', '2001:db8:1::/48'] })
  const { ask, origin, explained } = await startGuardedEdge(t, guard, { trustedProxies: ['127.0.0.0/8'] })
  for (const client of ['198.51.100.7', '2001:db8:1:2::9']) {
    const refused = await ask({ client, fields: 'Accept: application/json\r\n' })
    const { error } = JSON.parse(refused.body.toString()) as { error: { code: string; requestId: string } }
    assert.deepEqual([refused.status, error.code], [403, 'GUARD_BANNED'])
    const record = await explained(error.requestId)
    assert.deepEqual([record.address, record.outcome, record.findings[0]?.rule], [client, 'refused', 'file'])
  }
  assert.equal((await ask({ client: '198.51.101.7' })).status, 200)
  assert.equal(origin.requests.length, 1)
})
