// The first rows of a copy, from one shard to one: at the snapshot of a temporary slot, whose position says which commits are in
// it. The target has all of it or nothing, and with it the position from which changes count.

import type pg from 'pg'
import type { ShardMap } from '../../../policy/shard/contract.ts'
import { placedOnSql } from '../../../policy/shard/predicate.ts'
import { lsnOf, lsnText } from '../../backup/segments.ts'
import type { FollowedStream } from '../reshard/applier.ts'
import { literal } from '../reshard/changes.ts'
import { copyIn, temporaryName } from '../reshard/copy.ts'
import { cut, openReader, openWriter, quotedName } from '../reshard/places.ts'
import { type CopyShape, copyTable, names, selected, sourceTable } from './shape.ts'

const triesMax = 20
/** Of the server that answers. */
export const timelineSql = 'left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)'

/** @returns the position of the snapshot */
export async function fillCopy(
  stream: FollowedStream,
  shape: CopyShape,
  map: ShardMap,
  signal: AbortSignal,
): Promise<string> {
  for (let tries = 0; tries < triesMax; tries++) {
    const position = await filled(stream, shape, map, signal)
    if (position !== null) return position
  }
  throw new Error(`${shape.copy.of} was rewritten each of ${triesMax} times that it was copied`)
}

/** Null: the source was emptied between the snapshot and the COPY, to which it looks empty. */
async function filled(
  stream: FollowedStream,
  shape: CopyShape,
  map: ShardMap,
  signal: AbortSignal,
): Promise<string | null> {
  const { copy } = shape
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
    const from = map.shards.indexOf(stream.from.shard)
    const into = map.shards.indexOf(stream.into.shard)
    const own = placedOnSql(map, copy.family, copy.key.map(quotedName), from)
    const copied = placedOnSql(map, copy.table, copy.by.map(quotedName), into)
    const grouped = copy.totals === null ? '' : ` GROUP BY ${copy.by.map(quotedName).join(', ')}`
    const table = copyTable(copy)
    const listed = names(shape).map(quotedName).join(', ')
    await writer.query('BEGIN')
    // Totals of several shards are added up.
    const intake = copy.totals === null ? table : 'tenfold_copy_intake'
    if (copy.totals !== null)
      await writer.query(`CREATE TEMPORARY TABLE ${intake} (LIKE ${table}) ON COMMIT DROP`)
    const out = reader.run(
      `COPY (SELECT ${selected(shape, stream.from.shard)} FROM ONLY ${sourceTable(copy)} WHERE ${own} AND ${copied}${grouped}) TO STDOUT`,
    )
    await copyIn(writer, `COPY ${intake} (${listed}) FROM STDIN`, out, () => {})
    if (copy.totals !== null) {
      const added = [copy.totals.count, ...Object.values(copy.totals.sums)].map(quotedName)
      const sets = added.map(name => `${name} = t.${name} + excluded.${name}`).join(', ')
      await writer.query(
        `INSERT INTO ${table} AS t (${listed}) SELECT ${listed} FROM ${intake} ON CONFLICT (${copy.by.map(quotedName).join(', ')}) DO UPDATE SET ${sets}`,
      )
    }
    const [file] = await reader.rows(
      `SELECT relfilenode = pg_relation_filenode(oid) FROM pg_class WHERE oid = ${literal(sourceTable(copy))}::regclass`,
    )
    await reader.rows('ROLLBACK')
    if (file?.[0] !== 't') {
      await writer.query('ROLLBACK')
      return null
    }
    await writer.query(
      `INSERT INTO tenfold.copy_streams (stream, position, timeline) VALUES (${literal(stream.slot)}, '${lsnText(lsnOf(position))}', ${timelineSql})`,
    )
    await writer.query('COMMIT')
    return position
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}
