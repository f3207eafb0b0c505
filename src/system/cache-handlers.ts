// What the control API asks of caches, answered by the edge's processes and by purges.ts. Decides nothing.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CachedRouteStatus, CacheStatus } from '../edge/control-protocol.ts'
import type { CacheHandlers, SharedCacheHandlers } from './control/cache-handlers.ts'
import type { CachedRouteView, CacheSummaryView, PushView, PushWish } from './control/cache-views.ts'
import type { EdgeProcess } from './edge-process.ts'
import { cacheUnasked, type Purges } from './purges.ts'

export interface HandledCaches {
  /** Throws SYSTEM_BUSY while it is not there yet. */
  edge(): Pick<EdgeProcess, 'push' | 'cacheStatus' | 'cacheLook'>
  readonly purges: Purges
  enabled(): boolean
  /** Where a body waits for the edge to read it. */
  readonly folder: string
  readonly shared: SharedCacheHandlers
}

/** Origins asked at once. */
const pushesMax = 4

export function cacheHandlers({ edge, purges, enabled, folder, shared }: HandledCaches): CacheHandlers {
  const asked = (): void => {
    if (!enabled()) throw cacheUnasked()
  }
  return {
    ...shared,
    purge: (wish, peers) => purges.purge(wish, peers),
    push: wish => {
      asked()
      return push(edge(), wish, folder)
    },
    status: async () => {
      const status = enabled() ? await edge().cacheStatus() : null
      if (status === null) throw cacheUnasked()
      const { name, eviction, store, routes } = status
      return { name, eviction, store: { ...store }, routes: routes.map(routeView), peers: purges.peers }
    },
    look: url => {
      asked()
      return edge().cacheLook(url)
    },
  }
}

async function push(
  edge: Pick<EdgeProcess, 'push'>,
  { urls, body }: PushWish,
  folder: string,
): Promise<PushView> {
  const file = join(folder, `push-${crypto.randomUUID()}`)
  try {
    if (body !== undefined) writeFileSync(file, Buffer.from(body.base64, 'base64'), { mode: 0o600 })
    const from =
      body === undefined
        ? ('origin' as const)
        : { file, contentType: body.contentType, ttlMs: body.ttlMs, tags: body.tags ?? [] }
    const results = await pushAll(urls, async url => {
      const result = await edge.push({ url, from }).catch((cause: Error) => failed(cause))
      return { url, ...result }
    })
    const stored = results.filter(one => one.stored).length
    const text = `${stored} of ${results.length} URL${results.length === 1 ? '' : 's'} stored`
    return { text, complete: stored === results.length, results }
  } finally {
    rmSync(file, { force: true })
  }
}

type PushResultView = PushView['results'][number]

const failed = (cause: Error): Omit<PushResultView, 'url'> => ({
  stored: false,
  status: 0,
  bytes: 0,
  why: cause.message,
})

/** In the order of the URLs, some at once. */
async function pushAll(
  urls: readonly string[],
  one: (url: string) => Promise<PushResultView>,
): Promise<PushResultView[]> {
  const results: PushResultView[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < urls.length; index = next++)
      results[index] = await one(urls[index] as string)
  }
  await Promise.all(Array.from({ length: Math.min(pushesMax, urls.length) }, lane))
  return results
}

function routeView(route: CachedRouteStatus): CachedRouteView {
  return { ...route, hitRatio: hitRatioOf([route]) }
}

/** Answered without asking the service, of all that the cache was asked for; null: nothing yet. */
function hitRatioOf(routes: readonly CachedRouteStatus[]): number | null {
  let [own, all] = [0, 0]
  for (const { hits, stale, collapsed, revalidated, misses } of routes) {
    own += hits + stale + collapsed
    all += hits + stale + collapsed + revalidated + misses
  }
  return all === 0 ? null : own / all
}

export function cacheSummary(status: CacheStatus | null): CacheSummaryView | null {
  if (status === null) return null
  const { entries, bytes, bytesMax } = status.store
  return { entries, bytes, bytesMax, hitRatio: hitRatioOf(status.routes) }
}
