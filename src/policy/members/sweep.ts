// Passive health's slow half over cells: windows of what real traffic showed, judged by `outlier.ts`, and what was decided
// written back. One sweeper an upstream's cells; the shell calls it about once a second and tells what comes back.

import { HealthState, type ProbeVerdict, probeVerdict, recordProbe } from '../health.ts'
import { type OutlierDecision, type OutlierObservation, sweepOutliers } from '../outlier.ts'
import { Reason } from '../reason.ts'
import type { OutlierSettings, ProbeSettings } from '../settings.ts'
import { type MemberCells, sumOver } from './cells.ts'
import type { MemberFacts } from './members.ts'

/** Sums at the start of a member's window. */
interface Window {
  startedAt: number
  requests: number
  failures: number
  latencySumUs: number
}

/** An upstream as the sweep sees it. */
export interface SweptUpstream {
  readonly members: readonly MemberFacts[]
  readonly health: { readonly passive: OutlierSettings; readonly active: ProbeSettings | null }
}

export class OutlierSweep {
  readonly #cells: MemberCells
  readonly #windows = new Map<number, Window>()
  readonly #held = new Map<number, number>()

  constructor(cells: MemberCells) {
    this.#cells = cells
  }

  /** Judges and applies; returns what is worth telling, in order. @param slots of the members, in their order */
  sweep(upstream: SweptUpstream, slots: ArrayLike<number>, now: number): OutlierDecision[] {
    const seen = upstream.members.map((member, i) =>
      this.#observe(upstream, slots[i] as number, member.state === 'active', now),
    )
    const decisions = sweepOutliers(seen, now, upstream.health.passive)
    return decisions.filter(decision => this.#obey(decision, slots[decision.member] as number, now))
  }

  /** Members that are gone are forgotten. */
  keepOnly(live: ReadonlySet<number>): void {
    for (const slot of this.#windows.keys()) if (!live.has(slot)) this.#windows.delete(slot)
    for (const slot of this.#held.keys()) if (!live.has(slot)) this.#held.delete(slot)
  }

  #observe(upstream: SweptUpstream, slot: number, active: boolean, now: number): OutlierObservation {
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

  #probes(upstream: SweptUpstream, slot: number): ProbeVerdict {
    const { active } = upstream.health
    if (active === null) return 'none'
    return probeVerdict(this.#cells.health, slot, this.#cells.member.changedUs[slot] as number, active.rise)
  }

  #sums(slot: number, now: number): Window {
    const { memberWorker, memberSlots, workers } = this.#cells
    const sum = (column: Float64Array): number => sumOver(column, workers, memberSlots, slot)
    return {
      startedAt: now,
      requests: sum(memberWorker.requests),
      failures: sum(memberWorker.failures),
      latencySumUs: sum(memberWorker.latencySumUs),
    }
  }

  /** True: worth telling. */
  #obey(decision: OutlierDecision, slot: number, now: number): boolean {
    const { member, common } = this.#cells
    if (decision.kind === 'hold') {
      const known = this.#held.get(slot) === decision.reason
      this.#held.set(slot, decision.reason)
      return !known
    }
    this.#held.delete(slot)
    const { standing } = decision
    member.ejectedUntilUs[slot] = standing.ejectedUntilUs
    Atomics.store(member.ejections, slot, standing.ejections)
    member.changedUs[slot] = standing.changedUs
    if (decision.kind === 'forgive') return false
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
    return true
  }
}

/** A probe came back. Returns the reason when the member's health changed by it, else `none`. */
export function applyProbe(
  cells: MemberCells,
  slot: number,
  ok: boolean,
  now: number,
  settings: ProbeSettings,
): number {
  const reason = recordProbe(cells.health, slot, ok, now, settings)
  if (reason === Reason.none) return reason
  if (reason === Reason.probesOk) cells.member.sinceUs[slot] = now
  Atomics.add(cells.common.healthEpoch, 0, 1)
  return reason
}
