// What all workers of this edge have counted since the process began: the metrics and the status read it. Bounded: rules
// beyond the bound count together.

import type { GuardCounts } from './messages.ts'

const rulesMax = 4_000

export interface RuleTally {
  readonly step: string
  readonly rule: string
  refused: number
  detected: number
}

export interface PolicyTally {
  passed: number
  refused: number
  /** Given an answer by the guard itself: a challenge, a place in a waiting room. */
  answered: number
  /** The client went before it was decided. */
  left: number
}

export class Tally {
  readonly policies: Map<string, PolicyTally> = new Map<string, PolicyTally>()
  readonly rules: Map<string, RuleTally> = new Map<string, RuleTally>()
  dropped = 0
  closedBanned = 0
  closedTooMany = 0

  add(counts: GuardCounts): void {
    for (const [policy, [pass = 0, refuse = 0, left = 0, taken = 0]] of counts.verdicts) {
      const tally = this.#policy(policy)
      tally.passed += pass
      tally.refused += refuse
      tally.left += left
      tally.answered += taken
    }
    for (const [step, rule, refused, detected] of counts.rules) {
      const tally = this.#rule(step, rule)
      tally.refused += refused
      tally.detected += detected
    }
    this.dropped += counts.dropped
    this.closedBanned += counts.closedConnections.banned
    this.closedTooMany += counts.closedConnections.tooMany
  }

  #policy(name: string): PolicyTally {
    let tally = this.policies.get(name)
    if (tally === undefined) {
      tally = { passed: 0, refused: 0, answered: 0, left: 0 }
      this.policies.set(name, tally)
    }
    return tally
  }

  #rule(step: string, rule: string): RuleTally {
    const key = `${step}\0${rule}`
    const known = this.rules.get(key)
    if (known !== undefined) return known
    if (this.rules.size >= rulesMax && rule !== 'other') return this.#rule(step, 'other')
    const made = { step, rule, refused: 0, detected: 0 }
    this.rules.set(key, made)
    return made
  }
}
