// The part of the control API's contract that is about caches: every route with its scope, parameters and answer.

import { z } from 'zod'
import type {
  CachedRouteView,
  CacheLookView,
  CachePeerView,
  CacheStoreView,
  CacheSummaryView,
  CacheView,
  PurgeView,
  PushView,
  SharedCacheView,
  SharedEntryView,
} from './cache-views.ts'
import type { RouteContract } from './contract.ts'

export type CacheOperation =
  | 'purge'
  | 'push'
  | 'cache'
  | 'cacheLook'
  | 'sharedCache'
  | 'sharedEntry'
  | 'sharedPurge'

/** Bytes of a body that is pushed. */
export const pushBytesMax: number = 16 * 1024 * 1024

const namesMax = 1000
const name = z
  .string()
  .regex(/^[!-~]+$/, 'at least one character, ASCII, without spaces')
  .max(2048)

const purgeSchema: z.ZodType<PurgeView> = z.strictObject({
  text: z.string(),
  complete: z.boolean().describe('Every edge has forgotten'),
  edges: z.array(
    z.strictObject({
      edge: z.string().describe('A process of this edge, or the URL of a peer'),
      done: z.boolean(),
      why: z.string(),
    }),
  ),
})

const pushSchema: z.ZodType<PushView> = z.strictObject({
  text: z.string(),
  complete: z.boolean(),
  results: z.array(
    z.strictObject({
      url: z.string(),
      stored: z.boolean(),
      status: z.int(),
      bytes: z.int(),
      why: z.string(),
    }),
  ),
})

const storeSchema: z.ZodType<CacheStoreView> = z.strictObject({
  entries: z.number(),
  bytes: z.number(),
  bytesMax: z.number(),
  evicted: z.number(),
  refused: z.number().describe('Too large, or no room'),
  purges: z.number(),
  diskEntries: z.number(),
  diskBytes: z.number(),
  diskFailures: z.number(),
})

const hitRatio = z
  .number()
  .nullable()
  .describe('Answered without asking the service, of all that the cache was asked for')

const routeSchema: z.ZodType<CachedRouteView> = z.strictObject({
  id: z.string(),
  hits: z.number(),
  stale: z.number(),
  revalidated: z.number(),
  collapsed: z.number(),
  misses: z.number(),
  bypassed: z.number(),
  hitBytes: z.number(),
  hitRatio,
})

const peerSchema: z.ZodType<CachePeerView> = z.strictObject({
  url: z.string(),
  waiting: z.int().describe('Purges that it has not been told yet'),
  why: z.string(),
})

const cacheSchema: z.ZodType<CacheView> = z.strictObject({
  name: z.string(),
  eviction: z.string(),
  store: storeSchema,
  routes: z.array(routeSchema),
  peers: z.array(peerSchema),
})

const lookSchema: z.ZodType<CacheLookView> = z.strictObject({
  url: z.string(),
  route: z.string().nullable(),
  key: z.string(),
  why: z.string().describe('What is stored, or why nothing is'),
  entry: z
    .strictObject({
      status: z.int(),
      state: z.enum(['fresh', 'stale', 'filling']),
      ageMs: z.number(),
      freshForMs: z.number().describe('Below 0: stale since'),
      bodyBytes: z.number(),
      fields: z.string(),
    })
    .nullable(),
})

export const cacheSummarySchema: z.ZodType<CacheSummaryView> = z.strictObject({
  entries: z.number(),
  bytes: z.number(),
  bytesMax: z.number(),
  hitRatio,
})

const sharedSchema: z.ZodType<SharedCacheView> = z.strictObject({
  cache: z.string(),
  of: z.string(),
  servers: z.array(
    z.strictObject({
      server: z.string(),
      ready: z.boolean(),
      cause: z.string().nullable(),
      entries: z.number(),
      counted: z.boolean().describe('False: estimated'),
      memoryBytes: z.number(),
      memoryBytesMax: z.number().describe('0: unbounded'),
      policy: z.string(),
      evicted: z.number(),
      hits: z.number(),
      misses: z.number(),
    }),
  ),
  warnings: z.array(z.string()),
})

const sharedEntrySchema: z.ZodType<SharedEntryView> = z.strictObject({
  cache: z.string(),
  of: z.string(),
  key: z.string(),
  state: z.enum(['hit', 'stale', 'miss', 'wait', 'fenced']),
  entry: z
    .strictObject({
      value: z.string().nullable().describe('Null: known not to exist, or bytes that are no text'),
      bytes: z.number(),
      format: z.string(),
      tags: z.array(z.string()),
      version: z.number(),
      freshMs: z.number(),
      graceMs: z.number(),
    })
    .nullable(),
})

const sharedParams = z.strictObject({ name: z.string().min(1).max(100).describe('Name in `caches`') })
const of = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'a name of letters, digits, ".", "_" and "-"')
  .describe('Name of the application cache, as its service has it')
const key = z.string().min(1).max(10_000)

export const cacheContract: Readonly<Record<CacheOperation, RouteContract>> = {
  purge: {
    method: 'post',
    path: '/v1/purge',
    scope: 'admin',
    summary:
      'Every edge forgets these URLs, prefixes, tags, or everything: each process here, and the peers. 207 when one did not.',
    body: z.strictObject({
      urls: z.array(name).max(namesMax).optional(),
      prefixes: z.array(name).max(namesMax).optional(),
      tags: z.array(name).max(namesMax).optional(),
      all: z.boolean().optional(),
      soft: z.boolean().optional().describe('Stale from now on, instead of gone'),
      peers: z.boolean().default(true).describe('Peers as well'),
    }),
    answer: { kind: 'json', schema: purgeSchema, statuses: [200, 207] },
  },
  push: {
    method: 'post',
    path: '/v1/push',
    scope: 'admin',
    summary: 'Loads URLs into the cache ahead of the first request, or stores a body under them.',
    bodyBytesMax: Math.ceil((pushBytesMax * 4) / 3) + 65_536,
    body: z.strictObject({
      urls: z
        .array(name.regex(/^https?:\/\//, 'an absolute URL'))
        .min(1)
        .max(namesMax),
      body: z
        .strictObject({
          base64: z.base64(),
          contentType: z
            .string()
            .regex(/^[!-~]+\/[!-~]+(?:; ?[!-~]+)*$/)
            .max(200),
          ttlMs: z.int().min(1).max(31_536_000_000),
          tags: z.array(name).max(50).optional(),
        })
        .optional()
        .describe('Absent: each URL is asked for as a client would'),
    }),
    answer: { kind: 'json', schema: pushSchema, statuses: [200, 207] },
  },
  cache: {
    method: 'get',
    path: '/v1/cache',
    scope: 'read',
    summary: "The edge's cache: what is stored, hits and misses by route, evictions, purges, peers.",
    answer: { kind: 'json', schema: cacheSchema, statuses: [200] },
  },
  cacheLook: {
    method: 'get',
    path: '/v1/cache/look',
    scope: 'read',
    summary: 'What is stored for a URL, or why nothing is.',
    query: z.strictObject({ url: name.describe('An absolute URL') }),
    answer: { kind: 'json', schema: lookSchema, statuses: [200] },
  },
  sharedCache: {
    method: 'get',
    path: '/v1/caches/{name}',
    scope: 'read',
    summary: 'The Redis servers of a shared cache: who answers, memory, entries of an application cache.',
    params: sharedParams,
    query: z.strictObject({ of }),
    answer: { kind: 'json', schema: sharedSchema, statuses: [200] },
  },
  sharedEntry: {
    method: 'get',
    path: '/v1/caches/{name}/entry',
    // Values may be anybody's data.
    scope: 'admin',
    summary: 'What is stored under a key of an application cache.',
    params: sharedParams,
    query: z.strictObject({ of, key }),
    answer: { kind: 'json', schema: sharedEntrySchema, statuses: [200] },
  },
  sharedPurge: {
    method: 'post',
    path: '/v1/caches/{name}/purge',
    scope: 'admin',
    summary: 'An application cache forgets keys, tags or everything, in every instance that uses it.',
    params: sharedParams,
    body: z.strictObject({
      of,
      keys: z.array(key).max(namesMax).optional(),
      tags: z.array(z.string().min(1).max(1000)).max(namesMax).optional(),
      all: z.boolean().optional(),
      soft: z.boolean().optional().describe('Expired instead of gone'),
    }),
    answer: { kind: 'json', schema: z.strictObject({ text: z.string() }), statuses: [200] },
  },
}
