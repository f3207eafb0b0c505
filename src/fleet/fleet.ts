// All services together: what adopting, applying, scaling and stopping mean for them, and the few timers they share.
// What happens inside one service is that service's.

import { createNames, type Names } from '../io/names.ts'
import type { LifeIdentity } from '../io/process.ts'
import { Failure } from '../kit/failure.ts'
import { AddressService } from './address-service.ts'
import type {
  AddressSpec,
  AdoptedInstance,
  AdoptReport,
  ApplyReport,
  Fleet,
  FleetDecision,
  FleetEvents,
  FleetMember,
  FleetOptions,
  OutputLine,
  OutputQuery,
  ProcessSpec,
  ServiceReport,
  ServiceSpec,
  ServiceStatus,
} from './contract.ts'
import { endLife } from './ending.ts'
import { runAsOf } from './environment.ts'
import { fleetFailures } from './failures.ts'
import { Life } from './life.ts'
import { Output, type OutputFile } from './output.ts'
import { PortBook } from './ports.ts'
import { ProcessService, type ServiceContext } from './process-service.ts'
import { type LifeRecord, Records } from './records.ts'
import { Sampler } from './sampler.ts'
import type { Slot } from './slot.ts'

const watchMs = 200
/** Where the process table is a child process (`ps`), a look costs tens of milliseconds. */
const sampleMs = process.platform === 'linux' ? 1000 : 5000
const graceMsDefault = 30_000

type Service = ProcessService | AddressService
interface Leftover {
  readonly record: LifeRecord
  readonly identity: LifeIdentity
}

export class RunningFleet implements Fleet {
  readonly #options: FleetOptions
  readonly #services = new Map<string, Service>()
  readonly #records: Records
  readonly #output: Output
  readonly #names: Names
  readonly #sampler = new Sampler()
  readonly #cut = new AbortController()
  readonly #context: ServiceContext
  readonly #listeners: { [E in keyof FleetEvents]: Set<(value: FleetEvents[E]) => void> } = {
    change: new Set(),
    output: new Set(),
    decision: new Set(),
  }
  /** Taken back, and not given to a service yet. */
  #leftovers: Leftover[] = []
  #timers: NodeJS.Timeout[] = []
  #stopping = false

  constructor(options: FleetOptions) {
    this.#options = options
    this.#records = new Records(options.stateDirectory)
    this.#output = new Output(options.stateDirectory, options.log, () => this.#outputFiles())
    this.#names = createNames(options.nameServers ? { servers: options.nameServers } : {})
    const host = options.host ?? '127.0.0.1'
    this.#context = {
      clock: options.clock,
      random: options.random,
      front: options.front,
      log: options.log,
      host,
      records: this.#records,
      ports: new PortBook(host, options.random),
      inherited: options.env ?? process.env,
      cut: this.#cut.signal,
      runAs: spec => runAsOf(spec, options),
      logFile: (service, member) => this.#output.path(service, member),
      decided: decision => this.#decided(decision),
      changed: service => this.#emit('change', { service }),
    }
  }

  async adopt(): Promise<AdoptReport> {
    const report = { adopted: [], ended: [], dropped: [] } as Record<keyof AdoptReport, AdoptedInstance[]>
    const endings: Promise<unknown>[] = []
    for (const { record, fate } of this.#records.read()) {
      const { service, member, pid, state } = record
      const one = (why: string): AdoptedInstance => ({ service, member, pid, why })
      if (fate.kind === 'gone') {
        this.#records.remove(record)
        report.dropped.push(one(fate.why))
      } else if (fate.kind === 'alive' && (state === 'ready' || state === 'draining')) {
        this.#leftovers.push({ record, identity: fate.identity })
        report.adopted.push(one('same process, same nonce'))
      } else {
        const why = fate.kind === 'remains' ? fate.why : `it was ${state} when the supervisor died`
        report.ended.push(one(why))
        endings.push(this.#endLeftover({ record, identity: fate.identity }))
      }
    }
    this.#tellAdoption(report)
    await Promise.all(endings)
    return report
  }

  #tellAdoption(report: AdoptReport): void {
    const tell = (list: readonly AdoptedInstance[], what: string): void => {
      for (const { service, member, pid, why } of list) {
        this.#decided({ level: 'info', service, member, text: `${what} (pid ${pid ?? 'unknown'}): ${why}` })
      }
    }
    tell(report.adopted, 'taken back from a former supervisor')
    tell(report.ended, 'ended')
    tell(report.dropped, 'forgotten')
  }

  async #endLeftover({ record, identity }: Leftover): Promise<void> {
    const { signal, timeoutMs } = record.stop
    const { gone } = await endLife(identity, { signal, timeoutMs, cut: this.#cut.signal })
    if (gone) this.#records.remove(record)
  }

  async apply(specs: readonly ServiceSpec[]): Promise<ApplyReport> {
    this.#assertRunning()
    this.#startTimers()
    const wanted = new Set(specs.map(spec => spec.name))
    const changes = specs.map(spec => this.#applyOne(spec))
    for (const name of this.#services.keys()) if (!wanted.has(name)) changes.push(this.#remove(name))
    await Promise.all(this.#takeLeftovers().map(leftover => this.#retireLeftover(leftover)))
    return { services: await Promise.all(changes) }
  }

  #applyOne(spec: ServiceSpec): Promise<ServiceReport> {
    const known = this.#services.get(spec.name)
    if (spec.kind === 'addresses') return this.#applyAddresses(spec, known)
    return this.#applyProcesses(spec, known)
  }

  async #applyAddresses(spec: AddressSpec, known: Service | undefined): Promise<ServiceReport> {
    if (known instanceof ProcessService) await this.#remove(spec.name)
    const service =
      known instanceof AddressService
        ? known
        : new AddressService(spec, { ...this.#context, names: this.#names })
    this.#services.set(spec.name, service)
    return service.apply(spec)
  }

  async #applyProcesses(spec: ProcessSpec, known: Service | undefined): Promise<ServiceReport> {
    if (known instanceof AddressService) await this.#remove(spec.name)
    const service = known instanceof ProcessService ? known : new ProcessService(spec, this.#context)
    this.#services.set(spec.name, service)
    for (const { record, identity } of this.#takeLeftovers(spec.name)) {
      service.takeBack((owner, generation) => Life.adopt(record, identity, generation, this.#context, owner))
    }
    return service.apply(spec)
  }

  /** Of one service, or all that are left. */
  #takeLeftovers(service?: string): Leftover[] {
    const mine = (one: Leftover): boolean => service === undefined || one.record.service === service
    const taken = this.#leftovers.filter(mine)
    this.#leftovers = this.#leftovers.filter(one => !mine(one))
    return taken
  }

  /** Its service is not in the file any more: no list names it, but it may still answer something. */
  async #retireLeftover(leftover: Leftover): Promise<void> {
    const { service, member, nonce, stop } = leftover.record
    await this.#options.front.idle(service, member, nonce, stop.drainTimeoutMs).catch(() => false)
    await this.#endLeftover(leftover)
    this.#decided({ level: 'info', service, member, text: 'ended: its service is not in the file any more' })
  }

  async #remove(name: string): Promise<ServiceReport> {
    const service = this.#services.get(name) as Service
    const report = await service.remove()
    if (report.outcome === 'stopped' && this.#services.get(name) === service) this.#services.delete(name)
    this.#emit('change', { service: name })
    return report
  }

  async scale(name: string, count: number): Promise<ServiceReport> {
    const service = this.#processService(name)
    const { min, max } = service.spec.instances
    if (!Number.isInteger(count) || count < min || count > max) {
      const sentence = `${name} can't have ${count} instances: the file allows ${min} to ${max}.`
      throw new Failure(fleetFailures.countOutOfBounds, sentence, { details: { min, max } })
    }
    const text = `scaled from ${service.wanted} to ${count}`
    this.#decided({ level: 'info', service: name, member: null, text })
    return service.scale(count)
  }

  async restart(name: string, onProgress: (sentence: string) => void = () => {}): Promise<ServiceReport> {
    const service = this.#processService(name)
    this.#decided({ level: 'info', service: name, member: null, text: 'restart was asked for' })
    return service.restart(onProgress)
  }

  async drain(member: string): Promise<void> {
    await this.#setDrained(member, true)
  }

  async undrain(member: string): Promise<void> {
    await this.#setDrained(member, false)
  }

  #setDrained(name: string, drained: boolean): Promise<void> {
    this.#assertRunning()
    const found = [...this.#services.values()].flatMap(service => drainable(service, name))
    if (found.length === 1) return (found[0] as (drained: boolean) => Promise<void>)(drained)
    const kind = found.length === 0 ? fleetFailures.memberUnknown : fleetFailures.memberAmbiguous
    const known = this.status().flatMap(service => service.members.map(one => one.id))
    const sentence =
      found.length === 0
        ? `There is no member "${name}". There are: ${[...new Set(known)].slice(0, 50).join(', ') || 'none'}.`
        : `"${name}" is a member of ${found.length} services.`
    throw new Failure(kind, sentence)
  }

  #processService(name: string): ProcessService {
    this.#assertRunning()
    const service = this.#service(name)
    if (service instanceof ProcessService) return service
    throw new Failure(
      fleetFailures.notOurProcesses,
      `${name} is a list of addresses: Tenfold runs none of it.`,
    )
  }

  #service(name: string): Service {
    const service = this.#services.get(name)
    if (service) return service
    const known = [...this.#services.keys()].join(', ') || 'none'
    throw new Failure(fleetFailures.serviceUnknown, `There is no service "${name}". There are: ${known}.`)
  }

  status(): readonly ServiceStatus[] {
    return [...this.#services.values()].map(service => service.status())
  }

  members(name: string): readonly FleetMember[] {
    return this.#services.get(name)?.members() ?? []
  }

  async lastOutput(query: OutputQuery & { readonly lines: number }): Promise<readonly OutputLine[]> {
    if (query.service !== undefined) this.#service(query.service)
    if (query.member !== undefined && !this.#outputFiles().some(file => file.member === query.member)) {
      throw new Failure(fleetFailures.memberUnknown, `No service of ours runs a member "${query.member}".`)
    }
    return this.#output.last(query, query.lines)
  }

  followOutput(query: OutputQuery, onLine: (line: OutputLine) => void): () => void {
    return this.#output.follow(query, onLine)
  }

  async stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopping = true
    const graceMs = options.graceMs ?? graceMsDefault
    for (const service of this.#services.values()) if (service instanceof AddressService) service.close()
    await Promise.all([
      ...this.#processServices().map(service => service.stop(graceMs)),
      ...this.#takeLeftovers().map(leftover => this.#endLeftover(leftover)),
    ])
    this.#close()
  }

  kill(): Promise<void> {
    this.#cut.abort()
    return this.stop({ graceMs: 0 })
  }

  release(): void {
    this.#stopping = true
    for (const service of this.#services.values()) {
      if (service instanceof AddressService) service.close()
      else service.release()
    }
    // Nothing of them is ours any more, also not for a `stop` or `kill` after this.
    this.#services.clear()
    this.#leftovers = []
    this.#close()
  }

  on<E extends keyof FleetEvents>(event: E, listener: (value: FleetEvents[E]) => void): () => void {
    if (event === 'output') return this.#output.follow({}, listener as (line: OutputLine) => void)
    this.#listeners[event].add(listener)
    return () => this.#listeners[event].delete(listener)
  }

  #emit<E extends keyof FleetEvents>(event: E, value: FleetEvents[E]): void {
    for (const listener of this.#listeners[event]) listener(value)
  }

  #decided(decision: Omit<FleetDecision, 'atMs'>): void {
    const { level, service, member, text } = decision
    const atMs = Math.round(this.#options.clock.wall() / 1000)
    this.#options.log[level]({ service, member }, `${member ?? service}: ${text}`)
    this.#emit('decision', { atMs, ...decision })
  }

  #assertRunning(): void {
    if (this.#stopping) throw new Failure(fleetFailures.stopping, 'The fleet is being stopped.')
  }

  #processServices(): ProcessService[] {
    return [...this.#services.values()].filter(service => service instanceof ProcessService)
  }

  #outputFiles(): OutputFile[] {
    return this.#processServices().flatMap(service =>
      service.slots().map(({ member, serving, candidate }) => ({
        service: service.name,
        member,
        from: (candidate ?? serving)?.logFrom ?? 0,
        limits: service.spec.logs,
      })),
    )
  }

  #startTimers(): void {
    if (this.#timers.length > 0) return
    this.#timers = [
      setInterval(() => this.#watch(), watchMs),
      setInterval(() => this.#sample(), sampleMs),
      setInterval(() => this.#output.rotate(), 1000),
    ]
  }

  #watch(): void {
    for (const service of this.#processServices()) for (const life of service.lives()) life.poll()
    this.#output.poll()
  }

  #sample(): void {
    const lives = this.#processServices().flatMap(service =>
      service.lives().map(life => ({ life, service, memoryBytesMax: service.spec.memoryBytesMax })),
    )
    const serviceOf = new Map(lives.map(({ life, service }) => [life, service]))
    this.#sampler.sample(lives, this.#options.clock.monotonic(), (life, usage) =>
      serviceOf.get(life)?.sampled(life, usage),
    )
  }

  #close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#timers = []
    this.#names.close()
  }
}

/** What drains the member of that name (`web-1` or `web/web-1`), when the service has it. */
function drainable(service: Service, name: string): ((drained: boolean) => Promise<void>)[] {
  const prefix = `${service.name}/`
  const member = name.startsWith(prefix) ? name.slice(prefix.length) : name
  if (service instanceof ProcessService) {
    const slot: Slot | null = service.slotOf(member)
    return slot ? [drained => service.drain(slot, drained)] : []
  }
  const known = service.members().some(one => one.id === member)
  return known ? [drained => service.drain(member, drained)] : []
}
