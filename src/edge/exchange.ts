// One request's life: route, gates, choice of a member, attempts, response, record. Sees a neutral head and body; the
// client's and the instance's protocols are their own (http1-client.ts, http1-upstream.ts). Asks policies what to do
// and obeys. Never makes a promise: it stops at a gate, a queue or a back-off and is resumed by a call. Objects are
// reused: `serial` tells one life from the next.
//
// Phases: head -> gates -> (waiting) -> attempting -> responding -> done. Every path ends in `#finish` exactly once.

import { MS } from '../kit/clock.ts'
import type { Timed } from '../kit/timer-wheel.ts'
import { backoffUs } from '../policy/backoff.ts'
import { admission, isRefusal, retryAfterSeconds } from '../policy/circuit.ts'
import { hashText } from '../policy/hash.ts'
import { decideHedge } from '../policy/hedge.ts'
import { isIdempotentMethod, isSafeMethod } from '../policy/methods.ts'
import { Reason, reasonText } from '../policy/reason.ts'
import {
  AttemptEnd,
  type AttemptFailure,
  decideRetry,
  retryBudgetAllows,
  triesAgain,
} from '../policy/retry.ts'
import { hostOf, needsNormalising, normalisePath } from '../policy/route.ts'
import { fieldId } from '../wire/fields.ts'
import type { ResponseHead } from '../wire/head.ts'
import { framing, Http1RequestHead, type Http1ResponseHead, responseDrop } from '../wire/http1/index.ts'
import { jsonText } from './access-log.ts'
import { sumOver, upstreamSlots } from './cells.ts'
import type { CompiledRoute, CompiledRules, CompiledSnapshot } from './compile.ts'
import type { WorkerContext } from './context.ts'
import { type ClientFailure, clientFailures } from './failures.ts'
import { type GateRefusal, gateAnswer } from './gate.ts'
import type { MemberGroup } from './group.ts'
import type { Http1Client } from './http1-client.ts'
import { attemptEnd, type Http1Upstream } from './http1-upstream.ts'
import { refusalFor } from './refusal.ts'
import { isRequestId } from './request-ids.ts'
import { keyOf } from './request-key.ts'
import { requestText } from './request-text.ts'
import type { HedgeSpec, RetrySpec } from './snapshot.ts'
import { cookieValue } from './sticky.ts'
import { startTunnel } from './tunnel.ts'

const noLimits = { requestLineBytesMax: 0, headerBytesMax: 0, headerCountMax: 128 }
const interimRules: CompiledRules = { drop: responseDrop, alsoDrop: null, add: '', host: null }
const failureSeen: AttemptFailure = {
  end: 0,
  idempotent: false,
  unsent: false,
  reused: false,
  bodyReplayable: false,
  status: 0,
  attempts: 0,
  staleUsed: false,
  clientGone: false,
}

export class Exchange implements Timed {
  deadlineAt: number = Infinity
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
  group: MemberGroup | null = null
  requestId = ''
  /** Normalised path without the query: what was matched. */
  path = ''
  /** Path and query as they are forwarded. */
  target = ''
  upgrading = false
  /** Set by a gate that refuses. */
  refusal: GateRefusal | null = null
  startedAt = 0
  responseTimeoutMs = 0
  #gate = 0
  #text = ''
  #bodyText = ''
  #bodyStreams = false
  #bodyBegun = false
  #primary: Http1Upstream | null = null
  #second: Http1Upstream | null = null
  #attempts = 0
  #retries = 0
  #staleUsed = false
  #tried: number[] | null = null
  #key = 0
  #keyReady = false
  #stickyMember = -1
  #responding = false
  #status = 0
  #firstByteAt = 0
  #bytesIn = 0
  #bytesOut = 0
  #member = -1
  #why = 0
  #retryWhy = 0
  #error = ''
  #remoteAddress = ''
  #countedOn: MemberGroup | null = null
  #timer: NodeJS.Timeout | null = null
  #hedgeTimer: NodeJS.Timeout | null = null
  /** Place in the pending queue: set and cleared by `pending.ts`. */
  waitingUntil = 0

  constructor(worker: WorkerContext) {
    this.worker = worker
  }

  // --- from the head to the choice ----------------------------------------------------------------------------

  /** The head is complete. `bodyText`: the whole body where it came with it; else it streams when `client.bodyOpen`. */
  begin(client: Http1Client, bodyText: string): void {
    const { worker, head } = this
    this.#start(client)
    this.#bodyText = bodyText
    this.#bodyStreams = client.bodyOpen
    this.#bytesIn = bodyText.length
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
    const at = snapshot.table.match(hostOf(head.authority), this.path, head)
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
    this.#remoteAddress = client.remoteAddress
    this.snapshot = worker.snapshot
    this.snapshot.uses++
    this.startedAt = worker.clock.monotonic()
    worker.cells.worker.exchanges[worker.index]!++
    const given = client.trusted ? this.head.value(fieldId['x-request-id']) : undefined
    const own = worker.ids.next()
    this.requestId = given !== undefined && isRequestId(given) ? given : own
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
    if (action.kind === 'proxy') this.#choose()
    else if (action.kind === 'redirect') {
      const location = action.location
        .replaceAll('{host}', hostOf(this.head.authority))
        .replaceAll('{uri}', this.target)
      this.respond(action.status, `Location: ${location}\r\nContent-Length: 0\r\n${route.response.add}`, '')
    } else {
      const length = Buffer.byteLength(action.body)
      const fields = `Content-Type: ${action.contentType}\r\nContent-Length: ${length}\r\n${route.response.add}`
      this.respond(action.status, fields, Buffer.from(action.body).latin1Slice())
    }
  }

  /** Picks a member from the members of now (the request's own snapshot may name instances that are gone). */
  #choose(): void {
    const { worker } = this
    const route = this.route as CompiledRoute
    const name = (route.group as MemberGroup).spec.name
    const group = (this.group = worker.snapshot.groups.get(name) ?? (route.group as MemberGroup))
    const now = worker.clock.monotonic()
    // Those who wait already come first.
    const member = group.waiting !== null && group.waiting.count > 0 ? -1 : this.#pick(group, now)
    if (member >= 0) {
      this.#attempt(group, member, false)
      return
    }
    if (!group.anyInRotation) {
      this.refuse(clientFailures.noMember, 'Retry-After: 1\r\n')
      return
    }
    this.#waitForPlace(group)
  }

  #pick(group: MemberGroup, now: number): number {
    const stuck = this.#stuckMember(group, now)
    if (stuck >= 0) return stuck
    if (!this.#keyReady) {
      this.#keyReady = true
      this.#key = group.usesKey ? hashText(keyOf(this, group.spec.balance)) : 0
    }
    const { random } = this.worker
    let member = group.pick(now, this.#key, random, this.#tried)
    // All others are out: the one that failed may be back by now.
    if (member < 0 && this.#tried !== null) member = group.pick(now, this.#key, random, null)
    this.#why = group.lastReason
    return member
  }

  #stuckMember(group: MemberGroup, now: number): number {
    const action = this.route?.spec.action
    const sticky = action?.kind === 'proxy' ? action.sticky : undefined
    if (sticky === undefined) return -1
    if (sticky.by !== 'cookie') {
      const key = hashText(keyOf(this, { kind: 'ring-hash', key: sticky }))
      const member = group.pickByKey(now, key, this.worker.random, this.#tried)
      this.#why = group.lastReason
      return member
    }
    const cookies = this.head.find('cookie')
    const value = cookies === undefined ? undefined : cookieValue(cookies, sticky.name)
    if (value === undefined) return -1
    const member = this.worker.sticky.memberOf(group, value)
    if (!group.canTake(member) || (this.#tried?.includes(member) ?? false)) return -1
    this.#stickyMember = member
    return member
  }

  #waitForPlace(group: MemberGroup): void {
    const { worker } = this
    const { limits } = group.spec
    const { upstreamWorker } = worker.cells
    const pending = sumOver(upstreamWorker.pending, worker.cells.workers, upstreamSlots, group.slot)
    const reason = admission(false, pending, limits)
    if (isRefusal(reason)) {
      this.#why = reason
      this.refuse(clientFailures.busy, `Retry-After: ${retryAfterSeconds(limits, worker.random)}\r\n`)
      return
    }
    this.waitingUntil = worker.clock.monotonic() + limits.pendingTimeoutMs * 1000
    worker.pending.enter(group.spec.name, this)
  }

  /** The pending queue offers a place: true when the exchange took it or needs none any more. */
  offerPlace(): boolean {
    const { worker } = this
    const name = (this.route as CompiledRoute).group?.spec.name as string
    const group = (this.group = worker.snapshot.groups.get(name) ?? (this.group as MemberGroup))
    const member = this.#pick(group, worker.clock.monotonic())
    if (member < 0) return false
    this.#attempt(group, member, false)
    return true
  }

  waitedTooLong(): void {
    const { limits } = (this.group as MemberGroup).spec
    this.refuse(
      clientFailures.waitedTooLong,
      `Retry-After: ${retryAfterSeconds(limits, this.worker.random)}\r\n`,
    )
  }

  // --- attempts -----------------------------------------------------------------------------------------------

  #attempt(group: MemberGroup, member: number, hedge: boolean, fresh = false): void {
    const { worker, head } = this
    const { cells } = worker
    const row = group.memberRow(member)
    if (this.#countedOn === null) {
      this.#countedOn = group
      cells.upstreamWorker.active[group.row]!++
    }
    cells.memberWorker.inFlight[row]!++
    cells.memberWorker.chosenBy[row] = this.#why
    if (!hedge) this.#attempts++
    this.#member = member
    const retry = (this.route as CompiledRoute).retry as RetrySpec
    this.responseTimeoutMs = Math.min(retry.perTryTimeoutMs ?? Infinity, group.spec.responseTimeoutMs)
    const pool = worker.pools.of(group.memberSlot(member))
    if (pool === undefined) {
      cells.memberWorker.inFlight[row]!--
      this.refuse(clientFailures.noMember, 'Retry-After: 1\r\n')
      return
    }
    if (this.#text === '') this.#text = requestText(this)
    const connection = pool.take(fresh)
    connection.row = row
    connection.member = member
    if (hedge) this.#second = connection
    else this.#primary = connection
    connection.send(
      this,
      this.#bodyText === '' ? this.#text : this.#text + this.#bodyText,
      this.#bodyStreams,
      head.framing === framing.chunked,
    )
    if (this.#bodyStreams && !connection.isConnecting) this.#startBody()
    const spec = (this.route as CompiledRoute).hedge
    if (spec !== null && !hedge && this.#second === null) this.#planHedge(group, spec)
  }

  /** A fresh connection is established and has been given the head. */
  connected(connection: Http1Upstream): void {
    if (this.#bodyStreams && connection === this.#primary) this.#startBody()
  }

  #startBody(): void {
    this.#bodyBegun = true
    if (this.#primary?.blocked) return
    this.client?.startBody()
  }

  #planHedge(group: MemberGroup, spec: HedgeSpec): void {
    const { worker, head } = this
    const safe = isSafeMethod(head.method)
    if (!safe || this.#bodyStreams || this.#bodyText !== '') return
    const delayUs = worker.hedgeDelays.of(group, spec)
    if (delayUs < 0) return
    const { serial } = this
    this.#hedgeTimer = setTimeout(() => {
      this.#hedgeTimer = null
      if (serial === this.serial) this.#hedge(group)
    }, delayUs / MS)
  }

  #hedge(group: MemberGroup): void {
    const { worker } = this
    const first = this.#primary
    if (first === null || this.#responding) return
    const allowed = this.#budgetAllows(group)
    if (decideHedge(0, true, true, this.#second !== null, allowed) !== Reason.hedge) return
    const member = group.pick(worker.clock.monotonic(), this.#key, worker.random, [first.member])
    if (member < 0) return
    this.#countRetry(group, Reason.hedge)
    this.#why = Reason.hedge
    this.#attempt(group, member, true)
  }

  #budgetAllows(group: MemberGroup): boolean {
    const { cells } = this.worker
    const { upstreamWorker } = cells
    const retries = sumOver(upstreamWorker.retriesActive, cells.workers, upstreamSlots, group.slot)
    const active = sumOver(upstreamWorker.active, cells.workers, upstreamSlots, group.slot)
    return retryBudgetAllows(retries, active, (this.route as CompiledRoute).retry as RetrySpec)
  }

  #countRetry(group: MemberGroup, why: number): void {
    const { cells } = this.worker
    this.#retries++
    this.#retryWhy = why
    cells.upstreamWorker.retriesActive[(this.#countedOn ?? group).row]!++
    cells.routeWorker.retries[(this.route as CompiledRoute).row]!++
  }

  /** A connection could not deliver: try again, or tell the client. `begun`: part of the response went out already. */
  attemptFailed(connection: Http1Upstream, end: number, begun: boolean, _why: string): void {
    const { worker } = this
    const now = worker.clock.monotonic()
    const group = this.group as MemberGroup
    const quiet = end === attemptEnd.lost && connection.served > 1 && !begun && connection.member >= 0
    // A stale keep-alive connection says nothing about the instance's health.
    if (!quiet) this.#observe(group, connection, true, now)
    if (connection === this.#second) {
      this.#second = null
      if (this.#primary !== null) return
    } else {
      this.#primary = null
      if (this.#second !== null && !this.#responding) {
        this.#primary = this.#second
        this.#second = null
        return
      }
    }
    const seen = failureSeen
    seen.end = begun ? AttemptEnd.responseBegun : endOf(end)
    seen.idempotent = isIdempotentMethod(this.head.method)
    seen.unsent = connection.unsent
    seen.reused = connection.served > 1
    seen.bodyReplayable = !this.#bodyStreams || !this.#bodyBegun
    seen.status = 0
    seen.attempts = this.#attempts
    seen.staleUsed = this.#staleUsed
    seen.clientGone = this.client === null
    if (end === attemptEnd.bad) seen.idempotent = false
    const reason = decideRetry(
      seen,
      (this.route as CompiledRoute).retry as RetrySpec,
      this.#budgetAllows(group),
    )
    if (triesAgain(reason)) this.#tryAgain(group, connection, reason)
    else this.#giveUp(end, begun, reason)
  }

  #observe(group: MemberGroup, connection: Http1Upstream, failed: boolean, now: number): void {
    const { member } = connection
    if (member < group.count && group.memberRow(member) === connection.row)
      group.observe(member, failed, now - connection.sentAt, now)
  }

  #tryAgain(group: MemberGroup, connection: Http1Upstream, reason: number): void {
    const { worker } = this
    worker.cells.memberWorker.retries[connection.row]!++
    if (reason === Reason.retryStaleConnection) {
      this.#staleUsed = true
      this.#attempts--
      this.#retryWhy = reason
      this.#attempt(group, connection.member, false, true)
      return
    }
    this.#countRetry(group, reason)
    ;(this.#tried ??= []).push(connection.member)
    const { backoffBaseMs, backoffMaxMs } = (this.route as CompiledRoute).retry as RetrySpec
    // The first retry goes elsewhere at once; further ones wait, because elsewhere fails too.
    const delayUs =
      this.#retries <= 1 && group.count > 1
        ? 0
        : backoffUs(this.#retries, backoffBaseMs, backoffMaxMs, worker.random)
    if (delayUs < 1000) {
      this.#choose()
      return
    }
    const { serial } = this
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (serial === this.serial) this.#choose()
    }, delayUs / MS)
  }

  #giveUp(end: number, begun: boolean, reason: number): void {
    if (begun) {
      this.#error = 'response-cut'
      const { client } = this
      this.#finish(true)
      client?.abort()
      return
    }
    this.#retryWhy = reason
    this.refuse(clientFailureOf(end))
  }

  // --- the request body ---------------------------------------------------------------------------------------

  requestBody(bytes: Buffer, from: number, to: number): void {
    this.#bytesIn += to - from
    if (this.#bytesIn > (this.route as CompiledRoute).bodyBytesMax) {
      this.requestBodyBad(clientFailures.bodyTooLarge)
      return
    }
    if (this.#primary !== null && !this.#primary.body(bytes, from, to)) this.client?.pauseBody()
  }

  requestBodyEnd(trailers: readonly string[] | null): void {
    this.#primary?.bodyEnd(trailers)
  }

  /** The body is malformed, too large or too slow: the instance's connection is cut, so that it sees no whole request. */
  requestBodyBad(failure: ClientFailure): void {
    const begun = this.#responding
    this.#cancelAttempts()
    if (begun) {
      const { client } = this
      this.#error = failure.code
      this.#finish(true)
      client?.abort()
    } else this.refuse(failure)
  }

  upstreamDrained(connection: Http1Upstream): void {
    if (connection !== this.#primary || !this.#bodyStreams) return
    if (!this.#bodyBegun) return
    this.client?.startBody()
    this.client?.resumeBody()
  }

  // --- the response -------------------------------------------------------------------------------------------

  /** 1xx other than 101. 100 goes on only when the client asked for it (RFC 9110 15.2). */
  interim(head: ResponseHead): void {
    if (head.status === 100 && !this.head.expectContinue) return
    this.client?.sendInterim(head, interimRules)
  }

  /** A final head: false when the exchange does not want this response (it tries again). */
  response(connection: Http1Upstream, head: Http1ResponseHead): boolean {
    const { worker } = this
    const group = this.group as MemberGroup
    const now = worker.clock.monotonic()
    const { status } = head
    const failed = status === 502 || status === 503 || status === 504
    this.#observe(group, connection, failed, now)
    const utilisationHeader = group.spec.utilisationHeader
    if (utilisationHeader !== undefined) this.#noteUtilisation(group, connection, head, utilisationHeader)
    if (status >= 400 && this.#retryOnStatus(connection, status)) return false
    this.#takeWinner(connection)
    worker.cells.upstreamLatency.record(group.row, now - connection.sentAt)
    this.#responding = true
    this.#status = status
    this.#firstByteAt = now
    this.#member = connection.member
    this.#sendHead(connection, head, group)
    return true
  }

  #noteUtilisation(group: MemberGroup, connection: Http1Upstream, head: ResponseHead, name: string): void {
    const value = head.find(name)
    const share = value === undefined ? Number.NaN : Number(value)
    if (share >= 0 && connection.member < group.count) group.setUtilisation(connection.member, share)
  }

  #retryOnStatus(connection: Http1Upstream, status: number): boolean {
    const retry = (this.route as CompiledRoute).retry as RetrySpec
    if (!retry.onStatus.includes(status)) return false
    const seen = failureSeen
    seen.end = AttemptEnd.status
    seen.status = status
    seen.idempotent = isIdempotentMethod(this.head.method)
    seen.unsent = false
    seen.reused = false
    seen.bodyReplayable = !this.#bodyStreams
    seen.attempts = this.#attempts
    seen.staleUsed = this.#staleUsed
    seen.clientGone = this.client === null
    const group = this.group as MemberGroup
    const reason = decideRetry(seen, retry, this.#budgetAllows(group))
    if (!triesAgain(reason)) return false
    if (connection === this.#second) this.#second = null
    else this.#primary = null
    connection.cancel()
    if (this.#primary === null && this.#second === null) this.#tryAgain(group, connection, reason)
    return true
  }

  /** With two attempts under way the first answer wins; the other connection is given up. */
  #takeWinner(connection: Http1Upstream): void {
    if (this.#hedgeTimer !== null) {
      clearTimeout(this.#hedgeTimer)
      this.#hedgeTimer = null
    }
    const other = connection === this.#primary ? this.#second : this.#primary
    this.#primary = connection
    this.#second = null
    other?.cancel()
  }

  #sendHead(connection: Http1Upstream, head: Http1ResponseHead, group: MemberGroup): void {
    const { client } = this
    if (client === null) return
    const rules = (this.route as CompiledRoute).response
    let { drop } = rules
    let extra = rules.add
    const action = (this.route as CompiledRoute).spec.action
    if (
      action.kind === 'proxy' &&
      action.sticky?.by === 'cookie' &&
      connection.member !== this.#stickyMember
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
    this.#bytesOut += text.length
    this.client?.bodyText(text)
  }

  responseBytes(connection: Http1Upstream, bytes: Buffer, from: number, to: number): void {
    this.#bytesOut += to - from
    const { client } = this
    if (client !== null && !client.bodyBytes(bytes, from, to)) connection.pause()
  }

  clientDrained(): void {
    this.#primary?.resume()
  }

  responseEnd(trailers: readonly string[] | null): void {
    this.#primary = null
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
    const group = this.group as MemberGroup
    const now = this.worker.clock.monotonic()
    if (!this.upgrading || this.client === null) {
      connection.cancel()
      this.#primary = null
      this.#observe(group, connection, true, now)
      this.refuse(clientFailures.badResponse)
      return
    }
    this.#observe(group, connection, false, now)
    this.#status = 101
    this.#firstByteAt = now
    this.#responding = true
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
    this.#error = failure.code
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
    this.#cancelAttempts()
    this.#status = status
    const { client } = this
    if (client === null) {
      this.#finish(false)
      return
    }
    // A body that is not read to its end would be taken for the next request.
    if (client.bodyOpen || this.head.framing < 0) client.closing = true
    client.beginOwnResponse(status, fields)
    if (this.head.method !== 'HEAD') {
      this.#bytesOut += body.length
      client.bodyText(body)
    }
    client.endResponse(null)
    this.#finish(false)
  }

  #cancelAttempts(): void {
    const first = this.#primary
    const second = this.#second
    this.#primary = this.#second = null
    first?.cancel()
    second?.cancel()
  }

  /** The client's connection is closed or half-closed amid its request. */
  clientGone(): void {
    this.#error ||= 'client-gone'
    this.client = null
    this.#cancelAttempts()
    this.#finish(true)
  }

  /** The drain's time is over: an event stream ends as complete, anything else is cut so that it is seen. */
  endNow(): void {
    const { client } = this
    this.#error = 'drained'
    const polite = this.#responding && this.#primary !== null && this.#isEventStream
    this.#cancelAttempts()
    if (!this.#responding) {
      this.refuse(clientFailures.draining, 'Retry-After: 1\r\n')
      return
    }
    if (polite) client?.endResponse(null)
    this.#finish(!polite)
    if (!polite) client?.abort()
  }

  get #isEventStream(): boolean {
    return this.head.value(fieldId.accept)?.includes('text/event-stream') ?? false
  }

  /** The route's time is over. */
  expired(): void {
    this.#cancelAttempts()
    if (this.#responding) {
      const { client } = this
      this.#error = clientFailures.routeTimeout.code
      this.#finish(true)
      client?.abort()
    } else this.refuse(clientFailures.routeTimeout)
  }

  /** A tunnel is over. */
  tunnelEnded(bytesIn: number, bytesOut: number): void {
    this.#bytesIn = bytesIn
    this.#bytesOut = bytesOut
    this.client = null
    this.#primary = null
    this.#finish(false)
  }

  #finish(aborted: boolean): void {
    const { worker, client } = this
    const snapshot = this.snapshot
    if (snapshot === null) return
    this.snapshot = null
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#hedgeTimer !== null) clearTimeout(this.#hedgeTimer)
    if (this.waitingUntil > 0) worker.pending.leave(this)
    worker.wheel.remove(this)
    this.#record(snapshot, aborted)
    const { cells } = worker
    if (this.#countedOn !== null) {
      cells.upstreamWorker.active[this.#countedOn.row]!--
      cells.upstreamWorker.retriesActive[this.#countedOn.row]! -= this.#retries
    }
    cells.worker.exchanges[worker.index]!--
    if (--snapshot.uses === 0 && snapshot !== worker.snapshot) worker.snapshotReleased(snapshot)
    this.#reset()
    worker.giveExchange(this)
    client?.exchangeDone()
  }

  #record(snapshot: CompiledSnapshot, aborted: boolean): void {
    const { worker } = this
    const { routeWorker, routeLatency } = worker.cells
    const now = worker.clock.monotonic()
    const row = this.route?.row ?? snapshot.unroutedRow
    const took = now - this.startedAt
    routeWorker.requests[row]!++
    routeLatency.record(row, took)
    routeWorker.bytesIn[row]! += this.#bytesIn
    routeWorker.bytesOut[row]! += this.#bytesOut
    if (aborted) routeWorker.aborted[row]!++
    const status = this.#status
    if (status >= 500) routeWorker.status5xx[row]!++
    else if (status >= 400) routeWorker.status4xx[row]!++
    else if (status >= 300) routeWorker.status3xx[row]!++
    else if (status >= 200) routeWorker.status2xx[row]!++
    else if (status > 0) routeWorker.status1xx[row]!++
    const group = this.group
    if (group !== null && this.#member >= 0 && this.#bytesOut > 0 && group.countsBytes)
      group.countBytes(Math.min(this.#member, group.count - 1), this.#bytesOut, now)
    if (worker.log !== null) worker.log.add(this.#logLine(now, took, aborted))
  }

  #logLine(_now: number, took: number, aborted: boolean): string {
    const { head, group } = this
    const at = new Date(this.worker.clock.wall() / 1000).toISOString()
    const member = group !== null && this.#member >= 0 ? (group.spec.members[this.#member]?.id ?? '') : ''
    let line = `{"at":"${at}","id":${jsonText(this.requestId)},"client":"${this.#remoteAddress}","method":${jsonText(head.method)},"host":${jsonText(head.authority)},"path":${jsonText(this.path)},"status":${this.#status},"bytesIn":${this.#bytesIn},"bytesOut":${this.#bytesOut},"ms":${Math.round(took / 10) / 100}`
    if (this.route !== null) line += `,"route":${jsonText(this.route.spec.id)}`
    if (member !== '') line += `,"member":${jsonText(member)},"chosenBy":"${reasonText(this.#why)}"`
    if (this.#firstByteAt > 0)
      line += `,"firstByteMs":${Math.round((this.#firstByteAt - this.startedAt) / 10) / 100}`
    if (this.#retryWhy !== 0)
      line += `,"retries":${this.#retries},"retryReason":${jsonText(reasonText(this.#retryWhy, this.#attempts))}`
    if (this.#error !== '') line += `,"error":"${this.#error}"`
    if (aborted) line += ',"aborted":true'
    return `${line}}\n`
  }

  #reset(): void {
    this.serial++
    this.client = null
    this.route = null
    this.group = null
    this.requestId = this.path = this.target = ''
    this.upgrading = false
    this.refusal = null
    this.#gate = 0
    this.#text = this.#bodyText = ''
    this.#bodyStreams = this.#bodyBegun = false
    this.#attempts = this.#retries = 0
    this.#staleUsed = false
    this.#tried = null
    this.#keyReady = false
    this.#stickyMember = this.#member = -1
    this.#responding = false
    this.#status = this.#firstByteAt = this.#bytesIn = this.#bytesOut = 0
    this.#why = this.#retryWhy = 0
    this.#error = ''
    this.#countedOn = null
    this.#timer = this.#hedgeTimer = null
    this.waitingUntil = 0
  }
}

function endOf(end: number): AttemptFailure['end'] {
  if (end === attemptEnd.connectFailed || end === attemptEnd.connectTimeout) return AttemptEnd.connectFailed
  return end === attemptEnd.timeout ? AttemptEnd.timeout : AttemptEnd.lost
}

function clientFailureOf(end: number): ClientFailure {
  switch (end) {
    case attemptEnd.connectFailed:
      return clientFailures.connectFailed
    case attemptEnd.connectTimeout:
      return clientFailures.connectTimeout
    case attemptEnd.timeout:
      return clientFailures.responseTimeout
    case attemptEnd.bad:
      return clientFailures.badResponse
    default:
      return clientFailures.connectionLost
  }
}
