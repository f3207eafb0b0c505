// LIMIT and OFFSET over several shards: read from a literal or a parameter, checked as PostgreSQL checks them.

import type { KeySource } from '../../sql/shards/contract.ts'
import type { SeatRequest } from '../contract.ts'
import { invalid, unsupported } from './refusals.ts'

export interface Bounds {
  /** Rows that are skipped. */
  readonly offset: number
  /** Rows that are passed on; Infinity: all. */
  readonly limit: number
}

export function boundsOf(
  plan: { readonly limit: KeySource | null; readonly offset: KeySource | null },
  request: SeatRequest,
): Bounds {
  const limit = countOf(plan.limit, request)
  const offset = countOf(plan.offset, request)
  if (offset !== null && offset < 0) throw invalid('2201X', 'OFFSET must not be negative')
  if (limit !== null && limit < 0) throw invalid('2201W', 'LIMIT must not be negative')
  return { limit: limit ?? Number.POSITIVE_INFINITY, offset: offset ?? 0 }
}

function countOf(source: KeySource | null, request: SeatRequest): number | null {
  if (source === null) return null
  if (source.from === 'literal') return source.text === null ? null : numberOf(source.text)
  const value = request.parameters[source.index] ?? null
  if (value === null) return null
  const { parameterFormats: formats } = request
  const format = formats.length === 1 ? formats[0] : (formats[source.index] ?? 0)
  if (format !== 1) return numberOf(value.toString())
  if (value.length === 8) return Number(value.readBigInt64BE())
  if (value.length === 4) return value.readInt32BE()
  if (value.length === 2) return value.readInt16BE()
  throw unsupported(
    'A bound of LIMIT or OFFSET is a number in a form that can not be read.',
    'Bind it as bigint.',
  )
}

function numberOf(text: string): number {
  if (/^\s*[+-]?\d{1,19}\s*$/.test(text)) return Number(text)
  throw unsupported(
    'LIMIT and OFFSET over several shards must be whole numbers.',
    'Write them as whole numbers, or bind them as bigint.',
  )
}
