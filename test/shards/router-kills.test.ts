// Transactions over shards while the routers that coordinate them are killed: what a dead one left is ended by another, by the
// decision that lies with the data.

import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RouterSnapshot } from '../../src/database/router/snapshot.ts'
import { Session } from '../../src/database/servers/session.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import { startPostgres } from '../tools/postgres-server.ts'
import { closedPort } from '../tools/raw-origin.ts'
import { databaseOf } from '../tools/router-harness.ts'
import { emptyLedger, entriesSql, settled, transfer, transferMap } from './transfers.ts'

const ids = ['1', '2', '3']
const rounds = Number(process.env.TENFOLD_TEST_ROUNDS ?? 6)
const map = transferMap(ids)

interface RunningRouter {
  readonly child: ChildProcess
  readonly url: string
}

/** @param port kept over lives, so that clients find the next one */
async function startRouter(snapshot: RouterSnapshot, port: number): Promise<RunningRouter> {
  const [database, ...others] = snapshot.databases
  const placed = {
    ...snapshot,
    databases: [
      { ...(database as (typeof snapshot.databases)[0]), listener: { host: '127.0.0.1', port } },
      ...others,
    ],
  }
  const child = fork(new URL('../tools/router-child.ts', import.meta.url), { stdio: 'inherit' })
  child.send(placed)
  await once(child, 'message')
  return { child, url: `postgres://app:secret@127.0.0.1:${port}/app` }
}

async function kill({ child }: RunningRouter): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

test('trap: routers are killed amid commits over shards; another ends what they left, and nothing is lost', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const settings = { max_prepared_transactions: '50', shared_buffers: '16MB', fsync: 'off' }
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
  const snapshot: RouterSnapshot = { format: 1, version: 1, databases: [whole] }
  const ports = [await closedPort(), await closedPort()]
  const routers = await Promise.all(ports.map(port => startRouter(snapshot, port)))
  t.after(() => Promise.all(routers.filter(({ child }) => child.exitCode === null).map(kill)))

  const ledger = emptyLedger()
  let goesOn = true
  const clients = Promise.all(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((name, at) =>
      transfer((routers[at % 2] as RunningRouter).url, name, ledger, () => goesOn),
    ),
  )
  let left = 0
  for (let round = 0; round < rounds; round++) {
    await sleep(200 + random.float() * 400)
    const at = round % 2
    await kill(routers[at] as RunningRouter)
    const prepared = await Promise.all(
      operators.map(one => one.query('SELECT gid FROM pg_prepared_xacts', 5_000)),
    )
    left += prepared.flat().length
    routers[at] = await startRouter(snapshot, ports[at] as number)
  }
  await sleep(300)
  goesOn = false
  await clients
  t.diagnostic(`${left} parts were prepared at the moments of the kills`)
  t.diagnostic(await settled(operators, ledger))
  assert.ok(ledger.acknowledged.size > 10)
})
