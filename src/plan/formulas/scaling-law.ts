// The universal scalability law: throughput of N workers that contend (σ) and keep each other coherent (κ).
// Source: Gunther, "Guerrilla Capacity Planning" (2007). σ = κ = 0 is linear, κ = 0 Amdahl's law.

import { type Answer, firstWrong, given, notNegative, positive, share } from './answer.ts'

export interface ScalingLaw {
  /** Throughput of one worker, in any unit. */
  readonly single: number
  /** σ, 0 to 1. */
  readonly contention: number
  /** κ, 0 and more. */
  readonly coherence: number
}

function wrongLaw(law: ScalingLaw): ReturnType<typeof firstWrong> {
  return firstWrong(
    positive('throughput of one', law.single),
    share('contention', law.contention),
    notNegative('coherence', law.coherence),
  )
}

/** X(N) = λN / (1 + σ(N − 1) + κN(N − 1)). */
export function scaledThroughput(law: ScalingLaw, workers: number): Answer<number> {
  const wrong = wrongLaw(law) ?? firstWrong(positive('workers', workers))
  return wrong ?? given(throughputOf(law, workers))
}

function throughputOf({ single, contention, coherence }: ScalingLaw, n: number): number {
  return (single * n) / (1 + contention * (n - 1) + coherence * n * (n - 1))
}

export interface ScalingPeak {
  /** N* = √((1 − σ)/κ), not rounded; null: no peak, more workers never hurt. */
  readonly workers: number | null
  /** Throughput there; without a peak, λ/σ, which is approached; null: without bound. */
  readonly throughput: number | null
}

/** Where more workers begin to slow the whole down. */
export function scalingPeak(law: ScalingLaw): Answer<ScalingPeak> {
  const wrong = wrongLaw(law)
  if (wrong) return wrong
  if (law.coherence === 0)
    return given({ workers: null, throughput: law.contention === 0 ? null : law.single / law.contention })
  const workers = Math.max(1, Math.sqrt((1 - law.contention) / law.coherence))
  return given({ workers, throughput: throughputOf(law, workers) })
}
