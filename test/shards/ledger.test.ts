// Transactions over shards while their servers are killed and their connections cut: what was acknowledged is on all shards,
// what was refused on none, what nobody knows on all or none; nothing is left prepared.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createRouter } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, postgresPrograms, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

const ids = ['1', '2', '3']
const rounds = Number(process.env.TENFOLD_TEST_ROUNDS ?? 5)
const map: ShardMap = {
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

const patienceMs = 60_000

interface Ledger {
  readonly acknowledged: Set<string>
  readonly refused: Set<string>
  readonly unknown: Set<string>
}

/** What it is after a COMMIT that failed: only these leave it open. */
const openCodes = new Set(['08007', undefined])

/** Transfers one after another, of two or three shards, until told to stop. */
async function transfer(url: string, name: string, ledger: Ledger, goesOn: () => boolean): Promise<void> {
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

async function restarted(server: PostgresServer, running: ChildProcess[]): Promise<void> {
  const { uid, gid } = statSync(server.directory)
  const owner = process.getuid?.() === 0 ? { uid, gid } : null
  const { postgres } = await postgresPrograms(owner)
  const made = spawn(postgres, ['-D', server.directory], {
    ...owner,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    stdio: 'ignore',
  })
  running.push(made)
}

async function answers(session: Session): Promise<void> {
  const end = Date.now() + patienceMs
  for (;;) {
    try {
      await session.query('SELECT 1', 2_000)
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(50)
    }
  }
}

test('trap: commits over shards under kills: all of each or nothing, and what was acknowledged is there', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const settings = { max_prepared_transactions: '50', shared_buffers: '16MB' }
  const running: ChildProcess[] = []
  const servers = await Promise.all(ids.map(() => startPostgres(t, { settings })))
  t.after(async () => {
    await Promise.all(
      running
        .filter(one => one.exitCode === null && one.signalCode === null)
        .map(one => {
          const gone = new Promise(done => one.once('exit', done))
          one.kill('SIGINT')
          return gone
        }),
    )
  })
  const operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  t.after(() => operators.forEach(one => void one.close()))
  for (const [at, operator] of operators.entries()) {
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard: ids[at] as string, map })
    await operator.query(
      `CREATE TABLE public.entries (account bigint, move text, parts int NOT NULL, PRIMARY KEY (account, move));
       ALTER TABLE public.entries OWNER TO app`,
      20_000,
    )
  }
  const groups = servers.map((server, at) => ({
    ...databaseOf({ servers: [server] }),
    name: `main-s${ids[at]}`,
  }))
  const whole = { ...databaseOf({ servers: [] }), primary: null, shards: { map, groups, systemId: 'test' } }
  const router = await createRouter({
    snapshot: { format: 1, version: 1, databases: [whole] },
    tell: () => {},
  })
  t.after(() => router.close())
  const url = `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`

  const ledger: Ledger = { acknowledged: new Set(), refused: new Set(), unknown: new Set() }
  let goesOn = true
  const clients = Promise.all(['a', 'b', 'c', 'd'].map(name => transfer(url, name, ledger, () => goesOn)))
  const pids = servers.map(one => one.pid)
  for (let round = 0; round < rounds; round++) {
    await sleep(200 + random.float() * 400)
    const at = Math.floor(random.float() * ids.length)
    const operator = operators[at] as Session
    if (random.float() < 0.4) {
      await operator
        .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'", 5_000)
        .catch(() => {})
      continue
    }
    const latest = running.findLast(one => one.spawnargs.at(-1) === servers[at]?.directory)
    process.kill(latest?.pid ?? (pids[at] as number), 'SIGKILL')
    // Its own children notice, and leave the memory that they share.
    await sleep(300)
    await restarted(servers[at] as PostgresServer, running)
    await answers(operator)
  }
  await sleep(500)
  goesOn = false
  await clients

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
  t.diagnostic(`${acknowledged.size} acknowledged, ${refused.size} refused, ${unknown.size} unknown`)
  assert.ok(acknowledged.size > 10)
  for (const [move, { parts, rows }] of found) assert.equal(rows, parts, `${move} is on some shards only`)
  for (const move of acknowledged) assert.ok(found.has(move), `${move} was acknowledged, and is lost`)
  for (const move of refused) assert.ok(!found.has(move), `${move} was refused, and is there`)
})
