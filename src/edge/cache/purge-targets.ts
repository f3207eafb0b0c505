// Targets that are purged, as keys have them: the host in small letters, the path in its one form, and of the query what
// the routes let count, in its order. As it was written a URL may name nothing that is stored, and what is stale stay.

import { compileKey, type KeyRules } from '../../policy/freshness/index.ts'
import { normalisePath } from '../../policy/route.ts'
import type { EdgeSnapshot } from '../snapshot.ts'
import type { Purge } from '../store/contract.ts'

const plain: KeyRules = { query: 'all', headers: [], cookies: [], device: false, languages: [] }

/** Each target as it was written too. */
export function asKeyed(what: Purge, { routes }: EdgeSnapshot): Purge {
  const { targets, prefixes } = what
  const rules = new Map<string, KeyRules['query']>()
  for (const { cache } of routes)
    if (cache !== undefined) rules.set(JSON.stringify(cache.key.query), cache.key.query)
  const keys = [...rules.values()].map(query => compileKey({ ...plain, query }))
  const formsOf = (target: string): readonly string[] => {
    const { host, path, query } = partsOf(target)
    return [target, ...keys.map(key => host + key.pathAndQuery(path, query))]
  }
  const prefixOf = (prefix: string): readonly string[] => {
    const { host, path, query } = partsOf(prefix)
    return [prefix, host + path + query]
  }
  return {
    ...what,
    ...(targets !== undefined && { targets: distinct(targets.flatMap(formsOf)) }),
    ...(prefixes !== undefined && { prefixes: distinct(prefixes.flatMap(prefixOf)) }),
  }
}

function partsOf(target: string): { host: string; path: string; query: string } {
  const slash = target.indexOf('/')
  const host = slash < 0 ? '' : target.slice(0, slash)
  const rest = slash < 0 ? target : target.slice(slash)
  const mark = rest.indexOf('?')
  const path = mark < 0 ? rest : rest.slice(0, mark)
  return {
    host: host.toLowerCase(),
    path: normalisePath(path) ?? path,
    query: mark < 0 ? '' : rest.slice(mark),
  }
}

const distinct = (names: readonly string[]): readonly string[] => [...new Set(names)]
