// One connection of a TCP listener, from its acceptance to its end: a dial to a member, then two sides that pass bytes to
// each other. Owns its deadlines, what is counted for it and its line in the access log; never looks at a byte.
//
// States: dialing (the client is not read) -> open -> over -> closed (both streams). Over is reached when both sides have
// ended, when one has aborted (the other is reset then), when nothing moved for the listener's idle time-out, or when the
// drain's time is up. It is counted on its member until over, and holds its buffers until closed.

import type { Stream, StreamHandler } from '../io/net.ts'
import { MS } from '../kit/clock.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { hashText } from '../policy/hash.ts'
import { reasonText } from '../policy/reason.ts'
import { jsonText } from '../wire/otlp.ts'
import { type ProxyHeader, writeProxyHeader } from '../wire/proxy-protocol.ts'
import type { CompiledSnapshot } from './compile.ts'
import type { ConnectionPlace } from './connection-place.ts'
import type { Drainable, WorkerContext } from './context.ts'
import type { MemberGroup } from './group.ts'
import { plainAddress, UnlistedPeer } from './proxy-header.ts'
import type { ListenerSpec } from './snapshot.ts'
import { type DialOwner, TcpDial } from './tcp-dial.ts'
import { TcpSide } from './tcp-side.ts'

export type TcpSpec = Extract<ListenerSpec, { kind: 'tcp' }>

/** Why it ended, as the access log says it. `client` and `member`: who ended first, in good order. */
export type TcpEnding =
  | 'client'
  | 'member'
  | 'client-reset'
  | 'member-reset'
  | 'idle'
  | 'drain'
  | 'proxy-header'
  | 'no-instance'
  | 'busy'
  | 'waited-too-long'
  | 'connect-failed'
  | 'connect-timeout'

/** A side that has been quiet this long gives its buffer back. */
const bufferIdleUs = 2_000 * MS

export class TcpSession extends Timed implements DialOwner, Drainable {
  readonly worker: WorkerContext
  readonly #spec: TcpSpec
  readonly #header: ProxyHeader | null
  readonly #client: TcpSide
  #member: TcpSide | null = null
  readonly #dial: TcpDial
  readonly #startedAt: number
  readonly #idleUs: number
  #address = ''
  #snapshot: CompiledSnapshot
  #lastAt: number
  #buffers = false
  readonly #place: ConnectionPlace
  #first: TcpEnding | null = null
  #over = false

  /** @param header What a listed proxy has said about the client. */
  constructor(
    worker: WorkerContext,
    spec: TcpSpec,
    stream: Stream,
    header: ProxyHeader | null,
    place: ConnectionPlace,
  ) {
    super()
    this.#place = place
    this.worker = worker
    this.#spec = spec
    this.#header = header
    this.#startedAt = this.#lastAt = worker.now
    this.#idleUs = spec.idleTimeoutMs * MS
    this.#snapshot = worker.snapshot
    this.#snapshot.uses++
    const { cells, index } = worker
    cells.worker.connections[index]!++
    cells.worker.accepted[index]!++
    cells.worker.exchanges[index]!++
    // Where nobody keeps the address the system need not be asked for it after the client has gone.
    if (worker.log !== null) this.#address = this.#askAddress(stream)
    worker.keepClient(this)
    stream.pause()
    this.#client = new TcpSide(this, stream)
    this.#dial = new TcpDial(worker, this)
  }

  /** What hears the client from now on. */
  start(): StreamHandler {
    this.#dial.start()
    return this.#client
  }

  #askAddress(stream: Stream): string {
    return this.#header?.source?.address ?? plainAddress(stream.remoteAddress)
  }

  // --- dialing ------------------------------------------------------------------------------------------------

  get key(): number {
    this.#address ||= this.#askAddress(this.#client.stream)
    return hashText(this.#address)
  }

  /** The members of now: what the connection began with may be gone. */
  currentGroup(): MemberGroup {
    const { upstream } = this.#spec
    const group = this.worker.snapshot.groups.get(upstream)
    if (group === undefined) return this.#snapshot.groups.get(upstream) as MemberGroup
    this.#pin(this.worker.snapshot)
    return group
  }

  dialed(stream: Stream): void {
    const client = this.#client
    const member = new TcpSide(this, stream)
    this.#member = member
    client.other = member
    member.other = client
    stream.handler = member
    if (this.#spec.sendProxy !== undefined) stream.write(this.#proxyHeader(this.#spec.sendProxy))
    // A peer that may send no PROXY header must not slip one past us to a member that believes it.
    if (this.#spec.proxyProtocol !== undefined && this.#header === null)
      client.stream.handler = new UnlistedPeer(client, () => this.#cut('proxy-header'))
    this.#lastAt = this.worker.now
    this.worker.wheel.set(this, this.#lastAt + this.#idleUs)
    client.stream.resume()
  }

  #proxyHeader(version: 'v1' | 'v2'): string {
    const { stream } = this.#client
    const source = this.#header?.source ?? { address: stream.remoteAddress, port: stream.remotePort }
    const own = { address: stream.localAddress, port: stream.localPort }
    return writeProxyHeader(version, source, this.#header?.destination ?? own)
  }

  undialed(ending: TcpEnding): void {
    this.#cut(ending)
  }

  // --- open ---------------------------------------------------------------------------------------------------

  /** `side` has read `bytes`, or has written what waited. */
  moved(side: TcpSide, bytes: number): void {
    const { worker } = this
    worker.refresh()
    this.#lastAt = worker.now
    worker.wheel.set(this, worker.now + (this.#buffers ? bufferIdleUs : this.#idleUs))
    if (bytes === 0 || side !== this.#member) return
    this.#dial.observe(false)
    const { group, member } = this.#dial
    if (group?.countsBytes) group.countBytes(member, bytes, worker.now)
  }

  holdsBuffer(): void {
    this.#buffers = true
    this.worker.wheel.set(this, this.worker.now + bufferIdleUs)
  }

  override expired(now: number): void {
    if (now - this.#lastAt >= this.#idleUs) {
      this.#finish('idle')
      this.#client.stream.destroy()
      this.#member?.stream.destroy()
      return
    }
    const given = this.#client.giveBuffer()
    if (this.#member?.giveBuffer() && given) this.#buffers = false
    this.worker.wheel.set(this, Math.max(this.#lastAt + this.#idleUs, now + 1))
  }

  sideEnded(side: TcpSide): void {
    this.worker.refresh()
    this.#first ??= side === this.#client ? 'client' : 'member'
  }

  sideClosed(side: TcpSide, code: string): void {
    const isClient = side === this.#client
    this.worker.refresh()
    if (!this.#over && code !== '') {
      if (!isClient && side.bytes === 0) this.#dial.observe(true)
      this.#cut(isClient ? 'client-reset' : 'member-reset')
    }
    if (!this.#client.isClosed || this.#member?.isClosed === false) return
    this.#client.giveBuffer()
    this.#member?.giveBuffer()
    this.#finish(this.#first ?? 'client')
  }

  /** What is cut must not look complete to either end. */
  #cut(ending: TcpEnding): void {
    this.#finish(ending)
    this.#client.stream.reset()
    this.#member?.stream.reset()
  }

  // --- snapshots and draining ---------------------------------------------------------------------------------

  #pin(snapshot: CompiledSnapshot): void {
    const before = this.#snapshot
    if (before === snapshot) return
    snapshot.uses++
    this.#snapshot = snapshot
    if (--before.uses === 0 && before !== this.worker.snapshot) this.worker.snapshotReleased(before)
  }

  /** A connection may last for weeks: it goes along with each snapshot that still has its member. */
  snapshotChanged(): void {
    const { snapshot } = this.worker
    const group = snapshot.groups.get(this.#spec.upstream)
    if (!this.#over && group !== undefined && this.#dial.moveTo(group)) this.#pin(snapshot)
  }

  /** It goes on until it ends by itself, or the drain's time is over. */
  drain(): void {}

  endNow(): void {
    this.#cut('drain')
  }

  // --- the end ------------------------------------------------------------------------------------------------

  #finish(ending: TcpEnding): void {
    if (this.#over) return
    this.#over = true
    const { worker } = this
    worker.wheel.remove(this)
    // Whoever answered nothing and ended in good order is well too.
    if (ending === 'client' || ending === 'member' || ending === 'idle') this.#dial.observe(false)
    this.#dial.end()
    const { cells, index } = worker
    cells.worker.connections[index]!--
    cells.worker.exchanges[index]!--
    this.#record(ending)
    worker.forgetClient(this)
    this.#place.leave()
    const snapshot = this.#snapshot
    if (--snapshot.uses === 0 && snapshot !== worker.snapshot) worker.snapshotReleased(snapshot)
  }

  #record(ending: TcpEnding): void {
    const { worker } = this
    const { routeWorker, routeLatency } = worker.cells
    const took = worker.now - this.#startedAt
    const row = this.#snapshot.listenerRows.get(this.#spec.id)
    if (row !== undefined) {
      routeWorker.requests[row]!++
      routeLatency.record(row, took)
      routeWorker.retries[row]! += this.#dial.retries
      routeWorker.bytesIn[row]! += this.#client.bytes
      routeWorker.bytesOut[row]! += this.#member?.bytes ?? 0
      if (isAbort(ending)) routeWorker.aborted[row]!++
      if (ending === 'proxy-header') routeWorker.status4xx[row]!++
      else if (isFailure(ending)) routeWorker.status5xx[row]!++
      else routeWorker.status2xx[row]!++
    }
    worker.log?.add(this.#line(ending, took))
  }

  #line(ending: TcpEnding, took: number): string {
    const { worker } = this
    const dial = this.#dial
    const at = new Date(worker.clock.wall() / 1000).toISOString()
    const bytes = `"bytesIn":${this.#client.bytes},"bytesOut":${this.#member?.bytes ?? 0}`
    let line = `{"at":"${at}","listener":${jsonText(this.#spec.id)},"protocol":"tcp","client":"${this.#address}",${bytes},"ms":${inMs(took)},"ended":"${ending}"`
    if (dial.member >= 0 && dial.group !== null)
      line += `,"member":${jsonText(dial.group.member(dial.member).id)}`
    line += `,"chosenBy":${jsonText(reasonText(dial.why))}`
    if (this.#member !== null) line += `,"connectMs":${inMs(dial.connectUs)}`
    if (dial.retryWhy !== 0)
      line += `,"retries":${dial.retries},"retryReason":${jsonText(reasonText(dial.retryWhy, dial.retries))}`
    return `${line}}\n`
  }
}

const inMs = (us: number): number => Math.round(us / 10) / 100

function isAbort(ending: TcpEnding): boolean {
  return ending === 'client-reset' || ending === 'member-reset' || ending === 'drain'
}

/** Of the members or for want of them. */
function isFailure(ending: TcpEnding): boolean {
  switch (ending) {
    case 'client':
    case 'member':
    case 'idle':
    case 'drain':
    case 'client-reset':
    case 'proxy-header':
      return false
    default:
      return true
  }
}
