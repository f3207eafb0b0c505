// Drawing one eligible member at random by weight x warmth: rejection sampling first (constant time when most members
// are eligible and weights are alike), then one exact pass. Both give the same distribution.

import type { Random } from '../../kit/random.ts'
import type { Group } from '../group.ts'

const drawsMax = 6

/** Largest static weight of the group; the ceiling that rejection sampling needs (warmth is at most 1). */
export function weightMax(group: Group): number {
  let max = 0
  for (let i = 0; i < group.count; i++) max = Math.max(max, group.weight(i))
  return max
}

/**
 * Index of an eligible member other than `except`, or -1.
 * @param ceiling `weightMax` of the group @param except -1 = none
 */
export function sampleMember(
  group: Group,
  now: number,
  ceiling: number,
  except: number,
  random: Random,
): number {
  const count = group.count
  for (let draw = 0; count > 0 && draw < drawsMax; draw++) {
    const i = random.below(count)
    if (i === except || !group.eligible(i, now)) continue
    const share = group.weight(i) * group.warmth(i, now)
    if (share >= ceiling || random.float() * ceiling < share) return i
  }
  return scan(group, now, except, random)
}

/** Weighted reservoir of one (Chao, 1982): a single pass, so members that change meanwhile do no harm. */
function scan(group: Group, now: number, except: number, random: Random): number {
  let chosen = -1
  let total = 0
  for (let i = 0; i < group.count; i++) {
    if (i === except || !group.eligible(i, now)) continue
    const share = group.weight(i) * group.warmth(i, now)
    total += share
    if (chosen < 0 || random.float() * total < share) chosen = i
  }
  return chosen
}
