// Edge processes beside the one that serves: those that drain after another has taken over. Each ends by itself when its
// last connection has, at the latest with its drain; this waits for it, asks it what it still carries, and ends it when
// the system stops.

import type { ControlMethods } from '../edge/control-protocol.ts'
import type { Purge } from '../edge/store/contract.ts'
import { type LifeIdentity, leaderAlive, signalLife } from '../io/process.ts'
import type { EdgeClient } from './edge-client.ts'
import { ended, type RoleLife } from './role-process.ts'

export type EdgeLife = RoleLife

export interface FormerEdge {
  readonly life: LifeIdentity
  readonly client: EdgeClient
  readonly socket: string
}

/** What one edge process did. */
export interface PurgeOutcome {
  readonly pid: number
  /** Null: it has forgotten. */
  readonly failure: string | null
}

/** Null: it is gone, and what it kept with it. */
export async function purgeIn({ client, life }: FormerEdge, what: Purge): Promise<PurgeOutcome | null> {
  try {
    await client.call('purge', { what }, purgeTimeoutMs)
    return { pid: life.pid, failure: null }
  } catch (cause) {
    return leaderAlive(life) ? { pid: life.pid, failure: (cause as Error).message } : null
  }
}

/** A bound on liveness; it takes milliseconds. */
const purgeTimeoutMs = 5_000
/** How long a client that is idle may take to ask once more; its answer then says that the connection ends. */
const idleMs = 5_000
/** Beyond its drain: closing what is left, and exiting. */
const endingMs = 10_000

export class LeavingEdges {
  readonly #edges = new Set<FormerEdge>()

  get edges(): readonly FormerEdge[] {
    return [...this.#edges]
  }

  get pids(): number[] {
    return this.edges.map(edge => edge.life.pid)
  }

  /** Tells it to drain; `gone` is called when it has ended. */
  add(edge: FormerEdge, drainMs: number, gone: () => void): void {
    this.#edges.add(edge)
    void this.#leave(edge, drainMs).then(() => {
      if (this.#edges.delete(edge)) gone()
    })
  }

  async #leave(edge: FormerEdge, drainMs: number): Promise<void> {
    await edge.client.call('stop', { drainMs, idleMs }, 5_000).catch(() => signalLife(edge.life, 'SIGTERM'))
    if (!(await ended(edge.life, drainMs + endingMs))) signalLife(edge.life, 'SIGKILL')
    await ended(edge.life, endingMs)
    edge.client.close()
  }

  /** Does none of them carry a request to that member any more? One that does not answer carries none when it is gone. */
  async memberIdle(params: ControlMethods['memberIdle']['params']): Promise<boolean> {
    const answers = await Promise.all(
      [...this.#edges].map(({ client, life }) =>
        client.call('memberIdle', params, params.timeoutMs + 5_000).then(
          ({ idle }) => idle,
          () => !leaderAlive(life),
        ),
      ),
    )
    return answers.every(idle => idle)
  }

  /** Each forgets it; what those that still live say. */
  async purge(what: Purge): Promise<PurgeOutcome[]> {
    const outcomes = await Promise.all([...this.#edges].map(edge => purgeIn(edge, what)))
    return outcomes.filter(one => one !== null)
  }

  /** The system stops: they have `drainMs` more at most. */
  async end(drainMs: number): Promise<void> {
    await Promise.all(
      [...this.#edges].map(async ({ life }) => {
        if (await ended(life, drainMs + endingMs)) return
        signalLife(life, 'SIGKILL')
        await ended(life, endingMs)
      }),
    )
  }

  kill(): void {
    for (const { life } of this.#edges) signalLife(life, 'SIGKILL')
  }

  /** They drain on by themselves. */
  release(): void {
    for (const { client } of this.#edges) client.close()
    this.#edges.clear()
  }
}
