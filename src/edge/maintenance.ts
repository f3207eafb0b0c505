// The maintenance page: while the snapshot has one, every request but those of listed addresses gets it, with 503 and
// Retry-After, before any route is looked at. Health listeners and ACME challenges do not come by here.

import { type AddressBlock, isInBlocks, parseBlock } from '../policy/address.ts'
import { fieldId } from '../wire/fields.ts'
import { compilePage, type FilledPage } from './error-pages.ts'
import type { Exchange } from './exchange.ts'
import { clientFailures } from './failures.ts'
import { type Gate, gateAnswer } from './gate.ts'
import { prefersJson, refusalFor } from './refusal.ts'
import { clientAddress } from './request-text.ts'
import type { EdgeSnapshot, MaintenanceSpec } from './snapshot.ts'

export function maintenanceDoors({ maintenance }: EdgeSnapshot): Gate[] {
  return maintenance === undefined ? [] : [new MaintenanceDoor(maintenance)]
}

class MaintenanceDoor implements Gate {
  readonly name = 'maintenance'
  readonly #allow: readonly AddressBlock[]
  /** Null: the edge's own. */
  readonly #page: FilledPage | null
  readonly #fields: string

  constructor(spec: MaintenanceSpec) {
    this.#allow = spec.allow.map(parseBlock).filter(block => block !== null)
    this.#page = spec.body === '' ? null : compilePage(spec)
    this.#fields = `Retry-After: ${spec.retryAfterSeconds}\r\nCache-Control: no-store\r\n`
  }

  enter(exchange: Exchange): number {
    if (isInBlocks(clientAddress(exchange), this.#allow)) return gateAnswer.pass
    const failure = clientFailures.maintenance
    const accept = exchange.head.value(fieldId.accept)
    const { contentType, body } =
      this.#page === null || prefersJson(accept)
        ? refusalFor(failure, exchange.requestId, accept)
        : this.#page(failure, exchange.requestId)
    exchange.error = failure.code
    exchange.respond(
      failure.status,
      `Content-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n${this.#fields}X-Request-Id: ${exchange.requestId}\r\n${exchange.extraFields}`,
      body,
    )
    return gateAnswer.taken
  }
}
