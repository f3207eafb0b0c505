// What clients of the router are told when it is the router that refuses: an SQLSTATE that their drivers know, a sentence,
// our own code as the detail and the advice as the hint. Errors of PostgreSQL pass through as they are.

import type { FailureKind } from '../../kit/failure.ts'
import { errorResponse, type Problem, sqlState } from '../../wire/postgres/index.ts'
import { databaseFailures, type RouterError } from '../failures.ts'

/** A whole ErrorResponse, and whether the connection ends with it. */
export interface SqlError {
  readonly frame: Buffer
  readonly fatal: boolean
}

const states: Readonly<Record<RouterError, string>> = {
  poolFull: sqlState.tooManyConnections,
  poolWait: sqlState.tooManyConnections,
  clientsFull: sqlState.tooManyConnections,
  holdFull: sqlState.cannotConnectNow,
  holdTimeout: sqlState.cannotConnectNow,
  serverLost: sqlState.connectionFailure,
  commitUnknown: sqlState.transactionResolutionUnknown,
  transactionIdle: sqlState.idleInTransactionTimeout,
  routerStopping: sqlState.adminShutdown,
  preparedFull: sqlState.configurationLimitExceeded,
  settingInvalid: sqlState.invalidParameterValue,
  replicationRefused: sqlState.featureNotSupported,
}

export function routerError(name: RouterError, sentence: string, fatal = false): SqlError {
  const kind: FailureKind = databaseFailures[name]
  const severity = fatal ? 'FATAL' : 'ERROR'
  const frame = errorResponse({
    severity,
    code: states[name],
    message: sentence,
    detail: kind.code,
    hint: kind.advice,
  })
  return { frame, fatal }
}

/** In PostgreSQL's own words, where a client must not be able to tell who speaks. */
export function plainError(code: string, message: string, fatal: boolean): SqlError {
  return { frame: errorResponse({ severity: fatal ? 'FATAL' : 'ERROR', code, message }), fatal }
}

export function protocolError({ code, sentence }: Problem): SqlError {
  return plainError(code, sentence, true)
}
