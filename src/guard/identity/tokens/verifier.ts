// Tokens that others signed: read strictly (form.ts), verified by jose with the issuer's keys (key-set.ts), remembered by
// hash until they expire. Few signatures are checked at once: a flood of wrong ones is shed, what is remembered passes.

import { errors, jwtVerify } from 'jose'
import type { CheckedJwt } from '../../../file/checked-guard.ts'
import type { Clock } from '../../../kit/clock.ts'
import type { Passage } from '../../passage.ts'
import type { GuardVisit } from '../../visit.ts'
import type { IdentityAnswer, IdentityFault, IdentityVerifier, VerifiedIdentity } from '../contract.ts'
import { carriedAt, keyPrefix, several } from '../credentials.ts'
import { nameOfToken, Remembered } from '../remembered.ts'
import { type Claims, readToken } from './form.ts'
import { type KeySet, keySetOf, Outage } from './key-set.ts'

/** Of a worker; signatures are checked in its pool of threads. */
const checksMax = 256
const refusedMs = 30_000
/** Verified again after this: keys may have been withdrawn. */
const believedMs = 300_000

const busy: IdentityFault = { reason: 'busy', text: 'Too many tokens are being verified.', outage: true }
const twice: IdentityFault = { reason: 'malformed', text: 'The request carries more than one token.' }
const signature: IdentityFault = { reason: 'signature', text: 'The signature of the token is not right.' }
const unknownKey: IdentityFault = {
  reason: 'unknown-key',
  text: 'The token names a key that its issuer does not have.',
}

export class TokenVerifier implements IdentityVerifier {
  readonly method = 'jwt'
  readonly source: string
  readonly #settings: CheckedJwt
  readonly #clock: Clock
  readonly #keys: KeySet
  readonly #remembered = new Remembered()
  #checks = 0
  /** Of the keys: what was begun with others is not remembered. */
  #generation = 0

  constructor(source: string, settings: CheckedJwt, secret: string, clock: Clock) {
    this.source = source
    this.#settings = settings
    this.#clock = clock
    this.#keys = keySetOf(settings, secret, clock, () => {
      this.#generation++
      this.#remembered.clear()
    })
  }

  start(): Promise<void> {
    return this.#keys.start()
  }

  verify(
    { head }: Passage,
    _visit: GuardVisit,
    done: (answer: IdentityAnswer) => void,
  ): IdentityAnswer | 'pending' {
    const token = carriedAt(head, this.#settings.from)
    if (token === null) return null
    if (token === several) return twice
    if (this.#settings.from.by === 'bearer' && token.startsWith(keyPrefix)) return null
    const nowMs = this.#nowMs()
    const name = nameOfToken(token)
    const known = this.#remembered.get(name, nowMs)
    if (known !== null) return known
    const read = readToken(token, this.#settings, nowMs)
    if ('reason' in read) return read
    if (this.#checks >= checksMax) return busy
    void this.#check(token, name, done)
    return 'pending'
  }

  async #check(token: string, name: string, done: (answer: IdentityAnswer) => void): Promise<void> {
    const generation = this.#generation
    this.#checks++
    const answer = await this.#judge(token)
    this.#checks--
    const mayRemember = generation === this.#generation && !('outage' in answer) && answer !== unknownKey
    const nowMs = this.#nowMs()
    const forMs = 'method' in answer ? believedMs : refusedMs
    const untilMs = 'method' in answer ? Math.min(nowMs + forMs, answer.untilMs) : nowMs + forMs
    if (mayRemember) this.#remembered.set(name, answer, untilMs)
    done(answer)
  }

  async #judge(token: string): Promise<VerifiedIdentity | IdentityFault> {
    const { issuer, audience, algorithms, clockToleranceMs } = this.#settings
    try {
      const { payload } = await jwtVerify(token, this.#keys.keyFor, {
        issuer,
        audience: [...audience],
        algorithms: [...algorithms],
        clockTolerance: clockToleranceMs / 1_000,
        currentDate: new Date(this.#nowMs()),
        requiredClaims: ['exp', 'sub'],
      })
      return this.#somebody(payload)
    } catch (error) {
      return faultOf(error)
    }
  }

  #somebody(claims: Claims): VerifiedIdentity {
    return {
      method: 'jwt',
      source: this.source,
      subject: String(claims.sub),
      scopes: scopesOf(claims),
      claims,
      untilMs: Number(claims.exp) * 1_000 + this.#settings.clockToleranceMs,
    }
  }

  #nowMs(): number {
    return this.#clock.wall() / 1_000
  }

  /** RFC 6750 3. */
  challenge(fault: IdentityFault | null): string | null {
    if (this.#settings.from.by !== 'bearer') return null
    return fault === null
      ? 'Bearer realm="api"'
      : `Bearer realm="api", error="invalid_token", error_description="${fault.text.replaceAll(/["\\]/g, "'")}"`
  }

  async close(): Promise<void> {
    this.#keys.close()
  }
}

/** `scope` is words (RFC 8693 4.2), `scp` of some issuers a list or words. */
function scopesOf({ scope, scp }: Claims): string[] {
  const said = scope ?? scp
  if (typeof said === 'string') return said.split(' ').filter(one => one !== '')
  return Array.isArray(said) ? said.filter(one => typeof one === 'string') : []
}

function faultOf(error: unknown): IdentityFault {
  if (error instanceof errors.JWSSignatureVerificationFailed) return signature
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return unknownKey
  if (error instanceof errors.JWTExpired) return { reason: 'expired', text: 'The token has expired.' }
  if (error instanceof errors.JWTClaimValidationFailed)
    return { reason: 'claims', text: `The token's '${error.claim}' is not right.` }
  if (error instanceof Outage || error instanceof errors.JWKSTimeout)
    return { reason: 'outage', text: `A token can't be verified: ${error.message}.`, outage: true }
  return { reason: 'signature', text: 'The token can not be verified with the keys of its issuer.' }
}
