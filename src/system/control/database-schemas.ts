// The shapes of database-views.ts, checked at run time; /openapi.json is generated from them.

import { z } from 'zod'
import type {
  AdviceView,
  BackupStateView,
  BackupsView,
  ColumnSplitView,
  CopiesView,
  DatabaseConnectionView,
  DatabaseServerView,
  DatabaseSettingsView,
  DatabaseTrafficView,
  DatabaseView,
  DirectoryView,
  FailoverView,
  HeatView,
  PartitionsView,
  ReshardView,
  RouterView,
  ShardsView,
  SlowStatementsView,
} from './database-views.ts'

const timestamp = z.iso.datetime().describe('ISO 8601, UTC')

const traffic: z.ZodType<DatabaseTrafficView> = z.strictObject({
  clients: z.int(),
  waiting: z.int().describe('For a connection to a server'),
  held: z.int().describe('For a primary'),
  pins: z.record(z.string(), z.int()).describe('Clients that keep a connection for themselves, by reason'),
  reads: z.record(z.string(), z.int()).describe('Reads by what became of them'),
  statements: z.array(
    z.strictObject({
      kind: z.string(),
      server: z.enum(['primary', 'replica']),
      count: z.int(),
      errors: z.int(),
      p50Ms: z.number(),
      p99Ms: z.number(),
    }),
  ),
  feed: z
    .strictObject({
      state: z.enum(['stopped', 'waiting', 'connecting', 'streaming']),
      problem: z.string().describe("Why it does not stream; ''"),
      lagMs: z.number().describe('Since when the oldest change that not everybody has heard of is known'),
      sinks: z.array(
        z.strictObject({
          name: z.string().describe('`statements`, `edges`, `services`, `cache NAME`'),
          state: z.enum(['heard', 'busy', 'away', 'owed']),
          problem: z.string(),
        }),
      ),
    })
    .nullable()
    .describe('Committed changes on their way to caches; null: nobody wants to know of them'),
})

const server: z.ZodType<DatabaseServerView> = z.strictObject({
  id: z.string(),
  role: z.enum(['primary', 'replica']),
  state: z.string(),
  reason: z.string(),
  address: z.string(),
  pid: z.int().nullable(),
  delayMs: z.number(),
  lsn: z.string(),
  lagBytes: z.number().nullable(),
  lagMs: z.number().nullable(),
  from: z.string().nullable().describe('Whom it copies'),
  connections: z
    .strictObject({ total: z.int(), active: z.int(), idle: z.int() })
    .nullable()
    .describe('The router’s; null: it does not answer'),
})

const failover: z.ZodType<FailoverView> = z.strictObject({
  at: timestamp,
  kind: z.enum(['failover', 'switchover']),
  from: z.string(),
  to: z.string(),
  why: z.string(),
  tookMs: z.number(),
  lost: z
    .strictObject({ changes: z.int(), file: z.string(), covers: z.string() })
    .nullable()
    .describe('Acknowledged row changes that the new primary never got; null: not counted'),
})

const backupState: z.ZodType<BackupStateView> = z.strictObject({
  directory: z.string(),
  lastAt: timestamp.nullable(),
  text: z.string(),
})

export const databaseSchema: z.ZodType<DatabaseView> = z.strictObject({
  name: z.string(),
  database: z.string().describe('The database inside PostgreSQL'),
  servedBy: z.enum(['tenfold', 'elsewhere']).describe('elsewhere: followed, never promoted'),
  state: z.string(),
  reason: z.string(),
  durability: z.string(),
  reads: z.string(),
  host: z.string(),
  port: z.int(),
  epoch: z.int().describe('Grows with each change of the primary'),
  timeline: z.int(),
  paused: z.string().nullable().describe('Why an operator has paused failovers and repairs'),
  traffic: traffic.nullable().describe('Null: the router does not answer'),
  servers: z.array(server),
  failovers: z.array(failover).describe('Latest first'),
  backup: backupState.nullable(),
})

export const routerSchema: z.ZodType<RouterView> = z.strictObject({
  state: z.enum(['running', 'starting', 'restarting', 'stopped']),
  reason: z.string(),
  pid: z.int().nullable(),
  adopted: z.boolean(),
  restarts: z.int(),
  snapshotVersion: z.int(),
})

export const databaseSettingsSchema: z.ZodType<DatabaseSettingsView> = z.strictObject({
  server: z.string(),
  settings: z.array(
    z.strictObject({
      name: z.string(),
      value: z.string(),
      source: z.string(),
      pending: z.boolean().describe('Takes effect when the server starts again'),
    }),
  ),
})

export const shardsSchema: z.ZodType<ShardsView> = z.strictObject({
  database: z.string(),
  mapVersion: z.number(),
  shards: z.array(
    z.strictObject({
      id: z.string(),
      group: z.string(),
      primary: z.string().nullable(),
      slots: z.strictObject({ held: z.number(), all: z.number() }),
      trouble: z.string(),
      tables: z.array(
        z.strictObject({
          table: z.string(),
          place: z.string(),
          rows: z.number(),
          exact: z.boolean(),
          bytes: z.number(),
          reads: z.number(),
          writes: z.number(),
        }),
      ),
    }),
  ),
})

export const partitionsSchema: z.ZodType<PartitionsView> = z.strictObject({
  database: z.string(),
  groups: z.array(
    z.strictObject({
      name: z.string(),
      trouble: z.string(),
      tables: z.array(
        z.strictObject({
          table: z.string(),
          state: z.enum(['rolled', 'waits', 'trouble']),
          partitions: z.array(
            z.strictObject({
              name: z.string(),
              bounds: z.string(),
              rows: z.number().describe('An estimate; -1: unknown'),
              bytes: z.number(),
            }),
          ),
          made: z.array(z.string()).describe('To be made'),
          removed: z.array(z.string()).describe('To be taken away'),
          troubles: z.array(z.string()),
        }),
      ),
    }),
  ),
})

export const copiesSchema: z.ZodType<CopiesView> = z.strictObject({
  database: z.string(),
  copies: z.array(
    z.strictObject({
      name: z.string(),
      of: z.string(),
      state: z.enum(['waits', 'filling', 'fresh', 'behind', 'stopped']),
      trouble: z.string(),
      streams: z.array(
        z.strictObject({
          from: z.string(),
          into: z.string(),
          state: z.string(),
          lagBytes: z.number().describe("Of the source's log that is not applied"),
        }),
      ),
    }),
  ),
})

const statementTime = { text: z.string(), calls: z.number(), totalMs: z.number() }

export const adviceSchema: z.ZodType<AdviceView> = z.strictObject({
  database: z.string(),
  indexes: z.array(
    z.strictObject({
      table: z.string(),
      columns: z.array(z.string()),
      sql: z.string(),
      statements: z
        .array(z.strictObject(statementTime))
        .describe('That it may serve; the slowest in sum first'),
      trial: z
        .strictObject({
          rows: z.number().describe('Of the copy'),
          statements: z.array(
            z.strictObject({
              text: z.string(),
              before: z.number().describe("The plan's cost, in PostgreSQL's units"),
              after: z.number(),
              used: z.boolean(),
            }),
          ),
          insertUs: z.strictObject({ before: z.number(), after: z.number() }),
          bytesPerRow: z.number(),
        })
        .nullable()
        .describe('Null: it was not tried'),
      verdict: z
        .strictObject({
          left: z.number().describe('Share of the time that the statements would still take'),
          savedMs: z.number(),
        })
        .nullable(),
      untried: z.string().describe("Why; ''"),
      bytes: z.number().nullable().describe('Estimated, of all rows'),
      writes: z.number().describe('Rows written to the table since statistics began'),
    }),
  ),
  drops: z.array(
    z.strictObject({
      kind: z.enum(['duplicate', 'unused', 'invalid']),
      table: z.string(),
      index: z.string(),
      like: z.string().optional(),
      bytes: z.number(),
      sql: z.string(),
    }),
  ),
  partitions: z.array(
    z.strictObject({
      table: z.string(),
      column: z.string(),
      every: z.enum(['day', 'week', 'month', 'year']),
      rows: z.number(),
      bytes: z.number(),
      reads: z.number().describe('Statements that read a span of the column'),
      deletes: z.number(),
    }),
  ),
  statements: z.strictObject({ seen: z.number(), unread: z.number() }),
  useless: z.number().describe('Candidates that were tried and did not help'),
})

const heatCounts = { reads: z.number(), writes: z.number() }
const heatEffect = z.strictObject({ is: z.number(), would: z.number() })

export const heatSchema: z.ZodType<HeatView> = z.strictObject({
  database: z.string(),
  heat: z.strictObject({
    format: z.literal(1),
    overMs: z.number().describe('Of load, for which the counts stand'),
    shards: z.array(z.strictObject({ shard: z.string(), ...heatCounts })),
    families: z.record(
      z.string(),
      z.strictObject({
        ...heatCounts,
        slots: z.array(z.strictObject({ slot: z.number(), shard: z.string(), ...heatCounts })).nullable(),
        keys: z.array(
          z.strictObject({
            key: z.array(z.string()),
            shard: z.string(),
            count: z.number().describe('At most'),
            error: z.number().describe('At least count - error'),
            writes: z.number(),
          }),
        ),
      }),
    ),
  }),
  advice: z.array(
    z.union([
      z.strictObject({ kind: z.literal('enough'), why: z.string() }),
      z.strictObject({
        kind: z.enum(['split', 'move-slots', 'isolate', 'replicas']),
        why: z.string(),
        command: z.array(z.string()).nullable().describe('Of `tenfold db`, without the name'),
        file: z.string().nullable().describe('What to write there'),
        effect: heatEffect.nullable().describe("The hottest shard's share of the load"),
      }),
    ]),
  ),
})

export const reshardSchema: z.ZodType<ReshardView> = z.strictObject({
  database: z.string(),
  current: z
    .strictObject({
      id: z.string(),
      step: z.string(),
      state: z.enum(['moving', 'moved', 'over']),
      begunAt: timestamp,
      moves: z.array(
        z.strictObject({
          family: z.string(),
          from: z.string(),
          into: z.string(),
          slots: z.int().nullable().describe('How many; null: the rule has none'),
        }),
      ),
      joining: z.array(z.string()),
      tablesCopied: z.int(),
      tables: z.array(
        z.strictObject({
          stream: z.string().describe('`1>3`'),
          table: z.string(),
          rows: z.number(),
          bytes: z.number(),
        }),
      ),
      changesApplied: z.number(),
      holds: z.int().describe('How often clients were held'),
      pauseMs: z.number().describe('For how long clients waited at the switch; -1: it has not been'),
      trouble: z.string().describe("Why it does not go on; ''"),
      differences: z
        .strictObject({
          count: z.int(),
          rows: z.array(
            z.strictObject({
              stream: z.string(),
              table: z.string(),
              key: z.array(z.string().nullable()).describe('Values of the primary key'),
              kind: z.enum(['missing', 'extra', 'different']).describe('At the target'),
            }),
          ),
        })
        .nullable()
        .describe('What the comparison has found, and the first of it; null: nothing'),
      wayBack: z.string().describe("`open`, or why there is none; '': not now"),
      wishes: z.array(z.string()),
    })
    .nullable()
    .describe('The one under way, or the last one; null: there was none'),
})

export const columnSplitSchema: z.ZodType<ColumnSplitView> = z.strictObject({
  database: z.string(),
  current: z
    .strictObject({
      id: z.string(),
      step: z.string(),
      state: z
        .enum(['working', 'split', 'over'])
        .describe('`split`: clients use the view, and it can still go back at once'),
      begunAt: timestamp,
      table: z.string().describe('With its schema'),
      hot: z.string(),
      cold: z.string(),
      columns: z.array(z.string()).describe('Of the cold half, beside the key'),
      shards: z.array(
        z.strictObject({
          shard: z.string().describe("'': the database has none"),
          rows: z.number().describe('Copied so far'),
          copied: z.boolean(),
          compared: z.boolean(),
          pauseMs: z.number().describe('For how long clients waited at the switch; -1: it has not been'),
        }),
      ),
      trouble: z.string().describe("Why it does not go on; ''"),
      wishes: z.array(z.string()),
    })
    .nullable()
    .describe('The one under way, or the last one; null: there was none'),
})

const shardId = z
  .string()
  .regex(/^[1-9][0-9]{0,3}$/)
  .describe('A shard')
const family = z.string().min(1).max(127).describe('Table that names the family')
const keyValue = z.string().max(1_000)

export const reshardIntentSchema: z.ZodType = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('even'),
    shards: z.array(shardId).min(1).max(1_000).optional().describe('Absent: all of the file'),
  }),
  z.strictObject({ kind: z.literal('split'), from: shardId, into: shardId }),
  z.strictObject({ kind: z.literal('merge'), from: shardId, into: shardId }),
  z.strictObject({
    kind: z.literal('slots'),
    family,
    first: z.int().min(0),
    last: z.int().min(0),
    into: shardId,
  }),
  z.strictObject({
    kind: z.literal('isolate'),
    family,
    key: z.array(keyValue).min(1).max(2),
    into: shardId,
  }),
  z.strictObject({ kind: z.literal('rule'), family: family.describe('Whose rule the changed file says') }),
])

export const directorySchema: z.ZodType<DirectoryView> = z.strictObject({
  database: z.string(),
  family: z.string(),
  keys: z.array(z.strictObject({ key: z.string(), shard: z.string() })),
  counts: z.record(z.string(), z.number()).describe('By shard, how many keys have a row'),
  otherwise: z.string().nullable().describe('Where keys without a row are; null: nowhere'),
  more: z.boolean(),
})

export const directoryAskSchema: z.ZodObject = z.strictObject({
  family,
  key: keyValue.optional().describe('Only this one'),
  after: keyValue.optional().describe('Keys behind this one, as texts'),
  limit: z.int().min(1).max(10_000).default(1_000),
})

export const directorySetSchema: z.ZodObject = z.strictObject({ family, key: keyValue, shard: shardId })

export const slowStatementsSchema: z.ZodType<SlowStatementsView> = z.strictObject({
  statements: z.array(
    z.strictObject({
      server: z.string(),
      text: z.string().describe('Without literals'),
      calls: z.number(),
      totalMs: z.number(),
      meanMs: z.number(),
      maxMs: z.number(),
      rows: z.number(),
    }),
  ),
})

export const databaseConnectionSchema: z.ZodType<DatabaseConnectionView> = z.strictObject({
  host: z.string(),
  port: z.int(),
  user: z.string(),
  password: z.string(),
  database: z.string(),
  sslmode: z.string(),
  through: z.string(),
})

export const backupsSchema: z.ZodType<BackupsView> = z.strictObject({
  backups: z.array(
    z.strictObject({
      id: z.string(),
      at: timestamp,
      bytes: z.number(),
      problem: z.string().describe('Why it cannot be restored'),
    }),
  ),
  text: z.string(),
})
