// Sends a client's messages on to the server connection that its session has: under the names that servers know, with what the
// server lacks before them, and with what each leaves behind noted. Works in place on what was read; the session keeps
// the state. Where a batch goes is `batch.ts`.

import {
  BindView,
  bindMessage,
  ExecuteView,
  frontend,
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
  sqlState,
  statementTarget,
  TargetView,
} from '../../wire/postgres/index.ts'
import type { StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import { hasEffect, noteEffect, noteExecute } from './effects.ts'
import { answerCommand, isForRouter } from './local-commands.ts'
import { bindLocal, closeLocal, describeLocal, executeLocal, parseLocal, textOf } from './local-statements.ts'
import { parseOf, type SharedStatement } from './prepared.ts'
import { owed } from './replies.ts'
import { withWrite } from './results.ts'
import type { ParseReply, ServerConnection } from './server-connection.ts'
import { protocolError, routerError } from './sql-errors.ts'

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()
const executeView = new ExecuteView()

/** Named statements of one client, as a multiple of what a server connection keeps. */
const preparedFactor = 20

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
      writes(session, server, null)
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

/** What is not ends the connection. */
function wellFormed(session: ClientSession, problem: Problem | null): boolean {
  if (problem !== null) session.fail(protocolError(problem))
  return problem === null
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

function writes(session: ClientSession, server: ServerConnection, info: StatementInfo | null): void {
  if (session.database.results !== null) session.written = withWrite(session.written, info)
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
  server.unnamed = null
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
  if (info.mayWrite) writes(session, server, info)
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
  if (!wellFormed(session, readQuery(bytes, at + 5, end))) return
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
  server.unnamed = null
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
  if (!wellFormed(session, readParse(bytes, at + 5, end, parseView))) return
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
    server.unnamed = session.unnamed
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
  if (unnamed === null || server.unnamed === unnamed || unnamed.info.command !== null) return
  const types = unnamed.types
  const ids: number[] = []
  if (types !== null) for (let at = 0; at < types.length; at += 4) ids.push(types.readUInt32BE(at))
  server.unnamed = unnamed
  server.replies.push(owed.parseHidden)
  out(session).addAll(parseMessage('', unnamed.text, ids))
}

/** A message that names a statement, under the name that the server knows; a name that nobody has goes as it is. */
function sendAbout(
  session: ClientSession,
  server: ServerConnection,
  statement: SharedStatement | undefined,
  bytes: Buffer,
  at: number,
  end: number,
  nameFrom: number,
  nameTo: number,
): void {
  if (statement === undefined) {
    out(session).add(bytes, at, end)
    return
  }
  ensure(session, server, statement)
  out(session).addRenamed(bytes, at, end, nameFrom, nameTo, statement.name)
}

function sendBind(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  if (!wellFormed(session, readBind(bytes, at + 5, end, bindView))) return
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
  else writes(session, server, null)
  if (!named) ensureUnnamed(session, server)
  sendAbout(session, server, statement, bytes, at, end, statementFrom, statementTo)
  server.replies.push(owed.bind)
}

function sendDescribe(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  if (!wellFormed(session, readTarget(bytes, at + 5, end, targetView))) return
  const { target, nameFrom, nameTo } = targetView
  if (describeLocal(session, bytes, targetView) !== 0) return
  server.batchOpen = true
  const named = target === statementTarget && nameTo > nameFrom
  const statement = named ? statementOf(session, bytes, nameFrom, nameTo) : undefined
  if (target === statementTarget && !named) ensureUnnamed(session, server)
  sendAbout(session, server, statement, bytes, at, end, nameFrom, nameTo)
  server.replies.push(owed.describe)
}

function sendExecute(
  session: ClientSession,
  server: ServerConnection,
  bytes: Buffer,
  at: number,
  end: number,
): void {
  if (!wellFormed(session, readExecute(bytes, at + 5, end, executeView))) return
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
  if (!wellFormed(session, readTarget(bytes, at + 5, end, targetView))) return
  if (closeLocal(session, bytes, targetView) !== 0) return
  server.batchOpen = true
  server.replies.push(owed.close)
  out(session).add(bytes, at, end)
}

/** A copy of the types of parameters that a Parse names; null for none. */
export function typesOf(bytes: Buffer, { typesFrom, typeCount }: ParseView): Buffer | null {
  return typeCount === 0 ? null : Buffer.from(bytes.subarray(typesFrom, typesFrom + 4 * typeCount))
}
