// The end of a life: the signal to all its processes, a wait, KILL, and a look that nothing is left. Grandchildren that
// changed their process group are found by the nonce in their environment.

import { setTimeout as sleep } from 'node:timers/promises'
import { type LifeIdentity, lifeGone, signalLife } from '../io/process.ts'

const pollMs = 25
const pollMsMax = 100
/** After KILL: how long the kernel may take. Longer means that a process hangs in it. */
const killTimeoutMs = 10_000

export interface EndOptions {
  readonly signal: NodeJS.Signals
  readonly timeoutMs: number
  /** KILL at once when it aborts. */
  readonly cut: AbortSignal
}

export interface EndReport {
  /** The signal alone was not enough. */
  readonly killed: boolean
  /** False when processes are left all the same. */
  readonly gone: boolean
}

export async function endLife(life: LifeIdentity, options: EndOptions): Promise<EndReport> {
  if (!options.cut.aborted) {
    signalLife(life, options.signal)
    if (await goneWithin(life, options.timeoutMs, options.cut)) return { killed: false, gone: true }
  }
  const deadline = performance.now() + killTimeoutMs
  // Again and again: a process may fork between the look and the signal.
  while (performance.now() < deadline) {
    signalLife(life, 'SIGKILL')
    if (await goneWithin(life, pollMsMax * 2, null)) return { killed: true, gone: true }
  }
  return { killed: true, gone: false }
}

async function goneWithin(life: LifeIdentity, timeoutMs: number, cut: AbortSignal | null): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (let waitMs = pollMs; ; waitMs = Math.min(pollMsMax, waitMs * 2)) {
    if (lifeGone(life)) return true
    if (cut?.aborted || performance.now() >= deadline) return false
    await sleep(Math.min(waitMs, Math.max(1, deadline - performance.now())))
  }
}
