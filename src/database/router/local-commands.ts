// Statements that are for Tenfold itself, answered by the router in their place: SHOW and SET of tenfold.*, and DEALLOCATE of
// statements that are shared, so that no client takes them from the others.

import {
  commandComplete,
  dataRow,
  noData,
  parameterDescription,
  rowDescription,
} from '../../wire/postgres/index.ts'
import type { ReadsSetting } from '../contract.ts'
import { pinBit, type RouterCommand, type StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import { routerError } from './sql-errors.ts'

const preparedPin = pinBit('prepared-sql')

/** Is this simple Query answered here? */
export function isForRouter(session: ClientSession, info: StatementInfo): boolean {
  if (info.count !== 1) return false
  if (info.command !== null) return true
  const { prepared } = info
  if (prepared?.kind !== 'deallocate' || (session.pins & preparedPin) !== 0) return false
  return prepared.name === null || session.statements?.has(prepared.name) === true
}

/** Answers it; `ready`: with a ReadyForQuery, as the end of a simple Query. */
export function answerCommand(session: ClientSession, info: StatementInfo, ready: boolean): void {
  const { command } = info
  if (command === null) deallocate(session, info)
  else if (command.kind === 'show' && command.name === 'tenfold.token') {
    giveToken(session, ready)
    return
  } else if (command.kind === 'show') show(session, command.name, shownValue(session, command), ready)
  else set(session, command, ready)
  if (ready) session.respondReady()
}

function deallocate(session: ClientSession, { prepared }: StatementInfo): void {
  const name = prepared?.name ?? null
  const { statements, database } = session
  for (const [key, statement] of [...(statements ?? [])]) {
    if (name !== null && key !== name) continue
    statements?.delete(key)
    database.statements.leave(statement)
  }
  session.respond(commandComplete(name === null ? 'DEALLOCATE ALL' : 'DEALLOCATE'))
}

function shownValue(session: ClientSession, command: RouterCommand & { kind: 'show' }): string {
  switch (command.name) {
    case 'tenfold.route':
      return session.route
    case 'tenfold.reads':
      return readsText(session.reads ?? session.database.spec.reads)
    default: {
      const { after } = session.readState
      return after === null ? '' : `${after.timeline}/${after.lsn.toString(16).toUpperCase()}`
    }
  }
}

function show(session: ClientSession, name: string, value: string, ready: boolean): void {
  // Described before in the extended protocol.
  if (ready) session.respond(rowDescription([{ name }]))
  session.respond(dataRow([value]))
  session.respond(commandComplete('SHOW'))
}

/** The token stands for the session's last write, whose position may still have to be asked for. */
function giveToken(session: ClientSession, ready: boolean): void {
  let answered = false
  session.database.planner.token(session.readState, token => {
    answered = true
    if (session.blocked === 'over') return
    show(session, 'tenfold.token', token ?? '', ready)
    if (ready) session.respondReady()
    session.tokenKnown()
  })
  if (!answered) session.block('token')
}

function set(
  session: ClientSession,
  command: Exclude<RouterCommand, { kind: 'show' }>,
  ready: boolean,
): void {
  const problem =
    command.kind === 'set-reads' ? setReads(session, command.value) : setAfter(session, command.token)
  if (problem === '') {
    session.respond(commandComplete('SET'))
    return
  }
  session.respond(routerError('settingInvalid', problem).frame)
  if (!ready) session.skipping = true
}

function setReads(session: ClientSession, value: string | null): string {
  const reads = value === null ? null : readsOf(value)
  if (reads === undefined)
    return `tenfold.reads is '${value}': allowed are primary, fresh, session, any, or a longest lag such as 5s.`
  session.reads = reads
  return ''
}

function setAfter(session: ClientSession, token: string): string {
  if (token === '') {
    session.readState.after = null
    return ''
  }
  if (session.database.planner.after(session.readState, token)) return ''
  return `tenfold.after is '${token.slice(0, 64)}': a token is what SHOW tenfold.token gave, such as 1/3A5C8F0.`
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, m: 60_000, h: 3_600_000 }

function readsOf(value: string): ReadsSetting | undefined {
  const word = value.trim().toLowerCase()
  if (word === 'primary' || word === 'fresh' || word === 'session' || word === 'any') return { kind: word }
  const lag = /^(\d{1,9})\s*(ms|s|min|m|h)$/.exec(word)
  if (lag === null) return undefined
  return { kind: 'maxLag', maxLagMs: Number(lag[1]) * (unitMs[lag[2] as string] as number) }
}

function readsText(reads: ReadsSetting): string {
  return reads.kind === 'maxLag' ? `${reads.maxLagMs}ms` : reads.kind
}

/** What Describe says of such a statement. */
export function commandDescription({ command }: StatementInfo, ofStatement: boolean): Buffer {
  const rows = command?.kind === 'show' ? rowDescription([{ name: command.name }]) : noData
  return ofStatement ? Buffer.concat([parameterDescription([]), rows]) : rows
}
