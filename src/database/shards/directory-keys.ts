// What operators do to the keys of directories: look, give a key its place, get one ready to be moved. Rows that routers may
// remember are never changed under them: see src/policy/shard/directory.ts.

import type { Family, ShardMap } from '../../policy/shard/contract.ts'
import { foldedMap, pinnedMap } from '../../policy/shard/directory.ts'
import { canonicalKey } from '../../policy/shard/key.ts'
import { assignSql, countSql, directoryHome, findSql, listSql, placeSql } from './directory-sql.ts'
import type { AskOne } from './drift.ts'

const askMs = 30_000

export interface DirectoryPorts {
  readonly ask: AskOne
  map(): ShardMap
  /** On disk when it returns. */
  keepMap(map: ShardMap): void
  /** Resolves when every router works by the map that was kept. */
  tell(): Promise<void>
}

/** Why it can't be, for people. */
export class DirectoryRefused extends Error {}

export interface DirectoryPage {
  /** Keys and ids of shards, in the order of keys (as texts). */
  readonly keys: readonly { readonly key: string; readonly shard: string }[]
  /** By shard, how many keys have a row. */
  readonly counts: Readonly<Record<string, number>>
  /** Where keys without a row are; null: nowhere. */
  readonly otherwise: string | null
  readonly more: boolean
}

/** The family's name. @param said its name, or that of any of its tables */
export function directoryFamily(map: ShardMap, said: string): string {
  const place = map.tables[said]
  const name = place?.kind === 'sharded' ? place.family : said
  const family = map.families[name]
  if (family === undefined) throw new DirectoryRefused(`'${said}' is no family of tables`)
  if (family.rule.by !== 'directory')
    throw new DirectoryRefused(`'${name}' lies by ${family.rule.by}, without a directory`)
  return name
}

export async function listDirectory(
  { ask, map: now }: Pick<DirectoryPorts, 'ask' | 'map'>,
  family: string,
  after: string | null,
  limit: number,
): Promise<DirectoryPage> {
  const map = now()
  const home = directoryHome(map)
  const { rule, exceptions = [] } = map.families[family] as Family
  const counts = await ask(home, countSql(family), askMs)
  const rows = await ask(home, listSql(family, after, limit + 1), askMs)
  const moved = new Map(exceptions.map(({ key, shard }) => [key[0] as string, map.shards[shard] as string]))
  const keys = rows.slice(0, limit).map(([key = '', shard]) => ({
    key: key as string,
    shard: moved.get(key as string) ?? (shard as string),
  }))
  const otherwise = rule.by === 'directory' && rule.otherwise !== null ? rule.otherwise : null
  return {
    keys,
    counts: Object.fromEntries(counts.map(([shard, count]) => [shard as string, Number(count)])),
    otherwise: otherwise === null ? null : (map.shards[otherwise] as string),
    more: rows.length > limit,
  }
}

/** Where a key is: the id of its shard; null: it has no place. */
export async function findInDirectory(
  { ask, map: now }: Pick<DirectoryPorts, 'ask' | 'map'>,
  family: string,
  said: string,
): Promise<string | null> {
  const map = now()
  const key = canonical(map, family, said)
  const { rule, exceptions = [] } = map.families[family] as Family
  const moved = exceptions.find(one => one.key[0] === key)
  if (moved !== undefined) return map.shards[moved.shard] as string
  const [row] = await ask(directoryHome(map), findSql(family, [key]), askMs)
  if (row !== undefined) return row[1] as string
  const otherwise = rule.by === 'directory' ? rule.otherwise : null
  return otherwise === null ? null : (map.shards[otherwise] as string)
}

/** Gives a key that has no place one. The shard that it is on then: another's word may have come first. */
export async function setInDirectory(
  ports: Pick<DirectoryPorts, 'ask' | 'map'>,
  family: string,
  said: string,
  shard: string,
): Promise<void> {
  const map = ports.map()
  const key = canonical(map, family, said)
  if (!map.shards.includes(shard))
    throw new DirectoryRefused(`there is no shard ${shard} with rows (there are ${map.shards.join(', ')})`)
  const known = (await findInDirectory(ports, family, key)) ?? (await made(ports, map, family, key, shard))
  if (known !== shard)
    throw new DirectoryRefused(`the key '${key}' is on shard ${known} already, and its rows with it: move it`)
}

async function made(
  { ask }: Pick<DirectoryPorts, 'ask'>,
  map: ShardMap,
  family: string,
  key: string,
  shard: string,
): Promise<string> {
  const home = directoryHome(map)
  // The shard's own first: whoever finds the one at home may rely on it.
  if (shard !== home) await ask(shard, assignSql(family, [[key, shard]]), askMs)
  await ask(home, assignSql(family, [[key, shard]]), askMs)
  const [row] = await ask(home, findSql(family, [key]), askMs)
  return row?.[1] as string
}

/** Before a key is moved: what was moved earlier becomes rows, and the key an exception of the map, where it is. */
export async function pinInDirectory(
  ports: DirectoryPorts,
  family: string,
  said: string,
): Promise<{ readonly key: string; readonly shard: string }> {
  await foldDirectories(ports)
  const map = ports.map()
  const key = canonical(map, family, said)
  const shard = await findInDirectory(ports, family, key)
  if (shard === null) throw new DirectoryRefused(`the key '${key}' has no place, and so no rows: set it`)
  ports.keepMap(pinnedMap(map, family, key, map.shards.indexOf(shard)))
  await ports.tell()
  return { key, shard }
}

/** Exceptions of the map become rows, on every shard; then the map has them no more. */
export async function foldDirectories({ ask, map: now, keepMap, tell }: DirectoryPorts): Promise<void> {
  const { map, rows } = foldedMap(now())
  if (rows.length === 0) return
  for (const [family, mine] of Map.groupBy(rows, row => row.family)) {
    const sql = placeSql(
      family,
      mine.map(({ key, shard }) => [key, shard]),
    )
    for (const shard of map.shards) await ask(shard, sql, askMs)
  }
  keepMap(map)
  await tell()
}

function canonical(map: ShardMap, family: string, said: string): string {
  const type = map.families[family]?.types[0] ?? 'text'
  const key = said.includes('\0') ? null : canonicalKey(type, said)
  if (key === null) throw new DirectoryRefused(`'${said}' is no key of '${family}': its type is ${type}`)
  return key
}
