// What is looked at before anything is made for a resharding: each finding is a sentence that says what is in the way and what
// helps. Changes nothing.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import type { ShardMove } from '../../../policy/shard/reshard-contract.ts'
import { type AskOne, schemaDrift } from '../drift.ts'
import { halvedViews } from '../halved.ts'
import { literal } from './changes.ts'

export interface CheckWanted {
  readonly ask: AskOne
  readonly id: string
  readonly before: ShardMap
  readonly next: ShardMap
  readonly moves: readonly ShardMove[]
  readonly joining: readonly string[]
}

export interface CheckFound {
  /** None: it can begin. */
  readonly refused: readonly string[]
  readonly warnings: readonly string[]
}

const askMs = 30_000
const differencesShown = 3
/** PostgreSQL cuts longer ones, and `holds ` comes before. */
const familyBytesMax = 57

export async function checkReshard(wanted: CheckWanted): Promise<CheckFound> {
  const { before, next, moves } = wanted
  const refused = moves.flatMap(({ family }) =>
    Buffer.byteLength(family) > familyBytesMax
      ? [`The name of the family '${family}' has more than ${familyBytesMax} bytes: rename its table.`]
      : [],
  )
  const shards = [...new Set([...before.shards, ...next.shards])]
  refused.push(...(await eachOf(shards, shard => serverFindings(wanted, shard))).flat())
  const [model = ''] = before.shards
  const halved = await halvedViews(wanted.ask, model)
  const tables = movingTables(wanted).filter(name => !halved.has(name))
  const found = await tableFindings(wanted.ask, model, tables, before)
  refused.push(...found.refused)
  const { differences } = await schemaDrift(wanted.ask, before.shards)
  if (differences.length > 0) {
    const named = differences.slice(0, differencesShown).map(({ object }) => object)
    refused.push(
      `The schemas of the shards differ (${named.join(', ')}${differences.length > differencesShown ? ', ...' : ''}): \`tenfold db drift\` shows how; make them the same.`,
    )
  }
  return { refused, warnings: found.warnings }
}

async function eachOf<T>(shards: readonly string[], work: (shard: string) => Promise<T>): Promise<T[]> {
  return Promise.all(shards.map(work))
}

/** By name: of families that move, and with a joining shard those that are everywhere. */
function movingTables({ before, moves, joining }: CheckWanted): string[] {
  const families = new Set(moves.map(({ family }) => family))
  return Object.entries(before.tables).flatMap(([name, place]) =>
    (place.kind === 'sharded' && families.has(place.family)) ||
    (place.kind === 'everywhere' && joining.length > 0)
      ? [name]
      : [],
  )
}

async function serverFindings(
  { ask, moves, before, joining }: CheckWanted,
  shard: string,
): Promise<string[]> {
  const [row] = await ask(
    shard,
    `SELECT current_setting('wal_level'),
      current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots),
      current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication),
      current_setting('server_version_num')::int / 10000,
      current_setting('max_active_replication_origins')::int - (SELECT count(*) FROM pg_replication_origin),
      (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database() AND prepared < now() - interval '1 minute'),
      (SELECT string_agg(table_name, ', ') FROM tenfold.unique_columns
        WHERE NOT built AND to_regclass(quote_ident(split_part(table_name, '.', 1)) || '.' || quote_ident(split_part(table_name, '.', 2))) IS NOT NULL)`,
    askMs,
  )
  const [level, slots, senders, version, origins, prepared, unbuilt] = row ?? []
  const [model] = before.shards
  const out = new Set(moves.filter(one => one.from === shard).map(one => one.into))
  if (shard === model) for (const one of joining) out.add(one)
  const into = new Set(moves.filter(one => one.into === shard).map(one => one.from))
  // Each stream has its way back, and one temporary slot is open while rows are copied or compared.
  const wanted = out.size + into.size + 1
  const findings: string[] = []
  if (level !== 'logical')
    findings.push(`Shard ${shard} has wal_level ${level}: set it to logical, and restart its servers.`)
  if (Number(slots) < wanted)
    findings.push(
      `Shard ${shard} has ${slots} replication slots left, and ${wanted} are needed: raise max_replication_slots.`,
    )
  if (Number(senders) < wanted)
    findings.push(
      `Shard ${shard} has ${senders} WAL senders left, and ${wanted} are needed: raise max_wal_senders.`,
    )
  if (Number(origins) < wanted)
    findings.push(
      `Shard ${shard} has ${origins} replication origins left, and ${wanted} are needed: raise max_active_replication_origins.`,
    )
  if (Number(version) < 18)
    findings.push(`Shard ${shard} runs PostgreSQL ${version}: resharding needs 18, upgrade its servers.`)
  for (const table of (unbuilt ?? '').split(', ').filter(one => one !== ''))
    findings.push(
      `Columns of '${table}' are not unique over all shards yet: \`tenfold db unique\` says why; wait, or do as it says.`,
    )
  if (Number(prepared) > 0)
    findings.push(
      `Shard ${shard} has ${prepared} transactions that are prepared for more than a minute: they must end first (pg_prepared_xacts).`,
    )
  return findings
}

const tableSql = (names: readonly string[]): string => `
SELECT w.name, c.relkind::text, c.relpersistence::text,
  (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
  (SELECT count(*) FROM pg_inherits h WHERE h.inhrelid = c.oid OR h.inhparent = c.oid),
  (SELECT string_agg(t.tgname, ', ') FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled IN ('A', 'R')),
  (SELECT string_agg(a.attname, ', ') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND a.atttypid IN ('oid'::regtype, 'xid'::regtype)),
  (SELECT json_agg((SELECT json_agg(a.attname) FROM unnest(i.indkey::int2[]) AS k JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k))
    FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique),
  (SELECT string_agg(a.attname, ', ') FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated = 'v')
FROM (VALUES ${names.map(name => `(${literal(name)})`).join(', ')}) AS w (name)
LEFT JOIN pg_class c ON c.oid = (SELECT x.oid FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace
  WHERE n.nspname || '.' || x.relname = w.name AND x.relkind IN ('r', 'p', 'f', 'v', 'm'))`

const sorted = (columns: readonly string[]): string => [...columns].sort().join()

const kinds: Readonly<Record<string, string>> = {
  p: 'partitioned',
  f: 'a foreign table',
  v: 'a view',
  m: 'a materialised view',
}

async function tableFindings(
  ask: AskOne,
  shard: string,
  tables: readonly string[],
  map: ShardMap,
): Promise<CheckFound> {
  const refused: string[] = []
  const warnings: string[] = []
  if (tables.length === 0) return { refused, warnings }
  for (const [name, kind, persistence, primary, inherits, triggers, ids, uniques, virtual] of await ask(
    shard,
    tableSql(tables),
    askMs,
  )) {
    if (kind == null) {
      refused.push(
        `Table '${name}' is in the file and not in the database: make it, or take it out of the file.`,
      )
      continue
    }
    const other = kinds[kind]
    if (other !== undefined) refused.push(`Table '${name}' is ${other}: such tables can not be resharded.`)
    else if (persistence !== 'p')
      refused.push(
        `Table '${name}' is unlogged: its changes can not be followed; ALTER TABLE ... SET LOGGED.`,
      )
    else if (Number(inherits) > 0)
      refused.push(`Table '${name}' inherits, or is inherited from: it can not be resharded.`)
    else if (primary === '0') refused.push(`Table '${name}' has no primary key: add one.`)
    if (virtual != null)
      refused.push(
        `Table '${name}' has columns that are generated when they are read (${virtual}): drop them, or make them STORED.`,
      )
    if (triggers != null)
      refused.push(
        `Table '${name}' has triggers that fire for replication, too (${triggers}): ALTER TABLE ... ENABLE TRIGGER, so that they fire once.`,
      )
    if (ids != null) warnings.push(`columns ${ids} of '${name}' may name large objects, which do not move`)
    const place = map.tables[name ?? '']
    if (place?.kind !== 'sharded' || uniques == null) continue
    const lists = JSON.parse(uniques) as string[][]
    const kept = new Set((place.unique ?? []).map(sorted))
    const loose = lists.filter(
      columns => !place.key.every(column => columns?.includes(column)) && !kept.has(sorted(columns)),
    )
    for (const columns of loose)
      warnings.push(
        `(${columns.join(', ')}) of '${name}' is unique on each shard only: if two shards have the same, copying stops`,
      )
  }
  return { refused, warnings }
}
