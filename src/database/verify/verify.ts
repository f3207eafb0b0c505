// Compares the rows of every replica with the primary's, while both are in use: sums over ranges of blocks first, rows only
// where sums differ. Reads only, locks nothing, pauses nothing. What is a difference is decided in compare.ts.
//
// Replicas copy blocks, so a row version has the same place (ctid) everywhere: any table can be cut into ranges of blocks,
// with a key or without. A range that is written to differs for a moment; so differing rows are read again: primary,
// replica (which by then has replayed what the primary had at its reading), primary.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Clock, MS } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Topology } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type { DatabaseServers, Progress } from '../servers/contract.ts'
import { candidates, type Difference, type RowVersion } from './compare.ts'

export interface VerifyOptions {
  readonly servers: Pick<DatabaseServers, 'query'>
  readonly topology: Topology
  readonly clock: Clock
  readonly progress: Progress
  readonly signal: AbortSignal
}

export interface ReplicaReport {
  readonly server: string
  readonly tables: number
  readonly rows: number
  /** At most `differencesMax`; `differing` counts all. */
  readonly differences: readonly (Difference & { readonly table: string; readonly key: string | null })[]
  readonly differing: number
  /** Why it was not compared; ''. */
  readonly skipped: string
}

export interface VerifyReport {
  readonly primary: string
  readonly startedAtMs: number
  readonly tookMs: number
  readonly replicas: readonly ReplicaReport[]
  readonly sound: boolean
}

const queryTimeoutMs = 60_000
/** 16 MB at a time; rows are read one by one for 16 blocks at most. */
const rangeBlocks = 2048
const rowBlocks = 16
/** A difference is one that was seen so often. */
const looks = 3
const catchUpMs = 60_000
const differencesMax = 100

interface Table {
  readonly oid: string
  readonly name: string
  readonly blocks: number
  /** Columns of the primary key, as an expression; null: it has none. */
  readonly key: string | null
}

export async function verifyDatabase(options: VerifyOptions): Promise<VerifyReport> {
  const { topology, clock } = options
  const { primary } = topology
  if (primary === null)
    throw new Failure(
      databaseFailures.verifyFailed,
      `${topology.database} has no primary to compare with now.`,
    )
  const began = clock.monotonic()
  const startedAtMs = Math.round(clock.wall() / MS)
  const replicas: ReplicaReport[] = []
  for (const server of topology.servers) {
    if (server.id === primary) continue
    const skipped =
      server.state !== 'ready'
        ? `it is ${server.state}: ${server.reason}`
        : server.delayMs > 0
          ? `it applies everything ${server.delayMs / 1000} s late`
          : ''
    replicas.push(
      skipped === ''
        ? await new ReplicaCheck(primary, server.id, options).run()
        : { server: server.id, tables: 0, rows: 0, differences: [], differing: 0, skipped },
    )
  }
  return {
    primary,
    startedAtMs,
    tookMs: Math.round((clock.monotonic() - began) / MS),
    replicas,
    sound: replicas.every(one => one.differing === 0),
  }
}

/**
 * Unlogged tables are empty on replicas; what is in catalogues is not compared. This runs as a superuser over types that a
 * service may have made: their own casts (to text, to json) are functions of his, and are never called; format() and
 * ROW()::text use output functions only, which nobody but a superuser can make.
 */
const tablesSql = `
SELECT pg_class.oid, pg_class.oid::regclass, pg_relation_size(pg_class.oid) / current_setting('block_size')::int,
  (SELECT 'jsonb_build_object(' || string_agg(format(CASE WHEN atttypid < 16384 THEN '%L, %I' ELSE '%L, format(''%%s'', %I)' END, attname, attname), ', ' ORDER BY attnum) || ')'
   FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
   WHERE indrelid = pg_class.oid AND indisprimary)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND nspname NOT IN ('pg_catalog', 'information_schema')
  AND nspname NOT LIKE 'pg_toast%' ORDER BY pg_class.oid`

class ReplicaCheck {
  readonly #primary: string
  readonly #replica: string
  readonly #options: VerifyOptions
  #tables = 0
  #rows = 0
  #differing = 0
  readonly #differences: (Difference & { table: string; key: string | null })[] = []

  constructor(primary: string, replica: string, options: VerifyOptions) {
    this.#primary = primary
    this.#replica = replica
    this.#options = options
  }

  async run(): Promise<ReplicaReport> {
    const found = await this.#ask(this.#primary, tablesSql)
    const tables = found.map(([oid, name, blocks, key]): Table => {
      return { oid: oid ?? '', name: name ?? '', blocks: Number(blocks), key: key ?? null }
    })
    await this.#replayed()
    for (const table of tables) await this.#table(table)
    return {
      server: this.#replica,
      tables: this.#tables,
      rows: this.#rows,
      differences: this.#differences,
      differing: this.#differing,
      skipped: '',
    }
  }

  async #table(table: Table): Promise<void> {
    // The last range has no end: rows that only one server has beyond it are found, too.
    const ranges = Math.max(1, Math.ceil(table.blocks / rangeBlocks))
    for (let range = 0; range < ranges; range++) {
      this.#options.signal.throwIfAborted()
      const part = ranges > 1 ? `, part ${range + 1} of ${ranges}` : ''
      this.#options.progress(`comparing ${table.name} on ${this.#replica}${part}`)
      const to = range === ranges - 1 ? null : (range + 1) * rangeBlocks
      try {
        await this.#range(table, range * rangeBlocks, to)
      } catch (error) {
        // Dropped meanwhile.
        if ((error as { code?: string }).code === '42P01') return
        throw error
      }
    }
    this.#tables++
  }

  async #range(table: Table, from: number, to: number | null): Promise<void> {
    const [count, sum] = await this.#sum(this.#primary, table, from, to)
    await this.#replayed()
    const [otherCount, otherSum] = await this.#sum(this.#replica, table, from, to).catch(unreadable)
    if (count === otherCount && sum === otherSum) {
      this.#rows += Number(count)
      return
    }
    const end = to ?? Math.max(from + 1, await this.#blocksNow(table))
    if (end - from <= rowBlocks) {
      this.#rows += Number(count)
      await this.#rowsOf(table, from, to)
      return
    }
    const middle = from + Math.floor((end - from) / 2)
    await this.#range(table, from, middle)
    await this.#range(table, middle, to)
  }

  async #blocksNow(table: Table): Promise<number> {
    const sql = `SELECT pg_relation_size(${table.oid}::regclass) / current_setting('block_size')::int`
    const sizes = [await this.#ask(this.#primary, sql), await this.#ask(this.#replica, sql)]
    return Math.max(...sizes.map(rows => Number(rows[0]?.[0] ?? 0)))
  }

  async #sum(
    server: string,
    { name }: Table,
    from: number,
    to: number | null,
  ): Promise<readonly (string | null)[]> {
    const sql = `SELECT count(*), sum(hashtextextended(one.ctid::text || one.xmin::text || ROW(one.*)::text, 0))
      FROM ${name} AS one WHERE ${within(from, to)}`
    const [row] = await this.#ask(server, sql)
    return row ?? []
  }

  /** Rows that stay different while the primary's stay as they are. */
  async #rowsOf(table: Table, from: number, to: number | null): Promise<void> {
    let found: readonly Difference[] = []
    try {
      found = await this.#lasting(table, from, to)
    } catch (error) {
      unreadable(error)
      found = [{ kind: 'unreadable', place: `(${from},*)` }]
    }
    for (const one of found) await this.#note(table, one)
  }

  async #lasting(table: Table, from: number, to: number | null): Promise<readonly Difference[]> {
    let found: readonly Difference[] = []
    for (let look = 0; look < looks; look++) {
      const before = await this.#versions(this.#primary, table, from, to)
      await this.#replayed()
      const replica = await this.#versions(this.#replica, table, from, to)
      const after = await this.#versions(this.#primary, table, from, to)
      const seen = candidates(before, replica, after, await this.#undecided())
      const known = new Set(found.map(one => `${one.kind} ${one.place}`))
      found = look === 0 ? seen : seen.filter(one => known.has(`${one.kind} ${one.place}`))
      if (found.length === 0) break
    }
    return found
  }

  async #note(table: Table, difference: Difference): Promise<void> {
    this.#differing++
    if (this.#differences.length >= differencesMax) return
    const key =
      table.key === null || difference.kind === 'unreadable'
        ? null
        : await this.#ask(
            difference.kind === 'extra' ? this.#replica : this.#primary,
            `SELECT ${table.key} FROM ${table.name} WHERE ctid = '${difference.place}'`,
          ).then(
            rows => rows[0]?.[0] ?? null,
            () => null,
          )
    this.#differences.push({ ...difference, table: table.name, key })
  }

  async #versions(
    server: string,
    { name }: Table,
    from: number,
    to: number | null,
  ): Promise<Map<string, RowVersion>> {
    const rows = await this.#ask(
      server,
      `SELECT ctid, xmin, xmax, hashtextextended(ROW(one.*)::text, 0) FROM ${name} AS one WHERE ${within(from, to)}`,
    )
    return new Map(
      rows.map(([place, xmin, xmax, hash]) => [
        place ?? '',
        { xmin: xmin ?? '', xmax: xmax ?? '', hash: hash ?? '' },
      ]),
    )
  }

  /** Transactions that the primary's readers do not see yet, though a replica's may: they wait for their acknowledgement. */
  async #undecided(): Promise<ReadonlySet<string>> {
    const rows = await this.#ask(
      this.#primary,
      'SELECT (xid::text::numeric % 4294967296)::text FROM pg_snapshot_xip(pg_current_snapshot()) AS xid',
    )
    return new Set(rows.map(([xid]) => xid ?? ''))
  }

  /** The replica has everything that anybody could see on the primary until now. */
  async #replayed(): Promise<void> {
    const { clock, signal } = this.#options
    // A commit of ours flushes all before it, also those that waited for no disk.
    await this.#ask(this.#primary, "SELECT pg_logical_emit_message(true, 'tenfold.verify', '')")
    const [[needed] = []] = await this.#ask(this.#primary, "SELECT pg_current_wal_flush_lsn() - '0/0'")
    const deadline = clock.monotonic() + catchUpMs * MS
    for (;;) {
      signal.throwIfAborted()
      const [[there] = []] = await this.#ask(this.#replica, "SELECT pg_last_wal_replay_lsn() - '0/0'")
      if (Number(there) >= Number(needed)) return
      if (clock.monotonic() > deadline)
        throw new Failure(
          databaseFailures.verifyFailed,
          `${this.#replica} is ${Number(needed) - Number(there)} bytes behind and does not catch up within ${catchUpMs / 1000} s.`,
        )
      await sleep(5)
    }
  }

  /** A replica may cancel a reading that is in the way of what it replays: it is asked again. */
  async #ask(server: string, sql: string): Promise<readonly (readonly (string | null)[])[]> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#options.servers.query(server, sql, queryTimeoutMs)
      } catch (error) {
        if ((error as { code?: string }).code !== '40001' || tries >= 5) throw error
        await sleep(100)
      }
    }
  }
}

/** XX001, XX002: a page whose checksum is wrong, or whose content makes no sense. Other errors are thrown on. */
function unreadable(error: unknown): readonly (string | null)[] {
  if (!['XX001', 'XX002'].includes((error as { code?: string }).code ?? '')) throw error
  return []
}

function within(from: number, to: number | null): string {
  return `ctid >= '(${from},0)'${to === null ? '' : ` AND ctid < '(${to},0)'`}`
}
