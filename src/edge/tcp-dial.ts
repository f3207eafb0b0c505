// From a client's connection to one of a member: which member, waiting for a place, connecting, another one when that
// fails. Asks the same policies as HTTP's attempts and keeps the same counts, so that limits, status, drains and ejection
// see a connection as a request. Nothing of the client has been read meanwhile, so that every connect may be repeated.

import type { Stream, StreamHandler } from '../io/net.ts'
import { MS } from '../kit/clock.ts'
import { Timed } from '../kit/timer-wheel.ts'
import { backoffUs } from '../policy/backoff.ts'
import { admission, isRefusal } from '../policy/circuit.ts'
import {
  AttemptEnd,
  type AttemptFailure,
  decideRetry,
  retryBudgetAllows,
  triesAgain,
} from '../policy/retry.ts'
import { memberSlots, sumOver, upstreamSlots } from './cells.ts'
import type { WorkerContext } from './context.ts'
import type { MemberGroup } from './group.ts'
import type { Waiter } from './pending.ts'
import type { MemberPool } from './pools.ts'
import type { TcpEnding } from './tcp-session.ts'
import { attemptEnd, connectEnd } from './upstream.ts'

export interface DialOwner {
  /** The snapshot's group of now; the owner keeps its snapshot until the end. */
  currentGroup(): MemberGroup
  /** Of the client's address; asked where a policy hashes. */
  readonly key: number
  /** The connection is there; its handler is still the dial. */
  dialed(stream: Stream): void
  undialed(ending: TcpEnding): void
}

export class TcpDial extends Timed implements StreamHandler, Waiter {
  readonly #worker: WorkerContext
  readonly #owner: DialOwner
  group: MemberGroup | null = null
  /** Index of the member in the group. */
  member = -1
  waitingUntil = 0
  /** Why the member was chosen; why there was a retry, or none. */
  why = 0
  retryWhy = 0
  retries = 0
  /** Microseconds that the connect took. */
  connectUs = 0
  #pool: MemberPool | null = null
  #row = 0
  /** Row of the upstream that counts it as active. */
  #activeRow = -1
  #budgeted = 0
  #startedAt = 0
  #observed = true
  #tried: number[] | null = null
  #stream: Stream | null = null
  #timer: NodeJS.Timeout | null = null
  #over = false

  constructor(worker: WorkerContext, owner: DialOwner) {
    super()
    this.#worker = worker
    this.#owner = owner
  }

  start(): void {
    this.#choose()
  }

  #choose(): void {
    const group = this.#owner.currentGroup()
    this.group = group
    // Those who wait already come first.
    const member = group.waiting !== null && group.waiting.count > 0 ? -1 : this.#pick(group)
    if (member >= 0) this.#connect(group, member)
    else if (group.anyInRotation) this.#waitForPlace(group)
    else this.#fail('no-instance')
  }

  #pick(group: MemberGroup): number {
    const { now, random } = this.#worker
    const key = group.usesKey ? this.#owner.key : 0
    let member = group.pick(now, key, random, this.#tried)
    // All others are out: the one that failed may be back by now.
    if (member < 0 && this.#tried !== null) member = group.pick(now, key, random, null)
    this.why = group.lastReason
    return member
  }

  #waitForPlace(group: MemberGroup): void {
    const { cells, now, pending } = this.#worker
    const { limits } = group.spec
    const waiting = sumOver(cells.upstreamWorker.pending, cells.workers, upstreamSlots, group.slot)
    const reason = admission(false, waiting, limits)
    if (isRefusal(reason)) {
      this.why = reason
      this.#fail('busy')
      return
    }
    this.waitingUntil = now + limits.pendingTimeoutMs * MS
    pending.enter(group.spec.name, this)
  }

  offerPlace(): boolean {
    const group = this.#owner.currentGroup()
    this.group = group
    const member = this.#pick(group)
    if (member < 0) return false
    this.#connect(group, member)
    return true
  }

  waitedTooLong(): void {
    this.#fail('waited-too-long')
  }

  #connect(group: MemberGroup, member: number): void {
    const { cells, pools, net, wheel, now } = this.#worker
    const pool = pools.of(group.memberSlot(member)) as MemberPool
    const row = group.memberRow(member)
    if (this.#activeRow < 0) cells.upstreamWorker.active[(this.#activeRow = group.row)]!++
    cells.memberWorker.inFlight[row]!++
    if (group.isOverLimit(member)) {
      // Another worker took the last place at the same moment: both see it, so nobody is ever above the limit.
      cells.memberWorker.inFlight[row]!--
      this.#waitForPlace(group)
      return
    }
    cells.memberWorker.connections[row]!++
    cells.memberWorker.chosenBy[row] = this.why
    this.member = member
    this.#pool = pool
    this.#row = row
    this.#startedAt = now
    this.#observed = false
    const { tlsClient } = pool
    this.#stream =
      tlsClient === undefined
        ? net.connectLean(pool.host, pool.port, this)
        : net.connect(pool.host, pool.port, this, tlsClient)
    wheel.set(this, now + group.spec.connectTimeoutMs * MS)
  }

  // --- outcomes -----------------------------------------------------------------------------------------------

  opened(stream: Stream): void {
    this.#worker.refresh()
    this.#worker.wheel.remove(this)
    this.connectUs = this.#worker.now - this.#startedAt
    this.#owner.dialed(stream)
  }

  data(): void {}
  ended(): void {}
  drained(): void {}

  closed(stream: Stream, code: string): void {
    if (stream !== this.#stream || this.#over) return
    this.#worker.refresh()
    this.#pool?.notConnected(code)
    this.#connectFailed('connect-failed', connectEnd(code) !== attemptEnd.noRoom)
  }

  override expired(): void {
    this.#stream?.destroy()
    this.#connectFailed('connect-timeout')
  }

  /** `blame`: it says something about the member. */
  #connectFailed(ending: TcpEnding, blame = true): void {
    const group = this.group as MemberGroup
    this.#stream = null
    this.#worker.wheel.remove(this)
    if (blame) this.observe(true)
    this.#leaveMember()
    const failure: AttemptFailure = {
      end: AttemptEnd.connectFailed,
      idempotent: false,
      unsent: true,
      reused: false,
      bodyReplayable: true,
      status: 0,
      attempts: this.retries + 1,
      staleUsed: false,
      clientGone: false,
    }
    const reason = decideRetry(failure, group.spec.retry, this.#budgetAllows(group))
    this.retryWhy = reason
    if (triesAgain(reason)) this.#tryAgain(group)
    else this.#fail(ending)
  }

  #budgetAllows(group: MemberGroup): boolean {
    const { upstreamWorker, workers } = this.#worker.cells
    const retries = sumOver(upstreamWorker.retriesActive, workers, upstreamSlots, group.slot)
    const active = sumOver(upstreamWorker.active, workers, upstreamSlots, group.slot)
    return retryBudgetAllows(retries, active, group.spec.retry)
  }

  #tryAgain(group: MemberGroup): void {
    const { cells, random } = this.#worker
    cells.memberWorker.retries[this.#row]!++
    // The first takes the place of an attempt that is over and is outside the budget (policy/retry).
    if (this.retries++ > 0) {
      this.#budgeted++
      cells.upstreamWorker.retriesActive[this.#activeRow]!++
    }
    ;(this.#tried ??= []).push(this.#row % memberSlots)
    const { backoffBaseMs, backoffMaxMs } = group.spec.retry
    // The first retry goes elsewhere at once; further ones wait, because elsewhere fails too.
    const elsewhere = this.retries <= 1 && group.count > 1
    const delayUs = elsewhere ? 0 : backoffUs(this.retries, backoffBaseMs, backoffMaxMs, random)
    if (delayUs < MS) {
      this.#choose()
      return
    }
    this.#timer = setTimeout(() => {
      this.#worker.refresh()
      this.#choose()
    }, delayUs / MS)
  }

  #fail(ending: TcpEnding): void {
    this.group ??= this.#owner.currentGroup()
    this.#owner.undialed(ending)
  }

  /** What the connection shows of the member's health, once: it answered, or it aborted before its first byte. */
  observe(failed: boolean): void {
    if (this.#observed) return
    this.#observed = true
    this.group?.observe(this.member, failed, this.connectUs, this.#worker.now)
  }

  /** A newer snapshot's group: is what is counted here counted the same there? False: the member is gone from it. */
  moveTo(group: MemberGroup): boolean {
    if (this.#pool === null) return true
    const { slot } = this.#pool
    for (let member = 0; member < group.count; member++) {
      if (group.memberSlot(member) !== slot) continue
      this.group = group
      this.member = member
      return true
    }
    return false
  }

  #leaveMember(): void {
    const pool = this.#pool
    if (pool === null) return
    this.#pool = null
    const { memberWorker } = this.#worker.cells
    memberWorker.inFlight[this.#row]!--
    // The pool of a member that is gone has taken its connections back already.
    if (pool.current) memberWorker.connections[this.#row]!--
    this.group?.freed()
  }

  /** The connection is over, or is wanted no more: whatever is counted or planned is taken back. */
  end(): void {
    if (this.#over) return
    this.#over = true
    const { upstreamWorker } = this.#worker.cells
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.waitingUntil > 0) this.#worker.pending.leave(this)
    this.#worker.wheel.remove(this)
    if (this.#stream?.handler === this) this.#stream.destroy()
    this.#leaveMember()
    if (this.#activeRow < 0) return
    upstreamWorker.active[this.#activeRow]!--
    upstreamWorker.retriesActive[this.#activeRow]! -= this.#budgeted
  }
}
