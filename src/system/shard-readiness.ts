// Makes a group of servers a shard: the schema `tenfold` on its primary, with the map that holds. Said again and again until a
// primary takes it, because without it no transaction over shards can be decided there.

import type { RoutedDatabase } from '../database/router/snapshot.ts'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import { operatorName } from './compile-databases.ts'

const tries = 60
const againMs = 500
const answerMs = 20_000

/** Loaded where a database is sharded. */
export type ShardParts = Pick<typeof import('../database/index.ts'), 'installShardSchema' | 'ServerSession'>

/**
 * @param routed how the group stands at each try
 * @throws what the server, or the schema, said last
 */
export async function makeShard(
  shard: string,
  map: ShardMap,
  routed: () => RoutedDatabase | null,
  { installShardSchema, ServerSession }: ShardParts,
): Promise<void> {
  let last: unknown = new Error('it has no primary')
  for (let attempt = 0; attempt < tries; attempt++) {
    if (attempt > 0) await new Promise(resolve => setTimeout(resolve, againMs))
    const spec = routed()
    const server = spec?.servers.find(one => one.id === spec.primary)
    const login = spec?.users.find(one => one.name === operatorName)?.server
    if (spec === null || server === undefined || login === undefined) continue
    const { host, port } = server
    const session = new ServerSession(() => ({ host, port, database: spec.database, ...login }))
    try {
      await installShardSchema({ ask: sql => session.query(sql, answerMs), shard, map })
      return
    } catch (cause) {
      last = cause
      // What our own schema says is for good; a server that fails over is not.
      if (cause instanceof Failure) throw cause
    } finally {
      session.close()
    }
  }
  throw last
}
