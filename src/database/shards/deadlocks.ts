// Finds clients of this router that wait for each other on different shards, which no server sees: looks at the waits of all
// shards while several clients have transactions over shards. What is a cycle, and who gives way, is policy/shard/deadlock.ts.
// A cycle counts only if two looks in a row have all of its waits: then they stood together in between. Clients of another
// router are not known here; a `lock_timeout` ends such a wait.

import { deadlockVictims, type ShardWait } from '../../policy/shard/deadlock.ts'
import type { Primaries } from './primaries.ts'

/** One client in a transaction. */
export interface WaitingClient {
  /** Unique in this router. */
  readonly name: string
  /** Server processes that work for it, by the id of the shard. */
  readonly processes: readonly { readonly shard: string; readonly processId: number }[]
  /** What waits on this shard ends with 40P01. */
  giveWay(shard: string): void
}

export interface DeadlocksOptions {
  readonly primaries: Primaries
  /** As things stand when it is asked. */
  readonly clients: () => readonly WaitingClient[]
  readonly tell: (text: string) => void
  readonly everyMs?: number
}

interface Waits {
  /** By `shard waiter blocker`. */
  readonly edges: ReadonlyMap<string, ShardWait>
  /** When the transactions of those who wait and may give way began, by the servers' clocks, in seconds. */
  readonly began: ReadonlyMap<string, number>
}

const everyMsDefault = 2_000
const timeoutMs = 5_000
const waitsMax = 1_000
const waitsSql = `SELECT pid, blocker, extract(epoch FROM xact_start)
  FROM (SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND waitstart < clock_timestamp() - interval '200 ms' LIMIT ${waitsMax}) AS waiting
  JOIN pg_stat_activity USING (pid) CROSS JOIN LATERAL unnest(pg_blocking_pids(pid)) AS blocker
  WHERE blocker <> 0 LIMIT ${waitsMax}`

export class ShardDeadlocks {
  readonly #options: DeadlocksOptions
  #timer: NodeJS.Timeout | undefined
  #closed = false
  /** Since the start. */
  found = 0

  constructor(options: DeadlocksOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#again(), this.#options.everyMs ?? everyMsDefault)
    this.#timer.unref()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** One search. */
  async round(): Promise<void> {
    const first = await this.#look()
    if (first === null || deadlockVictims([...first.edges.values()], first.began).length === 0) return
    const second = await this.#look()
    if (second === null || this.#closed) return
    const both = [...second.edges].filter(([key]) => first.edges.has(key)).map(([, wait]) => wait)
    const clients = new Map(this.#options.clients().map(one => [one.name, one]))
    for (const { client, shards, cycle } of deadlockVictims(both, second.began)) {
      this.found++
      this.#options.tell(`${cycle.length} clients waited for each other over shards: the youngest gave way`)
      for (const shard of shards) clients.get(client)?.giveWay(shard)
    }
  }

  async #again(): Promise<void> {
    // A shard that does not answer: next time.
    await this.round().catch(() => {})
    this.start()
  }

  /** Null: there can be none. */
  async #look(): Promise<Waits | null> {
    const over = this.#options.clients().filter(one => one.processes.length > 1)
    if (over.length < 2) return null
    const shards = [...new Set(over.flatMap(one => one.processes.map(({ shard }) => shard)))]
    const lists = await Promise.all(
      shards.map(shard => this.#options.primaries.ask(shard, waitsSql, timeoutMs)),
    )
    // As it is now: who asked first may have gone meanwhile.
    const names = new Map<string, string>()
    const several = new Set<string>()
    for (const { name, processes } of this.#options.clients()) {
      if (processes.length > 1) several.add(name)
      for (const { shard, processId } of processes) names.set(`${shard} ${processId}`, name)
    }
    const edges = new Map<string, ShardWait>()
    const began = new Map<string, number>()
    for (const [at, rows] of lists.entries()) {
      const shard = shards[at] as string
      for (const [pid, blockerPid, start] of rows) {
        const waiter = names.get(`${shard} ${pid}`)
        const blocker = names.get(`${shard} ${blockerPid}`)
        if (waiter === undefined || blocker === undefined) continue
        edges.set(`${shard} ${waiter} ${blocker}`, { shard, waiter, blocker })
        // Each cycle that no server sees has one of them; who is on one shard only is not asked to give way.
        if (several.has(waiter))
          began.set(waiter, Math.min(began.get(waiter) ?? Number.POSITIVE_INFINITY, Number(start)))
      }
    }
    return { edges, began }
  }
}
