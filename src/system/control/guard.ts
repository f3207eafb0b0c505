// Who may ask the control API: Host header (against DNS rebinding), Origin (against other sites' pages) and the token's
// scope. Pure decisions over what a request carries; the server obeys them.

import { Failure } from '../../kit/failure.ts'
import { systemFailures } from '../failures.ts'
import type { Scope } from './contract.ts'
import { allows, type Tokens } from './tokens.ts'

/**
 * A page of another site can point its own name at our address, but it can't make the browser send another Host. So
 * names are only accepted when they mean the loopback; an IP address was typed by whoever wanted us.
 */
export function refuseHost(hostHeader: string | undefined, listenHost: string): Failure | null {
  const host = hostWithoutPort(hostHeader ?? '')
  if (host === 'localhost' || isLoopback(host) || host === listenHost) return null
  const wildcard = listenHost === '0.0.0.0' || listenHost === '::'
  if (wildcard && isIpAddress(host)) return null
  return new Failure(
    systemFailures.hostRefused,
    `The Host header '${hostHeader ?? ''}' does not name this control API; use an address such as 127.0.0.1.`,
  )
}

export function refuseOrigin(origin: string | undefined, hostHeader: string | undefined): Failure | null {
  if (origin === undefined || origin === `http://${hostHeader}`) return null
  return new Failure(
    systemFailures.forbidden,
    `Requests from the origin '${origin}' are refused: only pages that this control API served itself may ask.`,
    { details: { remedy: 'Call the control API from outside a browser, without an Origin header.' } },
  )
}

export function refuseToken(
  authorization: string | undefined,
  needs: Scope,
  tokens: Pick<Tokens, 'scopeOf'>,
): Failure | null {
  if (needs === 'none') return null
  const presented = /^Bearer +([\x21-\x7e]{1,500})$/i.exec(authorization ?? '')?.[1]
  const scope = presented === undefined ? null : tokens.scopeOf(presented)
  if (scope === null) {
    const what = authorization === undefined ? 'carries no token' : 'carries a token that is not valid'
    return new Failure(systemFailures.unauthorized, `The request ${what}.`)
  }
  if (allows(scope, needs)) return null
  return new Failure(
    systemFailures.forbidden,
    `The token has the scope '${scope}', this operation needs '${needs}'.`,
  )
}

function hostWithoutPort(header: string): string {
  const bracketed = /^\[([0-9a-f:.]+)\](?::\d+)?$/i.exec(header)
  return (bracketed?.[1] ?? header.replace(/:\d+$/, '')).toLowerCase()
}

function isLoopback(host: string): boolean {
  return host === '::1' || (isIpAddress(host) && host.startsWith('127.'))
}

/** Shape only: what looks like an address is not resolved by a browser, so it can't be pointed elsewhere. */
function isIpAddress(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || (host.includes(':') && /^[0-9a-f:.]+$/.test(host))
}
