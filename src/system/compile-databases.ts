// Checked system -> what agents and the router work from: the specs of the databases, the router's snapshot, and the URLs
// that services get. Pure but for the hash that passwords are made of: the same arguments give the same, so a reload can
// be compared with what runs.

import { createHmac } from 'node:crypto'
import { resolve } from 'node:path'
import type {
  Access,
  DatabaseRole,
  DatabaseSpec,
  EmbeddedServers,
  ExistingServers,
  ServerTls,
  Topology,
} from '../database/contract.ts'
import {
  type FeedListeners,
  type RoutedDatabase,
  type RoutedShards,
  type RouterSnapshot,
  type RouterUser,
  routerSnapshotFormat,
} from '../database/router/snapshot.ts'
import {
  accessOf,
  type CheckedDatabase,
  type CheckedEmbeddedServers,
  type CheckedExistingServers,
  type CheckedSystem,
  databaseVariables,
  shardGroups,
} from '../file/index.ts'
import type { PartitionSpec } from '../policy/partition/contract.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import type { ShardsSpec } from '../policy/shard/map.ts'
import { feedListeners } from './compile-caches.ts'
import type { SecretValues } from './load-secrets.ts'

export interface DatabaseContext {
  /** Absolute: the folder of the system file, from which its paths are meant. */
  readonly baseDirectory: string
  /** Secrets by name; those that databases need are there. */
  readonly secrets: SecretValues
  /** Base64: what passwords of clients are made of. */
  readonly passwordSecret: string
  /** Of the router, by database; one for each whose file says 0. */
  readonly ports: Readonly<Record<string, number>>
}

export interface CompiledDatabase {
  readonly spec: DatabaseSpec
  /** Whom the change feeds of the system's databases tell: the same in each of them. */
  readonly listeners: FeedListeners | null
  /** What the router is told besides how the database stands. */
  readonly routing: Routing
  /** Of tables that are rolled forward. */
  readonly partitions: readonly PartitionSpec[]
  /** It is one shard of a database. */
  readonly shard?: CompiledShard
}

export interface CompiledShard {
  /** An id of the map. */
  readonly id: string
  /** The database that clients know: the same in each of its shards. */
  readonly front: CompiledFront
}

export interface CompiledFront {
  readonly routing: Routing
  readonly shards: ShardsSpec
  /** Names prepared transactions of this system. */
  readonly systemId: string
}

type Standing =
  | 'own'
  | 'epoch'
  | 'timeline'
  | 'primary'
  | 'holding'
  | 'trouble'
  | 'servers'
  | 'users'
  | 'monitor'

export interface Routing extends Omit<RoutedDatabase, Standing> {
  readonly clients: readonly Client[]
}

export interface Client {
  /** `svc_api`; `tenfold` for operators. */
  readonly name: string
  readonly password: string
  readonly access: Access
  /** Null: operators. */
  readonly service: string | null
}

export const operatorName = 'tenfold'
const monitorName = 'tenfold_monitor'

export function compileDatabases(system: CheckedSystem, context: DatabaseContext): CompiledDatabase[] {
  const listeners = feedListeners(system, context)
  const compiled = (database: CheckedDatabase): CompiledDatabase => ({
    listeners,
    partitions: database.partitions,
    spec: specOf(system, database, context),
    routing: routingOf(system, database, context),
  })
  return Object.values(system.databases).flatMap(database => {
    if (database.shards === null) return [compiled(database)]
    const front = {
      routing: routingOf(system, database, context),
      shards: database.shards,
      systemId: systemIdOf(context),
    }
    return shardGroups(database).map(group => {
      const one = compiled(group)
      // Clients log in at the front, by what it knows of them.
      const routing = { ...one.routing, clients: front.routing.clients }
      return { ...one, routing, shard: { id: group.shard, front } }
    })
  })
}

/** The same over restarts, another in each system. */
function systemIdOf({ passwordSecret }: DatabaseContext): string {
  return createHmac('sha256', Buffer.from(passwordSecret, 'base64'))
    .update('system')
    .digest('hex')
    .slice(0, 16)
}

function specOf(system: CheckedSystem, database: CheckedDatabase, context: DatabaseContext): DatabaseSpec {
  const { name, servers, durability, failover, backup } = database
  return {
    name,
    database: database.database,
    servers: servers.kind === 'embedded' ? embedded(servers, context) : existing(servers, context),
    durability,
    failover,
    access: accessOf(system, database),
    backup: backup && { ...backup, directory: resolve(context.baseDirectory, backup.directory) },
  }
}

function embedded({ members, settings }: CheckedEmbeddedServers, context: DatabaseContext): EmbeddedServers {
  const directories = members.flatMap(({ id, directory }) =>
    directory === undefined ? [] : [[id, resolve(context.baseDirectory, directory)] as const],
  )
  return {
    kind: 'embedded',
    members: members.map(({ id, from, delayMs }) => ({ id, from, delayMs })),
    settings,
    directories: Object.fromEntries(directories),
  }
}

function existing({ urls, tls }: CheckedExistingServers, context: DatabaseContext): ExistingServers {
  return {
    kind: 'existing',
    urls: urls.map(url => (typeof url === 'string' ? url : (context.secrets[url.secret] ?? ''))),
    tls: absoluteTls(tls, context),
  }
}

function absoluteTls({ mode, caFile }: CheckedExistingServers['tls'], context: DatabaseContext): ServerTls {
  return { mode, ...(caFile === undefined ? {} : { caFile: resolve(context.baseDirectory, caFile) }) }
}

function routingOf(system: CheckedSystem, database: CheckedDatabase, context: DatabaseContext): Routing {
  const { name, tls, servers, reads, readWaitMs, balance, weights, pool, hold, shared, lag } = database
  const file = (path: string): string => resolve(context.baseDirectory, path)
  return {
    name,
    database: database.database,
    listener: {
      host: database.listen.host,
      port: portOf(database, context),
      ...(tls ? { tls: { certFile: file(tls.certFile), keyFile: file(tls.keyFile) } } : {}),
    },
    serverTls: servers.kind === 'existing' ? absoluteTls(servers.tls, context) : { mode: 'off' },
    clients: clientsOf(system, database, context),
    reads,
    readWaitMs,
    balance,
    weights,
    pool,
    hold,
    shared,
    lag,
    ...cachingOf(database),
  }
}

function cachingOf({
  name,
  invalidate,
  cacheQueries,
}: CheckedDatabase): Pick<Routing, 'feed' | 'cacheQueries'> {
  if (invalidate.length === 0 && cacheQueries === null) return {}
  const tables = [...new Set(cacheQueries?.rules.flatMap(rule => rule.tables))]
  return {
    feed: { database: name, rules: invalidate, tables },
    ...(cacheQueries === null ? {} : { cacheQueries }),
  }
}

const portOf = (database: CheckedDatabase, { ports }: DatabaseContext): number =>
  database.listen.port === 0 ? (ports[database.name] ?? 0) : database.listen.port

/** As the servers call him, too. */
export const userOfService = (service: string): string => `svc_${service}`

function clientsOf(system: CheckedSystem, database: CheckedDatabase, context: DatabaseContext): Client[] {
  const services = Object.entries(accessOf(system, database)).map(([service, access]): Client => {
    const name = userOfService(service)
    return { name, password: passwordOf(database.name, name, context), access, service }
  })
  const password = passwordOf(database.name, operatorName, context)
  return [...services, { name: operatorName, password, access: 'owner', service: null }]
}

/** For logging in to the router; what the router logs in with is the servers'. The same over restarts. */
function passwordOf(database: string, user: string, { passwordSecret }: DatabaseContext): string {
  return createHmac('sha256', Buffer.from(passwordSecret, 'base64'))
    .update(`${database}/${user}`)
    .digest('base64url')
}

/** What a service finds in its environment. */
export function databaseEnvironment(
  system: CheckedSystem,
  service: string,
  context: DatabaseContext,
): Record<string, string> {
  const found = system.services[service]
  if (found?.kind !== 'command') return {}
  return Object.fromEntries(
    databaseVariables(system, found).map(({ variable, database }) => [
      variable,
      urlFor(system.databases[database] as CheckedDatabase, userOfService(service), context),
    ]),
  )
}

function urlFor(database: CheckedDatabase, user: string, context: DatabaseContext): string {
  const place = `${reachable(database.listen.host)}:${portOf(database, context)}`
  return `postgres://${user}:${passwordOf(database.name, user, context)}@${place}/${database.database}`
}

/** A listener on every address is reached on loopback. */
export function reachable(host: string): string {
  const at = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return at.includes(':') ? `[${at}]` : at
}

/** `roles`: who the servers know. */
export function routedDatabase(
  { spec, routing: { clients, ...routing } }: CompiledDatabase,
  topology: Topology,
  roles: readonly DatabaseRole[],
): RoutedDatabase {
  // Servers elsewhere know one user, that of their URL.
  const only = spec.servers.kind === 'existing' ? loginOf(spec.servers.urls[0] ?? '') : null
  const admin = roles.find(role => role.name === operatorName)
  const login = (role: DatabaseRole | undefined): RouterUser['server'] =>
    only ?? { user: role?.name ?? operatorName, password: role?.password ?? '' }
  return {
    ...routing,
    ...(spec.servers.kind === 'embedded' ? { own: true } : {}),
    epoch: topology.epoch,
    timeline: topology.timeline,
    primary: topology.primary,
    holding: topology.holding,
    trouble: topology.trouble,
    servers: topology.servers,
    users: clients.map(({ name, password, access, service }) => ({
      name,
      password,
      access,
      server: login(service === null ? admin : roles.find(role => role.service === service)),
    })),
    monitor: login(roles.find(role => role.name === monitorName) ?? admin),
  }
}

/** Of its groups, in the order of the map's shards. */
export function shardedDatabase(
  { routing: { clients, ...routing }, systemId }: CompiledFront,
  map: ShardMap,
  groups: readonly RoutedDatabase[],
  told: Pick<RoutedShards, 'moving' | 'holding' | 'definitions'> | null,
): RoutedDatabase {
  const login = { user: operatorName, password: '' }
  return {
    ...routing,
    own: true,
    epoch: 1,
    timeline: 1,
    primary: null,
    holding: false,
    trouble: '',
    servers: [],
    users: clients.map(({ name, password, access }) => ({ name, password, access, server: login })),
    monitor: login,
    shards: { map, groups, systemId, ...told },
  }
}

/** User and password of a server's URL. */
export function loginOf(url: string): RouterUser['server'] {
  const [, user = '', password = ''] = /^[a-z]+:\/\/([^:@/]*)(?::([^@/]*))?@/.exec(url) ?? []
  return { user: decodeURIComponent(user) || 'postgres', password: decodeURIComponent(password) }
}

export function routerSnapshot(
  version: number,
  databases: readonly RoutedDatabase[],
  feeds: FeedListeners | null,
): RouterSnapshot {
  return { format: routerSnapshotFormat, version, databases, ...(feeds === null ? {} : { feeds }) }
}

/** Everything that nobody may see: for the redactor. */
export function secretsOfDatabases(databases: readonly CompiledDatabase[]): string[] {
  return databases.flatMap(({ spec, routing, shard }) => [
    ...[...routing.clients, ...(shard?.front.routing.clients ?? [])].map(client => client.password),
    ...(spec.servers.kind === 'existing'
      ? spec.servers.urls.flatMap(url => [url, loginOf(url).password])
      : []),
  ])
}
