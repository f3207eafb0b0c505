// One queue before one server, or with general arrivals and service: M/M/1, M/G/1 (Pollaczek and Khinchine), Kingman's
// approximation, Allen and Cunneen's for many servers, processor sharing, loss of M/M/1/K. Rates and times in any one unit.
// `squaredVariation` (Cs², Ca²) is variance by squared mean: 0 fixed, 1 exponential.

import { type Answer, firstWrong, given, inside, notNegative, positive, unstable } from './answer.ts'
import {
  type BoundedFigures,
  mmc,
  mmck,
  mmcSojournQuantile,
  type Station,
  type StationFigures,
  sojournTail,
} from './erlang.ts'
import { tailQuantile } from './numerics.ts'

/** M/M/1: W = S / (1 − ρ). */
export function mm1(arrivalRate: number, serviceMean: number): Answer<StationFigures> {
  return mmc({ arrivalRate, serviceMean, servers: 1 })
}

/** M/M/1: the sojourn is exponential: −ln(1 − q) · W. */
export function mm1SojournQuantile(
  arrivalRate: number,
  serviceMean: number,
  quantile: number,
): Answer<number> {
  return mmcSojournQuantile({ arrivalRate, serviceMean, servers: 1 }, quantile)
}

/** M/M/1/K: at most `capacity` in the system, the one in service included. Loss (1 − ρ)ρ^K / (1 − ρ^(K+1)). */
export function mm1k(arrivalRate: number, serviceMean: number, capacity: number): Answer<BoundedFigures> {
  return mmck({ arrivalRate, serviceMean, servers: 1 }, capacity)
}

/** M/G/1: Wq = ρS(1 + Cs²) / (2(1 − ρ)) (Pollaczek 1930, Khinchine 1932). Exact. */
export function mg1(
  arrivalRate: number,
  serviceMean: number,
  squaredVariation: number,
): Answer<StationFigures> {
  return gg1(arrivalRate, serviceMean, 1, squaredVariation)
}

/** G/G/1: Wq ≈ (Ca² + Cs²)/2 · ρ/(1 − ρ) · S (Kingman 1961); exact for Poisson arrivals, an upper view in heavy traffic. */
export function gg1(
  arrivalRate: number,
  serviceMean: number,
  arrivalVariation: number,
  serviceVariation: number,
): Answer<StationFigures> {
  return ggc({ arrivalRate, serviceMean, servers: 1 }, arrivalVariation, serviceVariation)
}

/** G/G/c: Wq ≈ (Ca² + Cs²)/2 · Wq of M/M/c (Allen and Cunneen 1978). P(wait) is that of M/M/c. */
export function ggc(
  station: Station,
  arrivalVariation: number,
  serviceVariation: number,
): Answer<StationFigures> {
  const wrong = firstWrong(
    notNegative('squared variation of arrivals', arrivalVariation),
    notNegative('squared variation of service', serviceVariation),
  )
  if (wrong) return wrong
  const plain = mmc(station)
  if (!plain.ok) return plain
  const factor = (arrivalVariation + serviceVariation) / 2
  const waitMean = plain.value.waitMean * factor
  return given({
    ...plain.value,
    waitMean,
    sojournMean: waitMean + station.serviceMean,
    queueMean: plain.value.queueMean * factor,
    systemMean: station.arrivalRate * (waitMean + station.serviceMean),
  })
}

/**
 * The sojourn that the share `quantile` stays below in G/G/c: the wait taken as none or, with P(wait) of M/M/c, exponential
 * of the mean of `ggc`; service taken as fixed when Cs² is below 1/2, else exponential. Exact for M/M/c, an approximation
 * elsewhere.
 */
export function ggcSojournQuantile(
  station: Station,
  arrivalVariation: number,
  serviceVariation: number,
  quantile: number,
): Answer<number> {
  const wrong = firstWrong(inside('quantile', quantile))
  if (wrong) return wrong
  if (arrivalVariation === 1 && serviceVariation === 1) return mmcSojournQuantile(station, quantile)
  const figures = ggc(station, arrivalVariation, serviceVariation)
  if (!figures.ok) return figures
  const { waitMean, waitProbability } = figures.value
  return given(sojournQuantile(station.serviceMean, serviceVariation, waitProbability, waitMean, quantile))
}

/** Service (fixed below Cs² = 1/2, else exponential) and a wait that is none or, with share `late`, exponential. */
export function sojournQuantile(
  serviceMean: number,
  serviceVariation: number,
  late: number,
  waitMean: number,
  quantile: number,
): number {
  const left = 1 - quantile
  const tailMean = late === 0 ? 0 : waitMean / late
  if (serviceVariation < 0.5) return serviceMean + (late <= left ? 0 : Math.log(late / left) * tailMean)
  if (tailMean === 0) return -Math.log(left) * serviceMean
  return tailQuantile(sojournTail(late, tailMean / serviceMean), left, 1) * serviceMean
}

/** M/G/1 with processor sharing: S / (1 − ρ) whatever the law of service; of a job of size `work`: work / (1 − ρ). */
export function processorSharing(
  arrivalRate: number,
  serviceMean: number,
  work: number = serviceMean,
): Answer<number> {
  const wrong = firstWrong(
    notNegative('arrival rate', arrivalRate),
    positive('mean service time', serviceMean),
    notNegative('work', work),
  )
  if (wrong) return wrong
  const rho = arrivalRate * serviceMean
  return rho >= 1 ? unstable(rho) : given(work / (1 - rho))
}
