// What the planner refuses: an SQLSTATE, a stable code, a sentence, and what to do instead.

import type { ShardPlan, ShardRefusal } from './contract.ts'

const notSupported = '0A000'
const notNull = '23502'
/** object_in_use */
const inUse = '55006'

/** Codes are anchors of docs/reference/sharding.md. */
export type ShardRefusalCode =
  | 'shard-table-unknown'
  | 'shard-key-null'
  | 'shard-key-expression'
  | 'shard-key-update'
  | 'shard-broadcast'
  | 'shard-insert-select'
  | 'shard-write-tables'
  | 'shard-nested-write'
  | 'shard-volatile'
  | 'shard-function'
  | 'shard-sequence'
  | 'shard-row-lock'
  | 'shard-view'
  | 'shard-unique'
  | 'shard-conflict'
  | 'shard-copied'
  | 'shard-foreign-key'
  | 'shard-rename'
  | 'shard-temporary'
  | 'shard-create-as'
  | 'shard-prepare'
  | 'shard-cursor'
  | 'shard-copy'
  | 'shard-code'
  | 'shard-lock'
  | 'shard-statement'
  | 'shard-columns-unknown'
  | 'shard-moving'

const kinds: Readonly<Record<ShardRefusalCode, readonly [state: string, hint: string]>> = {
  'shard-table-unknown': [notSupported, "Name it in the file's `shards.tables`: by a key, or 'everywhere'."],
  'shard-key-null': [notNull, 'Give the key a value in the statement.'],
  'shard-key-expression': [notSupported, 'Give the key as a value or a parameter.'],
  'shard-key-update': [notSupported, 'Delete the row and insert it with its new key, in one transaction.'],
  'shard-broadcast': [
    notSupported,
    "Say which key is meant, or SET tenfold.allow_broadcast = 'on' if every shard is.",
  ],
  'shard-insert-select': [
    notSupported,
    'Give the key as a value that the rows of the SELECT have as well, or read the rows first and insert them.',
  ],
  'shard-write-tables': [notSupported, 'Say the same key for each sharded table of the statement.'],
  'shard-nested-write': [notSupported, 'Run the inner statement by itself, in the same transaction.'],
  'shard-volatile': [notSupported, 'Compute the value first, and pass it as a parameter.'],
  'shard-function': [notSupported, 'Name a key, so that one shard answers, or leave the function out.'],
  'shard-sequence': [notSupported, 'Use tenfold.next_id(), which is unique over all shards.'],
  'shard-row-lock': [notSupported, 'Name a key, so that one shard locks the rows.'],
  'shard-view': [notSupported, "Query the view's tables."],
  'shard-unique': [
    notSupported,
    "Put the key into the unique columns, or name these in the file's `unique` of the table.",
  ],
  'shard-conflict': [
    notSupported,
    'Name columns with the key in them in ON CONFLICT, or insert and catch the unique violation (23505).',
  ],
  'shard-copied': [notSupported, 'Write to the table that it is a copy of.'],
  'shard-foreign-key': [
    notSupported,
    "Reference a table of the same family, its key included, or one that is 'everywhere'.",
  ],
  'shard-rename': [notSupported, 'Make a new table or column, and copy the rows.'],
  'shard-temporary': [notSupported, 'Use a common table expression.'],
  'shard-create-as': [notSupported, 'Create the table, and insert its rows by their keys.'],
  'shard-prepare': [notSupported, "Use the protocol's prepared statements: every driver has them."],
  'shard-cursor': [notSupported, 'Name a key, or fetch the rows by pages.'],
  'shard-copy': [notSupported, 'Use the text, CSV or binary format without conditions.'],
  'shard-code': [notSupported, 'Run its statements one by one.'],
  'shard-lock': [notSupported, 'Lock rows by their key.'],
  'shard-statement': [notSupported, 'Run it on the shards themselves.'],
  'shard-columns-unknown': [notSupported, 'Name the columns in the statement.'],
  'shard-moving': [inUse, 'Wait until `tenfold db reshard` is finished, or cancel it.'],
}

export const shardRefusalCodes: readonly ShardRefusalCode[] = Object.keys(kinds) as ShardRefusalCode[]

export function refusal(code: ShardRefusalCode, message: string): ShardRefusal {
  const [sqlState, hint] = kinds[code]
  return { sqlState, code, message, hint }
}

export function refuse(code: ShardRefusalCode, message: string): ShardPlan {
  return { kind: 'refuse', refusal: refusal(code, message) }
}
