// Split and canary: which upstream a client belongs to, and whether a canary has to be taken out because of what its
// requests showed against all others. The same client stays on its side; a share that changes moves as few clients as
// possible. The judgement is an exact test: a canary is never taken out for what chance alone would show about once in
// thirty thousand looks. Counts nothing itself (canary-window.ts) and obeys nothing (the shell does).

import type { Distribution } from '../kit/histogram.ts'
import { hashText, mixPair } from './hash.ts'
import { latencyNoiseUs } from './outlier.ts'
import { Reason, reasonText } from './reason.ts'

export interface CanaryRollbackSettings {
  readonly windowMs: number
  /** Fewer canary requests than this in the window say nothing. */
  readonly requestsMin: number
  /** Error share of the canary minus that of the others, above which it is taken out (0..1). */
  readonly errorShareExcess: number
  /** p95 of the canary as a multiple of the others' above which it is taken out; 0 = off. */
  readonly latencyFactor: number
}

/** One side's requests of a window. */
export interface SideCounts {
  readonly requests: number
  /** Answered with 5xx, or not answered to the end. */
  readonly errors: number
  /** Microseconds to the first byte of what was answered without an error, and of what clients gave up waiting for. */
  readonly latency: Distribution
}

export interface CanaryObservation {
  readonly canary: SideCounts
  readonly others: SideCounts
}

export interface CanaryDecision {
  readonly kind: 'hold' | 'rollback'
  readonly reason: number
  readonly a: number
  readonly b: number
  /** Canary requests that the decision rests on. */
  readonly requests: number
}

/** What chance may do in one look: the one-sided 4 sigma of a normal distribution. A canary is looked at every second. */
const chanceMax = 3.2e-5
/** Of the others' requests, by its definition, this share lies above their p95. */
const aboveP95 = 0.05
const tailStepsMax = 100_000

/** A client's place in 0..1 for an upstream: the same for every route that leads there, independent between upstreams. */
export function clientPosition(clientHash: number, upstream: string): number {
  return mixPair(clientHash, hashText(upstream)) / 4_294_967_296
}

/** Growing shares only add clients, shrinking ones only take some away. */
export function belongsToCanary(clientHash: number, upstream: string, share: number): boolean {
  return clientPosition(clientHash, upstream) < share
}

/**
 * Index of the part of a split that the client belongs to: weighted rendezvous hashing, so that a changed share moves
 * only clients to or from that part. -1 when every share is 0.
 */
export function chooseShare(
  clientHash: number,
  parts: readonly { readonly upstream: string; readonly share: number }[],
): number {
  let best = -1
  let bestScore = Infinity
  for (let i = 0; i < parts.length; i++) {
    const { upstream, share } = parts[i]!
    if (share <= 0) continue
    // Exponential with rate `share`: the smallest of them is this part's with probability share / sum of shares.
    const score = -Math.log(1 - clientPosition(clientHash, upstream)) / share
    if (score >= bestScore) continue
    best = i
    bestScore = score
  }
  return best
}

/** `taken out: errors 12 % against 0.4 % of 500 requests`. */
export function canaryText({ reason, a, b, requests }: Omit<CanaryDecision, 'kind'>): string {
  const text = reasonText(reason, a, b)
  return judged.has(reason) ? `${text} of ${requests} requests` : text
}

const judged: ReadonlySet<number> = new Set([
  Reason.canaryGood,
  Reason.canaryByChance,
  Reason.canaryErrors,
  Reason.canarySlow,
])

export function decideCanary(seen: CanaryObservation, settings: CanaryRollbackSettings): CanaryDecision {
  const { canary, others } = seen
  const { requests } = canary
  const decision = (kind: CanaryDecision['kind'], reason: number, a: number, b: number): CanaryDecision => ({
    kind,
    reason,
    a,
    b,
    requests,
  })
  if (requests < Math.max(1, settings.requestsMin))
    return decision('hold', Reason.canaryFewRequests, requests, Math.max(1, settings.requestsMin))
  if (others.requests === 0) return decision('hold', Reason.canaryAlone, 0, 0)
  const share = canary.errors / requests
  const usual = others.errors / others.requests
  const excessive = share - usual > settings.errorShareExcess
  if (excessive && errorsByChance(seen) < chanceMax)
    return decision('rollback', Reason.canaryErrors, share, usual)
  const slow = slowness(seen, settings)
  if (slow !== null) return decision('rollback', Reason.canarySlow, slow.p95Us, slow.usualUs)
  return decision('hold', excessive ? Reason.canaryByChance : Reason.canaryGood, share, usual)
}

function slowness(
  { canary, others }: CanaryObservation,
  settings: CanaryRollbackSettings,
): { p95Us: number; usualUs: number } | null {
  const { count } = canary.latency
  const enough = Math.max(1, settings.requestsMin)
  if (settings.latencyFactor <= 0 || count < enough || others.latency.count < enough) return null
  const p95Us = canary.latency.quantile(1 - aboveP95)
  const usualUs = others.latency.quantile(1 - aboveP95)
  const boundUs = Math.max(usualUs * settings.latencyFactor, usualUs + latencyNoiseUs)
  if (p95Us <= boundUs) return null
  const slower = count - canary.latency.countUpTo(boundUs)
  return binomialTail(slower, count, aboveP95) < chanceMax ? { p95Us, usualUs } : null
}

/**
 * The probability that chance alone puts so many of all errors on the canary's side, or more, if both sides were alike:
 * Fisher's exact test, one-sided (hypergeometric tail); good for small counts too, where normal approximations are not.
 */
export function errorsByChance({ canary, others }: CanaryObservation): number {
  const total = canary.requests + others.requests
  const errors = canary.errors + others.errors
  const most = Math.min(canary.requests, errors)
  const first =
    logChoose(errors, canary.errors) +
    logChoose(total - errors, canary.requests - canary.errors) -
    logChoose(total, canary.requests)
  return tail(Math.exp(first), canary.errors, most, k => {
    const more = (errors - k) * (canary.requests - k)
    return more / ((k + 1) * (total - errors - canary.requests + k + 1))
  })
}

/** P(X >= hits) of `trials` with probability `chance` each. */
export function binomialTail(hits: number, trials: number, chance: number): number {
  if (hits <= 0) return 1
  const first = logChoose(trials, hits) + hits * Math.log(chance) + (trials - hits) * Math.log(1 - chance)
  const odds = chance / (1 - chance)
  return tail(Math.exp(first), hits, trials, k => ((trials - k) / (k + 1)) * odds)
}

/** Sum of the terms from `from` to `to`; `ratio(k)` gives term k + 1 over term k. Ends where nothing is added any more. */
function tail(first: number, from: number, to: number, ratio: (k: number) => number): number {
  let term = first
  let sum = first
  const end = Math.min(to, from + tailStepsMax)
  for (let k = from; k < end; k++) {
    const step = ratio(k)
    term *= step
    sum += term
    if (step < 1 && term < sum * 1e-12) break
  }
  return Math.min(1, sum)
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k)
}

/** Stirling's series; below 16 by multiplication. Relative error of the result under 1e-11. */
function logFactorial(n: number): number {
  if (n < 2) return 0
  if (n < 16) {
    let product = 1
    for (let k = 2; k <= n; k++) product *= k
    return Math.log(product)
  }
  const inverse = 1 / n
  const series = inverse / 12 - inverse ** 3 / 360 + inverse ** 5 / 1260
  return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + series
}
