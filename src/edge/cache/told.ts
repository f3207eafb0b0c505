// What the cache tells clients of an answer (RFC 9211), beyond what `policy/freshness` words.

import { ageUs } from '../../policy/freshness/index.ts'
import type { StoredMeta } from '../store/contract.ts'

/** Seconds for which it is still fresh; below 0: stale since. */
export function ttlText(meta: StoredMeta, now: number): string {
  return `${Math.floor((meta.freshForUs - ageUs(meta, now)) / 1_000_000)}`
}

export function ageText(meta: StoredMeta, now: number): string {
  return `${Math.floor(ageUs(meta, now) / 1_000_000)}`
}
