// What a route does where it does not pass the request to instances: redirects, fixed answers, files. Compiled once with
// the snapshot; `run` answers the exchange, at once or in pieces, and never throws.

import { hostOf } from '../policy/route.ts'
import type { CompiledRoute, CompiledSnapshot } from './compile.ts'
import type { Exchange } from './exchange.ts'
import type { RouteAction } from './snapshot.ts'

export interface CompiledAction {
  run(exchange: Exchange): void
}

/**
 * `{host}`, `{path}`, `{query}` (with its `?`, or nothing), `{uri}` (both), `{rest}` (what a final `*` matched, without
 * leading slashes: `/{rest}` must not lead to another host) and `{name}` for a `:name` of the route's path.
 */
const placeholder = /\{(\w+)\}/

export function redirectAction(
  spec: Extract<RouteAction, { kind: 'redirect' }>,
  added: string,
): CompiledAction {
  const parts = spec.location.split(placeholder)
  const toOtherHost = /^(?:https?:)?\/\//.test(spec.location)
  return {
    run(exchange) {
      // Every second part is a placeholder's name.
      const filled = parts
        .map((part, at) => (at % 2 === 0 ? part : (placeholderValue(exchange, part) ?? `{${part}}`)))
        .join('')
      // A path stays one: `//elsewhere` would be another host.
      const location = toOtherHost ? filled : filled.replace(/^[/\\]{2,}/, '/')
      const fields = `Location: ${location}\r\nContent-Length: 0\r\n${added}${exchange.extraFields}`
      exchange.respond(spec.status, fields, '')
    },
  }
}

function placeholderValue(exchange: Exchange, name: string): string | undefined {
  const { path, target } = exchange
  switch (name) {
    case 'host':
      return hostOf(exchange.head.authority)
    case 'uri':
      return target
    case 'path':
      return path
    case 'query':
      return target.slice(path.length)
    case 'rest':
      return restOf(path, (exchange.route as CompiledRoute).spec.match.path)
    default: {
      const { table } = exchange.snapshot as CompiledSnapshot
      return table.parameter((exchange.route as CompiledRoute).index, path, name)
    }
  }
}

/** What the final `*` of a pattern took. */
function restOf(path: string, pattern: string): string {
  if (!pattern.endsWith('/*')) return ''
  const segments = pattern.split('/').length - 1
  return path.split('/').slice(segments).join('/').replace(/^\/+/, '')
}

export function respondAction(
  spec: Extract<RouteAction, { kind: 'respond' }>,
  added: string,
): CompiledAction {
  // Neither has a body (RFC 9112 6.3): one that was sent would be taken for the next answer.
  const bodiless = spec.status === 204 || spec.status === 304
  const bytes = Buffer.from(spec.body)
  const body = bodiless ? '' : bytes.latin1Slice()
  const described = `Content-Type: ${spec.contentType}\r\nContent-Length: ${bytes.length}\r\n`
  const fields = (bodiless ? '' : described) + added
  return {
    run: exchange => exchange.respond(spec.status, fields + exchange.extraFields, body),
  }
}
