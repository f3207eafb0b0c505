// The moment of an export: clients' new statements are held, what is open ends, no part of a commit over shards is left
// prepared, and then every shard's snapshot is taken; clients go on before the first row is read. Tried again when clients
// would wait for too long.

import type { AskOne } from './drift.ts'
import { type ExportReader, type ExportSnapshot, type ExportTable, exporterName } from './export-reader.ts'

export interface CutPorts {
  readonly ask: AskOne
  /** Resolves when every router knows: nothing new begins, or all goes on. */
  hold(holding: boolean): Promise<void>
  /** True when no client has anything open on the database. */
  drained(timeoutMs: number): Promise<boolean>
  /** Why there can't be a cut now; ''. Asked before the hold and after the snapshots. */
  hindered(): string
  pause(ms: number): Promise<void>
  say(text: string): void
}

export interface Cut {
  /** By shard. */
  readonly snapshots: ReadonlyMap<string, ExportSnapshot>
  readonly tables: ReadonlyMap<string, readonly ExportTable[]>
  /** Clients waited for so long. */
  readonly heldMs: number
  readonly tries: number
}

export type CutTaken =
  | { readonly kind: 'cut'; readonly cut: Cut }
  | { readonly kind: 'given-up'; readonly why: string }

/** Of all that happens while clients are held; and of its first part, until nothing is open any more. */
const holdMsMax = 1_000
const drainMsMax = 700
const triesMax = 10
const answerMs = 10_000
/** Clients go on in between, longer each time. */
const pauseMs = 500
const pollMs = 5
const askMs = 5_000

const openSql = `SELECT coalesce((SELECT string_agg(format('process %s of %s', pid, usename), ', ') FROM (SELECT pid, usename FROM pg_stat_activity
  WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database() AND application_name <> '${exporterName}'
  AND backend_type = 'client backend' LIMIT 3) AS writing), '')
|| coalesce((SELECT format(' %s prepared transactions', count(*)) FROM pg_prepared_xacts WHERE database = current_database() HAVING count(*) > 0), '')`

/** Of one database without shards nobody has to wait: one snapshot is one moment. */
export async function takeCut(
  readers: readonly ExportReader[],
  ports: CutPorts,
  barrier: boolean,
): Promise<CutTaken> {
  let why = ''
  for (let tries = 1; tries <= triesMax; tries++) {
    why = ports.hindered()
    if (why !== '') return { kind: 'given-up', why }
    // What has to be locked is known before anybody waits.
    const tables = new Map<string, readonly ExportTable[]>()
    await Promise.all(readers.map(async reader => tables.set(reader.shard, await reader.tables())))
    const begun = performance.now()
    const found = barrier ? await held(readers, ports, tables) : await taken(readers, ports, tables)
    const heldMs = barrier ? Math.round(performance.now() - begun) : 0
    if (typeof found !== 'string') return { kind: 'cut', cut: { snapshots: found, tables, heldMs, tries } }
    why = found
    await Promise.all(readers.map(reader => reader.leave()))
    if (tries < triesMax) {
      ports.say(`no cut yet: ${why}; clients go on, and it is tried again`)
      await ports.pause(pauseMs * tries)
    }
  }
  return { kind: 'given-up', why: `${why} (tried ${triesMax} times)` }
}

type Snapshots = ReadonlyMap<string, ExportSnapshot>
type Tables = ReadonlyMap<string, readonly ExportTable[]>

/** Why not, in words. */
async function held(
  readers: readonly ExportReader[],
  ports: CutPorts,
  tables: Tables,
): Promise<Snapshots | string> {
  const begun = performance.now()
  let taking: Promise<Snapshots | string> | null = null
  // Held or not, nothing is left held.
  try {
    await ports.hold(true)
    const end = begun + drainMsMax
    if (!(await ports.drained(Math.max(1, end - performance.now())))) return 'clients had transactions open'
    const open = await Promise.all(readers.map(({ shard }) => stillOpen(ports, shard, end)))
    const writing = open.filter(one => one !== '')
    if (writing.length > 0) return writing.join('; ')
    taking = taken(readers, ports, tables)
    const found = await within(taking, begun + holdMsMax - performance.now())
    if (found !== null) return found
  } finally {
    await ports.hold(false)
  }
  // Snapshots that came too late say nothing; but who takes them has to be free again.
  if ((await within(taking, answerMs)) === null)
    throw new Error('a shard did not answer while clients were held')
  return 'snapshots took too long'
}

/** Null: it took longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>(resolve => {
    timer = setTimeout(() => resolve(null), Math.max(1, ms))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function stillOpen({ ask, pause }: CutPorts, shard: string, end: number): Promise<string> {
  for (;;) {
    const [row] = await ask(shard, openSql, askMs)
    const open = (row?.[0] ?? '').trim()
    if (open === '') return ''
    if (performance.now() > end) return `shard ${shard}: ${open}`
    await pause(pollMs)
  }
}

async function taken(
  readers: readonly ExportReader[],
  ports: CutPorts,
  tables: Tables,
): Promise<Snapshots | string> {
  const found = new Map<string, ExportSnapshot>()
  try {
    await Promise.all(
      readers.map(async reader => {
        await reader.lock(tables.get(reader.shard) ?? [])
        found.set(reader.shard, await reader.take())
      }),
    )
  } catch (error) {
    // Of a lock that somebody else has, or of a table that has gone since.
    const { code } = error as { readonly code?: string }
    if (code !== '55P03' && code !== '42P01') throw error
    return `a table's definition is being changed (${(error as Error).message})`
  }
  const now = await Promise.all(readers.map(async reader => [reader.shard, await reader.tables()] as const))
  const other = now.find(([shard, list]) => JSON.stringify(list) !== JSON.stringify(tables.get(shard)))
  if (other !== undefined)
    return `tables came, went or changed${other[0] === '' ? '' : ` on shard ${other[0]}`}`
  const why = ports.hindered()
  return why === '' ? found : why
}
