// What statements leave behind on a session and on its server connection when they have ended well: settings, pins, what
// was prepared. Undone with a transaction that is rolled back; in doubt the session keeps its connection, which is then
// cleaned, or ended, before anybody else gets it.

import { idleStatus } from '../../wire/postgres/index.ts'
import { pinBit, type SettingChange, type StatementInfo } from '../sql/contract.ts'
import type { ClientSession } from './client-session.ts'
import type { ServerConnection } from './server-connection.ts'
import { changesMeaning, isUnwieldy } from './settings.ts'

/** A statement of batch number `batch` that has been sent. */
export interface Effect {
  readonly info: StatementInfo
  readonly batch: number
  /** By Bind: of which portal; it has happened when that was executed. Null: by Query. */
  readonly portal: string | null
  executed: boolean
  /** Pins that it brought: they go if it fails. */
  readonly added: number
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
export function noteEffect(session: ClientSession, info: StatementInfo, portal: string | null): void {
  const added = info.pins & ~session.pins
  session.effects.push({ info, batch: session.batchesSent, portal, executed: portal === null, added })
  session.pins |= info.pins
  // Until it is known what came of it, nothing that is prepared is shared.
  if (info.settings.some(mayChangeMeaning)) session.otherMeaning = `\x02${++meaningsCount}`
  if (info.settings.length > 0 || info.transaction === 'savepoint') session.hearsTags = true
}

/** Names for meanings that are nobody else's. */
let meaningsCount = 0

function mayChangeMeaning(change: SettingChange): boolean {
  if (change.kind === 'set' || change.kind === 'reset') return changesMeaning(change.name.toLowerCase())
  if (change.kind === 'unknown' || change.kind === 'unknown-local')
    return change.name === null || changesMeaning(change.name)
  return change.kind === 'reset-all' || change.what === 'all'
}

/** An Execute is about to be sent. */
export function noteExecute(session: ClientSession, portal: string): void {
  const effect = session.effects.findLast(one => one.portal === portal)
  if (effect !== undefined) effect.executed = true
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
  else
    for (const { info, executed } of ended) {
      if (executed) apply(session, server, info, status)
      // Only bound: it did not happen, or will later.
      else if (info.settings.length > 0 || info.advisoryLocks !== 0) session.pins |= settingPin
    }
  if (session.tablesChanged && status === idleStatus) {
    // Others saw the change when it was committed, and not before.
    session.tablesChanged = false
    tablesChanged(session)
  }
  settleMeaning(session, ended, status, failed)
  const { committedHere, rolledBackHere } = session
  session.committedHere = session.rolledBackHere = false
  if (session.settingsBefore === null) {
    if (effects.length === 0) session.hearsTags = false
    return
  }
  if (status !== idleStatus) {
    // ROLLBACK TO undid some of the settings, and nobody says which. So may what was both before and after a COMMIT.
    const set = ended.some(({ info }) => info.settings.length > 0)
    if (rolledBackHere || (committedHere && set)) session.pins |= settingPin
    else if (committedHere) session.settingsBefore = null
    return
  }
  if (committedHere && rolledBackHere) session.pins |= settingPin
  endOfTransaction(session, server, committedHere)
}

/** What was set for the transaction is known, or it has ended. */
function settleMeaning(
  session: ClientSession,
  ended: readonly Effect[],
  status: number,
  failed: boolean,
): void {
  if (status === idleStatus) session.localMeaning = ''
  else if (!failed) for (const { info } of ended) session.localMeaning += localMeaningOf(info.settings)
  if (session.effects.some(({ info }) => info.settings.some(mayChangeMeaning))) return
  session.otherMeaning =
    session.localMeaning === '' ? '' : `\x02${session.settings.meaning}${session.localMeaning}`
}

function localMeaningOf(changes: readonly SettingChange[]): string {
  let meaning = ''
  for (const change of changes) {
    if (!mayChangeMeaning(change)) continue
    if (change.kind === 'set' && change.local) meaning += `\x03${change.name}\0${change.value}`
    else if (change.kind === 'unknown-local') meaning += `\x03${++meaningsCount}`
  }
  return meaning
}

/** Nothing of a batch that failed has happened, unless it managed transactions itself. */
function takeBack(session: ClientSession, ended: readonly Effect[]): void {
  const first = ended[0]
  if (first === undefined) return
  const certain = ended.every(({ info }) => info.transaction === 'none' && info.advisoryLocks === 0)
  if (certain) {
    for (const { added } of ended) session.pins &= ~added
    for (const { info } of session.effects) session.pins |= info.pins
  } else if (ended.some(({ info }) => info.settings.length > 0)) session.pins |= settingPin
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
  database.results?.schemaChanged()
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
  const local = info.settings.every(
    change => change.kind === 'unknown-local' || (change.kind === 'set' && change.local),
  )
  if (status !== idleStatus && !local) session.settingsBefore ??= session.settings
  for (const change of info.settings) {
    if (change.kind === 'unknown') session.pins |= settingPin
    if (isUnwieldy(session.settings)) session.pins |= settingPin
    if (isUnwieldy(session.settings) && (change.kind === 'set' || change.kind === 'reset')) continue
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

function endOfTransaction(session: ClientSession, server: ServerConnection, committed: boolean): void {
  if (!committed) {
    session.settings = session.settingsBefore ?? session.settings
    server.settings = session.settings
  }
  session.settingsBefore = null
  session.hearsTags = session.effects.length > 0
}
