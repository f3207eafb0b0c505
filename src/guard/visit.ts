// What the guard knows of one request while it lasts: who it is, what each step said, and why. Made for requests of
// guarded routes only. A step that refuses says so here; the words are made only for whoever looks.

import type { ImportanceCode } from '../policy/shed/index.ts'
import type { PassageRefusal } from './passage.ts'
import type { SourceHooks } from './sources.ts'

/** One thing that a step noticed, for explanations and the audit log. Never holds a secret or a body. */
export interface Finding {
  readonly step: string
  /** Of the rule: `limit:login-ip`, `942100`, `honeypot`. */
  readonly rule: string
  /** What was noticed, as a sentence. */
  readonly text: string
  /** What would have passed, where that can be said. */
  readonly would?: string
  /** It only records: `detectOnly`, or mode `detect`. */
  readonly detected: boolean
}

export interface GuardVisit {
  /** The matched route: its id never depends on how a path was spelled. */
  readonly route: { readonly id: string; readonly path: string }
  /** Name of the policy; '' on the guard's own pages. */
  readonly policy: string
  /** What only some parts can tell of an address. */
  readonly hooks: SourceHooks
  readonly ipv6PrefixBits: number
  /** Text of the account, session or API key, or '' = none; filled on first use from `guard.identity`. */
  readonly account: string
  readonly session: string
  readonly key: string
  /** Set by what verifies credentials. */
  setIdentity(kind: 'account' | 'session' | 'key', text: string): void
  /** Claims of a verified token. */
  claims: Readonly<Record<string, unknown>> | null
  /** The address without a port, IPv6 cut to its prefix: `2001:db8:1:2::/64`. */
  readonly addressKey: string
  /** On the operator's allow list: never banned, limited by address, scored or challenged. */
  readonly allowed: boolean
  /** 0-100, with reasons; grows only. */
  readonly risk: number
  addRisk(points: number, reason: string): void
  readonly riskReasons: readonly string[]
  /** The client has passed a challenge, lately and as the same client. */
  cleared: boolean
  /** The risk is high enough for a challenge; set by `bots`, obeyed by `challenge`. */
  wantsChallenge: boolean
  /** Waits and never gets in; set by `bots`, obeyed by `room`. */
  queueForEver: boolean
  /** Admitted to this room: it belongs to those who are shed last. */
  room: string
  /** What the policy says that its requests are worth, where it says so (`shed`); null: as all others. */
  declared: ImportanceCode | null
  readonly findings: readonly Finding[]
  note(finding: Finding): void
  /** Refuses, unless the step only detects: gives the verdict to return. */
  refuse(finding: Omit<Finding, 'detected'>, refusal: PassageRefusal, detectOnly: boolean): number
  /**
   * Bans who sent this: the account or session where one is known (a whole NAT does not pay for one of its users), else the
   * address key, for the next of `banStepsMs`. Never who is on the allow list, and nobody whose address is not certain.
   */
  ban(rule: string, reason: string): void
  /** A step that said `pending` has decided; also from inside its `enter`. */
  resume(serial: number, answer: number): void
  /** A fresh nonce for the answer's Content-Security-Policy, base64; the same for one request. */
  readonly nonce: string
}
