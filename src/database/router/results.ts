// Results of reads, kept until their tables change: bytes as the server sent them, by everything that decides about them. Only
// while the change feed follows their tables; void by its word, and at once by every write that passes this router, before that is
// acknowledged. A fill is void when its tables changed since it began.

import { type EvictionPolicy, evictionFactory } from '../../policy/evict/index.ts'
import type { Invalidation } from '../feed/index.ts'
import { qualified } from '../feed/rules.ts'
import { builtinFunctions, builtinOperators, builtinTypes } from '../sql/builtins.generated.ts'
import type { StatementInfo } from '../sql/contract.ts'
import type { ReadTables, ResultTables } from './result-tables.ts'
import type { CachedQueries } from './snapshot.ts'

/** Of the text and parameters together; larger ones are served as ever. */
export const keyBytesMax: number = 16 * 1024
const slots = 65_536
/** What an entry costs beside its bytes and its key. */
const entryBytes = 200
const writesMax = 100

export interface ResultsOptions {
  readonly settings: CachedQueries
  readonly tables: ResultTables
  /** Tables that the feed follows now; none while it does not stream. */
  followed(): ReadonlySet<string>
  /** Counts connections of the feed: what was kept before the last one began may have been missed. */
  feedLife(): number
  watch(table: string): boolean
}

interface Entry {
  readonly slot: number
  readonly key: string
  readonly bytes: Buffer
  readonly tables: readonly string[]
  readonly life: number
  readonly expiresAtUs: number
}

export interface ResultCounts {
  readonly hits: number
  readonly misses: number
  readonly entries: number
  readonly bytes: number
  readonly evicted: number
  readonly voided: number
  /** Answers that were not kept: too large, an error, changed meanwhile. */
  readonly refused: number
}

export class Results {
  readonly #options: ResultsOptions
  readonly #policy: EvictionPolicy
  readonly #byKey = new Map<string, Entry>()
  readonly #bySlot: (Entry | undefined)[] = []
  readonly #free: number[] = []
  readonly #byTable = new Map<string, Set<Entry>>()
  /** Changes of a table that were heard of, and of all. */
  readonly #changes = new Map<string, number>()
  #allChanges = 0
  #hits = 0
  #misses = 0
  #evicted = 0
  #voided = 0
  #refused = 0

  constructor(options: ResultsOptions) {
    this.#options = options
    this.#policy = evictionFactory('s3-fifo').create({ slots, capacity: options.settings.bytesMax })
  }

  get settings(): CachedQueries {
    return this.#options.settings
  }

  get counts(): ResultCounts {
    return {
      hits: this.#hits,
      misses: this.#misses,
      entries: this.#byKey.size,
      bytes: this.#policy.size,
      evicted: this.#evicted,
      voided: this.#voided,
      refused: this.#refused,
    }
  }

  /** How long results of this read may be kept, and what they depend on; null: not at all, or not yet. */
  rule(
    text: string,
    info: StatementInfo,
    nowUs: number,
  ): { ttlMs: number; tables: readonly string[] } | null {
    if (!info.readOnly || info.count !== 1 || info.kind !== 'select' || info.command !== null) return null
    if (info.transaction !== 'none' || info.pins !== 0 || info.advisoryLocks !== 0) return null
    const { settings, tables: known, followed, watch } = this.#options
    const hinted = Math.min(info.cacheMs ?? 0, settings.hintTtlMsMax)
    if (hinted === 0 && settings.rules.length === 0) return null
    const tables: ReadTables | undefined = known.of(text, info, nowUs)
    if (tables === undefined || tables === null) return null
    const ttlMs = hinted > 0 ? hinted : this.#ttlOf(tables)
    if (ttlMs === 0) return null
    const heard = followed()
    let all = true
    for (const table of tables)
      if (!heard.has(table)) {
        all = false
        watch(table)
      }
    return all ? { ttlMs, tables } : null
  }

  #ttlOf(tables: readonly string[]): number {
    const fits = this.settings.rules.filter(rule => {
      const names = rule.tables.map(qualified)
      return tables.every(table => names.includes(table))
    })
    return Math.max(0, ...fits.map(rule => rule.ttlMs))
  }

  find(key: string, nowUs: number): Buffer | null {
    const entry = this.#byKey.get(key)
    if (entry !== undefined && entry.life === this.#options.feedLife() && entry.expiresAtUs > nowUs) {
      this.#hits++
      this.#policy.hit(entry.slot)
      return entry.bytes
    }
    if (entry !== undefined) this.#drop(entry)
    this.#misses++
    return null
  }

  begin(key: string, tables: readonly string[], ttlMs: number, nowUs: number): ResultFill {
    return new ResultFill(this, key, tables, {
      changes: this.#changesOf(tables),
      life: this.#options.feedLife(),
      expiresAtUs: nowUs + ttlMs * 1_000,
    })
  }

  #changesOf(tables: readonly string[]): number {
    let sum = this.#allChanges
    for (const table of tables) sum += this.#changes.get(table) ?? 0
    return sum
  }

  /** @param bytes null: it is not to be kept */
  filled(fill: ResultFill, bytes: Buffer | null): void {
    const { key, tables, begun } = fill
    const same = begun.changes === this.#changesOf(tables) && begun.life === this.#options.feedLife()
    if (bytes === null || !same) {
      this.#refused++
      return
    }
    const before = this.#byKey.get(key)
    if (before !== undefined) this.#drop(before)
    const size = bytes.length + key.length + entryBytes
    while (this.#policy.size + size > this.settings.bytesMax || this.#policy.count >= slots) {
      const slot = this.#policy.evict()
      if (slot < 0) return
      this.#evicted++
      this.#forget(this.#bySlot[slot] as Entry)
    }
    const slot = this.#free.pop() ?? this.#bySlot.length
    const { life, expiresAtUs } = begun
    const entry: Entry = { slot, key, bytes, tables, life, expiresAtUs }
    this.#bySlot[slot] = entry
    this.#byKey.set(key, entry)
    for (const table of tables) {
      const entries = this.#byTable.get(table) ?? new Set()
      this.#byTable.set(table, entries.add(entry))
    }
    this.#policy.insert(slot, slot, size)
  }

  #drop(entry: Entry): void {
    this.#policy.remove(entry.slot)
    this.#forget(entry)
  }

  #forget(entry: Entry): void {
    this.#byKey.delete(entry.key)
    this.#bySlot[entry.slot] = undefined
    this.#free.push(entry.slot)
    for (const table of entry.tables) this.#byTable.get(table)?.delete(entry)
  }

  // --- what voids results -----------------------------------------------------------------------------------

  /** The feed's word. */
  async heard({ everything, tables }: Invalidation): Promise<void> {
    if (everything) this.clear()
    else for (const table of tables) this.#voidTable(table)
  }

  /** A write that passed here is committed, or may be; before anybody is told. Null: too many to remember. */
  wrote(statements: readonly StatementInfo[] | null): void {
    const { indirect, others } = this.#options.tables.surroundings
    if (statements === null || indirect) {
      this.clear()
      return
    }
    for (const info of statements) {
      const text = info.normalised.toLowerCase()
      const known = namesItsTables.has(info.kind) && text !== '' && info.functions.every(callsNothing)
      if (!known || others.some(name => text.includes(name))) {
        this.clear()
        return
      }
      for (const table of this.#byTable.keys()) this.#voidIfNamed(table, text)
      // Tables of fills under way that nothing is kept of.
      this.#allChanges++
    }
  }

  #voidIfNamed(table: string, text: string): void {
    if (text.includes(table.slice(table.indexOf('.') + 1).toLowerCase())) this.#voidTable(table)
  }

  /** Tables themselves were changed. */
  schemaChanged(): void {
    this.#options.tables.forget()
    this.clear()
  }

  #voidTable(table: string): void {
    this.#changes.set(table, (this.#changes.get(table) ?? 0) + 1)
    for (const entry of [...(this.#byTable.get(table) ?? [])]) {
      this.#voided++
      this.#drop(entry)
    }
  }

  clear(): void {
    this.#allChanges++
    this.#voided += this.#byKey.size
    this.#policy.clear()
    this.#byKey.clear()
    this.#byTable.clear()
    this.#bySlot.length = 0
    this.#free.length = 0
  }

  close(): void {
    this.clear()
    this.#options.tables.close()
  }
}

/** Their text says which tables they change, as far as triggers, cascades, rules, views and functions do not change others. */
const namesItsTables: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge', 'copy'])

/** Volatile ones of PostgreSQL's own that touch no table. */
const harmless: ReadonlySet<string> = new Set(
  'nextval setval currval lastval random gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday'.split(' '),
)

/** PostgreSQL's own functions and operators change no table; what has the name of one of them and is another is found first nowhere. */
function callsNothing(name: string): boolean {
  if (builtinFunctions.has(name) || harmless.has(name)) return true
  const [, kind, inner = ''] = /^(operator|type)\((.+)\)$/.exec(name) ?? []
  return kind === 'type' ? builtinTypes.has(inner) : kind === 'operator' && builtinOperators.has(inner)
}

/** Remembers what a transaction wrote by; null: too many. */
export function withWrite(
  before: readonly StatementInfo[] | null,
  info: StatementInfo | null,
): readonly StatementInfo[] | null {
  if (before === null || info === null || before.length >= writesMax) return null
  return before.includes(info) ? before : [...before, info]
}

interface Begun {
  readonly changes: number
  readonly life: number
  readonly expiresAtUs: number
}

/** The answer of one read as it goes to its client. */
export class ResultFill {
  readonly key: string
  readonly tables: readonly string[]
  readonly begun: Begun
  readonly #results: Results
  #pieces: Buffer[] = []
  #bytes = 0
  #over = false

  constructor(results: Results, key: string, tables: readonly string[], begun: Begun) {
    this.#results = results
    this.key = key
    this.tables = tables
    this.begun = begun
  }

  add(bytes: Buffer, from: number, to: number): void {
    if (this.#over) return
    this.#bytes += to - from
    if (this.#bytes > this.#results.settings.resultBytesMax) this.abort()
    else this.#pieces.push(Buffer.from(bytes.subarray(from, to)))
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#pieces = []
    this.#results.filled(this, null)
  }

  /** ReadyForQuery has come. */
  end(): void {
    if (this.#over) return
    const bytes = Buffer.concat(this.#pieces)
    if (!isWhole(bytes)) {
      this.abort()
      return
    }
    this.#over = true
    this.#results.filled(this, bytes)
  }
}

/** ParseComplete, BindComplete, NoData, RowDescription, DataRow, CommandComplete; ReadyForQuery outside a transaction, once, last. */
const kept = new Set([...'12nTDC'].map(letter => letter.charCodeAt(0)))

function isWhole(bytes: Buffer): boolean {
  let at = 0
  let completed = false
  while (at + 5 <= bytes.length) {
    const type = bytes[at] as number
    const end = at + 1 + bytes.readUInt32BE(at + 1)
    if (end > bytes.length) return false
    if (type === 0x5a) return completed && end === bytes.length && bytes[at + 5] === 0x49
    if (!kept.has(type)) return false
    if (type === 0x43) completed = true
    at = end
  }
  return false
}
