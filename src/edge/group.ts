// The members of one upstream as one worker sees them: policy/members over shared cells, and what only an edge has: who
// waits for a place, the places of an adaptive limit. Lives as long as its snapshot; counts live in the cells.

import type { Balancer } from '../policy/group.ts'
import { Members } from '../policy/members/index.ts'
import { type EdgeCells, upstreamSlots } from './cells.ts'
import type { PendingQueue } from './pending.ts'
import { Places } from './places.ts'
import { memberKey, type SnapshotSlots } from './slots.ts'
import type { MemberSpec, UpstreamSpec } from './snapshot.ts'

export class MemberGroup extends Members<MemberSpec> {
  readonly spec: UpstreamSpec
  readonly slot: number
  /** Row of this upstream in the worker's cells. */
  readonly row: number
  /** Of an upstream whose limit is adaptive; null: it has none. */
  readonly places: Places | null
  /** Requests of this upstream that wait for a place; null until one does. Kept over snapshots (`pending.ts`). */
  waiting: PendingQueue | null = null

  /** `before`: the group of the same upstream in the snapshot in use; its tables serve on where nothing they hold changed. */
  constructor(
    spec: UpstreamSpec,
    slots: SnapshotSlots,
    cells: EdgeCells,
    worker: number,
    before: MemberGroup | undefined,
  ) {
    const own = Int32Array.from(
      spec.members,
      member => slots.members.get(memberKey(spec.name, member.id, member.epoch)) as number,
    )
    super(spec, own, cells, worker, before?.balancerFor(spec) ?? null)
    this.spec = spec
    this.slot = slots.upstreams.get(spec.name) as number
    this.row = worker * upstreamSlots + this.slot
    const { adaptive } = spec.limits
    this.places = adaptive === undefined ? null : new Places(spec, adaptive, this.slot, this.row, cells)
  }

  /** This group's balancer when `spec` has the same policy over the same members: Maglev and ring tables take milliseconds. */
  balancerFor(spec: UpstreamSpec): Balancer | undefined {
    const shape = ({ balance, members }: UpstreamSpec): string =>
      JSON.stringify([balance, members.map(member => [member.id, member.weight])])
    return shape(spec) === shape(this.spec) ? this.balancer : undefined
  }

  /** A request of this upstream ended: somebody who waits may have its place. */
  freed(): void {
    if (this.waiting !== null && this.waiting.count > 0) this.waiting.wake()
  }
}
