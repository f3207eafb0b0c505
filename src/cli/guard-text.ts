// What the guard has done, why it refused a request, and whether its log is whole, as text for people. Made for 80 columns.
// Pure but for the terminal's colours.

import type { AuditVerdict, GuardExplanationView, GuardRuleView, GuardView } from '../system/index.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

type Paint = Pick<Terminal, 'paint'>
type Screen = Pick<Terminal, 'paint' | 'columns'>

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
const bansShown = 30
/** What is left of a reason in a narrow terminal. */
const reasonCharsMin = 20

export function statusText(view: GuardView, screen: Screen): string {
  return [
    ...policyLines(view),
    '',
    ...ruleLines(view.rules),
    '',
    ...banLines(view, screen),
    '',
    ...closedLines(view, screen),
    auditLine(view, screen),
    ...partLines(view.parts),
  ].join('\n')
}

function policyLines({ policies }: GuardView): string[] {
  const asked = policies.filter(one => one.passed + one.refused + one.answered + one.left > 0)
  const quiet = policies.filter(one => !asked.includes(one)).map(({ name }) => name)
  const rows = asked.map(one => [
    one.name,
    ...[one.passed, one.refused, one.answered, one.left].map(countText),
  ])
  return [
    ...(rows.length === 0 ? [] : tableLines(policyColumns, rows)),
    ...(quiet.length === 0 ? [] : [`no request has come under: ${quiet.join(', ')}`]),
  ]
}

function ruleLines(rules: readonly GuardRuleView[]): string[] {
  if (rules.length === 0) return ['no rule has found anything']
  const most = [...rules].sort((a, b) => b.refused + b.detected - a.refused - a.detected)
  const rows = most
    .slice(0, rulesShown)
    .map(one => [one.step, one.rule, countText(one.refused), countText(one.detected)])
  const more = most.length - rows.length
  return [...tableLines(ruleColumns, rows), ...(more > 0 ? [`... and ${more} rules more (--json)`] : [])]
}

function banLines({ rulings, bans }: GuardView, screen: Screen): string[] {
  const byOperators = rulings.map(({ kind, block, until, by, reason }) => [
    kind === 'allow' ? `${block} (allowed)` : block,
    until === null ? 'taken back' : momentText(until),
    by,
    reason,
  ])
  const byRules = bans.last.map(({ key, until, by, reason }) => [key, momentText(until), by, reason])
  const all = [...byOperators, ...byRules]
  if (all.length === 0) return ['nobody is banned or allowed by command or rule']
  const shown = all.slice(-bansShown)
  const more = rulings.length + bans.count - shown.length
  return [
    ...fitting(banColumns, shown, screen.columns),
    ...(more > 0 ? [`... and ${more} more (--json)`] : []),
  ]
}

/** The last column gives way in a narrow terminal. */
function fitting(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[] {
  const last = columns.length - 1
  const others = tableLines(
    columns,
    rows.map(row => row.map((cell, at) => (at === last ? '' : cell))),
  )
  const used = Math.max(...others.map(line => line.length)) + 2
  const left = width === 0 ? Number.POSITIVE_INFINITY : Math.max(reasonCharsMin, width - used)
  const cut = (text: string): string => (text.length > left ? `${text.slice(0, left - 1)}…` : text)
  return tableLines(
    columns,
    rows.map(row => row.map((cell, at) => (at === last ? cut(cell) : cell))),
  )
}

function closedLines({ closed, messagesDropped }: GuardView, { paint }: Screen): string[] {
  const { banned, tooMany } = closed
  const beyond = tooMany === 0 ? [] : [`${tooMany} beyond the cap of an address`]
  const said = [...(banned === 0 ? [] : [`${banned} of the banned`]), ...beyond]
  return [
    ...(said.length === 0 ? [] : [`connections closed as they came: ${said.join(', ')}`]),
    ...(messagesDropped === 0 ? [] : [paint('red', `${messagesDropped} messages of workers were lost`)]),
  ]
}

function auditLine({ audit }: GuardView, { paint }: Screen): string {
  const { file, written, sampledOut, dropped } = audit
  const sampled = sampledOut > 0 ? `, ${sampledOut} left out by sampling` : ''
  const lost = dropped > 0 ? paint('red', `, ${dropped} lost`) : ''
  return `audit log: ${written} line${written === 1 ? '' : 's'}${sampled}${lost} in ${file}`
}

type Figures = Readonly<Record<string, unknown>>

/** Only what there is something to say of. */
function partLines(parts: GuardView['parts']): string[] {
  return Object.entries(parts).flatMap(([name, figures]) => {
    const text = (partTexts[name] ?? figuresText)(figures)
    return text === '' ? [] : [`${name}: ${text}`]
  })
}

const partTexts: Readonly<Record<string, (figures: Figures) => string>> = {
  limit: ({ live, entries, ...more }) => {
    const rest = figuresText(more)
    return `${String(live)} of ${String(entries)} places count somebody${rest === '' ? '' : `, ${rest}`}`
  },
  room: figures => `${Object.keys(figures).join(', ')} (\`tenfold guard rooms\`)`,
}

/** `foundNoPlace: 3, failed:spent: 2` as `3 found no place, 2 failed: spent`. */
function figuresText(figures: Figures): string {
  return Object.entries(figures)
    .filter(([, value]) => value !== 0 && value !== null && value !== '')
    .map(([name, value]) =>
      typeof value === 'number'
        ? `${value} ${spaced(name)}`
        : `${spaced(name)} ${typeof value === 'object' ? `(${figuresText(value as Figures)})` : String(value)}`,
    )
    .join(', ')
}

const spaced = (name: string): string =>
  name.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`).replace(':', ': ')

const countText = (count: number): string => (count === 0 ? '-' : String(count))

/** To the second: `2026-01-02T03:04:05Z`. */
const momentText = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z')

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
  const { files, lines, chains, open, torn, troubles, head } = verdict
  return [
    `${lines} lines in ${files.length} file${files.length === 1 ? '' : 's'}, ${chains} chain${chains === 1 ? '' : 's'}`,
    ...open.map(
      ({ chain, seq, hash }) =>
        `chain ${chain} is open at line ${seq}: ${hash.slice(0, 16)} (still written, or killed)`,
    ),
    ...(torn > 0 ? [`${torn} line${torn === 1 ? '' : 's'} cut amid being written`] : []),
    ...(head?.at ? [`${head.hash.slice(0, 16)} is there: ${head.at}`] : []),
    ...troubles.map(({ file, line, text }) => paint('red', `${file}:${line} ${text}`)),
    troubles.length === 0
      ? paint('green', 'nothing was changed or removed')
      : paint('red', 'the log is not as it was written'),
  ].join('\n')
}
