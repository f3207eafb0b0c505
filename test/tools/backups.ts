// For tests of backups: a database's backups over a server of test/tools, with folders that go when the test ends.

import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Backups, createBackups } from '../../src/database/backup/index.ts'
import type {
  DatabaseDecision,
  DatabaseLog,
  DatabaseRole,
  DatabaseSpec,
  Topology,
} from '../../src/database/contract.ts'
import { createServers, type DatabaseServers, type ServersOptions } from '../../src/database/servers/index.ts'
import { userIds } from '../../src/io/process.ts'
import { systemClock } from '../../src/kit/clock.ts'
import type { PostgresServer } from './postgres-server.ts'

export const silent: DatabaseLog = { info: () => {}, warn: () => {}, error: () => {} }

export function databaseUser(): ServersOptions['user'] {
  if (process.getuid?.() !== 0) return null
  const ids = userIds('postgres') ?? userIds('nobody')
  return ids === null ? null : { name: 'postgres', uid: ids.uid, gid: ids.gid }
}

export function specOf(name: string, backupDirectory: string | null): DatabaseSpec {
  return {
    name,
    database: 'app',
    servers: {
      kind: 'embedded',
      members: [{ id: `${name}-1`, from: 'primary', delayMs: 0 }],
      settings: {},
      directories: {},
    },
    durability: 'primary',
    failover: { automatic: true, detectTimeoutMs: 1000 },
    access: {},
    backup:
      backupDirectory === null
        ? null
        : { directory: backupDirectory, everyMs: 86_400_000, keep: 2, drillEveryMs: null },
  }
}

export const replicationRole: DatabaseRole = {
  name: 'tenfold_replication',
  password: 'copies',
  access: 'read',
  service: null,
}

export interface BackupBench {
  readonly folder: string
  readonly options: ServersOptions
  readonly backups: Backups
  readonly decided: DatabaseDecision[]
  /** As the next supervisor would: over the same folders. */
  again(): Backups
  topology: Topology
  /** Those that the servers of another database will have. */
  newRoles(t: TestContext, into: ServersOptions): Promise<readonly DatabaseRole[]>
}

const folders: string[] = []
// When everything that works in them has ended: hooks of a test run in the order in which they were registered.
process.once('exit', () => {
  for (const folder of folders) removeFolder(folder)
})

/** PostgreSQL's user can't get into these folders, so its data lies behind links. */
function removeFolder(folder: string): void {
  const homes = join(folder, 'state', 'db')
  for (const name of existsSync(homes) ? readdirSync(homes) : [])
    if (existsSync(join(homes, name)))
      rmSync(dirname(realpathSync(join(homes, name))), { recursive: true, force: true })
  rmSync(folder, { recursive: true, force: true })
}

/** It goes with the process. */
export function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-backup-'))
  folders.push(folder)
  return folder
}

export function topologyOf(
  servers: readonly { id: string; port: number }[],
  primary: string | null,
): Topology {
  return {
    database: 'main',
    epoch: 1,
    timeline: 1,
    primary,
    trouble: '',
    holding: false,
    servers: servers.map(({ id, port }) => ({
      id,
      host: '127.0.0.1',
      port,
      role: id === primary ? 'primary' : 'replica',
      state: 'ready',
      delayMs: 0,
      reason: '',
    })),
  }
}

export async function startBackups(t: TestContext, server: PostgresServer): Promise<BackupBench> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query("CREATE ROLE tenfold_replication REPLICATION LOGIN PASSWORD 'copies'")
  await client.end()
  return benchOf(t, topologyOf([{ id: 'main-1', port: server.port }], 'main-1'), [replicationRole])
}

export function benchOf(
  t: TestContext,
  topology: Topology,
  roles: readonly DatabaseRole[],
  folder: string = openFolder(),
): BackupBench {
  const options: ServersOptions = {
    spec: specOf('main', join(folder, 'backups')),
    stateDirectory: join(folder, 'state'),
    user: databaseUser(),
    clock: systemClock,
    log: silent,
  }
  const decided: DatabaseDecision[] = []
  const all: Backups[] = []
  const again = (): Backups => {
    const made = createBackups({
      ...options,
      roles: () => roles,
      topology: () => bench.topology,
      decided: one => void decided.push(one),
    })
    all.push(made)
    return made
  }
  const bench: BackupBench = { folder, options, decided, topology, again, newRoles, backups: null as never }
  t.after(async () => {
    for (const one of all) await one.stop()
  })
  return Object.assign(bench, { backups: again() })
}

/** Waits for a condition, for a minute at most. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | null> | Value | null,
): Promise<Value> {
  for (let tries = 0; tries < 1200; tries++) {
    const found = await look()
    if (found !== null) return found
    await sleep(50)
  }
  throw new Error(`never happened: ${what}`)
}

/** Real servers of the product: the first is the primary, the others stream from it. */
export async function startServers(
  t: TestContext,
  folder: string,
  name: string,
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<DatabaseServers> {
  const spec = specOf(name, null)
  const members = Array.from({ length: count }, (_, index) => ({
    id: `${name}-${index + 1}`,
    from: 'primary' as const,
    delayMs: 0,
  }))
  const servers = createServers({
    spec: { ...spec, servers: { kind: 'embedded', members, settings, directories: {} } },
    stateDirectory: join(folder, 'state'),
    user: databaseUser(),
    clock: systemClock,
    log: silent,
  })
  t.after(async () => {
    for (const { id } of members) await servers.stop(id, 'immediate')
    servers.release()
  })
  const found = await servers.open()
  for (const { id, disk } of found) {
    if (disk !== 'empty') await servers.start(id)
    else if (id === `${name}-1`) await servers.create(id)
    else await servers.clone(id, `${name}-1`, () => {})
  }
  return servers
}

export async function clientOf(t: TestContext, servers: DatabaseServers, id: string): Promise<pg.Client> {
  const { host, port } = servers.address(id)
  const { name, password } = servers.roles[0] as DatabaseRole
  const client = new pg.Client({ host, port, user: name, password, database: 'app' })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  return client
}

async function newRoles(_t: TestContext, into: ServersOptions): Promise<readonly DatabaseRole[]> {
  const servers = createServers(into)
  await servers.open()
  const { roles } = servers
  servers.release()
  return roles
}
