// After a statement that may have changed columns that are unique over all shards: what the triggers noted is taken from each
// shard that wrote, and the look-up tables are changed in the same transaction. A value that is there twice is their
// PostgreSQL's own unique violation, at the statement that made it.
//
// What goes is applied before what comes, over all shards: rows may swap their values. Memory: one part of the notes a shard.

import { canonicalKey } from '../../policy/shard/key.ts'
import type { UniqueColumns } from '../../policy/shard/unique.ts'
import type { ShardClient } from './client.ts'
import { noRequest } from './client.ts'
import { StatementFailed, tagOf } from './statement-failed.ts'

/** Notes that are taken at once from a shard. */
const partMax = 5_000

interface Note {
  readonly columns: UniqueColumns
  /** Null: the table was emptied. */
  readonly value: readonly string[] | null
  readonly key: readonly string[]
}

/** Changes for the look-up tables of one shard, by look-up. */
interface Changes {
  readonly went: (readonly [readonly string[], readonly string[]])[]
  readonly came: (readonly [readonly string[], readonly string[]])[]
  emptied: boolean
}

/** Throws what the client is to be told; the transaction has failed then. */
export async function keepUnique(client: ShardClient): Promise<void> {
  const shards = client.transaction.takeWritten()
  if (shards.length === 0 || client.routing.uniques.size === 0) return
  let open = shards
  let came: Note[] = []
  while (open.length > 0) {
    const parts = await allOf(open.map(async shard => ({ shard, ...(await take(client, shard)) })))
    open = parts.filter(({ full }) => full).map(({ shard }) => shard)
    const went = parts.flatMap(part => part.went)
    came.push(...parts.flatMap(part => part.came))
    // A shard gives first what went: once all have given what came, or the end, nothing more goes.
    const goes = parts.some(part => part.full && part.came.length === 0)
    if (!goes) {
      await apply(client, went, came)
      came = []
    } else await apply(client, went, [])
  }
  await apply(client, [], came)
}

/** Throws the first of what failed once all have ended: nothing is under way when the transaction is rolled back. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work)
  return Promise.all(work)
}

async function take(
  client: ShardClient,
  shard: number,
): Promise<{ went: Note[]; came: Note[]; full: boolean }> {
  const went: Note[] = []
  const came: Note[] = []
  let rows = 0
  const seat = await client.transaction.seat(shard)
  const sql = `SELECT tenfold.unique_take(${partMax})`
  const end = await seat.run(
    { ...noRequest, sql },
    {
      row: (bytes, from, to) => {
        rows++
        const [name, isCome, value, key] = JSON.parse(bytes.utf8Slice(from + 11, to)) as [
          string,
          boolean,
          string[] | null,
          string[] | null,
        ]
        const columns = client.routing.uniques.get(name)
        // Taken out of the file meanwhile.
        if (columns === undefined) return
        ;(isCome ? came : went).push({ columns, value, key: key ?? [] })
      },
    },
  )
  tagOf(end)
  return { went, came, full: rows === partMax }
}

async function apply(client: ShardClient, went: readonly Note[], came: readonly Note[]): Promise<void> {
  if (went.length === 0 && came.length === 0) return
  const byShard = new Map<number, Map<string, Changes>>()
  const changesOf = (shard: number, lookup: string): Changes => {
    const lookups = byShard.get(shard) ?? new Map<string, Changes>()
    byShard.set(shard, lookups)
    const changes = lookups.get(lookup) ?? { went: [], came: [], emptied: false }
    lookups.set(lookup, changes)
    return changes
  }
  const { routing } = client
  for (const { columns, value, key } of went)
    if (value === null)
      for (const shard of routing.groups.keys()) changesOf(shard, columns.lookup).emptied = true
    else changesOf(placeOf(client, columns, value), columns.lookup).went.push([value, key])
  for (const { columns, value, key } of came)
    if (value !== null) changesOf(placeOf(client, columns, value), columns.lookup).came.push([value, key])
  await allOf([...byShard].map(([shard, lookups]) => change(client, shard, lookups)))
}

/** In one order, so that clients who change the same wait for each other and not in a ring. */
async function change(
  client: ShardClient,
  shard: number,
  lookups: ReadonlyMap<string, Changes>,
): Promise<void> {
  const seat = await client.transaction.seat(shard)
  client.transaction.wroteOn(shard)
  for (const lookup of [...lookups.keys()].sort()) {
    const { went, came, emptied } = lookups.get(lookup) as Changes
    const [schema, name] = lookup.split('.') as [string, string]
    const parameters = [sorted(went), sorted(came), String(emptied)].map(text => Buffer.from(text))
    const sql = `SELECT ${schema}."${name.replaceAll('"', '""')}"($1::jsonb, $2::jsonb, $3::boolean)`
    tagOf(await seat.run({ ...noRequest, sql, parameters }, { row: () => {} }))
  }
}

function sorted(rows: Changes['went']): string {
  return JSON.stringify(rows.sort(([one], [other]) => compare(one, other)))
}

function compare(one: readonly string[], other: readonly string[]): number {
  for (const [at, text] of one.entries()) {
    const than = other[at] as string
    if (text !== than) return text < than ? -1 : 1
  }
  return 0
}

function placeOf(
  { routing }: ShardClient,
  { lookup, types }: UniqueColumns,
  value: readonly string[],
): number {
  const canonical = value.map((text, at) => canonicalKey(types[at] ?? 'text', text))
  const placed = routing.placeCanonical(lookup, canonical)
  if ('shard' in placed) return placed.shard
  throw StatementFailed.of('XX000', `The look-up table ${lookup} has no place for a value.`, {
    detail: 'shard-unique',
  })
}
