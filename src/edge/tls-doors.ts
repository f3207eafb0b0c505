// What HTTPS asks of requests before any route is looked at: plain ones are sent to https, secure ones are told to stay
// there (HSTS), and one that came to the wrong certificate is told so. None where the snapshot does not ask for it.

import { hostOf } from '../policy/route.ts'
import { fieldId } from '../wire/fields.ts'
import { challengePrefix } from './challenges.ts'
import type { Exchange } from './exchange.ts'
import { clientFailures } from './failures.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { EdgeSnapshot } from './snapshot.ts'
import type { WorkerTls } from './worker-tls.ts'

interface Holder {
  readonly tls: WorkerTls
  /** Real ports, by listener id. */
  readonly ports: ReadonlyMap<string, number>
}

export function tlsDoors(worker: Holder, snapshot: EdgeSnapshot): Gate[] {
  const { listeners, tls } = snapshot
  const doors: Gate[] = []
  const secure = listeners.some(one => one.kind === 'http' && one.tls)
  if (listeners.some(one => one.kind === 'http' && one.redirectToHttps !== undefined))
    doors.push(new HttpsDoor(worker, snapshot))
  // First of all: every answer over TLS says it, that of other doors too (RFC 6797 7.1).
  if (secure && tls?.hsts !== undefined) doors.unshift(new StrictTransport(tls.hsts))
  if (secure && tls !== undefined && tls.certificates.length > 1) doors.push(new RightCertificate(worker))
  return doors
}

class StrictTransport implements Gate {
  readonly name = 'strict transport security'
  readonly #field: string

  constructor(value: string) {
    this.#field = `Strict-Transport-Security: ${value}\r\n`
  }

  /** Never over plain HTTP: RFC 6797 7.2. */
  enter(exchange: Exchange): number {
    if (exchange.client !== null && exchange.client.tls !== null) exchange.extraFields += this.#field
    return gateAnswer.pass
  }
}

/** A balancer that we trust has ended TLS before us: sent to https, its clients would come the same way for ever. */
function cameSecurely({ client, head }: Exchange): boolean {
  return client?.trusted === true && head.value(fieldId['x-forwarded-proto']) === 'https'
}

/** 308: method and body stay (RFC 9110 15.4.9). */
class HttpsDoor implements Gate {
  readonly name = 'redirect to https'
  readonly #worker: Holder
  /** By listener that redirects: the port, or the id of the listener whose real port it is. */
  readonly #to: ReadonlyMap<string, number | string>

  constructor(worker: Holder, { listeners }: EdgeSnapshot) {
    this.#worker = worker
    const secure = listeners.find(one => one.kind === 'http' && one.tls)?.id ?? ''
    this.#to = new Map(
      listeners.flatMap(one =>
        one.kind === 'http' && one.redirectToHttps !== undefined
          ? [[one.id, one.redirectToHttps === 0 ? secure : one.redirectToHttps]]
          : [],
      ),
    )
  }

  enter(exchange: Exchange): number {
    const to = this.#to.get(exchange.client?.listener ?? '')
    // Authorities ask on plain HTTP, and follow no redirect to a certificate that is not there yet (RFC 8555 8.3).
    if (to === undefined || exchange.path.startsWith(challengePrefix)) return gateAnswer.pass
    if (cameSecurely(exchange)) return gateAnswer.pass
    const host = hostOf(exchange.head.authority)
    if (host === '' || exchange.target === '*') return gateAnswer.pass
    const port = typeof to === 'number' ? to : (this.#worker.ports.get(to) ?? 443)
    const location = `https://${host}${port === 443 ? '' : `:${port}`}${exchange.target}`
    exchange.respond(308, `Location: ${location}\r\nContent-Length: 0\r\n${exchange.extraFields}`, '')
    return gateAnswer.taken
  }
}

/**
 * A client may use a connection for every host that its certificate is for (RFC 9113 9.1.1); for one that has another
 * certificate here it is told to make another connection (RFC 9110 15.5.20).
 */
class RightCertificate implements Gate {
  readonly name = 'right certificate'
  readonly #worker: Holder

  constructor(worker: Holder) {
    this.#worker = worker
  }

  enter(exchange: Exchange): number {
    const tls = exchange.client?.tls ?? null
    if (tls === null) return gateAnswer.pass
    const host = hostOf(exchange.head.authority)
    if (host === '' || this.#worker.tls.sameCertificate(tls.serverName, host)) return gateAnswer.pass
    exchange.refusal = clientFailures.misdirected
    return gateAnswer.refuse
  }
}
