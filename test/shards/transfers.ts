// Transfers over shards with a ledger of what clients were told, for tests that kill what is between; and whether the shards
// say the same in the end.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Session } from '../../src/database/servers/session.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'

const patienceMs = 60_000

/** One account a shard. */
export function transferMap(ids: readonly string[]): ShardMap {
  return {
    format: 1,
    version: 1,
    shards: ids,
    families: {
      entries: {
        types: ['bigint'],
        rule: { by: 'list', lists: ids.map((id, shard) => ({ values: [id], shard })), otherwise: null },
      },
    },
    tables: { 'public.entries': { kind: 'sharded', family: 'entries', key: ['account'] } },
  }
}

export const entriesSql = `CREATE TABLE public.entries (account bigint, move text, parts int NOT NULL, PRIMARY KEY (account, move));
       ALTER TABLE public.entries OWNER TO app`

export function emptyLedger(): Ledger {
  return { acknowledged: new Set(), refused: new Set(), unknown: new Set() }
}

export interface Ledger {
  readonly acknowledged: Set<string>
  readonly refused: Set<string>
  readonly unknown: Set<string>
}

/** What it is after a COMMIT that failed: only these leave it open. */
const openCodes = new Set(['08007', undefined])

/** Transfers one after another, of two or three shards, until told to stop. */
export async function transfer(
  url: string,
  name: string,
  ledger: Ledger,
  goesOn: () => boolean,
): Promise<void> {
  let client: pg.Client | null = null
  for (let number = 0; goesOn(); number++) {
    const move = `${name}-${number}`
    let committing = false
    try {
      if (client === null) {
        client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
        client.on('error', () => {})
        await client.connect()
      }
      await client.query('BEGIN')
      const accounts = number % 2 === 0 ? [1, 2, 3] : [1 + (number % 3), 1 + ((number + 1) % 3)]
      for (const account of accounts)
        await client.query('INSERT INTO entries (account, move, parts) VALUES ($1, $2, $3)', [
          account,
          move,
          accounts.length,
        ])
      committing = true
      const { command } = await client.query('COMMIT')
      ;(command === 'COMMIT' ? ledger.acknowledged : ledger.refused).add(move)
    } catch (error) {
      const { code } = error as { code?: string }
      ;(committing && openCodes.has(code) ? ledger.unknown : ledger.refused).add(move)
      // The session may be gone, or in a failed transaction.
      await client?.end().catch(() => {})
      client = null
      await sleep(20)
    }
  }
  await client?.end().catch(() => {})
}

/** Waits until nothing is prepared any more; throws where shards and ledger differ; the counts in a sentence. */
export async function settled(operators: readonly Session[], ledger: Ledger): Promise<string> {
  const end = Date.now() + patienceMs
  for (;;) {
    const left = await Promise.all(
      operators.map(one => one.query('SELECT gid FROM pg_prepared_xacts', 5_000)),
    )
    if (left.flat().length === 0) break
    assert.ok(Date.now() < end, `left prepared: ${left.flat().join(' ')}`)
    await sleep(200)
  }
  const found = new Map<string, { parts: number; rows: number }>()
  for (const operator of operators)
    for (const [move, parts] of await operator.query('SELECT move, parts FROM public.entries', 20_000)) {
      const known = found.get(move as string) ?? { parts: Number(parts), rows: 0 }
      known.rows++
      found.set(move as string, known)
    }
  const { acknowledged, refused, unknown } = ledger
  assert.ok(acknowledged.size > 10)
  for (const [move, { parts, rows }] of found) assert.equal(rows, parts, `${move} is on some shards only`)
  for (const move of acknowledged) assert.ok(found.has(move), `${move} was acknowledged, and is lost`)
  for (const move of refused) assert.ok(!found.has(move), `${move} was refused, and is there`)
  return `${acknowledged.size} acknowledged, ${refused.size} refused, ${unknown.size} unknown`
}
