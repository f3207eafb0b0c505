// Reads that see a user's own writes, whichever instance serves them: an instance that wrote says how far its database
// was (`Tenfold-After: 3/16B374D848`); the edge keeps that in a cookie and gives it to the instances of the user's next
// requests under the same name. What clients send under that name themselves is dropped, and a cookie that has not the
// shape of a token is nothing. Routes without `causal` have none of it. Knows no database: a token is compared, never used.

import { laterToken, parseToken } from '../policy/read-token.ts'
import { fieldId } from '../wire/fields.ts'
import type { Http1ResponseHead } from '../wire/http1/index.ts'
import type { Exchange } from './exchange.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { ResponseSink, ResponseStep } from './response-sink.ts'
import type { HeaderRules, RouteSpec } from './snapshot.ts'
import { cookieValue } from './sticky.ts'

const fieldName = 'tenfold-after'
const cookieName = 'tenfold_after'
/** After it every replica that is worth reading from has the write. */
const cookieSeconds = 60

/** Towards instances and towards clients the field is ours. */
export function withoutToken(rules: HeaderRules | undefined): HeaderRules {
  return { ...rules, remove: [...(rules?.remove ?? []), fieldName] }
}

export function causalGates({ causal }: RouteSpec): Gate[] {
  return causal === true ? [new CausalGate()] : []
}

export function causalStep({ causal }: RouteSpec, inner: ResponseStep | null): ResponseStep | null {
  return causal === true ? new CausalStep(inner) : inner
}

/** The token of the request's cookie; '' when there is none. */
function tokenOf({ head }: Exchange): string {
  const cookies = head.value(fieldId.cookie)
  const value = cookies === undefined ? undefined : cookieValue(cookies, cookieName)
  return value === undefined || parseToken(value) === null ? '' : value
}

class CausalGate implements Gate {
  readonly name = 'causal'

  enter(exchange: Exchange): number {
    const token = tokenOf(exchange)
    if (token !== '') {
      const edits = exchange.requestEdits
      const add = `Tenfold-After: ${token}\r\n`
      exchange.requestEdits = { drop: edits?.drop ?? [], add: edits === null ? add : edits.add + add }
    }
    return gateAnswer.pass
  }
}

class CausalStep implements ResponseStep {
  readonly #inner: ResponseStep | null

  constructor(inner: ResponseStep | null) {
    this.#inner = inner
  }

  begin(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    const given = head.find(fieldName)
    if (given !== undefined && parseToken(given) !== null) {
      const before = tokenOf(exchange)
      const token = laterToken(before, given)
      // One that the client has further is younger as well, and lives longer.
      if (token === given) exchange.extraFields += cookieLine(token, cameSecurely(exchange))
    }
    return this.#inner === null ? null : this.#inner.begin(exchange, head)
  }
}

/** Over plain HTTP browsers keep no Secure cookie; nothing in it is secret. */
function cookieLine(token: string, secure: boolean): string {
  const only = secure ? '; Secure' : ''
  return `Set-Cookie: ${cookieName}=${token}; Path=/; Max-Age=${cookieSeconds}; HttpOnly; SameSite=Lax${only}\r\n`
}

function cameSecurely({ client, head }: Exchange): boolean {
  if (client === null) return false
  return client.tls !== null || (client.trusted && head.value(fieldId['x-forwarded-proto']) === 'https')
}
