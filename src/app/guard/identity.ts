// Who is asking? The edge has verified it and says so, signed, in the field `Tenfold-Identity` of each request of a route
// that requires somebody. What is missing, not signed, too old or of another request means nobody. Asks nobody anything.

import { createHmac } from 'node:crypto'
import { Failure } from '../../kit/failure.ts'
import { type IdentityClaims, identityField, readIdentity } from '../../wire/identity-header.ts'
import { humanFailures } from './failures.ts'
import { type HumanRequest, seenRequest } from './requests.ts'

export interface IdentityOptions {
  /** Base64url; `TENFOLD_GUARD_KEY` when absent. */
  readonly key?: string
}

/** What a handler needs; each absent wish is none. */
export interface IdentityWish {
  /** All of them. */
  readonly scopes?: readonly string[]
  /** Each claim must be, or hold, one of its values. */
  readonly claims?: Readonly<Record<string, readonly string[]>>
  /** Ways to say who one is that count: `jwt`, `oidc`, `key`, `basic`, `mtls`, or one of the file: `jwt:staff`. */
  readonly by?: readonly string[]
}

export interface Identity {
  /** `jwt:staff`; `mtls`. */
  readonly by: string
  readonly subject: string
  readonly scopes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

export type IdentityResult =
  | { readonly known: true; readonly identity: Identity }
  | {
      readonly known: false
      /** `no-identity`, `by`, `scope` or `claim`. */
      readonly reason: string
      /** What to answer with: 401 for nobody, 403 for somebody who may not. */
      readonly status: 401 | 403
    }

const keyBytes = 32
const no = (reason: string, status: 401 | 403 = 403): IdentityResult => ({ known: false, reason, status })

export class Identities {
  readonly #key: Buffer

  /** @throws Failure without a key */
  constructor({ key = process.env.TENFOLD_GUARD_KEY ?? '' }: IdentityOptions = {}) {
    this.#key = Buffer.from(key, 'base64url')
    if (this.#key.length !== keyBytes)
      throw new Failure(
        humanFailures.keyMissing,
        'There is no TENFOLD_GUARD_KEY of 32 bytes (base64url), and no option `key`.',
      )
  }

  verify(request: HumanRequest, wish: IdentityWish = {}): IdentityResult {
    const seen = seenRequest(request)
    const mac = (text: string): string =>
      createHmac('sha256', this.#key).update(text, 'utf8').digest('base64url')
    const told = readIdentity(seen.field(identityField) ?? '', Date.now(), mac)
    const id = seen.field('x-request-id')
    // Proxies in between may copy fields to requests of their own.
    if (told === null || told.method !== seen.method || (id !== undefined && id !== told.rid))
      return no('no-identity', 401)
    return judged(told, wish)
  }
}

function judged(told: IdentityClaims, { by, scopes = [], claims = {} }: IdentityWish): IdentityResult {
  const way = told.source === '' ? told.by : `${told.by}:${told.source}`
  if (by !== undefined && !by.includes(told.by) && !by.includes(way)) return no('by')
  if (!scopes.every(scope => told.scopes.includes(scope))) return no('scope')
  const holds = ([name, values]: [string, readonly string[]]): boolean => {
    const claim = Object.hasOwn(told.claims, name) ? told.claims[name] : undefined
    const all: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
    return all.some(
      one => ['string', 'number', 'boolean'].includes(typeof one) && values.includes(String(one)),
    )
  }
  if (!Object.entries(claims).every(holds)) return no('claim')
  return {
    known: true,
    identity: { by: way, subject: told.sub, scopes: told.scopes, claims: told.claims },
  }
}
