// A running router for tests: in the test's own process, on a free port, in front of real servers, with a snapshot of which a
// test writes as little as it needs. Ends with its test, and then asserts what must hold for every router: no client is
// left, no connection to a server is in use.

import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { RoutedDatabaseStatus } from '../../src/database/router/control-protocol.ts'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import type { PoolSettings, RoutedDatabase, RouterSnapshot } from '../../src/database/router/snapshot.ts'
import { PostgresPeer } from './postgres-peer.ts'
import type { PostgresServer } from './postgres-server.ts'

export interface RouterSetup {
  /** The first is the primary, the others are its replicas; ids are `main-1`, `main-2`, ... */
  readonly servers: readonly Pick<PostgresServer, 'host' | 'port'>[]
  readonly pool?: Partial<PoolSettings>
  /** Whatever else the database is to have, or to have otherwise. */
  readonly more?: Partial<RoutedDatabase>
}

export interface RouterUnderTest {
  readonly router: Router
  readonly host: '127.0.0.1'
  readonly port: number
  /** Of user `app`. */
  readonly url: string
  urlOf(user: string): string
  snapshot(): RouterSnapshot
  /** What was told of servers so far. */
  readonly told: readonly string[]
  status(): RoutedDatabaseStatus
  /** The same database with changes, as the next version. */
  apply(change: Partial<RoutedDatabase>): Promise<void>
  /** A connected client; it ends with the test. */
  client(options?: pg.ClientConfig): Promise<pg.Client>
  /** The same, message by message. */
  peer(user?: string, version?: number): Promise<PostgresPeer>
  /** Waits until no client has a server connection and nobody waits. */
  idle(): Promise<void>
  stop(): Promise<void>
}

export const poolOfTests: PoolSettings = {
  sizeMax: 10,
  clientsMax: 1_000,
  waitingMax: 1_000,
  waitTimeoutMs: 20_000,
  idleTimeoutMs: 600_000,
  lifetimeMs: 3_600_000,
  transactionIdleTimeoutMs: 0,
  statementTimeoutMs: 0,
  preparedMax: 200,
  messageBytesMax: 256 * 1024 * 1024,
  loginTimeoutMs: 20_000,
}

/** Liveness only: a machine under load needs long, a healthy router never does. */
export const patienceMs = 30_000

export function databaseOf(setup: RouterSetup): RoutedDatabase {
  const servers = setup.servers.map(({ host, port }, index) => ({
    id: `main-${index + 1}`,
    host,
    port,
    role: index === 0 ? ('primary' as const) : ('replica' as const),
    state: 'ready' as const,
    delayMs: 0,
    reason: '',
  }))
  return {
    name: 'main',
    database: 'app',
    listener: { host: '127.0.0.1', port: 0 },
    epoch: 1,
    timeline: 1,
    primary: 'main-1',
    holding: false,
    trouble: '',
    servers,
    serverTls: { mode: 'off' },
    users: ['app', 'tenfold'].map(name => ({
      name,
      password: 'secret',
      access: 'owner' as const,
      server: { user: name, password: 'secret' },
    })),
    monitor: { user: 'tenfold', password: 'secret' },
    reads: { kind: 'primary' },
    readWaitMs: 20,
    balance: 'least-connections',
    weights: {},
    pool: { ...poolOfTests, ...setup.pool },
    hold: { timeoutMs: 20_000, statementsMax: 1_000 },
    shared: false,
    lag: { lessFromMs: 1_000, notFromMs: 10_000 },
    ...setup.more,
  }
}

export async function startRouter(
  t: Pick<TestContext, 'after'>,
  setup: RouterSetup,
): Promise<RouterUnderTest> {
  const told: string[] = []
  let snapshot: RouterSnapshot = { format: 1, version: 1, databases: [databaseOf(setup)] }
  const router = await createRouter({ snapshot, tell: (subject, text) => told.push(`${subject}: ${text}`) })
  const port = router.portOf('main')
  const clients: pg.Client[] = []
  const peers: PostgresPeer[] = []
  let stopped = false
  const status = (): RoutedDatabaseStatus => router.status()[0] as RoutedDatabaseStatus
  const idle = (): Promise<void> =>
    waitFor(
      () => status().servers.every(one => one.active === 0) && status().waiting === 0,
      () => `the router is not idle: ${JSON.stringify(status())}`,
    )
  const stop = async (): Promise<void> => {
    if (stopped) return
    stopped = true
    router.close()
  }
  t.after(async () => {
    for (const peer of peers) peer.close()
    await Promise.all(clients.map(client => client.end().catch(() => {})))
    if (stopped) return
    try {
      await idle()
      await waitFor(
        () => status().clients === 0,
        () => 'clients are left',
      )
    } finally {
      await stop()
    }
  })
  const urlOf = (user: string): string => `postgres://${user}:secret@127.0.0.1:${port}/app`
  return {
    router,
    host: '127.0.0.1',
    port,
    url: urlOf('app'),
    urlOf,
    snapshot: () => snapshot,
    told,
    status,
    apply: async change => {
      const [database] = snapshot.databases
      const next = { ...(database as RoutedDatabase), ...change }
      snapshot = { ...snapshot, version: snapshot.version + 1, databases: [next] }
      await router.apply(snapshot)
    },
    client: async options => {
      const client = new pg.Client({ connectionString: urlOf('app'), ...options })
      // Connections that the test ends from the other side.
      client.on('error', () => {})
      await client.connect()
      clients.push(client)
      return client
    },
    peer: async (user = 'app', version = 0x30000) => {
      const target = { host: '127.0.0.1', port, database: 'app', user, password: 'secret' }
      const peer = await PostgresPeer.logIn(target, version)
      peers.push(peer)
      return peer
    },
    idle,
    stop,
  }
}

export async function waitFor(holds: () => boolean, why: () => string): Promise<void> {
  const end = Date.now() + patienceMs
  while (!holds()) {
    if (Date.now() > end) throw new Error(why())
    await sleep(10)
  }
}
