// SET in all its spellings, RESET, DISCARD's part of it, set_config(): which setting a session has changed, so that it can be
// given to another server connection, or why it can't. Words for Tenfold itself are found here, too.

import { pinBit, type RouterCommand, type SettingChange } from './contract.ts'
import { type Facts, keepOnPrimary, pin } from './facts.ts'
import { constant, field, list, type Tree, text, truth } from './tree.ts'

/** Settings that say where a client is: SHOW and current_setting() of them are answered by the primary. */
export const serverSettings: ReadonlySet<string> = new Set([
  'all',
  'transaction_read_only',
  'in_hot_standby',
  'data_directory',
  'config_file',
  'hba_file',
  'ident_file',
  'external_pid_file',
  'port',
  'listen_addresses',
  'unix_socket_directories',
  'cluster_name',
  'primary_conninfo',
  'primary_slot_name',
  'synchronous_standby_names',
  'synchronized_standby_slots',
  'recovery_min_apply_delay',
  'hot_standby_feedback',
  'archive_command',
  'restore_command',
])

/**
 * Settings under which texts mean something else than the parser takes them for: strings with backslashes, encodings whose
 * characters contain a backslash or a quote's neighbour. Who changes them keeps the connection to the primary.
 */
function changesTheLanguage(name: string, value: string | null): boolean {
  if (name === 'standard_conforming_strings') return value === null || !isOn(value)
  if (name !== 'client_encoding') return false
  return (
    value === null ||
    /^(sjis|shift_?jis|mskanji|win932|windows932|big5|win950|windows950|gbk|win936|windows936|gb18030|uhc|win949|windows949|johab|sqlascii|shiftjis2004|shift_jis_2004)$/.test(
      value.toLowerCase().replaceAll('-', ''),
    )
  )
}

const isOn = (value: string): boolean => /^(on|true|yes|t|y|1)$/i.test(value)

/** Not flushed when it is acknowledged. `local` and `remote_write` are. */
export function isAsynchronous(name: string, value: string | null): boolean {
  if (name !== 'synchronous_commit') return false
  return value === null || !/^(on|true|yes|1|local|remote_write|remote_apply)$/i.test(value)
}

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`

/** The text of SET's arguments as it can be sent again; null: it can't. */
function valueText(values: readonly Tree[]): string | null {
  const parts = values.map(node => {
    const value = field(node, 'A_Const')
    const said = constant(node)
    if (value === undefined || typeof said !== 'string') return null
    return field(value, 'sval') === undefined ? said : quoted(said)
  })
  return parts.length > 0 && !parts.includes(null) ? parts.join(', ') : null
}

/** Of one value, what it says; null: there are several, or none. */
function plainValue(values: readonly Tree[]): string | null {
  const said = values.length === 1 ? constant(values[0]) : undefined
  return typeof said === 'string' ? said : null
}

export function noteSet(facts: Facts, set: Tree): void {
  const name = text(set, 'name').toLowerCase()
  const kind = text(set, 'kind')
  if (kind === 'VAR_RESET_ALL') {
    noteChange(facts, { kind: 'reset-all' })
    return
  }
  if (kind === 'VAR_SET_MULTI') {
    noteTransactionModes(facts, name, list(set, 'args'))
    return
  }
  const command = commandOf(name, kind, set)
  if (command !== null) {
    facts.command = command
    return
  }
  if (name.startsWith('transaction_')) {
    keepOnPrimary(facts, 'sets how its transaction is')
    return
  }
  const local = truth(set, 'is_local')
  if (kind === 'VAR_RESET') {
    noteChange(facts, { kind: 'reset', name })
    return
  }
  if (kind === 'VAR_SET_DEFAULT') {
    noteValue(facts, name, 'default', 'default', local)
    return
  }
  const values = list(set, 'args')
  noteValue(facts, name, valueText(values), plainValue(values), local)
}

function noteChange(facts: Facts, change: SettingChange): void {
  // It takes the role with it.
  if (change.kind === 'reset' && change.name === 'session_authorization') {
    noteUnknown(facts, change.name)
    return
  }
  facts.settings.push(change)
}

/** `sql`: as it can be sent again; `plain`: what it says. */
function noteValue(
  facts: Facts,
  name: string,
  sql: string | null,
  plain: string | null,
  local: boolean,
): void {
  const given = sql === 'default' ? 'on' : plain
  if (isAsynchronous(name, given)) facts.asynchronousCommit = true
  if (name === 'seed') {
    pin(facts, 'random-seed')
    return
  }
  if (!local) notePins(facts, name, given, sql)
  if (sql === null || name === 'session_authorization') {
    // What is local ends with its transaction, which has one connection anyway.
    if (local) noteLocalUnknown(facts, name)
    else noteUnknown(facts, name)
    return
  }
  noteChange(facts, { kind: 'set', name, value: sql, local })
}

function notePins(facts: Facts, name: string, plain: string | null, sql: string | null): void {
  if (sql !== 'default' && changesTheLanguage(name, plain)) pin(facts, 'unknown')
  // Tables are then made as temporary ones without a word that says so.
  if (name === 'search_path' && /^'?\s*"?pg_temp/.test(sql ?? "'pg_temp")) pin(facts, 'temp-table')
}

export function noteUnknown(facts: Facts, name: string | null): void {
  facts.pins |= pinBit('setting')
  noteChange(facts, { kind: 'unknown', name })
}

/** It ends with its transaction; until then texts may mean something else. */
function noteLocalUnknown(facts: Facts, name: string | null): void {
  noteChange(facts, { kind: 'unknown-local', name })
}

function noteTransactionModes(facts: Facts, name: string, values: readonly Tree[]): void {
  // SET TRANSACTION is the transaction's business, and ends with it.
  if (name !== 'session characteristics') {
    keepOnPrimary(facts, 'sets how its transaction is')
    return
  }
  for (const node of values) {
    const mode = field(node, 'DefElem')
    const said = constant(field(mode, 'arg'))
    if (typeof said !== 'string') {
      noteUnknown(facts, null)
      return
    }
    const value =
      text(mode, 'defname') === 'transaction_isolation' ? quoted(said) : said === '1' ? 'on' : 'off'
    noteChange(facts, { kind: 'set', name: `default_${text(mode, 'defname')}`, value, local: false })
  }
}

const prefix = 'tenfold.'

function commandOf(name: string, kind: string, set: Tree): RouterCommand | null {
  if (!name.startsWith(prefix)) return null
  const value = plainValue(list(set, 'args'))
  const given = kind === 'VAR_SET_VALUE'
  if (name === 'tenfold.reads') {
    if (!given) return { kind: 'set-reads', value: null }
    return value === null ? null : { kind: 'set-reads', value }
  }
  if (name !== 'tenfold.after') return null
  return { kind: 'set-after', token: given ? (value ?? '') : '' }
}

export function showCommand(name: string): RouterCommand | null {
  const asked = name.toLowerCase()
  switch (asked) {
    case 'tenfold.route':
    case 'tenfold.token':
    case 'tenfold.reads':
    case 'tenfold.after':
      return { kind: 'show', name: asked }
    default:
      return null
  }
}

/** `certain`: it is called exactly once. */
export function noteSetConfig(facts: Facts, values: readonly Tree[], certain: boolean): void {
  const [name, value, local] = [constant(values[0]), constant(values[1]), constant(values[2])]
  if (typeof name !== 'string' || (isAsynchronous(name.toLowerCase(), asText(value)) && value !== null))
    facts.asynchronousCommit = true
  if (local === true) {
    if (certain && typeof name === 'string' && typeof value === 'string')
      noteChange(facts, { kind: 'set', name: name.toLowerCase(), value: quoted(value), local: true })
    else noteLocalUnknown(facts, typeof name === 'string' ? name.toLowerCase() : null)
    return
  }
  if (!certain || typeof name !== 'string' || local !== false || value === undefined || value === true) {
    noteUnknown(facts, typeof name === 'string' ? name.toLowerCase() : null)
    return
  }
  if (value === null) {
    noteChange(facts, { kind: 'reset', name: name.toLowerCase() })
    return
  }
  noteConfigured(facts, name.toLowerCase(), String(value))
}

const asText = (value: string | boolean | null | undefined): string | null =>
  typeof value === 'string' ? value : null

/** set_config() takes the list of a search path as one text: as one string SET would take it for one schema. */
function noteConfigured(facts: Facts, name: string, value: string): void {
  if (name === 'search_path') {
    const names = splitNames(value)
    if (names === null) noteUnknown(facts, name)
    else noteValue(facts, name, names.map(quoted).join(', ') || "''", names[0] ?? '', false)
    return
  }
  if (listSettings.has(name) && value.includes(',')) {
    noteUnknown(facts, name)
    return
  }
  noteValue(facts, name, quoted(value), value, false)
}

/** Settings that are lists of names (GUC_LIST_INPUT) and may be set in a session. */
const listSettings: ReadonlySet<string> = new Set([
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
  'debug_io_direct',
  'createrole_self_grant',
  'restrict_nonsystem_relation_kind',
])

/** `a, "B c"` as names, folded like PostgreSQL does; null: it is not such a list. */
function splitNames(value: string): readonly string[] | null {
  if (value.trim() === '') return []
  const names = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(?:,|$)/gy)]
  if (names.reduce((sum, match) => sum + match[0].length, 0) !== value.length || /,\s*$/.test(value))
    return null
  return names.map(([, exact, plain]) => exact?.replaceAll('""', '"') ?? (plain ?? '').toLowerCase())
}
