// The control API's client for caches: a part of client.ts, which gives it its way of asking.

import type { CacheLookView, CacheView, PurgeView, PurgeWish, PushView, PushWish } from './cache-views.ts'

export interface CacheClient {
  /** @param options.peers false: only the edge processes there. `timeoutMs`: for the answer. */
  purge(wish: PurgeWish, options?: { peers?: boolean; timeoutMs?: number }): Promise<PurgeView>
  push(wish: PushWish): Promise<PushView>
  status(): Promise<CacheView>
  look(url: string): Promise<CacheLookView>
}

type Json = <T>(method: 'GET' | 'POST', path: string, body?: object, timeoutMs?: number) => Promise<T>

/** Origins are asked, one after another. */
const pushTimeoutMs = 600_000

export function cacheClient(json: Json): CacheClient {
  return {
    purge: (wish, { peers = true, timeoutMs } = {}) =>
      json('POST', '/v1/purge', { ...wish, peers }, timeoutMs),
    push: wish => json('POST', '/v1/push', wish, pushTimeoutMs),
    status: () => json('GET', '/v1/cache'),
    look: url => json('GET', `/v1/cache/look?${new URLSearchParams({ url })}`),
  }
}
