// What one query (the statement's own, or one inside it) gives: how its rows are spread, and which of its columns are keys.

import type { Spread } from './contract.ts'
import type { Use } from './graph.ts'
import type { Found, Item, KeyColumn } from './scope.ts'

export interface Output {
  /** ''; or the name that it has outside. */
  readonly name: string
  readonly column: KeyColumn | null
}

export class Level {
  spread: Spread = 'replicated'
  /** Sharded tables that its rows come from, one for each part of a UNION: what it meets must be linked to all of them. */
  readonly sources: Use[] = []
  /** Of `partitioned`: each shard gives exactly its part of the rows. */
  complete = true
  /** Why it is `mixed`, or not complete. */
  why = ''
  /** Its rows are asked for each row of an outer query, by the key of that row. */
  correlated = false
  readonly outputs: Output[] = []
  /** Key columns that an outer join may have made NULL: such rows are on every shard. */
  readonly nullable: Set<number> = new Set()
  /** `a.*`: columns that only the catalogue could count. */
  readonly stars: Item[] = []

  output(name: string): Found {
    const named = this.outputs.find(one => one.name === name)
    if (named !== undefined) return named.column ?? 'other'
    let found: Found = 'none'
    for (const item of this.stars) {
      const inner = item.find(name)
      if (typeof inner !== 'string') return inner
      if (inner !== 'none') found = inner
    }
    return found
  }

  outputAt(position: number): Found {
    if (this.stars.length > 0) return 'unknown'
    const output = this.outputs[position]
    return output === undefined ? 'none' : (output.column ?? 'other')
  }

  mix(why: string): void {
    if (this.spread !== 'mixed') this.why = why
    this.spread = 'mixed'
    this.complete = false
  }

  incomplete(why: string): void {
    if (this.complete && this.spread !== 'mixed') this.why = why
    this.complete = false
  }
}
