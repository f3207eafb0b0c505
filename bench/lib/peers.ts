// The programs under measurement: what a benchmark must know of one to start it on its core, read its CPU and end it. How
// nginx, HAProxy and Tenfold are started is in the files of their names; what each is told is the benchmark's.

import { setTimeout as sleep } from 'node:timers/promises'
import { end, listening, type Running, treeOf } from './processes.ts'

export interface Spot {
  readonly folder: string
  readonly core: number
  /** Added to Tenfold's environment: for profiles. */
  readonly env?: Record<string, string>
}

export interface Place extends Spot {
  readonly originPort: number
}

export interface Peer<P extends Spot = Place> {
  readonly name: string
  /** Undefined: not installed here. */
  version(): string | undefined
  start(place: P): Promise<StartedPeer>
}

export interface StartedPeer {
  readonly port: number
  /** The processes whose CPU and memory count. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

export async function started(running: Running, port: number): Promise<StartedPeer> {
  await listening(running, port)
  // nginx listens before its worker begins.
  await sleep(500)
  return { port, pids: treeOf(running.pid), stop: () => end(running) }
}
