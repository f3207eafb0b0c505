// The part of the control API's contract that is about databases: every route with its scope, parameters and answer.

import { z } from 'zod'
import type { Answer, RouteContract } from './contract.ts'
import {
  adviceSchema,
  backupsSchema,
  columnSplitSchema,
  copiesSchema,
  databaseConnectionSchema,
  databaseSettingsSchema,
  directoryAskSchema,
  directorySchema,
  directorySetSchema,
  heatSchema,
  partitionsSchema,
  reshardIntentSchema,
  reshardSchema,
  shardsSchema,
  slowStatementsSchema,
} from './database-schemas.ts'
import { operationSchema } from './schemas.ts'

export type DatabaseOperation =
  | 'databaseSwitchover'
  | 'databaseFailover'
  | 'databaseRebuild'
  | 'databasePause'
  | 'databaseResume'
  | 'databaseSettings'
  | 'databaseSlow'
  | 'databaseShards'
  | 'databaseHeat'
  | 'databaseAdvise'
  | 'databaseCopies'
  | 'databaseCopiesRebuild'
  | 'databasePartitions'
  | 'databasePartitionsRoll'
  | 'databaseDirectory'
  | 'databaseDirectorySet'
  | 'databaseReshard'
  | 'databaseReshardWish'
  | 'databaseReshardView'
  | 'databaseConnection'
  | 'databaseVerify'
  | 'databaseDrift'
  | 'databaseDangling'
  | 'databaseUnique'
  | 'databaseExport'
  | 'databaseSplitColumns'
  | 'databaseSplitColumnsWish'
  | 'databaseSplitColumnsView'
  | 'databaseBackup'
  | 'databaseBackups'
  | 'databaseRestore'
  | 'databaseDrill'

const json = (schema: z.ZodType): Answer => ({ kind: 'json', schema, statuses: [200] })
const steps: Answer = { kind: 'ndjson', schema: operationSchema }
const params = z.strictObject({ name: z.string().min(1).max(100).describe('Name of the database') })
const server = z.string().min(1).max(100).describe('Id of a server: `main-2`')
const noBody = z.strictObject({})

/** A route of one database that is asked to do something. */
const act = (word: string, summary: string, body: z.ZodObject = noBody): RouteContract => ({
  method: 'post',
  path: `/v1/databases/{name}/${word}`,
  scope: 'admin',
  summary,
  params,
  body,
  answer: steps,
})

const look = (word: string, summary: string, schema: z.ZodType): RouteContract => ({
  method: 'get',
  path: `/v1/databases/{name}/${word}`,
  scope: 'read',
  summary,
  params,
  answer: json(schema),
})

export const databaseContract: Readonly<Record<DatabaseOperation, RouteContract>> = {
  databaseSwitchover: act(
    'switchover',
    'Planned: another server becomes the primary, without an error for transactions that end within the hold.',
    z.strictObject({ to: server.optional().describe('Absent: the replica that is furthest') }),
  ),
  databaseFailover: act(
    'failover',
    'Unplanned: gives the primary up and promotes a replica.',
    z.strictObject({
      to: server.optional().describe('Absent: the replica that is furthest'),
      lossy: z.boolean().default(false).describe('Also when acknowledged commits may be missing there'),
    }),
  ),
  databaseRebuild: act('rebuild', 'Makes a replica anew, from a copy.', z.strictObject({ server })),
  databasePause: act(
    'pause',
    'No automatic failover and no repair until it is resumed; kept over restarts.',
    z.strictObject({ reason: z.string().min(1).max(200).default('asked for by an operator') }),
  ),
  databaseResume: act('resume', 'Ends a pause.'),
  databaseSettings: look(
    'settings',
    'The settings of the primary that are not PostgreSQL’s defaults.',
    databaseSettingsSchema,
  ),
  databaseSlow: look(
    'slow',
    'The statements that took most time in sum, without literals.',
    slowStatementsSchema,
  ),
  databaseShards: look(
    'shards',
    'What lies on each shard: rows, bytes, reads and writes of every table.',
    shardsSchema,
  ),
  databasePartitions: look(
    'partitions',
    'Tables that are cut into partitions, and what is to be made and taken away.',
    partitionsSchema,
  ),
  databasePartitionsRoll: act('partitions', 'Makes and takes away partitions now.'),
  databaseHeat: {
    // Keys are in it.
    ...look('heat', 'How hot shards, slots and keys are, and what to do about it.', heatSchema),
    scope: 'admin',
  },
  databaseCopies: look('copies', 'Copies by another key, and how far behind they are.', copiesSchema),
  databaseCopiesRebuild: act(
    'copies-rebuild',
    'Fills a copy again from the beginning.',
    z.strictObject({ copy: z.string().min(1).max(63).describe('`orders_by_film`') }),
  ),
  databaseAdvise: {
    method: 'post',
    path: '/v1/databases/{name}/advise',
    scope: 'admin',
    summary: 'Indexes to make, tried on copies, and to drop; tables to cut into partitions. Changes nothing.',
    params,
    body: z.strictObject({
      verify: z.boolean().default(true).describe('Try each index on a copy of its table'),
      limit: z.int().min(1).max(50).default(10).describe('Of indexes'),
    }),
    answer: json(adviceSchema),
  },
  databaseDirectory: {
    method: 'post',
    path: '/v1/databases/{name}/directory',
    scope: 'admin',
    summary: 'Which keys of a directory are on which shard.',
    params,
    body: directoryAskSchema,
    answer: json(directorySchema),
  },
  databaseDirectorySet: act(
    'directory-set',
    'Gives a key of a directory that has no place one.',
    directorySetSchema,
  ),
  databaseReshard: act(
    'reshard',
    'Begins to move rows between shards; answers when it has begun.',
    z.strictObject({
      intent: reshardIntentSchema,
      dryRun: z.boolean().default(false).describe('Only say what would move, and what is in the way'),
      finish: z.boolean().default(false).describe('Delete what is left behind at once: no way back'),
    }),
  ),
  databaseReshardWish: act(
    'reshard-wish',
    'Cancels, finishes or rolls back the resharding under way, or has it copy what differs again.',
    z.strictObject({ wish: z.enum(['cancel', 'finish', 'rollBack', 'recopy']) }),
  ),
  databaseReshardView: look('reshard', 'The resharding under way, or the last one.', reshardSchema),
  databaseConnection: {
    method: 'post',
    path: '/v1/databases/{name}/connection',
    scope: 'admin',
    summary: 'How to log in, with a password: through the router, or to one server.',
    params,
    body: z.strictObject({
      as: z.string().min(1).max(100).optional().describe('A service; absent: the operator'),
      server: z
        .string()
        .min(1)
        .max(100)
        .optional()
        .describe('Id of a server, or `primary`; absent: the router'),
    }),
    answer: json(databaseConnectionSchema),
  },
  databaseVerify: act('verify', 'Compares the rows of every table between the primary and its replicas.'),
  databaseDrift: act('drift', 'Compares the schemas of the shards.'),
  databaseDangling: act('dangling', 'Looks for references over shards that point nowhere.'),
  databaseUnique: act(
    'unique',
    'Which columns are unique over all shards.',
    z.strictObject({
      verify: z
        .boolean()
        .default(false)
        .describe('Compare all rows with the look-up tables, and put these right'),
    }),
  ),
  databaseExport: act(
    'export',
    'Writes the rows of every table into a folder of the supervisor’s host, as they were at one moment.',
    z.strictObject({
      to: z.string().min(1).max(1_000).describe('Absolute path; empty, or not there yet'),
      format: z.enum(['csv', 'binary']).default('csv').describe('As COPY writes them'),
    }),
  ),
  databaseSplitColumns: act(
    'split-columns',
    'Begins to split a table into a hot and a cold half behind a view; answers when it has begun.',
    z.strictObject({
      table: z.string().min(1).max(200).describe('With its schema, or in `public`'),
      cold: z.array(z.string().min(1).max(63)).min(1).max(1_000).describe('Columns of the cold half'),
      dryRun: z.boolean().default(false).describe('Only say what would be, and what is in the way'),
    }),
  ),
  databaseSplitColumnsWish: act(
    'split-columns-wish',
    'Cancels, takes back or finishes the split under way.',
    z.strictObject({
      wish: z.enum(['cancel', 'undo', 'finish']),
      rewrite: z
        .boolean()
        .default(false)
        .describe('With `finish`: writes the hot table anew under a lock, so that it gets smaller'),
    }),
  ),
  databaseSplitColumnsView: look('split-columns', 'The split under way, or the last one.', columnSplitSchema),
  databaseBackup: act('backup', 'Makes a base backup now.'),
  databaseBackups: look('backups', 'The base backups, and how far the log reaches.', backupsSchema),
  databaseRestore: act(
    'restore',
    'Restores the database as it was at a moment.',
    z.strictObject({
      to: z.string().min(1).max(64).describe('ISO 8601, or `latest`'),
      into: z.string().min(1).max(100).optional().describe('Another database of the file'),
    }),
  ),
  databaseDrill: act('drill', 'Restores the last backup in a scratch folder and looks at it.'),
}
