// A database's rows as files, as they were at one moment: all shards' snapshots behind one short hold of the clients
// (export-cut.ts), then tables one after another on each shard, shards side by side. Memory is a few pieces a shard.

import { type WrittenFile, WrittenFolder } from '../../io/written-folder.ts'
import type { ShardMap } from '../../policy/shard/contract.ts'
import type { LinkTarget } from '../reads/link.ts'
import { type Cut, type CutPorts, takeCut } from './export-cut.ts'
import { type ExportFormat, ExportReader, type ExportTable } from './export-reader.ts'

export interface ExportPorts extends Omit<CutPorts, 'say'> {
  progress(sentence: string): void
}

export interface ExportWish {
  readonly database: string
  /** Absolute. */
  readonly folder: string
  readonly format: ExportFormat
  /** Null: it has no shards; then there is one target, that of the shard ''. */
  readonly map: ShardMap | null
  readonly targets: ReadonlyMap<string, LinkTarget>
}

export interface ExportedTable extends WrittenFile {
  /** `public.orders`. */
  readonly table: string
  /** Null: the database has no shards, or it is everywhere and one shard stands for all. */
  readonly shard: string | null
  readonly columns: readonly string[]
  readonly rows: number
}

export interface ExportManifest {
  readonly format: 1
  readonly database: string
  readonly files: ExportFormat
  /** ISO 8601: between the hold and its end. */
  readonly at: string
  /** Null: no shards. */
  readonly mapVersion: number | null
  /** For so long clients waited. */
  readonly heldMs: number
  readonly shards: readonly {
    readonly shard: string
    readonly snapshot: string
    readonly lsn: string
    readonly sequences: Readonly<Record<string, string>>
  }[]
  readonly tables: readonly ExportedTable[]
}

export type Exported =
  | { readonly kind: 'exported'; readonly manifest: ExportManifest }
  | { readonly kind: 'refused'; readonly why: string }

const shardsAtOnce = 4
const toldEveryBytes = 64 << 20

/** What it has begun is removed where it fails. */
export async function exportDatabase(wish: ExportWish, ports: ExportPorts): Promise<Exported> {
  const folder = await WrittenFolder.claim(wish.folder)
  if (folder === null) return { kind: 'refused', why: `${wish.folder} is not empty` }
  const readers: ExportReader[] = []
  let whole = false
  try {
    for (const [shard, target] of wish.targets) readers.push(await ExportReader.open(shard, target))
    const say = (text: string): void => ports.progress(text)
    const found = await takeCut(readers, { ...ports, say }, wish.map !== null)
    if (found.kind === 'given-up') return { kind: 'refused', why: found.why }
    ports.progress(
      wish.map === null
        ? 'the snapshot is taken'
        : `the cut is taken: clients waited for ${found.cut.heldMs} ms`,
    )
    const tables = await copyAll(wish, found.cut, { readers, folder, ports })
    const manifest = manifestOf(wish, found.cut, tables)
    await folder.finish(manifest)
    whole = true
    return { kind: 'exported', manifest }
  } finally {
    for (const reader of readers) reader.close()
    if (!whole) await folder.remove()
  }
}

interface Copying {
  readonly readers: readonly ExportReader[]
  readonly folder: WrittenFolder
  readonly ports: ExportPorts
}

/** In the manifest's order: by table, then by shard. */
async function copyAll(
  wish: ExportWish,
  cut: Cut,
  { readers, folder, ports }: Copying,
): Promise<ExportedTable[]> {
  const done: ExportedTable[] = []
  let number = 0
  let bytes = 0
  let told = 0
  const wrote = (more: number): void => {
    bytes += more
    if (bytes - told < toldEveryBytes) return
    told = bytes
    ports.progress(`${done.length} files, ${Math.round(bytes / 1e6)} MB`)
  }
  const waiting = [...readers]
  const worker = async (): Promise<void> => {
    for (let reader = waiting.shift(); reader !== undefined; reader = waiting.shift()) {
      for (const table of cut.tables.get(reader.shard) ?? []) {
        const place = placeOf(table, reader.shard, wish.map)
        if (place === 'elsewhere') continue
        const name = `${table.schema}.${table.name}`
        const file = WrittenFolder.fileName(++number, name, place ?? '', wish.format)
        let rows = 0
        const chunks = reader.copy(table, wish.format, count => {
          rows = count
        })
        const written = await folder.write(file, chunks, wrote)
        done.push({ table: name, shard: place, columns: table.columns, rows, ...written })
      }
      // Its snapshot keeps the server from cleaning up.
      reader.close()
    }
  }
  const workers = Array.from({ length: Math.min(shardsAtOnce, readers.length) }, () =>
    worker().catch(error => {
      for (const reader of readers) reader.close()
      throw error
    }),
  )
  // Nobody writes any more when one has failed.
  const ends = await Promise.allSettled(workers)
  const failed = ends.find(end => end.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const order = (one: ExportedTable): string => `${one.table}\0${one.shard ?? ''}`
  return done.sort((a, b) => (order(a) < order(b) ? -1 : 1))
}

/** A table that is everywhere is written once, one that is on a shard from there. */
function placeOf(
  { schema, name }: ExportTable,
  shard: string,
  map: ShardMap | null,
): string | null | 'elsewhere' {
  if (map === null) return null
  const place = map.tables[`${schema}.${name}`]
  if (place?.kind === 'everywhere') return shard === map.shards[0] ? null : 'elsewhere'
  if (place?.kind === 'on') return shard === place.shard ? shard : 'elsewhere'
  return shard
}

function manifestOf(
  { database, format, map }: ExportWish,
  cut: Cut,
  tables: readonly ExportedTable[],
): ExportManifest {
  const shards = [...cut.snapshots].map(([shard, { snapshot, lsn, sequences }]) => ({
    shard,
    snapshot,
    lsn,
    sequences: Object.fromEntries(sequences.map(one => [one.sequence, one.lastValue])),
  }))
  return {
    format: 1,
    database,
    files: format,
    at:
      [...cut.snapshots.values()]
        .map(({ at }) => at)
        .sort()
        .at(-1) ?? '',
    mapVersion: map?.version ?? null,
    heldMs: cut.heldMs,
    shards: shards.sort((a, b) => (a.shard < b.shard ? -1 : 1)),
    tables,
  }
}
