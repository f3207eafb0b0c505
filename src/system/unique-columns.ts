// Columns that are unique over all shards, looked after while the system runs: their triggers are put on once the router knows
// the map, rows that were there before get their place in the look-up tables, and an operator may have all of them compared.
// What is in the way is told once; the work is tried again by the clock.

import type { RoutedDatabase } from '../database/router/snapshot.ts'
import type { UniqueConnection, UniquePorts, UniqueReport } from '../database/shards/unique-rows.ts'
import { Failure } from '../kit/failure.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import { type UniqueColumns, uniquesOf } from '../policy/shard/unique.ts'
import { operatorName } from './compile-databases.ts'
import type { OperationResult, Progress } from './control/handlers.ts'
import { systemFailures } from './failures.ts'

const soonMs = 1_000
const everyMs = 300_000
/** While something is not kept yet. */
const againMs = 20_000
const pauseMs = 5
/** Of one finding. */
const duplicatesSaid = 5

type Rows = typeof import('../database/shards/unique-rows.ts')

export interface UniqueJobOf {
  /** Databases with shards. */
  readonly names: () => readonly string[]
  readonly map: (database: string) => ShardMap | null
  readonly routed: (database: string, shard: string) => RoutedDatabase | null
  readonly resharding: (database: string) => boolean
  /** Every router knows the map of now. */
  readonly ready: () => boolean
  readonly loadSession: () => Promise<typeof import('../database/index.ts').ServerSession>
  readonly tell: (kind: 'decision' | 'warning', database: string, text: string) => void
  readonly soonMs?: number
}

interface State {
  readonly one: UniqueColumns
  /** '': its values are unique over all shards. */
  readonly trouble: string
  /** Somebody has to change rows first: it is no use to hurry. */
  readonly waits?: true
}

class Stopped extends Error {}

export class UniqueColumnsJob {
  readonly #of: UniqueJobOf
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  /** One at a time. */
  #working: Promise<unknown> = Promise.resolve()
  /** By database: what was told last. */
  readonly #told = new Map<string, string>()

  constructor(of: UniqueJobOf) {
    this.#of = of
  }

  /** What runs has changed. */
  soon(): void {
    this.#later(this.#of.soonMs ?? soonMs)
  }

  #later(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#stopped || this.#of.names().every(name => this.#columns(name).length === 0)) return
    this.#timer = setTimeout(() => {
      void this.round().then(kept => this.#later(kept ? everyMs : againMs))
    }, ms)
    this.#timer.unref()
  }

  /** What runs ends at its next page. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#working
  }

  #columns(name: string): readonly UniqueColumns[] {
    const map = this.#of.map(name)
    return map === null ? [] : [...uniquesOf(map).values()].flat()
  }

  /** False: it is to be tried again soon. Never rejects. */
  async round(): Promise<boolean> {
    let kept = true
    for (const name of this.#of.names()) {
      if (this.#columns(name).length === 0) continue
      try {
        const states = await this.#alone(() => this.#bring(name))
        kept &&= states.every(({ trouble, waits }) => trouble === '' || waits === true)
        this.#say(name, states)
      } catch {
        // A shard that can't be asked now: the next time.
        kept = false
      }
    }
    return kept
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work)
    this.#working = done.catch(() => {})
    return done
  }

  #say(name: string, states: readonly State[]): void {
    const troubles = states.filter(({ trouble }) => trouble !== '')
    const said = troubles.map(({ one, trouble }) => `${titleOf(one)}: ${trouble}`).join('; ')
    const before = this.#told.get(name)
    if (before === said) return
    this.#told.set(name, said)
    if (said !== '') this.#of.tell('warning', name, `not unique over all shards yet: ${said}`)
    else if (before !== undefined)
      this.#of.tell('decision', name, 'what the file says is unique over all shards is')
  }

  // --- one database -------------------------------------------------------------------------------------------

  /** Triggers on, rows that are missing into the look-ups. */
  async #bring(name: string): Promise<State[]> {
    const wait = this.#of.resharding(name)
      ? 'a resharding is under way'
      : this.#of.ready()
        ? ''
        : 'a router is being replaced'
    const rows = await this.#rows()
    const ports = await this.#ports(name)
    const shards = ports.map().shards
    const connections = shards.map(shard => ports.connect(shard))
    try {
      const unbuilt = new Set<string>()
      for (const connection of connections) {
        const trouble =
          wait !== ''
            ? ''
            : await rows.attachUnique(connection).then(
                () => '',
                (why: Error) => why.message,
              )
        if (trouble !== '') return this.#all(name, trouble)
        for (const lookup of await rows.unbuiltUnique(connection)) unbuilt.add(lookup)
      }
      const states: State[] = []
      for (const one of this.#columns(name)) {
        const [, lookup = ''] = one.lookup.split('.')
        if (!unbuilt.has(lookup)) {
          states.push({ one, trouble: '' })
          continue
        }
        if (wait !== '') {
          states.push({ one, trouble: wait })
          continue
        }
        const report = await rows.matchUnique(ports, one)
        const trouble = duplicatesText(one, report)
        if (trouble === '') {
          for (const connection of connections) await rows.markBuilt(connection, lookup)
          this.#of.tell(
            'decision',
            name,
            `${titleOf(one)}: the values of ${report.rows} rows are unique over all shards`,
          )
        }
        states.push(trouble === '' ? { one, trouble } : { one, trouble, waits: true })
      }
      return states
    } finally {
      for (const connection of connections) connection.close()
    }
  }

  #all(name: string, trouble: string): State[] {
    return this.#columns(name).map(one => ({ one, trouble }))
  }

  /** What is kept; `verify`: rows and look-up tables are compared, and put right. Throws SYSTEM_UNIQUE_REFUSED. */
  async look(name: string, verify: boolean, progress: Progress): Promise<OperationResult> {
    const columns = this.#columns(name)
    if (columns.length === 0) return { text: `${name}: the file says 'unique' of no table` }
    if (verify && this.#of.resharding(name))
      throw new Failure(
        systemFailures.uniqueRefused,
        `Rows of '${name}' are being moved between shards: compare them when that is over.`,
      )
    const states = await this.#alone(() => this.#bring(name))
    const findings = states.flatMap(({ one, trouble }) =>
      trouble === '' ? [] : [`${titleOf(one)}: ${trouble}`],
    )
    const lines: string[] = []
    for (const { one, trouble } of states) {
      if (trouble !== '') continue
      if (!verify) {
        lines.push(`${titleOf(one)}: unique over all shards`)
        continue
      }
      progress(name, `comparing ${titleOf(one)}`)
      const report = await this.#alone(async () => {
        const ports = await this.#ports(name, rows =>
          progress(name, `comparing ${titleOf(one)}: ${rows} rows`),
        )
        return (await this.#rows()).matchUnique(ports, one)
      })
      lines.push(`${titleOf(one)}: ${report.rows} rows compared`)
      if (report.added > 0)
        findings.push(`${titleOf(one)}: ${report.added} values were not in the look-up table; they are now`)
      if (report.removed > 0)
        findings.push(
          `${titleOf(one)}: ${report.removed} values of the look-up table were no row's; they are gone`,
        )
      const twice = duplicatesText(one, report)
      if (twice !== '') findings.push(`${titleOf(one)}: ${twice}`)
    }
    const text = lines.length > 0 ? lines.join('\n') : `${name}: nothing is unique over all shards yet`
    return findings.length === 0 ? { text } : { text, findings }
  }

  #rows(): Promise<Rows> {
    return import('../database/shards/unique-rows.ts')
  }

  async #ports(name: string, progress?: (rows: number) => void): Promise<UniquePorts> {
    const Session = await this.#of.loadSession()
    const connect = (shard: string): UniqueConnection =>
      new Session(() => {
        const spec = this.#of.routed(name, shard)
        const server = spec?.servers.find(({ id }) => id === spec.primary)
        const login = spec?.users.find(one => one.name === operatorName)?.server
        if (spec === null || server === undefined || login === undefined)
          throw new Error(`shard ${shard} has no primary now`)
        const { host, port } = server
        return { host, port, database: spec.database, ...login }
      })
    return {
      map: () => this.#of.map(name) as ShardMap,
      connect,
      pause: async () => {
        if (this.#stopped) throw new Stopped('the system stops')
        await new Promise(resolve => setTimeout(resolve, pauseMs))
      },
      ...(progress === undefined ? {} : { progress }),
    }
  }
}

/** `public.customers (email)`. */
function titleOf({ table, columns }: UniqueColumns): string {
  return `${table} (${columns.join(', ')})`
}

function duplicatesText({ key }: UniqueColumns, { duplicates }: UniqueReport): string {
  if (duplicates.length === 0) return ''
  const said = duplicates
    .slice(0, duplicatesSaid)
    .map(
      ({ value, keys }) =>
        `(${value.join(', ')}) has the keys (${key.join(', ')}) = ${keys.map(one => `(${one.join(', ')})`).join(' and ')}`,
    )
  const more = duplicates.length > duplicatesSaid ? '; and more' : ''
  return `rows on different shards have the same values: ${said.join('; ')}${more}`
}
