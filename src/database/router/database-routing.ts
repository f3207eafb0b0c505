// One database in the router: its servers' pools, who may use it, what is held until there is a primary, what all its
// sessions share. Takes each new snapshot; an epoch's end closes what belongs to the old primary at once.

import type { Net } from '../../io/net.ts'
import { createTlsClient, type TlsClient } from '../../io/tls.ts'
import type { Clock } from '../../kit/clock.ts'
import type { TimerWheel } from '../../kit/timer-wheel.ts'
import type { ClientLogins } from '../auth/index.ts'
import type { TopologyServer } from '../contract.ts'
import { addressOf, type Feeds, placeOf } from '../feed/index.ts'
import type { ReadPlanner } from '../reads/contract.ts'
import type { StatementBook } from '../sql/contract.ts'
import { Cancels } from './cancels.ts'
import type { ClientSession } from './client-session.ts'
import type { Outbox } from './outbox.ts'
import { type PoolWaiter, type ServerCredentials, ServerPool } from './pool.ts'
import { SharedStatements } from './prepared.ts'
import { ResultTables } from './result-tables.ts'
import { Results } from './results.ts'
import type { ServerConnection } from './server-connection.ts'
import { SettingsBook } from './settings.ts'
import type { RoutedDatabase, RouterUser } from './snapshot.ts'
import { routerError } from './sql-errors.ts'
import { StatementCounts } from './statement-counts.ts'
import { WaitingList } from './waiting-list.ts'

/** What the whole thread shares. */
export interface RouterContext {
  readonly net: Net
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly logins: ClientLogins
  /** Microseconds; as of the callback that runs. */
  now: number
  refresh(): void
  readonly toServer: Outbox
  readonly toClient: Outbox
  readonly draining: boolean
  /** Text of a file that the snapshot names. */
  readText(file: string): string
  tell(subject: string, text: string): void
  readonly feeds: Feeds
}

export interface ServerTlsHere {
  readonly client: TlsClient | null
  readonly md5Allowed: boolean
}

/** The same sentence about the same server is told again only after so long. */
const tellAgainUs = 30_000_000

export class DatabaseRouting {
  readonly context: RouterContext
  readonly book: StatementBook
  readonly planner: ReadPlanner
  readonly statements: SharedStatements = new SharedStatements()
  readonly settings: SettingsBook = new SettingsBook()
  readonly sessions: Set<ClientSession> = new Set()
  readonly cancels: Cancels
  readonly counts: StatementCounts = new StatementCounts()
  /** Statements that wait for a primary. */
  readonly held: WaitingList<PoolWaiter> = new WaitingList<PoolWaiter>()
  readonly pools: Map<string, ServerPool> = new Map()
  primary: ServerPool | null = null
  spec: RoutedDatabase
  users: ReadonlyMap<string, RouterUser>
  serverTls: ServerTlsHere
  /** Null: results of reads are not kept. */
  results: Results | null = null
  /** Counts changes of tables and the like: prepared statements made before one may not fit any more. */
  schema = 0
  readonly #told = new Map<string, number>()

  constructor(context: RouterContext, spec: RoutedDatabase, book: StatementBook, planner: ReadPlanner) {
    this.context = context
    this.spec = spec
    this.book = book
    this.planner = planner
    this.users = usersOf(spec)
    this.serverTls = tlsOf(context, spec)
    this.cancels = new Cancels(this)
    this.#follow()
    this.#keepResults(undefined)
  }

  get name(): string {
    return this.spec.name
  }

  /** Is there a primary that takes new statements? */
  get primaryOpen(): boolean {
    return this.primary !== null && !this.spec.holding
  }

  get replicas(): number {
    return this.primary === null ? this.pools.size : this.pools.size - 1
  }

  get waiting(): number {
    let sum = 0
    for (const pool of this.pools.values()) sum += pool.waiting
    return sum
  }

  credentialsOf(user: string): ServerCredentials {
    const known = this.users.get(user)
    return known?.server ?? { user, password: '' }
  }

  tell(server: string, text: string): void {
    const { now } = this.context
    const line = `${server} ${text}`
    const last = this.#told.get(line)
    if (last !== undefined && now - last < tellAgainUs) return
    if (this.#told.size > 1_000) this.#told.clear()
    this.#told.set(line, now)
    this.context.tell(server === '' ? this.name : `${this.name}/${server}`, text)
  }

  // --- snapshots ----------------------------------------------------------------------------------------------

  use(spec: RoutedDatabase): void {
    const before = this.spec
    this.spec = spec
    this.users = usersOf(spec)
    if (JSON.stringify(spec.serverTls) !== JSON.stringify(before.serverTls))
      this.serverTls = tlsOf(this.context, spec)
    for (const pool of this.pools.values()) pool.renewLogins()
    this.planner.use(spec)
    this.#follow(spec.epoch > before.epoch)
    this.#keepResults(before.cacheQueries)
    // Another primary: what was asked of the one before does not count.
    if (spec.primary !== before.primary || spec.epoch > before.epoch) this.results?.schemaChanged()
    for (const session of [...this.sessions]) session.snapshotChanged()
    if (this.primaryOpen) this.#release()
    else if (this.primary !== null) this.#hold(this.primary.takeWaiters())
  }

  #keepResults(before: RoutedDatabase['cacheQueries']): void {
    const settings = this.spec.cacheQueries
    if (JSON.stringify(settings) === JSON.stringify(before)) return
    this.results?.close()
    const { feeds } = this.context
    const address = async () => {
      const place = placeOf(this.spec)
      return place === null ? null : addressOf(place)
    }
    this.results =
      settings === undefined
        ? null
        : new Results({
            settings,
            tables: new ResultTables(address),
            followed: () => feeds.followed(this.name),
            feedLife: () => feeds.lifeOf(this.name),
            watch: table => feeds.watch(this.name, table),
          })
  }

  /** Pools for the servers that may be used, and no others. */
  #follow(newEpoch = false): void {
    const { spec } = this
    const wanted = new Map(
      spec.servers.filter(server => isUsed(spec, server)).map(server => [server.id, server]),
    )
    const homeless: PoolWaiter[] = []
    for (const [id, pool] of this.pools) {
      const server = wanted.get(id)
      const isPrimary = id === spec.primary
      const same =
        server !== undefined && server.host === pool.server.host && server.port === pool.server.port
      if (same && pool.primary === isPrimary && !(newEpoch && pool.primary)) {
        pool.server = server
        continue
      }
      this.pools.delete(id)
      homeless.push(...pool.takeWaiters())
      // Nothing may be written through what was the primary: also who is amid a transaction is cut off.
      pool.close(`${id} is not ${pool.primary ? 'the primary' : 'a replica'} any more`, pool.primary || !same)
    }
    for (const [id, server] of wanted)
      if (!this.pools.has(id)) this.pools.set(id, new ServerPool(this, server, id === spec.primary))
    this.primary = spec.primary === null ? null : (this.pools.get(spec.primary) ?? null)
    for (const waiter of homeless) waiter.poolFailed(null, 'the server is not used any more')
  }

  #hold(waiters: readonly PoolWaiter[]): void {
    for (const waiter of waiters) waiter.poolFailed(null, 'statements for the primary are held')
  }

  /** First in, first out. */
  #release(): void {
    for (let count = this.held.length; count > 0; count--) this.held.shift()?.poolFailed(null, '')
  }

  // --- connections --------------------------------------------------------------------------------------------

  /**
   * A connection to this server ('' = the primary, 'any' = whichever can be had), or null: the session waits, and hears
   * `granted`, or has been refused.
   */
  acquire(session: ClientSession, server: string): ServerConnection | null {
    const pool = this.#poolFor(server)
    if (pool === null) {
      if (this.held.length >= this.spec.hold.statementsMax)
        session.refuse(
          routerError('holdFull', `${this.held.length} statements wait for a primary already: ${this.why}`),
        )
      else {
        this.held.push(session)
        session.waits(this.spec.hold.timeoutMs, true)
      }
      return null
    }
    const user = pool.userOf(session.userName)
    const connection = pool.take(user)
    if (connection !== null) return connection
    const { pool: limits, hold } = this.spec
    if (this.waiting >= limits.waitingMax) {
      session.refuse(
        routerError(
          'poolFull',
          `${limits.waitingMax} statements wait for a connection to ${pool.server.id} already.`,
        ),
      )
      return null
    }
    const none = pool.connections === 0 && pool.trouble !== ''
    session.waits(none ? hold.timeoutMs : limits.waitTimeoutMs, none)
    pool.wait(user, session)
    return null
  }

  #poolFor(server: string): ServerPool | null {
    if (server === 'any') {
      if (this.primaryOpen) return this.primary
      for (const pool of this.pools.values()) if (!pool.primary) return pool
      return null
    }
    const pool = server === '' ? undefined : this.pools.get(server)
    if (pool !== undefined && !pool.primary) return pool
    return this.primaryOpen ? this.primary : null
  }

  /** Why statements for the primary wait. */
  get why(): string {
    const { trouble, primary, holding } = this.spec
    if (trouble !== '') return trouble
    if (primary === null) return 'there is no primary'
    if (holding) return 'a switchover is under way'
    const said = this.primary?.trouble ?? ''
    return said === '' ? 'all connections are in use' : `${primary} can't be connected to: ${said}`
  }

  sweep(): void {
    for (const pool of this.pools.values()) pool.sweep()
  }

  close(): void {
    this.planner.close()
    this.results?.close()
    for (const session of [...this.sessions]) session.endNow('The router stops.')
    for (const pool of this.pools.values()) pool.close('the router stops', true)
    this.cancels.close()
  }
}

function usersOf(spec: RoutedDatabase): ReadonlyMap<string, RouterUser> {
  return new Map(spec.users.map(user => [user.name, user]))
}

function isUsed(spec: RoutedDatabase, server: TopologyServer): boolean {
  if (server.id === spec.primary) return true
  return server.role === 'replica' && server.state === 'ready' && server.delayMs === 0
}

function tlsOf(context: RouterContext, { serverTls }: RoutedDatabase): ServerTlsHere {
  const { mode, caFile } = serverTls
  if (mode === 'off') return { client: null, md5Allowed: true }
  const ca = caFile === undefined ? {} : { ca: context.readText(caFile) }
  return {
    client: createTlsClient({ ...ca, verify: mode === 'verify', alpn: ['postgresql'] }),
    md5Allowed: true,
  }
}
