// The shards of a checked database written as a system file has them, every default spelled out.

import type { PlacementRule } from '../policy/shard/contract.ts'
import type { RuleSpec, TableSpec } from '../policy/shard/map.ts'
import type { CheckedShards } from './checked-databases.ts'
import { defined } from './shapes.ts'

export function spellShards({ shards, slots, tables }: CheckedShards): object {
  const spelled = Object.entries(tables).map(([name, table]) => [name, spellTable(table)])
  return { count: shards.length, slots, tables: Object.fromEntries(spelled) }
}

function spellTable(table: TableSpec): object | string {
  if (table.kind === 'on') return { on: table.shard + 1 }
  if (table.kind !== 'sharded') return table.kind
  const { key, types, rule } = table
  if (table.with !== null) return { by: key, with: table.with }
  return { by: key, type: types, ...(rule === null ? {} : spellRule(rule)) }
}

function spellRule(rule: RuleSpec): object {
  switch (rule.by) {
    case 'range':
    case 'time':
      return {
        strategy: rule.by,
        ranges: rule.ranges.map(({ from, shard }) => defined({ from: from ?? undefined, shard: shard + 1 })),
      }
    case 'list':
      return {
        strategy: rule.by,
        lists: rule.lists.map(({ values, shard }) => ({ values, shard: shard + 1 })),
        ...otherwiseOf(rule),
      }
    case 'geo':
      return {
        strategy: rule.by,
        regions: Object.fromEntries(
          rule.regions.flatMap(({ values, shard }) => values.map(value => [value, shard + 1])),
        ),
        ...otherwiseOf(rule),
      }
    default:
      return { strategy: rule.by }
  }
}

function otherwiseOf({ otherwise }: Extract<PlacementRule, { by: 'list' | 'geo' }>): object {
  return otherwise === null ? {} : { otherwise: otherwise + 1 }
}
