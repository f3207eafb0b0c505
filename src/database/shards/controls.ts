// BEGIN to COMMIT of a client over shards: answered here, in PostgreSQL's words; shards hear of it when they join, or at the
// end. Answers the tag.

import { noticeResponse } from '../../wire/postgres/index.ts'
import { parsedTransaction, type TransactionWords } from '../sql/index.ts'
import type { ShardClient } from './client.ts'
import { quoted } from './gather/names.ts'
import { StatementFailed } from './statement-failed.ts'
import { journalFull } from './transaction.ts'

const noTransaction = '25P01'

export async function control(client: ShardClient, sql: string): Promise<string> {
  const words = parsedTransaction(sql)
  if (words === null) throw StatementFailed.of('42601', 'This transaction command is not understood.')
  switch (words.kind) {
    case 'begin':
      return begin(client, sql, words)
    case 'commit':
    case 'rollback':
      return end(client, words)
    case 'savepoint':
      return savepoint(client, words)
    case 'release':
    case 'rollback-to':
      return backTo(client, words)
    case 'two-phase':
      throw StatementFailed.of(
        '0A000',
        "Over shards, PREPARE TRANSACTION and what ends it are Tenfold's own.",
        {
          detail: 'shard-unsupported',
          hint: 'COMMIT writes to several shards atomically.',
        },
      )
  }
}

/** It alone of what savepoints are for may be said in a transaction that has failed. */
export function isRollbackTo(sql: string): boolean {
  return parsedTransaction(sql)?.kind === 'rollback-to'
}

function warn(client: ShardClient, code: string, message: string): void {
  client.output.addAll(noticeResponse({ severity: 'WARNING', code, message }))
}

/** START TRANSACTION and BEGIN; the tag says which. */
function begin(client: ShardClient, sql: string, { start, options }: TransactionWords): string {
  const { transaction } = client
  const tag = start ? 'START TRANSACTION' : 'BEGIN'
  if (transaction.kind === 'block') {
    if (options) throw StatementFailed.of('25001', 'SET TRANSACTION must be called before any query')
    warn(client, '25001', 'there is already a transaction in progress')
  } else if (transaction.kind === 'implicit' && transaction.anyMember !== undefined) {
    if (options) throw StatementFailed.of('25001', 'SET TRANSACTION must be called before any query')
    transaction.kind = 'block'
  } else transaction.open('block', sql)
  return tag
}

async function end(client: ShardClient, { kind, chain }: TransactionWords): Promise<string> {
  const { transaction } = client
  const asked = kind === 'commit' ? 'COMMIT' : 'ROLLBACK'
  if (transaction.kind !== 'block') {
    if (chain)
      throw StatementFailed.of(noTransaction, `${asked} AND CHAIN can only be used in transaction blocks`)
    warn(client, noTransaction, 'there is no transaction in progress')
    if (transaction.kind === 'none') return asked
  }
  const { opening } = transaction
  try {
    if (kind === 'rollback') {
      await transaction.rollback()
      return 'ROLLBACK'
    }
    return (await transaction.commit()) === 'committed' ? 'COMMIT' : 'ROLLBACK'
  } finally {
    client.transactionEnded()
    if (chain) transaction.open('block', opening)
  }
}

function savepoint(client: ShardClient, { name }: TransactionWords): Promise<string> {
  const { transaction } = client
  if (transaction.kind === 'none')
    throw StatementFailed.of(noTransaction, 'SAVEPOINT can only be used in transaction blocks')
  if (transaction.journal.full) throw journalFull()
  transaction.journal.savepoint(name)
  return transaction.tellMembers(`SAVEPOINT ${quoted(name)}`).then(() => 'SAVEPOINT')
}

async function backTo(client: ShardClient, { kind, name }: TransactionWords): Promise<string> {
  const { transaction } = client
  const { journal } = transaction
  const what = kind === 'release' ? 'RELEASE SAVEPOINT' : 'ROLLBACK TO SAVEPOINT'
  if (transaction.kind === 'none')
    throw StatementFailed.of(noTransaction, `${what} can only be used in transaction blocks`)
  if (!journal.has(name)) throw StatementFailed.of('3B001', `savepoint "${name}" does not exist`)
  await transaction.tellMembers(`${what} ${quoted(name)}`)
  if (kind === 'release') {
    journal.release(name)
    return 'RELEASE'
  }
  journal.rollbackTo(name)
  transaction.failed = false
  return 'ROLLBACK'
}
