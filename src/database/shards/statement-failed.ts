// A statement's end with an error: what its client is told, and whether the connection ends with it.

import { errorResponse, type Report } from '../../wire/postgres/index.ts'
import { routerError, type SqlError } from '../router/sql-errors.ts'
import { type SeatEnd, SeatLost } from './contract.ts'

export class StatementFailed extends Error {
  readonly frame: Buffer
  readonly fatal: boolean

  constructor(frame: Buffer, fatal = false) {
    super('the statement failed')
    this.frame = frame
    this.fatal = fatal
  }

  static of(code: string, message: string, more: Pick<Report, 'detail' | 'hint'> = {}): StatementFailed {
    return new StatementFailed(errorResponse({ severity: 'ERROR', code, message, ...more }))
  }

  static by({ frame, fatal }: SqlError): StatementFailed {
    return new StatementFailed(frame, fatal)
  }
}

/** The tag, or the error thrown. */
export function tagOf(end: SeatEnd): string {
  if (end.errorFrame !== null) throw new StatementFailed(end.errorFrame)
  return end.tag ?? ''
}

/**
 * What a client is told of whatever was thrown; null: of a fault of ours.
 * @param open a block of the client's is open, and gone with the shard
 */
export function failureOf(thrown: unknown, open: boolean): StatementFailed | null {
  if (thrown instanceof StatementFailed) return thrown
  if (thrown instanceof SeatLost)
    return StatementFailed.by(routerError('serverLost', `${thrown.message}.`, open))
  const frame = (thrown as { errorFrame?: unknown } | null)?.errorFrame
  return Buffer.isBuffer(frame) ? new StatementFailed(frame) : null
}
