// One step of a failover, done to the servers: what the policy asked for, and how it came out. Publishing is not here.

import { setTimeout as sleep } from 'node:timers/promises'
import type { FailoverStep, StepResult } from '../../policy/index.ts'
import type { DatabaseServers, Progress } from '../servers/contract.ts'

/** Clients are held meanwhile. A replica that hangs keeps a server from stopping; then it is ended, and a proof is needed. */
const cleanStopMs = 4_000

export async function takeStep(
  servers: DatabaseServers,
  step: FailoverStep,
  progress: Progress,
): Promise<StepResult> {
  try {
    return await act(servers, step, progress)
  } catch (error) {
    return { ok: false, why: (error as Error).message }
  }
}

async function act(servers: DatabaseServers, step: FailoverStep, progress: Progress): Promise<StepResult> {
  switch (step.kind) {
    case 'stop':
      return await stopCleanly(servers, step.server)
    case 'fence':
      await servers.fence(step.server)
      return { ok: true }
    case 'synchronous':
      await servers.setSynchronous(step.server, step.names)
      return { ok: true }
    case 'promote':
      return { ok: true, ...(await servers.promote(step.server)) }
    case 'restart':
      await servers.stop(step.server, 'immediate')
      await servers.start(step.server)
      return { ok: true }
    case 'start':
      await servers.start(step.server)
      return { ok: true }
    case 'follow':
      return { ok: true, diverged: (await servers.follow(step.server, step.from)) === 'diverged' }
    case 'clone':
      await servers.clone(step.server, step.from, progress)
      return { ok: true }
    case 'slots':
      await servers.keepSlots(step.server, step.replicas)
      return { ok: true }
    default:
      return { ok: true }
  }
}

/** Replicas get everything before it ends. It may not come back as a primary in any case. */
async function stopCleanly(servers: DatabaseServers, id: string): Promise<StepResult> {
  const stopping = servers.stop(id, 'fast').then(() => true)
  stopping.catch(() => {})
  const late = new AbortController()
  const clean = await Promise.race([stopping, sleep(cleanStopMs, false, { signal: late.signal })])
  late.abort()
  await servers.fence(id)
  return clean ? { ok: true } : { ok: false, why: `${id} did not stop within ${cleanStopMs / 1_000} s` }
}
