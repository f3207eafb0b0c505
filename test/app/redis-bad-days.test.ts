// Bad days of the shared tier, with real servers: killed, replaced by an empty one, stopped, slow, cut off, full, evicting.
// Always the same question: is anything old served once a change was told, and does every call end in time?

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Forgotten, TierEntry, TierListener } from '../../src/app/cache/contract.ts'
import { missedMax } from '../../src/app/cache/shared/missed.ts'
import {
  createRedisTier,
  type RedisTier,
  type RedisTierEvent,
  type RedisTierOptions,
} from '../../src/app/cache/shared/redis-tier.ts'
import { Failure } from '../../src/kit/failure.ts'
import { seededRandom } from '../../src/kit/random.ts'
import { eventually, startRedis, startRedisCluster, startRedisRelay } from '../tools/redis-server.ts'

async function tierAt(
  t: TestContext,
  url: string | readonly string[],
  options: Partial<RedisTierOptions> = {},
): Promise<RedisTier> {
  const link = { timeoutMs: 5_000, retryMsMax: 100, ...options.link }
  const tier = createRedisTier({ name: 'films', redis: url, ...options, link })
  t.after(() => tier.close())
  await eventually('the tier is ready', () => tier.servers.ready)
  return tier
}

const entry = (value: string, more: Partial<TierEntry> = {}): TierEntry => ({
  value,
  format: 'json',
  tags: [],
  version: -1,
  freshMs: 600_000,
  graceMs: 0,
  loadMs: 1,
  ...more,
})
const gone = (more: Partial<Forgotten>): Forgotten => ({
  keys: [],
  tags: [],
  everything: false,
  soft: false,
  ...more,
})
const isCoded = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Failure && codes.includes(error.code)

/** What is stored, `null` for a miss; asked again while the tier does not answer. */
async function stored(tier: RedisTier, key: string): Promise<unknown> {
  let found: unknown
  await eventually('the tier answers', async () => {
    const answer = await tier.get(key, false).catch(() => null)
    if (answer === null) return false
    found = 'entry' in answer ? answer.entry.value : null
    return true
  })
  return found
}

function listening(tier: RedisTier): { lost: number; regained: number } {
  const seen = { lost: 0, regained: 0 }
  const listener: TierListener = {
    forget: () => {},
    lost: () => seen.lost++,
    regained: () => seen.regained++,
  }
  tier.subscribe(listener)
  return seen
}

test('a killed server: calls end at once with a code, listeners are told, an empty one in its place is used', async t => {
  const server = await startRedis(t)
  const tier = await tierAt(t, server.url)
  const seen = listening(tier)
  await tier.set('a', entry('1'), null)
  const asked = await tier.get('b', true)
  assert.ok(asked.kind === 'miss' && asked.lease !== null)
  await server.kill()
  await eventually('it is seen', () => !tier.usable)
  assert.equal(seen.lost, 1)
  for (const call of [
    tier.get('a', true),
    tier.set('a', entry('2'), null),
    tier.forget(gone({ keys: ['a'] })),
  ]) {
    await assert.rejects(call, error => isCoded(error, 'REDIS_AWAY'))
  }
  await server.start()
  await eventually('it is back, and heard', () => tier.usable && seen.regained === 1)
  assert.equal(await tier.set('b', entry('old'), asked.lease), 'void', 'a lease of the server before')
  assert.equal(await stored(tier, 'a'), null)
  assert.equal(await tier.set('a', entry('3'), null), 'stored')
})

test('no server at first: the tier is made, refuses, and works once there is one', async t => {
  const server = await startRedis(t)
  await server.kill()
  const tier = createRedisTier({ name: 'films', redis: server.url, link: { retryMsMax: 100 } })
  t.after(() => tier.close())
  await tier.attempted()
  assert.equal(tier.usable, false)
  const seen = listening(tier)
  assert.deepEqual(seen, { lost: 1, regained: 0 })
  await server.start()
  await eventually('it is heard', () => seen.regained === 1)
  assert.equal(await stored(tier, 'a'), null)
})

test('what could not be told is told before anything is served again: keys, tags, fences, sets', async t => {
  const server = await startRedis(t)
  const relay = await startRedisRelay(t, server.port)
  const tier = await tierAt(t, relay.url)
  const near = await tierAt(t, server.url)
  const seen = listening(tier)
  const keys = ['deleted', 'tagged', 'fenced', 'lifted', 'set', 'kept']
  for (const key of keys) await tier.set(key, entry('old', { tags: key === 'tagged' ? ['t'] : [] }), null)
  relay.refuse = true
  relay.cut()
  await eventually('it is away', () => !tier.usable)
  await assert.rejects(tier.forget(gone({ keys: ['deleted'], tags: ['t'] })))
  await assert.rejects(tier.fence({ keys: ['fenced'], tags: [] }, 'w', 1_000))
  await assert.rejects(tier.lift({ keys: ['lifted'], tags: [] }, 'w', -1))
  await assert.rejects(tier.set('set', entry('new'), null))
  assert.equal(tier.missed, 5)
  assert.equal(await stored(near, 'deleted'), 'old')
  relay.refuse = false
  const found = await Promise.all(keys.map(key => stored(tier, key)))
  assert.deepEqual(found, [null, null, null, null, null, 'old'])
  await eventually('all is heard again', () => seen.regained === 1)
  assert.equal(tier.missed, 0)
  assert.equal(await stored(near, 'deleted'), null)
})

test('more untold names than are remembered: everything of that server is forgotten', async t => {
  const server = await startRedis(t)
  const relay = await startRedisRelay(t, server.port)
  const tier = await tierAt(t, relay.url)
  await tier.set('other', entry('old'), null)
  relay.refuse = true
  relay.cut()
  await eventually('it is away', () => !tier.usable)
  for (let i = 0; i <= missedMax; i += 500) {
    const keys = Array.from({ length: 500 }, (_, k) => `key:${i + k}`)
    await assert.rejects(tier.forget(gone({ keys })))
  }
  assert.equal(tier.missed, 1)
  relay.refuse = false
  assert.equal(await stored(tier, 'other'), null)
})

test('a stopped server: calls end after their time, then at once; a delete meanwhile is not lost', async t => {
  const server = await startRedis(t)
  const events: RedisTierEvent[] = []
  const link = { timeoutMs: 1_500, failuresMax: 3, retryMsMax: 100 }
  const tier = await tierAt(t, server.url, { link, onEvent: event => events.push(event) })
  await tier.set('a', entry('old'), null)
  server.pause()
  const calls = Array.from({ length: 5 }, () => tier.get('a', true))
  for (const call of await Promise.allSettled(calls)) {
    assert.ok(call.status === 'rejected' && isCoded(call.reason, 'REDIS_LATE', 'REDIS_AWAY'))
  }
  assert.equal(tier.usable, false, 'the circuit is open')
  await assert.rejects(tier.get('a', true), error => isCoded(error, 'REDIS_AWAY'))
  await assert.rejects(tier.forget(gone({ keys: ['a'] })))
  server.resume()
  assert.equal(await stored(tier, 'a'), null)
  assert.ok(events.some(event => event.kind === 'server-away'))
})

test('a delete that was sent and not answered is sent again, and the connection given up', async t => {
  const server = await startRedis(t)
  const tier = await tierAt(t, server.url, {
    link: { timeoutMs: 1_500, failuresMax: 1_000, retryMsMax: 100 },
  })
  await tier.set('a', entry('old'), null)
  server.pause()
  await assert.rejects(tier.forget(gone({ keys: ['a'] })), error => isCoded(error, 'REDIS_LATE'))
  assert.equal(tier.usable, false)
  server.resume()
  assert.equal(await stored(tier, 'a'), null)
  await eventually('it was told', () => tier.missed === 0 && tier.counts.toldLater === 1)
})

test('a slow server opens the circuit, a quick one closes it', async t => {
  const server = await startRedis(t)
  const relay = await startRedisRelay(t, server.port)
  const tier = await tierAt(t, relay.url, { link: { timeoutMs: 1_000, failuresMax: 3, retryMsMax: 100 } })
  relay.delayMs = 3_000
  await Promise.allSettled(Array.from({ length: 4 }, () => tier.get('a', false)))
  assert.equal(tier.usable, false)
  relay.delayMs = 0
  assert.equal(await stored(tier, 'a'), null)
})

test('commands beyond the bound are refused at once, not queued', async t => {
  const server = await startRedis(t)
  const tier = await tierAt(t, server.url, { link: { commandsMax: 10, timeoutMs: 5_000 } })
  await eventually('nothing is under way', () => tier.servers.linkOf(0).underWay === 0)
  const calls = await Promise.allSettled(Array.from({ length: 15 }, () => tier.servers.ask(0, ['PING'])))
  const refused = calls.filter(one => one.status === 'rejected')
  assert.equal(refused.length, 5)
  assert.ok(refused.every(one => isCoded(one.reason, 'REDIS_BUSY')))
  assert.equal(await stored(tier, 'a'), null)
})

test('a full server that evicts nothing: reads and deletes go on; a value that could not replace another forgets it', async t => {
  const server = await startRedis(t, { settings: { maxmemory: '4mb', 'maxmemory-policy': 'noeviction' } })
  const tier = await tierAt(t, server.url, { compressAboveBytes: 1_000_000 })
  await tier.set('a', entry('old'), null)
  await tier.set('b', entry('stays'), null)
  const fill = 'x'.repeat(200_000)
  let full = false
  for (let i = 0; i < 100 && !full; i++) {
    full = await tier.set(`fill:${i}`, entry(fill), null).then(
      () => false,
      error => /^OOM/.test(String(error.message)),
    )
  }
  assert.ok(full, 'the server never was full')
  // Forgotten names free a little each: filled again until nothing has room.
  await server.ask('CONFIG', 'SET', 'maxmemory', '1mb')
  await assert.rejects(tier.set('a', entry('new'), null), /OOM/)
  assert.equal(await stored(tier, 'a'), null)
  assert.equal(await stored(tier, 'b'), 'stays')
  const miss = await tier.get('nothing', true)
  assert.deepEqual(miss, { kind: 'miss', lease: null }, 'no room for a lease: load, store nothing')
  await tier.fence({ keys: ['b'], tags: ['t'] }, 'w', 30_000)
  assert.equal((await tier.get('b', true)).kind, 'fenced')
  await tier.lift({ keys: ['b'], tags: ['t'] }, 'w', -1)
  assert.equal(tier.usable, true, 'the circuit stays closed: the server answers')
})

test('a server that may evict leases is named', async t => {
  const server = await startRedis(t, { settings: { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' } })
  const events: RedisTierEvent[] = []
  await tierAt(t, server.url, { onEvent: event => events.push(event) })
  await eventually('it is said', () =>
    events.some(event => event.kind === 'evicts-control' && event.policy === 'allkeys-lru'),
  )
})

test('one of several servers away: the keys of the others are served', async t => {
  const servers = [await startRedis(t), await startRedis(t), await startRedis(t)]
  const tier = await tierAt(
    t,
    servers.map(one => one.url),
  )
  const keys = Array.from({ length: 60 }, (_, i) => `film:${i}`)
  for (const key of keys) await tier.set(key, entry('v'), null)
  await servers[1]!.kill()
  await eventually('it is seen', () => !tier.servers.ready)
  const found = await Promise.allSettled(keys.map(key => tier.get(key, false)))
  for (const [i, one] of found.entries()) {
    const lost = tier.servers.shardOf(keys[i]!) === 1
    assert.equal(one.status, lost ? 'rejected' : 'fulfilled')
  }
  await assert.rejects(tier.forget(gone({ tags: ['t'] })), 'one server could not be told')
  await servers[1]!.start()
  await eventually('it is told', () => tier.missed === 0 && tier.servers.ready)
})

test('a cluster that loses a server answers for the others', async t => {
  const servers = await startRedisCluster(t, 3)
  const tier = await tierAt(
    t,
    servers.map(one => one.url),
    { cluster: true },
  )
  const keys = Array.from({ length: 60 }, (_, i) => `film:${i}`)
  for (const key of keys) await tier.set(key, entry('v'), null)
  await servers[2]!.kill()
  await eventually('it is seen', () => !tier.servers.ready)
  const found = await Promise.allSettled(keys.map(key => tier.get(key, false)))
  const answered = found.filter(one => one.status === 'fulfilled').length
  assert.ok(answered >= 20 && answered < 60, `${answered} of 60`)
})

test('a slot that moves to another server of the cluster is followed', async t => {
  const servers = await startRedisCluster(t, 3)
  const tier = await tierAt(
    t,
    servers.map(one => one.url),
    { cluster: true },
  )
  const shard = tier.servers.shardOf('moving')
  const slot = String(await servers[0]!.ask('CLUSTER', 'KEYSLOT', tier.servers.prefixOf(shard)))
  const from = servers.find(one => tier.servers.nameOf(shard) === `127.0.0.1:${one.port}`)!
  const to = servers.find(one => one !== from)!
  const id = String(await to.ask('CLUSTER', 'MYID'))
  await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await from.ask('CLUSTER', 'MYID')))
  await to.ask('CLUSTER', 'SETSLOT', slot, 'NODE', id)
  await to.ask('CLUSTER', 'BUMPEPOCH')
  for (const server of servers) if (server !== to) await server.ask('CLUSTER', 'SETSLOT', slot, 'NODE', id)
  await eventually('it is stored where the slot is now', async () => {
    const outcome = await tier.set('moving', entry('v'), null).catch(() => null)
    return outcome === 'stored' && Number(await to.ask('CLUSTER', 'COUNTKEYSINSLOT', slot)) > 0
  })
  await eventually('everything is heard', () => tier.servers.ready)
  assert.equal(tier.servers.nameOf(shard), `127.0.0.1:${to.port}`)
})

test('random readers and writers, while leases, clocks and scripts vanish: nobody reads what was replaced before he asked', async t => {
  const seed = process.env.SEED === undefined ? Date.now() % 1_000_000 : Number(process.env.SEED)
  t.diagnostic(`SEED=${seed}`)
  const random = seededRandom(seed)
  const server = await startRedis(t)
  const processes = [await tierAt(t, server.url), await tierAt(t, server.url), await tierAt(t, server.url)]
  const rows = new Map<string, number>()
  const done = new Map<string, number>()
  const keys = ['a', 'b', 'c', 'd']
  let fences = 0
  let stale = 0
  let hits = 0
  const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, random.below(4)))

  async function read(): Promise<void> {
    const tier = processes[random.below(3)]!
    const key = keys[random.below(4)]!
    const least = done.get(key) ?? 0
    const answer = await tier.get(key, true)
    if (answer.kind === 'hit') {
      hits++
      if (Number(answer.entry.value) < least) stale++
      return
    }
    if (answer.kind !== 'miss' || answer.lease === null) return
    const row = rows.get(key) ?? 0
    await pause()
    await tier.set(key, entry(String(row), { tags: [`row:${key}`] }), answer.lease)
  }

  async function write(): Promise<void> {
    const tier = processes[random.below(3)]!
    const key = keys[random.below(4)]!
    const token = `w${fences++}`
    const names = random.below(2) === 0 ? { keys: [key], tags: [] } : { keys: [], tags: [`row:${key}`] }
    await tier.fence(names, token, 30_000)
    await pause()
    const value = (rows.get(key) ?? 0) + 1
    rows.set(key, value)
    await pause()
    await tier.lift(names, token, -1)
    done.set(key, Math.max(done.get(key) ?? 0, value))
  }

  async function harm(): Promise<void> {
    await pause()
    const what = random.below(3)
    if (what === 0) await server.ask('SCRIPT', 'FLUSH')
    else if (what === 1) await server.ask('DEL', 'tf:{films}:clock')
    else await server.ask('DEL', `tf:{films}:e:${keys[random.below(4)]!}`)
  }

  async function worker(steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      const kind = random.below(20)
      await (kind === 0 ? harm() : kind < 4 ? write() : read())
    }
  }
  await Promise.all(Array.from({ length: 16 }, () => worker(250)))
  assert.equal(stale, 0, `${stale} stale reads of ${hits} hits, SEED=${seed}`)
  assert.ok(hits > 200, `only ${hits} hits`)
})
