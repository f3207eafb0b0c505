// What operators ask of the directories of a sharded database: which keys have which shard, a place for a key that has none, a
// key made ready to be moved. How rows and maps follow each other is database/shards' matter.

import type { DirectoryPorts } from '../database/shards/directory-keys.ts'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import type { DirectoryView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'
import { systemFailures } from './failures.ts'

type Keys = typeof import('../database/shards/directory-keys.ts')
const keysPart = (): Promise<Keys> => import('../database/shards/directory-keys.ts')

export interface DirectoryAsk {
  readonly family: string
  /** Only this one; null: a page. */
  readonly key: string | null
  readonly after: string | null
  readonly limit: number
}

/** Throws SYSTEM_DIRECTORY_REFUSED, as all of these do. */
export async function directoryView(
  database: string,
  ports: Pick<DirectoryPorts, 'ask' | 'map'>,
  { family: said, key, after, limit }: DirectoryAsk,
): Promise<DirectoryView> {
  return orRefused(async keys => {
    const family = keys.directoryFamily(ports.map(), said)
    const page = await keys.listDirectory(ports, family, after, key === null ? limit : 1)
    if (key === null) return { database, family, ...page }
    const shard = await keys.findInDirectory(ports, family, key)
    return { database, family, ...page, keys: shard === null ? [] : [{ key, shard }], more: false }
  })
}

export async function setKey(
  ports: Pick<DirectoryPorts, 'ask' | 'map'>,
  said: string,
  key: string,
  shard: string,
): Promise<OperationResult> {
  return orRefused(async keys => {
    const family = keys.directoryFamily(ports.map(), said)
    await keys.setInDirectory(ports, family, key, shard)
    return { text: `the key '${key}' of ${family} is on shard ${shard}` }
  })
}

/** Is this a key of a directory? Its family's name then. */
export function directoryOf(map: ShardMap, said: string): string | null {
  const place = map.tables[said]
  const family = place?.kind === 'sharded' ? place.family : said
  return map.families[family]?.rule.by === 'directory' ? family : null
}

/** From here on the map says where the key is, and the move may change that. */
export async function pinKey(ports: DirectoryPorts, family: string, key: string): Promise<void> {
  await orRefused(keys => keys.pinInDirectory(ports, family, key))
}

/** Of a key that would move, in words. */
export async function moveText(
  ports: Pick<DirectoryPorts, 'ask' | 'map'>,
  family: string,
  key: string,
  into: string,
): Promise<OperationResult> {
  return orRefused(async keys => {
    const shard = await keys.findInDirectory(ports, family, key)
    if (shard === null)
      return { text: '', findings: [`the key '${key}' of ${family} has no place, and no rows`] }
    if (shard === into)
      return { text: '', findings: [`the key '${key}' of ${family} is on shard ${into} already`] }
    return { text: `rows of the key '${key}' of ${family} from shard ${shard} to ${into}` }
  })
}

async function orRefused<T>(work: (keys: Keys) => Promise<T>): Promise<T> {
  const keys = await keysPart()
  try {
    return await work(keys)
  } catch (error) {
    if (!(error instanceof keys.DirectoryRefused)) throw error
    const { message } = error
    throw new Failure(
      systemFailures.directoryRefused,
      `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
    )
  }
}
