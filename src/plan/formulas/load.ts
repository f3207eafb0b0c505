// From people to requests a second: average and peak rates, how much is in the system at once, growth.

import { type Answer, firstWrong, given, impossible, notNegative, positive } from './answer.ts'
import { secondsPerDay } from './availability.ts'

/** Requests per second: daily users · actions of each / 86,400. A million a day is 11.57 a second. */
export function averageRate(dailyUsers: number, actionsPerUser: number): Answer<number> {
  const wrong = firstWrong(
    notNegative('daily users', dailyUsers),
    notNegative('actions per user', actionsPerUser),
  )
  return wrong ?? given((dailyUsers * actionsPerUser) / secondsPerDay)
}

/** @param factor peak by average, 1 and more: usually 2 to 3, or from a trace its 99th percentile by its mean */
export function peakRate(average: number, factor: number): Answer<number> {
  const wrong = firstWrong(notNegative('average rate', average), positive('peak factor', factor))
  if (wrong) return wrong
  return factor < 1 ? impossible(`peak factor is ${factor}; it must be at least 1`) : given(average * factor)
}

/** Little's law: L = λW, whatever the laws of arrivals and service (Little, 1961). */
export function concurrency(ratePerSecond: number, secondsEach: number): Answer<number> {
  const wrong = firstWrong(notNegative('rate', ratePerSecond), notNegative('seconds each', secondsEach))
  return wrong ?? given(ratePerSecond * secondsEach)
}

/** Years until a load that grows by `growth` a year (.5: half as much again) is `times` today's; null: never. */
export function yearsUntil(times: number, growth: number): Answer<number | null> {
  const wrong = firstWrong(positive('times', times), notNegative('growth', growth))
  if (wrong) return wrong
  if (times <= 1) return given(0)
  return given(growth === 0 ? null : Math.log(times) / Math.log1p(growth))
}
