// One statement of a client, by its plan: on one shard as it is, on several by `gather/`, or by the session itself. Knows
// nothing of the protocol around it: the answer goes to `answer`, the tag back, what fails is thrown.

import type { AcrossPlan, ShardPlan } from '../sql/shards/contract.ts'
import type { ShardClient } from './client.ts'
import type { SeatEnd } from './contract.ts'
import { control, isRollbackTo } from './controls.ts'
import { copyIn, copyOut } from './copying.ts'
import { LookedUp } from './directory-places.ts'
import { dryRun } from './dry-run.ts'
import { type Execution, isHeld, onOne, placesOf, refused, targets } from './execution.ts'
import { explain } from './explaining.ts'
import { gatherLimits, runAcross } from './gather/index.ts'
import { routerCommand, runSetting, tenfoldCommand } from './session-commands.ts'
import { StatementFailed, tagOf } from './statement-failed.ts'
import type { TextStatement } from './texts.ts'
import { keepUnique } from './unique.ts'

const cursorsMax = 10_000

/** Answers the tag. */
export async function execute(given: Execution): Promise<string> {
  const { client, statement } = given
  const { plan, info, text } = statement
  if (client.transaction.failed && !endsFailure(info.transaction, text)) throw inFailedTransaction()
  const own = tenfoldCommand(given)
  if (own !== null) return own
  if (plan.kind === 'refuse') throw refused(plan.refusal)
  if (plan.kind === 'transaction' || info.transaction !== 'none') return control(client, text)
  if (info.command !== null) return routerCommand(given, info.command)
  if (info.prepared !== null && !(info.prepared.kind === 'deallocate'))
    throw StatementFailed.of('0A000', 'PREPARE and EXECUTE of SQL do not work over shards.', {
      detail: 'shard-unsupported',
      hint: 'Prepare by the protocol, as drivers do for parameters.',
    })
  const one = await lookedUp(given)
  if (client.dryRun) return dryRun(one, targets(one, plan))
  if (plan.kind === 'session' || info.settings.length > 0 || info.prepared !== null) return runSetting(one)
  if (statement.notes !== true) return byPlan(one, plan)
  await client.transaction.begin()
  const tag = await byPlan(one, plan)
  await keepUnique(client)
  return tag
}

/** Where a directory has the keys of the statement, if any family has one. */
async function lookedUp(one: Execution): Promise<Execution> {
  const { client, request, statement } = one
  const { routing } = client
  if (!routing.directory.used) return one
  const { kind } = statement.info
  const looked = new LookedUp(
    routing,
    routing.directory,
    !client.dryRun && (kind === 'insert' || kind === 'merge'),
  )
  const { parameters: values, parameterFormats: formats, types } = request
  await looked.prepare(statement.plan, client.places({ values, formats, types }, null, looked))
  return { ...one, looked }
}

async function byPlan(one: Execution, plan: ShardPlan): Promise<string> {
  const { request } = one
  switch (plan.kind) {
    case 'one':
      return onOne(one, targets(one, plan)[0] as number, plan.writes)
    case 'keys': {
      const shards = targets(one, plan)
      if (shards.length === 1) return onOne(one, shards[0] as number, plan.writes)
      if ('sqlState' in plan.across) throw refused(plan.across)
      return across(one, plan.across, shards, { family: plan.family, keys: plan.keys })
    }
    case 'all':
      return across(one, plan.across, targets(one, plan))
    case 'cursor':
      return cursor(one, plan)
    case 'copy-in':
      return copyIn(one, plan)
    case 'copy-out':
      return copyOut(one, plan)
    case 'ddl':
      return plan.transactional ? ddl(one) : everyShard(one)
    case 'explain':
      return explain(one, plan)
    default:
      throw StatementFailed.of('0A000', `This does not work over shards: ${request.sql.slice(0, 60)}`)
  }
}

async function across(
  one: Execution,
  plan: AcrossPlan,
  shards: readonly number[],
  keyed?: NonNullable<Parameters<typeof runAcross>[0]['keyed']>,
): Promise<string> {
  const { client, request, answer } = one
  const over = client.routing.began(one.statement)
  try {
    const types = request.parameters.length > 0 ? await one.types() : request.types
    const family = familyOf(client, plan)
    const end = await runAcross({
      plan,
      request: { ...request, types },
      targets: shards,
      ...(keyed === undefined ? {} : { keyed }),
      ...(family === undefined ? {} : { family }),
      seats: client.transaction,
      places: placesOf(one),
      answer,
      limits: gatherLimits,
      scratchShard: client.home,
    })
    if ('errorFrame' in end) throw new StatementFailed(end.errorFrame)
    return end.tag
  } finally {
    over()
  }
}

function familyOf({ routing }: ShardClient, plan: AcrossPlan): string | undefined {
  const place = plan.how === 'move' ? routing.map.tables[plan.table] : undefined
  return place?.kind === 'sharded' ? place.family : undefined
}

/** Said on all shards in one distributed transaction. */
async function ddl(one: Execution): Promise<string> {
  const { client, request, answer, simple } = one
  const { transaction, routing } = client
  await transaction.begin()
  let tag = ''
  for (const shard of routing.groups.keys()) {
    const seat = await transaction.seat(shard)
    transaction.wroteOn(shard)
    const sink = shard === 0 ? answer.sinkOf(seat) : { row: () => {} }
    const end = simple ? await seat.query(request.sql, sink) : await seat.run(request, sink)
    const said = tagOf(end)
    if (shard === 0) tag = said
    if (routing.uniques.size > 0) tagOf(await seat.command('SELECT tenfold.unique_attach()'))
  }
  client.tablesChanged = true
  return tag
}

/** What can't be in a transaction: one shard after the other. */
async function everyShard(one: Execution): Promise<string> {
  const { client, request, answer, simple } = one
  const { transaction, routing } = client
  let tag = ''
  for (const shard of routing.groups.keys()) {
    const seat = await transaction.seat(shard)
    transaction.wroteOn(shard)
    const sink = shard === 0 ? answer.sinkOf(seat) : { row: () => {} }
    const end = simple ? await seat.query(request.sql, sink) : await seat.run(request, sink)
    if (shard > 0 && end.error !== null) throw partly(client, shard, end)
    const said = tagOf(end)
    if (shard === 0) tag = said
  }
  client.tablesChanged = true
  return tag
}

function partly({ routing }: ShardClient, shard: number, { error }: SeatEnd): StatementFailed {
  const { shards } = routing.map
  const message = `${error?.message ?? 'it failed'} (on shard ${shards[shard]}; done on ${shards.slice(0, shard).join(', ')})`
  return StatementFailed.of(error?.code ?? 'XX000', message, {
    detail: 'shard-ddl-partly',
    hint: 'Say it again with IF NOT EXISTS or IF EXISTS once the cause is gone.',
  })
}

async function cursor(one: Execution, plan: Extract<ShardPlan, { kind: 'cursor' }>): Promise<string> {
  const { client } = one
  if (plan.declares === null) {
    if (plan.name === '') return closeAll(one)
    const shard = client.cursors.get(plan.name) ?? client.home
    const tag = await onOne(one, shard, false)
    if (tag === closed) forgetCursor(client, plan.name)
    return tag
  }
  if (plan.declares.kind === 'refuse') throw refused(plan.declares.refusal)
  const shards =
    plan.declares.kind === 'one' || plan.declares.kind === 'keys' ? targets(one, plan.declares) : []
  if (shards.length !== 1)
    throw StatementFailed.of('0A000', 'A cursor can not go over several shards.', {
      detail: 'shard-cursor',
      hint: 'Fix the sharding key in its query, or read the result as it comes.',
    })
  if (client.cursors.size >= cursorsMax)
    throw StatementFailed.of('53400', `This client has ${cursorsMax} cursors already.`)
  const tag = await onOne(one, shards[0] as number, false)
  client.cursors.set(plan.name, shards[0] as number)
  if (isHeld(one.statement)) client.heldCursors.add(plan.name)
  else client.heldCursors.delete(plan.name)
  return tag
}

/** The tag of CLOSE. */
const closed = 'CLOSE CURSOR'

function forgetCursor({ cursors, heldCursors }: ShardClient, name: string): void {
  cursors.delete(name)
  heldCursors.delete(name)
}

async function closeAll(one: Execution): Promise<string> {
  const { client, request } = one
  const others = new Set(client.cursors.values())
  const tag = await onOne(one, client.home, false)
  others.delete(client.home)
  for (const shard of others) tagOf(await (await client.transaction.seat(shard)).command(request.sql))
  for (const name of [...client.cursors.keys()]) forgetCursor(client, name)
  return tag
}

export function inFailedTransaction(): StatementFailed {
  return StatementFailed.of(
    '25P02',
    'current transaction is aborted, commands ignored until end of transaction block',
  )
}

/** COMMIT, ROLLBACK, ROLLBACK TO. */
function endsFailure(transaction: TextStatement['info']['transaction'], text: string): boolean {
  if (transaction === 'commit' || transaction === 'rollback') return true
  return transaction === 'savepoint' && isRollbackTo(text)
}
