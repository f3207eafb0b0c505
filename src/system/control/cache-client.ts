// The control API's client for caches: a part of client.ts, which gives it its way of asking.

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

export interface CacheClient {
  /** @param options.peers false: only the edge processes there. `timeoutMs`: for the answer. */
  purge(wish: PurgeWish, options?: { peers?: boolean; timeoutMs?: number }): Promise<PurgeView>
  push(wish: PushWish): Promise<PushView>
  status(): Promise<CacheView>
  look(url: string): Promise<CacheLookView>
  sharedStatus(cache: string, of: string): Promise<SharedCacheView>
  sharedEntry(cache: string, of: string, key: string): Promise<SharedEntryView>
  sharedPurge(cache: string, wish: SharedPurgeWish): Promise<AcceptedView>
}

type Json = <T>(method: 'GET' | 'POST', path: string, body?: object, timeoutMs?: number) => Promise<T>

/** Origins are asked, one after another. */
const pushTimeoutMs = 600_000

const shared = (cache: string): string => `/v1/caches/${encodeURIComponent(cache)}`

export function cacheClient(json: Json): CacheClient {
  return {
    purge: (wish, { peers = true, timeoutMs } = {}) =>
      json('POST', '/v1/purge', { ...wish, peers }, timeoutMs),
    push: wish => json('POST', '/v1/push', wish, pushTimeoutMs),
    status: () => json('GET', '/v1/cache'),
    look: url => json('GET', `/v1/cache/look?${new URLSearchParams({ url })}`),
    sharedStatus: (cache, of) => json('GET', `${shared(cache)}?${new URLSearchParams({ of })}`),
    sharedEntry: (cache, of, key) =>
      json('GET', `${shared(cache)}/entry?${new URLSearchParams({ of, key })}`),
    sharedPurge: (cache, wish) => json('POST', `${shared(cache)}/purge`, wish),
  }
}
