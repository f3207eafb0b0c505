// For tests and the benchmark: a database with its agent over real servers, writers that keep a ledger of what was
// acknowledged to them, and the faults. Clients follow what the agent publishes, as a router would have them do.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { DatabaseGroup, GroupOptions } from '../../src/database/agent/contract.ts'
import { createDatabaseGroup, type GroupSeams } from '../../src/database/agent/group.ts'
import type {
  DatabaseDecision,
  DatabaseSpec,
  Durability,
  ServerSpec,
  Topology,
} from '../../src/database/contract.ts'
import { chooseServerUser, createServers } from '../../src/database/servers/index.ts'
import { systemClock } from '../../src/kit/clock.ts'
import { seededRandom } from '../../src/kit/random.ts'

export interface FailoverOptions {
  readonly durability?: Durability
  readonly replicas?: number
  readonly members?: readonly ServerSpec[]
  readonly directories?: Readonly<Record<string, string>>
  readonly detectTimeoutMs?: number
  readonly settings?: Readonly<Record<string, string>>
  readonly seams?: GroupSeams
  readonly directory?: string
}

export interface FailoverGroup {
  readonly group: DatabaseGroup
  readonly spec: DatabaseSpec
  readonly options: GroupOptions
  readonly topologies: Topology[]
  readonly decisions: DatabaseDecision[]
  topology(): Topology
  url(id: string, role?: string): string
  /** Ended with the test, before the servers are. */
  readonly endings: (() => Promise<void>)[]
  /** The next agent of the same servers, as after the death of a supervisor. */
  next(seams?: GroupSeams): DatabaseGroup
}

export function failoverSpec(options: FailoverOptions): DatabaseSpec {
  const count = 1 + (options.replicas ?? 2)
  const members = Array.from({ length: count }, (_, at) => ({
    id: `main-${at + 1}`,
    from: 'primary' as const,
    delayMs: 0,
  }))
  return {
    name: 'main',
    database: 'app',
    durability: options.durability ?? 'one-replica',
    failover: { automatic: true, detectTimeoutMs: options.detectTimeoutMs ?? 1_000 },
    access: { web: 'owner' },
    backup: null,
    servers: {
      kind: 'embedded',
      members: options.members ?? members,
      // Processes are killed, not machines: what the system has taken is kept.
      settings: { fsync: 'off', shared_buffers: '16MB', ...options.settings },
      directories: options.directories ?? {},
    },
  }
}

/** Not started. When the test ends, no server of it is left. */
export function failoverGroup(t: Pick<TestContext, 'after'>, options: FailoverOptions = {}): FailoverGroup {
  const root = options.directory ?? mkdtempSync(join(tmpdir(), 'tenfold-failover-'))
  chmodSync(root, 0o755)
  const topologies: Topology[] = []
  const decisions: DatabaseDecision[] = []
  const quiet = { info: () => {}, warn: () => {}, error: () => {} }
  const groupOptions: GroupOptions = {
    spec: failoverSpec(options),
    stateDirectory: join(root, '.tenfold'),
    user: chooseServerUser(process.geteuid?.(), [65_534]),
    clock: systemClock,
    random: seededRandom(1),
    log: quiet,
    lease: { held: () => true },
    decided: decision => {
      decisions.push(decision)
      if (process.env.TENFOLD_TELL === '1')
        console.log(`${(performance.now() / 1000).toFixed(3)} ${decision.server ?? ''} ${decision.text}`)
    },
    publish: async topology => {
      topologies.push(topology)
    },
    drained: async () => true,
  }
  const groups: DatabaseGroup[] = []
  const make = (seams: GroupSeams = {}): DatabaseGroup => {
    const group = createDatabaseGroup(groupOptions, { ...options.seams, ...seams })
    groups.push(group)
    return group
  }
  const made: FailoverGroup = {
    group: make(),
    spec: groupOptions.spec,
    options: groupOptions,
    topologies,
    decisions,
    topology: () => topologies.at(-1)!,
    url: (id, role = 'svc_web') => {
      const latest = groups.at(-1)!
      const { host, port } = latest.servers.address(id)
      const password = latest.roles.find(one => one.name === role)?.password
      return `postgres://${role}:${password}@${host}:${port}/app`
    },
    endings: [],
    next: make,
  }
  t.after(async () => {
    await Promise.all(made.endings.map(end => end()))
    for (const group of groups) group.release()
    await endServers(groupOptions)
    if (options.directory === undefined) rmSync(root, { recursive: true, force: true })
  })
  return made
}

async function endServers(options: GroupOptions): Promise<void> {
  const servers = createServers(options)
  try {
    const found = await servers.open()
    for (const { id } of found) await servers.fence(id)
  } finally {
    servers.release()
  }
}

export async function startedGroup(
  t: Pick<TestContext, 'after'>,
  options: FailoverOptions = {},
): Promise<FailoverGroup> {
  const made = failoverGroup(t, options)
  await made.group.start(() => {})
  await once(made, 'takes writes', () => made.topology()?.primary != null)
  return made
}

/** Looks again and again; a bound on liveness only. */
export async function once(
  made: Pick<FailoverGroup, 'decisions'>,
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const end = performance.now() + limitMs
  while (!(await holds())) {
    if (performance.now() > end) {
      const told = made.decisions.slice(-30).map(one => `${one.server ?? ''} ${one.text}`)
      assert.fail(`within ${limitMs / 1000} s: ${what}\n${told.join('\n')}`)
    }
    await sleep(10)
  }
}

/** Primary open, and everybody else streams from it or from his own source. */
export function whole(made: FailoverGroup, group: DatabaseGroup = made.group): () => boolean {
  return () => {
    const status = group.status()
    const primary = status.servers.find(one => one.role === 'primary')?.id
    const others = status.servers.filter(one => one.role === 'replica')
    const right = (from: string | null): boolean => from === primary || (from !== null && cascades(made))
    return status.state === 'ready' && others.every(one => right(one.from))
  }
}

function cascades({ spec }: FailoverGroup): boolean {
  return spec.servers.kind === 'embedded' && spec.servers.members.some(one => one.from !== 'primary')
}

/** Writes rows, one after the other, to whoever is the primary, and remembers which were acknowledged. */
export class Ledger {
  readonly acknowledged: Set<string> = new Set()
  /** Sent and never answered: may be there or not. */
  readonly unknown: Set<string> = new Set()
  /** When each acknowledgement came; `performance.now()`. */
  readonly times: number[] = []
  readonly #made: FailoverGroup
  readonly #writers: Promise<void>[] = []
  #stopped = false

  constructor(made: FailoverGroup) {
    this.#made = made
    made.endings.push(() => this.end())
  }

  async begin(writers: number): Promise<void> {
    const client = await this.#client(this.#made.topology().primary!)
    await client.query(
      'CREATE TABLE IF NOT EXISTS ledger (id text PRIMARY KEY, at timestamptz DEFAULT now())',
    )
    await client.end()
    for (let i = 0; i < writers; i++) this.#writers.push(this.#write())
    await once(this.#made, 'writes are acknowledged', () => this.acknowledged.size > 10)
  }

  async end(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#writers)
  }

  async #client(id: string): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#made.url(id),
      connectionTimeoutMillis: 2_000,
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async #write(): Promise<void> {
    let client: pg.Client | null = null
    let epoch = -1
    while (!this.#stopped) {
      const topology = this.#made.topology()
      if (topology.primary === null || topology.holding) {
        await sleep(1)
        continue
      }
      if (client === null || epoch !== topology.epoch) {
        void client?.end().catch(() => {})
        epoch = topology.epoch
        client = await this.#client(topology.primary).catch(() => null)
        if (client === null) await sleep(2)
        continue
      }
      const id: string = randomUUID()
      this.unknown.add(id)
      const current: pg.Client = client
      // As a router does: with a new epoch the connections to the old primary are closed, whatever runs on them.
      const outdated = setInterval(() => {
        if (this.#stopped || this.#made.topology().epoch !== epoch) cut(current)
      }, 20)
      try {
        await current.query('INSERT INTO ledger (id) VALUES ($1)', [id])
        this.unknown.delete(id)
        this.acknowledged.add(id)
        this.times.push(performance.now())
      } catch {
        cut(current)
        client = null
      } finally {
        clearInterval(outdated)
      }
    }
    if (client !== null) cut(client)
  }

  /** Acknowledged, and not on the primary of now. */
  async missing(): Promise<string[]> {
    const client = await this.#client(this.#made.topology().primary!)
    const { rows } = await client.query<{ id: string }>('SELECT id FROM ledger')
    await client.end()
    const there = new Set(rows.map(row => row.id))
    return [...this.acknowledged].filter(id => !there.has(id))
  }

  /** The longest time without an acknowledgement that began after `sinceMs`. */
  gapAfter(sinceMs: number): number {
    const next = this.times.find(at => at > sinceMs + 1)
    return next === undefined ? Number.POSITIVE_INFINITY : next - sinceMs
  }
}

function cut(client: pg.Client): void {
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
}
