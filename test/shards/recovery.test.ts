// Prepared transactions that coordinators left behind at each step, on real servers: what recovery makes of them.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, test } from 'node:test'
import pg from 'pg'
import { Session } from '../../src/database/servers/session.ts'
import type { ShardPrimary } from '../../src/database/shards/primaries.ts'
import { ShardRecovery } from '../../src/database/shards/recovery.ts'
import { decisionSql, installShardSchema } from '../../src/database/shards/schema/index.ts'
import { seededRandom } from '../../src/kit/random.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'

const ids = ['1', '2', '3']
const map = { format: 1 as const, version: 1, shards: ids, families: {}, tables: {} }
const bounds = { settleMs: 0, alertMs: 60_000 }
const transfers = Number(process.env.TENFOLD_TEST_ROUNDS ?? 50)

let servers: PostgresServer[] = []
const endings: (() => Promise<void> | void)[] = []
/** Shards whose primary nobody knows. */
const hidden = new Set<string>()

before(async () => {
  const t = { after: (end: unknown) => endings.push(end as () => void) } as never
  servers = await Promise.all(
    ids.map(() => startPostgres(t, { settings: { max_prepared_transactions: '100' } })),
  )
  for (const [at, id] of ids.entries()) {
    const session = new Session(() => serverOf(id, 'tenfold'))
    await installShardSchema({ ask: sql => session.query(sql, 20_000), shard: id, map })
    session.close()
    const client = await connected(at)
    await client.query('CREATE TABLE accounts (name text PRIMARY KEY, cents bigint NOT NULL)')
    await client.query("INSERT INTO accounts VALUES ('a', 100000), ('b', 100000)")
    await client.end()
  }
})

test.after(async () => {
  for (const end of endings.reverse()) await end()
})

function serverOf(id: string, user: string) {
  const { host, port, database, password } = servers[ids.indexOf(id)] as PostgresServer
  return { host, port, database, password, user }
}

async function connected(at: number): Promise<pg.Client> {
  const client = new pg.Client(serverOf(ids[at] as string, 'app'))
  // Killed by the test.
  client.on('error', () => {})
  await client.connect()
  return client
}

const primaries = (): ShardPrimary[] =>
  ids.map(shard => ({
    shard,
    epoch: 1,
    target: hidden.has(shard) ? null : { ...serverOf(shard, 'tenfold'), tls: { mode: 'off' } },
  }))

function recoveryFor(t: { after(end: () => void): void }, more: object = {}) {
  const told: string[] = []
  const recovery = new ShardRecovery({
    systemId: 'test',
    shards: primaries,
    tell: text => told.push(text),
    bounds,
    ...more,
  })
  t.after(() => recovery.close())
  return { recovery, told }
}

async function numbers(sql: string): Promise<number[]> {
  const all: number[] = []
  for (const at of ids.keys()) {
    const client = await connected(at)
    const { rows } = await client.query(sql)
    all.push(...rows.map(row => Number(row.n)))
    await client.end()
  }
  return all
}

const prepared = () => numbers("SELECT count(*) AS n FROM pg_prepared_xacts WHERE gid LIKE 'tenfold:test:%'")
const cents = (name: string) => numbers(`SELECT cents AS n FROM accounts WHERE name = '${name}'`)

/** The steps of a commit after which a coordinator may die; the decider is the first shard. */
const steps = ['written', 'one prepared', 'all prepared', 'decision said', 'decided', 'one ended'] as const
type Step = (typeof steps)[number]

interface Left {
  readonly commit: string
  readonly clients: readonly pg.Client[]
}

/** A transfer from the decider to two others, as far as the step; connections stay as they are. */
async function transferUntil(step: Step, decider: number, name: string, amount: number): Promise<Left> {
  const order = [decider, ...ids.keys().filter(at => at !== decider)]
  const clients = await Promise.all(order.map(at => connected(at)))
  const commit = `tenfold:test:${ids[decider]}:${randomUUID()}`
  const left = { commit, clients }
  for (const [at, client] of clients.entries()) {
    await client.query('BEGIN')
    const change = at === 0 ? -2 * amount : amount
    await client.query(`UPDATE accounts SET cents = cents + ${change} WHERE name = '${name}'`)
  }
  const part = (at: number): string => `${commit}:${ids[order[at] as number]}`
  const [first, second, third] = clients as [pg.Client, pg.Client, pg.Client]
  if (step === 'written') return left
  await second.query(`PREPARE TRANSACTION '${part(1)}'`)
  if (step === 'one prepared') return left
  await third.query(`PREPARE TRANSACTION '${part(2)}'`)
  if (step === 'all prepared') return left
  await first.query(decisionSql(commit))
  if (step === 'decision said') return left
  await first.query('COMMIT')
  if (step === 'decided') return left
  await second.query(`COMMIT PREPARED '${part(1)}'`)
  return left
}

/** As a process that is killed: no goodbye; waits until the servers have noticed. */
async function killed({ clients }: Left): Promise<void> {
  const gone = clients.map(async client => {
    const ending = new Promise(done => client.once('end', done))
    client.connection.stream.destroy()
    await ending
  })
  await Promise.all(gone)
  for (;;) {
    const open = await numbers(
      "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'app' AND state LIKE 'idle in transaction%'",
    )
    if (open.every(one => one === 0)) return
  }
}

for (const step of steps)
  test(`a coordinator that is killed when ${step}: all of it, or nothing`, async t => {
    const earlier = await cents('a')
    await killed(await transferUntil(step, 1, 'a', 7))
    const { recovery } = recoveryFor(t)
    await recovery.round()
    const done = step === 'decided' || step === 'one ended'
    assert.deepEqual(await prepared(), [0, 0, 0])
    assert.deepEqual(await cents('a'), done ? [earlier[0]! + 7, earlier[1]! - 14, earlier[2]! + 7] : earlier)
    const ended = step === 'written' ? 0 : step === 'one prepared' || step === 'one ended' ? 1 : 2
    const { committed, rolledBack } = recovery.status()
    assert.deepEqual([committed, rolledBack], done ? [ended, 0] : [0, ended])
  })

test('waits for a coordinator that has said its decision and is about to commit', async t => {
  const earlier = await cents('a')
  const left = await transferUntil('decision said', 0, 'a', 5)
  const { recovery } = recoveryFor(t)
  const round = recovery.round()
  await left.clients[0]?.query('COMMIT')
  await round
  assert.deepEqual(await cents('a'), [earlier[0]! - 10, earlier[1]! + 5, earlier[2]! + 5])
  await killed(left)
})

test('a slow coordinator that was given up can not decide any more', async t => {
  const earlier = await cents('a')
  const left = await transferUntil('all prepared', 0, 'a', 5)
  await recoveryFor(t).recovery.round()
  await assert.rejects(left.clients[0]!.query(decisionSql(left.commit)), { code: '40001' })
  await killed(left)
  assert.deepEqual(await cents('a'), earlier)
})

test('leaves alone what is young, at work in this process, or of others', async t => {
  const left = await transferUntil('all prepared', 0, 'a', 5)
  const foreign = await connected(2)
  await foreign.query(
    "BEGIN; INSERT INTO accounts VALUES ('x', 1); PREPARE TRANSACTION 'tenfold:other:1:x:3'",
  )
  await recoveryFor(t, { bounds: { settleMs: 60_000, alertMs: 120_000 } }).recovery.round()
  await recoveryFor(t, { underWay: (commit: string) => commit === left.commit }).recovery.round()
  assert.deepEqual(await prepared(), [0, 1, 1])
  await recoveryFor(t).recovery.round()
  assert.deepEqual(await prepared(), [0, 0, 0])
  await foreign.query("ROLLBACK PREPARED 'tenfold:other:1:x:3'")
  await foreign.end()
  await killed(left)
})

test('without the decider it waits and tells people; when the decider is back, it does as decided', async t => {
  const earlier = await cents('a')
  await killed(await transferUntil('decided', 0, 'a', 3))
  const { recovery, told } = recoveryFor(t, { bounds: { settleMs: 0, alertMs: 1 } })
  hidden.add('1')
  await recovery.round()
  assert.deepEqual(await prepared(), [0, 1, 1])
  assert.match(told.join(), /2 prepared transactions .* shard 1, does not answer/)
  assert.deepEqual([recovery.status().prepared, recovery.status().overdue], [2, 2])
  assert.match(recovery.status().troubles['1'] ?? '', /no primary/)
  hidden.delete('1')
  await recovery.round()
  assert.deepEqual(await prepared(), [0, 0, 0])
  assert.deepEqual(await cents('a'), [earlier[0]! - 6, earlier[1]! + 3, earlier[2]! + 3])
})

test('decisions are forgotten after a day, unless a shard has a part of theirs or can not be looked through', async t => {
  const keeping = await transferUntil('decided', 0, 'a', 0)
  const session = new Session(() => serverOf('1', 'tenfold'))
  t.after(() => session.close())
  await session.query("UPDATE tenfold.decisions SET at = at - interval '2 days'", 5_000)
  const kept = async (): Promise<string[]> =>
    (await session.query('SELECT gid FROM tenfold.decisions', 5_000)).map(([gid]) => gid as string)
  const many = (await kept()).length
  assert.ok(many > 1)
  const { recovery } = recoveryFor(t, { bounds: { settleMs: 60_000, alertMs: 120_000 } })
  hidden.add('2')
  await recovery.round()
  assert.equal((await kept()).length, many)
  hidden.delete('2')
  await recovery.round()
  assert.deepEqual(await kept(), [keeping.commit])
  await recoveryFor(t).recovery.round()
  assert.deepEqual(await prepared(), [0, 0, 0])
  await killed(keeping)
})

test('random deaths, and two routers that recover at once: the ledger of decided transfers is what the shards have', async t => {
  const seed = Number(process.env.TENFOLD_TEST_SEED ?? Date.now() % 1e9)
  t.diagnostic(`TENFOLD_TEST_SEED=${seed}`)
  const random = seededRandom(seed)
  const expected = await cents('b')
  const two = [recoveryFor(t).recovery, recoveryFor(t).recovery]
  for (let number = 0; number < transfers; number++) {
    const step = steps[Math.floor(random.float() * steps.length)] as Step
    const decider = Math.floor(random.float() * ids.length)
    const amount = 1 + Math.floor(random.float() * 100)
    const left = await transferUntil(step, decider, 'b', amount)
    const dies = killed(left)
    if (random.float() < 0.5) await dies
    await Promise.all(two.map(one => one.round()))
    await dies
    await Promise.all(two.map(one => one.round()))
    if (step === 'decided' || step === 'one ended')
      for (const at of ids.keys()) expected[at]! += at === decider ? -2 * amount : amount
    assert.deepEqual(await prepared(), [0, 0, 0], `${number}: ${step}`)
    assert.deepEqual(await cents('b'), expected, `${number}: ${step}`)
  }
})
