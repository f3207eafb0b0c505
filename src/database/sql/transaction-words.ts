// What a transaction command says, by the parser: for whoever carries transactions out himself, over several servers.

import { treesOf } from './parse.ts'
import { field, list, text, truth } from './tree.ts'

export interface TransactionWords {
  readonly kind: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback-to' | 'two-phase'
  /** START TRANSACTION, which has a tag of its own. */
  readonly start: boolean
  /** Of a savepoint. */
  readonly name: string
  readonly chain: boolean
  /** ISOLATION LEVEL, READ ONLY and the like were said. */
  readonly options: boolean
}

const kinds: Readonly<Record<string, TransactionWords['kind']>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'release',
  TRANS_STMT_ROLLBACK_TO: 'rollback-to',
  TRANS_STMT_PREPARE: 'two-phase',
  TRANS_STMT_COMMIT_PREPARED: 'two-phase',
  TRANS_STMT_ROLLBACK_PREPARED: 'two-phase',
}

/** Clients say few of them, again and again. */
const known = new Map<string, TransactionWords | null>()
const knownMax = 1_000
const knownCharactersMax = 200

/** Null: it is not exactly one transaction command. */
export function parsedTransaction(sql: string): TransactionWords | null {
  const before = known.get(sql)
  if (before !== undefined) return before
  const words = parsed(sql)
  if (sql.length > knownCharactersMax) return words
  if (known.size >= knownMax) known.clear()
  known.set(sql, words)
  return words
}

function parsed(sql: string): TransactionWords | null {
  const trees = treesOf(sql)
  const body = trees?.length === 1 ? field(trees[0], 'TransactionStmt') : undefined
  const said = text(body, 'kind') || 'TRANS_STMT_BEGIN'
  const kind = kinds[said]
  if (body === undefined || kind === undefined) return null
  return {
    kind,
    start: said === 'TRANS_STMT_START',
    name: text(body, 'savepoint_name'),
    chain: truth(body, 'chain'),
    options: list(body, 'options').length > 0,
  }
}
