// Where a write goes: to the shard of its key, to the shards of its rows, to all of them where a table is everywhere, and else
// nowhere: what would touch every shard must be allowed, and what needs rows of several to be made is refused.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { builtinFunctions } from '../builtins.generated.ts'
import { field, list, opened, type Tree, text } from '../tree.ts'
import type { AcrossPlan, ShardPlan } from './contract.ts'
import { keyUpdatePlan } from './key-update.ts'
import { commonPin, type Pins, pinsOf, sourceOf, type Tuple } from './pins.ts'
import { refusal, refuse } from './refusals.ts'
import { splitValues } from './scan.ts'
import { columnOf, conjuncts, type Survey, type SurveyContext, Surveyor, type TableRef } from './scope.ts'
import { quoted } from './select.ts'
import { conflictTrouble } from './unique.ts'

export interface WriteContext extends SurveyContext {
  readonly allowBroadcast: boolean
  readonly text: string
}

type Target = TableRef & { readonly place: Extract<TableRef['place'], { kind: 'sharded' }> }

export function writePlan(type: string, statement: Tree, context: WriteContext): ShardPlan {
  const surveyor = new Surveyor(context)
  const level = surveyor.level(null, null)
  const names = surveyor.with(statement, null, new Set())
  const relation = field(statement, 'relation') ?? {}
  const target = surveyor.table(relation, level, new Set(), false)
  const { survey } = surveyor
  if (target === null) {
    const [unknown] = survey.unknown
    return unknown === undefined ? { kind: 'ddl', transactional: true } : unknownTable(unknown)
  }
  if (type === 'InsertStmt') {
    const source = field(field(statement, 'selectStmt'), 'SelectStmt')
    // What the source reads has a level of its own.
    if (source !== undefined) surveyor.select(source, null, names)
    for (const part of ['onConflictClause', 'returningClause', 'returningList'])
      surveyor.expressions(statement[part], level, names)
  } else {
    for (const part of ['fromClause', 'usingClause'])
      for (const item of list(statement, part)) surveyor.from(item, level, names, false)
    const source = field(statement, 'sourceRelation')
    if (source !== undefined) surveyor.from(source, level, names, type === 'MergeStmt')
    surveyor.where(field(statement, 'whereClause'), level, names)
    const join = field(statement, 'joinCondition')
    for (const part of [
      'targetList',
      'returningClause',
      'returningList',
      'mergeWhenClauses',
      'joinCondition',
    ])
      surveyor.expressions(statement[part], level, names)
    // MERGE finds its rows by the condition; rows of the source that find none may be inserted.
    const pins = new Set([target])
    if (join !== undefined)
      for (const node of conjuncts(join)) level.conditions.push({ node, pins, where: false })
  }
  const [unknown] = survey.unknown
  if (unknown !== undefined) return unknownTable(unknown)
  const [view] = survey.views
  if (view !== undefined) return refuse('shard-view', `'${view}' is a view.`)
  if (survey.nestedWrites) return refuse('shard-nested-write', 'A WITH or subquery of the statement writes.')
  const sequence = [...survey.functions].find(name =>
    /^(pg_catalog\.)?(nextval|currval|lastval|setval)$/.test(name),
  )
  if (sequence !== undefined && target.place.kind !== 'on' && target.place.kind !== 'everywhere')
    return refuse('shard-sequence', `${sequence}() counts on each shard for itself.`)
  if (target.place.kind === 'sharded' && target.place.copy !== undefined)
    return refuse(
      'shard-copied',
      `'${target.table}' is a copy of '${target.place.copy.of}', and kept by Tenfold.`,
    )
  const others = survey.refs.filter(ref => ref !== target && ref.place.kind !== 'everywhere')
  switch (target.place.kind) {
    case 'everywhere':
      return everywherePlan(type, statement, target, others, survey, context)
    case 'on': {
      const { shard } = target.place
      const here = others.every(ref => ref.place.kind === 'on' && ref.place.shard === shard)
      return here
        ? { kind: 'one', on: { shard }, writes: true }
        : refuse(
            'shard-write-tables',
            `'${target.table}' is on one shard, and tables that are read are elsewhere.`,
          )
    }
    case 'round-robin':
      if (type === 'InsertStmt' && others.length === 0) return { kind: 'one', on: 'any', writes: true }
      return broadcast(type, target, others, survey, context)
    default:
      return type === 'InsertStmt'
        ? insertPlan(statement, target as Target, others, survey, context)
        : changePlan(type, statement, target as Target, others, survey, context)
  }
}

function unknownTable(name: string): ShardPlan {
  return refuse('shard-table-unknown', `Table '${name}' is not among the sharded database's tables.`)
}

// --- INSERT -----------------------------------------------------------------------------------------------------

function insertPlan(
  statement: Tree,
  target: Target,
  others: readonly TableRef[],
  survey: Survey,
  context: WriteContext,
): ShardPlan {
  const { map } = context
  const { place } = target
  const conflict = conflictTrouble(statement, target)
  if (conflict !== null) return conflict
  const named = list(statement, 'cols').map(one => text(field(one, 'ResTarget'), 'name'))
  const columns = named.length > 0 ? named : target.columns?.columns.map(one => one.name)
  if (columns === undefined)
    return refuse('shard-columns-unknown', `The columns of '${target.table}' are not known yet.`)
  const places = place.key.map(column => columns.indexOf(column))
  const missing = place.key.find((_, at) => (places[at] as number) < 0)
  const source = field(field(statement, 'selectStmt'), 'SelectStmt')
  if (missing !== undefined || source === undefined)
    return refuse(
      'shard-key-null',
      `The row has no value for '${missing ?? place.key[0]}', the key of '${target.table}'.`,
    )
  if (
    updatesKey(
      field(field(statement, 'onConflictClause'), 'OnConflictClause') ?? field(statement, 'onConflictClause'),
      target,
      map,
    )
  )
    return refuse('shard-key-update', `The key of '${target.table}' can not be changed by ON CONFLICT.`)
  const types = map.families[place.family]?.types ?? []
  const rows = list(source, 'valuesLists').map(one => list(field(one, 'List'), 'items'))
  if (rows.length === 0) return insertSelect(source, target, places, survey, context)
  const keys: Tuple[] = []
  for (const row of rows) {
    const tuple: Tuple[number][] = []
    for (const [at, index] of places.entries()) {
      const node = row[index]
      const [kind] = opened(node)
      const column = place.key[at] as string
      const null_ = refuse(
        'shard-key-null',
        `A row has no value for '${column}', the key of '${target.table}'.`,
      )
      if (node === undefined || kind === 'SetToDefault') return null_
      const found = sourceOf(node, types[at] ?? 'text')
      if (found === null)
        return refuse(
          'shard-key-expression',
          `The value of '${column}', the key of '${target.table}', is computed.`,
        )
      if (found.from === 'literal' && found.text === null) return null_
      tuple.push(found)
    }
    keys.push(tuple)
  }
  const plan = { kind: 'keys', family: place.family, keys, writes: true } as const
  if (others.length > 0) {
    const pinned = commonPin(others, pinsOf(survey, map))
    const same =
      pinned?.family === place.family &&
      pinned.keys.length === 1 &&
      keys.every(key => sameTuple(key, pinned.keys[0]))
    return same
      ? { ...plan, across: refusal('shard-write-tables', 'The statement reads sharded tables.') }
      : refuse('shard-write-tables', `'${target.table}' is written from tables whose key is not the same.`)
  }
  if (rows.length === 1) return { ...plan, across: refusal('shard-write-tables', 'One row has one shard.') }
  const pieces = splitValues(context.text)
  if (pieces === null || pieces.rows.length !== rows.length)
    return {
      ...plan,
      across: refusal('shard-statement', 'The rows of the statement could not be told apart.'),
    }
  return { ...plan, across: { how: 'split-insert', ...pieces } }
}

function sameTuple(one: Tuple, other: Tuple | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function insertSelect(
  source: Tree,
  target: Target,
  places: readonly number[],
  survey: Survey,
  context: WriteContext,
): ShardPlan {
  const { map } = context
  const { place } = target
  const read = survey.refs.filter(ref => ref !== target && ref.place.kind !== 'everywhere')
  const types = map.families[place.family]?.types ?? []
  const level = survey.levels.find(one => one.select === source)
  const targets = list(source, 'targetList').map(one => field(field(one, 'ResTarget'), 'val'))
  const pins = pinsOf(survey, map)
  const tuple: Tuple[number][] = []
  for (const [at, index] of places.entries()) {
    const node = targets[index]
    const value =
      sourceOf(node, types[at] ?? 'text') ?? (level === undefined ? null : pinnedColumn(node, level, pins))
    if (
      value === null ||
      targets.some(
        one =>
          field(one, 'ColumnRef') !== undefined &&
          list(field(one, 'ColumnRef'), 'fields').some(part => 'A_Star' in part),
      )
    )
      return refuse(
        'shard-insert-select',
        `Which shards the rows for '${target.table}' belong to is not known before they are read.`,
      )
    tuple.push(value)
  }
  const pinned = read.length === 0 ? null : commonPin(read, pins)
  if (
    read.length > 0 &&
    (pinned?.family !== place.family || pinned.keys.length !== 1 || !sameTuple(tuple, pinned.keys[0]))
  )
    return refuse(
      'shard-insert-select',
      `'${target.table}' is written from tables whose key is not the same.`,
    )
  return {
    kind: 'keys',
    family: place.family,
    keys: [tuple],
    writes: true,
    across: refusal('shard-insert-select', 'One key has one shard.'),
  }
}

/** A column that is the pinned key itself. */
function pinnedColumn(
  node: Tree | undefined,
  level: Parameters<typeof columnOf>[1],
  pins: Pins,
): Tuple[number] | null {
  const found = columnOf(node, level)
  if (found === null || found.ref.place.kind !== 'sharded') return null
  const at = found.ref.place.key.indexOf(found.column)
  const tuples = pins.get(found.ref)
  const source = tuples?.length === 1 ? tuples[0]?.[at] : undefined
  return source === undefined || (source.from === 'parameter' && source.array === true) ? null : source
}

// --- UPDATE, DELETE, MERGE --------------------------------------------------------------------------------------

function changePlan(
  type: string,
  statement: Tree,
  target: Target,
  others: readonly TableRef[],
  survey: Survey,
  context: WriteContext,
): ShardPlan {
  const { map } = context
  const updates =
    type === 'UpdateStmt'
      ? [statement]
      : list(statement, 'mergeWhenClauses').map(one => field(one, 'MergeWhenClause') ?? {})
  if (updates.some(one => text(one, 'commandType') !== 'CMD_INSERT' && updatesKey(one, target, map))) {
    if (type === 'UpdateStmt') {
      const moves = keyUpdatePlan(statement, target, others, survey, context, volatileOf(survey)[0])
      if (moves !== null) return moves
    } else return refuse('shard-key-update', `The statement changes the key of '${target.table}'.`)
  }
  const pins = pinsOf(survey, map)
  const pinned = commonPin([target, ...others], pins)
  if (type === 'MergeStmt') {
    // Rows that it inserts must have the key that found none.
    if (pinned === null || !pinned.same || pinned.keys.length !== 1)
      return refuse('shard-write-tables', `MERGE into '${target.table}' needs one key for all its tables.`)
    const inserts = updates.filter(one => text(one, 'commandType') === 'CMD_INSERT')
    if (!inserts.every(one => mergeInserts(one, target, pinned.keys[0] as Tuple, pins, map)))
      return refuse(
        'shard-key-expression',
        `The key of rows that MERGE inserts into '${target.table}' is not the one that it names.`,
      )
  }
  if (pinned === null) return broadcast(type, target, others, survey, context)
  const [volatile] = volatileOf(survey)
  const across: AcrossPlan | ReturnType<typeof refusal> = !pinned.same
    ? refusal('shard-write-tables', 'The tables of the statement are pinned to keys on different shards.')
    : pinned.keys.length === 1 && !pinned.keys[0]?.some(one => one.from === 'parameter' && one.array === true)
      ? refusal('shard-write-tables', 'One key has one shard.')
      : others.length > 0
        ? refusal('shard-write-tables', 'Rows of several shards would be written from other sharded tables.')
        : volatile === undefined
          ? { how: 'write' }
          : refusal('shard-volatile', `${volatile}() would be another value on each shard.`)
  return { kind: 'keys', family: pinned.family, keys: pinned.keys, writes: true, across }
}

function mergeInserts(clause: Tree, target: Target, tuple: Tuple, pins: Pins, map: ShardMap): boolean {
  const named = list(clause, 'targetList').map(one => text(field(one, 'ResTarget'), 'name'))
  const columns = named.length > 0 ? named : (target.columns?.columns.map(one => one.name) ?? [])
  const values = list(clause, 'values')
  const types = map.families[target.place.family]?.types ?? []
  return target.place.key.every((column, at) => {
    const node = values[columns.indexOf(column)]
    const source = sourceOf(node, types[at] ?? 'text') ?? pinnedColumn(node, target.level, pins)
    return source !== null && JSON.stringify(source) === JSON.stringify(tuple[at])
  })
}

function updatesKey(clause: Tree | undefined, target: Target, _map: ShardMap): boolean {
  return list(clause, 'targetList').some(one =>
    target.place.key.includes(text(field(one, 'ResTarget'), 'name')),
  )
}

function broadcast(
  type: string,
  target: TableRef,
  others: readonly TableRef[],
  survey: Survey,
  { allowBroadcast }: WriteContext,
): ShardPlan {
  if (others.length > 0 || type === 'InsertStmt' || type === 'MergeStmt')
    return refuse(
      'shard-write-tables',
      `'${target.table}' is written from sharded tables whose key is not given.`,
    )
  if (!allowBroadcast)
    return refuse(
      'shard-broadcast',
      `The statement gives no key for '${target.table}', so every shard would be written to.`,
    )
  const [volatile] = volatileOf(survey)
  if (volatile !== undefined)
    return refuse('shard-volatile', `${volatile}() would be another value on each shard.`)
  return { kind: 'all', writes: true, across: { how: 'write' } }
}

// --- everywhere -------------------------------------------------------------------------------------------------

function everywherePlan(
  type: string,
  statement: Tree,
  target: TableRef,
  others: readonly TableRef[],
  survey: Survey,
  context: WriteContext,
): ShardPlan {
  if (others.length > 0)
    return refuse(
      'shard-write-tables',
      `'${target.table}' is everywhere, and '${others[0]?.table}', which is read, is not.`,
    )
  const [volatile] = [...volatileOf(survey), ...unsteady(statement, survey)]
  const known = target.columns?.columns
  const plain = (copyRows: Extract<AcrossPlan, { how: 'everywhere' }>['copyRows']): ShardPlan => ({
    kind: 'all',
    writes: true,
    across: { how: 'everywhere', copyRows },
  })
  if (type !== 'InsertStmt')
    return volatile === undefined
      ? plain(null)
      : refuse(
          'shard-volatile',
          `${volatile} may be something else on each shard, and '${target.table}' is the same everywhere.`,
        )
  const source = field(field(statement, 'selectStmt'), 'SelectStmt')
  const named = list(statement, 'cols').map(one => text(field(one, 'ResTarget'), 'name'))
  const given = named.length > 0 ? named : (known?.map(one => one.name) ?? [])
  const defaults = list(source, 'valuesLists')
    .flatMap(one => list(field(one, 'List'), 'items'))
    .some(one => opened(one)[0] === 'SetToDefault')
  const made = known?.some(column => column.volatileDefault && (defaults || !given.includes(column.name)))
  // The order in which a SELECT gives its rows may differ: rows that are made there are copied.
  if (
    volatile === undefined &&
    made === false &&
    source !== undefined &&
    list(source, 'valuesLists').length > 0
  )
    return plain(null)
  if (known === undefined)
    return refuse('shard-columns-unknown', `The columns of '${target.table}' are not known yet.`)
  const conflict = statement.onConflictClause !== undefined
  const returning = list(statement, 'returningList').length > 0 || statement.returningClause !== undefined
  if (conflict || returning)
    return refuse(
      'shard-volatile',
      `Rows of '${target.table}' have values that would be made anew on each shard.`,
    )
  const columns = known.filter(column => !column.generated).map(column => column.name)
  const listed = columns.map(quoted).join(', ')
  return plain({
    sql: `${context.text.replace(/;\s*$/, '')} RETURNING ${listed}`,
    table: target.table,
    columns,
    returning: 0,
  })
}

/** What may choose other rows, or give another value, on servers with the same rows in another order or at another time. */
function unsteady(statement: Tree, survey: Survey): string[] {
  const found = [...survey.functions].filter(name =>
    /agg|^(row_number|first_value|last_value|nth_value|lag|lead|ntile)$/.test(name),
  )
  const said = JSON.stringify(statement)
  if (said.includes('"limitCount":') || said.includes('"limitOffset":')) found.push('LIMIT')
  if (said.includes('"distinctClause":[{"')) found.push('DISTINCT ON')
  const [, word] = /"sval":"\s*(now|today|tomorrow|yesterday)\b/i.exec(said) ?? []
  if (word !== undefined) found.push(`'${word}'`)
  return found
}

// --- functions --------------------------------------------------------------------------------------------------

/** Functions and words of the statement whose value is another each time, or at each place. */
export function volatileOf(survey: Survey): string[] {
  return [...survey.functions].filter(name => {
    const bare = name.startsWith('pg_catalog.') ? name.slice('pg_catalog.'.length) : name
    return !builtinFunctions.has(bare) || clocks.has(bare)
  })
}

/** Not volatile inside one transaction, and yet another value in each of several. */
const clocks = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'current_timestamp',
  'localtimestamp',
  'current_date',
  'current_time',
  'localtime',
  'txid_current',
  'pg_current_xact_id',
])
