// Servers in memory that answer as real ones do, over the same world that the policy is tried on: for tests of the agent
// in which it dies at every step. The real ones are in test/database/.

import { setImmediate as soon } from 'node:timers/promises'
import { type FailoverWorld, quorumOf } from '../../../policy/testing/failover-world.ts'
import type { DatabaseRole, DatabaseSpec, LogPosition } from '../../contract.ts'
import type {
  DatabaseServers,
  FoundServer,
  IsolatedServer,
  ServerAddress,
  ServerObservation,
} from '../../servers/contract.ts'

const portBase = 40_000

export class FakeServers implements DatabaseServers {
  readonly canFence = true
  readonly roles: readonly DatabaseRole[] = []
  /** Of each call, as `promote b`. */
  readonly calls: string[] = []
  readonly world: FailoverWorld
  #listener: (id: string) => void = () => {}

  constructor(world: FailoverWorld) {
    this.world = world
  }

  get #ids(): string[] {
    return [...this.world.servers.keys()]
  }

  async open(): Promise<readonly FoundServer[]> {
    return this.#ids.map(id => {
      const { disk, process } = this.world.get(id)
      return { ...this.address(id), disk, running: process === 'running' }
    })
  }

  address(id: string): ServerAddress {
    return { id, host: '127.0.0.1', port: portBase + this.#ids.indexOf(id) }
  }

  async #call(name: string, id: string): Promise<void> {
    this.calls.push(`${name} ${id}`)
    await soon()
  }

  async create(id: string): Promise<void> {
    await this.#call('create', id)
    this.world.create(id)
  }

  async start(id: string): Promise<void> {
    await this.#call('start', id)
    if (this.world.get(id).process === 'running') return
    this.world.kill(id)
    this.world.start(id)
  }

  async stop(id: string, mode: 'fast' | 'immediate'): Promise<void> {
    await this.#call('stop', id)
    if (mode === 'fast') this.world.stream()
    this.world.kill(id)
  }

  async fence(id: string): Promise<void> {
    await this.#call('fence', id)
    this.world.fence(id)
  }

  async observe(id: string): Promise<ServerObservation> {
    await soon()
    const seen = this.world.look(id, 0, 0)
    const { timeline, lsn } = seen
    return {
      id,
      processAlive: seen.processAlive,
      answers: seen.answers,
      problem: seen.problem,
      inRecovery: seen.inRecovery,
      position: { timeline, lsn },
      receivedLsn: lsn,
      replayedLsn: lsn,
      streamsFrom: seen.streamsFrom === null ? null : this.#place(seen.streamsFrom),
      standbys: seen.standbys.map(one => ({
        id: one.id,
        state: one.streaming ? 'streaming' : 'catchup',
        sync: 'quorum',
        flushLsn: one.flushLsn,
        replayLsn: one.flushLsn,
      })),
      writes: seen.writes,
      systemId: '1',
      tookUs: 1,
    }
  }

  #place(id: string): string {
    const { host, port } = this.address(id)
    return `${host}:${port}`
  }

  async clone(id: string, from: string): Promise<void> {
    await this.#call('clone', id)
    this.world.clone(id, from)
  }

  async promote(id: string): Promise<LogPosition> {
    await this.#call('promote', id)
    const timeline = this.world.promote(id)
    return { timeline, lsn: this.world.look(id, 0, 0).lsn }
  }

  async follow(id: string, from: string): Promise<'streams' | 'diverged'> {
    await this.#call('follow', id)
    return this.world.follow(id, from)
  }

  async setSynchronous(id: string, names: string): Promise<void> {
    await this.#call('synchronous', id)
    this.world.get(id).quorum = quorumOf(names)
  }

  async keepSlots(id: string): Promise<void> {
    await this.#call('slots', id)
  }

  async query(id: string): Promise<readonly (readonly (string | null)[])[]> {
    await soon()
    const { process, hidden } = this.world.get(id)
    if (process !== 'running') throw new Error(`${id} does not answer`)
    return [[hidden === 0 ? 't' : 'f', '0']]
  }

  release(): void {
    this.#listener = () => {}
  }

  pid(id: string): number | null {
    return this.world.get(id).process === 'running' ? 1 : null
  }

  watch(listener: (id: string) => void): void {
    this.#listener = listener
  }

  /** As when its process ends. */
  kill(id: string): void {
    this.world.kill(id)
    this.#listener(id)
  }

  async change(_spec: DatabaseSpec): Promise<{ readonly restart: readonly string[] }> {
    return { restart: [] }
  }

  async remove(id: string): Promise<void> {
    await this.#call('remove', id)
    this.world.servers.delete(id)
  }

  isolate(id: string): Promise<IsolatedServer> {
    return Promise.reject(new Error(`${id} is only in memory`))
  }

  restore(id: string): Promise<void> {
    return Promise.reject(new Error(`${id} is only in memory`))
  }
}
