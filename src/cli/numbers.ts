// Numbers that people type.

import { Failure } from '../kit/failure.ts'
import { cliFailures } from './failures.ts'

/** Throws CLI_NUMBER_INVALID, which names the argument. */
export function wholeNumber(text: string, argument: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new Failure(
    cliFailures.numberInvalid,
    `'${text}' is not a number for ${argument}: write a whole one such as 3.`,
  )
}
