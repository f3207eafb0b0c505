// Reshardings of the databases of a running system: one at a time for each database. Owns their journals in the state
// directory, and what an executor needs of the system; what is done to rows is the executor's own.
//
// A database is in one of three places: no journal, a journal that is over (how the last one ended), an executor at work.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LinkTarget } from '../database/reads/link.ts'
import type { RoutedDatabase } from '../database/router/snapshot.ts'
import { Failure } from '../kit/failure.ts'
import { planReshard } from '../policy/shard/changes.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import type {
  OperatorWish,
  ReshardIntent,
  ReshardJournal,
  ReshardPlan,
} from '../policy/shard/reshard-contract.ts'
import type { ReshardView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'
import { systemFailures } from './failures.ts'
import { writePrivate } from './private-file.ts'
import { planText, reshardView } from './reshard-view.ts'
import type { ShardMaps } from './shard-maps.ts'

type Parts = typeof import('../database/shards/reshard/index.ts')
type Executor = InstanceType<Parts['ReshardExecutor']>

export interface ReshardSystem {
  readonly stateDirectory: string
  readonly maps: ShardMaps
  /** Null: there is no such shard in the file, or it has not stood yet. */
  routed(database: string, shard: string): RoutedDatabase | null
  /** Of the file, in their order. */
  shards(database: string): readonly string[]
  push(): Promise<void>
  settled(database: string, timeoutMs: number): Promise<boolean>
  drained(database: string, timeoutMs: number): Promise<boolean>
  installMap(database: string): Promise<void>
  random(): number
  nowUs(): number
  say(database: string, level: 'info' | 'warn', text: string): void
}

export interface ReshardWish {
  /** `even` without shards: over all of the file. `rule` without one: as the file says. */
  readonly intent:
    | ReshardIntent
    | { readonly kind: 'even' }
    | { readonly kind: 'rule'; readonly family: string }
  readonly dryRun: boolean
  readonly finish: boolean
}

/** What routers are told. */
export interface RoutersTold {
  readonly moving: readonly string[]
  readonly holding: boolean
}

interface Held {
  readonly executor: Executor
  readonly close: () => void
}

export class Reshards {
  readonly #system: ReshardSystem
  readonly #held = new Map<string, Held>()

  constructor(system: ReshardSystem) {
    this.#system = system
  }

  /** Reads what was under way, so that routers are told of it; it goes on with `start`. Throws SYSTEM_SHARD_MAP_BROKEN. */
  async open(databases: readonly string[]): Promise<void> {
    for (const name of databases) {
      if (this.#held.has(name)) continue
      const journal = this.#read(name)
      if (journal === null || over(journal)) continue
      await this.#hold(journal)
    }
  }

  /** When the shards stand. */
  start(): void {
    for (const { executor } of this.#held.values()) executor.start()
  }

  /** Routers are told the same until they stop: rows lie where they lie. */
  async stop(): Promise<void> {
    const all = [...this.#held.values()]
    await Promise.all(all.map(({ executor }) => executor.stop()))
    for (const { close } of all) close()
  }

  told(database: string): RoutersTold | null {
    return this.#active(database)?.view ?? null
  }

  /** Why the file may not change the shards of a database now; ''. */
  keeps(database: string, shards: readonly string[]): string {
    const executor = this.#active(database)
    if (executor === null) return ''
    const gone = executor.journal.next.shards.find(id => !shards.includes(id))
    return gone === undefined ? '' : `shard ${gone} takes part in a resharding`
  }

  active(database: string): boolean {
    return this.#active(database) !== null
  }

  /** The map that holds when the resharding under way has switched; null: there is none. */
  next(database: string): ShardMap | null {
    return this.#active(database)?.journal.next ?? null
  }

  #active(database: string): Executor | null {
    const executor = this.#held.get(database)?.executor ?? null
    return executor === null || executor.over ? null : executor
  }

  // ---- what operators ask

  view(database: string): ReshardView {
    const held = this.#held.get(database)
    if (held !== undefined) return reshardView(database, held.executor.status)
    const journal = this.#read(database)
    return reshardView(database, journal === null ? null : { journal, progress: [], changes: 0, holds: 0 })
  }

  /** Throws SYSTEM_RESHARD_REFUSED. */
  async begin(database: string, { intent: wished, dryRun, finish }: ReshardWish): Promise<OperationResult> {
    const before = this.#system.maps.current(database)
    if (before === null) throw refused(`'${database}' has no shards.`)
    const there = this.#system.shards(database)
    const intent: ReshardIntent =
      'shards' in wished || wished.kind !== 'even'
        ? (wished as ReshardIntent)
        : { kind: 'even', shards: there }
    const plan = planned(before, intent)
    const missing = plan.next.shards.find(id => !there.includes(id))
    if (missing !== undefined)
      throw refused(
        `The file has no shard ${missing}: raise \`shards.count\` of '${database}', and \`tenfold reload\`.`,
      )
    if (dryRun) return this.#dryRun(database, before, plan)
    const active = this.#active(database)
    if (active !== null)
      throw refused(
        `'${database}' is being resharded already (${active.journal.step}): finish, roll back or cancel that first.`,
      )
    // What the last one has made is gone.
    await this.#held.get(database)?.executor.stop()
    const { firstJournal } = await parts()
    const number = this.#system.random()
    const nowUs = this.#system.nowUs()
    const journal = firstJournal({ database, intent, before, plan, finish, number, nowUs })
    this.#keep(journal)
    const executor = await this.#hold(journal)
    executor.start()
    return { text: `resharding of '${database}' has begun: ${planText(plan)}` }
  }

  async #dryRun(database: string, before: ShardMap, plan: Planned): Promise<OperationResult> {
    const { checkReshard } = await parts()
    const primaries = await this.#primaries(database, plan.next.shards)
    try {
      const ask = primaries.ask.bind(primaries)
      const { moves, joining, next } = plan
      const { refused: findings, warnings } = await checkReshard({
        ask,
        id: 'dry',
        before,
        next,
        moves,
        joining,
      })
      const text = [`${database}: ${planText(plan)}`, ...warnings.map(one => `warning: ${one}`)].join('\n')
      return findings.length === 0 ? { text } : { text, findings }
    } finally {
      primaries.close()
    }
  }

  /** Throws SYSTEM_RESHARD_REFUSED. */
  wish(database: string, what: OperatorWish): OperationResult {
    const executor = this.#active(database)
    if (executor === null) throw refused(`'${database}' is not being resharded.`)
    const why = executor.wish(what)
    if (why !== null) throw refused(`The resharding of '${database}': ${why}.`)
    const texts: Readonly<Record<OperatorWish, string>> = {
      cancel: 'is cancelled',
      finish: 'is finished',
      rollBack: 'goes back',
      recopy: 'copies the tables that differ again',
    }
    return { text: `the resharding of '${database}' ${texts[what]}` }
  }

  // ---- executors

  async #hold(journal: ReshardJournal): Promise<Executor> {
    const { ReshardExecutor } = await parts()
    const { database, before, next } = journal
    const shards = [...new Set([...before.shards, ...next.shards])]
    const primaries = await this.#primaries(database, shards)
    const system = this.#system
    const executor = new ReshardExecutor(
      {
        ask: primaries.ask.bind(primaries),
        end: shard => ({ shard, target: () => this.#target(database, shard) }),
        epoch: shard => system.routed(database, shard)?.epoch ?? 0,
        delayed: shard =>
          system.routed(database, shard)?.servers.flatMap(({ id, delayMs }) => (delayMs > 0 ? [id] : [])) ??
          [],
        keep: kept => this.#keep(kept),
        keepMap: map => void system.maps.keep(database, map),
        map: () => system.maps.current(database) ?? before,
        tell: () => system.push(),
        settled: timeoutMs => system.settled(database, timeoutMs),
        drained: timeoutMs => system.drained(database, timeoutMs),
        installMap: () => system.installMap(database),
        say: (level, text) => system.say(database, level, text),
      },
      journal,
    )
    this.#held.get(database)?.close()
    this.#held.set(database, { executor, close: () => primaries.close() })
    return executor
  }

  async #primaries(database: string, shards: readonly string[]): Promise<InstanceType<Parts['Primaries']>> {
    const { Primaries, placeOf } = await parts()
    this.#placeOf = placeOf
    return new Primaries(() =>
      shards.map(shard => {
        const routed = this.#system.routed(database, shard)
        const target = routed === null || routed.holding ? null : placeOf(routed)
        return { shard, epoch: routed?.epoch ?? 0, target }
      }),
    )
  }
  #placeOf: Parts['placeOf'] | null = null

  #target(database: string, shard: string): LinkTarget {
    const routed = this.#system.routed(database, shard)
    const target = routed === null || routed.holding ? null : (this.#placeOf?.(routed) ?? null)
    if (target === null) throw new Error(`shard ${shard} has no primary now`)
    return target
  }

  // ---- journals

  #fileOf(database: string): string {
    return join(this.#system.stateDirectory, 'shard-maps', `${database}.reshard.json`)
  }

  #keep(journal: ReshardJournal): void {
    writePrivate(this.#fileOf(journal.database), `${JSON.stringify(journal)}\n`)
  }

  #read(database: string): ReshardJournal | null {
    const file = this.#fileOf(database)
    try {
      const journal = JSON.parse(readFileSync(file, 'utf8')) as ReshardJournal
      if (journal.format !== 1) throw new Error(`its format is ${journal.format}`)
      // One that was begun by an earlier version has none of these.
      return {
        ...{ differences: null, ending: '' as const },
        ...journal,
        wishes: { ...journal.wishes, recopy: journal.wishes.recopy ?? false },
      }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw new Failure(systemFailures.shardMapBroken, `${file} can't be used: ${(cause as Error).message}.`)
    }
  }
}

const parts = (): Promise<Parts> => import('../database/shards/reshard/index.ts')

function over({ step }: ReshardJournal): boolean {
  return step === 'done' || step === 'cancelled' || step === 'rolled-back'
}

type Planned = Extract<ReshardPlan, { kind: 'change' }>

function planned(map: ShardMap, intent: ReshardIntent): Planned {
  const plan = planReshard(map, intent)
  if (plan.kind === 'change') return plan
  throw refused(`${plan.why.charAt(0).toUpperCase()}${plan.why.slice(1)}. ${plan.remedy}`)
}

function refused(sentence: string): Failure {
  return new Failure(systemFailures.reshardRefused, sentence)
}
