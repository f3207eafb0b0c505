// Passive health's slow half: once a second a sweep over windows of what real traffic showed (policy/members), and
// adaptive limits. Runs on the edge's main thread; reads the workers' sums, writes members' standing.

import type { Clock } from '../kit/clock.ts'
import { OutlierSweep } from '../policy/members/index.ts'
import { outlierText } from '../policy/outlier.ts'
import type { EdgeCells } from './cells.ts'
import { Limiters } from './limiters.ts'
import { memberKey, type SnapshotSlots } from './slots.ts'
import type { EdgeSnapshot, UpstreamSpec } from './snapshot.ts'

export class Sweeper {
  readonly #clock: Clock
  readonly #tell: (subject: string, text: string) => void
  readonly #outliers: OutlierSweep
  readonly #limiters: Limiters

  constructor(cells: EdgeCells, clock: Clock, tell: (subject: string, text: string) => void) {
    this.#clock = clock
    this.#tell = tell
    this.#outliers = new OutlierSweep(cells)
    this.#limiters = new Limiters(cells)
  }

  sweep(snapshot: EdgeSnapshot, slots: SnapshotSlots): void {
    const now = this.#clock.monotonic()
    this.#limiters.move(snapshot, slots, now)
    for (const upstream of snapshot.upstreams) this.#sweepUpstream(upstream, slots, now)
    this.#outliers.keepOnly(new Set(slots.members.values()))
  }

  #sweepUpstream(upstream: UpstreamSpec, slots: SnapshotSlots, now: number): void {
    const places = upstream.members.map(
      member => slots.members.get(memberKey(upstream.name, member.id, member.epoch)) as number,
    )
    for (const decision of this.#outliers.sweep(upstream, places, now))
      this.#tell(`${upstream.name}/${upstream.members[decision.member]?.id}`, outlierText(decision))
  }
}
