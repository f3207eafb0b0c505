// What others use of the change feed.

export type { FeedSpec, Invalidation, InvalidationRule, InvalidationSink } from './contract.ts'
export type { FeedMemory, FeedRecord, FeedStatus, NamedSink } from './feed.ts'
export { type FeedSinks, Feeds, type FeedsOptions, placeOf } from './feeds.ts'
export { addressOf } from './place.ts'
