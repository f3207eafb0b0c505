// One UDP listener of one worker: datagrams of a client's address and port go to one member and its answers back from the
// listening port, for as long as the session is not silent. Datagrams are neither split nor joined, kept nor repeated:
// what can't be passed on at once is dropped and counted.
//
// A session ends when it is silent for its time-out, when the member refuses (ICMP; the client's next datagram then goes
// elsewhere), when its member leaves the snapshot, and when the listener closes. A draining member keeps its sessions.

import { connectUdp, listenUdp, type UdpListener, type UdpPeer } from '../io/udp.ts'
import { MS } from '../kit/clock.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { hashText } from '../policy/hash.ts'
import { reasonText } from '../policy/reason.ts'
import { jsonText } from '../wire/otlp.ts'
import type { CompiledSnapshot } from './compile.ts'
import type { Drainable, WorkerContext } from './context.ts'
import type { MemberGroup } from './group.ts'
import type { MemberPool } from './pools.ts'
import { plainAddress } from './proxy-header.ts'
import type { ListenerSpec } from './snapshot.ts'

type UdpSpec = Extract<ListenerSpec, { kind: 'udp' }>
type UdpEnding = 'silent' | 'refused' | 'member-gone' | 'closed'

export async function openUdp(
  worker: WorkerContext,
  spec: UdpSpec,
  port: number,
  reusePort: boolean,
): Promise<UdpProxy> {
  const proxy = new UdpProxy(worker, spec)
  const listener = await listenUdp({
    host: spec.host,
    port,
    reusePort,
    received: (bytes, address, from) => proxy.received(bytes, address, from),
    lost: () => proxy.dropped(),
  })
  proxy.start(listener)
  return proxy
}

export class UdpProxy implements Drainable {
  readonly worker: WorkerContext
  #spec: UdpSpec
  #listener: UdpListener | null = null
  /** Of the sessions: their members' places are theirs until they end. */
  #snapshot: CompiledSnapshot
  readonly #sessions = new Map<string, UdpSession>()

  constructor(worker: WorkerContext, spec: UdpSpec) {
    this.worker = worker
    this.#spec = spec
    this.#snapshot = worker.snapshot
  }

  start(listener: UdpListener): void {
    this.#listener = listener
    this.#snapshot = this.worker.snapshot
    this.#snapshot.uses++
    this.worker.keepClient(this)
  }

  get spec(): UdpSpec {
    return this.#spec
  }

  received(bytes: Buffer, address: string, port: number): void {
    if (this.#listener === null) return
    const { worker } = this
    worker.refresh()
    const key = `${address} ${port}`
    let session = this.#sessions.get(key)
    if (session === undefined) {
      const begun = this.#begin(key, address, port)
      if (begun === null) {
        this.dropped()
        return
      }
      session = begun
    }
    session.fromClient(bytes)
  }

  #begin(key: string, address: string, port: number): UdpSession | null {
    const { worker } = this
    const group = worker.snapshot.groups.get(this.#spec.upstream)
    if (group === undefined || this.#sessions.size >= this.#spec.sessionsMax) return null
    const hash = group.usesKey ? hashText(plainAddress(address)) : 0
    const member = group.pick(worker.now, hash, worker.random, null)
    if (member < 0) return null
    const row = group.memberRow(member)
    const { memberWorker } = worker.cells
    memberWorker.inFlight[row]!++
    if (group.isOverLimit(member)) {
      memberWorker.inFlight[row]!--
      return null
    }
    const session = new UdpSession(this, group, member, key, address, port)
    this.#sessions.set(key, session)
    return session
  }

  toClient(session: UdpSession, bytes: Buffer): void {
    if (!(this.#listener?.send(bytes, session.port, session.address) ?? false)) this.dropped()
  }

  dropped(): void {
    this.worker.cells.worker.dropped[this.worker.index]!++
  }

  ended(session: UdpSession): void {
    this.#sessions.delete(session.key)
  }

  get row(): number | undefined {
    return this.#snapshot.listenerRows.get(this.#spec.id)
  }

  /** Sessions go along with their members; those of members that are gone end. */
  snapshotChanged(): void {
    const { snapshot } = this.worker
    const before = this.#snapshot
    if (this.#listener === null || snapshot === before) return
    const spec = snapshot.spec.listeners.find(one => one.id === this.#spec.id)
    const group = spec?.kind === 'udp' ? snapshot.groups.get(spec.upstream) : undefined
    for (const session of [...this.#sessions.values()])
      if (group === undefined || !session.moveTo(group)) session.end('member-gone')
    if (spec?.kind === 'udp') this.#spec = spec
    snapshot.uses++
    this.#snapshot = snapshot
    this.#release(before)
  }

  #release(snapshot: CompiledSnapshot): void {
    if (--snapshot.uses === 0 && snapshot !== this.worker.snapshot) this.worker.snapshotReleased(snapshot)
  }

  /** The port is another edge's from now on: what comes for a session would come there. */
  drain(): void {
    this.close()
  }
  endNow(): void {
    this.close()
  }

  close(): void {
    if (this.#listener === null) return
    for (const session of [...this.#sessions.values()]) session.end('closed')
    this.#listener.close()
    this.#listener = null
    this.worker.forgetClient(this)
    this.#release(this.#snapshot)
  }
}

class UdpSession extends Timed {
  readonly key: string
  readonly address: string
  readonly port: number
  readonly #proxy: UdpProxy
  readonly #pool: MemberPool
  readonly #row: number
  readonly #peer: UdpPeer
  readonly #startedAt: number
  readonly #why: number
  #group: MemberGroup
  #member: number
  #bytesIn = 0
  #bytesOut = 0
  #datagramsIn = 0
  #datagramsOut = 0
  #answered = false
  #over = false

  constructor(
    proxy: UdpProxy,
    group: MemberGroup,
    member: number,
    key: string,
    address: string,
    port: number,
  ) {
    super()
    const { worker } = proxy
    this.#proxy = proxy
    this.#group = group
    this.#member = member
    this.key = key
    this.address = address
    this.port = port
    this.#why = group.lastReason
    this.#row = group.memberRow(member)
    this.#pool = worker.pools.of(group.memberSlot(member)) as MemberPool
    this.#startedAt = worker.now
    worker.cells.memberWorker.chosenBy[this.#row] = this.#why
    worker.cells.memberWorker.connections[this.#row]!++
    this.#peer = connectUdp(this.#pool.host, this.#pool.port, {
      received: bytes => this.#fromMember(bytes),
      failed: code => this.#failed(code),
    })
  }

  fromClient(bytes: Buffer): void {
    this.#touch()
    if (!this.#peer.send(bytes)) {
      this.#proxy.dropped()
      return
    }
    this.#datagramsIn++
    this.#bytesIn += bytes.length
  }

  #fromMember(bytes: Buffer): void {
    const { worker } = this.#proxy
    worker.refresh()
    this.#touch()
    this.#datagramsOut++
    this.#bytesOut += bytes.length
    const group = this.#group
    if (!this.#answered) {
      this.#answered = true
      group.observe(this.#member, false, worker.now - this.#startedAt, worker.now)
    }
    if (group.countsBytes) group.countBytes(this.#member, bytes.length, worker.now)
    this.#proxy.toClient(this, bytes)
  }

  #touch(): void {
    const { worker, spec } = this.#proxy
    worker.wheel.set(this, worker.now + spec.sessionTimeoutMs * MS)
  }

  /** The system says so about a datagram that was sent before: it is lost. */
  #failed(code: string): void {
    if (this.#over) return
    const { worker } = this.#proxy
    worker.refresh()
    this.#proxy.dropped()
    // One datagram too large says nothing about the member.
    if (code === 'EMSGSIZE') return
    this.#group.observe(this.#member, true, 0, worker.now)
    this.end('refused')
  }

  override expired(): void {
    this.end('silent')
  }

  /** False: the group has the member no more. */
  moveTo(group: MemberGroup): boolean {
    for (let member = 0; member < group.count; member++) {
      if (group.memberSlot(member) !== this.#pool.slot) continue
      this.#group = group
      this.#member = member
      return true
    }
    return false
  }

  end(ending: UdpEnding): void {
    if (this.#over) return
    this.#over = true
    const { worker } = this.#proxy
    worker.wheel.remove(this)
    this.#peer.close()
    const { memberWorker } = worker.cells
    memberWorker.inFlight[this.#row]!--
    if (this.#pool.current) memberWorker.connections[this.#row]!--
    this.#proxy.ended(this)
    this.#record(ending)
    this.#group.freed()
  }

  #record(ending: UdpEnding): void {
    const { worker, row, spec } = this.#proxy
    const { routeWorker, routeLatency } = worker.cells
    const took = worker.now - this.#startedAt
    if (row !== undefined) {
      routeWorker.requests[row]!++
      routeLatency.record(row, took)
      routeWorker.bytesIn[row]! += this.#bytesIn
      routeWorker.bytesOut[row]! += this.#bytesOut
      if (ending === 'refused') routeWorker.status5xx[row]!++
      else routeWorker.status2xx[row]!++
    }
    if (worker.log !== null) worker.log.add(this.#line(ending, took, spec.id))
  }

  #line(ending: UdpEnding, took: number, listener: string): string {
    const { worker } = this.#proxy
    const at = new Date(worker.clock.wall() / 1000).toISOString()
    const { id } = this.#group.member(this.#member)
    const counts = `"datagramsIn":${this.#datagramsIn},"datagramsOut":${this.#datagramsOut},"bytesIn":${this.#bytesIn},"bytesOut":${this.#bytesOut}`
    return `{"at":"${at}","listener":${jsonText(listener)},"protocol":"udp","client":"${plainAddress(this.address)}",${counts},"ms":${Math.round(took / 10) / 100},"ended":"${ending}","member":${jsonText(id)},"chosenBy":${jsonText(reasonText(this.#why))}}\n`
  }
}
