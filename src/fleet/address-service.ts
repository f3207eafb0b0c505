// One service whose processes run elsewhere: its members are addresses, as written or found out by name again and
// again. It starts and ends nothing; whether a member works is for the front's probes to say.

import type { CheckedAddress } from '../file/index.ts'
import type { NameAnswer, Names } from '../io/names.ts'
import type { Clock } from '../kit/clock.ts'
import { Failure } from '../kit/failure.ts'
import { backoffCeilingUs } from '../policy/backoff.ts'
import type {
  AddressSpec,
  FleetDecision,
  FleetLog,
  FleetMember,
  FrontPort,
  ServiceReport,
  ServiceStatus,
} from './contract.ts'
import { fleetFailures } from './failures.ts'
import { Publisher } from './publisher.ts'

/** Bounds of how long an answer is used, whatever its time-to-live; the default where nobody says one. */
const ttlMsMin = 1000
const ttlMsMax = 60_000
const ttlMsDefault = 10_000
/** Of one name; more are left out, and it is said. */
const membersMax = 256
/** An address has no lives that we could tell apart. */
const epoch = 'address'

export interface AddressContext {
  readonly clock: Clock
  readonly names: Names
  readonly front: FrontPort
  readonly log: FleetLog
  decided(decision: Omit<FleetDecision, 'atMs'>): void
  changed(service: string): void
}

type NamedAddress = Exclude<CheckedAddress, { kind: 'static' }>
type Place = Pick<FleetMember, 'host' | 'port' | 'weight' | 'tier'>

/** One name that is asked for again and again. */
interface Watch {
  readonly entry: NamedAddress
  places: readonly Place[]
  failures: number
  failure: Failure | null
  timer: NodeJS.Timeout | null
}

export class AddressService {
  readonly name: string
  readonly #context: AddressContext
  readonly #publisher: Publisher
  readonly #drained = new Set<string>()
  #spec: AddressSpec
  #watches: Watch[] = []
  #closed = false

  constructor(spec: AddressSpec, context: AddressContext) {
    this.name = spec.name
    this.#spec = spec
    this.#context = context
    this.#publisher = new Publisher(spec.name, context.front, context.log, () => this.members())
  }

  /** Resolves when every name was asked for once, and the members are published. */
  async apply(spec: AddressSpec): Promise<ServiceReport> {
    this.#spec = spec
    const former = this.#watches
    for (const watch of former) if (watch.timer) clearTimeout(watch.timer)
    this.#watches = spec.addresses.flatMap(entry => (entry.kind === 'static' ? [] : watchOf(entry, former)))
    const watches = this.#watches
    await Promise.all(watches.map(watch => this.#ask(watch)))
    await this.#publisher.publish()
    const failures = watches.flatMap(watch => watch.failure ?? [])
    const ready = this.members().length
    const outcome = watches !== this.#watches ? 'superseded' : ready > 0 ? 'ready' : 'failed'
    return { service: this.name, outcome, ready, wanted: ready, failures }
  }

  async remove(): Promise<ServiceReport> {
    this.#spec = { ...this.#spec, addresses: [] }
    this.close()
    this.#watches = []
    await this.#context.front.publish(this.name, []).catch(() => {})
    return { service: this.name, outcome: 'stopped', ready: 0, wanted: 0, failures: [] }
  }

  close(): void {
    this.#closed = true
    for (const watch of this.#watches) if (watch.timer) clearTimeout(watch.timer)
    this.#publisher.close()
  }

  drain(member: string, drained: boolean): Promise<void> {
    if (drained) this.#drained.add(member)
    else this.#drained.delete(member)
    const text = drained ? 'drained by an operator: gets no new requests' : 'undrained: gets requests again'
    this.#context.decided({ level: 'info', service: this.name, member, text })
    this.#context.changed(this.name)
    return this.#publisher.publish()
  }

  /** In the order of the file, each address once. */
  members(): readonly FleetMember[] {
    const named = new Map(this.#watches.map(watch => [watch.entry, watch.places]))
    const places = this.#spec.addresses.flatMap(entry =>
      entry.kind === 'static' ? [placeOf(entry)] : (named.get(entry) ?? []),
    )
    const members = new Map<string, FleetMember>()
    for (const place of places) {
      const id = place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`
      if (members.has(id)) continue
      members.set(id, { id, epoch, ...place, state: this.#drained.has(id) ? 'draining' : 'active' })
    }
    return [...members.values()]
  }

  status(): ServiceStatus {
    const members = this.members()
    const failure = this.#watches.find(watch => watch.failure)?.failure
    const asked = this.#watches.every(watch => watch.failure || watch.timer)
    const state =
      members.length > 0
        ? failure
          ? 'degraded'
          : 'ready'
        : failure
          ? 'failed'
          : asked
            ? 'ready'
            : 'starting'
    return {
      name: this.name,
      kind: 'addresses',
      state,
      reason: failure?.message ?? `${members.length} addresses`,
      ready: members.length,
      wanted: members.length,
      instances: null,
      members: members.map(member => ({
        id: member.id,
        epoch,
        state: member.state === 'draining' ? 'drained' : 'ready',
        reason: member.state === 'draining' ? 'drained by an operator' : 'runs elsewhere',
        pid: null,
        host: member.host,
        port: member.port,
        version: '',
        startedAtMs: null,
        restarts: 0,
        adopted: false,
        cpuPercent: null,
        rssBytes: null,
        utilisation: null,
        logFile: null,
      })),
    }
  }

  async #ask(watch: Watch): Promise<void> {
    const { names } = this.#context
    watch.timer = null
    const { entry } = watch
    try {
      const answer = await (entry.kind === 'srv' ? names.service(entry.host) : names.host(entry.host))
      if (this.#current(watch)) this.#answered(watch, answer)
    } catch (error) {
      if (this.#current(watch)) this.#failed(watch, error as Error)
    }
  }

  #current(watch: Watch): boolean {
    return !this.#closed && this.#watches.includes(watch)
  }

  #answered(watch: Watch, answer: NameAnswer): void {
    const { entry } = watch
    const places = placesOf(entry, answer)
    if (watch.failure) this.#decide('info', `${entry.host} is answered again`)
    const changed = JSON.stringify(places) !== JSON.stringify(watch.places)
    watch.failures = 0
    watch.failure = null
    watch.places = places
    const ttlMs = Math.min(ttlMsMax, Math.max(ttlMsMin, answer.ttlMs ?? ttlMsDefault))
    watch.timer = setTimeout(() => void this.#ask(watch), ttlMs)
    if (!changed) return
    const list = places.map(place => `${place.host}:${place.port}`).join(', ') || 'no address'
    const left = answer.addresses.length - places.length
    this.#decide('info', `${entry.host} is now ${list}${left > 0 ? ` (and ${left} more, left out)` : ''}`)
    void this.#publisher.publish()
  }

  #failed(watch: Watch, error: Error): void {
    const kept = watch.places.length
    const rest = kept > 0 ? `its last ${kept} known addresses stay in use` : 'it has no address yet'
    const sentence = `services.${this.name}.addresses: ${error.message}; ${rest}.`
    const again = watch.failure?.message === sentence
    watch.failure = new Failure(fleetFailures.nameUnresolved, sentence, { cause: error })
    const afterUs = backoffCeilingUs(watch.failures++, ttlMsMin, ttlMsMax)
    watch.timer = setTimeout(() => void this.#ask(watch), afterUs / 1000)
    if (!again) this.#decide('warn', sentence)
  }

  #decide(level: FleetDecision['level'], text: string): void {
    this.#context.decided({ level, service: this.name, member: null, text })
    this.#context.changed(this.name)
  }
}

/** A name that is asked for as before keeps what is known of it. */
function watchOf(entry: NamedAddress, former: readonly Watch[]): Watch {
  const known = former.find(watch => JSON.stringify(watch.entry) === JSON.stringify(entry))
  const { places, failures, failure } = known ?? { places: [], failures: 0, failure: null }
  return { entry, places, failures, failure, timer: null }
}

function placeOf({ host, port, weight, tier }: Place): Place {
  return { host, port, weight, tier }
}

/** SRV (RFC 2782): the lowest priority is the entry's own tier, each higher one the next tier. */
function placesOf(entry: NamedAddress, answer: NameAnswer): Place[] {
  const kept = answer.addresses.slice(0, membersMax)
  if (entry.kind === 'dns') return kept.map(({ address }) => placeOf({ ...entry, host: address }))
  const priorities = [...new Set(kept.map(one => one.priority))].sort((a, b) => a - b)
  return kept.map(one => ({
    host: one.address,
    port: one.port ?? 0,
    weight: one.weight,
    tier: entry.tier + priorities.indexOf(one.priority),
  }))
}
