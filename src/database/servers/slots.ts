// Replication slots of replicas on the server that they follow: a slot keeps the log that its replica has not got yet.
// Others' slots (logical ones, archives) are left alone.

import { literal } from './roles.ts'
import type { Row } from './session.ts'
import { slotOf, slotPrefix } from './settings.ts'

export type Ask = (sql: string) => Promise<readonly Row[]>

interface Slot {
  readonly name: string
  readonly active: boolean
  readonly lost: boolean
}

async function ourSlots(ask: Ask): Promise<Slot[]> {
  const rows = await ask(
    `SELECT slot_name, active, wal_status FROM pg_replication_slots WHERE slot_type = 'physical' AND starts_with(slot_name, '${slotPrefix}')`,
  )
  return rows.map(([name, active, status]) => ({
    name: name ?? '',
    active: active === 't',
    lost: status === 'lost',
  }))
}

/** Slots for these replicas exist and can be used; those of other replicas do not exist. */
export async function keepSlots(ask: Ask, replicas: readonly string[]): Promise<void> {
  const wanted = new Set(replicas.map(slotOf))
  const there = await ourSlots(ask)
  for (const slot of there) if (!wanted.has(slot.name) || slot.lost) await dropSlot(ask, slot.name)
  for (const name of wanted) {
    if (!there.some(slot => slot.name === name && !slot.lost)) await makeSlot(ask, name)
  }
}

/** Makes it where it is missing or useless; an existing one keeps its place in the log. */
export async function haveSlot(ask: Ask, replica: string): Promise<void> {
  const name = slotOf(replica)
  const known = (await ourSlots(ask)).find(slot => slot.name === name)
  if (known?.lost) await dropSlot(ask, name)
  if (known === undefined || known.lost) await makeSlot(ask, name)
}

/** One that begins now, for a copy: an old one would hold log that nobody needs. */
export async function freshSlot(ask: Ask, replica: string): Promise<void> {
  const name = slotOf(replica)
  if ((await ourSlots(ask)).some(slot => slot.name === name)) await dropSlot(ask, name)
  await makeSlot(ask, name)
}

export async function dropSlotOf(ask: Ask, replica: string): Promise<void> {
  const name = slotOf(replica)
  if ((await ourSlots(ask)).some(slot => slot.name === name)) await dropSlot(ask, name)
}

async function makeSlot(ask: Ask, name: string): Promise<void> {
  try {
    await ask(`SELECT pg_create_physical_replication_slot(${literal(name)}, true)`)
  } catch (error) {
    // 42710: somebody made it between our look and this.
    if ((error as { code?: string }).code !== '42710') throw error
  }
}

/**
 * Whoever streams by it is put off first. A replica comes back within milliseconds, sooner than `pg_terminate_backend` with a
 * time to wait would look again (100 ms): so it is not waited for, and the slot is taken in the moment in which it is free.
 */
async function dropSlot(ask: Ask, name: string): Promise<void> {
  await ask(`DO $$
DECLARE
  until timestamptz := clock_timestamp() + interval '5 s';
BEGIN
  LOOP
    PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots
      WHERE slot_name = ${literal(name)} AND active_pid IS NOT NULL;
    BEGIN
      PERFORM pg_drop_replication_slot(${literal(name)});
      RETURN;
    EXCEPTION
      WHEN undefined_object THEN RETURN;
      WHEN object_in_use THEN
        IF clock_timestamp() > until THEN RAISE; END IF;
        PERFORM pg_sleep(0.001);
    END;
  END LOOP;
END $$`)
}
