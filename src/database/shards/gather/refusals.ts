// What a client is told when it is we who refuse a statement over several shards: an SQLSTATE, a sentence, our code as the
// detail and what to do as the hint. Errors of servers pass as they are.

import type { NoPlace } from '../../../policy/shard/contract.ts'
import { errorResponse, sqlState } from '../../../wire/postgres/index.ts'
import type { ShardRefusal } from '../../sql/shards/contract.ts'

/** Thrown inside one statement; its end for the client. */
export class Refused extends Error {
  readonly errorFrame: Buffer
  constructor(refusal: ShardRefusal) {
    super(refusal.message)
    this.errorFrame = refusalFrame(refusal)
  }
}

export function refusalFrame({ sqlState: code, message, code: detail, hint }: ShardRefusal): Buffer {
  return errorResponse({ severity: 'ERROR', code, message, detail, hint })
}

const placeless: Readonly<Record<NoPlace, (value: string | null) => ShardRefusal>> = {
  'null-key': () => ({
    sqlState: '23502',
    code: 'shard-key-null',
    message: 'The sharding key of a row is NULL: it belongs to no shard.',
    hint: 'Give every column of the key a value.',
  }),
  unmapped: value => ({
    sqlState: '23514',
    code: 'shard-key-unmapped',
    message: `No shard has the key ${shown(value)}.`,
    hint: 'Add it to the lists or ranges of the family in the system file, or name a shard for all others; to a directory by `tenfold db directory`.',
  }),
  'not-a-value': value => ({
    sqlState: '22P02',
    code: 'shard-key-invalid',
    message: `${shown(value)} is no value that the key's type has in a form that can be placed.`,
    hint: 'Write it as PostgreSQL prints it; dates and times in the ISO form.',
  }),
  'unknown-directory': value => ({
    sqlState: '55000',
    code: 'shard-key-unmapped',
    message: `The directory does not say where the key ${shown(value)} is.`,
    hint: 'Try again; `tenfold db directory` shows what it has.',
  }),
}

function shown(value: string | null): string {
  if (value === null) return 'NULL'
  return `"${value.length > 60 ? `${value.slice(0, 60)}...` : value}"`
}

/** @param line of COPY, from 1 */
export function noPlace(refused: NoPlace, value: string | null, line = 0): Refused {
  const refusal = placeless[refused](value)
  const message = line > 0 ? `${refusal.message} (line ${line} of COPY)` : refusal.message
  return new Refused({ ...refusal, message })
}

export function combineTooLarge(what: string): Refused {
  return new Refused({
    sqlState: sqlState.programLimitExceeded,
    code: 'shard-combine-too-large',
    message: `Rows of several shards must be brought together for this statement, and they are more than ${what}.`,
    hint: 'Narrow it by the sharding key or another condition, or group by the key, so that each shard answers for itself.',
  })
}

export function drift(sentence: string): Refused {
  return new Refused({
    sqlState: sqlState.internalError,
    code: 'shard-drift',
    message: sentence,
    hint: '`tenfold db shards` shows where the shards differ; make them equal and try again.',
  })
}

export function unsupported(sentence: string, hint: string): Refused {
  return new Refused({
    sqlState: sqlState.featureNotSupported,
    code: 'shard-unsupported',
    message: sentence,
    hint,
  })
}

export function invalid(code: string, message: string): Refused {
  return new Refused({
    sqlState: code,
    code: 'shard-invalid',
    message,
    hint: 'PostgreSQL refuses this as well.',
  })
}
