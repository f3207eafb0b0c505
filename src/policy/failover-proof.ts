// Whether an acknowledged commit can be missing on the best of those that answer: the arithmetic of a failover.
//
// A commit that was acknowledged under `ANY k (S)` is on disk on at least k of the n servers of S. A log is a line: who has
// a later position has everything before it. So the furthest of the m servers of S that answer has every acknowledged
// commit, unless k servers could hold one that are all among the n - m silent ones. It is proved when n - m < k, that is
//
//     m >= n - k + 1        one-replica (k = 1): all n of them    all-replicas (k = n): any one of them
//
// Where several lists may have been in force (one was changed, or the primary was), each must be proved. A list with
// k = 0 promises nothing and asks for nothing.

import type { Quorum } from './failover-model.ts'

export interface Proof {
  readonly proved: boolean
  /** Of those whose answer would help, in order. */
  readonly missing: readonly string[]
  readonly why: string
}

/** @param answered those that may be promoted and whose position is known to be final */
export function proofOf(quorums: readonly Quorum[], answered: ReadonlySet<string>): Proof {
  const open = quorums.filter(quorum => answersMissing(quorum, answered) > 0)
  if (open.length === 0) return { proved: true, missing: [], why: provedText(quorums, answered) }
  const missing = [...new Set(open.flatMap(one => one.names.filter(name => !answered.has(name))))]
  const { need } = open[0]!
  const why = `an acknowledged commit stands on ${need} of ${open[0]!.names.join(', ')}, and ${missing.join(', ')} may be the only one that has it`
  return { proved: false, missing, why }
}

/** How many more of the quorum must answer; 0: the furthest that answers has everything. */
export function answersMissing(quorum: Quorum, answered: ReadonlySet<string>): number {
  if (quorum.need === 0) return 0
  const silent = quorum.names.filter(name => !answered.has(name)).length
  return Math.max(0, silent - quorum.need + 1)
}

/** Some commit may have been acknowledged without waiting for a replica. */
export function promisesNothing(quorums: readonly Quorum[]): boolean {
  return quorums.length === 0 || quorums.some(quorum => quorum.need === 0)
}

function provedText(quorums: readonly Quorum[], answered: ReadonlySet<string>): string {
  const strict = quorums.filter(quorum => quorum.need > 0)
  if (strict.length === 0) return 'nothing was promised beyond the primary'
  const names = strict.at(-1)!.names.filter(name => answered.has(name))
  return `${names.join(', ')} answered: no acknowledged commit can be missing`
}

/** `synchronous_standby_names`. */
export function quorumText({ need, names }: Quorum): string {
  return need === 0 ? '' : `ANY ${need} (${names.map(name => `"${name}"`).join(', ')})`
}

export function sameQuorum(one: Quorum, other: Quorum | undefined): boolean {
  return other !== undefined && quorumText(one) === quorumText(other)
}
