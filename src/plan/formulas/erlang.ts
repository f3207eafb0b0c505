// One queue before many servers: M/M/c with Erlang's formulas, its bounded form M/M/c/K, and how many servers a load needs.
// Rates and times are in any one unit (per second and seconds, or with the mean service time as 1); `offered` is the load in
// Erlangs: arrivals in one mean service time. Sources: Erlang (1917); Halfin & Whitt, Operations Research 29 (1981).

import { type Answer, firstWrong, given, inside, notNegative, positive, unstable, whole } from './answer.ts'
import { meanDecay, normalCdf, normalDensity, rootOf, tailQuantile } from './numerics.ts'

/** More servers or places than this are refused: the recursion takes a step for each. */
export const serversMax = 10_000_000

/** Poisson arrivals at one queue, exponential service by `servers` alike. */
export interface Station {
  /** Arrivals per unit of time. */
  readonly arrivalRate: number
  /** Mean service time of one server. */
  readonly serviceMean: number
  readonly servers: number
}

export interface StationFigures {
  /** Share of each server's time that is busy. */
  readonly utilisation: number
  readonly waitProbability: number
  readonly waitMean: number
  /** Wait and service. */
  readonly sojournMean: number
  /** Mean number waiting, and in the system (Little: L = λW). */
  readonly queueMean: number
  readonly systemMean: number
}

/** Erlang B: share lost by M/M/c/c. By its recursion, stable for any load; c steps. */
export function erlangB(servers: number, offered: number): Answer<number> {
  const wrong = firstWrong(whole('servers', servers, 1, serversMax), notNegative('offered load', offered))
  return wrong ?? given(blocking(servers, offered))
}

/** Erlang C: P(wait) of M/M/c, from Erlang B. */
export function erlangC(servers: number, offered: number): Answer<number> {
  const wrong = firstWrong(whole('servers', servers, 1, serversMax), notNegative('offered load', offered))
  if (wrong) return wrong
  if (offered >= servers) return unstable(offered / servers)
  return given(waiting(servers, offered))
}

function blocking(servers: number, offered: number): number {
  let lost = 1
  for (let k = 1; k <= servers; k++) lost = (offered * lost) / (k + offered * lost)
  return lost
}

function waiting(servers: number, offered: number): number {
  const lost = blocking(servers, offered)
  return lost / (1 - (offered / servers) * (1 - lost))
}

function checked(station: Station): Answer<number> {
  const wrong = firstWrong(
    notNegative('arrival rate', station.arrivalRate),
    positive('mean service time', station.serviceMean),
    whole('servers', station.servers, 1, serversMax),
  )
  if (wrong) return wrong
  const offered = station.arrivalRate * station.serviceMean
  return offered >= station.servers ? unstable(offered / station.servers) : given(offered)
}

/** M/M/c; with one server M/M/1. */
export function mmc(station: Station): Answer<StationFigures> {
  const offered = checked(station)
  if (!offered.ok) return offered
  const { serviceMean, servers, arrivalRate } = station
  const waitProbability = waiting(servers, offered.value)
  const waitMean = (waitProbability * serviceMean) / (servers - offered.value)
  return given({
    utilisation: offered.value / servers,
    waitProbability,
    waitMean,
    sojournMean: waitMean + serviceMean,
    queueMean: arrivalRate * waitMean,
    systemMean: arrivalRate * waitMean + offered.value,
  })
}

/** M/M/c: the wait that the share `quantile` stays below. P(wait > t) = C e^(−(c−a)t/S). */
export function mmcWaitQuantile(station: Station, quantile: number): Answer<number> {
  const wrong = firstWrong(inside('quantile', quantile))
  if (wrong) return wrong
  const offered = checked(station)
  if (!offered.ok) return offered
  const late = waiting(station.servers, offered.value)
  const left = 1 - quantile
  return given(
    late <= left ? 0 : (Math.log(late / left) * station.serviceMean) / (station.servers - offered.value),
  )
}

/** M/M/c: the time in the system, wait and service, that the share `quantile` stays below (first come, first served). */
export function mmcSojournQuantile(station: Station, quantile: number): Answer<number> {
  const wrong = firstWrong(inside('quantile', quantile))
  if (wrong) return wrong
  const offered = checked(station)
  if (!offered.ok) return offered
  const late = waiting(station.servers, offered.value)
  const tail = sojournTail(late, 1 / (station.servers - offered.value))
  return given(tailQuantile(tail, 1 - quantile, 1) * station.serviceMean)
}

/** P(service + wait > t), service exponential of mean 1, the wait none or (share `late`) exponential of mean `waitMean`. */
export function sojournTail(late: number, waitMean: number): (t: number) => number {
  const rate = 1 / waitMean
  const apart = Math.abs(rate - 1)
  return t => {
    const both = Math.exp(-Math.min(rate, 1) * t) * t * meanDecay(apart * t)
    return Math.exp(-t) + late * both
  }
}

export interface BoundedFigures {
  /** Share of arrivals that are turned away. */
  readonly lossProbability: number
  /** Served per unit of time. */
  readonly throughput: number
  readonly utilisation: number
  readonly queueMean: number
  /** Of those that are let in. */
  readonly waitMean: number
  readonly sojournMean: number
}

/** M/M/c/K: at most `capacity` in the system, those in service included; the rest is turned away. Stable at any load. */
export function mmck(station: Station, capacity: number): Answer<BoundedFigures> {
  const { arrivalRate, serviceMean, servers } = station
  const wrong = firstWrong(
    notNegative('arrival rate', arrivalRate),
    positive('mean service time', serviceMean),
    whole('servers', servers, 1, serversMax),
    whole('capacity', capacity, servers, servers + serversMax),
  )
  if (wrong) return wrong
  const offered = arrivalRate * serviceMean
  const rho = offered / servers
  // Each further place: the loss at k + 1 places from the loss at k. Beside it, the mean number waiting.
  let lossProbability = blocking(servers, offered)
  let queueMean = 0
  for (let places = 1; places <= capacity - servers; places++) {
    const more = rho * lossProbability
    lossProbability = more / (1 + more)
    queueMean += lossProbability * (places - queueMean)
  }
  const throughput = arrivalRate * (1 - lossProbability)
  const waitMean = throughput === 0 ? 0 : queueMean / throughput
  return given({
    lossProbability,
    throughput,
    utilisation: (throughput * serviceMean) / servers,
    queueMean,
    waitMean,
    sojournMean: waitMean + serviceMean,
  })
}

/** P(wait) of a large pool with a + β√a servers (Halfin & Whitt): 1 / (1 + βΦ(β)/φ(β)). @param beta above 0 */
export function halfinWhitt(beta: number): Answer<number> {
  const wrong = firstWrong(positive('beta', beta))
  return wrong ?? given(halfinWhittOf(beta))
}

function halfinWhittOf(beta: number): number {
  if (beta > 40) return 0
  const density = normalDensity(beta)
  return density / (density + beta * normalCdf(beta))
}

/** β for a wanted P(wait): the inverse of `halfinWhitt`. */
export function halfinWhittBeta(waitProbability: number): Answer<number> {
  const wrong = firstWrong(inside('P(wait)', waitProbability))
  return wrong ?? given(rootOf(beta => waitProbability - halfinWhittOf(beta), 0, 40))
}

/** Servers for a load and a wanted P(wait) by the square-root rule: a + β√a, rounded up. */
export function squareRootStaffing(offered: number, waitProbability: number): Answer<number> {
  const wrong = firstWrong(positive('offered load', offered))
  if (wrong) return wrong
  const beta = halfinWhittBeta(waitProbability)
  return beta.ok ? given(Math.ceil(offered + beta.value * Math.sqrt(offered))) : beta
}
