// One request's life: route, gates, choice of a member, attempts, response, record. Sees a neutral head and body; the
// client's and the instance's protocols are their own (http1-client.ts, http1-upstream.ts). Asks policies what to do
// and obeys. Never makes a promise: it stops at a gate, a queue or a back-off and is resumed by a call. Objects are
// reused: `serial` tells one life from the next.
//
// Phases: head -> gates -> (waiting) -> attempting -> responding -> done. Every path ends in `#finish` exactly once.

import type { Timed } from '../kit/timer-wheel.ts'
import { hostOf, needsNormalising, normalisePath } from '../policy/route.ts'
import { fieldId } from '../wire/fields.ts'
import type { ResponseHead } from '../wire/head.ts'
import { bodilessDrop, framing, Http1RequestHead, type Http1ResponseHead } from '../wire/http1/index.ts'
import { Attempts } from './attempts.ts'
import type { CompiledRoute, CompiledRules, CompiledSnapshot } from './compile.ts'
import type { WorkerContext } from './context.ts'
import { recordExchange } from './exchange-record.ts'
import { type ClientFailure, clientFailures } from './failures.ts'
import { type GateRefusal, gateAnswer } from './gate.ts'
import type { MemberGroup } from './group.ts'
import type { Http1Client } from './http1-client.ts'
import type { Http1Upstream } from './http1-upstream.ts'
import { refusalFor } from './refusal.ts'
import { isRequestId } from './request-ids.ts'
import { startTunnel } from './tunnel.ts'

const noLimits = { requestLineBytesMax: 0, headerBytesMax: 0, headerCountMax: 128 }
const interimRules: CompiledRules = {
  drop: bodilessDrop,
  dropButHost: bodilessDrop,
  alsoDrop: null,
  add: '',
  host: null,
}
export class Exchange implements Timed {
  deadlineAt: number = Infinity
  wheelAt = 0
  wheelBucket = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  readonly worker: WorkerContext
  readonly head: Http1RequestHead = new Http1RequestHead(noLimits)
  /** Grows with each life of this object. */
  serial = 0
  client: Http1Client | null = null
  snapshot: CompiledSnapshot | null = null
  route: CompiledRoute | null = null
  /** The request's id is what a trusted proxy gave, or the worker's prefix and this. */
  idSuffix = ''
  #givenId = ''
  /** Normalised path without the query: what was matched. */
  path = ''
  /** Path and query as they are forwarded. */
  target = ''
  upgrading = false
  /** Set by a gate that refuses. */
  refusal: GateRefusal | null = null
  startedAt = 0
  responding = false
  /** The answer that has begun is an event stream. */
  streamsEvents = false
  status = 0
  firstByteAt = 0
  bytesIn = 0
  bytesOut = 0
  /** Stable code of what went wrong, for the log. */
  error = ''
  remoteAddress = ''
  readonly attempts: Attempts
  #gate = 0
  #bodyText = ''

  constructor(worker: WorkerContext) {
    this.worker = worker
    this.attempts = new Attempts(this)
  }

  get requestId(): string {
    return this.#givenId === '' ? this.worker.ids.prefix + this.idSuffix : this.#givenId
  }

  // --- from the head to the choice ----------------------------------------------------------------------------

  /** The head is complete. `bodyText`: the whole body where it came with it; else it streams when `client.bodyOpen`. */
  begin(client: Http1Client, bodyText: string): void {
    const { worker, head } = this
    this.#start(client)
    this.#bodyText = bodyText
    this.bytesIn = bodyText.length
    const { method } = head
    if (method === 'CONNECT' || method === 'TRACE') {
      this.refuse(clientFailures.methodNotAllowed)
      return
    }
    if (!this.#takeTarget()) {
      this.refuse(clientFailures.badPath)
      return
    }
    if (this.target === '*' || (method === 'OPTIONS' && head.value(fieldId['max-forwards']) === '0')) {
      this.respond(200, 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-Length: 0\r\n', '')
      return
    }
    const snapshot = this.snapshot as CompiledSnapshot
    const { table } = snapshot
    const at = table.match(table.usesHost ? hostOf(head.authority) : '', this.path, head)
    if (at < 0) {
      this.refuse(clientFailures.noRoute)
      return
    }
    const route = (this.route = snapshot.routes[at] as CompiledRoute)
    if (this.#hasPassedHere()) {
      this.refuse(clientFailures.loop)
      return
    }
    if (head.contentLength > route.bodyBytesMax) {
      this.refuse(clientFailures.bodyTooLarge)
      return
    }
    if (route.timeoutUs !== Infinity) worker.wheel.set(this, this.startedAt + route.timeoutUs)
    if (worker.gates.length > 0) this.#enterGates()
    else this.#act()
  }

  #start(client: Http1Client): void {
    const { worker } = this
    this.client = client
    this.remoteAddress = client.remoteAddress
    this.snapshot = worker.snapshot
    this.snapshot.uses++
    this.startedAt = worker.now
    worker.cells.worker.exchanges[worker.index]!++
    const given = client.trusted ? this.head.value(fieldId['x-request-id']) : undefined
    this.idSuffix = worker.ids.next()
    this.#givenId = given !== undefined && isRequestId(given) ? given : ''
  }

  #takeTarget(): boolean {
    const { target } = this.head
    if (target === '*') {
      this.target = this.path = target
      return true
    }
    const mark = target.indexOf('?')
    const path = mark < 0 ? target : target.slice(0, mark)
    if (!needsNormalising(path)) {
      this.path = path
      this.target = target
      return true
    }
    const normal = normalisePath(path)
    if (normal === null) return false
    this.path = normal
    this.target = mark < 0 ? normal : normal + target.slice(mark)
    return true
  }

  /** RFC 9110 7.6.3: our own pseudonym in Via means that the request goes round in a circle. */
  #hasPassedHere(): boolean {
    return (
      this.head.firstOf(fieldId.via) >= 0 && (this.head.find('via') as string).includes(this.worker.pseudonym)
    )
  }

  #enterGates(): void {
    const { gates } = this.worker
    while (this.#gate < gates.length) {
      const answer = gates[this.#gate]!.enter(this)
      if (answer === gateAnswer.pending) return
      if (answer === gateAnswer.refuse) {
        this.refuse(this.refusal ?? clientFailures.busy, this.refusal?.fields ?? '')
        return
      }
      this.#gate++
    }
    this.#act()
  }

  /** A gate that said `pending` has decided. Does nothing when this exchange is over meanwhile. */
  resumeGate(serial: number, answer: number): void {
    if (serial !== this.serial || this.client === null || this.#gate >= this.worker.gates.length) return
    if (answer === gateAnswer.refuse)
      this.refuse(this.refusal ?? clientFailures.busy, this.refusal?.fields ?? '')
    else {
      this.#gate++
      this.#enterGates()
    }
  }

  #act(): void {
    const route = this.route as CompiledRoute
    const { action } = route.spec
    if (action.kind === 'proxy') this.attempts.start(this.#bodyText, (this.client as Http1Client).bodyOpen)
    else if (action.kind === 'redirect') {
      const location = action.location
        .replaceAll('{host}', () => hostOf(this.head.authority))
        .replaceAll('{uri}', () => this.target)
      this.respond(action.status, `Location: ${location}\r\nContent-Length: 0\r\n${route.response.add}`, '')
    } else if (action.status === 204 || action.status === 304) {
      // Neither has a body (RFC 9112 6.3): one that was sent would be taken for the next answer.
      this.respond(action.status, route.response.add, '')
    } else {
      const length = Buffer.byteLength(action.body)
      const fields = `Content-Type: ${action.contentType}\r\nContent-Length: ${length}\r\n${route.response.add}`
      this.respond(action.status, fields, Buffer.from(action.body).latin1Slice())
    }
  }

  // --- from the attempts --------------------------------------------------------------------------------------

  /** No attempt delivered and none will. `begun`: part of a response went out, so that nothing else may follow. */
  undelivered(failure: ClientFailure, begun: boolean): void {
    if (begun) this.#cut('response-cut')
    else this.refuse(failure)
  }

  /** Ends what has begun and can't be completed: the client must see that it is not whole. */
  #cut(error: string): void {
    this.error = error
    this.#finish(true)
  }

  // --- the request body ---------------------------------------------------------------------------------------

  requestBody(bytes: Buffer, from: number, to: number): void {
    this.bytesIn += to - from
    if (this.bytesIn > (this.route as CompiledRoute).bodyBytesMax) {
      this.requestBodyBad(clientFailures.bodyTooLarge)
      return
    }
    if (!this.attempts.body(bytes, from, to)) this.client?.pauseBody()
  }

  requestBodyEnd(trailers: readonly string[] | null): void {
    this.attempts.primary?.bodyEnd(trailers)
  }

  /** The body is malformed, too large or too slow: the instance's connection is cut, so that it sees no whole request. */
  requestBodyBad(failure: ClientFailure): void {
    const begun = this.responding
    this.attempts.cancel()
    if (begun) this.#cut(failure.code)
    else this.refuse(failure)
  }

  // --- the response -------------------------------------------------------------------------------------------

  /** 1xx other than 101. 100 goes on only when the client asked for it (RFC 9110 15.2). */
  interim(head: ResponseHead): void {
    if (head.status === 100 && !this.head.expectContinue) return
    this.client?.sendInterim(head, interimRules)
  }

  /** A final head: false when the exchange does not want this response (it tries again). */
  response(connection: Http1Upstream, head: Http1ResponseHead): boolean {
    const { worker, attempts } = this
    const group = this.attempts.group as MemberGroup
    const now = worker.now
    const { status } = head
    const failed = status === 502 || status === 503 || status === 504
    attempts.observe(connection, failed)
    const utilisationHeader = group.spec.utilisationHeader
    if (utilisationHeader !== undefined) this.#noteUtilisation(group, connection, head, utilisationHeader)
    if (status >= 400 && attempts.triesStatusAgain(connection, status)) return false
    attempts.takeWinner(connection)
    worker.cells.upstreamLatency.record(group.row, now - connection.sentAt)
    this.responding = true
    this.status = status
    this.firstByteAt = now
    this.#sendHead(connection, head, group)
    return true
  }

  #noteUtilisation(group: MemberGroup, connection: Http1Upstream, head: ResponseHead, name: string): void {
    const value = head.find(name)
    const share = value === undefined ? Number.NaN : Number(value)
    if (share >= 0 && connection.member < group.count) group.setUtilisation(connection.member, share)
  }

  #sendHead(connection: Http1Upstream, head: Http1ResponseHead, group: MemberGroup): void {
    const { client } = this
    if (client === null) return
    const endless = head.framing === framing.chunked || head.framing === framing.untilClose
    this.streamsEvents =
      endless && (head.value(fieldId['content-type'])?.startsWith('text/event-stream') ?? false)
    const route = this.route as CompiledRoute
    const rules = head.status === 204 ? route.response204 : route.response
    let { drop } = rules
    let extra = rules.add
    const { action } = route.spec
    if (
      action.kind === 'proxy' &&
      action.sticky?.by === 'cookie' &&
      connection.member !== this.attempts.stickyMember
    ) {
      const id = group.member(connection.member).id
      extra += this.worker.sticky.setCookieLine(action.sticky, group.spec.name, id)
    }
    if (head.firstOf(fieldId.location) >= 0) {
      const location = this.#publicLocation(head.value(fieldId.location) as string, connection)
      if (location !== null) {
        drop = drop.slice()
        drop[fieldId.location] = 1
        extra += `Location: ${location}\r\n`
      }
    }
    let also = rules.alsoDrop
    if (head.connectionNames !== null)
      also = also === null ? head.connectionNames : [...also, ...head.connectionNames]
    client.beginResponse(head, head.framing, drop, also, extra)
  }

  /** A redirect to the instance's own address becomes one to ours: addresses of instances stay hidden. */
  #publicLocation(location: string, connection: Http1Upstream): string | null {
    const { host, port } = connection.pool
    const own = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
    if (!location.startsWith(own)) return null
    const rest = location.slice(own.length)
    if (rest !== '' && !/^[/?#]/.test(rest)) return null
    return rest.startsWith('/') ? rest : `/${rest}`
  }

  /** The whole body, which came with the head. */
  responseText(text: string): void {
    this.bytesOut += text.length
    this.client?.bodyText(text)
  }

  responseBytes(connection: Http1Upstream, bytes: Buffer, from: number, to: number): void {
    this.bytesOut += to - from
    const { client } = this
    if (client !== null && !client.bodyBytes(bytes, from, to)) connection.pause()
  }

  clientDrained(): void {
    this.attempts.primary?.resume()
  }

  responseEnd(trailers: readonly string[] | null): void {
    this.attempts.primary = null
    const { client } = this
    client?.endResponse(trailers)
    this.#finish(false)
  }

  /** 101: from here on bytes pass both ways. */
  switched(
    connection: Http1Upstream,
    head: Http1ResponseHead,
    bytes: Buffer,
    from: number,
    to: number,
  ): void {
    const _group = this.attempts.group as MemberGroup
    const now = this.worker.now
    if (!this.upgrading || this.client === null) {
      connection.cancel()
      this.attempts.primary = null
      this.attempts.observe(connection, true)
      this.refuse(clientFailures.badResponse)
      return
    }
    this.attempts.observe(connection, false)
    this.status = 101
    this.firstByteAt = now
    this.responding = true
    const { wheel } = this.worker
    wheel.set(this, Infinity)
    startTunnel(this, this.client, connection, head, bytes, from, to)
  }

  // --- refusals and ends --------------------------------------------------------------------------------------

  /** Before any of the request is understood: the head is malformed or too slow. */
  refuseUnread(client: Http1Client, failure: ClientFailure): void {
    this.#start(client)
    this.head.method ||= '-'
    this.path ||= '-'
    this.refuse(failure)
  }

  refuse(failure: ClientFailure, fields = ''): void {
    this.error = failure.code
    const { contentType, body } = refusalFor(failure, this.requestId, this.head.value(fieldId.accept))
    const allow = failure.status === 405 ? 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n' : ''
    const length = body.length
    this.respond(
      failure.status,
      `Content-Type: ${contentType}\r\nContent-Length: ${length}\r\nCache-Control: no-store\r\nX-Request-Id: ${this.requestId}\r\n${allow}${fields}`,
      body,
    )
  }

  /** A whole answer of our own. `body` is Latin-1 text. */
  respond(status: number, fields: string, body: string): void {
    this.attempts.cancel()
    this.status = status
    const { client } = this
    if (client === null) {
      this.#finish(false)
      return
    }
    // A body that is not read to its end would be taken for the next request.
    if (client.bodyOpen || this.head.framing < 0) client.closing = true
    client.beginOwnResponse(status, fields)
    if (this.head.method !== 'HEAD') {
      this.bytesOut += body.length
      client.bodyText(body)
    }
    client.endResponse(null)
    this.#finish(false)
  }

  /** The client's connection is closed or half-closed amid its request. */
  clientGone(): void {
    this.error ||= 'client-gone'
    this.client = null
    this.attempts.cancel()
    this.#finish(true)
  }

  /** The drain's time is over: an event stream ends as complete, anything else is cut so that it is seen. */
  endNow(): void {
    const { client } = this
    this.error = 'drained'
    const polite = this.responding && this.attempts.primary !== null && this.streamsEvents
    this.attempts.cancel()
    if (!this.responding) {
      this.refuse(clientFailures.draining, 'Retry-After: 1\r\n')
      return
    }
    if (polite) client?.endResponse(null)
    this.#finish(!polite)
  }

  /** The route's time is over. */
  expired(): void {
    this.attempts.cancel()
    if (this.responding) this.#cut(clientFailures.routeTimeout.code)
    else this.refuse(clientFailures.routeTimeout)
  }

  /** A tunnel is over. */
  tunnelEnded(bytesIn: number, bytesOut: number): void {
    this.bytesIn = bytesIn
    this.bytesOut = bytesOut
    this.client = null
    this.attempts.primary = null
    this.#finish(false)
  }

  #finish(aborted: boolean): void {
    const { worker, client } = this
    const snapshot = this.snapshot
    if (snapshot === null) return
    this.snapshot = null
    worker.wheel.remove(this)
    recordExchange(this, snapshot, aborted)
    const { cells } = worker
    cells.worker.exchanges[worker.index]!--
    if (--snapshot.uses === 0 && snapshot !== worker.snapshot) worker.snapshotReleased(snapshot)
    this.#reset()
    worker.giveExchange(this)
    if (aborted) client?.exchangeCut()
    else client?.exchangeDone()
  }

  #reset(): void {
    this.serial++
    this.attempts.reset()
    this.client = this.route = this.refusal = null
    this.idSuffix = this.#givenId = this.path = this.target = this.error = ''
    this.upgrading = this.responding = this.streamsEvents = false
    this.#gate = 0
    this.#bodyText = ''
    this.status = this.firstByteAt = this.bytesIn = this.bytesOut = 0
  }
}
