// The shards of a checked database written as a system file has them, every default spelled out.

import type { PlacementRule } from '../policy/shard/contract.ts'
import { type CopySpec, copiesSchema } from '../policy/shard/copies.ts'
import type { RuleSpec, TableSpec } from '../policy/shard/map.ts'
import type { CheckedShards } from './checked-databases.ts'
import { defined } from './shapes.ts'

export function spellShards({ shards, slots, tables }: CheckedShards): object {
  const all = Object.entries(tables)
  const copies = all.flatMap(([name, table]) =>
    table.kind === 'sharded' && table.copy !== undefined
      ? [[name.slice(copiesSchema.length + 1), spellCopy(table.key, table.types, table.copy)]]
      : [],
  )
  const spelled = all
    .filter(([, table]) => table.kind !== 'sharded' || table.copy === undefined)
    .map(([name, table]) => [name, spellTable(table)])
  return defined({
    count: shards.length,
    slots,
    tables: Object.fromEntries(spelled),
    copies: copies.length === 0 ? undefined : Object.fromEntries(copies),
  })
}

function spellCopy(
  by: readonly string[],
  type: readonly string[],
  { of, columns, totals }: CopySpec,
): object {
  return defined({
    of,
    by,
    type,
    columns: columns ?? undefined,
    count: totals?.count,
    sum: totals === null || Object.keys(totals.sums).length === 0 ? undefined : totals.sums,
  })
}

function spellTable(table: TableSpec): object | string {
  if (table.kind === 'on') return { on: table.shard + 1 }
  if (table.kind !== 'sharded') return table.kind
  const { key, types, rule } = table
  const unique = table.unique?.map(one => ({ by: one.columns, type: one.types }))
  if (table.with !== null) return defined({ by: key, with: table.with, unique })
  return defined({ by: key, type: types, unique, ...(rule === null ? {} : spellRule(rule)) })
}

function spellRule(rule: RuleSpec): object {
  switch (rule.by) {
    case 'range':
    case 'time':
      return { strategy: rule.by, ...rangesOf(rule) }
    case 'list':
      return { strategy: rule.by, ...listsOf(rule) }
    case 'geo':
      return {
        strategy: rule.by,
        regions: Object.fromEntries(
          rule.regions.flatMap(({ values, shard }) => values.map(value => [value, shard + 1])),
        ),
        ...otherwiseOf(rule),
      }
    case 'directory':
      return defined({ strategy: rule.by, ...otherwiseOf(rule), assign: rule.assign })
    case 'list-then':
      return {
        strategy: 'list',
        lists: rule.lists.map(({ values, rule: inner }) => {
          const shard = fixedShard(inner)
          return shard === null ? { values, rule: spellInner(inner) } : { values, shard }
        }),
        ...(rule.otherwise === null
          ? {}
          : { otherwise: fixedShard(rule.otherwise) ?? spellInner(rule.otherwise) }),
      }
    default:
      return { strategy: rule.by }
  }
}

/** A rule that knows one place only, as a shard; null: it is a real one. */
function fixedShard(rule: RuleSpec): number | null {
  const isFixed = rule.by === 'list' && rule.lists.length === 0 && rule.otherwise !== null
  return isFixed ? (rule.otherwise as number) + 1 : null
}

/** Of the second column: never a list of rules again, nor a directory. */
function spellInner(rule: RuleSpec): object {
  if (rule.by !== 'hash' && rule.by !== 'consistent') return spellRule(rule)
  const { by, shards, slots } = rule
  return defined({ strategy: by, shards: shards?.map(shard => shard + 1), slots })
}

function rangesOf({ ranges }: Extract<PlacementRule, { by: 'range' | 'time' }>): object {
  return { ranges: ranges.map(({ from, shard }) => defined({ from: from ?? undefined, shard: shard + 1 })) }
}

function listsOf(rule: Extract<PlacementRule, { by: 'list' }>): object {
  return {
    lists: rule.lists.map(({ values, shard }) => ({ values, shard: shard + 1 })),
    ...otherwiseOf(rule),
  }
}

function otherwiseOf({ otherwise }: Extract<PlacementRule, { by: 'list' | 'geo' | 'directory' }>): object {
  return otherwise === null ? {} : { otherwise: otherwise + 1 }
}
