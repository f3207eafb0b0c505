// Clients that wait for each other on two real servers, neither of which sees a deadlock.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import pg from 'pg'
import { Session } from '../../src/database/servers/session.ts'
import { ShardDeadlocks, type WaitingClient } from '../../src/database/shards/deadlocks.ts'
import { Primaries } from '../../src/database/shards/primaries.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

const ids = ['1', '2', '3']
const map = { format: 1 as const, version: 1, shards: ids, families: {}, tables: {} }
let servers: PostgresServer[] = []
const endings: (() => Promise<void> | void)[] = []

before(async () => {
  const t = { after: (end: unknown) => endings.push(end as () => void) } as never
  const settings = { max_prepared_transactions: '10' }
  servers = await Promise.all(ids.map(() => startPostgres(t, { settings })))
  for (const [at, shard] of ids.entries()) {
    const operator = new Session(() => serverOf(at, 'tenfold'))
    await installShardSchema({ ask: sql => operator.query(sql, 20_000), shard, map })
    operator.close()
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
  /** Its commit, and shards where its part is prepared. */
  commit: string | null = null
  readonly prepared = new Set<number>()
  decided = false

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
      processes: this.connections.flatMap((one, at) =>
        this.prepared.has(at)
          ? []
          : [
              {
                shard: ids[at] as string,
                processId: (one as unknown as { processID: number }).processID,
              },
            ],
      ),
      commit: this.commit === null ? null : { name: this.commit, decided: this.decided },
      giveWay: shards => {
        this.gaveWay.push(...shards)
        for (const shard of shards) void this.#cancel(ids.indexOf(shard))
      },
    }
  }

  async #cancel(at: number): Promise<void> {
    const { processID } = this.connections[at] as unknown as { processID: number }
    const one = await connected(at)
    await one.query('SELECT pg_cancel_backend($1)', [processID])
    await one.end()
  }

  /** The first of a commit's steps, on one shard. */
  async prepare(at: number, commit: string): Promise<void> {
    await this.connections[at]?.query(`PREPARE TRANSACTION '${commit}:${ids[at]}'`)
    this.commit = commit
    this.prepared.add(at)
  }

  async end(): Promise<void> {
    for (const at of this.prepared)
      await this.connections[at]?.query(`ROLLBACK PREPARED '${this.commit}:${ids[at]}'`)
    for (const one of this.connections) await one.query('ROLLBACK')
    await Promise.all(this.connections.map(one => one.end()))
  }
}

function deadlocksOf(
  t: { after(end: () => void): void },
  players: readonly Player[],
  deaf: readonly string[] = [],
) {
  const told: string[] = []
  const primaries = new Primaries(() =>
    ids.map((shard, at) => ({
      shard,
      epoch: 1,
      target: deaf.includes(shard) ? null : { ...serverOf(at, 'tenfold'), tls: { mode: 'off' as const } },
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

/** Each of two routers knows its own players only; both have looked, and what each told the other is known. */
async function twoRouters(
  t: { after(end: () => void): void },
  one: readonly Player[],
  other: readonly Player[],
): Promise<() => Promise<void>> {
  const routers = [deadlocksOf(t, one).deadlocks, deadlocksOf(t, other).deadlocks]
  return async () => {
    for (const router of routers) await router.round()
    for (const router of routers) await router.round()
  }
}

test('trap: deadlocks of clients of two routers: both choose the same, and only the router that has it acts', async t => {
  for (const youngest of ['here', 'there']) {
    const [old, young] = [await Player.begin('7'), await Player.begin('7')]
    const round = await twoRouters(
      t,
      [youngest === 'here' ? young : old],
      [youngest === 'here' ? old : young],
    )
    const row = youngest === 'here' ? 'f' : 'g'
    await old.take(0, row)
    await young.take(1, row)
    const waits = [old.take(1, row), young.take(0, row)]
    await untilWaiting(2)
    await round()
    assert.deepEqual([old.gaveWay, [...new Set(young.gaveWay)]], [[], ['1']])
    assert.equal(await waits[1], '57014')
    await young.end()
    assert.equal(await waits[0], 'taken')
    await old.end()
  }
})

test('a circle over three shards, with a client in it that works on one shard only, and whom no router knows', async t => {
  const [one, other] = [await Player.begin('1'), await Player.begin('1')]
  const stranger = await connected(1)
  await stranger.query('BEGIN')
  const round = await twoRouters(t, [one], [other])
  const take = (row: string) => stranger.query('UPDATE rows SET n = n + 1 WHERE name = $1', [row])
  await one.take(0, 'h')
  await take('h')
  await other.take(1, 'i')
  const waits = [one.take(1, 'h'), other.take(0, 'h')]
  const strangers = take('i')
  await untilWaiting(3)
  await round()
  assert.deepEqual([one.gaveWay, [...new Set(other.gaveWay)]], [[], ['1']])
  assert.equal(await waits[1], '57014')
  await other.end()
  await strangers
  await stranger.query('COMMIT')
  await stranger.end()
  assert.equal(await waits[0], 'taken')
  await one.end()
})

test('trap: deadlocks through a prepared transaction: who commits is waited for, and the other gives way', async t => {
  const [open, committing] = [await Player.begin('open'), await Player.begin('committing')]
  const round = await twoRouters(t, [open], [committing])
  await open.take(0, 'a')
  await committing.take(1, 'a')
  await committing.prepare(1, 'tenfold:test:1:0b54c2a4-8d3c-4c56-9a55-2d3a5d1f0a01')
  // As a deferred check does in the decider's commit: it waits for what the other has.
  const waits = [committing.take(0, 'a'), open.take(1, 'a')]
  await untilWaiting(2)
  await round()
  assert.deepEqual([committing.gaveWay, [...new Set(open.gaveWay)]], [[], ['2']])
  assert.equal(await waits[1], '57014')
  await open.end()
  assert.equal(await waits[0], 'taken')
  await committing.end()
})

test('of two that commit, one gives way that has not decided', async t => {
  const [young, decided] = [await Player.begin('young'), await Player.begin('decided')]
  const round = await twoRouters(t, [young], [decided])
  await young.take(0, 'a')
  await decided.take(1, 'a')
  await young.take(2, 'a')
  await young.prepare(2, 'tenfold:test:1:0b54c2a4-8d3c-4c56-9a55-2d3a5d1f0a02')
  await decided.take(2, 'b')
  await decided.prepare(2, 'tenfold:test:2:0b54c2a4-8d3c-4c56-9a55-2d3a5d1f0a03')
  decided.decided = true
  const waits = [young.take(1, 'a'), decided.take(0, 'a')]
  await untilWaiting(2)
  await round()
  assert.deepEqual([decided.gaveWay, [...new Set(young.gaveWay)]], [[], ['2']])
  assert.equal(await waits[0], '57014')
  await young.end()
  assert.equal(await waits[1], 'taken')
  await decided.end()
})

test('what a dead coordinator prepared makes no deadlock, and others are told nothing that is not in the way', async t => {
  const [one, dead] = [await Player.begin('one'), await Player.begin('dead')]
  const { deadlocks } = deadlocksOf(t, [one])
  await dead.take(1, 'a')
  await dead.prepare(1, 'tenfold:test:1:0b54c2a4-8d3c-4c56-9a55-2d3a5d1f0a04')
  await one.take(0, 'a')
  const wait = one.take(1, 'a')
  await untilWaiting(1)
  await deadlocks.round()
  const operator = new Session(() => serverOf(1, 'tenfold'))
  assert.deepEqual(
    await operator.query("SELECT count(*) FROM tenfold.waiting WHERE client LIKE '%/one'", 5_000),
    [['0']],
  )
  operator.close()
  assert.equal(deadlocks.found, 0)
  await dead.end()
  assert.equal(await wait, 'taken')
  await one.end()
})

test('a shard that does not answer hides no deadlock of the others', async t => {
  const [old, young] = [await Player.begin('old'), await Player.begin('young')]
  const { deadlocks } = deadlocksOf(t, [young, old], ['3'])
  await old.take(0, 'a')
  await young.take(1, 'a')
  const waits = [old.take(1, 'a'), young.take(0, 'a')]
  await untilWaiting(2)
  await deadlocks.round()
  assert.deepEqual([old.gaveWay, young.gaveWay], [[], ['1']])
  await waits[1]
  await young.end()
  assert.equal(await waits[0], 'taken')
  await old.end()
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
