// UPDATE of a sharding key: a DELETE that gives the rows as they shall be, in text, to be put where they belong. Values are cast to
// their columns' types without lengths, which is what an assignment does; the lengths are looked after where they are put in.

import { field, list, number, type Tree, text as textOf, truth } from '../tree.ts'
import type { AcrossPlan, ShardPlan, ShardRefusal } from './contract.ts'
import { commonPin, pinsOf, sourceOf, type Tuple } from './pins.ts'
import { refusal, refuse } from './refusals.ts'
import { nameEnd, wordAt } from './scan.ts'
import type { Survey, TableRef } from './scope.ts'
import { quoted } from './select.ts'
import { expressionText } from './tree-text.ts'
import type { WriteContext } from './writes.ts'

type Target = TableRef & { readonly place: Extract<TableRef['place'], { kind: 'sharded' }> }

/** Null: the key is set to the value that it is known to have. */
export function keyUpdatePlan(
  statement: Tree,
  target: Target,
  others: readonly TableRef[],
  survey: Survey,
  context: WriteContext,
  volatile: string | undefined,
): ShardPlan | null {
  const pinned = commonPin([target], pinsOf(survey, context.map))
  if (pinned !== null && staysSame(statement, target, pinned.keys, context)) return null
  const trouble = troubleOf(statement, target, others, volatile)
  if (trouble !== null) return { kind: 'refuse', refusal: trouble }
  if (pinned === null && !context.allowBroadcast)
    return refuse(
      'shard-broadcast',
      `The statement gives no key for '${target.table}', so every shard would be written to.`,
    )
  const moved = moveOf(statement, target, context.text)
  if ('code' in moved) return { kind: 'refuse', refusal: moved }
  const from = pinned === null ? null : { family: pinned.family, keys: pinned.keys }
  return { kind: 'all', writes: true, across: { ...moved, from } }
}

function staysSame(statement: Tree, target: Target, keys: readonly Tuple[], { map }: WriteContext): boolean {
  const [only, ...more] = keys
  if (only === undefined || more.length > 0) return false
  const types = map.families[target.place.family]?.types ?? []
  return list(statement, 'targetList').every(one => {
    const set = field(one, 'ResTarget')
    const at = target.place.key.indexOf(textOf(set, 'name'))
    if (at < 0) return true
    const source = sourceOf(field(set, 'val'), types[at] ?? 'text')
    return source !== null && JSON.stringify(source) === JSON.stringify(only[at])
  })
}

function troubleOf(
  statement: Tree,
  target: Target,
  others: readonly TableRef[],
  volatile: string | undefined,
): ShardRefusal | null {
  const because = (why: string): ShardRefusal =>
    refusal('shard-key-update', `The statement changes the key of '${target.table}', and ${why}.`)
  if (others.length > 0) return because('reads other sharded tables')
  if (list(statement, 'fromClause').length > 0 || statement.withClause !== undefined)
    return because('has a FROM or WITH')
  if (list(statement, 'returningList').length > 0 || statement.returningClause !== undefined)
    return because('has a RETURNING')
  if (target.columns?.triggers === true) return because('the table has triggers or rules')
  if (target.columns?.cascades === true) return because('foreign keys to it cascade')
  if (!truth(target.range, 'inh')) return because('says ONLY')
  if (JSON.stringify(statement).includes('"CurrentOfExpr"')) return because('uses a cursor')
  if (volatile !== undefined)
    return refusal('shard-volatile', `${volatile}() would be another value on each shard.`)
  return null
}

function moveOf(
  statement: Tree,
  target: Target,
  text: string,
): Omit<Extract<AcrossPlan, { how: 'move' }>, 'from'> | ShardRefusal {
  const known = target.columns?.columns.filter(one => !one.generated)
  if (known === undefined)
    return refusal('shard-columns-unknown', `The columns of '${target.table}' are not known yet.`)
  const set = new Map<string, Tree>()
  for (const one of list(statement, 'targetList')) {
    const part = field(one, 'ResTarget')
    const value = field(part, 'val')
    if (value === undefined || list(part, 'indirection').length > 0 || 'MultiAssignRef' in value)
      return refusal('shard-key-update', 'Beside the key of rows, columns are set one by one only.')
    set.set(textOf(part, 'name'), value)
  }
  const listed: string[] = []
  for (const { name, type } of known) {
    const node = set.get(name)
    const base = node === undefined ? null : baseOf(type)
    const value = node === undefined ? '' : 'SetToDefault' in node ? null : expressionText(node)
    if (value === null || (node !== undefined && base === null))
      return refusal('shard-key-update', `What '${name}' shall be can not be said where the key changes.`)
    listed.push(
      wholeOf(
        node === undefined ? `${quoted(target.alias)}.${quoted(name)}` : `CAST((${value}) AS ${base})`,
        type,
      ),
    )
  }
  const bytes = Buffer.from(text.replace(/;\s*$/, ''))
  const from = number(target.range, 'location')
  const alias = field(target.range, 'alias') === undefined ? '' : ` AS ${quoted(target.alias)}`
  const where = wordAt(bytes, 'WHERE')
  const condition = where === null ? '' : ` WHERE ${bytes.utf8Slice(where.to, bytes.length).trim()}`
  const columns = known.map(one => one.name)
  return {
    how: 'move',
    table: target.table,
    take: `DELETE FROM ${bytes.utf8Slice(from, nameEnd(bytes, from))}${alias}${condition} RETURNING ${listed.join(', ')}`,
    columns,
    key: target.place.key.map(column => columns.indexOf(column)),
  }
}

/** Floats are whole in text unless the client asked for fewer digits; then the row is refused where it is put in. */
function wholeOf(value: string, type: string): string {
  if (!/^(real|double precision)/.test(type)) return value
  const asked = "pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4"
  return `CASE WHEN ${asked} > 0 THEN (${value})::pg_catalog.text ELSE 'extra_float_digits must be above 0' END`
}

/** A type without its length; null: without it the type is another one. */
function baseOf(type: string): string | null {
  if (/^bit(\(|$|\[)/.test(type)) return null
  if (/^character(\(|$|\[)/.test(type)) return type.replace(/^character(\(\d+\))?/, 'bpchar')
  return type.startsWith('"') ? type : type.replace(/^([a-z ]+?) ?\([^)]*\)/, '$1')
}
