// What a client prepares, binds, describes, executes and closes without a server: statements for the router itself, and names
// that only the client knows. Each answers 1 when it has dealt with the message, 0 when the message is a server's.

import {
  bindComplete,
  closeComplete,
  type ParseView,
  parseComplete,
  sqlState,
  statementTarget,
  type TargetView,
} from '../../wire/postgres/index.ts'
import type { StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import { answerCommand, commandDescription } from './local-commands.ts'
import { owed } from './replies.ts'
import type { ParseReply } from './server-connection.ts'
import { plainError } from './sql-errors.ts'

/** Texts are UTF-8 unless the client says otherwise; then bytes stand for themselves, so that no two become one. */
export function textOf(session: ClientSession, bytes: Buffer, from: number, to: number): string {
  return session.told === null || session.told.utf8 ? bytes.utf8Slice(from, to) : bytes.latin1Slice(from, to)
}

export function infoOf(
  session: ClientSession,
  bytes: Buffer,
  from: number,
  to: number,
): StatementInfo | null {
  if (to === from) return session.unnamed?.info ?? null
  return session.statements?.get(bytes.latin1Slice(from, to))?.info ?? null
}

export function parseLocal(
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
    if (session.statements.has(name)) {
      const { duplicatePreparedStatement } = sqlState
      session.fail(
        plainError(duplicatePreparedStatement, `prepared statement "${name}" already exists`, false),
      )
      session.skipping = true
      return 1
    }
    session.statements.set(
      name,
      session.database.statements.use(bytes.subarray(view.nameTo, end), session.meaning, text, info),
    )
  } else session.unnamed = { text, types: null, info }
  session.respond(parseComplete)
  return 1
}

export function bindLocal(session: ClientSession, info: StatementInfo): number {
  session.unnamedPortal = info
  session.respond(bindComplete)
  return 1
}

export function describeLocal(session: ClientSession, bytes: Buffer, view: TargetView): number {
  const { target, nameFrom, nameTo } = view
  const ofStatement = target === statementTarget
  const info = ofStatement ? infoOf(session, bytes, nameFrom, nameTo) : session.unnamedPortal
  if (!info?.command) return 0
  session.respond(commandDescription(info, ofStatement))
  return 1
}

export function executeLocal(session: ClientSession, info: StatementInfo): number {
  answerCommand(session, info, false)
  return 1
}

/** Close of a statement that is shared: only the client forgets it. */
export function closeLocal(session: ClientSession, bytes: Buffer, view: TargetView): number {
  const { target, nameFrom, nameTo } = view
  if (target !== statementTarget || nameTo === nameFrom) return 0
  const name = bytes.latin1Slice(nameFrom, nameTo)
  const statement = session.statements?.get(name)
  if (statement === undefined) return 0
  session.statements?.delete(name)
  session.database.statements.leave(statement)
  const replies = session.server?.replies
  // What was sent before it may fail yet: then it is passed over.
  if (replies === undefined || replies.length === 0) session.respond(closeComplete)
  else {
    session.closesOwed = true
    replies.push(owed.closeLocal, { statement, clientName: name } satisfies ParseReply)
  }
  return 1
}
