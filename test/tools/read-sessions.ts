// A primary with replicas, a planner before them, and what plays the router: sessions that write and read through plain
// connections and tell the planner what a router tells it. Every read is checked against what was acknowledged before it
// was sent.

import { strict as assert } from 'node:assert'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { ReadsSetting, TopologyServer } from '../../src/database/contract.ts'
import type { ReadPlanner, ReadReason, ReadState } from '../../src/database/reads/contract.ts'
import { createReadPlanner } from '../../src/database/reads/index.ts'
import type { RoutedDatabase } from '../../src/database/router/snapshot.ts'
import type { Catalogue } from '../../src/database/sql/contract.ts'
import { type Clock, systemClock } from '../../src/kit/clock.ts'
import { type Random, seededRandom } from '../../src/kit/random.ts'
import { type PostgresReplica, primarySettings, startReplica } from './postgres-replica.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

export interface Cluster {
  readonly primary: PostgresServer
  readonly replicas: readonly PostgresReplica[]
  readonly database: RoutedDatabase
}

const rows = 8

export async function startCluster(
  t: Pick<TestContext, 'after'>,
  names: readonly string[] = ['main-2', 'main-3'],
  settings: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  const primary = await startPostgres(t, { settings: { ...primarySettings, ...settings } })
  const client = new pg.Client({ connectionString: primary.url })
  await client.connect()
  await client.query(`CREATE TABLE ledger (id int PRIMARY KEY, n bigint NOT NULL);
    INSERT INTO ledger SELECT id, 0 FROM generate_series(0, ${rows - 1}) id;
    GRANT ALL ON ledger TO app;
    CREATE ROLE tenfold_monitor LOGIN PASSWORD 'secret' IN ROLE pg_monitor`)
  await client.end()
  const replicas: PostgresReplica[] = []
  for (const name of names) replicas.push(await startReplica(t, primary, name))
  return { primary, replicas, database: routed(primary, replicas) }
}

export function routed(
  primary: { readonly port: number },
  replicas: readonly PostgresReplica[],
  given: Partial<RoutedDatabase> = {},
): RoutedDatabase {
  return {
    name: 'main',
    database: 'app',
    listener: { host: '127.0.0.1', port: 0 },
    epoch: 1,
    timeline: 1,
    primary: 'main-1',
    holding: false,
    trouble: '',
    servers: [
      serverOf('main-1', primary.port, 'primary'),
      ...replicas.map(one => serverOf(one.name, one.port)),
    ],
    serverTls: { mode: 'off' },
    users: [],
    monitor: { user: 'tenfold_monitor', password: 'secret' },
    reads: { kind: 'fresh' },
    readWaitMs: 20,
    balance: 'least-connections',
    weights: {},
    pool: {
      sizeMax: 20,
      clientsMax: 100,
      waitingMax: 100,
      waitTimeoutMs: 5_000,
      idleTimeoutMs: 60_000,
      lifetimeMs: 600_000,
      transactionIdleTimeoutMs: 0,
      statementTimeoutMs: 0,
      preparedMax: 100,
      messageBytesMax: 1_000_000,
      loginTimeoutMs: 5_000,
    },
    hold: { timeoutMs: 10_000, statementsMax: 100 },
    shared: false,
    lag: { lessFromMs: 1_000, notFromMs: 10_000 },
    ...given,
  }
}

export function serverOf(id: string, port: number, role: TopologyServer['role'] = 'replica'): TopologyServer {
  return { id, host: '127.0.0.1', port, role, state: 'ready', delayMs: 0, reason: '' }
}

export const calm: Catalogue = { calm: new Set(), unsafeRelations: new Set(), asynchronousCommit: false }

export function plannerOf(
  t: Pick<TestContext, 'after'>,
  database: RoutedDatabase,
  given: { readonly catalogue?: () => Catalogue; readonly clock?: Clock } = {},
): ReadPlanner {
  const planner = createReadPlanner({
    database,
    clock: given.clock ?? systemClock,
    random: seededRandom(7),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    learn: () => undefined,
    readCatalogue: async query => {
      assert.equal((await query('SELECT 1'))[0]?.[0], '1')
      return given.catalogue?.() ?? calm
    },
  })
  t.after(() => planner.close())
  return planner
}

export const newSession = (): ReadState => ({ lastWrite: 0, after: null })

/** Where a read goes, and why. */
export function placed(
  planner: ReadPlanner,
  state: ReadState,
  reads: ReadsSetting,
): Promise<{ server: string; reason: ReadReason }> {
  return new Promise(done => {
    const server = planner.place(state, reads, (late, reason) => done({ server: late, reason }))
    if (server !== null) done({ server, reason: planner.reasonOfLast })
  })
}

/** Until the reads of this kind that nothing is in the way of go to every one of these servers. */
export async function untilServed(
  planner: ReadPlanner,
  reads: ReadsSetting,
  servers: readonly string[],
): Promise<void> {
  const missing = new Set(servers)
  await until(async () => {
    missing.delete((await placed(planner, newSession(), reads)).server)
    return missing.size === 0
  })
}

export async function until(holds: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const end = systemClock.monotonic() + limitMs * 1_000
  while (!(await holds())) {
    assert.ok(systemClock.monotonic() < end, `it does not come to pass: ${holds}`)
    await sleep(2)
  }
}

/** Plays the router towards the servers: one connection a session and server. */
export class Sessions {
  readonly planner: ReadPlanner
  /** What was acknowledged, by row. */
  readonly acknowledged: bigint[] = Array.from({ length: rows }, () => 0n)
  /** Ports by server id; '' is the primary. */
  readonly ports: Map<string, number>
  readonly random: Random
  stale = 0
  reads = 0
  writes = 0
  /** A COMMIT of its own with this setting. */
  synchronousCommit = 'on'
  readonly byServer: Map<string, number> = new Map()
  readonly #clients: pg.Client[] = []

  constructor(t: Pick<TestContext, 'after'>, planner: ReadPlanner, database: RoutedDatabase, seed: number) {
    this.planner = planner
    this.random = seededRandom(seed)
    this.ports = new Map(database.servers.map(one => [one.id, one.port]))
    this.ports.set('', this.ports.get(database.primary ?? '') ?? 0)
    t.after(() => this.close())
  }

  async connect(server: string): Promise<pg.Client> {
    const port = this.ports.get(server)
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'app',
      password: 'secret',
      database: 'app',
    } as pg.ClientConfig)
    client.on('error', () => undefined)
    await client.connect()
    this.#clients.push(client)
    return client
  }

  /** Writes to a row that is its own until told to stop. */
  async write(row: number, goesOn: () => boolean, state: ReadState = newSession()): Promise<void> {
    const client = await this.connect('')
    await client.query(`SET synchronous_commit = ${this.synchronousCommit}`)
    while (goesOn()) await this.writeOnce(client, row, state)
  }

  async writeOnce(client: pg.Client, row: number, state: ReadState): Promise<void> {
    this.planner.writing()
    const { rows: changed } = await client.query({
      name: 'write',
      text: 'UPDATE ledger SET n = n + 1 WHERE id = $1 RETURNING n',
      values: [row],
    })
    this.planner.wrote(state)
    this.writes++
    this.acknowledged[row] = BigInt(changed[0].n)
  }

  /** Reads all rows again and again; `own` limits the check to the rows that this session wrote. */
  async read(
    reads: ReadsSetting,
    goesOn: () => boolean,
    state: ReadState = newSession(),
    own?: number,
  ): Promise<void> {
    const connections = new Map<string, pg.Client>()
    while (goesOn()) {
      const before = own === undefined ? [...this.acknowledged] : [this.acknowledged[own] as bigint]
      const { server } = await placed(this.planner, state, reads)
      const client = connections.get(server) ?? (await this.connect(server))
      connections.set(server, client)
      const seen = await this.#look(client, server, own)
      this.reads++
      this.byServer.set(server, (this.byServer.get(server) ?? 0) + 1)
      if (before.some((n, at) => (seen[at] as bigint) < n)) this.stale++
    }
  }

  async #look(client: pg.Client, server: string, own: number | undefined): Promise<bigint[]> {
    const began = systemClock.monotonic()
    this.planner.began(server)
    const { rows: found } = await client.query({
      ...(own === undefined
        ? { name: 'all', text: 'SELECT n FROM ledger ORDER BY id' }
        : { name: 'own', text: 'SELECT n FROM ledger WHERE id = $1', values: [own] }),
      rowMode: 'array',
    })
    this.planner.ended(server, systemClock.monotonic() - began, false)
    return (found as unknown as string[][]).map(row => BigInt(row[0] as string))
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(client => client.end().catch(() => undefined)))
  }
}

/** Pauses and resumes replicas at random until told to stop; all run again at the end. */
export async function unsettle(
  replicas: readonly PostgresReplica[],
  random: Random,
  goesOn: () => boolean,
): Promise<void> {
  while (goesOn()) {
    const replica = replicas[random.below(replicas.length)] as PostgresReplica
    await replica.pause()
    await sleep(1 + random.below(60))
    await replica.resume()
    await sleep(random.below(40))
  }
}
