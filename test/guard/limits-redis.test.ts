// Limits that several edges count together: two real edges, a real Redis that is killed, paused, and comes back.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CheckedLimit } from '../../src/file/checked-guard.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { eventually, type RedisServer, startRedis } from '../tools/redis-server.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

/** So long that nothing flows back while a test lasts, however slow the machine. */
const longMs = 30 * 86_400_000

function limitOf(change: Partial<CheckedLimit> = {}): CheckedLimit {
  return {
    name: 'login',
    kind: 'rate',
    algorithm: 'gcra',
    amount: 60,
    perMs: longMs,
    burst: 60,
    by: [{ by: 'ip' }],
    missingShare: 0.2,
    adaptiveShare: 1,
    local: false,
    banAfter: 0,
    detectOnly: false,
    ...change,
  }
}

interface Two {
  readonly redis: RedisServer
  readonly edges: readonly [GuardedEdge, GuardedEdge]
}

async function twoEdges(
  t: TestContext,
  limits: readonly CheckedLimit[],
  whenAway: 'local' | 'refuse' = 'local',
): Promise<Two> {
  const redis = await startRedis(t)
  const shared = { redis: redis.url, prefix: 'tenfold:', timeoutMs: 1_000, whenAway, edges: 2 }
  const edge = (): Promise<GuardedEdge> =>
    startGuardedEdge(t, specOf([policyOf('trial', { limits })], { shared }), {
      workers: 1,
      trustedProxies: ['127.0.0.1/32'],
    })
  return { redis, edges: [await edge(), await edge()] }
}

/** So many requests of a client at once over some connections: statuses by count. */
async function flood(
  edge: GuardedEdge,
  client: string,
  count: number,
  connections = 6,
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const peer = await RawPeer.connect(edge.edge.port)
      for (let i = 0; i < Math.ceil(count / connections); i++) {
        peer.write(`GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: ${client}\r\n\r\n`)
        const { status } = await peer.response('GET')
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
      peer.destroy()
    }),
  )
  return statuses
}

async function both(two: Two, client: string, count: number): Promise<number> {
  const [one, other] = await Promise.all(two.edges.map(edge => flood(edge, client, count)))
  return (one?.get(200) ?? 0) + (other?.get(200) ?? 0)
}

for (const algorithm of ['gcra', 'sliding', 'fixed'] as const)
  test(`two edges let exactly one amount through together (${algorithm})`, async t => {
    const two = await twoEdges(t, [limitOf({ algorithm })])
    assert.equal(await both(two, '198.51.100.1', 90), 60)
    // What one of them was told is refused there without asking.
    assert.equal(await both(two, '198.51.100.1', 30), 0)
    const [first] = two.edges
    const { status, fields } = await first.ask({ client: '198.51.100.1' })
    assert.equal(status, 429)
    assert.match(fields.get('ratelimit') ?? '', /^"login";r=0;t=\d+$/)
    assert.ok(Number(fields.get('retry-after')) >= 1)
  })

test('several limits are decided together: what one refuses is not taken from the other', async t => {
  const two = await twoEdges(t, [
    limitOf({ name: 'all', amount: 40, burst: 40, by: [{ by: 'all' }] }),
    limitOf({ name: 'each', amount: 10, burst: 10 }),
  ])
  assert.equal(await both(two, '198.51.100.1', 30), 10)
  assert.equal(await both(two, '198.51.100.2', 30), 10)
  assert.equal(await both(two, '198.51.100.3', 30), 10)
  assert.equal(await both(two, '198.51.100.4', 30), 10)
  assert.equal(await both(two, '198.51.100.5', 30), 0)
})

test('a limit that only detects neither refuses nor keeps the others from counting', async t => {
  const two = await twoEdges(t, [
    limitOf({ name: 'soft', amount: 2, burst: 2, detectOnly: true }),
    limitOf({ name: 'hard', amount: 20, burst: 20 }),
  ])
  assert.equal(await both(two, '198.51.100.1', 30), 20)
})

test('while Redis is dead each edge lets its share through, and they count together again when it is back', async t => {
  const two = await twoEdges(t, [limitOf()])
  assert.equal(await both(two, '198.51.100.1', 6), 12)
  await two.redis.kill()
  // Nobody has been seen of this client: half of the amount on each edge, and not one more.
  assert.equal(await both(two, '198.51.100.2', 60), 60)
  // Of the one that was seen what was left is shared out: each has heard of at most twelve, and at least of its own six.
  const rest = await both(two, '198.51.100.1', 90)
  assert.ok(rest >= 48 && rest <= 54, `${rest} passed`)
  await two.redis.start()
  await eventually('both edges count in Redis again', async () => {
    await Promise.all(two.edges.map(edge => edge.ask({ client: '198.51.100.9' })))
    const keys = (await two.redis.ask('KEYS', 'tenfold:*')) as string[]
    return keys.length > 0
  })
  await eventually('exactly one amount again', async () => {
    const client = `203.0.113.${1 + (Math.floor(performance.now() / 100) % 250)}`
    return (await both(two, client, 60)) === 60
  })
})

test('a Redis that was emptied knows nothing: an edge still refuses what it knows, and one amount more passes at most', async t => {
  const two = await twoEdges(t, [limitOf()])
  const client = '198.51.100.1'
  assert.equal(await both(two, client, 90), 60)
  await two.redis.ask('FLUSHALL')
  // Both edges were told of the refusal before, and hold it against him without asking.
  assert.equal(await both(two, client, 60), 0)
  // Somebody who was counted and not refused: what he had used is forgotten by Redis, not by the edges.
  const other = '198.51.100.2'
  assert.equal(await both(two, other, 24), 48)
  await two.redis.ask('FLUSHALL')
  const more = await both(two, other, 120)
  assert.ok(more >= 12 && more <= 60, `${more} passed`)
})

test('a Redis that does not answer delays some requests and then nobody; nothing fails', async t => {
  const two = await twoEdges(t, [limitOf()])
  assert.equal(await both(two, '198.51.100.1', 6), 12)
  two.redis.pause()
  t.after(() => two.redis.resume())
  const statuses = await flood(two.edges[0], '198.51.100.2', 60)
  // Half of the amount; what Redis may have counted of those in flight makes it stricter, never laxer.
  assert.equal(statuses.get(200), 30)
  assert.equal((statuses.get(200) ?? 0) + (statuses.get(429) ?? 0), 60)
  two.redis.resume()
  await eventually('the edge asks again', async () => {
    const { status } = await two.edges[0].ask({ client: '198.51.100.77' })
    assert.ok(status === 200 || status === 429)
    return String(await two.redis.ask('KEYS', 'tenfold:*')).split(',').length >= 2
  })
})

test('told to refuse without Redis, an edge says 503 and when to come again', async t => {
  const two = await twoEdges(t, [limitOf()], 'refuse')
  await two.redis.kill()
  await eventually('it to be noticed', async () => {
    const { status, fields, body } = await two.edges[0].ask()
    if (status !== 503) return false
    assert.equal(fields.get('retry-after'), '1')
    assert.match(body.toString(), /LIMITS_UNAVAILABLE/)
    return true
  })
})
