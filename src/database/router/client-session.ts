// One client, from its login's end to its own: what has been read and not yet sent on, which server connection it has for
// how long, what waits. A connection is taken at the first message of a batch and given back at ReadyForQuery outside a
// transaction, unless the session is pinned. Where a batch goes is in `batch.ts`, how its messages are sent on in
// `forward.ts`, what they leave behind in `effects.ts`.
//
// States by `blocked`: '' reads and sends on; placing: the planner looks for a replica; waiting: for a connection; settings:
// the connection is made to fit; busy: a replica still answers the batch before. While blocked nothing is read.

import type { Stream, StreamHandler } from '../../io/net.ts'
import { Timed } from '../../kit/timer-wheel.ts'
import {
  backendKeyData,
  failedStatus,
  frameProblem,
  frontend,
  frontendFrameBytes,
  idleStatus,
  parameterStatus,
  type ReportFields,
  readyForQuery,
  readyIdle,
} from '../../wire/postgres/index.ts'
import type { ReadsSetting } from '../contract.ts'
import type { ReadResume, ReadState } from '../reads/contract.ts'
import type { StatementInfo } from '../sql/contract.ts'
import { beginBatch } from './batch.ts'
import type { DatabaseRouting } from './database-routing.ts'
import { type Effect, pinsThatDestroy, preparedPin, settle } from './effects.ts'
import { forward } from './forward.ts'
import type { PoolWaiter } from './pool.ts'
import type { SharedStatement } from './prepared.ts'
import { owed } from './replies.ts'
import type { ResultFill } from './results.ts'
import type { ParseReply, ServerConnection, ServerUser } from './server-connection.ts'
import { type ParameterSet, type SettingsSet, sameSettings, settingsDifference } from './settings.ts'
import { plainError, protocolError, routerError, type SqlError } from './sql-errors.ts'
import type { WaitingList } from './waiting-list.ts'

export type Blocked = '' | 'placing' | 'waiting' | 'settings' | 'busy' | 'token' | 'over'

/** A read goes elsewhere this often at most; then to the primary, and then it fails. */
const movesMax = 3
/** Replies that may be owed to one client: beyond it nothing is read until some have come. */
const repliesMax = 4_096

export interface SessionStart {
  readonly userName: string
  readonly settings: SettingsSet
  readonly processId: number
  readonly key: Buffer
  /** When it ends. */
  readonly over: (session: ClientSession) => void
}

export class ClientSession extends Timed implements StreamHandler, ServerUser, PoolWaiter {
  waitsIn: WaitingList | null = null
  waitNext: ClientSession | null = null
  waitPrevious: ClientSession | null = null
  readonly database: DatabaseRouting
  readonly stream: Stream
  readonly userName: string
  readonly processId: number
  readonly cancelKey: Buffer
  readonly #over: (session: ClientSession) => void
  server: ServerConnection | null = null
  blocked: Blocked = ''
  greeted = false
  /** An error was answered amid a batch: everything is passed over up to Sync. */
  skipping = false
  // What the session is on every connection.
  readonly startup: SettingsSet
  settings: SettingsSet
  /** How texts are understood otherwise than by `settings`: by what was set for a transaction, or was not answered yet. */
  otherMeaning = ''
  localMeaning = ''
  /** As they were when the transaction began in which they changed. */
  settingsBefore: SettingsSet | null = null
  told: ParameterSet | null = null
  statements: Map<string, SharedStatement> | null = null
  unnamed: UnnamedStatement | null = null
  unnamedPortal: StatementInfo | null = null
  portals: Map<string, StatementInfo> | null = null
  reads: ReadsSetting | null = null
  /** What the read under way was placed by. */
  readsAsked: ReadsSetting = { kind: 'primary' }
  readonly readState: ReadState = { lastWrite: 0, after: null }
  /** Where the last statement went, and why: for SHOW tenfold.route. */
  route = ''
  pins = 0
  advisoryLocks = 0
  // The batch under way.
  writing = false
  /** By what; null: by too much. */
  written: readonly StatementInfo[] | null = noWrites
  /** Keeps the answer of the batch under way. */
  filling: ResultFill | null = null
  movable = false
  hearsTags = false
  /** By tags since the last ReadyForQuery: what was set in a transaction holds, or does not. */
  committedHere = false
  rolledBackHere = false
  batchFailed = false
  /** Of the first statement of the batch. */
  batchInfo: StatementInfo | null = null
  startedAt = 0
  effects: Effect[] = []
  /** A Close is under way that an error before it would undo: the next batch waits for what comes of it. */
  closesOwed = false
  batchesSent = 0
  batchesDone = 0
  /** By the transaction under way. */
  tablesChanged = false
  /** Names that the batch has given to statements, as long as it may go elsewhere. */
  batchNames: string[] | null = null
  /** The batch as the client sent it, as long as it may go elsewhere. */
  again: Buffer | null = null
  /** Where the batch that is next goes: the planner has said so, or nobody else would have it. */
  placed: string | null = null
  refusal: SqlError | null = null
  #moves = 0
  #moved = false
  #committing = false
  readonly #resumePlace: ReadResume = server => this.#isPlaced(server)
  // Bytes that were read and could not be dealt with yet.
  #tail: Buffer | null = null
  #tailLength = 0
  #tailNeeded = 0
  /** Of a CopyData of which the beginning went on. */
  #left = 0
  #waitsForHold = false

  constructor(database: DatabaseRouting, stream: Stream, start: SessionStart) {
    super()
    this.database = database
    this.stream = stream
    this.userName = start.userName
    this.startup = this.settings = start.settings
    this.processId = start.processId
    this.cancelKey = start.key
    this.#over = start.over
    database.sessions.add(this)
    if (start.settings.asynchronousCommit) database.planner.asynchronousCommit()
  }

  /** Nothing is under way, no transaction is open. */
  get idle(): boolean {
    return this.server === null && this.blocked === ''
  }

  get meaning(): string {
    return this.otherMeaning === '' ? this.settings.meaning : this.otherMeaning
  }

  /** The client has proven who it is. What a server with its settings reports must be known before it is greeted. */
  begin(): void {
    const known = this.settings.reported.get(this.userName)
    if (known !== undefined) {
      this.#greet(known)
      return
    }
    this.block('waiting')
    const connection = this.database.acquire(this, 'any')
    if (connection !== null) this.granted(connection)
  }

  #greet(parameters: ParameterSet): void {
    this.greeted = true
    const frames = [...parameters.values].map(([name, value]) =>
      parameterStatus(name, name === 'in_hot_standby' ? 'off' : value),
    )
    this.told = parameters
    this.write(Buffer.concat([...frames, backendKeyData(this.processId, this.cancelKey), readyIdle]))
  }

  // --- reading ------------------------------------------------------------------------------------------------

  opened(): void {}

  data(_stream: Stream, bytes: Buffer, length: number): void {
    this.database.context.refresh()
    // What comes behind the end is nobody's.
    if (this.blocked === 'over') return
    if (this.deadlineAt !== Infinity) this.database.context.wheel.set(this, Infinity)
    if (this.#tailLength > 0) {
      this.#append(bytes, 0, length)
      if (this.#tailLength >= this.#tailNeeded) this.#consumeTail()
    } else this.#consume(bytes, length)
  }

  #consumeTail(): void {
    const tail = this.#tail as Buffer
    const length = this.#tailLength
    this.#tail = null
    this.#tailLength = 0
    this.#consume(tail, length)
  }

  #consume(bytes: Buffer, length: number): void {
    const { context, spec } = this.database
    const out = context.toServer
    const bytesMax = spec.pool.messageBytesMax
    let at = 0
    if (this.server !== null) out.begin(this.server.stream)
    if (this.#left > 0) {
      const size = Math.min(this.#left, length)
      if (this.server !== null) out.add(bytes, 0, size)
      this.#left -= size
      at = size
      if (this.#left === 0 && this.server?.settled) {
        // Its batch was over before this message was: only now may somebody else have it.
        this.#flush()
        this.afterReady()
        if (this.server !== null) out.begin(this.server.stream)
      }
    }
    while (at < length) {
      const size = frontendFrameBytes(bytes, at, length, bytesMax)
      if (size < 0) {
        this.#flush()
        this.fail(protocolError(frameProblem(size)))
        return
      }
      const type = bytes[at] as number
      if (size === 0 || at + size > length) {
        if (size > 0 && type === frontend.copyData) {
          // Large data goes on as it comes.
          if (this.server !== null) out.add(bytes, at, length)
          this.#left = at + size - length
        } else this.keep(bytes, at, length, size === 0 ? 0 : size)
        break
      }
      if (this.server === null || this.#mustAsk(type)) {
        this.#flush()
        const next = this.#begin(bytes, at, length, size)
        if (next < 0) {
          if (this.blocked !== 'over' && this.blocked !== '') this.keep(bytes, at, length, 0)
          return
        }
        if (this.blocked !== '') {
          this.keep(bytes, next, length, 0)
          return
        }
        if (this.server !== null) out.begin(this.server.stream)
        if (next > at || this.server === null) {
          at = next
          continue
        }
      }
      at = forward(this, this.server as ServerConnection, bytes, at, at + size)
      if (this.blocked === 'over') return
    }
    this.#flush()
  }

  #begin(bytes: Buffer, at: number, length: number, size: number): number {
    return this.server === null ? beginBatch(this, bytes, at, length, size) : -1
  }

  /** A new batch on a connection that the session has: may it go there, now? */
  #mustAsk(type: number): boolean {
    const server = this.server as ServerConnection
    if (server.batchOpen || server.copyingIn || type === frontend.terminate) return false
    if (server.replies.length > 0) {
      // Where a batch goes is asked when it comes; and the one before may end the transaction.
      if (server.pool.primary && server.replies.length < repliesMax && !this.closesOwed) return false
      this.block('busy')
      return true
    }
    this.closesOwed = false
    if (server.status === failedStatus) return false
    if (server.status !== idleStatus && sameSettings(server.settings, this.settings)) return false
    return !this.#fits(server)
  }

  #flush(): void {
    if (this.server !== null && !this.database.context.toServer.send()) this.stream.pause()
  }

  /** The token has come. */
  tokenKnown(): void {
    if (this.blocked === 'token') this.#unblock()
  }

  /** Keeps what can't be dealt with now; `needed` bytes must be there before it is looked at again (0: any more). */
  keep(bytes: Buffer, from: number, to: number, needed: number): void {
    this.#tailNeeded = needed === 0 ? to - from + 1 : needed
    if (to > from) this.#append(bytes, from, to)
  }

  #append(bytes: Buffer, from: number, to: number): void {
    const length = this.#tailLength + to - from
    if (this.#tail === null || length > this.#tail.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#tailNeeded, length * 2), 256))
      if (this.#tail !== null) this.#tail.copy(grown, 0, 0, this.#tailLength)
      this.#tail = grown
    }
    bytes.copy(this.#tail, this.#tailLength, from, to)
    this.#tailLength = length
  }

  // --- waiting ------------------------------------------------------------------------------------------------

  block(why: Blocked): void {
    this.blocked = why
    this.stream.pause()
  }

  #unblock(): void {
    this.blocked = ''
    if (this.#tailLength > 0) this.#consumeTail()
    if (this.blocked === '') this.stream.resume()
  }

  /** For a connection, so long at most. */
  waits(timeoutMs: number, held: boolean): void {
    const { context } = this.database
    this.#waitsForHold = held
    this.block('waiting')
    context.wheel.set(this, context.now + timeoutMs * 1000)
  }

  /** Where a read goes: a server, '' for the primary; null: `placed` will say. */
  place(reads: ReadsSetting): string | null {
    this.readsAsked = reads
    if (this.placed !== null) {
      const { placed } = this
      this.placed = null
      return placed
    }
    const server = this.database.planner.place(this.readState, reads, this.#resumePlace)
    if (server === null) this.block('placing')
    else this.route = this.database.planner.reasonOfLast
    return server
  }

  #isPlaced(server: string): void {
    if (this.blocked !== 'placing') return
    this.database.context.refresh()
    this.placed = server
    this.route = this.database.planner.reasonOfLast
    this.#unblock()
  }

  /** A connection to this server, made to fit. False: it has to wait, or was refused. */
  connect(server: string): boolean {
    const connection = this.database.acquire(this, server)
    return connection !== null && this.#attach(connection)
  }

  granted(connection: ServerConnection): void {
    this.database.context.wheel.set(this, Infinity)
    this.blocked = ''
    const { pool } = connection
    if (
      this.movable &&
      !pool.primary &&
      !this.database.planner.serves(pool.server.id, this.readState, this.readsAsked)
    ) {
      // It had what the read must see when it was chosen, and was made anew meanwhile.
      this.answered()
      pool.give(connection)
      this.#unblock()
      return
    }
    if (!this.#attach(connection)) return
    if (this.greeted) {
      this.#unblock()
      return
    }
    this.#greet(connection.parameters)
    this.#giveBack(connection)
    this.#unblock()
  }

  poolFailed(error: ReportFields | null, why: string): void {
    this.database.context.wheel.set(this, Infinity)
    if (error !== null) this.refusal = plainError(error.code, error.message, !this.greeted)
    else if (why !== '') {
      // Elsewhere, or held.
      this.placed = ++this.#moves > movesMax ? '' : null
    }
    this.#again()
  }

  #again(): void {
    this.blocked = ''
    if (this.greeted) this.#unblock()
    else if (this.refusal !== null) this.fail(this.refusal)
    else this.begin()
  }

  /** What waits is not to be served; `begin` of the batch finds it. */
  refuse(error: SqlError): void {
    this.refusal = error
    if (!this.greeted) this.fail({ frame: error.frame, fatal: true })
  }

  override expired(): void {
    const { database } = this
    database.context.refresh()
    if (this.blocked === 'waiting') {
      this.waitsIn?.remove(this)
      const held = this.#waitsForHold || !database.primaryOpen
      const sentence = `No connection to a server of '${database.name}' could be had in time: ${database.why}.`
      this.refuse(routerError(held ? 'holdTimeout' : 'poolWait', sentence))
      if (this.greeted) this.#again()
    } else if (this.server !== null && this.server.status !== idleStatus && this.server.settled)
      this.fail(
        routerError('transactionIdle', 'The transaction was idle for too long and was rolled back.', true),
      )
  }

  // --- the server connection ----------------------------------------------------------------------------------

  #attach(connection: ServerConnection): boolean {
    this.server = connection
    connection.owner = this
    return this.#fits(connection)
  }

  /** Makes the connection what the session expects. False: that takes its time. */
  #fits(connection: ServerConnection): boolean {
    const { database } = this
    // What SQL's PREPARE made would go as well.
    const ownOnly = (this.pins & preparedPin) === 0
    if (connection.schema !== database.schema && ownOnly && connection.status === idleStatus) {
      connection.schema = database.schema
      if (connection.prepared.size > 0) {
        connection.prepared.clear()
        connection.sendHidden('DEALLOCATE ALL', nothing)
      }
    }
    if (sameSettings(connection.settings, this.settings)) {
      if (connection.parameters !== this.told) this.#tellParameters(connection)
      return true
    }
    const { settings } = this
    const trusted = settings.certain && settings.reported.has(this.userName) && this.greeted
    connection.sendHidden(settingsDifference(connection.settings, settings), {
      done: error => this.#settingsDone(connection, settings, error),
    })
    if (trusted) {
      connection.settings = settings
      return true
    }
    this.block('settings')
    return false
  }

  #settingsDone(connection: ServerConnection, settings: SettingsSet, error: ReportFields | null): void {
    const mine = connection.owner === this
    if (error !== null) {
      // It has the settings of whoever had it before, and nobody may take it for what it is not.
      if (mine) this.server = connection.owner = null
      connection.close('a session could not be set up on it')
      if (mine) this.fail(plainError(error.code, error.message, true))
      return
    }
    if (!mine) {
      if (connection.place === 'cleaning') connection.pool.cleaned(connection)
      return
    }
    connection.settings = settings
    settings.reported.set(this.userName, connection.parameters)
    if (this.blocked !== 'settings') {
      this.#tellParameters(connection)
      return
    }
    this.blocked = ''
    if (this.greeted) this.#tellParameters(connection)
    else {
      this.#greet(connection.parameters)
      this.#giveBack(connection)
    }
    this.#unblock()
  }

  #tellParameters({ parameters }: ServerConnection): void {
    if (!this.greeted) return
    const before = this.told?.values
    this.told = parameters
    for (const [name, value] of parameters.values)
      if (before?.get(name) !== value && name !== 'in_hot_standby') this.write(parameterStatus(name, value))
  }

  #giveBack(connection: ServerConnection): void {
    this.server = null
    connection.pool.give(connection)
  }

  // --- what the server connection tells -----------------------------------------------------------------------

  answered(): void {
    this.movable = false
    this.again = null
    this.batchNames = null
  }

  tag(bytes: Buffer, from: number, to: number): void {
    const tag = bytes.latin1Slice(from, to)
    if (tag === 'COMMIT' || tag === 'PREPARE TRANSACTION') this.committedHere = true
    else if (tag === 'ROLLBACK') this.rolledBackHere = true
  }

  committed(): void {
    this.#wrote()
    this.database.planner.writing()
  }

  /** Before anybody is told: nothing that is older may be read from now on. */
  #wrote(): void {
    const { planner, results } = this.database
    planner.wrote(this.readState)
    results?.wrote(this.written)
  }

  #endFill(): void {
    this.filling?.abort()
    this.filling = null
  }

  notified(): void {
    this.database.planner.wrote(this.readState)
  }

  failed(code: string): void {
    this.batchFailed = true
    this.#endFill()
    // What was prepared before the tables changed is prepared anew, everywhere.
    if (code === '0A000' && this.statements !== null) this.database.schema++
    if (this.server?.skipping) this.skipping = true
  }

  notPrepared(reply: ParseReply): void {
    const statement = this.statements?.get(reply.clientName)
    if (statement !== reply.statement) return
    this.statements?.delete(reply.clientName)
    this.database.statements.leave(statement)
  }

  notClosed({ statement, clientName }: ParseReply): void {
    const { tail, meaning, text, info } = statement
    this.statements ??= new Map()
    this.statements.set(clientName, this.database.statements.use(tail, meaning, text, info))
  }

  batchPassedOver(): void {
    this.batchesDone++
  }

  /** The server waits for data: what waits for its next ReadyForQuery would wait for good. */
  copyBegan(): void {
    if (this.blocked === 'busy') this.#unblock()
  }

  parameters(now: ParameterSet): void {
    this.told = now
  }

  movesOn(code: string): boolean {
    const goesElsewhere = code === '25006' || code === '40001' || code.startsWith('57P')
    if (!goesElsewhere) return false
    if (this.server !== null) this.#endedBadly(this.server, code.startsWith('57P'))
    this.#moved = true
    return true
  }

  ready(status: number): void {
    const { database } = this
    const { planner } = database
    const server = this.server as ServerConnection
    const failed = this.batchFailed
    this.batchFailed = false
    this.batchesDone++
    const info = this.batchInfo
    if (info !== null) {
      const took = database.context.clock.monotonic() - this.startedAt
      database.counts.record(info.kind, server.pool.primary, took, failed)
      if (!server.pool.primary) planner.ended(server.pool.server.id, took, false)
      if (server.replies.length === 0) this.batchInfo = null
    }
    if (this.writing && status === idleStatus) {
      this.#wrote()
      if (server.replies.length === 0) {
        this.writing = false
        this.written = noWrites
      } else planner.writing()
    }
    this.#moves = 0
    const meant = this.otherMeaning !== '' || this.localMeaning !== ''
    if (this.effects.length > 0 || this.settingsBefore !== null || this.tablesChanged || meant)
      settle(this, server, status, failed)
  }

  hiddenOver(): void {
    if (this.blocked === 'busy') this.#unblock()
  }

  afterReady(): void {
    const server = this.server
    if (server === null) return
    this.filling?.end()
    this.filling = null
    if (this.#moved) {
      this.#moveOn(server)
      return
    }
    if (!server.settled) return
    this.closesOwed = false
    if (server.status === idleStatus) {
      this.portals = null
      if (this.pins !== 0 && !server.pool.primary) {
        // Everything later would go to this replica: writes would fail, and reads be as old as it is.
        const sentence =
          'What was set in a read-only transaction with savepoints, on a replica, can not be kept.'
        this.fail(plainError('57P01', sentence, true))
        return
      }
      if (this.pins === 0 && this.settingsBefore === null && this.#left === 0) this.#giveBack(server)
      if (this.database.context.draining) {
        this.endNow('The router stops.')
        return
      }
    } else {
      const { context, spec } = this.database
      const timeoutMs = spec.pool.transactionIdleTimeoutMs
      if (timeoutMs > 0) context.wheel.set(this, context.now + timeoutMs * 1000)
    }
    if (this.blocked === 'busy') this.#unblock()
  }

  /** The batch was refused by a replica before it answered anything: once more, elsewhere. */
  #moveOn(server: ServerConnection): void {
    this.#retract()
    this.placed = ''
    if (server.settled) this.#giveBack(server)
    this.#unblock()
  }

  /** The batch under way has not happened: its bytes are before whatever came behind it. */
  #retract(): void {
    this.#moved = false
    for (const name of this.batchNames ?? []) {
      const statement = this.statements?.get(name)
      if (statement === undefined) continue
      this.statements?.delete(name)
      this.database.statements.leave(statement)
    }
    const again = this.again as Buffer
    const rest = this.#tail?.subarray(0, this.#tailLength) ?? Buffer.alloc(0)
    this.#tail = Buffer.concat([again, rest])
    this.#tailLength = this.#tail.length
    this.answered()
    this.batchFailed = false
    this.effects.length = 0
    this.batchesDone = this.batchesSent
    this.batchInfo = null
    this.skipping = false
  }

  serverDrained(): void {
    if (this.blocked === '') this.stream.resume()
  }

  // --- losing the server --------------------------------------------------------------------------------------

  serverLost(connection: ServerConnection, why: string): void {
    this.server = null
    const { pool, replies } = connection
    this.#endedBadly(connection, true)
    this.#endFill()
    if (this.writing) this.#wrote()
    this.writing = false
    this.written = noWrites
    if (this.blocked === 'settings' && !this.greeted) {
      this.blocked = ''
      this.begin()
      return
    }
    if (this.movable) {
      this.#retract()
      this.placed = ++this.#moves > movesMax ? '' : null
      this.#unblock()
      return
    }
    const lost = `The connection to ${pool.server.id} was lost: ${why}.`
    const busy = replies.length > 0 || connection.batchOpen
    const { lastFatal } = connection
    // 57P0x: the server ends, and nobody did anything wrong. Anything else is about what this client said.
    const itsOwn = lastFatal !== null && connection.lastError?.code.startsWith('57P') === false
    const open =
      connection.status !== idleStatus ||
      this.pins !== 0 ||
      connection.amidMessage ||
      connection.copyingIn ||
      itsOwn
    this.#forgetBatch()
    if (itsOwn) {
      this.fail({ frame: lastFatal, fatal: true })
      return
    }
    if (!busy) {
      if (open)
        this.fail(
          plainError('57P01', `${lost} The transaction, or what the session kept on it, is gone.`, true),
        )
      else if (this.blocked === 'settings' || this.blocked === 'busy') this.#unblock()
      else if (this.blocked === '') this.stream.resume()
      return
    }
    const error = this.#committing
      ? routerError('commitUnknown', lost, open)
      : routerError('serverLost', lost, open)
    if (open) this.fail(error)
    else this.#failOwed(connection, error)
  }

  /** A batch on a replica has no end of its own: it counts no longer as under way there. */
  #endedBadly({ pool }: ServerConnection, failed: boolean): void {
    if (pool.primary || this.batchInfo === null) return
    this.batchInfo = null
    this.database.planner.ended(pool.server.id, 0, failed)
  }

  /** Each batch that was sent has failed; the session goes on. */
  #failOwed(connection: ServerConnection, error: SqlError): void {
    const { replies } = connection
    while (replies.length > 0) {
      const { next } = replies
      replies.pop()
      if (next !== owed.sync && next !== owed.query) continue
      this.write(error.frame)
      this.write(readyIdle)
    }
    if (connection.batchOpen) {
      this.write(error.frame)
      this.skipping = true
    }
    if (this.blocked !== '') this.#unblock()
    else this.stream.resume()
  }

  #forgetBatch(): void {
    this.effects.length = 0
    this.batchesDone = this.batchesSent
    this.batchInfo = null
    this.batchFailed = false
    this.settingsBefore = null
    this.otherMeaning = this.localMeaning = ''
    this.committedHere = this.rolledBackHere = false
    this.tablesChanged = false
    this.hearsTags = false
    this.portals = null
  }

  // --- writing ------------------------------------------------------------------------------------------------

  write(bytes: Buffer): void {
    if (!this.stream.writeBytes(bytes, 0, bytes.length)) this.server?.stream.pause()
  }

  /** What the router answers itself, behind what is owed already. */
  respond(bytes: Buffer): void {
    const { server } = this
    if (server === null || server.replies.length === 0) this.write(bytes)
    else server.replies.push(owed.local, bytes)
  }

  /** The same for ReadyForQuery. */
  respondReady(): void {
    const { server } = this
    if (server === null) this.write(readyIdle)
    else if (server.replies.length === 0) this.write(readyForQuery(server.status))
    else server.replies.push(owed.localReady)
  }

  committing(is: boolean): void {
    this.#committing = is
  }

  drained(): void {
    this.database.context.refresh()
    this.server?.stream.resume()
  }

  // --- the end ------------------------------------------------------------------------------------------------

  /** An error of the router's own; FATAL ends the connection. */
  fail(error: SqlError): void {
    if (this.blocked === 'over') return
    this.write(error.frame)
    if (!error.fatal) return
    this.stream.end()
    this.#leave()
  }

  terminate(): void {
    this.stream.end()
    this.#leave()
  }

  /** The router stops, or the client is no longer to be served. */
  endNow(sentence: string): void {
    this.fail(routerError('routerStopping', sentence, true))
  }

  snapshotChanged(): void {
    if (!this.database.users.has(this.userName))
      this.endNow(`User '${this.userName}' is not allowed here any more.`)
  }

  ended(): void {
    this.database.context.refresh()
    this.stream.end()
    this.#leave()
  }

  closed(): void {
    this.database.context.refresh()
    this.#leave()
  }

  /** A request to cancel came, with this session's key. */
  cancel(): void {
    const { database, server } = this
    if (this.blocked === 'placing' || this.blocked === 'waiting') {
      this.waitsIn?.remove(this)
      if (this.blocked === 'placing') database.planner.cancel(this.#resumePlace)
      database.context.wheel.set(this, Infinity)
      this.refuse(plainError('57014', 'canceling statement due to user request', false))
      if (this.greeted) this.#again()
    } else if (server !== null && server.replies.length > 0 && !this.#committing) {
      if (!server.pool.primary || database.primaryOpen) database.cancels.send(server)
    }
  }

  #leave(): void {
    if (this.blocked === 'over') return
    const { database, server, blocked } = this
    this.blocked = 'over'
    database.context.wheel.remove(this)
    this.waitsIn?.remove(this)
    if (blocked === 'placing') database.planner.cancel(this.#resumePlace)
    database.sessions.delete(this)
    this.#endFill()
    if (this.writing) this.#wrote()
    for (const statement of this.statements?.values() ?? []) database.statements.leave(statement)
    this.statements = null
    this.#tail = null
    this.#tailLength = 0
    this.#over(this)
    this.server = null
    if (server === null) return
    // What was said before the end is owed answers: it must have been sent.
    database.context.toServer.send()
    this.#endedBadly(server, false)
    this.#abandon(server)
  }

  /** What the client has left open is ended, or goes with the connection. */
  #abandon(server: ServerConnection): void {
    const { pool } = server
    server.owner = null
    if (this.#left > 0 || (this.pins & pinsThatDestroy) !== 0) server.close('its client went away')
    else if (server.clean && this.pins === 0) pool.give(server)
    // Effects: a SET that was sent and not answered may have happened.
    else pool.clean(server, this.pins !== 0 || this.settingsBefore !== null || this.effects.length > 0)
  }
}

/** Of the session's last Parse without a name, so that it can be made again on another connection. */
export interface UnnamedStatement {
  /** What follows the name: NUL, text, NUL, types; made when somebody needs it. */
  readonly text: string
  readonly types: Buffer | null
  readonly info: StatementInfo
}

const noWrites: readonly StatementInfo[] = []
const nothing = { done: (): void => {} }
