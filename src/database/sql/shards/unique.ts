// Columns that are unique over all shards: which statements may change them, and which look at one shard's only where all shards
// count. Whoever is in doubt says yes: that costs a question more; a wrong no is refused by the servers.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { field, list, opened, type Tree, text, truth } from '../tree.ts'
import type { ShardPlan } from './contract.ts'
import { refuse } from './refusals.ts'
import { type SurveyContext, Surveyor, type TableRef } from './scope.ts'

/** Plans that change definitions: tables with such columns may be among them. */
const isDefinition = (plan: ShardPlan): boolean => plan.kind === 'ddl' && plan.transactional

export function hasUnique(map: ShardMap): boolean {
  for (const place of Object.values(map.tables))
    if (place.kind === 'sharded' && place.unique !== undefined) return true
  return false
}

/** What the statement does may be noted by the triggers of such columns. */
export function notesUnique(type: string, statement: Tree, plan: ShardPlan, context: SurveyContext): boolean {
  switch (type) {
    case 'ExplainStmt': {
      const [inner, explained] = opened(field(statement, 'query'))
      return notesUnique(inner, explained, plan, context)
    }
    case 'CopyStmt':
      return truth(statement, 'is_from') && reaches(type, statement, context, null)
    case 'InsertStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return reaches(type, statement, context, null)
    case 'UpdateStmt':
      return reaches(
        type,
        statement,
        context,
        list(statement, 'targetList').map(one => text(field(one, 'ResTarget'), 'name')),
      )
    default:
      return isDefinition(plan)
  }
}

/** @param sets the only columns that get other values; null: rows come or go */
function reaches(
  type: string,
  statement: Tree,
  context: SurveyContext,
  sets: readonly string[] | null,
): boolean {
  const ref = targetOf(statement, context)
  if (ref === null || ref.columns === undefined) return true
  // What triggers and cascades do is not in the statement.
  const onlyAdds = (type === 'InsertStmt' && statement.onConflictClause === undefined) || type === 'CopyStmt'
  if (ref.columns.triggers || (ref.columns.cascades && !onlyAdds)) return true
  if (ref.place.kind !== 'sharded' || ref.place.unique === undefined) return false
  const watched = [...ref.place.key, ...ref.place.unique.flat()]
  // A generated column follows others.
  const follows = ref.columns.columns.some(({ name, generated }) => generated && watched.includes(name))
  return sets === null || follows || sets.some(one => watched.includes(one))
}

function targetOf(statement: Tree, context: SurveyContext): TableRef | null {
  const surveyor = new Surveyor(context)
  return surveyor.table(field(statement, 'relation') ?? {}, surveyor.level(null, null), new Set(), false)
}

/** ON CONFLICT sees the rows of its own shard. Null: it names what one shard knows. */
export function conflictTrouble(statement: Tree, target: TableRef): ShardPlan | null {
  const wrapped = field(statement, 'onConflictClause')
  if (wrapped === undefined || target.place.kind !== 'sharded' || target.place.unique === undefined)
    return null
  const clause = field(wrapped, 'OnConflictClause') ?? wrapped
  const infer = field(clause, 'infer')
  const elements = list(field(infer, 'InferClause') ?? infer, 'indexElems')
  const columns = elements.map(one => text(field(one, 'IndexElem'), 'name'))
  const { key } = target.place
  if (columns.length > 0 && key.every(one => columns.includes(one))) return null
  const named = columns.length > 0 ? `ON CONFLICT (${columns.join(', ')})` : 'ON CONFLICT without columns'
  return refuse('shard-conflict', `${named} would look at the rows of one shard of '${target.table}' only.`)
}
