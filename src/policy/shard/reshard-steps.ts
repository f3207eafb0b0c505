// A resharding as a state machine: what its journal and what can be seen say is done next, and what the journal says afterwards.
// The executor acts and keeps; whatever breaks, it asks again, and another executor after it goes on from the same journal.
//
// What is to be cleaned up is in the journal before it is made: from `preparing` on every end leads through `cleaning`,
// `cancelling` or `rolling-back`, and `ending` stands until the last function is gone from the servers. The map that is kept
// decides which way a switch went: a hold that was left behind ends forward where it is kept, else back to how it was.

import type { ShardMap } from './contract.ts'
import type { OperatorWish, ReshardDifferences, ReshardJournal, ReshardStep } from './reshard-contract.ts'

export interface ReshardFacts {
  /** Routers are told to hold, or may have been by who was here before (`heldAtFirst`). */
  readonly holding: boolean
  /** Of the map that is kept. */
  readonly version: number
  /** Shards whose streams are not to be relied on: another primary, or their slots are gone. */
  readonly lost: readonly string[]
}

export type ReshardWork =
  | 'check'
  | 'prepare'
  | 'copy'
  | 'catch-up'
  | 'compare'
  /** What is still applied to tables that are copied again. */
  | 'recopy'
  /** Everybody works by the map that is kept. */
  | 'publish'
  /** What is written now goes to the sources; for as long as nothing else is wished. */
  | 'follow'
  /** What moved is deleted where it was, and all that was made goes. */
  | 'clean'
  /** What was copied is deleted where it came to, and all that was made goes. */
  | 'undo'
  /** The functions that say what a shard holds; no router asks for them any more. */
  | 'forget'

export type ReshardAction =
  | { readonly kind: 'none' }
  /** Until somebody wishes something. */
  | { readonly kind: 'wait' }
  /** Routers hold no more: the map is kept. */
  | { readonly kind: 'end-hold' }
  /** Routers go on as before: servers first. */
  | { readonly kind: 'release'; readonly way: 'forth' | 'back' }
  | { readonly kind: 'go'; readonly step: ReshardStep }
  | { readonly kind: 'begin-again'; readonly shards: readonly string[] }
  | { readonly kind: 'turn'; readonly way: 'forth' | 'back' }
  | { readonly kind: 'work'; readonly work: ReshardWork }

/** What came of a work that may come to something. */
export interface ReshardOutcome {
  /** Of `check`: what is in the way. */
  readonly refused?: string
  /** Of `compare`; null: none. */
  readonly differences?: ReshardDifferences | null
  /** Of `follow`: why there is no way back. */
  readonly backLost?: string
}

// --- what is next ---------------------------------------------------------------------------------------------------

export function nextAction(journal: ReshardJournal, facts: ReshardFacts): ReshardAction {
  if (isOver(journal)) return { kind: 'none' }
  const turned = hasTurned(journal, facts.version)
  if (facts.holding) {
    if (turned) return { kind: 'end-hold' }
    return { kind: 'release', way: journal.step === 'rolling-back' ? 'back' : 'forth' }
  }
  if (journal.ending !== '') return { kind: 'work', work: 'forget' }
  if (isBeforeSwitch(journal)) {
    if (journal.wishes.cancel) return { kind: 'go', step: 'cancelling' }
    if (facts.lost.length > 0 && isPrepared(journal)) return { kind: 'begin-again', shards: facts.lost }
  }
  return actionOf(journal, turned)
}

function actionOf({ step, differences, wishes, backLost }: ReshardJournal, turned: boolean): ReshardAction {
  const work = (one: ReshardWork): ReshardAction => ({ kind: 'work', work: one })
  switch (step) {
    case 'checking':
      return work('check')
    case 'preparing':
      return work('prepare')
    case 'copying':
      return work('copy')
    case 'catching-up':
      return work('catch-up')
    case 'comparing':
      if (differences === null) return work('compare')
      return wishes.recopy ? work('recopy') : { kind: 'wait' }
    case 'holding':
      return { kind: 'turn', way: 'forth' }
    case 'switching':
      // Without the map it was held, and `release` has come first.
      return turned ? work('publish') : { kind: 'release', way: 'forth' }
    case 'reversible':
      if (wishes.finish) return { kind: 'go', step: 'cleaning' }
      if (wishes.rollBack && backLost === '') return { kind: 'go', step: 'rolling-back' }
      return work('follow')
    case 'cleaning':
      return work('clean')
    case 'cancelling':
      return work('undo')
    case 'rolling-back':
      return turned ? work('undo') : { kind: 'turn', way: 'back' }
    default:
      return { kind: 'none' }
  }
}

// --- what the journal says afterwards ---------------------------------------------------------------------------------

/** When it was done; not where it failed: then it is tried again. */
export function afterAction(
  journal: ReshardJournal,
  action: ReshardAction,
  outcome: ReshardOutcome = {},
): Partial<ReshardJournal> {
  switch (action.kind) {
    case 'go':
      return { step: action.step, trouble: '' }
    case 'begin-again':
      return { step: 'copying', differences: null, trouble: '' }
    case 'release':
      return action.way === 'forth' ? { step: 'holding', trouble: '' } : {}
    case 'work':
      return afterWork(journal, action.work, outcome)
    default:
      return {}
  }
}

function afterWork(
  journal: ReshardJournal,
  work: ReshardWork,
  { refused = '', differences = null, backLost = '' }: ReshardOutcome,
): Partial<ReshardJournal> {
  const to = (step: ReshardStep): Partial<ReshardJournal> => ({ step, trouble: '' })
  switch (work) {
    case 'check':
      return refused === '' ? to('preparing') : { step: 'cancelled', trouble: refused }
    case 'prepare':
      return to('copying')
    case 'copy':
      return to('catching-up')
    case 'catch-up':
      return to('comparing')
    case 'compare':
      return differences === null ? to('holding') : { differences, trouble: differencesText(differences) }
    case 'recopy':
      return {
        ...to('copying'),
        copied: withoutDiffering(journal),
        differences: null,
        wishes: { ...journal.wishes, recopy: false },
      }
    case 'publish':
      return to('reversible')
    case 'follow':
      if (backLost === '' || journal.backLost !== '') return {}
      return { backLost, wishes: { ...journal.wishes, rollBack: false } }
    case 'clean':
      return { ending: 'done' }
    case 'undo':
      return { ending: journal.step === 'rolling-back' ? 'rolled-back' : 'cancelled' }
    case 'forget':
      return journal.ending === '' ? {} : to(journal.ending)
  }
}

function withoutDiffering({ copied, differences }: ReshardJournal): ReshardJournal['copied'] {
  const again = differences?.tables ?? {}
  return Object.fromEntries(
    Object.entries(copied).map(([stream, tables]) => [
      stream,
      Object.fromEntries(Object.entries(tables).filter(([table]) => again[stream]?.includes(table) !== true)),
    ]),
  )
}

function differencesText({ count, tables }: ReshardDifferences): string {
  const where = Object.entries(tables).flatMap(([stream, names]) =>
    names.map(name => `${name} between shards ${stream}`),
  )
  return `${count} ${count === 1 ? 'row differs' : 'rows differ'}: ${where.join(', ')}`
}

// --- what an operator may wish ----------------------------------------------------------------------------------------

/** Why not; null: it may be wished. */
export function whyNotWished(journal: ReshardJournal, wish: OperatorWish): string | null {
  const { step, backLost, differences } = journal
  const before = isBeforeSwitch(journal)
  if (isOver(journal)) return `it is over already (${step})`
  switch (wish) {
    case 'cancel':
      if (before || step === 'cancelling') return null
      return step === 'reversible'
        ? 'rows have moved already: roll it back instead'
        : `it can't be cancelled any more (${step})`
    case 'rollBack':
      if (before) return 'rows have not moved yet: cancel it instead'
      if (step !== 'reversible' && step !== 'rolling-back')
        return `it can't be rolled back any more (${step})`
      return backLost === '' ? null : `there is no way back: ${backLost}`
    case 'recopy':
      return step === 'comparing' && differences !== null ? null : 'no rows are known to differ'
    case 'finish':
      return null
  }
}

// --- what a journal means -----------------------------------------------------------------------------------------------

const over: readonly ReshardStep[] = ['done', 'cancelled', 'rolled-back']
const early: readonly ReshardStep[] = [
  'checking',
  'preparing',
  'copying',
  'catching-up',
  'comparing',
  'holding',
]

export function isOver({ step }: Pick<ReshardJournal, 'step'>): boolean {
  return over.includes(step)
}

/** Nothing has switched yet. */
export function isBeforeSwitch({ step }: Pick<ReshardJournal, 'step'>): boolean {
  return early.includes(step)
}

/** The map that the step is about to keep, is kept. */
export function hasTurned({ step, before, next }: ReshardJournal, version: number): boolean {
  return step === 'rolling-back' ? version > next.version : version > before.version
}

/** Whoever was there before may have ended amid a switch: routers stay as they are until it is known which map holds. */
export function heldAtFirst(journal: ReshardJournal, version: number): boolean {
  const { step, ending } = journal
  if (ending !== '' || hasTurned(journal, version)) return false
  return step === 'switching' || step === 'holding' || step === 'rolling-back'
}

/** Families that statements over several shards must read through what a shard holds. */
export function movingFamilies(journal: ReshardJournal): readonly string[] {
  // Before the servers are prepared they could not say what they hold; nothing is copied then.
  if (isOver(journal) || journal.ending !== '' || journal.step === 'preparing' || !isPrepared(journal))
    return []
  return familiesOf(journal)
}

/** Streams have begun: kept when all of it was made. */
function isPrepared({ epochs }: ReshardJournal): boolean {
  return Object.keys(epochs).length > 0
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
