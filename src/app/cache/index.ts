// What a user's service imports as `tenfold/cache`. Loads nothing of the platform: no files of a system, no servers.

export { Cache, createCache, type ForgetWhat, type UpdateOptions } from './cache.ts'
export type {
  CacheEvent,
  CacheReason,
  Encoded,
  FenceNames,
  Forgotten,
  Serialiser,
  SetOutcome,
  Tier,
  TierAnswer,
  TierEntry,
  TierListener,
} from './contract.ts'
export { type CacheCounts, type CacheStats, cacheMetrics } from './counts.ts'
export type { CallOptions } from './entries.ts'
export { cacheFailures } from './failures.ts'
export type { Load, LoadContext } from './flight.ts'
export type { CacheOptions, EntryOptions, FeedOptions } from './options.ts'
export { Region } from './region.ts'
export { jsonSerialiser, serialiser, structuredSerialiser } from './serialisers.ts'
export {
  type BehindOptions,
  openStore,
  type Source,
  Store,
  type StoreOptions,
  type Strategy,
} from './store.ts'
export type { ValueMode } from './values.ts'
