// The caches under measurement, by name: peers with an LRU, and ours with each policy.

import { LRUCache } from 'lru-cache'
import { LRUCache as MnemonistCache, LRUMap as MnemonistMap } from 'mnemonist'
import { lru as tinyLru } from 'tiny-lru'
import type { EvictionKind } from '../../src/policy/evict/index.ts'
import { packageVersion } from '../lib/machine.ts'
import { KeyedCache } from './keyed-cache.ts'

export interface TextCache {
  get(key: string): number | undefined
  set(key: string, value: number): unknown
}

export interface CacheMaker {
  readonly name: string
  /** Left out: our own. */
  readonly package?: string
  make(entriesMax: number): TextCache
}

const ours = (kind: EvictionKind): CacheMaker => ({
  name: `tenfold ${kind}`,
  make: entriesMax => new KeyedCache<number>(kind, entriesMax),
})

export const caches: readonly CacheMaker[] = [
  { name: 'lru-cache', package: 'lru-cache', make: max => new LRUCache<string, number>({ max }) },
  {
    name: 'mnemonist LRUCache',
    package: 'mnemonist',
    make: max => new MnemonistCache<string, number>(max),
  },
  { name: 'mnemonist LRUMap', package: 'mnemonist', make: max => new MnemonistMap<string, number>(max) },
  { name: 'tiny-lru', package: 'tiny-lru', make: max => tinyLru<number>(max) },
  ours('lru'),
  ours('fifo'),
  ours('clock'),
  ours('sieve'),
  ours('s3-fifo'),
  ours('lfu'),
  ours('arc'),
  ours('w-tinylfu'),
]

export function versionsText(): string {
  const names = new Set(caches.flatMap(one => one.package ?? []))
  return [...names].map(name => `${name} ${packageVersion(name)}`).join(', ')
}
