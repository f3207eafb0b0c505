// Checked system -> what services are told of caches, and whom the change feeds of databases tell. Pure but for the hashes
// that secrets are made of: the same arguments give the same, so a reload can be compared with what runs.

import { createHmac } from 'node:crypto'
import type { FeedListeners } from '../database/router/snapshot.ts'
import {
  type CacheVariable,
  type CheckedCache,
  type CheckedSystem,
  cacheVariables,
  hasFeedListeners,
} from '../file/index.ts'
import { type DatabasePorts, feedPort } from './database-ports.ts'
import type { SecretValues } from './load-secrets.ts'

export interface CacheContext {
  /** Secrets by name; those that caches need are there. */
  readonly secrets: SecretValues
  /** Base64: what passwords of clients are made of. */
  readonly passwordSecret: string
  readonly ports: DatabasePorts
  /** Base64: what secrets of sessions are made of. */
  readonly sessionSecret: string
}

/** What a service finds in its environment. */
export function cacheEnvironment(
  system: CheckedSystem,
  service: string,
  context: CacheContext,
): Record<string, string> {
  const found = system.services[service]
  if (found?.kind !== 'command') return {}
  return Object.fromEntries(
    cacheVariables(system, found).flatMap(one => {
      const value = valueFor(system, one, context)
      return value === null ? [] : [[one.variable, value]]
    }),
  )
}

function valueFor(
  system: CheckedSystem,
  { holds, cache }: CacheVariable,
  context: CacheContext,
): string | null {
  const found = system.caches[cache]
  switch (holds) {
    case 'url':
      return found === undefined ? null : urlsOf(found, context.secrets).join(',')
    case 'kind':
      return found?.kind ?? null
    case 'secret':
      return sessionSecretOf(context)
    case 'feed': {
      const port = context.ports[feedPort]
      return port === undefined ? null : `tcp://127.0.0.1:${port}?token=${feedToken(context)}`
    }
  }
}

export function urlsOf({ urls }: CheckedCache, secrets: SecretValues): string[] {
  return urls.map(url => (typeof url === 'string' ? url : (secrets[url.secret] ?? '')))
}

/** One for all services: any instance serves any user. */
function sessionSecretOf({ sessionSecret }: CacheContext): string {
  return createHmac('sha256', Buffer.from(sessionSecret, 'base64')).update('sessions').digest('base64url')
}

function feedToken({ passwordSecret }: Pick<CacheContext, 'passwordSecret'>): string {
  return createHmac('sha256', Buffer.from(passwordSecret, 'base64')).update('feed').digest('base64url')
}

/** Whom changes are told; null: no database has rules. */
export function feedListeners(
  system: CheckedSystem,
  context: Pick<CacheContext, 'secrets' | 'passwordSecret' | 'ports'>,
): FeedListeners | null {
  const rules = Object.values(system.databases).some(one => one.invalidate.length > 0)
  if (!rules) return null
  const port = context.ports[feedPort]
  return {
    bus: hasFeedListeners(system) && port !== undefined ? { port, token: feedToken(context) } : null,
    edges: system.edge.cache !== undefined,
    shared: Object.values(system.caches).map(cache => ({
      name: cache.name,
      kind: cache.kind,
      urls: urlsOf(cache, context.secrets),
    })),
  }
}

/** Everything that nobody may see: for the redactor. */
export function secretsOfCaches(system: CheckedSystem, context: CacheContext): string[] {
  const urls = Object.values(system.caches).flatMap(cache => urlsOf(cache, context.secrets))
  const passwords = urls.flatMap(url => /^[a-z]+:\/\/[^:@/]*:([^@/]+)@/.exec(url)?.[1] ?? [])
  const tokens = peersOf(system, context.secrets).map(peer => peer.token)
  return [
    ...urls.filter(url => url.includes('@')),
    ...passwords,
    ...tokens,
    sessionSecretOf(context),
    feedToken(context),
  ]
}

export interface Peer {
  readonly url: string
  readonly token: string
}

/** Other Tenfolds whose caches forget when ours does. */
export function peersOf(system: CheckedSystem, secrets: SecretValues): Peer[] {
  return (system.edge.cache?.peers ?? []).map(({ url, token }) => ({
    url,
    token: typeof token === 'string' ? token : (secrets[token.secret] ?? ''),
  }))
}
