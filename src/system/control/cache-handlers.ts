// What the control API needs of the caches of a running system: one function an operation. Types only.

import type { CacheLookView, CacheView, PurgeView, PurgeWish, PushView, PushWish } from './cache-views.ts'

export interface CacheHandlers {
  purge(wish: PurgeWish, peers: boolean): Promise<PurgeView>
  push(wish: PushWish): Promise<PushView>
  status(): Promise<CacheView>
  look(url: string): Promise<CacheLookView>
}
