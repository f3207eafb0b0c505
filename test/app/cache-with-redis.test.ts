// The application cache over real Redis, as several processes see it: one load for all, changes heard by all, and what a
// service gets while Redis is away and when it comes back.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cache, createCache } from '../../src/app/cache/index.ts'
import { createRedisTier, type RedisTier } from '../../src/app/cache/shared/index.ts'
import { eventually, type RedisServer, startRedis } from '../tools/redis-server.ts'

interface One {
  readonly cache: Cache
  readonly tier: RedisTier
}

/** Each with its own tier and in-process memory: to Redis they are processes of their own. */
async function processes(t: TestContext, server: RedisServer, count: number): Promise<readonly One[]> {
  const all = Array.from({ length: count }, () => {
    const tier = createRedisTier({
      name: 'films',
      redis: server.url,
      link: { timeoutMs: 5_000, retryMsMax: 100 },
    })
    const cache = createCache({ name: 'films', tier, ttlMs: 600_000, earlyBeta: 0 })
    t.after(async () => {
      await cache.close()
      await tier.close()
    })
    return { cache, tier }
  })
  await eventually('all are ready', () => all.every(one => one.tier.servers.ready))
  return all
}

test('ten thousand callers in four processes miss at once: one load', async t => {
  const all = await processes(t, await startRedis(t), 4)
  let loads = 0
  const load = async (): Promise<string> => {
    loads++
    await sleep(50)
    return 'film'
  }
  const calls = Array.from({ length: 10_000 }, (_, i) => all[i % 4]!.cache.getOrSet('hot', load))
  assert.deepEqual(new Set(await Promise.all(calls)), new Set(['film']))
  assert.equal(loads, 1)
})

test('a change is seen by every process, whatever each of them holds', async t => {
  const all = await processes(t, await startRedis(t), 3)
  let row = 1
  const read = (one: One): Promise<unknown> =>
    one.cache.getOrSet('film:1', async () => row, { tags: ['films'] })
  for (const one of all) assert.equal(await read(one), 1)
  await all[0]!.cache.update('film:1', async () => {
    row = 2
    return row
  })
  for (const one of all) await eventually('the update is seen', async () => (await read(one)) === 2)
  row = 3
  await all[1]!.cache.invalidate({ tags: ['films'] })
  for (const one of all) await eventually('the tag is seen', async () => (await read(one)) === 3)
})

test('while Redis is away every read is answered by the source, one load a key; afterwards nothing old comes back', async t => {
  const server = await startRedis(t)
  const all = await processes(t, server, 2)
  let row = 'old'
  let loads = 0
  let most = 0
  let now = 0
  const load = async (): Promise<string> => {
    loads++
    most = Math.max(most, ++now)
    await sleep(5)
    now--
    return row
  }
  const read = (one: One, key: string): Promise<unknown> => one.cache.getOrSet(key, load)
  assert.equal(await read(all[0]!, 'a'), 'old')
  await server.kill()
  await eventually('it is away', () => all.every(one => !one.tier.usable))
  const before = loads
  const callers = await Promise.all(
    Array.from({ length: 2_000 }, (_, i) => read(all[i % 2]!, `key:${i % 10}`)),
  )
  assert.ok(callers.every(value => value === 'old'))
  // Ten keys in two processes, which can't know of each other; what is held for a moment may run out in between.
  assert.ok(loads - before <= 40 && most <= 20, `${loads - before} loads, ${most} at once`)
  row = 'new'
  await all[0]!.cache.invalidate({ keys: ['a'] })
  assert.equal(await read(all[0]!, 'a'), 'new')
  await server.start()
  await eventually('it is back', () => all.every(one => one.tier.servers.ready && one.tier.missed === 0))
  const back = loads
  const again = await Promise.all(
    Array.from({ length: 2_000 }, (_, i) => read(all[i % 2]!, `back:${i % 10}`)),
  )
  assert.ok(again.every(value => value === 'new'))
  assert.equal(loads - back, 10, 'one load a key for both: no stampede on return')
  assert.equal(await read(all[1]!, 'a'), 'new')
})
