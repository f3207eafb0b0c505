// Availability of parts put together, and what it allows: in a row, beside each other, k of n, with a shared cause, with a
// leader that must be replaced; minutes of downtime; error budgets and burn rates. Shares are from 0 to 1. Both the share up
// and the share down are given, since 1 − 10^−20 is 1 in a double. Sources: reliability texts; Google, SRE Workbook, ch. 5.

import {
  type Answer,
  everyOne,
  firstWrong,
  given,
  type Impossible,
  impossible,
  inside,
  notNegative,
  positive,
  share,
  whole,
} from './answer.ts'
import { leastWhole, logChoose } from './numerics.ts'

export interface Availability {
  readonly up: number
  readonly down: number
}

export const secondsPerDay = 86_400
/** The Julian year, 365.25 days: 31,557,600 s. */
export const secondsPerYear = 31_557_600
/** A month of 30 days, as error budgets are counted. */
export const secondsPerMonth = 2_592_000
export const secondsPerWeek = 604_800

/** All must be up: Πa. */
export function series(parts: readonly number[]): Answer<Availability> {
  const wrong = partsWrong(parts)
  if (wrong) return wrong
  const log = parts.reduce((sum, a) => sum + Math.log1p(-(1 - a)), 0)
  return given({ up: Math.exp(log), down: -Math.expm1(log) })
}

/** One is enough: 1 − Π(1 − a). Independent failures. */
export function parallel(parts: readonly number[]): Answer<Availability> {
  const wrong = partsWrong(parts)
  if (wrong) return wrong
  const down = parts.reduce((product, a) => product * (1 - a), 1)
  return given({ up: 1 - down, down })
}

function partsWrong(parts: readonly number[]): Impossible | null {
  return (
    firstWrong(whole('number of parts', parts.length, 1, 100_000)) ??
    everyOne('availability of part', parts, share)
  )
}

/** At least k of n alike, independent: Σ C(n,i) aⁱ (1−a)^(n−i). The smaller of the two tails is summed, in logarithms. */
export function kOfN(k: number, n: number, a: number): Answer<Availability> {
  const wrong = firstWrong(whole('n', n, 1, 1_000_000), whole('k', k, 0, n), share('availability', a))
  if (wrong) return wrong
  if (k === 0 || a === 1) return given({ up: 1, down: 0 })
  if (a === 0) return given({ up: 0, down: 1 })
  const term = (i: number): number => Math.exp(logChoose(n, i) + i * Math.log(a) + (n - i) * Math.log1p(-a))
  if (k > n * a) {
    let up = 0
    for (let i = n; i >= k; i--) up += term(i)
    return given({ up: Math.min(1, up), down: Math.max(0, 1 - up) })
  }
  let down = 0
  for (let i = 0; i < k; i++) down += term(i)
  return given({ up: Math.max(0, 1 - down), down: Math.min(1, down) })
}

/** Parts that fail together through something shared (a zone, a region, a bad configuration): times its availability. */
export function correlated(independent: number, shared: number): Answer<Availability> {
  return series([independent, shared])
}

/** MTBF / (MTBF + MTTR), both in one unit. */
export function fromRepair(meanBetweenFailures: number, meanToRepair: number): Answer<Availability> {
  const wrong = firstWrong(
    positive('mean time between failures', meanBetweenFailures),
    notNegative('mean time to repair', meanToRepair),
  )
  if (wrong) return wrong
  const whole = meanBetweenFailures + meanToRepair
  return given({ up: meanBetweenFailures / whole, down: meanToRepair / whole })
}

/** A leader that is replaced: 1 − failures a year × (detection and election) / year. */
export function leaderWithFailover(failuresPerYear: number, outageSeconds: number): Answer<Availability> {
  const wrong = firstWrong(
    notNegative('failures per year', failuresPerYear),
    notNegative('seconds of an outage', outageSeconds),
  )
  if (wrong) return wrong
  const down = Math.min(1, (failuresPerYear * outageSeconds) / secondsPerYear)
  return given({ up: 1 - down, down })
}

/** Servers to have so that `needed` are up with at least the wanted availability; each is up a share `a` of the time. */
export function serversFor(needed: number, a: number, wanted: number): Answer<number> {
  const wrong = firstWrong(
    whole('needed', needed, 1, 100_000),
    inside('wanted availability', wanted),
    share('availability', a),
  )
  if (wrong) return wrong
  const most = 10 * needed + 100
  const reaches = (n: number): boolean => {
    const reached = kOfN(needed, n, a)
    return reached.ok && reached.value.down <= 1 - wanted
  }
  const n = leastWhole(reaches, needed, most)
  return n === null
    ? impossible(`${needed} of ${most} servers that are up ${a} of the time don't reach ${wanted}`)
    : given(n)
}

export interface Downtime {
  readonly perYearSeconds: number
  readonly perMonthSeconds: number
  readonly perWeekSeconds: number
  readonly perDaySeconds: number
}

/** Seconds down in a year of 365.25 days, a month of 30, a week, a day. @param down share of the time */
export function downtime(down: number): Answer<Downtime> {
  const wrong = firstWrong(share('share of the time down', down))
  return (
    wrong ??
    given({
      perYearSeconds: down * secondsPerYear,
      perMonthSeconds: down * secondsPerMonth,
      perWeekSeconds: down * secondsPerWeek,
      perDaySeconds: down * secondsPerDay,
    })
  )
}

/** The rows of the table of nines, as shares up. */
export const nines: readonly number[] = [
  0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99995, 0.99999, 0.999999,
]

/** Bad requests (or seconds) that an objective allows: (1 − SLO) · events. */
export function errorBudget(objective: number, events: number): Answer<number> {
  const wrong = firstWrong(inside('objective', objective), notNegative('events', events))
  return wrong ?? given((1 - objective) * events)
}

/** How many times faster than allowed the budget is spent: error share / (1 − SLO). */
export function burnRate(errorShare: number, objective: number): Answer<number> {
  const wrong = firstWrong(share('share of errors', errorShare), inside('objective', objective))
  return wrong ?? given(errorShare / (1 - objective))
}

/** The burn rate that spends the share `spent` of a budget of `windowSeconds` within `alertSeconds`: .02 in 1 h of 30 d is 14.4. */
export function burnThreshold(spent: number, alertSeconds: number, windowSeconds: number): Answer<number> {
  const wrong = firstWrong(
    share('share of the budget', spent),
    positive('seconds of the alert', alertSeconds),
    positive('seconds of the window', windowSeconds),
  )
  return wrong ?? given((spent * windowSeconds) / alertSeconds)
}

/** Paging and ticketing by two windows each (SRE Workbook, table 5-8), for a budget of 30 days. */
export const burnAlerts: readonly {
  readonly spent: number
  readonly longSeconds: number
  readonly shortSeconds: number
  readonly rate: number
  readonly action: 'page' | 'ticket'
}[] = [
  { spent: 0.02, longSeconds: 3600, shortSeconds: 300, rate: 14.4, action: 'page' },
  { spent: 0.05, longSeconds: 21_600, shortSeconds: 1800, rate: 6, action: 'page' },
  { spent: 0.1, longSeconds: 259_200, shortSeconds: 21_600, rate: 1, action: 'ticket' },
]
