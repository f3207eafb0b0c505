// `tenfold guard key new NAME | list [NAME] | revoke ID` and `tenfold guard password USER`: who may ask without a browser.
// A key is shown once, and a password never.

import { parseDurationMs } from '../../file/values.ts'
import { Failure } from '../../kit/failure.ts'
import { addKey, type KeyView, listKeys, passwordEntry, revokeKey } from '../../system/index.ts'
import type { CommandInput } from '../command.ts'
import type { ExitCode } from '../failure-text.ts'
import { cliFailures } from '../failures.ts'
import { type Column, tableLines } from '../terminal.ts'
import { readPassword } from './password-entry.ts'

const columns: readonly Column[] = ['ID', 'OF', 'HOLDER', 'SCOPES', 'EXPIRES', 'CREATED'].map(title => ({
  title,
}))
/** RFC 6749 3.3. */
const scopeForm = /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/
const scopesMax = 50
const yearsMs = 100 * 365 * 86_400_000

export async function key(input: CommandInput): Promise<ExitCode> {
  const { what, mode: name } = input.args
  if (what === 'list') return list(input)
  if (what !== 'new' && what !== 'revoke')
    throw new Failure(
      cliFailures.argumentMissing,
      "'tenfold guard key' needs one of new NAME, list, revoke ID.",
    )
  if (name === undefined)
    throw new Failure(
      cliFailures.argumentMissing,
      `'tenfold guard key ${what}' needs ${what === 'new' ? 'a name of guard.identity.keys' : 'the id of a key'}.`,
    )
  return what === 'new' ? make(input, name) : revoke(input, name)
}

async function make(input: CommandInput, name: string): Promise<ExitCode> {
  const { terminal, json, options } = input
  // Where nobody looks, output ends in logs.
  if (!terminal.interactive && !json && options.print !== true)
    throw invalid('The key would go where nobody looks: --print or --json if that is meant.')
  const made = await addKey(input, name, {
    holder: holderOf(options.holder, name),
    scopes: scopesOf(options.scopes),
    ...expiryOf(options.expires, Date.now()),
  })
  terminal.print(json ? JSON.stringify({ ...made.stored, key: made.key, file: made.file }) : made.key)
  if (!json) terminal.complain(`This is shown once. ${made.file} has its hash; its id is ${made.stored.id}.`)
  return 0
}

async function list(input: CommandInput): Promise<ExitCode> {
  const views = await listKeys(input, input.args.mode)
  input.terminal.print(
    input.json ? JSON.stringify({ keys: views }) : keysText(views.flatMap(({ keys }) => keys)),
  )
  return 0
}

export function keysText(keys: readonly KeyView[], nowMs: number = Date.now()): string {
  if (keys.length === 0) return 'there are no keys'
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
  const rows = keys.map(({ id, name, holder, scopes, expires, created }) => [
    id,
    name,
    holder,
    scopes.join(' ') || '-',
    expires === undefined ? 'never' : expires < nowMs ? 'is over' : day(expires),
    day(created),
  ])
  return tableLines(columns, rows).join('\n')
}

async function revoke(input: CommandInput, id: string): Promise<ExitCode> {
  const gone = await revokeKey(input, id.replace(/^tfk_/, ''))
  const text = `the key ${gone.id} of ${gone.holder} is revoked: it is refused within a few seconds`
  input.terminal.print(input.json ? JSON.stringify(gone) : text)
  return 0
}

function holderOf(holder: string | boolean | undefined, name: string): string {
  if (typeof holder !== 'string') return name
  if (!/^[^\p{Cc}]{1,200}$/u.test(holder) || holder.trim() !== holder)
    throw invalid('--holder: 1 to 200 characters, without control characters, or blanks around them.')
  return holder
}

function scopesOf(text: string | boolean | undefined): readonly string[] {
  const scopes = typeof text === 'string' ? [...new Set(text.split(/[\s,]+/).filter(one => one !== ''))] : []
  const wrong = scopes.find(one => !scopeForm.test(one))
  if (wrong !== undefined) throw invalid(`--scopes: '${wrong}' is no scope such as 'orders:read'.`)
  if (scopes.length > scopesMax) throw invalid(`--scopes: ${scopes.length} are more than ${scopesMax}.`)
  return scopes
}

/** A duration from now, or a date. */
function expiryOf(text: string | boolean | undefined, nowMs: number): { expires?: number } {
  if (typeof text !== 'string') return {}
  const lasts = parseDurationMs(text)
  const until =
    lasts === undefined && /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : nowMs + (lasts ?? Number.NaN)
  if (!(until > nowMs && until < nowMs + yearsMs))
    throw invalid(
      `--expires: '${text}' is no duration such as '90d', and no date to come such as '2030-01-31'.`,
    )
  return { expires: until }
}

function invalid(sentence: string): Failure {
  return new Failure(cliFailures.optionInvalid, sentence)
}

export async function password({ args, terminal, json }: CommandInput): Promise<ExitCode> {
  const name = args.what
  if (name === undefined)
    throw new Failure(cliFailures.argumentMissing, "'tenfold guard password' needs the name of a user.")
  if (!/^[^:#\p{Cc}\s][^:\p{Cc}]{0,199}$/u.test(name) || name.trimEnd() !== name)
    throw invalid(`'${name}' is no name of a user: up to 200 characters without ':', not beginning with '#'.`)
  const line = (await passwordEntry(name, await readPassword())).trimEnd()
  terminal.print(json ? JSON.stringify({ line }) : line)
  return 0
}
