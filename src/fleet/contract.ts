// What the fleet takes and gives: its options, the services it runs, the members it publishes, its status and events.
// Types only. Times in milliseconds, sizes in bytes.

import type { AddressService, CommandService } from '../file/index.ts'
import type { Clock } from '../kit/clock.ts'
import type { Failure } from '../kit/failure.ts'
import type { Random } from '../kit/random.ts'

export interface FleetOptions {
  /** Exists and is ours. The fleet keeps `fleet/*.json` (records of instances) and `logs/SERVICE/*.log` in it. */
  readonly stateDirectory: string
  readonly clock: Clock
  readonly random: Random
  readonly front: FrontPort
  readonly log: FleetLog
  /** Who instances run as where a service names no user; only root can give one. Absent: the supervisor's own user. */
  readonly runAs?: { readonly uid: number; readonly gid: number }
  /** Where instances listen and are probed. */
  readonly host?: '127.0.0.1'
  /** What instances inherit, without its TENFOLD_* variables; absent: the supervisor's own environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `10.0.0.2:53`, ...; absent: those of the machine. */
  readonly nameServers?: readonly string[]
}

/** What the fleet needs of whatever routes traffic to its instances; the system plugs the edge in. */
export interface FrontPort {
  /** The members of a service have changed. Resolves when every worker routes by the new list. */
  publish(service: string, members: readonly FleetMember[]): Promise<void>
  /**
   * True when no request is in flight to that life of the member, false at the time-out. The life may have left the
   * published list already (its id then has another epoch): what it still serves counts all the same.
   */
  idle(service: string, member: string, epoch: string, timeoutMs: number): Promise<boolean>
}

/** One entry of an upstream's member list. Structurally a member of the edge's snapshot. */
export interface FleetMember {
  /** `web-1`, or `10.0.0.5:3000` for an address. Unique in the list, stable over restarts. */
  readonly id: string
  /** Names one life of the member: a replaced process has the same id and another epoch. */
  readonly epoch: string
  readonly host: string
  readonly port: number
  readonly weight: number
  readonly tier: number
  readonly state: 'active' | 'draining'
  /** 0..1, only for services with `utilisationPublished`. */
  readonly utilisation?: number
}

/** Fits pino. */
export interface FleetLog {
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
  error(fields: object, sentence: string): void
}

export type ServiceSpec = ProcessSpec | AddressSpec

/** A checked service with its secrets resolved, its directory absolute, and a version. */
export interface ProcessSpec extends Omit<CommandService, 'env' | 'upstream'> {
  readonly env: Readonly<Record<string, string>>
  /** Names of the supervisor's environment that an instance does not inherit: they hold secrets of the file. */
  readonly withheld?: readonly string[]
  /** Changes when running instances must be replaced: `specVersion(spec)`. */
  readonly version: string
  /** Members carry `utilisation`, republished as it changes (at most every 2 s): for `balance: 'resource'`. */
  readonly utilisationPublished?: boolean
}

export type AddressSpec = Pick<AddressService, 'kind' | 'name' | 'addresses'>

export interface Fleet {
  /** Takes back what a former supervisor left running. Once, before the first `apply`. */
  adopt(): Promise<AdoptReport>
  /**
   * Makes the fleet what `specs` say: starts new services, rolls changed ones, stops removed ones. Resolves when every
   * service has its members ready or has failed to (see the report); never rejects because of a service. Called
   * again before that, the newer list wins and the older call resolves too.
   */
  apply(specs: readonly ServiceSpec[]): Promise<ApplyReport>
  /** Rejects with a Failure when there is no such service or `count` is outside its min and max. */
  scale(service: string, count: number): Promise<ServiceReport>
  /** Replaces every instance, a new one ready before an old one drains. `onProgress`: a sentence a step. */
  restart(service: string, onProgress?: (sentence: string) => void): Promise<ServiceReport>
  /** `web-1` or `web/web-1`. The member gets no new requests until undrained; its process stays. */
  drain(member: string): Promise<void>
  undrain(member: string): Promise<void>
  status(): readonly ServiceStatus[]
  /** The lists as last published (or about to be). */
  members(service: string): readonly FleetMember[]
  /** The last lines of output, instance by instance. Rejects for an unknown service or member. */
  lastOutput(query: OutputQuery & { readonly lines: number }): Promise<readonly OutputLine[]>
  /** Calls back for each new line until the returned function is called. */
  followOutput(query: OutputQuery, onLine: (line: OutputLine) => void): () => void
  /** TERM to every process group, KILL after each service's stop time-out (at most `graceMs`). Nothing is left. */
  stop(options?: { readonly graceMs?: number }): Promise<void>
  /** KILL to everything at once; resolves when it is gone. Also cuts a `stop` in progress short. */
  kill(): Promise<void>
  /** Stops watching and leaves every instance running, for the next supervisor to adopt. */
  release(): void
  on<E extends keyof FleetEvents>(event: E, listener: (value: FleetEvents[E]) => void): () => void
}

export interface FleetEvents {
  /** Something in `status()` of this service changed. */
  change: { readonly service: string }
  output: OutputLine
  decision: FleetDecision
}

export interface FleetDecision {
  /** Wall clock. */
  readonly atMs: number
  readonly level: 'info' | 'warn' | 'error'
  readonly service: string
  /** The member it is about, or null for the whole service. */
  readonly member: string | null
  /** `exited with code 1 after 0.2 s; restarts in 400 ms`. */
  readonly text: string
}

export interface OutputQuery {
  /** Absent: every service. */
  readonly service?: string
  readonly member?: string
}

export interface OutputLine {
  readonly service: string
  readonly member: string
  readonly text: string
}

export interface AdoptReport {
  readonly adopted: readonly AdoptedInstance[]
  /** Half-started or half-stopped ones, ended now. */
  readonly ended: readonly AdoptedInstance[]
  /** Records whose process is gone or is somebody else's by now. */
  readonly dropped: readonly AdoptedInstance[]
}

export interface AdoptedInstance {
  readonly service: string
  readonly member: string
  readonly pid: number | null
  readonly why: string
}

export interface ApplyReport {
  readonly services: readonly ServiceReport[]
}

export interface ServiceReport {
  readonly service: string
  /** `superseded`: a newer apply, scale or restart took over. `kept`: the new version did not come up, the old one serves. */
  readonly outcome: 'ready' | 'failed' | 'kept' | 'stopped' | 'superseded'
  readonly ready: number
  readonly wanted: number
  /** Why not `ready`; one a member that failed. */
  readonly failures: readonly Failure[]
}

export interface ServiceStatus {
  readonly name: string
  readonly kind: 'command' | 'addresses'
  /** `rolling`: instances are being replaced or scaled. `degraded`: serves with fewer than wanted. */
  readonly state: 'starting' | 'ready' | 'rolling' | 'degraded' | 'failed' | 'stopping'
  readonly reason: string
  readonly ready: number
  readonly wanted: number
  readonly instances: { readonly min: number; readonly max: number } | null
  readonly members: readonly InstanceStatus[]
}

export interface InstanceStatus {
  readonly id: string
  readonly epoch: string
  /**
   * `waiting`: exited, restarts after a back-off. `replacing`: a starting process that will take over the id from the
   * one that serves. `drained`: told to drain by an operator.
   */
  readonly state:
    | 'starting'
    | 'ready'
    | 'replacing'
    | 'draining'
    | 'drained'
    | 'stopping'
    | 'waiting'
    | 'failed'
  /** Why it is in that state, in words. */
  readonly reason: string
  readonly pid: number | null
  readonly host: string
  readonly port: number
  readonly version: string
  /** Wall clock of the start of this process; null for addresses. */
  readonly startedAtMs: number | null
  /** How often this id was started again after an exit that nobody asked for. */
  readonly restarts: number
  readonly adopted: boolean
  /** Of the whole process group; one full core is 100. Null until sampled and for addresses. */
  readonly cpuPercent: number | null
  readonly rssBytes: number | null
  /** 0..1: the larger of CPU (of one core) and memory (of its limit, else of the machine). */
  readonly utilisation: number | null
  readonly logFile: string | null
}
