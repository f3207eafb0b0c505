// Commits wait here until the primary shows them to others. A commit is decoded as soon as its record is flushed, and that
// is before it is visible: with synchronous replicas, milliseconds before. A cache that forgot by then would be filled with
// the old row again, by somebody who can't see the new one, and keep it.

import type { Lsn } from '../contract.ts'
import type { Commit } from './changes.ts'

export interface Waiting extends Commit {
  /** Everything up to here was done before this commit. */
  readonly before: Lsn
  /** When it was heard of; monotonic. */
  readonly sinceUs: number
}

const two32 = 2 ** 32

/** `xmin:xmax:running,...` of pg_current_snapshot(), for the low 32 bits of top-level transactions. */
export class ServerSnapshot {
  readonly #xmin: number
  readonly #xmax: number
  readonly #running: ReadonlySet<number>

  constructor(text: string) {
    const [xmin = '', xmax = '', running = ''] = text.split(':')
    const low = (digits: string): number => Number(BigInt(digits) & 0xffff_ffffn)
    this.#xmin = low(xmin)
    this.#xmax = low(xmax)
    this.#running = new Set(running === '' ? [] : running.split(',').map(low))
  }

  shows(xid: number): boolean {
    if (isBefore(xid, this.#xmin)) return true
    return isBefore(xid, this.#xmax) && !this.#running.has(xid)
  }
}

/** Numbers of transactions go round; of two that are alive at once, none is 2^31 away from the other. */
function isBefore(one: number, other: number): boolean {
  return one !== other && (other - one + two32) % two32 < two32 / 2
}

/** Those that are visible leave the list, in order. */
export function takeVisible(list: Waiting[], upTo: number, snapshot: ServerSnapshot): Waiting[] {
  const visible: Waiting[] = []
  const rest: Waiting[] = []
  for (const [index, one] of list.entries())
    (index < upTo && snapshot.shows(one.xid) ? visible : rest).push(one)
  list.splice(0, list.length, ...rest)
  return visible
}
