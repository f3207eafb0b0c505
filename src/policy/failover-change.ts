// A change of the primary, phase by phase (`FailoverChange` in the model lists them). Always in this order: hold, fence,
// choose, promote, open; a shell that died anywhere begins again at the phase that is on disk.

import type { FailoverChange, FailoverState, FailoverStep, SeenServer } from './failover-model.ts'
import { promisesNothing, proofOf, quorumText } from './failover-proof.ts'
import { startSteps } from './failover-repair.ts'
import { wantedQuorum } from './failover-synchronous.ts'
import {
  candidatesOf,
  type FailoverView,
  type Outcome,
  promotable,
  settledIds,
  streamsNow,
  verdict,
  withJournal,
  withName,
} from './failover-view.ts'

/** Bytes that the target of a switchover may lack when the primary is stopped: sent within the stop. */
const catchUpBytes = 1_048_576
/** Restarts of a server that was to be promoted before another is chosen. */
const promotionsMax = 5

export function proceed(view: FailoverView, change: FailoverChange): Outcome {
  switch (change.phase) {
    case 'hold':
      return holdOutcome(view, change)
    case 'stop':
      return outcome(
        view.state,
        [
          { kind: 'stop', server: change.from, why: `${change.to} takes over` },
          { kind: 'promote', server: change.to!, why: change.why },
          { kind: 'open', why: change.why },
        ],
        change,
      )
    case 'fence':
      return fenceOutcome(view, change)
    case 'choose':
      return chooseOutcome(view, change)
    case 'promote':
      return promoteOutcome(view, change)
  }
}

function outcome(
  state: FailoverState,
  steps: readonly FailoverStep[],
  change: FailoverChange,
  trouble: string = change.why,
): Outcome {
  return { state, steps, why: `${change.kind} from ${change.from}: ${trouble}`, trouble }
}

/** @param nowUs the phase begins now: only looks from here on count */
export function inPhase(
  state: FailoverState,
  nowUs: number,
  change: FailoverChange,
  part: Partial<FailoverChange>,
): FailoverState {
  return { ...withJournal(state, { change: { ...change, ...part } }), phaseUs: nowUs }
}

function holdOutcome(view: FailoverView, change: FailoverChange): Outcome {
  const { state, nowUs } = view
  const standing = verdict(view, change.from)
  if (standing === 'dead' || standing === 'hung' || standing === 'unwritable')
    return givenUp(view, change, `${change.from}: ${state.watch[change.from]?.problem}`)
  if (nowUs - state.phaseUs > view.settings.switchoverWaitMs * 1_000)
    return givenUp(view, change, lateWhy(view, change))
  if (!state.held) return outcome(state, [{ kind: 'hold', why: change.why }], change)
  if (!state.drained)
    return outcome(state, [{ kind: 'drain', why: 'transactions end before the primary is stopped' }], change)
  if (!caughtUp(view, change)) {
    const why = `${change.to} catches up`
    return outcome(state, [{ kind: 'wait', why }], change, why)
  }
  const next = { ...change, phase: 'stop' } as const
  return proceed({ ...view, state: inPhase(state, nowUs, change, next) }, next)
}

function lateWhy(view: FailoverView, change: FailoverChange): string {
  const limit = `within ${view.settings.switchoverWaitMs / 1_000} s`
  return view.state.drained ? `${change.to} did not catch up ${limit}` : `transactions did not end ${limit}`
}

/** Nothing has changed yet: what must happen now is decided as if it had never begun. */
function givenUp(view: FailoverView, change: FailoverChange, why: string): Outcome {
  const ended = withJournal(view.state, { change: null })
  // Routers hold: the same epoch is opened to them once more.
  const state = { ...ended, held: false, drained: false, openedEpoch: 0 }
  return { state, steps: [], why: `the switchover to ${change.to} was given up: ${why}`, trouble: '' }
}

function caughtUp(view: FailoverView, change: FailoverChange): boolean {
  const primary = view.seen.get(change.from)
  const target = primary?.standbys.find(one => one.id === change.to)
  if (primary === undefined || target === undefined || primary.beganUs < view.state.phaseUs) return false
  return target.streaming && primary.lsn - target.flushLsn <= catchUpBytes
}

function fenceOutcome(view: FailoverView, change: FailoverChange): Outcome {
  const { fenced } = view.state.journal
  const state = withJournal(view.state, { fenced: withName(fenced, change.from) })
  const hold: FailoverStep[] = state.held ? [] : [{ kind: 'hold', why: change.why }]
  const best = change.to ?? candidatesOf(view, change.from, 0)[0]?.id
  const later: FailoverStep[] =
    best === undefined
      ? []
      : [
          { kind: 'promote', server: best, why: 'the furthest, if it still is when nobody writes' },
          { kind: 'open', why: change.why },
        ]
  return outcome(state, [...hold, { kind: 'fence', server: change.from, why: change.why }, ...later], change)
}

/** Nobody writes now: what candidates have is final. */
function chooseOutcome(view: FailoverView, change: FailoverChange): Outcome {
  const { state, nowUs, settings } = view
  const all = candidatesOf(view, change.from, state.phaseUs)
  const settled = all.filter(one => one.settled)
  const late = nowUs - state.phaseUs >= settings.proofWaitMs * 1_000
  const starts = startSteps(view, change.from)
  const waiting = (why: string): Outcome =>
    outcome(
      state,
      [...starts, late ? { kind: 'ask', why: `${why}; ${askText}` } : { kind: 'wait', why }],
      change,
      late ? `${why}; ${askText}` : why,
    )
  const best = change.lossy ? (all.find(one => one.id === change.to) ?? all[0]) : chosen(settled, change)
  if (best === undefined) return waiting('no replica that may be promoted answers')
  const why = whyNotYet(view, change, all)
  if (why !== '') return waiting(why)
  const next = { ...change, phase: 'promote', to: best.id } as const
  return promoteOutcome({ ...view, state: inPhase(state, nowUs, change, next) }, next)
}

const askText =
  'start them again, or accept that acknowledged commits may be missing: `tenfold db failover --lossy`'

/** The furthest; the named one where it is as far. */
function chosen(settled: readonly SeenServer[], change: FailoverChange): SeenServer | undefined {
  const furthest = settled[0]
  const named = settled.find(one => one.id === change.to)
  return named !== undefined && named.lsn >= furthest!.lsn ? named : furthest
}

function whyNotYet(view: FailoverView, change: FailoverChange, all: readonly SeenServer[]): string {
  if (change.lossy) return ''
  const { journal, phaseUs } = view.state
  const proof = proofOf(journal.quorums, settledIds(all))
  const cleanly = change.clean && all.some(one => one.settled && one.id === change.to)
  if (!proof.proved && !cleanly) return proof.why
  const waited = view.nowUs - phaseUs >= view.settings.answerWaitMs * 1_000
  if (!promisesNothing(journal.quorums) || cleanly || waited) return ''
  const absent = promotable(view, change.from)
    .map(member => member.id)
    .filter(id => !all.some(one => one.id === id && one.settled))
  return absent.length > 0 ? `${absent.join(', ')} may be further` : ''
}

function promoteOutcome(view: FailoverView, change: FailoverChange): Outcome {
  const to = change.to!
  const standing = verdict(view, to)
  if (standing === 'dead' || standing === 'hung') return reviveOutcome(view, change, to)
  const quorum = wantedQuorum(withoutPrimary(view, change.from), to)
  const names = quorumText(quorum)
  const { journal, synchronous } = view.state
  const set = synchronous?.server === to && synchronous.text === names
  const known = quorumText(journal.quorums.at(-1) ?? { need: 0, names: [] }) === names
  const quorums =
    known && journal.quorums.length > 0 ? journal.quorums : [...journal.quorums.slice(-7), quorum]
  const first: FailoverStep[] = set
    ? []
    : [
        {
          kind: 'synchronous',
          server: to,
          names,
          why: names === '' ? 'it will wait for no replica' : `it will wait for ${names}`,
        },
      ]
  const steps: FailoverStep[] = [
    ...first,
    { kind: 'promote', server: to, why: promoteWhy(view, change) },
    { kind: 'open', why: change.why },
  ]
  return outcome(withJournal(view.state, { quorums }), steps, change)
}

/** The former primary's word on who streams is void: it streams to nobody any more. */
function withoutPrimary(view: FailoverView, from: string): FailoverView {
  const seen = new Map(view.seen)
  const one = seen.get(from)
  if (one !== undefined) seen.set(from, { ...one, standbys: [] })
  const { fenced } = view.state.journal
  return { ...view, seen, state: withJournal(view.state, { fenced: withName(fenced, from) }) }
}

function promoteWhy(view: FailoverView, change: FailoverChange): string {
  if (change.lossy) return 'an operator accepted that acknowledged commits may be missing'
  if (change.clean) return `${change.from} stopped cleanly, ${change.to} has everything`
  const proof = proofOf(view.state.journal.quorums, settledIds(candidatesOf(view, change.from, 0)))
  return proof.proved
    ? `the furthest; ${proof.why}`
    : 'the furthest when it was chosen, and nothing could be missing'
}

/** It was decided for, and ended before it took writes: it may be a primary already, so nobody else is promoted beside it. */
function reviveOutcome(view: FailoverView, change: FailoverChange, to: string): Outcome {
  const why = `${to}, which was to be the primary, ${view.state.watch[to]?.problem}`
  const watch = view.state.watch[to]
  // Given up only for somebody who can take its place: who is fenced can't be promoted later.
  const others = candidatesOf(view, to, 0)
  const replaceable = others.length > 0 && proofOf(view.state.journal.quorums, settledIds(others)).proved
  if (replaceable && (watch?.repairs ?? 0) >= promotionsMax) {
    const next = { ...change, phase: 'fence', from: to, to: null, why, clean: false } as const
    return fenceOutcome({ ...view, state: inPhase(view.state, view.nowUs, change, next) }, next)
  }
  const due = view.nowUs >= (watch?.repairAtUs ?? 0)
  return outcome(
    view.state,
    [due ? { kind: 'restart', server: to, why } : { kind: 'wait', why }],
    change,
    why,
  )
}

/** Why an operator's switchover cannot begin; ''. */
export function whyNoSwitchover(view: FailoverView, to: string): string {
  const { primary, change } = view.state.journal
  if (!view.settings.canFence) return 'these servers are not run by Tenfold'
  if (change !== null) return `a ${change.kind} is under way`
  if (primary === null || verdict(view, primary) !== 'good') return 'the primary does not answer as it should'
  if (to === primary) return `${to} is the primary`
  const member = view.settings.members.find(one => one.id === to)
  if (member === undefined) return `${to} is none of ${view.settings.members.map(one => one.id).join(', ')}`
  if (member.delayMs > 0) return `${to} is delayed on purpose`
  if (!candidatesOf(view, primary, 0).some(one => one.id === to)) return `${to} does not answer as a replica`
  if (!streamsNow(view, to)) return `${to} does not stream from ${primary}`
  // The primary may die while it stops: what is begun must be able to end.
  const proof = proofOf(view.state.journal.quorums, settledIds(candidatesOf(view, primary, 0)))
  return proof.proved ? '' : proof.why
}
