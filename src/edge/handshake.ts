// A TLS handshake on an accepted connection, from the first byte (or what followed a PROXY header) until somebody can
// speak on it. It counts as a connection from its beginning, so a flood of half-open ones has the bound of all; it has
// the time of a head. Who shows a client certificate that does not verify is turned away here. Where somebody asks how
// clients begin (`guard.wantsHello`), the first message is looked at before the handshake has it; what can't be read has
// no fingerprint, and the handshake judges it as ever.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { TlsServer } from '../io/tls.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { readClientHello } from '../wire/client-hello.ts'
import { type ClientHello, fingerprint } from './client-hello.ts'
import type { ConnectionPlace } from './connection-place.ts'
import type { Drainable, WorkerContext } from './context.ts'

/**
 * `next` says who hears the stream once it is under TLS.
 * @param looks The client's first message is read before the handshake.
 */
export function awaitHandshake(
  worker: WorkerContext,
  stream: Stream,
  server: TlsServer | null,
  next: (hello: ClientHello | null) => StreamHandler,
  place: ConnectionPlace,
  looks = false,
): StreamHandler {
  const handshake = new Handshake(worker, stream, server, next, place)
  if (server === null || !worker.net.tlsSupported) handshake.endNow()
  else if (!looks) handshake.start()
  return handshake
}

class Handshake extends Timed implements StreamHandler, Drainable {
  readonly #worker: WorkerContext
  readonly #stream: Stream
  readonly #server: TlsServer | null
  readonly #next: (hello: ClientHello | null) => StreamHandler
  readonly #place: ConnectionPlace
  #over = false
  /** Bytes are TLS's own from now on. */
  #started = false
  /** The first message, as far as it has come. */
  #come: Buffer | null = null
  #comeBytesMin = 0
  #hello: ClientHello | null = null

  constructor(
    worker: WorkerContext,
    stream: Stream,
    server: TlsServer | null,
    next: (hello: ClientHello | null) => StreamHandler,
    place: ConnectionPlace,
  ) {
    super()
    this.#place = place
    this.#worker = worker
    this.#stream = stream
    this.#server = server
    this.#next = next
    worker.cells.worker.connections[worker.index]!++
    worker.keepClient(this)
    worker.wheel.set(this, worker.now + worker.snapshot.spec.limits.headTimeoutMs * 1000)
  }

  opened(stream: Stream): void {
    const worker = this.#worker
    worker.refresh()
    const { tls } = stream
    if (tls !== null && tls.authorizationError !== '') {
      this.#fail()
      return
    }
    const counts = worker.cells.worker
    if (tls?.resumed) counts.handshakesResumed[worker.index]!++
    else counts.handshakesFull[worker.index]!++
    this.#leave()
    stream.handler = this.#next(this.#hello)
  }

  /** From now on the handshake is TLS's own: what was looked at is its first bytes. */
  start(): void {
    const come = this.#come
    this.#started = true
    this.#come = null
    if (come !== null) this.#stream.unshift(come)
    this.#stream.startTls(this.#server as TlsServer)
  }

  /** Only while the first message is looked at. */
  data(_stream: Stream, bytes: Buffer, length: number): void {
    if (this.#over || this.#started) return
    const part = bytes.subarray(0, length)
    const come = this.#come === null ? Buffer.from(part) : Buffer.concat([this.#come, part])
    this.#come = come
    if (come.length < this.#comeBytesMin) return
    const reading = readClientHello(come, come.length)
    if (reading.kind === 'more') {
      this.#comeBytesMin = reading.bytes
      return
    }
    if (reading.kind === 'hello') this.#hello = fingerprint(reading.hello)
    this.start()
  }

  /** Who has said all before the first message is whole can't answer ours. */
  ended(): void {
    if (!this.#over && !this.#started) this.#fail()
  }
  drained(): void {}

  closed(): void {
    if (this.#over) return
    this.#worker.cells.worker.handshakesFailed[this.#worker.index]!++
    this.#leave()
    this.#place.leave()
  }

  override expired(): void {
    this.#fail()
  }

  #fail(): void {
    this.#worker.cells.worker.handshakesFailed[this.#worker.index]!++
    this.endNow()
  }

  /** No request has begun on it. */
  drain(): void {
    this.endNow()
  }
  endNow(): void {
    this.#leave()
    this.#place.leave()
    this.#stream.destroy()
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
