// How much work a challenge asks for. Pure. People pay little while it is quiet; who is suspected, or comes when very many
// challenges are asked for, pays more. Work slows bots down and stops none of them: it is one rung after the risk score.

export interface Difficulty {
  readonly costMin: number
  readonly costMax: number
}

/** Challenges a second, over all workers, at which everybody is asked for `costMax`. */
export const busyPerSecond = 500

/** Expected number of keys to derive. @param risk 0-100. @param perSecond challenges issued lately. */
export function costOf({ costMin, costMax }: Difficulty, risk: number, perSecond: number): number {
  const load = Math.min(1, Math.max(0, perSecond / busyPerSecond))
  const share = Math.max(Math.min(100, Math.max(0, risk)) / 100, load)
  // By factors, not by sums: half the risk is half the way in the eyes of who waits.
  return Math.round(costMin * (Math.max(costMin, costMax) / costMin) ** share)
}

const waitMsMin = 8_000
const waitMsMax = 60_000

/** How long who can't compute has to wait instead. */
export function waitOf(risk: number, perSecond: number): number {
  const share = Math.max(Math.min(100, Math.max(0, risk)) / 100, Math.min(1, perSecond / busyPerSecond))
  return Math.round(waitMsMin + (waitMsMax - waitMsMin) * share)
}
