// What an operator may ask of a shared cache from outside the services that use it: its state, one entry, a purge. Opens
// its own connections and closes them.

import { redisFailures } from '../../../io/redis/failures.ts'
import type { RedisLink, Reply } from '../../../io/redis/link.ts'
import { Failure } from '../../../kit/failure.ts'
import type { Forgotten, TierAnswer } from '../contract.ts'
import { RedisTier, type RedisTierOptions } from './redis-tier.ts'

export type SharedCacheAddress = Pick<RedisTierOptions, 'name' | 'redis' | 'cluster' | 'link'>

export interface SharedServerStatus {
  readonly server: string
  readonly ready: boolean
  /** Why it is away. */
  readonly cause: string | null
  /** Entries of this cache; `counted` false: estimated from a part of the keys. */
  readonly entries: number
  readonly counted: boolean
  readonly memoryBytes: number
  /** 0: unbounded. */
  readonly memoryBytesMax: number
  readonly policy: string
  readonly evicted: number
  /** Of the whole server, all its users together, since it started. */
  readonly hits: number
  readonly misses: number
}

export interface SharedCacheStatus {
  readonly name: string
  readonly servers: readonly SharedServerStatus[]
  readonly warnings: readonly string[]
}

/** Keys that are looked at to count entries; a scan of more would burden the server. */
const scannedMax = 100_000

export function sharedCacheStatus(address: SharedCacheAddress): Promise<SharedCacheStatus> {
  return withTier(address, async tier => {
    const servers = await Promise.all(tier.servers.links().map(link => serverStatus(link, address.name)))
    const evicting = servers.filter(one => one.policy.startsWith('allkeys-'))
    const warnings = evicting.map(
      one =>
        `${one.server} evicts by ${one.policy}: leases and fences go with entries. Set maxmemory-policy to volatile-lru.`,
    )
    return { name: address.name, servers, warnings }
  })
}

/** What is stored under a key; gives no lease. */
export function sharedCacheGet(address: SharedCacheAddress, key: string): Promise<TierAnswer> {
  return withTier(address, tier => tier.get(key, false))
}

/** Forgets for all processes, and tells them. @throws Failure where a server could not be told */
export function sharedCachePurge(address: SharedCacheAddress, what: Partial<Forgotten>): Promise<void> {
  return withTier(address, tier =>
    tier.forget({ keys: [], tags: [], everything: false, soft: false, ...what }),
  )
}

async function withTier<T>(address: SharedCacheAddress, use: (tier: RedisTier) => Promise<T>): Promise<T> {
  const tier = new RedisTier({ ...address, outside: true })
  try {
    await tier.attempted()
    if (!tier.usable) {
      const links = tier.servers.links().map(link => `${link.name}: ${link.cause?.message ?? 'away'}`)
      throw new Failure(
        redisFailures.away,
        `No Redis server of cache ${address.name} answers (${links.join('; ')}).`,
      )
    }
    return await use(tier)
  } finally {
    await tier.close()
  }
}

async function serverStatus(link: RedisLink, name: string): Promise<SharedServerStatus> {
  const none = { entries: 0, counted: false, memoryBytes: 0, memoryBytesMax: 0, policy: '', evicted: 0 }
  try {
    const info = infoOf(String(await link.ask(['INFO'])))
    const number = (field: string): number => Number(info.get(field) ?? 0)
    return {
      server: link.name,
      ready: true,
      cause: null,
      ...(await countEntries(link, name)),
      memoryBytes: number('used_memory'),
      memoryBytesMax: number('maxmemory'),
      policy: info.get('maxmemory_policy') ?? '',
      evicted: number('evicted_keys'),
      hits: number('keyspace_hits'),
      misses: number('keyspace_misses'),
    }
  } catch (error) {
    const cause = link.cause?.message ?? (error as Error).message
    return { server: link.name, ready: false, cause, ...none, hits: 0, misses: 0 }
  }
}

function infoOf(text: string): ReadonlyMap<string, string> {
  return new Map(
    text
      .split('\r\n')
      .filter(line => line.includes(':'))
      .map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
}

async function countEntries(link: RedisLink, name: string): Promise<{ entries: number; counted: boolean }> {
  const size = Number(await link.ask(['DBSIZE']))
  // `tf:{NAME}:e:...` or, in a cluster, `tf:{NAME.SHARD.N}:e:...`
  const patterns = [`tf:{${name}}:e:`, `tf:{${name}.`]
  let entries = 0
  let scanned = 0
  let cursor = '0'
  do {
    const [next, keys] = await link.ask<[Buffer, readonly Reply[]]>(['SCAN', cursor, 'COUNT', '1000'])
    cursor = String(next)
    scanned += keys.length
    for (const key of keys) {
      const text = String(key)
      if (text.startsWith(patterns[0]!) || (text.startsWith(patterns[1]!) && text.includes('}:e:'))) entries++
    }
  } while (cursor !== '0' && scanned < scannedMax)
  if (cursor === '0') return { entries, counted: true }
  return { entries: Math.round((entries / scanned) * size), counted: false }
}
