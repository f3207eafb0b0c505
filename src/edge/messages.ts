// What the edge's main thread and its workers say to each other.

import type { SpanBatch } from '../kit/span-queue.ts'
import type { EdgeMemory } from './cells.ts'
import type { TlsMaterial } from './certificates.ts'
import type { Challenges } from './challenges.ts'
import type { CacheLook, PushRequest, PushResult } from './control-protocol.ts'
import type { SnapshotSlots } from './slots.ts'
import type { EdgeSnapshot } from './snapshot.ts'
import type { Purge, StoreMemory } from './store/index.ts'

export interface WorkerStart {
  readonly index: number
  readonly memory: EdgeMemory
  readonly snapshot: EdgeSnapshot
  readonly slots: SnapshotSlots
  /** Real ports, by listener id. */
  readonly ports: ReadonlyMap<string, number>
  readonly pseudonym: string
  /** Hexadecimal, for ids and the random stream. */
  readonly seed: string
  readonly reusePort: boolean
  /** Client connections that the process has files for. */
  readonly connectionsMax: number
  readonly challenges: Challenges
  readonly tls: TlsMaterial
  /** Null: the edge began without a cache. */
  readonly store: StoreMemory | null
  /** The guard's; null: there is none. */
  readonly guard: unknown
}

export type ToWorker =
  | {
      readonly kind: 'snapshot'
      readonly snapshot: EdgeSnapshot
      readonly slots: SnapshotSlots
      readonly ports: ReadonlyMap<string, number>
      readonly tls: TlsMaterial
    }
  | { readonly kind: 'certificates'; readonly tls: TlsMaterial }
  | { readonly kind: 'drain'; readonly drainMs: number; readonly idleMs: number }
  | { readonly kind: 'reopenLogs' }
  /** At once, as if it had faulted. */
  | { readonly kind: 'die' }
  | { readonly kind: 'challenges'; readonly serial: number; readonly challenges: Challenges }
  | { readonly kind: 'cacheLook'; readonly serial: number; readonly url: string }
  | { readonly kind: 'cachePush'; readonly serial: number; readonly request: PushRequest }
  /** Between the two sides of a guard. */
  | { readonly kind: 'guard'; readonly message: unknown }

export type FromWorker =
  | { readonly kind: 'ready'; readonly version: number }
  | { readonly kind: 'failed'; readonly listener: string; readonly code: string }
  | { readonly kind: 'decision'; readonly subject: string; readonly text: string }
  | { readonly kind: 'challenged'; readonly serial: number }
  | { readonly kind: 'certified'; readonly serial: number }
  | { readonly kind: 'drained' }
  | { readonly kind: 'cacheLooked'; readonly serial: number; readonly look: CacheLook }
  | {
      readonly kind: 'cachePushed'
      readonly serial: number
      readonly result: PushResult | { readonly refused: string }
    }
  /** Between the two sides of a guard. */
  | { readonly kind: 'guard'; readonly message: unknown }
  /** A worker forgot something: what lasts must too. */
  | { readonly kind: 'purged'; readonly what: Purge }
  | ({ readonly kind: 'spans' } & SpanBatch)
