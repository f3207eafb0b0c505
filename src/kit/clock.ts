// Time as a small table of functions. Shells own one; policies only ever receive the numbers it gives.

/** Microseconds, integer. `monotonic` never goes back and has no meaning outside the process; `wall` is since 1970. */
export interface Clock {
  /** Integer microseconds since an arbitrary start; never decreases. */
  monotonic(): number
  /** Integer microseconds since the Unix epoch; may jump. */
  wall(): number
}

export const systemClock: Clock = {
  monotonic: () => Math.round(performance.now() * 1000),
  wall: () => Date.now() * 1000,
}

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  advance(us: number): void
}

export function fakeClock(startWallUs = 1_700_000_000_000_000): FakeClock {
  let elapsed = 0
  return {
    monotonic: () => elapsed,
    wall: () => startWallUs + elapsed,
    advance: us => {
      elapsed += Math.round(us)
    },
  }
}

export const MS = 1_000
export const SECOND = 1_000_000
