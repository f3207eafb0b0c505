// The grammar of path patterns, and which of two routes hides the other. It matches no request: that is the edge's.

import type { CheckedRoute } from './checked.ts'
import { leaf, Refused, type Schema } from './values.ts'

export interface PathPattern {
  readonly segments: readonly PatternSegment[]
  /** Ends in `/*`: takes the rest, also nothing. */
  readonly rest: boolean
}
export type PatternSegment = { readonly fixed: string } | { readonly parameter: string }

const segmentsMax = 64
// RFC 3986 3.3 pchar, without `*` (which only ever ends a pattern).
const fixedSegment = /^(?:[A-Za-z0-9._~!$&'()+,;=@:-]|%[0-9A-Fa-f]{2})*$/
const parameterSegment = /^:[A-Za-z_][A-Za-z0-9_]*$/

/** The pattern's parts, or what is wrong with it. */
export function parsePathPattern(text: string): PathPattern | Refused {
  if (!text.startsWith('/')) return new Refused('does not begin with /', `Write '/${text}'.`)
  const parts = text.slice(1).split('/')
  if (parts.length > segmentsMax) return new Refused(`has more than ${segmentsMax} segments`)
  const rest = parts.at(-1) === '*'
  if (rest) parts.pop()
  const segments: PatternSegment[] = []
  for (const [index, part] of parts.entries()) {
    const wrong = wrongSegment(part, index === parts.length - 1 && !rest)
    if (wrong) return wrong
    segments.push(part.startsWith(':') ? { parameter: part.slice(1) } : { fixed: part })
  }
  const names = segments.flatMap(part => ('parameter' in part ? [part.parameter] : []))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  return twice ? new Refused(`names ':${twice}' twice`) : { segments, rest }
}

function wrongSegment(part: string, last: boolean): Refused | undefined {
  if (part === '' && !last) return new Refused('has an empty segment (//)', 'Write one slash.')
  if (part === '.' || part === '..')
    return new Refused(`has the segment '${part}'`, 'Write the path it leads to.')
  if (part.includes('*'))
    return new Refused("has a '*' that is not the whole last segment", "End it in '/*'.")
  if (part.startsWith(':')) {
    return parameterSegment.test(part)
      ? undefined
      : new Refused(`has the parameter '${part}', whose name is not letters, digits and _`)
  }
  if (/[?#]/.test(part)) return new Refused('holds a query or fragment', 'Match the path only.')
  return fixedSegment.test(part)
    ? neverMatching(part)
    : new Refused('holds a character that paths do not have', 'Write it percent-encoded (%20).')
}

/** Paths are matched in the normal form of RFC 3986 6.2.2: a pattern in another form would never match. */
function neverMatching(part: string): Refused | undefined {
  for (const [encoded, hex = ''] of part.matchAll(/%(..)/g)) {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    if (/[A-Za-z0-9\-._~]/.test(character))
      return new Refused(`holds ${encoded}`, `Write it plainly: ${character}`)
    if (hex !== hex.toUpperCase()) return new Refused(`holds ${encoded}`, `Write ${encoded.toUpperCase()}.`)
    if (hex === '00' || hex === '5C') return new Refused(`holds ${encoded}, which the edge refuses in paths`)
  }
  return undefined
}

export function pathPattern(about: string): Schema<string> {
  return leaf({
    about,
    allowed: "a path pattern such as '/exact', '/prefix/*' or '/rooms/:id/*', of at most 1024 characters",
    json: { type: 'string', minLength: 1, maxLength: 1024, pattern: '^/' },
    parse: value => {
      if (typeof value !== 'string' || value.length > 1024) return undefined
      const pattern = parsePathPattern(value)
      return pattern instanceof Refused ? pattern : value
    },
  })
}

export function parametersOf(path: string): string[] {
  const pattern = parsePathPattern(path)
  if (pattern instanceof Refused) return []
  return pattern.segments.flatMap(part => ('parameter' in part ? [part.parameter] : []))
}

/** What comes before the first parameter or `*`: `/api/films/*` -> `/api/films`, `/*` -> `/`, `/exact` -> `/exact`. */
export function fixedPrefix(path: string): string {
  const pattern = parsePathPattern(path)
  if (pattern instanceof Refused) return '/'
  const end = pattern.segments.findIndex(part => 'parameter' in part)
  const fixed = end === -1 ? pattern.segments : pattern.segments.slice(0, end)
  return `/${fixed.map(part => ('fixed' in part ? part.fixed : '')).join('/')}`
}

/** Does every path that `later` matches match `earlier` too? Errs on the side of no. */
function pathCovers(earlier: string, later: string): boolean {
  const a = parsePathPattern(earlier)
  const b = parsePathPattern(later)
  if (a instanceof Refused || b instanceof Refused) return false
  if (a.segments.length === 0 && a.rest) return true
  if (!a.rest && (b.rest || a.segments.length !== b.segments.length)) return false
  if (b.segments.length < a.segments.length) return false
  return a.segments.every((part, index) => {
    const other = b.segments[index] as PatternSegment
    return 'parameter' in part
      ? !('fixed' in other && other.fixed === '')
      : 'fixed' in other && other.fixed === part.fixed
  })
}

function hostCovers(earlier: string | undefined, later: string | undefined): boolean {
  if (earlier === undefined || earlier === later) return true
  return earlier.startsWith('*.') && (later?.endsWith(earlier.slice(1)) ?? false)
}

/** Does `earlier` take every request that `later` could match, so that `later` never gets one? */
export function routeCovers(earlier: CheckedRoute['match'], later: CheckedRoute['match']): boolean {
  if (!hostCovers(earlier.host, later.host) || !pathCovers(earlier.path, later.path)) return false
  if (earlier.methods && !later.methods?.every(method => earlier.methods?.includes(method))) return false
  return Object.entries(earlier.headers ?? {}).every(([name, value]) => {
    const other = later.headers?.[name]
    return other !== undefined && (value === '*' || value === other)
  })
}
