// The instance side of an exchange: which member, over which connection, again or not, hedged or not, waiting for a
// place or not. Asks policies (balance, circuit, retry, hedge, back-off) and obeys; keeps the counts that they read.
// Belongs to one exchange and is reused with it.

import { MS } from '../kit/clock.ts'
import { admission, isRefusal, retryAfterSeconds } from '../policy/circuit.ts'
import { hashText } from '../policy/hash.ts'
import { decideHedge } from '../policy/hedge.ts'
import { isIdempotentMethod, isSafeMethod } from '../policy/methods.ts'
import { Reason } from '../policy/reason.ts'
import {
  AttemptEnd,
  type AttemptFailure,
  decideRetry,
  isReplacement,
  retryBudgetAllows,
  retryDelayUs,
  triesAgain,
} from '../policy/retry.ts'
import { Importance, type ImportanceCode, importanceNames } from '../policy/shed/index.ts'
import { framing } from '../wire/http1/index.ts'
import { memberSlots, sumOver, upstreamSlots } from './cells.ts'
import type { CompiledRoute } from './compile.ts'
import type { WorkerContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { type ClientFailure, clientFailures } from './failures.ts'
import type { MemberGroup } from './group.ts'
import { countAnswer, endUpload, giveBackPlace, type Places } from './places.ts'
import { keyOf } from './request-key.ts'
import { requestText } from './request-text.ts'
import type { HedgeSpec, RetrySpec } from './snapshot.ts'
import { cookieValue } from './sticky.ts'
import { type AttemptEndCode, attemptEnd, type UpstreamConnection } from './upstream.ts'

/** Which count of the upstream an `attemptEnd` belongs to. */
const failureColumns: Record<
  AttemptEndCode,
  'connectFailures' | 'lost' | 'timeouts' | 'invalid' | 'refused' | 'noRoom'
> = {
  [attemptEnd.connectFailed]: 'connectFailures',
  [attemptEnd.connectTimeout]: 'connectFailures',
  [attemptEnd.lost]: 'lost',
  [attemptEnd.timeout]: 'timeouts',
  [attemptEnd.bad]: 'invalid',
  [attemptEnd.refused]: 'refused',
  [attemptEnd.noRoom]: 'noRoom',
}

/** One object for all: filled, judged, forgotten. */
const seen: AttemptFailure = {
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

export class Attempts {
  readonly #exchange: Exchange
  readonly #worker: WorkerContext
  /** The connection that serves the exchange, and a hedge beside it until one of them answers. */
  primary: UpstreamConnection | null = null
  #second: UpstreamConnection | null = null
  /** The members from which one was chosen last; `member` is an index into it. */
  group: MemberGroup | null = null
  member = -1
  /** The member that a valid sticky cookie named. */
  stickyMember = -1
  /** Why the member was chosen, and why there was a retry (or none). */
  why = 0
  retryWhy = 0
  retries = 0
  responseTimeoutMs = 0
  #count = 0
  /** Of the retries those that the budget counts. */
  #budgeted = 0
  #staleUsed = false
  #roomMade = false
  /** The body is still to come: a place is held once it has. */
  #owesPlace = false
  /** Row that its long body is counted in meanwhile; -1: it is not. */
  #uploadRow = -1
  /** Slots of members that failed this request. */
  #tried: number[] | null = null
  #text = ''
  #bodyText = ''
  #streams = false
  #bodyBegun = false
  #key = 0
  #keyReady = false
  #countedOn: MemberGroup | null = null
  #timer: NodeJS.Timeout | null = null
  #hedgeTimer: NodeJS.Timeout | null = null
  /** Until when it waits in the pending queue; 0 = it does not. Set and cleared by `pending.ts` too. */
  waitingUntil = 0

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.#worker = exchange.worker
  }

  get #route(): CompiledRoute {
    return this.#exchange.route as CompiledRoute
  }
  get #retry(): RetrySpec {
    return this.#route.retry as RetrySpec
  }

  /** `bodyText`: the whole request body where it is known; `streams`: it is still to come. */
  start(bodyText: string, streams: boolean): void {
    this.#bodyText = bodyText
    this.#streams = streams
    this.#choose()
  }

  // --- choice -------------------------------------------------------------------------------------------------

  /** The members of now: the request's own snapshot may name instances that are gone. */
  #currentGroup(): MemberGroup {
    const pinned = this.#exchange.group as MemberGroup
    const { snapshot } = this.#worker
    if (snapshot === this.#exchange.snapshot) return (this.group = pinned)
    return (this.group = snapshot.groups.get(pinned.spec.name) ?? pinned)
  }

  #choose(): void {
    const group = this.#currentGroup()
    if (this.#isUploadTooMany(group)) return
    const member = this.#mayGo(group) ? this.#pick(group) : -1
    if (member >= 0) this.#attempt(group, member, false)
    else if (group.anyInRotation) this.#waitForPlace(group)
    else this.#exchange.refuse(clientFailures.noMember, 'Retry-After: 1\r\n')
  }

  /** True: it is refused. */
  #isUploadTooMany(group: MemberGroup): boolean {
    const { places } = group
    if (places === null || !this.#streams || this.#uploadRow >= 0) return false
    if (places.takesUpload(this.importance, this.#exchange.head.method)) return false
    this.#shed(group, 'As many long request bodies are under way to the service as may.')
    return true
  }

  /** Those who wait already come first; where the limit is adaptive, those of its class and above. */
  #mayGo({ waiting, places }: MemberGroup): boolean {
    if (places === null) return waiting === null || waiting.count === 0
    const { now } = this.#worker
    const { importance } = this
    places.asked(importance, now)
    return places.hasRoom(importance, now) && waiting?.isBehind(importance, places) !== true
  }

  /** What the request is worth where not all can be served. What nobody waits for is worth least. */
  get importance(): ImportanceCode {
    const { background, visit } = this.#exchange
    return background ? Importance.sheddable : (visit?.importance ?? Importance.normal)
  }

  #pick(group: MemberGroup): number {
    const now = this.#worker.now
    const stuck = this.#stuckMember(group, now)
    if (stuck >= 0) return stuck
    if (!this.#keyReady) {
      this.#keyReady = true
      this.#key = group.usesKey ? hashText(keyOf(this.#exchange, group.spec.balance)) : 0
    }
    const { random } = this.#worker
    let member = group.pick(now, this.#key, random, this.#tried)
    // All others are out: the one that failed may be back by now.
    if (member < 0 && this.#tried !== null) member = group.pick(now, this.#key, random, null)
    this.why = group.lastReason
    return member
  }

  #stuckMember(group: MemberGroup, now: number): number {
    const { action } = this.#route.spec
    const sticky = action.kind === 'proxy' ? action.sticky : undefined
    if (sticky === undefined) return -1
    const exchange = this.#exchange
    if (sticky.by !== 'cookie') {
      const key = hashText(keyOf(exchange, { kind: 'ring-hash', key: sticky }))
      const member = group.pickByKey(now, key, this.#worker.random, this.#tried)
      this.why = group.lastReason
      return member
    }
    const cookies = exchange.head.find('cookie')
    const value = cookies === undefined ? undefined : cookieValue(cookies, sticky.name)
    if (value === undefined) return -1
    const member = this.#worker.sticky.memberOf(group, value)
    if (!group.canTake(member) || (this.#tried?.includes(group.memberSlot(member)) ?? false)) return -1
    this.stickyMember = member
    this.why = Reason.sticky
    return member
  }

  #waitForPlace(group: MemberGroup): void {
    const { cells, random, now, pending } = this.#worker
    const { limits } = group.spec
    const waiting = sumOver(cells.upstreamWorker.pending, cells.workers, upstreamSlots, group.slot)
    const reason = admission(false, waiting, limits)
    const { places } = group
    const queue = pending.of(group.spec.name)
    places?.wasFull(now)
    if (isRefusal(reason) && (places === null || !queue.makeRoom(this.importance))) {
      this.why = reason
      if (places !== null) this.#shed(group, 'As many requests wait for the service already as may.')
      else this.#exchange.refuse(clientFailures.busy, `Retry-After: ${retryAfterSeconds(limits, random)}\r\n`)
      return
    }
    this.waitingUntil = now + limits.pendingTimeoutMs * 1000
    if (places === null) queue.enter(this)
    else queue.enterLine(this, this.importance)
  }

  /** It waits for a place of an adaptive limit. */
  get inLine(): boolean {
    return this.waitingUntil > 0 && this.group?.places != null
  }

  /** There are more requests than places, and this one is not among those that matter most. */
  #shed(group: MemberGroup, why: string): void {
    const { importance } = this
    group.places?.shed(importance)
    const text = `${why} It counts as ${importanceNames[importance]}.`
    this.#exchange.visit?.shed?.(clientFailures.overloaded, text)
    const seconds = retryAfterSeconds(group.spec.limits, this.#worker.random)
    this.#exchange.refuse(clientFailures.overloaded, `Retry-After: ${seconds}\r\n`)
  }

  /** The pending queue offers a place: false when there was none to take. */
  offerPlace(): boolean {
    const group = this.#currentGroup()
    // Not put back: others behind it may go.
    if (this.#isUploadTooMany(group)) return true
    const member = this.#pick(group)
    if (member < 0) return false
    this.#attempt(group, member, false)
    return true
  }

  waitedTooLong(): void {
    const group = this.group as MemberGroup
    if (group.places !== null) {
      this.#shed(group, 'It waited for a place at the service, and others did who matter more or came later.')
      return
    }
    const { limits } = group.spec
    const seconds = retryAfterSeconds(limits, this.#worker.random)
    this.#exchange.refuse(clientFailures.waitedTooLong, `Retry-After: ${seconds}\r\n`)
  }

  // --- one attempt --------------------------------------------------------------------------------------------

  #attempt(group: MemberGroup, member: number, hedge: boolean, fresh = false): void {
    const exchange = this.#exchange
    const { cells, pools } = this.#worker
    const pool = pools.of(group.memberSlot(member))
    if (pool === undefined) {
      // Gone since the choice (only a repeated one can be): choose among those of now.
      this.#choose()
      return
    }
    if (group.spec.protocol === 'h2' && this.#wantsUpgrade()) {
      exchange.refuse(clientFailures.upgradeToHttp2)
      return
    }
    const row = group.memberRow(member)
    if (this.#countedOn === null) {
      this.#countedOn = group
      cells.upstreamWorker.active[group.row]!++
    }
    cells.memberWorker.inFlight[row]!++
    if (group.isOverLimit(member)) {
      // Another worker took the last place at the same moment: both see it, so nobody is ever above the limit.
      cells.memberWorker.inFlight[row]!--
      if (!hedge) this.#waitForPlace(group)
      return
    }
    const { places } = group
    if (places !== null && !places.take(this.importance, this.#worker.now)) {
      cells.memberWorker.inFlight[row]!--
      if (!hedge) this.#waitForPlace(group)
      return
    }
    cells.memberWorker.chosenBy[row] = this.why
    if (!hedge) this.#count++
    this.member = member
    this.responseTimeoutMs = Math.min(this.#retry.perTryTimeoutMs ?? Infinity, group.spec.responseTimeoutMs)
    const connection = pool.take(fresh)
    connection.row = row
    connection.member = member
    if (places !== null) this.#takePlace(connection, places)
    const { watcher } = exchange
    if (watcher !== null) {
      watcher.attempt(exchange, connection)
      // Each attempt of a traced request is told its own parent.
      if (watcher.traceparent !== '') this.#text = ''
    }
    if (this.#text === '') this.#text = requestText(exchange)
    if (hedge) this.#second = connection
    else this.primary = connection
    const text = this.#bodyText === '' ? this.#text : this.#text + this.#bodyText
    connection.send(exchange, text, this.#streams, exchange.head.framing === framing.chunked)
    if (this.#streams) {
      // Last: a body that has come already may be refused right here, and then the exchange is over.
      if (!connection.isConnecting) this.#startBody()
      return
    }
    const { hedge: spec } = this.#route
    if (spec !== null && !hedge && this.#second === null) this.#planHedge(group, spec)
  }

  /** A body that is still to come may be slow, which is not the instance's doing: the place is held from its end on. */
  #takePlace(connection: UpstreamConnection, places: Places): void {
    this.#owesPlace = this.#streams
    if (this.#streams) {
      places.giveBack()
      if (this.#uploadRow < 0) this.#uploadRow = places.beginUpload()
    }
    connection.placeRow = this.#streams ? -1 : places.row
    connection.placeAt = this.#worker.now
  }

  /** The instance has been given the whole request. */
  sent(connection: UpstreamConnection): void {
    if (!this.#owesPlace || connection !== this.primary) return
    this.#owesPlace = false
    this.#endUpload()
    this.#worker.refresh()
    this.group?.places?.hold(connection, this.#worker.now)
  }

  #endUpload(): void {
    if (this.#uploadRow < 0) return
    endUpload(this.#worker.cells, this.#uploadRow)
    this.#uploadRow = -1
  }

  /** The head of its answer is there, or it passes bytes from here on: the place is free. */
  answered(connection: UpstreamConnection): void {
    const { cells, now } = this.#worker
    countAnswer(cells, connection, now)
    this.#leavePlace(connection)
  }

  #leavePlace(connection: UpstreamConnection): void {
    const { placeRow } = connection
    connection.placeRow = -1
    giveBackPlace(this.#worker.cells, placeRow)
    this.group?.freed()
  }

  /** The connection is let go of before its answer: the instance may be at work on it for as long as on others. */
  gaveUp(connection: UpstreamConnection): void {
    const abandonedMs = connection.unsent ? 0 : (this.group?.places?.abandonedUs ?? 0) / MS
    const { cells } = this.#worker
    const { placeRow } = connection
    connection.placeRow = -1
    if (abandonedMs >= 1) setTimeout(() => giveBackPlace(cells, placeRow), abandonedMs).unref()
    else giveBackPlace(cells, placeRow)
  }

  #wantsUpgrade(): boolean {
    if (this.#text === '') this.#text = requestText(this.#exchange)
    return this.#exchange.upgrading
  }

  /** A fresh connection is established and has been given the head. */
  connected(connection: UpstreamConnection): void {
    if (this.#streams && connection === this.primary) this.#startBody()
  }

  #startBody(): void {
    this.#bodyBegun = true
    if (this.primary?.blocked) return
    this.#exchange.startBody()
  }

  /** False: the instance's connection can't take more for now. */
  body(bytes: Buffer, from: number, to: number): boolean {
    return this.primary === null || this.primary.body(bytes, from, to)
  }

  drained(connection: UpstreamConnection): void {
    if (connection !== this.primary || !this.#streams || !this.#bodyBegun) return
    const exchange = this.#exchange
    exchange.startBody()
    exchange.client?.resumeBody()
  }

  // --- hedging ------------------------------------------------------------------------------------------------

  #planHedge(group: MemberGroup, spec: HedgeSpec): void {
    const exchange = this.#exchange
    const delayUs = this.#worker.hedgeDelays.of(group, spec)
    const bodyEmpty = !this.#streams && this.#bodyText === ''
    // The budget is asked when the time has come.
    const planned = decideHedge(delayUs, isSafeMethod(exchange.head.method), bodyEmpty, false, true)
    if (planned !== Reason.hedge) return
    const { serial } = exchange
    this.#hedgeTimer = setTimeout(() => {
      this.#hedgeTimer = null
      this.#worker.refresh()
      if (serial === exchange.serial) this.#hedge(group)
    }, delayUs / MS)
  }

  #hedge(group: MemberGroup): void {
    const first = this.primary
    if (first === null || this.#exchange.responding) return
    const allowed = this.#budgetAllows(group)
    if (decideHedge(0, true, true, this.#second !== null, allowed) !== Reason.hedge) return
    const { now, random } = this.#worker
    // A second attempt is for when there is room to spare.
    if (group.places?.hasRoom(Importance.sheddable, now) === false) return
    const member = group.pick(now, this.#key, random, [group.memberSlot(first.member)])
    if (member < 0) return
    this.#countRetry(group, Reason.hedge, false)
    this.why = Reason.hedge
    this.#attempt(group, member, true)
  }

  #budgetAllows(group: MemberGroup): boolean {
    const { upstreamWorker, workers } = this.#worker.cells
    const retries = sumOver(upstreamWorker.retriesActive, workers, upstreamSlots, group.slot)
    const active = sumOver(upstreamWorker.active, workers, upstreamSlots, group.slot)
    return retryBudgetAllows(retries, active, this.#retry)
  }

  /** `replaces`: it only takes the place of an attempt that is over, and is outside the budget (policy/retry). */
  #countRetry(group: MemberGroup, why: number, replaces: boolean): void {
    const { cells } = this.#worker
    this.retries++
    this.retryWhy = why
    if (!replaces) {
      this.#budgeted++
      cells.upstreamWorker.retriesActive[(this.#countedOn ?? group).row]!++
    }
    cells.routeWorker.retries[this.#route.row]!++
  }

  // --- outcomes -----------------------------------------------------------------------------------------------

  /** A connection could not deliver: tried again here, or the exchange is told. `begun`: part of a response went out. */
  failed(connection: UpstreamConnection, end: number, begun: boolean): void {
    const group = this.group as MemberGroup
    const reused = connection.served > 1
    this.#worker.cells.upstreamWorker[failureColumns[end as AttemptEndCode]][group.row]!++
    this.#exchange.watcher?.attemptOver(this.#exchange, connection, 0, end)
    // A stale keep-alive connection says nothing about the instance's health.
    if (
      end !== attemptEnd.noRoom &&
      end !== attemptEnd.refused &&
      (begun || end !== attemptEnd.lost || !reused)
    )
      this.observe(connection, true)
    if (group.places !== null && (end === attemptEnd.timeout || (end === attemptEnd.lost && !reused)))
      this.#worker.cells.upstreamWorker.overloads[group.row]!++
    if (connection === this.#second) {
      this.#second = null
      if (this.primary !== null) return
    } else {
      this.primary = null
      if (this.#second !== null && !begun) {
        this.primary = this.#second
        this.#second = null
        return
      }
    }
    this.#fill(begun ? AttemptEnd.responseBegun : endOf(end), !this.#streams || !this.#bodyBegun)
    seen.unsent = connection.unsent
    seen.reused = reused
    // Another member would need as much; idle connections give way once.
    if (end === attemptEnd.noRoom && (this.#roomMade || !this.#worker.pools.closeIdle()))
      seen.attempts = Infinity
    this.#roomMade ||= end === attemptEnd.noRoom
    // Whatever sent rubbish has seen the request.
    if (end === attemptEnd.bad) seen.idempotent = false
    const reason = decideRetry(seen, this.#retry, this.#budgetAllows(group))
    if (triesAgain(reason)) this.#tryAgain(group, connection, reason)
    else {
      this.retryWhy = begun ? this.retryWhy : reason
      this.#exchange.undelivered(clientFailureOf(end), begun)
    }
  }

  #fill(end: AttemptFailure['end'], bodyReplayable: boolean): void {
    seen.end = end
    seen.idempotent = isIdempotentMethod(this.#exchange.head.method)
    seen.unsent = false
    seen.reused = false
    seen.bodyReplayable = bodyReplayable
    seen.status = 0
    seen.attempts = this.#count
    seen.staleUsed = this.#staleUsed
    seen.clientGone = this.#exchange.client === null
  }

  observe(connection: UpstreamConnection, failed: boolean): void {
    const { member, row } = connection
    const { group } = this
    const now = this.#worker.now
    // A head with 502 to 504: fast, and nothing that a latency could be learnt from.
    if (failed && connection.placeRow >= 0) {
      this.#worker.cells.upstreamWorker.overloads[connection.placeRow]!++
      this.#leavePlace(connection)
    }
    if (group !== null && member < group.count && group.memberRow(member) === row)
      group.observe(member, failed, now - connection.sentAt, now)
  }

  #tryAgain(group: MemberGroup, connection: UpstreamConnection, reason: number): void {
    const { cells, random } = this.#worker
    cells.memberWorker.retries[connection.row]!++
    if (reason === Reason.retryStaleConnection) {
      this.#staleUsed = true
      this.#count--
      this.retryWhy = reason
      this.#attempt(group, connection.member, false, true)
      return
    }
    this.#countRetry(group, reason, isReplacement(reason, this.#count))
    ;(this.#tried ??= []).push(connection.row % memberSlots)
    const delayUs = retryDelayUs(this.retries, group.count, this.#retry, random)
    if (delayUs < MS) {
      this.#choose()
      return
    }
    const exchange = this.#exchange
    const { serial } = exchange
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#worker.refresh()
      if (serial === exchange.serial) this.#choose()
    }, delayUs / MS)
  }

  /**
   * An answer of 4xx that came faster than others usually do: anybody can ask for what does not exist, and a few hundred
   * of these would pass for the latency without a queue, beside which all else is slow.
   */
  #isFastRefusal({ placeAt }: UpstreamConnection): boolean {
    const usualUs = this.group?.places?.recentUs ?? 0
    return usualUs > 0 && this.#worker.now - placeAt < usualUs
  }

  /** True: this status is tried again, and its response dropped. */
  triesStatusAgain(connection: UpstreamConnection, status: number): boolean {
    const retry = this.#retry
    // Errors are often fast, and say nothing of how long the work takes.
    if (connection.placeRow >= 0 && (status >= 500 || this.#isFastRefusal(connection)))
      this.#leavePlace(connection)
    if (!retry.onStatus.includes(status)) return false
    const group = this.group as MemberGroup
    this.#fill(AttemptEnd.status, !this.#streams)
    seen.status = status
    const reason = decideRetry(seen, retry, this.#budgetAllows(group))
    if (!triesAgain(reason)) return false
    if (connection === this.#second) this.#second = null
    else this.primary = this.#second
    if (this.primary === this.#second) this.#second = null
    this.#exchange.watcher?.attemptOver(this.#exchange, connection, status, 0)
    connection.cancel()
    if (this.primary === null) this.#tryAgain(group, connection, reason)
    return true
  }

  /** With two attempts under way the first answer wins; the other connection is given up. */
  takeWinner(connection: UpstreamConnection): void {
    this.#owesPlace = false
    this.#endUpload()
    if (connection.placeRow >= 0) this.answered(connection)
    if (this.#hedgeTimer !== null) {
      clearTimeout(this.#hedgeTimer)
      this.#hedgeTimer = null
    }
    this.member = connection.member
    if (connection === this.primary && this.#second === null) return
    const other = connection === this.primary ? this.#second : this.primary
    this.primary = connection
    this.#second = null
    if (other === null) return
    this.#exchange.watcher?.attemptOver(this.#exchange, other, -1, 0)
    other.cancel()
  }

  /** Gives every connection up; nothing is told to the exchange. */
  cancel(): void {
    const first = this.primary
    const second = this.#second
    this.primary = this.#second = null
    first?.cancel()
    second?.cancel()
  }

  /** The exchange is over: takes back what was counted, stops what was planned, forgets everything. */
  reset(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#hedgeTimer !== null) clearTimeout(this.#hedgeTimer)
    if (this.waitingUntil > 0) this.#worker.pending.leave(this)
    if (this.#countedOn !== null) {
      const { upstreamWorker } = this.#worker.cells
      upstreamWorker.active[this.#countedOn.row]!--
      upstreamWorker.retriesActive[this.#countedOn.row]! -= this.#budgeted
      this.#countedOn = null
    }
    this.primary = this.#second = this.group = this.#tried = this.#timer = this.#hedgeTimer = null
    this.member = this.stickyMember = -1
    this.why = this.retryWhy = this.retries = this.#count = this.#budgeted = 0
    this.#owesPlace = false
    this.#endUpload()
    this.#staleUsed = this.#roomMade = this.#streams = this.#bodyBegun = this.#keyReady = false
    this.#text = this.#bodyText = ''
    this.waitingUntil = 0
  }
}

function endOf(end: number): AttemptFailure['end'] {
  if (end === attemptEnd.connectFailed || end === attemptEnd.connectTimeout || end === attemptEnd.noRoom)
    return AttemptEnd.connectFailed
  return end === attemptEnd.timeout ? AttemptEnd.timeout : AttemptEnd.lost
}

function clientFailureOf(end: number): ClientFailure {
  switch (end) {
    case attemptEnd.connectFailed:
      return clientFailures.connectFailed
    case attemptEnd.noRoom:
      return clientFailures.noRoom
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
