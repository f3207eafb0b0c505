// A TLS handshake on an accepted connection, from the first byte (or what followed a PROXY header) until somebody can
// speak on it. It counts as a connection from its beginning, so a flood of half-open ones has the bound of all; it has
// the time of a head. Who shows a client certificate that does not verify is turned away here.

import type { Stream, StreamHandler } from '../io/net.ts'
import type { TlsServer } from '../io/tls.ts'
import { Timed } from '../kit/timer-wheel.ts'
import type { Drainable, WorkerContext } from './context.ts'

/** `next` says who hears the stream once it is under TLS. */
export function awaitHandshake(
  worker: WorkerContext,
  stream: Stream,
  server: TlsServer | null,
  next: () => StreamHandler,
): StreamHandler {
  const handshake = new Handshake(worker, stream, next)
  if (server === null || !worker.net.tlsSupported) handshake.endNow()
  else stream.startTls(server)
  return handshake
}

class Handshake extends Timed implements StreamHandler, Drainable {
  readonly #worker: WorkerContext
  readonly #stream: Stream
  readonly #next: () => StreamHandler
  #over = false

  constructor(worker: WorkerContext, stream: Stream, next: () => StreamHandler) {
    super()
    this.#worker = worker
    this.#stream = stream
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
    stream.handler = this.#next()
  }

  data(): void {}
  ended(): void {}
  drained(): void {}

  closed(): void {
    if (this.#over) return
    this.#worker.cells.worker.handshakesFailed[this.#worker.index]!++
    this.#leave()
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
