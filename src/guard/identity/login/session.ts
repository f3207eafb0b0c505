// A session of ours: who logged in, what the rules may know of it, until when. It lives in a sealed cookie and nowhere
// else; that it was ended is kept in memory that all workers share. No token of the provider's is in it.

import { randomBytes } from 'node:crypto'
import { deriveKey } from '../../keys.ts'
import type { LoginSpec } from './login-spec.ts'
import { seal, sealedCharsMax, unseal } from './seal.ts'

export interface LoginSession {
  readonly id: string
  readonly sub: string
  readonly scopes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  /** Wall clock, milliseconds: when it ends, whatever happens. */
  readonly endsAtMs: number
  readonly seenAtMs: number
}

/** What a browser keeps between being sent to the provider and coming back. */
export interface LoginFlow {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly to: string
  readonly origin: string
  readonly untilMs: number
}

const idBytes = 18
/** Seals what is in browsers, for one login of the file. */
export class LoginSeals {
  readonly #sessionKey: Buffer
  readonly #flowKey: Buffer
  readonly #context: string
  readonly #idleMs: number

  constructor(secretKey: string, name: string, spec: LoginSpec) {
    this.#sessionKey = deriveKey(secretKey, 'login session')
    this.#flowKey = deriveKey(secretKey, 'login flow')
    this.#context = JSON.stringify([name, spec.issuer, spec.clientId])
    this.#idleMs = spec.idleMs
  }

  /** Null: longer than a cookie may be. */
  session(session: LoginSession): string | null {
    const { id, sub, scopes, claims, endsAtMs, seenAtMs } = session
    const text = seal(this.#sessionKey, this.#context, {
      i: id,
      s: sub,
      o: scopes,
      c: claims,
      e: endsAtMs,
      u: seenAtMs,
    })
    return text.length <= sealedCharsMax ? text : null
  }

  /** Null: not ours, or over. */
  openSession(text: string, nowMs: number): LoginSession | null {
    const value = unseal(this.#sessionKey, this.#context, text)
    if (value === null) return null
    const { i, s, o, c, e, u } = value as {
      i: string
      s: string
      o: string[]
      c: object
      e: number
      u: number
    }
    if (nowMs >= e || nowMs >= u + this.#idleMs) return null
    return {
      id: i,
      sub: s,
      scopes: o,
      claims: c as Readonly<Record<string, unknown>>,
      endsAtMs: e,
      seenAtMs: u,
    }
  }

  flow(flow: LoginFlow): string {
    return seal(this.#flowKey, this.#context, flow)
  }

  openFlow(text: string, nowMs: number): LoginFlow | null {
    const flow = unseal(this.#flowKey, this.#context, text) as LoginFlow | null
    return flow === null || nowMs > flow.untilMs ? null : flow
  }
}

export const randomId = (): string => randomBytes(idBytes).toString('base64url')
