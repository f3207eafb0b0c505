// Proofs and clearances of several edges that share a Redis: each is good once among all of them; and what holds while it
// is away.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startRedis } from '../tools/redis-server.ts'
import { answer, challenged, cleared, type Refused, routes, solved, told } from './challenges.ts'
import { policyOf, specOf, startGuardedEdge } from './harness.ts'

const always = [policyOf('trial', { challenge: 'always' })]
const setup = { routes, trustedProxies: ['127.0.0.0/8'] }
const sharedBy = (redis: string, whenAway: 'local' | 'refuse') =>
  specOf(always, { shared: { redis, prefix: 'trial:', timeoutMs: 20_000, whenAway, edges: 2 } })

test('row 15: of a hundred parallel redeems at two edges exactly one succeeds; a proof of one edge is good at the other', async t => {
  const redis = await startRedis(t)
  const guard = sharedBy(redis.url, 'refuse')
  const edges = await Promise.all([startGuardedEdge(t, guard, setup), startGuardedEdge(t, guard, setup)])
  const [one, two] = edges
  const { s, challenge } = await challenged(one, { client: '198.51.100.200' })
  const payload = await solved(challenge)
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      told<Refused>(i % 2 === 0 ? one : two, answer(s, payload, { client: `198.51.100.${i + 1}` })),
    ),
  )
  assert.equal(all.filter(({ status }) => status === 200).length, 1)
  const spent = all.filter(({ value }) => value.error?.reason === 'spent')
  assert.ok(spent.length > 0)
  // Who is wrong again and again is not even asked any more.
  assert.ok(all.every(one => one.status === 200 || one.status === 429 || spent.includes(one)))
  const other = await challenged(one)
  assert.equal((await told(two, answer(other.s, await solved(other.challenge)))).status, 200)
})

test('while the Redis is away nobody passes where the file says refuse, and each edge decides alone where it says local', async t => {
  const redis = await startRedis(t)
  const edge = await startGuardedEdge(t, sharedBy(redis.url, 'refuse'), setup)
  const before = await cleared(edge)
  await redis.kill()
  assert.equal((await edge.ask({ fields: `Cookie: ${before}\r\n` })).status, 200)
  const { s, challenge } = await challenged(edge)
  const refused = await told<Refused>(edge, answer(s, await solved(challenge)))
  assert.deepEqual([refused.status, refused.value.error.reason], [403, 'spent'])
  await edge.reload(sharedBy(redis.url, 'local'))
  const later = await challenged(edge)
  const payload = await solved(later.challenge)
  assert.equal((await told(edge, answer(later.s, payload))).status, 200)
  assert.equal((await told(edge, answer(later.s, payload))).status, 403)
})
