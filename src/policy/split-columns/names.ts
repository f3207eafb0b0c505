// Names of what a split makes, and how names and values are written in SQL.

import type { SplitAsk } from './contract.ts'

export interface SplitNames {
  /** The name that clients know: a table before, a view afterwards. */
  readonly whole: string
  readonly hot: string
  readonly cold: string
  /** Functions: keeps the cold half the same; does what is said to the view. */
  readonly mirror: string
  readonly halves: string
}

export const mirrorTrigger = 'tenfold_to_cold'
export const emptyTrigger = 'tenfold_empty_cold'
/** The view's: the planner of shards knows the view by it. */
export const halvesTrigger = 'tenfold_halves'

export function bareNames(table: string): { readonly [name in Exclude<keyof SplitNames, 'whole'>]: string } {
  return {
    hot: `${table}_hot`,
    cold: `${table}_cold`,
    mirror: `${table}_to_cold`,
    halves: `${table}_halves`,
  }
}

/** Quoted, with their schema. */
export function splitNames({ schema, table }: Pick<SplitAsk, 'schema' | 'table'>): SplitNames {
  const bare = bareNames(table)
  const whole = (name: string): string => `${quoted(schema)}.${quoted(name)}`
  return {
    whole: whole(table),
    hot: whole(bare.hot),
    cold: whole(bare.cold),
    mirror: whole(bare.mirror),
    halves: whole(bare.halves),
  }
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function literal(value: string): string {
  const doubled = value.replaceAll("'", "''")
  return value.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}

/** What `schema.table`, quoted or not, means; a name without a schema is of `public`. Null: it is no such name. */
export function tableNamed(text: string): { readonly schema: string; readonly table: string } | null {
  const parts: string[] = []
  const part = /\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)/y
  for (let more = true; more; ) {
    const found = part.exec(text)
    if (found === null || parts.length === 2) return null
    parts.push(found[1]?.replaceAll('""', '"') ?? (found[2] as string))
    more = found[3] === '.'
  }
  const [table, schema = 'public'] = parts.reverse()
  return table === undefined ? null : { schema, table }
}
