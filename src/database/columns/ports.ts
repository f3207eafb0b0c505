// What the executor of a split needs of the system: primaries, the journal's place, routers.

import type { SplitJournal } from '../../policy/split-columns/contract.ts'
import type { Ask } from './facts.ts'

export interface SplitPorts {
  /** The primary of a shard, as the superuser; '' where there are no shards. */
  readonly ask: Ask
  /** Of the shard's group, as it is now. */
  epoch(shard: string): number
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number
  /** On disk when it returns. */
  keep(journal: SplitJournal): void
  /** Tables have changed: routers read them anew. May reject; they go on by what they knew. */
  relearn(table: { readonly schema: string; readonly table: string }): Promise<void>
  say(level: 'info' | 'warn', text: string): void
}
