import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { type FakeClock, fakeClock, MS } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { createMetrics } from '../../kit/metrics.ts'
import { type Cache, type CacheOptions, cacheFailures, cacheMetrics, createCache } from './index.ts'

const open: Cache[] = []
afterEach(() => Promise.all(open.splice(0).map(cache => cache.close())))

function made(options: Partial<CacheOptions> = {}): { cache: Cache; clock: FakeClock } {
  const clock = fakeClock()
  clock.advance(1_000_000)
  const cache = createCache({ name: 'test', jitterShare: 0, seed: 1, clock, ...options })
  open.push(cache)
  return { cache, clock }
}

interface Gate<T> {
  readonly promise: Promise<T>
  open(value: T): void
  fail(cause: unknown): void
}

function gate<T>(): Gate<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  return { promise, open: resolve, fail: reject }
}

/** Lets everything that can go on go on. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const code = (kind: { code: string }) => (error: unknown) =>
  error instanceof Failure && error.code === kind.code

test('a value is loaded once, then held for its time to live', async () => {
  const { cache, clock } = made({ ttlMs: 1_000 })
  let loads = 0
  const read = (): Promise<number> => cache.getOrSet('a', async () => ++loads)
  assert.equal(await read(), 1)
  clock.advance(999 * MS)
  assert.equal(await read(), 1)
  assert.equal(cache.getNow('a'), 1)
  clock.advance(1 * MS)
  assert.equal(cache.getNow('a'), undefined)
  assert.equal(await read(), 2)
})

test('10,000 who ask at once make one load', async () => {
  const { cache } = made()
  const source = gate<string>()
  let loads = 0
  const asked = Array.from({ length: 10_000 }, () =>
    cache.getOrSet('hot', () => {
      loads++
      return source.promise
    }),
  )
  source.open('value')
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(['value']))
  assert.equal(loads, 1)
  assert.equal(cache.stats().counts.joined, 9_999)
})

test('a delete during a load: its callers get their value, and it is not stored', async () => {
  const { cache } = made()
  const source = gate<string>()
  const first = cache.getOrSet('a', () => source.promise)
  await cache.delete('a')
  const second = cache.getOrSet('a', () => 'new')
  source.open('old')
  assert.equal(await first, 'old')
  assert.equal(await second, 'new')
  assert.equal(await cache.get('a'), 'new')
  assert.equal(cache.stats().counts['refused-void'], 1)
})

test('a tag that is forgotten during a load keeps its value from being stored, also where only the value tells it', async () => {
  for (const tags of [['films'], () => ['films']]) {
    const { cache } = made()
    const source = gate<string>()
    const first = cache.getOrSet('a', () => source.promise, { tags })
    await cache.invalidate({ tags: ['films'] })
    const second = cache.getOrSet('a', () => 'new', { tags })
    source.open('old')
    assert.deepEqual(await Promise.all([first, second]), ['old', 'new'])
    assert.equal(await cache.get('a'), 'new')
  }
})

test('what carries another tag, or none, is not touched by a forgotten tag', async () => {
  const { cache } = made()
  await cache.set('a', 1, { tags: ['x', 'y'] })
  await cache.set('b', 2, { tags: ['y'] })
  await cache.set('c', 3)
  await cache.invalidate({ tags: ['x'] })
  assert.deepEqual([cache.getNow('a'), cache.getNow('b'), cache.getNow('c')], [undefined, 2, 3])
  assert.equal(cache.stats().counts['miss-tag'], 1)
})

for (const soft of [false, true]) {
  for (const graceMs of [0, 5_000]) {
    for (const by of ['tags', 'keys'] as const) {
      test(`${soft ? 'expired' : 'forgotten'} by ${by} with ${graceMs} ms of grace: stale is served ${soft && graceMs > 0 ? 'while it loads' : 'never'}`, async () => {
        const { cache } = made({ graceMs })
        await cache.set('a', 'old', { tags: ['t'] })
        await cache.invalidate({ [by]: by === 'tags' ? ['t'] : ['a'], soft })
        assert.equal(cache.getNow('a'), undefined)
        const seen = await cache.getOrSet('a', () => 'new', { tags: ['t'] })
        assert.equal(seen, soft && graceMs > 0 ? 'old' : 'new')
        await settle()
        assert.equal(await cache.getOrSet('a', () => 'newer'), 'new')
      })
    }
  }
}

test('forgetting everything forgets loads on their way too', async () => {
  const { cache } = made()
  const source = gate<string>()
  await cache.set('a', 1, { tags: ['t'] })
  const loading = cache.getOrSet('b', () => source.promise)
  await cache.invalidate({ everything: true })
  source.open('old')
  await loading
  assert.equal(cache.getNow('a'), undefined)
  assert.equal(cache.getNow('b'), undefined)
})

test('with grace a stale value comes at once and is loaded behind; with a soft time-out it is waited for a while', async () => {
  const { cache, clock } = made({ ttlMs: 100, graceMs: 1_000 })
  await cache.set('a', 'old')
  clock.advance(200 * MS)
  assert.equal(await cache.getOrSet('a', () => 'new'), 'old')
  await settle()
  assert.equal(cache.getNow('a'), 'new')
  clock.advance(200 * MS)
  assert.equal(await cache.getOrSet('a', () => 'newer', { softTimeoutMs: 60_000 }), 'newer')
  clock.advance(200 * MS)
  const never = gate<string>()
  assert.equal(await cache.getOrSet('a', () => never.promise, { softTimeoutMs: 1 }), 'newer')
  never.open('late')
})

test('stale is served while loads fail, the source is tried again only after staleRetryMs, and no longer than grace', async () => {
  const { cache, clock } = made({ ttlMs: 100, graceMs: 10_000, softTimeoutMs: 60_000, staleRetryMs: 1_000 })
  let loads = 0
  const read = (): Promise<string> =>
    cache.getOrSet('a', async () => {
      if (loads++ > 0) throw new Error('source away')
      return 'old'
    })
  await read()
  clock.advance(200 * MS)
  assert.equal(await read(), 'old')
  assert.equal(await read(), 'old')
  assert.equal(loads, 2)
  clock.advance(1_100 * MS)
  assert.equal(await read(), 'old')
  assert.equal(loads, 3)
  clock.advance(10_000 * MS)
  await assert.rejects(read(), /source away/)
  assert.equal(cache.stats().counts['stale-on-error'], 3)
})

test('an error reaches all who wait as it was thrown, and is not kept', async () => {
  const { cache } = made()
  const cause = new Error('no')
  const load = async (): Promise<number> => {
    throw cause
  }
  const both = await Promise.allSettled([cache.getOrSet('a', load), cache.getOrSet('a', load)])
  for (const one of both) assert.equal(one.status === 'rejected' && one.reason, cause)
  assert.equal(await cache.getOrSet('a', () => 1), 1)
})

test('with errorTtlMs an error is thrown again for that time without another load', async () => {
  const { cache, clock } = made({ errorTtlMs: 500 })
  let loads = 0
  const read = (): Promise<number> =>
    cache.getOrSet('a', async () => {
      loads++
      throw new Error('no')
    })
  await assert.rejects(read(), /no/)
  await assert.rejects(read(), /no/)
  assert.equal(loads, 1)
  clock.advance(500 * MS)
  await assert.rejects(read(), /no/)
  assert.equal(loads, 2)
})

test('a load that hangs is aborted by the hard time-out; the next one is not its prisoner', async () => {
  const { cache } = made({ hardTimeoutMs: 20 })
  let aborted: AbortSignal | null = null
  const hanging = cache.getOrSet('a', ({ signal }) => {
    aborted = signal
    return new Promise<string>(() => {})
  })
  await assert.rejects(hanging, code(cacheFailures.loadTimeout))
  assert.equal(aborted!.aborted, true)
  assert.equal(await cache.getOrSet('a', () => 'next'), 'next')
  assert.equal(cache.stats().counts['load-timeout'], 1)
})

test("a caller's own signal ends its waiting; the load goes on for the others", async () => {
  const { cache } = made()
  const source = gate<string>()
  const mine = new AbortController()
  const one = cache.getOrSet('a', () => source.promise, { signal: mine.signal })
  const other = cache.getOrSet('a', () => source.promise)
  mine.abort(new Error('gone'))
  await assert.rejects(one, /gone/)
  source.open('value')
  assert.equal(await other, 'value')
})

test('more loads than loadsMax are refused with a failure that says so', async () => {
  const { cache } = made({ loadsMax: 2 })
  const source = gate<number>()
  const running = [cache.getOrSet('a', () => source.promise), cache.getOrSet('b', () => source.promise)]
  await assert.rejects(
    cache.getOrSet('c', () => 1),
    code(cacheFailures.loadsFull),
  )
  source.open(1)
  await Promise.all(running)
  assert.equal(await cache.getOrSet('c', () => 1), 1)
})

test('absence is kept for negativeTtlMs, and ends with an update', async () => {
  const { cache, clock } = made({ negativeTtlMs: 100 })
  let row: string | null = null
  const read = (): Promise<string | null> => cache.getOrSet('a', () => row)
  assert.equal(await read(), null)
  row = 'there'
  assert.equal(await read(), null)
  assert.equal(cache.stats().counts['hit-negative'], 1)
  await cache.update('a', () => {})
  assert.equal(await read(), 'there')
  row = null
  await cache.delete('a')
  await read()
  row = 'again'
  clock.advance(100 * MS)
  assert.equal(await read(), 'again')
})

test('known absences never fill more than their share', async () => {
  const { cache } = made({ max: { entries: 100 }, negativeShare: 0.1 })
  for (let i = 0; i < 50; i++) await cache.set(`real:${i}`, i)
  for (let i = 0; i < 1_000; i++) await cache.getOrSet(`none:${i}`, () => undefined)
  const none = cache.entries().filter(({ key }) => key.startsWith('none'))
  assert.equal(none.length, 10)
  assert.equal(cache.entries().length, 60)
})

test('held entries stay within the bounds of count and bytes; what is too big is not held', async () => {
  const { cache } = made({
    max: { bytes: 10_000, valueBytes: 2_000 },
    sizeOf: value => (value as string).length,
  })
  for (let i = 0; i < 200; i++) {
    assert.equal(await cache.set(`k${i}`, 'x'.repeat(300)), true)
    assert.ok(cache.stats().bytes <= 10_000)
  }
  assert.ok(cache.stats().entries >= 30)
  assert.equal(await cache.set('big', 'x'.repeat(2_001)), false)
  assert.equal(cache.stats().counts['refused-too-big'], 1)
  const few = made({ max: { entries: 10 } }).cache
  for (let i = 0; i < 100; i++) await few.set(`k${i}`, i)
  assert.equal(few.stats().entries, 10)
  assert.equal(few.stats().counts.evicted, 90)
})

test('what has died is freed by later stores, without being read', async () => {
  const { cache, clock } = made({ max: { entries: 100 }, ttlMs: 100 })
  for (let i = 0; i < 50; i++) await cache.set(`old:${i}`, i)
  clock.advance(100 * MS)
  for (let i = 0; i < 60; i++) await cache.set(`new:${i}`, i)
  assert.equal(cache.entries().filter(({ key }) => key.startsWith('old')).length, 0)
})

test('a frozen value can not be changed by one reader for the others; a copy is the reader’s own', async () => {
  const frozen = made().cache
  const film = await frozen.getOrSet('a', () => ({ title: 'x', cast: ['y'] }))
  assert.throws(() => film.cast.push('z'), TypeError)
  const copies = made({ values: 'copy' }).cache
  const mine = await copies.getOrSet('a', () => ({ cast: ['y'] }))
  mine.cast.push('z')
  assert.deepEqual(copies.getNow('a'), { cast: ['y'] })
})

test('a set with an older version than what is held, or was announced, is refused', async () => {
  const { cache } = made()
  assert.equal(await cache.set('a', 'two', { version: 2 }), true)
  assert.equal(await cache.set('a', 'one', { version: 1 }), false)
  assert.equal(cache.getNow('a'), 'two')
  await cache.update('a', () => 5, { version: version => version })
  assert.equal(await cache.getOrSet('a', () => 'lagging replica', { version: 4 }), 'lagging replica')
  assert.equal(cache.getNow('a'), undefined)
  await cache.getOrSet('a', () => 'five', { version: 5 })
  assert.equal(cache.getNow('a'), 'five')
})

test('during an update reads go to the source and are not stored; after it they are', async () => {
  const { cache } = made()
  let row = 'old'
  await cache.getOrSet('a', () => row)
  const commit = gate<void>()
  const update = cache.update('a', async () => {
    await commit.promise
    row = 'new'
  })
  assert.equal(await cache.getOrSet('a', () => row), 'old')
  assert.equal(cache.getNow('a'), undefined)
  assert.equal(await cache.set('a', 'by hand'), false)
  commit.open()
  await update
  assert.equal(await cache.getOrSet('a', () => row), 'new')
  assert.equal(cache.getNow('a'), 'new')
})

test('an update whose outcome is unknown fences its key for fenceMs; one that was rolled back does not', async () => {
  const { cache, clock } = made({ fenceMs: 1_000 })
  const fails = (): never => {
    throw new Error('connection lost')
  }
  await assert.rejects(cache.update('a', fails), /connection lost/)
  await cache.getOrSet('a', () => 'maybe old')
  assert.equal(cache.getNow('a'), undefined)
  clock.advance(1_000 * MS)
  await cache.getOrSet('a', () => 'settled')
  assert.equal(cache.getNow('a'), 'settled')
  await assert.rejects(cache.update('b', fails, { rolledBack: () => true }), /connection lost/)
  await cache.getOrSet('b', () => 1)
  assert.equal(cache.getNow('b'), 1)
})

test('an update of a tag fences what carries it', async () => {
  const { cache } = made()
  const commit = gate<void>()
  await cache.set('a', 'old', { tags: ['films'] })
  const update = cache.update({ tags: ['films'] }, () => commit.promise)
  assert.equal(cache.getNow('a'), undefined)
  await cache.getOrSet('a', () => 'between', { tags: ['films'] })
  assert.equal(cache.getNow('a'), undefined)
  commit.open()
  await update
  await cache.getOrSet('a', () => 'new', { tags: ['films'] })
  assert.equal(cache.getNow('a'), 'new')
})

test('an update that fills holds the new value, unless another writer was there', async () => {
  const { cache } = made()
  await cache.update('a', () => 'one', { fill: value => value })
  assert.equal(cache.getNow('a'), 'one')
  const [first, second] = [gate<string>(), gate<string>()]
  const one = cache.update('a', () => first.promise, { fill: value => value })
  const two = cache.update('a', () => second.promise, { fill: value => value })
  second.open('two')
  await two
  first.open('one, committed before two')
  await one
  assert.equal(cache.getNow('a'), undefined)
})

test('jitter spreads what was stored together over its share of the ttl', async () => {
  const { cache } = made({ ttlMs: 100_000, jitterShare: 0.2, max: { entries: 2_000 } })
  for (let i = 0; i < 2_000; i++) await cache.set(`k${i}`, i)
  const left = cache.entries().map(({ freshMs }) => freshMs)
  assert.ok(Math.min(...left) >= 80_000 && Math.max(...left) <= 100_000)
  const tenths = new Array<number>(10).fill(0)
  for (const ms of left) tenths[Math.min(9, Math.floor((ms - 80_000) / 2_000))]!++
  for (const count of tenths) assert.ok(count > 120, `${tenths}`)
})

test('a dear value is loaded ahead of its end by one of those who hit it, in the background', async () => {
  const { cache, clock } = made({ ttlMs: 10_000 })
  let loads = 0
  const load = async (): Promise<number> => {
    clock.advance(500 * MS)
    return ++loads
  }
  await cache.getOrSet('a', load)
  for (let i = 0; i < 1_000 && loads === 1; i++) {
    clock.advance(10 * MS)
    assert.equal(await cache.getOrSet('a', load), 1)
    await settle()
  }
  assert.equal(loads, 2)
  assert.equal(cache.stats().counts['hit-early'], 1)
  assert.equal(cache.stats().counts['miss-expired'], 0)
})

test('refresh ahead: a hit after its share of the ttl loads anew, and nobody ever waits', async () => {
  const { cache, clock } = made({ ttlMs: 1_000, refreshAheadShare: 0.5, earlyBeta: 0 })
  let loads = 0
  const read = (): Promise<number> => cache.getOrSet('a', async () => ++loads)
  await read()
  clock.advance(499 * MS)
  await read()
  await settle()
  assert.equal(loads, 1)
  clock.advance(1 * MS)
  assert.equal(await read(), 1)
  await settle()
  assert.equal(await read(), 2)
  assert.equal(loads, 2)
})

test('a region has keys and a type of its own, and is forgotten as a whole', async () => {
  const { cache } = made()
  const users = cache.region<{ name: string }>('user', { ttlMs: 500 })
  const user = await users.getOrSet('1', async () => ({ name: 'Ada' }))
  assert.equal(user.name, 'Ada')
  await cache.set('other', 1)
  assert.equal(users.getNow('1')?.name, 'Ada')
  assert.equal(cache.getNow<{ name: string }>(users.keyOf('1'))?.name, 'Ada')
  await users.clear()
  assert.equal(users.getNow('1'), undefined)
  assert.equal(cache.getNow('other'), 1)
})

test('a wrapped function keeps results by its arguments', async () => {
  const { cache } = made()
  let calls = 0
  const add = cache.wrap('add', async (a: number, b: number) => {
    calls++
    return a + b
  })
  assert.deepEqual(await Promise.all([add(1, 2), add(1, 2), add(2, 2)]), [3, 3, 4])
  assert.equal(calls, 2)
})

test('options and keys out of their bounds are refused by name', async () => {
  assert.throws(() => createCache({ name: 'Big Name' }), code(cacheFailures.option))
  assert.throws(() => createCache({ name: 'a', ttlMs: -1 }), /ttlMs is -1; allowed: 0 to/)
  assert.throws(() => createCache({ name: 'a', eviction: 'best' as never }), /s3-fifo/)
  const { cache } = made()
  await assert.rejects(
    cache.getOrSet('', () => 1),
    code(cacheFailures.key),
  )
  await assert.rejects(cache.set('a', 1, { tags: ['x'.repeat(2_000)] }), code(cacheFailures.key))
})

test('a closed cache aborts its loads and refuses to be used', async () => {
  const { cache } = made()
  const hanging = cache.getOrSet('a', () => new Promise(() => {}))
  const [outcome] = await Promise.allSettled([hanging, cache.close()])
  assert.ok(outcome.status === 'rejected' && code(cacheFailures.closed)(outcome.reason))
  await assert.rejects(
    cache.getOrSet('a', () => 1),
    code(cacheFailures.closed),
  )
})

test('metrics tell what happened, by cache and reason', async () => {
  const { cache } = made()
  await cache.getOrSet('a', () => 1)
  await cache.getOrSet('a', () => 1)
  const metrics = createMetrics()
  cacheMetrics(metrics, () => [cache.stats()])
  const text = metrics.text()
  assert.match(text, /cache_events_total\{cache="test",reason="hit"\} 1\n/)
  assert.match(text, /cache_events_total\{cache="test",reason="miss-absent"\} 1\n/)
  assert.match(text, /cache_entries\{cache="test"\} 1\n/)
})

test('what a write filled is not held where a tag of it was forgotten meanwhile', async () => {
  const { cache } = made()
  const entry = { tags: ['genre'] }
  const fill = (value: string): string => value
  await cache.update('a', () => 'kept', { fill, entry })
  assert.equal(cache.getNow('a'), 'kept')
  const write = gate<string>()
  const update = cache.update('a', () => write.promise, { fill, entry })
  await settle()
  await cache.invalidate({ tags: ['genre'] })
  write.open('read before the genre changed')
  await update
  assert.equal(cache.getNow('a'), undefined)
  await cache.update({ keys: ['a'], tags: ['genre'] }, () => 'its own tag', { fill, entry })
  assert.equal(cache.getNow('a'), 'its own tag')
})
