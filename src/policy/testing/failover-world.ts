// PostgreSQL servers of one database as a failover sees them, in virtual time: logs, streaming, acknowledgement, death.
// True to the real ones in what decides whether a commit is lost; knows nothing of the policy that is tried on it.

import type { FailoverMember, SeenServer } from '../failover-model.ts'

/** One record of a log: which server wrote it on which timeline makes it unique. */
export interface WorldRecord {
  readonly timeline: number
  readonly by: string
  readonly n: number
}

/**
 * running    answers
 * suspended  alive and silent (SIGSTOP)
 * orphaned   its postmaster is dead, a busy backend lives on and may acknowledge what waits for no replica
 * ended      no process
 */
export type WorldProcess = 'running' | 'suspended' | 'orphaned' | 'ended'

export interface WorldServer {
  readonly id: string
  process: WorldProcess
  role: 'primary' | 'replica'
  disk: 'empty' | 'primary' | 'replica' | 'damaged'
  log: WorldRecord[]
  timeline: number
  /** Whom it is told to copy from. */
  upstream: string | null
  /** The agent gets no answer from it; clients and replicas may. */
  cut: boolean
  /** Its disk takes no more. */
  full: boolean
  /** Receives nothing, although it runs. */
  slow: boolean
  /** After a start: records at the end of its log that are not replayed yet and that it does not tell of. */
  hidden: number
  fenced: boolean
  quorum: { need: number; names: readonly string[] }
  /** Commits that wait for replicas: their clients are still there. */
  waiting: WorldRecord[]
}

export interface Acknowledged {
  readonly record: WorldRecord
  readonly server: string
  /** Replicas that it was promised to stand on. */
  readonly need: number
}

const recordBytes = 100

export class FailoverWorld {
  readonly servers: Map<string, WorldServer> = new Map()
  readonly acknowledged: Acknowledged[] = []
  #count = 0

  constructor(members: readonly FailoverMember[]) {
    for (const { id } of members) this.servers.set(id, newServer(id))
  }

  get(id: string): WorldServer {
    const server = this.servers.get(id)
    if (server === undefined) throw new Error(`no server ${id}`)
    return server
  }

  create(id: string): void {
    Object.assign(this.get(id), { process: 'running', role: 'primary', disk: 'primary', timeline: 1 })
  }

  /** A client writes. True: it was told that it is committed. */
  write(id: string): boolean {
    const server = this.get(id)
    const able = server.process === 'running' || server.process === 'orphaned'
    if (!able || server.role !== 'primary' || server.full) return false
    const record = { timeline: server.timeline, by: id, n: this.#count++ }
    server.log.push(record)
    server.waiting.push(record)
    return this.#acknowledge(server).includes(record)
  }

  /** Each replica receives what its upstream has, all of it or `part` of it. */
  stream(part: (records: number) => number = records => records): void {
    for (const server of this.servers.values()) {
      if (server.process === 'running') server.hidden = 0
      const upstream = this.upstreamOf(server)
      if (upstream === null) continue
      const more = upstream.log.slice(server.log.length)
      server.log.push(...more.slice(0, part(more.length)))
      if (server.log.length === upstream.log.length) server.timeline = upstream.timeline
    }
    for (const server of this.servers.values()) this.#acknowledge(server)
  }

  /** Whom it streams from now; null: nobody, also when their logs went different ways. */
  upstreamOf(server: WorldServer): WorldServer | null {
    const upstream = server.upstream === null ? undefined : this.servers.get(server.upstream)
    const able = server.process === 'running' && server.role === 'replica' && !server.slow && !server.full
    if (!able || upstream?.process !== 'running') return null
    return diverged(server, upstream) ? null : upstream
  }

  #acknowledge(server: WorldServer): readonly WorldRecord[] {
    if (server.process !== 'running' && server.process !== 'orphaned') {
      server.waiting = []
      return []
    }
    const { need, names } = server.quorum
    const done = server.waiting.filter(record => this.#standing(server, record, names) >= need)
    for (const record of done) this.acknowledged.push({ record, server: server.id, need })
    server.waiting = server.waiting.filter(record => !done.includes(record))
    return done
  }

  #standing(server: WorldServer, record: WorldRecord, names: readonly string[]): number {
    if (server.process === 'orphaned') return 0
    return names.filter(name => {
      const replica = this.servers.get(name)
      return replica !== undefined && this.upstreamOf(replica) === server && replica.log.includes(record)
    }).length
  }

  look(id: string, beganUs: number, endedUs: number): SeenServer {
    const server = this.get(id)
    const answers = server.process === 'running' && !server.cut
    const primary = server.role === 'primary'
    const streams = this.upstreamOf(server)
    return {
      id,
      beganUs,
      endedUs,
      processAlive: server.process === 'running' || server.process === 'suspended',
      answers,
      problem: this.#problem(server, answers),
      inRecovery: !primary,
      timeline: answers ? server.timeline : 0,
      lsn: answers ? (server.log.length - server.hidden) * recordBytes : 0,
      settled: server.hidden === 0,
      streamsFrom: answers ? (streams?.id ?? null) : null,
      standbys: answers && primary ? this.#standbys(server) : [],
      writes: answers && primary && !server.full,
      disk: server.disk,
      busy: false,
    }
  }

  #problem(server: WorldServer, answers: boolean): string {
    if (server.process === 'ended' || server.process === 'orphaned') return 'its process ended'
    if (!answers) return 'no answer in time'
    return server.full ? 'no space left on device' : ''
  }

  #standbys(server: WorldServer): SeenServer['standbys'] {
    return [...this.servers.values()]
      .filter(one => this.upstreamOf(one) === server)
      .map(one => ({ id: one.id, streaming: true, flushLsn: one.log.length * recordBytes }))
  }

  kill(id: string, orphan = false): void {
    const server = this.get(id)
    if (server.process === 'ended') return
    server.process = orphan ? 'orphaned' : 'ended'
    if (!orphan) server.waiting = []
  }

  /** As what it is on disk. Throws when it cannot. @param hidden records that it replays first */
  start(id: string, hidden = 0): void {
    const server = this.get(id)
    if (server.fenced) throw new Error(`${id} is fenced`)
    if (server.disk !== 'primary' && server.disk !== 'replica') throw new Error(`${id} has no data`)
    server.process = 'running'
    server.role = server.disk
    server.waiting = []
    server.hidden = server.role === 'replica' ? Math.min(hidden, server.log.length) : 0
  }

  fence(id: string): void {
    this.kill(id)
    this.get(id).fenced = true
  }

  promote(id: string): number {
    const server = this.get(id)
    if (server.process !== 'running') throw new Error(`${id} does not run`)
    if (server.role === 'replica') {
      Object.assign(server, { role: 'primary', disk: 'primary', upstream: null, hidden: 0, waiting: [] })
      server.timeline += 1
    }
    return server.timeline
  }

  follow(id: string, from: string): 'streams' | 'diverged' {
    const server = this.get(id)
    const upstream = this.get(from)
    if (server.full || upstream.process !== 'running' || server.disk === 'empty' || server.disk === 'damaged')
      throw new Error(`${id} cannot follow ${from}`)
    Object.assign(server, { process: 'running', role: 'replica', disk: 'replica', upstream: from })
    Object.assign(server, { fenced: false, waiting: [] })
    if (!diverged(server, upstream)) return 'streams'
    Object.assign(server, { process: 'ended', fenced: true })
    return 'diverged'
  }

  clone(id: string, from: string): void {
    const server = this.get(id)
    const source = this.get(from)
    if (source.process !== 'running') throw new Error(`${from} cannot be copied`)
    Object.assign(server, { process: 'running', role: 'replica', disk: 'replica', upstream: from })
    Object.assign(server, { log: [...source.log], timeline: source.timeline, fenced: false, full: false })
    Object.assign(server, { hidden: 0, waiting: [], slow: false, cut: false })
  }

  /** Acknowledged by a promise of replicas, and not there. */
  missing(id: string): readonly Acknowledged[] {
    const there = new Set(this.get(id).log)
    return this.acknowledged.filter(one => one.need > 0 && !there.has(one.record))
  }
}

function newServer(id: string): WorldServer {
  return {
    id,
    process: 'ended',
    role: 'replica',
    disk: 'empty',
    log: [],
    timeline: 0,
    upstream: null,
    cut: false,
    full: false,
    slow: false,
    hidden: 0,
    fenced: false,
    quorum: { need: 0, names: [] },
    waiting: [],
  }
}

function diverged(server: WorldServer, upstream: WorldServer): boolean {
  if (server.log.length > upstream.log.length) return true
  const last = server.log.length - 1
  return last >= 0 && server.log[last] !== upstream.log[last]
}

/** `ANY 1 ("a", "b")` as the server reads it. */
export function quorumOf(names: string): { need: number; names: readonly string[] } {
  const match = /^ANY (\d+) \((.*)\)$/.exec(names)
  if (match === null) return { need: 0, names: [] }
  return { need: Number(match[1]), names: match[2]!.split(', ').map(name => name.replaceAll('"', '')) }
}
