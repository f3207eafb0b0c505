// An upgraded connection: bytes pass both ways unbuffered until both sides are done. WebSockets end politely: a close
// frame 1001 between two frames, never inside one. Keeps its exchange (and so its member's place and its snapshot) until the end.

import { Timed } from '../kit/timer-wheel.ts'
import { fieldId } from '../wire/fields.ts'
import type { ResponseHead } from '../wire/head.ts'
import { closeGoingAway, closeGoingAwayMasked, FrameTracker } from '../wire/websocket.ts'
import type { ExchangeClient, TunnelSide } from './client.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import type { UpstreamConnection } from './upstream.ts'

const textBytesMax = 16_384
/** How long an end waits for the frame under way to be over. */
const boundaryWaitMs = 1_000

export class Tunnel extends Timed {
  readonly #worker: WorkerContext
  readonly #exchange: Exchange
  readonly #client: TunnelSide
  readonly #upstream: TunnelSide
  readonly #connection: UpstreamConnection
  /** Of what the instance sends, and the client; null: not a WebSocket. */
  readonly #frames: FrameTracker | null
  readonly #clientFrames: FrameTracker | null
  readonly #idleUs: number
  #bytesIn = 0
  #bytesOut = 0
  #clientDone = false
  #upstreamDone = false
  #ending = false
  #over = false

  constructor(
    exchange: Exchange,
    client: ExchangeClient,
    upstream: UpstreamConnection,
    isWebSocket: boolean,
  ) {
    super()
    this.#worker = exchange.worker
    this.#exchange = exchange
    this.#client = client.side
    this.#upstream = upstream.side
    this.#connection = upstream
    this.#frames = isWebSocket ? new FrameTracker() : null
    this.#clientFrames = isWebSocket ? new FrameTracker() : null
    this.#idleUs = upstream.pool.spec.upgradeIdleTimeoutMs * 1000
    this.#touch()
  }

  #touch(): void {
    if (!this.#ending) this.#worker.wheel.set(this, this.#worker.now + this.#idleUs)
  }

  fromClient(bytes: Buffer, length: number): void {
    this.#bytesIn += length
    this.#touch()
    this.#clientFrames?.push(bytes, 0, length)
    if (!pass(this.#upstream, bytes, 0, length)) this.#client.pause()
  }

  fromUpstream(bytes: Buffer, length: number, from = 0): void {
    this.#bytesOut += length - from
    this.#touch()
    this.#frames?.push(bytes, from, length)
    if (!pass(this.#client, bytes, from, length)) this.#upstream.pause()
    if (this.#ending && this.#frames?.atBoundary) this.#closePolitely()
  }

  clientDrained(): void {
    this.#upstream.resume()
  }
  upstreamDrained(): void {
    this.#client.resume()
  }

  clientEnded(): void {
    this.#clientDone = true
    if (this.#upstreamDone) this.#end()
    else this.#upstream.end()
  }

  upstreamEnded(): void {
    this.#upstreamDone = true
    // An instance that dies says nothing; a browser told 1001 comes back at once.
    if (this.#frames?.atBoundary && !this.#frames.closed) this.#client.write(closeGoingAway)
    if (this.#clientDone) this.#end()
    else this.#client.end()
  }

  clientClosed(): void {
    this.#end()
  }
  upstreamClosed(): void {
    if (this.#over) return
    if (!this.#upstreamDone) this.upstreamEnded()
    this.#end()
  }

  /** The drain's time is over. */
  endPolitely(): void {
    if (this.#over || this.#ending) return
    this.#ending = true
    if (this.#frames === null) this.#end()
    else if (this.#frames.atBoundary) this.#closePolitely()
    else this.#worker.wheel.set(this, this.#worker.now + boundaryWaitMs * 1000)
  }

  #closePolitely(): void {
    if (!this.#frames?.closed) {
      this.#client.write(closeGoingAway)
      if (this.#clientFrames?.atBoundary) this.#upstream.write(closeGoingAwayMasked)
    }
    this.#client.end()
    this.#upstream.end()
    this.#worker.wheel.set(this, this.#worker.now + boundaryWaitMs * 1000)
    this.#clientDone = this.#upstreamDone = true
  }

  override expired(): void {
    if (!this.#ending && this.#frames !== null) this.endPolitely()
    else this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#worker.wheel.remove(this)
    this.#connection.tunnelDone()
    this.#client.destroy()
    this.#exchange.tunnelEnded(this.#bytesIn, this.#bytesOut)
  }
}

/** Text is copied by the stream; what is larger is copied here, because the bytes are the thread's shared buffer. */
function pass(stream: TunnelSide, bytes: Buffer, from: number, to: number): boolean {
  if (to - from <= textBytesMax) return stream.write(bytes.latin1Slice(from, to))
  const copy = Buffer.from(bytes.subarray(from, to))
  return stream.writeBytes(copy, 0, copy.length)
}

/** RFC 9110 7.8, RFC 6455 4.2.2: the instance agreed; its answer goes to the client, then bytes flow. */
export function startTunnel(
  exchange: Exchange,
  client: ExchangeClient,
  upstream: UpstreamConnection,
  head: ResponseHead,
  bytes: Buffer,
  from: number,
  to: number,
): void {
  const protocol = head.value(fieldId.upgrade) ?? 'websocket'
  const tunnel = new Tunnel(exchange, client, upstream, protocol.toLowerCase() === 'websocket')
  upstream.becomeTunnel(tunnel)
  client.becomeTunnel(tunnel, head, protocol)
  if (from < to) tunnel.fromUpstream(bytes, to, from)
}
