// What a feed needs of its tables: where each stands now, and what follows from that: whether it can be followed, what must
// be altered first, what people are told. Questions and statements as texts; decides, runs nothing.

import type { TableRules } from './rules.ts'

/** A table, or what has its name. */
export interface TableLook {
  readonly table: string
  readonly kind: string
  readonly persistence: string
  readonly columns: readonly string[]
  /** The table and all of its partitions, whose rows go by the identities of both. d default, n nothing, f full, i an index. */
  readonly leaves: readonly {
    readonly name: string
    readonly identity: string
    readonly key: readonly string[]
  }[]
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function quotedName(table: string): string {
  const dot = table.indexOf('.')
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
  return `${quoted(table.slice(0, dot))}.${quoted(table.slice(dot + 1))}`
}

/** One row each: what `lookOf` reads. Names come quoted, with their schema. */
export function looksSql(tables: readonly string[]): string {
  return `SELECT json_build_object(
    'table', n.nspname || '.' || c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'columns', (SELECT coalesce(json_agg(attname), '[]') FROM pg_attribute
      WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
    'leaves', (SELECT coalesce(json_agg(json_build_object('name', l.oid::regclass::text, 'identity', l.relreplident,
        'key', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_index AS i JOIN pg_attribute AS a
          ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
          WHERE i.indrelid = l.oid AND CASE l.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident
            ELSE false END))), '[]')
      FROM pg_class AS l WHERE l.relkind IN ('r', 'p') AND (l.oid = c.oid
        OR c.relkind = 'p' AND l.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))))
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname || '.' || c.relname = ANY (ARRAY[${tables.map(literal).join(', ')}]::text[])`
}

export interface TablesPlan {
  /** To be published, in order. */
  readonly follow: readonly string[]
  /** What is published differs. */
  readonly changed: boolean
  /** Before they are published: the server refuses UPDATE and DELETE of published tables without an identity. */
  readonly alter: readonly string[]
  /** Sentences for people. */
  readonly told: readonly string[]
}

const kinds: Readonly<Record<string, string>> = {
  v: 'a view: name the tables that it reads',
  m: 'a materialized view: name the tables that it reads',
  f: 'a foreign table: its changes are made elsewhere',
  S: 'a sequence',
}

/** @param own whether the identity of tables may be changed here */
export function planTables(
  rules: ReadonlyMap<string, TableRules>,
  looks: readonly TableLook[],
  published: readonly string[],
  own: boolean,
): TablesPlan {
  const follow: string[] = []
  const alter: string[] = []
  const told: string[] = []
  for (const [table, one] of rules) {
    const look = looks.find(found => found.table === table)
    const trouble = troubleOf(table, look)
    if (look === undefined || trouble !== '') {
      told.push(`changes of ${table} are not followed: ${trouble}`)
      continue
    }
    for (const column of one.columns)
      if (!look.columns.includes(column))
        told.push(`${table} has no column '${column}': rules that name it apply to no row`)
    const poor = look.leaves.filter(leaf => leaf.identity !== 'f' && lacks(leaf.key, one, look))
    const full = (name: string): string => `ALTER TABLE ${name} REPLICA IDENTITY FULL`
    if (own) alter.push(...poor.map(leaf => full(leaf.name)))
    else if (poor.length > 0) {
      const keyless = poor.some(leaf => leaf.key.length === 0)
      told.push(
        `${keyless ? `changes of ${table} are not followed` : `of changed rows of ${table} only the new values are known`}: run ${poor.map(leaf => `"${full(leaf.name)}"`).join(', ')}`,
      )
      if (keyless) continue
    }
    follow.push(table)
  }
  // Published tables that nobody wants any more do no harm until there are others.
  const same =
    follow.length === 0 ||
    (follow.length === published.length && follow.every(table => published.includes(table)))
  return { follow, changed: !same, alter, told }
}

function troubleOf(table: string, look: TableLook | undefined): string {
  if (look === undefined) return `there is no table ${table}; when it is made, it is followed`
  if (look.kind !== 'r' && look.kind !== 'p') return `it is ${kinds[look.kind] ?? 'no table'}`
  if (look.persistence === 'u') return 'it is UNLOGGED, and not in the log'
  if (look.persistence === 't') return 'it is temporary'
  return ''
}

/** Does what the server sends of an old row lack a column that rules name? Without a key nothing is sent. */
function lacks(key: readonly string[], { columns }: TableRules, look: TableLook): boolean {
  return key.length === 0 || [...columns].some(name => look.columns.includes(name) && !key.includes(name))
}

/** @param tables not none where it exists */
export function publicationSql(publication: string, exists: boolean, tables: readonly string[]): string {
  const list = tables.map(quotedName).join(', ')
  if (!exists)
    return `CREATE PUBLICATION ${publication} ${list === '' ? '' : `FOR TABLE ${list}`} WITH (publish_via_partition_root = true)`
  return `ALTER PUBLICATION ${publication} SET TABLE ${list}`
}

/** Whose rows these are: `schema.table`, one each. */
export function publishedSql(publication: string): string {
  return `SELECT p.oid::text, n.nspname || '.' || c.relname FROM pg_publication AS p
    LEFT JOIN pg_publication_rel AS r ON r.prpubid = p.oid LEFT JOIN pg_class AS c ON c.oid = r.prrelid
    LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE p.pubname = ${literal(publication)}`
}
