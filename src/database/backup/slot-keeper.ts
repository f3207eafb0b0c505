// The archive's slot on every server that could become the primary: it moves with what is archived, so that whoever is
// promoted still has the log that is not archived yet, and keeps no log that nobody wants. On the primary the receiver's
// own connection moves it.

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Lsn } from '../contract.ts'
import type { ReplicationAddress } from './replication.ts'
import { lsnText } from './segments.ts'

const answerTimeoutMs = 5_000
const dropTries = 50
const dropPauseMs = 100

async function asked(address: ReplicationAddress, sql: string): Promise<number> {
  const client = new pg.Client({
    ...address,
    database: 'postgres',
    application_name: 'tenfold backup',
    connectionTimeoutMillis: answerTimeoutMs,
    query_timeout: answerTimeoutMs,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rowCount ?? 0
  } finally {
    // A server that hangs would not answer a goodbye.
    void client.end().catch(() => {})
  }
}

/** Makes it where it is missing, or lost what it kept. Never beyond what the server has itself. */
export async function moveSlot(address: ReplicationAddress, slot: string, archived: Lsn): Promise<void> {
  await asked(
    address,
    `DO $keep$ BEGIN
      PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = '${slot}' AND NOT active AND (wal_status = 'lost' OR restart_lsn IS NULL);
      IF NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '${slot}') THEN
        PERFORM pg_create_physical_replication_slot('${slot}', true);
      END IF;
      PERFORM pg_replication_slot_advance(slot_name, '${lsnText(archived)}') FROM pg_replication_slots
        WHERE slot_name = '${slot}' AND NOT active AND restart_lsn < '${lsnText(archived)}';
    END $keep$`,
  )
}

/** Nobody archives any more. A connection that was just cut holds its slot for a moment. */
export async function dropSlot(address: ReplicationAddress, slot: string): Promise<void> {
  const found = `FROM pg_replication_slots WHERE slot_name = '${slot}'`
  for (let tries = 0; tries < dropTries; tries++) {
    await asked(address, `SELECT pg_drop_replication_slot(slot_name) ${found} AND NOT active`)
    if ((await asked(address, `SELECT ${found}`)) === 0) return
    await sleep(dropPauseMs)
  }
  throw new Error('somebody uses it')
}
