// A statement's text written anew for the shards may use fewer of its parameters, and in other places. So all types are
// declared: those that the server found for the text as the client wrote it.

import type { SeatRequest, ShardSeat } from '../contract.ts'
import { tagOf } from './fan.ts'

export async function typed(request: SeatRequest, seat: ShardSeat): Promise<SeatRequest> {
  const { types, parameters } = request
  const known = types.length >= parameters.length && types.every(type => type !== 0)
  if (known || parameters.length === 0) return request
  const described = await seat.describe(request.sql, types)
  tagOf(described.end)
  return { ...request, types: described.types }
}

/** The same parameters for another text. */
export function withText(
  request: SeatRequest,
  sql: string,
  resultFormats: readonly number[] = request.resultFormats,
): SeatRequest {
  return { ...request, sql, resultFormats }
}
