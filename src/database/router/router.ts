// The router in this process: a listener for each database of the snapshot, everything that its sessions share, ticks. Takes
// snapshots, each in one assignment, never a primary of an older epoch. Knows no control socket: `role.ts` has that.

import { randomBytes } from 'node:crypto'
import { hostClock } from '../../io/clock.ts'
import type { Listener, Net } from '../../io/net.ts'
import { netHere } from '../../io/net-here.ts'
import { portTrouble } from '../../io/port-check.ts'
import { readText } from '../../io/text-file.ts'
import { createTlsServer, type TlsServer, type TlsServerSettings } from '../../io/tls.ts'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import { TimerWheel } from '../../kit/timer-wheel.ts'
import type { HeatReport } from '../../policy/shard/heat-contract.ts'
import { ClientLogins } from '../auth/index.ts'
import { databaseFailures } from '../failures.ts'
import { type FeedRecord, Feeds, type FeedsOptions } from '../feed/index.ts'
import { createReadPlanner } from '../reads/index.ts'
import { addShardMetrics } from '../shards/metrics.ts'
import { ShardedSession } from '../shards/session.ts'
import { ShardedRouting } from '../shards/sharded-routing.ts'
import { createStatementBook, loadParser, readCatalogue } from '../sql/index.ts'
import { CancelKeys } from './cancels.ts'
import { ClientLogin, type Door } from './client-login.ts'
import { ClientSession } from './client-session.ts'
import type { RoutedDatabaseStatus } from './control-protocol.ts'
import { DatabaseRouting, type RouterContext } from './database-routing.ts'
import { Outbox } from './outbox.ts'
import { type RoutedDatabase, type RouterSnapshot, routerSnapshotFormat } from './snapshot.ts'
import { databaseStatus, routerMetrics } from './status.ts'

const tickMs = 20
const wheelBuckets = 2_048
const sweepMs = 1_000
const backlog = 4_096

export interface RouterOptions {
  readonly snapshot: RouterSnapshot
  /** What happened, for people: `main/main-2`, `can't be connected to: ...`. */
  readonly tell: (subject: string, text: string) => void
  /** Another router listens on the same ports, and will let go of them. */
  readonly besideAnother?: boolean
  readonly net?: Net
  /** Whom change feeds tell, and what they remember; absent: only this router's own, for as long as it lives. */
  readonly feeds?: RouterFeeds
}

export type RouterFeeds = Pick<FeedsOptions, 'identity' | 'memoryOf' | 'sinksOf'>

const feedsOfOneLife: RouterFeeds = {
  identity: 'router',
  memoryOf: () => {
    let kept: FeedRecord | null = null
    return {
      read: () => kept,
      write: record => {
        kept = record
      },
    }
  },
  sinksOf: () => ({ sinks: [], close: () => {} }),
}

/** What a door leads to. */
type Routing = DatabaseRouting | ShardedRouting

interface OpenDoor extends Door {
  listener: Listener
  readonly database: Routing
  readonly tlsKey: string
}

export class Router implements RouterContext {
  readonly net: Net
  readonly clock: typeof hostClock = hostClock
  readonly wheel: TimerWheel
  readonly logins: ClientLogins = new ClientLogins()
  readonly toServer: Outbox = new Outbox()
  readonly toClient: Outbox = new Outbox()
  now: number = hostClock.monotonic()
  draining = false
  snapshot: RouterSnapshot
  readonly feeds: Feeds
  readonly #options: RouterOptions
  readonly #keys = new CancelKeys()
  readonly #ticketKeys = randomBytes(48)
  readonly #doors = new Map<string, OpenDoor>()
  readonly #timers: NodeJS.Timeout[] = []
  readonly #metrics: ReturnType<typeof routerMetrics>

  private constructor(options: RouterOptions) {
    this.#options = options
    this.net = options.net ?? netHere
    this.snapshot = { ...options.snapshot, databases: [] }
    this.wheel = new TimerWheel(this.now, tickMs * 1000, wheelBuckets)
    this.#metrics = routerMetrics(
      () => this.databases,
      database => this.feeds.status(database),
    )
    addShardMetrics(this.#metrics, () => this.#sharded)
    this.feeds = new Feeds({
      ...(options.feeds ?? feedsOfOneLife),
      net: this.net,
      clock: this.clock,
      local: database => async invalidation => this.#plain(database)?.results?.heard(invalidation),
      tell: (database, text) => this.tell(database, text),
    })
  }

  /** Listens; rejects with a Failure when it can't. */
  static async start(options: RouterOptions): Promise<Router> {
    await loadParser()
    const router = new Router(options)
    router.#timers.push(
      setInterval(() => router.#tick(), tickMs),
      setInterval(() => router.#sweep(), sweepMs),
    )
    try {
      await router.#use(options.snapshot)
    } catch (failure) {
      router.close()
      throw failure
    }
    return router
  }

  refresh(): void {
    this.now = this.clock.monotonic()
  }

  tell(subject: string, text: string): void {
    this.#options.tell(subject, text)
  }

  readText(file: string): string {
    try {
      return readText(file)
    } catch (cause) {
      const sentence = `${file} can't be read: ${(cause as Error).message}.`
      throw new Failure(databaseFailures.snapshotInvalid, sentence, { cause })
    }
  }

  #tick(): void {
    this.refresh()
    this.wheel.advance(this.now)
  }

  #sweep(): void {
    for (const { database } of this.#doors.values()) database.sweep()
  }

  /** Groups of shards are databases of their own here. */
  get databases(): readonly DatabaseRouting[] {
    return [...this.#doors.values()].flatMap(({ database }) =>
      database instanceof ShardedRouting ? database.groups : [database],
    )
  }

  // --- snapshots ----------------------------------------------------------------------------------------------

  /** Refused, and without effect, when it is not newer or has a primary of an older epoch. */
  async apply(snapshot: RouterSnapshot): Promise<void> {
    if (snapshot.version <= this.snapshot.version && this.snapshot.databases.length > 0) {
      const sentence = `Snapshot ${snapshot.version} is not newer than ${this.snapshot.version}, which is in use.`
      throw new Failure(databaseFailures.snapshotOld, sentence)
    }
    await this.#use(snapshot)
  }

  async #use(snapshot: RouterSnapshot): Promise<void> {
    this.#check(snapshot)
    this.refresh()
    const opened: OpenDoor[] = []
    try {
      for (const spec of snapshot.databases) {
        const door = this.#doors.get(spec.name)
        if (door !== undefined && isWhereItWas(door, spec)) continue
        // The same port with another way to speak on it: one listener must go before the other comes.
        if (door?.listener.port === spec.listener.port) door.listener.close()
        opened.push(await this.#open(spec, door?.database))
      }
    } catch (failure) {
      for (const door of opened) door.listener.close()
      throw failure
    }
    for (const [name, door] of this.#doors) {
      if (snapshot.databases.some(spec => spec.name === name)) continue
      door.listener.close()
      door.database.close()
      this.#doors.delete(name)
    }
    for (const door of opened) {
      this.#doors.get(door.database.name)?.listener.close()
      this.#doors.set(door.database.name, door)
    }
    this.snapshot = snapshot
    for (const spec of snapshot.databases) this.#give(spec)
    this.feeds.use(snapshot)
  }

  #give(spec: RoutedDatabase): void {
    for (const { name, password } of spec.users) this.logins.prepare(name, password)
    const { database, tls } = this.#doors.get(spec.name) as OpenDoor
    // Certificates may have been renewed in their files.
    if (tls !== null) tls.update(this.#tlsSettings(spec))
    if (database.spec !== spec) database.use(spec)
  }

  #check(snapshot: RouterSnapshot): void {
    if (snapshot.format !== routerSnapshotFormat) {
      const sentence = `The snapshot's format is ${snapshot.format}; this router knows ${routerSnapshotFormat}.`
      throw new Failure(databaseFailures.snapshotInvalid, sentence)
    }
    for (const spec of snapshot.databases.flatMap(one => [one, ...(one.shards?.groups ?? [])])) {
      const before = this.#plain(spec.name)?.spec
      if (before !== undefined && spec.epoch < before.epoch) {
        const sentence = `Database '${spec.name}' is at epoch ${before.epoch} here; the snapshot has ${spec.epoch}.`
        throw new Failure(databaseFailures.epochOld, sentence)
      }
      if (spec.primary !== null && !spec.servers.some(server => server.id === spec.primary)) {
        const sentence = `Database '${spec.name}' has '${spec.primary}' as its primary, which is not among its servers.`
        throw new Failure(databaseFailures.snapshotInvalid, sentence)
      }
    }
  }

  // --- listening ----------------------------------------------------------------------------------------------

  async #open(spec: RoutedDatabase, known: Routing | undefined): Promise<OpenDoor> {
    const tls = this.#tlsOf(spec)
    const { host, port } = spec.listener
    const database =
      known ?? (spec.shards === undefined ? this.#databaseOf(spec, null) : this.#shardedOf(spec))
    const door: Omit<OpenDoor, 'listener'> = {
      database,
      sessionOf: (stream, start) =>
        database instanceof ShardedRouting
          ? new ShardedSession(database, stream, start)
          : new ClientSession(database, stream, { ...start, settings: database.settings.of(start.settings) }),
      tls,
      keys: this.#keys,
      clients: 0,
      tlsKey: tlsKeyOf(spec),
    }
    try {
      await this.#checkPort(spec)
      const listener = await this.net.listen({
        host,
        port,
        // Not for the next version's router: two that do not know each other's writes could serve stale reads as fresh.
        reusePort: this.#options.besideAnother === true && this.net.reusePortSupported,
        backlog,
        lean: tls === null,
        handlerOf: stream => {
          this.refresh()
          return new ClientLogin(door as OpenDoor, stream)
        },
      })
      return Object.assign(door, { listener })
    } catch (cause) {
      if (known === undefined) database.close()
      if (cause instanceof Failure) throw cause
      const { code } = cause as NodeJS.ErrnoException
      const sentence = `Database '${spec.name}': ${host}:${port} can't be listened on: ${code}.`
      throw new Failure(databaseFailures.routerPort, sentence, { cause })
    }
  }

  /** Says who has it, where somebody has. */
  async #checkPort({ name, listener: { host, port } }: RoutedDatabase): Promise<void> {
    if (port === 0 || this.#options.besideAnother === true) return
    const trouble = await portTrouble(host, port)
    if (trouble !== null)
      throw new Failure(databaseFailures.routerPort, `Database '${name}': ${host}:${port} ${trouble.reason}.`)
  }

  #shardedOf(spec: RoutedDatabase): ShardedRouting {
    return new ShardedRouting(this, spec, (sharded, group) => this.#databaseOf(group, sharded))
  }

  /** @param sharded what it is a shard of: what one shard says of its tables goes for all */
  #databaseOf(spec: RoutedDatabase, sharded: ShardedRouting | null): DatabaseRouting {
    // Until the database has said what is safe to read elsewhere, the primary serves.
    const book = createStatementBook({ strict: true })
    const say = (fields: object, sentence: string): void => {
      const { server } = fields as { server?: string }
      this.tell(server === undefined ? spec.name : `${spec.name}/${server}`, sentence)
    }
    const planner = createReadPlanner({
      database: spec,
      clock: this.clock,
      random: seededRandom(randomBytes(4).readUInt32LE()),
      log: { info: say, warn: say, error: say },
      learn: catalogue => book.learn(catalogue),
      readCatalogue:
        sharded === null
          ? readCatalogue
          : async query => {
              if (sharded.isModel(spec.name)) await sharded.read(spec.name)
              return readCatalogue(query)
            },
    })
    return new DatabaseRouting(this, spec, book, planner)
  }

  #tlsOf(spec: RoutedDatabase): TlsServer | null {
    return spec.listener.tls === undefined ? null : createTlsServer(this.#tlsSettings(spec))
  }

  #tlsSettings({ name, listener }: RoutedDatabase): TlsServerSettings {
    const { certFile = '', keyFile = '' } = listener.tls ?? {}
    const cert = this.readText(certFile)
    const key = this.readText(keyFile)
    return {
      certificates: [{ hosts: [], cert, key, where: `database '${name}'` }],
      alpn: ['postgresql'],
      minVersion: 'TLSv1.2',
      ticketKeys: this.#ticketKeys,
      clients: null,
    }
  }

  /** Where clients of a database connect. */
  portOf(database: string): number {
    return this.#doors.get(database)?.listener.port ?? 0
  }

  // --- looking ------------------------------------------------------------------------------------------------

  status(): readonly RoutedDatabaseStatus[] {
    return [...this.#doors.values()].flatMap(({ database, listener, clients }) =>
      (database instanceof ShardedRouting ? database.groups : [database]).map(one =>
        databaseStatus(one, listener.port, clients, this.feeds.status(one.name)),
      ),
    )
  }

  metricsText(): string {
    return this.#metrics.text()
  }

  /** Transactions and statements under way on the primary of a database. */
  openOn(database: string): number {
    const sharded = this.#sharded.find(one => one.name === database)
    return sharded?.busy ?? this.#plain(database)?.primary?.busy ?? 0
  }

  /** Statements over several shards that go by plans of before. */
  earlierOn(database: string): number {
    return this.#sharded.find(one => one.name === database)?.earlier ?? 0
  }

  heatOf(database: string): HeatReport | null {
    return this.#sharded.find(one => one.name === database)?.heatReport() ?? null
  }

  get #sharded(): readonly ShardedRouting[] {
    return [...this.#doors.values()].flatMap(({ database }) =>
      database instanceof ShardedRouting ? [database] : [],
    )
  }

  #plain(name: string): DatabaseRouting | undefined {
    return this.databases.find(one => one.name === name)
  }

  // --- the end ------------------------------------------------------------------------------------------------

  /** No new clients; transactions have `drainMs`; then every connection ends. */
  async stop(drainMs: number): Promise<void> {
    this.draining = true
    // Another router may go on with them at once.
    void this.feeds.close()
    for (const { listener } of this.#doors.values()) listener.close()
    const end = this.clock.monotonic() + drainMs * 1000
    for (;;) {
      this.refresh()
      let open = 0
      for (const { database } of this.#doors.values())
        for (const session of [...database.sessions]) {
          if (session.idle) session.endNow('The router stops.')
          else open++
        }
      if (open === 0 || this.now >= end) break
      await new Promise(resolve => setTimeout(resolve, tickMs))
    }
    this.close()
  }

  close(): void {
    this.refresh()
    void this.feeds.close()
    for (const timer of this.#timers) clearInterval(timer)
    for (const { listener, database } of this.#doors.values()) {
      listener.close()
      database.close()
    }
    this.#doors.clear()
  }
}

function tlsKeyOf({ listener }: RoutedDatabase): string {
  return JSON.stringify(listener.tls ?? null)
}

function isWhereItWas(door: OpenDoor, spec: RoutedDatabase): boolean {
  const { listener } = spec
  const before = door.database.spec.listener
  const port = listener.port === 0 || listener.port === before.port || listener.port === door.listener.port
  return listener.host === before.host && port && door.tlsKey === tlsKeyOf(spec)
}

/** For whoever has it in his own process: tests, and the process role. */
export function createRouter(options: RouterOptions): Promise<Router> {
  return Router.start(options)
}
