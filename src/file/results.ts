// What checking and comparing system files answer: problems, warnings and changes, as plain values. It renders nothing.

import type { CheckedSystem } from './checked.ts'

/** One thing that is wrong (or, as a warning, doubtful) in a system file. */
export interface Problem {
  /** Stable, e.g. `FILE_UNKNOWN_KEY`: the catalogue is in failures.ts. */
  readonly code: string
  /** Key path: `services.web.instances.min`, `edge.routes[2].to`. Empty for the file as a whole. */
  readonly path: string
  /** What stands there, as short JSON; absent where nothing stands there, and where it may be a secret. */
  readonly value?: string
  /** A sentence: what is wrong. */
  readonly message: string
  /** What may stand there: `a duration such as '30s', from 1ms to 1h`. */
  readonly allowed?: string
  /** What to do, where more can be said: `Did you mean 'instances'?`. */
  readonly remedy?: string
}

export type CheckResult =
  | { readonly ok: true; readonly system: CheckedSystem; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] }

export interface CheckOptions {
  /** Name of the entry of `environments` whose overrides are applied; null or absent: none. */
  readonly environment?: string | null
}

/** One difference between two checked systems; values are redacted. */
export interface Change {
  /** Key path in the checked system: `services.web.instances.max`. */
  readonly path: string
  /** Short JSON; absent: the key is new. */
  readonly from?: string
  /** Short JSON; absent: the key is gone. */
  readonly to?: string
  readonly effect: ChangeEffect
}

export type ChangeEffect =
  /** Applied at once, nothing restarts. `note`: what else becomes of it. */
  | { readonly kind: 'live'; readonly note?: string }
  /** Applied by restarting the service's instances one by one. */
  | { readonly kind: 'rolls'; readonly service: string }
  | { readonly kind: 'starts'; readonly service: string }
  | { readonly kind: 'stops'; readonly service: string }
  /** Can't be changed in a running system. */
  | { readonly kind: 'refused'; readonly reason: string }
