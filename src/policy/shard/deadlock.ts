// Deadlocks over shards: each server sees only its own waits. Joined by client they are a graph; in each cycle of it that no
// single server can see, the youngest transaction gives way.

/** On one shard, one client's connection waits for another's. */
export interface ShardWait {
  readonly shard: string
  /** Clients of this router, by any name that is the same on all shards. */
  readonly waiter: string
  readonly blocker: string
}

export interface DeadlockVictim {
  readonly client: string
  /** Where it waits. */
  readonly shards: readonly string[]
  /** Clients of the cycle, in the order in which they wait for each other. */
  readonly cycle: readonly string[]
}

/** @param began when each client's transaction began, in any unit; who is not there counts as oldest */
export function deadlockVictims(
  waits: readonly ShardWait[],
  began: ReadonlyMap<string, number>,
): readonly DeadlockVictim[] {
  const gone = new Set<string>()
  const victims: DeadlockVictim[] = []
  for (;;) {
    const left = waits.filter(one => !gone.has(one.waiter) && !gone.has(one.blocker))
    const cycle = findCycle(left)
    if (cycle === null) return victims
    const client = youngest(cycle, began)
    gone.add(client)
    const shards = new Set(left.filter(one => one.waiter === client).map(one => one.shard))
    victims.push({ client, shards: [...shards], cycle })
  }
}

function youngest(cycle: readonly string[], began: ReadonlyMap<string, number>): string {
  const at = (client: string): number => began.get(client) ?? Number.NEGATIVE_INFINITY
  return cycle.reduce((one, other) => (at(other) > at(one) ? other : one))
}

/** Depth first, without recursion: chains of waits may be long. A wait for oneself is none. */
function findCycle(waits: readonly ShardWait[]): readonly string[] | null {
  const blockers = new Map<string, string[]>()
  for (const { waiter, blocker } of waits) {
    if (waiter === blocker) continue
    const known = blockers.get(waiter)
    if (known === undefined) blockers.set(waiter, [blocker])
    else known.push(blocker)
  }
  const done = new Set<string>()
  for (const start of blockers.keys()) {
    const trail: { readonly client: string; next: number }[] = [{ client: start, next: 0 }]
    const on = new Set([start])
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const blocker = done.has(top.client) ? undefined : blockers.get(top.client)?.[top.next++]
      if (blocker === undefined) {
        done.add(top.client)
        on.delete(top.client)
        trail.pop()
      } else if (on.has(blocker)) {
        const clients = trail.map(one => one.client)
        return clients.slice(clients.indexOf(blocker))
      } else if (!done.has(blocker)) {
        trail.push({ client: blocker, next: 0 })
        on.add(blocker)
      }
    }
  }
  return null
}
