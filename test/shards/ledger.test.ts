// Transactions over shards while their servers are killed and their connections cut: what was acknowledged is on all shards,
// what was refused on none, what nobody knows on all or none; nothing is left prepared.

import { type ChildProcess, spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRouter } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, postgresPrograms, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { emptyLedger, entriesSql, settled, transfer, transferMap } from './transfers.ts'

const ids = ['1', '2', '3']
const rounds = Number(process.env.TENFOLD_TEST_ROUNDS ?? 5)
const map: ShardMap = transferMap(ids)

const patienceMs = 60_000

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
    await operator.query(entriesSql, 20_000)
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

  const ledger = emptyLedger()
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

  t.diagnostic(await settled(operators, ledger))
})
