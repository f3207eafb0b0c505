// Which shards a planned statement is for, with the values that it has now.

import type { ShardPlan } from '../sql/shards/contract.ts'
import type { Refused } from './gather/refusals.ts'
import { noPlace } from './gather/refusals.ts'
import type { KeyPlaces } from './key-places.ts'
import { StatementFailed } from './statement-failed.ts'
import type { TextStatement } from './texts.ts'

export interface TargetsOf {
  readonly shards: readonly string[]
  /** Whichever shard will do: this one. */
  readonly home: number
  readonly places: Pick<KeyPlaces, 'ofSources'>
}

/** The first shard has what must be in one place: advisory locks, LISTEN. */
const fixedShard = 0

/** Indexes, each once, at least one; throws what the client is told of keys that have no place. */
export function targetsOf(plan: ShardPlan, info: TextStatement['info'], of: TargetsOf): readonly number[] {
  switch (plan.kind) {
    case 'one':
      return [oneOf(plan.on, of)]
    case 'keys':
      return keyed(plan, info, of)
    case 'all':
      if (plan.across.how === 'move' && plan.across.from !== null) return keyed(plan.across.from, info, of)
      return of.shards.map((_, index) => index)
    default:
      return of.shards.map((_, index) => index)
  }
}

function oneOf(on: Extract<ShardPlan, { kind: 'one' }>['on'], { shards, home }: TargetsOf): number {
  if (on === 'any') return home
  if (on === 'fixed') return fixedShard
  const index = shards.indexOf(on.shard)
  if (index < 0) throw StatementFailed.of('55000', `There is no shard '${on.shard}'.`)
  return index
}

function keyed(
  plan: Pick<Extract<ShardPlan, { kind: 'keys' }>, 'family' | 'keys'>,
  info: TextStatement['info'],
  { home, places }: TargetsOf,
): readonly number[] {
  const shards = new Set<number>()
  const inserts = info.kind === 'insert' || info.kind === 'merge'
  for (const placed of places.ofSources(plan.family, plan.keys)) {
    if (!('refused' in placed)) for (const shard of placed) shards.add(shard)
    // No row has such a key, and none is to get it: any shard says so.
    else if (inserts || (placed.refused !== 'null-key' && placed.refused !== 'unmapped'))
      throw refusal(noPlace(placed.refused, placed.value))
  }
  return shards.size === 0 ? [home] : [...shards].sort((a, b) => a - b)
}

function refusal({ errorFrame }: Refused): StatementFailed {
  return new StatementFailed(errorFrame)
}
