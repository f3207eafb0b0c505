// What is wrong with bytes of the PostgreSQL protocol: an SQLSTATE and a sentence, as values. Readers answer with one
// of these or with null; none of them throws.

import { sqlState } from './sqlstate.ts'

export interface Problem {
  /** SQLSTATE of the ErrorResponse. */
  readonly code: string
  readonly sentence: string
}

export function violation(sentence: string): Problem {
  return { code: sqlState.protocolViolation, sentence }
}
