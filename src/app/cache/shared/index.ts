// What others use of the shared tier.

export { redisFailures } from '../../../io/redis/failures.ts'
export {
  type SharedCacheAddress,
  type SharedCacheStatus,
  type SharedServerStatus,
  sharedCacheGet,
  sharedCachePurge,
  sharedCacheStatus,
} from './admin.ts'
export { EveryCache, type EveryCacheAddress } from './every-cache.ts'
export {
  createRedisTier,
  type RedisTier,
  type RedisTierCounts,
  type RedisTierEvent,
  type RedisTierOptions,
} from './redis-tier.ts'
