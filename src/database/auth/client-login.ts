// We are the server: a client proves by SCRAM-SHA-256 that it knows a password. One `ClientLogins` a process, one
// `ClientLogin` a connection: begin, client-first, client-final, done. Channel binding is not offered, because TLS ends
// here and not at PostgreSQL.
//
// Whether a user exists can't be told from the conversation: the salt of every user, known or not, comes from the name
// and a secret of the process, and an unknown user's proof is checked against keys that no password has.

import { randomBytes } from 'node:crypto'
import { readSaslInitialResponse } from '../../wire/postgres/frontend.ts'
import { authentication, sqlState } from '../../wire/postgres/index.ts'
import { authenticationOk, authenticationRequest } from '../../wire/postgres/write-backend.ts'
import type { ClientLogin, LoginStep } from './contract.ts'
import {
  attributes,
  base64Bytes,
  hmac,
  isNonce,
  isProof,
  iterationsDefault,
  keyBytes,
  mechanism,
  type ScramVerifier,
  serverSignature,
  verifierOf,
} from './scram.ts'

const saltBytes = 16
/** PostgreSQL's own are 18 bytes. */
const nonceBytes = 18
const verifiersMax = 4_096

export class ClientLogins {
  readonly #secret = randomBytes(keyBytes)
  /** By user and password; the oldest goes first. */
  readonly #verifiers = new Map<string, ScramVerifier>()

  /**
   * Hashes a password before anybody logs in with it (2 ms), so that the first login of a user takes no longer than
   * that of an unknown one. Call it for each user of a new snapshot.
   */
  prepare(user: string, password: string): void {
    this.#verifier(user, password)
  }

  /** `password` null: there is no such user, and nobody is told. */
  login(user: string, password: string | null): ClientLogin {
    const verifier = password === null ? this.#nobody(user) : this.#verifier(user, password)
    return scramClientLogin(user, verifier, password !== null, randomBytes(nonceBytes).toString('base64'))
  }

  #verifier(user: string, password: string): ScramVerifier {
    const key = JSON.stringify([user, password])
    const known = this.#verifiers.get(key)
    if (known !== undefined) return known
    const made = verifierOf(password, this.#salt(user), iterationsDefault)
    if (this.#verifiers.size >= verifiersMax)
      this.#verifiers.delete(this.#verifiers.keys().next().value as string)
    this.#verifiers.set(key, made)
    return made
  }

  #nobody(user: string): ScramVerifier {
    const keys = {
      storedKey: hmac(this.#secret, `stored ${user}`),
      serverKey: hmac(this.#secret, `server ${user}`),
    }
    return { salt: this.#salt(user), iterations: iterationsDefault, ...keys }
  }

  #salt(user: string): Buffer {
    return hmac(this.#secret, `salt ${user}`).subarray(0, saltBytes)
  }
}

/** One conversation. `serverNonce` must be new each time, of at least 18 random bytes. */
export function scramClientLogin(
  user: string,
  verifier: ScramVerifier,
  known: boolean,
  serverNonce: string,
): ClientLogin {
  return new ScramClientLogin(user, verifier, known, serverNonce)
}

class ScramClientLogin implements ClientLogin {
  readonly #user: string
  readonly #verifier: ScramVerifier
  readonly #known: boolean
  #nonce: string
  #state: 'first' | 'asked' | 'final' | 'over' = 'first'
  #header = ''
  #clientFirst = ''
  #serverFirst = ''

  constructor(user: string, verifier: ScramVerifier, known: boolean, serverNonce: string) {
    this.#user = user
    this.#verifier = verifier
    this.#known = known
    this.#nonce = serverNonce
  }

  begin(): Buffer {
    return authenticationRequest(authentication.sasl, Buffer.from(`${mechanism}\0\0`))
  }

  take(payload: Buffer): LoginStep {
    const state = this.#state
    this.#state = 'over'
    if (state === 'first') return this.#takeFirst(payload)
    if (state === 'asked') return this.#answerFirst(payload.toString('utf8'))
    return state === 'final' ? this.#takeFinal(payload.toString('utf8')) : malformed
  }

  #takeFirst(payload: Buffer): LoginStep {
    const initial = readSaslInitialResponse(payload)
    if (initial === null) return malformed
    if (initial.mechanism !== mechanism) return violation(`The login is by ${mechanism}.`)
    if (initial.response !== null) return this.#answerFirst(initial.response.toString('utf8'))
    // RFC 4422 5: the client waits for an (empty) challenge, and begins then.
    this.#state = 'asked'
    return { kind: 'send', bytes: authenticationRequest(authentication.saslContinue, Buffer.alloc(0)) }
  }

  /** `n,,n=user,r=nonce`. The user is that of the StartupMessage; PostgreSQL ignores this one as well. */
  #answerFirst(text: string): LoginStep {
    if (text.startsWith('p=')) return violation('Channel binding is not offered here.')
    const header = /^[ny],([^,]*),/.exec(text)
    if (header === null) return malformed
    if (header[1] !== '')
      return refused(sqlState.featureNotSupported, 'Another authorization identity is not supported.')
    this.#header = header[0]
    this.#clientFirst = text.slice(header[0].length)
    const nonce = attributes(this.#clientFirst, 'nr')?.[1]
    if (nonce === undefined || !isNonce(nonce)) return malformed
    this.#nonce = nonce + this.#nonce
    const { salt, iterations } = this.#verifier
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`
    this.#state = 'final'
    return {
      kind: 'send',
      bytes: authenticationRequest(authentication.saslContinue, Buffer.from(this.#serverFirst)),
    }
  }

  /** `c=biws,r=nonce,p=proof`. */
  #takeFinal(text: string): LoginStep {
    const proofAt = text.lastIndexOf(',p=')
    const withoutProof = text.slice(0, Math.max(proofAt, 0))
    const values = attributes(withoutProof, 'cr')
    const proof = base64Bytes(text.slice(proofAt + 3))
    if (proofAt < 0 || values === null || proof?.length !== keyBytes) return malformed
    if (values[0] !== Buffer.from(this.#header).toString('base64'))
      return violation('The channel binding does not fit.')
    if (values[1] !== this.#nonce) return violation('The nonce is not the one of this login.')
    const authMessage = `${this.#clientFirst},${this.#serverFirst},${withoutProof}`
    const proven = isProof(this.#verifier, authMessage, proof)
    if (!proven || !this.#known)
      return refused(sqlState.invalidPassword, `password authentication failed for user "${this.#user}"`)
    return this.#done(authMessage)
  }

  #done(authMessage: string): LoginStep {
    const signature = `v=${serverSignature(this.#verifier.serverKey, authMessage).toString('base64')}`
    const final = authenticationRequest(authentication.saslFinal, Buffer.from(signature))
    return { kind: 'done', bytes: Buffer.concat([final, authenticationOk]) }
  }
}

function refused(code: string, message: string): LoginStep {
  return { kind: 'refused', code, message }
}

function violation(message: string): LoginStep {
  return refused(sqlState.protocolViolation, message)
}

const malformed = violation('A message of the login is malformed.')
