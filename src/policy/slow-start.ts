// Slow start: a member that has just come (or come back) takes a growing share of what its weight allows.

/** The share that a member begins with, so that it is warmed at all. */
export const warmthMin = 0.1

/**
 * 0.1..1, linear in the time since the member became eligible (Envoy's slow start with aggression 1).
 * @param since when it became eligible, microseconds; @param windowMs 0 = no slow start
 */
export function warmth(since: number, now: number, windowMs: number): number {
  const elapsed = now - since
  const window = windowMs * 1_000
  if (window <= 0 || elapsed >= window) return 1
  return elapsed <= window * warmthMin ? warmthMin : elapsed / window
}
