// From started to ready: probes an instance until it answers, its time is over, or it is found that the port it was
// given is another process's. It only watches; it ends nothing.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadySettings } from '../file/index.ts'
import { type LifeIdentity, processesOf } from '../io/process.ts'
import { processes } from '../io/process-table.ts'
import { probe } from '../io/ready-probe.ts'

export type ReadyOutcome =
  | { readonly kind: 'ready'; readonly text: string }
  /** Who answers there is not the instance. */
  | { readonly kind: 'stolen'; readonly by: string }
  /** `text` completes "it ...". */
  | { readonly kind: 'late'; readonly text: string }
  | { readonly kind: 'cancelled' }

export interface ReadyTarget {
  readonly identity: LifeIdentity
  readonly host: string
  readonly port: number
  readonly ready: ReadySettings
}

/** Probing begins at this pace and slows down to the file's interval: most programs are up in a fraction of a second. */
const firstPauseMs = 25

export async function untilReady(target: ReadyTarget, cancelled: AbortSignal): Promise<ReadyOutcome> {
  const { ready, host, port } = target
  const deadline = performance.now() + ready.timeoutMs
  let last: string | undefined
  for (let pauseMs = firstPauseMs; !cancelled.aborted; pauseMs = Math.min(ready.intervalMs, pauseMs * 1.5)) {
    const left = deadline - performance.now()
    if (left <= 0) return { kind: 'late', text: last ?? `does not listen on ${host}:${port}` }
    const answer = await probe({
      kind: ready.kind,
      host,
      port,
      path: ready.path,
      ...(ready.host === undefined ? {} : { hostHeader: ready.host }),
      expectStatus: ready.expectStatus,
      timeoutMs: Math.max(1, Math.ceil(Math.min(ready.probeTimeoutMs, left))),
    })
    if (cancelled.aborted) break
    // One that the deadline cut short would tell of the few milliseconds it had.
    if (last === undefined || left >= ready.probeTimeoutMs) last = answer.text
    // Whatever answered, a process of another may be it.
    const thief = answer.refused ? null : listenerOtherThan(target)
    if (thief !== null) return { kind: 'stolen', by: thief }
    if (answer.ok) return { kind: 'ready', text: answer.text }
    await sleep(Math.min(pauseMs, ready.intervalMs), undefined, { signal: cancelled }).catch(() => {})
  }
  return { kind: 'cancelled' }
}

/** Null also where it can't be seen: then the answer to the probe has to do. */
function listenerOtherThan({ identity, port }: ReadyTarget): string | null {
  const pids = (deep: boolean): Set<number> => new Set(processesOf(identity, deep).map(row => row.pid))
  const group = processes.listeners(port, pids(false))
  if (!group.found || group.candidate !== false) return null
  const all = processes.listeners(port, pids(true))
  return all.found && all.candidate === false ? (all.other ?? 'another process') : null
}
