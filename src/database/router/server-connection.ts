// One connection to a PostgreSQL server: how it logs in, what it has been asked and still owes, what state it is in. Walks
// the server's messages in place, passes on what is the client's as whole chunks, cuts out what was the router's own.
// Knows its user only by `ServerUser`; which client gets it next is the pool's matter.
//
// Places: connecting -> idle <-> used -> cleaning -> idle, and closing from everywhere. It is in exactly one list of its
// pool, by `place`; a connection that is used belongs to one session, until ReadyForQuery says that nothing is left open.

import type { Stream, StreamHandler } from '../../io/net.ts'
import { Timed } from '../../kit/timer-wheel.ts'
import {
  backend,
  cancelRequest,
  closeComplete,
  copyFailMessage,
  idleStatus,
  int32At,
  parseComplete,
  queryMessage,
  type ReportFields,
  readBackendKeyData,
  readErrorCode,
  readParameterStatus,
  readReport,
  readyForQuery,
  startupMessage,
  syncMessage,
} from '../../wire/postgres/index.ts'
import { type ServerLogin, serverLogin } from '../auth/index.ts'
import type { Tap } from './outbox.ts'
import type { PoolUser, ServerPool } from './pool.ts'
import { PreparedHere, type SharedStatement } from './prepared.ts'
import { owed, Replies } from './replies.ts'
import type { ParameterSet, SettingsSet } from './settings.ts'

export type ServerPlace = 'connecting' | 'idle' | 'used' | 'cleaning' | 'closing'

/** Whoever uses a connection. */
export interface ServerUser {
  /** Where answers go. */
  readonly stream: Stream
  /** Answers are awaited before whose first row the statement may go elsewhere: `answered` says it is too late. */
  readonly movable: boolean
  /** What it writes counts only when its commit is known: nothing of it is passed on before. */
  readonly writing: boolean
  /** Its answer is to be kept for others. */
  readonly filling: Tap | null
  /** It wants to hear the tags of commands. */
  readonly hearsTags: boolean
  answered(): void
  tag(bytes: Buffer, from: number, to: number): void
  /** A commit amid a pipeline: before a byte of it is passed on. */
  committed(): void
  /** Somebody else's commit is about to be told. */
  notified(): void
  failed(code: string): void
  /** The server passed over a message that would have prepared this statement. */
  notPrepared(reply: ParseReply): void
  /** A Close stood behind an error: the client still has the statement. */
  notClosed(reply: ParseReply): void
  /** The end of a batch that was sent (a Query, a Sync amid a COPY) will not be answered by a ReadyForQuery of its own. */
  batchPassedOver(): void
  /** What was read has been passed on; the server waits for the data of a COPY. */
  copyBegan(): void
  parameters(now: ParameterSet): void
  /** ReadyForQuery came: bookkeeping, before a byte of it is passed on. */
  ready(status: number): void
  /** Nothing of the router's own is awaited any more. */
  hiddenOver(): void
  /** What was read has been passed on; `ready` was called at least once. */
  afterReady(): void
  /** An answer that it may not see: true if it was taken back, and everything up to ReadyForQuery is dropped. */
  movesOn(code: string): boolean
  serverDrained(): void
  serverLost(connection: ServerConnection, why: string): void
}

/** A Parse that is awaited: what it makes, and under which name of the client's. */
export interface ParseReply {
  readonly statement: SharedStatement
  readonly clientName: string
}

/** Statements of the router's own: told when they have ended. */
export interface HiddenQuery {
  done(error: ReportFields | null): void
}

interface HiddenEnd {
  readonly query: HiddenQuery | null
  readonly error: ReportFields | null
}

/** Messages of which more than the type counts, and which are never large; the others pass as they come. */
const looked = new Uint8Array(256)
for (const letter of '123nsICEZSNAGHW') looked[letter.charCodeAt(0)] = 1
/** Beyond this even those pass unread. */
const lookedBytesMax = 1024 * 1024
const protocolVersion = 0x30000

export class ServerConnection extends Timed implements StreamHandler {
  readonly pool: ServerPool
  readonly user: PoolUser
  readonly stream: Stream
  readonly replies: Replies = new Replies()
  readonly prepared: PreparedHere
  readonly bornAt: number
  readonly epoch: number
  place: ServerPlace = 'connecting'
  owner: ServerUser | null = null
  status: number = idleStatus
  settings: SettingsSet
  parameters: ParameterSet
  /** Which unnamed statement of a session's is the connection's now. */
  unnamed: object | null = null
  /** Of the database when it was last used: after a change of the schema its prepared statements are made anew. */
  schema = 0
  copyingIn = false
  /** Messages of the extended protocol were sent since the last Sync. */
  batchOpen = false
  /** Amid cleaning: what its session made is to be discarded. */
  discards = false
  cleaningUntil = 0
  /** An error came amid a batch: the server passes everything over up to Sync. */
  skipping = false
  idleSince = 0
  /** Cancel requests that are on their way: it may not be used by somebody else meanwhile. */
  cancels = 0
  processId = 0
  #key: Buffer = Buffer.alloc(4)
  #login: ServerLogin | null
  #early: Map<string, string> | null = new Map()
  /** The server's last word before it ended: why. */
  lastError: ReportFields | null = null
  /** The same as it came, if a client is to hear it. */
  lastFatal: Buffer | null = null
  #hiddenError: ReportFields | null = null
  #dropping = false
  #over: HiddenEnd | null = null
  #tail: Buffer | null = null
  /** Bytes of a message that passes which are still to come. */
  #left = 0

  constructor(pool: ServerPool, user: PoolUser) {
    super()
    const { database } = pool
    this.pool = pool
    this.user = user
    this.prepared = new PreparedHere(database.statements)
    this.settings = database.settings.none
    this.parameters = database.settings.parameters(new Map())
    this.epoch = database.spec.epoch
    this.bornAt = database.context.now
    this.schema = database.schema
    const tls = database.serverTls
    const md5Allowed = tls.md5Allowed
    this.#login = serverLogin({ ...user.login, md5Allowed, secure: tls.client !== null })
    const { net } = database.context
    const { host, port } = pool.server
    this.stream =
      tls.client === null ? net.connectLean(host, port, this) : net.connect(host, port, this, tls.client)
  }

  /** Nothing is owed and nobody's transaction is open. */
  get clean(): boolean {
    return this.settled && this.status === idleStatus
  }

  /** Nothing is owed, nothing is under way; a transaction may be open. */
  get settled(): boolean {
    return this.replies.length === 0 && !this.batchOpen && this.#left === 0 && !this.copyingIn
  }

  /** Is part of a message on its way to the client? */
  get amidMessage(): boolean {
    return this.#left > 0
  }

  // --- the stream ---------------------------------------------------------------------------------------------

  opened(): void {
    const { statementTimeoutMs } = this.pool.database.spec.pool
    const parameters: Record<string, string> = {
      user: this.user.login.user,
      database: this.pool.database.spec.database,
      application_name: 'tenfold',
    }
    if (statementTimeoutMs > 0) parameters.statement_timeout = `${statementTimeoutMs}ms`
    const message = startupMessage(protocolVersion, parameters)
    this.stream.writeBytes(message, 0, message.length)
  }

  drained(): void {
    this.pool.database.context.refresh()
    this.owner?.serverDrained()
  }

  ended(): void {
    this.stream.end()
  }

  closed(_stream: Stream, code: string): void {
    this.pool.database.context.refresh()
    this.#lost(this.lastError?.message ?? (code === '' ? 'it closed the connection' : code))
  }

  /** The time for logging in is over, or one of the steps of cleaning up. */
  override expired(): void {
    if (this.place === 'cleaning') this.pool.cleansOn(this)
    else this.close('it did not answer the login in time')
  }

  /** Ends it now; whoever uses it is told. */
  close(why: string): void {
    this.stream.destroy()
    this.#lost(why)
  }

  #lost(why: string): void {
    if (this.place === 'closing') return
    const { owner, place } = this
    this.pool.database.context.wheel.remove(this)
    this.owner = null
    this.prepared.clear()
    this.pool.left(this, place, why)
    owner?.serverLost(this, why)
  }

  data(_stream: Stream, bytes: Buffer, length: number): void {
    this.pool.database.context.refresh()
    const tail = this.#tail
    if (tail !== null) {
      this.#tail = null
      bytes = Buffer.concat([tail, bytes.subarray(0, length)])
      length = bytes.length
    }
    if (this.#login !== null) this.#walkLogin(bytes, length)
    else this.#walk(bytes, length)
  }

  /** What is not whole yet waits for the rest. */
  #keep(bytes: Buffer, from: number, to: number): void {
    if (from < to) this.#tail = Buffer.from(bytes.subarray(from, to))
  }

  // --- logging in ---------------------------------------------------------------------------------------------

  #walkLogin(bytes: Buffer, length: number): void {
    let at = 0
    while (length - at >= 5 && this.#login !== null) {
      const size = int32At(bytes, at + 1) + 1
      if (size < 5 || size > lookedBytesMax) {
        this.close('it does not speak the protocol')
        return
      }
      if (at + size > length) break
      this.#loginMessage(bytes, at, at + size)
      if (this.place === 'closing') return
      at += size
    }
    this.#keep(bytes, at, length)
  }

  #loginMessage(bytes: Buffer, at: number, end: number): void {
    const from = at + 5
    switch (bytes[at]) {
      case backend.authentication: {
        const step = (this.#login as ServerLogin).take(bytes.subarray(from, end))
        if (step.kind === 'refused') this.close(step.message)
        else if (step.bytes !== null && step.bytes.length > 0)
          this.stream.writeBytes(step.bytes, 0, step.bytes.length)
        break
      }
      case backend.parameterStatus: {
        const said = readParameterStatus(bytes, from, end)
        if (said !== null) this.#early?.set(said.name, said.value)
        break
      }
      case backend.backendKeyData: {
        const key = readBackendKeyData(bytes, from, end)
        if (key !== null) {
          this.processId = key.processId
          this.#key = key.key
        }
        break
      }
      case backend.errorResponse:
        this.lastError = readReport(bytes, from, end)
        this.close(this.lastError?.message ?? 'it refused the login')
        break
      case backend.readyForQuery:
        this.#loggedIn()
    }
  }

  #loggedIn(): void {
    const { settings, context } = this.pool.database
    this.#login = null
    this.parameters = settings.parameters(this.#early as Map<string, string>)
    this.#early = null
    settings.none.reported.set(this.user.name, this.parameters)
    context.wheel.set(this, Infinity)
    this.pool.opened(this)
  }

  // --- answers ------------------------------------------------------------------------------------------------

  #walk(bytes: Buffer, length: number): void {
    const { owner, replies } = this
    const out = this.pool.database.context.toClient
    if (owner !== null) out.begin(owner.stream, owner.filling)
    /** Where what is to be passed on begins. */
    let from = 0
    let at = 0
    let wasReady = false
    let copyBegan = false
    /** Of a CommandComplete that is the last message read: it goes with the ReadyForQuery. */
    let tagAt = -1
    if (this.#left > 0) {
      at = Math.min(this.#left, length)
      this.#left -= at
    }
    while (at < length) {
      if (length - at < 5) break
      const type = bytes[at] as number
      const size = int32At(bytes, at + 1) + 1
      if (size < 5) {
        this.close('it does not speak the protocol')
        return
      }
      const end = at + size
      const next = replies.next
      if (next === owed.queryHidden || this.#dropping || owner === null) {
        if (end > length) {
          if (owner === null && looked[type] === 0) {
            // Large rows that nobody waits for are not put together.
            this.#left = end - length
            at = length
          }
          break
        }
        if (owner !== null && !this.#dropping) out.add(bytes, from, at)
        const over = this.#hidden(type, bytes, at, end)
        at = from = end
        if (over) {
          if (owner !== null && replies.next >= owed.copyEnd) this.#sayLocal()
          break
        }
        continue
      }
      if (looked[type] === 0 || size > lookedBytesMax) {
        tagAt = -1
        if (type === backend.rowDescription) {
          if (next === owed.describe) replies.pop()
        } else if (owner.movable && type === backend.dataRow) owner.answered()
        if (end > length) {
          if (owner.movable) owner.answered()
          this.#left = end - length
          at = length
          break
        }
        at = end
        continue
      }
      if (end > length) break
      switch (type) {
        case backend.commandComplete:
          tagAt = -1
          if (owner.movable) owner.answered()
          if (owner.hearsTags) owner.tag(bytes, at + 5, end - 1)
          if (next === owed.execute) {
            replies.pop()
            if (owner.writing && isCommit(bytes, at + 5)) owner.committed()
          } else if (owner.writing && next === owed.query) tagAt = at
          break
        case backend.readyForQuery:
          tagAt = -1
          this.status = bytes[at + 5] as number
          this.copyingIn = false
          this.skipping = false
          replies.dropToReady((kind, value) => this.#passedOver(owner, kind, value))
          replies.pop()
          // A simple Query ends a batch that had no Sync, but only if it is not passed over itself.
          if (replies.length === 0) this.batchOpen = false
          if (owner.movable) owner.answered()
          owner.ready(this.status)
          wasReady = true
          break
        case 0x31: // ParseComplete
          replies.pop()
          if (next === owed.parseHidden) {
            out.add(bytes, from, at)
            from = end
          }
          break
        case 0x32: // BindComplete
          replies.pop()
          break
        case 0x33: // CloseComplete
          replies.pop()
          if (next === owed.closeHidden) {
            out.add(bytes, from, at)
            from = end
          }
          break
        case backend.noData:
          if (next === owed.describe) replies.pop()
          break
        case backend.emptyQueryResponse:
        case backend.portalSuspended:
          if (owner.movable) owner.answered()
          if (next === owed.execute) replies.pop()
          break
        case backend.errorResponse:
          tagAt = -1
          if (this.#error(owner, bytes, at, end)) {
            if (!this.#dropping) out.add(bytes, from, at)
            from = end
          }
          break
        case backend.parameterStatus:
          if (!this.#parameter(bytes, at, end)) {
            out.add(bytes, from, at)
            from = end
          } else owner.parameters(this.parameters)
          break
        case backend.copyInResponse:
          // The client's turn: nothing waits.
          tagAt = -1
          if (owner.movable) owner.answered()
          this.copyingIn = !replies.copyBegan(() => owner.batchPassedOver())
          if (!replies.ends) this.batchOpen = true
          copyBegan = true
          break
        case backend.notificationResponse:
          owner.notified()
          break
        default:
          if (owner.movable && type !== backend.noticeResponse) owner.answered()
      }
      if (replies.next >= owed.copyEnd) {
        out.add(bytes, from, end)
        from = end
        this.#sayLocal()
      }
      at = end
    }
    let to = at
    if (this.#over !== null) this.#keep(bytes, at, length)
    else if (owner?.movable && !wasReady && at === length && this.#left === 0) {
      // Nothing of the answer proper has come: what has come waits, so that the statement may still go elsewhere.
      to = from
      this.#keep(bytes, from, length)
    } else if (tagAt >= 0 && at === length) {
      to = tagAt
      this.#keep(bytes, tagAt, length)
    } else this.#keep(bytes, at, length)
    if (owner !== null) {
      if (from < to) out.add(bytes, from, to)
      if (!out.send()) this.stream.pause()
      if (copyBegan) owner.copyBegan()
      if (wasReady) owner.afterReady()
    }
    if (this.#over !== null) this.#end()
  }

  /** Something of the router's own has ended; what it leads to may use this connection, and the outboxes. */
  #end(): void {
    const over = this.#over as HiddenEnd
    this.#over = null
    over.query?.done(over.error)
    if (over.query !== null && this.replies.length === 0 && this.place === 'used') this.owner?.hiddenOver()
    if (over.query === null && this.place === 'cleaning') this.pool.cleaned(this)
    else if (over.query === null) this.owner?.afterReady()
    const tail = this.#tail
    if (tail === null || this.place === 'closing') return
    this.#tail = null
    this.#walk(tail, tail.length)
  }

  /** What the router says itself, now that its place has come. */
  #sayLocal(): void {
    const out = this.pool.database.context.toClient
    for (let next = this.replies.next; next >= owed.copyEnd; next = this.replies.next) {
      const value = this.replies.nextValue
      this.replies.pop()
      if (next === owed.local) out.addAll(value as Buffer)
      else if (next === owed.parseLocal) out.addAll(parseComplete)
      else if (next === owed.closeLocal) out.addAll(closeComplete)
      else if (next === owed.localReady) out.addAll(readyForQuery(this.status))
    }
  }

  /** Of something that nobody waits for, or only the router. Answers true when that has ended. */
  #hidden(type: number, bytes: Buffer, at: number, end: number): boolean {
    if (type === backend.parameterStatus) this.#parameter(bytes, at, end)
    else if (type === backend.errorResponse) {
      this.#hiddenError = readReport(bytes, at + 5, end)
      if (this.#hiddenError?.severity === 'FATAL') this.lastError = this.#hiddenError
    } else if (type === backend.copyInResponse) this.#refuseCopy()
    return type === backend.readyForQuery && this.#hiddenReady(bytes[at + 5] as number)
  }

  /** COPY FROM STDIN began after its client went away: the server waits for its data, and for a Sync if it had none. */
  #refuseCopy(): void {
    const { replies, stream } = this
    if (!replies.copyBegan()) {
      const fail = copyFailMessage('the client is gone')
      stream.writeBytes(fail, 0, fail.length)
    }
    if (replies.ends) return
    stream.writeBytes(syncMessage, 0, syncMessage.length)
    replies.push(owed.sync)
  }

  #hiddenReady(status: number): boolean {
    const { replies } = this
    this.status = status
    this.copyingIn = false
    this.skipping = false
    let next: number = owed.nothing
    let query: object | null = null
    do {
      next = replies.next
      query = replies.nextValue
      if (next === owed.nothing) break
      replies.pop()
    } while (next !== owed.sync && next !== owed.query && next !== owed.queryHidden)
    this.#over = {
      query: next === owed.queryHidden ? (query as HiddenQuery) : null,
      error: this.#hiddenError,
    }
    this.#hiddenError = null
    this.#dropping = false
    return true
  }

  /** Answers true if the error is not for the client. */
  #error(owner: ServerUser, bytes: Buffer, at: number, end: number): boolean {
    const { replies } = this
    const code = readErrorCode(bytes, at + 5, end)
    const fatal = bytes[at + 6] === 0x46
    if (replies.length === 0 || fatal) this.lastError = readReport(bytes, at + 5, end)
    if (owner.movable && owner.movesOn(code)) {
      this.#dropping = true
      replies.dropToSync((kind, value) => this.#passedOver(owner, kind, value))
      return true
    }
    if (owner.movable) owner.answered()
    if (fatal) {
      // The connection's end, which follows at once, says it: whether the client's ends with it depends on what was open.
      this.lastFatal = Buffer.from(bytes.subarray(at, end))
      return true
    }
    if (replies.next !== owed.query) {
      replies.dropToSync((kind, value) => this.#passedOver(owner, kind, value))
      this.skipping = replies.length === 0
      this.copyingIn = false
    }
    owner.failed(code)
    return false
  }

  #passedOver(owner: ServerUser, kind: number, value: object | null): void {
    // It still has what it was to forget: all are made anew before the next use.
    if (kind === owed.closeHidden) this.schema = -1
    if (kind === owed.closeLocal) owner.notClosed(value as ParseReply)
    if (kind === owed.query) owner.batchPassedOver()
    if (kind !== owed.parse && kind !== owed.parseHidden && kind !== owed.parseLocal) return
    if (value === null) return
    const reply = value as ParseReply
    if (kind !== owed.parseLocal) this.prepared.drop(reply.statement)
    if (kind !== owed.parseHidden) owner.notPrepared(reply)
  }

  /** Answers whether the client may know. A replica's being one is nobody's business: its session is not bound to it. */
  #parameter(bytes: Buffer, at: number, end: number): boolean {
    const said = readParameterStatus(bytes, at + 5, end)
    if (said === null) return false
    const values = new Map(this.parameters.values)
    values.set(said.name, said.value)
    this.parameters = this.pool.database.settings.parameters(values)
    return said.name !== 'in_hot_standby'
  }

  /** DISCARD ALL has run. */
  forgetSession(): void {
    this.prepared.clear()
    this.settings = this.pool.database.settings.none
    this.discards = false
    this.unnamed = null
  }

  // --- the router's own ---------------------------------------------------------------------------------------

  /** Behind what was sent already; its answers are nobody's but `query`'s. */
  sendHidden(sql: string, query: HiddenQuery): void {
    const message = queryMessage(sql)
    this.replies.push(owed.queryHidden, query)
    this.unnamed = null
    this.stream.writeBytes(message, 0, message.length)
  }

  get cancelMessage(): Buffer {
    return cancelRequest(this.processId, this.#key)
  }
}

/** `COMMIT`, `COMMIT PREPARED`. */
function isCommit(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x43 && bytes[at + 1] === 0x4f && bytes[at + 2] === 0x4d
}
