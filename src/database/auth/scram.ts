// SCRAM-SHA-256 (RFC 5802, RFC 7677): keys of a password, proofs, and the attributes that its messages are made of.
// Knows no roles: `client-login.ts` and `server-login.ts` hold the conversations.

import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { preparedPassword } from './password.ts'

export const mechanism = 'SCRAM-SHA-256'
/** PostgreSQL's default (scram_iterations). */
export const iterationsDefault = 4_096
export const keyBytes = 32

/** What PostgreSQL keeps of a password, and enough to check a proof; the password can't be had from it. */
export interface ScramVerifier {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** What it takes to log in without the password: `ClientKey` proves, `serverKey` checks the server. */
export interface ScramKeys {
  readonly clientKey: Buffer
  readonly serverKey: Buffer
}

/** RFC 5802 3. Costs about 0.5 us an iteration: 2 ms for 4,096. */
export function keysOf(password: string, salt: Buffer, iterations: number): ScramKeys {
  const salted = pbkdf2Sync(preparedPassword(password), salt, iterations, keyBytes, 'sha256')
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') }
}

export function verifierOf(password: string, salt: Buffer, iterations: number): ScramVerifier {
  const { clientKey, serverKey } = keysOf(password, salt, iterations)
  return { salt, iterations, storedKey: hash(clientKey), serverKey }
}

/** As pg_authid.rolpassword has it: what CREATE ROLE ... PASSWORD takes, so that the password itself is in no log. */
export function verifierText({ salt, iterations, storedKey, serverKey }: ScramVerifier): string {
  const salted = `${iterations}:${salt.toString('base64')}`
  return `${mechanism}$${salted}$${storedKey.toString('base64')}:${serverKey.toString('base64')}`
}

/** ClientKey XOR HMAC(StoredKey, AuthMessage). */
export function clientProof(clientKey: Buffer, authMessage: string): Buffer {
  return xor(clientKey, hmac(hash(clientKey), authMessage))
}

export function serverSignature(serverKey: Buffer, authMessage: string): Buffer {
  return hmac(serverKey, authMessage)
}

/** Takes the same time whatever the proof is. */
export function isProof(verifier: ScramVerifier, authMessage: string, proof: Buffer): boolean {
  if (proof.length !== keyBytes) return false
  const clientKey = xor(proof, hmac(verifier.storedKey, authMessage))
  return timingSafeEqual(hash(clientKey), verifier.storedKey)
}

export function hmac(key: Buffer, text: string | Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

export function hash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] as number)))
}

/** RFC 5802 7: printable ASCII but the comma. */
export function isNonce(text: string): boolean {
  return text.length > 0 && text.length <= 256 && /^[!-+\--~]+$/.test(text)
}

/** Exactly base64 as it is written; null: anything else. */
export function base64Bytes(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : null
}

/** `r=abc,s=def,...`: the values of exactly these attributes in this order, then what may follow (extensions). */
export function attributes(text: string, names: string): readonly string[] | null {
  const parts = text.split(',')
  if (parts.length < names.length) return null
  const values = [...names].map((name, index) => {
    const part = parts[index] as string
    return part.startsWith(`${name}=`) ? part.slice(2) : null
  })
  return values.includes(null) ? null : (values as string[])
}
