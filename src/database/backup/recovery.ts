// A data directory made of a base backup and the log, recovered to a moment by PostgreSQL itself, and stopped cleanly: what
// is left is an ordinary primary's directory. While it recovers nobody gets in but us, through a socket in that directory.

import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import {
  isThere,
  moveWhole,
  type Owner,
  ownFolder,
  removeFile,
  removeTree,
  textOf,
  writeOwned,
} from '../../io/owned-files.ts'
import { socketPathBytesMax } from '../../io/socket-path.ts'
import { TarUnpacker } from '../../io/tar-unpack.ts'
import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Lsn } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type { Binaries } from '../servers/binaries.ts'
import type { Progress } from '../servers/contract.ts'
import type { ServerPlace } from '../servers/places.ts'
import { ServerProcess } from '../servers/server-process.ts'
import { type BaseBackup, readBase } from './base.ts'
import type { LogArchive } from './log-archive.ts'
import { lsnText } from './segments.ts'
import { type StagedLog, stageLog } from './staging.ts'
import type { BackupStore } from './store.ts'

export type RestoreTarget =
  | { readonly kind: 'latest' }
  /** The last transaction that was committed at or before it. */
  | { readonly kind: 'time'; readonly atMs: number }
  | { readonly kind: 'lsn'; readonly lsn: Lsn }

export interface RecoveryOptions {
  readonly store: BackupStore
  readonly archive: LogArchive
  readonly base: BaseBackup
  readonly target: RestoreTarget
  readonly place: ServerPlace
  readonly binaries: Binaries
  readonly user: Owner | null
  readonly clock: Clock
  /** Thrown away afterwards, so nothing is synced. */
  readonly trial: boolean
  readonly progress: Progress
  readonly signal: AbortSignal
}

export interface Recovered {
  readonly log: StagedLog
  /** As long as it runs; nobody but us is in. */
  readonly server: RecoveredServer
}

/** Where the files of a recovery are: in `partial`, until it has succeeded. */
function placeOf(place: ServerPlace): ServerPlace {
  return {
    ...place,
    data: place.partial,
    configuration: join(place.folder, 'restore.conf'),
    access: join(place.folder, 'restore_hba.conf'),
  }
}

/** Ends and removes what an earlier attempt left, whoever made it. */
export async function removeRecovery(
  options: Pick<RecoveryOptions, 'place' | 'binaries' | 'user' | 'clock'>,
): Promise<void> {
  const place = placeOf(options.place)
  await processIn(place, options).kill()
  await removeTree(place.data)
  for (const file of [place.configuration, place.access]) removeFile(file)
}

function processIn(
  place: ServerPlace,
  { binaries, user, clock }: Pick<RecoveryOptions, 'binaries' | 'user' | 'clock'>,
): ServerProcess {
  return new ServerProcess({ place, binaries, user, clock, remember: () => {}, ended: () => {} })
}

/** Rejects, with nothing left behind, when the backup is damaged or PostgreSQL does not get to the target. */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const place = placeOf(options.place)
  await removeRecovery(options)
  try {
    ownFolder(place.data, 0o700, options.user)
    await unpackBase(place.data, options)
    const folder = join(place.data, 'pg_wal')
    const log = await stageLog({ ...options, folder, owner: options.user })
    if (log.problem !== '' && options.target.kind === 'latest') throw cutLog(log, options)
    const server = await recovered(place, log, options)
    return { log, server }
  } catch (error) {
    await removeRecovery(options)
    throw error
  }
}

function cutLog(log: StagedLog, { store, base }: RecoveryOptions): Failure {
  return new Failure(
    databaseFailures.backupDamaged,
    `The log after ${base.name} in ${store.place} leads to ${lsnText(log.endLsn)} and no further: ${log.problem}.`,
    { details: { endLsn: lsnText(log.endLsn) } },
  )
}

async function unpackBase(directory: string, options: RecoveryOptions): Promise<void> {
  const { store, base, user, progress, signal } = options
  const unpacker = new TarUnpacker({ directory, owner: user })
  let bytes = 0
  try {
    for await (const piece of readBase(store, base)) {
      signal.throwIfAborted()
      unpacker.push(piece)
      bytes += piece.length
      progress(`unpacking ${base.name}`, bytes, base.bytes)
    }
    unpacker.end()
  } finally {
    unpacker.close()
  }
}

/** `postgresql.auto.conf` came with the base, and would overrule ours. */
function writeConfiguration(place: ServerPlace, log: StagedLog, options: RecoveryOptions): string {
  const inside = join(place.data, '.s.PGSQL.5432')
  const sockets =
    Buffer.byteLength(inside) <= socketPathBytesMax
      ? place.data
      : join(tmpdir(), `tenfold-${randomBytes(8).toString('hex')}`)
  if (sockets !== place.data) ownFolder(sockets, 0o700, options.user)
  const settings: Record<string, string> = {
    data_directory: place.data,
    hba_file: place.access,
    listen_addresses: '',
    port: '5432',
    unix_socket_directories: sockets,
    unix_socket_permissions: '0700',
    max_connections: '10',
    max_prepared_transactions: String(options.base.preparedMax),
    wal_level: 'logical',
    hot_standby: 'off',
    shared_buffers: '64MB',
    archive_mode: 'off',
    track_commit_timestamp: 'on',
    synchronous_standby_names: '',
    log_line_prefix: '%m [%p] ',
    timezone: 'UTC',
    fsync: options.trial ? 'off' : 'on',
    // All log that there is lies in the directory already.
    restore_command: 'false',
    recovery_target_timeline: String(log.timeline),
    recovery_target_action: 'promote',
    ...targetSettings(options.target),
  }
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  )
  for (const name of ['postgresql.auto.conf', 'standby.signal']) removeFile(join(place.data, name))
  writeOwned(place.configuration, lines.join(''), options.user === null ? 0o600 : 0o644, null)
  writeOwned(place.access, 'local all all trust\n', options.user === null ? 0o600 : 0o644, null)
  writeOwned(join(place.data, 'recovery.signal'), '', 0o600, options.user)
  return sockets
}

function targetSettings(target: RestoreTarget): Record<string, string> {
  if (target.kind === 'time')
    return { recovery_target_time: new Date(target.atMs).toISOString().replace('T', ' ').replace('Z', '+00') }
  if (target.kind === 'lsn') return { recovery_target_lsn: lsnText(target.lsn) }
  return {}
}

async function recovered(
  place: ServerPlace,
  log: StagedLog,
  options: RecoveryOptions,
): Promise<RecoveredServer> {
  const sockets = writeConfiguration(place, log, options)
  const process = processIn(place, options)
  await process.launch()
  while (!isReady(place)) {
    options.signal.throwIfAborted()
    options.progress(`recovering to ${toldTarget(options.target)}`)
    if (!process.alive) throw unrecovered(process, log, options)
    await sleep(20)
  }
  return new RecoveredServer(place, options.place, process, sockets)
}

/** The eighth line of postmaster.pid; without hot standby it is `ready` only when recovery has ended. */
function isReady(place: ServerPlace): boolean {
  const lines = (textOf(join(place.data, 'postmaster.pid')) ?? '').split('\n')
  return lines[7]?.trim() === 'ready'
}

function unrecovered(process: ServerProcess, log: StagedLog, { target, base }: RecoveryOptions): Failure {
  const said = process.output(40).join('\n')
  const { message } = process.failure('could not recover')
  if (log.problem !== '')
    return new Failure(
      databaseFailures.backupDamaged,
      `The log after ${base.name} leads to ${lsnText(log.endLsn)}, not to ${toldTarget(target)}: ${log.problem}.`,
    )
  if (said.includes('before configured recovery target was reached'))
    return new Failure(
      databaseFailures.restoreTarget,
      `The archived log ends at ${lsnText(log.endLsn)}, with no transaction after ${toldTarget(target)}: whether all before it is there can't be known. Ask for the latest moment instead.`,
    )
  return new Failure(databaseFailures.restoreFailed, message)
}

export function toldTarget(target: RestoreTarget): string {
  if (target.kind === 'time') return new Date(target.atMs).toISOString()
  return target.kind === 'lsn' ? lsnText(target.lsn) : 'the latest moment'
}

export class RecoveredServer {
  readonly #place: ServerPlace
  readonly #final: ServerPlace
  readonly #process: ServerProcess
  readonly #sockets: string

  constructor(place: ServerPlace, final: ServerPlace, process: ServerProcess, sockets: string) {
    this.#place = place
    this.#final = final
    this.#process = process
    this.#sockets = sockets
  }

  /** One connection as the superuser, closed after `work`. An abort ends it. */
  async session<Result>(
    superuser: string,
    database: string,
    signal: AbortSignal,
    work: (client: pg.Client) => Promise<Result>,
  ): Promise<Result> {
    // What is recovered is what services made: their names must not stand for PostgreSQL's own.
    const options = '-c search_path=pg_catalog'
    const client = new pg.Client({ host: this.#sockets, port: 5432, user: superuser, database, options })
    client.on('error', () => {})
    await client.connect()
    const cancel = (): void => void client.end()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      return await work(client)
    } finally {
      signal.removeEventListener('abort', cancel)
      await client.end()
    }
  }

  /** Stopped cleanly, and moved to where a server of Tenfold's expects its data. */
  async keep(): Promise<void> {
    await this.#process.stop('fast')
    this.#removeSockets()
    await removeTree(this.#final.data)
    moveWhole(this.#place.data, this.#final.data)
    for (const file of [this.#place.configuration, this.#place.access]) removeFile(file)
  }

  async discard(): Promise<void> {
    await this.#process.kill()
    this.#removeSockets()
    await removeTree(this.#place.data)
    for (const file of [this.#place.configuration, this.#place.access]) removeFile(file)
  }

  #removeSockets(): void {
    if (this.#sockets !== this.#place.data && isThere(this.#sockets)) void removeTree(this.#sockets)
  }
}
