// Passive health's slow half: a sweep over windows of what real traffic showed (policy/outlier), returns and
// forgiveness; and adaptive limits. Runs on the edge's main thread; reads the workers' sums, writes members' standing.

import type { Clock } from '../kit/clock.ts'
import { HealthState, type ProbeVerdict, probeVerdict } from '../policy/health.ts'
import {
  type OutlierDecision,
  type OutlierObservation,
  outlierText,
  sweepOutliers,
} from '../policy/outlier.ts'
import { type EdgeCells, memberSlots, sumOver } from './cells.ts'
import { Limiters } from './limiters.ts'
import { memberKey, type SnapshotSlots } from './slots.ts'
import type { EdgeSnapshot, UpstreamSpec } from './snapshot.ts'

/** Sums at the start of a member's window. */
interface Window {
  startedAt: number
  requests: number
  failures: number
  latencySumUs: number
}

export class Sweeper {
  readonly #cells: EdgeCells
  readonly #clock: Clock
  readonly #tell: (subject: string, text: string) => void
  readonly #windows = new Map<number, Window>()
  readonly #held = new Map<number, number>()
  readonly #limiters: Limiters

  constructor(cells: EdgeCells, clock: Clock, tell: (subject: string, text: string) => void) {
    this.#cells = cells
    this.#clock = clock
    this.#tell = tell
    this.#limiters = new Limiters(cells)
  }

  sweep(snapshot: EdgeSnapshot, slots: SnapshotSlots): void {
    const now = this.#clock.monotonic()
    this.#limiters.move(snapshot, slots, now)
    for (const upstream of snapshot.upstreams) this.#sweepUpstream(upstream, slots, now)
    const live = new Set(slots.members.values())
    for (const slot of this.#windows.keys()) if (!live.has(slot)) this.#windows.delete(slot)
    for (const slot of this.#held.keys()) if (!live.has(slot)) this.#held.delete(slot)
  }

  #sweepUpstream(upstream: UpstreamSpec, slots: SnapshotSlots, now: number): void {
    const places = upstream.members.map(
      member => slots.members.get(memberKey(upstream.name, member.id, member.epoch)) as number,
    )
    const seen = upstream.members.map((member, i) =>
      this.#observe(upstream, places[i] as number, member.state === 'active', now),
    )
    for (const decision of sweepOutliers(seen, now, upstream.health.passive)) {
      const slot = places[decision.member] as number
      const subject = `${upstream.name}/${upstream.members[decision.member]?.id}`
      this.#obey(decision, slot, subject, now)
    }
  }

  #observe(upstream: UpstreamSpec, slot: number, active: boolean, now: number): OutlierObservation {
    const { member, health } = this.#cells
    const sums = this.#sums(slot, now)
    const windowUs = upstream.health.passive.windowMs * 1000
    let window = this.#windows.get(slot)
    if (window === undefined || now - window.startedAt > windowUs) {
      // A window that is over is judged once more with this sweep, then a new one begins.
      this.#windows.set(slot, sums)
      window ??= sums
    }
    const requests = sums.requests - window.requests
    const failures = sums.failures - window.failures
    const succeeded = requests - failures
    return {
      ejectedUntilUs: member.ejected[slot] === 0 ? 0 : (member.ejectedUntilUs[slot] as number),
      ejections: member.ejections[slot] as number,
      changedUs: member.changedUs[slot] as number,
      requests,
      failures,
      consecutiveFailures: member.consecutiveFailures[slot] as number,
      latencyUs: succeeded > 0 ? (sums.latencySumUs - window.latencySumUs) / succeeded : 0,
      probes: this.#probes(upstream, slot),
      serving: active && health.at.state[slot] !== HealthState.unhealthy,
    }
  }

  #probes(upstream: UpstreamSpec, slot: number): ProbeVerdict {
    const { active } = upstream.health
    if (active === null) return 'none'
    return probeVerdict(this.#cells.health, slot, this.#cells.member.changedUs[slot] as number, active.rise)
  }

  #sums(slot: number, now: number): Window {
    const { memberWorker, workers } = this.#cells
    const sum = (column: Float64Array): number => sumOver(column, workers, memberSlots, slot)
    return {
      startedAt: now,
      requests: sum(memberWorker.requests),
      failures: sum(memberWorker.failures),
      latencySumUs: sum(memberWorker.latencySumUs),
    }
  }

  #obey(decision: OutlierDecision, slot: number, subject: string, now: number): void {
    const { member, common } = this.#cells
    if (decision.kind === 'hold') {
      if (this.#held.get(slot) !== decision.reason) this.#tell(subject, outlierText(decision))
      this.#held.set(slot, decision.reason)
      return
    }
    this.#held.delete(slot)
    const { standing } = decision
    member.ejectedUntilUs[slot] = standing.ejectedUntilUs
    Atomics.store(member.ejections, slot, standing.ejections)
    member.changedUs[slot] = standing.changedUs
    if (decision.kind === 'forgive') return
    if (decision.kind === 'eject') {
      member.ejectReason[slot] = decision.reason
      member.ejectA[slot] = decision.a
      member.ejectB[slot] = decision.b
      Atomics.store(member.ejected, slot, 1)
    } else {
      Atomics.store(member.consecutiveFailures, slot, 0)
      Atomics.store(member.ejected, slot, 0)
      member.sinceUs[slot] = now
      this.#windows.set(slot, this.#sums(slot, now))
    }
    Atomics.add(common.healthEpoch, 0, 1)
    this.#tell(subject, outlierText(decision))
  }
}
