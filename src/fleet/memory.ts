// When an instance is replaced for the memory it holds: over its limit in two samples in a row, it is replaced with a
// ready one first; far over it, it gets no more requests at once. Pure.

/** An instance that grows faster than a replacement comes up must not take the machine with it. */
const hardShare = 1.5
/** So far over, it is a leak and no limit set too low: no pause protects it. */
const runawayShare = 3
const samplesInARow = 2
const pauseBaseUs = 10_000_000
const pauseMaxUs = 600_000_000

export interface MemoryState {
  readonly overInARow: number
  /** Replacements for memory so far, without a long quiet time between them. */
  readonly replaced: number
  readonly lastUs: number
}
export const newMemoryState: MemoryState = { overInARow: 0, replaced: 0, lastUs: 0 }

export type MemoryVerdict = 'keep' | 'replace' | 'drainNow'

/**
 * A limit below what the program needs would replace it for ever: the pause between two replacements of one member
 * doubles from 10 s up to 10 min, and begins anew after 20 quiet minutes. One that runs away does not wait for its end.
 */
export function afterMemorySample(
  state: MemoryState,
  now: number,
  rssBytes: number,
  limitBytes: number,
): [MemoryState, MemoryVerdict] {
  if (rssBytes <= limitBytes) return [{ ...state, overInARow: 0 }, 'keep']
  const overInARow = state.overInARow + 1
  const hard = rssBytes > limitBytes * hardShare
  const quiet = state.replaced > 0 && now - state.lastUs > pauseMaxUs * 2
  const replaced = quiet ? 0 : state.replaced
  const pauseUs = replaced === 0 ? 0 : Math.min(pauseMaxUs, pauseBaseUs * 2 ** (replaced - 1))
  const runaway = rssBytes > limitBytes * runawayShare
  const soon = !runaway && replaced > 0 && now - state.lastUs < pauseUs
  if (soon || (!hard && overInARow < samplesInARow)) return [{ ...state, overInARow, replaced }, 'keep']
  return [{ overInARow: 0, replaced: replaced + 1, lastUs: now }, hard ? 'drainNow' : 'replace']
}
