// Exports of the databases of a running system: one at a time for each. Owns where the hold of routers is said, what an export
// needs of the system, and how its result is told; rows and files are the export's own.

import { isAbsolute } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkTarget } from '../database/reads/link.ts'
import type { RoutedDatabase } from '../database/router/snapshot.ts'
import { bytesText } from '../kit/duration.ts'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import type { OperationResult } from './control/handlers.ts'
import { systemFailures } from './failures.ts'

export interface ExportSystem {
  /** Null: the database has no shards. */
  map(database: string): ShardMap | null
  /** By shard, '' for a database without; null: it has not stood yet. */
  routed(database: string): ReadonlyMap<string, RoutedDatabase | null>
  /** Rows lie on two shards. */
  resharding(database: string): boolean
  push(): Promise<void>
  drained(database: string, timeoutMs: number): Promise<boolean>
}

export interface ExportAsk {
  /** Absolute, on the supervisor's host. */
  readonly to: string
  readonly format: 'csv' | 'binary'
}

export class Exports {
  readonly #system: ExportSystem
  readonly #under = new Set<string>()
  readonly #holding = new Set<string>()

  constructor(system: ExportSystem) {
    this.#system = system
  }

  /** Routers are told so. */
  holds(database: string): boolean {
    return this.#holding.has(database)
  }

  /** Throws SYSTEM_EXPORT_REFUSED, DATABASE_NO_PRIMARY. */
  async run(
    database: string,
    ask: ExportAsk,
    progress: (sentence: string) => void,
  ): Promise<OperationResult> {
    if (!isAbsolute(ask.to)) throw refused(`'${ask.to}' is no absolute path.`)
    if (this.#under.has(database)) throw refused(`'${database}' is being exported already.`)
    this.#under.add(database)
    try {
      return await this.#run(database, ask, progress)
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      // A disk that is full, a folder that is somebody else's, a server that ends.
      throw refused(`'${database}' is not exported: ${(cause as Error).message}.`, cause)
    } finally {
      this.#under.delete(database)
    }
  }

  async #run(
    database: string,
    ask: ExportAsk,
    progress: (sentence: string) => void,
  ): Promise<OperationResult> {
    const system = this.#system
    const [{ exportDatabase }, { Primaries, placeOf }] = await Promise.all([
      import('../database/shards/export.ts'),
      import('../database/shards/reshard/index.ts'),
    ])
    const map = system.map(database)
    const place = (routed: RoutedDatabase | null): LinkTarget | null =>
      routed === null || routed.holding ? null : placeOf(routed)
    const targets = new Map<string, LinkTarget>()
    const epochs = JSON.stringify([...system.routed(database)].map(([shard, one]) => [shard, one?.epoch]))
    for (const [shard, routed] of system.routed(database)) {
      const target = place(routed)
      if (target !== null) targets.set(shard, target)
      else
        throw new Failure(
          systemFailures.databaseWithoutPrimary,
          shard === '' ? `'${database}' has no primary now.` : `Shard ${shard} has no primary now.`,
        )
    }
    const primaries = new Primaries(() =>
      [...system.routed(database)].map(([shard, routed]) => ({
        shard,
        epoch: routed?.epoch ?? 0,
        target: place(routed),
      })),
    )
    try {
      const found = await exportDatabase(
        { database, folder: ask.to, format: ask.format, map, targets },
        {
          ask: primaries.ask.bind(primaries),
          hold: async holding => {
            if (holding) this.#holding.add(database)
            else this.#holding.delete(database)
            await system.push()
          },
          drained: timeoutMs => system.drained(database, timeoutMs),
          hindered: () => {
            if (system.resharding(database)) return 'a resharding is under way: rows lie on two shards'
            if (system.map(database)?.version !== map?.version) return 'the map of the shards has changed'
            const now = JSON.stringify(
              [...system.routed(database)].map(([shard, one]) => [shard, one?.epoch]),
            )
            return now === epochs ? '' : 'a primary was replaced'
          },
          pause: ms => sleep(ms),
          progress,
        },
      )
      if (found.kind === 'refused') throw refused(`'${database}' is not exported: ${found.why}.`)
      const { tables, heldMs, at, mapVersion } = found.manifest
      const rows = tables.reduce((sum, one) => sum + one.rows, 0)
      const bytes = tables.reduce((sum, one) => sum + one.bytes, 0)
      const waited = mapVersion === null ? '' : `; clients waited for ${heldMs} ms`
      return {
        text: `${database} as of ${at} is in ${ask.to}: ${rows} rows in ${tables.length} files, ${bytesText(bytes)}${waited}`,
      }
    } finally {
      primaries.close()
    }
  }
}

function refused(sentence: string, cause?: unknown): Failure {
  return new Failure(systemFailures.exportRefused, sentence, cause === undefined ? {} : { cause })
}
