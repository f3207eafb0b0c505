// Says to whoever must know (keepalived, a balancer before this edge) whether this edge should get traffic: one small
// HTTP/1.1 answer a connection. Looks at this edge only: it proxies nothing, and bounds its connections apart from the
// clients', so that a flood of those does not take the edge out.

import type { Stream, StreamHandler } from '../io/net.ts'
import { MS } from '../kit/clock.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { type HeadLimits, Http1RequestHead } from '../wire/http1/index.ts'
import type { Drainable, WorkerContext } from './context.ts'
import type { ListenerSpec } from './snapshot.ts'

type HealthSpec = Extract<ListenerSpec, { kind: 'health' }>

const headLimits: HeadLimits = { requestLineBytesMax: 1_024, headerBytesMax: 8_192, headerCountMax: 64 }
/** Of one worker. */
const connectionsMax = 64
/** For the request, and then for the client to go. */
const timeoutUs = 5_000 * MS

const open = new WeakMap<WorkerContext, number>()
const deaf: StreamHandler = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} }

/** Null: this edge should get traffic. Else why not, in a sentence. */
export function whyNoTraffic(worker: WorkerContext): string | null {
  if (worker.draining) return 'This edge is shutting down.'
  const { spec, groups } = worker.snapshot
  if (spec.standDown !== undefined) return `This edge stands down: ${spec.standDown}`
  if (groups.size > 0 && ![...groups.values()].some(group => group.anyUp))
    return 'No upstream has a member that serves.'
  return null
}

export function acceptHealth(worker: WorkerContext, spec: HealthSpec, stream: Stream): StreamHandler {
  const count = open.get(worker) ?? 0
  if (count >= connectionsMax) {
    stream.destroy()
    return deaf
  }
  open.set(worker, count + 1)
  return new HealthConnection(worker, spec, stream)
}

class HealthConnection extends Timed implements StreamHandler, Drainable {
  readonly #worker: WorkerContext
  readonly #spec: HealthSpec
  readonly #stream: Stream
  readonly #head = new Http1RequestHead(headLimits)
  #text = ''
  #answered = false

  constructor(worker: WorkerContext, spec: HealthSpec, stream: Stream) {
    super()
    this.#worker = worker
    this.#spec = spec
    this.#stream = stream
    worker.keepClient(this)
    worker.wheel.set(this, worker.now + timeoutUs)
  }

  opened(): void {}
  drained(): void {}

  data(_stream: Stream, bytes: Buffer, length: number): void {
    // After the answer the rest is dropped, so that a reset does not overtake it (RFC 9112 9.6).
    if (this.#answered) return
    this.#text += bytes.latin1Slice(0, length)
    const after = this.#head.parse(this.#text)
    if (after === 0) return
    if (after < 0) this.#answer('400 Bad Request', 'This is not an HTTP/1.1 request.\n')
    else this.#answerRequest()
  }

  #answerRequest(): void {
    const { method, target } = this.#head
    const query = target.indexOf('?')
    const path = query < 0 ? target : target.slice(0, query)
    if (path !== this.#spec.path) this.#answer('404 Not Found', `The path is ${this.#spec.path}.\n`)
    else if (method !== 'GET' && method !== 'HEAD')
      this.#answer('405 Method Not Allowed', 'GET and HEAD are allowed.\n', 'Allow: GET, HEAD\r\n')
    else {
      const why = whyNoTraffic(this.#worker)
      if (why === null) this.#answer('200 OK', 'ok\n')
      else this.#answer('503 Service Unavailable', `${why}\n`)
    }
  }

  #answer(status: string, text: string, fields = ''): void {
    this.#answered = true
    const body = Buffer.from(text).latin1Slice()
    const about = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n`
    const head = `HTTP/1.1 ${status}\r\n${this.#worker.dateText}${about}Cache-Control: no-store\r\nConnection: close\r\n${fields}\r\n`
    this.#stream.write(this.#head.method === 'HEAD' ? head : head + body)
    this.#stream.end()
  }

  ended(): void {
    if (!this.#answered) this.#stream.destroy()
  }

  closed(): void {
    const worker = this.#worker
    worker.wheel.remove(this)
    worker.forgetClient(this)
    open.set(worker, (open.get(worker) as number) - 1)
  }

  override expired(): void {
    this.#stream.destroy()
  }
  drain(): void {}
  endNow(): void {
    this.#stream.destroy()
  }
}
