// One request's life: route, gates, choice of a member, attempts, response, record. Sees a neutral head and body; the
// client's and the instance's protocols are their own (http1-client.ts, http1-upstream.ts). Asks policies what to do
// and obeys. Never makes a promise: it stops at a gate, a queue or a back-off and is resumed by a call. Objects are
// reused: `serial` tells one life from the next.
//
// Phases: head -> gates -> (waiting) -> attempting -> responding -> done. Every path ends in `#finish` exactly once.

import { Timed } from '../kit/timer-wheel.ts'
import { hostOf, needsNormalising, normalisePath } from '../policy/route.ts'
import { fieldId, knownIds } from '../wire/fields.ts'
import type { ResponseHead } from '../wire/head.ts'
import {
  bodilessDrop,
  framing,
  Http1RequestHead,
  Http1ResponseHead,
  withDropped,
} from '../wire/http1/index.ts'
import { Attempts } from './attempts.ts'
import { BodyHold, tellHolder } from './body-hold.ts'
import type { BodyInspector } from './body-inspector.ts'
import type { ExchangeClient } from './client.ts'
import type { CompiledRoute, CompiledRules, CompiledSnapshot } from './compile.ts'
import type { WorkerContext } from './context.ts'
import { countStatus, recordExchange } from './exchange-record.ts'
import { type ClientFailure, clientFailures } from './failures.ts'
import { type Gate, type GateRefusal, gateAnswer } from './gate.ts'
import type { MemberGroup } from './group.ts'
import { grpcRefusal, isGrpc } from './grpc.ts'
import type { Visit } from './guard-port.ts'
import { refusalFor } from './refusal.ts'
import { isRequestId } from './request-ids.ts'
import { clientAddress } from './request-text.ts'
import type { HeadEdits, LocalSource, ResponseSink, ResponseStep } from './response-sink.ts'
import { startTunnel } from './tunnel.ts'
import type { UpstreamConnection } from './upstream.ts'

const noLimits = { requestLineBytesMax: 0, headerBytesMax: 0, headerCountMax: 128 }
const interimRules: CompiledRules = {
  drop: bodilessDrop,
  dropButHost: bodilessDrop,
  alsoDrop: null,
  add: '',
  host: null,
}
/** RFC 9110 15.2.1: for who waits with a body that is held here. */
const continueHead = new Http1ResponseHead({ ...noLimits, requestLineBytesMax: 64, headerBytesMax: 64 })
continueHead.parse('HTTP/1.1 100 Continue\r\n\r\n', 'POST')

/** Hears of an exchange's phases: a trace, the slow-request log, Server-Timing. Never changes where a request goes. */
export interface ExchangeWatcher {
  /** `traceparent` for the attempt that begins now, instead of the one of the request's id; '' = none of its own. */
  readonly traceparent: string
  /** The gates are passed. */
  acted(exchange: Exchange): void
  /** An attempt is about to be sent over this connection: `exchange.attempts` knows to whom and why. */
  attempt(exchange: Exchange, connection: UpstreamConnection): void
  /** It is over without being the answer: with this status, or 0 and one of `attemptEnd`; -1: it lost a race. */
  attemptOver(exchange: Exchange, connection: UpstreamConnection, status: number, end: number): void
  /** This connection's answer is the answer. */
  answered(exchange: Exchange, connection: UpstreamConnection): void
  /** Field lines for the head of the answer, which goes out now. */
  headFields(exchange: Exchange): string
  /** Before the exchange forgets everything. */
  ended(exchange: Exchange, aborted: boolean): void
}

/** The part that the route's cache has in an exchange (`cache/`): what it waits for, fills, or may serve instead. */
export interface CacheWork {
  /** No instance answered, or none can: true when the exchange is answered otherwise, or asks elsewhere. */
  instead(exchange: Exchange, failure: ClientFailure): boolean
  /** The client is gone: true when the exchange goes on without it, because others wait for its answer. */
  outlives(exchange: Exchange): boolean
  /** Before the exchange forgets everything. */
  over(exchange: Exchange): void
}

/** Of a body that is waited for where places are counted. */
const shortBodyBytes = 65_536

/** What a copy has of its original, beside the head. */
export interface CopiedRequest {
  readonly path: string
  readonly target: string
  readonly bodyText: string
  readonly idSuffix: string
  readonly edits: HeadEdits | null
  /** As `Exchange.bodyHeld`. */
  readonly bodyHeld?: boolean
}

export class Exchange extends Timed {
  readonly worker: WorkerContext
  readonly head: Http1RequestHead = new Http1RequestHead(noLimits)
  /** Grows with each life of this object. */
  serial = 0
  client: ExchangeClient | null = null
  snapshot: CompiledSnapshot | null = null
  route: CompiledRoute | null = null
  /** Row of the canary's side that this request is counted for; -1 without a canary. */
  sideRow = -1
  /** The upstream that this request goes to: the route's, or what its split or canary chose. */
  group: MemberGroup | null = null
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
  /** A head went out to the client: nothing else may. */
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
  /** As `ExchangeClient.httpVersion`, kept for the log. */
  httpVersion = '1.1'
  readonly attempts: Attempts
  /** Field lines that every answer of this exchange gets (CORS, HSTS, timing): set by doors, gates and steps. */
  extraFields = ''
  /** What a hook wants changed in the request as the instance gets it. */
  requestEdits: HeadEdits | null = null
  /** Looks at the request's body before the instance gets it; null: nobody does. */
  bodyInspector: BodyInspector | null = null
  /** What was held of the body, by `holdBody`; null: nobody asked for it. */
  #hold: BodyHold | null = null
  /** The whole body was held: it is known, and goes to instances with its length, whatever framed it. */
  bodyHeld = false
  /** The client has been told to send its body (RFC 9110 10.1.1). */
  #continued = false
  /** Stands between the instance's answer and the client; null: nothing does. */
  #sink: ResponseSink | null = null
  /** Feeds an answer of our own. */
  #source: LocalSource | null = null
  /** Whoever wants to hear of the end (a trace); asked for by `watch`. */
  watcher: ExchangeWatcher | null = null
  /** Null: the cache has no part in it. */
  cache: CacheWork | null = null
  /** The guard's of this exchange; null: no guard has looked at it. */
  visit: Visit | null = null
  /** One of `cacheResult`. */
  cacheResult = 0
  /** Nobody asked for it: the cache looks whether what it has is still good. Not counted as a request. */
  background = false
  /** It goes to another edge of ours, which rewrites paths itself. */
  toParent = false
  /** Whose answer it is. */
  #answering: UpstreamConnection | null = null
  #gate = 0
  #bodyText = ''

  constructor(worker: WorkerContext) {
    super()
    this.worker = worker
    this.attempts = new Attempts(this)
  }

  get requestId(): string {
    return this.#givenId === '' ? this.worker.ids.prefix + this.idSuffix : this.#givenId
  }

  /** The client's address: the nearest one that is not a trusted proxy's. */
  get address(): string {
    return clientAddress(this)
  }

  /** What `:name` of the route's path matched. */
  pathParameter(name: string): string | undefined {
    const { route, snapshot } = this
    return route === null ? undefined : snapshot?.table.parameter(route.index, this.path, name)
  }

  // --- from the head to the choice ----------------------------------------------------------------------------

  /** The head is complete. `bodyText`: the whole body where it came with it; else it streams when `client.bodyOpen`. */
  begin(client: ExchangeClient, bodyText: string): void {
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
    const snapshot = this.snapshot as CompiledSnapshot
    if (snapshot.doors.length > 0 && this.#atDoors(snapshot.doors)) return
    if (this.target === '*' || (method === 'OPTIONS' && head.value(fieldId['max-forwards']) === '0')) {
      this.respond(200, 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-Length: 0\r\n', '')
      return
    }
    const { table } = snapshot
    const at = table.match(table.usesHost ? hostOf(head.authority) : '', this.path, head)
    if (at < 0) {
      this.refuse(clientFailures.noRoute)
      return
    }
    const route = (this.route = snapshot.routes[at] as CompiledRoute)
    worker.cells.routeWorker.active[route.row]!++
    if (this.#hasPassedHere()) {
      this.refuse(clientFailures.loop)
      return
    }
    if (head.contentLength > route.bodyBytesMax) {
      this.refuse(clientFailures.bodyTooLarge)
      return
    }
    if (route.timeoutUs !== Infinity) worker.wheel.set(this, this.startedAt + route.timeoutUs)
    this.group = route.group
    if (route.gates.length > 0) this.#enterGates(route.gates)
    else this.#act()
  }

  /** A copy of another request, whose head was read already: neither doors nor routes nor gates are asked. */
  beginCopy(client: ExchangeClient, route: CompiledRoute, copy: CopiedRequest): void {
    const { worker } = this
    this.#start(client)
    this.idSuffix = copy.idSuffix
    this.#bodyText = copy.bodyText
    this.bytesIn = copy.bodyText.length
    this.path = copy.path
    this.target = copy.target
    this.requestEdits = copy.edits
    this.bodyHeld = copy.bodyHeld === true
    this.route = route
    worker.cells.routeWorker.active[route.row]!++
    this.group = route.group
    if (route.timeoutUs !== Infinity) worker.wheel.set(this, this.startedAt + route.timeoutUs)
    this.#act()
  }

  #start(client: ExchangeClient): void {
    const { worker } = this
    this.client = client
    this.remoteAddress = client.remoteAddress
    this.httpVersion = client.httpVersion
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

  /** Before the routes: true when one of them has answered. They never wait. */
  #atDoors(doors: readonly Gate[]): boolean {
    for (const door of doors) {
      const answer = door.enter(this)
      if (answer === gateAnswer.taken) return true
      if (answer !== gateAnswer.refuse) continue
      this.refuse(this.refusal ?? clientFailures.busy, this.refusal?.fields ?? '')
      return true
    }
    return false
  }

  #enterGates(gates: readonly Gate[]): void {
    while (this.#gate < gates.length) {
      const answer = gates[this.#gate]!.enter(this)
      if (answer === gateAnswer.pending || answer === gateAnswer.taken) return
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
    const gates = this.route?.gates
    if (serial !== this.serial || this.client === null || gates === undefined || this.#gate >= gates.length)
      return
    if (answer === gateAnswer.refuse)
      this.refuse(this.refusal ?? clientFailures.busy, this.refusal?.fields ?? '')
    else if (answer === gateAnswer.pass) {
      this.#gate++
      this.#enterGates(gates)
    }
  }

  #act(): void {
    const route = this.route as CompiledRoute
    const { action } = route
    if (this.#waitsForBody()) return
    if (this.watcher !== null) this.watcher.acted(this)
    if (action === null) this.attempts.start(this.#bodyText, (this.client as ExchangeClient).bodyOpen)
    else action.run(this)
  }

  /**
   * Where places are counted a short body comes first: an instance that has a part of a request may be at work on it, and
   * no place would be held for that. Long ones are counted (`places.ts`), calls of gRPC answer before their body ends.
   */
  #waitsForBody(): boolean {
    const { group, client, head } = this
    if (group === null || group.places === null || this.#hold !== null || client?.bodyOpen !== true)
      return false
    if (head.contentLength > shortBodyBytes || (group.spec.protocol === 'h2' && isGrpc(this))) return false
    this.holdBody(shortBodyBytes, () => this.#act())
    return true
  }

  // --- from the attempts --------------------------------------------------------------------------------------

  /** The whole request body where it came with the head. */
  get bodyText(): string {
    return this.#bodyText
  }

  /** No attempt delivered and none will. `begun`: part of a response came, and went out unless a step holds it. */
  undelivered(failure: ClientFailure, begun: boolean): void {
    if (begun && this.responding) this.#cut('response-cut')
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
    const taken = this.#hold === null ? this.#passBody(bytes, from, to) : this.#hold.take(bytes, from, to)
    if (!taken) this.client?.pauseBody()
  }

  #passBody(bytes: Buffer, from: number, to: number): boolean {
    return this.bodyInspector === null
      ? this.attempts.body(bytes, from, to)
      : this.bodyInspector.bytes(bytes, from, to)
  }

  requestBodyEnd(trailers: readonly string[] | null): void {
    if (this.#hold !== null) this.#bodyWhole(this.#hold)
    else if (this.bodyInspector === null) this.attempts.primary?.bodyEnd(trailers)
    else this.bodyInspector.end(trailers)
  }

  /**
   * Reads the body to its end before anything of it is passed on; then, never before this returns, `done` hears all of
   * it, or null when there is more than `bytesMax`. It is not called when the exchange is over before: the body is
   * malformed, too slow or cut, or the client has gone. For a gate that answers `pending`; afterwards the request goes
   * on byte for byte, what is longer than `bytesMax` too. Trailers of a body that was held whole are dropped (RFC 9110
   * 6.5.1), since nobody has looked at them.
   */
  holdBody(bytesMax: number, done: (body: Buffer | null) => void): void {
    const { client, head, serial } = this
    if (client === null) return
    const tooLong = head.contentLength > bytesMax && this.#hold === null && client.bodyOpen
    if (tooLong || (this.#hold === null && !client.bodyOpen)) {
      queueMicrotask(() => {
        if (serial !== this.serial) return
        const known = tooLong || this.#bodyText.length > bytesMax
        tellHolder(this, serial, known ? null : Buffer.from(this.#bodyText, 'latin1'), done)
      })
      return
    }
    const hold = (this.#hold ??= new BodyHold(this))
    if (!hold.wait(bytesMax, done)) return
    if (head.expectContinue && !this.#continued) {
      this.#continued = true
      client.sendInterim(continueHead, interimRules)
    }
    client.startBody()
    if (serial === this.serial) client.resumeBody()
  }

  /** `done` of `holdBody` has thrown. */
  holdFailed(serial: number, error: unknown): void {
    if (serial !== this.serial || this.snapshot === null) {
      // It had answered already: nothing is left to be refused.
      this.worker.tell('edge', `a request was answered, and then failed: ${(error as Error)?.message}`)
      return
    }
    if (this.visit?.failed(this, error) === true) return
    if (this.responding) this.#cut(clientFailures.gateFailed.code)
    else this.refuse(this.refusal ?? clientFailures.gateFailed)
  }

  /** The held body is complete: from here on it is known as one that came with its head. */
  #bodyWhole(hold: BodyHold): void {
    hold.end()
    this.bodyHeld = true
    this.#bodyText = hold.bytes().latin1Slice()
    // The client may have been told to wait, just before its end came.
    this.client?.resumeBody()
  }

  /** An instance takes the body: what was held of it goes first. */
  startBody(): void {
    const hold = this.#hold
    if (hold !== null && !hold.whole) {
      const bytes = hold.bytes()
      this.#hold = null
      hold.drop()
      if (bytes.length > 0 && !this.#passBody(bytes, 0, bytes.length)) return
      if (this.client === null) return
      this.client.startBody()
      this.client?.resumeBody()
    } else this.client?.startBody()
  }

  /** What the inspector lets pass; `bytes` are never changed again. False: the instance can't take more for now. */
  forwardBody(bytes: Buffer): boolean {
    return this.attempts.body(bytes, 0, bytes.length)
  }

  forwardBodyEnd(trailers: readonly string[] | null): void {
    this.bodyInspector = null
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
    if (head.status === 100 && (!this.head.expectContinue || this.#continued)) return
    this.client?.sendInterim(head, interimRules)
  }

  /** A final head: false when the exchange does not want this response (it tries again). */
  response(connection: UpstreamConnection, head: Http1ResponseHead): boolean {
    const { worker, attempts } = this
    const group = this.attempts.group as MemberGroup
    const now = worker.now
    const { status } = head
    const failed = status === 502 || status === 503 || status === 504
    countStatus(worker.cells.upstreamWorker, group.row, status)
    attempts.observe(connection, failed)
    const utilisationHeader = group.spec.utilisationHeader
    if (utilisationHeader !== undefined) this.#noteUtilisation(group, connection, head, utilisationHeader)
    if (status >= 400 && attempts.triesStatusAgain(connection, status)) return false
    attempts.takeWinner(connection)
    this.#answering = connection
    worker.cells.upstreamLatency.record(group.row, now - connection.sentAt)
    this.status = status
    this.firstByteAt = now
    if (this.watcher !== null) this.watcher.answered(this, connection)
    const { step } = this.route as CompiledRoute
    if (step === null) {
      this.sendHead(head, head.framing, null)
      return true
    }
    this.#sink = step.begin(this, head)
    if (this.#sink === null) this.sendHead(head, head.framing, null)
    return true
  }

  #noteUtilisation(
    group: MemberGroup,
    connection: UpstreamConnection,
    head: ResponseHead,
    name: string,
  ): void {
    const value = head.find(name)
    const share = value === undefined ? Number.NaN : Number(value)
    if (share >= 0 && connection.member < group.count) group.setUtilisation(connection.member, share)
  }

  /**
   * An instance's head goes to the client, as the route's rules and `edits` have it. A step calls it with the framing of
   * what it will send.
   */
  sendHead(head: Http1ResponseHead, bodyFraming: number, edits: HeadEdits | null): void {
    const { client } = this
    const connection = this.#answering
    if (client === null || (connection === null && this.#source === null)) return
    this.responding = true
    const endless = bodyFraming === framing.chunked || bodyFraming === framing.untilClose
    this.streamsEvents =
      endless && (head.value(fieldId['content-type'])?.startsWith('text/event-stream') ?? false)
    const route = this.route as CompiledRoute
    const rules = head.status === 204 ? route.response204 : route.response
    let { drop } = rules
    let extra = this.extraFields === '' ? rules.add : rules.add + this.extraFields
    const { action } = route.spec
    if (
      connection !== null &&
      action.kind === 'proxy' &&
      action.sticky?.by === 'cookie' &&
      connection.member !== this.attempts.stickyMember
    ) {
      const group = this.attempts.group as MemberGroup
      const id = group.member(connection.member).id
      extra += this.worker.sticky.setCookieLine(action.sticky, group.spec.name, id)
    }
    if (connection !== null && head.firstOf(fieldId.location) >= 0) {
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
    if (edits !== null) {
      drop = withDropped(drop, knownIds(edits.drop))
      also = also === null ? edits.drop : [...also, ...edits.drop]
      extra += edits.add
    }
    if (this.watcher !== null) extra += this.watcher.headFields(this)
    client.beginResponse(head, bodyFraming, drop, also, extra)
  }

  /** What Location says to clients, where it differs from what the instance that answers said; else null. */
  publicLocation(head: ResponseHead): string | null {
    const location = head.value(fieldId.location)
    if (location === undefined || this.#answering === null) return null
    return this.#publicLocation(location, this.#answering)
  }

  /** A redirect to the instance's own address becomes one to ours: addresses of instances stay hidden. */
  #publicLocation(location: string, connection: UpstreamConnection): string | null {
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
    if (this.#sink === null) this.client?.bodyText(text)
    else this.#sink.text(text)
  }

  responseBytes(connection: UpstreamConnection, bytes: Buffer, from: number, to: number): void {
    this.bytesOut += to - from
    if (this.#sink !== null) {
      if (!this.#sink.bytes(bytes, from, to)) connection.pause()
      return
    }
    const { client } = this
    if (client !== null && !client.bodyBytes(bytes, from, to)) connection.pause()
  }

  clientDrained(): void {
    if (this.#sink !== null) this.#sink.drained()
    else if (this.#source !== null) this.#source.drained()
    else this.attempts.primary?.resume()
  }

  /** A sink takes more of the answer again. */
  resumeResponse(): void {
    if (this.#source !== null) this.#source.drained()
    else this.attempts.primary?.resume()
  }

  responseEnd(trailers: readonly string[] | null): void {
    this.attempts.primary = null
    if (this.#sink !== null) this.#sink.end(trailers)
    else this.#responseDone(trailers)
  }

  /** A sink has written all. */
  sinkDone(trailers: readonly string[] | null): void {
    this.#sink = null
    this.#responseDone(trailers)
  }

  /** A sink can't go on: what the client has is not whole. */
  sinkFailed(error: string): void {
    this.attempts.cancel()
    this.#cut(error)
  }

  /** A step wants none of the instance's answer, and answers otherwise from here on. Nothing went out yet. */
  giveUpAnswer(): void {
    const sink = this.#sink
    this.#sink = this.#answering = null
    this.attempts.cancel()
    sink?.cancel()
  }

  /** Who comes back from a callback that is not the edge's says so before all else. */
  refreshClock(): void {
    this.worker.refresh()
  }

  /** The request once more, from the choice of an instance on, with the group and edits of now. Nothing went out yet. */
  askAgain(): void {
    this.giveUpAnswer()
    this.attempts.reset()
    this.error = ''
    this.status = this.firstByteAt = 0
    this.attempts.start(this.#bodyText, false)
  }

  #responseDone(trailers: readonly string[] | null): void {
    this.client?.endResponse(trailers)
    this.#finish(false)
  }

  // --- answers of our own that come in pieces -----------------------------------------------------------------

  /**
   * Begins one: its head is sent here, its body by `source` through `client`. `chunked`: of unknown length. `dated`:
   * `fields` have a Date of their own.
   */
  localBegin(
    status: number,
    fields: string,
    chunked: boolean,
    source: LocalSource | null,
    dated = false,
  ): void {
    this.status = status
    this.responding = true
    this.firstByteAt = this.worker.now
    this.#source = source
    const client = this.client as ExchangeClient
    if (client.bodyOpen) client.closing = true
    const { response } = this.route as CompiledRoute
    const timing = this.watcher === null ? '' : this.watcher.headFields(this)
    client.beginOwnResponse(status, fields + response.add + this.extraFields + timing, chunked, dated)
  }

  /** For a gate that answers with an event stream, or what else has no length; `source` feeds it by `localBytes`. */
  respondInPieces(fields: string, source: LocalSource): void {
    if (this.head.method === 'HEAD') {
      this.respond(200, fields + this.extraFields, '')
      return
    }
    this.localBegin(200, fields, true, source)
    this.streamsEvents = /^content-type: *text\/event-stream/im.test(fields)
    this.client?.flush()
  }

  /** A whole answer of our own in one write, with a Date in its fields; `body` '' for HEAD. Latin-1 text. */
  localWhole(status: number, fields: string, body: string): void {
    this.status = status
    this.firstByteAt = this.worker.now
    const client = this.client as ExchangeClient
    if (client.bodyOpen) client.closing = true
    const { response } = this.route as CompiledRoute
    let all = response.add === '' ? fields : fields + response.add
    if (this.extraFields !== '') all += this.extraFields
    if (this.watcher !== null) all += this.watcher.headFields(this)
    client.beginOwnResponse(status, all, false, true)
    this.bytesOut = body.length
    if (body !== '') client.bodyText(body)
    client.endResponse(null)
    this.#finish(false)
  }

  /** As `localBegin`, but the answer passes a step as an instance's would: `source` feeds it by `feed...`. */
  localThrough(head: Http1ResponseHead, step: ResponseStep, source: LocalSource): void {
    this.status = head.status
    this.firstByteAt = this.worker.now
    this.#source = source
    const client = this.client as ExchangeClient
    if (client.bodyOpen) client.closing = true
    this.#sink = step.begin(this, head)
    if (this.#sink === null) this.sendHead(head, head.framing, null)
  }

  /** A piece for `localThrough`. False: the bytes must stay, and no more come, until `source.drained()`. */
  feedBytes(bytes: Buffer, from: number, to: number): boolean {
    if (this.#sink === null) return this.localBytes(bytes, from, to)
    this.bytesOut += to - from
    return this.#sink.bytes(bytes, from, to)
  }

  /** All of `localThrough` was fed. The source is forgotten: a sink may have more to say. */
  feedEnd(): void {
    const sink = this.#sink
    if (sink === null) this.localEnd()
    else sink.end(null)
  }

  /** A piece of it: as `ExchangeClient.bodyBytes`. */
  localBytes(bytes: Buffer, from: number, to: number): boolean {
    this.bytesOut += to - from
    return this.client?.bodyBytes(bytes, from, to) ?? false
  }

  /** All of it has been written. */
  localEnd(): void {
    this.#source = null
    this.#responseDone(null)
  }

  /** The rest can't be had: the client must see that what it has is not whole. */
  localCut(error: string): void {
    this.#cut(error)
  }

  /** 101: from here on bytes pass both ways. */
  switched(
    connection: UpstreamConnection,
    head: Http1ResponseHead,
    bytes: Buffer,
    from: number,
    to: number,
  ): void {
    const group = this.attempts.group as MemberGroup
    const now = this.worker.now
    countStatus(this.worker.cells.upstreamWorker, group.row, 101)
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
    if (this.watcher !== null) this.watcher.answered(this, connection)
    this.responding = true
    const { wheel } = this.worker
    wheel.set(this, Infinity)
    startTunnel(this, this.client, connection, head, bytes, from, to)
  }

  // --- refusals and ends --------------------------------------------------------------------------------------

  /** Before any of the request is understood: the head is malformed or too slow. */
  refuseUnread(client: ExchangeClient, failure: ClientFailure): void {
    this.#start(client)
    this.head.method ||= '-'
    this.path ||= '-'
    this.refuse(failure)
  }

  refuse(failure: ClientFailure, fields = ''): void {
    if (this.cache !== null && failure.status >= 500 && this.cache.instead(this, failure)) return
    this.error = failure.code
    if (isGrpc(this)) {
      this.respond(200, grpcRefusal(failure, this.requestId) + this.extraFields, '')
      return
    }
    const own = this.snapshot?.pages?.of(failure, this) ?? null
    const { contentType, body } = own ?? refusalFor(failure, this.requestId, this.head.value(fieldId.accept))
    const general = failure.status === 405 && !fields.startsWith('Allow:')
    const allow = general ? 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n' : ''
    const length = body.length
    this.respond(
      failure.status,
      `Content-Type: ${contentType}\r\nContent-Length: ${length}\r\nCache-Control: no-store\r\nX-Request-Id: ${this.requestId}\r\n${allow}${fields}${this.extraFields}`,
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
    client.beginOwnResponse(status, this.watcher === null ? fields : fields + this.watcher.headFields(this))
    this.bytesOut = 0
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
    if (this.client !== null && this.cache?.outlives(this)) return
    this.client = null
    this.attempts.cancel()
    this.#finish(true)
  }

  /** The drain's time is over: an event stream ends as complete, anything else is cut so that it is seen. */
  endNow(): void {
    const { client } = this
    this.error = 'drained'
    const fed = this.attempts.primary !== null || this.#source !== null
    const polite = this.responding && fed && this.streamsEvents
    this.attempts.cancel()
    if (!this.responding) {
      this.refuse(clientFailures.draining, 'Retry-After: 1\r\n')
      return
    }
    if (polite) client?.endResponse(null)
    this.#finish(!polite)
  }

  /** The route's time is over. */
  override expired(): void {
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
    const sink = this.#sink
    const source = this.#source
    this.#sink = this.#source = this.#answering = null
    sink?.cancel()
    source?.cancel()
    if (this.cache !== null) this.cache.over(this)
    if (this.bodyInspector !== null) this.#dropInspector()
    if (this.#hold !== null) this.#hold.drop()
    if (this.visit !== null) this.visit.over(this, aborted)
    if (!this.background) recordExchange(this, snapshot, aborted)
    if (this.watcher !== null) this.watcher.ended(this, aborted)
    const { cells } = worker
    if (this.route !== null) cells.routeWorker.active[this.route.row]!--
    cells.worker.exchanges[worker.index]!--
    if (--snapshot.uses === 0 && snapshot !== worker.snapshot) worker.snapshotReleased(snapshot)
    this.#reset()
    worker.giveExchange(this)
    if (aborted) client?.exchangeCut()
    else client?.exchangeDone()
  }

  #dropInspector(): void {
    const inspector = this.bodyInspector
    this.bodyInspector = null
    inspector?.cancel()
  }

  #reset(): void {
    this.serial++
    this.attempts.reset()
    this.client =
      this.route =
      this.refusal =
      this.group =
      this.requestEdits =
      this.watcher =
      this.cache =
      this.visit =
      this.#hold =
        null
    this.idSuffix = this.#givenId = this.path = this.target = this.error = this.extraFields = ''
    this.upgrading = this.responding = this.streamsEvents = this.background = this.toParent = false
    this.bodyHeld = this.#continued = false
    this.cacheResult = 0
    this.#gate = 0
    this.#bodyText = ''
    this.sideRow = -1
    this.status = this.firstByteAt = this.bytesIn = this.bytesOut = 0
  }
}
