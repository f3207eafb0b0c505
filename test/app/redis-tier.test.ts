// The shared tier's promises against real Redis: one server, several, a cluster. The same cases run on each.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Forgotten, TierAnswer, TierEntry, TierListener } from '../../src/app/cache/contract.ts'
import {
  createRedisTier,
  type RedisTier,
  type RedisTierOptions,
  sharedCacheGet,
  sharedCachePurge,
  sharedCacheStatus,
} from '../../src/app/cache/shared/index.ts'
import { eventually, type RedisServer, startRedis, startRedisCluster } from '../tools/redis-server.ts'

interface Place {
  readonly servers: readonly RedisServer[]
  readonly cluster: boolean
}

const places: readonly (readonly [string, (t: TestContext) => Promise<Place>])[] = [
  ['one server', async t => ({ servers: [await startRedis(t)], cluster: false })],
  ['three servers', async t => ({ servers: await several(t, 3), cluster: false })],
  ['a cluster', async t => ({ servers: await startRedisCluster(t, 3), cluster: true })],
]

async function several(t: TestContext, count: number): Promise<RedisServer[]> {
  const servers: RedisServer[] = []
  for (let i = 0; i < count; i++) servers.push(await startRedis(t))
  return servers
}

async function tierAt(
  t: TestContext,
  { servers, cluster }: Place,
  options: Partial<RedisTierOptions> = {},
): Promise<RedisTier> {
  // Generous: other work on this machine must not open a circuit.
  const link = { timeoutMs: 5_000, ...options.link }
  const tier = createRedisTier({
    name: 'films',
    redis: servers.map(one => one.url),
    cluster,
    ...options,
    link,
  })
  t.after(() => tier.close())
  await eventually('the tier is ready', () => tier.servers.ready)
  return tier
}

function entry(value: string | Uint8Array | null, more: Partial<TierEntry> = {}): TierEntry {
  return {
    value,
    format: 'json',
    tags: [],
    version: -1,
    freshMs: 60_000,
    graceMs: 60_000,
    loadMs: 3,
    ...more,
  }
}
const names = (more: Partial<Forgotten>): Forgotten => ({
  keys: [],
  tags: [],
  everything: false,
  soft: false,
  ...more,
})
function leaseOf(answer: TierAnswer): string {
  assert.ok('lease' in answer && answer.lease !== null, `no lease in ${JSON.stringify(answer)}`)
  return answer.lease
}
const storedIn = (answer: TierAnswer): unknown => ('entry' in answer ? answer.entry.value : answer.kind)

class Listener implements TierListener {
  readonly heard: Forgotten[] = []
  lostTimes = 0
  regainedTimes = 0
  forget(what: Forgotten): void {
    this.heard.push(what)
  }
  lost(): void {
    this.lostTimes++
  }
  regained(): void {
    this.regainedTimes++
  }
  saw(kind: 'keys' | 'tags', name: string): boolean {
    return this.heard.some(one => one[kind].includes(name))
  }
}

for (const [where, place] of places) {
  test(`${where}: the tier's promises`, async t => {
    const at = await place(t)
    const tier = await tierAt(t, at)
    const other = await tierAt(t, at)
    const keys = (base: string): string[] => Array.from({ length: 8 }, (_, i) => `${base}:${i}{}} ü`)

    await t.test('a miss gives one lease, others wait; what is set with it is a hit for all', async () => {
      for (const key of keys('lease')) {
        const lease = leaseOf(await tier.get(key, true))
        const second = await other.get(key, true)
        assert.equal(second.kind, 'wait')
        assert.deepEqual(await other.get(key, false), { kind: 'miss', lease: null })
        assert.equal(await tier.set(key, entry('"a"', { tags: ['x y', 'z,1'], version: 7 }), lease), 'stored')
        const hit = await other.get(key, true)
        assert.equal(hit.kind, 'hit')
        assert.ok(hit.kind === 'hit')
        assert.deepEqual([hit.entry.tags, hit.entry.version, hit.entry.format], [['x y', 'z,1'], 7, 'json'])
        assert.ok(hit.entry.freshMs > 0 && hit.entry.freshMs <= 60_000 && hit.entry.graceMs === 60_000)
        assert.equal(await tier.set(key, entry('"b"'), lease), 'void')
      }
    })

    await t.test('absent, bytes, large and too large values', async () => {
      const bytes = Buffer.from([0, 10, 13, 255])
      const large = 'ab'.repeat(100_000)
      const random = Buffer.alloc(
        2_000_000,
        Uint8Array.from({ length: 999_983 }, (_, i) => (i * i * 2654435761) >>> 24),
      )
      for (const [key, value] of [
        ['null', null],
        ['bytes', bytes],
        ['large', large],
        ['empty', ''],
      ] as const) {
        assert.equal(await tier.set(key, entry(value), null), 'stored')
        assert.deepEqual(storedIn(await other.get(key, false)), value)
      }
      assert.equal(await tier.set('bytes', entry(random.subarray(0, 1_500_000)), null), 'too-big')
      assert.equal((await other.get('bytes', false)).kind, 'miss', 'what stood there was replaced by nothing')
    })

    await t.test('a delete voids leases, for keys, tags and everything', async () => {
      const [first, ...rest] = keys('void')
      const leases = new Map<string, string>()
      for (const key of rest) leases.set(key, leaseOf(await tier.get(key, true)))
      const byTag = leaseOf(await tier.get(first!, true))
      await other.forget(names({ keys: rest }))
      for (const [key, lease] of leases) assert.equal(await tier.set(key, entry('"old"'), lease), 'void')
      await other.forget(names({ tags: ['film:1'] }))
      assert.equal(await tier.set(first!, entry('"old"', { tags: ['film:1'] }), byTag), 'void')
      const again = leaseOf(await tier.get(first!, true))
      await other.forget(names({ everything: true }))
      assert.equal(await tier.set(first!, entry('"old"'), again), 'void')
    })

    await t.test('tags and everything forget entries in one step, others stay', async () => {
      for (const key of keys('tag')) await tier.set(key, entry('"v"', { tags: ['a', `own:${key}`] }), null)
      for (const key of keys('plain')) await tier.set(key, entry('"v"', { tags: ['b'] }), null)
      await other.forget(names({ tags: ['a'] }))
      for (const key of keys('tag')) assert.equal((await tier.get(key, false)).kind, 'miss')
      for (const key of keys('plain')) assert.equal((await tier.get(key, false)).kind, 'hit')
      await other.forget(names({ tags: ['b'], soft: true }))
      for (const key of keys('plain')) {
        const stale = await tier.get(key, false)
        assert.ok(stale.kind === 'stale' && stale.entry.freshMs <= 0 && stale.entry.graceMs > 60_000)
      }
      await other.forget(names({ everything: true }))
      for (const key of keys('plain')) assert.equal((await tier.get(key, false)).kind, 'miss')
    })

    await t.test('what is soft or past its time is stale, with one lease for who renews it', async () => {
      await tier.set('soft', entry('"v"'), null)
      await other.forget(names({ keys: ['soft'], soft: true }))
      const stale = await tier.get('soft', true)
      assert.equal(stale.kind, 'stale')
      const without = await other.get('soft', true)
      assert.ok(without.kind === 'stale' && without.lease === null)
      assert.equal(await tier.set('soft', entry('"w"'), leaseOf(stale)), 'stored')
      assert.equal((await other.get('soft', true)).kind, 'hit')
      await tier.set('old', entry('"v"', { freshMs: 1, graceMs: 60_000 }), null)
      await eventually('it is stale', async () => (await tier.get('old', false)).kind === 'stale')
      await tier.set('gone', entry('"v"', { freshMs: 1, graceMs: 1 }), null)
      await eventually('it is gone', async () => (await tier.get('gone', false)).kind === 'miss')
    })

    await t.test('a failed load gives its lease to the next asker', async () => {
      const lease = leaseOf(await tier.get('failed', true))
      assert.equal((await other.get('failed', true)).kind, 'wait')
      await tier.release('failed', lease)
      assert.notEqual(leaseOf(await other.get('failed', true)), lease)
    })

    await t.test('versions only go up', async () => {
      await tier.set('version', entry('"5"', { version: 5 }), null)
      assert.equal(await other.set('version', entry('"4"', { version: 4 }), null), 'older')
      assert.equal(await other.set('version', entry('"6"', { version: 6 }), null), 'stored')
      await tier.fence({ keys: ['version'], tags: [] }, 'w1', 30_000)
      await tier.lift({ keys: ['version'], tags: [] }, 'w1', 9)
      for (const version of [8, -1]) {
        assert.equal(await other.set('version', entry('"8"', { version }), null), 'older')
      }
      assert.equal(await other.set('version', entry('"9"', { version: 9 }), null), 'stored')
    })

    await t.test(
      'while a writer stands nobody stores; his own set stays; every fence is his own',
      async () => {
        const before = leaseOf(await other.get('row', true))
        await tier.fence({ keys: ['row'], tags: ['rows'] }, 'w1', 30_000)
        assert.equal((await other.get('row', true)).kind, 'fenced')
        assert.equal(await other.set('row', entry('"old"'), before), 'fenced')
        assert.equal(await other.set('row', entry('"old"'), null), 'fenced')
        const list = leaseOf(await other.get('list', true))
        assert.equal(await other.set('list', entry('"old"', { tags: ['rows'] }), list), 'fenced')
        assert.equal(await tier.set('row', entry('"new"', { tags: ['rows'] }), 'w1'), 'stored')
        await tier.fence({ keys: ['row'], tags: ['rows'] }, 'w1', 30_000)
        assert.equal(storedIn(await other.get('row', true)), '"new"', 'renewing forgets nothing')
        await other.fence({ keys: ['row'], tags: [] }, 'w2', 30_000)
        assert.equal(await tier.set('row', entry('"mine"'), 'w1'), 'fenced')
        await tier.lift({ keys: ['row'], tags: ['rows'] }, 'w1', -1)
        assert.equal((await other.get('row', true)).kind, 'fenced', 'the second writer still stands')
        await other.lift({ keys: ['row'], tags: [] }, 'w2', -1)
        const lease = leaseOf(await other.get('row', true))
        assert.equal(await other.set('row', entry('"seen"', { tags: ['rows'] }), lease), 'stored')
        await tier.fence({ keys: ['row'], tags: ['rows'] }, 'w3', 30_000)
        assert.equal(await tier.set('row', entry('"kept"', { tags: ['rows'] }), 'w3'), 'stored')
        await tier.lift({ keys: ['row'], tags: ['rows'] }, 'w3', -1)
        assert.equal(storedIn(await other.get('row', true)), '"kept"')
        assert.equal(await tier.set('row', entry('"late"'), 'w3'), 'void')
      },
    )

    await t.test(
      'what crossed a fence meanwhile refuses the writer: it is not known whose commit came last',
      async () => {
        const crossings: Readonly<Record<string, () => Promise<unknown>>> = {
          'another fence that is gone again': async () => {
            await other.fence({ keys: ['crossed'], tags: [] }, 'w2', 30_000)
            await other.lift({ keys: ['crossed'], tags: [] }, 'w2', -1)
          },
          'the key forgotten': () => other.forget(names({ keys: ['crossed'] })),
          'a tag forgotten': () => other.forget(names({ tags: ['crossing'] })),
          'everything forgotten': () => other.forget(names({ everything: true })),
        }
        for (const [what, cross] of Object.entries(crossings)) {
          await tier.fence({ keys: ['crossed'], tags: [] }, 'w1', 30_000)
          await cross()
          await tier.fence({ keys: ['crossed'], tags: [] }, 'w1', 30_000)
          assert.equal(await tier.set('crossed', entry('"v"', { tags: ['crossing'] }), 'w1'), 'fenced', what)
          await tier.lift({ keys: ['crossed'], tags: [] }, 'w1', -1)
        }
        const both = { keys: ['crossed'], tags: ['mine'] }
        await tier.fence(both, 'w3', 30_000)
        assert.equal(await tier.set('crossed', entry('"v"', { tags: ['mine', 'theirs'] }), 'w3'), 'stored')
        await other.forget(names({ tags: ['theirs'] }))
        await tier.lift(both, 'w3', -1)
        assert.equal(
          (await other.get('crossed', false)).kind,
          'miss',
          'lifting forgets no forgetting of others',
        )
      },
    )

    await t.test('what is fresh may be leased by one who loads ahead of its end', async () => {
      await tier.set('early', entry('"v"'), null)
      const lease = await tier.lease('early')
      assert.ok(lease !== null)
      assert.equal(await other.lease('early'), null)
      assert.equal((await other.get('early', true)).kind, 'hit')
      assert.equal(await tier.set('early', entry('"w"'), lease), 'stored')
      const second = await tier.lease('early')
      await other.forget(names({ keys: ['early'] }))
      assert.equal(await tier.set('early', entry('"old"'), second), 'void')
      await tier.fence({ keys: ['early'], tags: [] }, 'w1', 30_000)
      assert.equal(await tier.lease('early'), null)
      await tier.lift({ keys: ['early'], tags: [] }, 'w1', -1)
    })

    await t.test('a fence whose writer died ends by itself', async () => {
      await tier.fence({ keys: ['dead'], tags: ['deads'] }, 'w1', 50)
      await eventually('the fence is over', async () => (await other.get('dead', false)).kind === 'miss')
      const lease = leaseOf(await other.get('dead', true))
      assert.equal(await other.set('dead', entry('"v"', { tags: ['deads'] }), lease), 'stored')
    })

    await t.test('every process hears what is forgotten or set, the setter not his own set', async () => {
      const here = new Listener()
      const there = new Listener()
      const ends = [tier.subscribe(here), other.subscribe(there)]
      await tier.set('told', entry('"1"'), null)
      await tier.forget(names({ keys: keys('told'), tags: ['told-tag'] }))
      for (const key of keys('told')) {
        await eventually('both heard', () => here.saw('keys', key) && there.saw('keys', key))
      }
      await eventually(
        'both heard the tag',
        () => here.saw('tags', 'told-tag') && there.saw('tags', 'told-tag'),
      )
      assert.ok(there.saw('keys', 'told') && !here.saw('keys', 'told'))
      const fence = { keys: ['fenced-once'], tags: [] }
      for (let i = 0; i < 3; i++) await tier.fence(fence, 'once', 30_000)
      await tier.lift(fence, 'once', -1)
      const heardOf = (): number => there.heard.filter(one => one.keys.includes('fenced-once')).length
      await tier.forget(names({ keys: ['behind-the-fence'] }))
      if (at.servers.length === 1) {
        await eventually('what follows is heard', () => there.saw('keys', 'behind-the-fence'))
        assert.equal(heardOf(), 2, 'its beginning and its end, not its renewals')
      }
      for (const server of at.servers) await server.ask('FLUSHALL')
      await eventually('a flush by hand is heard', () => there.heard.some(one => one.everything))
      assert.equal(there.lostTimes, 0)
      for (const end of ends) end()
    })

    await t.test('a script that the server lost is sent again', async () => {
      for (const server of at.servers) await server.ask('SCRIPT', 'FLUSH')
      for (const key of keys('script')) assert.equal(await tier.set(key, entry('"v"'), null), 'stored')
    })

    await t.test(
      'a clock that was evicted begins anew: entries of before are misses, leases void',
      async () => {
        for (const key of keys('epoch')) await tier.set(key, entry('"v"'), null)
        const lease = leaseOf(await tier.get('epoch-lease', true))
        for (const server of at.servers) {
          const all = (await server.ask('KEYS', '*clock')) as string[]
          for (const key of all) await server.ask('DEL', key)
        }
        for (const key of keys('epoch')) assert.equal((await tier.get(key, false)).kind, 'miss')
        assert.equal(await tier.set('epoch-lease', entry('"v"'), lease), 'void')
        const after = leaseOf(await tier.get('epoch-lease-2', true))
        assert.equal(await tier.set('epoch-lease-2', entry('"v"'), after), 'stored')
      },
    )
  })
}

test('keys of several servers are spread, and those of a cluster lie on every server', async t => {
  for (const [, place] of places.slice(1)) {
    const at = await place(t)
    const tier = await tierAt(t, at)
    await Promise.all(Array.from({ length: 300 }, (_, i) => tier.set(`film:${i}`, entry('"v"'), null)))
    for (const server of at.servers) {
      const size = Number(await server.ask('DBSIZE'))
      assert.ok(size > 60 && size < 160, `${size} of 300`)
    }
  }
})

test('an operator sees, reads and purges a shared cache from outside', async t => {
  const at = await places[1]![1](t)
  const tier = await tierAt(t, at)
  const address = { name: 'films', redis: at.servers.map(one => one.url) }
  for (let i = 0; i < 20; i++) await tier.set(`film:${i}`, entry('"v"', { tags: ['films'] }), null)
  const status = await sharedCacheStatus(address)
  assert.deepEqual(
    status.servers.map(one => one.ready),
    [true, true, true],
  )
  assert.equal(
    status.servers.reduce((sum, one) => sum + one.entries, 0),
    20,
  )
  assert.ok(
    status.servers.every(one => one.counted && one.memoryBytes > 100_000 && one.policy === 'noeviction'),
  )
  assert.equal(storedIn(await sharedCacheGet(address, 'film:3')), '"v"')
  await sharedCachePurge(address, { keys: ['film:3'] })
  assert.equal(storedIn(await sharedCacheGet(address, 'film:3')), 'miss')
  await sharedCachePurge(address, { tags: ['films'] })
  assert.equal((await tier.get('film:4', false)).kind, 'miss')
  for (const server of at.servers) await server.kill()
  await assert.rejects(sharedCacheStatus(address), /REDIS_AWAY|No Redis server of cache films answers/)
  assert.throws(() => createRedisTier({ name: 'films', redis: 'http://x' }), { code: 'REDIS_ADDRESS_WRONG' })
})

test('a tier that was closed refuses', async t => {
  const at = await places[0]![1](t)
  const tier = await tierAt(t, at)
  await tier.close()
  await assert.rejects(tier.servers.ask(0, ['PING']), { code: 'REDIS_CLOSED' })
})
