// The servers that stand behind what is measured: a primary and replicas as Tenfold makes them, on the core that pgbench has.

import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSpec } from '../../src/database/contract.ts'
import { createServers } from '../../src/database/servers/index.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { treeOf } from '../lib/processes.ts'
import { loadCore } from '../lib/rounds.ts'

export interface BenchServer {
  readonly id: string
  readonly port: number
  /** Of the postmaster. */
  readonly pid: number
}

export interface Cluster {
  readonly primary: BenchServer
  /** The primary among them. */
  readonly servers: readonly BenchServer[]
  readonly user: { readonly name: string; readonly password: string }
  readonly monitor: { readonly user: string; readonly password: string }
  /** The superuser. */
  readonly operator: { readonly user: string; readonly password: string }
}

export const database = 'app'

function specOf(replicas: number): DatabaseSpec {
  const ids = Array.from({ length: replicas + 1 }, (_, index) => `bench-${index + 1}`)
  return {
    name: 'bench',
    database,
    servers: {
      kind: 'embedded',
      members: ids.map(id => ({ id, from: 'primary', delayMs: 0 })),
      // Commits go to the disk as they do for a user; connections for direct runs with 256 clients.
      settings: { max_connections: '400' },
      directories: {},
    },
    durability: 'primary',
    failover: { automatic: false, detectTimeoutMs: 1_000 },
    access: { bench: 'owner' },
    backup: null,
  }
}

function userOf(name: string): { name: string; uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(one => one.startsWith(`${name}:`))
  const [, , uid, gid] = (line ?? '').split(':')
  return { name, uid: Number(uid), gid: Number(gid) }
}

const quiet = { info: () => {}, warn: () => {}, error: () => {} }

export async function withCluster<T>(
  folder: string,
  replicas: number,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const spec = specOf(replicas)
  const stateDirectory = join(folder, 'servers')
  const servers = createServers({
    spec,
    stateDirectory,
    user: userOf('postgres'),
    clock: systemClock,
    log: quiet,
  })
  const ids = spec.servers.kind === 'embedded' ? spec.servers.members.map(one => one.id) : []
  const [first = '', ...others] = ids
  chmodSync(folder, 0o755)
  try {
    await servers.open()
    await servers.create(first)
    for (const id of others) await servers.clone(id, first, () => {})
    const running = ids.map(id => ({ ...servers.address(id), pid: postmasterOf(stateDirectory, id) }))
    for (const { pid } of running) pin(pid)
    const role = (name: string): { name: string; password: string } => {
      const found = servers.roles.find(one => one.name === name)
      if (found === undefined) throw new Error(`no role ${name}`)
      return found
    }
    const monitor = role('tenfold_monitor')
    const operator = role('tenfold')
    return await work({
      primary: running[0] as BenchServer,
      servers: running,
      user: role('svc_bench'),
      monitor: { user: monitor.name, password: monitor.password },
      operator: { user: operator.name, password: operator.password },
    })
  } finally {
    for (const id of ids.toReversed()) await servers.stop(id, 'immediate').catch(() => {})
  }
}

function pin(postmaster: number): void {
  for (const pid of treeOf(postmaster)) spawnSync('taskset', ['-a', '-cp', String(loadCore), String(pid)])
}

function postmasterOf(stateDirectory: string, id: string): number {
  const found = spawnSync('find', [join(stateDirectory, 'db', 'bench', id), '-name', 'postmaster.pid'], {
    encoding: 'utf8',
  })
  return Number(readFileSync(found.stdout.trim(), 'utf8').split('\n')[0])
}
