// What services are told of caches: which variables, of which cache. What a variable holds is known only when the system
// runs. The service's own `env` wins.

import type { CheckedSystem, CommandService } from './checked.ts'
import type { CheckedCache } from './checked-caches.ts'
import { accessOf } from './database-variables.ts'

export interface CacheVariable {
  readonly variable: string
  /** `url`: the cache's servers. `kind`: what they are. `secret`: signs sessions. `feed`: where changes are heard of. */
  readonly holds: 'url' | 'kind' | 'secret' | 'feed'
  /** Name of a cache; '' where it is of none. */
  readonly cache: string
}

const mayUse = ({ access }: CheckedCache, service: string): boolean =>
  access === null || access.includes(service)

/**
 * `CACHE_URL` (and `CACHE_KIND`) for `main` or the only one that the service gets, `CACHE_URL_NAME` for each;
 * `SESSION_SECRET` with them; `CACHE_FEED` where a database of the service's has rules of what to forget.
 */
export function cacheVariables(system: CheckedSystem, service: CommandService): CacheVariable[] {
  const names = Object.values(system.caches)
    .filter(cache => mayUse(cache, service.name))
    .map(cache => cache.name)
  const plain = names.includes('main') ? 'main' : names.length === 1 ? names[0] : undefined
  const suffix = (cache: string): string => cache.toUpperCase().replaceAll('-', '_')
  const all: CacheVariable[] = [
    ...(plain === undefined ? [] : pair('', plain)),
    ...names.flatMap(cache => pair(`_${suffix(cache)}`, cache)),
    ...(names.length === 0
      ? []
      : [{ variable: 'SESSION_SECRET', holds: 'secret', cache: '' } satisfies CacheVariable]),
    ...(hasFeed(system, service)
      ? [{ variable: 'CACHE_FEED', holds: 'feed', cache: '' } satisfies CacheVariable]
      : []),
  ]
  return all.filter(({ variable }) => !Object.hasOwn(service.env, variable))
}

const pair = (ending: string, cache: string): CacheVariable[] => [
  { variable: `CACHE_URL${ending}`, holds: 'url', cache },
  { variable: `CACHE_KIND${ending}`, holds: 'kind', cache },
]

function hasFeed(system: CheckedSystem, { name }: CommandService): boolean {
  return Object.values(system.databases).some(
    database => database.invalidate.length > 0 && Object.hasOwn(accessOf(system, database), name),
  )
}

/** Do services hear of changes from the router of this system? */
export function hasFeedListeners(system: CheckedSystem): boolean {
  return Object.values(system.services).some(one => one.kind === 'command' && hasFeed(system, one))
}
