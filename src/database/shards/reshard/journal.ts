// What is written down of a resharding before it is done, and what routers have to know of it.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import type {
  ReshardIntent,
  ReshardJournal,
  ReshardPlan,
  ReshardStep,
} from '../../../policy/shard/reshard-contract.ts'

const idCharacters = 8

export interface JournalWanted {
  readonly database: string
  readonly intent: ReshardIntent
  readonly before: ShardMap
  readonly plan: Extract<ReshardPlan, { kind: 'change' }>
  /** Deletes what is left behind as soon as rows have moved; there is no way back then. */
  readonly finish: boolean
  /** At random: two reshardings never share a name. */
  readonly number: number
  readonly nowUs: number
}

export function firstJournal({
  database,
  intent,
  before,
  plan,
  finish,
  number,
  nowUs,
}: JournalWanted): ReshardJournal {
  return {
    format: 1,
    id: Math.floor(number * 36 ** idCharacters)
      .toString(36)
      .padStart(idCharacters, '0'),
    database,
    intent,
    step: 'checking',
    before,
    next: plan.next,
    moves: plan.moves,
    joining: plan.joining,
    copied: {},
    epochs: {},
    identities: {},
    backLost: '',
    pauseMs: -1,
    wishes: { finish, cancel: false, rollBack: false },
    trouble: '',
    begunAt: nowUs,
  }
}

const over: readonly ReshardStep[] = ['done', 'cancelled', 'rolled-back']

export function isOver({ step }: Pick<ReshardJournal, 'step'>): boolean {
  return over.includes(step)
}

/** Nothing has switched yet. */
export function isBeforeSwitch({ step }: Pick<ReshardJournal, 'step'>): boolean {
  return ['checking', 'preparing', 'copying', 'catching-up', 'comparing', 'holding'].includes(step)
}

/** Families that statements over several shards must read through what a shard holds. */
export function movingFamilies(journal: ReshardJournal): readonly string[] {
  // Before the servers are prepared they could not say what they hold; nothing is copied then.
  const prepared = Object.keys(journal.epochs).length > 0
  if (isOver(journal) || journal.step === 'preparing' || !prepared) return []
  return familiesOf(journal)
}

export function familiesOf({ moves }: Pick<ReshardJournal, 'moves'>): readonly string[] {
  return [...new Set(moves.map(({ family }) => family))]
}

/** The map after a way back: versions only grow. */
export function returnedMap({ before, next }: Pick<ReshardJournal, 'before' | 'next'>): ShardMap {
  return { ...before, version: next.version + 1 }
}

/** Slots and origins are of one server and its successors without loss: whose primary was replaced begins again. */
export function epochsChanged(journal: ReshardJournal, epoch: (shard: string) => number): readonly string[] {
  return Object.entries(journal.epochs).flatMap(([shard, known]) => (epoch(shard) === known ? [] : [shard]))
}
