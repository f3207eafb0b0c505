// Which route a request takes: the first one in the file whose host, path, methods and headers match. The path that is
// matched is the very string that is forwarded (normalised once, RFC 3986 6.2.2), so that an instance never sees
// another path than the one the rules spoke about. Reads nothing but what it is given.

export interface RouteMatch {
  /** `tickets.example`, `*.example` (one or more labels), or absent for any; lower case, no port. */
  readonly host?: string
  /** `/exact`, `/prefix/*`, `/rooms/:id/*`. `:name` takes one segment; a final `*` the rest, also nothing. */
  readonly path: string
  readonly methods?: readonly string[]
  /** Lower-case name to value; `*` = present with any value. */
  readonly headers?: Readonly<Record<string, string>>
  /** Takes CORS preflights (Fetch 3.2.2) for what it matches too; they have neither its method nor its headers. */
  readonly preflight?: boolean
}

/** What matching asks of a request. */
export interface RouteRequest {
  readonly method: string
  find(name: string): string | undefined
}

interface CompiledRoute {
  readonly host: string | null
  readonly hostSuffix: string | null
  /** Literal text up to the first parameter or the star. */
  readonly prefix: string
  readonly exact: boolean
  /** Null when the pattern is `prefix` alone, or `prefix` and a star. */
  readonly segments: readonly Segment[] | null
  readonly open: boolean
  readonly methods: readonly string[] | null
  readonly headers: readonly (readonly [string, string])[] | null
  readonly preflight: boolean
}
type Segment = { readonly literal: string } | { readonly name: string }

export interface RouteTable {
  readonly count: number
  /** Some route asks for a host; otherwise `match` does not look at it. */
  readonly usesHost: boolean
  /**
   * Index of the first route that matches, or -1.
   * @param host lower case, without port (`hostOf`); '' when the request names none
   * @param path normalised, without the query (`pathOf`)
   */
  match(host: string, path: string, request: RouteRequest): number
  /** The value that `:name` of route `index` has in `path`; undefined when the pattern has no such name. */
  parameter(index: number, path: string, name: string): string | undefined
}

export function compileRoutes(matches: readonly RouteMatch[]): RouteTable {
  const routes = matches.map(compileRoute)
  const index = indexByFirstSegment(routes)
  return {
    count: routes.length,
    usesHost: routes.some(route => route.host !== null || route.hostSuffix !== null),
    match: (host, path, request) => {
      const { byFirst, anyFirst } = index
      const candidates = byFirst.size === 0 ? anyFirst : (byFirst.get(firstSegment(path)) ?? anyFirst)
      for (let i = 0; i < candidates.length; i++) {
        const at = candidates[i] as number
        if (matchesAll(routes[at] as CompiledRoute, host, path, request)) return at
      }
      return -1
    },
    parameter: (at, path, name) => {
      const segments = routes[at]?.segments ?? null
      if (segments === null) return undefined
      const position = segments.findIndex(segment => 'name' in segment && segment.name === name)
      return position < 0 ? undefined : path.split('/')[position + 1]
    },
  }
}

function compileRoute(match: RouteMatch): CompiledRoute {
  const open = match.path.endsWith('/*')
  const body = open ? match.path.slice(0, -2) : match.path
  const segments: Segment[] = body
    .split('/')
    .slice(1)
    .map(part => (part.startsWith(':') ? { name: part.slice(1) } : { literal: part }))
  const plain = segments.every(segment => 'literal' in segment)
  const wildHost = match.host?.startsWith('*.') ?? false
  return {
    host: wildHost ? null : (match.host ?? null),
    hostSuffix: wildHost ? (match.host as string).slice(1) : null,
    prefix: plain ? body : '',
    exact: !open,
    segments: plain ? null : segments,
    open,
    methods: match.methods ?? null,
    headers: match.headers ? Object.entries(match.headers) : null,
    preflight: match.preflight ?? false,
  }
}

function firstSegment(path: string): string {
  const slash = path.indexOf('/', 1)
  return slash < 0 ? path : path.slice(0, slash)
}

/** For each literal first segment, the routes that can match a path beginning with it, in the file's order. */
function indexByFirstSegment(routes: readonly CompiledRoute[]): {
  byFirst: Map<string, number[]>
  anyFirst: number[]
} {
  const firstOf = (route: CompiledRoute): string | null => {
    if (route.segments === null) return route.prefix === '' ? null : firstSegment(route.prefix)
    const first = route.segments[0]
    return first !== undefined && 'literal' in first ? `/${first.literal}` : null
  }
  const firsts = routes.map(firstOf)
  const anyFirst = routes.map((_, at) => at).filter(at => firsts[at] === null)
  const byFirst = new Map<string, number[]>()
  for (const first of new Set(firsts)) {
    if (first === null) continue
    byFirst.set(
      first,
      routes.map((_, at) => at).filter(at => firsts[at] === null || firsts[at] === first),
    )
  }
  return { byFirst, anyFirst }
}

function matchesAll(route: CompiledRoute, host: string, path: string, request: RouteRequest): boolean {
  if (!matchesPath(route, path)) return false
  if (route.host !== null && route.host !== host) return false
  if (
    route.hostSuffix !== null &&
    !(host.endsWith(route.hostSuffix) && host.length > route.hostSuffix.length)
  )
    return false
  if (route.preflight && request.method === 'OPTIONS' && isPreflightFor(route, request)) return true
  if (route.methods !== null && !route.methods.includes(request.method)) return false
  return route.headers === null || matchesHeaders(route.headers, request)
}

/** A preflight asks for another request: the method that it names is matched, and headers are only known by name. */
function isPreflightFor({ methods, headers }: CompiledRoute, request: RouteRequest): boolean {
  const method = request.find('access-control-request-method')
  if (method === undefined || request.find('origin') === undefined) return false
  if (methods !== null && !methods.includes(method)) return false
  if (headers === null) return true
  const asked = (request.find('access-control-request-headers') ?? '').toLowerCase().split(',', 100)
  return headers.every(([name]) => asked.some(one => one.trim() === name))
}

function matchesPath(route: CompiledRoute, path: string): boolean {
  if (route.segments !== null) return matchesSegments(route.segments, route.open, path)
  const { prefix } = route
  if (route.exact) return path === prefix
  if (!path.startsWith(prefix)) return false
  return path.length === prefix.length || path.charCodeAt(prefix.length) === 47
}

function matchesSegments(segments: readonly Segment[], open: boolean, path: string): boolean {
  const parts = path.split('/')
  const length = parts.length - 1
  if (open ? length < segments.length : length !== segments.length) return false
  return segments.every((segment, at) => {
    const part = parts[at + 1] as string
    return 'literal' in segment ? part === segment.literal : part !== ''
  })
}

function matchesHeaders(headers: readonly (readonly [string, string])[], request: RouteRequest): boolean {
  for (const [name, wanted] of headers) {
    const value = request.find(name)
    if (value === undefined || (wanted !== '*' && value !== wanted)) return false
  }
  return true
}

/** Nearly every request names the host that the one before it named. */
let lastAuthority = ''
let lastHost = ''

/** The host of an authority for matching: lower case, without port and final dot. */
export function hostOf(authority: string): string {
  if (authority === lastAuthority) return lastHost
  lastHost = readHost(authority)
  lastAuthority = authority
  return lastHost
}

function readHost(authority: string): string {
  const end = authority.charCodeAt(0) === 91 ? authority.indexOf(']') + 1 : authority.indexOf(':')
  let host = end <= 0 ? authority : authority.slice(0, end)
  if (host.endsWith('.')) host = host.slice(0, -1)
  return host.toLowerCase()
}

/** Does the path need `normalisePath`: dot segments, percent-encodings or a backslash? */
export function needsNormalising(target: string): boolean {
  return target.includes('/.') || target.includes('%') || target.includes('\\')
}

const unreserved = /[A-Za-z0-9\-._~]/

/**
 * The path in one agreed form: percent-encoded unreserved characters decoded, other encodings in upper case, dot
 * segments resolved (RFC 3986 6.2.2). Null when it is malformed: a broken encoding, an encoded NUL, a backslash (some
 * servers read it as a slash), or dots that lead above the root.
 */
export function normalisePath(path: string): string | null {
  if (path.includes('\\') || /%(?![0-9A-Fa-f]{2})|%00|%5[cC]/.test(path)) return null
  const decoded = path.replace(/%([0-9A-Fa-f]{2})/g, (all, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return unreserved.test(character) ? character : all.toUpperCase()
  })
  if (!decoded.includes('/.')) return decoded
  const out: string[] = []
  const parts = decoded.split('/').slice(1)
  for (const [at, part] of parts.entries()) {
    const last = at === parts.length - 1
    if (part === '..') {
      if (out.pop() === undefined) return null
      if (last) out.push('')
    } else if (part !== '.') out.push(part)
    else if (last) out.push('')
  }
  return `/${out.join('/')}`
}
