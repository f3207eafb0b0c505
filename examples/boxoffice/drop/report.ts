// What a drop came to, as figures and as Markdown. Pure.

import type { Group, Outcome } from './crowd.ts'

/** By the database, after the end. */
export interface Ledger {
  readonly stock: number
  readonly sold: number
  /** The most that one account has. */
  readonly mostEach: number
}

export interface Run {
  readonly guard: 'on' | 'off'
  readonly outcome: Outcome
  readonly ledger: Ledger
}

export const botSeats = ({ bots }: Outcome): number => bots.reduce((sum, group) => sum + group.seats, 0)

/** Of the seats that anybody got, 0 to 1. */
export function shareOfPeople(outcome: Outcome): number {
  return outcome.people.seats / Math.max(1, outcome.people.seats + botSeats(outcome))
}

export function quantile(sorted: readonly number[], share: number): number | null {
  return sorted.length === 0
    ? null
    : (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number)
}

/** Refusals of all groups together, the commonest first. */
export function refusalsOf({ people, bots }: Outcome): [string, number][] {
  const sums = new Map<string, number>()
  for (const { refusals } of [people, ...bots])
    for (const [code, times] of Object.entries(refusals)) sums.set(code, (sums.get(code) ?? 0) + times)
  return [...sums].sort((a, b) => b[1] - a[1])
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
const seconds = (ms: number | null): string => (ms === null ? '-' : `${(ms / 1_000).toFixed(1)} s`)

type Row = readonly [string, (run: Run) => string]
const rows: readonly Row[] = [
  ['seats that people got', ({ outcome, ledger }) => `${outcome.people.seats} of ${ledger.stock}`],
  ['share of people', ({ outcome }) => percent(shareOfPeople(outcome))],
  ['people who got seats', ({ outcome }) => String(outcome.people.winners)],
  ['most seats of one account', ({ ledger }) => String(ledger.mostEach)],
  ['oversold', ({ ledger }) => String(Math.max(0, ledger.sold - ledger.stock))],
  ['sold out after', ({ outcome }) => seconds(outcome.soldOutAfterMs)],
  ['wait of people who came to the form: median', ({ outcome }) => seconds(quantile(outcome.waitsMs, 0.5))],
  ['... 95th percentile', ({ outcome }) => seconds(quantile(outcome.waitsMs, 0.95))],
  ['proofs of work that were solved', ({ outcome }) => String(outcome.solved)],
  ['requests', ({ outcome }) => outcome.requests.toLocaleString('en')],
]

export function tables(runs: readonly Run[]): string {
  const main = [
    `| | ${runs.map(run => `guard ${run.guard}`).join(' | ')} |`,
    `|---|${'---:|'.repeat(runs.length)}`,
    ...rows.map(([name, of]) => `| ${name} | ${runs.map(of).join(' | ')} |`),
  ]
  return [main.join('\n'), kinds(runs), refusals(runs)].join('\n\n')
}

function kinds(runs: readonly Run[]): string {
  const of = (run: Run): readonly Group[] => [run.outcome.people, ...run.outcome.bots]
  const first = of(runs[0] as Run)
  return [
    `| who | clients | accounts | ${runs.map(run => `seats, guard ${run.guard}`).join(' | ')} |`,
    `|---|---:|---:|${'---:|'.repeat(runs.length)}`,
    ...first.map(
      ({ name, what, clients, accounts }, index) =>
        `| ${name}: ${what} | ${clients} | ${accounts} | ${runs.map(run => of(run)[index]?.seats).join(' | ')} |`,
    ),
  ].join('\n')
}

function refusals(runs: readonly Run[]): string {
  return runs
    .map(({ guard, outcome }) => {
      const all = refusalsOf(outcome).map(([code, times]) => `${code} ${times}`)
      const people = Object.entries(outcome.people.refusals).map(([code, times]) => `${code} ${times}`)
      return `Refused, guard ${guard}: ${all.join(', ') || 'nothing'}. Of these to people: ${people.join(', ') || 'none'}.`
    })
    .join('\n\n')
}
