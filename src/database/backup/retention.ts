// What is kept: the newest base backups, and the log from the oldest of them on. Pure.

import type { Lsn } from '../contract.ts'
import type { KeptSegment } from './log-archive.ts'

export interface RetentionPlan<Base> {
  readonly bases: readonly Base[]
  readonly segments: readonly KeptSegment[]
}

/**
 * What can go. Positions only grow, on every timeline, so log below the oldest base that is kept leads to none of them.
 * Without a base nothing goes: the next one may still need it.
 */
export function dispensable<Base extends { readonly startLsn: Lsn }>(
  bases: readonly Base[],
  segments: readonly KeptSegment[],
  keep: number,
  segmentBytes: number,
): RetentionPlan<Base> {
  const cut = Math.max(0, bases.length - keep)
  const oldest = bases[cut]
  if (oldest === undefined) return { bases: [], segments: [] }
  const first = Math.floor(Math.min(...bases.slice(cut).map(base => base.startLsn)) / segmentBytes)
  return { bases: bases.slice(0, cut), segments: segments.filter(one => one.number < first) }
}
