// What brings replicas back: start, follow, copy anew, slots. Never touches the primary, and nothing while there is none.

import type { FailoverMember, FailoverStep, SeenServer } from './failover-model.ts'
import { type FailoverView, sourceOf, timelineOf, verdict } from './failover-view.ts'
import { repairDue } from './failover-watch.ts'

/** Tries that start or follow a replica before it is copied anew. */
const triesMax = 3

/** One step at most for each replica that is not as it should be. */
export function repairSteps(view: FailoverView): readonly FailoverStep[] {
  return replicas(view).flatMap(member => {
    const one = view.seen.get(member.id)
    if (one === undefined || one.busy || !repairDue(view.nowUs, member.id, view.state)) return []
    const step = repairOf(view, member, one)
    return step === null ? [] : [step]
  })
}

/** While there is no primary: replicas whose process ended are started, so that they can answer. */
export function startSteps(view: FailoverView, except: string): readonly FailoverStep[] {
  const { fenced, rebuild } = view.state.journal
  return replicas(view).flatMap((member): FailoverStep[] => {
    const { id } = member
    const one = view.seen.get(id)
    const startable = one?.disk === 'replica' && !one.busy && !fenced.includes(id) && !rebuild.includes(id)
    if (!startable || id === except || verdict(view, id) !== 'dead') return []
    if (!repairDue(view.nowUs, id, view.state)) return []
    return [{ kind: 'start', server: id, why: `${id} ended, and may have what is needed` }]
  })
}

function replicas(view: FailoverView): readonly FailoverMember[] {
  return view.settings.members.filter(member => member.id !== view.state.journal.primary)
}

function repairOf(view: FailoverView, member: FailoverMember, one: SeenServer): FailoverStep | null {
  const { id } = member
  const { fenced, rebuild, salvage } = view.state.journal
  const from = sourceOf(view, member)
  const tries = view.state.watch[id]?.repairs ?? 0
  if (rebuild.includes(id) || (fenced.includes(id) && tries >= triesMax))
    return salvage.includes(id)
      ? { kind: 'salvage', server: id, why: `what only ${id} has is looked for before it is copied anew` }
      : { kind: 'clone', server: id, from, why: cloneWhy(view, id, one) }
  if (one.disk === 'empty' || one.disk === 'damaged')
    return { kind: 'clone', server: id, from, why: cloneWhy(view, id, one) }
  if (fenced.includes(id))
    return one.processAlive === true && !(one.answers && one.inRecovery)
      ? { kind: 'fence', server: id, why: `${id} is fenced, and its process lives` }
      : { kind: 'follow', server: id, from, why: 'a former primary comes back as a replica' }
  if (one.disk === 'primary')
    return { kind: 'fence', server: id, why: `${id} was a primary once, and ${from} is now` }
  const standing = verdict(view, id, view.settings.replicaHungMs)
  if (tries >= triesMax && standing !== 'good')
    return { kind: 'clone', server: id, from, why: `${id} did not come back in ${tries} tries` }
  if (standing === 'dead') return { kind: 'start', server: id, why: `${id} ended` }
  if (standing === 'hung')
    return {
      kind: 'restart',
      server: id,
      why: `${id} is silent for ${view.settings.replicaHungMs / 1_000} s`,
    }
  return standing === 'good' ? astray(view, one, from, tries) : null
}

function cloneWhy(view: FailoverView, id: string, one: SeenServer): string {
  if (one.disk === 'empty') return `${id} is new`
  if (one.disk === 'damaged') return `the copy of ${id} was not finished`
  return view.state.journal.fenced.includes(id) ? `${id} wrote what nobody else has` : `${id} is made anew`
}

/** It answers, but streams from nobody, or from somebody else than it should. */
function astray(view: FailoverView, one: SeenServer, from: string, tries: number): FailoverStep | null {
  const { id } = one
  if (one.streamsFrom === from) return null
  const sinceUs = view.state.watch[id]?.looseSinceUs ?? null
  const behind = timelineOf(view, one) < view.state.journal.timeline
  const late = sinceUs !== null && view.nowUs - sinceUs >= view.settings.followAfterMs * 1_000
  if (one.streamsFrom === null && !late && !behind) return null
  if (tries >= triesMax)
    return { kind: 'clone', server: id, from, why: `${id} did not follow ${from} in ${tries} tries` }
  const why = one.streamsFrom === null ? `${id} streams from nobody` : `${id} streams from ${one.streamsFrom}`
  return { kind: 'follow', server: id, from, why }
}

/** Slots that servers should have, where this process has not seen to it: a leftover slot would keep the log for ever. */
export function slotSteps(view: FailoverView): readonly FailoverStep[] {
  return view.settings.members.flatMap((member): FailoverStep[] => {
    const { id } = member
    const one = view.seen.get(id)
    if (one === undefined || one.busy || verdict(view, id) !== 'good') return []
    const names = replicas(view).filter(other => other.id !== id && sourceOf(view, other) === id)
    const wanted = names.map(other => other.id)
    if (view.state.slots[id] === slotsText(view, wanted)) return []
    return [
      { kind: 'slots', server: id, replicas: wanted, why: `slots for ${wanted.join(', ') || 'nobody'}` },
    ]
  })
}

export function slotsText(view: Pick<FailoverView, 'state'>, replicasOf: readonly string[]): string {
  return `${view.state.journal.epoch}:${replicasOf.join(',')}`
}
