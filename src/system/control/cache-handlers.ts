// What the control API needs of the caches of a running system: one function an operation. Types only.

import type {
  CacheLookView,
  CacheView,
  PurgeView,
  PurgeWish,
  PushView,
  PushWish,
  SharedCacheView,
  SharedEntryView,
  SharedPurgeWish,
} from './cache-views.ts'
import type { AcceptedView } from './views.ts'

export interface CacheHandlers extends SharedCacheHandlers {
  purge(wish: PurgeWish, peers: boolean): Promise<PurgeView>
  push(wish: PushWish): Promise<PushView>
  status(): Promise<CacheView>
  look(url: string): Promise<CacheLookView>
}

/** `cache`: name in the file. `of`: name of the application cache. */
export interface SharedCacheHandlers {
  sharedStatus(cache: string, of: string): Promise<SharedCacheView>
  sharedEntry(cache: string, of: string, key: string): Promise<SharedEntryView>
  sharedPurge(cache: string, wish: SharedPurgeWish): Promise<AcceptedView>
}
