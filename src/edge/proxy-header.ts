// PROXY headers at the start of accepted connections: those of listed peers are awaited and read before anything else is
// heard of the stream, those of anybody else are refused where bytes are passed on unread. Decides nothing about who the
// client then is to be taken for.

import type { Stream, StreamHandler } from '../io/net.ts'
import { addressBytes, addressText } from '../kit/address.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { type AddressBlock, isInBlocks, parseBlock } from '../policy/address.ts'
import { type ProxyHeader, proxyHeaderBytesMax, readProxyHeader } from '../wire/proxy-protocol.ts'
import type { Drainable, WorkerContext } from './context.ts'
import type { ListenerSpec } from './snapshot.ts'

/** By listener of a snapshot: who must begin with a PROXY header. */
const blocksOf = new WeakMap<ListenerSpec, readonly AddressBlock[]>()

/** Must this peer begin with a PROXY header? */
export function mustSendProxyHeader(spec: ListenerSpec, stream: Stream): boolean {
  if (spec.proxyProtocol === undefined) return false
  let blocks = blocksOf.get(spec)
  if (blocks === undefined) {
    blocks = spec.proxyProtocol.map(parseBlock).filter(block => block !== null)
    blocksOf.set(spec, blocks)
  }
  return isInBlocks(stream.remoteAddress, blocks)
}

/** An IPv4 client of a listener on `::` by its IPv4 address. */
export function plainAddress(address: string): string {
  if (!address.startsWith('::ffff:')) return address
  const bytes = addressBytes(address)
  return bytes === null ? address : addressText(bytes)
}

/**
 * Reads the header of a peer that must send one, within `limits.headTimeoutMs`; then `next` says who hears the stream,
 * which has what followed the header given back. A peer that sends anything else, or nothing in time, is reset.
 */
export function awaitProxyHeader(
  worker: WorkerContext,
  stream: Stream,
  next: (header: ProxyHeader) => StreamHandler,
): StreamHandler {
  return new AwaitedHeader(worker, stream, next)
}

class AwaitedHeader extends Timed implements StreamHandler, Drainable {
  readonly #worker: WorkerContext
  readonly #stream: Stream
  readonly #next: (header: ProxyHeader) => StreamHandler
  #come: Buffer | null = null
  #over = false

  constructor(worker: WorkerContext, stream: Stream, next: (header: ProxyHeader) => StreamHandler) {
    super()
    this.#worker = worker
    this.#stream = stream
    this.#next = next
    // It counts as a connection from now on: a flood of silent ones has a bound.
    worker.cells.worker.connections[worker.index]!++
    worker.keepClient(this)
    worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.headTimeoutMs * 1000)
  }

  opened(): void {}

  data(stream: Stream, bytes: Buffer, length: number): void {
    this.#worker.refresh()
    const come = joined(this.#come, bytes, length)
    const reading = readProxyHeader(come, come.length)
    if (reading.kind === 'more') {
      this.#come = Buffer.from(come)
      return
    }
    if (reading.kind === 'problem') {
      this.#refuse()
      return
    }
    const rest = come.subarray(reading.headerBytes)
    if (rest.length > 0) stream.unshift(rest)
    this.#leave()
    stream.handler = this.#next(reading)
  }

  ended(): void {
    this.#refuse()
  }
  drained(): void {}
  closed(): void {
    this.#leave()
  }
  override expired(): void {
    this.#refuse()
  }

  /** Nothing has begun on it. */
  drain(): void {
    this.endNow()
  }
  endNow(): void {
    this.#leave()
    this.#stream.destroy()
  }

  #refuse(): void {
    this.#worker.cells.worker.refused[this.#worker.index]!++
    this.#leave()
    this.#stream.reset()
  }

  #leave(): void {
    if (this.#over) return
    this.#over = true
    const { cells, index, wheel } = this.#worker
    cells.worker.connections[index]!--
    wheel.remove(this)
    this.#worker.forgetClient(this)
  }
}

function joined(before: Buffer | null, bytes: Buffer, length: number): Buffer {
  const part = bytes.subarray(0, length)
  return before === null ? part : Buffer.concat([before, part])
}

/**
 * Hears a stream of a peer that may send no PROXY header, until its first bytes have shown that they are none: `then` hears
 * it from there on. Else a client could claim any address before a member that believes such headers. `refused` is called
 * for one that does; it ends the stream.
 */
export class UnlistedPeer implements StreamHandler {
  readonly #then: StreamHandler
  readonly #refused: () => void
  #come: Buffer | null = null

  constructor(then: StreamHandler, refused: () => void) {
    this.#then = then
    this.#refused = refused
  }

  opened(stream: Stream): void {
    this.#then.opened(stream)
  }

  data(stream: Stream, bytes: Buffer, length: number): void {
    const come = joined(this.#come, bytes, length)
    const reading = readProxyHeader(come, Math.min(come.length, proxyHeaderBytesMax))
    if (reading.kind === 'more') this.#come = Buffer.from(come)
    else if (reading.kind === 'problem' && reading.problem === 'no-header') this.#pass(stream, come)
    else this.#refused()
  }

  #pass(stream: Stream, come: Buffer): void {
    stream.handler = this.#then
    this.#then.data(stream, come, come.length)
  }

  ended(stream: Stream): void {
    if (this.#come !== null) this.#pass(stream, this.#come)
    stream.handler = this.#then
    this.#then.ended(stream)
  }
  drained(stream: Stream): void {
    this.#then.drained(stream)
  }
  closed(stream: Stream, code: string): void {
    stream.handler = this.#then
    this.#then.closed(stream, code)
  }
}
