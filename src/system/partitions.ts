// Partitions of the running databases, rolled forward by the clock: soon after the system has changed, then each few minutes. On a
// sharded database every shard has its own. What is in the way is told once, and stays in the view.

import type { PartitionedTable } from '../database/partitions/roll.ts'
import type { PartitionSpec } from '../policy/partition/contract.ts'
import type { PartitionsView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'

const everyMs = 300_000
const soonMs = 2_000

export interface PartitionedGroup {
  /** `main`, or `main-s1`. */
  readonly name: string
  readonly specs: readonly PartitionSpec[]
  /** Of the primary; null: there is none now. */
  readonly ask: ((sql: string, timeoutMs: number) => Promise<readonly (readonly (string | null)[])[]>) | null
}

export interface PartitionsOf {
  readonly groups: () => readonly PartitionedGroup[]
  /** Microseconds since 1970. */
  readonly nowUs: () => number
  readonly tell: (kind: 'decision' | 'warning', database: string, text: string) => void
}

export class Partitions {
  readonly #of: PartitionsOf
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  /** One at a time. */
  #working: Promise<unknown> = Promise.resolve()
  /** By database and table: what was told last. */
  readonly #told = new Map<string, string>()

  constructor(of: PartitionsOf) {
    this.#of = of
  }

  /** What runs has changed. */
  soon(): void {
    this.#later(soonMs)
  }

  #later(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#stopped || this.#of.groups().every(({ specs }) => specs.length === 0)) return
    this.#timer = setTimeout(() => {
      void this.roll(this.#of.groups(), false).finally(() => this.#later(everyMs))
    }, ms)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#working
  }

  /** @param dry only looks */
  roll(groups: readonly PartitionedGroup[], dry: boolean): Promise<PartitionsView['groups']> {
    const work = this.#working.then(() => this.#roll(groups, dry))
    this.#working = work.catch(() => {})
    return work
  }

  async #roll(groups: readonly PartitionedGroup[], dry: boolean): Promise<PartitionsView['groups']> {
    const { rollTable } = await import('../database/partitions/roll.ts')
    const views: PartitionsView['groups'][number][] = []
    for (const { name, specs, ask } of groups) {
      const tables: PartitionedTable[] = []
      let trouble = ask === null && specs.length > 0 ? 'it has no primary' : ''
      for (const spec of specs) {
        if (this.#stopped || ask === null) break
        try {
          const table = await rollTable(spec, { ask, nowUs: this.#of.nowUs(), dry })
          tables.push(table)
          if (!dry) this.#say(name, table)
        } catch (error) {
          trouble = (error as Error).message
          break
        }
      }
      views.push({ name, trouble, tables })
    }
    return views
  }

  #say(name: string, { table, made, removed, troubles }: PartitionedTable): void {
    if (made.length > 0) this.#of.tell('decision', name, `${table}: partitions made: ${made.join(', ')}`)
    if (removed.length > 0)
      this.#of.tell('decision', name, `${table}: partitions taken away: ${removed.join(', ')}`)
    const said = troubles.join('; ')
    const key = `${name} ${table}`
    if (said !== '' && this.#told.get(key) !== said) this.#of.tell('warning', name, `${table}: ${said}`)
    this.#told.set(key, said)
  }
}

/** Of what was rolled because somebody asked. */
export function rolledResult(name: string, groups: PartitionsView['groups']): OperationResult {
  const tables = groups.flatMap(group => group.tables.map(table => ({ group: group.name, ...table })))
  const made = tables.reduce((sum, one) => sum + one.made.length, 0)
  const removed = tables.reduce((sum, one) => sum + one.removed.length, 0)
  const findings = [
    ...groups.flatMap(group => (group.trouble === '' ? [] : [`${group.name}: ${group.trouble}`])),
    ...tables.flatMap(one => one.troubles.map(trouble => `${one.group}: ${one.table}: ${trouble}`)),
    ...tables.flatMap(one => (one.state === 'waits' ? [`${one.group}: ${one.table} is not there yet`] : [])),
  ]
  const text = `${name}: ${made} partitions made, ${removed} taken away`
  return findings.length === 0 ? { text } : { text, findings }
}
