// BEGIN to COMMIT PREPARED: what a statement does to the transaction around it; and DISCARD, which ends a session's state.

import type { TransactionEffect } from './contract.ts'
import { type Facts, keepOnPrimary, markWrite, unpin } from './facts.ts'
import { constant, field, list, type Tree, text } from './tree.ts'

const effects: Readonly<Record<string, TransactionEffect>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'savepoint',
  TRANS_STMT_ROLLBACK_TO: 'savepoint',
  TRANS_STMT_PREPARE: 'prepare',
  TRANS_STMT_COMMIT_PREPARED: 'commit-prepared',
  TRANS_STMT_ROLLBACK_PREPARED: 'commit-prepared',
}

export function noteTransaction(body: Tree, facts: Facts): void {
  facts.kind = 'transaction'
  facts.transaction = effects[text(body, 'kind')] ?? 'none'
  if (facts.transaction === 'begin' && readsOnly(body)) {
    facts.transaction = 'begin-read-only'
    return
  }
  if (facts.transaction === 'prepare' || facts.transaction === 'commit-prepared') {
    facts.ownTransaction = facts.transaction === 'commit-prepared'
    markWrite(facts, 'commits in two phases')
    return
  }
  keepOnPrimary(facts, facts.transaction === 'begin' ? 'begins what may write' : "is its transaction's")
}

/** A replica knows no serializable transactions (check_transaction_isolation in variable.c). */
function readsOnly(body: Tree): boolean {
  const modes = new Map(
    list(body, 'options').map(node => {
      const mode = field(node, 'DefElem')
      return [text(mode, 'defname'), constant(field(mode, 'arg'))]
    }),
  )
  return modes.get('transaction_read_only') === '1' && modes.get('transaction_isolation') !== 'serializable'
}

export function discards(body: Tree, facts: Facts): void {
  facts.kind = 'session'
  const what = text(body, 'target').replace('DISCARD_', '').toLowerCase()
  if (what === 'temp' || what === 'all') unpin(facts, 'temp-table')
  if (what === 'sequences' || what === 'all') unpin(facts, 'sequence')
  if (what === 'all') {
    unpin(facts, 'advisory-lock', 'listen', 'cursor-with-hold', 'setting', 'prepared-sql')
    facts.ownTransaction = true
  }
  if (what === 'all' || what === 'plans' || what === 'sequences' || what === 'temp')
    facts.settings.push({ kind: 'discard', what })
}
