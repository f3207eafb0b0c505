// Active health: sends the probes that policy/health asks for, from the edge's main thread, and records what came back
// in the shared cells. One probe at a time per member; decides nothing.

import { probe } from '../io/ready-probe.ts'
import type { Clock } from '../kit/clock.ts'
import type { Random } from '../kit/random.ts'
import { firstProbeAt, nextProbeAt } from '../policy/health.ts'
import { applyProbe } from '../policy/members/index.ts'
import { Reason, reasonText } from '../policy/reason.ts'
import type { EdgeCells } from './cells.ts'
import type { MemberSpec, UpstreamSpec } from './snapshot.ts'

interface Probed {
  readonly slot: number
  readonly upstream: UpstreamSpec
  readonly member: MemberSpec
  dueAt: number
  running: boolean
}

export class Prober {
  readonly #cells: EdgeCells
  readonly #clock: Clock
  readonly #random: Random
  readonly #tell: (subject: string, text: string) => void
  #members = new Map<number, Probed>()

  constructor(cells: EdgeCells, clock: Clock, random: Random, tell: (subject: string, text: string) => void) {
    this.#cells = cells
    this.#clock = clock
    this.#random = random
    this.#tell = tell
  }

  /** The members of a new snapshot; those that stay keep their rhythm. */
  update(members: readonly { slot: number; member: MemberSpec; upstream: UpstreamSpec }[]): void {
    const now = this.#clock.monotonic()
    const next = new Map<number, Probed>()
    for (const { slot, member, upstream } of members) {
      const { active } = upstream.health
      if (active === null) continue
      const before = this.#members.get(slot)
      const dueAt = before?.dueAt ?? firstProbeAt(now, active.intervalMs, active.jitter, this.#random)
      next.set(slot, { slot, upstream, member, dueAt, running: before?.running ?? false })
    }
    this.#members = next
  }

  /** Starts what is due; call it some times a second. */
  tick(): void {
    const now = this.#clock.monotonic()
    for (const probed of this.#members.values()) {
      if (probed.running || probed.dueAt > now) continue
      probed.running = true
      void this.#probe(probed)
    }
  }

  async #probe(probed: Probed): Promise<void> {
    const { slot, member, upstream } = probed
    const active = upstream.health.active as NonNullable<UpstreamSpec['health']['active']>
    const startedAt = this.#clock.monotonic()
    const answer = await probe({
      kind: active.kind,
      host: member.host,
      port: member.port,
      path: active.path,
      expectStatus: active.expectStatus,
      timeoutMs: active.timeoutMs,
      ...(active.host === undefined ? {} : { hostHeader: active.host }),
      ...(upstream.utilisationHeader === undefined
        ? {}
        : { reportHeader: upstream.utilisationHeader.toLowerCase() }),
    })
    const current = this.#members.get(slot)
    if (current === undefined || current.member.epoch !== member.epoch) return
    current.running = false
    current.dueAt = nextProbeAt(startedAt, active.intervalMs, active.jitter, this.#random)
    this.#record(current, answer.ok, answer.text)
    const share = Number(answer.reported)
    if (answer.reported !== undefined && share >= 0)
      this.#cells.member.utilisation[slot] = Math.min(1, share) + 1
  }

  #record({ slot, upstream, member }: Probed, ok: boolean, text: string): void {
    const active = upstream.health.active as NonNullable<UpstreamSpec['health']['active']>
    const now = this.#clock.monotonic()
    const reason = applyProbe(this.#cells, slot, ok, now, active)
    if (reason === Reason.none) return
    const why = reasonText(reason, Math.abs(this.#cells.health.at.streak[slot] as number))
    this.#tell(`${upstream.name}/${member.id}`, ok ? `healthy: ${why}` : `unhealthy: ${why}; it ${text}`)
  }
}
