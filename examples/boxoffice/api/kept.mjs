// What this process keeps of the catalogue and the programme, so that seat maps, orders and JSON ask the database only for
// what really changes by the second. The change feed (CACHE_FEED) tells of every committed change, whoever made it.
// Never seats: they are read each time. Never what a cache further out is filled from: see `current` in server.mjs.

import { createCache } from 'tenfold/cache'

const bytesMax = 32 * 1024 * 1024
/** With the feed only a bound; without it, nobody would tell us of a change. */
const fedTtlMs = 3_600_000
const aloneTtlMs = 1_000

export function createKept({ feed, off = false }) {
  const ttlMs = feed ? fedTtlMs : aloneTtlMs
  const cache = createCache({
    name: 'catalogue',
    max: { bytes: bytesMax },
    ttlMs: off ? 0 : ttlMs,
    ...(feed && { feed }),
    onEvent: ({ kind }) => console.log(`kept catalogue: ${kind}`),
  })
  return {
    /** What `load` gives: kept, or, if it must be `current`, asked for now. `tags` name the rows that it is made of. */
    get: (key, tags, current, load) => (current || off ? load() : cache.getOrSet(key, load, { tags })),
    close: () => cache.close(),
  }
}
