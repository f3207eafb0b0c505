// What lies on each shard of a database, asked of the primaries: rows, bytes, reads and writes of every table of the map.

import type { DatabaseGroup } from '../database/agent/contract.ts'
import type { ShardMap, TablePlace } from '../policy/shard/contract.ts'
import type { ShardsView, ShardTableView, ShardView } from './control/database-views.ts'

export interface ShardGroup {
  /** An id of the map. */
  readonly id: string
  readonly group: DatabaseGroup
}

const queryTimeoutMs = 10_000
/** Up to here rows are counted, beyond it the server's own estimate has to do. */
const countedMax = 10_000

const sizesSql = `SELECT n.nspname, c.relname, greatest(coalesce(s.n_live_tup, 0), c.reltuples, 0)::bigint,
  pg_total_relation_size(c.oid), coalesce(s.seq_tup_read, 0) + coalesce(s.idx_tup_fetch, 0),
  coalesce(s.n_tup_ins, 0) + coalesce(s.n_tup_upd, 0) + coalesce(s.n_tup_del, 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'tenfold')`

export async function shardsView(
  database: string,
  map: ShardMap,
  groups: readonly ShardGroup[],
): Promise<ShardsView> {
  // Shards that the file has added, and that hold nothing yet, come last.
  const idle = groups.flatMap(({ id }) => (map.shards.includes(id) ? [] : [id]))
  const shards = await Promise.all(
    [...map.shards, ...idle].map((id, index) => shardView(id, index, map, groups)),
  )
  return { database, mapVersion: map.version, shards }
}

async function shardView(
  id: string,
  index: number,
  map: ShardMap,
  groups: readonly ShardGroup[],
): Promise<ShardView> {
  const group = groups.find(one => one.id === id)?.group
  const primary = group?.topology.primary ?? null
  const base = { id, group: group?.spec.name ?? '', primary, slots: slotsOf(map, index) }
  if (group === undefined || primary === null) return { ...base, trouble: 'it has no primary', tables: [] }
  if (index >= map.shards.length)
    return { ...base, trouble: 'it holds nothing yet: `tenfold db reshard`', tables: [] }
  try {
    return { ...base, trouble: '', tables: await tablesOf(group, primary, map) }
  } catch (cause) {
    return { ...base, trouble: (cause as Error).message, tables: [] }
  }
}

/** Of all families that have slots, together. */
function slotsOf(map: ShardMap, index: number): { readonly held: number; readonly all: number } {
  const slots = Object.values(map.families).flatMap(({ rule }) => ('slots' in rule ? rule.slots : []))
  return { held: slots.filter(shard => shard === index).length, all: slots.length }
}

async function tablesOf(group: DatabaseGroup, primary: string, map: ShardMap): Promise<ShardTableView[]> {
  const rows = await group.servers.query(primary, sizesSql, queryTimeoutMs)
  const known = rows.flatMap(([schema, name, ...numbers]) => {
    const table = `${schema}.${name}`
    const place = map.tables[table]
    const [estimate = 0, bytes = 0, reads = 0, writes = 0] = numbers.map(Number)
    return place === undefined ? [] : [{ table, place, estimate, bytes, reads, writes }]
  })
  const counted = known.filter(one => one.estimate <= countedMax)
  const counts = new Map<string, number>()
  if (counted.length > 0) {
    const sql = counted.map(({ table }) => `SELECT '${table}', (SELECT count(*) FROM ${quoted(table)})`)
    for (const [table, count] of await group.servers.query(primary, sql.join(' UNION ALL '), queryTimeoutMs))
      counts.set(table ?? '', Number(count))
  }
  return known
    .map(({ table, place, estimate, bytes, reads, writes }) => ({
      table,
      place: placeText(place),
      rows: counts.get(table) ?? estimate,
      exact: counts.has(table),
      bytes,
      reads,
      writes,
    }))
    .sort((one, other) => other.bytes - one.bytes || (one.table < other.table ? -1 : 1))
}

function quoted(table: string): string {
  return table
    .split('.')
    .map(part => `"${part}"`)
    .join('.')
}

function placeText(place: TablePlace): string {
  switch (place.kind) {
    case 'sharded':
      return `by ${place.key.join(', ')}`
    case 'on':
      return `on shard ${place.shard}`
    default:
      return place.kind
  }
}
