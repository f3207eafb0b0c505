// What the simulated services ask of a simulated database. One for each database of the file.

import type { CheckedFaultKind } from '../../file/checked-rehearsals.ts'
import type { ConsistencyResult, PartResult, Series } from '../result.ts'

/** How a statement ended. */
export const StatementEnd = { ok: 0, failed: 1, refused: 2, timeout: 3 } as const
export type StatementEndCode = (typeof StatementEnd)[keyof typeof StatementEnd]

export interface DatabasePort {
  /**
   * A statement; `done(token, end)` is called later, never before this returns.
   * @param token of whoever asks, not in use by another statement @param key which row it is about, 0 and more
   * @param session whose writes its reads may have to see
   */
  statement(token: number, write: boolean, key: number, session: number): void
  /** Nobody waits for it any more: `done` is not called. */
  cancel(token: number): void
  /** A fault that concerns the database begins or ends. Null: done; else why it can't be. */
  apply(fault: CheckedFaultKind, on: boolean): string | null
  /** Figures of now, for series: in the order of `gauges`. */
  readonly gauges: readonly { readonly id: string; readonly label: string; readonly unit: Series['unit'] }[]
  gauge(index: number, now: number): number | null
  results(now: number): { readonly part: PartResult; readonly consistency: ConsistencyResult }
}

export interface DatabaseEvents {
  done(token: number, end: StatementEndCode): void
  /** For the timeline. */
  decide(kind: string, part: string, what: string, why: string): void
}
