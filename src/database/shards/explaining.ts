// EXPLAIN over shards: where the statement goes, then what each of those servers says of its part.

import { dataRow } from '../../wire/postgres/index.ts'
import type { ShardPlan } from '../sql/shards/contract.ts'
import { type Execution, onOne, refused, targets } from './execution.ts'
import { StatementFailed } from './statement-failed.ts'

export async function explain(
  one: Execution,
  { of, analyze }: Extract<ShardPlan, { kind: 'explain' }>,
): Promise<string> {
  if (of.kind === 'refuse') throw refused(of.refusal)
  if (of.kind === 'one' || of.kind === 'keys') {
    const shards = targets(one, of)
    if (shards.length === 1) return onOne(one, shards[0] as number, of.writes)
    if (of.kind === 'keys' && 'sqlState' in of.across) throw refused(of.across)
  }
  if (analyze)
    throw StatementFailed.of('0A000', 'EXPLAIN ANALYZE would run the statement on every shard by itself.', {
      detail: 'shard-explain-analyze',
      hint: 'Use EXPLAIN, or fix the sharding key.',
    })
  return onEach(one, of)
}

async function onEach(one: Execution, of: ShardPlan): Promise<string> {
  const { client, answer, request } = one
  const rows: Buffer[] = []
  const how = of.kind === 'keys' || of.kind === 'all' ? of.across : null
  const route = how !== null && 'how' in how ? how.how : of.kind
  for (const shard of targets(one, of)) {
    const seat = await client.transaction.seat(shard)
    rows.push(dataRow([`Shard ${seat.id} (${route})`]))
    const end = await seat.run(
      { ...request, resultFormats: [] },
      { row: (bytes, from, to) => rows.push(Buffer.from(bytes.subarray(from, to))) },
    )
    if (end.errorFrame !== null) throw new StatementFailed(end.errorFrame)
  }
  answer.texts(['QUERY PLAN'], rows)
  return 'EXPLAIN'
}
