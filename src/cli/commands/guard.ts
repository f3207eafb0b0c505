// `tenfold guard [status|ban|allow|unban|explain|verify]`: who is refused and why, and what operators say of addresses.
// Waiting rooms and lotteries: guard-rooms.ts.

import { parseDurationMs } from '../../file/values.ts'
import { Failure } from '../../kit/failure.ts'
import { isBlock } from '../../system/control/contract.ts'
import {
  type AuditVerdict,
  type GuardExplanationView,
  type GuardView,
  verifyAudit,
} from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import type { ExitCode } from '../failure-text.ts'
import { cliFailures } from '../failures.ts'
import { type Column, type Terminal, tableLines } from '../terminal.ts'
import { lottery, rooms } from './guard-rooms.ts'

type Paint = Pick<Terminal, 'paint'>

export const guard: Action = async input => {
  const action = input.args.action ?? 'status'
  if (action === 'status') return show(input, await clientOf(input).guard.status(), statusText)
  if (action === 'verify') return verify(input)
  if (action === 'rooms') return rooms(input)
  if (action === 'lottery') return lottery(input)
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
  text: (view: View, paint: Paint) => string,
): ExitCode {
  terminal.print(json ? JSON.stringify(view) : text(view, terminal))
  return 0
}

function wanted({ args }: CommandInput, what: string): string {
  if (args.what !== undefined) return args.what
  throw new Failure(cliFailures.argumentMissing, `'tenfold guard ${args.action}' needs ${what}.`)
}

function rule(input: CommandInput, kind: 'ban' | 'allow'): Promise<{ text: string }> {
  const block = wanted(input, 'an address or a block')
  if (!isBlock(block))
    throw invalid(`'${block}' is no address such as '192.0.2.7', nor a block such as '192.0.2.0/24'.`)
  const { for: lasts, reason } = input.options
  const said = {
    kind,
    block,
    ...(typeof lasts === 'string' ? { forMs: durationOf(lasts) } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  }
  return clientOf(input).guard.rule(said)
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

async function verify({ terminal, json, file, stateDirectory }: CommandInput): Promise<ExitCode> {
  const verdict = await verifyAudit({ file, stateDirectory })
  terminal.print(json ? JSON.stringify(verdict) : verdictText(verdict, terminal))
  return verdict.troubles.length === 0 ? 0 : 1
}

// --- texts --------------------------------------------------------------------------------------------------------

const right = (title: string): Column => ({ title, align: 'right' })
const policyColumns: readonly Column[] = [
  { title: 'POLICY' },
  right('PASSED'),
  right('REFUSED'),
  right('ANSWERED'),
  right('LEFT'),
]
const ruleColumns: readonly Column[] = [
  { title: 'STEP' },
  { title: 'RULE' },
  right('REFUSED'),
  right('ONLY DETECTED'),
]
const banColumns: readonly Column[] = [
  { title: 'WHO' },
  { title: 'UNTIL' },
  { title: 'BY' },
  { title: 'REASON' },
]
const rulesShown = 30

export function statusText(view: GuardView, { paint }: Paint): string {
  const { policies, rules, rulings, bans, audit, closed } = view
  const most = [...rules].sort((a, b) => b.refused + b.detected - a.refused - a.detected)
  const given = [
    ...rulings.map(({ kind, block, until, by, reason }) => [
      kind === 'allow' ? `${block} (allowed)` : block,
      until ?? '-',
      by,
      reason,
    ]),
    ...bans.last.map(({ key, until, by, reason }) => [key, until, by, reason]),
  ]
  return [
    ...tableLines(
      policyColumns,
      policies.map(one => [one.name, ...[one.passed, one.refused, one.answered, one.left].map(String)]),
    ),
    '',
    ...(most.length === 0
      ? ['no rule has found anything']
      : tableLines(
          ruleColumns,
          most
            .slice(0, rulesShown)
            .map(one => [one.step, one.rule, String(one.refused), String(one.detected)]),
        )),
    ...(most.length > rulesShown ? [`... and ${most.length - rulesShown} rules more (--json)`] : []),
    '',
    ...(given.length === 0 ? ['nobody is banned or allowed'] : tableLines(banColumns, given)),
    ...(bans.count > bans.last.length ? [`... of ${bans.count} bans by rules`] : []),
    '',
    `connections closed as they came: ${closed.banned} of the banned, ${closed.tooMany} beyond the cap`,
    `audit log: ${audit.file}, ${audit.written} lines${audit.sampledOut > 0 ? `, ${audit.sampledOut} left out by sampling` : ''}${audit.dropped > 0 ? paint('red', `, ${audit.dropped} lost`) : ''}`,
    ...Object.entries(view.parts).map(([name, figures]) => `${name}: ${figuresText(figures)}`),
  ].join('\n')
}

function figuresText(figures: Readonly<Record<string, unknown>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ')
}

export function explanationText(view: GuardExplanationView, { paint }: Paint): string {
  const who = [
    view.address,
    ...(view.account === '' ? [] : [`account ${view.account}`]),
    ...(view.session === '' ? [] : [`session ${view.session}`]),
    ...(view.key === '' ? [] : [`key ${view.key}`]),
  ].join(', ')
  const outcome =
    view.outcome === 'refused'
      ? paint('red', `refused with ${view.status} ${view.code}`)
      : paint('yellow', 'would have been refused; the policy only detects')
  return [
    `${paint('bold', view.id)}  ${view.at}`,
    `request  ${view.method} ${view.host}${view.path}`,
    `route    ${view.route || '-'}, policy ${view.policy || '-'}`,
    `from     ${who}`,
    `outcome  ${outcome}`,
    ...(view.risk > 0 ? [`risk     ${view.risk}: ${view.riskReasons.join('; ')}`] : []),
    ...view.findings.flatMap(({ step, rule, text, would, detected }) => [
      '',
      `${step} ${paint('bold', rule)}${detected ? ' (only detected)' : ''}: ${text}`,
      ...(would === undefined ? [] : [`  would have passed: ${would}`]),
    ]),
  ].join('\n')
}

export function verdictText(verdict: AuditVerdict, { paint }: Paint): string {
  const { files, lines, chains, open, torn, troubles } = verdict
  return [
    `${lines} lines in ${files.length} file${files.length === 1 ? '' : 's'}, ${chains} chain${chains === 1 ? '' : 's'}`,
    ...open.map(
      ({ chain, seq, hash }) =>
        `chain ${chain} is open at line ${seq}: ${hash.slice(0, 16)} (still written, or killed)`,
    ),
    ...(torn > 0 ? [`${torn} line${torn === 1 ? '' : 's'} cut amid being written`] : []),
    ...troubles.map(({ file, line, text }) => paint('red', `${file}:${line} ${text}`)),
    troubles.length === 0
      ? paint('green', 'nothing was changed or removed')
      : paint('red', 'the log is not as it was written'),
  ].join('\n')
}
