// Tables of the databases of a running system that are split by columns: one at a time for each database. Owns their journals
// in the state directory, and what an executor needs of the system; what is done to tables is the executor's own.
//
// A database is in one of three places: no journal, a journal that is over (how the last one ended), an executor at work.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RouterLogin, SplitLook } from '../database/columns/index.ts'
import type { RoutedDatabase } from '../database/router/snapshot.ts'
import { bytesText } from '../kit/duration.ts'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import type { SplitAsk, SplitJournal } from '../policy/split-columns/contract.ts'
import { bareNames, tableNamed } from '../policy/split-columns/names.ts'
import type { ColumnSplitView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'
import { systemFailures } from './failures.ts'
import { writePrivate } from './private-file.ts'

type Parts = typeof import('../database/columns/index.ts')
type Executor = InstanceType<Parts['SplitExecutor']>
type Primaries = InstanceType<Parts['Primaries']>

export interface ColumnSplitSystem {
  readonly stateDirectory: string
  /** Null: the database has no shards. */
  map(database: string): ShardMap | null
  /** By shard, '' for a database without; null: it has not stood yet. */
  routed(database: string): ReadonlyMap<string, RoutedDatabase | null>
  /** Rows lie on two shards, or move. */
  resharding(database: string): boolean
  /** As the operator, through the router. */
  login(database: string): RouterLogin
  random(): number
  nowUs(): number
  nowMs(): number
  say(database: string, level: 'info' | 'warn', text: string): void
}

export interface ColumnSplitWish {
  /** With its schema, or in `public`. */
  readonly table: string
  readonly cold: readonly string[]
  readonly dryRun: boolean
}

interface Held {
  readonly executor: Executor
  readonly close: () => void
}

/** What is one transaction on a server may end by itself. */
const graceMs = 2_000

export class ColumnSplits {
  readonly #system: ColumnSplitSystem
  readonly #held = new Map<string, Held>()

  constructor(system: ColumnSplitSystem) {
    this.#system = system
  }

  /** Goes on with what was under way. A journal that can't be read keeps no database from running: it is said. */
  async start(databases: readonly string[]): Promise<void> {
    for (const name of databases) {
      if (this.#held.has(name)) continue
      try {
        const journal = this.#read(name)
        if (journal === null || isOver(journal)) continue
        ;(await this.#hold(journal)).start()
      } catch (cause) {
        this.#system.say(name, 'warn', `the split of a table does not go on: ${(cause as Error).message}`)
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#held.values()].map(async ({ executor, close }) => {
        // What takes long is left to the server: the next executor looks at what came of it.
        const timer = setTimeout(close, graceMs)
        await executor.stop()
        clearTimeout(timer)
        close()
      }),
    )
  }

  active(database: string): boolean {
    const executor = this.#held.get(database)?.executor
    return executor !== undefined && !executor.over
  }

  // ---- what operators ask

  view(database: string): ColumnSplitView {
    const journal = this.#held.get(database)?.executor.journal ?? this.#read(database)
    return splitView(database, journal)
  }

  /** Throws SYSTEM_SPLIT_REFUSED. */
  async begin(database: string, { table: said, cold, dryRun }: ColumnSplitWish): Promise<OperationResult> {
    const named = tableNamed(said)
    if (named === null) throw refused(`'${said}' is no name of a table.`)
    const ask: SplitAsk = { ...named, cold: [...new Set(cold)] }
    if (this.active(database) && !dryRun) throw refused(this.#busyText(database))
    if (this.#system.resharding(database))
      throw refused(`Rows of '${database}' move between shards: finish or cancel the resharding first.`)
    const { lookAtSplit, firstSplitJournal } = await parts()
    const shards = [...this.#system.routed(database).keys()]
    const primaries = await this.#primaries(database)
    let look: SplitLook
    try {
      look = await lookAtSplit(primaries.ask.bind(primaries), shards, ask)
    } catch (cause) {
      throw refused(`'${said}' can not be looked at: ${(cause as Error).message}.`, cause)
    } finally {
      primaries.close()
    }
    const why = [
      ...placeFindings(ask, this.#system.map(database)),
      ...(look.decision.kind === 'refused' ? look.decision.why : []),
    ]
    const warnings = look.decision.kind === 'plan' ? look.decision.warnings : []
    const text = [`${database}: ${lookText(ask, look)}`, ...warnings.map(one => `note: ${one}`)].join('\n')
    if (dryRun) return why.length === 0 ? { text } : { text: `'${said}' can not be split`, findings: why }
    if (why.length > 0 || look.decision.kind === 'refused') throw refused(why.join('\n'))
    await this.#held.get(database)?.executor.stop()
    const journal = firstSplitJournal({
      database,
      plan: look.decision.plan,
      shards,
      finish: false,
      number: this.#system.random(),
      nowUs: this.#system.nowUs(),
    })
    this.#keep(journal)
    ;(await this.#hold(journal)).start()
    return { text: `the split of '${said}' has begun\n${text}` }
  }

  /** Throws SYSTEM_SPLIT_REFUSED. */
  wish(database: string, what: 'cancel' | 'undo' | 'finish', rewrite: boolean): OperationResult {
    const held = this.#held.get(database)
    const journal = held?.executor.journal ?? this.#read(database)
    if (journal === null) throw refused(`No table of '${database}' is being split.`)
    if (held === undefined || held.executor.over)
      throw refused(
        `The split of '${journal.plan.table}' is over already (${journal.step})${overText(journal, what)}`,
      )
    const why = held.executor.wish(what, rewrite)
    if (why !== null) throw refused(`The split of '${journal.plan.table}': ${why}.`)
    const texts = { cancel: 'is cancelled', undo: 'is taken back', finish: 'is finished' }
    return { text: `the split of '${journal.plan.table}' ${texts[what]}` }
  }

  #busyText(database: string): string {
    const { plan, step } = (this.#held.get(database) as Held).executor.journal
    return `'${plan.table}' of '${database}' is being split already (${step}): finish, undo or cancel that first.`
  }

  // ---- executors

  async #hold(journal: SplitJournal): Promise<Executor> {
    const { SplitExecutor, relearnThrough } = await parts()
    const { database } = journal
    const system = this.#system
    const primaries = await this.#primaries(database)
    const executor = new SplitExecutor(
      {
        ask: primaries.ask.bind(primaries),
        epoch: shard => system.routed(database).get(shard)?.epoch ?? 0,
        nowMs: () => system.nowMs(),
        keep: kept => this.#keep(kept),
        relearn: table => relearnThrough(system.login(database), table),
        say: (level, text) => system.say(database, level, text),
      },
      journal,
    )
    this.#held.get(database)?.close()
    this.#held.set(database, { executor, close: () => primaries.close() })
    return executor
  }

  async #primaries(database: string): Promise<Primaries> {
    const { Primaries, placeOf } = await parts()
    return new Primaries(() =>
      [...this.#system.routed(database)].map(([shard, routed]) => ({
        shard,
        epoch: routed?.epoch ?? 0,
        target: routed === null || routed.holding ? null : placeOf(routed),
      })),
    )
  }

  // ---- journals

  #fileOf(database: string): string {
    return join(this.#system.stateDirectory, 'column-splits', `${database}.json`)
  }

  #keep(journal: SplitJournal): void {
    writePrivate(this.#fileOf(journal.database), `${JSON.stringify(journal)}\n`)
  }

  #read(database: string): SplitJournal | null {
    const file = this.#fileOf(database)
    try {
      const journal = JSON.parse(readFileSync(file, 'utf8')) as SplitJournal
      if (journal.format !== 1) throw new Error(`its format is ${journal.format}`)
      return journal
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw refused(`${file} can't be used: ${(cause as Error).message}.`, cause)
    }
  }
}

const parts = (): Promise<Parts> => import('../database/columns/index.ts')

function isOver({ step }: SplitJournal): boolean {
  return step === 'done' || step === 'cancelled' || step === 'undone'
}

/** Halves of a sharded table lie where the table does: the file says so before they are made. */
function placeFindings({ schema, table }: SplitAsk, map: ShardMap | null): string[] {
  if (map === null) return []
  const of = (name: string): string => `${schema}.${name}`
  const place = map.tables[of(table)]
  if (place === undefined) return [`'${table}' is not among the sharded database's tables.`]
  const { hot, cold } = bareNames(table)
  const wanted = JSON.stringify(place)
  const missing = [hot, cold].filter(name => JSON.stringify(map.tables[of(name)]) !== wanted)
  if (missing.length === 0) return []
  const key = (name: string): string => (schema === 'public' ? name : `${schema}.${name}`)
  const family = place.kind === 'sharded' ? place.family.replace(/^public\./, '') : ''
  const rule =
    place.kind === 'sharded'
      ? `{ by: ${place.key.length === 1 ? `'${place.key[0]}'` : JSON.stringify(place.key)}, with: '${family}' }`
      : place.kind === 'on'
        ? `{ on: '${place.shard}' }`
        : `'${place.kind}'`
  return [
    `The file must say that the halves lie where '${table}' does: ${missing.map(name => `'${key(name)}': ${rule}`).join(', ')} in \`shards.tables\`, and \`tenfold reload\`.`,
  ]
}

function lookText({ table, cold }: SplitAsk, { rows, bytes, coldBytes, hotBytes }: SplitLook): string {
  const { hot, cold: coldTable } = bareNames(table)
  return `'${table}' (about ${rows} rows, ${bytesText(bytes)}): ${cold.join(', ')} in '${coldTable}', the rest in '${hot}'; needs about ${bytesText(coldBytes)} of disk on each server; the hot half is about ${bytesText(hotBytes)} once it is written anew`
}

function overText({ step, plan }: SplitJournal, what: string): string {
  if (what !== 'undo' || step !== 'done') return '.'
  const { hot, cold } = bareNames(plan.table)
  return `: the columns are in '${cold}' alone. To have one table again, fill a new one from the view, then drop the view, '${hot}' and '${cold}'.`
}

function splitView(database: string, journal: SplitJournal | null): ColumnSplitView {
  if (journal === null) return { database, current: null }
  const { id, step, plan, shards, trouble, wishes, begunAt } = journal
  const { hot, cold } = bareNames(plan.table)
  return {
    database,
    current: {
      id,
      step,
      state: isOver(journal) ? 'over' : step === 'split' ? 'split' : 'working',
      begunAt: new Date(begunAt / 1000).toISOString(),
      table: `${plan.schema}.${plan.table}`,
      hot,
      cold,
      columns: [...plan.cold],
      shards: Object.entries(shards).map(([shard, { rows, copied, compared, pauseMs }]) => ({
        shard,
        rows,
        copied,
        compared,
        pauseMs,
      })),
      trouble,
      wishes: Object.entries(wishes).flatMap(([wish, wished]) => (wished ? [wish] : [])),
    },
  }
}

function refused(sentence: string, cause?: unknown): Failure {
  return new Failure(systemFailures.splitRefused, sentence, cause === undefined ? {} : { cause })
}
