// Routes about databases, answered by their handlers: parameters taken apart, nothing else.

import type { ColumnSplitWish } from '../column-splits.ts'
import type { ReshardWish } from '../reshards.ts'
import type { DatabaseOperation } from './database-contract.ts'
import type { DatabaseHandlers } from './database-handlers.ts'
import type { OperationResult, Progress } from './handlers.ts'

export interface AnsweredInput {
  readonly params: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

type DatabaseAnswerer = (context: unknown, input: AnsweredInput) => Response | Promise<Response>

/** `operation` makes an answer of lines of what goes on. */
export function databaseAnswerers(
  handlers: DatabaseHandlers,
  operation: (run: (progress: Progress) => Promise<OperationResult>) => Promise<Response>,
): Record<DatabaseOperation, DatabaseAnswerer> {
  const name = ({ params }: AnsweredInput): string => params.name as string
  const optional = (value: unknown): string | null => (value as string | undefined) ?? null
  return {
    databaseSwitchover: (_, input) =>
      operation(progress => handlers.switchover(name(input), optional(input.body.to), progress)),
    databaseFailover: (_, input) =>
      operation(progress =>
        handlers.failover(
          name(input),
          { to: optional(input.body.to), lossy: input.body.lossy as boolean },
          progress,
        ),
      ),
    databaseRebuild: (_, input) =>
      operation(progress => handlers.rebuild(name(input), input.body.server as string, progress)),
    databasePause: (_, input) => operation(() => handlers.pause(name(input), input.body.reason as string)),
    databaseResume: (_, input) => operation(() => handlers.resume(name(input))),
    databaseSettings: async (_, input) => Response.json(await handlers.settings(name(input))),
    databaseSlow: async (_, input) => Response.json(await handlers.slow(name(input))),
    databaseShards: async (_, input) => Response.json(await handlers.shards(name(input))),
    databasePartitions: async (_, input) => Response.json(await handlers.partitions(name(input))),
    databasePartitionsRoll: (_, input) => operation(() => handlers.rollPartitions(name(input))),
    databaseHeat: async (_, input) => Response.json(await handlers.heat(name(input))),
    databaseCopies: async (_, input) => Response.json(await handlers.copies(name(input))),
    databaseCopiesRebuild: (_, input) =>
      operation(() => handlers.copiesRebuild(name(input), input.body.copy as string)),
    databaseAdvise: async (_, input) =>
      Response.json(await handlers.advise(name(input), input.body as { verify: boolean; limit: number })),
    databaseDirectory: async (_, input) =>
      Response.json(
        await handlers.directory(name(input), {
          family: input.body.family as string,
          key: optional(input.body.key),
          after: optional(input.body.after),
          limit: input.body.limit as number,
        }),
      ),
    databaseDirectorySet: (_, input) =>
      operation(() =>
        handlers.directorySet(name(input), input.body as { family: string; key: string; shard: string }),
      ),
    databaseReshard: (_, input) =>
      operation(() => handlers.reshard(name(input), input.body as unknown as ReshardWish)),
    databaseReshardWish: (_, input) =>
      operation(() => handlers.reshardWish(name(input), input.body.wish as 'cancel')),
    databaseReshardView: async (_, input) => Response.json(await handlers.reshardView(name(input))),
    databaseConnection: async (_, input) =>
      Response.json(
        await handlers.connection(name(input), optional(input.body.as), optional(input.body.server)),
      ),
    databaseVerify: (_, input) => operation(progress => handlers.verify(name(input), progress)),
    databaseDrift: (_, input) => operation(progress => handlers.drift(name(input), progress)),
    databaseUnique: (_, input) =>
      operation(progress => handlers.unique(name(input), input.body.verify as boolean, progress)),
    databaseDangling: (_, input) => operation(progress => handlers.dangling(name(input), progress)),
    databaseExport: (_, input) =>
      operation(progress =>
        handlers.export(
          name(input),
          { to: input.body.to as string, format: input.body.format as 'csv' },
          progress,
        ),
      ),
    databaseSplitColumns: (_, input) =>
      operation(() => handlers.splitColumns(name(input), input.body as unknown as ColumnSplitWish)),
    databaseSplitColumnsWish: (_, input) =>
      operation(() =>
        handlers.splitColumnsWish(name(input), input.body.wish as 'cancel', input.body.rewrite as boolean),
      ),
    databaseSplitColumnsView: async (_, input) => Response.json(await handlers.splitColumnsView(name(input))),
    databaseBackup: (_, input) => operation(progress => handlers.backup(name(input), progress)),
    databaseBackups: async (_, input) => Response.json(await handlers.backups(name(input))),
    databaseRestore: (_, input) =>
      operation(progress =>
        handlers.restore(
          name(input),
          { to: input.body.to as string, into: optional(input.body.into) },
          progress,
        ),
      ),
    databaseDrill: (_, input) => operation(progress => handlers.drill(name(input), progress)),
  }
}
