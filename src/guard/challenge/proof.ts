// Proof of work with ALTCHA's parameters (altcha-lib, widget 3): issuing costs one derived key, checking one HMAC. A
// challenge is signed whole, says for whom, for what and until when it is good, and its id is spent by whoever checks it
// (`spent.ts`): the library does not. Everything that a client sends is read by a strict shape first; what does not fit
// is refused before any of it reaches the library.

import { randomInt } from 'node:crypto'
import { type Challenge, createChallenge, verifySolution } from 'altcha-lib'
import { deriveKey } from 'altcha-lib/algorithms/pbkdf2'
import type { ChallengeKeys } from './keys.ts'

const algorithm = 'PBKDF2/SHA-256'
/** Rounds of one key: 0.25 ms of a core natively; browsers need about twice that with their own overhead. */
const rounds = 1_000
const keyLength = 32
/** The number that is looked for lies within this share around the expected cost, so nobody waits very long. */
const spread = 0.5
const counterMax = 0xffff_ffff
/** Of the field: ours have about 900 characters. */
export const payloadCharsMax = 4_096

/** What a challenge is bound to. */
export interface ProofSubject {
  /** `clientBinding`. */
  readonly client: string
  /** `page`, or what an app calls its form. */
  readonly action: string
  /** Host that was asked. */
  readonly host: string
  /** Edge process that issued it; '' = any that shares the spent ones. */
  readonly maker: string
  /** 0-100: who solves it is cleared up to a little more. */
  readonly risk: number
}

export interface SolvedProof {
  readonly id: string
  readonly expiresAtMs: number
  readonly risk: number
}

export type ProofFailure =
  | 'malformed'
  | 'expired'
  | 'forged'
  | 'unsolved'
  | 'other-client'
  | 'other-action'
  | 'other-host'
  | 'other-edge'

export async function issueProof(
  keys: ChallengeKeys,
  subject: ProofSubject,
  cost: number,
  expiresAtMs: number,
): Promise<Challenge> {
  const least = Math.max(1, Math.floor(cost * (1 - spread)))
  const most = Math.min(counterMax, Math.max(least + 1, Math.ceil(cost * (1 + spread))))
  return await createChallenge({
    algorithm,
    cost: rounds,
    keyLength,
    counter: randomInt(least, most),
    expiresAt: Math.floor(expiresAtMs / 1_000),
    data: { ...subject },
    deriveKey,
    hmacSignatureSecret: keys.proof,
    hmacKeySignatureSecret: keys.proofAnswer,
  })
}

/** Whether it is solved, by whom it should be, for this action. Says nothing about being used before. */
export async function checkProof(
  keys: ChallengeKeys,
  text: string,
  wanted: Omit<ProofSubject, 'risk'>,
  nowMs: number,
): Promise<SolvedProof | ProofFailure> {
  const payload = readPayload(text)
  if (payload === null) return 'malformed'
  const { parameters } = payload.challenge
  const result = await verifySolution({
    challenge: payload.challenge,
    solution: payload.solution,
    deriveKey,
    hmacSignatureSecret: keys.proof,
    hmacKeySignatureSecret: keys.proofAnswer,
  })
  if (result.expired) return 'expired'
  if (result.invalidSignature !== false) return 'forged'
  // Signed from here on. The limit is ours too: the library lets a challenge without one live for ever.
  if (parameters.algorithm !== algorithm || parameters.keySignature === undefined) return 'forged'
  if (nowMs > parameters.expiresAt * 1_000) return 'expired'
  const { data } = parameters
  if (data.maker !== wanted.maker) return 'other-edge'
  if (data.client !== wanted.client) return 'other-client'
  if (data.host !== wanted.host) return 'other-host'
  if (data.action !== wanted.action) return 'other-action'
  if (result.verified !== true) return 'unsolved'
  return { id: parameters.nonce, expiresAtMs: parameters.expiresAt * 1_000, risk: data.risk }
}

interface Payload {
  readonly challenge: {
    readonly parameters: {
      readonly algorithm: string
      readonly nonce: string
      readonly salt: string
      readonly cost: number
      readonly keyLength: number
      readonly keyPrefix: string
      readonly keySignature: string
      readonly expiresAt: number
      readonly data: { maker: string; client: string; host: string; action: string; risk: number }
    }
    readonly signature: string
  }
  readonly solution: { readonly counter: number; readonly derivedKey: string }
}

type Reader = (value: unknown) => boolean

const hex =
  (bytes: number): Reader =>
  value =>
    typeof value === 'string' && value.length === bytes * 2 && /^[0-9a-f]+$/.test(value)
const whole =
  (least: number, most: number): Reader =>
  value =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
const text: Reader = value => typeof value === 'string' && value.length <= 256
const shape =
  (fields: Readonly<Record<string, Reader>>): Reader =>
  value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const names = Object.keys(value)
    const wanted = Object.keys(fields)
    return (
      names.length === wanted.length &&
      wanted.every(
        name =>
          Object.hasOwn(value, name) && fields[name]?.((value as Record<string, unknown>)[name]) === true,
      )
    )
  }

const isChallenge = shape({
  parameters: shape({
    algorithm: value => value === algorithm,
    nonce: hex(16),
    salt: hex(16),
    cost: whole(rounds, rounds),
    keyLength: whole(keyLength, keyLength),
    keyPrefix: hex(keyLength / 2),
    keySignature: hex(32),
    expiresAt: whole(1, counterMax),
    data: shape({ maker: text, client: text, host: text, action: text, risk: whole(0, 100) }),
  }),
  signature: hex(32),
})

function isSolution(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { time, ...rest } = value as Record<string, unknown>
  if (time !== undefined && typeof time !== 'number') return false
  return shape({ counter: whole(0, counterMax), derivedKey: hex(keyLength) })(rest)
}

/** Base64 of JSON, as the widget writes it into its field. */
function readPayload(given: string): Payload | null {
  if (given.length > payloadCharsMax || !/^[\w+/-]+={0,2}$/.test(given)) return null
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(given, 'base64').toString('utf8'))
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { challenge, solution } = value as Record<string, unknown>
  return isChallenge(challenge) && isSolution(solution) ? (value as Payload) : null
}
