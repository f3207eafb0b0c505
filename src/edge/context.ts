// What the parts of one worker thread share: sockets, deadlines, cells, the snapshot in use. Made by `worker.ts`,
// replaced by nothing: one object for the thread's life.

import type {} from '../io/buffer.ts'
import type { Net } from '../io/net.ts'
import type { Clock } from '../kit/clock.ts'
import type { Random } from '../kit/random.ts'
import type { SpanQueue } from '../kit/span-queue.ts'
import type { TimerWheel } from '../kit/timer-wheel.ts'
import type { AccessLog } from './access-log.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { EdgeCells } from './cells.ts'
import type { Challenges } from './challenges.ts'
import type { CompiledSnapshot } from './compile.ts'
import type { ConnectionPlace } from './connection-place.ts'
import type { Exchange } from './exchange.ts'
import type { WorkerGuard } from './guard-port.ts'
import type { HedgeDelays } from './hedge-delays.ts'
import type { PendingQueues } from './pending.ts'
import type { UpstreamPools } from './pools.ts'
import type { RequestIds } from './request-ids.ts'
import type { StickyCookies } from './sticky.ts'
import type { WorkerTls } from './worker-tls.ts'

/** A connection of a client, whatever it speaks. */
export interface Drainable {
  /**
   * It ends after what is under way. An idle one after `idleMs`: whoever asks again until then is answered, and told that
   * the connection ends (another process listens already); 0 = now.
   */
  drain(idleMs: number): void
  /** The drain's time is over. */
  endNow(): void
  /** The thread ends: nothing more may be read. Absent: a connection may be left as it is. */
  cut?(): void
  /** Another snapshot is in use: who keeps one for longer than a request lets go of the old one where it can. */
  snapshotChanged?(): void
}

export interface WorkerContext {
  readonly index: number
  readonly net: Net
  readonly clock: Clock
  /** Monotonic microseconds, read once for each callback of a socket or timer (`refresh`): a call of the clock is not free. */
  now: number
  refresh(): void
  readonly wheel: TimerWheel
  readonly random: Random
  readonly cells: EdgeCells
  readonly buffers: BufferPool
  readonly ids: RequestIds
  readonly pools: UpstreamPools
  readonly pending: PendingQueues
  readonly hedgeDelays: HedgeDelays
  /** Null: nobody decides who may pass. */
  readonly guard: WorkerGuard | null
  /** Of open connections that the guard knows of. */
  readonly places: Set<ConnectionPlace>
  /** The guard wants connections of these addresses gone. */
  endConnections(holds: (address: string) => boolean): void
  readonly tls: WorkerTls
  /** Real ports, by listener id. */
  ports: ReadonlyMap<string, number>
  sticky: StickyCookies
  /** What an ACME authority may ask for now. */
  challenges: Challenges
  log: AccessLog | null
  slowLog: AccessLog | null
  /** Where finished spans go; null: nothing is traced. */
  spans: SpanQueue | null
  snapshot: CompiledSnapshot
  draining: boolean
  /** Our name in Via and what tells a loop: unique for this edge process. */
  readonly pseudonym: string
  /** `Via: 1.1 PSEUDONYM` and the start of the line with the request's id; for HTTP/1.0 requests with its version. */
  readonly viaText: string
  readonly viaTextOld: string
  readonly viaTextTwo: string
  /** A Date field line for answers of our own. */
  readonly dateText: string
  takeExchange(): Exchange
  giveExchange(exchange: Exchange): void
  /** A connection whose protocol has begun is here to be drained; and is closed. */
  keepClient(client: Drainable): void
  forgetClient(client: Drainable): void
  /** An exchange of an older snapshot ended: maybe that snapshot is free now. */
  snapshotReleased(snapshot: CompiledSnapshot): void
  /** A decision worth telling a person about. */
  tell(subject: string, text: string): void
}
