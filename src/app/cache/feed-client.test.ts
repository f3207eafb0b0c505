import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, test } from 'node:test'
import { Failure } from '../../kit/failure.ts'
import { type Cache, type CacheEvent, cacheFailures, createCache } from './index.ts'

/** The other end: keeps what it is told, and says what a test wants. */
class Feed {
  readonly told: Record<string, unknown>[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor() {
    this.#server = createServer(socket => {
      this.#sockets.add(socket)
      socket.setEncoding('utf8').on('data', text => {
        for (const line of String(text).split('\n').filter(Boolean)) this.told.push(JSON.parse(line))
      })
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    })
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>(resolve => this.#server.listen(port, '127.0.0.1', resolve))
    return (this.#server.address() as { port: number }).port
  }

  say(line: unknown): void {
    for (const socket of this.#sockets) socket.write(`${JSON.stringify(line)}\n`)
  }

  get hellos(): Record<string, unknown>[] {
    return this.told.filter(line => 'token' in line)
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

async function fed(
  staleAfterMs = 60_000,
): Promise<{ feed: Feed; cache: Cache; events: CacheEvent[]; port: number }> {
  const feed = new Feed()
  const port = await feed.listen()
  const events: CacheEvent[] = []
  const url = `tcp://127.0.0.1:${port}?token=secret`
  const cache = createCache({
    name: 'test',
    feed: { url, staleAfterMs },
    onEvent: event => events.push(event),
  })
  ends.push(
    () => feed.close(),
    () => cache.close(),
  )
  await until('it asked', () => feed.hellos.length === 1)
  return { feed, cache, events, port }
}

test('it asks from now on with its token, and trusts what it holds only once it is heard', async () => {
  const { feed, cache } = await fed()
  assert.deepEqual(feed.told, [{ token: 'secret', after: null }])
  assert.equal(cache.stats().deaf, true)
  feed.say({ position: 7 })
  await until('it is heard', () => !cache.stats().deaf)
  await until('it has acknowledged', () => feed.told.some(line => line.ack === 7))
})

test('commits forget their keys and tags, and are acknowledged after that', async () => {
  const { feed, cache } = await fed()
  feed.say({ position: 1 })
  await until('it is heard', () => !cache.stats().deaf)
  await cache.set('film:1', 'old')
  await cache.set('list', 'old', { tags: ['films'] })
  await cache.set('other', 'kept')
  feed.say({ position: 2, everything: false, tags: ['films'], keys: ['film:1'] })
  await until('it has acknowledged', () => feed.told.some(line => line.ack === 2))
  assert.deepEqual(
    [cache.getNow('film:1'), cache.getNow('list'), cache.getNow('other')],
    [undefined, undefined, 'kept'],
  )
  feed.say({ position: 3, everything: true, tags: [], keys: [] })
  await until('it has acknowledged', () => feed.told.some(line => line.ack === 3))
  assert.equal(cache.getNow('other'), undefined)
})

test('a short loss without a gap forgets nothing; it goes on from its position', async () => {
  const { feed, cache } = await fed()
  feed.say({ position: 41 })
  await until('it is heard', () => !cache.stats().deaf)
  await cache.set('a', 'kept')
  await cache.set('b', 'old')
  feed.cut()
  await until('it is back', () => feed.hellos.length === 2)
  assert.deepEqual(feed.hellos[1], { token: 'secret', after: 41 })
  feed.say({ position: 42, everything: false, tags: [], keys: ['b'] })
  await until('it has acknowledged', () => feed.told.some(line => line.ack === 42))
  assert.deepEqual([cache.getNow('a'), cache.getNow('b')], ['kept', undefined])
})

test('a gap forgets everything', async () => {
  const { feed, cache, events } = await fed()
  feed.say({ position: 1 })
  await until('it is heard', () => !cache.stats().deaf)
  await cache.set('a', 'old')
  feed.say({ position: 9, gap: true })
  await until('it has acknowledged', () => feed.told.some(line => line.ack === 9))
  assert.equal(cache.getNow('a'), undefined)
  assert.ok(events.some(({ kind }) => kind === 'feed-gap'))
})

test('silence for staleAfterMs empties the cache; heard again, it goes on', async () => {
  const { feed, cache, events } = await fed(100)
  feed.say({ position: 1 })
  await until('it is heard', () => events.some(({ kind }) => kind === 'feed-regained'))
  await cache.set('a', 'old', { ttlMs: 3_600_000 })
  await until('it is lost', () => events.some(({ kind }) => kind === 'feed-lost'))
  assert.equal(cache.getNow('a'), undefined)
  assert.equal(cache.stats().deaf, true)
  await until('it asks again', () => feed.hellos.length >= 2)
  assert.equal(feed.hellos.at(-1)!.after, 1)
  const beat = setInterval(() => feed.say({ position: 2 }), 10)
  try {
    await until('it is heard', () => events.filter(({ kind }) => kind === 'feed-regained').length >= 2)
  } finally {
    clearInterval(beat)
  }
})

test('an address that is none of a feed is refused, its token untold', () => {
  for (const feed of [
    'http://127.0.0.1:1?token=secret',
    'tcp://127.0.0.1:1',
    'tcp://127.0.0.1?token=secret',
    'x',
  ]) {
    assert.throws(
      () => createCache({ name: 'test', feed }),
      error =>
        error instanceof Failure &&
        error.code === cacheFailures.feedUrl.code &&
        !/secret/.test(error.message),
    )
  }
})
