// The connections to one server: per user a stack of idle ones and a queue of who waits; together at most `sizeMax`. Opens
// what is waited for, closes what is idle or old, gives each connection that comes back to who has waited longest, and
// cleans up after clients that went away. Never decides which server a statement goes to.

import { Timed } from '../../kit/timer-wheel.ts'
import { copyFailMessage, type ReportFields, sqlState, syncMessage } from '../../wire/postgres/index.ts'
import type { TopologyServer } from '../contract.ts'
import type { DatabaseRouting } from './database-routing.ts'
import { owed } from './replies.ts'
import { ServerConnection, type ServerPlace } from './server-connection.ts'
import { type Waiter, WaitingList } from './waiting-list.ts'

/** Whoever waits for a connection. */
export interface PoolWaiter extends Waiter {
  granted(connection: ServerConnection): void
  /** The server takes no connections: for good (an error of its own to pass on), or null: it can't be reached now. */
  poolFailed(error: ReportFields | null, why: string): void
}

export interface ServerCredentials {
  readonly user: string
  readonly password: string
}

/** One user's share of a pool. */
export class PoolUser {
  readonly name: string
  login: ServerCredentials
  readonly idle: ServerConnection[] = []
  readonly waiting: WaitingList<PoolWaiter> = new WaitingList<PoolWaiter>()
  connecting = 0
  /** All places together. */
  count = 0

  constructor(name: string, login: ServerCredentials) {
    this.name = name
    this.login = login
  }
}

/** Logins under way at once: more only make the server slower for all. */
const connectingMax = 8
const retryUs = 50_000
/** For ROLLBACK, DISCARD and what a client that went away had left to answer. */
const cleanTimeoutUs = 10_000_000
/**
 * A request to cancel ends what runs when it comes: nothing if the statement has not begun, and one of several. So it is
 * said again.
 */
const cancelAgainUs = 200_000

export class ServerPool extends Timed {
  readonly database: DatabaseRouting
  server: TopologyServer
  /** Of the primary of its epoch; else of a replica. */
  readonly primary: boolean
  readonly #users = new Map<string, PoolUser>()
  readonly #all = new Set<ServerConnection>()
  #closed = false
  /** Why the last connection was not to be had; '' since one was. */
  trouble = ''
  used = 0

  constructor(database: DatabaseRouting, server: TopologyServer, primary: boolean) {
    super()
    this.database = database
    this.server = server
    this.primary = primary
  }

  get connections(): number {
    return this.#all.size
  }
  get idle(): number {
    let sum = 0
    for (const user of this.#users.values()) sum += user.idle.length
    return sum
  }
  get waiting(): number {
    let sum = 0
    for (const user of this.#users.values()) sum += user.waiting.length
    return sum
  }
  /** Connections on which a transaction is open or an answer is owed. */
  get busy(): number {
    let sum = 0
    for (const one of this.#all) if (one.place === 'used' && !one.clean) sum++
    return sum
  }

  /** Of a new snapshot: for logins from now on. */
  renewLogins(): void {
    for (const user of this.#users.values()) user.login = this.database.credentialsOf(user.name)
  }

  userOf(name: string): PoolUser {
    const known = this.#users.get(name)
    if (known !== undefined) return known
    const made = new PoolUser(name, this.database.credentialsOf(name))
    this.#users.set(name, made)
    return made
  }

  // --- giving -------------------------------------------------------------------------------------------------

  /** One at once, or null: nobody is before us, but all are in use. */
  take(user: PoolUser): ServerConnection | null {
    if (user.waiting.length > 0) return null
    const connection = user.idle.pop()
    if (connection === undefined) return null
    connection.place = 'used'
    this.used++
    return connection
  }

  wait(user: PoolUser, waiter: PoolWaiter): void {
    user.waiting.push(waiter)
    this.#grow(user)
  }

  /** The connection is clean and nobody's. */
  give(connection: ServerConnection): void {
    // Whoever had it may have left before all that was said to him had been taken.
    connection.stream.resume()
    this.#leavePlace(connection)
    this.#offer(connection)
  }

  #offer(connection: ServerConnection, isNew = false): void {
    const { user } = connection
    const { context, spec } = this.database
    const old = context.now - connection.bornAt > spec.pool.lifetimeMs * 1000
    const tooMany = this.#all.size > spec.pool.sizeMax
    if (this.#closed || tooMany || (!isNew && (old || this.#owesPlace(user)))) {
      connection.close('its time is over')
      return
    }
    // A cancel request is on its way: given on when that has been heard.
    if (connection.cancels > 0) return
    const waiter = user.waiting.shift()
    if (waiter === null) {
      connection.place = 'idle'
      connection.idleSince = context.now
      user.idle.push(connection)
      return
    }
    connection.place = 'used'
    this.used++
    waiter.granted(connection)
  }

  /** A cancel request for it has been heard. */
  cancelHeard(connection: ServerConnection): void {
    connection.cancels--
    if (connection.cancels === 0 && connection.place === 'cleaning' && connection.clean)
      this.#offer(connection)
  }

  /** Is another user waiting who has less than his share, while this one has more? */
  #owesPlace(user: PoolUser): boolean {
    const { sizeMax } = this.database.spec.pool
    if (this.#users.size < 2 || this.#all.size < sizeMax) return false
    let wanting = 0
    let poorest: PoolUser | null = null
    for (const one of this.#users.values()) {
      if (one.count === 0 && one.waiting.length === 0) continue
      wanting++
      if (one !== user && one.waiting.length > one.connecting && one.count < (poorest?.count ?? Infinity))
        poorest = one
    }
    if (poorest === null) return false
    return (
      user.waiting.length === 0 ||
      (poorest.count < Math.max(1, Math.floor(sizeMax / wanting)) && user.count > 1)
    )
  }

  // --- opening ------------------------------------------------------------------------------------------------

  #grow(user: PoolUser): void {
    if (this.#closed || this.wheelBucket >= 0) return
    while (user.waiting.length > user.connecting && user.connecting < connectingMax) {
      if (this.#all.size >= this.database.spec.pool.sizeMax && !this.#makeRoom(user)) return
      this.#open(user)
    }
  }

  #makeRoom(user: PoolUser): boolean {
    for (const other of this.#users.values()) {
      const idle = other === user ? undefined : other.idle[0]
      if (idle === undefined) continue
      idle.close('another user needs its place')
      return true
    }
    return false
  }

  #open(user: PoolUser): void {
    const connection = new ServerConnection(this, user)
    this.#all.add(connection)
    user.connecting++
    user.count++
    const { context, spec } = this.database
    context.wheel.set(connection, context.now + spec.pool.loginTimeoutMs * 1000)
  }

  /** It has logged in. */
  opened(connection: ServerConnection): void {
    connection.user.connecting--
    connection.place = 'cleaning'
    this.trouble = ''
    this.#offer(connection, true)
    this.#growAll()
  }

  /** It is gone, from whatever place. */
  left(connection: ServerConnection, place: ServerPlace, why: string): void {
    const { user } = connection
    connection.place = 'closing'
    this.#all.delete(connection)
    user.count--
    if (place === 'used') this.used--
    else if (place === 'idle') user.idle.splice(user.idle.indexOf(connection), 1)
    else if (place === 'connecting') {
      user.connecting--
      this.#notOpened(connection, why)
      return
    }
    if (!this.#closed) this.#growAll()
  }

  #notOpened(connection: ServerConnection, why: string): void {
    if (this.#closed) return
    const { user, lastError } = connection
    this.trouble = why
    this.database.tell(this.server.id, `can't be connected to: ${why}`)
    const forGood = lastError !== null && isForGood(lastError.code)
    // Whoever waits for a replica goes elsewhere; for the primary one waits, unless it says that it never will.
    if (forGood || !this.primary) {
      for (let waiter = user.waiting.shift(); waiter !== null; waiter = user.waiting.shift())
        waiter.poolFailed(forGood ? lastError : null, why)
      return
    }
    const { wheel, now } = this.database.context
    wheel.set(this, now + retryUs)
  }

  override expired(): void {
    this.#growAll()
  }

  #growAll(): void {
    for (const user of this.#users.values()) if (user.waiting.length > user.connecting) this.#grow(user)
  }

  // --- cleaning -----------------------------------------------------------------------------------------------

  /** Its client went away, or let go of what it was pinned for. `discard`: everything the session has made goes. */
  clean(connection: ServerConnection, discard: boolean): void {
    this.#leavePlace(connection)
    connection.place = 'cleaning'
    const { wheel, now } = this.database.context
    connection.cleaningUntil = now + cleanTimeoutUs
    wheel.set(connection, connection.cleaningUntil)
    this.#nextCleaning(connection, discard)
  }

  #nextCleaning(connection: ServerConnection, discard: boolean): void {
    const { stream, replies } = connection
    // What became of statements that nobody waits for is not looked at: all of them are forgotten.
    connection.discards = discard || replies.prepares
    if (replies.length > 0 || connection.batchOpen || connection.copyingIn) {
      if (connection.copyingIn) {
        const fail = copyFailMessage('the client is gone')
        stream.writeBytes(fail, 0, fail.length)
      }
      connection.copyingIn = false
      if (connection.batchOpen) {
        stream.writeBytes(syncMessage, 0, syncMessage.length)
        replies.push(owed.sync)
        connection.batchOpen = false
      }
      this.database.cancels.send(connection)
      stream.resume()
      if (replies.length > 0) {
        const { wheel, now } = this.database.context
        wheel.set(connection, now + cancelAgainUs)
        return
      }
    }
    this.#tidy(connection)
  }

  /** It still owes what its client had asked, or an answer of the router's own. */
  cleansOn(connection: ServerConnection): void {
    const { context, cancels } = this.database
    context.refresh()
    const { cleaningUntil } = connection
    cancels.send(connection)
    if (context.now < cleaningUntil)
      context.wheel.set(connection, Math.min(context.now + cancelAgainUs, cleaningUntil))
    // The statement that runs ends with the request, and the server finds then that nobody listens.
    else connection.close('it did not answer in time')
  }

  /** What it still owed has come. */
  cleaned(connection: ServerConnection): void {
    if (connection.replies.length === 0) this.#tidy(connection)
  }

  #tidy(connection: ServerConnection): void {
    connection.stream.resume()
    // Nothing of the router's own is cancelled.
    this.database.context.wheel.set(connection, connection.cleaningUntil)
    const open = connection.status !== 0x49
    if (!open && !connection.discards) {
      this.#tidied(connection)
      return
    }
    const sql = open ? 'ROLLBACK' : 'DISCARD ALL'
    connection.sendHidden(sql, {
      done: error => {
        if (error !== null || connection.status !== 0x49) connection.close('it could not be cleaned')
        else if (!open) {
          connection.forgetSession()
          this.#tidied(connection)
        } else this.#tidy(connection)
      },
    })
  }

  #tidied(connection: ServerConnection): void {
    this.database.context.wheel.set(connection, Infinity)
    this.#offer(connection)
  }

  #leavePlace(connection: ServerConnection): void {
    if (connection.place === 'used') this.used--
    // From here to its next place it is in no list.
    connection.place = 'cleaning'
    connection.owner = null
  }

  /** Called now and then. */
  sweep(): void {
    const { context, spec } = this.database
    const idleUs = spec.pool.idleTimeoutMs * 1000
    const lifetimeUs = spec.pool.lifetimeMs * 1000
    for (const one of this.#all) {
      if (one.place !== 'idle') continue
      if (context.now - one.idleSince > idleUs) one.close('it was idle')
      else if (context.now - one.bornAt > lifetimeUs) one.close('it is old')
    }
  }

  // --- the end ------------------------------------------------------------------------------------------------

  /** Who waits goes elsewhere. */
  takeWaiters(): PoolWaiter[] {
    const waiters: PoolWaiter[] = []
    for (const { waiting } of this.#users.values())
      for (let waiter = waiting.shift(); waiter !== null; waiter = waiting.shift()) waiters.push(waiter)
    return waiters
  }

  /** Waiters were taken. `now`: those in use as well; else when they come back. */
  close(why: string, now: boolean): void {
    this.#closed = true
    this.database.context.wheel.remove(this)
    for (const one of [...this.#all]) if (now || one.place !== 'used') one.close(why)
  }
}

/** Trying again would say the same: wrong password, no such database or role. */
function isForGood(code: string): boolean {
  return (
    code.startsWith('28') || code === sqlState.invalidCatalogName || code === sqlState.insufficientPrivilege
  )
}
