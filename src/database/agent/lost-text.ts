// What `test_decoding` says of a row change, read, and told again as SQL that brings it back. Values in, values out.
//
//   table public.orders: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 note[text]:'it''s' tags[text[]]:null

export interface LostColumn {
  /** Quoted where SQL needs it. */
  readonly name: string
  /** As SQL writes it; null: not in the log (unchanged and stored out of line). */
  readonly value: string | null
}

export interface LostChange {
  /** `public.orders`, quoted where SQL needs it. */
  readonly table: string
  readonly kind: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE'
  readonly oldKey: readonly LostColumn[]
  readonly columns: readonly LostColumn[]
}

/** Null: no row change (BEGIN, COMMIT, a message). */
export function lostChange(line: string): LostChange | null {
  const match = /^table (.+?): (INSERT|UPDATE|DELETE|TRUNCATE): (.*)$/s.exec(line)
  if (match === null) return null
  const [, table, kind, rest] = match as unknown as [string, string, LostChange['kind'], string]
  if (kind === 'TRUNCATE' || rest === '(no-tuple-data)') return { table, kind, oldKey: [], columns: [] }
  if (!rest.startsWith('old-key: ')) return { table, kind, oldKey: [], columns: columnsOf(rest).columns }
  const { columns: oldKey, rest: more } = columnsOf(rest.slice('old-key: '.length))
  return { table, kind, oldKey, columns: columnsOf(more.replace(/^new-tuple: /, '')).columns }
}

function columnsOf(text: string): { columns: LostColumn[]; rest: string } {
  const columns: LostColumn[] = []
  let rest = text
  while (rest !== '' && !rest.startsWith('new-tuple: ')) {
    const name = /^(?:"(?:[^"]|"")*"|[^[\s"]+)/.exec(rest)?.[0]
    if (name === undefined) throw new Error(`not a column: ${rest.slice(0, 80)}`)
    const typeEnd = closing(rest, name.length)
    const value = /^:(B?'(?:[^']|'')*'|\S+)/.exec(rest.slice(typeEnd))
    if (value === null) throw new Error(`not a value: ${rest.slice(typeEnd, typeEnd + 80)}`)
    columns.push({ name, value: value[1] === 'unchanged-toast-datum' ? null : value[1]! })
    rest = rest.slice(typeEnd + value[0].length).replace(/^ /, '')
  }
  return { columns, rest }
}

/** The place after the bracket that closes the one at `from`: types have brackets of their own (`text[]`). */
function closing(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if (text[at] === '[') depth++
    if (text[at] === ']' && --depth === 0) return at + 1
  }
  throw new Error(`not a type: ${text.slice(from, from + 80)}`)
}

/** @param key names of the columns that tell a row of this table from the others; empty: there are none */
export function replaySql(change: LostChange, key: readonly string[]): string {
  const { table, kind, columns } = change
  const given = columns.filter(one => one.value !== null)
  switch (kind) {
    case 'INSERT': {
      const names = given.map(one => one.name).join(', ')
      const values = given.map(one => one.value).join(', ')
      return `INSERT INTO ${table} (${names}) OVERRIDING SYSTEM VALUE VALUES (${values});`
    }
    case 'UPDATE': {
      const where = conditions(change, key)
      const sets = given.map(one => `${one.name} = ${one.value}`).join(', ')
      return where === null ? unkeyed(change) : `UPDATE ${table} SET ${sets} WHERE ${where};`
    }
    case 'DELETE': {
      const where = conditions(change, key)
      return where === null ? unkeyed(change) : `DELETE FROM ${table} WHERE ${where};`
    }
    case 'TRUNCATE':
      return `-- TRUNCATE ${table};  (not replayed by itself: it would take newer rows with it)`
  }
}

function conditions({ kind, oldKey, columns }: LostChange, key: readonly string[]): string | null {
  // A deleted row is told by its key alone, or whole where its identity is FULL.
  const known =
    oldKey.length > 0 ? oldKey : kind === 'DELETE' ? columns : columns.filter(one => key.includes(one.name))
  const told = known.filter(one => one.value !== null)
  if (told.length === 0) return null
  return told
    .map(one => (one.value === 'null' ? `${one.name} IS NULL` : `${one.name} = ${one.value}`))
    .join(' AND ')
}

function unkeyed({ kind, table, columns }: LostChange): string {
  const values = columns.map(one => `${one.name} = ${one.value ?? '(unchanged)'}`).join(', ')
  return `-- ${kind} ${table}: no key tells which row: ${values.replaceAll('\n', '\n-- ')}`
}
