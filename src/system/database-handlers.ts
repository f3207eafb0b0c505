// What the control API asks of databases, answered by their agents. Owns which database and server are meant, and what may
// be shown; decides nothing.

import type { Backups } from '../database/backup/index.ts'
import { databaseFailures } from '../database/failures.ts'
import { Failure } from '../kit/failure.ts'
import type { Changes } from './changes.ts'
import { type CompiledDatabase, loginOf, operatorName, reachable } from './compile-databases.ts'
import type { DatabaseHandlers } from './control/database-handlers.ts'
import type { DatabaseConnectionView, DatabaseSettingsView } from './control/database-views.ts'
import { slowStatements } from './database-slow.ts'
import type { Databases } from './databases.ts'
import { directoryView, setKey } from './directories.ts'
import { systemFailures } from './failures.ts'
import { progressOf } from './operation-progress.ts'
import type { Redactor } from './redact.ts'

export interface HandledDatabases {
  /** Throws SYSTEM_BUSY while they are not there yet. */
  databases(): Databases
  readonly changes: Pick<Changes, 'exclusive' | 'fromFile'>
  readonly redactor: Redactor
}

const queryTimeoutMs = 10_000

const settingsSql = `SELECT name, current_setting(name), source, pending_restart FROM pg_settings
WHERE source NOT IN ('default', 'override', 'client', 'session') ORDER BY name`

const tools = (): Promise<typeof import('./database-tools.ts')> => import('./database-tools.ts')
const reports = (): Promise<typeof import('./shard-reports.ts')> => import('./shard-reports.ts')

export function databaseHandlers({ databases, changes, redactor }: HandledDatabases): DatabaseHandlers {
  const backupsOf = (name: string): Backups => needBackups(name, databases().backups(name))
  return {
    // Neither while the file is applied: both change who is the primary, or which servers there are.
    switchover: (name, to, progress) =>
      changes.exclusive(`a switchover of ${name}`, async () => ({
        text: await databases().group(name).switchover(to, progressOf(name, progress)),
      })),
    failover: (name, { to, lossy }, progress) =>
      changes.exclusive(`a failover of ${name}`, async () => ({
        text: await databases().group(name).failover(to, lossy, progressOf(name, progress)),
      })),
    rebuild: async (name, server, progress) => ({
      text: await databases().group(name).rebuild(server, progressOf(name, progress)),
    }),
    pause: async (name, reason) => {
      databases().group(name).pause(reason)
      return { text: `${name}: no automatic failover and no repair until \`tenfold db resume ${name}\`` }
    },
    resume: async name => {
      databases().group(name).resume()
      return { text: `${name}: failovers and repairs go on by themselves` }
    },
    settings: name => settingsOf(databases(), name, redactor),
    slow: name => slowStatements(databases().group(name)),
    shards: name => databases().shardsView(name),
    heat: name => databases().heatView(name),
    copies: async name => {
      databases().shardGroups(name)
      return databases().copies.view(name)
    },
    copiesRebuild: async (name, copy) => {
      databases().shardGroups(name)
      return databases().copies.rebuild(name, copy)
    },
    advise: async (name, options) =>
      (await import('./database-advice.ts')).adviceView(name, { ...databases().advised(name), ...options }),
    partitions: name => databases().partitionsView(name),
    rollPartitions: name => databases().rollPartitions(name),
    reshard: (name, wish) =>
      changes.exclusive(`a resharding of ${name}`, async () => {
        if (wish.intent.kind !== 'rule') return databases().reshard(name, wish)
        const { system } = await changes.fromFile()
        return databases().reshardRule(name, wish, system.databases[name]?.shards ?? null)
      }),
    directory: async (name, ask) =>
      directoryView(name, databases().directoryPorts(name, (await reports()).askerOf), ask),
    directorySet: (name, { family, key, shard }) =>
      changes.exclusive(`a place for a key of ${name}`, async () =>
        setKey(databases().directoryPorts(name, (await reports()).askerOf), family, key, shard),
      ),
    reshardWish: async (name, what) => databases().reshards(name).wish(name, what),
    reshardView: async name => databases().reshards(name).view(name),
    connection: async (name, as, server) => connectionOf(databases(), name, as, server),
    verify: async (name, progress) =>
      (await tools()).verify(databases().group(name), progressOf(name, progress)),
    drift: async (name, progress) =>
      (await reports()).driftReport(name, databases().mappedGroups(name), progress),
    dangling: async (name, progress) =>
      (await reports()).danglingReport(name, databases().mappedGroups(name), progress),
    unique: async (name, verify, progress) => {
      databases().shardGroups(name)
      return databases().unique.look(name, verify, progress)
    },
    export: (name, ask, progress) => databases().exports(name).run(name, ask, progressOf(name, progress)),
    splitColumns: (name, wish) =>
      changes.exclusive(`a split of a table of ${name}`, () => databases().splitColumns(name, wish)),
    splitColumnsWish: async (name, what, rewrite) => databases().columnSplits(name).wish(name, what, rewrite),
    splitColumnsView: async name => databases().columnSplits(name).view(name),
    backup: async (name, progress) => (await tools()).backUp(backupsOf(name), progressOf(name, progress)),
    backups: async name => (await tools()).backupsView(backupsOf(name)),
    restore: async (name, { to, into }, progress) => {
      const running = databases().names
      const options = databases().serversOptions(name)
      return (await tools()).restore(
        backupsOf(name),
        options,
        { to, into, running },
        progressOf(name, progress),
      )
    },
    drill: async (name, progress) => (await tools()).drill(backupsOf(name), progressOf(name, progress)),
  }
}

async function settingsOf(
  databases: Databases,
  name: string,
  redactor: Redactor,
): Promise<DatabaseSettingsView> {
  const group = databases.group(name)
  const server = primaryOf(databases, name)
  const rows = await group.servers.query(server, settingsSql, queryTimeoutMs)
  return {
    server,
    settings: rows.map(([setting, value, source, pending]) => ({
      name: setting ?? '',
      value: redactor.text(value ?? ''),
      source: source ?? '',
      pending: pending === 't' || pending === 'true',
    })),
  }
}

/** Throws DATABASE_NO_PRIMARY. */
function primaryOf(databases: Databases, name: string): string {
  const { primary, trouble } = databases.group(name).topology
  if (primary !== null) return primary
  throw new Failure(
    systemFailures.databaseWithoutPrimary,
    `'${name}' has no primary now: ${trouble || 'unknown'}.`,
  )
}

function connectionOf(
  databases: Databases,
  name: string,
  as: string | null,
  server: string | null,
): DatabaseConnectionView {
  const compiled = databases.compiled(name)
  if (server === null) return throughRouter(compiled, as)
  const group = databases.group(name)
  const id = server === 'primary' ? primaryOf(databases, name) : server
  const found = group.topology.servers.find(one => one.id === id)
  if (found === undefined) {
    const there = group.topology.servers.map(one => one.id).join(', ')
    throw new Failure(databaseFailures.serverUnknown, `'${name}' has no server '${id}'; it has ${there}.`)
  }
  const { user, password } = adminOf(databases, name)
  const { host, port } = found
  const tls = compiled.routing.serverTls.mode
  return {
    host,
    port,
    user,
    password,
    database: compiled.spec.database,
    sslmode: tls === 'off' ? 'disable' : tls === 'require' ? 'require' : 'verify-full',
    through: id,
  }
}

function throughRouter({ spec, shard, ...own }: CompiledDatabase, as: string | null): DatabaseConnectionView {
  // A shard is not to be had by itself: the router leads to all of them.
  const routing = shard?.front.routing ?? own.routing
  const client = routing.clients.find(one =>
    as === null ? one.service === null : one.service === as || one.name === as,
  )
  if (client === undefined) {
    const there = routing.clients.flatMap(one => one.service ?? []).join(', ')
    throw new Failure(
      systemFailures.databaseUserUnknown,
      `The service '${as}' has no access to '${spec.name}'; these have: ${there || 'none'}.`,
    )
  }
  const { host, port, tls } = routing.listener
  return {
    host: reachable(host).replace(/^\[|\]$/g, ''),
    port,
    user: client.name,
    password: client.password,
    database: spec.database,
    sslmode: tls === undefined ? 'disable' : 'require',
    through: 'the router',
  }
}

function adminOf(databases: Databases, name: string): { user: string; password: string } {
  const { servers } = databases.compiled(name).spec
  if (servers.kind === 'existing') return loginOf(servers.urls[0] ?? '')
  const admin = databases.group(name).roles.find(role => role.name === operatorName)
  return { user: operatorName, password: admin?.password ?? '' }
}

/** Throws SYSTEM_BACKUP_UNASKED. */
function needBackups(name: string, backups: Backups | null): Backups {
  if (backups !== null) return backups
  throw new Failure(
    systemFailures.backupUnasked,
    `The file asks for no backups of '${name}': databases.${name}.backup is not there.`,
  )
}
