// Reads that the router may answer from what it has kept: which batches these are, what decides about their answers, and the
// answer itself. Only at the beginning of a batch, for sessions without a server connection, which have nothing of their own open.

import {
  BindView,
  ExecuteView,
  frontend,
  frontendFrameBytes,
  ParseView,
  portalTarget,
  readBind,
  readExecute,
  readParse,
  readTarget,
  TargetView,
} from '../../wire/postgres/index.ts'
import type { StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import { typesOf } from './forward.ts'
import { textOf } from './local-statements.ts'
import { keyBytesMax } from './results.ts'

const parseView = new ParseView()
const bindView = new BindView()
const targetView = new TargetView()
const executeView = new ExecuteView()

/** Answered; to be asked of the primary, its answer kept; or nothing of ours. */
export type CachedAnswer = 'answered' | 'filling' | 'not-ours'

/** A simple Query of one statement, `bytes[at..end)`. */
export function cachedQuery(
  session: ClientSession,
  text: string,
  info: StatementInfo,
  size: number,
): CachedAnswer {
  if (size > keyBytesMax) return 'not-ours'
  const answer = look(session, text, info, `Q${text}`)
  // As a server does with every simple Query.
  if (answer === 'answered') session.unnamed = null
  return answer
}

const extended = { end: 0, answer: 'not-ours' as CachedAnswer }

/**
 * Parse without a name, or none; Bind; Describe of its portal, or none; Execute of all rows; Sync: all of it here. `end`: behind
 * it.
 */
export function cachedBatch(
  session: ClientSession,
  bytes: Buffer,
  at: number,
  length: number,
): typeof extended {
  extended.end = 0
  extended.answer = 'not-ours'
  const parsed = frameOf(bytes, at, length, frontend.parse as number)
  let next = parsed === 0 ? at : parsed
  let text = ''
  let info: StatementInfo | null = null
  let statement = ''
  if (parsed !== 0) {
    if (readParse(bytes, at + 5, parsed, parseView) !== null) return extended
    if (parseView.nameTo > parseView.nameFrom) return extended
    text = textOf(session, bytes, parseView.sqlFrom, parseView.sqlTo)
    info = session.database.book.look(text)
  }
  const bound = frameOf(bytes, next, length, frontend.bind as number)
  if (bound === 0 || readBind(bytes, next + 5, bound, bindView) !== null) return extended
  const { portalFrom, portalTo, statementFrom, statementTo } = bindView
  if (portalTo > portalFrom) return extended
  if (statementTo > statementFrom) {
    const known = session.statements?.get(bytes.latin1Slice(statementFrom, statementTo))
    if (parsed !== 0 || known === undefined) return extended
    ;({ text, info, key: statement } = known)
  } else if (parsed === 0) {
    const { unnamed } = session
    if (unnamed === null) return extended
    ;({ text, info } = unnamed)
    statement = `${text}\0${unnamed.types?.latin1Slice() ?? ''}`
  }
  next = bound
  const described = frameOf(bytes, next, length, frontend.describe as number)
  if (described !== 0) {
    if (readTarget(bytes, next + 5, described, targetView) !== null) return extended
    if (targetView.target !== portalTarget || targetView.nameTo > targetView.nameFrom) return extended
    next = described
  }
  const executed = frameOf(bytes, next, length, frontend.execute as number)
  if (executed === 0 || readExecute(bytes, next + 5, executed, executeView) !== null) return extended
  if (executeView.portalTo > executeView.portalFrom || rowsMaxOf(bytes, executed) !== 0) return extended
  const end = frameOf(bytes, executed, length, frontend.sync as number)
  if (end === 0 || end - at > keyBytesMax || info === null) return extended
  extended.end = end
  extended.answer = look(session, text, info, `E${statement}\0${bytes.latin1Slice(at, end)}`)
  if (extended.answer === 'answered') {
    if (parsed !== 0) session.unnamed = { text, types: typesOf(bytes, parseView), info }
    session.unnamedPortal = null
  }
  return extended
}

/** Its end; 0: something else comes, or not all of it is here. */
function frameOf(bytes: Buffer, at: number, length: number, type: number): number {
  if (at >= length || bytes[at] !== type) return 0
  const size = frontendFrameBytes(bytes, at, length, keyBytesMax)
  return size <= 0 || at + size > length ? 0 : at + size
}

/** The last four bytes of an Execute. */
function rowsMaxOf(bytes: Buffer, end: number): number {
  return bytes.readInt32BE(end - 4)
}

function look(session: ClientSession, text: string, info: StatementInfo, what: string): CachedAnswer {
  const { results, context } = session.database
  if (results === null || session.otherMeaning !== '' || session.localMeaning !== '') return 'not-ours'
  const rule = results.rule(text, info, context.now)
  if (rule === null) return 'not-ours'
  const key = `${session.userName}\0${session.settings.key}\0${what}`
  const bytes = results.find(key, context.now)
  if (bytes !== null) {
    session.route = 'cache'
    session.write(bytes)
    return 'answered'
  }
  session.filling = results.begin(key, rule.tables, rule.ttlMs, context.now)
  return 'filling'
}
