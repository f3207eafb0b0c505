// What is written down of a resharding before anything is done.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import type { ReshardIntent, ReshardJournal, ReshardPlan } from '../../../policy/shard/reshard-contract.ts'

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
    wishes: { finish, cancel: false, rollBack: false, recopy: false },
    differences: null,
    ending: '',
    trouble: '',
    begunAt: nowUs,
  }
}
