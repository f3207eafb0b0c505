// One certificate from one ACME authority (RFC 8555), by HTTP-01: account, order, challenge, certificate. Owns how the
// library that speaks ACME reaches the network and what its errors mean. When to ask, and where what comes of it is
// kept, is acme.ts's.

import { generateKeyPairSync } from 'node:crypto'
import type { Client } from 'acme-client'
import { httpsRequest } from '../io/https-request.ts'
import { checkPair } from '../io/tls-certificate.ts'
import { Failure } from '../kit/failure.ts'
import { systemFailures } from './failures.ts'

export interface AcmeAccount {
  /** PEM. */
  readonly key: string
  /** Null: not known to the authority yet. */
  readonly url: string | null
}

export interface AcmeOrder {
  readonly host: string
  /** URL of the authority's directory. */
  readonly directory: string
  readonly email: string | null
  /** PEM, for a private authority; null: the usual roots. */
  readonly ca: string | null
  readonly account: AcmeAccount
  /** The authority has an account for the key. */
  keepAccount(url: string): void
  /** Resolves when the edge answers it. */
  answer(token: string, keyAuthorization: string): Promise<void>
  forget(token: string): Promise<void>
}

export interface IssuedCertificate {
  /** PEM: the key, then the certificate and its chain. */
  readonly pem: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

const requestTimeoutMs = 30_000
const answerBytesMax = 1024 * 1024
/** For an order or a challenge that the authority works on: two minutes in all. */
const polls = { backoffAttempts: 16, backoffMin: 500, backoffMax: 10_000 }

/** Rejects with SYSTEM_ACME_UNREACHABLE, SYSTEM_ACME_REFUSED, or SYSTEM_ACME_LIMITED with `details.retryAfterMs`. */
export async function orderCertificate(order: AcmeOrder): Promise<IssuedCertificate> {
  try {
    return await ordered(order)
  } catch (cause) {
    if (!isUnknownAccount(cause) || order.account.url === null) throw cause
    // The authority has forgotten the account, or another one answers at this address.
    return ordered({ ...order, account: { ...order.account, url: null } })
  }
}

async function ordered(order: AcmeOrder): Promise<IssuedCertificate> {
  const { host, account } = order
  // Heavy, and needed a few times a year.
  const acme = await import('acme-client')
  acme.axios.defaults.adapter = adapterOf(order) as never
  const client = new acme.Client({
    directoryUrl: order.directory,
    accountKey: account.key,
    ...(account.url === null ? {} : { accountUrl: account.url }),
    ...polls,
  })
  const key = newKey()
  const [, csr] = await acme.crypto.createCsr({ altNames: [host] }, key)
  const chain = await issued(client, order, csr)
  const text = `${key}${chain.trim()}\n`
  const facts = checkPair(text, text, `what ${authorityOf(order.directory)} gave for ${host}`)
  return { pem: text, notBeforeMs: facts.notBefore, notAfterMs: facts.notAfter }
}

async function issued(client: Client, order: AcmeOrder, csr: Buffer): Promise<string> {
  const { host } = order
  try {
    if (order.account.url === null) {
      const contact = order.email === null ? {} : { contact: [`mailto:${order.email}`] }
      await client.createAccount({ termsOfServiceAgreed: true, ...contact })
      order.keepAccount(client.getAccountUrl())
    }
    return await client.auto({
      csr,
      termsOfServiceAgreed: true,
      challengePriority: ['http-01'],
      // From here the name may lead to an address that only the world outside reaches.
      skipChallengeVerification: true,
      challengeCreateFn: async (_, challenge, keyAuthorization) => {
        if (challenge.type !== 'http-01')
          throw refused(order.directory, `it offers no HTTP-01 challenge for ${host}`)
        await order.answer(challenge.token, keyAuthorization)
      },
      challengeRemoveFn: (_, challenge) => order.forget(challenge.token),
    })
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw refused(order.directory, (cause as Error).message, cause)
  }
}

export function newKey(): string {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey
}

// ---- the network under the library

/** The little of an axios request that is used. */
interface LibraryRequest {
  readonly url: string
  readonly method: string
  readonly data?: string
  readonly headers: { toJSON(): Record<string, unknown> }
}

/**
 * Replaces the library's own, which waits and tries again by itself for as long as the authority likes. Every answer
 * that refuses becomes a Failure here; only a bad nonce goes to the library, which asks again with another (RFC 8555
 * 6.5). A failure has no `config`: by that the library's interceptor knows that it is none of its business.
 */
function adapterOf({ directory, ca }: AcmeOrder): (request: LibraryRequest) => Promise<object> {
  return async request => {
    const { method, data = '' } = request
    const headers = Object.fromEntries(
      Object.entries(request.headers.toJSON()).map(([name, value]) => [name, String(value)]),
    )
    const answer = await httpsRequest({
      url: request.url,
      method: method.toUpperCase(),
      headers,
      body: data,
      ca,
      timeoutMs: requestTimeoutMs,
      bytesMax: answerBytesMax,
    }).catch((cause: Error) => {
      throw unreachable(directory, cause)
    })
    const { status } = answer
    if (status >= 400) {
      const problem = problemOf(answer.text)
      if (problem.type !== 'badNonce')
        throw refusalOf(directory, status, problem, answer.headers['retry-after'])
    }
    return {
      data: answer.text,
      status,
      statusText: '',
      headers: answer.headers,
      config: request,
      request: null,
    }
  }
}

interface Problem {
  /** Without the URN before it: `rateLimited`; '' when the answer is no problem document (RFC 7807). */
  readonly type: string
  readonly detail: string
}

function problemOf(text: string): Problem {
  try {
    const { type, detail } = JSON.parse(text) as { type?: unknown; detail?: unknown }
    return { type: String(type ?? '').replace(/^.*:/, ''), detail: String(detail ?? '').slice(0, 500) }
  } catch {
    return { type: '', detail: '' }
  }
}

function refusalOf(
  directory: string,
  status: number,
  { type, detail }: Problem,
  retryAfter: string | string[] | undefined,
): Failure {
  const said = [detail, type === '' ? `status ${status}` : type].filter(part => part !== '').join(' - ')
  const retryAfterMs = retryAfterMsOf(String(retryAfter ?? ''), Date.now())
  if (status === 429 || type === 'rateLimited' || retryAfterMs > 0)
    return new Failure(systemFailures.acmeLimited, `${authorityOf(directory)} asks to wait: ${said}.`, {
      details: { type, retryAfterMs },
    })
  if (status >= 500)
    return new Failure(systemFailures.acmeUnreachable, `${authorityOf(directory)} is out of order: ${said}.`)
  return refused(directory, said, undefined, type)
}

/** RFC 9110 10.2.3: seconds, or a date. 0 when there is none. */
export function retryAfterMsOf(text: string, nowMs: number): number {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs)
}

function refused(directory: string, said: string, cause?: unknown, type = ''): Failure {
  const sentence = `${authorityOf(directory)} refuses: ${said.replace(/\.$/, '')}.`
  return new Failure(systemFailures.acmeRefused, sentence, { cause, details: { type } })
}

function unreachable(directory: string, cause: Error): Failure {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  return new Failure(systemFailures.acmeUnreachable, `${authorityOf(directory)} does not answer (${why}).`, {
    cause,
  })
}

function isUnknownAccount(cause: unknown): boolean {
  return cause instanceof Failure && cause.details.type === 'accountDoesNotExist'
}

const authorityOf = (directory: string): string => new URL(directory).host
