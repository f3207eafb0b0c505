// Refusals of the edge itself in gRPC's own words: its clients read `grpc-status`, not the HTTP status, and map the
// statuses of proxies only roughly (gRPC over HTTP/2: Trailers-Only; statuscodes.md).

import { fieldId } from '../wire/fields.ts'
import type { Exchange } from './exchange.ts'
import type { ClientFailure } from './failures.ts'

const status = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

const byHttp: Readonly<Record<number, number>> = {
  400: status.invalidArgument,
  401: status.unauthenticated,
  403: status.permissionDenied,
  404: status.unimplemented,
  405: status.unimplemented,
  408: status.deadlineExceeded,
  413: status.resourceExhausted,
  429: status.unavailable,
  431: status.resourceExhausted,
  501: status.unimplemented,
  502: status.unavailable,
  503: status.unavailable,
  504: status.deadlineExceeded,
}

export function isGrpc(exchange: Exchange): boolean {
  if (exchange.httpVersion !== '2.0') return false
  const type = exchange.head.value(fieldId['content-type'])
  return type !== undefined && /^application\/grpc(?:$|[+;])/.test(type)
}

/** The fields of a Trailers-Only answer, whose HTTP status is 200. */
export function grpcRefusal(failure: ClientFailure, requestId: string): string {
  const code = byHttp[failure.status] ?? (failure.status >= 500 ? status.unavailable : status.internal)
  const message = `${failure.text} (${failure.code}, request ${requestId})`
  return `Content-Type: application/grpc\r\ngrpc-status: ${code}\r\ngrpc-message: ${message.replaceAll(/[^ -$&-~]/g, percent)}\r\nX-Request-Id: ${requestId}\r\n`
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
