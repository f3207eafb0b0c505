// Clients that wait for each other on two real servers, neither of which sees a deadlock.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { ShardDeadlocks, type WaitingClient } from '../../src/database/shards/deadlocks.ts'
import { Primaries } from '../../src/database/shards/primaries.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

const ids = ['1', '2']
let servers: PostgresServer[] = []
const endings: (() => Promise<void> | void)[] = []

before(async () => {
  const t = { after: (end: unknown) => endings.push(end as () => void) } as never
  servers = await Promise.all(ids.map(() => startPostgres(t)))
  for (const at of ids.keys()) {
    const client = await connected(at)
    await client.query('CREATE TABLE rows (name text PRIMARY KEY, n int NOT NULL)')
    await client.query('INSERT INTO rows SELECT chr(96 + n), 0 FROM generate_series(1, 9) AS n')
    await client.end()
  }
})

test.after(async () => {
  for (const end of endings.reverse()) await end()
})

function serverOf(at: number, user: string) {
  const { host, port, database, password } = servers[at] as PostgresServer
  return { host, port, database, password, user }
}

async function connected(at: number): Promise<pg.Client> {
  const client = new pg.Client(serverOf(at, 'app'))
  await client.connect()
  return client
}

/** A client of the router, as far as deadlocks go: a transaction on both shards. */
class Player {
  readonly name: string
  readonly connections: readonly pg.Client[]
  readonly gaveWay: string[] = []

  constructor(name: string, connections: readonly pg.Client[]) {
    this.name = name
    this.connections = connections
  }

  static async begin(name: string): Promise<Player> {
    const connections = await Promise.all(ids.map((_, at) => connected(at)))
    for (const one of connections) await one.query('BEGIN')
    return new Player(name, connections)
  }

  /** Has the row, or waits for it. */
  async take(at: number, row: string): Promise<string> {
    try {
      await this.connections[at]?.query('UPDATE rows SET n = n + 1 WHERE name = $1', [row])
      return 'taken'
    } catch (error) {
      return String((error as { code?: string }).code)
    }
  }

  get waiting(): WaitingClient {
    return {
      name: this.name,
      processes: this.connections.map((one, at) => ({
        shard: ids[at] as string,
        processId: (one as unknown as { processID: number }).processID,
      })),
      giveWay: shard => {
        this.gaveWay.push(shard)
        const at = ids.indexOf(shard)
        const { processID } = this.connections[at] as unknown as { processID: number }
        void connected(at).then(async one => {
          await one.query('SELECT pg_cancel_backend($1)', [processID])
          await one.end()
        })
      },
    }
  }

  async end(): Promise<void> {
    for (const one of this.connections) await one.query('ROLLBACK')
    await Promise.all(this.connections.map(one => one.end()))
  }
}

function deadlocksOf(t: { after(end: () => void): void }, players: readonly Player[]) {
  const told: string[] = []
  const primaries = new Primaries(() =>
    ids.map((shard, at) => ({
      shard,
      epoch: 1,
      target: { ...serverOf(at, 'tenfold'), tls: { mode: 'off' } },
    })),
  )
  t.after(() => primaries.close())
  const clients = () => players.map(one => one.waiting)
  return { deadlocks: new ShardDeadlocks({ primaries, clients, tell: text => told.push(text) }), told }
}

async function untilWaiting(waits: number): Promise<void> {
  const watch = await Promise.all(ids.map((_, at) => connected(at)))
  const sql =
    "SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND waitstart < clock_timestamp() - interval '300 ms'"
  for (;;) {
    const counts = await Promise.all(watch.map(async one => (await one.query(sql)).rows[0].n as number))
    if (counts.reduce((sum, one) => sum + one) >= waits) break
  }
  await Promise.all(watch.map(one => one.end()))
}

test('trap: deadlocks over shards: the youngest of the cycle gives way, and the other goes on', async t => {
  const old = await Player.begin('old')
  const young = await Player.begin('young')
  const { deadlocks, told } = deadlocksOf(t, [young, old])
  await old.take(0, 'a')
  await young.take(1, 'a')
  const waits = [old.take(1, 'a'), young.take(0, 'a')]
  await untilWaiting(2)
  await deadlocks.round()
  assert.deepEqual([old.gaveWay, young.gaveWay], [[], ['1']])
  assert.equal(await waits[1], '57014')
  await young.end()
  assert.equal(await waits[0], 'taken')
  await old.end()
  assert.equal(deadlocks.found, 1)
  assert.match(told.join(), /2 clients waited for each other/)
})

test('three clients in a circle: one gives way; who only waits does not', async t => {
  const players = [
    await Player.begin('1'),
    await Player.begin('2'),
    await Player.begin('3'),
    await Player.begin('4'),
  ]
  const [one, two, three, four] = players as [Player, Player, Player, Player]
  const { deadlocks } = deadlocksOf(t, players)
  await one.take(0, 'b')
  await two.take(1, 'c')
  await three.take(0, 'd')
  const waits = [two.take(0, 'b'), three.take(1, 'c'), one.take(0, 'd')]
  // Behind the other: before it, it would be one of the circle.
  await untilWaiting(3)
  waits.push(four.take(0, 'd'))
  await untilWaiting(4)
  await deadlocks.round()
  assert.deepEqual(
    players.map(player => player.gaveWay),
    [[], [], ['2'], []],
  )
  await waits[1]
  await three.end()
  assert.equal(await waits[2], 'taken')
  await one.end()
  assert.equal(await waits[3], 'taken')
  await Promise.all([two.end(), four.end()])
  assert.equal(await waits[0], 'taken')
})

test('clients that wait in a row are left alone', async t => {
  const first = await Player.begin('first')
  const second = await Player.begin('second')
  const { deadlocks } = deadlocksOf(t, [first, second])
  await first.take(0, 'e')
  const wait = second.take(0, 'e')
  await untilWaiting(1)
  await deadlocks.round()
  assert.equal(deadlocks.found, 0)
  await first.end()
  assert.equal(await wait, 'taken')
  await second.end()
})
