// A request's fields as instances get them, by which keys, secondary keys and storing are decided: without what the
// client's Connection takes out, with what hooks changed, and with what the edge itself says of the client. By the fields
// as they came, an answer for one user would be found by another (RFC 9111 4.1, 7.1).

import type { Fields } from '../../policy/freshness/index.ts'
import { identityNames } from '../client-identity.ts'
import type { Exchange } from '../exchange.ts'
import type { HeadEdits } from '../response-sink.ts'

const written: ReadonlySet<string> = new Set([
  'forwarded',
  'surrogate-capability',
  'traceparent',
  'tracestate',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
  ...identityNames,
])

class ToldRequest implements Fields {
  #exchange: Exchange | null = null

  of(exchange: Exchange): this {
    this.#exchange = exchange
    return this
  }

  find(name: string): string | undefined {
    const exchange = this.#exchange as Exchange
    if (written.has(name)) return ownWord(exchange, name)
    const { head, requestEdits } = exchange
    const isGone = head.connectionNames?.includes(name) === true
    if (requestEdits === null) return isGone ? undefined : head.find(name)
    const came = isGone || requestEdits.drop.includes(name) ? undefined : head.find(name)
    const added = addedBy(requestEdits, name)
    // Whoever the guard has identified is somebody (RFC 9111 3.5), by whatever credential it was.
    if (name === 'authorization' && came === undefined && added === undefined)
      return addedBy(requestEdits, 'tenfold-identity')
    if (added === undefined) return came
    return came === undefined ? added : `${came}, ${added}`
  }
}

const told = new ToldRequest()

/** One for all, to be asked in the same turn: a hit makes no object. */
export function toldRequest(exchange: Exchange): Fields {
  return told.of(exchange)
}

function addedBy({ add }: HeadEdits, name: string): string | undefined {
  if (add === '') return undefined
  let found: string | undefined
  for (const line of add.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon !== name.length || line.slice(0, colon).toLowerCase() !== name) continue
    const value = line.slice(colon + 1).trim()
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

/** Equal for requests of which instances are told the same; the texts themselves may differ. */
function ownWord(exchange: Exchange, name: string): string | undefined {
  const { client, head } = exchange
  if (client === null) return undefined
  const came = head.find(name)
  const believed = client.trusted ? came : undefined
  switch (name) {
    case 'forwarded':
    case 'x-forwarded-for':
      return believed === undefined ? client.remoteAddress : `${believed}, ${client.remoteAddress}`
    case 'x-forwarded-host':
    case 'x-forwarded-proto':
      // Of clients that are not believed both stand in every key.
      return believed
    case 'surrogate-capability':
      return came
    case 'traceparent':
    case 'tracestate':
    case 'x-request-id':
      // No two requests have the same.
      return exchange.requestId + exchange.idSuffix
    default:
      return identityOf(exchange, came)
  }
}

/** What is signed is signed anew every few seconds: the certificate stands for it. */
function identityOf({ client, snapshot }: Exchange, came: string | undefined): string | undefined {
  const tls = client?.tls ?? null
  if (tls === null || snapshot?.spec.identitySecret === undefined) return came
  return tls.authorized ? tls.peerCertificate()?.fingerprint256 : undefined
}
