// `SET tenfold.dry_run TO on`: statements say where they would go, and do not.

import { dataRow } from '../../wire/postgres/index.ts'
import type { AcrossPlan, ShardPlan, ShardRefusal } from '../sql/shards/contract.ts'
import type { Execution } from './execution.ts'

export function dryRun({ client, statement, answer }: Execution, shards: readonly number[]): string {
  const { plan, text } = statement
  const ids = shards.map(shard => client.routing.map.shards[shard] ?? '?').join(', ')
  const rows = [dataRow([ids, howOf(plan, shards.length), text])]
  for (const sql of textsOf(plan, shards.length)) rows.push(dataRow([ids, 'on each shard', sql]))
  answer.texts(['shards', 'plan', 'sql'], rows)
  return `SELECT ${rows.length}`
}

function howOf(plan: ShardPlan, shards: number): string {
  const across = acrossOf(plan)
  if (shards === 1 && (plan.kind === 'one' || plan.kind === 'keys')) return 'as it is'
  if (across === null) return plan.kind
  return 'how' in across ? across.how : `refused: ${across.code}`
}

function textsOf(plan: ShardPlan, shards: number): readonly string[] {
  const across = acrossOf(plan)
  if (across === null || !('how' in across) || (shards === 1 && plan.kind === 'keys')) return []
  switch (across.how) {
    case 'concat':
      return across.sql === null ? [] : [across.sql]
    case 'merge':
      return [across.sql]
    case 'combine':
      return [...across.parts.map(part => `${part.name}: ${part.sql}`), `then: ${across.sql}`]
    case 'move':
      return [across.take]
    default:
      return []
  }
}

function acrossOf(plan: ShardPlan): AcrossPlan | ShardRefusal | null {
  return plan.kind === 'keys' || plan.kind === 'all' ? plan.across : null
}
