// Services whose number of instances follows what they do (`instances.scale`): looked at each second, decided by policy/scale
// as often as the file says, obeyed by the fleet. A number that somebody set by `tenfold scale` holds until the file is applied
// again, so a service that was told so is left alone.

import type { EdgeStatus } from '../edge/control-protocol.ts'
import type { CheckedScale, CheckedSystem } from '../file/index.ts'
import type { InstanceStatus, ServiceStatus } from '../fleet/index.ts'
import {
  decideScale,
  newScaleState,
  type ScaleMetric,
  type ScaleObservation,
  type ScaleState,
} from '../policy/scale/index.ts'

const lookMs = 1_000

export interface AutoscaleOptions {
  readonly system: () => CheckedSystem
  readonly fleet: () => readonly ServiceStatus[]
  readonly edge: () => Promise<EdgeStatus | null>
  /** Another change is under way: nothing is decided meanwhile. */
  readonly isBusy: () => boolean
  readonly scale: (service: string, count: number) => Promise<unknown>
  readonly clock: { monotonic(): number; wall(): number }
  readonly tell: (kind: 'decision' | 'warning', service: string, text: string) => void
}

/** What was seen of one life of an instance since the last decision. */
interface Seen {
  cpu: number
  inFlight: number
  looks: number
  edgeLooks: number
  /** Of the last look of the interval before (else the first of this one), and of the last one. */
  counted: boolean
  requestsFirst: number
  requestsLast: number
  firstUs: number
  lastUs: number
}

interface Scaled {
  state: ScaleState
  decidedUs: number
  readonly seen: Map<string, Seen>
  why: string
}

export class Autoscale {
  readonly #options: AutoscaleOptions
  readonly #services = new Map<string, Scaled>()
  readonly #held = new Set<string>()
  #applied: CheckedSystem | null = null
  #timer: NodeJS.Timeout | null = null
  #looking = false

  constructor(options: AutoscaleOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), lookMs)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Somebody set the number by hand. */
  hold(service: string): void {
    if (this.#settings(service) === null) return
    this.#held.add(service)
    this.#options.tell(
      'decision',
      service,
      'does not follow its load until the file is applied again: its number was set by hand',
    )
  }

  /** The file was applied anew: numbers set by hand are over. */
  #notice(): void {
    const system = this.#options.system()
    if (system === this.#applied) return
    if (this.#applied !== null) this.#held.clear()
    this.#applied = system
    for (const name of this.#services.keys()) if (this.#settings(name) === null) this.#services.delete(name)
  }

  /** For the status: what decides the number, and what it says; null: nothing does. */
  whyOf(service: string): string | null {
    if (this.#settings(service) === null) return null
    if (this.#held.has(service)) return 'set by hand, until the file is applied again'
    return this.#services.get(service)?.why ?? 'follows its load: nothing seen yet'
  }

  #settings(name: string): CheckedScale | null {
    const { services } = this.#options.system()
    const service = Object.hasOwn(services, name) ? services[name] : undefined
    return service?.kind === 'command' ? (service.instances.scale ?? null) : null
  }

  async #look(): Promise<void> {
    this.#notice()
    const services = this.#options
      .fleet()
      .filter(({ name }) => this.#settings(name) !== null && !this.#held.has(name))
    if (this.#looking || services.length === 0) return
    this.#looking = true
    try {
      const edge = await this.#options.edge()
      const now = this.#options.clock.monotonic()
      for (const service of services) this.#one(service, edge, now)
    } finally {
      this.#looking = false
    }
  }

  #one(service: ServiceStatus, edge: EdgeStatus | null, now: number): void {
    let scaled = this.#services.get(service.name)
    if (scaled === undefined) {
      scaled = {
        state: newScaleState,
        decidedUs: now,
        seen: new Map(),
        why: 'follows its load: nothing seen yet',
      }
      this.#services.set(service.name, scaled)
    }
    this.#sample(service, edge, scaled, now)
    const settings = this.#settings(service.name)
    if (settings === null || now - scaled.decidedUs < settings.syncMs * 1000 || this.#options.isBusy()) return
    this.#decide(service, scaled, settings, now)
  }

  #sample(service: ServiceStatus, edge: EdgeStatus | null, scaled: Scaled, now: number): void {
    const upstream = edge?.upstreams.find(({ name }) => name === service.name)
    for (const member of service.members) {
      const key = `${member.id} ${member.epoch}`
      const seen = scaled.seen.get(key) ?? newSeen(now)
      scaled.seen.set(key, seen)
      if (member.cpuPercent !== null) {
        seen.cpu += member.cpuPercent / 100
        seen.looks++
      }
      const traffic = upstream?.members.find(({ id, epoch }) => id === member.id && epoch === member.epoch)
      if (traffic === undefined) continue
      seen.inFlight += traffic.inFlight
      seen.edgeLooks++
      if (!seen.counted) {
        seen.counted = true
        seen.requestsFirst = traffic.requests
        seen.firstUs = now
      }
      seen.requestsLast = traffic.requests
      seen.lastUs = now
    }
  }

  /** Counts go on from where they stood; lives that are gone are forgotten. */
  #beginInterval(service: ServiceStatus, { seen }: Scaled): void {
    const live = new Set(service.members.map(({ id, epoch }) => `${id} ${epoch}`))
    for (const [key, one] of seen) {
      if (!live.has(key)) seen.delete(key)
      one.cpu = 0
      one.inFlight = 0
      one.looks = 0
      one.edgeLooks = 0
      one.requestsFirst = one.requestsLast
      one.firstUs = one.lastUs
    }
  }

  #decide(service: ServiceStatus, scaled: Scaled, settings: CheckedScale, now: number): void {
    const wallMs = this.#options.clock.wall() / 1000
    const { min, max } = service.instances ?? { min: 1, max: 1 }
    const observed = service.members
      .filter(({ state }) => state === 'ready' || state === 'starting')
      .map(member =>
        observation(member, scaled.seen.get(`${member.id} ${member.epoch}`), settings.metrics, now, wallMs),
      )
    const [state, plan] = decideScale(now, wallMs, service.wanted, observed, scaled.state, {
      min,
      max,
      ...settings,
    })
    scaled.state = state
    scaled.decidedUs = now
    this.#beginInterval(service, scaled)
    scaled.why = plan.kind === 'hold' ? plan.why : `${plan.why}: from ${service.wanted} to ${plan.to}`
    if (plan.kind === 'hold') return
    this.#options.tell(
      'decision',
      service.name,
      `from ${service.wanted} to ${plan.to} instances: ${plan.why}`,
    )
    this.#options.scale(service.name, plan.to).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      this.#options.tell('warning', service.name, `could not be given ${plan.to} instances: ${why}`)
    })
  }
}

function newSeen(now: number): Seen {
  return {
    cpu: 0,
    inFlight: 0,
    looks: 0,
    edgeLooks: 0,
    counted: false,
    requestsFirst: 0,
    requestsLast: 0,
    firstUs: now,
    lastUs: now,
  }
}

function observation(
  member: InstanceStatus,
  seen: Seen | undefined,
  metrics: readonly ScaleMetric[],
  now: number,
  wallMs: number,
): ScaleObservation {
  const ageMs = member.startedAtMs === null ? 0 : Math.max(0, wallMs - member.startedAtMs)
  return {
    readySinceUs: member.state === 'ready' ? now - ageMs * 1000 : null,
    values: metrics.map(({ kind }) => measuredBy(kind, seen)),
  }
}

function measuredBy(kind: ScaleMetric['kind'], seen: Seen | undefined): number | null {
  if (seen === undefined) return null
  if (kind === 'cpu') return seen.looks === 0 ? null : seen.cpu / seen.looks
  if (seen.edgeLooks === 0) return null
  if (kind === 'inFlight') return seen.inFlight / seen.edgeLooks
  const spanUs = seen.lastUs - seen.firstUs
  if (kind === 'rate') return spanUs <= 0 ? null : ((seen.requestsLast - seen.requestsFirst) * 1e6) / spanUs
  return null
}
