// What a statement says about sharded tables: see contract.ts.

import { field, opened, type Tree } from '../tree.ts'
import { StatementWalk } from './changes.ts'
import type { ShardFacts, ShardRules } from './contract.ts'

export type * from './contract.ts'

const changing: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/**
 * @param statement a RawStmt's `stmt`. Null: it is no query and changes no rows (DDL, SET, COPY of a table), and has to be
 * looked at otherwise.
 */
export function shardFacts(statement: Tree, rules: ShardRules): ShardFacts | null {
  const [type, body] = opened(statement)
  if (type !== 'SelectStmt' && !changing.has(type)) return null
  const walk = new StatementWalk(rules)
  const level = type === 'SelectStmt' ? walk.select(body, null) : walk.change(type, body, null)
  walk.settle()
  return {
    uses: walk.graph.settled(),
    spread: level.spread,
    complete: level.complete,
    why: level.why,
    writesEverywhere: [...walk.writesEverywhere],
    writesSharded: [...walk.writesSharded],
    elsewhere: [...walk.elsewhere],
    unnamed: [...walk.unnamed],
    insert: walk.insert,
    movesRows: walk.movesRows,
    oneShardOnly: field(body, 'intoClause') === undefined ? walk.oneShardOnly : 'SELECT INTO',
  }
}
