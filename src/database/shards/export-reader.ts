// One primary of an export: a connection with one transaction that has a lock on each of its tables, then a snapshot, and
// copies table by table. Locks come first: TRUNCATE and ALTER TABLE do not keep what an older snapshot should see.

import pg from 'pg'
import { ReplicationStream } from '../backup/replication.ts'
import { configOf, type LinkTarget } from '../reads/link.ts'

export interface ExportTable {
  readonly schema: string
  readonly name: string
  /** All but generated ones, in their order. */
  readonly columns: readonly string[]
  /** Rows of a partitioned table are those of its partitions. */
  readonly partitioned: boolean
}

export interface ExportSequence {
  /** `public.orders_id_seq`. */
  readonly sequence: string
  readonly lastValue: string
}

export interface ExportSnapshot {
  /** `pg_current_snapshot()`: who was under way. */
  readonly snapshot: string
  /** `0/16B374D8`. */
  readonly lsn: string
  /** ISO 8601, by the server's clock. */
  readonly at: string
  readonly sequences: readonly ExportSequence[]
}

export type ExportFormat = 'csv' | 'binary'

type RawConnection = ConstructorParameters<typeof ReplicationStream>[0] & { query(text: string): void }

const connectTimeoutMs = 5_000
/** Not more than clients may wait for, who are held meanwhile. */
const lockTimeoutMs = 300
const tablesMax = 20_000

/** Values as texts that mean the same to every server; nobody's deadline ends an export. */
const settings = `SET client_encoding = 'UTF8'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET timezone = 'UTC';
SET bytea_output = 'hex'; SET search_path = pg_catalog; SET xmloption = 'content'; SET lc_monetary = 'C'; SET row_security = off;
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET transaction_timeout = 0; SET lock_timeout = ${lockTimeoutMs};
SET log_min_duration_statement = -1`

/** Partitions are their parents' matter. What extensions own is theirs. */
const tablesSql = `SELECT n.nspname, c.relname, c.relkind = 'p', (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')::text FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tenfold', 'tenfold_sequences', 'tenfold_unique', 'tenfold_copies') AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2 LIMIT ${tablesMax + 1}`

const sequencesSql = `SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences
WHERE last_value IS NOT NULL AND schemaname NOT IN ('tenfold', 'tenfold_sequences') ORDER BY 1`

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

function nameOf({ schema, name }: Pick<ExportTable, 'schema' | 'name'>): string {
  return `${quoted(schema)}.${quoted(name)}`
}

/** Without what is inherited from it, where it is a table of its own. */
function sourceOf(table: ExportTable): string {
  return table.partitioned ? nameOf(table) : `ONLY ${nameOf(table)}`
}

type Row = readonly (string | null)[]

export class ExportReader {
  readonly shard: string
  readonly #client: pg.Client
  #lost: Error | null = null
  #stream: ReplicationStream | null = null

  private constructor(shard: string, client: pg.Client) {
    this.shard = shard
    this.#client = client
    const lost = (error: Error): void => {
      this.#lost ??= error
      this.#stream?.ended(error)
    }
    client.on('error', lost)
    client.on('end', () => lost(new Error('the server ended the connection')))
  }

  static async open(shard: string, target: LinkTarget): Promise<ExportReader> {
    const { ssl } = await configOf(target)
    const { host, port, user, password, database } = target
    const client = new pg.Client({
      host,
      port,
      user,
      password,
      database,
      ...(ssl === undefined ? {} : { ssl }),
      application_name: exporterName,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
    })
    const reader = new ExportReader(shard, client)
    try {
      await client.connect()
      await client.query(settings)
      return reader
    } catch (error) {
      reader.close()
      throw error
    }
  }

  async tables(): Promise<readonly ExportTable[]> {
    const rows = await this.#rows(tablesSql)
    if (rows.length > tablesMax) throw new Error(`there are more than ${tablesMax} tables`)
    return rows.map(([schema, name, partitioned, columns]) => ({
      schema: schema ?? '',
      name: name ?? '',
      partitioned: partitioned === 't',
      columns: JSON.parse(columns ?? '[]') as string[],
    }))
  }

  /** In a transaction that has seen nothing yet. Rejects where somebody holds one of them for himself. */
  async lock(tables: readonly ExportTable[]): Promise<void> {
    await this.#client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    if (tables.length > 0)
      await this.#client.query(`LOCK TABLE ${tables.map(sourceOf).join(', ')} IN ACCESS SHARE MODE`)
  }

  /** What is seen from now on. */
  async take(): Promise<ExportSnapshot> {
    const [row] = await this.#rows(
      `SELECT pg_current_snapshot(), pg_current_wal_insert_lsn(), to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
    )
    const sequences = await this.#rows(sequencesSql)
    return {
      snapshot: row?.[0] ?? '',
      lsn: row?.[1] ?? '',
      at: row?.[2] ?? '',
      sequences: sequences.map(([sequence, lastValue]) => ({
        sequence: sequence ?? '',
        lastValue: lastValue ?? '',
      })),
    }
  }

  /** Nothing is seen or locked any more; it may begin again. */
  async leave(): Promise<void> {
    await this.#client.query('ROLLBACK')
  }

  /** Rows as the server writes them; what is not taken waits at the server. */
  async *copy(
    table: ExportTable,
    format: ExportFormat,
    done: (rows: number) => void,
  ): AsyncGenerator<Buffer> {
    // A table without columns has rows, and no way to say them.
    const columns = table.columns.map(quoted).join(', ')
    const how = format === 'csv' ? 'FORMAT csv, HEADER true' : 'FORMAT binary'
    const sql = `COPY (SELECT ${columns} FROM ${sourceOf(table)}) TO STDOUT (${how})`
    if (this.#lost !== null) throw this.#lost
    const { connection } = this.#client as unknown as { readonly connection: RawConnection }
    const stream = new ReplicationStream(connection, false)
    this.#stream = stream
    let rows = 0
    const work = {
      submit: (raw: RawConnection) => raw.query(sql),
      handleRowDescription: () => {},
      handleDataRow: () => {},
      handleCommandComplete: ({ text }: { readonly text: string }) => {
        rows = Number(text.split(' ')[1] ?? 0)
      },
      handleReadyForQuery: () => stream.ended(null),
      handleCopyData: ({ chunk }: { readonly chunk: Buffer }) => stream.copied(chunk),
      handleError: (error: Error) => stream.ended(error),
    }
    this.#client.query(work as never)
    for (let chunk = await stream.next(); chunk !== null; chunk = await stream.next()) yield chunk
    this.#stream = null
    done(rows)
  }

  /** At once, whatever is under way. */
  close(): void {
    const { connection } = this.#client as unknown as {
      readonly connection?: { readonly stream?: { destroy(): void } }
    }
    connection?.stream?.destroy()
  }

  async #rows(sql: string): Promise<readonly Row[]> {
    if (this.#lost !== null) throw this.#lost
    const { rows } = await this.#client.query<(string | null)[]>({
      text: sql,
      rowMode: 'array',
      types: texts,
    })
    return rows
  }
}

/** As the servers know it. */
export const exporterName = 'tenfold_export'

const texts = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig
