// The first copy of a table: at the snapshot of a temporary slot, whose position says exactly which commits are in it, as
// PostgreSQL's own subscriptions copy. Bytes pass through as they are; the target has all of it or nothing.

import type pg from 'pg'
import type { ReplicationStream } from '../../backup/replication.ts'
import { literal } from './changes.ts'
import type { MovedTable, MoveProgress, MoveStream } from './contract.ts'
import { cut, openReader, openWriter, quotedName, saidBy, tableName } from './places.ts'

/** Bytes that wait for the target's socket before the source is left waiting. */
const unsentBytesMax = 4 << 20
const progressEveryBytes = 1 << 20

export interface CopyOptions {
  readonly signal: AbortSignal
  readonly progress: (progress: MoveProgress) => void
}

/** A table that is emptied (TRUNCATE) again and again. */
const triesMax = 20

/**
 * What an earlier try left is deleted first.
 * @returns the position of the snapshot: commits before it are in the copy
 */
export async function copyTable(
  stream: MoveStream,
  table: MovedTable,
  options: CopyOptions,
): Promise<string> {
  for (let tries = 0; tries < triesMax; tries++) {
    const position = await copied(stream, table, options)
    if (position !== null) return position
  }
  throw new Error(`${table.schema}.${table.name}: was rewritten each of ${triesMax} times that it was copied`)
}

/** Null: the table was rewritten between the snapshot and the COPY. */
async function copied(
  stream: MoveStream,
  table: MovedTable,
  { signal, progress }: CopyOptions,
): Promise<string | null> {
  const name = `${table.schema}.${table.name}`
  const target = tableName(table)
  const columns = table.columns.map(quotedName).join(', ')
  const reader = await openReader(stream.from, stream.slot)
  let writer: pg.Client | null = null
  const stop = (): void => {
    reader.close()
    if (writer !== null) cut(writer)
  }
  signal.addEventListener('abort', stop)
  try {
    signal.throwIfAborted()
    await reader.rows('BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ')
    const [slot] = await reader.rows(
      `CREATE_REPLICATION_SLOT ${temporaryName(stream.slot)} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'use')`,
    )
    const position = slot?.[1] ?? ''
    writer = await openWriter(stream.into, stream.slot, stream.slot)
    signal.throwIfAborted()
    await writer.query('BEGIN')
    await writer.query(`DELETE FROM ONLY ${target} WHERE ${table.where}`)
    const format = await formatOf(writer, table)
    const out = reader.run(
      `COPY (SELECT ${columns} FROM ONLY ${target} WHERE ${table.where}) TO STDOUT (FORMAT ${format})`,
    )
    let bytes = 0
    let told = 0
    const rows = await copyIn(
      writer,
      `COPY ${target} (${columns}) FROM STDIN (FORMAT ${format})`,
      out,
      chunk => {
        bytes += chunk
        if (bytes - told < progressEveryBytes) return
        told = bytes
        progress({ table: name, rows: -1, bytes })
      },
    )
    // What TRUNCATE has emptied is empty to every snapshot; what the slot gives since still changes its rows.
    const [file] = await reader.rows(
      `SELECT relfilenode = pg_relation_filenode(oid) FROM pg_class WHERE oid = ${literal(target)}::regclass`,
    )
    await reader.rows('ROLLBACK')
    if (file?.[0] !== 't') {
      await writer.query('ROLLBACK')
      return null
    }
    await writer.query('COMMIT')
    progress({ table: name, rows, bytes })
    return position
  } catch (error) {
    signal.throwIfAborted()
    const said = saidBy(error)
    throw said === (error as Error).message ? error : new Error(`${name}: ${said}`, { cause: error })
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** Some types of extensions have no binary form. */
async function formatOf(client: pg.Client, table: MovedTable): Promise<'binary' | 'text'> {
  const { rows } = await client.query(
    `WITH RECURSIVE parts AS (
      SELECT t.oid, t.typelem, t.typbasetype, t.typrelid, t.typsend, t.typreceive FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = ${literal(tableName(table))}::regclass AND a.attnum > 0 AND NOT a.attisdropped
      UNION SELECT t.oid, t.typelem, t.typbasetype, t.typrelid, t.typsend, t.typreceive FROM parts p JOIN pg_type t
        ON t.oid IN (p.typelem, p.typbasetype) OR t.oid IN (SELECT b.atttypid FROM pg_attribute b WHERE b.attrelid = p.typrelid AND b.attnum > 0))
    SELECT FROM parts WHERE typsend = 0 OR typreceive = 0 LIMIT 1`,
  )
  return rows.length === 0 ? 'binary' : 'text'
}

/** Temporary slots are their session's; names are everybody's. */
export function temporaryName(slot: string): string {
  temporaries = (temporaries + 1) % 1_000_000
  return `${slot}_${process.pid % 100_000}_${temporaries}`.slice(-63).replace(/^[^a-z0-9_]/, '_')
}
let temporaries = 0

export interface CopyConnection {
  query(text: string): void
  sendCopyFromChunk(bytes: Uint8Array): void
  endCopyFrom(): void
  sendCopyFail(why: string): void
  readonly stream: NodeJS.WritableStream & { readonly writableLength: number }
}

/** Everything of `source` into one COPY; the number of rows. */
export async function copyIn(
  client: pg.Client,
  sql: string,
  source: ReplicationStream,
  passed: (bytes: number) => void,
): Promise<number> {
  const begun = Promise.withResolvers<CopyConnection>()
  const ended = Promise.withResolvers<number>()
  ended.promise.catch(() => {})
  let rows = 0
  const work = {
    submit: (connection: CopyConnection) => connection.query(sql),
    handleCopyInResponse: (connection: CopyConnection) => begun.resolve(connection),
    handleRowDescription: () => {},
    handleDataRow: () => {},
    handleCommandComplete: ({ text }: { readonly text: string }) => {
      rows = Number(text.split(' ')[1] ?? 0)
    },
    handleReadyForQuery: () => ended.resolve(rows),
    handleError: (error: Error) => {
      begun.reject(error)
      ended.reject(error)
    },
  }
  client.query(work as never)
  const lost = (): void => work.handleError(new Error('the server ended the connection'))
  client.once('end', lost)
  try {
    const connection = await begun.promise
    for (;;) {
      const chunk = await Promise.race([source.next(), ended.promise.then(() => null)])
      if (chunk === null) break
      connection.sendCopyFromChunk(chunk)
      passed(chunk.length)
      if (connection.stream.writableLength > unsentBytesMax)
        await Promise.race([new Promise(resolve => connection.stream.once('drain', resolve)), ended.promise])
    }
    connection.endCopyFrom()
    return await ended.promise
  } finally {
    client.off('end', lost)
  }
}
