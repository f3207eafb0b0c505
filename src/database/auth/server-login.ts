// We are the client: a server asks for a proof. SCRAM-SHA-256 always, with the server's own proof checked; MD5 where it
// is allowed; the password itself only under TLS. Keys are remembered by password, salt and rounds, because a pool logs in
// to the same server again and again and 4,096 rounds take 2 ms of the thread.

import { createHash, randomBytes } from 'node:crypto'
import { authentication, readAuthentication, readMechanisms, sqlState } from '../../wire/postgres/index.ts'
import { passwordMessage, saslInitialResponse, saslResponse } from '../../wire/postgres/write-frontend.ts'
import type { LoginStep, ServerLogin } from './contract.ts'
import {
  attributes,
  base64Bytes,
  clientProof,
  isNonce,
  keysOf,
  mechanism,
  type ScramKeys,
  serverSignature,
} from './scram.ts'

const nonceBytes = 18
/** What a server may ask for: the thread does nothing else meanwhile (0.5 s at most). */
const iterationsMax = 1_000_000
const saltBytesMax = 1_024
const keysMax = 256

export interface ServerLoginOptions {
  readonly user: string
  /** Or keys that were taken from a verifier's owner: a login without the password. */
  readonly password: string | ScramKeys
  /** Of existing servers only: MD5 can be replayed by whoever reads it from the server's disk. */
  readonly md5Allowed: boolean
  /** The connection is under TLS: the password may be said as it is. */
  readonly secure: boolean
  /** For tests of a known conversation; otherwise random. */
  readonly nonce?: string
}

export function serverLogin(options: ServerLoginOptions): ServerLogin {
  return new PasswordLogin(options)
}

class PasswordLogin implements ServerLogin {
  readonly #options: ServerLoginOptions
  /** offered: nothing said yet. challenged, proven: amid SCRAM. checked: whoever is there knows the password, too. */
  #state: 'offered' | 'challenged' | 'proven' | 'checked' | 'said' = 'offered'
  readonly #clientFirst: string
  readonly #nonce: string
  #expected = ''

  constructor(options: ServerLoginOptions) {
    this.#options = options
    this.#nonce = options.nonce ?? randomBytes(nonceBytes).toString('base64')
    // PostgreSQL takes the user of the StartupMessage; libpq sends none here.
    this.#clientFirst = `n=,r=${this.#nonce}`
  }

  take(payload: Buffer): LoginStep {
    const code = readAuthentication(payload, 0, payload.length)
    const state = this.#state
    if (code === authentication.ok) return this.#takeOk()
    if (code === authentication.saslContinue && state === 'challenged')
      return this.#takeChallenge(rest(payload))
    if (code === authentication.saslFinal && state === 'proven') return this.#takeFinal(rest(payload))
    if (state !== 'offered') return unexpected
    if (code === authentication.sasl) return this.#begin(payload)
    if (code === authentication.md5) return this.#md5(payload)
    if (code === authentication.cleartext) return this.#cleartext()
    return refuse(
      `The server asks for a kind of login (${code}) that is not spoken here; set scram-sha-256 in its pg_hba.conf.`,
    )
  }

  /** Also at once, from a server that trusts us; but never amid a proof of its own. */
  #takeOk(): LoginStep {
    if (this.#state === 'challenged' || this.#state === 'proven') return unexpected
    return { kind: 'done', bytes: null }
  }

  #begin(payload: Buffer): LoginStep {
    const offered = readMechanisms(payload, 4, payload.length)
    if (!offered?.includes(mechanism)) return refuse(`The server does not offer ${mechanism}.`)
    this.#state = 'challenged'
    return send(saslInitialResponse(mechanism, `n,,${this.#clientFirst}`))
  }

  /** `r=nonce,s=salt,i=4096`. */
  #takeChallenge(serverFirst: string): LoginStep {
    const [nonce, salted, rounds] = attributes(serverFirst, 'rsi') ?? []
    const salt = base64Bytes(salted ?? '')
    const iterations = /^[1-9]\d{0,9}$/.test(rounds ?? '') ? Number(rounds) : 0
    if (nonce === undefined || salt === null || iterations === 0 || salt.length > saltBytesMax)
      return malformed
    if (!isNonce(nonce) || !nonce.startsWith(this.#nonce) || nonce === this.#nonce) return malformed
    if (iterations > iterationsMax)
      return refuse(`The server asks for ${iterations} rounds of hashing; ${iterationsMax} are allowed.`)
    return this.#prove(serverFirst, `c=biws,r=${nonce}`, this.#keys(salt, iterations))
  }

  #prove(serverFirst: string, withoutProof: string, keys: ScramKeys): LoginStep {
    const authMessage = `${this.#clientFirst},${serverFirst},${withoutProof}`
    const proof = clientProof(keys.clientKey, authMessage).toString('base64')
    this.#expected = `v=${serverSignature(keys.serverKey, authMessage).toString('base64')}`
    this.#state = 'proven'
    return send(saslResponse(`${withoutProof},p=${proof}`))
  }

  #takeFinal(text: string): LoginStep {
    if (text.split(',')[0] !== this.#expected)
      return refuse('The server does not know the password either: it is not the one that was meant.')
    this.#state = 'checked'
    return send(nothing)
  }

  #keys(salt: Buffer, iterations: number): ScramKeys {
    const { password } = this.#options
    return typeof password === 'string' ? rememberedKeys(password, salt, iterations) : password
  }

  #md5(payload: Buffer): LoginStep {
    const { user, password, md5Allowed } = this.#options
    if (!md5Allowed || typeof password !== 'string')
      return refuse('The server asks for an MD5 login, which is not allowed here; set scram-sha-256.')
    if (payload.length !== 8) return malformed
    this.#state = 'said'
    return send(passwordMessage(`md5${md5(md5(password + user), payload.subarray(4))}`))
  }

  #cleartext(): LoginStep {
    const { password, secure } = this.#options
    if (!secure || typeof password !== 'string')
      return refuse(
        'The server asks for the password itself, which is said only under TLS (tls: require or verify).',
      )
    this.#state = 'said'
    return send(passwordMessage(password))
  }
}

const nothing = Buffer.alloc(0)

function rest(payload: Buffer): string {
  return payload.toString('utf8', 4)
}

function send(bytes: Buffer): LoginStep {
  return { kind: 'send', bytes }
}

function refuse(message: string): LoginStep {
  return { kind: 'refused', code: sqlState.invalidAuthorization, message }
}

const malformed: LoginStep = {
  kind: 'refused',
  code: sqlState.protocolViolation,
  message: "A message of the server's login is malformed.",
}
const unexpected: LoginStep = {
  kind: 'refused',
  code: sqlState.protocolViolation,
  message: "A message of the server's login comes out of order.",
}

function md5(text: string, salt?: Buffer): string {
  const sum = createHash('md5').update(text)
  if (salt !== undefined) sum.update(salt)
  return sum.digest('hex')
}

const remembered = new Map<string, ScramKeys>()

/** By a hash of all three, so that no password is kept in a key; the oldest goes first. */
function rememberedKeys(password: string, salt: Buffer, iterations: number): ScramKeys {
  const name = createHash('sha256')
    .update(JSON.stringify([password, salt.toString('base64'), iterations]))
    .digest('base64')
  const known = remembered.get(name)
  if (known !== undefined) return known
  const made = keysOf(password, salt, iterations)
  if (remembered.size >= keysMax) remembered.delete(remembered.keys().next().value as string)
  remembered.set(name, made)
  return made
}
