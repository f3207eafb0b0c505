// Rate limits on a real edge with two workers: the first four rows of the guard's checklist, and what limits promise.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CheckedLimit } from '../../src/file/checked-guard.ts'
import { proxyRoute, until } from '../tools/edge-harness.ts'
import { openHttp2 } from '../tools/http2-client.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { RawPeer, type RawResponse } from '../tools/raw-peer.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

/** So long that nothing flows back while a test lasts, however slow the machine. */
const longMs = 30 * 86_400_000

function limitOf(change: Partial<CheckedLimit> = {}): CheckedLimit {
  return {
    name: 'login',
    kind: 'rate',
    algorithm: 'gcra',
    amount: 5,
    perMs: longMs,
    burst: 5,
    by: [{ by: 'ip' }],
    missingShare: 0.2,
    adaptiveShare: 1,
    local: false,
    banAfter: 0,
    detectOnly: false,
    ...change,
  }
}

const specWith = (...limits: CheckedLimit[]): ReturnType<typeof specOf> =>
  specOf([policyOf('trial', { limits })])

async function edgeWith(t: TestContext, limits: CheckedLimit[], more: object = {}): Promise<GuardedEdge> {
  return startGuardedEdge(t, specWith(...limits), { workers: 2, trustedProxies: ['127.0.0.1/32'], ...more })
}

/** How many of these passed; the others are 429. */
async function passes(
  guarded: GuardedEdge,
  requests: readonly Parameters<GuardedEdge['ask']>[0][],
): Promise<number> {
  let passed = 0
  for (const request of requests) {
    const { status } = await guarded.ask(request)
    assert.ok(status === 200 || status === 429, String(status))
    if (status === 200) passed++
  }
  return passed
}

/** All on a few connections, at once: who they are is said by a trusted proxy. */
async function flood(port: number, clients: readonly string[], connections = 8): Promise<number> {
  let passed = 0
  const share = Math.ceil(clients.length / connections)
  await Promise.all(
    Array.from({ length: connections }, async (_, at) => {
      const peer = await RawPeer.connect(port)
      for (const client of clients.slice(at * share, (at + 1) * share)) {
        peer.write(`GET /login HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: ${client}\r\n\r\n`)
        if ((await peer.response('GET')).status === 200) passed++
      }
      peer.destroy()
    }),
  )
  return passed
}

test('row 1: 5,000 addresses with one login each meet the budget of the route; 1,000 addresses of one /64 are one client', async t => {
  const guarded = await edgeWith(t, [
    limitOf({ name: 'each', amount: 3, burst: 3 }),
    limitOf({ name: 'all', amount: 200, burst: 200, by: [{ by: 'route' }] }),
  ])
  const { port } = guarded.edge
  const one64 = Array.from({ length: 1_000 }, (_, i) => `2001:db8:7:1::${(i + 1).toString(16)}`)
  assert.equal(await flood(port, one64), 3)
  const botnet = Array.from(
    { length: 5_000 },
    (_, i) => `127.${1 + (i >> 12)}.${(i >> 6) & 63}.${1 + (i & 63)}`,
  )
  // What one client was refused was not taken from the others.
  assert.equal(await flood(port, botnet), 197)
})

test('row 2: forged headers of the client change nothing about who it is', async t => {
  const guarded = await edgeWith(t, [limitOf()], { trustedProxies: ['192.0.2.1/32'] })
  const forged = Array.from({ length: 40 }, (_, i) => {
    const address = `203.0.113.${i}`
    return {
      fields: [
        `X-Forwarded-For: ${address}\r\n`,
        `Forwarded: for=${address}\r\n`,
        `X-Real-IP: ${address}\r\n`,
        `CF-Connecting-IP: ${address}\r\n`,
        `True-Client-IP: ${address}\r\nX-Forwarded-For: ${address}:80, [2001:db8::${i}%eth0]:1\r\n`,
        `X-Forwarded-For: ${address}\r\nX-Forwarded-For: 127.0.0.9\r\n`,
        `Via: 1.1 ${address}\r\nX-Client-IP: ${address}\r\n`,
      ][i % 7]!,
    }
  })
  assert.equal(await passes(guarded, forged), 5)
})

test('row 2: behind a trusted proxy the rightmost hop that is not trusted counts, whatever stands left of it', async t => {
  const guarded = await edgeWith(t, [limitOf()])
  const rotated = Array.from({ length: 20 }, (_, i) => ({ client: `203.0.113.${i}, 198.51.100.7` }))
  assert.equal(await passes(guarded, rotated), 5)
})

test('row 3: neither spelling of the path, method, order of parameters nor version of HTTP begin a limit anew', async t => {
  const routes = [proxyRoute('/api/login', { guard: 'trial' }), proxyRoute('/*', { guard: 'trial' })]
  const guarded = await edgeWith(t, [limitOf({ by: [{ by: 'ip' }, { by: 'route' }], amount: 6, burst: 6 })], {
    routes,
  })
  const spellings = [
    { path: '/api/login' },
    { path: '/api/./login' },
    { path: '/api/x/../login' },
    { path: '/%61pi/login' },
    { path: '/api/%6Cogin' },
    { path: '/api/login?a=1&b=2' },
    { path: '/api/login?b=2&a=1' },
    { path: '/api/login?' },
    { path: '/api/login', method: 'POST', body: 'x' },
    { path: '/api/login', method: 'HEAD' },
    { path: '/api/login', method: 'PUT', body: 'x' },
    { path: '/api/login', fields: 'Cookie: session=other\r\n' },
  ]
  const shouted = ['/api//login', '/API/login', '/api/LOGIN', '/api/login/', '/api/login;x=1']
  const statuses: number[] = []
  const matched = async (request: { readonly path: string }): Promise<void> => {
    statuses.push((await guarded.ask(request)).status)
  }
  for (const request of spellings) await matched(request)
  const session = await openHttp2(t, `http://127.0.0.1:${guarded.edge.port}`)
  statuses.push((await session.ask({ ':path': '/api/login' })).status)
  assert.ok(statuses.filter(status => status === 200).length <= 6, statuses.join())
  assert.equal(statuses.at(-1), 429)
  // What the table of routes takes for another route has the limit of that one, together.
  const others = await passes(
    guarded,
    [...shouted, ...shouted, ...shouted].map(path => ({ path })),
  )
  assert.ok(others <= 6, `${others} passed`)
})

test('row 3: counters survive a reload, also one that changes other things of the limit', async t => {
  const guarded = await edgeWith(t, [limitOf()])
  assert.equal(await passes(guarded, Array(4).fill({})), 4)
  await guarded.reload(specWith(limitOf({ burst: 5, detectOnly: false })))
  await guarded.reload(specWith(limitOf(), limitOf({ name: 'other', amount: 100, burst: 100 })))
  assert.equal(await passes(guarded, Array(4).fill({})), 1)
})

test('row 3: twice the limit in a moment does not pass, whenever that moment is', async t => {
  const guarded = await edgeWith(t, [limitOf({ amount: 100, burst: 100, perMs: longMs })])
  assert.equal(await flood(guarded.edge.port, Array(400).fill('198.51.100.7')), 100)
})

test('row 4: who leaves a part of the key out is limited by address, and stricter', async t => {
  const guarded = await edgeWith(t, [
    limitOf({ amount: 10, burst: 10, by: [{ by: 'cookie', name: 'session' }] }),
  ])
  const told = (count: number, fields: string): ReturnType<typeof passes> =>
    passes(guarded, Array(count).fill({ fields }))
  assert.equal(await told(15, 'Cookie: session=a\r\n'), 10)
  assert.equal(await told(15, ''), 2)
  // Two that differ are none.
  assert.equal(await told(3, 'Cookie: session=b; session=c\r\n'), 0)
  assert.equal(await told(3, 'Cookie: session=\r\n'), 0)
  assert.equal(await told(15, 'Cookie: session=d\r\n'), 10)
})

test('limits are exact over two workers and many connections, and say how much is left', async t => {
  const guarded = await edgeWith(t, [limitOf({ amount: 50, burst: 50 })])
  assert.equal(await flood(guarded.edge.port, Array(300).fill('198.51.100.9'), 30), 50)
  const { fields } = await guarded.ask({ client: '198.51.100.10' })
  assert.equal(fields.get('ratelimit-policy'), '"login";q=50;w=2592000')
  assert.equal(fields.get('ratelimit'), '"login";r=49;t=51840')
  const refused = await guarded.ask({ client: '198.51.100.9' })
  assert.equal(refused.status, 429)
  const wait = Number(refused.fields.get('retry-after'))
  assert.ok(wait >= 1 && wait <= 51_840, String(wait))
  assert.match(refused.fields.get('ratelimit') ?? '', /^"login";r=0;t=\d+$/)
  assert.match(refused.body.toString(), /RATE_LIMITED/)
  const id = /[\w-]{16,}/.exec(refused.fields.get('x-request-id') ?? refused.body.toString())?.[0] as string
  const record = await guarded.explained(id)
  assert.equal(record.findings[0]?.rule, 'limit:login')
  assert.match(record.findings[0]?.would ?? '', /later/)
})

test('methods cost what the limit says; what costs nothing is not counted', async t => {
  const guarded = await edgeWith(t, [limitOf({ amount: 10, burst: 10, cost: { POST: 4, OPTIONS: 0 } })])
  assert.equal(await passes(guarded, Array(3).fill({ method: 'POST', body: 'x' })), 2)
  assert.equal(await passes(guarded, Array(3).fill({ method: 'GET' })), 2)
  assert.equal(await passes(guarded, Array(5).fill({ method: 'OPTIONS' })), 5)
})

test('a limit that only detects lets everything pass and records what it would have refused', async t => {
  const guarded = await edgeWith(t, [limitOf({ amount: 1, burst: 1, detectOnly: true })])
  assert.equal((await guarded.ask()).status, 200)
  const { status, fields } = await guarded.ask()
  assert.equal(status, 200)
  assert.equal(fields.has('ratelimit'), false)
  const guard = await guarded.question<{ rules: { rule: string; detected: number }[] }>({ kind: 'status' })
  assert.ok(Array.isArray(guard.rules))
})

test('requests at once are counted until they end, also when the client goes away or a worker dies', async t => {
  const waiting: (() => void)[] = []
  const guarded = await startGuardedEdge(
    t,
    specWith(limitOf({ kind: 'concurrency', amount: 2, perMs: 0 })),
    { workers: 2, trustedProxies: ['127.0.0.1/32'] },
    answering(async ({ startLine }) => {
      if (startLine.includes('/slow')) await new Promise<void>(resolve => waiting.push(resolve))
      return ok('done')
    }),
  )
  const slow = async (): Promise<RawPeer> => {
    const peer = await RawPeer.connect(guarded.edge.port)
    peer.write('GET /slow HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    return peer
  }
  const underWay = async (): Promise<number> =>
    (await guarded.question<{ parts: { limit: { underWay: number } } }>({ kind: 'status' })).parts.limit
      .underWay
  const first = await slow()
  const second = await slow()
  await until('both to be under way', async () => (await underWay()) === 2)
  assert.equal((await guarded.ask({ path: '/quick' })).status, 429)
  // One goes away, the other is answered.
  first.socket.resetAndDestroy()
  await until('the one that went away to be forgotten', async () => (await underWay()) === 1)
  assert.equal((await guarded.ask({ path: '/quick' })).status, 200)
  for (const answer of waiting.splice(0)) answer()
  assert.equal((await second.response('GET')).status, 200)
  second.destroy()
  await until('nothing to be under way', async () => (await underWay()) === 0)
  // A worker dies with what it holds.
  const held = [await slow(), await slow()]
  await until('two to be under way again', async () => (await underWay()) === 2)
  await guarded.edge.killWorker(0)
  await guarded.edge.killWorker(1)
  await until('what they held to be settled', async () => (await underWay()) === 0)
  for (const peer of held) peer.destroy()
  for (const answer of waiting.splice(0)) answer()
  await until('the workers to be back', async () =>
    (await guarded.edge.status()).workers.every(one => one.state === 'running'),
  )
  assert.equal((await guarded.ask({ path: '/quick' })).status, 200)
})

test('bytes are counted when they have passed, both ways', async t => {
  const guarded = await startGuardedEdge(
    t,
    specWith(limitOf({ kind: 'bytes', amount: 10_000, burst: 10_000, name: 'down' })),
    { workers: 2 },
    answering(() => ok('x'.repeat(6_000))),
  )
  const asked: RawResponse[] = []
  // Each waits until the one before is over: what is under way is not counted yet.
  for (let i = 0; i < 4; i++) {
    asked.push(await guarded.ask({ path: `/${i}` }))
    await guarded.edge.idle()
  }
  assert.deepEqual(
    asked.map(one => one.status),
    [200, 200, 429, 429],
  )
  assert.match(asked[0]!.fields.get('ratelimit-policy') ?? '', /qu="content-bytes"/)
})

test('who is refused again and again within a minute is banned, and allowed addresses are not even counted', async t => {
  const guard = { ...specWith(limitOf({ amount: 2, burst: 2, banAfter: 3 })), allow: ['198.51.100.0/24'] }
  const guarded = await startGuardedEdge(t, guard, { workers: 2, trustedProxies: ['127.0.0.1/32'] })
  const client = '203.0.113.5'
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) statuses.push((await guarded.ask({ client })).status)
  assert.deepEqual(statuses, [200, 200, 429, 429, 429])
  await until('the ban', async () => (await guarded.ask({ client })).status === 403)
  assert.equal(await passes(guarded, Array(10).fill({ client: '198.51.100.5' })), 10)
})
