// Shared caches (`caches` of the file) as listeners of the router's change feeds: each Redis is told of every change, for
// all caches that live there. Owns when Redis' client is loaded (with the first change); what is owed while Redis
// is away is the feed's business.

import type { EveryCache } from '../app/cache/shared/index.ts'
import type { FeedSinks, Invalidation } from '../database/feed/index.ts'
import type { FeedListeners } from '../database/router/snapshot.ts'

export class SharedSinks implements FeedSinks {
  readonly sinks: FeedSinks['sinks']
  readonly #caches = new Map<string, Promise<EveryCache>>()
  #closed = false

  constructor(shared: FeedListeners['shared']) {
    this.sinks = shared.map(one => ({ name: `cache ${one.name}`, sink: change => this.#tell(one, change) }))
  }

  async #tell(one: FeedListeners['shared'][number], { everything, tags, keys }: Invalidation): Promise<void> {
    if (!everything && tags.length === 0 && keys.length === 0) return
    if (this.#closed) throw new Error('the router is ending')
    let cache = this.#caches.get(one.name)
    if (cache === undefined) {
      cache = opened(one)
      this.#caches.set(one.name, cache)
      cache.catch(() => this.#caches.delete(one.name))
    }
    await (await cache).forget(everything ? { everything } : { keys, tags })
  }

  close(): void {
    this.#closed = true
    for (const cache of this.#caches.values())
      void cache.then(
        one => one.close(),
        () => {},
      )
  }
}

async function opened({ urls, kind }: FeedListeners['shared'][number]): Promise<EveryCache> {
  const { EveryCache } = await import('../app/cache/shared/index.ts')
  return new EveryCache({ urls, cluster: kind === 'cluster' })
}
