// What one router does for a sharded database beside its clients: ends commits that were left behind, and deadlocks over shards.

import { ShardDeadlocks, type WaitingClient } from './deadlocks.ts'
import { Primaries, type ShardPrimary } from './primaries.ts'
import { type RecoveryStatus, ShardRecovery } from './recovery.ts'

export interface UpkeepOptions {
  readonly systemId: string
  /** As things stand when it is asked. */
  readonly shards: () => readonly ShardPrimary[]
  /** Is the coordinator of this commit at work in this process? */
  readonly underWay: (commit: string) => boolean
  /** Clients that have something open. */
  readonly clients: () => readonly WaitingClient[]
  readonly tell: (text: string) => void
}

export interface UpkeepStatus extends RecoveryStatus {
  /** Since the start. */
  readonly deadlocks: number
}

export class ShardUpkeep {
  readonly #recovery: ShardRecovery
  readonly #deadlocks: ShardDeadlocks
  readonly #primaries: Primaries

  constructor(options: UpkeepOptions) {
    this.#recovery = new ShardRecovery(options)
    this.#primaries = new Primaries(options.shards)
    this.#deadlocks = new ShardDeadlocks({ ...options, primaries: this.#primaries })
    this.#recovery.start()
    this.#deadlocks.start()
  }

  status(): UpkeepStatus {
    return { ...this.#recovery.status(), deadlocks: this.#deadlocks.found }
  }

  close(): void {
    this.#recovery.close()
    this.#deadlocks.close()
    this.#primaries.close()
  }
}
