// How many requests an upstream may be given at once, found by what it shows: while latency stays near the baseline the
// limit grows, when answers take longer it shrinks. One step a window; whoever measures calls `moveLimit`.
//
// Sources: Netflix concurrency-limits, Gradient2 (limit' = limit * clamp(tolerance * long / short, 0.5, 1) + queue, with
// queue = sqrt(limit), smoothed; no move while less than half is used); Envoy, adaptive_concurrency (a fresh baseline is
// measured at a lower limit, at jittered times, and after five windows at the minimum); TCP Vegas, for the idea.
//
// Differs from them where they are known to fail. Latencies are averaged as logarithms: of bimodal latencies neither mode
// is "the" latency, and one long poll among a hundred answers moves the mean of logarithms by 8 %, the plain mean by
// 300 %. The standard error is given away to the upstream: noise never lowers the limit. After each move what was already
// on its way is not counted. The baseline is measured at half the limit, and lower only as long as that shows a shorter
// latency, so that a measurement costs at most half of the throughput for some round trips.
//
// Phases: start (grows by half a window) -> steady -> probe (a lower limit is in force, one level a window) -> steady.

import type { Random } from '../../kit/random.ts'
import { Reason } from '../reason.ts'

export interface LimitSettings {
  readonly limitMin: number
  readonly limitMax: number
  readonly limitStart: number
  /** Latency may be this multiple of the baseline; above 1. */
  readonly tolerance: number
  /** Between two measurements of the baseline under load. */
  readonly probeMs: number
}

/** What has happened since the last call; sums over all workers. */
export interface LimitSample {
  readonly nowUs: number
  /** Answers that say something of the latency. */
  readonly answers: number
  /** Sums of the natural logarithms of their latencies in microseconds, and of the squares of these. */
  readonly logs: number
  readonly logSquares: number
  /** Time-outs, lost connections, 502 to 504. */
  readonly failures: number
  /** Under way now. */
  readonly inFlight: number
  /** Somebody found no place meanwhile. */
  readonly full: boolean
}

export const LimitPhase = { start: 0, steady: 1, probe: 2 } as const

export interface LimitState {
  readonly phase: (typeof LimitPhase)[keyof typeof LimitPhase]
  /** Not rounded. */
  readonly limit: number
  /** In force now: lower than the limit while probing. A whole number. */
  readonly allowed: number
  /** Natural logarithms of microseconds; NaN = not known yet. */
  readonly baselineLog: number
  readonly recentLog: number
  /** What is answered before was on its way when the limit moved. 0: nothing has been seen yet. */
  readonly settleUntilUs: number
  readonly windowSinceUs: number
  readonly answers: number
  readonly logs: number
  readonly logSquares: number
  readonly failures: number
  readonly full: boolean
  readonly probeAtUs: number
  readonly probeSinceUs: number
  /** Latency one level up. */
  readonly probeBeforeLog: number
  /** Highest limit since the last measurement. */
  readonly peak: number
  /** In a row at the minimum, and in a row without any sign of a queue. */
  readonly windowsAtMin: number
  readonly windowsFree: number
  /** A code with its two numbers, for `reasonText`. */
  readonly why: number
  readonly a: number
  readonly b: number
}

const answersMin = 20
const probeAnswersMin = 30
const windowMaxUs = 5_000_000
/** A measurement that can't be made in this time is given up. */
const probeMaxUs = 20_000_000
const settleMaxUs = 2_000_000
const firstProbeUs = 3_000_000
const failureShareMax = 0.1
const failuresMin = 3
const gradientMin = 0.5
const smoothing = 0.5
const startGrowth = 1.5
/** So many windows without a queue, and it grows as at the start: what has recovered is not held back for long. */
const windowsFreeMax = 10
const windowsAtMinMax = 5
/** A shorter latency at half the limit than this share of before: there was a queue. */
const probeGain = Math.log(0.8)

export function newLimitState(settings: LimitSettings): LimitState {
  return {
    phase: LimitPhase.start,
    limit: settings.limitStart,
    allowed: settings.limitStart,
    baselineLog: Number.NaN,
    recentLog: Number.NaN,
    settleUntilUs: 0,
    windowSinceUs: 0,
    answers: 0,
    logs: 0,
    logSquares: 0,
    failures: 0,
    full: false,
    probeAtUs: 0,
    probeSinceUs: 0,
    probeBeforeLog: 0,
    peak: settings.limitStart,
    windowsAtMin: 0,
    windowsFree: 0,
    why: Reason.limitLearning,
    a: settings.limitStart,
    b: 0,
  }
}

const emptyWindow = { answers: 0, logs: 0, logSquares: 0, failures: 0, full: false } as const

/** The next state. Called at a steady pace, some times a second. */
export function moveLimit(
  state: LimitState,
  sample: LimitSample,
  settings: LimitSettings,
  random: Random,
): LimitState {
  const { nowUs } = sample
  const begun = state.windowSinceUs === 0 ? { ...state, windowSinceUs: nowUs } : state
  if (nowUs < begun.settleUntilUs) return { ...begun, ...emptyWindow, windowSinceUs: nowUs }
  if (begun.phase === LimitPhase.probe && sample.inFlight > begun.allowed)
    return drained(begun, sample, settings, random)
  const grown: LimitState = {
    ...begun,
    answers: begun.answers + sample.answers,
    logs: begun.logs + sample.logs,
    logSquares: begun.logSquares + sample.logSquares,
    failures: begun.failures + sample.failures,
    full: begun.full || sample.full || sample.inFlight * 2 >= begun.allowed,
  }
  const wanted = grown.phase === LimitPhase.probe ? probeAnswersMin : answersMin
  const age = nowUs - grown.windowSinceUs
  if (grown.answers + grown.failures < wanted && age < windowMaxUs) return grown
  const judged = judge(grown, nowUs, settings, random)
  return { ...judged, ...emptyWindow, windowSinceUs: nowUs }
}

/** A probe begins when no more than it allows are under way. */
function drained(
  state: LimitState,
  { nowUs }: LimitSample,
  settings: LimitSettings,
  random: Random,
): LimitState {
  if (nowUs - state.probeSinceUs > probeMaxUs) return afterProbe(state, nowUs, settings, random)
  return { ...state, ...emptyWindow, windowSinceUs: nowUs }
}

interface Latency {
  readonly log: number
  /** Its standard error. */
  readonly error: number
}

function latencyOf({ answers, logs, logSquares }: LimitState): Latency {
  const log = logs / answers
  const variance = Math.max(0, logSquares / answers - log * log)
  return { log, error: Math.sqrt(variance / answers) }
}

function judge(state: LimitState, nowUs: number, settings: LimitSettings, random: Random): LimitState {
  const { answers, failures } = state
  const probing = state.phase === LimitPhase.probe
  if (failures >= failuresMin && failures > failureShareMax * (answers + failures)) {
    const before = probing ? afterProbe(state, nowUs, settings, random) : state
    return lowered(before, nowUs, settings)
  }
  if (answers < failuresMin) return probing ? afterProbe(state, nowUs, settings, random) : state
  const latency = latencyOf(state)
  if (probing) return judgeProbe(state, latency, nowUs, settings, random)
  const seen: LimitState = {
    ...state,
    recentLog: latency.log,
    baselineLog: baselineAfter(state, latency),
    probeAtUs: state.probeAtUs === 0 ? nowUs + firstProbeUs : state.probeAtUs,
  }
  if (!state.full)
    return { ...seen, windowsFree: 0, why: Reason.limitUnused, a: seen.allowed, b: micros(latency.log) }
  const atMin = seen.allowed <= settings.limitMin ? seen.windowsAtMin + 1 : 0
  const counted = { ...seen, windowsAtMin: atMin }
  // It halved, and answers still take longer: the upstream may have become slower, which no limit helps.
  const fallen = seen.limit < seen.peak / 2
  if (nowUs >= seen.probeAtUs || atMin >= windowsAtMinMax || fallen)
    return beginProbe(counted, latency, nowUs, settings)
  return byGradient(counted, latency, nowUs, settings)
}

const micros = (log: number): number => Math.round(Math.exp(log))

/** Without load of ours any latency is a baseline; under load only a shorter one is. */
function baselineAfter({ baselineLog, full }: LimitState, { log, error }: Latency): number {
  if (Number.isNaN(baselineLog)) return log
  if (!full) return baselineLog + 0.2 * (log - baselineLog)
  return Math.min(baselineLog, log + 2 * error)
}

function byGradient(state: LimitState, latency: Latency, nowUs: number, settings: LimitSettings): LimitState {
  const { limit, baselineLog } = state
  const over = latency.log - latency.error - baselineLog - Math.log(settings.tolerance)
  if (over <= 0) return raised(state, latency, nowUs, settings)
  const target = Math.max(gradientMin, Math.exp(-over)) * limit + Math.sqrt(limit)
  const next = bounded(limit + smoothing * (target - limit), settings)
  const why = next < limit ? Reason.limitLowered : Reason.limitRaised
  return settled(
    { ...state, phase: LimitPhase.steady, limit: next, windowsFree: 0 },
    nowUs,
    why,
    micros(latency.log),
  )
}

function raised(state: LimitState, latency: Latency, nowUs: number, settings: LimitSettings): LimitState {
  const windowsFree = state.windowsFree + 1
  const { limit } = state
  const fast = state.phase === LimitPhase.start || windowsFree > windowsFreeMax
  const next = fast ? limit * startGrowth : limit + smoothing * Math.sqrt(limit)
  const grown = { ...state, limit: bounded(next, settings), windowsFree }
  return settled(grown, nowUs, Reason.limitRaised, micros(latency.log))
}

/** Failures: by a quarter, as AIMD does. */
function lowered(state: LimitState, nowUs: number, settings: LimitSettings): LimitState {
  const share = state.failures / (state.answers + state.failures)
  const limit = bounded(state.limit * 0.75, settings)
  return settled(
    { ...state, phase: LimitPhase.steady, limit, windowsFree: 0 },
    nowUs,
    Reason.limitFailures,
    share,
  )
}

function bounded(limit: number, { limitMin, limitMax }: LimitSettings): number {
  return Math.min(limitMax, Math.max(limitMin, limit))
}

/** One latency must pass before what is answered shows what the move did. */
function settled(state: LimitState, nowUs: number, why: number, b: number): LimitState {
  const allowed = Math.floor(state.limit)
  const peak = Math.max(state.peak, state.limit)
  return { ...state, allowed, peak, settleUntilUs: nowUs + roundTripUs(state), why, a: allowed, b }
}

function roundTripUs({ recentLog }: LimitState): number {
  return Number.isNaN(recentLog) ? 0 : Math.min(settleMaxUs, Math.exp(recentLog))
}

// --- measuring the baseline -------------------------------------------------------------------------------------

function beginProbe(state: LimitState, latency: Latency, nowUs: number, settings: LimitSettings): LimitState {
  const probing = { ...state, phase: LimitPhase.probe, probeSinceUs: nowUs, windowsAtMin: 0 }
  return atLevel(probing, Math.max(settings.limitMin, Math.floor(state.limit / 2)), latency.log, nowUs)
}

function atLevel(state: LimitState, level: number, beforeLog: number, nowUs: number): LimitState {
  return {
    ...state,
    allowed: level,
    probeBeforeLog: beforeLog,
    settleUntilUs: nowUs + roundTripUs(state),
    why: Reason.limitProbing,
    a: level,
    b: micros(beforeLog),
  }
}

function judgeProbe(
  state: LimitState,
  latency: Latency,
  nowUs: number,
  settings: LimitSettings,
  random: Random,
): LimitState {
  const seen = { ...state, recentLog: latency.log }
  const { allowed } = seen
  const shorter = latency.log < seen.probeBeforeLog + probeGain
  const late = nowUs - seen.probeSinceUs > probeMaxUs
  if (shorter && allowed > settings.limitMin && !late)
    return atLevel(seen, Math.max(settings.limitMin, allowed >> 1), latency.log, nowUs)
  // The level above had no queue either, or this one is as low as may be: the knee is not far above.
  const limit = bounded(Math.min(seen.limit, allowed * 4), settings)
  const slower = latency.log > seen.baselineLog - probeGain
  const probed = afterProbe({ ...seen, baselineLog: latency.log, limit }, nowUs, settings, random)
  // What was held back for a slowness that is not a queue may grow as at the start.
  return slower ? { ...probed, phase: LimitPhase.start } : probed
}

function afterProbe(
  state: LimitState,
  nowUs: number,
  { probeMs }: LimitSettings,
  random: Random,
): LimitState {
  const probeAtUs = nowUs + Math.round(probeMs * 1_000 * (0.9 + 0.2 * random.float()))
  const known = Number.isNaN(state.baselineLog) ? 0 : micros(state.baselineLog)
  return settled(
    { ...state, phase: LimitPhase.steady, probeAtUs, windowsFree: 0, peak: state.limit },
    nowUs,
    Reason.limitProbed,
    known,
  )
}
