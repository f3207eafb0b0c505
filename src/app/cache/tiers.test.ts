import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { type FakeClock, fakeClock, MS } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import {
  type Cache,
  type CacheEvent,
  type CacheOptions,
  cacheFailures,
  createCache,
  serialiser,
  structuredSerialiser,
} from './index.ts'
import { MemoryServer, MemoryTier } from './testing/memory-tier.ts'

const open: Cache[] = []
afterEach(() => Promise.all(open.splice(0).map(cache => cache.close())))

interface Processes {
  readonly clock: FakeClock
  readonly server: MemoryServer
  readonly events: CacheEvent[]
  process(options?: Partial<CacheOptions>): Cache
}

function processes(): Processes {
  const clock = fakeClock()
  const server = new MemoryServer(clock)
  const events: CacheEvent[] = []
  return {
    clock,
    server,
    events,
    process: (options = {}) => {
      const cache = createCache({
        name: 'test',
        jitterShare: 0,
        seed: 1,
        clock,
        tier: new MemoryTier(server),
        onEvent: event => events.push(event),
        ...options,
      })
      open.push(cache)
      return cache
    },
  }
}

const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('what one process loaded the others find, with its tags, and a delete reaches them all', async () => {
  const { process } = processes()
  const [one, two] = [process(), process()]
  await one.getOrSet('a', () => ({ n: 1 }), { tags: ['t'] })
  await settle()
  assert.deepEqual(await two.getOrSet('a', () => ({ n: 2 })), { n: 1 })
  assert.deepEqual(two.getNow('a'), { n: 1 })
  await one.invalidate({ tags: ['t'] })
  await settle()
  assert.equal(two.getNow('a'), undefined)
  assert.equal(await two.get('a'), undefined)
  await one.set('a', { n: 3 })
  await settle()
  assert.deepEqual(await two.get('a'), { n: 3 })
})

test('many processes that miss at once load once: the others wait for its lease', async () => {
  const { process } = processes()
  const caches = Array.from({ length: 8 }, () => process())
  const source = Promise.withResolvers<string>()
  let loads = 0
  const asked = caches.map(cache =>
    cache.getOrSet('hot', () => {
      loads++
      return source.promise
    }),
  )
  await settle()
  source.resolve('value')
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(['value']))
  assert.equal(loads, 1)
})

test('who waited for another process long enough loads too, and leaves storing to it', async () => {
  const { process } = processes()
  const [one, two] = [process(), process({ leaseWaitMs: 0 })]
  const never = Promise.withResolvers<string>()
  const hanging = one.getOrSet('a', () => never.promise)
  await settle()
  assert.equal(await two.getOrSet('a', () => 'mine'), 'mine')
  assert.equal(two.getNow('a'), undefined)
  never.resolve('its')
  assert.equal(await hanging, 'its')
})

test('a load that failed gives its lease back: the next process does not wait for it', async () => {
  const { process } = processes()
  const [one, two] = [process(), process()]
  const fails = (): Promise<string> => Promise.reject(new Error('no'))
  await assert.rejects(one.getOrSet('a', fails), /no/)
  assert.equal(await two.getOrSet('a', () => 'value'), 'value')
})

test('stale in the shared tier: served at once, loaded once for all behind it, and served while the source is away', async () => {
  const { process, clock } = processes()
  const kept = { ttlMs: 1_000, graceMs: 60_000 }
  const [one, two] = [process(kept), process(kept)]
  await one.getOrSet('a', () => 'old')
  await settle()
  clock.advance(2_000 * MS)
  assert.equal(await two.getOrSet('a', () => 'new'), 'old')
  await settle()
  assert.equal(await two.getOrSet('a', () => 'newer'), 'new')
  clock.advance(2_000 * MS)
  const third = process({ ...kept, softTimeoutMs: 60_000 })
  assert.equal(await third.getOrSet('a', () => Promise.reject(new Error('away'))), 'new')
})

test('an update through one process: readers of another go to the source and store nothing until it is done', async () => {
  const { process } = processes()
  const [one, two] = [process(), process()]
  let row = 'old'
  await two.getOrSet('a', () => row)
  await settle()
  const commit = Promise.withResolvers<void>()
  const update = one.update('a', async () => {
    await commit.promise
    row = 'new'
  })
  await settle()
  assert.equal(await two.getOrSet('a', () => row), 'old')
  await settle()
  assert.equal(two.getNow('a'), undefined)
  commit.resolve()
  await update
  await settle()
  assert.equal(await two.getOrSet('a', () => row), 'new')
})

test('an update that fills is found by the other processes without a load', async () => {
  const { process } = processes()
  const [one, two] = [process(), process()]
  await one.update('a', () => 'written', { fill: value => value })
  assert.equal(one.getNow('a'), 'written')
  assert.equal(await two.getOrSet('a', () => 'loaded'), 'written')
})

test('while the shared tier is away no read fails, and nothing is held longer than deafTtlMs', async () => {
  const { process, server, clock, events } = processes()
  const one = process({ deafTtlMs: 500 })
  server.down = true
  let loads = 0
  const read = (): Promise<number> => one.getOrSet('a', async () => ++loads)
  assert.equal(await read(), 1)
  assert.equal(await read(), 1)
  assert.equal(one.stats().deaf, true)
  clock.advance(500 * MS)
  assert.equal(await read(), 2)
  assert.equal(await one.update('a', () => 'written'), 'written')
  await one.delete('a')
  assert.equal(await read(), 3)
  assert.ok(events.some(event => event.kind === 'tier-failed' && event.call === 'fence'))
  await assert.rejects(
    one.update('a', () => 'never', { withoutTier: 'refuse' }),
    error => error instanceof Failure && error.code === cacheFailures.tierAway.code,
  )
  server.down = false
  assert.equal(one.stats().deaf, false)
})

test('when invalidations are no longer heard, what is held is forgotten, and again when they are', async () => {
  const { process, server, events } = processes()
  const one = process()
  await one.set('a', 1)
  const [listener] = server.listeners
  listener!.lost()
  assert.equal(one.getNow('a'), undefined)
  assert.equal(one.stats().deaf, true)
  assert.equal(await one.getOrSet('a', () => 2), 1)
  listener!.regained()
  assert.equal(one.getNow('a'), undefined)
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['tier-lost', 'tier-regained'],
  )
})

test('a message that comes while a value is on its way from the shared tier keeps it from being held', async () => {
  const { process, server } = processes()
  const [one] = [process(), process()]
  await one.set('a', 'old')
  const slow = process({ tier: new MemoryTier(server, { step: settle }) })
  const reading = slow.getOrSet('a', () => 'loaded')
  await settle()
  await one.set('a', 'new')
  await reading
  await settle()
  assert.equal(await slow.getOrSet('a', () => 'loaded'), 'new')
})

test('ahead of its end a shared value is loaded by one process; another finds it renewed', async () => {
  const { process, clock } = processes()
  const kept = { ttlMs: 1_000, refreshAheadShare: 0.5, earlyBeta: 0 }
  const [one, two] = [process(kept), process(kept)]
  let loads = 0
  const load = async (): Promise<number> => ++loads
  await one.getOrSet('a', load)
  await settle()
  await two.getOrSet('a', load)
  clock.advance(600 * MS)
  assert.equal(await one.getOrSet('a', load), 1)
  await settle()
  assert.equal(await two.getOrSet('a', load), 1)
  await settle()
  assert.equal(await two.getOrSet('a', load), 2)
  assert.equal(loads, 2)
})

test('known absence is shared too', async () => {
  const { process } = processes()
  const [one, two] = [process(), process()]
  await one.getOrSet('a', () => null)
  await settle()
  assert.equal(await two.getOrSet<string | null>('a', () => 'there'), null)
})

test('values that only structured clone can say come back as they were; another serialiser’s are misses', async () => {
  const { process } = processes()
  const v8 = { serialiser: structuredSerialiser }
  const [one, two] = [process(v8), process(v8)]
  const value = { at: new Date(0), seen: new Map([['x', 1n]]) }
  await one.getOrSet('a', () => value)
  await settle()
  assert.deepEqual(await two.getOrSet('a', () => null), value)
  const other = process({ serialiser: serialiser('mine-2', JSON.stringify, bytes => JSON.parse(`${bytes}`)) })
  assert.equal(await other.getOrSet('a', () => 'reloaded'), 'reloaded')
})

test('with inProcess: false nothing is held in process, so that no process is behind', async () => {
  const { process } = processes()
  const one = process({ inProcess: false })
  assert.equal(await one.getOrSet('a', () => 1), 1)
  await settle()
  assert.equal(one.getNow('a'), undefined)
  assert.equal(await one.getOrSet('a', () => 2), 1)
})

test('a value that is larger than the shared tier may be given is served, and kept nowhere', async () => {
  const { process, server } = processes()
  const one = process({ max: { sharedValueBytes: 100 } })
  assert.equal((await one.getOrSet('a', () => 'x'.repeat(200))).length, 200)
  await settle()
  assert.equal(server.entries.size, 0)
  assert.equal(one.getNow('a'), undefined)
})
