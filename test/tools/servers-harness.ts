// For tests: a group of real PostgreSQL servers as the product runs them, in a folder of their own. When the test ends
// they are ended, and that nothing is left of them is asserted.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, lstatSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Access, DatabaseSpec, Durability, ServerSpec } from '../../src/database/contract.ts'
import {
  chooseServerUser,
  createServers,
  type DatabaseServers,
  type ServersOptions,
} from '../../src/database/servers/index.ts'
import { processesAt } from '../../src/io/process-places.ts'
import { systemClock } from '../../src/kit/clock.ts'

export interface GroupOptions {
  /** Copies beside `main-1`; 2 unless told. */
  readonly replicas?: number
  /** Instead of `replicas`: every server, the first is the primary. */
  readonly members?: readonly ServerSpec[]
  readonly settings?: Readonly<Record<string, string>>
  readonly access?: Readonly<Record<string, Access>>
  readonly durability?: Durability
  readonly directories?: Readonly<Record<string, string>>
  readonly name?: string
  /** Where `.tenfold` is made; a fresh folder that anybody may enter unless told. */
  readonly directory?: string
}

export interface Group {
  readonly servers: DatabaseServers
  readonly spec: DatabaseSpec
  readonly options: ServersOptions
  readonly ids: readonly string[]
  /** Of this server's data. */
  data(id: string): string
  /** A connection as one of the roles. */
  url(id: string, role?: string, database?: string): string
  /** Another view of the same servers, as the next supervisor has it. Released after the test. */
  again(spec?: DatabaseSpec): DatabaseServers
}

/** Makes the folders and opens them; starts nothing. */
export async function serverGroup(t: Pick<TestContext, 'after'>, options: GroupOptions = {}): Promise<Group> {
  const root = options.directory ?? mkdtempSync(join(tmpdir(), 'tenfold-servers-'))
  if (options.directory === undefined) chmodSync(root, 0o755)
  const group = describeGroup(root, options)
  t.after(async () => {
    await endGroup(group)
    if (options.directory === undefined) rmSync(root, { recursive: true, force: true })
  })
  await group.servers.open()
  return group
}

/** A primary and its replicas, all taking connections, the replicas streaming. */
export async function startServers(
  t: Pick<TestContext, 'after'>,
  options: GroupOptions = {},
): Promise<Group> {
  const group = await serverGroup(t, options)
  const [primary, ...replicas] = group.ids as [string, ...string[]]
  const { servers } = group
  await servers.create(primary)
  // Cascading ones need whom they follow first.
  const specs = membersOf(group.spec)
  const direct = specs.filter(one => one.id !== primary && one.from === 'primary')
  await Promise.all(direct.map(one => servers.clone(one.id, primary, () => {})))
  for (const one of specs.filter(({ from }) => from !== 'primary'))
    await servers.clone(one.id, one.from, () => {})
  for (const id of replicas) await streams(servers, id)
  return group
}

export async function streams(servers: DatabaseServers, id: string): Promise<void> {
  await until(`${id} streams`, async () => (await servers.observe(id, 5000)).streamsFrom !== null)
}

/** Looks again and again; a bound on liveness only. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = systemClock.monotonic() + 60_000_000
  while (!(await holds())) {
    assert.ok(systemClock.monotonic() < end, `within a minute: ${what}`)
    await sleep(10)
  }
}

export function membersOf(spec: DatabaseSpec): readonly ServerSpec[] {
  assert.ok(spec.servers.kind === 'embedded')
  return spec.servers.members
}

function describeGroup(root: string, options: GroupOptions): Group {
  const name = options.name ?? 'main'
  const count = 1 + (options.replicas ?? 2)
  const numbered = Array.from({ length: count }, (_, at) => ({
    id: `${name}-${at + 1}`,
    from: 'primary' as const,
    delayMs: 0,
  }))
  const spec: DatabaseSpec = {
    name,
    database: 'app',
    durability: options.durability ?? 'primary',
    failover: { automatic: false, detectTimeoutMs: 1000 },
    access: options.access ?? { web: 'owner' },
    backup: null,
    servers: {
      kind: 'embedded',
      members: options.members ?? numbered,
      // The disk is not what is tested, and processes that are killed lose nothing by it.
      settings: { fsync: 'off', shared_buffers: '32MB', ...options.settings },
      directories: options.directories ?? {},
    },
  }
  const quiet = { info: () => {}, warn: () => {}, error: () => {} }
  const serverOptions: ServersOptions = {
    spec,
    stateDirectory: join(root, '.tenfold'),
    user: chooseServerUser(process.geteuid?.(), [65_534]),
    clock: systemClock,
    log: quiet,
  }
  const servers = createServers(serverOptions)
  const others: DatabaseServers[] = []
  const group: Group & { others: DatabaseServers[] } = {
    servers,
    spec,
    options: serverOptions,
    others,
    ids: membersOf(spec).map(member => member.id),
    data: id => dataOf(serverOptions, id),
    url: (id, role = 'tenfold', database = 'app') => {
      const { host, port } = servers.address(id)
      const password = servers.roles.find(one => one.name === role)?.password
      assert.ok(password, `a role ${role}`)
      return `postgres://${role}:${password}@${host}:${port}/${database}`
    },
    again: (changed = spec) => {
      const more = createServers({ ...serverOptions, spec: changed })
      others.push(more)
      return more
    },
  }
  return group
}

function homeOf({ stateDirectory, spec }: ServersOptions): string {
  const home = join(stateDirectory, 'db', spec.name)
  const found = lstatSync(home, { throwIfNoEntry: false })
  return found?.isSymbolicLink() ? readlinkSync(home) : home
}

function dataOf(options: ServersOptions, id: string): string {
  assert.ok(options.spec.servers.kind === 'embedded')
  return join(options.spec.servers.directories[id] ?? join(homeOf(options), id), 'data')
}

async function endGroup(group: Group): Promise<void> {
  const { servers, ids, options, others } = group as Group & { others: DatabaseServers[] }
  for (const one of others) one.release()
  const data = ids.map(id => dataOf(options, id))
  const home = homeOf(options)
  try {
    await servers.open().catch(() => {})
    for (const id of ids) await servers.fence(id).catch(() => {})
  } finally {
    servers.release()
  }
  const left = data.flatMap(path => processesAt(path, 'postgres').map(row => `${row.pid} at ${path}`))
  assert.deepEqual(left, [], 'no process of a server is left')
  if (home !== join(options.stateDirectory, 'db', options.spec.name))
    rmSync(dirname(home), { recursive: true, force: true })
}

/** Gives a folder to an unprivileged user and says who: for tests of life without root. */
export function giveTo(folder: string, user: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  const ids = { uid: id('-u'), gid: id('-g') }
  chownSync(folder, ids.uid, ids.gid)
  return ids
}
