// Where a batch goes: its first message comes when the session has no server connection. Everything up to its Sync is looked
// at before a replica may serve it; the rest goes to the primary, and what is for the router itself is answered here.

import {
  BindView,
  frontend,
  frontendFrameBytes,
  ParseView,
  type Problem,
  readBind,
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
import { cachedBatch, cachedQuery } from './cached.ts'
import type { ClientSession } from './client-session.ts'
import { answerCommand, isForRouter } from './local-commands.ts'
import {
  bindLocal,
  closeLocal,
  describeLocal,
  executeLocal,
  infoOf,
  parseLocal,
  textOf,
} from './local-statements.ts'
import { protocolError, type SqlError } from './sql-errors.ts'

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()

/** A batch is looked at as a whole, up to its Sync, before it may go to a replica; larger ones go to the primary. */
const batchBytesMax = 64 * 1024
const primaryReads: ReadsSetting = { kind: 'primary' }
/** Of the first message of the batch that begins; found by `beginLocal`. */
let firstHint: StatementInfo['hint'] = null

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
  session.filling = null
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
  const text = textOf(session, bytes, at + 5, end - 1)
  const info = session.database.book.look(text)
  if (isForRouter(session, info)) {
    answerCommand(session, info, true)
    return end
  }
  if (session.database.results !== null) {
    const answer = cachedQuery(session, text, info, end - at)
    if (answer === 'answered') return end
    if (answer === 'filling') return filling(session, at, end, true)
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
  if (session.database.results !== null) {
    const cached = cachedBatch(session, bytes, at, length)
    if (cached.answer === 'answered') return cached.end
    if (cached.answer === 'filling') return filling(session, at, end, false)
  }
  if (!mayUseReplicas(session, firstHint)) {
    session.placed = null
    session.route = 'primary'
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
  firstHint = null
  switch (bytes[at]) {
    case frontend.parse: {
      const problem = readParse(bytes, at + 5, end, parseView)
      if (problem !== null) return broken(session, problem)
      const info = session.database.book.look(textOf(session, bytes, parseView.sqlFrom, parseView.sqlTo))
      firstHint = info.hint
      return info.command === null ? 0 : parseLocal(session, bytes, parseView, end, info)
    }
    case frontend.bind: {
      const problem = readBind(bytes, at + 5, end, bindView)
      if (problem !== null) return broken(session, problem)
      const info = infoOf(session, bytes, bindView.statementFrom, bindView.statementTo)
      firstHint = info?.hint ?? null
      return info?.command ? bindLocal(session, info) : 0
    }
    case frontend.describe:
    case frontend.close: {
      const problem = readTarget(bytes, at + 5, end, targetView)
      if (problem !== null) return broken(session, problem)
      return bytes[at] === frontend.close
        ? closeLocal(session, bytes, targetView)
        : describeLocal(session, bytes, targetView)
    }
    default:
      return session.unnamedPortal?.command ? executeLocal(session, session.unnamedPortal) : 0
  }
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

/** What is kept is what the primary says: a replica may not have yet what voided the last answer. */
function filling(session: ClientSession, at: number, end: number, simple: boolean): number {
  session.placed = null
  session.route = 'primary:cache'
  return connected(session, '', at, end, simple)
}

// --- reads ----------------------------------------------------------------------------------------------------

function isRead(info: StatementInfo): boolean {
  return info.transaction === 'begin-read-only' || (info.readOnly && info.transaction === 'none')
}

function mayUseReplicas(session: ClientSession, hint: StatementInfo['hint']): boolean {
  const { database, settings } = session
  if (database.replicas === 0 || settings.primaryOnly) return false
  if (hint !== null) return hint !== 'primary'
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
