// Where the rows of sharded databases live, as it is now: kept in the state directory, because a map that was resharded, or made
// from an older file, is not what the file of today would give. A file may add tables; it moves no rows.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import { firstMap, mapTroubles, mergeMap, type ShardsSpec } from '../policy/shard/map.ts'
import { systemFailures } from './failures.ts'
import { writePrivate } from './private-file.ts'

export class ShardMaps {
  readonly #directory: string
  readonly #maps = new Map<string, ShardMap>()

  constructor(stateDirectory: string) {
    this.#directory = join(stateDirectory, 'shard-maps')
  }

  /** The map that holds; null: there has been none. Throws SYSTEM_SHARD_MAP_BROKEN. */
  current(database: string): ShardMap | null {
    const known = this.#maps.get(database)
    if (known !== undefined) return known
    const map = this.#read(database)
    if (map !== null) this.#maps.set(database, map)
    return map
  }

  /**
   * The map for what the file says now, kept. Throws SYSTEM_SHARD_MAP_MOVED where rows would have to move.
   * @param moving rows are on their way to this map: the file may say it already
   */
  follow(database: string, spec: ShardsSpec, moving: ShardMap | null = null): ShardMap {
    const before = this.current(database)
    if (before === null) return this.keep(database, firstMap(spec))
    const merged = mergeMap(before, spec)
    if (merged.kind === 'same') return before
    if (moving !== null && mergeMap(moving, spec).kind === 'same') return before
    if (merged.kind === 'changed' && moving === null) return this.keep(database, merged.map)
    const why =
      merged.kind === 'refused' ? merged.why : 'tables come and go when the resharding under way is over'
    const place = merged.kind === 'refused' ? merged.table : null
    const what = place === null ? `database '${database}'` : `table '${place}' of database '${database}'`
    throw new Failure(
      systemFailures.shardMapMoved,
      `The file places ${what} otherwise than its rows lie: ${why}.`,
    )
  }

  keep(database: string, map: ShardMap): ShardMap {
    writePrivate(this.#fileOf(database), `${JSON.stringify(map)}\n`)
    this.#maps.set(database, map)
    return map
  }

  #read(database: string): ShardMap | null {
    const file = this.#fileOf(database)
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw broken(file, (cause as Error).message)
    }
    try {
      const map = JSON.parse(text) as ShardMap
      if (map.format !== 1) throw new Error(`its format is ${map.format}`)
      const [trouble] = mapTroubles(map)
      if (trouble !== undefined) throw new Error(trouble)
      return map
    } catch (cause) {
      throw broken(file, (cause as Error).message)
    }
  }

  #fileOf(database: string): string {
    return join(this.#directory, `${database}.json`)
  }
}

function broken(file: string, why: string): Failure {
  return new Failure(systemFailures.shardMapBroken, `${file} can't be used: ${why}.`)
}
