// Cloudflare Turnstile's mandatory second half: a token from a browser is worth nothing until siteverify has said yes for
// one of our hostnames and for the action that it was got for. Whatever else comes (no answer, no JSON, a status that is not
// 200, an unknown shape) is not a yes. A call that failed on its way is repeated once, under the same idempotency key,
// so that a token which was redeemed by an answer that got lost is not taken for a used one.

import { randomUUID } from 'node:crypto'
import { HttpPoster } from '../../io/http-post.ts'
import type { GuardSpec } from '../part.ts'

export type TurnstileSpec = NonNullable<GuardSpec['challenge']['turnstile']>

/** What siteverify may say, and whether we have to tell the operator: those are not the client's doing. */
export const turnstileErrors: Readonly<Record<string, { ours: boolean; retry: boolean }>> = {
  'missing-input-secret': { ours: true, retry: false },
  'invalid-input-secret': { ours: true, retry: false },
  'missing-input-response': { ours: false, retry: false },
  'invalid-input-response': { ours: false, retry: false },
  'bad-request': { ours: true, retry: false },
  'timeout-or-duplicate': { ours: false, retry: false },
  'internal-error': { ours: false, retry: true },
}

export type TurnstileResult =
  | { readonly verified: true; readonly issuedAtMs: number }
  /** `away`: no answer that counts came; the client is not to blame. */
  | { readonly verified: false; readonly reason: string; readonly away: boolean }

const tokenCharsMax = 2_048
/** Documented life of a token. */
const tokenLifeMs = 300_000
const socketsMax = 16
const clockSkewMs = 30_000
/** Documented public ones, which let everybody or nobody pass. */
const testSecret = /^[123]x0{31}AA$/
const testSiteKey = /^[123]x0{20}(?:AA|AB|BB|FF)$/

export function usesTestKeys({ secret, siteKey }: Pick<TurnstileSpec, 'secret' | 'siteKey'>): boolean {
  return testSecret.test(secret) || testSiteKey.test(siteKey)
}

export class Turnstile {
  readonly #spec: TurnstileSpec
  readonly #poster = new HttpPoster(socketsMax)
  readonly #onTrouble: (reason: string) => void

  /** @param onTrouble hears of what an operator must mend. */
  constructor(spec: TurnstileSpec, onTrouble: (reason: string) => void) {
    this.#spec = spec
    this.#onTrouble = onTrouble
  }

  /** Never rejects. */
  async verify(token: string, action: string, address: string, nowMs: number): Promise<TurnstileResult> {
    if (token === '' || token.length > tokenCharsMax || !/^[\x21-\x7e]+$/.test(token)) return no('malformed')
    const key = randomUUID()
    const first = await this.#ask(token, address, key)
    const answer = first === null || first === 'again' ? await this.#ask(token, address, key) : first
    if (answer === null || answer === 'again') return { verified: false, reason: 'no-answer', away: true }
    return this.#judge(answer, action, nowMs)
  }

  /** Null: no answer that counts; `again`: siteverify asks for a repetition. */
  async #ask(token: string, address: string, key: string): Promise<Record<string, unknown> | 'again' | null> {
    const { secret, verifyUrl, timeoutMs } = this.#spec
    const body = JSON.stringify({ secret, response: token, remoteip: address, idempotency_key: key })
    try {
      const fields = { 'Content-Type': 'application/json', Accept: 'application/json' }
      const answer = await this.#poster.post(verifyUrl, fields, body, timeoutMs)
      // Errors come with 200 or 400 and JSON; anything else is not siteverify speaking.
      if (answer.status !== 200 && answer.status !== 400) return null
      const value: unknown = JSON.parse(answer.body)
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
      const told = value as Record<string, unknown>
      return told.success !== true && errorsOf(told).some(code => turnstileErrors[code]?.retry === true)
        ? 'again'
        : told
    } catch {
      return null
    }
  }

  #judge(answer: Record<string, unknown>, action: string, nowMs: number): TurnstileResult {
    if (answer.success !== true) {
      const errors = errorsOf(answer)
      const ours = errors.find(code => turnstileErrors[code]?.ours === true)
      if (ours !== undefined) this.#onTrouble(ours)
      return no(errors[0] ?? 'refused', ours !== undefined)
    }
    const { hostname, action: told, challenge_ts } = answer
    if (typeof hostname !== 'string' || !this.#spec.hostnames.includes(hostname.toLowerCase()))
      return no('other-hostname')
    if (told !== action) return no('other-action')
    const issuedAtMs = typeof challenge_ts === 'string' ? Date.parse(challenge_ts) : Number.NaN
    if (
      Number.isNaN(issuedAtMs) ||
      issuedAtMs < nowMs - tokenLifeMs - clockSkewMs ||
      issuedAtMs > nowMs + clockSkewMs
    )
      return no('stale')
    return { verified: true, issuedAtMs }
  }

  close(): void {
    this.#poster.close()
  }
}

function errorsOf(answer: Record<string, unknown>): string[] {
  const codes = answer['error-codes']
  return Array.isArray(codes) ? codes.slice(0, 8).filter(code => typeof code === 'string') : []
}

const no = (reason: string, away = false): TurnstileResult => ({ verified: false, reason, away })
