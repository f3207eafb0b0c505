// Which indexes statements lack, and which are there for nothing. Columns that are compared for equality come first, the ones
// that tell most rows apart before the others; then one that is compared by order, or what rows are sorted by. A candidate is
// only that: whether it helps is tried on the servers.

import type { IndexCandidate, IndexDrop, IndexFacts, StatementUse, TableFacts, TableUse } from './contract.ts'

/** Smaller tables are read faster than looked up. */
const rowsMin = 1_000
/** Of an index. */
const columnsMax = 4
/** A statement that takes a smaller share of all time is not worth an index. */
const shareMin = 0.01
/** Smaller indexes cost little, used or not. */
const unusedBytesMin = 8 << 20

export function indexCandidates(
  statements: readonly StatementUse[],
  tables: readonly TableFacts[],
): readonly IndexCandidate[] {
  const all = statements.reduce((sum, one) => sum + one.totalMs, 0)
  const byTable = new Map(tables.map(one => [one.table, one]))
  const found = new Map<string, { table: string; columns: readonly string[]; statements: StatementUse[] }>()
  for (const statement of statements) {
    if (statement.totalMs < shareMin * all) continue
    for (const use of statement.uses) {
      const table = byTable.get(use.table)
      if (table === undefined || table.rows < rowsMin) continue
      const columns = columnsFor(use, table)
      if (columns.length === 0 || table.indexes.some(index => serves(index, columns, use))) continue
      const key = `${use.table}\0${columns.join('\0')}`
      const known = found.get(key)
      if (known === undefined) found.set(key, { table: use.table, columns, statements: [statement] })
      else if (!known.statements.includes(statement)) known.statements.push(statement)
    }
  }
  const timeOf = (of: readonly StatementUse[]): number => of.reduce((sum, one) => sum + one.totalMs, 0)
  return withoutPrefixes([...found.values()])
    .sort((one, other) => timeOf(other.statements) - timeOf(one.statements))
    .map(({ table, columns, statements: served }) => ({
      table,
      columns,
      statements: served
        .sort((one, other) => other.totalMs - one.totalMs)
        .map(({ text, calls, totalMs }) => ({ text, calls, totalMs })),
    }))
}

function columnsFor({ equal, range, order }: TableUse, { columns, rows }: TableFacts): readonly string[] {
  const known = new Map(columns.map(one => [one.name, one]))
  const isOrdered = (name: string): boolean => known.get(name)?.ordered === true
  const distinct = (name: string): number => known.get(name)?.distinct ?? 1
  const equals = [...new Set(equal)]
    .filter(isOrdered)
    // What nearly every row has in common finds nothing.
    .filter(name => distinct(name) > 1)
    .sort((one, other) => distinct(other) - distinct(one) || (one < other ? -1 : 1))
  const made: string[] = []
  let left = rows
  for (const name of equals) {
    if (made.length === columnsMax) break
    // So few rows are left that a further column tells nothing apart.
    if (made.length > 0 && left < 10) break
    made.push(name)
    left /= distinct(name)
  }
  if (made.length === columnsMax || (made.length > 0 && left < 10)) return made
  const sorted = order.filter(name => !made.includes(name))
  if (sorted.length > 0 && sorted.every(isOrdered) && made.length + sorted.length <= columnsMax)
    return [...made, ...sorted]
  const [first] = [...new Set(range)].filter(name => isOrdered(name) && !made.includes(name))
  return first === undefined ? made : [...made, first]
}

/** It does already what one with these columns would do. */
function serves({ columns, valid }: IndexFacts, wanted: readonly string[], { equal }: TableUse): boolean {
  if (!valid || columns.length < wanted.length) return false
  const equals = wanted.filter(name => equal.includes(name))
  const head = columns.slice(0, equals.length)
  // Columns of equality may come in any order, the others not.
  if (!equals.every(name => head.includes(name))) return false
  return wanted.slice(equals.length).every((name, at) => columns[equals.length + at] === name)
}

/** One that begins with another serves for both. */
function withoutPrefixes<T extends { table: string; columns: readonly string[]; statements: StatementUse[] }>(
  all: readonly T[],
): T[] {
  return all.filter(one => {
    const longer = all.find(
      other =>
        other !== one &&
        other.table === one.table &&
        other.columns.length > one.columns.length &&
        one.columns.every((name, at) => other.columns[at] === name),
    )
    if (longer === undefined) return true
    for (const statement of one.statements)
      if (!longer.statements.includes(statement)) longer.statements.push(statement)
    return false
  })
}

/** @param counted false: statistics are too young to say that something is not used */
export function indexDrops(tables: readonly TableFacts[], counted: boolean): readonly IndexDrop[] {
  return tables.flatMap(({ table, indexes }) => {
    const drops: IndexDrop[] = []
    const gone = new Set<string>()
    /** They do what others did that go. */
    const stays = new Set<string>()
    const byName = [...indexes].sort((one, other) => (one.name < other.name ? -1 : 1))
    for (const index of byName) {
      const { name, bytes } = index
      if (index.needed) continue
      if (!index.valid) {
        drops.push({ kind: 'invalid', table, index: name, bytes })
        continue
      }
      if (index.unique) continue
      const like = byName.find(
        other => other !== index && other.valid && !gone.has(other.name) && covers(other, index),
      )
      if (like !== undefined) {
        gone.add(name)
        stays.add(like.name)
        drops.push({ kind: 'duplicate', table, index: name, like: like.name, bytes })
      } else if (counted && index.scans === 0 && bytes >= unusedBytesMin)
        drops.push({ kind: 'unused', table, index: name, bytes })
    }
    return drops.filter(({ kind, index }) => kind !== 'unused' || !stays.has(index))
  })
}

/** The same, or the same columns and more behind them. */
function covers(other: IndexFacts, index: IndexFacts): boolean {
  if (other.definition === index.definition) return true
  if (!index.plain || !other.plain) return false
  if (index.columns.length === 0 || other.columns.length <= index.columns.length) return false
  return index.columns.every((name, at) => other.columns[at] === name)
}
