// The keys of one issuer in one worker: fetched when first needed, again when a token names one that is unknown (never
// twice within the cooldown, one fetch at a time), and every few minutes. While the issuer is out of reach the last ones
// count, until they are too old. A token only selects among them.

import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose'
import type { CheckedJwt } from '../../../file/checked-guard.ts'
import { fetchDocument } from '../../../io/document-request.ts'
import type { Clock } from '../../../kit/clock.ts'
import { WatchedFile } from '../watched-file.ts'

const documentBytesMax = 1 << 20
const keysMax = 100
const cooldownMs = 10_000
const refreshMs = 600_000

/** Throws an Outage when there are no keys to be had. */
export interface KeySet {
  readonly keyFor: JWTVerifyGetKey
  start(): Promise<void>
  close(): void
}

/** Nothing is wrong with the token: its issuer's keys are out of reach. */
export class Outage extends Error {
  override readonly name = 'Outage'
}

/** @param changed what was verified before may not be believed any more. */
export function keySetOf(
  { keys, issuer, timeoutMs, staleMaxMs }: CheckedJwt,
  secret: string,
  clock: Clock,
  changed: () => void,
): KeySet {
  if (keys.kind === 'secret') return fixed(createSecretKey(Buffer.from(secret, 'utf8')))
  if (keys.kind === 'file') return fromFile(keys.file, changed)
  const where = keys.kind === 'url' ? keys.url : null
  return fromIssuer(new Issuer(issuer, where, timeoutMs, staleMaxMs, clock, changed), timeoutMs)
}

const fixed = (key: KeyObject): KeySet => ({
  keyFor: async () => key,
  start: async () => {},
  close: () => {},
})

/** JWKS, or one public key in PEM. Throws a sentence. */
export function parseKeyFile(text: string): JWTVerifyGetKey {
  if (text.includes('-----BEGIN')) {
    if (/PRIVATE KEY-----/.test(text))
      throw new Error('it holds a private key, and only the public one is of use here')
    const key = createPublicKey(text)
    return async () => key
  }
  return createLocalJWKSet(parseJwks(text))
}

/** Secrets in a list of public keys would let anybody sign who has the list. */
export function parseJwks(text: string): JSONWebKeySet {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys) || keys.length > keysMax)
    throw new Error(`it is no JWKS of at most ${keysMax} keys`)
  const usable = keys.filter(
    key => typeof key === 'object' && key !== null && key.kty !== 'oct' && key.use !== 'enc',
  )
  if (usable.length === 0) throw new Error('it holds no public key that verifies signatures')
  return { keys: usable }
}

function fromFile(path: string, changed: () => void): KeySet {
  let now: JWTVerifyGetKey | null = null
  const file = new WatchedFile(path, parseKeyFile, keys => {
    now = keys
    changed()
  })
  return {
    keyFor: (header, token) => {
      if (now === null) throw new Outage('the file of keys can not be read')
      return now(header, token)
    },
    start: () => file.start(),
    close: () => file.close(),
  }
}

function fromIssuer(issuer: Issuer, timeoutMs: number): KeySet {
  const remote = createRemoteJWKSet(new URL('https://keys.invalid'), {
    timeoutDuration: 2 * timeoutMs + 1_000,
    cooldownDuration: cooldownMs,
    cacheMaxAge: refreshMs,
    [customFetch]: async () => new Response(JSON.stringify(await issuer.keys())),
  })
  return { keyFor: remote, start: async () => {}, close: () => {} }
}

/** Where an issuer has its keys, and the last ones that it gave. */
class Issuer {
  readonly #issuer: string
  readonly #timeoutMs: number
  readonly #staleMaxMs: number
  readonly #clock: Clock
  readonly #changed: () => void
  #where: string | null
  #last: JSONWebKeySet | null = null
  #text = ''
  #atUs = 0
  #triedUs = -Infinity
  #problem = ''

  constructor(
    issuer: string,
    where: string | null,
    timeoutMs: number,
    staleMaxMs: number,
    clock: Clock,
    changed: () => void,
  ) {
    this.#issuer = issuer
    this.#where = where
    this.#timeoutMs = timeoutMs
    this.#staleMaxMs = staleMaxMs
    this.#clock = clock
    this.#changed = changed
  }

  async keys(): Promise<JSONWebKeySet> {
    const now = this.#clock.monotonic()
    // A request each while it is away would be a flood of our own.
    if (now - this.#triedUs < 1_000_000) return this.#older()
    this.#triedUs = now
    try {
      const text = await this.#get(this.#where ?? (await this.#discover()))
      this.#last = parseJwks(text)
      if (text !== this.#text) this.#changed()
      this.#text = text
      this.#atUs = this.#clock.monotonic()
      return this.#last
    } catch (error) {
      this.#problem = (error as Error).message
      return this.#older()
    }
  }

  #older(): JSONWebKeySet {
    const ageMs = (this.#clock.monotonic() - this.#atUs) / 1_000
    if (this.#last !== null && ageMs <= this.#staleMaxMs) return this.#last
    throw new Outage(`the keys of ${this.#issuer} are out of reach: ${this.#problem}`)
  }

  /** OpenID Connect Discovery 1.0, 4.3: what it says of itself must be who we asked. */
  async #discover(): Promise<string> {
    const text = await this.#get(`${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
    const said = JSON.parse(text) as { issuer?: unknown; jwks_uri?: unknown }
    if (said.issuer !== this.#issuer) throw new Error('its configuration is of another issuer')
    const uri = String(said.jwks_uri)
    if (!uri.startsWith('https://') && !isLoopback(uri)) throw new Error('its keys are in the clear')
    this.#where = uri
    return uri
  }

  #get(url: string): Promise<string> {
    return fetchDocument({
      url,
      accept: 'application/jwk-set+json, application/json',
      timeoutMs: this.#timeoutMs,
      bytesMax: documentBytesMax,
    })
  }
}

const isLoopback = (url: string): boolean =>
  /^http:\/\/(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|\[::1\])(?::\d{1,5})?\//.test(url)
