// One who knows no caches has all of them forget: over one server, several, and a cluster, also of those whose processes are
// all gone, and across a server that was away.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Cache, createCache } from '../../src/app/cache/index.ts'
import { createRedisTier, EveryCache } from '../../src/app/cache/shared/index.ts'
import { eventually, startRedis, startRedisCluster, startRedisRelay } from '../tools/redis-server.ts'

const link = { timeoutMs: 5_000, retryMsMax: 100 }

interface One {
  readonly cache: Cache
  close(): Promise<void>
}

async function cacheOf(t: TestContext, name: string, urls: readonly string[], cluster = false): Promise<One> {
  const tier = createRedisTier({ name, redis: urls, cluster, link })
  const cache = createCache({ name: 'shop', tier, ttlMs: 600_000, earlyBeta: 0 })
  const close = async (): Promise<void> => {
    await cache.close()
    await tier.close()
  }
  t.after(close)
  await eventually('the cache is ready', () => tier.servers.ready)
  return { cache, close }
}

function everyCache(t: TestContext, urls: readonly string[], cluster = false): EveryCache {
  const every = new EveryCache({ urls, cluster, link })
  t.after(() => every.close())
  return every
}

const stored = (one: One, key: string): Promise<boolean> => one.cache.set(key, 'old', { tags: ['films'] })
const held = async (one: One, key: string): Promise<boolean> => (await one.cache.get(key)) !== undefined

async function allForget(t: TestContext, urls: readonly string[], cluster: boolean): Promise<void> {
  const films = await cacheOf(t, 'films', urls, cluster)
  const other = await cacheOf(t, 'seats.1', urls, cluster)
  const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`)
  for (const key of keys) for (const one of [films, other]) assert.ok(await stored(one, key))
  const every = everyCache(t, urls, cluster)
  await every.forget({ keys: ['key 0', 'key 1'] })
  assert.deepEqual([...every.names].sort(), ['films', 'seats.1'])
  for (const one of [films, other]) {
    await eventually(
      'both keys are gone',
      async () => !(await held(one, 'key 0')) && !(await held(one, 'key 1')),
    )
    assert.ok(await held(one, 'key 2'))
  }
  await every.forget({ tags: ['films'] })
  for (const one of [films, other])
    for (const key of keys) await eventually('the tag is gone', async () => !(await held(one, key)))
  // A cache that came later is found too.
  const late = await cacheOf(t, 'late', urls, cluster)
  assert.ok(await stored(late, 'key'))
  await every.forget({ everything: true })
  await eventually('everything is gone', async () => !(await held(late, 'key')))
}

test('all caches of one server forget what they are told by one who knew none of them', async t => {
  await allForget(t, [(await startRedis(t)).url], false)
})

test('all caches of several servers forget, on each of them', async t => {
  await allForget(t, [(await startRedis(t)).url, (await startRedis(t)).url], false)
})

test('all caches of a cluster forget, on each of its servers', async t => {
  await allForget(
    t,
    (await startRedisCluster(t)).map(one => one.url),
    true,
  )
})

test('a cache whose processes are all gone forgets as well', async t => {
  const redis = await startRedis(t)
  const before = await cacheOf(t, 'films', [redis.url])
  assert.ok(await stored(before, 'key'))
  await eventually(
    'its name is written down',
    async () => String(await redis.ask('ZRANGE', 'tf:caches', '0', '-1')) === 'films',
  )
  await before.close()
  await everyCache(t, [redis.url]).forget({ tags: ['films'] })
  assert.equal(await held(await cacheOf(t, 'films', [redis.url]), 'key'), false)
})

test('a list of caches that was lost is written again from those who listen', async t => {
  const redis = await startRedis(t)
  const films = await cacheOf(t, 'films', [redis.url])
  assert.ok(await stored(films, 'key'))
  await eventually('its name is written down', async () => (await redis.ask('DEL', 'tf:caches')) === 1)
  await everyCache(t, [redis.url]).forget({ tags: ['films'] })
  await eventually('it has forgotten', async () => !(await held(films, 'key')))
  assert.deepEqual(await redis.ask('ZRANGE', 'tf:caches', '0', '-1'), ['films'])
})

test('while a server is away it refuses; what it refused is told when the server is back', async t => {
  const redis = await startRedis(t)
  const relay = await startRedisRelay(t, redis.port)
  const films = await cacheOf(t, 'films', [redis.url])
  assert.ok(await stored(films, 'key'))
  const every = everyCache(t, [relay.url])
  await every.forget({ keys: ['another'] })
  relay.refuse = true
  relay.cut()
  await assert.rejects(every.forget({ tags: ['films'] }), { code: 'REDIS_AWAY' })
  assert.ok(await held(films, 'key'))
  relay.refuse = false
  await eventually('it is told again', () =>
    every.forget({ keys: ['another'] }).then(
      () => true,
      () => false,
    ),
  )
  await eventually('and has heard what it missed', async () => !(await held(films, 'key')))
})

test('more caches than can be told of changes are said, and none is passed over in silence', async t => {
  const redis = await startRedis(t)
  const names = Array.from({ length: 257 }, (_, i) => ['0', `cache${i}`]).flat()
  await redis.ask('ZADD', 'tf:caches', ...names)
  await assert.rejects(everyCache(t, [redis.url]).forget({ everything: true }), /257 caches have names there/)
})
