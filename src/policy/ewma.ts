// Averages that forget with time, as pure steps over numbers: peak EWMA for latencies, a decayed rate for bytes.
// `decayUs` is the time in which an old value loses 63 % of its say. Times are integer microseconds, monotonic.

/** What is left of a value after `elapsed` microseconds: 1 at once, 0.37 after `decayUs`. */
function kept(elapsed: number, decayUs: number): number {
  return elapsed <= 0 ? 1 : Math.exp(-elapsed / decayUs)
}

/**
 * Peak EWMA (Finagle, `PeakEwma`): rises to a higher sample at once and comes down slowly, so that a slow member is
 * noticed by its first slow response. 0 = nothing known; the first sample counts as it is.
 * @param value the average so far, taken at `last`
 * @param sample latency in microseconds; below 1 counts as 1, because 0 means unknown
 */
export function peakEwma(value: number, last: number, now: number, sample: number, decayUs: number): number {
  const latency = Math.max(sample, 1)
  if (value === 0 || latency >= value) return latency
  const share = kept(now - last, decayUs)
  return value * share + latency * (1 - share)
}

/**
 * The average as seen at `now`: an idle member's latency fades towards 0, so that one that was slow is tried again.
 * Below one microsecond it is unknown (0).
 */
export function fadedEwma(value: number, last: number, now: number, decayUs: number): number {
  const faded = value * kept(now - last, decayUs)
  return faded < 1 ? 0 : faded
}

/** Units a second, exponentially decayed: `amount` units have just passed. Exact in the mean for any spacing. */
export function ratePerSecond(
  rate: number,
  last: number,
  now: number,
  amount: number,
  decayUs: number,
): number {
  return rate * kept(now - last, decayUs) + (amount * 1_000_000) / decayUs
}
