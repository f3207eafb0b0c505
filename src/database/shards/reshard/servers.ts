// What resharding makes on servers, and takes away again: publications, slots, identities of replication, the functions that
// say what a shard holds, and what is asked while nobody writes. Each statement may be said twice.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { placedOnSql } from '../../../policy/shard/predicate.ts'
import { lsnOf } from '../../backup/segments.ts'
import type { AskOne } from '../drift.ts'
import { literal } from './changes.ts'
import type { MovedTable, MoveStream } from './contract.ts'
import { quotedName, tableName } from './places.ts'

const shortMs = 10_000
/** A slot waits for the transactions that are open when it is made. */
const slotMs = 60_000
const lockMs = 500
const lockTries = 20
const pollMs = 5

/** Starts the names of everything that is made for one resharding. */
export function prefixOf(id: string): string {
  return `tenfold_reshard_${id}_`
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** DDL that gives way to who holds the table, and comes again. */
async function withLocks(ask: AskOne, shard: string, statement: string): Promise<void> {
  const sql = `DO $tenfold$ BEGIN PERFORM set_config('lock_timeout', '${lockMs}', true); EXECUTE ${literal(statement)}; END $tenfold$`
  for (let tries = 1; ; tries++)
    try {
      await ask(shard, sql, shortMs)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== '55P03' || tries === lockTries) throw error
      await pause(lockMs)
    }
}

// --- identities ---------------------------------------------------------------------------------------------------

/** By shard and `schema.table`: what the replica identity was, as SQL after REPLICA IDENTITY. */
export type Identities = Readonly<Record<string, Readonly<Record<string, string>>>>

/**
 * What changes; said before it is done, so that it can be put back. A deleted or changed row must be told whole where the shard's
 * key isn't in the primary key, and where values may be kept outside of the row: unchanged, they would not be told.
 */
export async function identitiesOf(
  ask: AskOne,
  shards: ReadonlyMap<string, readonly MovedTable[]>,
): Promise<Identities> {
  const found: Record<string, Record<string, string>> = {}
  for (const [shard, tables] of shards) {
    const outside = tables.filter(({ key, primary }) => key.some(column => !primary.includes(column)))
    const list = (of: readonly MovedTable[]): string =>
      `ARRAY[${of.map(table => `${literal(tableName(table))}::regclass`).join(', ')}]::regclass[]`
    const rows = await ask(
      shard,
      `SELECT n.nspname || '.' || c.relname, c.relreplident,
        (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = ANY (${list(tables)}) AND (c.oid = ANY (${list(outside)}) OR EXISTS (SELECT FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstorage <> 'p') OR c.relreplident IN ('n', 'i'))`,
      shortMs,
    )
    for (const [table, kind, index] of rows) {
      if (table == null || kind === 'f') continue
      const before =
        kind === 'i' && index != null
          ? `USING INDEX ${quotedName(index)}`
          : kind === 'n'
            ? 'NOTHING'
            : 'DEFAULT'
      found[shard] = { ...found[shard], [table]: before }
    }
  }
  return found
}

export async function widenIdentities(
  ask: AskOne,
  identities: Identities,
  tables: readonly MovedTable[],
): Promise<void> {
  await eachIdentity(identities, tables, (shard, table) =>
    withLocks(ask, shard, `ALTER TABLE ${tableName(table)} REPLICA IDENTITY FULL`),
  )
}

export async function restoreIdentities(
  ask: AskOne,
  identities: Identities,
  tables: readonly MovedTable[],
): Promise<void> {
  await eachIdentity(identities, tables, (shard, table, before) =>
    withLocks(ask, shard, `ALTER TABLE ${tableName(table)} REPLICA IDENTITY ${before}`),
  )
}

async function eachIdentity(
  identities: Identities,
  tables: readonly MovedTable[],
  work: (shard: string, table: MovedTable, before: string) => Promise<void>,
): Promise<void> {
  for (const [shard, each] of Object.entries(identities))
    for (const [name, before] of Object.entries(each)) {
      const table = tables.find(one => `${one.schema}.${one.name}` === name)
      if (table !== undefined) await work(shard, table, before)
    }
}

// --- publications, slots, origins ---------------------------------------------------------------------------------

/** At the source: what is followed, and from where. A slot that is whole already stays: it began earlier. */
export async function openStream(
  ask: AskOne,
  { from, publication, slot, tables }: MoveStream,
): Promise<void> {
  const { shard } = from
  // Who asked for it has died, and the server may be making it still: it would begin later than what relies on it.
  const [half] = await ask(
    shard,
    `SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND (active OR confirmed_flush_lsn IS NULL)`,
    shortMs,
  )
  if (half !== undefined) await dropSlots(ask, shard, `= '${slot}'`)
  const [known] = await ask(shard, `SELECT FROM pg_publication WHERE pubname = '${publication}'`, shortMs)
  if (known === undefined)
    await withLocks(
      ask,
      shard,
      `CREATE PUBLICATION ${publication} FOR TABLE ${tables.map(tableName).join(', ')} WITH (publish_generated_columns = stored)`,
    )
  await ask(
    shard,
    `SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')
      WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '${slot}')`,
    slotMs,
  )
}

/** One stream, both ends; its applier has stopped. */
export async function closeStream(ask: AskOne, { from, into, publication, slot }: MoveStream): Promise<void> {
  await dropSlots(ask, from.shard, `= '${slot}'`)
  await ask(from.shard, `DROP PUBLICATION IF EXISTS ${publication}`, shortMs)
  await dropOrigins(ask, into.shard, `= '${slot}'`)
}

/** Everything of one resharding on a shard. */
export async function removeAll(ask: AskOne, shard: string, id: string): Promise<void> {
  const ours = `LIKE '${prefixOf(id).replaceAll('_', '\\_')}%'`
  await dropSlots(ask, shard, ours)
  const rows = await ask(shard, `SELECT pubname FROM pg_publication WHERE pubname ${ours}`, shortMs)
  for (const [name] of rows) await ask(shard, `DROP PUBLICATION IF EXISTS ${quotedName(name ?? '')}`, shortMs)
  await dropOrigins(ask, shard, ours)
}

async function dropSlots(ask: AskOne, shard: string, which: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const slots = await ask(
      shard,
      `SELECT slot_name, pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name ${which} AND NOT temporary`,
      shortMs,
    )
    if (slots.length === 0) return
    try {
      for (const [name] of slots) await ask(shard, `SELECT pg_drop_replication_slot('${name}')`, shortMs)
    } catch (error) {
      // Who used it has not ended yet.
      if (tries === lockTries) throw error
      await pause(lockMs / 5)
    }
  }
}

async function dropOrigins(ask: AskOne, shard: string, which: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const origins = await ask(
      shard,
      `SELECT roname FROM pg_replication_origin WHERE roname ${which}`,
      shortMs,
    )
    if (origins.length === 0) return
    try {
      await ask(
        shard,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ${which} AND pid <> pg_backend_pid()`,
        shortMs,
      )
      for (const [name] of origins) await ask(shard, `SELECT pg_replication_origin_drop('${name}')`, shortMs)
    } catch (error) {
      if (tries === lockTries) throw error
      await pause(lockMs / 5)
    }
  }
}

// --- what a shard holds -------------------------------------------------------------------------------------------

/** As the planner calls it. The body is bound where it is made: a client's search_path does not reach into it. */
export function holdsName(family: string): string {
  return `tenfold.${quotedName(`holds ${family}`)}`
}

/** Replaced, plans that have it are made anew. A shard that the map does not have holds nothing. */
export async function installHolds(
  ask: AskOne,
  shard: string,
  map: ShardMap,
  families: readonly string[],
): Promise<void> {
  const index = map.shards.indexOf(shard)
  const statements = families.map(family => {
    const types = map.families[family]?.types ?? []
    const names = types.map((_, at) => `key${at + 1}`)
    const body = index < 0 ? 'false' : placedOnSql(map, family, names, index)
    const parameters = names.map((name, at) => `${name} ${types[at]}`).join(', ')
    return `CREATE OR REPLACE FUNCTION ${holdsName(family)}(${parameters}) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE RETURN ${body}`
  })
  await ask(shard, statements.join(';\n'), shortMs)
}

export async function dropHolds(
  ask: AskOne,
  shard: string,
  map: ShardMap,
  families: readonly string[],
): Promise<void> {
  const statements = families.map(
    family =>
      `DROP FUNCTION IF EXISTS ${holdsName(family)}(${(map.families[family]?.types ?? []).join(', ')})`,
  )
  await ask(shard, statements.join(';\n'), shortMs)
}

/** Replicas that clients read have what the primary has; false: not in time. Those that are late on purpose are left out. */
export async function replicasReach(
  ask: AskOne,
  shard: string,
  timeoutMs: number,
  delayed: readonly string[],
): Promise<boolean> {
  const others = delayed.map(id => ` AND r.application_name <> ${literal(id)}`).join('')
  const end = performance.now() + timeoutMs
  const [position] = await ask(shard, 'SELECT pg_current_wal_insert_lsn()', shortMs)
  for (;;) {
    const [behind] = await ask(
      shard,
      `SELECT count(*) FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
        WHERE coalesce(s.slot_type, 'physical') = 'physical' AND r.state = 'streaming' AND r.application_name !~ '^tenfold_reshard_'
        AND r.replay_lsn < '${position?.[0]}'${others}`,
      shortMs,
    )
    if (behind?.[0] === '0') return true
    if (performance.now() > end) return false
    await pause(pollMs)
  }
}

// --- while nobody writes ------------------------------------------------------------------------------------------

export interface Fence {
  /** Everything that was committed is before it. */
  readonly position: number
  /** In words: what is open still; ''. */
  readonly open: string
}

const openSql = `SELECT coalesce((SELECT string_agg(format('process %s of %s', pid, usename), ', ') FROM (SELECT pid, usename FROM pg_stat_activity
  WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database() AND application_name !~ '^tenfold_reshard_' LIMIT 3) AS writing), '')
  || coalesce((SELECT format(' %s prepared transactions', count(*)) FROM pg_prepared_xacts WHERE database = current_database() HAVING count(*) > 0), '')`

/** Waits for what has written and is not over. */
export async function fence(ask: AskOne, shard: string, timeoutMs: number): Promise<Fence> {
  const end = performance.now() + timeoutMs
  let open = ''
  for (;;) {
    const [row] = await ask(shard, openSql, shortMs)
    open = (row?.[0] ?? '').trim()
    if (open === '' || performance.now() > end) break
    await pause(pollMs)
  }
  return {
    position: open === '' ? await positionOf(ask, shard) : 0,
    open: open === '' ? '' : `shard ${shard}: ${open}`,
  }
}

/** On disk, so that who reads the log gets there. */
export async function positionOf(ask: AskOne, shard: string): Promise<number> {
  await ask(shard, "SELECT pg_logical_emit_message(true, 'tenfold', '')", shortMs)
  const [row] = await ask(shard, 'SELECT pg_current_wal_flush_lsn()', shortMs)
  return lsnOf(row?.[0] ?? '0/0')
}

/** Plain sequences of the target go on behind those of the source; never back. */
export async function advanceSequences(ask: AskOne, from: string, into: string): Promise<void> {
  const rows = await ask(
    from,
    `SELECT schemaname, sequencename, last_value FROM pg_sequences
      WHERE last_value IS NOT NULL AND increment_by > 0 AND schemaname NOT IN ('tenfold', 'tenfold_sequences')`,
    shortMs,
  )
  if (rows.length === 0) return
  const values = rows.map(
    ([schema, name, last]) => `(${literal(schema ?? '')}, ${literal(name ?? '')}, ${last}::bigint)`,
  )
  await ask(
    into,
    `SELECT setval(format('%I.%I', s.schemaname, s.sequencename)::regclass, w.last) FROM (VALUES ${values.join(', ')}) AS w (schema, name, last)
      JOIN pg_sequences s ON s.schemaname = w.schema AND s.sequencename = w.name
      WHERE coalesce(s.last_value, s.start_value - 1) < w.last AND w.last <= s.max_value`,
    shortMs,
  )
}
