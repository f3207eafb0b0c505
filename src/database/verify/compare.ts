// When a row version differs between the primary and a replica although nobody is writing it. Pure.
//
// The replica is read after it has replayed everything that the primary's first reading could see, and the primary is read
// again after that. A version that both readings of the primary have, the replica must have, as it is. One that neither has,
// the replica may not have. Versions that come or go in between prove nothing.

export interface RowVersion {
  readonly xmin: string
  /** Who deleted or locked it; '0': nobody. */
  readonly xmax: string
  readonly hash: string
}

export interface Difference {
  /**
   * missing: only the primary has it. extra: only the replica. differs: both, with another content. unreadable: the
   * replica's page is damaged.
   */
  readonly kind: 'missing' | 'extra' | 'differs' | 'unreadable'
  /** `(block,number)`; of unreadable ones the first block of up to 16. */
  readonly place: string
}

/** @param undecided transactions that only the replica's readers may see as ended */
export function candidates(
  before: ReadonlyMap<string, RowVersion>,
  replica: ReadonlyMap<string, RowVersion>,
  after: ReadonlyMap<string, RowVersion>,
  undecided: ReadonlySet<string>,
): Difference[] {
  const found: Difference[] = []
  for (const [place, one] of before) {
    const still = after.get(place)
    if (still === undefined || still.xmin !== one.xmin || still.hash !== one.hash) continue
    const copy = replica.get(place)
    if (copy === undefined) {
      if (!undecided.has(still.xmax)) found.push({ kind: 'missing', place })
    } else if (copy.xmin !== one.xmin || copy.hash !== one.hash) found.push({ kind: 'differs', place })
  }
  for (const [place, copy] of replica) {
    if (before.has(place) || after.has(place) || undecided.has(copy.xmin)) continue
    found.push({ kind: 'extra', place })
  }
  return found
}
