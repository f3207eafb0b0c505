// What a route does where it does not pass the request to instances: redirects, fixed answers, files. Compiled once with
// the snapshot; `run` answers the exchange, at once or in pieces, and never throws.

import { hostOf } from '../policy/route.ts'
import type { Exchange } from './exchange.ts'
import type { RouteAction } from './snapshot.ts'

export interface CompiledAction {
  run(exchange: Exchange): void
}

export function redirectAction(
  spec: Extract<RouteAction, { kind: 'redirect' }>,
  added: string,
): CompiledAction {
  return {
    run(exchange) {
      const location = spec.location
        .replaceAll('{host}', () => hostOf(exchange.head.authority))
        .replaceAll('{uri}', () => exchange.target)
      const fields = `Location: ${location}\r\nContent-Length: 0\r\n${added}${exchange.extraFields}`
      exchange.respond(spec.status, fields, '')
    },
  }
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
