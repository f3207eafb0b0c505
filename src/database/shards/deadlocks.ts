// Finds clients that wait for each other on different shards, which no server sees. What is a cycle, and who gives way, is
// policy/shard/deadlock.ts. A router knows which server processes are one client's of its own; of clients that are in another
// one's way on one shard while they wait on another, it tells the others by a table on the shards (schema/waiting.ts), so that
// all see the same graph and choose the same client, who gives way at the router that has it. Whoever works on one shard only
// is there by his process. A prepared transaction is its client's while that one's commit is under way.
//
// A cycle counts only if two looks in a row have all of its waits: then they stood together in between.

import { randomUUID } from 'node:crypto'
import { deadlockVictims, type ShardWait, type Yielding } from '../../policy/shard/deadlock.ts'
import { lockModesConflict } from '../../policy/shard/lock-modes.ts'
import type { Row } from '../servers/session.ts'
import type { Primaries } from './primaries.ts'
import { preparedName, tellWaitingSql, type WaitingRow, waitingSql } from './schema/index.ts'

/** One client that is at work. */
export interface WaitingClient {
  /** Unique in this router. */
  readonly name: string
  /** Server processes that work for it, by the id of the shard. */
  readonly processes: readonly { readonly shard: string; readonly processId: number }[]
  /** While its commit over shards is under way. */
  readonly commit: { readonly name: string; readonly decided: boolean } | null
  /** What waits on these shards ends with 40P01. */
  giveWay(shards: readonly string[]): void
}

export interface DeadlocksOptions {
  readonly primaries: Primaries
  /** As things stand when it is asked. */
  readonly clients: () => readonly WaitingClient[]
  readonly tell: (text: string) => void
  readonly everyMs?: number
}

/** On one server: a process waits for another one (`123`), or for a prepared transaction. */
interface Edge {
  readonly shard: string
  readonly waiter: string
  readonly blocker: { readonly processId: string } | { readonly commit: string }
}

interface Graph {
  /** By `shard waiter blocker`. */
  readonly waits: ReadonlyMap<string, ShardWait>
  readonly yielding: ReadonlyMap<string, Yielding>
}

const everyMsDefault = 2_000
/** So many times as often while some client may be part of one: others have to look, too. */
const nearer = 4
const timeoutMs = 5_000
const waitsMax = 1_000
const toldMax = 1_000
/** Of clients that this router tells others of. */
const tellMax = 200
/** A router that works says so again before this. */
const freshMs = 10_000

/** Without a process, a lock is a prepared transaction's; which one's, is said by the lock on its own number beside it.
 * Rows: waiter, blocker, '', '', ''; or waiter, '', gid, mode that is waited for, mode that is held. */
const waitsSql = `WITH waiting AS (SELECT DISTINCT pid FROM pg_locks
    WHERE NOT granted AND waitstart < clock_timestamp() - interval '200 ms' LIMIT ${waitsMax}),
  blocked AS (SELECT pid, blocker FROM waiting CROSS JOIN LATERAL unnest(pg_blocking_pids(pid)) AS blocker)
SELECT DISTINCT coalesce(activity.leader_pid, activity.pid)::text, blocker::text, '', '', ''
  FROM blocked JOIN pg_stat_activity AS activity USING (pid) WHERE blocker <> 0
UNION ALL SELECT DISTINCT coalesce(activity.leader_pid, activity.pid)::text, '', prepared.gid, wanted.mode, held.mode
  FROM (SELECT DISTINCT pid FROM blocked WHERE blocker = 0) AS behind JOIN pg_stat_activity AS activity USING (pid)
  JOIN pg_locks AS wanted ON wanted.pid = behind.pid AND NOT wanted.granted
  JOIN pg_locks AS held ON held.pid IS NULL AND held.granted AND held.locktype = wanted.locktype
    AND (held.database, held.relation, held.page, held.tuple, held.virtualxid, held.transactionid, held.classid, held.objid, held.objsubid)
      IS NOT DISTINCT FROM
      (wanted.database, wanted.relation, wanted.page, wanted.tuple, wanted.virtualxid, wanted.transactionid, wanted.classid, wanted.objid, wanted.objsubid)
  JOIN pg_locks AS own ON own.pid IS NULL AND own.virtualtransaction = held.virtualtransaction AND own.locktype = 'transactionid'
  JOIN pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
LIMIT ${waitsMax}`

export class ShardDeadlocks {
  readonly #options: DeadlocksOptions
  /** Among all routers, for as long as it works. */
  readonly #router = randomUUID()
  /** Shards on which others were told something. */
  #told: ReadonlySet<string> = new Set()
  /** Some client may be part of one. */
  #near = false
  #timer: NodeJS.Timeout | undefined
  #closed = false
  /** Since the start: how often a client of this router gave way. */
  found = 0

  constructor(options: DeadlocksOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#closed) return
    const everyMs = this.#options.everyMs ?? everyMsDefault
    this.#timer = setTimeout(() => void this.#again(), this.#near ? everyMs / nearer : everyMs)
    this.#timer.unref()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** One search. */
  async round(): Promise<void> {
    const between = await this.#between()
    this.#near = between.length > 0
    await this.#tell(between)
    if (between.length === 0) return
    const first = await this.#look()
    if (deadlockVictims([...first.waits.values()], first.yielding).length === 0) return
    const second = await this.#look()
    if (this.#closed) return
    const both = [...second.waits].filter(([key]) => first.waits.has(key)).map(([, wait]) => wait)
    const own = new Map(this.#options.clients().map(one => [this.#nameOf(one), one]))
    for (const { client, shards, cycle } of deadlockVictims(both, second.yielding)) {
      const victim = own.get(client)
      if (victim === undefined) continue
      this.found++
      this.#options.tell(`${cycle.length} clients waited for each other over shards: the youngest gave way`)
      victim.giveWay(shards)
    }
  }

  async #again(): Promise<void> {
    // A shard that does not answer: next time.
    await this.round().catch(() => {})
    this.start()
  }

  #nameOf({ name }: WaitingClient): string {
    return `${this.#router}/${name}`
  }

  // --- what others are told ---------------------------------------------------------------------------------------

  /** Clients of this router that wait in one place and are waited for in another. */
  async #between(): Promise<readonly WaitingClient[]> {
    if (!this.#options.clients().some(isOver)) return []
    const edges = await this.#edges(this.#options.primaries.shards)
    const waiters = new Set(edges.map(({ shard, waiter }) => `${shard} ${waiter}`))
    const blockers = new Set(edges.map(blockerOf))
    return this.#options
      .clients()
      .filter(one => isOver(one) && isBetween(one, waiters, blockers))
      .slice(0, tellMax)
  }

  async #tell(clients: readonly WaitingClient[]): Promise<void> {
    const rows = new Map<string, WaitingRow[]>()
    for (const one of clients) {
      const { commit, processes } = one
      const client = this.#nameOf(one)
      const told = { client, commit: commit?.name ?? '', yields: commit?.decided !== true }
      for (const { shard, processId } of processes)
        if (processId > 0) rows.set(shard, [...(rows.get(shard) ?? []), { ...told, processId }])
    }
    const { shards } = this.#options.primaries
    const before = [...this.#told].filter(shard => !rows.has(shard) && shards.includes(shard))
    this.#told = new Set(rows.keys())
    await Promise.allSettled(
      [...rows.keys(), ...before].map(shard =>
        this.#ask(shard, tellWaitingSql(this.#router, rows.get(shard) ?? [])),
      ),
    )
  }

  // --- what all see -----------------------------------------------------------------------------------------------

  async #look(): Promise<Graph> {
    const { shards } = this.#options.primaries
    const [edges, told] = await Promise.all([
      this.#edges(shards),
      this.#each(shards, waitingSql(freshMs, toldMax)),
    ])
    const clients = new Map<string, string>()
    const yielding = new Map<string, Yielding>()
    const fixed = new Set<string>()
    for (const { shard, row } of told) {
      const [client = '', pid, commit = '', yields, began] = row as [string, string, string, string, string]
      clients.set(`${shard} ${pid}`, client)
      if (commit !== '') clients.set(commit, client)
      if (yields !== 't') fixed.add(client)
      const known = yielding.get(client)
      yielding.set(client, {
        began: Math.min(known?.began ?? Number.POSITIVE_INFINITY, Number(began)),
        committing: commit !== '' || known?.committing === true,
      })
    }
    for (const client of fixed) yielding.delete(client)
    const waits = new Map<string, ShardWait>()
    for (const edge of edges) {
      const { shard } = edge
      const at = `${shard} ${edge.waiter}`
      const waiter = clients.get(at) ?? at
      const blocker = clients.get(blockerOf(edge)) ?? blockerOf(edge)
      waits.set(`${shard} ${waiter} ${blocker}`, { shard, waiter, blocker })
    }
    return { waits, yielding }
  }

  async #edges(shards: readonly string[]): Promise<readonly Edge[]> {
    const edges = await this.#each(shards, waitsSql)
    return edges.flatMap(({ shard, row }) => edgeOf(shard, row))
  }

  /** Of those that answer: what is known suffices, or it is found later. */
  async #each(shards: readonly string[], sql: string): Promise<readonly { shard: string; row: Row }[]> {
    const lists = await Promise.allSettled(shards.map(shard => this.#ask(shard, sql)))
    return lists.flatMap((list, at) =>
      list.status === 'rejected' ? [] : list.value.map(row => ({ shard: shards[at] as string, row })),
    )
  }

  #ask(shard: string, sql: string): Promise<readonly Row[]> {
    return this.#options.primaries.ask(shard, sql, timeoutMs)
  }
}

/** On several servers, or prepared on some. */
function isOver({ processes, commit }: WaitingClient): boolean {
  return processes.length > 1 || commit !== null
}

function isBetween(
  { processes, commit }: WaitingClient,
  waiters: ReadonlySet<string>,
  blockers: ReadonlySet<string>,
): boolean {
  const all = processes.map(({ shard, processId }) => `${shard} ${processId}`)
  const waits = all.filter(one => waiters.has(one))
  if (waits.length === 0) return false
  // What waits at one place and is waited for there is for that server to see, unless it waits elsewhere as well.
  return (
    (commit !== null && blockers.has(commit.name)) ||
    all.some(one => blockers.has(one) && waits.some(wait => wait !== one))
  )
}

function blockerOf({ shard, blocker }: Edge): string {
  return 'commit' in blocker ? blocker.commit : `${shard} ${blocker.processId}`
}

function edgeOf(shard: string, row: Row): readonly Edge[] {
  const [waiter, processId, gid, wanted, held] = row as [string, string, string, string, string]
  if (processId !== '') return [{ shard, waiter, blocker: { processId } }]
  if (!lockModesConflict(wanted, held)) return []
  return [{ shard, waiter, blocker: { commit: preparedName(gid)?.commit ?? `${shard} ${gid}` } }]
}
