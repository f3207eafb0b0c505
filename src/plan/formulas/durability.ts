// How long until all copies of something are lost. Copies fail independently at a constant rate and are remade one at a
// time: a birth-death chain. Real losses come more often, since disks, racks and mistakes fail together.
// Sources: Patterson, Gibson & Katz (1988) for RAID; Angus (1988) for the chain.

import { type Answer, firstWrong, given, impossible, inside, positive, share, whole } from './answer.ts'

/** Failures a year from an annual failure rate: −ln(1 − AFR). */
export function failuresPerYear(annualFailureRate: number): Answer<number> {
  const wrong = firstWrong(inside('annual failure rate', annualFailureRate))
  return wrong ?? given(-Math.log1p(-annualFailureRate))
}

/**
 * Mean time until all `copies` are lost, from all there: exact for the chain, for λ ≪ μ about μ^(n−1) / (n! λⁿ):
 * μ/2λ² for two, μ²/6λ³ for three.
 * @param failureRate λ of one copy; @param repairRate μ, in the same unit (1 / time to remake a copy)
 */
export function meanTimeToDataLoss(copies: number, failureRate: number, repairRate: number): Answer<number> {
  const wrong = firstWrong(
    whole('copies', copies, 1, 64),
    positive('failure rate', failureRate),
    positive('repair rate', repairRate),
  )
  if (wrong) return wrong
  // Time from `lost` copies to one more: 1/λ_i + (μ/λ_i) · the step before.
  let step = 0
  let sum = 0
  for (let lost = 0; lost < copies; lost++) {
    const rate = (copies - lost) * failureRate
    step = (1 + (lost === 0 ? 0 : repairRate * step)) / rate
    sum += step
  }
  return Number.isFinite(sum)
    ? given(sum)
    : impossible('the time is longer than a number can hold; take fewer copies')
}

/** P(at least one of `groups` sets of copies is lost) within `time`: 1 − e^(−groups · time / MTTDL). */
export function lossProbability(meanTime: number, groups: number, time: number): Answer<number> {
  const wrong = firstWrong(
    positive('mean time', meanTime),
    positive('groups', groups),
    positive('time', time),
  )
  return wrong ?? given(-Math.expm1((-groups * time) / meanTime))
}

/** Durability of one object over a year as a share: e^(−1/MTTDL). @param meanYears MTTDL in years */
export function yearlyDurability(
  meanYears: number,
): Answer<{ readonly kept: number; readonly lost: number }> {
  const wrong = firstWrong(positive('mean years', meanYears))
  return wrong ?? given({ kept: Math.exp(-1 / meanYears), lost: -Math.expm1(-1 / meanYears) })
}

/** Writes lost for good at a failover of an asynchronous copy: rate · lag, times the share of them that nobody else holds. */
export function writesAtRisk(writeRate: number, lag: number, shareUnsent = 1): Answer<number> {
  const wrong = firstWrong(
    positive('write rate', writeRate),
    share('share', shareUnsent),
    positive('lag', lag),
  )
  return wrong ?? given(writeRate * lag * shareUnsent)
}
