// The beginning of a split: what its shards say of the table, and the first journal. Changes nothing.

import type { SplitAsk, SplitDecision, SplitJournal, SplitPlan } from '../../policy/split-columns/contract.ts'
import { planSplit, splitEstimate } from '../../policy/split-columns/plan.ts'
import { type Ask, readFacts } from './facts.ts'

export interface SplitLook {
  readonly decision: SplitDecision
  /** Over all shards. */
  readonly rows: number
  readonly bytes: number
  readonly coldBytes: number
  readonly hotBytes: number
}

/** @param shards '' where there are none */
export async function lookAtSplit(ask: Ask, shards: readonly string[], wanted: SplitAsk): Promise<SplitLook> {
  const all = await Promise.all(shards.map(shard => readFacts(ask, shard, wanted)))
  const decisions = all.map(facts => planSplit(wanted, facts))
  const why = new Set<string>()
  for (const [at, one] of decisions.entries())
    if (one.kind === 'refused')
      for (const sentence of one.why)
        why.add(shards.length === 1 ? sentence : `Shard ${shards[at]}: ${sentence}`)
  const [first] = decisions
  const shapes = new Set(decisions.map(one => (one.kind === 'plan' ? shapeOf(one.plan) : '')))
  if (why.size === 0 && shapes.size > 1)
    why.add(
      `The shards have different definitions of '${wanted.table}': \`tenfold db drift\` shows how; make them the same.`,
    )
  const sum = (number: (at: number) => number): number => all.reduce((total, _, at) => total + number(at), 0)
  const estimates = all.map((facts, at) => {
    const one = decisions[at]
    return one?.kind === 'plan'
      ? splitEstimate(facts, one.plan.cold, one.plan.key)
      : { coldBytes: 0, hotBytes: 0 }
  })
  return {
    decision: why.size > 0 || first === undefined ? { kind: 'refused', why: [...why] } : first,
    rows: sum(at => Math.max(0, all[at]?.rows ?? 0)),
    bytes: sum(at => all[at]?.bytes ?? 0),
    coldBytes: sum(at => estimates[at]?.coldBytes ?? 0),
    hotBytes: sum(at => estimates[at]?.hotBytes ?? 0),
  }
}

/** What is the same on all shards; the widths of values are not. */
function shapeOf({ columns, ...rest }: SplitPlan): string {
  return JSON.stringify({ ...rest, columns: columns.map(column => ({ ...column, width: 0 })) })
}

export interface SplitWanted {
  readonly database: string
  readonly plan: SplitPlan
  readonly shards: readonly string[]
  readonly finish: boolean
  /** At random: two splits never share a name. */
  readonly number: number
  readonly nowUs: number
}

const idCharacters = 8

export function firstSplitJournal({
  database,
  plan,
  shards,
  finish,
  number,
  nowUs,
}: SplitWanted): SplitJournal {
  const fresh = {
    after: null,
    copied: false,
    compared: false,
    rows: 0,
    epoch: -1,
    pauseMs: -1,
    rewritten: false,
  }
  return {
    format: 1,
    id: number
      .toString(36)
      .slice(2, 2 + idCharacters)
      .padEnd(idCharacters, '0'),
    database,
    step: 'preparing',
    plan,
    shards: Object.fromEntries(shards.map(shard => [shard, fresh])),
    wishes: { cancel: false, undo: false, finish, rewrite: false },
    trouble: '',
    begunAt: nowUs,
  }
}
