// Which traces are recorded. Decided before any span is made, by the trace's id alone where it begins here, so that
// whoever else decides by the same id and share decides the same (W3C Trace Context level 2: the last 56 bits are random).

/** First digit of the 56 random bits among the 32 of a trace id; 8 digits of them are enough to compare. */
const randomAt = 18
const range = 2 ** 32

/**
 * @param parentSampled what a trusted parent said; null: the trace begins here
 * @param traceId 32 hexadecimal digits
 * @param share 0..1 of the traces that begin here
 */
export function isSampled(parentSampled: boolean | null, traceId: string, share: number): boolean {
  if (parentSampled !== null) return parentSampled
  if (share >= 1) return true
  const random = Number.parseInt(traceId.slice(randomAt, randomAt + 8), 16)
  // OpenTelemetry's consistent sampling: recorded when the randomness reaches the threshold of rejection.
  return random >= (1 - share) * range
}
