// RFC 9111 as a shared cache, pure: what the edge's HTTP cache asks before it stores, uses, validates and forgets. Who calls
// it sends `Surrogate-Capability: tenfold="Surrogate/1.0"` to origins where Surrogate-Control is to work.

export {
  Ask,
  type CacheRules,
  type Fields,
  Flag,
  type FreshnessMeta,
  type Judged,
  type KeyRules,
  type ReadDate,
  type RequestDirectives,
  Reuse,
  type ReuseCode,
  type StorageQuestion,
} from './contract.ts'
export { requestDirectives } from './directives.ts'
export { invalidatedTargets, invalidates, type OwnTarget, originTags } from './invalidation.ts'
export { compileKey, hostPart, type KeyMaker } from './key.ts'
export { CacheReason, cacheReasonLabel, cacheReasonText } from './reason.ts'
export { unkeyedFields } from './request.ts'
export { ageUs, judgeReuse, mayServeOnError, reuseReason } from './reuse.ts'
export { judgeStorage } from './storage.ts'
export { browserCacheControl } from './telling.ts'
export {
  conditionalFields,
  conditionNames,
  headEffect,
  matches304,
  updatedFields,
} from './validation.ts'
export { varyText } from './vary.ts'
