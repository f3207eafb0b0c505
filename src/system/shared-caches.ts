// What an operator asks of shared caches (`caches` of the file), answered by their Redis servers. Owns which servers are
// meant and what may be shown of a value; connections are opened for a question and closed after it.

import type { SharedCacheAddress } from '../app/cache/shared/index.ts'
import type { CheckedSystem } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import { urlsOf } from './compile-caches.ts'
import type { SharedCacheHandlers } from './control/cache-handlers.ts'
import type { SharedCacheView, SharedEntryView, SharedPurgeWish } from './control/cache-views.ts'
import { systemFailures } from './failures.ts'
import type { SecretValues } from './load-secrets.ts'

export interface HandledSharedCaches {
  /** That runs now. */
  system(): CheckedSystem
  secrets(): SecretValues
  tell(text: string): void
}

/** Characters of a value that are shown. */
const valueShownMax = 64 * 1024

// Redis' client: loaded when somebody asks.
const shared = (): Promise<typeof import('../app/cache/shared/index.ts')> =>
  import('../app/cache/shared/index.ts')

export function sharedCacheHandlers({ system, secrets, tell }: HandledSharedCaches): SharedCacheHandlers {
  const addressOf = (cache: string, of: string): SharedCacheAddress => {
    const found = system().caches[cache]
    if (found === undefined) throw unknown(cache, Object.keys(system().caches))
    const urls = urlsOf(found, secrets())
    return {
      name: of,
      redis: urls.length === 1 ? (urls[0] as string) : urls,
      cluster: found.kind === 'cluster',
    }
  }
  return {
    sharedStatus: async (cache, of): Promise<SharedCacheView> => {
      const address = addressOf(cache, of)
      const { servers, warnings } = await (await shared()).sharedCacheStatus(address)
      return { cache, of, servers, warnings }
    },
    sharedEntry: async (cache, of, key): Promise<SharedEntryView> => {
      const address = addressOf(cache, of)
      const answer = await (await shared()).sharedCacheGet(address, key)
      if (answer.kind !== 'hit' && answer.kind !== 'stale')
        return { cache, of, key, state: answer.kind, entry: null }
      const { value, loadMs: _, ...rest } = answer.entry
      return { cache, of, key, state: answer.kind, entry: { ...rest, ...shownValue(value) } }
    },
    sharedPurge: async (cache, wish: SharedPurgeWish) => {
      const { of, keys = [], tags = [], all = false, soft = false } = wish
      if (!all && keys.length + tags.length === 0)
        throw new Failure(systemFailures.requestInvalid, 'Nothing is named: give keys, tags, or all.')
      const address = addressOf(cache, of)
      await (await shared()).sharedCachePurge(address, { keys, tags, everything: all, soft })
      const what = all ? 'everything' : [...keys, ...tags.map(tag => `tag ${tag}`)].slice(0, 5).join(', ')
      const more = all || keys.length + tags.length <= 5 ? '' : ` and ${keys.length + tags.length - 5} more`
      const text = `${what}${more} forgotten in '${of}' of ${cache}`
      tell(text)
      return { text }
    },
  }
}

function shownValue(value: string | Uint8Array | null): { value: string | null; bytes: number } {
  if (value === null) return { value: null, bytes: 0 }
  if (typeof value !== 'string') return { value: null, bytes: value.length }
  return { value: value.slice(0, valueShownMax), bytes: Buffer.byteLength(value) }
}

function unknown(cache: string, there: readonly string[]): Failure {
  const sentence =
    there.length === 0
      ? "The running file has no 'caches'."
      : `There is no cache '${cache}'; there is ${there.map(one => `'${one}'`).join(', ')}.`
  return new Failure(systemFailures.sharedCacheUnknown, sentence)
}
