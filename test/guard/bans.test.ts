// Who is banned and who is allowed, on a real edge: lists of the file, rulings of operators, allowances before bans.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedLimit } from '../../src/file/checked-guard.ts'
import type { GuardRuling } from '../../src/guard/part.ts'
import { until } from '../tools/edge-harness.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { endAll, policyOf, specOf, startGuardedEdge } from './harness.ts'

const trial = [policyOf('trial')]
let madeUp = 0
const perSession = (): CheckedLimit => ({
  name: 'two',
  kind: 'rate',
  algorithm: 'fixed',
  amount: 2,
  perMs: 3_600_000,
  burst: 1,
  by: [{ by: 'session' }],
  missingShare: 0.5,
  adaptiveShare: 1,
  local: true,
  banAfter: 2,
  detectOnly: false,
})
const ruling = (kind: GuardRuling['kind'], block: string, untilMs = 0): GuardRuling => ({
  kind,
  block,
  untilMs,
  reason: 'a test',
  by: 'operator',
})

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

test('an allowance is asked before every ban, whoever gave either, and a ban ends at its time', async t => {
  const rulings = [
    ruling('ban', '192.0.2.0/24'),
    ruling('allow', '192.0.2.9'),
    ruling('ban', '203.0.113.1', Date.now() - 1),
    ruling('ban', '203.0.113.2', Date.now() + 3_600_000),
    ruling('allow', '203.0.113.2', Date.now() - 1),
  ]
  const guard = specOf(trial, { ban: ['198.51.100.0/24'], allow: ['198.51.100.128/25'], rulings })
  const { ask } = await startGuardedEdge(t, guard, { trustedProxies: ['127.0.0.0/8'] })
  const answers = {
    '192.0.2.8': 403,
    '192.0.2.9': 200,
    '203.0.113.1': 200,
    '203.0.113.2': 403,
    '198.51.100.127': 403,
    '198.51.100.128': 200,
  }
  for (const [client, status] of Object.entries(answers))
    assert.equal((await ask({ client })).status, status, client)
})

test('a ban by command ends connections that are open, takes no new ones, and its end lets them in again', async t => {
  const { edge, reload } = await startGuardedEdge(t, specOf(trial), { workers: 2 })
  const open = await Promise.all(
    Array.from({ length: 6 }, () => RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.7')),
  )
  const other = await RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.8')
  t.after(() => endAll([...open, other]))
  for (const peer of open) {
    peer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await peer.response()).status, 200)
  }
  await reload(specOf(trial, { rulings: [ruling('ban', '127.0.0.7')] }))
  for (const peer of open) await peer.when('its end', () => peer.over !== '')
  const late = await RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.7')
  await late.when('its end', () => late.over !== '')
  assert.equal(late.receivedBytes, 0)
  other.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await other.response()).status, 200, 'who is not banned keeps the connection')
  await until('the metric to tell', async () =>
    /guard_connections_closed_total\{reason="banned"\} [1-9]/.test(await edge.metrics()),
  )
  await reload(specOf(trial))
  const again = await RawPeer.connect(edge.port, '127.0.0.1', '127.0.0.7')
  t.after(() => again.destroy())
  again.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await again.response()).status, 200)
})

test('a user who is banned by a rule is banned alone behind an address that many share, and can not be framed by others', async t => {
  const limits = [perSession()]
  const spec = specOf([policyOf('trial', { limits })], {
    identity: { account: [], session: [{ by: 'cookie', name: 'sid' }], key: [] },
  })
  const { ask } = await startGuardedEdge(t, spec, { trustedProxies: ['127.0.0.0/8'] })
  const status = async (client: string, sid: string): Promise<number> =>
    (await ask({ client, fields: `Cookie: sid=${sid}\r\n` })).status
  await until('the ban', async () => (await status('192.0.2.7', 'mallory')) === 403)
  for (let user = 0; user < 50; user++) assert.equal(await status('192.0.2.7', `user-${user}`), 200)
  // Whoever sends somebody else's name has it banned at his own address only.
  assert.notEqual(await status('192.0.2.8', 'mallory'), 403)
  // Names that are made up one after another are no way round: then it is the address.
  await until('the address to be banned', async () => {
    const name = `made-up-${Math.floor(madeUp++ / 8)}`
    return (await status('192.0.2.9', name)) === 403 && (await status('192.0.2.9', 'another')) === 403
  })
})
