// Connections for moving rows, as the superuser: one that reads (it can make slots, hold snapshots, copy out), one that writes
// (it fires no triggers, and is known by a replication origin, so that what it writes is not read back as new).

import pg from 'pg'
import { ReplicationConnection } from '../../backup/replication.ts'
import { configOf } from '../../reads/link.ts'
import type { MoveStream, ShardEnd } from './contract.ts'

const connectTimeoutMs = 5_000
const keepAliveMs = 10_000
/** Who holds a lock for longer goes first; it is tried again. */
const lockTimeoutMs = 5_000

/** Values as texts that mean the same to every server. */
const plainTexts = `SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET timezone = 'UTC';
SET bytea_output = 'hex'; SET search_path = pg_catalog; SET xmloption = 'content'; SET lc_monetary = 'C';
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET transaction_timeout = 0`

/**
 * What we say is long, and of no interest to who reads the server's log. A commit that was confirmed to the source must be on
 * disk here, whatever the database's own setting is.
 */
const asWriter = `SET session_replication_role = replica; SET lock_timeout = ${lockTimeoutMs}; SET row_security = off;
SET synchronous_commit = on; SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed';
SET log_statement = none; SET log_min_duration_statement = -1; SET log_duration = off; SET log_min_error_statement = panic`

/** Reads: SQL, COPY out, slots. */
export async function openReader(end: ShardEnd, name: string): Promise<ReplicationConnection> {
  const target = end.target()
  const { ssl } = await configOf(target)
  const { host, port, user, password, database } = target
  const plain = { host, port, user, password, database }
  const connection = await ReplicationConnection.open(
    ssl === undefined || ssl === false ? plain : { ...plain, ssl },
    name,
    connectTimeoutMs,
  )
  try {
    for (const statement of plainTexts.split(';')) await connection.rows(statement)
  } catch (error) {
    connection.close()
    throw error
  }
  return connection
}

/** @param origin exists or is made; one connection at a time has it */
export async function openWriter(end: ShardEnd, origin: string, name: string): Promise<pg.Client> {
  const target = end.target()
  const { ssl } = await configOf(target)
  const { host, port, user, password, database } = target
  const client = new pg.Client({
    host,
    port,
    user,
    password,
    database,
    ...(ssl === undefined ? {} : { ssl }),
    application_name: name,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
  })
  // Whoever asks next hears of it.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(plainTexts)
    await client.query(asWriter)
    await client.query(
      `SELECT pg_replication_origin_create('${origin}') WHERE pg_replication_origin_oid('${origin}') IS NULL`,
    )
    await client.query(`SELECT pg_replication_origin_session_setup('${origin}')`)
  } catch (error) {
    cut(client)
    throw error
  }
  return client
}

/** At once, whatever is under way. */
export function cut(client: pg.Client): void {
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
}

/** With what the server adds: which key it is that is there already. */
export function saidBy(error: unknown): string {
  const { message, detail } = error as { readonly message: string; readonly detail?: string }
  return detail === undefined ? message : `${message} (${detail})`
}

export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function tableName({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${quotedName(schema)}.${quotedName(name)}`
}

export function streamName({ from, into }: Pick<MoveStream, 'from' | 'into'>): string {
  return `${from.shard}>${into.shard}`
}
