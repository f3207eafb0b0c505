// Whom a primary waits for before it acknowledges a commit, and when older lists may be forgotten. Never an empty list
// where a replica was promised: without one, writes wait, and it is said.

import type { FailoverState, FailoverStep, Quorum } from './failover-model.ts'
import { quorumText, sameQuorum } from './failover-proof.ts'
import { acknowledgers, type FailoverView, streamsNow, withJournal } from './failover-view.ts'

/** Lists that may be remembered at once; a change waits while so many are open. */
const quorumsMax = 8

/**
 * The list that should be in force.
 *
 * one-replica   `ANY 1` of those that stream; who has not streamed for `standbyGoneMs` leaves it, so that the others
 *               alone prove a failover. Nobody streams: any one that comes back lets writes go on.
 * all-replicas  all; grows by itself, shrinks only when a replica leaves the file, or becomes or was the primary.
 */
export function wantedQuorum(view: FailoverView, primary: string): Quorum {
  const { durability } = view.settings
  if (durability === 'primary') return { need: 0, names: [] }
  const all = acknowledgers(view, primary)
  const listed = all.filter(id => keeps(view, id))
  const names = listed.length > 0 ? listed : all
  return { need: durability === 'one-replica' ? Math.min(1, names.length) : names.length, names }
}

function keeps(view: FailoverView, id: string): boolean {
  if (streamsNow(view, id)) return true
  const { quorums, fenced, rebuild } = view.state.journal
  if (!(quorums.at(-1)?.names.includes(id) ?? false) || fenced.includes(id)) return false
  if (view.settings.durability === 'all-replicas') return true
  if (rebuild.includes(id)) return false
  const watch = view.state.watch[id]
  const sinceUs = watch?.badSinceUs ?? watch?.looseSinceUs ?? null
  return sinceUs === null || view.nowUs - sinceUs < view.settings.standbyGoneMs * 1_000
}

/** The next step to the wanted list, if one is due, and the state with what is no longer needed forgotten. */
export function keepSynchronous(
  view: FailoverView,
  primary: string,
): { readonly state: FailoverState; readonly steps: readonly FailoverStep[] } {
  const wanted = wantedQuorum(view, primary)
  const { synchronous, journal } = view.state
  const inForce = synchronous?.server === primary && synchronous.text === quorumText(wanted)
  if (inForce) return { state: forgetOlder(view, primary), steps: [] }
  const last = journal.quorums.at(-1)
  const known = sameQuorum(wanted, last)
  // One change after the other while writes flow: what the last one proves is settled before the next is begun.
  const unsettled = journal.quorums.length > 1 && writesTrouble(view) === ''
  if (!known && synchronous?.server === primary && (unsettled || journal.quorums.length >= quorumsMax))
    return { state: forgetOlder(view, primary), steps: [] }
  const quorums = known ? journal.quorums : [...journal.quorums, wanted]
  const names = quorumText(wanted)
  const why = names === '' ? 'commits wait for no replica' : `commits wait for ${names}`
  return {
    state: withJournal(view.state, { quorums }),
    steps: [{ kind: 'synchronous', server: primary, names, why }],
  }
}

/**
 * Everything acknowledged under an older list lies before a position of the primary that was looked at after the new
 * list took effect; once enough members of the new list are past it, the new list proves the old commits, too.
 */
function forgetOlder(view: FailoverView, primary: string): FailoverState {
  const { state, settings } = view
  const { journal, synchronous } = state
  const now = view.seen.get(primary)
  if (journal.quorums.length < 2 || synchronous === null || now === undefined || !now.answers) return state
  if (synchronous.lsn === null) {
    const effectiveUs = synchronous.setUs + settings.synchronousSettleMs * 1_000
    return now.beganUs < effectiveUs ? state : { ...state, synchronous: { ...synchronous, lsn: now.lsn } }
  }
  const { lsn } = synchronous
  const last = journal.quorums.at(-1)!
  const past = now.standbys.filter(one => last.names.includes(one.id) && one.flushLsn >= lsn).length
  return past >= last.need ? withJournal(state, { quorums: [last] }) : state
}

/** Why writes are not acknowledged although the primary is there; ''. */
export function writesTrouble(view: FailoverView): string {
  const last = view.state.journal.quorums.at(-1)
  const looked = view.seen.has(view.state.journal.primary ?? '')
  if (last === undefined || last.need === 0 || !looked) return ''
  const streaming = last.names.filter(id => streamsNow(view, id))
  if (streaming.length >= last.need) return ''
  const absent = last.names.filter(id => !streaming.includes(id))
  const streams = absent.length > 1 ? 'do not stream' : 'does not stream'
  return `writes wait: durability ${view.settings.durability} needs ${last.need} of ${last.names.join(', ')} to have a commit on disk, and ${absent.join(', ')} ${streams}`
}
