// What the executor of a resharding needs of the system: the journal's place, routers, primaries.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import type { ReshardJournal } from '../../../policy/shard/reshard-contract.ts'
import type { AskOne } from '../drift.ts'
import type { ShardEnd } from './contract.ts'

export interface ReshardPorts {
  readonly ask: AskOne
  end(shard: string): ShardEnd
  /** Of the shard's group, as it is now. */
  epoch(shard: string): number
  /** Replicas that follow late on purpose: nobody reads from them. */
  delayed(shard: string): readonly string[]
  /** On disk when it returns. */
  keep(journal: ReshardJournal): void
  /** The map that holds from now on; on disk when it returns. */
  keepMap(map: ShardMap): void
  map(): ShardMap
  /** Resolves when every router works from how the executor stands now. */
  tell(): Promise<void>
  /** True when no statement over several shards is under way that was planned before the last `tell`. */
  settled(timeoutMs: number): Promise<boolean>
  /** True when no client has anything open on the database. */
  drained(timeoutMs: number): Promise<boolean>
  /** The servers' own copies of the map. */
  installMap(): Promise<void>
  say(level: 'info' | 'warn', text: string): void
}

/** What moves now, for people. */
export interface ReshardProgress {
  /** `1>3`. */
  readonly stream: string
  readonly table: string
  readonly rows: number
  readonly bytes: number
}
