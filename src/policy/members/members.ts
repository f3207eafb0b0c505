// The members of one upstream as one worker sees them: the balancing policies' `Group` over cells, the mask of who is in
// rotation, and what an answer or its absence changes. The edge and the simulator work with this very class; what only
// an edge has (pools, queues) is in its own.

import type { Random } from '../../kit/random.ts'
import { createBalancer, usesKey } from '../balance.ts'
import { memberRoom } from '../circuit.ts'
import { fadedEwma, peakEwma, ratePerSecond } from '../ewma.ts'
import type { Balancer, Group } from '../group.ts'
import { hashText } from '../hash.ts'
import { mayServe } from '../health.ts'
import { ejectionUs, mayEject, shouldEjectNow } from '../outlier.ts'
import { type Rotation, rotation, type TierHealth } from '../panic.ts'
import { Reason } from '../reason.ts'
import type { BalanceSettings, CircuitSettings, OutlierSettings } from '../settings.ts'
import { warmth } from '../slow-start.ts'
import { type MemberCells, sumOver } from './cells.ts'

/** In which an old latency or byte rate loses 63 % of its say. */
const decayUs = 10_000_000

export interface MemberFacts {
  readonly id: string
  readonly weight: number
  readonly tier: number
  readonly state: 'active' | 'draining'
}

/** Of an upstream: how its members are chosen and judged. */
export interface MembersSettings {
  readonly members: readonly MemberFacts[]
  readonly balance: BalanceSettings
  readonly limits: CircuitSettings
  readonly health: { readonly passive: OutlierSettings; readonly panicShare: number }
  readonly slowStartMs: number
}

export class Members<M extends MemberFacts = MemberFacts> implements Group {
  readonly settings: MembersSettings & { readonly members: readonly M[] }
  readonly count: number
  readonly usesKey: boolean
  /** A policy reads byte rates. */
  readonly countsBytes: boolean
  readonly #cells: MemberCells
  readonly #worker: number
  readonly #slots: Int32Array
  readonly #weights: Float64Array
  readonly #hashes: Uint32Array
  readonly #inRotation: Uint8Array
  readonly #tried: Uint8Array
  readonly #limited: boolean
  readonly #balancer: Balancer
  readonly #slowStartMs: number
  #triedCount = 0
  #byKey: Balancer | null = null
  #lastReason: Balancer
  #epochSeen = -1
  #serving = false
  #up = false
  #rotation: Rotation = { tierMax: 0, useAll: false, reason: Reason.normal, a: 0, b: 0 }
  /** Idle connections of this worker to member i; the shell tells, for the connection limit. */
  idleOf: (i: number) => number = () => 0

  /**
   * @param slots of the members, in their order
   * @param worker whose rows this view counts in
   * @param before a balancer that was made for the same policy and members; null: a new one
   */
  constructor(
    settings: MembersSettings & { readonly members: readonly M[] },
    slots: Int32Array,
    cells: MemberCells,
    worker: number,
    before: Balancer | null,
  ) {
    this.settings = settings
    this.count = settings.members.length
    this.usesKey = usesKey(settings.balance)
    this.countsBytes = settings.balance.kind === 'least-bandwidth'
    this.#cells = cells
    this.#worker = worker
    this.#slots = slots
    this.#weights = Float64Array.from(settings.members, member => member.weight)
    this.#hashes = Uint32Array.from(settings.members, member => hashText(member.id))
    this.#inRotation = new Uint8Array(this.count)
    this.#tried = new Uint8Array(this.count)
    this.#limited = settings.limits.inFlightMax > 0 || settings.limits.connectionsMax > 0
    this.#slowStartMs = settings.slowStartMs
    this.#balancer = before ?? this.#newBalancer()
    this.#lastReason = this.#balancer
  }

  #newBalancer(): Balancer {
    const balancer = createBalancer(this.settings.balance)
    balancer.rebuild(this)
    return balancer
  }

  protected get balancer(): Balancer {
    return this.#balancer
  }

  member(i: number): M {
    return this.settings.members[i] as M
  }
  memberSlot(i: number): number {
    return this.#slots[i] as number
  }
  /** Row of member i in this worker's cells. */
  memberRow(i: number): number {
    return this.#worker * this.#cells.memberSlots + (this.#slots[i] as number)
  }

  weight(i: number): number {
    return this.#weights[i] as number
  }
  hash(i: number): number {
    return this.#hashes[i] as number
  }
  eligible(i: number): boolean {
    if (this.#inRotation[i] === 0) return false
    if (this.#triedCount > 0 && this.#tried[i] === 1) return false
    return !this.#limited || this.hasRoom(i)
  }
  inFlight(i: number): number {
    const { memberWorker, memberSlots, workers } = this.#cells
    const slot = this.#slots[i] as number
    if (workers === 1) return memberWorker.inFlight[slot] as number
    return sumOver(memberWorker.inFlight, workers, memberSlots, slot)
  }
  latencyUs(i: number, now: number): number {
    const { member } = this.#cells
    const slot = this.#slots[i] as number
    return fadedEwma(member.latencyUs[slot] as number, member.latencyAtUs[slot] as number, now, decayUs)
  }
  bytesPerSecond(i: number, now: number): number {
    const { memberWorker, memberSlots, workers } = this.#cells
    const slot = this.#slots[i] as number
    let sum = 0
    for (let row = slot; row < workers * memberSlots; row += memberSlots) {
      const rate = memberWorker.bytesRate[row] as number
      if (rate > 0) sum += ratePerSecond(rate, memberWorker.bytesRateAtUs[row] as number, now, 0, decayUs)
    }
    return sum
  }
  utilisation(i: number): number {
    return (this.#cells.member.utilisation[this.#slots[i] as number] as number) - 1
  }
  warmth(i: number, now: number): number {
    if (this.#slowStartMs === 0) return 1
    return warmth(this.#cells.member.sinceUs[this.#slots[i] as number] as number, now, this.#slowStartMs)
  }

  hasRoom(i: number): boolean {
    const slot = this.#slots[i] as number
    const { memberWorker, memberSlots, workers } = this.#cells
    const open = sumOver(memberWorker.connections, workers, memberSlots, slot)
    return memberRoom(this.inFlight(i), open, this.idleOf(i), this.settings.limits) === Reason.room
  }

  /** After its own request was counted: is the member above its limit? */
  isOverLimit(i: number): boolean {
    const { inFlightMax } = this.settings.limits
    return inFlightMax > 0 && this.inFlight(i) > inFlightMax
  }

  /** Index of the member for a request, or -1. `tried`: slots of members that failed the same request already. */
  pick(now: number, key: number, random: Random, tried: readonly number[] | null): number {
    return this.#pickWith(this.#balancer, now, key, random, tried)
  }

  #pickWith(
    balancer: Balancer,
    now: number,
    key: number,
    random: Random,
    tried: readonly number[] | null,
  ): number {
    this.#refresh()
    this.#lastReason = balancer
    if (tried === null) return balancer.pick(this, now, key, random)
    for (let i = 0; i < this.count; i++) this.#tried[i] = tried.includes(this.memberSlot(i)) ? 1 : 0
    this.#triedCount = tried.length
    const picked = balancer.pick(this, now, key, random)
    this.#triedCount = 0
    return picked
  }

  /** May this very member take a request now (sticky sessions)? Draining ones keep what is stuck to them no longer. */
  canTake(i: number): boolean {
    this.#refresh()
    return i >= 0 && this.eligible(i)
  }

  /** Does anybody serve by what is known? Unlike `anyInRotation` not when all are used only because none does (panic). */
  get anyServing(): boolean {
    this.#refresh()
    return this.#serving
  }

  /** Like `anyServing`, by probes alone: who is ejected for what the traffic shows comes back in seconds. */
  get anyUp(): boolean {
    this.#refresh()
    return this.#up
  }

  /** Is anybody in rotation at all, room or not? */
  get anyInRotation(): boolean {
    this.#refresh()
    return this.#inRotation.includes(1)
  }

  get lastReason(): number {
    return this.#lastReason.reason
  }
  get rotation(): Rotation {
    this.#refresh()
    return this.#rotation
  }

  #refresh(): void {
    const epoch = this.#cells.common.healthEpoch[0] as number
    if (epoch === this.#epochSeen) return
    this.#epochSeen = epoch
    const tiers: { healthy: number; total: number }[] = []
    for (let i = 0; i < this.count; i++) {
      const spec = this.member(i)
      while (tiers.length <= spec.tier) tiers.push({ healthy: 0, total: 0 })
      const tier = tiers[spec.tier] as { healthy: number; total: number }
      if (spec.state === 'draining') continue
      tier.total++
      if (this.isHealthy(i)) tier.healthy++
    }
    this.#rotation = rotation(tiers as readonly TierHealth[], this.settings.health.panicShare)
    const { tierMax, useAll } = this.#rotation
    this.#serving = false
    this.#up = false
    for (let i = 0; i < this.count; i++) {
      const spec = this.member(i)
      if (spec.state === 'active' && this.isHealthy(i)) this.#serving = true
      if (spec.state === 'active' && mayServe(this.#cells.health, this.#slots[i] as number)) this.#up = true
      const used = spec.state === 'active' && spec.tier <= tierMax && (useAll || this.isHealthy(i))
      this.#inRotation[i] = used ? 1 : 0
    }
  }

  isHealthy(i: number): boolean {
    const slot = this.#slots[i] as number
    return mayServe(this.#cells.health, slot) && this.#cells.member.ejected[slot] === 0
  }

  /** A response came (or not): latency, failures in a row, ejection. Failures are connect errors, losses, time-outs, 502-504. */
  observe(i: number, failed: boolean, latencyUs: number, now: number): void {
    const slot = this.#slots[i] as number
    const row = this.memberRow(i)
    const { member, memberWorker } = this.#cells
    memberWorker.requests[row]!++
    if (failed) {
      memberWorker.failures[row]!++
      this.#countFailure(i, slot, now)
      return
    }
    if (member.consecutiveFailures[slot] !== 0) Atomics.store(member.consecutiveFailures, slot, 0)
    memberWorker.latencySumUs[row]! += latencyUs
    member.latencyUs[slot] = peakEwma(
      member.latencyUs[slot] as number,
      member.latencyAtUs[slot] as number,
      now,
      latencyUs,
      decayUs,
    )
    member.latencyAtUs[slot] = now
  }

  #countFailure(i: number, slot: number, now: number): void {
    const { member } = this.#cells
    const row = Atomics.add(member.consecutiveFailures, slot, 1) + 1
    const settings = this.settings.health.passive
    if (!shouldEjectNow(row, settings) || member.ejected[slot] !== 0) return
    let ejected = 0
    let serving = 0
    for (let other = 0; other < this.count; other++) {
      if (this.#cells.member.ejected[this.#slots[other] as number] !== 0) ejected++
      else if (this.member(other).state === 'active' && this.isHealthy(other)) serving++
    }
    if (mayEject(ejected, serving, this.count, settings) !== Reason.none) return
    this.#eject(i, slot, row, now)
  }

  #eject(i: number, slot: number, failures: number, now: number): void {
    const { member, common } = this.#cells
    if (Atomics.compareExchange(member.ejected, slot, 0, 1) !== 0) return
    const ejections = Atomics.add(member.ejections, slot, 1) + 1
    member.ejectedUntilUs[slot] = now + ejectionUs(ejections, this.settings.health.passive)
    member.changedUs[slot] = now
    member.ejectA[slot] = failures
    member.ejectB[slot] = 0
    Atomics.store(member.ejectReason, slot, Reason.consecutiveFailures)
    Atomics.add(common.healthEpoch, 0, 1)
    this.onEject?.(i, Reason.consecutiveFailures, failures, 0)
  }

  /** The member that a sticky key names: rendezvous hashing, so that one of n that comes or goes moves 1/n of the keys. */
  pickByKey(now: number, key: number, random: Random, tried: readonly number[] | null): number {
    if (this.#byKey === null) {
      this.#byKey = createBalancer({ kind: 'rendezvous-hash', key: { by: 'url' } })
      this.#byKey.rebuild(this)
    }
    return this.#pickWith(this.#byKey, now, key, random, tried)
  }

  /** Told of each ejection that this worker decides. */
  onEject: ((i: number, reason: number, a: number, b: number) => void) | null = null

  /** Bytes of a response body that went to a client. Only kept where a policy reads it. */
  countBytes(i: number, bytes: number, now: number): void {
    const row = this.memberRow(i)
    const { memberWorker } = this.#cells
    memberWorker.bytesRate[row] = ratePerSecond(
      memberWorker.bytesRate[row] as number,
      memberWorker.bytesRateAtUs[row] as number,
      now,
      bytes,
      decayUs,
    )
    memberWorker.bytesRateAtUs[row] = now
  }

  setUtilisation(i: number, share: number): void {
    this.#cells.member.utilisation[this.#slots[i] as number] = Math.min(1, Math.max(0, share)) + 1
  }
}
