// Copies by another key of the running databases, kept by a keeper for each sharded one: looked at every few seconds. They stand still while rows
// move between shards, and are filled again where what moved concerns them.

import type { RoutedDatabase } from '../database/router/snapshot.ts'
import type { CopyKeeper } from '../database/shards/copies/index.ts'
import type { AskOne } from '../database/shards/drift.ts'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import { copiesOf } from '../policy/shard/copies.ts'
import type { CopiesView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'
import { systemFailures } from './failures.ts'

const everyMs = 3_000
const soonMs = 500
const stopMs = 10_000

export interface CopiesOf {
  readonly names: () => readonly string[]
  readonly map: (database: string) => ShardMap | null
  readonly resharding: (database: string) => boolean
  readonly ask: (database: string) => Promise<AskOne>
  readonly routed: (database: string, shard: string) => RoutedDatabase | null
  /** Routers read the tables anew. */
  readonly push: () => Promise<void>
  readonly nowMs: () => number
  readonly tell: (kind: 'decision' | 'warning', database: string, text: string) => void
}

export class Copies {
  readonly #of: CopiesOf
  readonly #keepers = new Map<string, CopyKeeper>()
  /** Databases that were looked through for copies of an earlier file. */
  readonly #swept = new Set<string>()
  /** How often tables were made or dropped, by database. */
  readonly #made = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #working: Promise<unknown> = Promise.resolve()

  constructor(of: CopiesOf) {
    this.#of = of
  }

  /** Counts up; routers are told. */
  made(name: string): number {
    return this.#made.get(name) ?? 0
  }

  /** What runs has changed. */
  soon(): void {
    this.#swept.clear()
    this.#later(soonMs)
  }

  #later(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#stopped || this.#of.names().length === 0) return
    this.#timer = setTimeout(() => {
      this.#working = this.#round()
      void this.#working.finally(() => this.#later(everyMs))
    }, ms)
    this.#timer.unref()
  }

  async #round(): Promise<void> {
    for (const name of this.#of.names()) {
      const map = this.#of.map(name)
      if (map === null || this.#stopped) continue
      if (this.#of.resharding(name)) {
        await this.#keepers.get(name)?.pause()
        continue
      }
      const none = copiesOf(map).length === 0
      if (none && this.#swept.has(name)) continue
      await (await this.#keeper(name)).ensure()
      if (none) this.#swept.add(name)
    }
  }

  async #keeper(name: string): Promise<CopyKeeper> {
    const known = this.#keepers.get(name)
    if (known !== undefined) return known
    const { CopyKeeper, placeOf } = await import('../database/shards/copies/index.ts')
    const made = new CopyKeeper({
      ask: await this.#of.ask(name),
      end: shard => ({
        shard,
        target: () => {
          const routed = this.#of.routed(name, shard)
          const place = routed === null || routed.holding ? null : placeOf(routed)
          if (place === null) throw new Error(`shard ${shard} has no primary now`)
          return place
        },
      }),
      map: () => this.#of.map(name) as ShardMap,
      nowMs: this.#of.nowMs,
      made: async () => {
        this.#made.set(name, this.made(name) + 1)
        await this.#of.push()
      },
      say: (level, text) => this.#of.tell(level === 'info' ? 'decision' : 'warning', name, text),
    })
    this.#keepers.set(name, made)
    return made
  }

  /** Before rows move: streams end. They go on once nothing moves any more. */
  async pause(name: string): Promise<void> {
    await this.#keepers.get(name)?.pause()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const ended = Promise.all([...this.#keepers.values()].map(keeper => keeper.stop())).then(
      () => this.#working,
    )
    // A server that is making a slot waits for its clients: its end ends that.
    const late = new Promise(resolve => setTimeout(resolve, stopMs).unref())
    await Promise.race([ended, late])
  }

  async view(name: string): Promise<CopiesView> {
    const map = this.#of.map(name)
    if (map === null || copiesOf(map).length === 0) return { database: name, copies: [] }
    const copies = await (await this.#keeper(name)).status()
    const moving = this.#of.resharding(name)
    return {
      database: name,
      copies: copies.map(one =>
        moving ? { ...one, trouble: 'rows move between shards: it stands still' } : one,
      ),
    }
  }

  /** Throws SYSTEM_COPY_UNKNOWN. */
  async rebuild(name: string, copy: string): Promise<OperationResult> {
    const map = this.#of.map(name)
    const there = map === null ? [] : copiesOf(map).map(one => one.name)
    if (!there.includes(copy) || !(await (await this.#keeper(name)).rebuild(copy)))
      throw new Failure(
        systemFailures.copyUnknown,
        `'${name}' has no copy '${copy}'${there.length === 0 ? '' : `; there is ${there.map(one => `'${one}'`).join(', ')}`}.`,
      )
    return { text: `${copy} of ${name} is filled again` }
  }
}
