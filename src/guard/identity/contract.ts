// What the ways to say who one is have in common: signed tokens, logins, API keys, passwords, client certificates. A
// verifier looks at what a request carries of its kind; the step (step.ts) asks those that the policy names, in order,
// and what one of them verified is what the visit, the instances and the rules after it believe.

import type { Passage } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'

export type IdentityMethod = 'jwt' | 'oidc' | 'key' | 'basic' | 'mtls'

/** Somebody, proved. Never a credential. */
export interface VerifiedIdentity {
  readonly method: IdentityMethod
  /** Its name in `guard.identity`: `staff` of `jwt:staff`; '' for `mtls`. */
  readonly source: string
  /** Who: `sub` of a token, name of a key's holder, user name, subject of a certificate. */
  readonly subject: string
  readonly scopes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  /** Wall clock, milliseconds: not believed after it. */
  readonly untilMs: number
}

/** What was carried proves nothing. `text` is for explanations and the log: never the credential, nor any part of it. */
export interface IdentityFault {
  /** Stable: `expired`, `signature`, `audience`, `unknown-key`, `malformed`, `outage`. */
  readonly reason: string
  readonly text: string
  /** Nothing is wrong with the client: what verifies is out of reach (503, not 401). */
  readonly outage?: boolean
}

/** Null: the request carries nothing of this kind. */
export type IdentityAnswer = VerifiedIdentity | IdentityFault | null

export interface IdentityVerifier {
  readonly method: IdentityMethod
  readonly source: string
  /** Answers at once, or gives `pending` and calls `done` once, later. Never throws. */
  verify(
    passage: Passage,
    visit: GuardVisit,
    done: (answer: IdentityAnswer) => void,
  ): IdentityAnswer | 'pending'
  /** `WWW-Authenticate` of a 401 without its name: `Bearer realm="api"`; null: this kind has none. */
  challenge(fault: IdentityFault | null): string | null
  /** Where people can log in: told in the body of a 401. */
  readonly loginPath?: string
  /**
   * A browser that asks for a page and carries nothing of this kind: an answer of its own instead of the 401 (a redirect
   * to the login). True when it has answered.
   */
  invite?(passage: Passage, visit: GuardVisit): boolean
  close?(): Promise<void>
}
