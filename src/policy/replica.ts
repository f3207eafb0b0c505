// Which replica serves a read: the edge's balancing over those that may. A replica may be behind (less from, then not
// from), on another timeline, delayed on purpose, out for its failures, or unknown. The last one is never put out, and for
// reads that take anything the least bad one serves. Decides from numbers that the shell writes; a pick makes no garbage.

import type { Random } from '../kit/random.ts'
import { createBalancer } from './balance.ts'
import { fadedEwma, peakEwma } from './ewma.ts'
import type { Balancer, Group } from './group.ts'
import { hashText } from './hash.ts'
import { ejected, ejectionUs, mayEject, shouldEjectNow } from './outlier.ts'
import { Reason, reasonText } from './reason.ts'
import type { OutlierSettings } from './settings.ts'

export interface ReplicaSettings {
  readonly balance: 'least-connections' | 'least-response-time' | 'round-robin'
  /** Lags from which a replica is used less, and not at all, by reads that take anything. */
  readonly lessFromMs: number
  readonly notFromMs: number
}

/** A replica that fails statements by its own fault is out for a second, doubled each time up to a minute. */
export const replicaOutlier: OutlierSettings = {
  consecutiveFailures: 3,
  failureShare: 0,
  requestsMin: 0,
  windowMs: 0,
  latencyFactor: 0,
  ejectBaseMs: 1_000,
  ejectMaxMs: 60_000,
  ejectShareMax: 1,
}

const latencyFadeUs = 10_000_000
/** Share of its weight that a replica keeps just before it is not used at all. */
const lagShareMin = 0.1

/** What is known of one replica. The shell writes positions and lags; statements write the rest through `ReplicaChoice`. */
export class ReplicaStanding {
  readonly id: string
  readonly hash: number
  weight = 1
  /** Delayed on purpose: nobody reads from it. */
  delayed = false
  /** The topology says that it may be used. */
  ready = false
  /** It answers the monitor. */
  watched = false
  /** Where it copies from: 0 = not known. */
  timeline = 0
  /** Replayed up to here; -1 = not known. */
  lsn = -1
  /** It shows nothing older than this moment (microseconds, monotonic); -1 = not known. */
  asOf = -1
  /** It has replayed all that the primary had at the last sample. */
  caughtUp = false
  inFlight = 0
  latencyUs = 0
  latencyAt = 0
  failuresInRow = 0
  ejectedUntilUs = 0
  ejections = 0
  changedUs = 0

  constructor(id: string) {
    this.id = id
    this.hash = hashText(id)
  }

  /** Its connection is lost: after a restart it begins at an older position. */
  forget(): void {
    this.watched = this.caughtUp = false
    this.timeline = 0
    this.lsn = this.asOf = -1
  }

  /** Microseconds behind; -1 = not known. */
  lagUs(now: number): number {
    if (this.caughtUp) return 0
    return this.asOf < 0 ? -1 : now - this.asOf
  }

  isOut(now: number): boolean {
    return now < this.ejectedUntilUs
  }
}

/** Modes of one pick. */
const mode = { position: 0, within: 1, any: 2, blind: 3 } as const

export class ReplicaChoice implements Group {
  replicas: readonly ReplicaStanding[] = []
  #settings: ReplicaSettings
  #balancer: Balancer
  #mode: number = mode.any
  #timeline = 0
  #lsn = 0
  #withinUs = 0

  constructor(settings: ReplicaSettings) {
    this.#settings = settings
    this.#balancer = balancerOf(settings)
  }

  use(settings: ReplicaSettings, replicas: readonly ReplicaStanding[]): void {
    this.#settings = settings
    this.replicas = replicas
    this.#balancer = balancerOf(settings)
    this.#balancer.rebuild(this)
  }

  /** Why the last pick took whom it took: a code of `reason.ts`. */
  get reason(): number {
    return this.#balancer.reason
  }

  /** Is there one that a read could go to now or soon? */
  anyUsable(now: number): boolean {
    for (const replica of this.replicas) if (isUsable(replica, now)) return true
    return false
  }

  /** One that has replayed this position on this timeline; null: none. */
  pickAt(now: number, timeline: number, lsn: number, random: Random): ReplicaStanding | null {
    this.#mode = mode.position
    this.#timeline = timeline
    this.#lsn = lsn
    return this.#pick(now, random)
  }

  has(replica: ReplicaStanding, now: number, timeline: number, lsn: number): boolean {
    // Two unknown timelines are not the same one.
    return timeline > 0 && replica.timeline === timeline && replica.lsn >= lsn && isUsable(replica, now)
  }

  /** One that shows nothing older than this; null: none. */
  pickWithin(now: number, lagMaxUs: number, random: Random): ReplicaStanding | null {
    this.#mode = mode.within
    this.#withinUs = lagMaxUs
    return this.#pick(now, random)
  }

  isWithin(replica: ReplicaStanding, now: number, lagMaxUs: number): boolean {
    return isUsable(replica, now) && replica.asOf >= 0 && now - replica.asOf <= lagMaxUs
  }

  /** One that is not too far behind, else the least bad one that answers; null: there is none. */
  pickAny(now: number, random: Random): ReplicaStanding | null {
    this.#mode = mode.any
    const near = this.#pick(now, random)
    if (near !== null) return near
    const least = this.#leastBad(now, false)
    if (least === null || least.lagUs(now) >= 0) return least
    // Nobody's lag is known: they are all the same.
    this.#mode = mode.blind
    return this.#pick(now, random)
  }

  /** For when there is no primary either: also one that is out, or does not answer the monitor. */
  pickLast(now: number): ReplicaStanding | null {
    return this.#leastBad(now, true)
  }

  began(replica: ReplicaStanding): void {
    replica.inFlight++
  }

  ended(replica: ReplicaStanding, now: number, latencyUs: number, failed: boolean): void {
    if (replica.inFlight > 0) replica.inFlight--
    if (failed) this.#failed(replica, now)
    else this.#succeeded(replica, now, latencyUs)
  }

  #succeeded(replica: ReplicaStanding, now: number, latencyUs: number): void {
    replica.failuresInRow = 0
    replica.latencyUs = peakEwma(replica.latencyUs, replica.latencyAt, now, latencyUs, latencyFadeUs)
    replica.latencyAt = now
    const served = ejectionUs(replica.ejections, replicaOutlier)
    if (replica.ejections === 0 || now - replica.changedUs < served) return
    replica.ejections--
    replica.changedUs = now
  }

  #failed(replica: ReplicaStanding, now: number): void {
    replica.failuresInRow++
    if (replica.isOut(now) || !shouldEjectNow(replica.failuresInRow, replicaOutlier)) return
    const { length } = this.replicas
    const serving = this.replicas.filter(one => isUsable(one, now)).length
    const out = this.replicas.filter(one => one.isOut(now)).length
    if (mayEject(out, serving, length, replicaOutlier) !== Reason.none) return
    const next = ejected(replica, now, replicaOutlier)
    replica.ejectedUntilUs = next.ejectedUntilUs
    replica.ejections = next.ejections
    replica.changedUs = next.changedUs
    // The first failure after its time puts it out again.
    replica.failuresInRow = replicaOutlier.consecutiveFailures - 1
  }

  #pick(now: number, random: Random): ReplicaStanding | null {
    const at = this.#balancer.pick(this, now, 0, random)
    return at < 0 ? null : (this.replicas[at] as ReplicaStanding)
  }

  /** Those that answer before those that do not, then the smallest lag; unknown counts as the largest. */
  #leastBad(now: number, desperate: boolean): ReplicaStanding | null {
    let best: ReplicaStanding | null = null
    let bestScore = Infinity
    for (const replica of this.replicas) {
      if (!isUsable(replica, now) && (!desperate || !replica.ready || replica.delayed)) continue
      const lag = replica.lagUs(now)
      const score =
        (lag < 0 ? 1e12 : Math.min(lag, 1e12)) +
        (replica.isOut(now) ? 2e12 : 0) +
        (replica.watched ? 0 : 4e12)
      if (score >= bestScore) continue
      best = replica
      bestScore = score
    }
    return best
  }

  /** `used`, or why reads that take anything do not go there. */
  standing(replica: ReplicaStanding, now: number, timeline: number): string {
    const lag = replica.lagUs(now)
    const { lessFromMs, notFromMs } = this.#settings
    if (replica.delayed) return reasonText(Reason.replicaDelayed)
    if (!replica.ready) return reasonText(Reason.replicaNotReady)
    if (!replica.watched) return reasonText(Reason.replicaUnwatched)
    if (replica.isOut(now)) return reasonText(Reason.replicaOut, replica.ejectedUntilUs - now)
    if (timeline > 0 && replica.timeline > 0 && replica.timeline !== timeline)
      return reasonText(Reason.replicaTimeline, replica.timeline, timeline)
    if (lag < 0) return reasonText(Reason.replicaUnknown)
    if (lag >= notFromMs * 1_000) return reasonText(Reason.replicaNotFrom, lag)
    if (lag >= lessFromMs * 1_000) return reasonText(Reason.replicaLessFrom, lag)
    return reasonText(Reason.replicaUsed)
  }

  // The balancer's view.

  get count(): number {
    return this.replicas.length
  }
  weight(i: number): number {
    return this.#at(i).weight
  }
  eligible(i: number, now: number): boolean {
    const replica = this.#at(i)
    if (this.#mode === mode.position) return this.has(replica, now, this.#timeline, this.#lsn)
    if (this.#mode === mode.within) return this.isWithin(replica, now, this.#withinUs)
    if (this.#mode === mode.blind) return isUsable(replica, now)
    const lag = replica.lagUs(now)
    return isUsable(replica, now) && lag >= 0 && lag < this.#settings.notFromMs * 1_000
  }
  inFlight(i: number): number {
    return this.#at(i).inFlight
  }
  latencyUs(i: number, now: number): number {
    const { latencyUs, latencyAt } = this.#at(i)
    return fadedEwma(latencyUs, latencyAt, now, latencyFadeUs)
  }
  bytesPerSecond(): number {
    return 0
  }
  utilisation(): number {
    return -1
  }
  /** Its share of its weight: all up to the first threshold, then less, down to a tenth at the second. */
  warmth(i: number, now: number): number {
    const lag = this.#at(i).lagUs(now)
    const from = this.#settings.lessFromMs * 1_000
    const to = this.#settings.notFromMs * 1_000
    if (this.#mode === mode.position || lag <= from || to <= from) return 1
    return Math.max(lagShareMin, 1 - (1 - lagShareMin) * ((lag - from) / (to - from)))
  }
  hash(i: number): number {
    return this.#at(i).hash
  }

  #at(i: number): ReplicaStanding {
    return this.replicas[i] as ReplicaStanding
  }
}

function isUsable(replica: ReplicaStanding, now: number): boolean {
  return replica.ready && replica.watched && !replica.delayed && now >= replica.ejectedUntilUs
}

/** Plain round robin knows no weights. */
function balancerOf({ balance }: ReplicaSettings): Balancer {
  return createBalancer({ kind: balance === 'round-robin' ? 'weighted-round-robin' : balance })
}
