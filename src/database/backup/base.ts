// Base backups: a whole data directory as one packed archive, with the log that makes it consistent, and a manifest that is
// written last. A base without a manifest was never finished, and is removed when somebody looks.

import { createHash } from 'node:crypto'
import { packed, unpacked } from '../../io/zstd.ts'
import { type Clock, MS } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Lsn } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type { Progress } from '../servers/contract.ts'
import { once, textOf } from './log-archive.ts'
import { type ReplicationAddress, ReplicationConnection, type ReplicationStream } from './replication.ts'
import { lsnOf } from './segments.ts'
import type { BackupStore } from './store.ts'

const prefix = 'base-'
const archiveName = 'base.tar.zst'
const manifestName = 'manifest.json'
const connectTimeoutMs = 5_000

export interface BaseBackup {
  /** `base-20261122T091500-123Z`: when it began, to the millisecond. */
  readonly name: string
  readonly database: string
  readonly systemId: string
  readonly timeline: number
  readonly startLsn: Lsn
  /** From here on the copy is consistent: earlier moments need an older base. */
  readonly stopLsn: Lsn
  readonly startedAtMs: number
  readonly endedAtMs: number
  /** PostgreSQL's version: `18.4`. */
  readonly postgres: string
  readonly segmentBytes: number
  /** Recovery needs room for as many. */
  readonly preparedMax: number
  /** Unpacked, and as it lies there. */
  readonly bytes: number
  readonly packedBytes: number
  /** Of the packed archive. */
  readonly sha256: string
}

export interface TakeOptions {
  readonly store: BackupStore
  readonly address: ReplicationAddress
  readonly database: string
  readonly clock: Clock
  readonly progress: Progress
  readonly signal: AbortSignal
}

export async function takeBase(options: TakeOptions): Promise<BaseBackup> {
  const { store, clock, signal } = options
  const connection = await ReplicationConnection.open(options.address, 'tenfold backup', connectTimeoutMs)
  const cancel = (): void => connection.close()
  signal.addEventListener('abort', cancel, { once: true })
  const startedAtMs = Math.round(clock.wall() / MS)
  const name = await freeName(store, startedAtMs)
  try {
    signal.throwIfAborted()
    const facts = await factsOf(connection)
    const taken = await streamed(connection, `${name}/${archiveName}`, options)
    const base: BaseBackup = {
      name,
      database: options.database,
      startedAtMs,
      endedAtMs: Math.round(clock.wall() / MS),
      ...facts,
      ...taken,
    }
    await store.put(`${name}/${manifestName}`, once(`${JSON.stringify(base, null, 2)}\n`))
    return base
  } catch (error) {
    await removeBase(store, name)
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', cancel)
    connection.close()
  }
}

/** The clock may have been set back: a base is never written over another. */
async function freeName(store: BackupStore, atMs: number): Promise<string> {
  const name = `${prefix}${new Date(atMs).toISOString().replaceAll(/[-:]/g, '').replace('.', '-')}`
  return (await store.list(`${name}/`)).length === 0 ? name : freeName(store, atMs + 1)
}

async function factsOf(
  connection: ReplicationConnection,
): Promise<Pick<BaseBackup, 'systemId' | 'postgres' | 'segmentBytes' | 'preparedMax'>> {
  const { systemId } = await connection.identify()
  const version = await connection.setting('server_version')
  return {
    systemId,
    postgres: version.split(' ')[0] as string,
    segmentBytes: await segmentBytesOf(connection),
    preparedMax: Number(await connection.setting('max_prepared_transactions')),
  }
}

/** `16MB`; a whole number of MB or GB. */
export async function segmentBytesOf(connection: ReplicationConnection): Promise<number> {
  const [, count, unit] = /^(\d+)(MB|GB)$/.exec(await connection.setting('wal_segment_size')) ?? []
  return Number(count) * (unit === 'GB' ? 2 ** 30 : 2 ** 20)
}

type Taken = Pick<BaseBackup, 'timeline' | 'startLsn' | 'stopLsn' | 'bytes' | 'packedBytes' | 'sha256'>

async function streamed(
  connection: ReplicationConnection,
  object: string,
  options: TakeOptions,
): Promise<Taken> {
  const stream = connection.run(
    "BASE_BACKUP (LABEL 'tenfold', PROGRESS true, CHECKPOINT 'fast', WAL true, MANIFEST 'no')",
  )
  const hash = createHash('sha256')
  let bytes = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const piece of archiveOf(stream, options.progress)) {
      bytes += piece.length
      yield piece
    }
  }
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const piece of packed(counted())) {
      hash.update(piece)
      yield piece
    }
  }
  const stored = await options.store.put(object, hashed())
  const [start, end] = [stream.rows[0], stream.rows.at(-1)]
  return {
    timeline: Number(start?.[1]),
    startLsn: lsnOf(start?.[0] ?? ''),
    stopLsn: lsnOf(end?.[0] ?? ''),
    bytes,
    packedBytes: stored.bytes,
    sha256: hash.digest('hex'),
  }
}

/** protocol-replication, BASE_BACKUP: the first byte says what a message is. */
async function* archiveOf(stream: ReplicationStream, progress: Progress): AsyncGenerator<Buffer> {
  let totalBytes = 0
  for (let message = await stream.next(); message !== null; message = await stream.next()) {
    const kind = String.fromCharCode(message[0] as number)
    if (kind === 'd') yield message.subarray(1)
    else if (kind === 'p')
      progress('copying the data directory', Number(message.readBigUInt64BE(1)), totalBytes)
    else if (kind === 'n') {
      // The first row is the start, then one a tablespace: its size in kB, estimated before the copy.
      if (stream.rows.length > 2) throw withTablespaces()
      totalBytes = Number(stream.rows[1]?.[2] ?? 0) * 1024
    }
  }
}

function withTablespaces(): Failure {
  return new Failure(
    databaseFailures.backupFailed,
    'The database has tablespaces of its own; only data in the data directory itself can be backed up.',
  )
}

/** Oldest first. What was never finished, or has a manifest that can't be read, is not among them. */
export async function listBases(store: BackupStore): Promise<BaseBackup[]> {
  const bases: BaseBackup[] = []
  for (const name of await manifests(store)) {
    const base = await readManifest(store, name)
    if (base !== null) bases.push(base)
  }
  return bases.sort((one, other) => one.startedAtMs - other.startedAtMs)
}

/** Names of finished bases whose manifest is damaged: nothing can be restored from them, and nothing of them is removed. */
export async function unreadableBases(store: BackupStore): Promise<string[]> {
  const names = await manifests(store)
  const read = await Promise.all(names.map(name => readManifest(store, name)))
  return names.filter((_, index) => read[index] === null).map(name => name.slice(0, -manifestName.length - 1))
}

async function manifests(store: BackupStore): Promise<string[]> {
  const objects = await store.list(prefix)
  return objects.map(one => one.name).filter(name => name.endsWith(`/${manifestName}`))
}

async function readManifest(store: BackupStore, name: string): Promise<BaseBackup | null> {
  try {
    const base = JSON.parse(await textOf(store.get(name))) as BaseBackup
    const whole =
      Number.isFinite(base.startLsn) && Number.isFinite(base.endedAtMs) && base.sha256.length === 64
    return whole ? base : null
  } catch {
    return null
  }
}

/** What was left in the middle by a process that ended; names of what was removed. Only while no base is being taken. */
export async function removeUnfinished(store: BackupStore): Promise<string[]> {
  const finished = new Set((await manifests(store)).map(name => name.split('/')[0] as string))
  const folders = new Set((await store.list(prefix)).map(one => one.name.split('/')[0] as string))
  const unfinished = [...folders].filter(name => !finished.has(name))
  for (const name of unfinished) await removeBase(store, name)
  return unfinished
}

/** The manifest first: what is left after a crash is an unfinished one. */
export async function removeBase(store: BackupStore, name: string): Promise<void> {
  const objects = (await store.list(`${name}/`)).map(one => one.name)
  objects.sort((one, other) => Number(other.endsWith(manifestName)) - Number(one.endsWith(manifestName)))
  for (const object of objects) await store.remove(object)
}

/** The archive as it was taken; throws DATABASE_BACKUP_DAMAGED at its end, or before, when it is not that any more. */
export async function* readBase(store: BackupStore, base: BaseBackup): AsyncGenerator<Buffer> {
  const object = `${base.name}/${archiveName}`
  const hash = createHash('sha256')
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const piece of store.get(object)) {
      hash.update(piece)
      yield piece
    }
  }
  try {
    yield* unpacked(hashed())
  } catch (cause) {
    throw damaged(store, object, (cause as Error).message, cause)
  }
  if (hash.digest('hex') !== base.sha256) throw damaged(store, object, 'its checksum differs')
}

export function damaged(store: BackupStore, object: string, why: string, cause?: unknown): Failure {
  return new Failure(
    databaseFailures.backupDamaged,
    `${object} in ${store.place} is not what was written there: ${why}.`,
    cause === undefined ? {} : { cause },
  )
}
