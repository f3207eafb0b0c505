// What an asynchronous failover loses: row changes that were committed on the old primary and never reached the new one.
// A logical slot made beforehand keeps them readable; after the failover the old primary is started for us alone, and
// what it committed beyond the fork is written to STATE/db/NAME/lost/TIME.sql (and .json) for an operator to review.
//
// Covers rows of ordinary tables. Not: DDL, sequences, unlogged and temporary tables, large objects.

import { join } from 'node:path'
import { ownFolder, writeOwned } from '../../io/owned-files.ts'
import type { Lsn } from '../contract.ts'
import type { DatabaseServers, IsolatedServer, ServersOptions } from '../servers/contract.ts'
import type { FailoverRecord } from './contract.ts'
import { type LostChange, lostChange, replaySql } from './lost-text.ts'

const slot = 'tenfold_lost'
/** Read at once; and in all, after which it is said that there is more. */
const batch = 10_000
const changesMax = 1_000_000
const askTimeoutMs = 5_000
const readTimeoutMs = 300_000

type Lost = NonNullable<FailoverRecord['lost']>

interface Transaction {
  readonly xid: string
  readonly at: string
  readonly lsn: Lsn
  readonly changes: readonly LostChange[]
}

export class LostChanges {
  readonly #servers: DatabaseServers
  readonly #options: Pick<ServersOptions, 'spec' | 'stateDirectory' | 'log'>
  #keeping: Promise<boolean> | null = null

  constructor(servers: DatabaseServers, options: Pick<ServersOptions, 'spec' | 'stateDirectory' | 'log'>) {
    this.#servers = servers
    this.#options = options
  }

  /**
   * The slot is on the primary, and no further than any replica that streams: what one of them may lack stays readable.
   * Without replicas there is no failover, and nothing is kept. True: it is there.
   */
  keep(primary: string, flushed: readonly Lsn[]): Promise<boolean> {
    this.#keeping ??= this.#keep(primary, flushed)
      .then(() => flushed.length > 0)
      .catch((cause: Error) => {
        this.#options.log.warn(
          { cause, server: primary },
          `${primary}: what a failover would lose can't be told now: ${cause.message}`,
        )
        return false
      })
      .finally(() => {
        this.#keeping = null
      })
    return this.#keeping
  }

  async #keep(primary: string, flushed: readonly Lsn[]): Promise<void> {
    if (flushed.length === 0) return
    const [found] = await this.#ask(primary, slotSql)
    if (found?.[0] === 'lost') await this.#drop(primary)
    if (found === undefined || found[0] === 'lost') {
      await this.#ask(primary, `SELECT pg_create_logical_replication_slot('${slot}', 'test_decoding')`)
      return
    }
    const target = Math.min(...flushed)
    if (target <= Number(found[1])) return
    await this.#ask(
      primary,
      `SELECT pg_replication_slot_advance('${slot}', '0/0'::pg_lsn + ${target}::numeric)`,
    )
  }

  /** It is a replica now, and would keep its log for ever. */
  async drop(server: string): Promise<void> {
    await this.#drop(server).catch((cause: Error) => {
      this.#options.log.warn({ cause, server }, `${server}: the slot ${slot} stays: ${cause.message}`)
    })
  }

  async #drop(server: string): Promise<void> {
    await this.#ask(
      server,
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    )
  }

  #ask(server: string, sql: string): Promise<readonly (readonly (string | null)[])[]> {
    return this.#servers.query(server, sql, askTimeoutMs)
  }

  /** Null: there is no slot, so nothing can be told. @param atMs names the files */
  async salvage(server: string, primary: string, atMs: number): Promise<Lost | null> {
    const history = await this.#history(primary)
    const alone = await this.#servers.isolate(server)
    try {
      const [row] = await alone.query(standingSql, askTimeoutMs)
      if (row === undefined || row[2] === null) return null
      const fork = history.get(Number(row[0]))
      if (fork === undefined)
        throw new Error(`timeline ${row[0]} of ${server} is not in the history of ${primary}`)
      const { transactions, whole } = await readLost(alone, fork)
      return await this.#write(alone, {
        server,
        primary,
        atMs,
        fork,
        from: Number(row[2]),
        transactions,
        whole,
      })
    } finally {
      await alone.close()
    }
  }

  /** Where the primary's line left each older timeline. */
  async #history(primary: string): Promise<ReadonlyMap<number, Lsn>> {
    const [row] = await this.#ask(primary, historySql)
    const lines = (row?.[0] ?? '').split('\n').map(line => /^(\d+)\s+([0-9A-F]+)\/([0-9A-F]+)/.exec(line))
    return new Map(
      lines.flatMap(match =>
        match === null
          ? []
          : [[Number(match[1]), Number.parseInt(match[2]!, 16) * 2 ** 32 + Number.parseInt(match[3]!, 16)]],
      ),
    )
  }

  async #write(alone: IsolatedServer, found: Found): Promise<Lost> {
    const changes = found.transactions.reduce((sum, one) => sum + one.changes.length, 0)
    const covers = coversText(found)
    if (changes === 0) return { changes, file: '', covers }
    const folder = join(this.#options.stateDirectory, 'db', this.#options.spec.name, 'lost')
    ownFolder(folder, 0o700, null)
    const name = join(folder, `${new Date(found.atMs).toISOString().replaceAll(':', '-')}-${found.server}`)
    const keys = await keysOf(alone, found.transactions)
    writeOwned(`${name}.sql`, sqlText(found, keys, covers), 0o600, null)
    writeOwned(`${name}.json`, `${JSON.stringify({ ...found, covers }, null, 1)}\n`, 0o600, null)
    return { changes, file: `${name}.sql`, covers }
  }
}

interface Found {
  readonly server: string
  readonly primary: string
  readonly atMs: number
  readonly fork: Lsn
  /** Where the slot stood: nothing earlier can be read. */
  readonly from: Lsn
  readonly transactions: readonly Transaction[]
  /** Everything was read. */
  readonly whole: boolean
}

const slotSql = `SELECT wal_status, confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE slot_name = '${slot}'`
const standingSql = `SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int, NULL,
  (SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots WHERE slot_name = '${slot}')`
const historySql = `SELECT pg_read_file('pg_wal/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '.history', true)`
// A commit is told with the position after its record: beyond the fork means that the new primary does not have it.
const changesSql = `SELECT lsn - '0/0', data FROM pg_logical_slot_get_changes('${slot}', NULL, ${batch}, 'skip-empty-xacts', '1', 'include-timestamp', '1')`

async function readLost(
  alone: IsolatedServer,
  fork: Lsn,
): Promise<{ transactions: Transaction[]; whole: boolean }> {
  const transactions: Transaction[] = []
  let count = 0
  let open: LostChange[] = []
  for (;;) {
    const rows = await alone.query(changesSql, readTimeoutMs)
    if (rows.length === 0) return { transactions, whole: true }
    for (const [lsn, data] of rows) {
      const commit = /^COMMIT (\d+)(?: \(at (.*)\))?$/.exec(data ?? '')
      if (commit !== null) {
        if (Number(lsn) > fork && open.length > 0)
          transactions.push({ xid: commit[1]!, at: commit[2] ?? '', lsn: Number(lsn), changes: open })
        count += open.length
        open = []
        continue
      }
      const change = lostChange(data ?? '')
      // Our own signs of life are nobody's loss.
      if (change !== null && !change.table.startsWith('tenfold.')) open.push(change)
    }
    if (count > changesMax) return { transactions, whole: false }
  }
}

function coversText({ fork, from, whole }: Found): string {
  const gap = from > fork ? `; changes between ${fork} and ${from} were not kept and are missing here` : ''
  const rest = whole ? '' : `; only the first ${changesMax} were read`
  return `committed row changes of ordinary tables, also those whose clients were not told yet; not DDL, sequences, unlogged tables, large objects${gap}${rest}`
}

async function keysOf(
  alone: IsolatedServer,
  transactions: readonly Transaction[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const tables = new Set(transactions.flatMap(one => one.changes.map(change => change.table)))
  const keys = new Map<string, readonly string[]>()
  for (const table of tables) {
    const name = `'${table.replaceAll("'", "''")}'`
    const rows = await alone.query(
      `SELECT quote_ident(a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
       WHERE i.indrelid = to_regclass(${name}) AND i.indisprimary`,
      askTimeoutMs,
    )
    keys.set(
      table,
      rows.map(row => row[0] ?? ''),
    )
  }
  return keys
}

function sqlText(found: Found, keys: ReadonlyMap<string, readonly string[]>, covers: string): string {
  const head = [
    `-- Committed on ${found.server}, and not on ${found.primary}, which took over.`,
    `-- Covers ${covers}.`,
    '-- Review before you run it: newer rows may be there by now. Each transaction is one BEGIN ... COMMIT.',
  ]
  const body = found.transactions.flatMap(({ xid, at, changes }) => [
    '',
    `-- transaction ${xid}${at === '' ? '' : `, committed ${at}`}`,
    'BEGIN;',
    ...changes.map(change => replaySql(change, keys.get(change.table) ?? [])),
    'COMMIT;',
  ])
  return `${[...head, ...body].join('\n')}\n`
}
