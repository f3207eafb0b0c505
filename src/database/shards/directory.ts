// Where the keys of directories are, as this router knows it: a bounded memory in front of the rows in `tenfold.directory`.
// A row never changes while a map holds (keys that move are exceptions of the map), so what was found needs no second look
// until the next map. That a key has no row is remembered only where none can get one meanwhile: with a default shard.
//
// Looks of all clients wait in one list, and go in batches, one at a time; a look that was sent is joined by nobody.

import { setTimeout as sleep } from 'node:timers/promises'
import type { PlacementRule, ShardMap } from '../../policy/shard/contract.ts'
import type { DirectoryLookup } from '../../policy/shard/placement.ts'
import { Generations } from '../sql/generations.ts'
import { assignSql, countSql, directoryHome, findSql } from './directory-sql.ts'
import { StatementFailed } from './statement-failed.ts'

const entriesMax = 200_000
const charactersMax = 16_000_000
const waitingMax = 200_000
const batchMax = 1_000
const askMs = 5_000
/** A shard may be failing over. */
const patienceMs = 15_000
const againMs = 200
/** How many keys each shard has, for who assigns to the least full. */
const countsMs = 60_000

type Rule = Extract<PlacementRule, { by: 'directory' }>
type Found = number | null
type Ask = (shard: string, sql: string, timeoutMs: number) => Promise<readonly (readonly (string | null)[])[]>

interface Look {
  readonly family: string
  readonly key: string
  assigns: boolean
  readonly answer: PromiseWithResolvers<Found>
}

interface Memory {
  readonly map: ShardMap
  readonly places: Generations<{ readonly shard: Found }>
}

export class Directory {
  readonly #ask: Ask
  #memory: Memory
  #rules: ReadonlyMap<string, Rule>
  #waiting = new Map<string, Look>()
  #working = false
  #closed = false
  #next = 0
  readonly #counts = new Map<string, { readonly at: number; readonly keys: Map<string, number> }>()

  /** @param ask the primary of a shard, as the superuser */
  constructor(map: ShardMap, ask: Ask) {
    this.#ask = ask
    this.#memory = memoryOf(map)
    this.#rules = rulesOf(map)
  }

  /** Some family has one. */
  get used(): boolean {
    return this.#rules.size > 0
  }

  has(family: string): boolean {
    return this.#rules.has(family)
  }

  /** What was known by the map before is forgotten. */
  use(map: ShardMap): void {
    this.#memory = memoryOf(map)
    this.#rules = rulesOf(map)
  }

  close(): void {
    this.#closed = true
  }

  readonly lookup: DirectoryLookup = (family, key) => this.#memory.places.get(nameOf(family, key))?.shard

  /** Null: it has no row. Rejects with what the client is told. @param assigns a key without a row gets one, if its rule says so */
  find(family: string, key: string, assigns: boolean): Promise<Found> {
    const name = nameOf(family, key)
    const known = this.#waiting.get(name)
    if (known !== undefined) {
      if (assigns) known.assigns = true
      return known.answer.promise
    }
    if (this.#waiting.size >= waitingMax) return Promise.reject(tooMany())
    const look: Look = { family, key, assigns, answer: Promise.withResolvers() }
    this.#waiting.set(name, look)
    if (!this.#working) void this.#work()
    return look.answer.promise
  }

  async #work(): Promise<void> {
    this.#working = true
    // What is asked for in this turn goes together.
    await Promise.resolve()
    while (this.#waiting.size > 0) {
      const [first] = this.#waiting.values()
      const { family } = first as Look
      const batch: Look[] = []
      for (const [name, look] of this.#waiting) {
        if (look.family !== family || batch.length >= batchMax) continue
        batch.push(look)
        this.#waiting.delete(name)
      }
      await this.#patiently(family, batch)
    }
    this.#working = false
  }

  async #patiently(family: string, batch: readonly Look[]): Promise<void> {
    const until = performance.now() + patienceMs
    for (;;)
      try {
        return await this.#answer(family, batch)
      } catch (error) {
        if (!this.#closed && performance.now() < until) {
          await sleep(againMs)
          continue
        }
        const failure = unreachable(error as Error)
        for (const { answer } of batch) answer.reject(failure)
        return
      }
  }

  async #answer(family: string, batch: readonly Look[]): Promise<void> {
    // What is found out now is of this map.
    const memory = this.#memory
    const rule = this.#rules.get(family)
    const found = await this.#rows(memory.map, family, batch)
    const fresh = batch.filter(({ key, assigns }) => assigns && !found.has(key))
    if (rule?.assign !== undefined && fresh.length > 0) {
      await this.#assign(memory.map, family, rule.assign, fresh)
      for (const [key, shard] of await this.#rows(memory.map, family, fresh)) found.set(key, shard)
    }
    for (const { key, answer } of batch) {
      const id = found.get(key)
      const shard = id === undefined ? null : memory.map.shards.indexOf(id)
      if (shard === -1) {
        answer.reject(elsewhere(key, id as string))
        continue
      }
      if (shard !== null || rule?.otherwise != null) memory.places.set(nameOf(family, key), { shard })
      answer.resolve(shard)
    }
  }

  async #rows(map: ShardMap, family: string, looks: readonly Look[]): Promise<Map<string, string>> {
    // No row has a key that a server can't read.
    const keys = looks.map(({ key }) => key).filter(key => !key.includes('\0'))
    if (keys.length === 0) return new Map()
    const rows = await this.#ask(directoryHome(map), findSql(family, keys), askMs)
    return new Map(rows.map(([key, shard]) => [key as string, shard as string]))
  }

  /** The shard's own row first: whoever finds the one at home may rely on it. */
  async #assign(
    map: ShardMap,
    family: string,
    policy: NonNullable<Rule['assign']>,
    looks: readonly Look[],
  ): Promise<void> {
    const home = directoryHome(map)
    const rows: (readonly [string, string])[] = []
    const keys = looks.map(({ key }) => key).filter(key => !key.includes('\0'))
    for (const key of keys) {
      const shard =
        policy === 'round-robin'
          ? (map.shards[this.#next++ % map.shards.length] as string)
          : await this.#leastFull(map, family)
      rows.push([key, shard])
    }
    if (rows.length === 0) return
    for (const [shard, mine] of Map.groupBy(rows, ([, shard]) => shard))
      if (shard !== home) await this.#ask(shard, assignSql(family, mine), askMs)
    await this.#ask(home, assignSql(family, rows), askMs)
  }

  async #leastFull(map: ShardMap, family: string): Promise<string> {
    const now = performance.now()
    let counts = this.#counts.get(family)
    if (counts === undefined || now - counts.at > countsMs) {
      const rows = await this.#ask(directoryHome(map), countSql(family), askMs)
      counts = { at: now, keys: new Map(rows.map(([shard, keys]) => [shard as string, Number(keys)])) }
      this.#counts.set(family, counts)
    }
    const { keys } = counts
    const [least = ''] = [...map.shards].sort((one, other) => (keys.get(one) ?? 0) - (keys.get(other) ?? 0))
    keys.set(least, (keys.get(least) ?? 0) + 1)
    return least
  }
}

function memoryOf(map: ShardMap): Memory {
  return { map, places: new Generations({ entriesMax, charactersMax }) }
}

function rulesOf(map: ShardMap): ReadonlyMap<string, Rule> {
  const rules = new Map<string, Rule>()
  for (const [name, { rule }] of Object.entries(map.families))
    if (rule.by === 'directory') rules.set(name, rule)
  return rules
}

function nameOf(family: string, key: string): string {
  return `${family}\0${key}`
}

function tooMany(): StatementFailed {
  return StatementFailed.of('53400', `${waitingMax} keys wait to be looked up in directories already.`, {
    detail: 'shard-directory-busy',
    hint: 'Try again; name fewer keys in one statement.',
  })
}

function unreachable(error: Error): StatementFailed {
  return StatementFailed.of('57P03', `The directory of keys can't be read now: ${error.message}.`, {
    detail: 'shard-directory-unreachable',
    hint: 'Try again; `tenfold db` shows how its shard is.',
  })
}

function elsewhere(key: string, shard: string): StatementFailed {
  return StatementFailed.of(
    '55000',
    `The directory has the key "${key.slice(0, 60)}" on shard ${shard}, which has not joined.`,
    {
      detail: 'shard-key-unmapped',
      hint: 'Move the key with `tenfold db directory`.',
    },
  )
}
