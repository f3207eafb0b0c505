// What a service chooses about its sessions: checked once, with defaults that are safe on the open internet.

import type { LinkSettings } from '../../io/redis/link.ts'
import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { CookieSettings } from './cookie.ts'
import { sessionFailures } from './failures.ts'
import type { StoreLimits } from './store.ts'

export interface SessionOptions {
  /** Services that share a name, secrets and Redis share sessions: `sessions`. */
  readonly name?: string
  /** The first signs; cookies of the others are taken too and signed anew. At least 32 characters each, at most 8. */
  readonly secrets: readonly string[]
  /** `redis://host:port`, several, or `memory`: this process only, for development. */
  readonly redis: string | readonly string[]
  readonly cluster?: boolean
  /** Without a request for so long, a session ends: 30 minutes. */
  readonly idleMs?: number
  /** So long after login it ends in any case: 7 days. */
  readonly absoluteMs?: number
  /** The idle time begins anew at most so often: a minute, or a tenth of `idleMs`. */
  readonly touchMs?: number
  /** Longer than the longest request: 10 minutes. */
  readonly tombstoneMs?: number
  /** All fields of a session together: 32 KB. */
  readonly bytesMax?: number
  /** 64. */
  readonly fieldsMax?: number
  readonly cookie?: {
    /** `session`; with `Secure` it goes out as `__Host-session`, or `__Secure-session` where there is a domain. */
    readonly name?: string
    /** Also for hosts below this one. Left out: only for the host that set it. */
    readonly domain?: string
    readonly path?: string
    readonly sameSite?: 'Lax' | 'Strict' | 'None'
    /** True. False: also over plain HTTP, for development on something else than localhost. */
    readonly secure?: boolean
    /** True: it outlives the browser's window, for `idleMs`. */
    readonly persistent?: boolean
  }
  /**
   * `refuse`: a request that brings a session, while the store does not answer, fails with 503 (SESSION_STORE_AWAY).
   * `anonymous`: it goes on without one; what it then sets fails to be saved.
   */
  readonly whenAway?: 'refuse' | 'anonymous'
  readonly link?: Partial<LinkSettings>
  readonly clock?: Clock
}

export interface SessionSettings {
  readonly secrets: readonly string[]
  readonly cookie: CookieSettings
  readonly limits: StoreLimits
  readonly whenAway: 'refuse' | 'anonymous'
}

const minuteMs = 60_000
const yearMs = 366 * 24 * 60 * minuteMs
const secretsMax = 8

/** @throws Failure `secretWeak`, `optionWrong` */
export function sessionSettings(options: SessionOptions): SessionSettings {
  const { secrets, redis } = options
  if (
    !Array.isArray(secrets) ||
    secrets.length < 1 ||
    secrets.length > secretsMax ||
    !secrets.every(isSecret)
  ) {
    const sentence = `secrets: a list of 1 to ${secretsMax}, each of at least 32 characters. Is the environment's variable set?`
    throw new Failure(sessionFailures.secretWeak, sentence)
  }
  // `process.env.CACHE_URL`, where there is none.
  if (redis === undefined || redis.length === 0) throw wrong("redis is absent; allowed: URLs, or 'memory'")
  const idleMs = bounded('idleMs', options.idleMs ?? 30 * minuteMs, 1_000, yearMs)
  const limits: StoreLimits = {
    idleMs,
    absoluteMs: bounded(
      'absoluteMs',
      options.absoluteMs ?? Math.max(idleMs, 7 * 24 * 60 * minuteMs),
      idleMs,
      yearMs,
    ),
    touchMs: bounded('touchMs', options.touchMs ?? Math.min(minuteMs, idleMs / 10), 0, idleMs),
    tombstoneMs: bounded('tombstoneMs', options.tombstoneMs ?? 10 * minuteMs, 1_000, yearMs),
    bytesMax: bounded('bytesMax', options.bytesMax ?? 32 * 1024, 256, 4 * 1024 * 1024),
    fieldsMax: bounded('fieldsMax', options.fieldsMax ?? 64, 1, 1_000),
  }
  const whenAway = options.whenAway ?? 'refuse'
  return { secrets: [...secrets], cookie: cookieSettings(options.cookie ?? {}, idleMs), limits, whenAway }
}

const isSecret = (value: unknown): boolean => typeof value === 'string' && value.length >= 32

function cookieSettings(given: NonNullable<SessionOptions['cookie']>, idleMs: number): CookieSettings {
  const secure = given.secure ?? true
  const path = given.path ?? '/'
  const sameSite = given.sameSite ?? 'Lax'
  const base = given.name ?? 'session'
  if (!/^[\w.-]{1,64}$/.test(base)) throw wrong(`cookie.name is ${base}; allowed: 1-64 of A-Z a-z 0-9 . _ -`)
  if (!/^\/[\x21-\x3a\x3c-\x7e]*$/.test(path))
    throw wrong(`cookie.path is ${path}; allowed: a path without ;`)
  if (given.domain !== undefined && !/^[\w.-]{1,253}$/.test(given.domain)) {
    throw wrong(`cookie.domain is ${given.domain}; allowed: a host name`)
  }
  if (sameSite === 'None' && !secure)
    throw wrong('cookie.sameSite is None, which browsers take with Secure only')
  return {
    name: secure ? `${prefixOf(given.domain, path)}${base}` : base,
    domain: given.domain ?? null,
    path,
    sameSite,
    secure,
    maxAgeSeconds: given.persistent === true ? Math.ceil(idleMs / 1_000) : null,
  }
}

/** Browsers take such a name only with the attributes it promises: no other host or plain page can plant one. */
function prefixOf(domain: string | undefined, path: string): string {
  return domain === undefined && path === '/' ? '__Host-' : '__Secure-'
}

function bounded(name: string, value: number, least: number, most: number): number {
  if (!(value >= least && value <= most)) throw wrong(`${name} is ${value}; allowed: ${least} to ${most}`)
  return Math.round(value)
}

function wrong(sentence: string): Failure {
  return new Failure(sessionFailures.optionWrong, `sessions: ${sentence}.`)
}
