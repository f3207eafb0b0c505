// The clock of the hot path. Reading the system's costs as much as a hit itself, so its number is kept until the event
// loop has gone round (a millisecond at most while it turns): within one synchronous run time stands still.

import type { Clock } from '../../kit/clock.ts'

/** `monotonic` as of this turn of the event loop. Keeps no process alive. */
export function turnClock(clock: Clock): Clock {
  let kept = -1
  const forget = (): void => {
    kept = -1
  }
  return {
    wall: () => clock.wall(),
    monotonic: () => {
      if (kept >= 0) return kept
      kept = clock.monotonic()
      setTimeout(forget, 1).unref()
      return kept
    },
  }
}
