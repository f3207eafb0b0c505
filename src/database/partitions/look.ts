// What partitions a table has on its server, as its catalogue says. Bounds are read in UTC.

import type { FoundPartition, PartitionSpec } from '../../policy/partition/contract.ts'
import { timeOf } from '../../policy/partition/periods.ts'

/** To the primary, as its superuser; several statements are one transaction. */
export type AskPrimary = (sql: string, timeoutMs: number) => Promise<readonly (readonly (string | null)[])[]>

export interface SeenPartition {
  readonly found: FoundPartition
  /** As PostgreSQL says them. */
  readonly bounds: string
  /** As of its last ANALYZE; -1: never. */
  readonly rows: number
  readonly bytes: number
  /** A DETACH CONCURRENTLY of it was broken off. */
  readonly halfDetached: boolean
  /** It was to be dropped, and is still there. */
  readonly marked: boolean
}

export type SeenTable =
  | { readonly kind: 'absent' }
  /** What is in the way, as a sentence. */
  | { readonly kind: 'unfit'; readonly why: string }
  | {
      readonly kind: 'partitioned'
      readonly owner: string
      /** As format_type says it, of the column of the key. */
      readonly type: string
      readonly partitions: readonly SeenPartition[]
      /** Detached to be dropped, when somebody died in between. */
      readonly left: readonly string[]
    }

/** @param name of the partitioned table, without its schema */
export const markOf = (name: string): string => `tenfold: detached, to be dropped (${name})`

const timeoutMs = 20_000
const times = /^(date|timestamp(\(\d\))? (with|without) time zone)$/
const integers = /^(smallint|integer|bigint)$/

export async function lookAtTable(ask: AskPrimary, { table, rule }: PartitionSpec): Promise<SeenTable> {
  const [schema, name] = split(table)
  const [one] = await ask(
    `SELECT c.relkind, pg_get_userbyid(c.relowner), coalesce(p.partstrat::text, ''), coalesce(p.partnatts, 0), a.attname, format_type(a.atttypid, a.atttypmod)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND a.attnum > 0
     WHERE n.nspname = ${literal(schema)} AND c.relname = ${literal(name)}`,
    timeoutMs,
  )
  if (one === undefined) return { kind: 'absent' }
  const [kind, owner, strategy, columns, column, type] = one
  const wanted = rule.by === 'hash' ? 'HASH' : 'RANGE'
  const how = `CREATE TABLE ${name} (...) PARTITION BY ${wanted} (${rule.column})`
  if (kind !== 'p') return { kind: 'unfit', why: `it is not partitioned: ${how}` }
  if (strategy !== wanted[0]?.toLowerCase() || columns !== '1' || column !== rule.column)
    return { kind: 'unfit', why: `it is partitioned otherwise than the file says: ${how}` }
  const trouble = typeTrouble(rule, type ?? '')
  if (trouble !== null) return { kind: 'unfit', why: trouble }
  const rows = await ask(
    `SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO'; SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), c.reltuples::bigint, pg_total_relation_size(c.oid), i.inhdetachpending, obj_description(c.oid, 'pg_class') = ${literal(markOf(name))}
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = ${regclass(table)} ORDER BY 1`,
    timeoutMs,
  )
  const left = await ask(
    `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
     WHERE n.nspname = ${literal(schema)} AND NOT c.relispartition AND d.description = ${literal(markOf(name))}`,
    timeoutMs,
  )
  return {
    kind: 'partitioned',
    owner: owner ?? '',
    type: type ?? '',
    partitions: rows.map(([found, bounds, tuples, bytes, pending, marked]) => ({
      found: readBounds(found ?? '', bounds ?? ''),
      bounds: bounds ?? '',
      rows: Number(tuples),
      bytes: Number(bytes),
      halfDetached: pending === 't',
      marked: marked === 't',
    })),
    left: left.map(([found]) => found ?? ''),
  }
}

function typeTrouble(rule: PartitionSpec['rule'], type: string): string | null {
  if (rule.by === 'time') {
    if (!times.test(type)) return `its column ${rule.column} is ${type}: 'every' needs a date or a timestamp`
    if (rule.every === 'hour' && type === 'date') return "its column is a date: 'every' can't be 'hour'"
  }
  if (rule.by === 'step' && !integers.test(type))
    return `its column ${rule.column} is ${type}: 'step' needs an integer`
  return null
}

const bound = String.raw`\((MINVALUE|MAXVALUE|'?[^',()]*'?)\)`
const rangeForm = new RegExp(`^FOR VALUES FROM ${bound} TO ${bound}$`)
const hashForm = /^FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)$/

function readBounds(name: string, text: string): FoundPartition {
  if (text === 'DEFAULT') return { kind: 'default', name }
  const [, modulus, remainder] = hashForm.exec(text) ?? []
  if (modulus !== undefined)
    return { kind: 'hash', name, modulus: Number(modulus), remainder: Number(remainder) }
  const [, from, to] = rangeForm.exec(text) ?? []
  const [low, high] = [boundOf(from), boundOf(to)]
  return low === null || high === null
    ? { kind: 'other', name }
    : { kind: 'range', name, from: low, to: high }
}

function boundOf(text: string | undefined): number | null {
  if (text === undefined) return null
  if (text === 'MINVALUE') return Number.NEGATIVE_INFINITY
  if (text === 'MAXVALUE') return Number.POSITIVE_INFINITY
  const bare = text.replaceAll("'", '')
  if (/^-?\d{1,15}$/.test(bare)) return Number(bare)
  if (bare === '-infinity') return Number.NEGATIVE_INFINITY
  if (bare === 'infinity') return Number.POSITIVE_INFINITY
  return timeOf(bare)
}

export function split(table: string): readonly [schema: string, name: string] {
  const dot = table.indexOf('.')
  return [table.slice(0, dot), table.slice(dot + 1)]
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function nameOf(table: string): string {
  return split(table).map(quoted).join('.')
}

function regclass(table: string): string {
  return `${literal(nameOf(table))}::regclass`
}
