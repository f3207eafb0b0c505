// The application caches side by side, each as its documents say, behind one form: what is fastest of it for a plain hit,
// its "get or load", and its delete. Peers and ours hold 10,000 entries for ten minutes.

import KeyvRedis from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { createCache as createManager } from 'cache-manager'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'
import { createCache } from '../../src/app/cache/index.ts'
import { createRedisTier } from '../../src/app/cache/shared/index.ts'
import { packageVersion } from '../lib/machine.ts'

export type Load = () => Promise<object>

export interface AppCache {
  /** A hit without a promise, where there is such a thing. */
  readonly getNow?: (key: string) => unknown
  /** The usual way to a hit, awaited. */
  readonly get?: (key: string) => Promise<unknown>
  readonly getOrSet?: (key: string, load: Load) => Promise<unknown>
  readonly set: (key: string, value: object) => Promise<unknown>
  readonly delete: (key: string) => Promise<unknown>
  readonly close?: () => Promise<unknown>
}

interface Maker {
  readonly name: string
  readonly package?: string
  readonly make: () => AppCache
  /** Over Redis only, nothing held in process. */
  readonly shared?: (url: string) => Promise<AppCache>
}

const ttl = 600_000
const entries = 10_000

function managerOf(store: Keyv): AppCache {
  const cache = createManager({ stores: [store], ttl })
  return {
    get: key => cache.get(key),
    getOrSet: (key, load) => cache.wrap(key, load),
    set: (key, value) => cache.set(key, value),
    delete: key => cache.del(key),
    close: () => cache.disconnect(),
  }
}

function keyvOf(keyv: Keyv): AppCache {
  return {
    get: key => keyv.get(key),
    set: (key, value) => keyv.set(key, value),
    delete: key => keyv.delete(key),
    close: () => keyv.disconnect(),
  }
}

/** Its own default, a plain Map: it bounds nothing, and is the fastest that it has. */
const inMap = (): Keyv => new Keyv({ ttl })

export const makers: readonly Maker[] = [
  {
    name: 'tenfold',
    make: () => {
      const cache = createCache({ name: 'bench', max: { entries }, ttlMs: ttl })
      return {
        getNow: key => cache.getNow(key),
        get: key => cache.get(key),
        getOrSet: (key, load) => cache.getOrSet(key, load),
        set: (key, value) => cache.set(key, value),
        delete: key => cache.delete(key),
        close: () => cache.close(),
      }
    },
    shared: async redis => {
      const tier = createRedisTier({ name: 'bench', redis })
      await tier.attempted()
      const cache = createCache({ name: 'bench', tier, ttlMs: ttl, inProcess: false })
      return {
        get: key => cache.get(key),
        set: (key, value) => cache.set(key, value),
        delete: key => cache.delete(key),
        close: async () => {
          await cache.close()
          await tier.close()
        },
      }
    },
  },
  {
    name: 'lru-cache',
    package: 'lru-cache',
    make: () => {
      let load: Load = async () => ({})
      const cache = new LRUCache<string, object>({ max: entries, ttl, fetchMethod: () => load() })
      return {
        getNow: key => cache.get(key),
        getOrSet: (key, given) => {
          load = given
          return cache.fetch(key)
        },
        set: async (key, value) => cache.set(key, value),
        delete: async key => cache.delete(key),
      }
    },
  },
  {
    name: 'cache-manager',
    package: 'cache-manager',
    make: () => managerOf(inMap()),
    shared: async url => managerOf(new Keyv({ store: new KeyvRedis(url), ttl })),
  },
  {
    name: 'bentocache',
    package: 'bentocache',
    make: () => {
      const layer = memoryDriver({ maxItems: entries })
      const cache = new BentoCache({
        default: 'memory',
        ttl,
        stores: { memory: bentostore().useL1Layer(layer) },
      })
      return {
        get: key => cache.get({ key }),
        getOrSet: (key, factory) => cache.getOrSet({ key, factory }),
        set: (key, value) => cache.set({ key, value }),
        delete: key => cache.delete({ key }),
      }
    },
  },
  {
    name: 'keyv',
    package: 'keyv',
    make: () => keyvOf(inMap()),
    shared: async url => keyvOf(new Keyv({ store: new KeyvRedis(url), ttl })),
  },
]

export function versionsText(): string {
  const names = ['cache-manager', 'bentocache', 'keyv', '@keyv/redis', 'lru-cache', 'redis']
  return names.map(name => `${name} ${packageVersion(name)}`).join(', ')
}
