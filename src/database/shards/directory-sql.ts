// What is said to servers about directories. The rows of the first shard are the truth; a shard that has rows of a key has the
// key's row as well, made before, so that it can say by itself what it holds (`tenfold."holds FAMILY"`).

import type { ShardMap } from '../../policy/shard/contract.ts'
import { literal } from './reshard/changes.ts'

/** Sessions of our own wait for no replica; a key whose place was forgotten by a failover would be given another. */
const durably = 'SET LOCAL synchronous_commit = on; '

/** The shard whose rows are the truth: while there is a directory no shard leaves the map. */
export function directoryHome(map: ShardMap): string {
  return map.shards[0] as string
}

/** Rows of key and shard. */
export function findSql(family: string, keys: readonly string[]): string {
  return `SELECT key, shard FROM tenfold.directory WHERE family = ${literal(family)} AND key = ANY (ARRAY[${keys.map(literal).join(', ')}]::text[])`
}

/** Keys that have a row keep it. */
export function assignSql(family: string, rows: readonly (readonly [key: string, shard: string])[]): string {
  return `${durably}INSERT INTO tenfold.directory (family, key, shard) VALUES ${valuesOf(family, rows)} ON CONFLICT DO NOTHING`
}

/** Whatever was there before. */
export function placeSql(family: string, rows: readonly (readonly [key: string, shard: string])[]): string {
  return `${durably}INSERT INTO tenfold.directory (family, key, shard) VALUES ${valuesOf(family, rows)}
    ON CONFLICT (family, key) DO UPDATE SET shard = excluded.shard WHERE directory.shard <> excluded.shard`
}

/** Rows of shard and how many keys. */
export function countSql(family: string): string {
  return `SELECT shard, count(*) FROM tenfold.directory WHERE family = ${literal(family)} GROUP BY shard`
}

/** Rows of key and shard, in the order of keys. */
export function listSql(family: string, after: string | null, limit: number): string {
  const behind = after === null ? '' : ` AND key > ${literal(after)}`
  return `SELECT key, shard FROM tenfold.directory WHERE family = ${literal(family)}${behind} ORDER BY key LIMIT ${limit}`
}

function valuesOf(family: string, rows: readonly (readonly [key: string, shard: string])[]): string {
  return rows.map(([key, shard]) => `(${literal(family)}, ${literal(key)}, ${literal(shard)})`).join(', ')
}
