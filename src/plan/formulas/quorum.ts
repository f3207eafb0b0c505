// Quorums over n copies: whether a read must meet the last write (R + W > N), and where it need not, how likely it does.
// Source: Bailis et al., "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012: four one-way delays
// for each copy (WARS: write, acknowledgement, read, response), drawn by Monte Carlo.

import type { Random } from '../../kit/random.ts'
import { type Answer, firstWrong, given, notNegative, positive, share, whole } from './answer.ts'

export interface Quorum {
  readonly copies: number
  readonly reads: number
  readonly writes: number
}

/** A body that follows Pareto's law with a tail of an exponential. Times in any one unit. */
export interface DelayLaw {
  readonly paretoLeast: number
  readonly paretoShape: number
  readonly exponentialShare: number
  readonly exponentialMean: number
}

export interface WarsDelays {
  readonly write: DelayLaw
  readonly acknowledge: DelayLaw
  readonly read: DelayLaw
  readonly respond: DelayLaw
}

function wrongQuorum(quorum: Quorum): ReturnType<typeof firstWrong> {
  return firstWrong(
    whole('copies', quorum.copies, 1, 1000),
    whole('reads', quorum.reads, 1, quorum.copies),
    whole('writes', quorum.writes, 1, quorum.copies),
  )
}

export interface QuorumFigures {
  /** R + W > N: each read meets the last write that was acknowledged. */
  readonly strict: boolean
  /** W > N/2: of two writes at once, not both are acknowledged without one seeing the other. */
  readonly writesMeet: boolean
  /** Copies that may be lost while reads, and while writes, still go on. */
  readonly readsSurvive: number
  readonly writesSurvive: number
}

export function quorum(of: Quorum): Answer<QuorumFigures> {
  return (
    wrongQuorum(of) ??
    given({
      strict: of.reads + of.writes > of.copies,
      writesMeet: 2 * of.writes > of.copies,
      readsSurvive: of.copies - of.reads,
      writesSurvive: of.copies - of.writes,
    })
  )
}

export interface StalenessFigures {
  /** Share of reads that see the last write, begun so long after it was acknowledged. */
  readonly consistent: number
  /** Half the width of its 95 % interval (Wilson's, so that 100 % has one too). */
  readonly halfWidth: number
  readonly writeMean: number
  readonly readMean: number
}

/**
 * P(consistent) of a read that begins `since` after the write was acknowledged, without repair or retries.
 * @param trials 100 to 10 million
 */
export function staleness(
  of: Quorum,
  delays: WarsDelays,
  since: number,
  trials: number,
  random: Random,
): Answer<StalenessFigures> {
  const wrong =
    wrongQuorum(of) ??
    firstWrong(notNegative('time since the write', since), whole('trials', trials, 100, 10_000_000)) ??
    wrongLaws(delays)
  if (wrong) return wrong
  const n = of.copies
  const arrives = new Float64Array(n)
  const acknowledged = new Float64Array(n)
  const asked = new Float64Array(n)
  const answered = new Float64Array(n)
  let fresh = 0
  let writeSum = 0
  let readSum = 0
  for (let trial = 0; trial < trials; trial++) {
    for (let at = 0; at < n; at++) {
      arrives[at] = drawn(delays.write, random)
      acknowledged[at] = (arrives[at] as number) + drawn(delays.acknowledge, random)
      asked[at] = drawn(delays.read, random)
      answered[at] = (asked[at] as number) + drawn(delays.respond, random)
    }
    const committed = nth(acknowledged, of.writes)
    const read = nth(answered, of.reads)
    writeSum += committed
    readSum += read
    for (let at = 0; at < n; at++)
      if (
        (answered[at] as number) <= read &&
        (arrives[at] as number) <= committed + since + (asked[at] as number)
      ) {
        fresh++
        break
      }
  }
  return given({
    consistent: fresh / trials,
    halfWidth: wilson(fresh / trials, trials),
    writeMean: writeSum / trials,
    readMean: readSum / trials,
  })
}

function wrongLaws(delays: WarsDelays): ReturnType<typeof firstWrong> {
  for (const [name, law] of Object.entries(delays) as [string, DelayLaw][]) {
    const wrong = firstWrong(
      positive(`least ${name} delay`, law.paretoLeast),
      positive(`shape of the ${name} delay`, law.paretoShape),
      share(`exponential share of the ${name} delay`, law.exponentialShare),
      notNegative(`exponential mean of the ${name} delay`, law.exponentialMean),
    )
    if (wrong) return wrong
  }
  return null
}

function drawn(law: DelayLaw, random: Random): number {
  const tail = random.float() < law.exponentialShare
  const u = 1 - random.float()
  return tail ? -Math.log(u) * law.exponentialMean : law.paretoLeast * u ** (-1 / law.paretoShape)
}

function nth(values: Float64Array, which: number): number {
  return Float64Array.from(values).sort()[which - 1] as number
}

function wilson(share: number, trials: number): number {
  const z = 1.959963984540054
  const square = (z * z) / trials
  return (z * Math.sqrt((share * (1 - share)) / trials + square / (4 * trials))) / (1 + square)
}
