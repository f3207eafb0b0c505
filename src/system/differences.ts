// Differences between two systems as the control API shows them. Pure.

import type { Change, ChangeEffect } from '../file/index.ts'
import type { ChangeView } from './control/views.ts'

export function changeViews(changes: readonly Change[]): ChangeView[] {
  return changes.map(({ path, from, to, effect }) => ({
    path,
    from: from ?? null,
    to: to ?? null,
    effect: effect.kind,
    note: noteOf(effect),
  }))
}

function noteOf(effect: ChangeEffect): string {
  if ('service' in effect) return effect.service
  return effect.kind === 'refused' ? effect.reason : (effect.note ?? '')
}

/** Why the change can't be made while the system runs, one sentence a key. */
export function refusalsOf(changes: readonly Change[]): string[] {
  return changes.flatMap(({ path, effect }) =>
    effect.kind === 'refused' ? [`${path} cannot change live (${effect.reason})`] : [],
  )
}

/** `2 settings live, web rolls, api starts`. */
export function summaryOf(changes: readonly ChangeView[]): string {
  if (changes.length === 0) return 'no difference'
  const live = changes.filter(change => change.effect === 'live').length
  const parts = live === 0 ? [] : [`${live} setting${live === 1 ? '' : 's'} live`]
  for (const effect of ['rolls', 'starts', 'stops'] as const) {
    const services = new Set(changes.filter(change => change.effect === effect).map(change => change.note))
    for (const service of services) parts.push(`${service} ${effect}`)
  }
  const refused = changes.filter(change => change.effect === 'refused').length
  if (refused > 0) parts.push(`${refused} refused`)
  return parts.join(', ')
}
