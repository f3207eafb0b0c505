// Rolling restart and scale of one service, as a pure state machine: from what is wanted and what is there to the steps
// to take now. The fleet calls it after every change and at every deadline, takes the steps, and calls it again.
//
// Invariants (asserted by `roll.test.ts` over random runs):
//  - A step never leaves fewer ready instances than min(wanted, those ready before).
//  - An old instance drains only when the ready ones without it suffice: the new one is ready first.
//  - Starting + ready never exceed wanted + surge by a step of ours; with the draining ones, twice wanted + surge.
//  - With healthy instances it ends: exactly `count` ready ones of the wanted version, and no step left.

import { durationText } from '../kit/duration.ts'
import type { RollSettings } from './settings.ts'

export interface RollWanted {
  readonly count: number
  /** Names what an instance must run to be current: a hash of its settings, or that and a generation (restart). */
  readonly version: string
}

/**
 * starting   spawned or about to be (also: waiting out a back-off); gets no traffic. Exits: ready, failed.
 * ready      gets traffic. Exits: draining (by us), gone or starting (it exited), stopping.
 * draining   no new requests; those in flight finish. Exit: stopping (idle, or the drain time-out).
 * stopping   told to end (TERM, later KILL). Exit: gone from the list.
 * failed     given up by the restart policy. Exit: gone, when stopped.
 */
export type RolledState = 'starting' | 'ready' | 'draining' | 'stopping' | 'failed'

export interface RolledInstance {
  readonly id: string
  readonly version: string
  readonly state: RolledState
  /**
   * When it entered the state; microseconds, monotonic. For `starting` when it was first begun: an instance that exits
   * and is started again before it was ever ready keeps its time, or a crash loop would never be late.
   */
  readonly sinceUs: number
  /** Draining only: nothing is in flight to it. */
  readonly idle?: boolean
}

/**
 * What the machine remembers between calls: the version whose roll was given up, and why. While old instances live
 * nothing of that version is started, not even to scale up; another version (also an operator's restart, which changes
 * the generation in `version`) begins anew.
 */
export interface RollState {
  readonly abandoned: { readonly version: string; readonly why: string } | null
}
export const newRollState: RollState = { abandoned: null }

export interface EndStep {
  readonly kind: 'drain' | 'stop'
  readonly id: string
  readonly why: string
}
export type RollStep =
  | { readonly kind: 'start'; readonly count: number; readonly why: string }
  | EndStep
  | { readonly kind: 'giveUp'; readonly version: string; readonly why: string }

export interface RollPlan {
  readonly steps: readonly RollStep[]
  /** Call again at this time at the latest; null when only a change can bring a step. */
  readonly wakeAtUs: number | null
  /** `rolling: 1 of 3 ready on the new version`, `3 of 3 ready`, `roll given up: ...`. */
  readonly why: string
  /** Nothing to do and nothing under way. */
  readonly settled: boolean
}

export function decideRoll(
  now: number,
  wanted: RollWanted,
  observed: readonly RolledInstance[],
  state: RollState,
  settings: RollSettings,
): [RollState, RollPlan] {
  const view = viewOf(wanted, observed)
  const next = stateAfter(now, wanted, view, state, settings)
  const begun = next.abandoned !== null && next !== state
  const giveUp: RollStep[] = begun ? [{ kind: 'giveUp', ...next.abandoned! }] : []
  const stops = stopsOf(wanted, view, next)
  const drains = drainsOf(wanted, view)
  const ending = [...stops, ...drains].filter(step => view.live.some(one => one.id === step.id)).length
  const starts = next.abandoned === null ? startsOf(wanted, view, ending, settings) : []
  const steps = [...giveUp, ...endings(now, view, settings), ...stops, ...drains, ...starts]
  const under = view.starting.length + view.leaving.length + view.old.length
  return [
    next,
    {
      steps,
      wakeAtUs: wakeAt(now, view, next, settings),
      why: whyOf(wanted, view, next),
      settled: steps.length === 0 && (next.abandoned === null ? under === 0 : view.leaving.length === 0),
    },
  ]
}

/** The observed instances by what matters here, in the order given. `live` = starting or ready. */
interface View {
  readonly live: readonly RolledInstance[]
  readonly ready: readonly RolledInstance[]
  readonly starting: readonly RolledInstance[]
  /** Starting, ready or failed, of another version than the wanted one. */
  readonly old: readonly RolledInstance[]
  readonly current: readonly RolledInstance[]
  /** Draining or stopping. */
  readonly leaving: readonly RolledInstance[]
}

function viewOf(wanted: RollWanted, observed: readonly RolledInstance[]): View {
  const staying = observed.filter(one => one.state !== 'draining' && one.state !== 'stopping')
  return {
    live: staying.filter(one => one.state !== 'failed'),
    ready: staying.filter(one => one.state === 'ready'),
    starting: staying.filter(one => one.state === 'starting'),
    old: staying.filter(one => one.version !== wanted.version),
    current: staying.filter(one => one.version === wanted.version),
    leaving: observed.filter(one => one.state === 'draining' || one.state === 'stopping'),
  }
}

function having(list: readonly RolledInstance[], state: RolledState): RolledInstance[] {
  return list.filter(one => one.state === state)
}

/** Youngest first; of one age the last in the list. */
function youngest(list: readonly RolledInstance[]): RolledInstance[] {
  return [...list].reverse().sort((x, y) => y.sinceUs - x.sinceUs)
}

/** Given up: a new instance failed, or was not ready in time, while old ones still serve. */
function stateAfter(
  now: number,
  wanted: RollWanted,
  view: View,
  state: RollState,
  settings: RollSettings,
): RollState {
  if (!view.old.some(one => one.state !== 'failed')) return newRollState
  if (state.abandoned?.version === wanted.version) return state
  if (having(view.old, 'ready').length === 0) return newRollState
  const failed = having(view.current, 'failed')[0]
  if (failed !== undefined)
    return { abandoned: { version: wanted.version, why: `${failed.id} of the new version failed` } }
  const late = having(view.current, 'starting').find(one => now >= readyBy(one, settings))
  if (late === undefined) return newRollState
  const limit = durationText(settings.readyTimeoutMs)
  return { abandoned: { version: wanted.version, why: `${late.id} was not ready within ${limit}` } }
}

function readyBy(one: RolledInstance, settings: RollSettings): number {
  return one.sinceUs + settings.readyTimeoutMs * 1_000
}

function drainedBy(one: RolledInstance, settings: RollSettings): number {
  return one.sinceUs + settings.drainTimeoutMs * 1_000
}

/** Draining instances that may end now. */
function endings(now: number, view: View, settings: RollSettings): RollStep[] {
  return having(view.leaving, 'draining').flatMap((one): RollStep[] => {
    if (one.idle === true) return [{ kind: 'stop', id: one.id, why: 'drained' }]
    if (now < drainedBy(one, settings)) return []
    const limit = durationText(settings.drainTimeoutMs)
    return [{ kind: 'stop', id: one.id, why: `still in use after the drain limit of ${limit}` }]
  })
}

/** Instances without traffic that are not wanted: no drain needed. */
function stopsOf(wanted: RollWanted, view: View, next: RollState): EndStep[] {
  const stop =
    (why: string) =>
    (one: RolledInstance): EndStep => ({ kind: 'stop', id: one.id, why })
  const oldStarting = having(view.old, 'starting')
  const spareOld = Math.max(0, view.ready.length + oldStarting.length - wanted.count)
  const newStarting = having(view.current, 'starting')
  const failed = having(view.current, 'failed')
  const surplus = Math.max(0, view.current.length - wanted.count)
  const abandoned = next.abandoned !== null
  return [
    ...(abandoned ? [] : having(view.old, 'failed').map(stop('replaced by the new version'))),
    ...oldStarting.slice(0, spareOld).map(stop('not ready and of the old version')),
    ...(abandoned ? newStarting.map(stop('the roll was given up')) : []),
    ...(abandoned
      ? []
      : [...failed, ...youngest(newStarting)].slice(0, surplus).map(stop(`only ${wanted.count} wanted`))),
  ]
}

/** Ready instances that the others can spare: of the old version first, then what is above the wanted count. */
function drainsOf(wanted: RollWanted, view: View): EndStep[] {
  const spare = Math.max(0, view.ready.length - wanted.count)
  const readyCurrent = having(view.current, 'ready')
  const over = youngest(readyCurrent).slice(0, Math.max(0, readyCurrent.length - wanted.count))
  const drain =
    (why: string) =>
    (one: RolledInstance): EndStep => ({ kind: 'drain', id: one.id, why })
  return [
    ...having(view.old, 'ready').map(drain('of the old version, enough others are ready')),
    ...over.map(drain(`only ${wanted.count} wanted`)),
  ].slice(0, spare)
}

/** @param ending live instances that this very plan stops or drains */
function startsOf(wanted: RollWanted, view: View, ending: number, settings: RollSettings): RollStep[] {
  const missing = wanted.count - view.current.length
  const surge = Math.max(1, settings.surge)
  const roomLive = wanted.count + surge - view.live.length + ending
  const roomAll = 2 * wanted.count + surge - view.live.length - view.leaving.length
  const count = Math.min(missing, roomLive, roomAll)
  if (count <= 0) return []
  const why = view.old.length > 0 ? 'new version' : `${view.current.length} of ${wanted.count} there`
  return [{ kind: 'start', count, why }]
}

function wakeAt(now: number, view: View, next: RollState, settings: RollSettings): number | null {
  const rolling = next.abandoned === null && view.old.length > 0
  const times = [
    ...having(view.leaving, 'draining').map(one => drainedBy(one, settings)),
    ...(rolling ? having(view.current, 'starting').map(one => readyBy(one, settings)) : []),
  ].filter(at => at > now)
  return times.length > 0 ? Math.min(...times) : null
}

function whyOf(wanted: RollWanted, view: View, next: RollState): string {
  if (next.abandoned !== null) return `roll given up: ${next.abandoned.why}`
  const ready = having(view.current, 'ready').length
  const failed = having(view.current, 'failed').length
  if (view.old.length > 0) return `rolling: ${ready} of ${wanted.count} ready on the new version`
  return `${ready} of ${wanted.count} ready${failed > 0 ? `, ${failed} failed` : ''}`
}
