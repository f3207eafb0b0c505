// What no single key of a cache can know: what else its route does, the store that it needs, services that are named.
// One small check a rule.

import type { CheckedRoute, CheckedSystem } from './checked.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { parametersOf } from './patterns.ts'
import { keyPath } from './plain.ts'
import type { Problem } from './results.ts'
import { nearest } from './values.ts'

type Extra = Pick<Problem, 'allowed' | 'remedy' | 'value'>

export function checkCaches(system: CheckedSystem, found: Findings): void {
  for (const [index, route] of system.edge.routes.entries())
    if (route.cache) checkRouteCache(system, route, `edge.routes[${index}].cache`, found)
  checkStore(system, found)
  for (const cache of Object.values(system.caches)) {
    const path = keyPath('caches', cache.name)
    cache.urls.forEach((url, index) => {
      if (typeof url === 'string' && /^[a-z]+:\/\/[^/@]*:[^/@]*@/.test(url))
        doubt(
          found,
          cache.urls.length === 1 ? `${path}.redis` : `${path}.redis[${index}]`,
          'holds a password',
          "Keep it out of the file: secret('NAME').",
        )
    })
    for (const [index, name] of (cache.access ?? []).entries())
      checkService(system, name, `${path}.access[${index}]`, found)
  }
}

function conflict(found: Findings, path: string, message: string, extra: Extra = {}): void {
  found.problems.push({ code: fileFailures.conflict.code, path, message, ...extra })
}

function doubt(found: Findings, path: string, message: string, remedy: string): void {
  found.warnings.push({ code: fileFailures.doubtful.code, path, message, remedy })
}

function checkRouteCache(system: CheckedSystem, route: CheckedRoute, path: string, found: Findings): void {
  const { cache, action, match } = route
  if (cache === undefined || action.kind !== 'proxy') return
  if (route.causal)
    conflict(
      found,
      path,
      "contradicts 'causal': a kept answer knows nothing of what its reader has written",
      {
        remedy: "Keep one: 'cache' for what all see alike, 'causal' for what users change.",
      },
    )
  if (action.sticky?.by === 'cookie')
    doubt(
      found,
      path,
      "is beside 'sticky' by cookie: kept answers come from whichever member was asked first",
      "Leave out 'sticky', or give what is a user's own a route without 'cache'.",
    )
  if (action.split || action.canary)
    doubt(
      found,
      path,
      `is beside '${action.split ? 'split' : 'canary'}': an answer of one service is kept for the clients of the other as well`,
      'Purge when shares change, or cache only what both answer alike.',
    )
  if (match.methods?.every(method => method !== 'GET' && method !== 'HEAD'))
    doubt(found, path, 'is on a route without GET and HEAD, and nothing else is kept', 'Add GET.')
  checkTags(route, path, found)
  if (cache.key.countryHeader !== undefined && system.edge.trustedProxies.length === 0)
    doubt(
      found,
      `${path}.key.country`,
      'is told by a trusted proxy, and the file trusts none: all clients share one page',
      'Name the proxy in edge.trustedProxies.',
    )
  if (cache.ttlMs === 0 && cache.staleWhileRevalidateMs === undefined)
    doubt(
      found,
      `${path}.ttl`,
      'is 0s: every request asks the service',
      'Write a time, or leave out the cache.',
    )
}

function checkTags({ cache, match }: CheckedRoute, path: string, found: Findings): void {
  const known = parametersOf(match.path)
  for (const [index, tag] of (cache?.tags ?? []).entries())
    for (const [shown, name = ''] of tag.matchAll(/\{([^{}]*)\}/g))
      if (!known.includes(name))
        conflict(found, `${path}.tags[${index}]`, `has ${shown}, which '${match.path}' does not have`, {
          value: JSON.stringify(tag),
          allowed:
            known.length > 0 ? known.map(one => `{${one}}`).join(', ') : "none: the path has no ':name'",
          remedy: /^\w+$/.test(name) ? `Put ':${name}' into the path.` : 'Leave it out.',
        })
}

function checkStore({ edge }: CheckedSystem, found: Findings): void {
  const { cache } = edge
  if (cache === undefined) return
  if (!edge.routes.some(route => route.cache))
    doubt(found, 'edge.cache', "is not used: no route has 'cache'", 'Add cache: true to a route.')
  const seen = new Set<string>()
  cache.peers.forEach(({ url, token }, index) => {
    const path = `edge.cache.peers[${index}]`
    if (seen.has(url))
      conflict(found, `${path}.url`, 'is named twice', {
        value: JSON.stringify(url),
        remedy: 'Keep one.',
      })
    seen.add(url)
    if (typeof token === 'string')
      doubt(found, `${path}.token`, 'holds a secret', "Keep it out of the file: secret('NAME').")
    if (url.startsWith('http:') && !onLoopback(url))
      doubt(
        found,
        `${path}.url`,
        'is on another machine, and the token can be read on the way',
        'Reach it by https, or through a tunnel.',
      )
  })
  const { parent } = cache
  if (parent?.url.startsWith('http:') && !onLoopback(parent.url))
    doubt(
      found,
      'edge.cache.parent',
      'is on another machine, and answers can be read and changed on the way',
      'Write https://.',
    )
}

const onLoopback = (url: string): boolean => /^https?:\/\/(?:127\.|localhost\b|\[::1\])/.test(url)

function checkService(system: CheckedSystem, name: string, path: string, found: Findings): void {
  const service = system.services[name]
  const names = Object.keys(system.services)
  if (service === undefined) {
    const near = nearest(name, names)
    found.problems.push({
      code: fileFailures.unknownService.code,
      path,
      value: JSON.stringify(name),
      message: 'is not a service of this file',
      allowed: names.length > 0 ? names.map(one => `'${one}'`).join(', ') : 'none: `services` is empty',
      ...(near ? { remedy: `Did you mean '${near}'?` } : {}),
    })
  } else if (service.kind === 'addresses')
    conflict(found, path, 'runs elsewhere, where Tenfold gives it no CACHE_URL', { remedy: 'Leave it out.' })
}
