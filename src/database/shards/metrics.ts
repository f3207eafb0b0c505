// Figures of what a router does for sharded databases beside its clients. Read when somebody looks.

import type { Metrics } from '../../kit/metrics.ts'
import type { UpkeepStatus } from './upkeep.ts'

export interface KeptUp {
  readonly name: string
  readonly upkeep: { status(): UpkeepStatus }
  readonly heat: { readonly totals: ReadonlyMap<string, readonly [reads: number, writes: number]> }
}

export function addShardMetrics(metrics: Metrics, databases: () => readonly KeptUp[]): void {
  const each = (
    kind: 'gauge' | 'counter',
    name: string,
    help: string,
    read: (status: UpkeepStatus) => number,
  ): void =>
    metrics.pull(kind, { name, help, labels: ['database'] }, () =>
      databases().map(one => ({ labels: { database: one.name }, value: read(one.upkeep.status()) })),
    )
  each(
    'gauge',
    'database_shards_prepared',
    'Parts of commits over shards that are prepared and not ended.',
    one => one.prepared,
  )
  each(
    'gauge',
    'database_shards_prepared_oldest_seconds',
    'Age of the oldest of them.',
    one => one.oldestMs / 1_000,
  )
  each(
    'gauge',
    'database_shards_unreachable',
    'Shards that could not be looked through for them.',
    one => Object.keys(one.troubles).length,
  )
  each(
    'counter',
    'database_shards_recovered_commits_total',
    'Parts left behind by their coordinator that were committed.',
    one => one.committed,
  )
  each(
    'counter',
    'database_shards_recovered_rollbacks_total',
    'Parts left behind by their coordinator that were rolled back.',
    one => one.rolledBack,
  )
  each(
    'counter',
    'database_shards_deadlocks_total',
    'Deadlocks over shards that were ended.',
    one => one.deadlocks,
  )
  metrics.pull(
    'counter',
    {
      name: 'database_shards_statements_total',
      help: 'Keys in statements, and statements without one, by the shard they went to.',
      labels: ['database', 'shard', 'kind'],
    },
    function* () {
      for (const { name, heat } of databases())
        for (const [shard, [reads, writes]] of heat.totals) {
          yield { labels: { database: name, shard, kind: 'read' }, value: reads }
          yield { labels: { database: name, shard, kind: 'write' }, value: writes }
        }
    },
  )
}
