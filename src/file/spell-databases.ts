// The databases of a checked system written as a system file has them, every default spelled out.

import type { CheckedDatabase, CheckedExistingServers } from './checked-databases.ts'
import { spellPartitions } from './partitions.ts'
import { defined } from './shapes.ts'
import { spellCachedQueries } from './spell-caches.ts'
import { spellShards } from './spell-shards.ts'
import { ms, place } from './spell-values.ts'

export function spellDatabase(one: CheckedDatabase): object {
  const { pool, hold, lag, failover, backup, reads } = one
  return defined({
    engine: one.engine,
    database: one.database,
    listen: place(one.listen),
    tls: one.tls,
    ...(one.servers.kind === 'existing' ? existing(one.servers) : embedded(one)),
    shared: one.shared,
    reads: reads.kind === 'maxLag' ? { maxLag: ms(reads.maxLagMs) } : reads.kind,
    readWait: ms(one.readWaitMs),
    balance: one.balance,
    weights: one.weights,
    pool: {
      size: pool.sizeMax,
      clients: pool.clientsMax,
      waiting: pool.waitingMax,
      waitTimeout: ms(pool.waitTimeoutMs),
      idleTimeout: ms(pool.idleTimeoutMs),
      lifetime: ms(pool.lifetimeMs),
      transactionIdleTimeout: ms(pool.transactionIdleTimeoutMs),
      statementTimeout: ms(pool.statementTimeoutMs),
      preparedMax: pool.preparedMax,
      messageMax: pool.messageBytesMax,
      loginTimeout: ms(pool.loginTimeoutMs),
    },
    hold: { timeout: ms(hold.timeoutMs), statements: hold.statementsMax },
    lag: { lessFrom: ms(lag.lessFromMs), notFrom: ms(lag.notFromMs) },
    failover: { automatic: failover.automatic, detect: ms(failover.detectTimeoutMs) },
    access: one.access ?? undefined,
    backup: backup
      ? {
          to: backup.directory,
          every: ms(backup.everyMs),
          keep: backup.keep,
          drill: backup.drillEveryMs === null ? false : ms(backup.drillEveryMs),
        }
      : undefined,
    invalidate: one.invalidate,
    cacheQueries: one.cacheQueries ? spellCachedQueries(one.cacheQueries) : undefined,
    shards: one.shards ? spellShards(one.shards) : undefined,
    partitions: spellPartitions(one.partitions),
  })
}

function existing({ urls, tls }: CheckedExistingServers): object {
  return { servers: urls, serverTls: tls }
}

function embedded({ servers, durability }: CheckedDatabase): object {
  if (servers.kind !== 'embedded') return {}
  const [first, ...others] = servers.members
  return {
    directory: first?.directory,
    replicas: others.map(({ from, delayMs, directory }) => defined({ from, delay: ms(delayMs), directory })),
    settings: servers.settings,
    durability,
  }
}
