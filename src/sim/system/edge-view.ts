// One edge's knowledge of one service: the cells that its workers share (policy/members, the class that the real edge works
// with), who is a member now, what probes and sweeps change, who waits for a place. Each edge sees only what it did itself.

import { createHistograms, type Histograms } from '../../kit/histogram.ts'
import { firstProbeAt, nextProbeAt } from '../../policy/health.ts'
import { hedgeDelayUs } from '../../policy/hedge.ts'
import {
  applyProbe,
  createMemberCells,
  type MemberCells,
  Members,
  OutlierSweep,
  sumOver,
} from '../../policy/members/index.ts'
import { outlierText } from '../../policy/outlier.ts'
import { Reason, reasonText } from '../../policy/reason.ts'
import type { HedgeSettings } from '../../policy/settings.ts'
import type { Stream } from '../core/index.ts'
import type { Instance, ServicePool } from './services.ts'
import type { World } from './world.ts'

const sweepEveryUs = 1_000_000
const hedgeKnownUs = 1_000_000

export class EdgeView {
  readonly edge: number
  readonly pool: ServicePool
  readonly cells: MemberCells
  /** One a worker. */
  groups: readonly Members[] = []
  /** By member index of the groups. */
  members: readonly Instance[] = []
  /** Requests that are sent on to the service now, and those of them that are retries and hedges: the retry budget. */
  active = 0
  retriesActive = 0
  /** Rows of requests that wait for a place, first come, first served. */
  readonly waiting: number[] = []
  readonly latency: Histograms = createHistograms(1)
  ejections = 0
  readonly #world: World
  readonly #random: Stream
  readonly #slots: number
  /** Instance id and life of each slot; '' is free. */
  readonly #owners: string[]
  readonly #indexOfSlot: Int32Array
  #memberSlots: Int32Array = new Int32Array(0)
  #sweep: OutlierSweep
  readonly #probeCode: number
  readonly #answerCode: number
  readonly #sweepCode: number
  #hedgeDelay = -1
  #hedgeUntil = -1

  constructor(world: World, edge: number, pool: ServicePool) {
    const { engine, blueprint } = world
    const name = `edge-${edge + 1} ${pool.plan.name}`
    this.#world = world
    this.edge = edge
    this.pool = pool
    // A slot is given to somebody else when what its last owner was sent is over.
    this.#slots = pool.instances.length * 4 + 16
    this.cells = createMemberCells(this.#slots, blueprint.workers)
    this.#owners = Array.from({ length: this.#slots }, () => '')
    this.#indexOfSlot = new Int32Array(this.#slots).fill(-1)
    this.#random = engine.stream(`${name} probes`)
    this.#sweep = new OutlierSweep(this.cells)
    this.#probeCode = engine.on(`${name} probe`, (slot, life) => this.#probe(slot, life))
    this.#answerCode = engine.on(`${name} probe answer`, (slot, answer) => this.#probed(slot, answer))
    this.#sweepCode = engine.on(`${name} sweep`, () => this.#sweepNow())
    engine.after(sweepEveryUs, this.#sweepCode)
  }

  /** Members came, went or drain: as a snapshot that the edge is pushed. */
  publish(): void {
    const { upstream } = this.pool.plan
    const shown = this.pool.instances.filter(({ state }) => state === 'ready' || state === 'draining')
    const slots = Int32Array.from(shown, instance => this.#slotOf(instance))
    this.#indexOfSlot.fill(-1)
    for (const [i, slot] of slots.entries()) this.#indexOfSlot[slot] = i
    const weights = this.pool.plan.checked.kind === 'command' ? this.pool.plan.checked.weights : {}
    const settings = {
      members: shown.map(({ id, index, state }) => ({
        id,
        weight: weights[id] ?? this.#addressWeight(index),
        tier: this.#addressTier(index),
        state: state === 'ready' ? ('active' as const) : ('draining' as const),
      })),
      balance: upstream.balance,
      limits: upstream.limits,
      health: upstream.health,
      slowStartMs: upstream.slowStartMs,
    }
    this.members = shown
    this.#memberSlots = slots
    this.groups = Array.from(
      { length: this.cells.workers },
      (_, worker) => new Members(settings, slots, this.cells, worker, null),
    )
    for (const group of this.groups)
      group.onEject = (i, reason, a, b) => {
        this.ejections++
        this.#tell('ejection', i, reasonText(reason, a, b))
      }
    this.cells.common.healthEpoch[0]!++
  }

  #addressWeight(index: number): number {
    const { checked } = this.pool.plan
    if (checked.kind !== 'addresses') return 1
    const address = checked.addresses[index]
    return address !== undefined && 'weight' in address ? Math.max(address.weight, 1e-6) : 1
  }
  #addressTier(index: number): number {
    const { checked } = this.pool.plan
    return checked.kind === 'addresses' ? (checked.addresses[index]?.tier ?? 0) : 0
  }

  /** Index of the member in the groups of now; -1: it is none any more. */
  memberOf(slot: number): number {
    return this.#indexOfSlot[slot] as number
  }
  slotOf(member: number): number {
    return this.#memberSlots[member] as number
  }

  #slotOf(instance: Instance): number {
    const owner = `${instance.id} ${instance.life}`
    const known = this.#owners.indexOf(owner)
    if (known >= 0) return known
    const slot = this.#owners.findIndex((name, at) => this.#isFree(name, at))
    this.#owners[slot] = owner
    this.#zero(slot)
    this.cells.member.sinceUs[slot] = this.#world.engine.now
    this.#beginProbes(slot, instance)
    return slot
  }

  #isFree(owner: string, slot: number): boolean {
    if (owner === '') return true
    const { memberWorker, workers } = this.cells
    if (sumOver(memberWorker.inFlight, workers, this.#slots, slot) > 0) return false
    return !this.pool.instances.some(({ id, life }) => `${id} ${life}` === owner)
  }

  #zero(slot: number): void {
    const { member, health, memberWorker, workers } = this.cells
    for (const column of Object.values(member)) column[slot] = 0
    health.zero(slot)
    for (const column of Object.values(memberWorker))
      for (let row = slot; row < workers * this.#slots; row += this.#slots) column[row] = 0
  }

  // --- active health -----------------------------------------------------------------------------------------------

  #beginProbes(slot: number, instance: Instance): void {
    const { active } = this.pool.plan.upstream.health
    if (active === null) return
    const { engine } = this.#world
    const at = firstProbeAt(engine.now, active.intervalMs, active.jitter, this.#random)
    engine.at(at, this.#probeCode, slot, instance.life)
  }

  #probe(slot: number, life: number): void {
    const { active } = this.pool.plan.upstream.health
    const i = this.memberOf(slot)
    const instance = i < 0 ? undefined : this.members[i]
    if (active === null || instance === undefined || instance.life !== life) return
    const { engine } = this.#world
    engine.at(
      nextProbeAt(engine.now, active.intervalMs, active.jitter, this.#random),
      this.#probeCode,
      slot,
      life,
    )
    // A probe waits in the instance's queue as requests do: one server's turn for each that is before it.
    const { station } = instance
    const waitUs = (station.waiting / station.servers) * this.pool.time.meanUs + instance.delayUs
    const late = instance.hung || waitUs > active.timeoutMs * 1000 || this.isCutFrom(instance)
    const ok = instance.alive && !late
    engine.after(late ? active.timeoutMs * 1000 : Math.round(waitUs), this.#answerCode, slot, ok ? 1 : 0)
  }

  #probed(slot: number, answer: number): void {
    const { active } = this.pool.plan.upstream.health
    const i = this.memberOf(slot)
    if (active === null || i < 0) return
    const { engine } = this.#world
    const reason = applyProbe(this.cells, slot, answer === 1, engine.now, active)
    if (reason === Reason.none) return
    const why = reasonText(reason, Math.abs(this.cells.health.at.streak[slot] as number))
    this.#tell('health', i, answer === 1 ? `healthy: ${why}` : `unhealthy: ${why}`)
  }

  /** Set by faults: messages between this edge and an instance are lost. */
  isCutFrom: (instance: Instance) => boolean = () => false

  // --- passive health ------------------------------------------------------------------------------------------------

  #sweepNow(): void {
    const { engine } = this.#world
    engine.after(sweepEveryUs, this.#sweepCode)
    const group = this.groups[0]
    if (group === undefined) return
    const upstream = { members: group.settings.members, health: this.pool.plan.upstream.health }
    for (const decision of this.#sweep.sweep(upstream, this.#memberSlots, engine.now)) {
      if (decision.kind === 'eject') this.ejections++
      this.#tell('ejection', decision.member, outlierText(decision))
    }
  }

  #tell(kind: string, member: number, why: string): void {
    const id = this.members[member]?.id ?? '?'
    const by = this.#world.blueprint.rehearsal.edges > 1 ? `edge-${this.edge + 1}: ` : ''
    const [what = why, ...rest] = why.split(': ')
    this.#world.timeline.add(kind, id, by + what, rest.length > 0 ? rest.join(': ') : why)
  }

  // --- hedging -------------------------------------------------------------------------------------------------------

  /** Microseconds after which a second attempt starts, looked up at most once a second; -1: too little is known. */
  hedgeDelay(settings: HedgeSettings): number {
    const { now } = this.#world.engine
    if (now < this.#hedgeUntil) return this.#hedgeDelay
    this.#hedgeUntil = now + hedgeKnownUs
    this.#hedgeDelay = hedgeDelayUs(this.latency.read([0]), settings)
    return this.#hedgeDelay
  }
}
