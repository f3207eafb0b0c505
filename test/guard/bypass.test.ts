// Rows 2 and 3 of the guard's checklist with fresh eyes: whatever a client does to its own request, and however an address
// is written, a limit counts one client; what RateLimit says is what happens; who dies forgets nothing.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CheckedLimit } from '../../src/file/checked-guard.ts'
import { proxyRoute, until } from '../tools/edge-harness.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { type AskedRequest, type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

/** So long that nothing flows back while a test lasts, however slow the machine. */
const longMs = 30 * 86_400_000

function limitOf(change: Partial<CheckedLimit> = {}): CheckedLimit {
  return {
    name: 'login',
    kind: 'rate',
    algorithm: 'gcra',
    amount: 3,
    perMs: longMs,
    burst: 3,
    by: [{ by: 'ip' }],
    missingShare: 0.2,
    adaptiveShare: 1,
    local: false,
    banAfter: 0,
    detectOnly: false,
    ...change,
  }
}

const edgeWith = (t: TestContext, limits: CheckedLimit[], more: object = {}): Promise<GuardedEdge> =>
  startGuardedEdge(t, specOf([policyOf('trial', { limits })]), {
    workers: 2,
    trustedProxies: ['127.0.0.1/32'],
    ...more,
  })

/** Ready bytes on a connection of its own. */
async function raw(port: number, text: string): Promise<number> {
  const peer = await RawPeer.connect(port)
  peer.write(text)
  const { status } = await peer.response('GET')
  peer.destroy()
  return status
}

/** The limit of three: three pass, no fourth does, whatever they are. */
async function assertOneClient(guarded: GuardedEdge, requests: readonly AskedRequest[]): Promise<void> {
  const statuses: number[] = []
  for (const request of requests) statuses.push((await guarded.ask(request)).status)
  assert.deepEqual(
    statuses,
    requests.map((_, at) => (at < 3 ? 200 : 429)),
    JSON.stringify(requests),
  )
}

test('row 2: one address is one client however a trusted proxy writes it: mapped, compressed, in capitals, with a port or a zone', async t => {
  const guarded = await edgeWith(t, [limitOf()])
  await assertOneClient(guarded, [
    { client: '198.51.100.7' },
    { client: '::ffff:198.51.100.7' },
    { client: '::FFFF:C633:6407' },
    { client: '0:0:0:0:0:ffff:c633:6407' },
    { client: '198.51.100.7:4711' },
    { client: '[::ffff:198.51.100.7]:4711' },
    { client: '  198.51.100.7  ' },
  ])
  await assertOneClient(guarded, [
    { client: '2001:db8:1:2::1' },
    { client: '2001:DB8:1:2:0:0:0:9' },
    { client: '[2001:db8:1:2::77]:80' },
    { client: '2001:0db8:0001:0002:ffff:ffff:ffff:ffff' },
    { client: '2001:db8:1:2::1%eth0' },
  ])
})

test('row 2: what a trusted proxy passes on beside its own field names nobody else', async t => {
  const guarded = await edgeWith(t, [limitOf()])
  const client = '198.51.100.7'
  await assertOneClient(guarded, [
    { client },
    { client, fields: 'Forwarded: for=203.0.113.1\r\n' },
    { client, fields: 'X-Real-IP: 203.0.113.2\r\nTrue-Client-IP: 203.0.113.3\r\n' },
    { client: `203.0.113.4, ${client}` },
    { client: '203.0.113.5', fields: `X-Forwarded-For: ${client}\r\n` },
    { client: `nonsense, 203.0.113.6, ${client}` },
  ])
})

test('row 3: neither host, version, absolute target nor headers that name another method, path or host begin a limit anew', async t => {
  const guarded = await edgeWith(t, [limitOf({ by: [{ by: 'ip' }, { by: 'route' }] })], {
    routes: [proxyRoute('/api/login', { guard: 'trial' }), proxyRoute('/*', { guard: 'trial' })],
    trustedProxies: [],
  })
  const { port } = guarded.edge
  const requests = [
    'GET /api/login HTTP/1.1\r\nHost: shop.example\r\n\r\n',
    'GET /api/login HTTP/1.1\r\nHost: SHOP.example:80\r\n\r\n',
    'GET /api/login HTTP/1.0\r\n\r\n',
    'GET /api/login HTTP/1.1\r\nHost: shop.example.\r\n\r\n',
    'GET /api/login HTTP/1.1\r\nHost: other.example\r\n\r\n',
    'GET http://shop.example/api/login HTTP/1.1\r\nHost: shop.example\r\n\r\n',
    'GET HTTP://shop.example:80/api/login HTTP/1.1\r\nHost: shop.example:80\r\n\r\n',
    'GET /api/login HTTP/1.1\r\nHost: shop.example\r\nX-HTTP-Method-Override: PUT\r\n\r\n',
    'GET /api/login HTTP/1.1\r\nHost: shop.example\r\nX-Original-URL: /other\r\nX-Rewrite-URL: /other\r\n\r\n',
    'GET /api/login HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Host: other.example\r\nX-Forwarded-Prefix: /x\r\n\r\n',
    'GET /api/login?_method=DELETE HTTP/1.1\r\nHost: shop.example\r\n\r\n',
    'GET /api/login#elsewhere HTTP/1.1\r\nHost: shop.example\r\n\r\n',
  ]
  const statuses: number[] = []
  for (const text of requests) statuses.push(await raw(port, text))
  // Some are refused as malformed; what passes is never more than the limit.
  assert.deepEqual(statuses.slice(0, 3), [200, 200, 200])
  assert.ok(
    statuses.slice(3).every(status => status === 429 || status === 400),
    statuses.join(),
  )
})

test('row 3: a key in a header or cookie has one count in every spelling of its field', async t => {
  const guarded = await edgeWith(t, [limitOf({ by: [{ by: 'header', name: 'x-api-key' }] })])
  await assertOneClient(guarded, [
    { fields: 'X-Api-Key: k1\r\n', client: '203.0.113.1' },
    { fields: 'x-api-key: k1\r\n', client: '203.0.113.2' },
    { fields: 'X-API-KEY:    k1  \r\n', client: '203.0.113.3' },
    { fields: 'x-Api-kEy:k1\r\n', client: '203.0.113.4' },
    { fields: 'X-Api-Key: k1\r\nX-Api-Key: k1\r\n', client: '203.0.113.5' },
  ])
})

test('what RateLimit says is left passes, and nothing beyond it, for each way of counting', async t => {
  for (const algorithm of ['gcra', 'sliding', 'fixed'] as const) {
    const guarded = await edgeWith(t, [limitOf({ algorithm, amount: 12, burst: 12 })])
    const client = '198.51.100.44'
    for (let left = 11; left >= 0; left--) {
      const { status, fields } = await guarded.ask({ client })
      assert.equal(status, 200)
      assert.match(fields.get('ratelimit') ?? '', new RegExp(`^"login";r=${left};t=\\d+$`), algorithm)
    }
    const { status, fields } = await guarded.ask({ client })
    assert.equal(status, 429)
    assert.match(fields.get('ratelimit') ?? '', /^"login";r=0;t=[1-9]\d*$/)
  }
})

test('row 3: who is over a limit stays over it when the worker that counted dies', async t => {
  const guarded = await edgeWith(t, [limitOf()], { workers: 1 })
  await assertOneClient(guarded, Array(5).fill({ client: '198.51.100.7' }))
  await guarded.edge.killWorker(0)
  await until('the next worker', async () => {
    const answer = await guarded.ask({ client: '203.0.113.1' }).catch(() => null)
    return answer?.status === 200
  })
  assert.equal((await guarded.ask({ client: '198.51.100.7' })).status, 429)
})
