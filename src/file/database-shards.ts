// The keys of a database that say how its rows are spread over several groups of servers: how many shards, and for each table
// by which columns and which rule. Shards are numbers from 1 in the file, and indexes from here on.

import { type KeyType, keyTypes } from '../policy/shard/contract.ts'
import { copiesSchema } from '../policy/shard/copies.ts'
import { firstMap, mapTroubles, rootOf, type TableSpec } from '../policy/shard/map.ts'
import { lookupOf, type UniqueSpec, uniqueSchema } from '../policy/shard/unique.ts'
import type { CheckedDatabase, CheckedShards } from './checked-databases.ts'
import { either, into, listOf, mapOf, strict } from './shapes.ts'
import { ruleKeyNames, ruleKeys, ruleOfKeys, shardsMax } from './shard-rules.ts'
import { choice, Refused, type Schema, text, whole } from './values.ts'

const tablesMax = 5_000
/** Of one table. */
const uniqueMax = 10
/** Each is a stream from every shard to every shard. */
const copiesMax = 20
const streamsMax = 40
const tablePattern = /^[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)?$/

const column = text('A column.', "a column such as 'customer_id'", {
  pattern: /^[a-z_][a-z0-9_$]*$/,
  lengthMax: 63,
})
const keyColumns = either('Columns of the key.', column, listOf('Columns, in their order.', column, 2, 1))
const keyType = choice('A type of PostgreSQL.', keyTypes)
const keyTypesOf = either('Types of the columns.', keyType, listOf('One for each column.', keyType, 2, 1))
const tableName = text('A table.', "a table such as 'orders' or 'shop.orders'", {
  pattern: tablePattern,
  lengthMax: 127,
})

const uniqueKeys = strict(
  { by: keyColumns, type: keyTypesOf.optional() },
  { about: "Columns that are unique together, and their types: 'text' where none is said." },
)
const uniqueEntry: Schema<UniqueSpec> = into(
  either('Columns, or columns with their types.', keyColumns, uniqueKeys),
  (entry): UniqueSpec | Refused => {
    const { by, type } = typeof entry === 'object' && 'by' in entry ? entry : { by: entry, type: undefined }
    const columns = typeof by === 'string' ? [by] : by
    const types = type === undefined ? columns.map(() => 'text' as const) : [type].flat()
    if (types.length !== columns.length)
      return new Refused(`has ${columns.length} columns and ${types.length} types`, 'Say a type for each.')
    if (new Set(columns).size < columns.length) return new Refused('has a column twice', 'Name each once.')
    return { columns, types }
  },
)

const placedKeys = {
  by: keyColumns.optional(),
  on: whole('The only shard that has it.', 1, shardsMax).optional(),
  type: keyTypesOf.optional(),
  with: tableName.optional(),
  unique: listOf('Columns that are unique over all shards.', uniqueEntry, uniqueMax, 1).optional(),
  ...ruleKeys,
}

type TableKeys = TableSpec | 'everywhere' | 'round-robin'

const placed: Schema<TableSpec> = into(
  strict(placedKeys, {
    about: 'A table whose rows live where their key says, or which one shard has.',
    elsewhere: { key: "Did you mean 'by'?", column: "Did you mean 'by'?", on: 'Write { on: 1 } alone.' },
  }),
  (keys): TableSpec | Refused => {
    if (keys.on !== undefined)
      return Object.values(keys).filter(one => one !== undefined).length === 1
        ? { kind: 'on', shard: keys.on - 1 }
        : new Refused("has 'on' and other keys", "Write { on: 1 } alone, or leave out 'on'.")
    if (keys.by === undefined)
      return new Refused("has no key: neither 'by' nor 'on'", "Write { by: 'customer_id' }, or 'everywhere'.")
    const key = typeof keys.by === 'string' ? [keys.by] : keys.by
    const given = keys.type === undefined ? null : typeof keys.type === 'string' ? [keys.type] : keys.type
    if (given !== null && given.length !== key.length)
      return new Refused(`has ${key.length} key columns and ${given.length} types`, 'Say a type for each.')
    if (new Set(key).size < key.length) return new Refused('has a key column twice', 'Name each once.')
    const { unique = [] } = keys
    const trouble = uniqueTrouble(unique, key)
    if (trouble !== null) return trouble
    const also = unique.length === 0 ? {} : { unique }
    if (keys.with !== undefined) {
      const own = [...ruleKeyNames, 'type' as const].find(name => keys[name] !== undefined)
      return own === undefined
        ? { kind: 'sharded', key, types: [], with: fullName(keys.with), rule: null, ...also }
        : new Refused(`has 'with' and '${own}', which the other table says`, `Leave out '${own}'.`)
    }
    const { strategy } = keys
    const fallback: KeyType = strategy === 'geo' ? 'text' : strategy === 'time' ? 'timestamptz' : 'bigint'
    const types = given ?? key.map(() => fallback)
    const rule = ruleOfKeys(keys, types)
    return rule instanceof Refused ? rule : { kind: 'sharded', key, types, with: null, rule, ...also }
  },
)

function uniqueTrouble(unique: readonly UniqueSpec[], key: readonly string[]): Refused | null {
  const seen = new Set<string>()
  for (const { columns } of unique) {
    const said = columns.join("', '")
    if (key.every(one => columns.includes(one)))
      return new Refused(
        `has '${said}', with the key in it, in 'unique'`,
        'Leave it out: a unique constraint on each shard is enough where the key is part of it.',
      )
    const set = [...columns].sort().join()
    if (seen.has(set)) return new Refused(`has '${said}' twice in 'unique'`, 'Leave one out.')
    seen.add(set)
  }
  return null
}

const copyKeys = strict(
  {
    of: tableName,
    by: keyColumns,
    type: keyTypesOf.optional(),
    columns: listOf(
      'Columns that the copy has, beside its key and the primary key: all, where none are said.',
      column,
      1_000,
    ).optional(),
    count: column.optional(),
    sum: mapOf(column, {
      about: "Sums, by the columns that are summed: `{ total: 'revenue' }`.",
      names: 'columns',
      pattern: /^[a-z_][a-z0-9_$]*$/,
      entriesMax: 50,
    }).optional(),
  },
  {
    about: 'Rows of a table by another key, or totals of them, which Tenfold keeps fresh.',
    elsewhere: { with: "A copy has a key of its own: 'by'.", groupBy: "Did you mean 'by'?" },
  },
)

type CopyOfTable = Extract<TableSpec, { kind: 'sharded' }>

const copy: Schema<CopyOfTable> = into(copyKeys, (keys): CopyOfTable | Refused => {
  const { of, by, type, columns, count, sum } = keys
  const key = typeof by === 'string' ? [by] : by
  const types = type === undefined ? key.map(() => 'bigint' as const) : [type].flat()
  if (types.length !== key.length)
    return new Refused(`has ${key.length} key columns and ${types.length} types`, 'Say a type for each.')
  if (new Set(key).size < key.length) return new Refused('has a key column twice', 'Name each once.')
  if (count === undefined && sum !== undefined)
    return new Refused("has 'sum' and no 'count'", "Name a column for the number of rows: count: 'orders'.")
  if (count !== undefined && columns !== undefined)
    return new Refused("has 'columns' and 'count'", 'Leave one out: a copy has rows, or totals of them.')
  const named = count === undefined ? [] : [...key, count, ...Object.values(sum ?? {})]
  if (new Set(named).size < named.length) return new Refused('has two columns of one name', 'Name each once.')
  const totals = count === undefined ? null : { count, sums: sum ?? {} }
  return {
    kind: 'sharded',
    key,
    types,
    with: null,
    rule: { by: 'hash' },
    copy: { of: fullName(of), columns: columns ?? null, totals },
  }
})

const word = choice('The same rows on every shard, or rows without a key wherever there is room.', [
  'everywhere',
  'round-robin',
])

const table: Schema<TableKeys> = either('Where rows live.', word, placed)

const shardsKeys = strict(
  {
    count: whole(
      'How many shards; each is a group of servers of its own, with the same replicas and settings.',
      1,
      shardsMax,
    ),
    slots: whole(
      'Pieces that keys are cut into; what moves when shards are added are slots.',
      1,
      16_384,
    ).prefault(1_024),
    tables: mapOf(table, {
      about:
        "Every table of the database: `{ customers: { by: 'id' }, orders: { by: 'customer_id', with: 'customers' }, films: 'everywhere' }`.",
      names: "tables such as 'orders' or 'shop.orders'",
      pattern: tablePattern,
      entriesMax: tablesMax,
    }),
    copies: mapOf(copy, {
      about:
        "Copies by another key: `{ orders_by_film: { of: 'orders', by: 'film_id' }, sales: { of: 'orders', by: 'film_id', count: 'orders', sum: { total: 'revenue' } } }`. Read as `tenfold_copies.orders_by_film`.",
      names: "names such as 'orders_by_film'",
      pattern: /^[a-z_][a-z0-9_$]*$/,
      entriesMax: copiesMax,
    }).prefault({}),
  },
  { about: 'Spreads the rows over several groups of servers, which are one database to clients.' },
)

export const shards: Schema<CheckedShards> = into(shardsKeys, (keys): CheckedShards | Refused => {
  const ids = Array.from({ length: keys.count }, (_, index) => String(index + 1))
  const tables: Record<string, TableSpec> = {}
  for (const [name, spec] of Object.entries(keys.tables)) {
    const full = fullName(name)
    if (tables[full] !== undefined) return new Refused(`has '${name}' twice`, 'Leave one out.')
    if (full.startsWith(`${copiesSchema}.`))
      return new Refused(`has '${name}', and the schema ${copiesSchema} is Tenfold's`, "Say it in 'copies'.")
    if (full.startsWith(`${uniqueSchema}.`))
      return new Refused(
        `has '${name}', and the schema ${uniqueSchema} is Tenfold's`,
        "Say 'unique' of a table.",
      )
    tables[full] = typeof spec === 'string' ? { kind: spec } : spec
  }
  for (const [name, spec] of Object.entries(keys.copies)) {
    const trouble = copyTrouble(name, spec, tables, keys.copies, keys.count)
    if (trouble !== null) return trouble
    tables[`${copiesSchema}.${name}`] = spec
  }
  const twice = sameLookups(tables)
  if (twice !== null) return twice
  for (const [name, spec] of Object.entries(tables)) {
    const trouble = tableTrouble(name, spec, tables, keys.count)
    if (trouble !== null) return trouble
  }
  // A table that lives with another has that one's types.
  for (const [name, spec] of Object.entries(tables)) {
    if (spec.kind !== 'sharded' || spec.with === null) continue
    const root = tables[rootOf({ tables }, name)]
    if (root?.kind === 'sharded') tables[name] = { ...spec, types: root.types }
  }
  const checked: CheckedShards = { shards: ids, slots: keys.slots, tables }
  const [trouble] = mapTroubles(firstMap(checked))
  return trouble === undefined ? checked : new Refused(`has a table that can't be placed: ${trouble}`)
})

function copyTrouble(
  name: string,
  { copy }: CopyOfTable,
  tables: Readonly<Record<string, TableSpec>>,
  copies: Readonly<Record<string, unknown>>,
  shards: number,
): Refused | null {
  if (tables[copy?.of ?? '']?.kind !== 'sharded')
    return new Refused(
      `has the copy '${name}' of '${copy?.of}', which is no table with a key`,
      "Name a table of 'tables' that has 'by'.",
    )
  const streams = Object.keys(copies).length * shards
  return streams <= streamsMax
    ? null
    : new Refused(
        `has ${Object.keys(copies).length} copies on ${shards} shards: each shard would send ${streams} streams`,
        `Have copies times shards be ${streamsMax} or fewer.`,
      )
}

/** Names with `$` in them may be taken apart in two ways. */
function sameLookups(tables: Readonly<Record<string, TableSpec>>): Refused | null {
  const seen = new Map<string, string>()
  for (const [name, spec] of Object.entries(tables))
    for (const { columns } of spec.kind === 'sharded' ? (spec.unique ?? []) : []) {
      const lookup = lookupOf(name, columns)
      const other = seen.get(lookup)
      if (other !== undefined)
        return new Refused(`has '${name}' and '${other}', whose look-up tables would have one name`)
      seen.set(lookup, name)
    }
  return null
}

function tableTrouble(
  name: string,
  spec: TableSpec,
  tables: Readonly<Record<string, TableSpec>>,
  count: number,
): Refused | null {
  if (spec.kind === 'on' && spec.shard >= count)
    return new Refused(`has '${name}' on shard ${spec.shard + 1} of ${count}`, `Name a shard up to ${count}.`)
  if (spec.kind !== 'sharded' || spec.with === null) return null
  const root = rootOf({ tables }, name)
  const parent = tables[root]
  if (parent?.kind !== 'sharded' || parent.with !== null)
    return new Refused(
      `has '${name}' with '${spec.with}', which is no table with a key of its own`,
      "Name a table of 'tables' that has 'by'.",
    )
  return parent.key.length === spec.key.length
    ? null
    : new Refused(
        `has '${name}' with ${spec.key.length} key columns, and '${root}' has ${parent.key.length}`,
        'Name as many columns.',
      )
}

/** `orders` is `public.orders`. */
function fullName(name: string): string {
  return name.includes('.') ? name : `public.${name}`
}

/** The groups of a sharded database, each as a database of its own; none: it is not sharded. */
export function shardGroups(
  database: CheckedDatabase,
): readonly (CheckedDatabase & { readonly shard: string })[] {
  const { shards: spread, servers, name } = database
  if (spread === null || servers.kind !== 'embedded') return []
  return spread.shards.map(shardId => {
    const group = `${name}-s${shardId}`
    const renamed = (id: string): string =>
      id.startsWith(`${name}-`) ? `${group}${id.slice(name.length)}` : id
    return {
      ...database,
      name: group,
      shards: null,
      shard: shardId,
      servers: {
        ...servers,
        members: servers.members.map(one => ({ ...one, id: renamed(one.id), from: renamed(one.from) })),
      },
      weights: Object.fromEntries(
        Object.entries(database.weights).map(([id, weight]) => [renamed(id), weight]),
      ),
    }
  })
}
