// What a user of a cache may choose, with defaults and bounds. Checks; decides nothing else.

import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { type EvictionKind, evictionKinds } from '../../policy/evict/index.ts'
import type { CacheEvent, Serialiser, Tier } from './contract.ts'
import { cacheFailures } from './failures.ts'
import { jsonSerialiser } from './serialisers.ts'
import type { ValueMode } from './values.ts'

/** How an entry is kept. Given for a cache, a region or one call; the nearer one wins. */
export interface EntryOptions {
  /** Fresh for so long, less jitter: 60,000. 0: not stored. */
  readonly ttlMs?: number
  /** Stale for so long after that: served while it is loaded again, and while loads fail. 0. */
  readonly graceMs?: number
  /** Of `null` and `undefined`, which mean "there is nothing": 5,000; never more than the ttl. 0: not stored. */
  readonly negativeTtlMs?: number
  /** What is stale is served after waiting so long for a new one: 0 = at once. */
  readonly softTimeoutMs?: number
  /** A load that takes longer is aborted: 30,000. */
  readonly hardTimeoutMs?: number
  /** After a failed load what is stale is served so long without another try: 1,000. */
  readonly staleRetryMs?: number
  /** A failed load's error is thrown again for so long without another try: 0. */
  readonly errorTtlMs?: number
  /** XFetch's beta: how eagerly what is dear to load is loaded before its end. 1; 0: never. */
  readonly earlyBeta?: number
  /** A hit after this share of the ttl loads anew in the background (refresh ahead): 0 = off. */
  readonly refreshAheadShare?: number
  /** False: only in the shared tier, so that no process may be behind by the time of a message. */
  readonly inProcess?: boolean
  /** False: only in this process. */
  readonly shared?: boolean
  /** In process no longer than this where a shared tier has it too: the ttl. */
  readonly inProcessTtlMs?: number
}

export interface FeedOptions {
  /** `tcp://HOST:PORT?token=TOKEN`: what services find in CACHE_FEED. */
  readonly url: string
  /** Not heard of for so long: what this process holds is forgotten: 6,000 (three heartbeats). */
  readonly staleAfterMs?: number
}

export interface CacheOptions extends EntryOptions {
  /** In metrics, events and keys of the shared tier: 1-64 of a-z, 0-9, `-`. */
  readonly name: string
  readonly max?: {
    /** Entries in process: 10,000; with `bytes` alone as many as have room at 256 bytes each, at most a million. */
    readonly entries?: number
    /** Bytes of values and keys in process, by `sizeOf`. */
    readonly bytes?: number
    /** A larger value is not kept in process: an eighth of `bytes`. */
    readonly valueBytes?: number
    /** A value whose encoded form is larger is not put into the shared tier: 1 MB. */
    readonly sharedValueBytes?: number
  }
  readonly eviction?: EvictionKind
  /** Share of each ttl that chance takes away: 0.1. */
  readonly jitterShare?: number
  /** Share of the entries that may be known absences: 0.1. */
  readonly negativeShare?: number
  readonly values?: ValueMode
  readonly sizeOf?: (value: unknown, key: string) => number
  readonly serialiser?: Serialiser
  readonly tier?: Tier
  /** As long as the longest transaction behind `update` takes: 30,000. A fence ends by itself after it. */
  readonly fenceMs?: number
  /** While invalidations from outside can't be heard, nothing is held in process longer: 1,000; 0: nothing is held. */
  readonly deafTtlMs?: number
  /** Another process loads: wait for it so long, then load too: 5,000. */
  readonly leaseWaitMs?: number
  /** Loads under way at once: 10,000. */
  readonly loadsMax?: number
  /** Tags whose forgetting is remembered one by one: 65,536. */
  readonly tagsMax?: number
  readonly feed?: FeedOptions | string
  readonly onEvent?: (event: CacheEvent) => void
  readonly clock?: Clock
  /** Of jitter and early loads. */
  readonly seed?: number
}

export type EntrySettings = { readonly [K in keyof EntryOptions]-?: Exclude<EntryOptions[K], undefined> }

export interface CacheSettings {
  readonly name: string
  readonly entriesMax: number
  readonly bytesMax: number
  readonly valueBytesMax: number
  readonly sharedValueBytesMax: number
  readonly eviction: EvictionKind
  readonly jitterShare: number
  readonly negativeShare: number
  readonly values: ValueMode
  readonly serialiser: Serialiser
  readonly fenceMs: number
  readonly deafTtlMs: number
  readonly leaseWaitMs: number
  readonly loadsMax: number
  readonly tagsMax: number
  readonly entry: EntrySettings
}

/** A year: longer durations are mistakes of unit. */
const yearMs = 366 * 24 * 3_600_000

const entryBounds: { readonly [K in keyof EntrySettings]: readonly [EntrySettings[K], number] } = {
  ttlMs: [60_000, yearMs],
  graceMs: [0, yearMs],
  negativeTtlMs: [5_000, yearMs],
  softTimeoutMs: [0, 600_000],
  hardTimeoutMs: [30_000, 600_000],
  staleRetryMs: [1_000, yearMs],
  errorTtlMs: [0, 60_000],
  earlyBeta: [1, 100],
  refreshAheadShare: [0, 1],
  inProcess: [true, 1],
  shared: [true, 1],
  inProcessTtlMs: [yearMs, yearMs],
}
const entryNames = Object.keys(entryBounds) as (keyof EntrySettings)[]

const callNames = new Set<string>([...entryNames, 'tags', 'version', 'ttlOf', 'signal', 'key'])
const cacheNames = new Set<string>([
  ...entryNames,
  ...[
    'name',
    'max',
    'eviction',
    'jitterShare',
    'negativeShare',
    'values',
    'sizeOf',
    'serialiser',
    'tier',
    'fenceMs',
  ],
  ...['deafTtlMs', 'leaseWaitMs', 'loadsMax', 'tagsMax', 'feed', 'onEvent', 'clock', 'seed'],
])
const maxNames = new Set(['entries', 'bytes', 'valueBytes', 'sharedValueBytes'])

/** Without types nothing else tells that `ttl` is not `ttlMs`: it would be kept as if nothing had been said. */
export function checkedOptions(where: string, given: object, known: ReadonlySet<string>): void {
  for (const name in given)
    if (!known.has(name))
      throw new Failure(
        cacheFailures.option,
        `${where}: '${name}' is no option; allowed: ${[...known].join(', ')}`,
      )
}

export function refused(where: string, name: string, value: unknown, allowed: string): Failure {
  return new Failure(cacheFailures.option, `${where}: ${name} is ${String(value)}; allowed: ${allowed}`)
}

export function checkedNumber(
  where: string,
  name: string,
  value: number,
  least: number,
  most: number,
): number {
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw refused(where, name, value, `${least} to ${most}`)
  return value
}

/** `base` with what `given` says otherwise. */
export function entrySettings(
  where: string,
  given: EntryOptions | undefined,
  base: EntrySettings | null,
): EntrySettings {
  if (given === undefined && base !== null) return base
  if (given !== undefined && base !== null) checkedOptions(where, given, callNames)
  const settings = {} as Record<string, unknown>
  for (const name of entryNames) {
    const [usual, most] = entryBounds[name]
    const value = given?.[name] ?? base?.[name] ?? usual
    if (typeof value !== typeof usual) throw refused(where, name, value, typeof usual)
    if (typeof value === 'number') checkedNumber(where, name, value, 0, most as number)
    settings[name] = value
  }
  return settings as unknown as EntrySettings
}

export function cacheSettings(options: CacheOptions): CacheSettings {
  const { name, max = {} } = options
  if (typeof name !== 'string' || !/^[a-z0-9-]{1,64}$/.test(name))
    throw refused('cache', 'name', name, '1-64 of a-z, 0-9, -')
  const where = `cache ${name}`
  checkedOptions(where, options, cacheNames)
  checkedOptions(`${where}: max`, max, maxNames)
  if (options.tier !== undefined && typeof options.tier?.subscribe !== 'function')
    throw refused(where, 'tier', options.tier, 'what createRedisTier gives')
  const number = (key: string, value: number, least: number, most: number): number =>
    checkedNumber(where, key, value, least, most)
  const bytesMax = number('max.bytes', max.bytes ?? 0, 0, 2 ** 40)
  const roomFor = bytesMax > 0 ? Math.min(1_000_000, Math.ceil(bytesMax / 256)) : 10_000
  const eviction = options.eviction ?? 's3-fifo'
  if (!evictionKinds.includes(eviction)) throw refused(where, 'eviction', eviction, evictionKinds.join(', '))
  return {
    name,
    entriesMax: Math.floor(number('max.entries', max.entries ?? roomFor, 1, 16_000_000)),
    bytesMax,
    valueBytesMax: number('max.valueBytes', max.valueBytes ?? (bytesMax / 8 || Infinity), 1, Infinity),
    sharedValueBytesMax: number('max.sharedValueBytes', max.sharedValueBytes ?? 1_048_576, 1, 512 << 20),
    eviction,
    jitterShare: number('jitterShare', options.jitterShare ?? 0.1, 0, 1),
    negativeShare: number('negativeShare', options.negativeShare ?? 0.1, 0, 1),
    values: options.values ?? 'frozen',
    serialiser: options.serialiser ?? jsonSerialiser,
    fenceMs: number('fenceMs', options.fenceMs ?? 30_000, 1, 3_600_000),
    deafTtlMs: number('deafTtlMs', options.deafTtlMs ?? 1_000, 0, yearMs),
    leaseWaitMs: number('leaseWaitMs', options.leaseWaitMs ?? 5_000, 0, 600_000),
    loadsMax: number('loadsMax', options.loadsMax ?? 10_000, 1, 1_000_000),
    tagsMax: number('tagsMax', options.tagsMax ?? 65_536, 1, 16_000_000),
    entry: entrySettings(where, options, null),
  }
}

const keyLengthMax = 1_024

/** Keys and tags: throws for what is none. */
export function checkedKey(key: string): string {
  if (typeof key === 'string' && key.length > 0 && key.length <= keyLengthMax) return key
  const shown = typeof key === 'string' ? `${key.slice(0, 40)}... (${key.length} characters)` : String(key)
  throw new Failure(cacheFailures.key, `${shown} is no key or tag: texts of 1 to ${keyLengthMax} characters`)
}

/** Lists of keys and tags in what is to be forgotten: a word that is no list, or not known, would forget nothing. */
export function checkedNames(
  where: string,
  given: { readonly keys?: readonly string[]; readonly tags?: readonly string[] },
  known: ReadonlySet<string>,
): { readonly keys: readonly string[]; readonly tags: readonly string[] } {
  checkedOptions(where, given, known)
  const { keys = [], tags = [] } = given
  if (!Array.isArray(keys)) throw refused(where, 'keys', keys, 'a list')
  if (!Array.isArray(tags)) throw refused(where, 'tags', tags, 'a list')
  for (const name of [...keys, ...tags]) checkedKey(name)
  return { keys, tags }
}
