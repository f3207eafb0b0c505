// A service's slots as the roll policy sees them: one row a life, and one for a place that waits or was given up. Pure.

import type { RolledInstance } from '../policy/roll.ts'
import type { Life } from './life.ts'
import type { Slot } from './slot.ts'

/** What a life must carry to be current: its version, and the last restart that was asked for. */
export function wantedVersion(version: string, generation: number): string {
  return `${version}+${generation}`
}

/** Ids are nonces of lives, and members' ids for places without one. */
export function observedOf(slots: readonly Slot[], wanted: string, now: number): RolledInstance[] {
  return slots.flatMap(slot => {
    const rows = slot.lives().flatMap(life => rowOf(life, slot, now) ?? [])
    if (slot.wakeAtUs !== null)
      rows.push({ id: slot.member, version: wanted, state: 'starting', sinceUs: now })
    if (slot.gaveUp) rows.push({ id: slot.member, version: wanted, state: 'failed', sinceUs: now })
    return rows
  })
}

function rowOf(life: Life, slot: Slot, now: number): RolledInstance | null {
  if (life.state === 'gone') return null
  // Among ready ones age is the slot's number: the highest leaves first when fewer are wanted. Starting ones never look
  // late: each counts its own ready time-out, and its loss is seen as `failed`.
  const sinceUs = life.state === 'ready' ? slot.number : life.state === 'starting' ? now : life.sinceUs
  return {
    id: life.nonce,
    version: life.replaceWhy ? 'to be replaced' : wantedVersion(life.version, life.generation),
    state: life.state,
    sinceUs,
    idle: life.idle,
  }
}
