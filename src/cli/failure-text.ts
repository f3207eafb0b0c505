// How a failure reaches whoever typed the command: the sentence, the remedy, the code, and the exit code. Pure.

import { Failure } from '../kit/failure.ts'
import { remedyOf } from '../system/index.ts'

/** 0: done. 1: it failed. 2: what was asked for is wrong (arguments, names, the system file). */
export type ExitCode = 0 | 1 | 2 | 130

export interface FailureJson {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string }
  readonly problems?: unknown
}

export function failureJson(failure: unknown): FailureJson {
  if (!(failure instanceof Failure)) {
    const message = failure instanceof Error ? failure.message : String(failure)
    return {
      error: { code: 'SYSTEM_INTERNAL', message, remedy: 'This is a bug of Tenfold; please report it.' },
    }
  }
  const { problems } = failure.details
  return {
    error: { code: failure.code, message: failure.message, remedy: remedyOf(failure) },
    ...(problems === undefined ? {} : { problems }),
  }
}

export function failureText(failure: unknown, paint: (style: 'red' | 'dim', text: string) => string): string {
  if (!(failure instanceof Failure)) {
    const stack = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure)
    return `${paint('red', 'fault:')} ${stack}\nThis is a bug of Tenfold; please report it.`
  }
  const remedy = remedyOf(failure)
  const told = remedy === '' || failure.message.includes(remedy) ? '' : `\n  ${remedy}`
  return `${paint('red', 'error:')} ${failure.message}${told}\n  ${paint('dim', failure.code)}`
}

export function exitCodeOf(failure: unknown): ExitCode {
  if (!(failure instanceof Failure)) return 1
  if (failure.code.startsWith('FILE_')) return 2
  return [400, 404, 422].includes(failure.kind.status) ? 2 : 1
}
