// A rule as it was read: SecLang's parts by name, nothing compiled but what needs no others. The engine makes its own
// form of it (engine/plan.ts).

import type { Pattern } from '../matcher/pattern.ts'
import type { Operator } from '../operators/operator.ts'

/** Where something was written, for messages: `REQUEST-942.conf:118`. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** `ARGS`, `!ARGS:foo`, `&TX:x`, `REQUEST_COOKIES:/__utm/`. */
export interface Target {
  /** Upper case. */
  readonly collection: string
  /** Lower case; '' = all of it. */
  readonly key: string
  readonly pattern: Pattern | null
  readonly count: boolean
}

export type Disruption = 'none' | 'pass' | 'block' | 'deny' | 'drop' | 'allow'

export interface VariableChange {
  /** Lower case, with macros: `tx.score`. */
  readonly name: string
  readonly change: 'set' | 'add' | 'subtract' | 'remove'
  readonly value: string
}

export interface Control {
  readonly name: string
  readonly value: string
}

export interface Actions {
  readonly id: string
  readonly phase: number
  readonly disruption: Disruption
  /** Of `allow`: '', `phase` or `request`. */
  readonly allows: string
  readonly status: number
  readonly message: string
  readonly data: string
  readonly severity: string
  readonly tags: readonly string[]
  readonly transformations: readonly string[]
  readonly multiMatch: boolean
  readonly capture: boolean
  readonly chain: boolean
  readonly skipAfter: string
  readonly skip: number
  readonly changes: readonly VariableChange[]
  readonly controls: readonly Control[]
  readonly logs: boolean
}

export interface Rule {
  readonly kind: 'rule'
  readonly place: Place
  /** Empty: an unconditional SecAction. */
  readonly targets: readonly Target[]
  readonly without: readonly Target[]
  readonly operator: Operator | null
  readonly negated: boolean
  readonly actions: Actions
  /** The rest of a chain, in order. */
  readonly chained: readonly Rule[]
}

export interface Marker {
  readonly kind: 'marker'
  readonly name: string
}

export type Item = Rule | Marker
