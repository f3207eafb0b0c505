// How many servers: for a target of waits with one queue, for a target of sojourns with a queue each, what a lost server or
// zone asks on top, how long a queue may be, how soon a backlog is gone, how much room a scaler's delay needs.
// Sources: Erlang (1917), Kingman, Mitzenmacher (as in choices.ts); Google's SRE book and CoDel's practice for queues.

import {
  type Answer,
  firstWrong,
  given,
  impossible,
  inside,
  notNegative,
  positive,
  share,
  unstable,
  whole,
} from './answer.ts'
import { type Choice, sojournByChoice, sojournQuantileByChoice } from './choices.ts'
import { erlangB, erlangC, mmcSojournQuantile, mmcWaitQuantile } from './erlang.ts'
import { leastWhole } from './numerics.ts'

/** Above this load the answer is of no use to anybody, and dear to find. */
const offeredMax = 1_000_000

/** What is asked of the pool; times in the unit of `serviceMean`. */
export type PoolTarget =
  | { readonly kind: 'wait-probability'; readonly most: number }
  | { readonly kind: 'wait-quantile'; readonly quantile: number; readonly most: number }
  | { readonly kind: 'sojourn-quantile'; readonly quantile: number; readonly most: number }

function soundLoad(arrivalRate: number, serviceMean: number): Answer<number> {
  const wrong = firstWrong(
    notNegative('arrival rate', arrivalRate),
    positive('mean service time', serviceMean),
  )
  if (wrong) return wrong
  const offered = arrivalRate * serviceMean
  return offered > offeredMax
    ? impossible(`the load is ${offered} servers' worth; one pool is sized up to ${offeredMax}: divide it`)
    : given(offered)
}

/** Fewest servers of one queue (M/M/c) that keep the target. */
export function pooledServers(arrivalRate: number, serviceMean: number, target: PoolTarget): Answer<number> {
  const offered = soundLoad(arrivalRate, serviceMean)
  if (!offered.ok) return offered
  const wrong =
    target.kind === 'wait-probability'
      ? firstWrong(inside('P(wait)', target.most))
      : firstWrong(inside('quantile', target.quantile), notNegative('target', target.most))
  if (wrong) return wrong
  if (target.kind === 'sojourn-quantile') {
    const alone = -Math.log1p(-target.quantile) * serviceMean
    if (target.most <= alone)
      return impossible(
        `${target.most} can't be kept by any number of servers: service alone takes ${Number(alone.toPrecision(4))} at quantile ${target.quantile}`,
      )
  }
  const least = Math.floor(offered.value) + 1
  const keeps = (servers: number): boolean => {
    const station = { arrivalRate, serviceMean, servers }
    const reached =
      target.kind === 'wait-probability'
        ? erlangC(servers, offered.value)
        : target.kind === 'wait-quantile'
          ? mmcWaitQuantile(station, target.quantile)
          : mmcSojournQuantile(station, target.quantile)
    return reached.ok && reached.value <= target.most
  }
  return found(leastWhole(keeps, least, 4 * least + 1000))
}

function found(servers: number | null): Answer<number> {
  return servers === null ? impossible('no number of servers within reach keeps the target') : given(servers)
}

/** Fewest connections or workers that turn away at most the share `loss` (Erlang B). */
export function blockingServers(offered: number, loss: number): Answer<number> {
  const wrong = firstWrong(notNegative('offered load', offered), inside('share lost', loss))
  if (wrong) return wrong
  if (offered > offeredMax) return impossible(`offered load is ${offered}; it must be at most ${offeredMax}`)
  const keeps = (servers: number): boolean => {
    const lost = erlangB(servers, offered)
    return lost.ok && lost.value <= loss
  }
  return found(leastWhole(keeps, 1, 2 * Math.ceil(offered) + 1000))
}

/**
 * Fewest servers with a queue each, by how one is chosen, of which the share `quantile` of sojourns stays within `most`;
 * null as quantile: the mean does. @param most in the unit of `serviceMean`
 */
export function perNodeServers(
  choice: Choice,
  arrivalRate: number,
  serviceMean: number,
  quantile: number | null,
  most: number,
): Answer<number> {
  const offered = soundLoad(arrivalRate, serviceMean)
  if (!offered.ok) return offered
  const wrong = firstWrong(positive('target', most), quantile === null ? null : inside('quantile', quantile))
  if (wrong) return wrong
  const limit = most / serviceMean
  const alone = quantile === null ? 1 : -Math.log1p(-quantile)
  if (limit <= alone)
    return impossible(
      `${most} can't be kept by any number of servers: service alone takes ${Number((alone * serviceMean).toPrecision(4))}`,
    )
  if (offered.value === 0) return given(1)
  const keeps = (servers: number): boolean => {
    const reached = sojourn(choice, servers, offered.value / servers, quantile)
    return reached.ok && reached.value <= limit * (1 + 1e-12)
  }
  const least = Math.floor(offered.value) + 1
  // Random choice needs a / (1 − alone/limit) servers at most; the others need fewer.
  const enough = Math.ceil(offered.value / (1 - alone / limit)) + 1
  return found(leastWhole(keeps, least, Math.max(least, enough)))
}

function sojourn(choice: Choice, servers: number, rho: number, quantile: number | null): Answer<number> {
  if (quantile !== null) return sojournQuantileByChoice(choice, servers, rho, quantile)
  const figures = sojournByChoice(choice, servers, rho)
  return figures.ok ? given(figures.value.sojournMean) : figures
}

/** Highest utilisation at which `servers` keep the target, by choice; 0 and below 1. The inverse of the sojourn. */
export function utilisationFor(
  choice: Choice,
  servers: number,
  quantile: number | null,
  most: number,
  serviceMean: number,
): Answer<number> {
  const wrong = firstWrong(
    whole('servers', servers, 1, offeredMax),
    positive('target', most),
    positive('mean service time', serviceMean),
    quantile === null ? null : inside('quantile', quantile),
  )
  if (wrong) return wrong
  const limit = most / serviceMean
  let low = 0
  let high = 1
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2
    const reached = sojourn(choice, servers, middle, quantile)
    if (reached.ok && reached.value <= limit) low = middle
    else high = middle
  }
  return low < 1e-9
    ? impossible(`${most} can't be kept at any utilisation: service alone takes longer`)
    : given(low)
}

/** One to spare (N+1), or `spare`, for what fails or is being replaced. */
export function withSpare(servers: number, spare: number): Answer<number> {
  const wrong = firstWrong(whole('servers', servers, 0, 1e9), whole('spare', spare, 0, 1e9))
  return wrong ?? given(servers + spare)
}

/** In all, in equal zones, so that `servers` are left when one zone is lost: z · ⌈c / (z − 1)⌉, at least c·z/(z−1). */
export function withZoneLoss(servers: number, zones: number): Answer<number> {
  const wrong = firstWrong(whole('servers', servers, 0, 1e9), whole('zones', zones, 2, 1000))
  return wrong ?? given(zones * Math.ceil(servers / (zones - 1)))
}

/** Longest queue that can still be served in time: K = μ · (deadline − S), rounded down. @param serviceRate μ of all servers */
export function queueBound(serviceRate: number, serviceMean: number, deadline: number): Answer<number> {
  const wrong = firstWrong(
    positive('service rate', serviceRate),
    positive('mean service time', serviceMean),
    positive('deadline', deadline),
  )
  if (wrong) return wrong
  if (deadline <= serviceMean)
    return impossible(
      `the deadline of ${deadline} is over before one service of ${serviceMean} ends; it must be longer`,
    )
  return given(Math.floor(serviceRate * (deadline - serviceMean) * (1 + 1e-12)))
}

/** How long a backlog takes to be gone: backlog / (μ − λ). */
export function drainTime(backlog: number, serviceRate: number, arrivalRate: number): Answer<number> {
  const wrong = firstWrong(
    notNegative('backlog', backlog),
    positive('service rate', serviceRate),
    notNegative('arrival rate', arrivalRate),
  )
  if (wrong) return wrong
  return arrivalRate >= serviceRate
    ? unstable(arrivalRate / serviceRate)
    : given(backlog / (serviceRate - arrivalRate))
}

/**
 * Highest target of a scaler that leaves room while new servers come: slope · delay <= (1 − target) · capacity.
 * @param slope rise of the load per second at its steepest; @param delaySeconds metric, decision and boot; @param capacity at the time
 */
export function scalerTarget(slope: number, delaySeconds: number, capacity: number): Answer<number> {
  const wrong = firstWrong(
    notNegative('slope', slope),
    notNegative('delay', delaySeconds),
    positive('capacity', capacity),
  )
  if (wrong) return wrong
  const target = 1 - (slope * delaySeconds) / capacity
  return target > 0
    ? given(target)
    : impossible(
        `the load rises by ${slope * delaySeconds} before a new server is there, more than the capacity of ${capacity}: keep that much running`,
      )
}

/** Servers for work that takes `cpuSeconds` each, at most `utilisation` busy: rate · seconds / (cores · utilisation). */
export function serversByCpu(
  ratePerSecond: number,
  cpuSeconds: number,
  cores: number,
  utilisation: number,
): Answer<number> {
  const wrong = firstWrong(
    notNegative('rate', ratePerSecond),
    notNegative('CPU seconds', cpuSeconds),
    positive('cores', cores),
    share('utilisation', utilisation),
    positive('utilisation', utilisation),
  )
  return wrong ?? given(Math.ceil((ratePerSecond * cpuSeconds * (1 - 1e-12)) / (cores * utilisation)))
}
