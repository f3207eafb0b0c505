// Whether a table can be split, and how: every finding is a sentence that names what is in the way and what helps. What a view
// over two tables can't do as one table did is refused here, before anything is made.

import type { ColumnFacts, SplitAsk, SplitDecision, TableFacts } from './contract.ts'

/** PostgreSQL cuts longer names; ours are up to eight bytes longer than the table's. */
const nameBytesMax = 55
const columnsMax = 1_000

export function planSplit(ask: SplitAsk, facts: TableFacts): SplitDecision {
  const { table, cold } = ask
  if (facts.kind === null) return refused(`There is no table '${table}'.`)
  const kind = kinds[facts.kind]
  if (kind !== undefined) return refused(`'${table}' is ${kind}: only ordinary tables can be split.`)
  const why = [...tableFindings(ask, facts), ...columnFindings(ask, facts), ...partFindings(ask, facts)]
  if (why.length > 0) return { kind: 'refused', why }
  const isCold = (columns: readonly string[]): boolean => columns.some(one => cold.includes(one))
  const { key, columns, owner, grants, fingerprint } = facts
  return {
    kind: 'plan',
    warnings: warningsOf(ask, facts),
    plan: {
      ...ask,
      cold: columns.filter(one => cold.includes(one.name)).map(one => one.name),
      key,
      columns,
      owner,
      unlogged: facts.persistence === 'u',
      coldIndexes: facts.indexes.filter(one => !one.constraint && isCold(one.columns)),
      coldConstraints: facts.constraints.filter(one => isCold(one.columns)),
      grants,
      fingerprint,
    },
  }
}

const kinds: Readonly<Record<string, string>> = {
  p: 'a partitioned table',
  f: 'a foreign table',
  v: 'a view',
  m: 'a materialised view',
  S: 'a sequence',
  i: 'an index',
  I: 'an index',
  c: 'a type',
}

function tableFindings({ table }: SplitAsk, facts: TableFacts): string[] {
  const { key, triggers, rules, dependents, publications, taken, columns } = facts
  const found: string[] = []
  const say = (holds: boolean, sentence: string): void => {
    if (holds) found.push(sentence)
  }
  say(
    bytesOf(table) > nameBytesMax,
    `The name '${table}' has more than ${nameBytesMax} bytes: rename the table.`,
  )
  say(facts.persistence === 't', `'${table}' is a temporary table.`)
  say(facts.inherits, `'${table}' inherits, is inherited from, or is a table of a type.`)
  say(facts.rowSecurity, `'${table}' has row level security, which a view would not obey: take it off first.`)
  say(key.length === 0, `'${table}' has no primary key: add one, the halves are joined by it.`)
  say(facts.keyDeferrable, `The primary key of '${table}' is deferrable: make it NOT DEFERRABLE.`)
  say(columns.length > columnsMax, `'${table}' has more than ${columnsMax} columns.`)
  say(triggers.length > 0, `'${table}' has triggers (${shown(triggers)}): they would see the hot half only.`)
  say(rules.length > 0, `'${table}' has rules (${shown(rules)}): drop them first.`)
  say(
    dependents.length > 0,
    `${shown(dependents)} read${dependents.length === 1 ? 's' : ''} '${table}': drop that first, and make it again over the view afterwards.`,
  )
  const feeds = publications.filter(one => one.startsWith('tenfold_feed'))
  const others = publications.filter(one => !feeds.includes(one))
  say(
    feeds.length > 0,
    `Caches are told of changes of '${table}' by its name (\`invalidate\`, \`cacheQueries\`): take that out of the file, and name '${table}_hot' and '${table}_cold' there afterwards.`,
  )
  say(
    others.length > 0,
    `'${table}' is in the publication ${shown(others)}: its subscribers know one table. ALTER PUBLICATION ... DROP TABLE, and add both halves afterwards.`,
  )
  say(taken.length > 0, `${shown(taken)} exist${taken.length === 1 ? 's' : ''} already: rename it first.`)
  say(
    columns.filter(one => one.identity !== '').length > 1,
    `'${table}' has more than one identity column: give all but one of them a sequence as its default.`,
  )
  return found
}

function columnFindings({ table, cold }: SplitAsk, { columns, key }: TableFacts): string[] {
  if (cold.length === 0) return ['Which columns are cold? --cold bio,photo']
  const found: string[] = []
  for (const name of new Set(cold)) {
    const column = columns.find(one => one.name === name)
    if (column === undefined) found.push(`'${table}' has no column '${name}'.`)
    else if (key.includes(name)) found.push(`'${name}' is in the primary key: it is in both halves anyway.`)
    else found.push(...coldFindings(column))
  }
  for (const { name, from } of columns) {
    const read = from.filter(one => cold.includes(one))
    if (read.length > 0 && !cold.includes(name))
      found.push(`'${name}' is generated from '${read.join("', '")}': leave that hot.`)
  }
  if (columns.every(one => cold.includes(one.name) || key.includes(one.name)))
    found.push(`Nothing but the key of '${table}' would be hot: leave at least one column.`)
  return found
}

function coldFindings({ name, generated, identity, ownsSequence }: ColumnFacts): string[] {
  if (generated !== '') return [`'${name}' is generated from other columns: leave it hot.`]
  if (identity !== '' || ownsSequence) return [`'${name}' counts by a sequence of its own: leave it hot.`]
  return []
}

/** What is made over columns of both halves. */
function partFindings({ cold, table }: SplitAsk, facts: TableFacts): string[] {
  const found: string[] = []
  const isCold = (columns: readonly string[]): boolean => columns.some(one => cold.includes(one))
  const isMixed = (columns: readonly string[]): boolean =>
    isCold(columns) && !columns.every(one => cold.includes(one))
  for (const { name, columns, tail, constraint, replicaIdentity, primary } of facts.indexes) {
    if (primary || !isCold(columns)) continue
    if (constraint)
      found.push(`'${name}' keeps cold columns unique: leave '${named(columns, cold)}' hot, or drop it.`)
    else if (isMixed(columns))
      found.push(
        `Index '${name}' is over both halves: leave '${named(columns, cold)}' hot, or drop the index.`,
      )
    else if (replicaIdentity) found.push(`Index '${name}' is the replica identity of '${table}'.`)
    else if (tail === null) found.push(`Index '${name}' could not be read: drop it, and make it again later.`)
  }
  for (const { name, type, columns, definition } of facts.constraints) {
    if (!isCold(columns) || type === 'u' || type === 'x' || type === 'p') continue
    if (type === 'f')
      found.push(
        `Foreign key '${name}' is over '${named(columns, cold)}': leave that hot, or drop the foreign key.`,
      )
    else if (type === 'n' || / NOT VALID$/.test(definition))
      found.push(
        `Constraint '${name}' does not hold for all rows yet: ALTER TABLE ... VALIDATE CONSTRAINT, or drop it.`,
      )
    else if (isMixed(columns))
      found.push(
        `Constraint '${name}' is over both halves: leave '${named(columns, cold)}' hot, or drop the constraint.`,
      )
  }
  for (const { name, columns } of facts.inbound)
    if (isCold(columns))
      found.push(`Foreign key ${name} points at '${named(columns, cold)}': leave that hot.`)
  for (const { name, columns } of facts.statistics)
    if (isCold(columns))
      found.push(`The statistics '${name}' are over '${named(columns, cold)}': drop them first.`)
  return found
}

/** What statements will notice. */
function warningsOf({ table }: SplitAsk, { rows, bytes }: TableFacts): string[] {
  const large = bytes > 50 * 2 ** 30 ? [`'${table}' is large: copying takes hours`] : []
  return [
    `INSERT ... ON CONFLICT, SELECT ... FOR UPDATE, TRUNCATE and COPY ... TO of '${table}' are errors afterwards: a view can't do them; say them to '${table}_hot'`,
    `UPDATE and DELETE whose row another transaction changes at the same moment fail with 40001, and are to be tried again`,
    ...(rows < 0 ? [`'${table}' was never analysed: the estimate of its halves is rough`] : []),
    ...large,
  ]
}

/** Bytes that the cold half will take, and those that it takes from the hot one once that is written anew. */
export function splitEstimate(
  { columns, rows, bytes }: TableFacts,
  cold: readonly string[],
  key: readonly string[],
): { readonly coldBytes: number; readonly hotBytes: number } {
  const widthOf = (names: readonly string[]): number =>
    columns.reduce((sum, one) => sum + (names.includes(one.name) ? one.width : 0), 0)
  const all = columns.reduce((sum, one) => sum + one.width, 0)
  if (rows <= 0 || all === 0) return { coldBytes: bytes, hotBytes: bytes }
  const coldBytes = Math.round(rows * (rowOverheadBytes + widthOf(cold) + 2 * widthOf(key) + indexEntryBytes))
  const saved = Math.round((bytes * widthOf(cold)) / (all + rowOverheadBytes))
  return { coldBytes, hotBytes: Math.max(0, bytes - saved) }
}

/** Line pointer and header of a row, alignment. */
const rowOverheadBytes = 32
const indexEntryBytes = 20

function named(columns: readonly string[], cold: readonly string[]): string {
  return columns.filter(one => cold.includes(one)).join("', '")
}

const shownMax = 5

function shown(names: readonly string[]): string {
  const more = names.length > shownMax ? `, and ${names.length - shownMax} more` : ''
  return `${names
    .slice(0, shownMax)
    .map(one => `'${one}'`)
    .join(', ')}${more}`
}

function refused(why: string): SplitDecision {
  return { kind: 'refused', why: [why] }
}

/** In UTF-8. */
function bytesOf(text: string): number {
  let bytes = 0
  for (const one of text) {
    const code = one.codePointAt(0) as number
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}
