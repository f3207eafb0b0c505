// What one router does for a sharded database beside its clients: ends commits that were left behind, and deadlocks over shards.

import type { RoutedDatabase } from '../router/snapshot.ts'
import { ShardDeadlocks, type WaitingClient } from './deadlocks.ts'
import { Primaries, type ShardPrimary } from './primaries.ts'
import { type RecoveryStatus, ShardRecovery } from './recovery.ts'

/** Among a group's users, the servers' superuser. */
const operator = 'tenfold'

export interface UpkeepOptions {
  /** As things stand when it is asked; with shards. */
  readonly spec: () => RoutedDatabase
  /** Clients that are in a transaction. */
  readonly clients: () => readonly WaitingClient[]
  readonly tell: (text: string) => void
}

export class ShardUpkeep {
  readonly #recovery: ShardRecovery
  readonly #deadlocks: ShardDeadlocks
  readonly #primaries: Primaries

  constructor({ spec, clients, tell }: UpkeepOptions) {
    const shards = (): readonly ShardPrimary[] => shardPrimaries(spec())
    this.#recovery = new ShardRecovery({ systemId: spec().shards?.systemId ?? '', shards, tell })
    this.#primaries = new Primaries(shards)
    this.#deadlocks = new ShardDeadlocks({ primaries: this.#primaries, clients, tell })
  }

  start(): void {
    this.#recovery.start()
    this.#deadlocks.start()
  }

  status(): RecoveryStatus & { readonly deadlocks: number } {
    return { ...this.#recovery.status(), deadlocks: this.#deadlocks.found }
  }

  close(): void {
    this.#recovery.close()
    this.#deadlocks.close()
    this.#primaries.close()
  }
}

/** Without the operator's login among its users a group can't be looked after. */
export function shardPrimaries({ shards }: RoutedDatabase): readonly ShardPrimary[] {
  return (shards?.groups ?? []).map((group, at) => {
    const server = group.servers.find(({ id }) => id === group.primary)
    const login = group.users.find(one => one.name === operator)?.server
    const { database, epoch, serverTls: tls } = group
    return {
      shard: shards?.map.shards[at] as string,
      epoch,
      target:
        server === undefined || login === undefined
          ? null
          : { host: server.host, port: server.port, database, tls, ...login },
    }
  })
}
