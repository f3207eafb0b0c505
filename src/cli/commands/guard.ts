// `tenfold guard [status|ban|allow|unban|explain|verify]`: who is refused and why, and what operators say of addresses.
// Waiting rooms and lotteries: guard-rooms.ts; keys and passwords: guard-key.ts.

import { parseDurationMs } from '../../file/values.ts'
import { Failure } from '../../kit/failure.ts'
import { isBlock } from '../../system/control/contract.ts'
import { verifyAudit } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import type { ExitCode } from '../failure-text.ts'
import { cliFailures } from '../failures.ts'
import { explanationText, statusText, verdictText } from '../guard-text.ts'
import type { Terminal } from '../terminal.ts'
import { key, password } from './guard-key.ts'
import { lottery, rooms } from './guard-rooms.ts'

const guardWideCode = 'GUARD_RULING_WIDE'

export const guard: Action = async input => {
  const action = input.args.action ?? 'status'
  if (action === 'status') return show(input, await clientOf(input).guard.status(), statusText)
  if (action === 'verify') return verify(input)
  if (action === 'rooms') return rooms(input)
  if (action === 'lottery') return lottery(input)
  if (action === 'key') return key(input)
  if (action === 'password') return password(input)
  if (action === 'explain') {
    const id = wanted(input, 'the id of a request')
    return show(input, await clientOf(input).guard.explain(id), explanationText)
  }
  const said = await (action === 'unban' ? unban(input) : rule(input, action as 'ban' | 'allow'))
  return show(input, said, ({ text }) => text)
}

function show<View>(
  { terminal, json }: CommandInput,
  view: View,
  text: (view: View, terminal: Terminal) => string,
): ExitCode {
  terminal.print(json ? JSON.stringify(view) : text(view, terminal))
  return 0
}

function wanted({ args }: CommandInput, what: string): string {
  if (args.what !== undefined) return args.what
  throw new Failure(cliFailures.argumentMissing, `'tenfold guard ${args.action}' needs ${what}.`)
}

async function rule(input: CommandInput, kind: 'ban' | 'allow'): Promise<{ text: string }> {
  const block = wanted(input, 'an address or a block')
  if (!isBlock(block))
    throw invalid(`'${block}' is no address such as '192.0.2.7', nor a block such as '192.0.2.0/24'.`)
  const { for: lasts, reason, yes } = input.options
  // Of a login by SSH: `ADDRESS PORT ADDRESS PORT`.
  const operatorAt = process.env.SSH_CONNECTION?.split(' ')[0]
  const said = {
    kind,
    block,
    ...(typeof lasts === 'string' ? { forMs: durationOf(lasts) } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(operatorAt === undefined || !isBlock(operatorAt) ? {} : { operatorAt }),
    ...(yes === true ? { sure: true } : {}),
  }
  const client = clientOf(input)
  try {
    return await client.guard.rule(said)
  } catch (failure) {
    if (!(await confirmed(input, failure))) throw failure
    return client.guard.rule({ ...said, sure: true })
  }
}

/** Only what reaches further than one should is asked, and only where somebody can answer. */
async function confirmed({ terminal, json }: CommandInput, failure: unknown): Promise<boolean> {
  if (json || !(failure instanceof Failure) || failure.code !== guardWideCode) return false
  return (await terminal.ask(`${failure.message} Type 'yes' if it is meant: `)) === 'yes'
}

function unban(input: CommandInput): Promise<{ text: string }> {
  const what = wanted(input, 'an address, a block or what `guard status` shows')
  return clientOf(input).guard.unban(what)
}

function durationOf(text: string): number {
  const ms = parseDurationMs(text)
  if (ms === undefined || ms < 1_000)
    throw invalid(`--for: '${text}' is no duration of a second or more, such as '1h'.`)
  return ms
}

function invalid(sentence: string): Failure {
  return new Failure(cliFailures.optionInvalid, sentence)
}

const headPattern = /^[0-9a-f]{16,64}$/

async function verify(input: CommandInput): Promise<ExitCode> {
  const { terminal, json, file, stateDirectory, options } = input
  if (options.head !== undefined && !headPattern.test(String(options.head)))
    throw invalid(`--head: '${options.head}' is not the beginning of a SHA-256, 16 to 64 of 0-9 and a-f.`)
  const head = typeof options.head === 'string' ? options.head : await headNow(input)
  const verdict = await verifyAudit({ file, stateDirectory }, head)
  terminal.print(json ? JSON.stringify(verdict) : verdictText(verdict, terminal))
  return verdict.troubles.length === 0 ? 0 : 1
}

/** What the edge wrote last: of a system that runs, lines that were cut off the end are noticed too. */
async function headNow(input: CommandInput): Promise<string | undefined> {
  try {
    return (await clientOf(input).guard.status()).audit.head?.hash
  } catch (failure) {
    // Nobody runs it, or it can't say: the log is held against itself alone.
    if (failure instanceof Failure) return undefined
    throw failure
  }
}
