// Statements about the session itself: settings, which every shard is to have; Tenfold's own; what the client has prepared. In
// a transaction settings are said to all shards that are in it, and kept for those that join.

import { dataRow } from '../../wire/postgres/index.ts'
import type { RouterCommand, SettingChange } from '../sql/contract.ts'
import type { ShardClient } from './client.ts'
import { type Execution, onOne } from './execution.ts'
import { StatementFailed, tagOf } from './statement-failed.ts'
import { booleanOf, type TenfoldSetting, tenfoldSetting } from './tenfold-settings.ts'
import { journalFull } from './transaction.ts'

/** Null: it is none of Tenfold's own. */
export function tenfoldCommand({ client, statement, answer }: Execution): string | null {
  const said = tenfoldSetting(statement.text)
  if (said === null) return null
  if (said.kind === 'set') return set(client, said)
  answer.texts([said.name], [dataRow([shown(client, said.name)])])
  return 'SHOW'
}

function shown(client: ShardClient, name: string): string {
  if (name === 'tenfold.shard') return client.route
  if (name === 'tenfold.region') return client.region
  const on = name === 'tenfold.dry_run' ? client.dryRun : client.allowBroadcast
  return on ? 'on' : 'off'
}

function set(client: ShardClient, { name, value, local }: TenfoldSetting & { kind: 'set' }): string {
  const { transaction, allowBroadcast, dryRun, region } = client
  const isRegion = name === 'tenfold.region'
  if (isRegion) checkRegion(client, value ?? '')
  const on = value === null || isRegion ? false : booleanOf(value)
  if (on === null) throw StatementFailed.of('22023', `parameter "${name}" requires a Boolean value`)
  if (local && !transaction.inTransaction) return 'SET'
  if (local) client.localBefore ??= { allowBroadcast, dryRun, region }
  if (isRegion) client.region = value ?? ''
  else if (name === 'tenfold.dry_run') client.dryRun = on
  else client.allowBroadcast = on
  return value === null ? 'RESET' : 'SET'
}

/** '': nowhere. */
function checkRegion({ routing }: ShardClient, region: string): void {
  if (region === '' || routing.regions.has(region)) return
  const known = [...routing.regions.keys()]
  throw StatementFailed.of('22023', `No table has the region "${region.slice(0, 60)}".`, {
    detail: 'shard-region',
    hint:
      known.length === 0
        ? "No table's rows live by their region (`strategy: 'geo'`)."
        : `Regions are ${known.slice(0, 20).join(', ')}.`,
  })
}

/** What a group's router answers of itself. */
export async function routerCommand(one: Execution, command: RouterCommand): Promise<string> {
  const { client, answer } = one
  if (command.kind === 'show' && command.name === 'tenfold.route') {
    answer.texts([command.name], [dataRow([client.route])])
    return 'SHOW'
  }
  if (command.kind === 'set-after' || (command.kind === 'show' && command.name !== 'tenfold.reads'))
    throw StatementFailed.of(
      '0A000',
      'A token stands for a write on one server; over shards there is none.',
      {
        detail: 'shard-unsupported',
        hint: 'Reads of the same session see its writes; for others choose `SET tenfold.reads TO fresh`.',
      },
    )
  const tag = await onOne(one, client.home, false)
  const seat = client.seats.known(client.home)
  if (seat !== undefined) client.seats.shareReads(seat)
  return tag
}

export async function runSetting(one: Execution): Promise<string> {
  const { client, statement, request } = one
  const { info, text } = statement
  if (info.prepared !== null) return deallocate(client, info.prepared.name)
  if (info.settings.some(change => change.kind === 'unknown' || change.kind === 'unknown-local'))
    throw StatementFailed.of(
      '0A000',
      'What this sets is known only after it has run, and must be on every shard.',
      {
        detail: 'shard-setting',
        hint: 'Use SET, or set_config() with literals.',
      },
    )
  if (info.settings.some(changesEncoding))
    throw StatementFailed.of('0A000', 'Over shards, clients speak UTF-8: client_encoding stays UTF8.', {
      detail: 'shard-setting',
      hint: 'Let the driver use UTF8.',
    })
  const discard = info.settings.find(change => change.kind === 'discard')
  const { transaction, seats } = client
  if (transaction.kind === 'none') {
    const { home } = client
    const tag = await onOne(one, home, false)
    const seat = seats.open(home)
    if (discard?.kind === 'discard') await discarded(client, text, discard.what === 'all')
    else seats.share(seat)
    return tag
  }
  if (transaction.journal.full) throw journalFull()
  const before = transaction.members
  const tag = await onOne(one, client.home, false)
  const first = seats.open(client.home)
  for (const seat of before) if (seat !== first) tagOf(await seat.command(request.sql))
  transaction.journal.setting(text)
  return tag
}

function changesEncoding(change: SettingChange): boolean {
  if (change.kind !== 'set' || !/^(client_encoding|names)$/i.test(change.name)) return false
  return !/^'?(utf-?8|unicode|default)'?$/i.test(change.value)
}

/** Said to the first already. */
async function discarded(client: ShardClient, text: string, all: boolean): Promise<void> {
  const first = client.seats.open(client.home)
  for (const seat of client.seats.opened) if (seat !== first && !seat.lost) tagOf(await seat.command(text))
  client.seats.share(first)
  if (!all) return
  for (const name of [...client.statements.keys()]) client.forget(name)
  client.unnamed = null
  client.cursors.clear()
  client.heldCursors.clear()
  client.allowBroadcast = client.dryRun = false
  client.region = ''
}

function deallocate(client: ShardClient, name: string | null): string {
  if (name === null) {
    for (const known of [...client.statements.keys()]) client.forget(known)
    return 'DEALLOCATE ALL'
  }
  if (!client.statements.has(name))
    throw StatementFailed.of('26000', `prepared statement "${name}" does not exist`)
  client.forget(name)
  return 'DEALLOCATE'
}
