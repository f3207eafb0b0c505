// Questions that the parts of the failover decision ask of one moment: who may be promoted, who streams, who is whose
// source. Answers only; no step comes from here.

import type {
  FailoverJournal,
  FailoverMember,
  FailoverSettings,
  FailoverState,
  FailoverStep,
  SeenServer,
} from './failover-model.ts'
import { type Verdict, verdictOf } from './failover-watch.ts'

export interface FailoverView {
  readonly nowUs: number
  readonly wallMs: number
  readonly seen: ReadonlyMap<string, SeenServer>
  readonly state: FailoverState
  readonly settings: FailoverSettings
}

/** What a part of the decision gives: the state from now on, the steps, and what people are told. */
export interface Outcome {
  readonly state: FailoverState
  readonly steps: readonly FailoverStep[]
  readonly why: string
  readonly trouble: string
}

export function withJournal(state: FailoverState, part: Partial<FailoverJournal>): FailoverState {
  return { ...state, journal: { ...state.journal, ...part } }
}

export function verdict(view: FailoverView, id: string, limitMs?: number): Verdict {
  return verdictOf(view.nowUs, id, view.state, view.settings, limitMs)
}

export function without(names: readonly string[], ...gone: readonly string[]): readonly string[] {
  return names.filter(name => !gone.includes(name))
}

export function withName(names: readonly string[], name: string): readonly string[] {
  return names.includes(name) ? names : [...names, name]
}

/**
 * Members that may be promoted instead of `from`: replicas that answer, are not delayed, went no other way, and whose
 * timeline is the newest known. Furthest first; of one position in the order of the file.
 * @param sinceUs only looks that began later count
 */
export function candidatesOf(view: FailoverView, from: string, sinceUs: number): readonly SeenServer[] {
  const { journal } = view.state
  const able = promotable(view, from).flatMap(member => view.seen.get(member.id) ?? [])
  return able
    .filter(one => one.answers && one.inRecovery && !one.busy && one.beganUs >= sinceUs && one.problem === '')
    .filter(one => timelineOf(view, one) === journal.timeline)
    .sort((x, y) => y.lsn - x.lsn)
}

/** Members that could be promoted if they answered. */
export function promotable(view: FailoverView, from: string): readonly FailoverMember[] {
  const { fenced, rebuild } = view.state.journal
  return view.settings.members.filter(
    member =>
      member.id !== from &&
      member.delayMs === 0 &&
      !fenced.includes(member.id) &&
      !rebuild.includes(member.id) &&
      !['empty', 'damaged'].includes(view.seen.get(member.id)?.disk ?? 'replica'),
  )
}

/** A replica without a sender may say the timeline of its last checkpoint. */
export function timelineOf(view: FailoverView, one: SeenServer): number {
  return Math.max(one.timeline, view.state.journal.timelines[one.id] ?? 0)
}

/** Those whose position is final: they have replayed what they have. */
export function settledIds(candidates: readonly SeenServer[]): ReadonlySet<string> {
  return new Set(candidates.filter(one => one.settled).map(one => one.id))
}

/** Answers as a primary and should not: neither the primary nor the one that is being promoted. */
export function strays(view: FailoverView): readonly SeenServer[] {
  const { primary, change } = view.state.journal
  const rightful = change?.phase === 'promote' ? [primary, change.to] : [primary]
  return [...view.seen.values()].filter(
    one => one.answers && !one.inRecovery && !one.busy && !rightful.includes(one.id),
  )
}

/** Whom a replica copies from: its own source, or the primary when that one cannot serve. */
export function sourceOf(view: FailoverView, member: FailoverMember): string {
  const primary = view.state.journal.primary ?? ''
  if (member.from === 'primary' || member.from === primary || member.from === member.id) return primary
  const source = view.seen.get(member.from)
  const usable =
    source?.answers === true && source.inRecovery && source.streamsFrom === primary && !source.busy
  return usable ? member.from : primary
}

/** Members that copy straight from the primary and may therefore acknowledge its commits. */
export function acknowledgers(view: FailoverView, primary: string): readonly string[] {
  const { members } = view.settings
  const direct = (member: FailoverMember): boolean =>
    member.from === 'primary' || member.from === primary || member.from === member.id
  const able = members.filter(member => member.id !== primary && member.delayMs === 0)
  const straight = able.filter(direct)
  return (straight.length > 0 ? straight : able).map(member => member.id)
}

export function streamsNow(view: FailoverView, id: string): boolean {
  const primary = view.seen.get(view.state.journal.primary ?? '')
  return primary?.standbys.some(one => one.id === id && one.streaming) === true
}
