// How many shards, and how evenly a ring of them is loaded. Sources: Karger et al. (1997) for the ring; the shares of a ring
// with v random points for each of n nodes follow a Dirichlet law (Devroye, 1986), so that the largest of n shares has
// exactly the mean of the largest of n Gamma(v) variables, divided by v.

import { type Answer, firstWrong, given, notNegative, positive, whole } from './answer.ts'
import { gammaTail } from './numerics.ts'

export interface ShardNeed {
  readonly bySize: number
  readonly byWrites: number
  readonly byWorkingSet: number
  /** The largest of them, and which it is. */
  readonly shards: number
  readonly decidedBy: 'size' | 'writes' | 'working set' | 'nothing'
  /** Rounded up to a power of two, so that each later split halves. */
  readonly powerOfTwo: number
}

export interface ShardLimits {
  /** Most bytes that one shard is to hold. */
  readonly bytes: number
  /** Writes per second at which one shard's primary is full, and the share of that to be used. */
  readonly writesPerSecond: number
  readonly utilisation: number
  /** Memory of one shard for what is hot. */
  readonly memoryBytes: number
}

/** max(size/limit, W/(u·c_w), working set/memory), each rounded up; at least 1. */
export function shardsNeeded(
  bytes: number,
  writesPerSecond: number,
  workingSetBytes: number,
  limits: ShardLimits,
): Answer<ShardNeed> {
  const wrong = firstWrong(
    notNegative('bytes', bytes),
    notNegative('writes per second', writesPerSecond),
    notNegative('working set', workingSetBytes),
    positive('bytes of a shard', limits.bytes),
    positive('writes of a shard', limits.writesPerSecond),
    positive('utilisation', limits.utilisation),
    limits.utilisation > 1 ? `utilisation is ${limits.utilisation}; it must be at most 1` : null,
    positive('memory of a shard', limits.memoryBytes),
  )
  if (wrong) return wrong
  const bySize = partsOf(bytes, limits.bytes)
  const byWrites = partsOf(writesPerSecond, limits.utilisation * limits.writesPerSecond)
  const byWorkingSet = partsOf(workingSetBytes, limits.memoryBytes)
  const shards = Math.max(bySize, byWrites, byWorkingSet)
  const decidedBy =
    shards === 1 ? 'nothing' : shards === bySize ? 'size' : shards === byWrites ? 'writes' : 'working set'
  return given({ bySize, byWrites, byWorkingSet, shards, decidedBy, powerOfTwo: nextPowerOfTwo(shards) })
}

function partsOf(all: number, each: number): number {
  return Math.max(1, Math.ceil((all / each) * (1 - 1e-12)))
}

/** The least power of two that is `n` or more. @param n 1 and more */
export function nextPowerOfTwo(n: number): number {
  let power = 1
  while (power < n) power *= 2
  return power
}

/**
 * Mean of the most loaded node's share by the average share, on a ring with `points` random points for each of `nodes`.
 * E[max of n Gamma(v)]/v = ∫ 1 − P(Gamma(v) <= x)ⁿ dx / v. With one point a node it is the harmonic number H_n.
 */
export function ringMaxByMean(nodes: number, points: number): Answer<number> {
  const wrong = firstWrong(whole('nodes', nodes, 1, 100_000), whole('points', points, 1, 100_000))
  if (wrong) return wrong
  if (nodes === 1) return given(1)
  const spread = Math.sqrt(points)
  const high = points + 12 * spread + 4 * Math.log(nodes) + 40
  const low = Math.max(0, points - 10 * spread)
  const steps = 2000
  const width = (high - low) / steps
  let sum = 0
  // Simpson's rule.
  for (let step = 0; step <= steps; step++) {
    const weight = step === 0 || step === steps ? 1 : step % 2 === 1 ? 4 : 2
    sum += weight * someAbove(nodes, points, low + step * width)
  }
  return given((low + (sum * width) / 3) / points)
}

/** P(the largest of n is above x). */
function someAbove(nodes: number, points: number, x: number): number {
  const tail = gammaTail(points, x)
  return tail >= 1 ? 1 : -Math.expm1(nodes * Math.log1p(-tail))
}

/** Share of keys that move when one of n nodes is added to or taken from a ring: 1/n of the larger number. */
export function movedShare(nodesAfterOrBefore: number): Answer<number> {
  const wrong = firstWrong(whole('nodes', nodesAfterOrBefore, 1, 1e9))
  return wrong ?? given(1 / nodesAfterOrBefore)
}
