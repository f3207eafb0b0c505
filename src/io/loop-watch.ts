// How late this thread's event loop is, and how busy: a timer that measures its own delay, and Node's utilisation of the
// loop. Twenty wake-ups a second, some microseconds each; nothing on the way of a request.

export interface LoopSample {
  /** The worst since the last sample, microseconds. */
  readonly delayUs: number
  /** Share of the time that the loop did not wait, 0..1. */
  readonly utilisation: number
}

const beatMs = 50
const beatsPerSample = 4

/** Tells five times a second, until the function that it gives is called. */
export function watchLoop(tell: (sample: LoopSample) => void): () => void {
  let before = performance.eventLoopUtilization()
  let expectedAt = performance.now() + beatMs
  let worstMs = 0
  let beats = 0
  const timer = setInterval(() => {
    const now = performance.now()
    worstMs = Math.max(worstMs, now - expectedAt)
    expectedAt = now + beatMs
    if (++beats < beatsPerSample) return
    const current = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(current, before)
    tell({ delayUs: Math.max(0, worstMs) * 1_000, utilisation: utilization })
    before = current
    worstMs = beats = 0
  }, beatMs).unref()
  return () => clearInterval(timer)
}
