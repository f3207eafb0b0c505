// How the guard is put together: a policy's steps in a fixed order, made once with each snapshot. A part (limits, rules,
// bots, rooms, ...) gives a policy its step or none; what no policy uses is never loaded and costs nothing.
//
// Order of a request: own pages - allow and ban lists - identity - limits - risk - challenge - rules - room - quota. What
// is cheap and refuses much comes first.

import type { CheckedGuard, CheckedGuardPolicy } from '../file/checked-guard.ts'
import type { Clock } from '../kit/clock.ts'
import type { Random } from '../kit/random.ts'
import type { AnswerStep } from './answer.ts'
import type { Passage } from './passage.ts'
import type { SourceHooks } from './sources.ts'
import type { GuardVisit } from './visit.ts'

/** The guard's part of an edge's snapshot, as the system compiles it: secrets as texts, paths absolute. */
export interface GuardSpec extends Omit<CheckedGuard, 'secret' | 'shared' | 'challenge'> {
  /** Base64, at least 32 bytes. Keys for each use are derived from it (HKDF; keys.ts). */
  readonly secretKey: string
  readonly shared?: Omit<NonNullable<CheckedGuard['shared']>, 'redis'> & { readonly redis: string }
  readonly challenge: Omit<CheckedGuard['challenge'], 'turnstile'> & {
    readonly turnstile?: Omit<NonNullable<CheckedGuard['challenge']['turnstile']>, 'secret'> & {
      readonly secret: string
    }
  }
  /** Bans and allowances by command, which the system keeps: `until` is wall clock, milliseconds; 0 = for ever. */
  readonly rulings: readonly GuardRuling[]
  /** Is this the environment `production`? Then public test keys are refused. */
  readonly production: boolean
  /** Host names that the edge serves, where the file says so. */
  readonly hosts: readonly string[]
}

export interface GuardRuling {
  /** An address or a CIDR block. */
  readonly block: string
  readonly kind: 'ban' | 'allow'
  readonly untilMs: number
  readonly reason: string
  /** Who said so: `operator`, or a rule. */
  readonly by: string
}

/** Asked for each request of a policy that has it. */
export interface GuardStep {
  /** Of the audit log and of explanations: `limit`, `waf`. */
  readonly name: string
  /** What it finds is only recorded: a fault of its own refuses nobody either. */
  readonly detects?: boolean
  /**
   * One of `verdict`. `refuse`: `passage.refusal` is set by `visit.refuse(...)`. `pending`: it calls
   * `visit.resume(serial, answer)` with `passage.serial` of now, once.
   */
  enter(passage: Passage, visit: GuardVisit): number
  /** The request is over; only where `enter` was called. */
  over?(passage: Passage, visit: GuardVisit, aborted: boolean): void
}

/** A part in one worker. */
export interface GuardPart {
  readonly name: string
  /** Before steps are made from a new spec: files, add-ons, connections. Throws a Failure when it can't work. */
  prepare?(spec: GuardSpec): Promise<void>
  /** Null: this policy has no use for it. */
  step(policy: CheckedGuardPolicy, route: GuardedRoute, spec: GuardSpec): GuardStep | null
  /** Between the instance's answer and what the route does with it (`behind`); give `behind` back for nothing. */
  answer?(
    policy: CheckedGuardPolicy,
    route: GuardedRoute,
    spec: GuardSpec,
    behind: AnswerStep | null,
  ): AnswerStep | null
  /** A path of our own (`/.tenfold/guard/NAME/...`): true when it is this part's and will be answered. */
  page?(passage: Passage, name: string, rest: string, visit: GuardVisit): boolean
  hear?(message: unknown): void
  close?(): Promise<void>
}

export interface GuardedRoute {
  readonly id: string
  readonly path: string
}

/** What parts of one worker share. */
export interface GuardSurroundings {
  readonly index: number
  readonly clock: Clock
  readonly random: Random
  /**
   * Shared by all workers of the process, by name (each begins with its part's); the main thread made them, and has
   * added those of a new part before its worker half is made.
   */
  readonly memory: Readonly<Record<string, SharedArrayBuffer>>
  /** Sources that a part alone can tell: it sets its own in `prepare`. */
  readonly hooks: SourceHooks
  /** How loaded the service behind a route is, 0..1, as far as the edge knows it. Absent: nobody knows. */
  readonly routeLoad?: (routeId: string) => number
  /** To the same part in the main thread; bounded, and dropped (counted) when too many wait. */
  send(part: string, message: unknown): void
  tell(subject: string, text: string): void
  /** Something happened that no refusal tells: a challenge was passed, a place was given up. */
  audit(event: GuardEvent): void
}

/** Of the audit log; texts are redacted and cut before they are written. */
export interface GuardEvent {
  /** `challenge-passed`: lower case, hyphens. */
  readonly event: string
  readonly part: string
  readonly text: string
  /** Of the request that it is about. */
  readonly id?: string
}

/** What the main thread gives to a part's half there. */
export interface MainPartSurroundings {
  readonly clock: Clock
  readonly random: Random
  readonly stateDirectory: string
  readonly workers: number
  /** Shared memory by name, of all parts made so far. */
  readonly memory: Readonly<Record<string, SharedArrayBuffer>>
  /** To this part in every worker, or in one. */
  send(message: unknown, worker?: number): void
  tell(subject: string, text: string): void
  audit(event: GuardEvent): void
}

/** What a part's folder exports in its `index.ts`; either may be missing. */
export interface PartModule {
  createPart?(surroundings: GuardSurroundings): GuardPart
  createMainPart?(surroundings: MainPartSurroundings): MainGuardPart
}

/** A part's other half in the edge's main thread; most have none. */
export interface MainGuardPart {
  readonly name: string
  /** Memory that its workers share; asked once, when the part is made. Names begin with the part's. */
  memory?(workers: number): Readonly<Record<string, SharedArrayBuffer>>
  /** Before workers get it. What can't work must be refused here: a worker that can't prepare ends. */
  take?(spec: GuardSpec): Promise<void>
  heard?(worker: number, message: unknown): void
  workerDied?(worker: number): void
  /** Verified accounts that were banned just now: what they hold ends. Those that a client only names are none of these. */
  accountsBanned?(accounts: readonly string[]): void
  /** Questions of the control protocol that are this part's; undefined: not mine. */
  ask?(question: { readonly kind: string }): Promise<unknown> | undefined
  /** For `tenfold guard status`: a few figures by name. Never a secret or a whole key. */
  status?(): Readonly<Record<string, unknown>>
  close?(): Promise<void>
}

/** Own pages live below this path; the system adds a route for it where a policy needs one. */
export const guardPath = '/.tenfold/guard/'
