// Statements that are neither reads nor writes of rows: what goes to all shards, what to one, what can't be had over several.

import { field, list, opened, type Tree, text, truth, words } from '../tree.ts'
import type { AcrossPlan, CopyOptions, ShardPlan } from './contract.ts'
import { refusal, refuse } from './refusals.ts'
import { type SurveyContext, Surveyor, type TableRef } from './scope.ts'
import { volatileOf } from './writes.ts'

const session: ShardPlan = { kind: 'session' }
const onFirst: ShardPlan = { kind: 'one', on: 'fixed', writes: true }
const ddl: ShardPlan = { kind: 'ddl', transactional: true }
const temporary = refuse('shard-temporary', 'What is temporary would be on one shard only.')
const apart: ShardPlan = { kind: 'ddl', transactional: false }

/** Null: not one of these. */
export function otherPlan(
  type: string,
  statement: Tree,
  context: SurveyContext,
  inner: (node: Tree) => ShardPlan,
): ShardPlan | null {
  switch (type) {
    case 'TransactionStmt':
      return { kind: 'transaction' }
    case 'VariableSetStmt':
    case 'DiscardStmt':
    case 'DeallocateStmt':
    case 'ConstraintsSetStmt':
      return session
    case 'VariableShowStmt':
      return { kind: 'one', on: 'any', writes: false }
    case 'ListenStmt':
    case 'UnlistenStmt':
    case 'NotifyStmt':
      return onFirst
    case 'PrepareStmt':
    case 'ExecuteStmt':
      return refuse('shard-prepare', 'SQL-level PREPARE and EXECUTE are not kept over shards.')
    case 'DoStmt':
    case 'CallStmt':
      return refuse('shard-code', 'Which shards a procedure or DO block is for can not be seen from it.')
    case 'LockStmt':
      return refuse('shard-lock', 'LOCK TABLE would lock each shard for itself.')
    case 'DeclareCursorStmt': {
      const plan = inner(field(statement, 'query') ?? {})
      const name = text(statement, 'portalname')
      if (plan.kind === 'refuse') return plan
      if (plan.kind === 'all')
        return refuse('shard-cursor', `Cursor '${name}' would run over several shards.`)
      return { kind: 'cursor', name, declares: plan }
    }
    case 'FetchStmt':
    case 'ClosePortalStmt':
      return { kind: 'cursor', name: text(statement, 'portalname'), declares: null }
    case 'CopyStmt':
      return copyPlan(statement, context, inner)
    case 'VacuumStmt':
    case 'ReindexStmt':
    case 'ClusterStmt':
    case 'CheckPointStmt':
    case 'AlterSystemStmt':
      return apart
    case 'CreateStmt':
      return createTable(statement, context)
    case 'IndexStmt':
      return createIndex(statement, context)
    case 'AlterTableStmt':
      return alterTable(statement, context)
    case 'CreateTableAsStmt':
      if (text(statement, 'objtype') === 'OBJECT_MATVIEW') return materialised(statement, context)
      return refuse('shard-create-as', 'CREATE TABLE AS would make another table on each shard.')
    case 'DropStmt':
      return truth(statement, 'concurrent') ? apart : ddl
    case 'CreatedbStmt':
    case 'DropdbStmt':
    case 'AlterDatabaseStmt':
    case 'CreateTableSpaceStmt':
    case 'DropTableSpaceStmt':
    case 'CreateSubscriptionStmt':
    case 'AlterSubscriptionStmt':
    case 'DropSubscriptionStmt':
      return refuse('shard-statement', 'The statement is about one server.')
    case 'RenameStmt':
    case 'AlterObjectSchemaStmt':
      return rename(statement, context)
    case 'ViewStmt':
      return isTemporary(field(statement, 'view')) ? temporary : ddl
    case 'CreateSeqStmt':
      return isTemporary(field(statement, 'sequence')) ? temporary : ddl
    case 'RefreshMatViewStmt':
    case 'TruncateStmt':
    case 'CommentStmt':
    case 'GrantStmt':
    case 'GrantRoleStmt':
    case 'RuleStmt':
    case 'SecLabelStmt':
      return ddl
    default:
      return /^(Create|Alter|Drop|Define|Comp|Reassign)/.test(type) ? ddl : null
  }
}

// --- COPY -------------------------------------------------------------------------------------------------------

function copyPlan(statement: Tree, context: SurveyContext, inner: (node: Tree) => ShardPlan): ShardPlan {
  const options = copyOptions(statement)
  if (options === null || truth(statement, 'is_program') || text(statement, 'filename') !== '')
    return refuse('shard-copy', 'This form of COPY is not had over shards.')
  const query = field(statement, 'query')
  if (query !== undefined) {
    const plan = inner(query)
    if (plan.kind === 'refuse' || plan.kind === 'one') return plan
    const plain = plan.kind === 'keys' || plan.kind === 'all' ? plan.across : null
    if (plain !== null && 'how' in plain && isPlain(plain) && plan.kind === 'all')
      return { kind: 'copy-out', across: 'concat', keys: null, options }
    const combined = refusal('shard-copy', 'The query of COPY would have to be combined from several shards.')
    if (plan.kind !== 'keys' || plain === null) return { kind: 'refuse', refusal: combined }
    const across = 'how' in plain ? (isPlain(plain) ? 'concat' : combined) : plain
    return { kind: 'copy-out', across, keys: plan, options }
  }
  const surveyor = new Surveyor(context)
  const ref = surveyor.table(field(statement, 'relation') ?? {}, surveyor.level(null, null), new Set(), false)
  if (ref === null)
    return surveyor.survey.unknown.length > 0
      ? refuse(
          'shard-table-unknown',
          `Table '${surveyor.survey.unknown[0]}' is not among the sharded database's tables.`,
        )
      : onFirst
  if (ref.place.kind === 'on')
    return { kind: 'one', on: { shard: ref.place.shard }, writes: truth(statement, 'is_from') }
  if (!truth(statement, 'is_from')) {
    if (ref.place.kind === 'everywhere') return { kind: 'one', on: 'any', writes: false }
    return { kind: 'copy-out', across: 'concat', keys: null, options }
  }
  if (ref.place.kind === 'sharded' && ref.place.copy !== undefined)
    return refuse('shard-copied', `'${ref.table}' is a copy of '${ref.place.copy.of}', and kept by Tenfold.`)
  if (field(statement, 'whereClause') !== undefined)
    return refuse('shard-copy', 'COPY FROM with a condition is not had over shards.')
  const columns = words(statement, 'attlist')
  const trouble = copyTrouble(columns, ref)
  if (trouble !== null) return trouble
  return { kind: 'copy-in', table: ref.table, columns: columns.length === 0 ? null : columns, options }
}

/** The query as it is, on each shard. */
function isPlain(plan: AcrossPlan): boolean {
  return plan.how === 'concat' && plan.sql === null && plan.limit === null && plan.offset === null
}

function copyTrouble(columns: readonly string[], ref: TableRef): ShardPlan | null {
  if (columns.length === 0) return null
  const missing = ref.place.kind === 'sharded' ? ref.place.key.find(one => !columns.includes(one)) : undefined
  if (missing !== undefined)
    return refuse('shard-key-null', `The rows have no value for '${missing}', the key of '${ref.table}'.`)
  const made = ref.columns?.columns.find(one => one.volatileDefault && !columns.includes(one.name))
  if (ref.place.kind !== 'everywhere' || made === undefined) return null
  return refuse(
    'shard-volatile',
    `'${made.name}' would be made anew on each shard, and '${ref.table}' is the same everywhere.`,
  )
}

function copyOptions(statement: Tree): CopyOptions | null {
  const said = new Map<string, string>()
  for (const option of list(statement, 'options')) {
    const element = field(option, 'DefElem')
    const name = text(element, 'defname')
    const [kind, value] = opened(field(element, 'arg'))
    if (kind !== '' && kind !== 'String' && kind !== 'Boolean') return null
    said.set(
      name,
      kind === 'String' ? text(value, 'sval') : kind === 'Boolean' ? String(truth(value, 'boolval')) : 'true',
    )
  }
  for (const name of said.keys())
    if (!['format', 'delimiter', 'null', 'quote', 'escape', 'header', 'freeze', 'encoding'].includes(name))
      return null
  const format = said.get('format') ?? 'text'
  if (format !== 'text' && format !== 'csv' && format !== 'binary') return null
  const header = said.get('header') ?? 'false'
  if (!/^(true|false|on|off|1|0)$/.test(header)) return null
  const quote = said.get('quote') ?? '"'
  return {
    format,
    delimiter: said.get('delimiter') ?? (format === 'csv' ? ',' : '\t'),
    nullText: said.get('null') ?? (format === 'csv' ? '' : '\\N'),
    quote,
    escape: said.get('escape') ?? quote,
    header: /^(true|on|1)$/.test(header),
  }
}

// --- tables -----------------------------------------------------------------------------------------------------

function createTable(statement: Tree, context: SurveyContext): ShardPlan {
  const relation = field(statement, 'relation') ?? {}
  if (isTemporary(relation)) return temporary
  const surveyor = new Surveyor(context)
  // A partition is kept where its table is.
  const [parent] =
    field(statement, 'partbound') === undefined
      ? []
      : list(statement, 'inhRelations').map(one => field(one, 'RangeVar'))
  const ref = surveyor.table(parent ?? relation, surveyor.level(null, null), new Set(), false)
  if (ref === null)
    return refuse(
      'shard-table-unknown',
      `Table '${text(relation, 'relname')}' is not among the sharded database's tables, so nobody would know where its rows live.`,
    )
  const elements = [...list(statement, 'tableElts'), ...list(statement, 'constraints')]
  for (const element of elements) {
    const column = field(element, 'ColumnDef')
    const counted =
      column !== undefined &&
      ref.place.kind !== 'everywhere' &&
      ref.place.kind !== 'on' &&
      countsItself(column)
    if (counted)
      return refuse(
        'shard-sequence',
        `Column '${text(column, 'colname')}' of '${ref.table}' would be counted on each shard for itself.`,
      )
    const constraints = column === undefined ? [element] : list(column, 'constraints')
    for (const one of constraints) {
      const trouble = constraintTrouble(field(one, 'Constraint'), ref, context, text(column, 'colname'))
      if (trouble !== null) return trouble
    }
  }
  return ddl
}

function isTemporary(relation: Tree | undefined): boolean {
  return text(relation, 'relpersistence') === 't'
}

/** The map has tables and keys by their names. */
function rename(statement: Tree, context: SurveyContext): ShardPlan {
  const type = text(statement, 'renameType') || text(statement, 'objectType')
  const relation = field(statement, 'relation')
  if (relation === undefined || !/^OBJECT_(TABLE|COLUMN)$/.test(type)) return ddl
  const surveyor = new Surveyor(context)
  const ref = surveyor.table(relation, surveyor.level(null, null), new Set(), false)
  if (ref === null) return ddl
  const key = ref.place.kind === 'sharded' ? ref.place.key : []
  if (type === 'OBJECT_TABLE')
    return refuse('shard-rename', `'${ref.table}' is known by its name to the sharded database.`)
  return key.includes(text(statement, 'subname'))
    ? refuse('shard-rename', `'${text(statement, 'subname')}' is the key of '${ref.table}'.`)
    : ddl
}

/** serial, GENERATED AS IDENTITY, DEFAULT nextval(...). */
function countsItself(column: Tree): boolean {
  const type = words(field(column, 'typeName'), 'names').at(-1) ?? ''
  if (/^(small|big)?serial[248]?$/.test(type)) return true
  return list(column, 'constraints').some(one => {
    const constraint = field(one, 'Constraint')
    const kind = text(constraint, 'contype')
    return (
      kind === 'CONSTR_IDENTITY' ||
      (kind === 'CONSTR_DEFAULT' && JSON.stringify(constraint).includes('"sval":"nextval"'))
    )
  })
}

function alterTable(statement: Tree, context: SurveyContext): ShardPlan {
  const surveyor = new Surveyor(context)
  const ref = surveyor.table(field(statement, 'relation') ?? {}, surveyor.level(null, null), new Set(), false)
  if (ref === null) return ddl
  for (const command of list(statement, 'cmds').map(one => field(one, 'AlterTableCmd'))) {
    const [kind, definition] = opened(field(command, 'def'))
    const name = text(command, 'name')
    const key = ref.place.kind === 'sharded' ? ref.place.key : []
    if (key.includes(name) && /AT_(DropColumn|AlterColumnType)/.test(text(command, 'subtype')))
      return refuse('shard-key-update', `'${name}' is the key of '${ref.table}'.`)
    const unique = ref.place.kind === 'sharded' ? (ref.place.unique ?? []) : []
    // Values that change by it come past the triggers that note them.
    if (
      unique.flat().includes(name) &&
      /AT_(DropColumn|AlterColumnType|SetExpression)$/.test(text(command, 'subtype'))
    )
      return refuse(
        'shard-unique',
        `'${name}' of '${ref.table}' is unique over all shards, as the file says: its values can't change so until 'unique' is taken out there.`,
      )
    const constraints =
      kind === 'Constraint'
        ? [{ Constraint: definition }]
        : kind === 'ColumnDef'
          ? list(definition, 'constraints')
          : []
    for (const one of constraints) {
      const trouble = constraintTrouble(field(one, 'Constraint'), ref, context, text(definition, 'colname'))
      if (trouble !== null) return trouble
    }
    const trouble = valueTrouble(command ?? {}, ref, context)
    if (trouble !== null) return trouble
  }
  return ddl
}

/** Rows that are there get values: these must be the same on all shards where the table is everywhere. */
function valueTrouble(command: Tree, ref: TableRef, context: SurveyContext): ShardPlan | null {
  const type = text(command, 'subtype')
  const [kind, definition] = opened(field(command, 'def'))
  const counted =
    (kind === 'ColumnDef' && type === 'AT_AddColumn' && countsItself(definition)) || type === 'AT_AddIdentity'
  if (counted && ref.place.kind !== 'on')
    return refuse('shard-sequence', `A column of '${ref.table}' would be counted on each shard for itself.`)
  if (ref.place.kind !== 'everywhere' || !/^AT_(AddColumn|AlterColumnType|SetExpression)$/.test(type))
    return null
  const surveyor = new Surveyor(context)
  surveyor.expressions(definition, surveyor.level(null, null), new Set())
  const [volatile] = volatileOf(surveyor.survey)
  return volatile === undefined
    ? null
    : refuse(
        'shard-volatile',
        `${volatile}() would be another value on each shard, and '${ref.table}' is the same everywhere.`,
      )
}

function createIndex(statement: Tree, context: SurveyContext): ShardPlan {
  const surveyor = new Surveyor(context)
  const ref = surveyor.table(field(statement, 'relation') ?? {}, surveyor.level(null, null), new Set(), false)
  if (ref !== null && truth(statement, 'unique')) {
    const columns = list(statement, 'indexParams').map(one => text(field(one, 'IndexElem'), 'name'))
    const trouble = uniqueTrouble(columns, ref)
    if (trouble !== null) return trouble
  }
  return truth(statement, 'concurrent') ? apart : ddl
}

function constraintTrouble(
  constraint: Tree | undefined,
  ref: TableRef,
  context: SurveyContext,
  column: string,
): ShardPlan | null {
  const type = text(constraint, 'contype')
  if (type === 'CONSTR_PRIMARY' || type === 'CONSTR_UNIQUE' || type === 'CONSTR_EXCLUSION') {
    // One that takes over an index was judged when the index was made.
    if (text(constraint, 'indexname') !== '') return null
    const named = words(constraint, 'keys')
    return uniqueTrouble(named.length > 0 ? named : [column], ref)
  }
  return type === 'CONSTR_FOREIGN' ? foreignTrouble(constraint, ref, context, column) : null
}

function uniqueTrouble(columns: readonly string[], ref: TableRef): ShardPlan | null {
  if (ref.place.kind === 'everywhere' || ref.place.kind === 'on') return null
  const key = ref.place.kind === 'sharded' ? ref.place.key : []
  if (key.length > 0 && key.every(column => columns.includes(column))) return null
  const kept = ref.place.kind === 'sharded' ? (ref.place.unique ?? []) : []
  const named = [...columns].sort().join()
  if (kept.some(one => [...one].sort().join() === named)) return null
  const said = key.length === 0 ? 'has no key' : `has the key '${key.join("', '")}'`
  return refuse(
    'shard-unique',
    `'${columns.join("', '")}' can not be unique over all shards: '${ref.table}' ${said}.`,
  )
}

function foreignTrouble(
  constraint: Tree | undefined,
  ref: TableRef,
  context: SurveyContext,
  column: string,
): ShardPlan | null {
  const surveyor = new Surveyor(context)
  const parent = surveyor.table(
    field(constraint, 'pktable') ?? {},
    surveyor.level(null, null),
    new Set(),
    false,
  )
  if (parent === null || parent.place.kind === 'everywhere') return null
  const mine = words(constraint, 'fk_attrs')
  const theirs = words(constraint, 'pk_attrs')
  const from = mine.length > 0 ? mine : [column]
  if (ref.place.kind === 'on' && parent.place.kind === 'on' && ref.place.shard === parent.place.shard)
    return null
  if (
    ref.place.kind === 'sharded' &&
    parent.place.kind === 'sharded' &&
    ref.place.family === parent.place.family
  ) {
    const to = theirs.length > 0 ? theirs : primaryKey(parent)
    const parentKey = parent.place.key
    const together = ref.place.key.every((one, at) => {
      const place = from.indexOf(one)
      return place >= 0 && to[place] === parentKey[at]
    })
    if (together) return null
  }
  return refuse(
    'shard-foreign-key',
    `Rows of '${ref.table}' and '${parent.table}' that belong together need not be on one shard.`,
  )
}

function primaryKey({ columns }: TableRef): readonly string[] {
  return columns?.unique[0] ?? []
}

function materialised(statement: Tree, context: SurveyContext): ShardPlan {
  const surveyor = new Surveyor(context)
  surveyor.select(field(field(statement, 'query'), 'SelectStmt') ?? {}, null)
  const local = surveyor.survey.refs.every(ref => ref.place.kind === 'everywhere')
  return local
    ? ddl
    : refuse('shard-create-as', 'A materialised view over shards would have other rows on each of them.')
}
