// A sharded database whose rows move while clients use it: servers, a router in this process, and the executor with a journal
// that a test can take to another executor, as a supervisor that comes back does.

import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createRouter, type Router } from '../../src/database/router/router.ts'
import { Session } from '../../src/database/servers/session.ts'
import { ReshardExecutor } from '../../src/database/shards/reshard/executor.ts'
import { firstJournal } from '../../src/database/shards/reshard/journal.ts'
import type { ReshardPorts } from '../../src/database/shards/reshard/ports.ts'
import { installShardSchema } from '../../src/database/shards/schema/index.ts'
import { planReshard } from '../../src/policy/shard/changes.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import type { ReshardIntent, ReshardJournal, ReshardStep } from '../../src/policy/shard/reshard-contract.ts'
import { type PostgresServer, startPostgres } from '../tools/postgres-server.ts'
import { databaseOf } from '../tools/router-harness.ts'

export const ids: readonly string[] = ['1', '2', '3']
const patienceMs = 40_000

export interface Resharding {
  readonly url: string
  readonly servers: readonly PostgresServer[]
  readonly operators: readonly Session[]
  readonly router: Router
  /** Of every router. */
  readonly urls: readonly string[]
  readonly said: readonly string[]
  map(): ShardMap
  /** Every router works by it when it resolves. */
  keepMap(map: ShardMap): Promise<void>
  /** The latest executor. */
  readonly executor: ReshardExecutor
  begin(intent: ReshardIntent, options?: { finish?: boolean }): Promise<void>
  /** The executor dies where it is; another one goes on from the journal. */
  restart(): Promise<void>
  /** Waits for a step; throws what the trouble is when it ends otherwise. */
  reach(step: ReshardStep): Promise<ReshardJournal>
  /** Calls back with each step before it is kept. */
  onStep: (step: ReshardStep) => void
  /** With each journal once it is kept. */
  onKept: (journal: ReshardJournal) => void
  /** @param router of `urls` */
  client(router?: number): Promise<pg.Client>
  everywhere(sql: string, shards?: readonly string[]): Promise<void>
  /** What is left of resharding on any server. */
  left(): Promise<string[]>
}

export async function startResharding(
  t: Pick<TestContext, 'after'>,
  {
    map: first,
    schema,
    routers: count = 1,
    settings: more = {},
  }: {
    readonly map: ShardMap
    readonly schema: string
    readonly routers?: number
    /** Of servers. */
    readonly settings?: Readonly<Record<string, string>>
  },
): Promise<Resharding> {
  const settings = {
    wal_level: 'logical',
    max_prepared_transactions: '50',
    shared_buffers: '16MB',
    max_connections: '100',
    ...more,
  }
  const servers = await Promise.all(ids.map(() => startPostgres(t, { settings })))
  const operators = servers.map(
    ({ host, port }) =>
      new Session(() => ({ host, port, database: 'app', user: 'tenfold', password: 'secret' })),
  )
  t.after(() => operators.forEach(one => void one.close()))
  for (const [at, operator] of operators.entries()) {
    await installShardSchema({
      ask: sql => operator.query(sql, 20_000),
      shard: ids[at] as string,
      map: first,
    })
    if (first.shards.includes(ids[at] as string)) await operator.query(schema, 20_000)
  }
  const said: string[] = []
  let map = first
  let version = 0
  let executor: ReshardExecutor | null = null
  const wholeOf = () => {
    const groups = map.shards.map(id => ({
      ...databaseOf({ servers: [servers[ids.indexOf(id)] as PostgresServer] }),
      name: `main.${id}`,
    }))
    const shards = { map, groups, systemId: 'test', ...executor?.view }
    return {
      format: 1 as const,
      version: ++version,
      databases: [{ ...databaseOf({ servers: [] }), primary: null, shards }],
    }
  }
  const routers: Router[] = []
  while (routers.length < count)
    routers.push(
      await createRouter({
        snapshot: wholeOf(),
        tell: (subject, text) => said.push(`${subject}: ${text}`),
      }),
    )
  const [router] = routers as [Router]
  const tellAll = async (): Promise<void> => {
    const snapshot = wholeOf()
    await Promise.all(routers.map(one => one.apply(snapshot)))
  }
  const sum = (of: (router: Router) => number): number => routers.reduce((all, one) => all + of(one), 0)
  t.after(async () => {
    await executor?.stop()
    for (const one of routers) one.close()
  })
  const asker = (shard: string): Session => operators[ids.indexOf(shard)] as Session
  let journal: ReshardJournal | null = null
  let life = 0
  const harness: Resharding = {
    url: `postgres://app:secret@127.0.0.1:${router.portOf('main')}/app`,
    urls: routers.map(one => `postgres://app:secret@127.0.0.1:${one.portOf('main')}/app`),
    servers,
    operators,
    router,
    said,
    map: () => map,
    keepMap: next => {
      map = next
      return tellAll()
    },
    get executor() {
      if (executor === null) throw new Error('nothing is resharded')
      return executor
    },
    onStep: () => {},
    onKept: () => {},
    begin: async (intent, options = {}) => {
      // What the last one has made is gone.
      await executor?.stop()
      const plan = planReshard(map, intent)
      if (plan.kind === 'refused') throw new Error(`${plan.why}: ${plan.remedy}`)
      journal = firstJournal({
        database: 'main',
        intent,
        before: map,
        plan,
        finish: options.finish ?? false,
        number: Math.random(),
        nowUs: Date.now() * 1000,
      })
      executor = new ReshardExecutor(ports(++life), journal)
      executor.start()
    },
    restart: async () => {
      // What it still does is not heard any more.
      life++
      const former = executor
      executor = new ReshardExecutor(ports(life), journal as ReshardJournal)
      await former?.stop()
      executor.start()
    },
    reach: async step => {
      const end = Date.now() + patienceMs
      for (;;) {
        const now = executor?.journal as ReshardJournal
        if (now.step === step) return now
        if (executor?.over === true) throw new Error(`it ended as ${now.step}: ${now.trouble}`)
        if (Date.now() > end) throw new Error(`it is ${now.step} still: ${now.trouble}; ${said.join('; ')}`)
        await sleep(10)
      }
    },
    client: async (at = 0) => {
      const made = new pg.Client({ connectionString: harness.urls[at] })
      made.on('error', () => {})
      await made.connect()
      t.after(() => made.end().catch(() => {}))
      return made
    },
    everywhere: async (sql, shards = ids) => {
      for (const shard of shards) await asker(shard).query(sql, 20_000)
    },
    left: async () => {
      const found: string[] = []
      for (const shard of ids) {
        const rows = await asker(shard).query(
          `SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication
            UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
            UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE 'holds %'
            UNION ALL SELECT 'identity ' || relname FROM pg_class WHERE relreplident = 'f'`,
          20_000,
        )
        found.push(...rows.map(([what]) => `shard ${shard}: ${what}`))
      }
      return found
    },
  }
  const ports = (mine: number): ReshardPorts => {
    const alive = (): void => {
      if (mine !== life) throw new Error('another supervisor has taken over')
    }
    return {
      ask: (shard, sql, timeoutMs) => asker(shard).query(sql, timeoutMs),
      end: shard => ({
        shard,
        target: () => {
          const { host, port } = servers[ids.indexOf(shard)] as PostgresServer
          return { host, port, database: 'app', user: 'tenfold', password: 'secret', tls: { mode: 'off' } }
        },
      }),
      epoch: () => 1,
      delayed: () => [],
      keep: next => {
        alive()
        if (next.step !== journal?.step) harness.onStep(next.step)
        alive()
        // As it comes back from a file.
        journal = JSON.parse(JSON.stringify(next)) as ReshardJournal
        harness.onKept(journal)
      },
      keepMap: next => {
        alive()
        map = next
      },
      map: () => map,
      tell: async () => {
        alive()
        await tellAll()
      },
      settled: async timeoutMs => {
        const end = Date.now() + timeoutMs
        while (sum(one => one.earlierOn('main')) > 0) {
          if (Date.now() > end) return false
          await sleep(2)
        }
        return true
      },
      drained: async timeoutMs => {
        const end = Date.now() + timeoutMs
        while (sum(one => one.openOn('main')) > 0) {
          if (Date.now() > end) return false
          await sleep(2)
        }
        return true
      },
      installMap: async () => {
        for (const id of map.shards)
          await installShardSchema({ ask: sql => asker(id).query(sql, 20_000), shard: id, map })
      },
      say: (level, text) => said.push(`${level}: ${text}`),
    }
  }
  return harness
}
