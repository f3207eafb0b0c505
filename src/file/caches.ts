// The keys of `caches`: Redis servers that application caches and sessions share. Which services get their URLs is in
// cache-variables.ts.

import type { EnvValue } from './checked.ts'
import type { CheckedCache } from './checked-caches.ts'
import { secretReference, servicePattern } from './services.ts'
import { either, into, listOf, mapOf, strict } from './shapes.ts'
import { choice, leaf, Refused, type Schema, text } from './values.ts'

export const redisUrl: Schema<string> = leaf<string>({
  about: 'Where a server is.',
  allowed: "a URL 'redis://user:password@host:port' or 'rediss://...', of at most 2048 characters",
  json: { type: 'string', minLength: 1, maxLength: 2048 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 2048) return undefined
    if (/,/.test(value)) return new Refused('names several servers', 'Give each server a URL of its own.')
    return /^rediss?:\/\/(?:[^\s/?#@]*@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?(?:\/\d{0,5})?$/.test(
      value,
    )
      ? value
      : undefined
  },
})

const url = either("A URL, or `secret('NAME')`.", redisUrl, secretReference) as Schema<EnvValue>

const kinds = ['server', 'cluster', 'ring'] as const

const cache: Schema<Omit<CheckedCache, 'name'>> = into(
  strict(
    {
      redis: either(
        'A Redis or Valkey server, or several.',
        url,
        listOf('Several: of a cluster, or of a ring.', url, 100, 1),
      ) as Schema<EnvValue | readonly EnvValue[]>,
      kind: choice(
        'What several are: nodes of one Redis Cluster, or plain servers among which keys are spread.',
        kinds,
      ).optional(),
      access: listOf(
        'Services that get its URL. Left out: every one that Tenfold runs.',
        text('Name of a service.', 'the name of a service', { lengthMax: 40 }),
        200,
      ).optional(),
    },
    {
      about: 'One shared cache.',
      elsewhere: {
        url: "Did you mean 'redis'?",
        urls: "Did you mean 'redis'?",
        valkey: "Did you mean 'redis'?",
        memory: 'How much it holds is a setting of the server (maxmemory).',
      },
    },
  ),
  ({ redis, kind, access }): Omit<CheckedCache, 'name'> | Refused => {
    const urls = Array.isArray(redis) ? (redis as readonly EnvValue[]) : [redis as EnvValue]
    if (urls.length > 1 && (kind ?? 'server') === 'server')
      return new Refused(
        `has ${urls.length} URLs and ${kind === undefined ? "no 'kind'" : "kind 'server'"}`,
        "Write kind: 'cluster' for one Redis Cluster, or kind: 'ring' for plain servers.",
      )
    return { kind: kind ?? 'server', urls, access: access === undefined ? null : [...new Set(access)] }
  },
)

export const caches: Schema<Record<string, Omit<CheckedCache, 'name'>>> = mapOf(cache, {
  about:
    'Shared caches by name, for `tenfold/cache` and `tenfold/sessions` in services. A service gets CACHE_URL for `main` or its only one, and CACHE_URL_NAME for each.',
  names: "names such as 'main': small letters, digits and -, at most 40, beginning with a letter",
  pattern: servicePattern,
  entriesMax: 20,
})
