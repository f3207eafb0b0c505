// Another rule for a family of tables, as a changed file says it, as a wish for the tables that run. Pure.

import type { ShardMap } from '../policy/shard/contract.ts'
import { type RuleSpec, rootOf, type ShardsSpec, type TableSpec } from '../policy/shard/map.ts'
import type { ReshardIntent } from '../policy/shard/reshard-contract.ts'

export type RuleWish =
  | { readonly kind: 'rule'; readonly intent: ReshardIntent }
  | { readonly kind: 'refused'; readonly sentence: string }

/** @param said any table of the family @param spec of the changed file */
export function ruleWish(map: ShardMap, spec: ShardsSpec, said: string): RuleWish {
  const root = rootOf(spec, said)
  const table = spec.tables[root]
  const family = map.families[root]
  const before = map.tables[root]
  if (table?.kind !== 'sharded' || table.rule === null)
    return refused(`The file has no table '${said}' with a key.`)
  if (family === undefined || before?.kind !== 'sharded')
    return refused(`'${root}' is no family of tables that has rows: \`tenfold reload\` adds it.`)
  if (before.key.join() !== table.key.join() || family.types.join() !== table.types.join())
    return refused(
      `The file gives '${root}' another key (${keyText(table)}, not ${keyText({ ...before, types: family.types })}): another rule for the same key can be moved to, another key can not.`,
    )
  const missing: number[] = []
  const at = (shard: number): number => {
    const index = map.shards.indexOf(spec.shards[shard] ?? '')
    if (index < 0) missing.push(shard + 1)
    return index
  }
  const { rule } = table
  const placed = withShards(rule, at)
  if (missing.length > 0)
    return refused(
      `The rule names shard ${[...new Set(missing)].join(', ')}, which holds nothing yet: \`tenfold db reshard\` lets it join.`,
    )
  // As the file cuts it, so that the file is what holds then.
  const whole = placed.by === 'hash' || placed.by === 'consistent' ? { ...placed, slots: spec.slots } : placed
  return { kind: 'rule', intent: { kind: 'rule', family: root, rule: whole } }
}

function keyText({ key, types }: Pick<Extract<TableSpec, { kind: 'sharded' }>, 'key' | 'types'>): string {
  return key.map((column, at) => `${column} ${types[at] ?? ''}`).join(', ')
}

function refused(sentence: string): RuleWish {
  return { kind: 'refused', sentence }
}

/** The same rule by other indexes of shards. */
function withShards(rule: RuleSpec, at: (shard: number) => number): RuleSpec {
  const text = JSON.stringify(rule, (key, value) => {
    if (key === 'shards') return (value as readonly number[]).map(at)
    return (key === 'shard' || key === 'otherwise') && typeof value === 'number' ? at(value) : value
  })
  return JSON.parse(text) as RuleSpec
}
