// The edge process: starts its worker threads, replaces those that die, keeps the shared cells, probes and judges members,
// and obeys its supervisor over the control socket. Serves on when the supervisor is gone. Never touches a request.

import { randomBytes } from 'node:crypto'
import { hostClock } from '../io/clock.ts'
import { type LineServer, listenLines } from '../io/line-server.ts'
import type { LineSocket } from '../io/line-socket.ts'
import { openFilesMax } from '../io/open-files.ts'
import { portTrouble, udpPortTrouble } from '../io/port-check.ts'
import { reusePortWorks } from '../io/reuse-port.ts'
import { keepCompiled, startThread, threadPlace, type Worker } from '../io/threads.ts'
import { TraceExporter } from '../io/trace-exporter.ts'
import { Failure } from '../kit/failure.ts'
import type { Metrics } from '../kit/metrics.ts'
import { seededRandom } from '../kit/random.ts'
import { backoffUs } from '../policy/backoff.ts'
import { asKeyed } from './cache/purge-targets.ts'
import { Canaries } from './canaries.ts'
import { canaryKeysOf } from './canary-key.ts'
import {
  canarySlots,
  createEdgeCells,
  type EdgeCells,
  memberSlots,
  routeSlots,
  sumOver,
  upstreamSlots,
} from './cells.ts'
import { Certificates } from './certificates.ts'
import { type Challenges, readChallenges } from './challenges.ts'
import { checkSnapshot, memberKeysOf } from './compile.ts'
import type {
  CacheLook,
  CacheStatus,
  ControlMethods,
  ControlRequest,
  EdgeStatus,
  PushRequest,
  PushResult,
} from './control-protocol.ts'
import { edgeFailures } from './failures.ts'
import type { GuardSeam, MainGuard } from './guard-port.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'
import { Prober } from './prober.ts'
import { Report, routeIds } from './report.ts'
import { memberKey, SlotTable, type SnapshotSlots } from './slots.ts'
import type { EdgeSnapshot, ListenerSpec } from './snapshot.ts'
import { createStoreMemory, MainStore, type Purge, type StoreMemory } from './store/index.ts'
import { Sweeper } from './sweeper.ts'

export interface EdgeOptions {
  /** Path of the control socket. */
  readonly socket: string
  readonly snapshot: EdgeSnapshot
  readonly nonce: string
  readonly workers: number
  /** Another edge of ours listens on the same ports and will let go of them: they are not tried without sharing. */
  readonly besideAnother?: boolean
  /** Folder in which it is kept which canaries are out. */
  readonly canaryFolder: string
  /** Absent: everybody may pass. */
  readonly guard?: { readonly seam: GuardSeam; readonly stateDirectory: string }
  /** Called when `stop` is done; the process then exits. */
  readonly onStopped: () => void
}

const probeTickMs = 50
const sweepMs = 250
const watchMs = 1_000
const certificatesMs = 2_000
/** A worker whose loop has not turned for this long is taken for dead. */
const beatLateUs = 30_000_000
const idlePollMs = 10
const restartPauseMs = 100
/** A thread that is told to die and does not is stuck. */
const dieMs = 10_000
/** For the last spans to reach the collector. */
const traceEndMs = 2_000
/** For a worker to fetch or read what is pushed. */
const askedMs = 60_000

const ownThread = threadPlace(import.meta.url, 'worker')

interface WorkerSeat {
  thread: Worker | null
  state: 'running' | 'starting'
  version: number
  restarts: number
  drained: boolean
  /** Serial of the challenges that it knows. */
  challenged: number
  /** Serial of the certificates that it has. */
  certified: number
}

export class Edge {
  readonly #options: EdgeOptions
  readonly #cells: EdgeCells
  readonly #members: SlotTable
  readonly #routes: SlotTable
  readonly #upstreams: SlotTable
  readonly #canarySlots: SlotTable
  readonly #canaries: Canaries
  readonly #seats: WorkerSeat[]
  readonly #prober: Prober
  readonly #sweeper: Sweeper
  readonly #report: Report
  readonly #metrics: Metrics
  readonly #traces: TraceExporter
  readonly #certificates: Certificates
  /** Null: this process began without a cache. */
  readonly #storeMemory: StoreMemory | null
  readonly #store: MainStore | null
  readonly #guard: MainGuard | null
  readonly #asked = new Map<number, (answer: FromWorker) => void>()
  #askedSerial = 0
  readonly #pseudonym = `tenfold-${randomBytes(4).toString('hex')}`
  readonly #startedAt = Date.now()
  readonly #reusePort: boolean
  /** Client connections that the process has files for; some are left for instances and logs. */
  readonly #connectionsMax: number = connectionsFor(openFilesMax())
  readonly #ports = new Map<string, number>()
  #snapshot: EdgeSnapshot
  #slots!: SnapshotSlots
  #server: LineServer | null = null
  #draining = false
  #challenges: Challenges = new Map()
  #challengesSerial = 0
  #swapped: (() => void)[] = []
  #applying: Promise<unknown> = Promise.resolve()
  #started: () => void = () => {}
  /** Every worker listens for the first time: nobody is answered before. */
  readonly #ready: Promise<void> = new Promise(resolve => {
    this.#started = resolve
  })

  private constructor(options: EdgeOptions, reusePort: boolean) {
    this.#options = options
    this.#reusePort = reusePort
    const workers = reusePort ? Math.max(1, options.workers) : 1
    this.#cells = createEdgeCells(workers)
    this.#members = new SlotTable(memberSlots, slot => this.#cells.zeroMember(slot))
    this.#routes = new SlotTable(routeSlots, slot => this.#cells.zeroRoute(slot))
    this.#upstreams = new SlotTable(upstreamSlots, slot => this.#cells.zeroUpstream(slot))
    this.#canarySlots = new SlotTable(canarySlots, slot => this.#cells.zeroCanary(slot))
    this.#seats = Array.from({ length: workers }, () => ({
      thread: null,
      state: 'starting',
      version: 0,
      restarts: 0,
      drained: false,
      challenged: 0,
      certified: 0,
    }))
    const tell = (subject: string, text: string): void => this.#tell(subject, text)
    const random = seededRandom(randomBytes(4).readUInt32LE())
    this.#prober = new Prober(this.#cells, hostClock, random, tell)
    this.#sweeper = new Sweeper(this.#cells, hostClock, tell)
    this.#canaries = new Canaries(this.#cells, hostClock, tell, options.canaryFolder)
    this.#report = new Report(this.#cells)
    const { cache } = options.snapshot
    this.#storeMemory = cache === undefined ? null : createStoreMemory(cache.store, workers)
    this.#store =
      this.#storeMemory === null ? null : new MainStore(this.#storeMemory, text => tell('cache', text))
    this.#guard = options.guard === undefined ? null : this.#createGuard(options.guard, workers)
    this.#certificates = new Certificates(tell)
    this.#traces = new TraceExporter({
      scope: 'tenfold.edge',
      component: 'edge',
      instance: this.#pseudonym,
      backoffMs: attempt => backoffUs(attempt, 500, 30_000, random) / 1000,
      tell: text => tell('traces', text),
    })
    this.#snapshot = options.snapshot
    this.#metrics = this.#report.metrics(() => ({
      snapshot: this.#snapshot,
      slots: this.#slots,
      now: hostClock.monotonic(),
      restarts: this.#seats.reduce((sum, seat) => sum + seat.restarts, 0),
      store: this.#store?.counts ?? null,
    }))
    this.#traces.register(this.#metrics)
    this.#guard?.register(this.#metrics)
  }

  #createGuard({ seam, stateDirectory }: NonNullable<EdgeOptions['guard']>, workers: number): MainGuard {
    return seam.createMain({
      stateDirectory,
      workers,
      send: (message, worker) => {
        const seats = worker === undefined ? this.#seats : this.#seats.slice(worker, worker + 1)
        for (const seat of seats) seat.thread?.postMessage({ kind: 'guard', message } satisfies ToWorker)
      },
      tell: (subject, text) => this.#tell(subject, text),
    })
  }

  /** Starts everything; rejects with a Failure when a port can't be had. */
  static async start(options: EdgeOptions): Promise<Edge> {
    checkSnapshot(options.snapshot)
    const edge = new Edge(options, await reusePortWorks())
    await edge.#claimPorts(options.snapshot.listeners)
    const files = await edge.#certificates.prepare(options.snapshot)
    await edge.#guard?.take(options.snapshot)
    edge.#take(options.snapshot)
    edge.#certificates.take(options.snapshot, files)
    edge.#server = await edge.#openControl()
    await Promise.all(edge.#seats.map((_, index) => edge.#startWorker(index)))
    edge.#started()
    keepCompiled()
    edge.#tellOfFiles()
    setInterval(() => edge.#prober.tick(), probeTickMs)
    setInterval(() => edge.#sweep(), sweepMs)
    setInterval(() => edge.#watch(), watchMs)
    setInterval(() => void edge.#lookAtCertificates(), certificatesMs)
    return edge
  }

  async #openControl(): Promise<LineServer> {
    try {
      return await listenLines(this.#options.socket, {
        onValue: (peer, value) => void this.#answer(peer, value as ControlRequest),
      })
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
      const sentence = `Another edge answers on ${this.#options.socket}.`
      throw new Failure(edgeFailures.controlBusy, sentence, { cause })
    }
  }

  // --- ports --------------------------------------------------------------------------------------------------

  /** Each port is tried without sharing first, so that somebody else's listener is noticed. */
  async #claimPorts(listeners: readonly ListenerSpec[]): Promise<void> {
    for (const listener of listeners) {
      const { id, host, port, kind: protocol } = listener
      const known = this.#ports.get(id)
      if (known !== undefined && (port === 0 || port === known) && this.#isWhereItWas(listener)) continue
      if (port === 0) {
        this.#ports.set(id, await (protocol === 'udp' ? freeUdpPort(host) : freePort(host)))
        continue
      }
      // A snapshot that comes later may name ports that somebody else has.
      const shared = this.#options.besideAnother === true && this.#server === null && this.#reusePort
      const look = protocol === 'udp' ? udpPortTrouble : portTrouble
      const trouble = shared ? null : await look(host, port)
      if (trouble === null) {
        this.#ports.set(id, port)
        continue
      }
      const kind = {
        taken: 'portTaken',
        forbidden: 'portForbidden',
        'no-address': 'addressUnknown',
        other: 'portTaken',
      } as const
      throw new Failure(
        edgeFailures[kind[trouble.kind]],
        `Listener '${id}': ${host}:${port} ${trouble.reason}.`,
      )
    }
  }

  #isWhereItWas({ id, host, kind }: ListenerSpec): boolean {
    const before = this.#snapshot.listeners.find(listener => listener.id === id)
    return before?.host === host && (before.kind === 'udp') === (kind === 'udp')
  }

  // --- snapshots ----------------------------------------------------------------------------------------------

  #take(snapshot: EdgeSnapshot): void {
    const { version } = snapshot
    this.#slots = {
      members: this.#members.assign(memberKeysOf(snapshot), version),
      routes: this.#routes.assign(routeIds(snapshot), version),
      upstreams: this.#upstreams.assign(
        snapshot.upstreams.map(upstream => upstream.name),
        version,
      ),
      canaries: this.#canarySlots.assign(canaryKeysOf(snapshot), version),
    }
    this.#canaries.take(snapshot, this.#slots)
    this.#snapshot = snapshot
    this.#traces.update(snapshot.tracing)
    const now = hostClock.monotonic()
    const members = snapshot.upstreams.flatMap(upstream =>
      upstream.members.map(member => ({
        upstream,
        member,
        slot: this.#slots.members.get(memberKey(upstream.name, member.id, member.epoch)) as number,
      })),
    )
    for (const { slot, member, upstream } of members) {
      const cells = this.#cells.member
      if (cells.sinceUs[slot] === 0) cells.sinceUs[slot] = now
      if (member.utilisation !== undefined && upstream.utilisationHeader === undefined)
        cells.utilisation[slot] = member.utilisation + 1
    }
    this.#prober.update(members)
    Atomics.add(this.#cells.common.healthEpoch, 0, 1)
  }

  /** One at a time, in the order in which they come. */
  #apply(snapshot: EdgeSnapshot): Promise<{ version: number }> {
    const next = this.#applying.then(() => this.#applyNow(snapshot))
    this.#applying = next.catch(() => {})
    return next
  }

  async #applyNow(snapshot: EdgeSnapshot): Promise<{ version: number }> {
    checkSnapshot(snapshot)
    if (snapshot.version <= this.#snapshot.version) {
      const sentence = `Snapshot ${snapshot.version} is older than ${this.#snapshot.version}, which is in use.`
      throw new Failure(edgeFailures.snapshotOld, sentence)
    }
    this.#releaseSlots()
    const names = snapshot.upstreams.map(upstream => upstream.name)
    if (
      !this.#members.fits(memberKeysOf(snapshot)) ||
      !this.#routes.fits(routeIds(snapshot)) ||
      !this.#upstreams.fits(names) ||
      !this.#canarySlots.fits(canaryKeysOf(snapshot))
    )
      throw new Failure(
        edgeFailures.snapshotInvalid,
        'Requests of earlier snapshots still use too many places: try again when they have ended.',
      )
    const files = await this.#certificates.prepare(snapshot)
    const before = new Map(this.#ports)
    try {
      await this.#claimPorts(snapshot.listeners)
    } catch (failure) {
      this.#ports.clear()
      for (const [id, port] of before) this.#ports.set(id, port)
      throw failure
    }
    for (const id of this.#ports.keys())
      if (!snapshot.listeners.some(listener => listener.id === id)) this.#ports.delete(id)
    await this.#guard?.take(snapshot)
    this.#take(snapshot)
    this.#certificates.take(snapshot, files)
    const message: ToWorker = this.#snapshotMessage
    for (const seat of this.#seats) seat.thread?.postMessage(message)
    await this.#allSwapped(snapshot.version)
    return { version: snapshot.version }
  }

  get #snapshotMessage(): ToWorker {
    const tls = this.#certificates.material
    return { kind: 'snapshot', snapshot: this.#snapshot, slots: this.#slots, ports: this.#ports, tls }
  }

  async #lookAtCertificates(): Promise<void> {
    if (await this.#certificates.look()) await this.#giveCertificates()
  }

  /** A worker that starts meanwhile is given them with its start, or with the snapshot that follows it. */
  async #giveCertificates(): Promise<void> {
    const tls = this.#certificates.material
    for (const seat of this.#seats) seat.thread?.postMessage({ kind: 'certificates', tls } satisfies ToWorker)
    await this.#until(seat => seat.certified >= tls.serial)
  }

  #allSwapped(version: number): Promise<void> {
    return this.#until(seat => seat.version >= version)
  }

  /** Holds for every worker that runs. */
  #until(holds: (seat: WorkerSeat) => boolean): Promise<void> {
    return new Promise(resolve => {
      const check = (): void => {
        if (this.#seats.every(seat => seat.state === 'starting' || holds(seat))) resolve()
        else this.#swapped.push(check)
      }
      check()
    })
  }

  /** A worker that starts meanwhile is given them with its start. */
  async #takeChallenges(tokens: unknown): Promise<Record<string, never>> {
    const challenges = readChallenges(tokens)
    if (challenges === null)
      throw new Failure(edgeFailures.controlRequest, 'Challenges are key authorizations by token.')
    const serial = ++this.#challengesSerial
    this.#challenges = challenges
    for (const seat of this.#seats)
      seat.thread?.postMessage({ kind: 'challenges', serial, challenges } satisfies ToWorker)
    await this.#until(seat => seat.challenged >= serial)
    return {}
  }

  #notifySwapped(): void {
    for (const check of this.#swapped.splice(0)) check()
  }

  #releaseSlots(): void {
    let oldest = Infinity
    for (const [index, seat] of this.#seats.entries()) {
      if (seat.state === 'running')
        oldest = Math.min(oldest, this.#cells.worker.oldestVersion[index] as number)
      else oldest = 0
    }
    this.#members.release(oldest)
    this.#routes.release(oldest)
    this.#upstreams.release(oldest)
    this.#canarySlots.release(oldest)
  }

  // --- workers ------------------------------------------------------------------------------------------------

  #startWorker(index: number): Promise<void> {
    const seat = this.#seats[index] as WorkerSeat
    const start: WorkerStart = {
      index,
      memory: this.#cells.memory,
      snapshot: this.#snapshot,
      slots: this.#slots,
      ports: this.#ports,
      pseudonym: this.#pseudonym,
      seed: randomBytes(16).toString('hex'),
      reusePort: this.#reusePort,
      connectionsMax: this.#connectionsMax,
      challenges: this.#challenges,
      tls: this.#certificates.material,
      store: this.#storeMemory,
      guard: this.#guard?.memory ?? null,
    }
    seat.certified = start.tls.serial
    const { version } = this.#snapshot
    seat.challenged = this.#challengesSerial
    const { from, name } = this.#options.guard?.seam.thread ?? ownThread
    const thread = startThread(from, name, start)
    seat.thread = thread
    seat.state = 'starting'
    return new Promise((resolve, reject) => {
      thread.on('message', (message: FromWorker) => {
        if (message.kind === 'ready' && seat.state === 'starting') {
          seat.state = 'running'
          this.#cells.worker.beatUs[index] = hostClock.monotonic()
          // Snapshots that were pushed while it started.
          if (this.#snapshot.version > version) thread.postMessage(this.#snapshotMessage)
          resolve()
        }
        this.#heard(index, message)
      })
      thread.on('error', error => {
        console.error(`worker ${index} failed: ${error instanceof Error ? error.stack : String(error)}`)
        reject(error)
      })
      thread.on('exit', () => this.#workerDied(index, thread))
    })
  }

  #heard(index: number, message: FromWorker): void {
    const seat = this.#seats[index] as WorkerSeat
    if (message.kind === 'ready') {
      seat.version = message.version
      this.#notifySwapped()
      this.#releaseSlots()
    } else if (message.kind === 'decision') this.#tell(message.subject, message.text)
    else if (message.kind === 'challenged') {
      seat.challenged = message.serial
      this.#notifySwapped()
    } else if (message.kind === 'certified') {
      seat.certified = message.serial
      this.#notifySwapped()
    } else if (message.kind === 'failed')
      this.#tell(`worker ${index}`, `cannot listen for '${message.listener}': ${message.code}`)
    else if (message.kind === 'spans') this.#traces.take(message)
    else if (message.kind === 'guard') this.#guard?.heard(index, message.message)
    else if (message.kind === 'cacheLooked' || message.kind === 'cachePushed')
      this.#asked.get(message.serial)?.(message)
    else if (message.kind === 'purged') this.#store?.logPurge(message.what)
    else seat.drained = true
  }

  /** What a dead worker held is given back, then another takes its seat. */
  #workerDied(index: number, thread: Worker): void {
    const seat = this.#seats[index] as WorkerSeat
    if (seat.thread !== thread) return
    seat.thread = null
    seat.state = 'starting'
    this.#cells.repairWorker(index)
    this.#store?.repairWorker(index)
    this.#guard?.workerDied(index)
    this.#notifySwapped()
    if (this.#draining) {
      seat.drained = true
      return
    }
    seat.restarts++
    this.#server?.broadcast({
      event: 'worker',
      at: Date.now(),
      subject: `worker ${index}`,
      text: 'died and is replaced',
    })
    setTimeout(
      () => {
        if (!this.#draining) void this.#startWorker(index).catch(() => {})
      },
      seat.restarts > 3 ? restartPauseMs : 0,
    )
  }

  #watch(): void {
    const now = hostClock.monotonic()
    this.#canaries.judge(this.#snapshot)
    for (const [index, seat] of this.#seats.entries()) {
      const late = now - (this.#cells.worker.beatUs[index] as number)
      if (seat.state !== 'running' || late < beatLateUs) continue
      this.#tell(`worker ${index}`, 'has not answered for 30 s and is replaced')
      // It can't be asked. Where it hangs inside of nghttp2, Node aborts the process, which the supervisor replaces.
      void seat.thread?.terminate()
    }
    this.#releaseSlots()
  }

  #sweep(): void {
    this.#sweeper.sweep(this.#snapshot, this.#slots)
  }

  #tellOfFiles(): void {
    const { connectionsMax } = this.#snapshot.limits
    if (connectionsMax <= this.#connectionsMax) return
    const text = `may have ${openFilesMax()} files open: at most ${this.#connectionsMax} client connections of the ${connectionsMax} that edge.limits.connections allows (raise LimitNOFILE, or ulimit -n)`
    this.#tell('edge', text)
  }

  #tell(subject: string, text: string): void {
    this.#server?.broadcast({ event: 'decision', at: Date.now(), subject, text })
  }

  // --- control ------------------------------------------------------------------------------------------------

  async #answer(peer: LineSocket, request: ControlRequest): Promise<void> {
    const id = typeof request?.id === 'number' ? request.id : 0
    await this.#ready
    try {
      const call = this.#methods[request?.method]
      if (call === undefined)
        throw new Failure(
          edgeFailures.controlRequest,
          `There is no control method '${String(request?.method)}'.`,
        )
      peer.send({ id, result: await call(request.params as never) })
    } catch (error) {
      const code = error instanceof Failure ? error.code : 'EDGE_FAULT'
      peer.send({ id, error: { code, message: error instanceof Error ? error.message : String(error) } })
    }
  }

  readonly #methods: {
    [M in keyof ControlMethods]: (
      params: ControlMethods[M]['params'],
    ) => Promise<ControlMethods[M]['result']> | ControlMethods[M]['result']
  } = {
    apply: ({ snapshot }) => this.#apply(snapshot),
    status: () => this.status(),
    metrics: () => ({ text: this.#metrics.text() }),
    memberIdle: params => this.#memberIdle(params),
    canary: ({ route, action }) => this.#canaries[action](this.#snapshot, route),
    reopenLogs: () => {
      for (const seat of this.#seats) seat.thread?.postMessage({ kind: 'reopenLogs' } satisfies ToWorker)
      return {}
    },
    reloadCertificates: async () => {
      const outcome = await this.#certificates.reload()
      if (outcome.changed.length > 0) await this.#giveCertificates()
      return outcome
    },
    challenges: ({ tokens }) => this.#takeChallenges(tokens),
    stop: ({ drainMs, idleMs }) => {
      void this.stop(drainMs, idleMs)
      return {}
    },
    purge: async ({ what }) => {
      await this.#store?.purge(asKeyed(checkedPurge(what), this.#snapshot))
      return {}
    },
    guard: async ({ question }) => {
      if (this.#guard === null) throw new Failure(edgeFailures.controlRequest, 'This edge has no guard.')
      return { answer: await this.#guard.ask(question) }
    },
    push: request => this.#push(request),
    cacheStatus: () => this.#cacheStatus(),
    cacheLook: ({ url }) => this.#cacheLook(url),
    killWorker: async ({ worker }) => {
      const thread = this.#seats[worker]?.thread ?? null
      if (thread !== null) await killThread(thread)
      return {}
    },
  }

  // --- the cache ----------------------------------------------------------------------------------------------

  /** A question that any worker can answer: the first that runs. Null: none runs, or it died of it, or was too slow. */
  #ask(question: (serial: number) => ToWorker): Promise<FromWorker | null> {
    const serial = ++this.#askedSerial
    const thread = this.#seats.find(seat => seat.state === 'running')?.thread ?? null
    if (thread === null) return Promise.resolve(null)
    return new Promise(resolve => {
      const end = (answer: FromWorker | null): void => {
        clearTimeout(timer)
        thread.off('exit', gone)
        this.#asked.delete(serial)
        resolve(answer)
      }
      const gone = (): void => end(null)
      const timer = setTimeout(gone, askedMs)
      thread.once('exit', gone)
      this.#asked.set(serial, end)
      thread.postMessage(question(serial))
    })
  }

  async #push(request: PushRequest): Promise<PushResult> {
    const answer = await this.#ask(serial => ({ kind: 'cachePush', serial, request }))
    if (answer?.kind !== 'cachePushed')
      return { stored: false, status: 0, bytes: 0, why: 'no worker of the edge answered in time' }
    if ('refused' in answer.result) throw new Failure(edgeFailures.controlRequest, answer.result.refused)
    return answer.result
  }

  async #cacheLook(url: string): Promise<CacheLook> {
    const answer = await this.#ask(serial => ({ kind: 'cacheLook', serial, url }))
    if (answer?.kind === 'cacheLooked') return answer.look
    return { url, route: null, key: '', why: 'no worker of the edge answered in time', entry: null }
  }

  #cacheStatus(): CacheStatus | null {
    const { cache } = this.#snapshot
    if (this.#store === null || cache === undefined) return null
    return {
      name: cache.name,
      eviction: cache.store.eviction,
      store: { ...this.#store.counts },
      routes: this.#report.cachedRoutes(this.#snapshot, this.#slots),
    }
  }

  status(): EdgeStatus {
    const { worker } = this.#cells
    const snapshot = this.#snapshot
    return {
      pid: process.pid,
      nonce: this.#options.nonce,
      startedAt: this.#startedAt,
      version: snapshot.version,
      draining: this.#draining,
      listeners: snapshot.listeners.map(listener => {
        const { id, host } = listener
        const port = this.#ports.get(id) as number
        return { id, host, port, url: `${schemeOf(listener)}://${shownHost(host)}:${port}` }
      }),
      workers: this.#seats.map(({ state, restarts }, id) => ({
        id,
        state,
        restarts,
        connections: worker.connections[id] as number,
        exchanges: worker.exchanges[id] as number,
      })),
      routes: this.#report.routes(snapshot, this.#slots),
      upstreams: this.#report.upstreams(snapshot, this.#slots, hostClock.monotonic()),
      canaries: this.#canaries.status(snapshot),
      certificates: this.#certificates.status(),
    }
  }

  async #memberIdle(
    params: ControlMethods['memberIdle']['params'],
  ): Promise<{ idle: boolean; inFlight: number }> {
    const slot = this.#members.slotOf(memberKey(params.upstream, params.member, params.epoch))
    if (slot === undefined) return { idle: true, inFlight: 0 }
    const { memberWorker, workers } = this.#cells
    const end = hostClock.monotonic() + params.timeoutMs * 1000
    for (;;) {
      const inFlight = sumOver(memberWorker.inFlight, workers, memberSlots, slot)
      if (inFlight === 0 || hostClock.monotonic() >= end) return { idle: inFlight === 0, inFlight }
      await new Promise(resolve => setTimeout(resolve, idlePollMs))
    }
  }

  /** No new connections; exchanges in flight have `drainMs`; then `onStopped`. */
  async stop(drainMs: number, idleMs = 0): Promise<void> {
    if (this.#draining) return
    this.#draining = true
    // The edge that takes over gets the disk's folder; what is in memory is served until the end.
    const closed = this.#store?.close()
    for (const seat of this.#seats) {
      if (seat.thread === null) seat.drained = true
      else seat.thread.postMessage({ kind: 'drain', drainMs, idleMs } satisfies ToWorker)
    }
    const end = Date.now() + drainMs + 5_000
    while (!this.#seats.every(seat => seat.drained) && Date.now() < end)
      await new Promise(resolve => setTimeout(resolve, idlePollMs))
    await this.#traces.close(traceEndMs)
    await this.#guard?.close()
    await closed
    this.#server?.close()
    this.#options.onStopped()
  }
}

/** From the control socket: what is no list of texts would be forgotten silently. */
function checkedPurge(what: Purge): Purge {
  const isList = (list: unknown): boolean =>
    list === undefined || (Array.isArray(list) && list.every(one => typeof one === 'string'))
  if (
    typeof what !== 'object' ||
    what === null ||
    ![what.targets, what.prefixes, what.tags, what.keys].every(isList)
  )
    throw new Failure(
      edgeFailures.controlRequest,
      'A purge has lists of targets, prefixes or tags, or `all`.',
    )
  return what
}

/** Asked, so that it ends between two callbacks (`endAfterFaults` says why); else ended. */
async function killThread(thread: Worker): Promise<void> {
  const gone = new Promise<void>(resolve => thread.once('exit', () => resolve()))
  thread.postMessage({ kind: 'die' } satisfies ToWorker)
  const timer = setTimeout(() => void thread.terminate(), dieMs)
  await gone
  clearTimeout(timer)
}

function schemeOf(listener: ListenerSpec): string {
  if (listener.kind === 'tcp' || listener.kind === 'udp') return listener.kind
  return listener.kind === 'http' && listener.tls ? 'https' : 'http'
}

function connectionsFor(filesMax: number): number {
  return filesMax - Math.min(1_024, Math.floor(filesMax / 4))
}

function shownHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}

/** A port that is free now on that host. */
async function freePort(host: string): Promise<number> {
  const { netHere } = await import('../io/net-here.ts')
  const listener = await netHere.listen({
    host,
    port: 0,
    reusePort: false,
    backlog: 1,
    handlerOf: () => ({ opened() {}, data() {}, ended() {}, drained() {}, closed() {} }),
  })
  listener.close()
  return listener.port
}

async function freeUdpPort(host: string): Promise<number> {
  const { listenUdp } = await import('../io/udp.ts')
  const listener = await listenUdp({ host, port: 0, reusePort: false, received: () => {}, lost: () => {} })
  listener.close()
  return listener.port
}
