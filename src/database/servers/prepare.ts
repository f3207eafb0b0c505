// What every new primary must hold before anybody uses it: the database, our own schema, roles and rights. Done again
// after each start as a primary, and only as far as something changed.

import type { DatabaseRole } from '../contract.ts'
import {
  changingSql,
  identifier,
  literal,
  ownSchemaSql,
  putOutSql,
  rightsSql,
  roleSql,
  rolesFingerprint,
} from './roles.ts'
import type { Row } from './session.ts'

const timeoutMs = 60_000
/** Locks on every table: a database in use may make it wait. */
const rightsTimeoutMs = 300_000

export interface PrepareSessions {
  /** The maintenance database, as our superuser. */
  maintenance(sql: string, timeoutMs: number): Promise<readonly Row[]>
  /** The database itself. */
  database(sql: string, timeoutMs: number): Promise<readonly Row[]>
}

export async function preparePrimary(
  sessions: PrepareSessions,
  database: string,
  roles: readonly DatabaseRole[],
): Promise<void> {
  const fingerprint = rolesFingerprint(database, roles)
  if ((await appliedFingerprint(sessions)) === fingerprint) return
  const found = await sessions.maintenance(
    `SELECT 1 FROM pg_database WHERE datname = ${literal(database)}`,
    timeoutMs,
  )
  if (found.length === 0) await sessions.maintenance(`CREATE DATABASE ${identifier(database)}`, timeoutMs)
  const changing = await sessions.maintenance(changingSql(database, roles), timeoutMs)
  // Each text is one transaction.
  await sessions.maintenance(roleSql(database, roles), timeoutMs)
  if (changing.length > 0)
    await sessions.maintenance(putOutSql(changing.map(([name]) => name ?? '')), timeoutMs)
  await sessions.maintenance(ownSchemaSql, timeoutMs)
  await sessions.database(rightsSql(database), rightsTimeoutMs)
  await sessions.maintenance(
    `INSERT INTO tenfold.applied VALUES ('roles', ${literal(fingerprint)}) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    timeoutMs,
  )
}

async function appliedFingerprint(sessions: PrepareSessions): Promise<string | null> {
  const there = await sessions.maintenance("SELECT to_regclass('tenfold.applied') IS NOT NULL", timeoutMs)
  if (there[0]?.[0] !== 't') return null
  const rows = await sessions.maintenance("SELECT value FROM tenfold.applied WHERE name = 'roles'", timeoutMs)
  return rows[0]?.[0] ?? null
}
