// Partitions are made before they are needed and taken away when they are too old, on one primary. Each step is a transaction
// of its own with a short wait for locks; what did not come about is tried again the next time. Reads and writes go on: a
// partition is attached, which the table itself hardly notices; one that goes is detached concurrently where that can be.

import type { PartitionSpec } from '../../policy/partition/contract.ts'
import { planPartitions } from '../../policy/partition/plan.ts'
import {
  type AskPrimary,
  literal,
  lookAtTable,
  markOf,
  nameOf,
  quoted,
  type SeenTable,
  split,
} from './look.ts'

const timeoutMs = 60_000
/** For a lock of the table, or of its default partition. */
const lockTimeout = '2s'
/** Rows of a default partition that move into a new one at once. */
const movedMax = 100_000

export interface PartitionedTable {
  readonly table: string
  /** `waits`: the table is not there yet. */
  readonly state: 'rolled' | 'waits' | 'trouble'
  readonly partitions: readonly {
    readonly name: string
    readonly bounds: string
    /** An estimate; -1: unknown. */
    readonly rows: number
    readonly bytes: number
  }[]
  /** Names: what this look made and took away, or would. */
  readonly made: readonly string[]
  readonly removed: readonly string[]
  readonly troubles: readonly string[]
}

export interface RollOptions {
  readonly ask: AskPrimary
  /** Microseconds since 1970. */
  readonly nowUs: number
  /** Only look. */
  readonly dry: boolean
}

/** Rejects only where the server can't be asked. */
export async function rollTable(spec: PartitionSpec, options: RollOptions): Promise<PartitionedTable> {
  const { ask, dry } = options
  const { table } = spec
  const seen = await lookAtTable(ask, spec)
  const nothing = { table, partitions: [], made: [], removed: [], troubles: [] }
  if (seen.kind === 'absent') return { ...nothing, state: 'waits' }
  if (seen.kind === 'unfit') return { ...nothing, state: 'trouble', troubles: [seen.why] }
  const at = spec.rule.by === 'step' ? await largest(ask, spec) : options.nowUs
  const plan = planPartitions(
    spec,
    seen.partitions.map(({ found }) => found),
    at,
  )
  const troubles = [...plan.troubles, ...halfGone(seen, plan.remove)]
  const made: string[] = []
  const removed: string[] = []
  if (!dry) await unmark(spec, seen, plan.remove, ask)
  const works: readonly [string[], string, () => Promise<string | null>][] = dry
    ? []
    : [
        ...plan.make.map(one => [made, one.name, () => make(spec, seen, one, ask)] as const),
        ...plan.remove.map(name => [removed, name, () => remove(spec, seen, name, ask)] as const),
        ...(spec.old === 'drop' ? seen.left : []).map(
          name => [removed, name, () => dropTable(ask, table, name)] as const,
        ),
      ].map(([done, name, work]) => [done, name, work])
  for (const [done, name, work] of works)
    try {
      const trouble = await work()
      if (trouble === null) done.push(name)
      else troubles.push(trouble)
    } catch (error) {
      const said = (error as Error).message
      troubles.push(`${name}: ${said}`)
      // Whoever holds the table holds it for the others, too.
      if (/lock timeout/.test(said)) break
    }
  const now = dry ? seen : await lookAtTable(ask, spec)
  return {
    table,
    state: troubles.length === 0 ? 'rolled' : 'trouble',
    partitions:
      now.kind === 'partitioned'
        ? now.partitions.map(({ found, bounds, rows, bytes }) => ({ name: found.name, bounds, rows, bytes }))
        : [],
    made: dry ? plan.make.map(({ name }) => name) : made,
    removed: dry ? plan.remove : removed,
    troubles,
  }
}

/** Statements see nothing of such a partition, and no other can be detached concurrently. */
function halfGone({ partitions }: Partitioned, gone: readonly string[]): string[] {
  return partitions.flatMap(({ found: { name }, halfDetached }) =>
    halfDetached && !gone.includes(name)
      ? [
          `partition ${name} is half detached, and statements don't see it: ALTER TABLE ... DETACH PARTITION ... FINALIZE, then attach it again`,
        ]
      : [],
  )
}

/** What was to be dropped once, and is to stay by now. */
async function unmark(
  { table, old }: PartitionSpec,
  { partitions }: Partitioned,
  gone: readonly string[],
  ask: AskPrimary,
): Promise<void> {
  const [schema] = split(table)
  for (const { found, marked } of partitions)
    if (marked && !(old === 'drop' && gone.includes(found.name)))
      await ask(
        `SET LOCAL lock_timeout TO '${lockTimeout}'; COMMENT ON TABLE ${quoted(schema)}.${quoted(found.name)} IS NULL`,
        timeoutMs,
      )
}

async function largest(ask: AskPrimary, { table, rule }: PartitionSpec): Promise<number> {
  const [row] = await ask(`SELECT max(${quoted(rule.column)}) FROM ${nameOf(table)}`, timeoutMs)
  return Number(row?.[0] ?? 0)
}

type Partitioned = Extract<SeenTable, { kind: 'partitioned' }>

/** Answers what is in the way; null: it is there. */
async function make(
  { table, rule }: PartitionSpec,
  { owner, partitions }: Partitioned,
  { name, bounds, range }: ReturnType<typeof planPartitions>['make'][number],
  ask: AskPrimary,
): Promise<string | null> {
  const [schema] = split(table)
  const made = `${quoted(schema)}.${quoted(name)}`
  const other = partitions.find(({ found }) => found.kind === 'default')?.found.name
  const steps = [
    `SET LOCAL lock_timeout TO '${lockTimeout}'`,
    `CREATE TABLE ${made} (LIKE ${nameOf(table)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)`,
    `ALTER TABLE ${made} OWNER TO ${quoted(owner)}`,
  ]
  if (other !== undefined && range !== null) {
    // A partition can't come where the default one has rows: they go along.
    const from = `${quoted(schema)}.${quoted(other)}`
    const [low, high] = bounds.match(/'[^']*'/g) ?? []
    const where = `${quoted(rule.column)} >= ${low} AND ${quoted(rule.column)} < ${high}`
    const [count] = await ask(
      `SELECT count(*) FROM (SELECT FROM ONLY ${from} WHERE ${where} LIMIT ${movedMax + 1}) AS few`,
      timeoutMs,
    )
    const rows = Number(count?.[0] ?? 0)
    if (rows > movedMax)
      return `${other} has more than ${movedMax} rows that belong into ${name}: move them by hand, in a quiet hour`
    if (rows > 0) {
      const columns = await plainColumns(ask, table)
      const always = await alwaysFires(ask, from)
      if (always !== null)
        return `${other} has rows that belong into ${name}, and the trigger ${always} that fires always: move them by hand`
      // The rows stay rows of the table: no foreign key cascades, nobody's trigger runs (with a superuser's rights).
      steps.push(
        "SET LOCAL session_replication_role TO 'replica'",
        `WITH moved AS (DELETE FROM ONLY ${from} WHERE ${where} RETURNING ${columns}) INSERT INTO ${made} (${columns}) SELECT ${columns} FROM moved`,
        "SET LOCAL session_replication_role TO 'origin'",
      )
    }
  }
  steps.push(`ALTER TABLE ${nameOf(table)} ATTACH PARTITION ${made} FOR VALUES ${bounds}`)
  await ask(steps.join('; '), timeoutMs)
  return null
}

/** The name of a trigger that a replica's role does not hold back; null: there is none. */
async function alwaysFires(ask: AskPrimary, table: string): Promise<string | null> {
  const [row] = await ask(
    `SELECT tgname FROM pg_trigger WHERE tgrelid = ${literal(table)}::regclass AND NOT tgisinternal AND tgenabled IN ('A', 'R') LIMIT 1`,
    timeoutMs,
  )
  return row?.[0] ?? null
}

/** Those that are not generated. */
async function plainColumns(ask: AskPrimary, table: string): Promise<string> {
  const rows = await ask(
    `SELECT attname FROM pg_attribute WHERE attrelid = ${literal(nameOf(table))}::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
    timeoutMs,
  )
  return rows.map(([name]) => quoted(name ?? '')).join(', ')
}

async function remove(
  { table, old }: PartitionSpec,
  { partitions }: Partitioned,
  name: string,
  ask: AskPrimary,
): Promise<null> {
  const [schema, parent] = split(table)
  const gone = `${quoted(schema)}.${quoted(name)}`
  const seen = partitions.find(({ found }) => found.name === name)
  // Whoever comes next knows what it was for.
  if (old === 'drop') await ask(`COMMENT ON TABLE ${gone} IS ${literal(markOf(parent))}`, timeoutMs)
  const detach = `ALTER TABLE ${nameOf(table)} DETACH PARTITION ${gone}`
  if (seen?.halfDetached === true) await ask(`${detach} FINALIZE`, timeoutMs)
  else if (partitions.some(({ found }) => found.kind === 'default'))
    await ask(`SET LOCAL lock_timeout TO '${lockTimeout}'; ${detach}`, timeoutMs)
  else await ask(`${detach} CONCURRENTLY`, timeoutMs)
  if (old === 'drop') await dropTable(ask, table, name)
  return null
}

async function dropTable(ask: AskPrimary, table: string, name: string): Promise<null> {
  const [schema] = split(table)
  await ask(
    `SET LOCAL lock_timeout TO '${lockTimeout}'; DROP TABLE ${quoted(schema)}.${quoted(name)}`,
    timeoutMs,
  )
  return null
}
