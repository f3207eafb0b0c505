// Row by row, both sides of a stream at one position of the source: the source at the snapshot of a temporary slot, the target
// with the applier held at just that position. Both are read in the order of their keys' bytes and walked side by side: neither
// is ever held whole. Clients notice nothing.

import type { ReplicationConnection, ReplicationStream } from '../../backup/replication.ts'
import { lsnOf } from '../../backup/segments.ts'
import type { Applier } from './applier.ts'
import { literal } from './changes.ts'
import type { MovedTable, MoveStream, RowDifference } from './contract.ts'
import { temporaryName } from './copy.ts'
import { openReader, quotedName, tableName } from './places.ts'

const reachMs = 120_000
/** More are counted, and not named. */
const namedMax = 20

export interface Comparison {
  readonly rows: number
  readonly different: number
  /** Those with rows that differ. */
  readonly tables: readonly string[]
  /** The first of them. */
  readonly differences: readonly RowDifference[]
}

/** Throws where the applier doesn't reach the position, and what the servers say. The applier goes on in any case. */
export async function compareStream(
  stream: MoveStream,
  applier: Applier,
  signal: AbortSignal,
  progress: (table: string, rows: number) => void,
): Promise<Comparison> {
  // What commits from now on is later than the snapshot, or in it.
  applier.pauseAt(applier.status.applied)
  let source: ReplicationConnection | null = null
  let target: ReplicationConnection | null = null
  const stop = (): void => {
    source?.close()
    target?.close()
  }
  signal.addEventListener('abort', stop)
  try {
    source = await openReader(stream.from, stream.slot)
    signal.throwIfAborted()
    const files = await filesOf(source, stream)
    await source.rows('BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ')
    const [slot] = await source.rows(
      `CREATE_REPLICATION_SLOT ${temporaryName(stream.slot)} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'use')`,
    )
    const position = lsnOf(slot?.[1] ?? '0/0')
    applier.pauseAt(position)
    await applier.until(position, reachMs)
    target = await openReader(stream.into, stream.slot)
    signal.throwIfAborted()
    await target.rows('BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ')
    let rows = 0
    let different = 0
    const differences: RowDifference[] = []
    const tables = new Set<string>()
    for (const table of stream.tables) {
      const found = await compareTable(table, source, target, difference => {
        different++
        tables.add(difference.table)
        if (differences.length < namedMax) differences.push(difference)
      })
      // What TRUNCATE has emptied is empty to every snapshot.
      if ((await filesOf(source, stream)) !== files)
        throw new Error('a table was rewritten while it was compared')
      rows += found
      progress(`${table.schema}.${table.name}`, found)
    }
    return { rows, different, tables: [...tables], differences }
  } finally {
    applier.resume()
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** Where the tables are kept; changes with TRUNCATE. */
async function filesOf(source: ReplicationConnection, { tables }: MoveStream): Promise<string> {
  const files = tables.map(table => `pg_relation_filenode(${literal(tableName(table))})::text`)
  const [row] = await source.rows(`SELECT concat_ws(' ', ${files.join(', ')})`)
  return row?.[0] ?? ''
}

async function compareTable(
  table: MovedTable,
  source: ReplicationConnection,
  target: ReplicationConnection,
  found: (difference: RowDifference) => void,
): Promise<number> {
  const name = `${table.schema}.${table.name}`
  const keys = table.primary.map(column => `${quotedName(column)}::text COLLATE "C"`)
  const row = `md5(ROW(${table.columns.map(quotedName).join(', ')})::text)`
  const sql = `COPY (SELECT ${keys.join(', ')}, ${row} FROM ONLY ${tableName(table)} WHERE ${table.where} ORDER BY ${keys.join(', ')}) TO STDOUT`
  const [one, other] = [new Lines(source.run(sql)), new Lines(target.run(sql))]
  let rows = 0
  const tell = (line: Line, kind: RowDifference['kind']): void =>
    found({ table: name, key: line.key.map(unescaped), kind })
  let [here, there] = [await one.next(), await other.next()]
  while (here !== null || there !== null) {
    const order = here === null ? 1 : there === null ? -1 : comparedKeys(here.key, there.key)
    if (here !== null && order <= 0) rows++
    if (here !== null && there !== null && order === 0) {
      if (here.hash !== there.hash) tell(here, 'different')
      here = await one.next()
      there = await other.next()
    } else if (here !== null && order < 0) {
      tell(here, 'missing')
      here = await one.next()
    } else if (there !== null) {
      tell(there, 'extra')
      there = await other.next()
    }
  }
  return rows
}

interface Line {
  /** As COPY writes them. */
  readonly key: readonly string[]
  readonly hash: string
}

/** Rows of a COPY in text, one a message. */
class Lines {
  readonly #source: ReplicationStream

  constructor(source: ReplicationStream) {
    this.#source = source
  }

  async next(): Promise<Line | null> {
    const bytes = await this.#source.next()
    if (bytes === null) return null
    const fields = bytes.toString('utf8', 0, bytes.length - 1).split('\t')
    return { key: fields.slice(0, -1), hash: fields.at(-1) as string }
  }
}

/** As the server orders by bytes. */
function comparedKeys(one: readonly string[], other: readonly string[]): number {
  for (const [at, value] of one.entries()) {
    const order = Buffer.compare(Buffer.from(unescaped(value)), Buffer.from(unescaped(other[at] ?? '')))
    if (order !== 0) return order
  }
  return 0
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unescaped(value: string): string {
  return value.includes('\\') ? value.replaceAll(/\\(.)/g, (_, one: string) => escapes[one] ?? one) : value
}
