// The step of a route with `onResponse`: the instance's answer is held, with as little of its body as came, until the hook
// has seen the head; then it goes on as the hook wants it, through the next step (compression) where there is one.

import { reasonOf } from '../../wire/http1/index.ts'
import type { Http1ResponseHead } from '../../wire/http1/response-head.ts'
import type { ExchangeClient } from '../client.ts'
import type { Exchange } from '../exchange.ts'
import { type ClientFailure, clientFailures } from '../failures.ts'
import type { ResponseSink, ResponseStep } from '../response-sink.ts'
import type { HooksSpec } from '../snapshot.ts'
import type { HookCall, HookHost } from './host.ts'
import { flatFields, requestParts } from './parts.ts'
import { judgeResponseReply } from './reply.ts'

export class HookStep implements ResponseStep {
  readonly host: HookHost
  readonly spec: HooksSpec
  readonly hook: string
  /** What stands behind it, nearer to the client. */
  readonly inner: ResponseStep | null

  constructor(host: HookHost, spec: HooksSpec, hook: string, inner: ResponseStep | null) {
    this.host = host
    this.spec = spec
    this.hook = hook
    this.inner = inner
  }

  begin(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    const copy = head.copy()
    return copy === null ? null : new HeldResponse(this, exchange, copy)
  }
}

class HeldResponse implements ResponseSink {
  readonly #step: HookStep
  readonly #head: Http1ResponseHead
  readonly #row: number
  readonly #call: HookCall
  /** Null: it is over. */
  #exchange: Exchange | null
  #released = false
  #inner: ResponseSink | null = null
  /** What came while it was held: text, or copies of pieces. */
  #held: (string | Buffer)[] = []
  #ended = false
  #trailers: readonly string[] | null = null

  constructor(step: HookStep, exchange: Exchange, head: Http1ResponseHead) {
    this.#step = step
    this.#exchange = exchange
    this.#head = head
    this.#row = exchange.route?.row ?? 0
    this.#call = {
      name: step.hook,
      request: requestParts(exchange),
      response: { status: head.status, fields: flatFields(head) },
      deadlineMs: step.spec.deadlineMs,
      row: this.#row,
      done: (reply, failure) => this.#done(reply, failure),
    }
    const failure = step.host.call(this.#call)
    // Not within `begin`: the instance's connection is still in the middle of handing the answer over.
    if (failure !== null) setImmediate(() => this.#failedNow(failure))
  }

  #failedNow(failure: ClientFailure): void {
    this.#exchange?.worker.refresh()
    this.#failed(failure)
  }

  #done(reply: unknown, failure: ClientFailure | null): void {
    if (failure !== null) {
      this.#failed(failure)
      return
    }
    const judged = judgeResponseReply(reply, this.#head.status)
    if ('wrong' in judged) {
      this.#step.host.countJunk(this.#row, this.#step.hook, judged.wrong)
      this.#failed(clientFailures.hookFailed)
      return
    }
    const { edits, status } = judged.good
    if (edits === null && status === null) {
      this.#release(this.#head)
      return
    }
    const head = this.#edited(status, edits?.drop ?? [], edits?.add ?? '')
    if (head === null) {
      this.#step.host.countJunk(this.#row, this.#step.hook, 'makes the head larger than a head may be')
      this.#failed(clientFailures.hookFailed)
    } else this.#release(head)
  }

  #edited(status: number | null, drop: readonly string[], add: string): Http1ResponseHead | null {
    if (status === null || status === this.#head.status) return this.#head.copy(undefined, drop, add)
    return this.#head.copy(status, drop, add, reasonOf(status))
  }

  #failed(failure: ClientFailure): void {
    if (this.#step.spec.onFailure === 'pass') this.#release(this.#head)
    else this.#exchange?.refuse(failure, failure.status === 503 ? 'Retry-After: 1\r\n' : '')
  }

  #release(head: Http1ResponseHead): void {
    const exchange = this.#exchange
    if (exchange === null) return
    this.#released = true
    this.#inner = this.#step.inner?.begin(exchange, head) ?? null
    if (this.#inner === null) exchange.sendHead(head, head.framing, null)
    let taken = true
    const held = this.#held
    this.#held = []
    for (const piece of held) {
      if (this.#exchange === null) return
      if (typeof piece === 'string') this.text(piece)
      else taken = this.bytes(piece, 0, piece.length) && taken
    }
    if (this.#ended) this.end(this.#trailers)
    else if (this.#exchange !== null) {
      exchange.client?.flush()
      if (taken) exchange.resumeResponse()
    }
  }

  text(text: string): void {
    if (!this.#released) this.#held.push(text)
    else if (this.#inner !== null) this.#inner.text(text)
    else this.#client?.bodyText(text)
  }

  /** While it is held the instance is not read on: no more comes than what one read brought. */
  bytes(bytes: Buffer, from: number, to: number): boolean {
    if (!this.#released) {
      this.#held.push(Buffer.from(bytes.subarray(from, to)))
      return false
    }
    if (this.#inner !== null) return this.#inner.bytes(bytes, from, to)
    return this.#client?.bodyBytes(bytes, from, to) ?? false
  }

  get #client(): ExchangeClient | null {
    return this.#exchange?.client ?? null
  }

  end(trailers: readonly string[] | null): void {
    this.#ended = true
    this.#trailers = trailers
    if (!this.#released) return
    if (this.#inner !== null) this.#inner.end(trailers)
    else this.#exchange?.sinkDone(trailers)
  }

  drained(): void {
    if (this.#inner !== null) this.#inner.drained()
    else if (this.#released) this.#exchange?.resumeResponse()
  }

  cancel(): void {
    this.#exchange = null
    this.#call.done = null
    this.#held = []
    this.#inner?.cancel()
  }
}
