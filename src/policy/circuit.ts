// Limits that keep a slow instance from drowning and a queue from growing: is there room on a member, and what happens
// to a request when no member has room. The shell counts; freed places go to those who wait before newcomers.

import type { Random } from '../kit/random.ts'
import { Reason } from './reason.ts'
import type { CircuitSettings } from './settings.ts'

/**
 * `room`, or which limit is reached. Counts are over all workers; several workers that look at the same moment may
 * together overshoot by one each, which the limits' docs say.
 * @param connections open to the member @param idle of them, unused and ready for this worker
 */
export function memberRoom(
  inFlight: number,
  connections: number,
  idle: number,
  settings: CircuitSettings,
): number {
  if (settings.inFlightMax > 0 && inFlight >= settings.inFlightMax) return Reason.inFlightFull
  if (settings.connectionsMax > 0 && idle === 0 && connections >= settings.connectionsMax)
    return Reason.connectionsFull
  return Reason.room
}

/**
 * A request when some member has room (`room`: admit), or none has: `pendingWait`, `pendingFull`, `pendingOff`.
 * @param pending requests that wait for this upstream now, over all workers
 */
export function admission(hasRoom: boolean, pending: number, settings: CircuitSettings): number {
  if (hasRoom) return Reason.room
  if (settings.pendingMax === 0) return Reason.pendingOff
  return pending < settings.pendingMax ? Reason.pendingWait : Reason.pendingFull
}

/** Does the reason of `admission` mean 503? */
export function isRefusal(reason: number): boolean {
  return reason === Reason.pendingFull || reason === Reason.pendingOff
}

/** Seconds for Retry-After (RFC 9110 10.2.3): the time a queue takes to turn over, 1..60, spread so that the refused do not return as one. */
export function retryAfterSeconds(settings: CircuitSettings, random: Random): number {
  const base = Math.min(30, Math.max(1, Math.ceil(settings.pendingTimeoutMs / 1_000)))
  return base + random.below(base + 1)
}
