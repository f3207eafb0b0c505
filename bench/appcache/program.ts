// One application cache in a process of its own: `program.ts NAME HITS [REDIS-URL]`. Writes one line of JSON.

import { type AppCache, makers } from './caches.ts'

export interface Measured {
  /** Millions of hits a second: the fastest way, awaited `get`, awaited `get or load`. NaN as null: it has none. */
  readonly now: number | null
  readonly get: number | null
  readonly getOrSet: number | null
  /** Loads that 10,000 callers of one absent key cause. */
  readonly stampede: number | null
  /** After a delete in the middle of a load: is the value that was loaded before it still served? */
  readonly keepsOld: boolean | null
  /** Thousands of hits a second over Redis, 100 asked for at once. */
  readonly shared: number | null
}

const keyCount = 5_000
const keys = Array.from({ length: keyCount }, (_, at) => `film:${at}:summary`)
const filmOf = (at: number): object => ({
  id: at,
  title: `Film number ${at}`,
  cast: ['one', 'two', 'three'],
  year: 1990,
})
const load = async (): Promise<object> => filmOf(-1)

const [name, hits, redisUrl] = [process.argv[2], Number(process.argv[3]), process.argv[4]]
const maker = makers.find(one => one.name === name)
if (!maker) throw new Error(`no cache is called ${name}`)

async function perSecond(count: number, work: () => unknown): Promise<number> {
  const began = performance.now()
  await work()
  return count / (performance.now() - began) / 1_000
}

async function filled(cache: AppCache): Promise<AppCache> {
  for (const [at, key] of keys.entries()) await cache.set(key, filmOf(at))
  return cache
}

async function hitsNow(cache: AppCache): Promise<number | null> {
  const { getNow } = cache
  if (!getNow) return null
  let found = 0
  const once = (): void => {
    for (let at = 0; at < hits; at++) if (getNow(keys[(at * 7_919) % keyCount]!) !== undefined) found++
  }
  once()
  const rate = await perSecond(hits, once)
  if (found !== 2 * hits) throw new Error(`${2 * hits - found} hits are missing`)
  return rate
}

async function hitsAwaited(count: number, get: (key: string) => Promise<unknown>): Promise<number> {
  const once = async (): Promise<void> => {
    for (let at = 0; at < count; at++) {
      const value = await get(keys[(at * 7_919) % keyCount]!)
      if (value === undefined || value === null) throw new Error('a hit is missing')
    }
  }
  await once()
  return perSecond(count, once)
}

async function stampede(cache: AppCache): Promise<number | null> {
  if (!cache.getOrSet) return null
  let loads = 0
  const slow = async (): Promise<object> => {
    loads++
    await new Promise(resolve => setTimeout(resolve, 20))
    return filmOf(0)
  }
  await Promise.all(Array.from({ length: 10_000 }, () => cache.getOrSet!('stampede', slow)))
  return loads
}

async function keepsOld(cache: AppCache): Promise<boolean | null> {
  if (!cache.getOrSet) return null
  const gate = Promise.withResolvers<object>()
  const reading = cache.getOrSet('raced', () => gate.promise).catch(() => null)
  await new Promise(resolve => setTimeout(resolve, 5))
  await cache.delete('raced')
  gate.resolve({ old: true })
  await reading
  await new Promise(resolve => setTimeout(resolve, 5))
  const after = (await cache.getOrSet('raced', async () => ({ old: false }))) as { old: boolean }
  return after.old
}

/** A hundred at once, as concurrent requests ask. */
async function sharedHits(url: string): Promise<number | null> {
  if (!maker!.shared) return null
  const cache = await filled(await maker!.shared(url))
  const batch = 100
  const count = Math.ceil(hits / 20 / batch) * batch
  const once = async (): Promise<void> => {
    for (let at = 0; at < count; at += batch) {
      const asked = Array.from({ length: batch }, (_, place) =>
        cache.get!(keys[((at + place) * 7_919) % keyCount]!),
      )
      if ((await Promise.all(asked)).includes(undefined)) throw new Error('a hit is missing')
    }
  }
  await once()
  const rate = await perSecond(count, once)
  await cache.close?.()
  return rate * 1_000
}

const cache = await filled(maker.make())
const { get, getOrSet } = cache
const measured: Measured = {
  now: await hitsNow(cache),
  get: get ? await hitsAwaited(hits / 2, get) : null,
  getOrSet: getOrSet ? await hitsAwaited(hits / 2, key => getOrSet(key, load)) : null,
  stampede: await stampede(cache),
  keepsOld: await keepsOld(cache),
  shared: redisUrl ? await sharedHits(redisUrl) : null,
}
console.log(JSON.stringify(measured))
process.exit(0)
