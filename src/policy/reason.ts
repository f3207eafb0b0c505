// Why a policy decided as it did: one table of small integers for all policies, so that a hot path stores a code (and
// at most two numbers, `a` and `b`) and only whoever looks renders words. Codes are compared inside one build only:
// they are never written to disk or sent to another version.

import { durationText } from '../kit/duration.ts'

export const Reason = {
  none: 0,
  // which member (balance)
  roundRobin: 1,
  weightedRoundRobin: 2,
  random: 3,
  leastConnections: 4,
  leastResponseTime: 5,
  leastBandwidth: 6,
  twoChoices: 7,
  resource: 8,
  ipHash: 9,
  ringHash: 10,
  rendezvousHash: 11,
  maglevHash: 12,
  onlyOne: 13,
  latencyUnknown: 14,
  hashNextIneligible: 15,
  hashNextOverBound: 16,
  hashNextCold: 17,
  noneEligible: 18,
  sticky: 19,
  // active health
  unchecked: 30,
  probesOk: 31,
  probesFailed: 32,
  probeOkOnce: 33,
  probeFailedOnce: 34,
  // passive health
  consecutiveFailures: 40,
  failureShare: 41,
  latencyOutlier: 42,
  ejectCapReached: 43,
  lastMember: 44,
  returnedByTime: 45,
  returnedByProbe: 46,
  ejectionForgiven: 47,
  // panic and tiers
  normal: 60,
  panic: 61,
  tierSpill: 62,
  noneHealthy: 63,
  // circuit
  room: 70,
  connectionsFull: 71,
  inFlightFull: 72,
  pendingWait: 73,
  pendingFull: 74,
  pendingOff: 75,
  // retry and hedge
  retryUnsent: 80,
  retryStaleConnection: 81,
  retryReset: 82,
  retryTimeout: 83,
  retryStatus: 84,
  noRetryResponseBegun: 85,
  noRetryNotIdempotent: 86,
  noRetryBodyGone: 87,
  noRetryAttempts: 88,
  noRetryBudget: 89,
  noRetryStatus: 90,
  noRetryClientGone: 91,
  hedge: 92,
  noHedgeUnsafe: 93,
  noHedgeBody: 94,
  noHedgeBudget: 95,
  noHedgeLatencyUnknown: 96,
  noHedgeAlready: 97,
  // canary
  canaryGood: 110,
  canaryFewRequests: 111,
  canaryAlone: 112,
  canaryByChance: 113,
  canaryErrors: 114,
  canarySlow: 115,
  canaryStopped: 116,
  canaryUnjudged: 117,
  // replica
  replicaUsed: 130,
  replicaLessFrom: 131,
  replicaNotFrom: 132,
  replicaDelayed: 133,
  replicaNotReady: 134,
  replicaUnwatched: 135,
  replicaOut: 136,
  replicaTimeline: 137,
  replicaUnknown: 138,
  // adaptive concurrency
  limitLearning: 150,
  limitUnused: 151,
  limitRaised: 152,
  limitLowered: 153,
  limitFailures: 154,
  limitProbing: 155,
  limitProbed: 156,
} as const
export type ReasonName = keyof typeof Reason
export type ReasonCode = (typeof Reason)[ReasonName]

/**
 * `{a}` plain number, `{a:s}` the plural's s, `{a:us}` a duration from microseconds, `{a:share}` a percentage
 * of 0..1, `{a:rate}` the same with one decimal below 10 %.
 */
const words: Readonly<Record<ReasonName, string>> = {
  none: 'no decision yet',
  roundRobin: 'round robin',
  weightedRoundRobin: 'weighted round robin',
  random: 'random',
  leastConnections: 'least connections',
  leastResponseTime: 'least response time',
  leastBandwidth: 'least bandwidth',
  twoChoices: 'better of two choices',
  resource: 'lowest utilisation',
  ipHash: 'client address hash',
  ringHash: 'ring hash',
  rendezvousHash: 'rendezvous hash',
  maglevHash: 'maglev hash',
  onlyOne: 'the only member that can take it',
  latencyUnknown: 'latency not known yet, tried first',
  hashNextIneligible: 'hash, next in rank: its own member cannot take it',
  hashNextOverBound: 'hash, next in rank: its own member is over the load bound',
  hashNextCold: 'hash, next in rank: its own member is still warming up',
  noneEligible: 'no member can take it',
  sticky: 'sticky cookie',
  unchecked: 'not probed yet',
  probesOk: '{a} probe{a:s} ok',
  probesFailed: '{a} probe{a:s} failed',
  probeOkOnce: 'probe ok, {a} of {b} to come back',
  probeFailedOnce: 'probe failed, {a} of {b} to leave',
  consecutiveFailures: 'ejected: {a} failures in a row',
  failureShare: 'ejected: {a:share} of {b} requests failed',
  latencyOutlier: 'ejected: latency {a:us}, median of the group {b:us}',
  ejectCapReached: 'not ejected: {a} of {b} are out already',
  lastMember: 'not ejected: no other member is left',
  returnedByTime: 'back: ejection of {a:us} is over',
  returnedByProbe: 'back: its probes failed and pass again',
  ejectionForgiven: 'one ejection forgiven after {a:us} in good standing',
  normal: 'normal',
  panic: 'panic: {a} of {b} healthy',
  tierSpill: 'tier {a} joins: {b:share} of the tiers below are healthy',
  noneHealthy: 'none of {b} healthy',
  room: 'admitted',
  connectionsFull: 'member at its limit of {a} connections',
  inFlightFull: 'member at its limit of {a} requests in flight',
  pendingWait: 'waiting for a place, {a} of {b} waiting',
  pendingFull: 'refused: {a} requests wait already',
  pendingOff: 'refused: every member is at its limit and waiting is off',
  retryUnsent: 'retried: nothing had been sent',
  retryStaleConnection: 'retried: the idle connection was closed by the instance',
  retryReset: 'retried: connection lost before the response',
  retryTimeout: 'retried: no response in time',
  retryStatus: 'retried: status {a}',
  noRetryResponseBegun: 'not retried: the response had begun',
  noRetryNotIdempotent: 'not retried: the method is not idempotent and the instance may have acted on it',
  noRetryBodyGone: 'not retried: the request body cannot be sent again',
  noRetryAttempts: 'not retried: {a} attempts made',
  noRetryBudget: 'not retried: {a} retries active, the budget is used up',
  noRetryStatus: 'not retried: status {a} is not on the list',
  noRetryClientGone: 'not retried: the client has gone',
  hedge: 'hedged after {a:us}',
  noHedgeUnsafe: 'not hedged: the method is not safe',
  noHedgeBody: 'not hedged: the request has a body',
  noHedgeBudget: 'not hedged: the budget is used up',
  noHedgeLatencyUnknown: 'not hedged: too few latencies known',
  noHedgeAlready: 'not hedged: a second attempt is on its way',
  canaryGood: 'errors {a:rate} against {b:rate}',
  canaryFewRequests: '{a} of {b} requests that a judgement needs',
  canaryAlone: 'no other requests to compare with',
  canaryByChance: 'errors {a:rate} against {b:rate}, which may be chance,',
  canaryErrors: 'taken out: errors {a:rate} against {b:rate}',
  canarySlow: 'taken out: p95 {a:us} against {b:us}',
  canaryStopped: 'stopped by an operator',
  canaryUnjudged: 'never taken out by itself',
  replicaUsed: 'used',
  replicaLessFrom: 'used less: {a:us} behind',
  replicaNotFrom: 'not used while another is nearer: {a:us} behind',
  replicaDelayed: 'never read from: it is delayed on purpose',
  replicaNotReady: 'not used: it is not ready',
  replicaUnwatched: 'not used: it does not answer the monitor',
  replicaOut: 'not used for another {a:us}: statements failed there',
  replicaTimeline: 'not used for fresh reads: it is on timeline {a}, the primary on {b}',
  replicaUnknown: 'not used: how far it is is not known yet',
  limitLearning: 'begins at {a}',
  limitUnused: 'held at {a}: less than half of it is used, latency {b:us}',
  limitRaised: 'raised to {a}: latency {b:us}',
  limitLowered: 'lowered to {a}: latency {b:us}',
  limitFailures: 'lowered to {a}: {b:share} failed',
  limitProbing: 'at {a} for a moment, to see the latency without a queue',
  limitProbed: 'at {a}: without a queue the latency is {b:us}',
}

const nameOf: ReadonlyMap<number, ReasonName> = new Map(
  (Object.keys(Reason) as ReasonName[]).map(name => [Reason[name], name]),
)

/** The sentence for a code; `a` and `b` are the numbers that the decision left with it. */
export function reasonText(code: number, a = 0, b = 0): string {
  const name = nameOf.get(code)
  if (name === undefined) return `reason ${code}`
  return words[name].replace(
    /\{([ab])(?::(us|share|rate|s))?\}/g,
    (_, which: string, form: string | undefined) => {
      const value = which === 'a' ? a : b
      if (form === 'us') return durationText(value / 1_000)
      if (form === 's') return value === 1 ? '' : 's'
      if (form === 'rate') return rateText(value)
      return form === 'share' ? `${Math.round(value * 100)} %` : `${Math.round(value * 1000) / 1000}`
    },
  )
}

function rateText(share: number): string {
  const percent = share * 100
  return `${percent < 10 ? Math.round(percent * 10) / 10 : Math.round(percent)} %`
}

/** Kebab-case name for metric labels and logs: `consecutive-failures`. */
export function reasonLabel(code: number): string {
  return (nameOf.get(code) ?? `code-${code}`).replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}
