// What retries do to the load and to the chance to succeed, in one layer and in several on top of each other.
// Source: Google, SRE book, ch. 21-22 (retry amplification). Attempts fail independently with probability p.

import { type Answer, everyOne, firstWrong, given, share, whole } from './answer.ts'

const triesMax = 1000

/** Attempts for each request: (1 − p^r)/(1 − p), r when all fail. @param tries r, the first one included */
export function retryAmplification(failure: number, tries: number): Answer<number> {
  const wrong = firstWrong(share('share of failures', failure), whole('tries', tries, 1, triesMax))
  return wrong ?? given(attempts(failure, tries))
}

function attempts(failure: number, tries: number): number {
  let sum = 0
  for (let at = 0, chance = 1; at < tries; at++, chance *= failure) sum += chance
  return sum
}

/** Share of requests that succeed in the end: 1 − p^r. */
export function retrySuccess(failure: number, tries: number): Answer<number> {
  const wrong = firstWrong(share('share of failures', failure), whole('tries', tries, 1, triesMax))
  return wrong ?? given(1 - failure ** tries)
}

/**
 * Attempts at the bottom for each request at the top, when each layer retries what the one below gave up: the tries
 * multiply when all fail (3 layers of 3: 27). @param tries of each layer, the innermost first
 */
export function layeredAmplification(failure: number, tries: readonly number[]): Answer<number> {
  const wrong =
    firstWrong(share('share of failures', failure), whole('layers', tries.length, 1, 20)) ??
    everyOne('tries of layer', tries, (name, value) => whole(name, value, 1, triesMax))
  if (wrong) return wrong
  let load = 1
  let left = failure
  for (const count of tries) {
    load *= attempts(left, count)
    left **= count
  }
  return given(load)
}

/** Attempts for each request under a budget: at most one in `1/budget` requests is retried. @param budget share of retries by requests */
export function budgetedAmplification(failure: number, tries: number, budget: number): Answer<number> {
  const wrong = firstWrong(share('budget', budget))
  if (wrong) return wrong
  const free = retryAmplification(failure, tries)
  return free.ok ? given(Math.min(free.value, 1 + budget)) : free
}
