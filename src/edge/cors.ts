// Cross-origin requests (the Fetch standard's CORS protocol) where a route allows them: preflights are answered here and
// never reach an instance; other answers, the edge's own errors too, get the fields that let a page read them. What an
// instance says about CORS itself is dropped (compile.ts): one place decides. Refuses no request but a preflight: whether
// a page may read an answer is the browser's to enforce.

import type { Exchange } from './exchange.ts'
import { clientFailures } from './failures.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { CorsSpec, RouteSpec } from './snapshot.ts'

/** Set by the edge alone on routes with CORS. */
export const corsFields: readonly string[] = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-expose-headers',
  'access-control-max-age',
  'access-control-allow-private-network',
]

const preflightVary = 'Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n'
/** Scheme and host as browsers write them: no path, no user, nothing that could lengthen a suffix. */
const originForm = /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/
const tokenForm = /^[\w!#$%&'*+.^`|~-]{1,100}$/
const askedHeadersMax = 100

/** Which origins a list allows: exact ones, `https://*.example` for every name below it, `*` for any. */
export function originRule(origins: readonly string[]): (origin: string) => boolean {
  if (origins.includes('*')) return () => true
  const exact = new Set(origins.filter(origin => !origin.includes('*')))
  const below = origins
    .filter(origin => origin.includes('://*.'))
    .map(origin => {
      const star = origin.indexOf('*')
      return { start: origin.slice(0, star), end: origin.slice(star + 1) }
    })
  return origin =>
    exact.has(origin) ||
    (originForm.test(origin) &&
      below.some(
        ({ start, end }) =>
          origin.startsWith(start) && origin.endsWith(end) && origin.length > start.length + end.length,
      ))
}

export function corsGates({ cors }: RouteSpec): Gate[] {
  return cors === undefined ? [] : [new CorsGate(cors)]
}

class CorsGate implements Gate {
  readonly name = 'cors'
  readonly #spec: CorsSpec
  readonly #allows: (origin: string) => boolean
  /** The same for every origin: caches need not tell them apart. */
  readonly #any: boolean
  /** Of answers that are no preflight's, after the origin. */
  readonly #shared: string

  constructor(spec: CorsSpec) {
    this.#spec = spec
    this.#any = spec.origins.includes('*') && !spec.credentials
    this.#allows = originRule(spec.origins)
    const expose = spec.exposeHeaders.join(', ')
    this.#shared = expose === '' ? '' : `Access-Control-Expose-Headers: ${expose}\r\n`
  }

  enter(exchange: Exchange): number {
    const { head } = exchange
    const origin = head.find('origin')
    const method = head.method === 'OPTIONS' ? head.find('access-control-request-method') : undefined
    if (origin !== undefined && method !== undefined) return this.#preflight(exchange, origin, method)
    if (!this.#any) exchange.extraFields += 'Vary: Origin\r\n'
    if (origin !== undefined && this.#allows(origin))
      exchange.extraFields += this.#originFields(origin) + this.#shared
    return gateAnswer.pass
  }

  #originFields(origin: string): string {
    const allowed = `Access-Control-Allow-Origin: ${this.#any ? '*' : origin}\r\n`
    return this.#spec.credentials ? `${allowed}Access-Control-Allow-Credentials: true\r\n` : allowed
  }

  #preflight(exchange: Exchange, origin: string, method: string): number {
    if (!this.#allows(origin)) {
      exchange.extraFields += preflightVary
      exchange.refusal = clientFailures.originNotAllowed
      return gateAnswer.refuse
    }
    const { methods, maxAgeSeconds } = this.#spec
    const asked = exchange.head.find('access-control-request-headers') ?? ''
    const allowed = allowedOf(methods, tokenForm.test(method) ? [method] : [])
    const headers = allowedOf(this.#spec.requestHeaders, tokensOf(asked))
    const fields =
      this.#originFields(origin) +
      (allowed === '' ? '' : `Access-Control-Allow-Methods: ${allowed}\r\n`) +
      (headers === '' ? '' : `Access-Control-Allow-Headers: ${headers}\r\n`) +
      `Access-Control-Max-Age: ${maxAgeSeconds}\r\n`
    exchange.respond(204, fields + preflightVary + exchange.extraFields, '')
    return gateAnswer.taken
  }
}

/** A list with `*` allows what is asked for, named: with credentials browsers take `*` for a name (Fetch 3.2.5). */
function allowedOf(list: readonly string[], asked: readonly string[]): string {
  return (list.includes('*') ? asked : list).join(', ')
}

function tokensOf(list: string): string[] {
  return list
    .split(',', askedHeadersMax)
    .map(name => name.trim())
    .filter(name => tokenForm.test(name))
}
