// The port between balancing policies and whoever owns the members: the edge reads shared cells behind it, the
// simulator plain arrays. Every method is on the hot path: no allocation, no closures, no exceptions.
// Numbers may change between two calls (other threads write them); a balancer never relies on seeing the same twice.

import type { Random } from '../kit/random.ts'

export interface Group {
  /** Members are 0..count-1. */
  readonly count: number
  /** Static weight from the file, above 0. */
  weight(i: number): number
  /** May it be chosen at all: tier, health, ejection, circuit, tried already? Combined by the shell. */
  eligible(i: number, now: number): boolean
  /** Requests in flight over all workers. */
  inFlight(i: number): number
  /** Peak EWMA in microseconds (`ewma.ts`), decayed to `now`; 0 = unknown. */
  latencyUs(i: number, now: number): number
  /** Bytes a second to clients, decayed to `now`. */
  bytesPerSecond(i: number, now: number): number
  /** 0..1; -1 = unknown. */
  utilisation(i: number): number
  /** 0..1, from `slow-start.ts`. */
  warmth(i: number, now: number): number
  /** uint32, stable hash of the member's id (`hash.ts`). Two ids with one hash share one place: 1 in 4 thousand million. */
  hash(i: number): number
}

export interface Balancer {
  /**
   * Index of the member, or -1 when none is eligible.
   * @param now integer microseconds, monotonic
   * @param key uint32 hash for the hash policies; others ignore it
   */
  pick(group: Group, now: number, key: number, random: Random): number
  /** Reason code of the last pick; `reasonText(code)` renders it. */
  readonly reason: number
  /** Members changed (count, ids or weights): rebuilds tables. Called before the first pick, off the hot path. */
  rebuild(group: Group): void
}
