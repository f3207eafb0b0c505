// What an operator is to the engine: compiled once with its rule, asked for each value.

import type { Value } from '../engine/value.ts'
import type { Work } from '../matcher/work.ts'

/** What an operator may ask of the request it works for. */
export interface Scene {
  readonly work: Work
  /** `%{tx.x}` and the like replaced. */
  expand(text: string): string
}

export interface Operator {
  readonly name: string
  /** Not even looked at the request: left out on purpose, never matches. */
  readonly never?: boolean
  test(value: Value, scene: Scene): boolean
  /** Texts for TX:0, TX:1 ...; asked only after `test` said yes and where the rule captures. */
  captures?(value: Value, scene: Scene): readonly string[]
}

export class OperatorError extends Error {}
