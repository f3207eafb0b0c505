// The gate of a route with `onRequest`: the exchange waits for the hook's result, without a promise. What the hook wants
// changed is noted in the exchange for `request-text.ts`; an answer of its own ends the exchange.

import { normalisePath } from '../../policy/route.ts'
import type { Exchange } from '../exchange.ts'
import { type ClientFailure, clientFailures } from '../failures.ts'
import { type Gate, gateAnswer } from '../gate.ts'
import type { HeadEdits } from '../response-sink.ts'
import type { HooksSpec } from '../snapshot.ts'
import type { HookHost } from './host.ts'
import { requestParts } from './parts.ts'
import { judgeRequestReply, type RequestReply } from './reply.ts'

export class HookGate implements Gate {
  readonly name = 'hook'
  readonly #host: HookHost
  readonly #spec: HooksSpec
  readonly #hook: string

  constructor(host: HookHost, spec: HooksSpec, hook: string) {
    this.#host = host
    this.#spec = spec
    this.#hook = hook
  }

  enter(exchange: Exchange): number {
    const { serial } = exchange
    const row = exchange.route?.row ?? 0
    const failure = this.#host.call({
      name: this.#hook,
      request: requestParts(exchange),
      response: null,
      deadlineMs: this.#spec.deadlineMs,
      row,
      done: (reply, wrong) => this.#done(exchange, serial, row, reply, wrong),
    })
    if (failure === null) return gateAnswer.pending
    return this.#failed(exchange, failure)
  }

  #failed(exchange: Exchange, failure: ClientFailure): number {
    if (this.#spec.onFailure === 'pass') return gateAnswer.pass
    exchange.refusal = failure.status === 503 ? { ...failure, fields: 'Retry-After: 1\r\n' } : failure
    return gateAnswer.refuse
  }

  #done(exchange: Exchange, serial: number, row: number, reply: unknown, wrong: ClientFailure | null): void {
    const gone = serial !== exchange.serial || exchange.client === null
    if (wrong === null) {
      const judged = judgeRequestReply(reply)
      if ('good' in judged) {
        if (!gone) this.#obey(exchange, serial, judged.good)
        return
      }
      this.#host.countJunk(row, this.#hook, judged.wrong)
    }
    if (!gone) exchange.resumeGate(serial, this.#failed(exchange, wrong ?? clientFailures.hookFailed))
  }

  #obey(exchange: Exchange, serial: number, { edits, url, respond }: RequestReply): void {
    if (respond !== null) {
      const added = exchange.route?.response.add ?? ''
      exchange.respond(respond.status, respond.fields + added + exchange.extraFields, respond.body)
      return
    }
    exchange.requestEdits = joined(exchange.requestEdits, edits)
    if (url !== null) {
      const mark = url.indexOf('?')
      const path = normalisePath(mark < 0 ? url : url.slice(0, mark)) as string
      exchange.path = path
      exchange.target = mark < 0 ? path : path + url.slice(mark)
    }
    exchange.resumeGate(serial, gateAnswer.pass)
  }
}

/** What gates before this one want changed stays wanted; where both set a field, the hook's word comes later. */
function joined(before: HeadEdits | null, edits: HeadEdits | null): HeadEdits | null {
  if (before === null || edits === null) return edits ?? before
  return { drop: [...before.drop, ...edits.drop], add: before.add + edits.add }
}
