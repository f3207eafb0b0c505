// What each message of a client means for where it goes: begins batches (which server, or an answer of the router's own),
// and sends messages on, under the names that servers know. Works in place on what was read; the session keeps the state.

import {
  BindView,
  bindComplete,
  bindMessage,
  closeComplete,
  ExecuteView,
  frontend,
  frontendFrameBytes,
  ParseView,
  type Problem,
  parseComplete,
  parseMessage,
  queryMessage,
  readBind,
  readExecute,
  readParse,
  readQuery,
  readTarget,
  readyIdle,
  sqlState,
  statementTarget,
  TargetView,
} from '../../wire/postgres/index.ts'
import type { ReadsSetting } from '../contract.ts'
import type { StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import { hasEffect, noteEffect, noteExecute } from './effects.ts'
import { answerCommand, commandDescription, isForRouter } from './local-commands.ts'
import { parseOf, type SharedStatement } from './prepared.ts'
import { owed } from './replies.ts'
import type { ParseReply, ServerConnection } from './server-connection.ts'
import { protocolError, routerError, type SqlError } from './sql-errors.ts'

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()
const executeView = new ExecuteView()

/** A batch is looked at as a whole, up to its Sync, before it may go to a replica; larger ones go to the primary. */
const batchBytesMax = 64 * 1024
/** Named statements of one client, as a multiple of what a server connection keeps. */
const preparedFactor = 20
const primaryReads: ReadsSetting = { kind: 'primary' }

// --- beginning ------------------------------------------------------------------------------------------------

/**
 * A message at the beginning of a batch, without a server connection. Answers where to go on: behind it if the router has
 * dealt with it, at it if there is a connection now, -1 if it must wait (the session is blocked, or has kept the bytes).
 */
export function beginBatch(
  session: ClientSession,
  bytes: Buffer,
  at: number,
  length: number,
  size: number,
): number {
  const end = at + size
  switch (bytes[at]) {
    case frontend.query:
      return session.skipping ? end : beginQuery(session, bytes, at, end)
    case frontend.sync:
      session.skipping = false
      session.write(readyIdle)
      return end
    case frontend.terminate:
      session.terminate()
      return -1
    case frontend.flush:
    case frontend.copyData:
    case frontend.copyDone:
    case frontend.copyFail:
      return end
    case frontend.password:
      session.fail(
        protocolError({ code: sqlState.protocolViolation, sentence: 'A password came after the login.' }),
      )
      return -1
    case frontend.functionCall:
      return session.skipping ? end : connected(session, '', at, end, true)
    default:
      return session.skipping ? end : beginExtended(session, bytes, at, length, end)
  }
}

function beginQuery(session: ClientSession, bytes: Buffer, at: number, end: number): number {
  if (session.refusal !== null) return refused(session, end, true)
  const problem = readQuery(bytes, at + 5, end)
  if (problem !== null) return broken(session, problem)
  const info = session.database.book.look(textOf(session, bytes, at + 5, end - 1))
  if (isForRouter(session, info)) {
    answerCommand(session, info, true)
    return end
  }
  const server = placeOf(session, isRead(info), info.hint)
  if (server === null) return -1
  movableFrom(session, server, bytes, at, end)
  return connected(session, server, at, end, true)
}

function beginExtended(
  session: ClientSession,
  bytes: Buffer,
  at: number,
  length: number,
  end: number,
): number {
  if (session.refusal !== null) return refused(session, end, false)
  const local = beginLocal(session, bytes, at, end)
  if (local !== 0) return local < 0 ? -1 : end
  if (!mayUseReplicas(session)) {
    session.placed = null
    return connected(session, '', at, end, false)
  }
  const batch = lookAtBatch(session, bytes, at, length)
  if (batch.end === 0 && length - at < batchBytesMax) {
    session.keep(bytes, at, length, 0)
    return -1
  }
  const server = batch.end === 0 ? '' : placeOf(session, batch.read, batch.hint)
  if (server === null) return -1
  movableFrom(session, server, bytes, at, batch.end)
  return connected(session, server, at, end, false)
}

/** Messages that need no server: about statements of the router's own. 0: it is not one; -1: the session has ended. */
function beginLocal(session: ClientSession, bytes: Buffer, at: number, end: number): number {
  switch (bytes[at]) {
    case frontend.parse: {
      const problem = readParse(bytes, at + 5, end, parseView)
      if (problem !== null) return broken(session, problem)
      const info = session.database.book.look(textOf(session, bytes, parseView.sqlFrom, parseView.sqlTo))
      return info.command === null ? 0 : parseLocal(session, bytes, parseView, end, info)
    }
    case frontend.bind: {
      const problem = readBind(bytes, at + 5, end, bindView)
      if (problem !== null) return broken(session, problem)
      const info = infoOf(session, bytes, bindView.statementFrom, bindView.statementTo)
      return info?.command ? bindLocal(session, info) : 0
    }
    case frontend.describe:
    case frontend.close: {
      const problem = readTarget(bytes, at + 5, end, targetView)
      if (problem !== null) return broken(session, problem)
      return bytes[at] === frontend.close ? closeLocal(session, bytes) : describeLocal(session, bytes)
    }
    default:
      return session.unnamedPortal?.command ? executeLocal(session, session.unnamedPortal) : 0
  }
}

function parseLocal(
  session: ClientSession,
  bytes: Buffer,
  view: ParseView,
  end: number,
  info: StatementInfo,
): number {
  const text = textOf(session, bytes, view.sqlFrom, view.sqlTo)
  if (view.nameTo > view.nameFrom) {
    const name = bytes.latin1Slice(view.nameFrom, view.nameTo)
    session.statements ??= new Map()
    session.statements.set(
      name,
      session.database.statements.use(bytes.subarray(view.nameTo, end), session.meaning, text, info),
    )
  } else session.unnamed = { text, types: null, info }
  session.respond(parseComplete)
  return 1
}

function bindLocal(session: ClientSession, info: StatementInfo): number {
  session.unnamedPortal = info
  session.respond(bindComplete)
  return 1
}

function describeLocal(session: ClientSession, bytes: Buffer): number {
  const { target, nameFrom, nameTo } = targetView
  const ofStatement = target === statementTarget
  const info = ofStatement ? infoOf(session, bytes, nameFrom, nameTo) : session.unnamedPortal
  if (!info?.command) return 0
  session.respond(commandDescription(info, ofStatement))
  return 1
}

function executeLocal(session: ClientSession, info: StatementInfo): number {
  answerCommand(session, info, false)
  return 1
}

/** Close of a statement that is shared: only the client forgets it. */
function closeLocal(session: ClientSession, bytes: Buffer): number {
  const { target, nameFrom, nameTo } = targetView
  if (target !== statementTarget || nameTo === nameFrom) return 0
  const name = bytes.latin1Slice(nameFrom, nameTo)
  const statement = session.statements?.get(name)
  if (statement === undefined) return 0
  session.statements?.delete(name)
  session.database.statements.leave(statement)
  session.respond(closeComplete)
  return 1
}

function refused(session: ClientSession, end: number, simple: boolean): number {
  const error = session.refusal as SqlError
  session.refusal = null
  session.placed = null
  session.answered()
  session.fail(error)
  if (error.fatal) return -1
  if (simple) session.write(readyIdle)
  else session.skipping = true
  return end
}

function broken(session: ClientSession, problem: Problem): -1 {
  session.fail(protocolError(problem))
  return -1
}

function connected(session: ClientSession, server: string, at: number, end: number, simple: boolean): number {
  if (session.connect(server)) return at
  return session.refusal === null ? -1 : refused(session, end, simple)
}

// --- reads ----------------------------------------------------------------------------------------------------

function isRead(info: StatementInfo): boolean {
  return info.transaction === 'begin-read-only' || (info.readOnly && info.transaction === 'none')
}

function mayUseReplicas(session: ClientSession): boolean {
  const { database, settings } = session
  if (database.replicas === 0 || settings.primaryOnly) return false
  return session.reads !== null || database.spec.reads.kind !== 'primary' || session.placed !== null
}

/** A server's id, '' for the primary, null: the planner will say. */
function placeOf(session: ClientSession, read: boolean, hint: StatementInfo['hint']): string | null {
  const { database } = session
  session.route = 'primary'
  if (!read || database.replicas === 0 || session.settings.primaryOnly) {
    session.placed = null
    return ''
  }
  const reads = hinted(hint) ?? session.reads ?? database.spec.reads
  if (reads.kind === 'primary') {
    session.route = 'primary:setting'
    session.placed = null
    return ''
  }
  return session.place(reads)
}

function hinted(hint: StatementInfo['hint']): ReadsSetting | null {
  if (hint === null) return null
  if (hint === 'primary') return primaryReads
  return { kind: hint === 'replica' ? 'any' : hint }
}

/** What may go elsewhere is kept until its answer has begun. */
function movableFrom(session: ClientSession, server: string, bytes: Buffer, at: number, end: number): void {
  session.movable = server !== '' && end - at <= batchBytesMax
  if (session.movable) session.again = Buffer.from(bytes.subarray(at, end))
}

const batch = { end: 0, read: true, hint: null as StatementInfo['hint'] }

/** Everything up to the Sync: may a replica serve it? `end` 0: its Sync has not come, or it asks for answers before. */
function lookAtBatch(session: ClientSession, bytes: Buffer, at: number, length: number): typeof batch {
  const bytesMax = session.database.spec.pool.messageBytesMax
  batch.end = 0
  batch.read = true
  batch.hint = null
  while (at < length) {
    const size = frontendFrameBytes(bytes, at, length, bytesMax)
    if (size <= 0 || at + size > length) return batch
    const end = at + size
    const type = bytes[at]
    if (type === frontend.sync) {
      batch.end = end
      return batch
    }
    if (type === frontend.parse && readParse(bytes, at + 5, end, parseView) === null)
      judge(session.database.book.look(textOf(session, bytes, parseView.sqlFrom, parseView.sqlTo)))
    else if (type === frontend.bind && readBind(bytes, at + 5, end, bindView) === null) {
      const { statementFrom, statementTo } = bindView
      // Without a name it is that of this batch, which was judged, or of an earlier one.
      judge(infoOf(session, bytes, statementFrom, statementTo))
    } else if (type === frontend.describe && readTarget(bytes, at + 5, end, targetView) === null) {
      if (targetView.target === statementTarget)
        judge(infoOf(session, bytes, targetView.nameFrom, targetView.nameTo))
    } else if (type === frontend.flush || type === frontend.query || type === frontend.functionCall) {
      // Its first answers are asked for before all of it is known: the primary can serve whatever comes.
      batch.read = false
      batch.end = end
      return batch
    }
    at = end
  }
  return batch
}

function judge(info: StatementInfo | null): void {
  if (info === null) return
  if (!isRead(info)) batch.read = false
  batch.hint ??= info.hint
}

// --- sending on -----------------------------------------------------------------------------------------------

/** One whole message to the server that the session has; answers its end. */
export function forward(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): number {
  switch (bytes[at]) {
    case frontend.query:
      sendQuery(session, server, bytes, at, end)
      break
    case frontend.parse:
      if (!session.skipping) sendParse(session, server, bytes, at, end)
      break
    case frontend.bind:
      if (!session.skipping) sendBind(session, server, bytes, at, end)
      break
    case frontend.describe:
      if (!session.skipping) sendDescribe(session, server, bytes, at, end)
      break
    case frontend.execute:
      if (!session.skipping) sendExecute(session, server, bytes, at, end)
      break
    case frontend.close:
      if (!session.skipping) sendClose(session, server, bytes, at, end)
      break
    case frontend.sync:
      session.skipping = false
      // Amid COPY FROM STDIN the server passes it over.
      if (!server.copyingIn) {
        server.batchOpen = false
        server.replies.push(owed.sync)
        session.batchesSent++
      }
      out(session).add(bytes, at, end)
      break
    case frontend.flush:
    case frontend.copyData:
      out(session).add(bytes, at, end)
      break
    case frontend.copyDone:
    case frontend.copyFail:
      if (server.replies.length > 0 || server.copyingIn) {
        if (!server.copyingIn) server.replies.push(owed.copyEnd)
        server.copyingIn = false
        out(session).add(bytes, at, end)
      }
      break
    case frontend.functionCall:
      if (session.skipping) break
      begins(session, server, null)
      writes(session, server)
      server.replies.push(owed.query)
      session.batchesSent++
      out(session).add(bytes, at, end)
      break
    case frontend.terminate:
      session.terminate()
      break
    default:
      session.fail(
        protocolError({ code: sqlState.protocolViolation, sentence: 'A password came after the login.' }),
      )
  }
  return end
}

function out(session: ClientSession): ClientSession['database']['context']['toServer'] {
  return session.database.context.toServer
}

/** The first statement of a batch: whose time is taken. */
function begins(session: ClientSession, server: ServerConnection, info: StatementInfo | null): void {
  if (session.batchInfo !== null || info === null) return
  session.batchInfo = info
  session.startedAt = session.database.context.clock.monotonic()
  if (!server.pool.primary) session.database.planner.began(server.pool.server.id)
  session.committing(info.transaction === 'commit' || info.transaction === 'commit-prepared')
}

function writes(session: ClientSession, server: ServerConnection): void {
  if (session.writing || !server.pool.primary) return
  session.writing = true
  session.database.planner.writing()
}

const advisory = /(^|\.)pg_(try_)?advisory_/

/**
 * Amid a read-only transaction that a replica has: what would stay with that connection beyond it, or lock out nobody who
 * is elsewhere. A server in recovery refuses LISTEN, NOTIFY and all that writes by itself, and lets these pass.
 */
function needsPrimary(server: ServerConnection, info: StatementInfo): boolean {
  if (server.pool.primary) return false
  return info.pins !== 0 || info.advisoryLocks !== 0 || info.functions.some(name => advisory.test(name))
}

/** The server says it, in its place, and the transaction has failed as it would have by any other error. */
const refusalSql =
  "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '25006', MESSAGE = 'this needs the primary, and a replica has this read-only transaction', HINT = 'Begin it with /* tenfold: primary */ BEGIN READ ONLY.'; END $$"

/** The portal becomes one that says so when it is executed. */
function refuseBind(session: ClientSession, server: ServerConnection, portal: string): void {
  server.unnamedOf = null
  server.replies.push(owed.parseHidden)
  server.replies.push(owed.bind)
  out(session).addAll(parseMessage('', refusalSql, []))
  out(session).addAll(bindMessage(portal, '', []))
}

/** What a statement is to the session, whether it comes by Query or by Bind. */
function noteStatement(
  session: ClientSession,
  server: ServerConnection,
  info: StatementInfo,
  portal: string | null,
): void {
  begins(session, server, info)
  if (info.transaction !== 'none')
    session.committing(info.transaction === 'commit' || info.transaction === 'commit-prepared')
  if (info.mayWrite) writes(session, server)
  if (info.asynchronousCommit) session.database.planner.asynchronousCommit()
  if (hasEffect(info)) noteEffect(session, info, portal)
}

function sendQuery(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  if (session.skipping) return
  const problem = readQuery(bytes, at + 5, end)
  if (problem !== null) {
    session.fail(protocolError(problem))
    return
  }
  const info = session.database.book.look(textOf(session, bytes, at + 5, end - 1))
  if (isForRouter(session, info)) {
    answerCommand(session, info, true)
    return
  }
  const refused = needsPrimary(server, info)
  if (!refused) noteStatement(session, server, info, null)
  server.replies.push(owed.query)
  session.batchesSent++
  session.unnamed = null
  server.unnamedOf = null
  if (refused) out(session).addAll(queryMessage(refusalSql))
  else out(session).add(bytes, at, end)
}

function sendParse(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  const problem = readParse(bytes, at + 5, end, parseView)
  if (problem !== null) {
    session.fail(protocolError(problem))
    return
  }
  const view = parseView
  const text = textOf(session, bytes, view.sqlFrom, view.sqlTo)
  const info = session.database.book.look(text)
  if (info.command !== null) {
    parseLocal(session, bytes, view, end, info)
    return
  }
  server.batchOpen = true
  if (view.nameTo > view.nameFrom) sendNamedParse(session, server, bytes, at, end, text, info)
  else {
    session.unnamed = { text, types: typesOf(bytes, view), info }
    server.unnamedOf = session
    server.replies.push(owed.parse)
    out(session).add(bytes, at, end)
  }
}

function sendNamedParse(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
  text: string,
  info: StatementInfo,
): void {
  const { database } = session
  const { nameFrom, nameTo } = parseView
  const name = bytes.latin1Slice(nameFrom, nameTo)
  session.statements ??= new Map()
  const before = session.statements.get(name)
  if (before !== undefined) {
    // The server says what is wrong with that, in the right place: it has the statement already.
    ensure(session, server, before)
    server.replies.push(owed.parse)
    out(session).addAll(parseOf(before))
    return
  }
  if (session.statements.size >= database.spec.pool.preparedMax * preparedFactor) {
    const sentence = `This client has ${session.statements.size} prepared statements already.`
    session.fail(routerError('preparedFull', sentence, true))
    return
  }
  const statement = database.statements.use(bytes.subarray(nameTo, end), session.meaning, text, info)
  const reply: ParseReply = { statement, clientName: name }
  session.statements.set(name, statement)
  if (session.movable) (session.batchNames ??= []).push(name)
  if (server.prepared.touch(statement)) {
    if (server.replies.length === 0) session.respond(parseComplete)
    else server.replies.push(owed.parseLocal, reply)
    return
  }
  addTo(session, server, statement)
  server.replies.push(owed.parse, reply)
  out(session).addRenamed(bytes, at, end, nameFrom, nameTo, statement.name)
}

/** What the client calls so, as it is understood under the settings of now. */
function statementOf(
  session: ClientSession,
  bytes: Buffer,
  from: number,
  to: number,
): SharedStatement | undefined {
  const name = bytes.latin1Slice(from, to)
  const known = session.statements?.get(name)
  const { meaning } = session
  if (known === undefined || known.meaning === meaning || known.info.command !== null) return known
  const other = session.database.statements.again(known, meaning)
  session.statements?.set(name, other)
  return other
}

/** The server gets room for one more, and is remembered to have it. */
function addTo(session: ClientSession, server: ServerConnection, statement: SharedStatement): void {
  const victim = server.prepared.add(statement, session.database.spec.pool.preparedMax)
  if (victim === null) return
  server.replies.push(owed.closeHidden)
  const frame = Buffer.allocUnsafe(7 + victim.name.length)
  frame[0] = frontend.close as number
  frame.writeInt32BE(frame.length - 1, 1)
  frame[5] = statementTarget
  victim.name.copy(frame, 6)
  frame[frame.length - 1] = 0
  out(session).addAll(frame)
}

/** The server has this statement, or gets it first. */
function ensure(session: ClientSession, server: ServerConnection, statement: SharedStatement): void {
  if (server.prepared.touch(statement)) return
  addTo(session, server, statement)
  server.replies.push(owed.parseHidden, { statement, clientName: '' } satisfies ParseReply)
  out(session).addAll(parseOf(statement))
}

/** The unnamed statement of an earlier batch, on a connection that has another by now. */
function ensureUnnamed(session: ClientSession, server: ServerConnection): void {
  const { unnamed } = session
  if (unnamed === null || server.unnamedOf === session || unnamed.info.command !== null) return
  const types = unnamed.types
  const ids: number[] = []
  if (types !== null) for (let at = 0; at < types.length; at += 4) ids.push(types.readUInt32BE(at))
  server.unnamedOf = session
  server.replies.push(owed.parseHidden)
  out(session).addAll(parseMessage('', unnamed.text, ids))
}

function sendBind(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  const problem = readBind(bytes, at + 5, end, bindView)
  if (problem !== null) {
    session.fail(protocolError(problem))
    return
  }
  const { portalFrom, portalTo, statementFrom, statementTo } = bindView
  const named = statementTo > statementFrom
  const statement = named ? statementOf(session, bytes, statementFrom, statementTo) : undefined
  const info = named ? (statement?.info ?? null) : (session.unnamed?.info ?? null)
  if (info?.command) {
    bindLocal(session, info)
    return
  }
  server.batchOpen = true
  if (portalTo === portalFrom) session.unnamedPortal = null
  if (info !== null && needsPrimary(server, info)) {
    refuseBind(session, server, bytes.utf8Slice(portalFrom, portalTo))
    return
  }
  if (info !== null) noteStatement(session, server, info, bytes.latin1Slice(portalFrom, portalTo))
  else writes(session, server)
  if (statement !== undefined) {
    ensure(session, server, statement)
    out(session).addRenamed(bytes, at, end, statementFrom, statementTo, statement.name)
  } else {
    if (!named) ensureUnnamed(session, server)
    out(session).add(bytes, at, end)
  }
  server.replies.push(owed.bind)
}

function sendDescribe(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  const problem = readTarget(bytes, at + 5, end, targetView)
  if (problem !== null) {
    session.fail(protocolError(problem))
    return
  }
  const { target, nameFrom, nameTo } = targetView
  if (describeLocal(session, bytes) !== 0) return
  server.batchOpen = true
  const named = target === statementTarget && nameTo > nameFrom
  const statement = named ? statementOf(session, bytes, nameFrom, nameTo) : undefined
  if (statement !== undefined) {
    ensure(session, server, statement)
    out(session).addRenamed(bytes, at, end, nameFrom, nameTo, statement.name)
  } else {
    if (target === statementTarget && !named) ensureUnnamed(session, server)
    out(session).add(bytes, at, end)
  }
  server.replies.push(owed.describe)
}

function sendExecute(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  const problem = readExecute(bytes, at + 5, end, executeView)
  if (problem !== null) {
    session.fail(protocolError(problem))
    return
  }
  const info = executeView.portalTo === executeView.portalFrom ? session.unnamedPortal : null
  if (info?.command) {
    executeLocal(session, info)
    return
  }
  server.batchOpen = true
  if (session.effects.length > 0)
    noteExecute(session, bytes.latin1Slice(executeView.portalFrom, executeView.portalTo))
  server.replies.push(owed.execute)
  out(session).add(bytes, at, end)
}

function sendClose(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  const problem = readTarget(bytes, at + 5, end, targetView)
  if (problem !== null) {
    session.fail(protocolError(problem))
    return
  }
  if (closeLocal(session, bytes) !== 0) return
  server.batchOpen = true
  server.replies.push(owed.close)
  out(session).add(bytes, at, end)
}

// --- looking --------------------------------------------------------------------------------------------------

/** Texts are UTF-8 unless the client says otherwise; then bytes stand for themselves, so that no two become one. */
function textOf(session: ClientSession, bytes: Buffer, from: number, to: number): string {
  return session.told === null || session.told.utf8 ? bytes.utf8Slice(from, to) : bytes.latin1Slice(from, to)
}

function infoOf(session: ClientSession, bytes: Buffer, from: number, to: number): StatementInfo | null {
  if (to === from) return session.unnamed?.info ?? null
  return session.statements?.get(bytes.latin1Slice(from, to))?.info ?? null
}

/** A copy of the types of parameters that a Parse names; null for none. */
function typesOf(bytes: Buffer, { typesFrom, typeCount }: ParseView): Buffer | null {
  return typeCount === 0 ? null : Buffer.from(bytes.subarray(typesFrom, typesFrom + 4 * typeCount))
}
