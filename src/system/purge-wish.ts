// What a person names, as what the store forgets: URLs without their scheme, hosts in small letters, prefixes that end
// with a segment. Pure.

import type { Purge } from '../edge/store/contract.ts'
import { Failure } from '../kit/failure.ts'
import type { PurgeWish } from './control/cache-views.ts'
import { systemFailures } from './failures.ts'

/** Throws SYSTEM_REQUEST_INVALID where nothing is named, or something that is no URL. */
export function purgeOf(wish: PurgeWish): Purge {
  const { urls = [], prefixes = [], tags = [], all = false, soft = false } = wish
  // `/films/*` is how people write a prefix.
  const starred = urls.filter(url => url.endsWith('/*'))
  const targets = urls.filter(url => !url.endsWith('/*')).map(placeOf)
  const below = [...prefixes, ...starred].map(prefix => withSlash(placeOf(prefix.replace(/\*$/, ''))))
  if (!all && targets.length + below.length + tags.length === 0)
    throw invalid('Nothing is named: give urls, prefixes, tags, or all.')
  return {
    ...(all ? { all } : {}),
    ...(targets.length > 0 ? { targets } : {}),
    ...(below.length > 0 ? { prefixes: below } : {}),
    ...(tags.length > 0 ? { tags } : {}),
    ...(soft ? { soft } : {}),
  }
}

const withSlash = (prefix: string): string => (prefix.endsWith('/') ? prefix : `${prefix}/`)

function placeOf(url: string): string {
  const match = /^(?:(https?):\/\/)?([^/?#]*)(\/[^#]*)?(?:#.*)?$/i.exec(url)
  const [, scheme, host = '', path] = match ?? []
  if (
    match === null ||
    host.endsWith(':') ||
    (scheme === undefined ? path === undefined : host === '') ||
    host.includes('*') ||
    path?.includes('*')
  )
    throw invalid(
      `'${url}' is no URL: write https://shop.example/films, shop.example/films, /films, or /films/* for all below.`,
    )
  const ownPort = scheme?.toLowerCase() === 'https' ? /:443$/ : /:80$/
  return `${host.toLowerCase().replace(scheme === undefined ? /$^/ : ownPort, '')}${path ?? '/'}`
}

/** For a log line: what goes. */
export function purgeText({ all, targets = [], prefixes = [], tags = [], soft }: Purge): string {
  const many = (count: number, word: string): string[] =>
    count === 0 ? [] : [`${count} ${word}${count === 1 ? '' : word.endsWith('x') ? 'es' : 's'}`]
  const what = all
    ? 'everything'
    : [...many(targets.length, 'URL'), ...many(prefixes.length, 'prefix'), ...many(tags.length, 'tag')].join(
        ', ',
      )
  return soft ? `${what} (softly)` : what
}

const invalid = (sentence: string): Failure => new Failure(systemFailures.requestInvalid, sentence)
