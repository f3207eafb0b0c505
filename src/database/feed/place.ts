// The primary that a feed follows, and the questions that it is asked: how it stands, its tables, its slot, what it shows.
// One kept connection; everything has a time limit. Decides nothing.

import type { ReplicationAddress } from '../backup/replication.ts'
import type { Lsn, ServerTls } from '../contract.ts'
import { configOf } from '../reads/link.ts'
import { Session } from '../servers/session.ts'
import type { TableRules } from './rules.ts'
import { literal, looksSql, publicationSql, publishedSql, type TableLook } from './tables.ts'
import { ServerSnapshot } from './visible.ts'

export interface FeedPlace {
  /** Of the server: `main-1`. */
  readonly id: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** The database inside PostgreSQL. */
  readonly database: string
  readonly tls: ServerTls
  readonly epoch: number
  /** Tenfold's own servers: tables may be altered, and there is one feed only. */
  readonly own: boolean
  /** Servers that may have been the primary before. */
  readonly others: readonly { readonly id: string; readonly host: string; readonly port: number }[]
}

export interface SlotLook {
  readonly usable: boolean
  readonly active: boolean
  readonly confirmed: Lsn
  /** Bytes of log behind what was confirmed. */
  readonly backlog: number
}

const answerTimeoutMs = 5_000
/** A table that is locked by somebody is altered at the next look. */
const lockTimeoutMs = 1_000

export async function addressOf(place: FeedPlace): Promise<ReplicationAddress> {
  const { ssl } = await configOf({ ...place, tls: place.tls })
  const { host, port, user, password, database } = place
  return { host, port, user, password, database, ...(ssl === undefined || ssl === false ? {} : { ssl }) }
}

export class FeedServer {
  readonly #session: Session

  constructor(address: ReplicationAddress & { readonly database?: string }) {
    const { ssl, database = 'postgres', ...rest } = address
    this.#session = new Session(() => ({ ...rest, database, ...(ssl === undefined ? {} : { ssl }) }))
  }

  async ask(
    sql: string,
    timeoutMs: number = answerTimeoutMs,
  ): Promise<readonly (readonly (string | null)[])[]> {
    return this.#session.query(sql, timeoutMs)
  }

  async walLevel(): Promise<string> {
    const [row] = await this.ask('SHOW wal_level')
    return row?.[0] ?? ''
  }

  async looks(rules: ReadonlyMap<string, TableRules>): Promise<TableLook[]> {
    const rows = await this.ask(looksSql([...rules.keys()]))
    return rows.map(([text]) => JSON.parse(text ?? '{}') as TableLook)
  }

  /** Null: there is no such publication. */
  async published(publication: string): Promise<readonly string[] | null> {
    const rows = await this.ask(publishedSql(publication))
    return rows.length === 0
      ? null
      : rows.flatMap(([, table]) => (table === null || table === undefined ? [] : [table]))
  }

  async publish(publication: string, exists: boolean, tables: readonly string[]): Promise<void> {
    await this.alter(publicationSql(publication, exists, tables))
  }

  async alter(sql: string): Promise<void> {
    await this.ask(`SET lock_timeout = ${lockTimeoutMs}; ${sql}`)
  }

  async slot(name: string): Promise<SlotLook | null> {
    const [row] = await this.ask(
      `SELECT plugin = 'pgoutput' AND database = current_database() AND wal_status <> 'lost', active,
        confirmed_flush_lsn - '0/0', pg_current_wal_lsn() - confirmed_flush_lsn
      FROM pg_replication_slots WHERE slot_name = ${literal(name)}`,
    )
    if (row === undefined) return null
    const [usable, active, confirmed, backlog] = row
    return {
      usable: usable === 't',
      active: active === 't',
      confirmed: Number(confirmed),
      backlog: Number(backlog),
    }
  }

  async dropSlot(name: string): Promise<void> {
    await this.ask(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = ${literal(name)}`,
    )
  }

  async snapshot(): Promise<ServerSnapshot> {
    const [row] = await this.ask('SELECT pg_current_snapshot()::text')
    return new ServerSnapshot(row?.[0] ?? '0:0:')
  }

  close(): void {
    this.#session.close()
  }
}
