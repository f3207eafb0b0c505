// What one worker thread of the edge owns: listeners, connections, the snapshot in use; `worker.ts` runs it.
// Listens, accepts, swaps snapshots in one assignment, drains. Counts only in its own rows of the shared cells.

import { hostClock } from '../io/clock.ts'
import type { Net } from '../io/net.ts'
import { netHere } from '../io/net-here.ts'
import { SECOND } from '../kit/clock.ts'
import { type Random, seededRandom } from '../kit/random.ts'
import { SpanQueue } from '../kit/span-queue.ts'
import { TimerWheel } from '../kit/timer-wheel.ts'
import { reasonText } from '../policy/reason.ts'
import { AccessLog } from './access-log.ts'
import { BufferPool } from './buffer-pool.ts'
import { CacheControl } from './cache/index.ts'
import { attachEdgeCells, type EdgeCells } from './cells.ts'
import type { TlsMaterial } from './certificates.ts'
import type { Challenges } from './challenges.ts'
import { type CompiledSnapshot, compileSnapshot, type RouteFeatures } from './compile.ts'
import { type ConnectionPlace, endPlaces } from './connection-place.ts'
import type { Drainable, WorkerContext } from './context.ts'
import { Exchange } from './exchange.ts'
import { routeFeatures } from './features.ts'
import type { WorkerGuard, WorkerGuardFactory } from './guard-port.ts'
import { HedgeDelays } from './hedge-delays.ts'
import { Listeners } from './listeners.ts'
import type { FromWorker, WorkerStart } from './messages.ts'
import { PendingQueues } from './pending.ts'
import { UpstreamPools } from './pools.ts'
import { RequestIds } from './request-ids.ts'
import type { SnapshotSlots } from './slots.ts'
import type { EdgeSnapshot } from './snapshot.ts'
import { StickyCookies } from './sticky.ts'
import { attachStore } from './store/index.ts'
import { WorkerTls } from './worker-tls.ts'

const tickUs = 50_000
const wheelBuckets = 1_200
const sparesMax = 1_024
const logFlushMs = 500

export class EdgeWorker implements WorkerContext {
  readonly index: number
  readonly net: Net = netHere
  readonly clock: typeof hostClock = hostClock
  now: number = hostClock.monotonic()
  readonly wheel: TimerWheel
  readonly random: Random
  readonly cells: EdgeCells
  readonly buffers: BufferPool = new BufferPool()
  readonly ids: RequestIds
  readonly pools: UpstreamPools = new UpstreamPools()
  readonly pending: PendingQueues
  readonly hedgeDelays: HedgeDelays
  /** Made before the first snapshot is compiled, by `create`. */
  readonly guard: WorkerGuard | null
  readonly places: Set<ConnectionPlace> = new Set<ConnectionPlace>()
  readonly pseudonym: string
  readonly viaText: string
  readonly viaTextOld: string
  readonly viaTextTwo: string
  readonly #features: RouteFeatures
  readonly cacheControl: CacheControl
  readonly #send: (message: FromWorker) => void
  readonly #clients = new Set<Drainable>()
  readonly #spares: Exchange[] = []
  readonly #older = new Set<CompiledSnapshot>()
  readonly #listeners: Listeners
  readonly tls: WorkerTls
  ports: ReadonlyMap<string, number>
  sticky: StickyCookies
  challenges: Challenges
  log: AccessLog | null = null
  slowLog: AccessLog | null = null
  spans: SpanQueue | null = null
  snapshot!: CompiledSnapshot
  draining = false
  #logFile = ''
  #slowLogFile = ''
  #dateSecond = 0
  #dateText = ''

  static async create(
    start: WorkerStart,
    send: (message: FromWorker) => void,
    createGuard: WorkerGuardFactory | null,
  ): Promise<EdgeWorker> {
    const worker = new EdgeWorker(start, send, createGuard)
    await worker.guard?.prepare(start.snapshot)
    worker.#begin(start)
    return worker
  }

  private constructor(
    start: WorkerStart,
    send: (message: FromWorker) => void,
    createGuard: WorkerGuardFactory | null,
  ) {
    this.challenges = start.challenges
    this.tls = new WorkerTls(start.tls)
    this.ports = start.ports
    this.index = start.index
    this.#send = send
    const store =
      start.store === null
        ? null
        : attachStore(start.store, start.index, { onPurge: what => send({ kind: 'purged', what }) })
    const features = routeFeatures(this, store)
    this.#features = features
    this.cacheControl = new CacheControl(this, features.caches)
    this.#listeners = new Listeners(this, start, (listener, code) => send({ kind: 'failed', listener, code }))
    this.cells = attachEdgeCells(start.memory)
    this.wheel = new TimerWheel(this.clock.monotonic(), tickUs, wheelBuckets)
    this.random = seededRandom(Number.parseInt(start.seed.slice(0, 8), 16) + start.index)
    this.ids = new RequestIds(start.seed)
    this.pseudonym = start.pseudonym
    this.viaText = `Via: 1.1 ${start.pseudonym}\r\nX-Request-Id: `
    this.viaTextOld = `Via: 1.0 ${start.pseudonym}\r\nX-Request-Id: `
    this.viaTextTwo = `Via: 2.0 ${start.pseudonym}\r\nX-Request-Id: `
    this.pending = new PendingQueues(this)
    this.hedgeDelays = new HedgeDelays(this)
    this.sticky = new StickyCookies(start.snapshot.stickySecret)
    this.guard =
      createGuard === null || start.guard === null
        ? null
        : createGuard(this, start.guard, message => send({ kind: 'guard', message }))
  }

  #begin(start: WorkerStart): void {
    this.snapshot = this.#compile(start.snapshot, start.slots, null)
    this.#use(this.snapshot)
    setInterval(() => this.#tick(), tickUs / 1000).unref()
    setInterval(() => void this.#flush(), logFlushMs).unref()
  }

  takeExchange(): Exchange {
    return this.#spares.pop() ?? new Exchange(this)
  }
  giveExchange(exchange: Exchange): void {
    if (this.#spares.length < sparesMax) this.#spares.push(exchange)
  }

  /** What has gathered goes out. */
  async #flush(): Promise<void> {
    this.spans?.flush()
    await Promise.all([this.log?.flush(), this.slowLog?.flush()])
  }

  /** The log files were rotated. */
  reopenLogs(): void {
    void this.log?.reopen()
    void this.slowLog?.reopen()
  }

  tell(subject: string, text: string): void {
    this.#send({ kind: 'decision', subject, text })
  }

  /** For answers of our own (RFC 9110 6.6.1): made once a second. */
  get dateText(): string {
    const second = Math.floor(this.clock.wall() / 1_000_000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#dateText = `Date: ${new Date(second * 1000).toUTCString()}\r\n`
    }
    return this.#dateText
  }

  refresh(): void {
    this.now = this.clock.monotonic()
  }

  #tick(): void {
    this.refresh()
    const { now } = this
    this.cells.worker.beatUs[this.index] = now
    this.cells.worker.buffers[this.index] = this.buffers.inUse
    this.wheel.advance(now)
  }

  // --- snapshots ----------------------------------------------------------------------------------------------

  #compile(spec: EdgeSnapshot, slots: SnapshotSlots, before: CompiledSnapshot | null): CompiledSnapshot {
    const snapshot = compileSnapshot(spec, slots, this.cells, this.index, before, this.#features)
    for (const [name, group] of snapshot.groups) {
      group.waiting = this.pending.of(name)
      group.idleOf = i => this.pools.of(group.memberSlot(i))?.idleCount ?? 0
      group.onEject = (i, reason, a, b) =>
        this.tell(`${name}/${group.member(i).id}`, reasonText(reason, a, b))
    }
    return snapshot
  }

  /** For handshakes from now on. */
  takeTls(material: TlsMaterial): void {
    this.tls.update(material)
  }

  listen(ports: ReadonlyMap<string, number>): Promise<void> {
    return this.#listeners.update(ports)
  }

  /** Exchanges that began earlier keep the snapshot that they have. */
  async apply(spec: EdgeSnapshot, slots: SnapshotSlots, ports: ReadonlyMap<string, number>): Promise<void> {
    await this.guard?.prepare(spec)
    this.refresh()
    const next = this.#compile(spec, slots, this.snapshot)
    const before = this.snapshot
    this.ports = ports
    if (before.uses > 0) this.#older.add(before)
    if (spec.stickySecret !== before.spec.stickySecret) this.sticky = new StickyCookies(spec.stickySecret)
    this.snapshot = next
    this.#use(next)
    for (const client of this.#clients) client.snapshotChanged?.()
    await this.#listeners.update(ports)
    for (const group of next.groups.values()) if ((group.waiting?.count ?? 0) > 0) group.waiting?.wake()
  }

  #use(snapshot: CompiledSnapshot): void {
    const members = [...snapshot.groups.values()].flatMap(group =>
      group.spec.members.map((member, i) => ({ slot: group.memberSlot(i), member, spec: group.spec })),
    )
    this.pools.update(this, members)
    const file = snapshot.spec.accessLog?.file ?? ''
    if (file !== this.#logFile) {
      void this.log?.reopen()
      this.log = file === '' ? null : new AccessLog(file, text => this.tell(`worker ${this.index}`, text))
      this.#logFile = file
    }
    const slow = snapshot.spec.slowLog?.file ?? ''
    if (slow !== this.#slowLogFile) {
      void this.slowLog?.reopen()
      const tell = (text: string): void => this.tell(`worker ${this.index}`, text)
      this.slowLog = slow === '' ? null : new AccessLog(slow, tell, 'slow-request log')
      this.#slowLogFile = slow
    }
    // Those of exchanges that began before still have where to go.
    if (snapshot.spec.tracing !== undefined)
      this.spans ??= new SpanQueue(batch => this.#send({ kind: 'spans', ...batch }))
    this.ids.sampled = snapshot.spec.tracing === undefined
    this.cells.worker.version[this.index] = snapshot.version
    this.#noteOldest()
  }

  snapshotReleased(snapshot: CompiledSnapshot): void {
    this.#older.delete(snapshot)
    this.#noteOldest()
  }

  #noteOldest(): void {
    let oldest = this.snapshot.version
    for (const snapshot of this.#older) oldest = Math.min(oldest, snapshot.version)
    this.cells.worker.oldestVersion[this.index] = oldest
  }

  // --- connections --------------------------------------------------------------------------------------------

  keepClient(client: Drainable): void {
    this.#clients.add(client)
  }
  forgetClient(client: Drainable): void {
    this.#clients.delete(client)
  }

  /** What must not be read from while the thread ends is closed. */
  cut(): void {
    for (const client of this.#clients) client.cut?.()
  }

  endConnections(holds: (address: string) => boolean): void {
    endPlaces(this, holds)
  }

  // --- draining -----------------------------------------------------------------------------------------------

  /** No new connections; idle ones end after `idleMs`; what is in flight has `drainMs`. */
  drain(drainMs: number, idleMs: number): void {
    if (this.draining) return
    this.draining = true
    this.#listeners.close()
    this.refresh()
    for (const client of this.#clients) client.drain(Math.min(idleMs, drainMs))
    const end = this.now + drainMs * 1000
    const poll = setInterval(() => {
      this.refresh()
      const { now } = this
      if (this.#clients.size === 0 || now >= end + 3 * SECOND) {
        clearInterval(poll)
        this.pools.closeIdle()
        void this.#sayDrained()
      } else if (now >= end) for (const client of this.#clients) client.endNow()
    }, 20)
  }

  async #sayDrained(): Promise<void> {
    await this.guard?.close()
    await this.#flush()
    this.#send({ kind: 'drained' })
  }
}
