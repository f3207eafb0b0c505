// The keys that say how tables are cut into partitions on their own server, and which of those stay.

import { type PartitionSpec, partitionPeriods } from '../policy/partition/contract.ts'
import { into, mapOf, strict } from './shapes.ts'
import { choice, Refused, type Schema, text, whole } from './values.ts'

const tablesMax = 1_000
const tablePattern = /^[a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)?$/

const keys = strict(
  {
    by: text('The column of PARTITION BY.', "a column such as 'created_at'", {
      pattern: /^[a-z_][a-z0-9_$]*$/,
      lengthMax: 63,
    }),
    every: choice(
      'Of a column of time: how long a partition is; all begin in UTC.',
      partitionPeriods,
    ).optional(),
    step: whole('Of an integer column: how many values a partition has.', 1, 1_000_000_000_000).optional(),
    hash: whole('PARTITION BY HASH: how many partitions, for good.', 2, 1_000).optional(),
    ahead: whole('How many partitions are there before they are needed.', 0, 100).prefault(3),
    keep: whole(
      'How many partitions stay behind the one that is needed now. Left out: all.',
      0,
      10_000,
    ).optional(),
    old: choice("What becomes of older ones: tables of their own ('detach'), or nothing ('drop').", [
      'detach',
      'drop',
    ]).optional(),
  },
  {
    about: 'A table that is partitioned; its partitions are made and taken away in time.',
    elsewhere: {
      column: "Did you mean 'by'?",
      interval: "Did you mean 'every'?",
      retention: "Did you mean 'keep'?",
    },
  },
)

const partitioned: Schema<Omit<PartitionSpec, 'table'>> = into(
  keys,
  ({ by: column, every, step, hash, ahead, keep, old }): Omit<PartitionSpec, 'table'> | Refused => {
    const kinds = [every, step, hash].filter(one => one !== undefined)
    if (kinds.length !== 1)
      return new Refused(
        kinds.length === 0
          ? "has neither 'every' nor 'step' nor 'hash'"
          : "has more than one of 'every', 'step' and 'hash'",
        "Write every: 'month' for a column of time, step: 1000000 for an integer, or hash: 8.",
      )
    if (hash !== undefined && (keep !== undefined || old !== undefined))
      return new Refused("has 'hash' and 'keep' or 'old': none of its partitions gets old", 'Leave them out.')
    if (step !== undefined && old === 'drop')
      return new Refused(
        "has 'step' and old: 'drop': one row with a huge value would make all others old",
        "Write old: 'detach', and drop what is detached by hand.",
      )
    if (old !== undefined && keep === undefined)
      return new Refused("has 'old' without 'keep'", 'Say how many stay: keep: 24.')
    const rule =
      every !== undefined
        ? ({ by: 'time', column, every } as const)
        : step !== undefined
          ? ({ by: 'step', column, step } as const)
          : ({ by: 'hash', column, count: hash as number } as const)
    return { rule, ahead, keep: keep ?? null, old: old ?? 'detach' }
  },
)

export const partitions: Schema<readonly PartitionSpec[]> = into(
  mapOf(partitioned, {
    about:
      "Tables that are partitioned on their server: `{ events: { by: 'created_at', every: 'month', keep: 24, old: 'drop' } }`.",
    names: "tables such as 'events' or 'shop.events'",
    pattern: tablePattern,
    entriesMax: tablesMax,
  }),
  (tables): readonly PartitionSpec[] | Refused => {
    const specs: PartitionSpec[] = []
    for (const [name, spec] of Object.entries(tables)) {
      const table = name.includes('.') ? name : `public.${name}`
      if (specs.some(one => one.table === table)) return new Refused(`has '${name}' twice`, 'Leave one out.')
      specs.push({ table, ...spec })
    }
    return specs
  },
)

/** As the file says it. */
export function spellPartitions(specs: readonly PartitionSpec[]): object {
  return Object.fromEntries(
    specs.map(({ table, rule, ahead, keep, old }) => {
      const kind =
        rule.by === 'time'
          ? { every: rule.every }
          : rule.by === 'step'
            ? { step: rule.step }
            : { hash: rule.count }
      const kept = keep === null ? {} : { keep, old }
      return [table.replace(/^public\./, ''), { by: rule.column, ...kind, ahead, ...kept }]
    }),
  )
}
