// What statements leave behind on a session and on its server connection when they have ended well: settings, pins, what
// was prepared. Undone with a transaction that is rolled back; in doubt the session keeps its connection, which is then
// cleaned, or ended, before anybody else gets it.

import { idleStatus } from '../../wire/postgres/index.ts'
import { pinBit, type StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import type { ServerConnection } from './server-connection.ts'

/** A statement of batch number `batch` that has been sent. */
export interface Effect {
  readonly info: StatementInfo
  readonly batch: number
}

/** What these leave behind DISCARD ALL does not undo, or only at a price: the connection ends with its session. */
export const pinsThatDestroy: number =
  pinBit('temp-table') |
  pinBit('random-seed') |
  pinBit('load') |
  pinBit('large-object') |
  pinBit('unknown') |
  pinBit('setting')

const settingPin = pinBit('setting')
const lockPin = pinBit('advisory-lock')
export const preparedPin: number = pinBit('prepared-sql')
const tempPin = pinBit('temp-table')

export function hasEffect(info: StatementInfo): boolean {
  return (
    info.pins !== 0 ||
    info.settings.length > 0 ||
    info.unpins !== 0 ||
    info.advisoryLocks !== 0 ||
    info.kind === 'ddl' ||
    info.prepared !== null ||
    info.transaction === 'savepoint'
  )
}

/** It is about to be sent. Pins count from now on: what it does can't be seen before its batch has ended. */
export function noteEffect(session: ClientSession, info: StatementInfo): void {
  if (session.effects.length === 0) session.pinsBefore = session.pins
  session.effects.push({ info, batch: session.batchesSent })
  session.pins |= info.pins
  if (info.settings.length > 0 || info.transaction === 'savepoint') session.hearsTags = true
}

/** A batch has ended: its ReadyForQuery came. */
export function settle(
  session: ClientSession,
  server: ServerConnection,
  status: number,
  failed: boolean,
): void {
  const { effects } = session
  let count = 0
  while (count < effects.length && (effects[count] as Effect).batch < session.batchesDone) count++
  const ended = effects.splice(0, count)
  if (failed) takeBack(session, ended)
  else for (const { info } of ended) apply(session, server, info, status)
  if (session.tablesChanged && status === idleStatus) {
    // Others saw the change when it was committed, and not before.
    session.tablesChanged = false
    tablesChanged(session)
  }
  if (session.settingsBefore === null) {
    if (effects.length === 0) session.hearsTags = false
    return
  }
  // ROLLBACK TO undid some of the settings, and nobody says which.
  if (status !== idleStatus && session.lastTag === 'ROLLBACK') session.pins |= settingPin
  if (status === idleStatus) endOfTransaction(session, server)
}

/** Nothing of a batch that failed has happened, unless it managed transactions itself. */
function takeBack(session: ClientSession, ended: readonly Effect[]): void {
  const first = ended[0]
  if (first === undefined) return
  const certain = ended.every(({ info }) => info.transaction === 'none' && info.advisoryLocks === 0)
  if (certain) session.pins = session.pinsBefore
  else if (ended.some(({ info }) => info.settings.length > 0)) session.pins |= settingPin
}

function apply(session: ClientSession, server: ServerConnection, info: StatementInfo, status: number): void {
  if (info.settings.length > 0) applySettings(session, server, info, status)
  if (info.unpins !== 0) {
    session.pins &= ~info.unpins
    if ((info.unpins & lockPin) !== 0) session.advisoryLocks = 0
  }
  if (info.advisoryLocks !== 0) {
    session.advisoryLocks = Math.max(0, session.advisoryLocks + info.advisoryLocks)
    if (session.advisoryLocks === 0) session.pins &= ~lockPin
  }
  if (info.kind === 'ddl' && (info.pins & tempPin) === 0) {
    tablesChanged(session)
    session.tablesChanged = status !== idleStatus
  }
  if (info.prepared?.kind === 'deallocate' && info.prepared.name === null) {
    server.prepared.clear()
    forgetStatements(session)
    session.pins &= ~preparedPin
  }
}

/** Every connection makes its prepared statements anew before it is used; this one, too. */
function tablesChanged({ database }: ClientSession): void {
  database.schema++
  database.planner.definitionsChanged()
}

function applySettings(
  session: ClientSession,
  server: ServerConnection,
  info: StatementInfo,
  status: number,
): void {
  const book = session.database.settings
  // Several statements at once, transactions among them: which of them counted can't be known.
  if (info.count > 1 && info.transaction !== 'none') session.pins |= settingPin
  if (status !== idleStatus) session.settingsBefore ??= session.settings
  for (const change of info.settings) {
    if (change.kind === 'unknown') session.pins |= settingPin
    session.settings = book.changed(session.settings, session.startup, change)
    server.settings = book.changed(server.settings, book.none, change)
    if (change.kind === 'discard' && change.what === 'all') discarded(session, server)
  }
  session.settings.reported.set(session.userName, server.parameters)
  if (session.settings.asynchronousCommit) session.database.planner.asynchronousCommit()
}

/** DISCARD ALL: nothing of the session is left on its connection. */
function discarded(session: ClientSession, server: ServerConnection): void {
  server.forgetSession()
  session.pins = 0
  session.advisoryLocks = 0
  session.unnamed = null
  forgetStatements(session)
}

function forgetStatements(session: ClientSession): void {
  for (const statement of session.statements?.values() ?? []) session.database.statements.leave(statement)
  session.statements?.clear()
}

function endOfTransaction(session: ClientSession, server: ServerConnection): void {
  const committed = /^(COMMIT|PREPARE)/.test(session.lastTag)
  if (!committed) {
    session.settings = session.settingsBefore ?? session.settings
    server.settings = session.settings
  }
  session.settingsBefore = null
  session.lastTag = ''
  session.hearsTags = session.effects.length > 0
}
