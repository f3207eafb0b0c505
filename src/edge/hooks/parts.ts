// What a hook is told of an exchange: plain text, copied out of heads that will be reused.

import type { Head } from '../../wire/head.ts'
import type { Exchange } from '../exchange.ts'
import { clientAddress } from '../request-text.ts'
import type { FlatFields, RequestParts } from './messages.ts'

export function requestParts(exchange: Exchange): RequestParts {
  const { head } = exchange
  return {
    method: head.method,
    url: exchange.target,
    host: head.authority,
    fields: flatFields(head),
    clientAddress: clientAddress(exchange),
    id: exchange.requestId,
  }
}

export function flatFields(head: Head): FlatFields {
  const fields: string[] = []
  for (let i = 0; i < head.count; i++) fields.push(head.nameAt(i).toLowerCase(), head.valueAt(i))
  return fields
}
