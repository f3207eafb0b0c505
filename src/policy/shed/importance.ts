// How much a request matters when not all can be served: three classes (Google, "Site Reliability Engineering", 2016,
// chapter 21, criticality), which risk lowers and an admission raises. And how many of an upstream's places each may use:
// a share is held back for the critical ones (Stripe's fleet usage load shedder holds 20 %).

/** Higher matters more. */
export const Importance = { sheddable: 0, normal: 1, critical: 2 } as const
export type ImportanceCode = (typeof Importance)[keyof typeof Importance]
export type ImportanceName = keyof typeof Importance

/** By code. */
export const importanceNames: readonly ImportanceName[] = ['sheddable', 'normal', 'critical']

/** From this risk score (0-100) on a request matters one class less. */
export const doubtfulRisk = 50

/** @param admitted it showed that it was let in by a waiting room: those are served to the end. */
export function importanceOf(declared: ImportanceCode, risk: number, admitted: boolean): ImportanceCode {
  const raised = admitted ? Importance.critical : declared
  return risk >= doubtfulRisk && raised > Importance.sheddable ? ((raised - 1) as ImportanceCode) : raised
}

/** How long after the last critical request places are still held for more of them. */
export const reserveHeldUs = 10_000_000

/**
 * Places that a class may fill, of `limit`: all together count, so that more important ones take theirs from the others.
 * Sheddable ones leave as much again. Everybody gets one at least: where nobody else is, nobody starves.
 * @param reserve share held for the critical, 0..0.5; 0 where none has come for `reserveHeldUs`
 */
export function placesFor(importance: ImportanceCode, limit: number, reserve: number): number {
  const held = Math.ceil(limit * reserve)
  if (importance === Importance.critical) return limit
  if (importance === Importance.normal) return Math.max(1, limit - held)
  return Math.max(1, limit - Math.max(2 * held, Math.ceil(limit * 0.1)))
}
