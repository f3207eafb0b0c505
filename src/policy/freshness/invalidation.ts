// What a successful unsafe request makes invalid (RFC 9111 4.4): its own target, and what Location and Content-Location name
// of the same host. Also the names by which an origin lets its answers be purged.

import { isSafeMethod } from '../methods.ts'
import type { Fields } from './contract.ts'

/** An error changed nothing: 2xx and 3xx only. */
export function invalidates(method: string, status: number): boolean {
  return status >= 200 && status < 400 && !isSafeMethod(method)
}

export interface OwnTarget {
  /** Host as the client sent it. */
  readonly authority: string
  /** Path and query. */
  readonly target: string
}

/** Targets (`/path?query`) of the same host, the own one first. At most three. */
export function invalidatedTargets(own: OwnTarget, response: Fields): readonly string[] {
  const targets = [own.target]
  for (const name of ['location', 'content-location']) {
    const reference = response.find(name)
    const target = reference === undefined ? null : resolved(own, reference.trim())
    if (target !== null && !targets.includes(target)) targets.push(target)
  }
  return targets
}

/**
 * RFC 3986 5.2 for http and https; null where it is of another origin. The scheme is not compared: instances behind us
 * do not always know which one the client used, and too much forgotten harms nobody.
 */
function resolved(own: OwnTarget, reference: string): string | null {
  const bare = beforeHash(reference)
  const lower = bare.slice(0, 8).toLowerCase()
  const scheme = lower.startsWith('https://')
    ? 8
    : lower.startsWith('http://')
      ? 7
      : bare.startsWith('//')
        ? 2
        : 0
  if (scheme > 0) {
    const end = firstOf(bare, scheme)
    if (plainHost(bare.slice(scheme, end)) !== plainHost(own.authority)) return null
    const rest = bare.slice(end)
    return withoutDots(rest.startsWith('/') ? rest : `/${rest}`)
  }
  if (hasScheme(bare)) return null
  const path = own.target.split('?', 1)[0] as string
  if (bare === '') return own.target
  if (bare.startsWith('?')) return path + bare
  if (bare.startsWith('/')) return withoutDots(bare)
  return withoutDots(path.slice(0, path.lastIndexOf('/') + 1) + bare)
}

function beforeHash(text: string): string {
  const hash = text.indexOf('#')
  return hash < 0 ? text : text.slice(0, hash)
}

/** Where the authority ends: at `/` or `?`. */
function firstOf(text: string, from: number): number {
  let i = from
  while (i < text.length && text[i] !== '/' && text[i] !== '?') i++
  return i
}

const plainHost = (authority: string): string => authority.toLowerCase().replace(/:(?:80|443)?$/, '')

/** `mailto:a`: letters up to a colon that stands before any slash. */
function hasScheme(text: string): boolean {
  const colon = text.indexOf(':')
  if (colon <= 0) return false
  const before = text.slice(0, colon)
  return !before.includes('/') && !before.includes('?')
}

/** RFC 3986 5.2.4, the query left as it is. */
function withoutDots(target: string): string {
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : target.slice(mark)
  if (!path.includes('/.')) return target
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  segments.forEach((segment, index) => {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if ((segment === '..' || segment === '.') && index === segments.length - 1) kept.push('')
  })
  return `/${kept.join('/')}${query}`
}

const tagsMax = 128
const tagCharsMax = 256

/** `Surrogate-Key: a b` and `Cache-Tag: a, b`, without repeats. More than 128, or longer than 256 characters: the rest is left out. */
export function originTags(response: Fields): readonly string[] {
  const keys = response.find('surrogate-key')
  const list = response.find('cache-tag')
  if (keys === undefined && list === undefined) return []
  const named = [...(keys ?? '').split(/[\s,]/), ...(list ?? '').split(',').map(one => one.trim())]
  const tags = new Set(named.filter(tag => tag !== '' && tag.length <= tagCharsMax))
  return [...tags].slice(0, tagsMax)
}
