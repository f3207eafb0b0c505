// Brings look-up tables and rows together where the router has not: rows that were there before their columns became unique, and
// whatever a fault or a person has left. Page by page, while clients go on: rows are locked for the moment in which their values
// are put into the look-up; a value whose row is nowhere goes once nothing that was prepared can bring the row.

import type { ShardMap } from '../../policy/shard/contract.ts'
import { canonicalKey } from '../../policy/shard/key.ts'
import { compilePlacement, type Placement } from '../../policy/shard/placement.ts'
import type { UniqueColumns } from '../../policy/shard/unique.ts'
import type { Row } from '../servers/session.ts'

export interface UniqueConnection {
  query(sql: string, timeoutMs: number): Promise<readonly Row[]>
  close(): void
}

export interface UniquePorts {
  readonly map: () => ShardMap
  /** Of its own, to the primary of a shard, as the superuser. */
  readonly connect: (shard: string) => UniqueConnection
  /** Between two pages, so that clients come first; rejects to end the work. */
  readonly pause: () => Promise<void>
  /** Rows that were looked at so far. */
  readonly progress?: (rows: number) => void
  readonly rowsAtOnce?: number
}

export interface Duplicate {
  /** PostgreSQL's text forms. */
  readonly value: readonly string[]
  /** Sharding keys of two rows that have it. */
  readonly keys: readonly (readonly string[])[]
}

export interface UniqueReport {
  /** Rows with values that were looked at. */
  readonly rows: number
  /** Values that the look-up did not have. */
  readonly added: number
  /** Values of the look-up whose row is nowhere. */
  readonly removed: number
  /** The first of them. */
  readonly duplicates: readonly Duplicate[]
}

const answerMs = 60_000
const rowsAtOnceDefault = 500
const duplicatesMax = 20
/** What is locked, or late, is tried again. */
const triesMax = 20
const againMs = 100
const preparedMs = 30_000
const limits =
  "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '50s'; SET LOCAL idle_in_transaction_session_timeout = '60s'"
const forms = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET search_path = pg_catalog"

const literal = (text: string): string => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const tuple = (values: readonly string[]): string => `(${values.join(', ')})`
const named = (table: string): string => table.split('.').map(quoted).join('.')

interface Known {
  readonly value: readonly string[]
  readonly key: readonly string[]
}

/** Puts the triggers of the map's columns on, where their tables are. Throws what the server says. */
export async function attachUnique(connection: UniqueConnection): Promise<void> {
  await connection
    .query(`BEGIN; ${limits}; SELECT tenfold.unique_attach(); COMMIT`, answerMs)
    .catch(async why => {
      await connection.query('ROLLBACK', answerMs).catch(() => {})
      throw why
    })
}

/** Names of look-ups (without their schema) that do not have all rows of this shard yet. */
export async function unbuiltUnique(connection: UniqueConnection): Promise<string[]> {
  const rows = await connection.query(
    "SELECT lookup FROM tenfold.unique_columns WHERE NOT built AND to_regclass(quote_ident(split_part(table_name, '.', 1)) || '.' || quote_ident(split_part(table_name, '.', 2))) IS NOT NULL",
    answerMs,
  )
  return rows.map(([lookup]) => lookup as string)
}

export async function markBuilt(connection: UniqueConnection, lookup: string): Promise<void> {
  await connection.query(
    `UPDATE tenfold.unique_columns SET built = true WHERE lookup = ${literal(lookup)}`,
    answerMs,
  )
}

/** Values of all rows into the look-up, then those of it that no row has out of it. Throws what a server says again and again. */
export async function matchUnique(ports: UniquePorts, one: UniqueColumns): Promise<UniqueReport> {
  const walk = new UniqueWalk(ports, one)
  try {
    return await walk.run()
  } finally {
    walk.close()
  }
}

class UniqueWalk {
  readonly #ports: UniquePorts
  readonly #one: UniqueColumns
  readonly #placement: Placement
  readonly #shards: readonly string[]
  readonly #sources = new Map<string, UniqueConnection>()
  readonly #lookups = new Map<string, UniqueConnection>()
  readonly #size: number
  #rows = 0
  #added = 0
  #removed = 0
  readonly #duplicates: Duplicate[] = []

  constructor(ports: UniquePorts, one: UniqueColumns) {
    this.#ports = ports
    this.#one = one
    const map = ports.map()
    this.#placement = compilePlacement(map)
    this.#shards = map.shards
    this.#size = ports.rowsAtOnce ?? rowsAtOnceDefault
  }

  async run(): Promise<UniqueReport> {
    for (const shard of this.#shards) {
      let after: readonly string[] | null = null
      do {
        after = await this.#again(shard, () => this.#fill(shard, after))
        this.#ports.progress?.(this.#rows)
        await this.#ports.pause()
      } while (after !== null)
    }
    for (const shard of this.#shards) {
      let after: readonly string[] | null = null
      do {
        after = await this.#again(shard, () => this.#sweep(shard, after))
        await this.#ports.pause()
      } while (after !== null)
    }
    return { rows: this.#rows, added: this.#added, removed: this.#removed, duplicates: this.#duplicates }
  }

  close(): void {
    for (const one of [...this.#sources.values(), ...this.#lookups.values()]) one.close()
  }

  #source(shard: string): Promise<UniqueConnection> {
    return this.#connection(this.#sources, shard)
  }

  /** Beside a source of the same shard: both have a transaction open. */
  #lookup(shard: string): Promise<UniqueConnection> {
    return this.#connection(this.#lookups, shard)
  }

  async #connection(known: Map<string, UniqueConnection>, shard: string): Promise<UniqueConnection> {
    const there = known.get(shard)
    if (there !== undefined) return there
    const made = this.#ports.connect(shard)
    known.set(shard, made)
    return made
  }

  /** Undone, and tried again. */
  async #again<T>(shard: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (why) {
        await this.#undo()
        if (attempt === triesMax) throw new Error(`shard ${shard}: ${(why as Error).message}`, { cause: why })
        await new Promise(resolve => setTimeout(resolve, againMs * attempt))
        await this.#ports.pause()
      }
    }
  }

  async #undo(): Promise<void> {
    const open = [...this.#sources.values(), ...this.#lookups.values()]
    for (const one of open) one.close()
    this.#sources.clear()
    this.#lookups.clear()
  }

  #place(value: readonly string[]): string {
    const { types, lookup } = this.#one
    const canonical = value.map((text, at) => canonicalKey(types[at] ?? 'text', text))
    const placed = this.#placement.placeCanonical(lookup, canonical)
    if ('refused' in placed) throw new Error(`${lookup} has no place for (${value.join(', ')})`)
    return this.#shards[placed.shard] as string
  }

  get #values(): readonly string[] {
    return this.#one.columns.map(quoted)
  }

  get #keys(): readonly string[] {
    return this.#one.key.map(quoted)
  }

  get #lookupKeys(): readonly string[] {
    return this.#one.key.map((_, at) => `tenfold_key_${at + 1}`)
  }

  /** Where rows and constants meet: as the columns' types. */
  #constants(values: readonly string[], types: readonly string[]): string[] {
    return values.map((text, at) => `${literal(text)}::${types[at]}`)
  }

  #known(row: Row, from: number): Known {
    const { columns, key } = this.#one
    const texts = row.slice(from) as string[]
    return {
      value: texts.slice(0, columns.length),
      key: texts.slice(columns.length, columns.length + key.length),
    }
  }

  // --- rows into the look-up ----------------------------------------------------------------------------------

  /** One page of a shard's rows. Answers where the next begins; null: there are no more. */
  async #fill(shard: string, after: readonly string[] | null): Promise<readonly string[] | null> {
    const { table, types } = this.#one
    const values = this.#values
    const source = await this.#source(shard)
    const texts = [...values, ...this.#keys].map(column => `${column}::text`)
    const behind = after === null ? '' : `AND ${tuple(values)} > ${tuple(this.#constants(after, types))}`
    // Whoever changes one of them waits until its value is in the look-up.
    const page = await source.query(
      `${forms}; BEGIN; ${limits}; SELECT pg_current_xact_id()::text, ${texts.join(', ')} FROM ${named(table)}
       WHERE ${values.map(column => `${column} IS NOT NULL`).join(' AND ')} ${behind} ORDER BY ${values.join(', ')} LIMIT ${this.#size} FOR SHARE`,
      answerMs,
    )
    const rows = page.map(row => this.#known(row, 1))
    const byShard = Map.groupBy(rows, ({ value }) => this.#place(value))
    const targets: UniqueConnection[] = []
    let added = 0
    const duplicates: Duplicate[] = []
    for (const [target, those] of [...byShard].sort(([one], [other]) => (one < other ? -1 : 1))) {
      const connection = await this.#lookup(target)
      targets.push(connection)
      const put = await this.#put(connection, those)
      added += put.added
      duplicates.push(...put.duplicates)
    }
    const [first] = page
    if (first !== undefined) await stillThat(source, first[0] as string)
    for (const target of targets) await target.query('COMMIT', answerMs)
    await source.query('COMMIT', answerMs)
    this.#rows += rows.length
    this.#added += added
    this.#duplicates.push(...duplicates.slice(0, duplicatesMax - this.#duplicates.length))
    return rows.length < this.#size ? null : (rows.at(-1) as Known).value
  }

  /** In a transaction that stays open. */
  async #put(
    connection: UniqueConnection,
    rows: readonly Known[],
  ): Promise<{ added: number; duplicates: Duplicate[] }> {
    const { types, keyTypes } = this.#one
    const name = named(this.#one.lookup)
    const values = this.#values
    const columns = [...values, ...this.#lookupKeys]
    const tuples = rows.map(({ value, key }) =>
      tuple([...this.#constants(value, types), ...this.#constants(key, keyTypes)]),
    )
    const added = await connection.query(
      `${forms}; BEGIN; ${limits}; INSERT INTO ${name} (${columns.join(', ')}) VALUES ${tuples.join(', ')} ON CONFLICT DO NOTHING RETURNING 1`,
      answerMs,
    )
    if (added.length === rows.length) return { added: added.length, duplicates: [] }
    const there = await connection.query(
      `SELECT ${columns.map(column => `${column}::text`).join(', ')} FROM ${name}
       WHERE ${tuple(values)} IN (${rows.map(({ value }) => tuple(this.#constants(value, types))).join(', ')})`,
      answerMs,
    )
    const owners = new Map(there.map(row => this.#known(row, 0)).map(one => [one.value.join('\0'), one.key]))
    const duplicates: Duplicate[] = []
    for (const { value, key } of rows) {
      const owner = owners.get(value.join('\0'))
      if (owner !== undefined && owner.join('\0') !== key.join('\0'))
        duplicates.push({ value, keys: [owner, key] })
    }
    return { added: added.length, duplicates }
  }

  // --- what no row has ----------------------------------------------------------------------------------------

  /** One page of a shard's look-up. */
  async #sweep(shard: string, after: readonly string[] | null): Promise<readonly string[] | null> {
    const { types } = this.#one
    const values = this.#values
    const name = named(this.#one.lookup)
    const connection = await this.#lookup(shard)
    const texts = [...values, ...this.#lookupKeys].map(column => `${column}::text`)
    const behind = after === null ? '' : `WHERE ${tuple(values)} > ${tuple(this.#constants(after, types))}`
    const page = await connection.query(
      `${forms}; SELECT ${texts.join(', ')} FROM ${name} ${behind} ORDER BY ${values.join(', ')} LIMIT ${this.#size}`,
      answerMs,
    )
    const rows = page.map(row => this.#known(row, 0))
    const suspects = await this.#without(rows)
    if (suspects.length > 0) await this.#remove(connection, suspects)
    return rows.length < this.#size ? null : (rows.at(-1) as Known).value
  }

  async #remove(connection: UniqueConnection, suspects: readonly Known[]): Promise<void> {
    const { types, keyTypes } = this.#one
    const name = named(this.#one.lookup)
    const columns = [...this.#values, ...this.#lookupKeys]
    const those = (rows: readonly Known[]): string =>
      `${tuple(columns)} IN (${rows.map(({ value, key }) => tuple([...this.#constants(value, types), ...this.#constants(key, keyTypes)])).join(', ')})`
    // From here on nobody takes them away; what is prepared may still bring their rows.
    const locked = await connection.query(
      `BEGIN; ${limits}; SELECT ${columns.map(column => `${column}::text`).join(', ')} FROM ${name} WHERE ${those(suspects)} FOR UPDATE`,
      answerMs,
    )
    await this.#preparedEnd()
    const gone = await this.#without(locked.map(row => this.#known(row, 0)))
    if (gone.length > 0) await connection.query(`DELETE FROM ${name} WHERE ${those(gone)}`, answerMs)
    await connection.query('COMMIT', answerMs)
    this.#removed += gone.length
  }

  /** Those that no shard has a row for. */
  async #without(rows: readonly Known[]): Promise<Known[]> {
    if (rows.length === 0) return []
    const { table, types, keyTypes } = this.#one
    const columns = [...this.#values, ...this.#keys]
    const list = rows.map(({ value, key }) =>
      tuple([...this.#constants(value, types), ...this.#constants(key, keyTypes)]),
    )
    const found = new Set<string>()
    for (const shard of this.#shards) {
      const source = await this.#source(shard)
      const there = await source.query(
        `${forms}; SELECT ${columns.map(column => `${column}::text`).join(', ')} FROM ${named(table)} WHERE ${tuple(columns)} IN (${list.join(', ')})`,
        answerMs,
      )
      for (const row of there) found.add(row.join('\0'))
    }
    return rows.filter(({ value, key }) => !found.has([...value, ...key].join('\0')))
  }

  /** Transactions that are prepared now have ended, on all shards. */
  async #preparedEnd(): Promise<void> {
    const until = performance.now() + preparedMs
    for (const shard of this.#shards) {
      const source = await this.#source(shard)
      const sql = 'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()'
      const open = (await source.query(sql, answerMs)).map(([gid]) => gid)
      while (open.length > 0) {
        const left = new Set((await source.query(sql, answerMs)).map(([gid]) => gid))
        if (!open.some(gid => left.has(gid))) break
        if (performance.now() > until)
          throw new Error(`transactions on shard ${shard} stay prepared (pg_prepared_xacts)`)
        await new Promise(resolve => setTimeout(resolve, againMs))
      }
    }
  }
}

/** A connection that broke, and was opened anew, has no locks. */
async function stillThat(connection: UniqueConnection, xact: string): Promise<void> {
  const [row] = await connection.query('SELECT pg_current_xact_id_if_assigned()::text', answerMs)
  if (row?.[0] !== xact) throw new Error('the transaction that locked the rows is gone')
}
