// Advice on indexes and partitions of one database, from what its servers have counted: candidates are policy's, each is tried on a copy
// of its table, and what does not help is not proposed. Nothing is changed. Over shards the same tables are on each: what they have
// counted is added up, and the trial is made on one.

import type {
  IndexCandidate,
  IndexDrop,
  IndexTrial,
  PartitionAdvice,
  TableFacts,
} from '../../policy/advise/contract.ts'
import { indexCandidates, indexDrops } from '../../policy/advise/indexes.ts'
import { partitionAdvice } from '../../policy/advise/partitions.ts'
import { type IndexVerdict, judgeIndex } from '../../policy/advise/trials.ts'
import { loadParser } from '../sql/index.ts'
import type { CatalogueTable } from '../sql/shards/contract.ts'
import { loadDeparser } from '../sql/shards/index.ts'
import { type Ask, readFacts, sumFacts } from './facts.ts'
import { type AskOwner, tryIndex } from './trial.ts'
import { isOwnCode, statementUse } from './uses.ts'

export interface AdvicePorts {
  /** A group of servers for each shard, or the only one: its primary first, then its replicas. */
  readonly groups: readonly (readonly Ask[])[]
  /** On the first group's primary, as a login that owns the table, to be closed by whoever asked for it; null: there is none. */
  readonly owner: (table: string) => Promise<{ readonly ask: AskOwner; close(): void } | null>
  readonly progress: (text: string) => void
  /** False: what has not been tried is not tried any more. */
  readonly timeLeft?: () => boolean
  /** Candidates are tried. */
  readonly verify: boolean
  readonly limit: number
  /** Tables from so many bytes on are looked at for partitions; not said: policy's. */
  readonly partitionBytesMin?: number
}

export interface IndexAdvice extends IndexCandidate {
  /** What to say to the database. */
  readonly sql: string
  readonly trial: IndexTrial | null
  readonly verdict: IndexVerdict | null
  /** Why it was not tried; ''. */
  readonly untried: string
  /** Estimated, of all rows. */
  readonly bytes: number | null
  /** Rows written to the table since statistics began. */
  readonly writes: number
}

export interface Advice {
  readonly indexes: readonly IndexAdvice[]
  readonly drops: readonly (IndexDrop & { readonly sql: string })[]
  readonly partitions: readonly PartitionAdvice[]
  /** Statements that were looked at, and those that could not be understood. */
  readonly statements: { readonly seen: number; readonly unread: number }
  /** Candidates that were tried, and did not help. */
  readonly useless: number
}

/** Candidates that are tried for one that is shown. */
const triedFactor = 3

/** Rejects where statements are not counted (42P01, 55000). */
export async function adviseDatabase(ports: AdvicePorts): Promise<Advice> {
  await Promise.all([loadParser(), loadDeparser()])
  ports.progress('reading what the servers have counted')
  const { tables, counted, statements } = sumFacts(
    await Promise.all(ports.groups.map(servers => Promise.all(servers.map(readFacts)))),
  )
  const context = contextOf(tables)
  const uses = statements.map(one => statementUse(one, context))
  const known = uses.filter(one => one !== null)
  const byName = new Map(tables.map(one => [one.table, one]))
  const indexes: IndexAdvice[] = []
  let useless = 0
  for (const candidate of indexCandidates(known, tables).slice(0, ports.limit * triedFactor)) {
    if (indexes.length === ports.limit) break
    const table = byName.get(candidate.table) as TableFacts
    const advice = await candidateAdvice(ports, candidate, table)
    if (advice === null) useless++
    else indexes.push(advice)
  }
  return {
    indexes,
    drops: indexDrops(tables, counted).map(drop => ({
      ...drop,
      sql: `DROP INDEX CONCURRENTLY ${schemaOf(drop.table)}.${quoted(drop.index)}`,
    })),
    partitions: partitionAdvice(known, tables, ports.partitionBytesMin),
    statements: { seen: statements.length, unread: statements.length - known.length },
    useless,
  }
}

/** Null: it was tried, and is no use. */
async function candidateAdvice(
  { groups, owner, progress, verify, timeLeft }: AdvicePorts,
  candidate: IndexCandidate,
  table: TableFacts,
): Promise<IndexAdvice | null> {
  const columns = candidate.columns.map(quoted).join(', ')
  const [schema, name] = candidate.table.split('.') as [string, string]
  const concurrently = table.partitioned === true ? '' : ' CONCURRENTLY'
  const advice = {
    ...candidate,
    sql: `CREATE INDEX${concurrently} ON ${quoted(schema)}.${quoted(name)} (${columns})`,
    writes: table.writes,
  }
  const without = (untried: string): IndexAdvice => ({
    ...advice,
    trial: null,
    verdict: null,
    untried,
    bytes: null,
  })
  if (!verify) return without('it was not asked for')
  if (timeLeft?.() === false) return without('no time was left')
  progress(`trying an index on ${candidate.table} (${candidate.columns.join(', ')})`)
  const login = await owner(candidate.table)
  if (login === null)
    return without("no login of the file has the rights of the table's owner, which a copy needs")
  try {
    const shards = Math.max(1, groups.length)
    const own = { ...candidate, statements: candidate.statements.filter(({ text }) => isOwnCode(text)) }
    if (own.statements.length === 0)
      return without('its statements call functions of users, which planning would run')
    const trial = await tryIndex(login.ask, own, {
      rows: table.rows / shards,
      bytes: table.bytes / shards,
    })
    if (trial.statements.length === 0)
      return without('its statements can not be planned without their values')
    const verdict = judgeIndex(candidate, trial)
    if (verdict === null) return null
    return { ...advice, trial, verdict, untried: '', bytes: Math.round(trial.bytesPerRow * table.rows) }
  } catch (error) {
    return without((error as Error).message)
  } finally {
    login.close()
  }
}

/** Everything the planner of shards would ask, as if all tables were on one server. */
function contextOf(tables: readonly TableFacts[]): Parameters<typeof statementUse>[1] {
  const catalogue = new Map(
    tables.map(({ table, columns }): [string, CatalogueTable] => [
      table,
      {
        kind: 'table',
        columns: columns.map(({ name }) => ({
          name,
          type: '',
          collation: '',
          notNull: false,
          volatileDefault: false,
          generated: false,
          hasDefault: false,
        })),
        unique: [],
        cascades: false,
        triggers: false,
      },
    ]),
  )
  const places = Object.fromEntries(tables.map(({ table }) => [table, { kind: 'everywhere' as const }]))
  const schemas = new Set(tables.map(({ table }) => table.split('.')[0] as string))
  return {
    map: { format: 1, version: 1, shards: ['1'], families: {}, tables: places },
    catalogue: { tables: catalogue, calm: new Set() },
    searchPath: ['public', ...[...schemas].filter(one => one !== 'public').sort()],
  }
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const schemaOf = (table: string): string => quoted(table.split('.')[0] as string)
