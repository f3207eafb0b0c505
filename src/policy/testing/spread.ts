// Measures of how picks spread, for tests and benchmarks of the balancing policies.

import type { Random } from '../../kit/random.ts'
import type { Balancer, Group } from '../group.ts'
import { mix32 } from '../hash.ts'

/** How often each member is picked in `picks` picks, keys 0.. mixed. Nothing is put in flight. */
export function pickCounts(balancer: Balancer, group: Group, picks: number, random: Random): number[] {
  const counts = new Array<number>(group.count).fill(0)
  for (let n = 0; n < picks; n++) counts[balancer.pick(group, n, mix32(n), random)]!++
  return counts
}

/** Pearson's chi-square of counts against shares that add up to 1. */
export function chiSquare(counts: readonly number[], shares: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  return counts.reduce((sum, count, i) => {
    const expected = total * shares[i]!
    return sum + (count - expected) ** 2 / expected
  }, 0)
}

/** Above this a chi-square with `freedom` degrees is a one-in-ten-thousand chance (Wilson & Hilferty, 1931). */
export function chiSquareLimit(freedom: number): number {
  const part = 2 / (9 * freedom)
  return freedom * (1 - part + 3.719 * Math.sqrt(part)) ** 3
}
