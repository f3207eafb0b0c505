// Which candidates are worth proposing, by what was seen of them on a copy of their table.

import type { IndexCandidate, IndexTrial } from './contract.ts'

/** A plan that costs more than this share of what it did is no gain. */
const gainMin = 0.8

export interface IndexVerdict {
  /** Of the time of the statements that it may serve: what would be left, by the estimates. 1: no gain. */
  readonly left: number
  /** Milliseconds that it would have saved since statements are counted. */
  readonly savedMs: number
}

/** Null: it is no use. */
export function judgeIndex({ statements }: IndexCandidate, trial: IndexTrial): IndexVerdict | null {
  const tried = new Map(trial.statements.map(one => [one.text, one]))
  let before = 0
  let after = 0
  for (const { text, totalMs } of statements) {
    const seen = tried.get(text)
    // What was not tried says nothing.
    if (seen === undefined) continue
    const share = !seen.used || seen.before <= 0 ? 1 : Math.min(1, seen.after / seen.before)
    before += totalMs
    after += totalMs * share
  }
  if (before <= 0 || after / before > gainMin) return null
  return { left: after / before, savedMs: before - after }
}
