// Transactions over shards while their servers are killed and their connections cut: what was acknowledged is on all shards,
// what was refused on none, what nobody knows on all or none; nothing is left prepared.

import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRouter } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { answers, killedServers } from './server-kills.ts'
import { emptyLedger, entriesSql, settled, transfer, transferMap } from './transfers.ts'

const ids = ['1', '2', '3']
const rounds = Number(process.env.TENFOLD_TEST_ROUNDS ?? 5)
const map: ShardMap = transferMap(ids)

test('trap: commits over shards under kills: all of each or nothing, and what was acknowledged is there', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const settings = { max_prepared_transactions: '50', shared_buffers: '16MB' }
  const killed = killedServers(t)
  const servers = await Promise.all(ids.map(() => startPostgres(t, { settings })))
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
    await killed.kill(servers[at] as PostgresServer)
    await answers(operator)
  }
  await sleep(500)
  goesOn = false
  await clients

  t.diagnostic(await settled(operators, ledger))
})
