// How a read is answered: by one shard, if all its tables are pinned to one key; by all shards side by side, if no row of one
// shard has to meet a row of another; else by combining the rows of its tables in one place.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { builtinFunctions } from '../builtins.generated.ts'
import { harmlessFunctions } from '../function-effects.ts'
import { field, number, type Tree, truth, words } from '../tree.ts'
import type { AcrossPlan, CombinePart, ShardPlan, ShardRefusal } from './contract.ts'
import { bareName } from './local.ts'
import { commonPin, type Pins, pinsOf } from './pins.ts'
import { refusal } from './refusals.ts'
import { nameEnd, replaced } from './scan.ts'
import { columnOf, type Survey, type TableRef } from './scope.ts'
import { shapedPlan } from './shapes.ts'
import { expressionText } from './tree-text.ts'

const aggregates = new Set(
  (
    'any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or count every json_agg json_agg_strict json_object_agg ' +
    'json_objectagg json_arrayagg jsonb_agg jsonb_agg_strict jsonb_object_agg max min range_agg range_intersect_agg string_agg ' +
    'sum xmlagg corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy ' +
    'regr_syy stddev stddev_pop stddev_samp variance var_pop var_samp mode percentile_cont percentile_disc rank dense_rank ' +
    'percent_rank cume_dist grouping row_number ntile lag lead first_value last_value nth_value'
  ).split(' '),
)

const systemColumns = ['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid']

const sequenceFunctions = new Set(['nextval', 'currval', 'lastval', 'setval'])

function isAggregate(name: string): boolean {
  return aggregates.has(name) || name.includes('agg')
}

export interface SelectInput {
  /** The statement's own text, without comments. */
  readonly text: string
  readonly select: Tree
  readonly survey: Survey
  readonly map: ShardMap
}

/** Null: nothing in it is kept by shards. */
export function selectPlan(input: SelectInput): ShardPlan {
  const { survey, map } = input
  const placed = survey.refs.filter(ref => ref.place.kind !== 'everywhere')
  if (placed.length === 0) return unplaced(survey)
  const only = onlyShard(placed)
  if (only !== null) return { kind: 'one', on: { shard: only }, writes: survey.locks }
  const one = onlyInOnePlace(survey)
  if (one !== null) return { kind: 'refuse', refusal: one }
  const pins = pinsOf(survey, map)
  const pinned = commonPin(placed, pins)
  const across = acrossOf(input, placed, pins)
  if (pinned !== null)
    return { kind: 'keys', family: pinned.family, keys: pinned.keys, writes: survey.locks, across }
  return 'code' in across ? { kind: 'refuse', refusal: across } : { kind: 'all', writes: false, across }
}

function unplaced(survey: Survey): ShardPlan {
  const sequence = [...survey.functions].map(bareName).find(name => sequenceFunctions.has(name))
  if (sequence !== undefined)
    return {
      kind: 'refuse',
      refusal: refusal('shard-sequence', `${sequence}() counts on each shard for itself.`),
    }
  // What may write or lock is always told to the same shard, and what asks the server about itself too.
  const calm = [...survey.functions].every(isCalm)
  return { kind: 'one', on: calm && !survey.catalogue ? 'any' : 'fixed', writes: survey.locks || !calm }
}

/** Sequences and locks of shards are strangers to those of others: where a key sends them means nothing. */
function onlyInOnePlace(survey: Survey): ShardRefusal | null {
  for (const name of survey.functions) {
    if (sequenceFunctions.has(bareName(name)))
      return refusal('shard-sequence', `${bareName(name)}() counts on each shard for itself.`)
    if (/^pg_(try_)?advisory_/.test(bareName(name)))
      return refusal('shard-lock', `${bareName(name)}() would lock on the shard of the rows only.`)
  }
  return null
}

function isCalm(name: string): boolean {
  const one = bareName(name)
  return builtinFunctions.has(one) || harmlessFunctions.has(one) || valueFunctions.has(one)
}

const valueFunctions = new Set(
  (
    'current_date current_time current_timestamp localtime localtimestamp current_role current_user user session_user ' +
    'current_catalog current_schema'
  ).split(' '),
)

function onlyShard(refs: readonly TableRef[]): string | null {
  const [first] = refs
  if (first?.place.kind !== 'on') return null
  const { shard } = first.place
  return refs.every(ref => ref.place.kind === 'on' && ref.place.shard === shard) ? shard : null
}

function acrossOf(input: SelectInput, placed: readonly TableRef[], pins: Pins): AcrossPlan | ShardRefusal {
  const { survey } = input
  if (survey.locks)
    return refusal('shard-row-lock', 'Rows of several shards can not be locked by one statement.')
  const place = systemColumns.find(name => survey.columns.has(name))
  if (place !== undefined)
    return refusal(
      'shard-statement',
      `'${place}' says where a row lies on its own shard, and there are several.`,
    )
  for (const name of survey.functions) {
    if (!isCalm(name))
      return refusal('shard-function', `What ${name}() does on rows of several shards is not known.`)
  }
  const { select, map } = input
  const found = commonPin(placed, pins)
  const keys = found === null ? null : { family: found.family, keys: found.keys }
  return shapedPlan({ select, survey, map, placed, keys, isAggregate }) ?? combined(input, pins)
}

// --- combined ---------------------------------------------------------------------------------------------------

function combined(input: SelectInput, pins: Pins): AcrossPlan | ShardRefusal {
  const { survey } = input
  if (survey.qualifiers.has('*'))
    return refusal(
      'shard-statement',
      'Columns are named with their schema, which is not known where rows are combined.',
    )
  if (survey.views.length > 0)
    return refusal('shard-view', `'${survey.views[0]}' is a view over sharded tables.`)
  const placed = parts(input, pins, false)
  if ('code' in placed) return placed
  const everywhere = parts(input, pins, true)
  return 'code' in everywhere ? everywhere : { how: 'combine', ...placed, everywhere }
}

function parts(
  { text: statement, survey }: SelectInput,
  pins: Pins,
  everywhere: boolean,
): { parts: CombinePart[]; sql: string } | ShardRefusal {
  const bytes = Buffer.from(statement)
  const groups = /\bgroup\s+by\b/i.test(statement)
  const made: CombinePart[] = []
  const pieces: { from: number; to: number; by: string }[] = []
  for (const ref of survey.refs) {
    if (ref.place.kind === 'everywhere' && !everywhere) continue
    if (ref.columns === undefined)
      return refusal('shard-columns-unknown', `The columns of '${ref.table}' are not known yet.`)
    const name = `tenfold_part_${made.length + 1}`
    made.push(partOf(ref, name, survey, pins, groups))
    const from = number(ref.range, 'location')
    const alias = field(ref.range, 'alias') === undefined ? ` AS ${quoted(ref.alias)}` : ''
    pieces.push({ from, to: nameEnd(bytes, from), by: `${name}${alias}` })
  }
  return { parts: made, sql: replaced(statement, pieces) }
}

function partOf(ref: TableRef, name: string, survey: Survey, pins: Pins, groups: boolean): CombinePart {
  const all = survey.columns.has('*') || survey.natural || survey.columns.has(ref.alias)
  const known = ref.columns?.columns ?? []
  const needed = known.filter(column => all || survey.columns.has(column.name))
  // A table without columns has rows all the same.
  const columns = needed.length > 0 ? needed : known.slice(0, 1)
  const [schema = '', table = ''] = ref.table.split('.')
  const only = truth(ref.range, 'inh') ? '' : 'ONLY '
  const where = ownConditions(ref)
    .map(expressionText)
    .filter(one => one !== null)
    .map(one => `(${one})`)
  const filter = where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`
  const listed = columns.map(column => quoted(column.name)).join(', ')
  const tuples = pins.get(ref)
  const primary = groups ? primaryOf(ref, columns) : null
  return {
    name,
    columns: columns.map(({ name: column, type, collation }) => ({ name: column, type, collation })),
    sql: `SELECT ${listed} FROM ${only}${quoted(schema)}.${quoted(table)} AS ${quoted(ref.alias)}${filter}`,
    ...(ref.place.kind === 'everywhere' ? { once: true as const } : {}),
    ...(primary === null ? {} : { primary }),
    keys:
      tuples === undefined || ref.place.kind !== 'sharded'
        ? null
        : { family: ref.place.family, keys: tuples },
  }
}

/** Null: the table has none, the statement does not need it, or it holds on each shard only. */
function primaryOf(
  { columns, place }: TableRef,
  needed: readonly { readonly name: string }[],
): readonly string[] | null {
  const [key] = columns?.primary === true ? columns.unique : []
  if (key === undefined || !key.every(column => needed.some(({ name }) => name === column))) return null
  const whole =
    place.kind === 'everywhere' ||
    place.kind === 'on' ||
    (place.kind === 'sharded' && place.key.every(column => key.includes(column)))
  return whole ? key : null
}

/** Conditions on this table alone that choose its rows, made of nothing but columns, values and plain functions. */
function ownConditions(ref: TableRef): Tree[] {
  // Below an outer join a row that is left out here would come back as one of NULLs.
  if (ref.nullable) return []
  return ref.level.conditions
    .filter(({ pins, node }) => pins === null && isOwn(node, ref))
    .map(({ node }) => node)
}

function isOwn(value: unknown, ref: TableRef): boolean {
  if (Array.isArray(value)) return value.every(one => isOwn(one, ref))
  if (typeof value !== 'object' || value === null) return true
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'ColumnRef') {
      if (columnOf({ ColumnRef: inner }, ref.level)?.ref !== ref) return false
      continue
    }
    if (key === 'SubLink' || key === 'A_Star' || key === 'SQLValueFunction') return false
    if (key === 'FuncCall') {
      const name = bareName(words(inner as Tree, 'funcname').join('.'))
      if (!builtinFunctions.has(name) || isAggregate(name)) return false
    }
    if (!isOwn(inner, ref)) return false
  }
  return true
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
