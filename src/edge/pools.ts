// Idle connections to instances: a stack a member and worker, the most recently used on top, so that the rest grow old
// and are closed. A pool belongs to one life (epoch) of a member and outlives snapshots.

import type { TlsClient } from '../io/tls.ts'
import { memberSlots } from './cells.ts'
import type { WorkerContext } from './context.ts'
import { Http1Upstream } from './http1-upstream.ts'
import { Http2Sessions } from './http2-session.ts'
import type { MemberSpec, UpstreamSpec } from './snapshot.ts'
import type { UpstreamConnection } from './upstream.ts'

/** Node's and OpenSSL's codes for handshakes and certificates; those of sockets begin with E and have no underscore. */
const tlsCodes = /^[A-Z]+_/
const tellAgainUs = 60_000_000

export class MemberPool {
  readonly worker: WorkerContext
  readonly slot: number
  readonly host: string
  readonly port: number
  spec: UpstreamSpec
  /** The member is in the snapshot in use; connections of one that is not are closed when they become idle. */
  current = true
  /** The instance waits for its connections to end: none is kept. */
  draining: boolean
  readonly #idle: Http1Upstream[] = []
  readonly #member: string
  #told = ''
  #toldAt = 0
  /** Where the members speak HTTP/2. */
  #sessions: Http2Sessions | null = null

  constructor(worker: WorkerContext, slot: number, member: MemberSpec, spec: UpstreamSpec) {
    this.worker = worker
    this.slot = slot
    this.#member = member.id
    this.host = member.host
    this.port = member.port
    this.draining = member.state === 'draining'
    this.spec = spec
  }

  /** Undefined: the members are reached without TLS. */
  get tlsClient(): TlsClient | undefined {
    return this.spec.tls === undefined ? undefined : this.worker.tls.client(this.spec.name)
  }

  /** A connection never came about. What is wrong with its TLS is told: nobody could guess it from a 502. */
  notConnected(code: string): void {
    if (this.spec.tls === undefined || !tlsCodes.test(code)) return
    const { now } = this.worker
    if (code === this.#told && now - this.#toldAt < tellAgainUs) return
    this.#told = code
    this.#toldAt = now
    this.worker.tell(`${this.spec.name}/${this.#member}`, `its TLS is refused: ${code}`)
  }

  get idleCount(): number {
    return this.#idle.length + (this.#sessions?.idleCount ?? 0)
  }
  get #row(): number {
    return this.worker.index * memberSlots + this.slot
  }

  /** An idle connection, or one that begins to connect. `fresh`: never one that was used before. */
  take(fresh: boolean): UpstreamConnection {
    if (this.spec.protocol === 'h2') return this.#takeStream(fresh)
    const connection = fresh ? undefined : this.#idle.pop()
    if (connection !== undefined) return connection
    this.worker.cells.memberWorker.connections[this.#row]!++
    return new Http1Upstream(this.worker, this)
  }

  #takeStream(fresh: boolean): UpstreamConnection {
    this.#sessions ??= new Http2Sessions(this.worker, this)
    return this.#sessions.take(fresh)
  }

  /** A connection that is shared by many requests begins, and is closed. */
  sharedOpened(): void {
    this.worker.cells.memberWorker.connections[this.#row]!++
  }
  sharedClosed(): void {
    if (this.current) this.worker.cells.memberWorker.connections[this.#row]!--
  }

  giveBack(connection: Http1Upstream): void {
    const { connectionsMax, timeoutMs } = this.spec.keepAlive
    if (!this.current || this.draining || this.#idle.length >= connectionsMax) {
      connection.destroy()
      return
    }
    this.#idle.push(connection)
    this.worker.wheel.set(connection, this.worker.now + timeoutMs * 1000)
  }

  /** An idle connection ends. */
  forget(connection: Http1Upstream): void {
    const at = this.#idle.lastIndexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
  }

  /** A connection's socket is closed. */
  removed(connection: Http1Upstream): void {
    this.forget(connection)
    // The slot of a member that is gone may be another's by now.
    if (this.current) this.worker.cells.memberWorker.connections[this.#row]!--
  }

  /** The member is in no snapshot any more; what is in flight goes on. */
  retire(): void {
    this.current = false
    this.worker.cells.memberWorker.connections[this.#row] = 0
    this.closeIdle()
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy()
    this.#sessions?.closeIdle()
  }
}

export class UpstreamPools {
  readonly #bySlot = new Map<number, MemberPool>()

  /** The pool of a member of the snapshot in use. */
  of(slot: number): MemberPool | undefined {
    return this.#bySlot.get(slot)
  }

  /** The members of a new snapshot: pools of those that are gone close what is idle. */
  update(
    worker: WorkerContext,
    members: readonly { slot: number; member: MemberSpec; spec: UpstreamSpec }[],
  ): void {
    const kept = new Set(members.map(({ slot }) => slot))
    for (const [slot, pool] of this.#bySlot) {
      if (kept.has(slot)) continue
      this.#bySlot.delete(slot)
      pool.retire()
    }
    for (const { slot, member, spec } of members) {
      const pool = this.#bySlot.get(slot)
      if (pool === undefined) this.#bySlot.set(slot, new MemberPool(worker, slot, member, spec))
      else {
        pool.spec = spec
        pool.draining = member.state === 'draining'
        if (pool.draining) pool.closeIdle()
      }
    }
  }

  /** True: there were some. */
  closeIdle(): boolean {
    let closed = false
    for (const pool of this.#bySlot.values()) {
      closed ||= pool.idleCount > 0
      pool.closeIdle()
    }
    return closed
  }
}
