// The keys of `databases`: which PostgreSQL servers there are, and how services reach them. It gives the checked system's
// databases, except for their names and the ids of their servers. Larger parts are in database-servers.ts and
// database-pool.ts.

import type { CheckedListen } from './checked.ts'
import type { CheckedAccess, CheckedDatabase, CheckedExistingServers } from './checked-databases.ts'
import { cacheQueries, invalidate } from './database-caching.ts'
import { hold, lag, pool, reads } from './database-pool.ts'
import {
  backup,
  type ParsedReplica,
  replicas,
  replicasMax,
  servers,
  serverTls,
  settings,
} from './database-servers.ts'
import { shards } from './database-shards.ts'
import { listenAt } from './network.ts'
import { partitions } from './partitions.ts'
import { servicePattern } from './services.ts'
import { defined, into, mapOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, duration, flag, leaf, Refused, type Schema, whole } from './values.ts'

/** A database before its name is known, and with it the ids of its servers. */
export interface UnnamedDatabase extends Omit<CheckedDatabase, 'name' | 'servers'> {
  readonly servers:
    | CheckedExistingServers
    | {
        readonly kind: 'embedded'
        readonly directory?: string
        readonly replicas: readonly ParsedReplica[]
        readonly settings: Readonly<Record<string, string>>
      }
}

const identifier = /^[a-z_][a-z0-9_]{0,62}$/
const takenNames = ['postgres', 'template0', 'template1']

const databaseName: Schema<string> = leaf({
  about: 'The database inside PostgreSQL; what clients name.',
  allowed: 'a name of small letters, digits and _, of at most 63 characters',
  json: { type: 'string', pattern: identifier.source },
  parse: value => {
    if (typeof value !== 'string' || !identifier.test(value)) return undefined
    return takenNames.includes(value) ? new Refused("is PostgreSQL's own", 'Choose another name.') : value
  },
})

const access: Schema<Readonly<Record<string, CheckedAccess>>> = mapOf(
  choice('owner: may change tables, too. write: rows only. read: SELECT only.', ['owner', 'write', 'read']),
  {
    about:
      'What services may do, by name; only those named get a URL. Left out: every service that Tenfold runs is an owner.',
    names: "services with 'owner', 'write' or 'read'",
    pattern: servicePattern,
    entriesMax: 200,
  },
)

const failover: Schema<CheckedDatabase['failover']> = into(
  strict(
    {
      automatic: flag(
        'Promotes a replica when the primary is lost. `false`: only by `tenfold db failover`.',
      ).prefault(true),
      detect: duration(
        'A server that answers nothing for this long is taken for dead. One whose process ended is dead at once.',
        '100ms',
        '10m',
      ).prefault('1s'),
    },
    { about: 'What happens when the primary is lost.' },
  ),
  keys => ({ automatic: keys.automatic, detectTimeoutMs: keys.detect }),
)

const databaseKeys = {
  engine: choice('What it is.', ['postgres']).prefault('postgres'),
  database: databaseName.prefault('app'),
  listen: listenAt(
    'Where the router listens for clients: a port on loopback, or `host:port`. 0 = any free port, which it keeps.',
    '127.0.0.1',
  ).prefault(0),
  tls: strict(
    {
      certFile: filePath('The certificate with its chain (PEM)'),
      keyFile: filePath('Its private key (PEM)'),
    },
    { about: 'Lets clients of the router speak TLS. Left out: none.' },
  ).optional(),
  replicas: replicas.optional(),
  directory: filePath('The data of the first server. Left out: in the state directory').optional(),
  settings: settings.optional(),
  servers: servers.optional(),
  serverTls: serverTls.optional(),
  shared: flag(
    "Somebody writes to the servers past this router: `fresh` reads then ask the primary what the last write was, instead of remembering it. Left out: true with 'servers', else false.",
  ).optional(),
  durability: choice(
    'When a write is acknowledged: when it is on the disk of the primary, of one replica as well, or of all replicas as well.',
    ['primary', 'one-replica', 'all-replicas'],
  ).optional(),
  reads: reads.prefault('primary'),
  readWait: duration(
    'How long a read may wait for a replica to have what it must see; then the primary serves it.',
    '0ms',
    '1s',
  ).prefault('2ms'),
  balance: choice('How a replica is chosen.', [
    'least-connections',
    'least-response-time',
    'round-robin',
  ]).prefault('least-connections'),
  weights: mapOf(whole('Its share of the reads, relative to the others.', 0, 1000), {
    about: "Weights of single servers: `{ 'main-2': 3 }`. The others weigh 1.",
    names: "servers such as 'main-2' with their weights",
    pattern: /^[a-z][a-z0-9-]*-[1-9]\d?$/,
    entriesMax: replicasMax + 1,
  }).prefault({}),
  pool: pool.prefault({}),
  hold: hold.prefault({}),
  lag: lag.prefault({}),
  failover: failover.prefault({}),
  access: access.optional(),
  backup: backup.optional(),
  invalidate: invalidate.prefault([]),
  cacheQueries: cacheQueries.optional(),
  shards: shards.optional(),
  partitions: partitions.prefault({}),
}

const embeddedOnly = ['replicas', 'directory', 'settings', 'durability', 'backup'] as const

const database: Schema<UnnamedDatabase> = into(
  strict(databaseKeys, {
    about:
      'One database: PostgreSQL servers that Tenfold runs (a primary and `replicas`), or `servers` that run elsewhere.',
    elsewhere: {
      url: "Write servers: ['postgres://...'].",
      instances: "Did you mean 'replicas'?",
      port: "Did you mean 'listen'?",
      name: "Did you mean 'database'?",
      users: "Did you mean 'access'?",
      synchronous: "Did you mean 'durability'?",
      consistency: "Did you mean 'reads'?",
    },
  }),
  (keys): UnnamedDatabase | Refused => {
    const stands = standsOn(keys)
    if (stands instanceof Refused) return stands
    const trouble = keys.shards === undefined ? null : shardsTrouble(keys, stands)
    if (trouble !== null) return trouble
    return defined({
      engine: keys.engine,
      database: keys.database,
      listen: keys.listen,
      tls: keys.tls,
      servers: stands,
      durability: keys.durability ?? 'primary',
      reads: keys.reads,
      readWaitMs: keys.readWait,
      balance: keys.balance,
      weights: keys.weights,
      shared: keys.shared ?? stands.kind === 'existing',
      pool: keys.pool,
      hold: keys.hold,
      lag: keys.lag,
      failover: keys.failover,
      access: keys.access ?? null,
      backup: keys.backup ?? null,
      invalidate: keys.invalidate,
      cacheQueries: keys.cacheQueries ?? null,
      shards: keys.shards ?? null,
      partitions: keys.partitions,
    }) as UnnamedDatabase
  },
)

/** What needs one primary for all rows. */
function shardsTrouble(
  keys: { readonly invalidate: readonly unknown[]; readonly cacheQueries?: object | undefined },
  stands: UnnamedDatabase['servers'],
): Refused | null {
  if (stands.kind === 'existing')
    return new Refused(
      "has 'shards' and 'servers'",
      "Leave out 'servers': Tenfold runs the servers of shards.",
    )
  const placed = stands.directory !== undefined || stands.replicas.some(one => one.directory !== undefined)
  if (placed)
    return new Refused(
      "has 'shards' and a 'directory', which several groups can't share",
      "Leave out 'directory'.",
    )
  if (keys.invalidate.length > 0 || keys.cacheQueries !== undefined)
    return new Refused(
      "has 'shards' and caches that follow its changes, which is not available in this version of Tenfold",
      "Leave out 'invalidate' and 'cacheQueries'.",
    )
  return null
}

interface StandKeys {
  readonly listen: CheckedListen
  readonly servers?: CheckedExistingServers['urls'] | undefined
  readonly serverTls?: CheckedExistingServers['tls'] | undefined
  readonly replicas?: readonly ParsedReplica[] | undefined
  readonly directory?: string | undefined
  readonly settings?: Readonly<Record<string, string>> | undefined
  readonly durability?: string | undefined
  readonly backup?: object | undefined
}

function standsOn(keys: StandKeys): UnnamedDatabase['servers'] | Refused {
  if (keys.servers !== undefined) {
    const foreign = embeddedOnly.find(key => keys[key] !== undefined)
    return foreign === undefined
      ? { kind: 'existing', urls: keys.servers, tls: keys.serverTls ?? { mode: 'off' } }
      : new Refused(
          `has 'servers' and '${foreign}', which is for servers that Tenfold runs itself`,
          `Leave out '${foreign}', or 'servers'.`,
        )
  }
  if (keys.serverTls !== undefined)
    return new Refused("has 'serverTls' but no 'servers'", "Leave out 'serverTls'.")
  return {
    kind: 'embedded',
    replicas: keys.replicas ?? [],
    settings: keys.settings ?? {},
    ...(keys.directory === undefined ? {} : { directory: keys.directory }),
  }
}

export const databases: Schema<Record<string, UnnamedDatabase>> = mapOf(database, {
  about:
    'Databases by name. A service gets DATABASE_URL for `main` or its only one, and DATABASE_URL_NAME for each.',
  names: "names such as 'main': small letters, digits and -, at most 40, beginning with a letter",
  pattern: servicePattern,
  entriesMax: 20,
})

/** The database with its name, and its servers with their ids. */
export function namedDatabase(name: string, { servers, ...rest }: UnnamedDatabase): CheckedDatabase {
  if (servers.kind === 'existing') return { name, ...rest, servers }
  const first = defined({ id: `${name}-1`, from: 'primary', delayMs: 0, directory: servers.directory })
  const others = servers.replicas.map((one, index) => ({ id: `${name}-${index + 2}`, ...one }))
  return {
    name,
    ...rest,
    servers: { kind: 'embedded', members: [first, ...others], settings: servers.settings },
  }
}
