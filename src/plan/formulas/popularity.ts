// How often each object is asked for: Zipf's law over up to 10^12 objects, or a list of weights. Objects of nearly the same
// probability stand in one group, so that sums over all of them stay short: the first 4,096 ranks one by one, then groups
// whose ranks differ by at most 0.2 %, which keeps hit ratios to 1e-6 (held by a test against sums over every object).

import { type Answer, everyOne, firstWrong, given, impossible, notNegative, whole } from './answer.ts'

/** Groups in falling order of probability; the probabilities times the counts add up to 1. */
export interface Popularity {
  readonly objects: number
  /** Of one object of the group. */
  readonly probability: Float64Array
  readonly count: Float64Array
}

const objectsMax = 1e12
const singles = 4096
const groupWidth = 0.002

/** Probability of rank i in proportion to i^(−alpha). @param alpha 0 (all alike) to 10; @param objects 1 to 1e12 */
export function zipf(alpha: number, objects: number): Answer<Popularity> {
  const wrong = firstWrong(notNegative('alpha', alpha), whole('objects', objects, 1, objectsMax))
  if (wrong) return wrong
  if (alpha > 10) return impossible(`alpha is ${alpha}; it must be at most 10`)
  const counts: number[] = []
  const weights: number[] = []
  for (let rank = 1; rank <= Math.min(singles, objects); rank++) {
    counts.push(1)
    weights.push(rank ** -alpha)
  }
  for (let from = singles + 1; from <= objects; ) {
    const to = Math.min(objects, Math.floor(from * (1 + groupWidth)))
    counts.push(to - from + 1)
    weights.push(meanWeight(from, to, alpha))
    from = to + 1
  }
  return given(normalised(objects, counts, weights))
}

/** Mean of x^(−alpha) over the ranks from..to, by the integral from half a rank before to half a rank after. */
function meanWeight(from: number, to: number, alpha: number): number {
  const low = from - 0.5
  const ratio = Math.log((to + 0.5) / low)
  const power = (1 - alpha) * ratio
  const rises = power === 0 ? 1 : Math.expm1(power) / power
  return (low ** (1 - alpha) * ratio * rises) / (to - from + 1)
}

/** Measured popularity: requests of each object, at most 1e6 of them. */
export function popularityOf(requests: readonly number[]): Answer<Popularity> {
  const wrong =
    firstWrong(whole('objects', requests.length, 1, 1_000_000)) ??
    everyOne('requests of object', requests, notNegative)
  if (wrong) return wrong
  const weights = requests.filter(count => count > 0).sort((a, b) => b - a)
  if (weights.length === 0) return impossible('no object is asked for; at least one must be')
  return given(normalised(weights.length, new Array<number>(weights.length).fill(1), weights))
}

function normalised(objects: number, counts: readonly number[], weights: readonly number[]): Popularity {
  let total = 0
  // From the rarest on, so that small parts are not lost.
  for (let at = weights.length - 1; at >= 0; at--) total += (weights[at] as number) * (counts[at] as number)
  return {
    objects,
    probability: Float64Array.from(weights, weight => weight / total),
    count: Float64Array.from(counts),
  }
}
