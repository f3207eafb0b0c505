// How the guard is put together: a policy's steps in a fixed order, made once with each snapshot. A part (limits, rules,
// bots, rooms, ...) gives a policy its step or none; what no policy uses is never loaded and costs nothing.
//
// Order of a request: own pages - allow and ban lists - identity - limits - risk - challenge - rules - room - quota. What
// is cheap and refuses much comes first.

import type { CheckedGuard, CheckedGuardPolicy } from '../file/checked-guard.ts'
import type { Clock } from '../kit/clock.ts'
import type { Random } from '../kit/random.ts'
import type { Passage } from './passage.ts'
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
  /** A path of our own (`/.tenfold/guard/NAME/...`): true when it is this part's and will be answered. */
  page?(passage: Passage, name: string, rest: string): boolean
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
  /** Shared by all workers of the process, by name; the main thread made them. */
  readonly memory: Readonly<Record<string, SharedArrayBuffer>>
  /** To the same part in the main thread; bounded, and dropped (counted) when too many wait. */
  send(part: string, message: unknown): void
  tell(subject: string, text: string): void
}

/** A part's other half in the edge's main thread; most have none. */
export interface MainGuardPart {
  readonly name: string
  /** Memory that its workers share; asked once, when the process begins. */
  memory?(workers: number): Readonly<Record<string, SharedArrayBuffer>>
  take?(spec: GuardSpec): Promise<void>
  heard?(worker: number, message: unknown): void
  workerDied?(worker: number): void
  /** Questions of the control protocol that are this part's; undefined: not mine. */
  ask?(question: { readonly kind: string }): Promise<unknown> | undefined
  close?(): Promise<void>
}

/** Own pages live below this path; the system adds a route for it where a policy needs one. */
export const guardPath = '/.tenfold/guard/'
