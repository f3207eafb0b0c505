// When an instance that exited is started again, and when it is given up: exponential back-off and Erlang's intensity
// ("more than n exits in t", OTP supervisor). Exits that were asked for (drain, stop, roll) are not reported here.

import { durationText } from '../kit/duration.ts'
import type { Random } from '../kit/random.ts'
import { backoffCeilingUs } from './backoff.ts'
import type { RestartSettings } from './settings.ts'

/** A value a service instance; `newRestartState` for a new one, and when an operator restarts a failed one. */
export interface RestartState {
  /** Times of the exits within the window, oldest first; at most `exitsMax + 1` of them. */
  readonly exitsUs: readonly number[]
  /** Exits in a row without a healthy stretch between them; what the back-off grows with. */
  readonly streak: number
}

export type RestartPlan =
  | { readonly kind: 'restart'; readonly afterUs: number; readonly why: string }
  | { readonly kind: 'failed'; readonly why: string }

export const newRestartState: RestartState = { exitsUs: [], streak: 0 }

/**
 * One exit. The first after a healthy stretch (ready for longer than the longest back-off) begins a new streak. The
 * wait is the ceiling of the exponential back-off, less up to half of it at random, so that instances which died
 * together do not return together but nobody returns at once.
 * @param readyForUs how long it had been ready when it exited; 0 = it never was
 */
export function afterExit(
  state: RestartState,
  now: number,
  readyForUs: number,
  settings: RestartSettings,
  random: Random,
): [RestartState, RestartPlan] {
  const windowUs = settings.windowMs * 1_000
  const exitsUs = [...state.exitsUs.filter(at => now - at < windowUs), now].slice(-(settings.exitsMax + 1))
  const streak = readyForUs > settings.backoffMaxMs * 1_000 ? 1 : state.streak + 1
  const next: RestartState = { exitsUs, streak }
  if (exitsUs.length > settings.exitsMax)
    return [next, { kind: 'failed', why: givenUp(exitsUs, now, settings) }]
  const ceilingUs = backoffCeilingUs(streak - 1, settings.backoffBaseMs, settings.backoffMaxMs)
  const afterUs = Math.round(ceilingUs * (1 - random.float() / 2))
  const times = streak === 1 ? 'first exit' : `exit ${streak} in a row`
  return [next, { kind: 'restart', afterUs, why: `${times}: again in ${durationText(afterUs / 1_000)}` }]
}

function givenUp(exitsUs: readonly number[], now: number, settings: RestartSettings): string {
  const span = durationText((now - exitsUs[0]!) / 1_000)
  const allowed = `${settings.exitsMax} in ${durationText(settings.windowMs)} allowed`
  return `failed: ${exitsUs.length} exits in ${span} (${allowed}); not started again until it is restarted by hand`
}
