// How long to watch a queue until its mean is known: quantiles for intervals, and run lengths from the variance law.
// Source: Whitt, "Planning Queueing Simulations", Management Science 35 (1989).

import { normalQuantile } from '../../kit/student.ts'
import { type Answer, firstWrong, given, inside, positive, unstable } from './answer.ts'

/** z for a two-sided interval: 1.96 for 95 %. */
export function twoSided(confidence: number): Answer<number> {
  const wrong = firstWrong(
    inside('confidence', confidence),
    confidence > 0.999_999_999_999 ? `confidence is ${confidence}; it must be at most 1 - 1e-12` : null,
  )
  return wrong ?? given(normalQuantile((1 + confidence) / 2))
}

/** Asymptotic variance of the time-average number in M/M/1, for a service mean of 1: 2ρ(1 + ρ)/(1 − ρ)⁴; divide by the time. */
export function mm1Variance(rho: number): Answer<number> {
  const wrong = firstWrong(positive('utilisation', rho))
  if (wrong) return wrong
  return rho >= 1 ? unstable(rho) : given((2 * rho * (1 + rho)) / (1 - rho) ** 4)
}

/** Service times of M/M/1 to watch until the interval of the mean number is within `relative`: z² · variance / (ε·L)². */
export function mm1RunLength(rho: number, relative: number, confidence: number): Answer<number> {
  const wrong = firstWrong(positive('relative half-width', relative))
  if (wrong) return wrong
  const z = twoSided(confidence)
  const variance = mm1Variance(rho)
  if (!z.ok) return z
  if (!variance.ok) return variance
  const mean = rho / (1 - rho)
  return given((z.value ** 2 * variance.value) / (relative * mean) ** 2)
}

/** The relative half-width that a run of so many service times gives: the inverse of `mm1RunLength`. */
export function mm1HalfWidth(rho: number, serviceTimes: number, confidence: number): Answer<number> {
  const wrong = firstWrong(positive('service times', serviceTimes))
  if (wrong) return wrong
  const length = mm1RunLength(rho, 1, confidence)
  return length.ok ? given(Math.sqrt(length.value / serviceTimes)) : length
}

/** Samples until a share `p` is known to ± `halfWidth`: z² p(1 − p)/h². */
export function samplesForShare(p: number, halfWidth: number, confidence: number): Answer<number> {
  const wrong = firstWrong(inside('share', p), positive('half-width', halfWidth))
  if (wrong) return wrong
  const z = twoSided(confidence)
  return z.ok ? given(Math.ceil((z.value ** 2 * p * (1 - p)) / halfWidth ** 2)) : z
}
