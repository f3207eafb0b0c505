// The change feeds of a router: one for each database that has rules or cached statements, all telling the same sinks; the
// bus for services among them. Follows snapshots. Knows no edges and no shared tiers: their sinks are given.

import type { Net } from '../../io/net.ts'
import type { Clock } from '../../kit/clock.ts'
import type { FeedListeners, RoutedDatabase, RouterSnapshot } from '../router/snapshot.ts'
import { FeedBus } from './bus.ts'
import type { FeedSpec, InvalidationSink } from './contract.ts'
import { ChangeFeed, type FeedMemory, type FeedStatus, type NamedSink } from './feed.ts'
import type { FeedPlace } from './place.ts'

/** As whom servers are asked; contract.ts has him. */
const user = 'tenfold'
const busHost = '127.0.0.1'
const busRetryMs = 500
/** Of the sink that tells the edges. */
const edgesName = 'edges'

export interface FeedsOptions {
  readonly net: Net
  readonly clock: Clock
  /** Of this system among those that share servers: [a-z0-9_]. */
  readonly identity: string
  memoryOf(database: string): FeedMemory
  /** Of the edges and the shared tiers. Made once for each different `listeners`. */
  sinksOf(listeners: FeedListeners): FeedSinks
  /** The router's own cached statements. */
  local(database: string): InvalidationSink
  tell(database: string, text: string): void
}

export interface FeedSinks {
  readonly sinks: readonly NamedSink[]
  close(): void
}

const noListeners: FeedListeners = { bus: null, edges: false, shared: [] }

export class Feeds {
  readonly #options: FeedsOptions
  readonly #feeds = new Map<string, ChangeFeed>()
  /** Tables that statements asked for, by database. */
  readonly #watched = new Map<string, Set<string>>()
  readonly #ending = new Set<Promise<void>>()
  #snapshot: RouterSnapshot | null = null
  #listeners: FeedListeners = noListeners
  #sinks: FeedSinks = { sinks: [], close: () => {} }
  #bus: FeedBus | null = null
  #busTrouble = 'it is not open yet'
  #busRetry: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: FeedsOptions) {
    this.#options = options
  }

  use(snapshot: RouterSnapshot): void {
    if (this.#closed) return
    this.#snapshot = snapshot
    const listeners = snapshot.feeds ?? noListeners
    if (JSON.stringify(listeners) !== JSON.stringify(this.#listeners)) this.#listen(listeners)
    for (const [name, feed] of this.#feeds) {
      const spec = snapshot.databases.find(one => one.name === name)
      if (spec !== undefined && specOf(spec, noTables) !== null) continue
      this.#feeds.delete(name)
      this.#watched.delete(name)
      this.#end(feed.remove())
    }
    for (const spec of snapshot.databases) this.#give(spec)
  }

  /** Other sinks: every feed begins anew, where it was. */
  #listen(listeners: FeedListeners): void {
    this.#listeners = listeners
    for (const feed of this.#feeds.values()) this.#end(feed.close())
    this.#feeds.clear()
    this.#sinks.close()
    this.#closeBus()
    this.#sinks = this.#options.sinksOf(listeners)
    if (listeners.bus !== null) void this.#openBus(listeners)
  }

  async #openBus(listeners: FeedListeners): Promise<void> {
    const { port, token } = listeners.bus as NonNullable<FeedListeners['bus']>
    const wanted = (): boolean => !this.#closed && this.#listeners === listeners
    try {
      const bus = await FeedBus.open({ net: this.#options.net, host: busHost, port, token })
      if (wanted()) this.#bus = bus
      else bus.close()
    } catch (cause) {
      // The router before this one lets go of it when it has drained.
      this.#busTrouble = `${busHost}:${port} can't be listened on: ${(cause as Error).message}`
      if (wanted()) this.#busRetry = setTimeout(() => void this.#openBus(listeners), busRetryMs)
    }
  }

  #closeBus(): void {
    clearTimeout(this.#busRetry)
    this.#bus?.close()
    this.#bus = null
  }

  #give(spec: RoutedDatabase): void {
    if (this.#closed) return
    const wanted = specOf(spec, this.#watched.get(spec.name) ?? noTables)
    if (wanted === null) return
    let feed = this.#feeds.get(spec.name)
    if (feed === undefined) {
      feed = this.#make(spec, wanted)
      this.#feeds.set(spec.name, feed)
    }
    feed.use(placeOf(spec), wanted)
  }

  #make({ name, own }: RoutedDatabase, spec: FeedSpec): ChangeFeed {
    const { clock, identity, memoryOf, local, tell } = this.#options
    const edges = this.#sinks.sinks.filter(one => one.name === edgesName)
    const behind = this.#sinks.sinks.filter(one => one.name !== edgesName)
    if (this.#listeners.bus !== null) behind.push({ name: 'services', sink: one => this.#tellBus(one) })
    const sinks = [
      { name: 'statements', sink: local(name) },
      ...behind.map(one => ({ name: one.name, sink: thenEdges(one.sink, edges) })),
      ...edges,
    ]
    return new ChangeFeed({
      spec,
      slot: own === true ? 'tenfold_feed' : `tenfold_feed_${identity}`,
      sinks,
      memory: memoryOf(name),
      clock,
      tell: text => tell(name, text),
    })
  }

  async #tellBus(invalidation: Parameters<InvalidationSink>[0]): Promise<void> {
    if (this.#bus === null) throw new Error(this.#busTrouble)
    await this.#bus.tell(invalidation)
  }

  /** Its changes are wanted from now on, while the router lives. False: as many are as may. */
  watch(database: string, table: string): boolean {
    const tables = this.#watched.get(database) ?? new Set()
    if (tables.has(table)) return true
    if (tables.size >= watchedMax) return false
    this.#watched.set(database, tables.add(table))
    const spec = this.#snapshot?.databases.find(one => one.name === database)
    if (spec !== undefined) this.#give(spec)
    return true
  }

  followed(database: string): ReadonlySet<string> {
    return this.#feeds.get(database)?.followed ?? noTables
  }

  /** Another number with each connection of the feed. */
  lifeOf(database: string): number {
    return this.#feeds.get(database)?.life ?? 0
  }

  /** Null: the database has no feed. */
  status(database: string): FeedStatus | null {
    return this.#feeds.get(database)?.status ?? null
  }

  /** Where services hear of changes; 0: nowhere. */
  get busPort(): number {
    return this.#bus?.port ?? 0
  }

  #end(work: Promise<void>): void {
    const noted = work
      .catch(() => {})
      .finally(() => {
        this.#ending.delete(noted)
      })
    this.#ending.add(noted)
  }

  /** Lets slots and the port go, for the next router. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const feed of this.#feeds.values()) this.#end(feed.close())
    this.#feeds.clear()
    this.#sinks.close()
    this.#closeBus()
    await Promise.all(this.#ending)
  }
}

/**
 * An edge that forgot before the caches of services did may have been given the old page anew, and would keep it: it is
 * told once more. One that does not answer is told by its own sink when it is found again.
 */
export function thenEdges(sink: InvalidationSink, edges: readonly NamedSink[]): InvalidationSink {
  return async invalidation => {
    await sink(invalidation)
    await Promise.allSettled(edges.map(one => one.sink(invalidation)))
  }
}

const noTables: ReadonlySet<string> = new Set()
/** Tables that statements with a hint read; the others of a database are not followed, and not cached. */
const watchedMax = 500

/** Null: nobody wants to know. */
function specOf({ name, feed, cacheQueries }: RoutedDatabase, watched: ReadonlySet<string>): FeedSpec | null {
  if (feed === undefined && cacheQueries === undefined) return null
  const cached = cacheQueries?.rules.flatMap(rule => rule.tables) ?? []
  const tables = [...new Set([...(feed?.tables ?? []), ...cached, ...watched])]
  return { database: name, rules: feed?.rules ?? [], tables }
}

/** Null: there is no primary, or nobody to ask it as. */
export function placeOf(spec: RoutedDatabase): FeedPlace | null {
  const server = spec.servers.find(one => one.id === spec.primary)
  const login = spec.users.find(one => one.name === user)?.server
  if (server === undefined || login === undefined) return null
  const { id, host, port } = server
  return {
    id,
    host,
    port,
    ...login,
    database: spec.database,
    tls: spec.serverTls,
    epoch: spec.epoch,
    own: spec.own === true,
    others: spec.servers
      .filter(one => one.id !== id)
      .map(one => ({ id: one.id, host: one.host, port: one.port })),
  }
}
