// Deadlocks over shards: each server sees only its own waits. Joined by client they are a graph; in each cycle of it one client
// gives way. Whoever looks at the same waits chooses the same client, in whatever order they come: several routers decide
// alike without a word to each other.

/** On one shard, one connection waits for another, or for a prepared transaction. */
export interface ShardWait {
  readonly shard: string
  /** Whoever it is, by any name that is the same on all shards. */
  readonly waiter: string
  readonly blocker: string
}

/** A client whose wait can be ended. */
export interface Yielding {
  /** When its transaction began, in any unit. */
  readonly began: number
  /** Its commit is under way, and not decided: it gives way where nobody else can. */
  readonly committing: boolean
}

export interface DeadlockVictim {
  readonly client: string
  /** Where it waits. */
  readonly shards: readonly string[]
  /** Clients of the cycle, in the order in which they wait for each other. */
  readonly cycle: readonly string[]
}

/** @param yielding a cycle without any of these stays as it is */
export function deadlockVictims(
  waits: readonly ShardWait[],
  yielding: ReadonlyMap<string, Yielding>,
): readonly DeadlockVictim[] {
  const gone = new Set<string>()
  const victims: DeadlockVictim[] = []
  let left = waits.toSorted(byName)
  for (;;) {
    left = left.filter(one => !gone.has(one.waiter) && !gone.has(one.blocker))
    const cycle = findCycle(left)
    if (cycle === null) return victims
    const client = first(cycle, yielding)
    if (client === null) {
      // Others that go through here are not to hide behind it.
      const [waiter, blocker = waiter] = cycle
      left = left.filter(one => one.waiter !== waiter || one.blocker !== blocker)
      continue
    }
    gone.add(client)
    const shards = new Set(left.filter(one => one.waiter === client).map(one => one.shard))
    victims.push({ client, shards: [...shards], cycle })
  }
}

const compared = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

function byName(one: ShardWait, other: ShardWait): number {
  return (
    compared(one.waiter, other.waiter) ||
    compared(one.blocker, other.blocker) ||
    compared(one.shard, other.shard)
  )
}

/** Who does not commit yet, then the youngest, then by name. */
function first(cycle: readonly string[], yielding: ReadonlyMap<string, Yielding>): string | null {
  const able = cycle.flatMap(client => {
    const known = yielding.get(client)
    return known === undefined ? [] : [{ client, ...known }]
  })
  able.sort(
    (one, other) =>
      Number(one.committing) - Number(other.committing) ||
      other.began - one.began ||
      compared(one.client, other.client),
  )
  return able[0]?.client ?? null
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
