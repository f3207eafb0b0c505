// The keys of a database that say how its router deals with clients: `pool`, `hold`, `lag`, `reads`. It knows nothing of
// servers.

import type { CheckedDatabase, CheckedPool, CheckedReads } from './checked-databases.ts'
import { either, into, strict } from './shapes.ts'
import { choice, duration, Refused, type Schema, size, whole } from './values.ts'

export const pool: Schema<CheckedPool> = into(
  strict(
    {
      size: whole(
        'Connections to one server, of all users together. Clients share them: one is taken for a transaction.',
        1,
        1000,
      ).prefault(20),
      clients: whole('Connections of clients; further ones are refused.', 1, 100_000).prefault(5000),
      waiting: whole(
        'Clients that wait for a connection to a server; further ones get an error.',
        0,
        100_000,
      ).prefault(5000),
      waitTimeout: duration('How long a client waits for a connection to a server.', '1ms', '10m').prefault(
        '10s',
      ),
      idleTimeout: duration('A connection to a server that nobody uses is closed.', '1s', '24h').prefault(
        '5m',
      ),
      lifetime: duration('A connection to a server is replaced after this.', '10s', '30d').prefault('1h'),
      transactionIdleTimeout: duration(
        'A client that does nothing inside a transaction: it is rolled back. 0s = never.',
        '0s',
        '24h',
      ).prefault('5m'),
      statementTimeout: duration(
        'A statement that the client does not bound itself is cancelled. 0s = never.',
        '0s',
        '24h',
      ).prefault('0s'),
      preparedMax: whole('Prepared statements kept on one connection to a server.', 0, 100_000).prefault(500),
      messageMax: size('Largest message of a client.', '64KB', '1GB').prefault('64MB'),
      loginTimeout: duration('From connecting to being logged in.', '100ms', '5m').prefault('10s'),
    },
    {
      about: 'Connections of clients, and the few connections to servers that they share.',
      elsewhere: {
        max: "Did you mean 'size'?",
        mode: 'There are no modes: a connection is shared unless something pins it, which `tenfold db status` tells.',
        pool_mode: 'There are no modes: a connection is shared unless something pins it.',
        default_pool_size: "Did you mean 'size'?",
        max_client_conn: "Did you mean 'clients'?",
      },
    },
  ),
  keys => ({
    sizeMax: keys.size,
    clientsMax: keys.clients,
    waitingMax: keys.waiting,
    waitTimeoutMs: keys.waitTimeout,
    idleTimeoutMs: keys.idleTimeout,
    lifetimeMs: keys.lifetime,
    transactionIdleTimeoutMs: keys.transactionIdleTimeout,
    statementTimeoutMs: keys.statementTimeout,
    preparedMax: keys.preparedMax,
    messageBytesMax: keys.messageMax,
    loginTimeoutMs: keys.loginTimeout,
  }),
)

export const hold: Schema<CheckedDatabase['hold']> = into(
  strict(
    {
      timeout: duration('How long a statement waits for a primary.', '0ms', '10m').prefault('10s'),
      statements: whole('Statements that may wait; further ones get an error.', 0, 100_000).prefault(1000),
    },
    { about: 'Statements that need the primary while there is none: they wait, first in first out.' },
  ),
  keys => ({ timeoutMs: keys.timeout, statementsMax: keys.statements }),
)

export const lag: Schema<CheckedDatabase['lag']> = into(
  strict(
    {
      lessFrom: duration('A replica that is this far behind is used less.', '1ms', '24h').prefault('1s'),
      notFrom: duration(
        'A replica that is this far behind is not used while another one is not.',
        '1ms',
        '24h',
      ).prefault('10s'),
    },
    { about: "How far a replica may be behind, for reads 'any' and { maxLag }." },
  ),
  keys =>
    keys.lessFrom > keys.notFrom
      ? new Refused("has a 'lessFrom' above its 'notFrom'", 'Swap them.')
      : { lessFromMs: keys.lessFrom, notFromMs: keys.notFrom },
)

export const reads: Schema<CheckedReads> = either(
  "What a read may see: 'primary' (reads go there, too), 'fresh' (replicas that have every write acknowledged to anybody), 'session' (replicas that have the client's own writes), { maxLag: '5s' }, or 'any' replica.",
  into(
    choice('A promise.', ['primary', 'fresh', 'session', 'any']),
    (kind): CheckedReads => ({ kind }),
  ) as Schema<CheckedReads>,
  into(
    strict(
      { maxLag: duration('A replica serves only when it is no further behind than this.', '1ms', '24h') },
      { about: 'A bound.' },
    ),
    (keys): CheckedReads => ({ kind: 'maxLag', maxLagMs: keys.maxLag }),
  ) as Schema<CheckedReads>,
)
