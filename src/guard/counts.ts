// What a worker counts of its requests since it last told the main thread: by policy and outcome, by step and rule. The
// number of rules is bounded; those beyond it count together.

import type { GuardCounts } from './messages.ts'
import type { RequestVisit } from './request-visit.ts'

const rulesMax = 2_000

interface RuleCount {
  readonly step: string
  readonly rule: string
  refused: number
  detected: number
}

export class Counts {
  #verdicts = new Map<string, [pass: number, refuse: number, pending: number, taken: number]>()
  #rules = new Map<string, RuleCount>()
  readonly closedConnections: { banned: number; tooMany: number } = { banned: 0, tooMany: 0 }
  #changed = false

  count(visit: RequestVisit): void {
    let counts = this.#verdicts.get(visit.policy)
    if (counts === undefined) {
      counts = [0, 0, 0, 0]
      this.#verdicts.set(visit.policy, counts)
    }
    // Over before it was decided: the client is gone.
    const at = visit.outcome < 0 ? 2 : visit.outcome
    counts[at] = (counts[at] as number) + 1
    this.#changed = true
    for (const { step, rule, detected } of visit.findings) {
      const one = this.#rule(step, rule)
      if (detected) one.detected++
      else one.refused++
    }
  }

  #rule(step: string, rule: string): RuleCount {
    const key = `${step}\0${rule}`
    const known = this.#rules.get(key)
    if (known !== undefined) return known
    if (this.#rules.size >= rulesMax && rule !== 'other') return this.#rule(step, 'other')
    const made = { step, rule, refused: 0, detected: 0 }
    this.#rules.set(key, made)
    return made
  }

  closed(why: 'banned' | 'tooMany'): void {
    this.closedConnections[why]++
    this.#changed = true
  }

  /** Null: nothing has happened. */
  take(dropped: number): GuardCounts | null {
    if (!this.#changed && dropped === 0) return null
    const counts: GuardCounts = {
      verdicts: [...this.#verdicts],
      rules: [...this.#rules.values()].map(({ step, rule, refused, detected }) => [
        step,
        rule,
        refused,
        detected,
      ]),
      dropped,
      closedConnections: { ...this.closedConnections },
    }
    this.#verdicts = new Map()
    this.#rules = new Map()
    this.closedConnections.banned = this.closedConnections.tooMany = 0
    this.#changed = false
    return counts
  }
}
