// What the two sides of the guard say to each other over the edge's port: plain data, structured-cloneable.

import type { GuardEvent, GuardRuling } from './part.ts'
import type { Finding } from './visit.ts'

/** One request that was refused, or that a step would have refused. */
export interface RequestRecord {
  readonly id: string
  readonly atMs: number
  readonly policy: string
  readonly route: string
  readonly method: string
  readonly host: string
  /** Normalised path; parameters of the query by name only. */
  readonly path: string
  readonly address: string
  readonly account: string
  readonly session: string
  readonly key: string
  readonly outcome: 'refused' | 'detected'
  readonly status: number
  readonly code: string
  readonly risk: number
  readonly riskReasons: readonly string[]
  readonly findings: readonly Finding[]
}

/** Somebody is to be banned for a while. */
export interface BanWish {
  /** Address key. */
  readonly address: string
  /** `account:7`, `session:NAME@ADDRESS`; '' = the address itself. */
  readonly subject: string
  readonly rule: string
  readonly reason: string
  readonly id: string
}

export type GuardFromWorker =
  | { readonly kind: 'part'; readonly part: string; readonly message: unknown }
  | { readonly kind: 'record'; readonly record: RequestRecord }
  | { readonly kind: 'event'; readonly event: GuardEvent }
  | { readonly kind: 'ban'; readonly wish: BanWish }
  | { readonly kind: 'counts'; readonly counts: GuardCounts }

/** What has been counted since the last time. */
export interface GuardCounts {
  /** By policy: requests by `verdict`. */
  readonly verdicts: readonly (readonly [policy: string, counts: readonly number[]])[]
  /** By step and rule: refused, detected. */
  readonly rules: readonly (readonly [step: string, rule: string, refused: number, detected: number])[]
  /** Records, events and messages that did not fit. */
  readonly dropped: number
  readonly closedConnections: { readonly banned: number; readonly tooMany: number }
}

/** One batch of a worker, answered by `took`. */
export interface WorkerBatch {
  readonly batch: readonly GuardFromWorker[]
}

export interface BanEntry {
  /** Address key, or subject. */
  readonly key: string
  readonly untilMs: number
  readonly reason: string
  readonly by: string
}

export type GuardToWorker =
  | { readonly kind: 'part'; readonly part: string; readonly message: unknown }
  | { readonly kind: 'memory'; readonly memory: Readonly<Record<string, SharedArrayBuffer>> }
  /** `untilMs` 0: not banned any more. */
  | { readonly kind: 'bans'; readonly bans: readonly BanEntry[] }
  /** By operators: instead of those of the snapshot. */
  | { readonly kind: 'rulings'; readonly rulings: readonly GuardRuling[] }
  /** So many of the worker's messages were taken. */
  | { readonly kind: 'took'; readonly count: number }

/** What a worker that starts is given. */
export interface GuardStart {
  readonly memory: Readonly<Record<string, SharedArrayBuffer>>
  readonly bans: readonly BanEntry[]
}
