// Who is the primary of a database: from looks at its servers to the steps that are due now. One agent calls it after each
// look and each step, has the journal on disk before it takes a step, takes the first, and calls it again.
//
// Invariants (held over random runs by `failover.test.ts`):
//  - Who is promoted is promoted after the former primary was seen ended (fence), and is the furthest of those that prove
//    that no acknowledged commit is missing (`failover-proof.ts`); otherwise it waits, or an operator accepts the loss.
//  - Never two open primaries; an epoch belongs to one primary and never goes back.
//  - Never a delayed replica, never one whose timeline is older.
//  - Where nothing can be proved the dead primary is started again where it is: it has everything.

import { inPhase, proceed, whyNoSwitchover } from './failover-change.ts'
import type {
  FailoverChange,
  FailoverPlan,
  FailoverSettings,
  FailoverState,
  FailoverStep,
  RepairStep,
  SeenServer,
  ServerStanding,
} from './failover-model.ts'
import { proofOf } from './failover-proof.ts'
import { repairSteps, slotSteps, slotsText, startSteps } from './failover-repair.ts'
import { keepSynchronous, writesTrouble } from './failover-synchronous.ts'
import {
  candidatesOf,
  type FailoverView,
  type Outcome,
  settledIds,
  strays,
  verdict,
  withJournal,
  withName,
  without,
} from './failover-view.ts'
import { afterRepair, repairDue, type Verdict, watched } from './failover-watch.ts'

/** Restarts of a dead primary that failed before an operator is asked. */
const restartsMax = 3

export function decideFailover(
  nowUs: number,
  wallMs: number,
  seen: readonly SeenServer[],
  before: FailoverState,
  settings: FailoverSettings,
): [FailoverState, FailoverPlan] {
  const state = withTimelines(watched(nowUs, seen, before, settings), seen)
  const view = { nowUs, wallMs, seen: new Map(seen.map(one => [one.id, one])), state, settings }
  const { change, paused } = state.journal
  const [fences, fenced] = settings.canFence && paused === null ? fenceStrays(view) : [[], view]
  const made = !settings.canFence
    ? followOutside(view)
    : change !== null
      ? proceed(fenced, change)
      : keepPrimary(fenced)
  const servers = standings({ ...view, state: made.state })
  return [made.state, { steps: [...fences, ...made.steps], why: made.why, trouble: made.trouble, servers }]
}

function withTimelines(state: FailoverState, seen: readonly SeenServer[]): FailoverState {
  const newer = seen.filter(
    one => one.answers && one.inRecovery && one.timeline > (state.journal.timelines[one.id] ?? 0),
  )
  if (newer.length === 0) return state
  const timelines = Object.fromEntries(newer.map(one => [one.id, one.timeline]))
  return withJournal(state, { timelines: { ...state.journal.timelines, ...timelines } })
}

/** Two say that they are primaries: the one without the epoch is ended at once, whatever else is going on. */
function fenceStrays(view: FailoverView): [FailoverStep[], FailoverView] {
  if (view.state.journal.primary === null) return [[], view]
  const found = strays(view)
  const steps = found.map((one): FailoverStep => {
    const why = `${one.id} says that it is a primary, and epoch ${view.state.journal.epoch} is of ${view.state.journal.primary}`
    return { kind: 'fence', server: one.id, why }
  })
  const fenced = found.reduce((names, one) => withName(names, one.id), view.state.journal.fenced)
  return [steps, found.length === 0 ? view : { ...view, state: withJournal(view.state, { fenced }) }]
}

function keepPrimary(view: FailoverView): Outcome {
  const { primary, paused, epoch } = view.state.journal
  if (primary === null) return { state: view.state, steps: [], why: 'there is no primary yet', trouble: '' }
  const standing = verdict(view, primary)
  if (standing === 'unknown' || standing === 'doubt') return doubtful(view, primary, standing)
  if (standing !== 'good') return replacing(view, primary, standing)
  const opening: FailoverStep[] =
    view.state.openedEpoch < epoch
      ? [{ kind: 'open', why: `${primary} is the primary of epoch ${epoch}` }]
      : []
  const trouble = writesTrouble(view)
  const timeline = Math.max(view.state.journal.timeline, view.seen.get(primary)?.timeline ?? 0)
  const known = { ...view, state: withJournal(view.state, { timeline }) }
  if (paused !== null) return { state: known.state, steps: opening, why: `paused: ${paused}`, trouble }
  const { state, steps } = keepSynchronous(known, primary)
  const later = { ...known, state }
  const rest = opening.length > 0 ? [] : [...repairSteps(later), ...slotSteps(later)]
  return { state, steps: [...opening, ...steps, ...rest], why: trouble || 'ready', trouble }
}

function doubtful(view: FailoverView, primary: string, standing: Verdict): Outcome {
  const problem = view.state.watch[primary]?.problem ?? ''
  const why = standing === 'unknown' ? `${primary} was not looked at yet` : `${primary}: ${problem}`
  return { state: view.state, steps: [{ kind: 'wait', why }], why, trouble: why }
}

type Bad = 'dead' | 'hung' | 'unwritable'

/** The primary is gone: replace it, start it again, wait for a proof, or ask. */
function replacing(view: FailoverView, primary: string, standing: Bad): Outcome {
  const { state, settings, nowUs } = view
  const { journal } = state
  const problem = `${primary}: ${state.watch[primary]?.problem}`
  if (journal.paused !== null)
    return asking(view, `${problem}; nothing is done, as failover is paused: ${journal.paused}`)
  if (!settings.automatic) return again(view, primary, standing, `${problem}; failover is not automatic`)
  const recent = journal.failoversMs.filter(at => view.wallMs - at < settings.failoversWindowMs)
  if (recent.length >= settings.failoversMax) {
    const often = `${recent.length} failovers in ${settings.failoversWindowMs / 1_000} s`
    return again(view, primary, standing, `${problem}; no further one after ${often}`)
  }
  const candidates = candidatesOf(view, primary, 0)
  if (candidates.length === 0)
    return again(view, primary, standing, `${problem}; no replica that may be promoted answers`)
  const behind = (state.watch[primary]?.lsn ?? 0) - candidates[0]!.lsn
  if (behind > settings.lagMaxBytes)
    return again(
      view,
      primary,
      standing,
      `${problem}; ${candidates[0]!.id}, the furthest, is ${behind} bytes behind`,
    )
  const proof = proofOf(journal.quorums, settledIds(candidates))
  if (proof.proved) return begin(view, primary, problem)
  const bad = state.watch[primary]?.badSinceUs ?? nowUs
  if (nowUs - bad >= settings.proofWaitMs * 1_000)
    return again(view, primary, standing, `${problem}; ${proof.why}`)
  const why = `${problem}; ${proof.why}`
  return { state, steps: [...startSteps(view, primary), { kind: 'wait', why }], why, trouble: why }
}

function begin(view: FailoverView, from: string, why: string): Outcome {
  const change = newChange(view, { kind: 'failover', phase: 'fence', from, why })
  const state = { ...inPhase(view.state, view.nowUs, change, {}), held: false, drained: false }
  return proceed({ ...view, state }, change)
}

function newChange(
  view: FailoverView,
  part: Pick<FailoverChange, 'kind' | 'phase' | 'from' | 'why'> & Partial<FailoverChange>,
): FailoverChange {
  const badUs = view.state.watch[part.from]?.badSinceUs ?? view.nowUs
  const beganMs = view.wallMs - Math.round((view.nowUs - badUs) / 1_000)
  return { to: null, lossy: false, clean: false, beganMs, ...part }
}

/** The primary where it is: nothing can be missing on it. */
function again(view: FailoverView, primary: string, standing: Bad, why: string): Outcome {
  const restarts = view.state.watch[primary]?.repairs ?? 0
  const hopeless = standing === 'unwritable' || restarts >= restartsMax
  const untouched = !view.settings.automatic && standing !== 'dead'
  const told = restarts >= restartsMax ? `${why}; ${restarts} starts of it failed` : why
  const starts = startSteps(view, primary)
  if (
    !repairDue(view.nowUs, primary, view.state) ||
    view.seen.get(primary)?.busy === true ||
    untouched ||
    standing === 'unwritable'
  ) {
    const asked = hopeless || untouched ? asking(view, told) : null
    return asked === null
      ? { state: view.state, steps: [...starts, { kind: 'wait', why }], why, trouble: why }
      : { ...asked, steps: [...starts, ...asked.steps] }
  }
  const step: FailoverStep = {
    kind: 'restart',
    server: primary,
    why: 'it is started again where it is: it has everything',
  }
  return { state: view.state, steps: [step, ...starts], why: told, trouble: told }
}

function asking(view: FailoverView, why: string): Outcome {
  const told = `${why}. An operator decides: \`tenfold db status\` shows what is left, \`tenfold db failover\` promotes`
  return { state: view.state, steps: [{ kind: 'ask', why: told }], why, trouble: told }
}

/** Servers that others run: whoever is the primary on the newest timeline is followed. */
function followOutside(view: FailoverView): Outcome {
  const { journal, openedEpoch } = view.state
  const found = [...view.seen.values()]
    .filter(one => one.answers && !one.inRecovery)
    .sort(
      (x, y) =>
        y.timeline - x.timeline || Number(y.id === journal.primary) - Number(x.id === journal.primary),
    )
  const primary = found[0]
  if (primary === undefined) {
    const trouble = 'no server answers as a primary; Tenfold promotes only servers that it runs itself'
    return { state: view.state, steps: [{ kind: 'wait', why: trouble }], why: trouble, trouble }
  }
  const same = primary.id === journal.primary && primary.timeline === journal.timeline
  const epoch = same ? journal.epoch : journal.epoch + 1
  const state = withJournal(view.state, { epoch, primary: primary.id, timeline: primary.timeline })
  const rivals = found.slice(1).map(one => one.id)
  const why =
    rivals.length > 0 ? `${rivals.join(', ')} also says that it is a primary, on an older timeline` : 'ready'
  const opening: FailoverStep[] =
    openedEpoch < epoch
      ? [{ kind: 'open', why: `${primary.id} is the primary on timeline ${primary.timeline}` }]
      : []
  return { state, steps: opening, why, trouble: '' }
}

function standings(view: FailoverView): Record<string, ServerStanding> {
  return Object.fromEntries(view.settings.members.map(member => [member.id, standingOf(view, member.id)]))
}

function standingOf(view: FailoverView, id: string): ServerStanding {
  const { fenced, rebuild, primary, change } = view.state.journal
  const one = view.seen.get(id)
  if (rebuild.includes(id))
    return { state: 'lost', reason: one?.busy ? 'is copied anew' : 'is to be copied anew' }
  if (fenced.includes(id)) return { state: 'fenced', reason: 'was a primary; comes back as a replica' }
  if (one === undefined || one.busy)
    return { state: 'starting', reason: 'is being made, copied or caught up' }
  const standing = verdict(view, id)
  if (standing === 'unknown') return { state: 'starting', reason: 'was not looked at yet' }
  if (standing === 'dead' || standing === 'hung')
    return { state: 'down', reason: view.state.watch[id]!.problem }
  if (id === primary) return { state: 'ready', reason: change === null ? 'takes writes' : change.why }
  if (one.streamsFrom !== null) return { state: 'ready', reason: `streams from ${one.streamsFrom}` }
  return one.answers
    ? { state: 'ready', reason: 'streams from nobody' }
    : { state: 'down', reason: one.problem }
}

// What operators ask for. Each gives the new state, or a sentence why not.

export function beginSwitchover(
  nowUs: number,
  wallMs: number,
  seen: readonly SeenServer[],
  state: FailoverState,
  settings: FailoverSettings,
  to: string | null,
): FailoverState | string {
  const view = { nowUs, wallMs, seen: new Map(seen.map(one => [one.id, one])), state, settings }
  const { primary } = state.journal
  const target = to ?? candidatesOf(view, primary ?? '', 0)[0]?.id
  if (target === undefined) return 'no replica that may be promoted answers'
  const why = whyNoSwitchover(view, target)
  if (why !== '') return why
  const change = newChange(view, {
    kind: 'switchover',
    phase: 'hold',
    from: primary!,
    to: target,
    why: 'an operator asked for it',
  })
  return { ...inPhase(state, nowUs, change, {}), held: false, drained: false }
}

export function beginFailover(
  nowUs: number,
  wallMs: number,
  seen: readonly SeenServer[],
  state: FailoverState,
  settings: FailoverSettings,
  to: string | null,
  lossy: boolean,
): FailoverState | string {
  const view = { nowUs, wallMs, seen: new Map(seen.map(one => [one.id, one])), state, settings }
  const { primary, change, quorums } = state.journal
  if (!settings.canFence) return 'these servers are not run by Tenfold'
  if (change !== null && change.phase !== 'choose') return `a ${change.kind} is under way`
  const from = change?.from ?? primary
  if (from === null) return 'there is no primary yet'
  const able = candidatesOf(view, from, 0)
  if (able.length === 0 || (to !== null && !able.some(one => one.id === to)))
    return `${to ?? 'no replica'} ${to === null ? 'that may be promoted answers' : 'may not be promoted, or does not answer'}`
  const proof = proofOf(quorums, settledIds(able))
  if (!lossy && !proof.proved) return `${proof.why}; --lossy accepts it`
  const why = lossy ? 'an operator asked for it, whatever is lost' : 'an operator asked for it'
  const next = newChange(view, { kind: 'failover', phase: change?.phase ?? 'fence', from, to, why, lossy })
  return { ...inPhase(state, nowUs, next, {}), held: change !== null, drained: false }
}

export type StepResult =
  | {
      readonly ok: true
      readonly timeline?: number
      readonly lsn?: number
      readonly diverged?: boolean
      readonly drained?: boolean
    }
  | { readonly ok: false; readonly why: string }

/** What is remembered once a step was taken, or failed. */
export function afterStep(
  nowUs: number,
  wallMs: number,
  step: FailoverStep,
  result: StepResult,
  state: FailoverState,
  settings: FailoverSettings,
): FailoverState {
  const { change } = state.journal
  switch (step.kind) {
    case 'hold':
      return { ...state, held: true }
    case 'drain':
      return result.ok && result.drained === true ? { ...state, drained: true, phaseUs: nowUs } : state
    case 'open':
      return { ...state, openedEpoch: state.journal.epoch }
    case 'stop':
      return change === null
        ? state
        : inPhase(
            fencedOut(state, change.from),
            nowUs,
            change,
            result.ok ? { phase: 'choose', clean: true } : { phase: 'fence' },
          )
    case 'fence':
      return afterFence(nowUs, step.server, result, state)
    case 'synchronous':
      return result.ok
        ? { ...state, synchronous: { server: step.server, text: step.names, setUs: nowUs, lsn: null } }
        : state
    case 'promote':
      return result.ok ? afterPromote(nowUs, wallMs, step.server, result, state) : state
    case 'slots':
      return result.ok
        ? { ...state, slots: { ...state.slots, [step.server]: slotsText({ state }, step.replicas) } }
        : state
    case 'wait':
    case 'ask':
      return state
    default:
      return afterRepairStep(nowUs, step, result, state, settings)
  }
}

function fencedOut(state: FailoverState, id: string): FailoverState {
  return withJournal(state, { fenced: withName(state.journal.fenced, id) })
}

function afterFence(nowUs: number, id: string, result: StepResult, state: FailoverState): FailoverState {
  const { change } = state.journal
  const next = fencedOut(state, id)
  if (!result.ok || change?.phase !== 'fence' || change.from !== id) return next
  return inPhase(next, nowUs, change, { phase: 'choose' })
}

function afterPromote(
  nowUs: number,
  wallMs: number,
  to: string,
  { timeline = 0, lsn }: { readonly timeline?: number; readonly lsn?: number },
  state: FailoverState,
): FailoverState {
  const { journal } = state
  const { change } = journal
  if (change === null) return state
  const lossless = change.kind === 'switchover' && change.clean
  const next = withJournal(state, {
    epoch: journal.epoch + 1,
    primary: to,
    timeline: Math.max(timeline, journal.timeline),
    change: null,
    fenced: without(withName(journal.fenced, change.from), to),
    salvage: lossless ? journal.salvage : without(withName(journal.salvage, change.from), to),
    failoversMs:
      change.kind === 'failover' ? [...journal.failoversMs.slice(-15), wallMs] : journal.failoversMs,
  })
  // It began with its list in force: everything acknowledged before lies before this position.
  const { synchronous: last } = state
  const synchronous = last?.server === to && lsn !== undefined ? { ...last, lsn } : last
  return { ...afterWatch(next, to), synchronous, phaseUs: nowUs, held: false, drained: false, slots: {} }
}

/** Looks at it as a replica say nothing about it as a primary. */
function afterWatch(state: FailoverState, id: string): FailoverState {
  const { [id]: _gone, ...watch } = state.watch
  return { ...state, watch }
}

function afterRepairStep(
  nowUs: number,
  step: RepairStep,
  result: StepResult,
  before: FailoverState,
  settings: FailoverSettings,
): FailoverState {
  const { journal } = before
  const id = step.server
  const diverged = result.ok && result.diverged === true
  const state = afterRepair(nowUs, id, result.ok && !diverged, before, settings)
  const back = {
    fenced: without(journal.fenced, id),
    rebuild: without(journal.rebuild, id),
    salvage: without(journal.salvage, id),
  }
  if (step.kind === 'salvage') {
    const spent = result.ok || (state.watch[id]?.repairs ?? 0) >= 2
    const salvage = spent ? without(journal.salvage, id) : journal.salvage
    return withJournal(state, { salvage, rebuild: withName(journal.rebuild, id) })
  }
  if (diverged) return withJournal(due(state, id, nowUs), { rebuild: withName(journal.rebuild, id) })
  if (step.kind === 'clone' && result.ok) {
    const { [id]: _old, ...timelines } = journal.timelines
    return withJournal(state, { ...back, timelines })
  }
  if (step.kind === 'follow' && result.ok) return withJournal(state, back)
  return state
}

function due(state: FailoverState, id: string, nowUs: number): FailoverState {
  const watch = state.watch[id]
  return watch === undefined
    ? state
    : { ...state, watch: { ...state.watch, [id]: { ...watch, repairs: 0, repairAtUs: nowUs } } }
}
