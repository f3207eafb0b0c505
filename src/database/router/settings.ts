// Settings of sessions (SET, startup parameters), so that a server connection can be made to have those of whoever uses it.
// Sets are values, made once for the same content, so that "is it the same?" is one comparison on the hot path.
// What a statement does to settings is the parser's finding (`sql/contract.ts`); SET LOCAL is PostgreSQL's own matter.

import type { SettingChange } from '../sql/contract.ts'

/** What the server says of itself in ParameterStatus. */
export interface ParameterSet {
  readonly values: ReadonlyMap<string, string>
  /** Clients with these speak UTF-8. */
  readonly utf8: boolean
}

export class SettingsSet {
  /** By name: the statement that makes it so. */
  readonly values: ReadonlyMap<string, string>
  readonly key: string
  /** A server in recovery refuses transactions of these sessions: serializable by default. */
  readonly primaryOnly: boolean
  /** Commits of these sessions may be acknowledged before they are flushed. */
  readonly asynchronousCommit: boolean
  /** What decides how a text is understood: two sessions share a prepared statement only if theirs is the same. */
  readonly meaning: string
  /** Replaying it can't fail, so statements may be sent behind it at once. */
  readonly certain: boolean
  /** By user: what a server connection with these settings reports. Whoever is in here has been accepted by a server. */
  readonly reported: Map<string, ParameterSet> = new Map()

  constructor(values: ReadonlyMap<string, string>, key: string) {
    this.values = values
    this.key = key
    this.primaryOnly = /serializable/i.test(values.get('default_transaction_isolation') ?? '')
    this.asynchronousCommit = values.has('synchronous_commit')
    const meant = [...values].filter(([name]) => changesMeaning(name))
    this.meaning = meant.map(([name, text]) => `${name}\0${text}\0`).join('')
    this.certain = !fallible.some(name => values.has(name))
  }
}

/** Rights and names that were there may be gone: what follows would then run with more rights, or elsewhere, than it says. */
const fallible = [
  'role',
  'default_tablespace',
  'temp_tablespaces',
  'default_table_access_method',
  'default_text_search_config',
]

/**
 * Settings that no text's meaning depends on: names of one's own, limits, what is said and how fast. Anything else may: a
 * literal is read when its statement is prepared ('1.2.2026'::date by DateStyle and TimeZone), names by search_path.
 */
export function changesMeaning(name: string): boolean {
  return (
    !name.includes('.') &&
    !/^(application_name|client_min_messages|extra_float_digits|jit|synchronous_commit)$|_timeout$|_mem$|_cost$|^(log|enable|max_parallel)_/.test(
      name,
    )
  )
}

/** Sets that are remembered, and characters of them; beyond it all are forgotten, which costs a comparison by content. */
const setsMax = 10_000
const charactersMax = 8 * 1024 * 1024
/** A session that sets more, or longer texts, keeps its connection instead: each change makes a set of all of them. */
const settingsMax = 200
const settingsCharactersMax = 64 * 1024

export class SettingsBook {
  readonly none: SettingsSet = new SettingsSet(new Map(), '')
  readonly #sets = new Map<string, SettingsSet>([['', this.none]])
  #characters = 0
  readonly #parameters = new Map<string, ParameterSet>()

  get size(): number {
    return this.#sets.size
  }

  of(values: ReadonlyMap<string, string>): SettingsSet {
    const names = [...values.keys()].sort()
    const key = names.map(name => `${name}\0${values.get(name)}\0`).join('')
    const known = this.#sets.get(key)
    if (known !== undefined) return known
    this.#characters += key.length
    if (this.#sets.size >= setsMax || this.#characters > charactersMax) {
      this.#sets.clear()
      this.#sets.set('', this.none)
      this.#characters = key.length
    }
    const made = new SettingsSet(new Map(names.map(name => [name, values.get(name) as string])), key)
    this.#sets.set(key, made)
    return made
  }

  parameters(values: ReadonlyMap<string, string>): ParameterSet {
    const names = [...values.keys()].sort()
    const key = names.map(name => `${name}\0${values.get(name)}\0`).join('')
    const known = this.#parameters.get(key)
    if (known !== undefined) return known
    if (this.#parameters.size >= setsMax) this.#parameters.clear()
    const encoding = values.get('client_encoding') ?? 'UTF8'
    const made: ParameterSet = {
      values: new Map(names.map(name => [name, values.get(name) as string])),
      utf8: encoding === 'UTF8',
    }
    this.#parameters.set(key, made)
    return made
  }

  /** A role is none of the settings that RESET ALL resets (GUC_NO_RESET_ALL). */
  #allReset(before: SettingsSet, startup: SettingsSet): SettingsSet {
    const role = before.values.get('role')
    if (role === startup.values.get('role')) return startup
    const values = new Map(startup.values)
    if (role === undefined) values.delete('role')
    else values.set('role', role)
    return this.of(values)
  }

  /** @param startup what RESET goes back to */
  changed(before: SettingsSet, startup: SettingsSet, change: SettingChange): SettingsSet {
    if (change.kind === 'reset-all') return this.#allReset(before, startup)
    if (change.kind === 'discard') return change.what === 'all' ? startup : before
    if (change.kind === 'unknown' || change.kind === 'unknown-local') return before
    if (change.kind === 'set' && change.local) return before
    const values = new Map(before.values)
    const name = change.name.toLowerCase()
    const back = change.kind === 'reset' || /^default$/i.test(change.value)
    const text = back
      ? startup.values.get(name)
      : `SET ${settingName(name)} TO ${(change as { value: string }).value}`
    if (text === undefined) values.delete(name)
    else values.set(name, text)
    return this.of(values)
  }
}

/** Is it too much to be made anew on connection after connection? */
export function isUnwieldy({ values, key }: SettingsSet): boolean {
  return values.size > settingsMax || key.length > settingsCharactersMax
}

export function sameSettings(one: SettingsSet, other: SettingsSet): boolean {
  return one === other || one.key === other.key
}

/** The statements that make a server connection with settings `from` one with settings `to`; '' for none. */
export function settingsDifference(from: SettingsSet, to: SettingsSet): string {
  const texts: string[] = []
  for (const name of from.values.keys()) if (!to.values.has(name)) texts.push(`RESET ${settingName(name)}`)
  for (const [name, text] of to.values) if (from.values.get(name) !== text) texts.push(text)
  return texts.join(';')
}

/** As a startup packet means it: a list is a list, which a literal in SET would not be. */
export function startupSetting(name: string, value: string): string {
  return `SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`
}

function literal(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return text.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

/** `work_mem`, `"TimeZone"`, `"app"."user"`: part of a name of one's own may be a word of SQL, so those are quoted. */
function settingName(name: string): string {
  const parts = name.split('.')
  const plain = (part: string): boolean => parts.length === 1 && /^[a-z_][a-z0-9_$]*$/.test(part)
  return parts.map(part => (plain(part) ? part : `"${part.replaceAll('"', '""')}"`)).join('.')
}

/** `-c name=value --name=value`, backslash before a space keeps it (libpq's `options`). Null: not understood. */
export function commandLineSettings(options: string): Map<string, string> | null {
  const words = (options.match(/(?:\\.|[^\s\\])+/g) ?? []).map(word => word.replace(/\\(.)/g, '$1'))
  const found = new Map<string, string>()
  for (let at = 0; at < words.length; at++) {
    let word = words[at] as string
    if (word === '-c') word = words[++at] ?? ''
    else if (word.startsWith('-c') || word.startsWith('--')) word = word.slice(2)
    else return null
    const equals = word.indexOf('=')
    if (equals < 1) return null
    found.set(word.slice(0, equals).replaceAll('-', '_').toLowerCase(), word.slice(equals + 1))
  }
  return found
}
