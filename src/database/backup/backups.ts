// The backups of one database: base backups by the clock or when asked, the log between them all the time, restores, drills,
// and what may go. Owns the order of these: one piece of work at a time, and nothing is removed before its successor is whole.

import { join } from 'node:path'
import { ownFolder } from '../../io/owned-files.ts'
import { type Clock, MS } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { BackupSpec, DatabaseDecision, DatabaseRole, Topology } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import type { Binaries } from '../servers/binaries.ts'
import { prepareBinaries } from '../servers/binaries.ts'
import type { Progress, ServersOptions } from '../servers/contract.ts'
import { Places, type ServerPlace } from '../servers/places.ts'
import { replicationUser } from '../servers/roles.ts'
import {
  type BaseBackup,
  listBases,
  removeBase,
  removeUnfinished,
  segmentBytesOf,
  takeBase,
  unreadableBases,
} from './base.ts'
import { type DrillRecord, drillRecords, keepDrill } from './drills.ts'
import { LogArchive, once, textOf } from './log-archive.ts'
import { archiveSlot, idleReceiver, LogReceiver, type ReceiverStatus } from './log-receiver.ts'
import { type RestoreTarget, removeRecovery } from './recovery.ts'
import { type ReplicationAddress, ReplicationConnection } from './replication.ts'
import { type RestoreResult, type RestoringOptions, restoreTo, tryLatest } from './restoring.ts'
import { dispensable } from './retention.ts'
import { dropSlot, moveSlot } from './slot-keeper.ts'
import { DirectoryStore } from './store.ts'

const systemObject = 'system.json'
const connectTimeoutMs = 5_000
const lookEveryMs = 1_000
/** After a failed base backup or drill; doubled with each that follows. */
const retryMsMin = 5_000
const retryMsMax = 600_000
const slotsEveryMs = 10_000
const drillServer = 'drill'

export interface BackupsOptions extends ServersOptions {
  /** Its users; embedded servers know them. */
  readonly roles: () => readonly DatabaseRole[]
  readonly topology: () => Topology
  decided(decision: DatabaseDecision): void
}

export interface RestoreRequest {
  readonly target: RestoreTarget
  /** Which base backup; left out: the newest that leads to the target. */
  readonly base?: string
  /** Where to: the database's own options, as its servers will be made with, and the id of its first server. */
  readonly into: ServersOptions
  readonly server: string
  /** Of the new database: they get these passwords. */
  readonly roles: readonly DatabaseRole[]
}

export interface BackupStatus {
  readonly place: string
  readonly bases: number
  readonly lastBase: BaseBackup | null
  readonly nextBaseAtMs: number | null
  readonly working: string | null
  readonly log: ReceiverStatus
  /** Not on disk in the archive yet. */
  readonly lagBytes: number | null
  readonly lastDrill: DrillRecord | null
  /** Why the last base backup failed; ''. */
  readonly problem: string
}

export interface Backups {
  /** Removes what earlier processes left in the middle; archives the log and keeps the schedule from now on. */
  start(): Promise<void>
  backupNow(progress: Progress, signal: AbortSignal): Promise<BaseBackup>
  listBackups(): Promise<readonly BaseBackup[]>
  restore(request: RestoreRequest, progress: Progress, signal: AbortSignal): Promise<RestoreResult>
  /** Restores the last backup for a trial. A bad one is recorded, said loudly, and rejects with DATABASE_DRILL_FAILED. */
  drill(progress: Progress, signal: AbortSignal): Promise<DrillRecord>
  status(): BackupStatus
  /** Ends what is under way. Servers keep the log for the next start. */
  stop(): Promise<void>
  /** Stops for good: the file asks for no backups any more, so servers keep no log for them. */
  retire(): Promise<void>
}

export function createBackups(options: BackupsOptions): Backups {
  return new DatabaseBackups(options)
}

class DatabaseBackups implements Backups {
  readonly #options: BackupsOptions
  readonly #spec: BackupSpec
  readonly #clock: Clock
  readonly #store: DirectoryStore
  readonly #places: Places
  #binaries: Binaries | null = null
  #archive: LogArchive | null = null
  #receiver: LogReceiver | null = null
  #bases: readonly BaseBackup[] = []
  #drills: readonly DrillRecord[] = []
  #working: { readonly what: string; readonly cancel: AbortController; done: Promise<unknown> } | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false
  #problem = ''
  #notBeforeMs = 0
  #failures = 0
  #slotsMoveAtMs = 0
  #admitting: Promise<void> = Promise.resolve()

  constructor(options: BackupsOptions) {
    const { spec } = options
    if (spec.backup === null) throw new Error(`${spec.name} has no backups`)
    this.#options = options
    this.#spec = spec.backup
    this.#clock = options.clock
    this.#store = new DirectoryStore(join(spec.backup.directory, spec.name))
    const { stateDirectory, user } = options
    this.#places = new Places({ stateDirectory, name: spec.name, user, directories: {} })
  }

  async start(): Promise<void> {
    ownFolder(this.#spec.directory, 0o700, null)
    await this.#store.open()
    for (const name of await removeUnfinished(this.#store))
      this.#say('warn', `${name} was never finished; removed`)
    for (const name of await unreadableBases(this.#store))
      this.#say(
        'error',
        `nothing can be restored from ${name} in ${this.#store.place}: its manifest is damaged`,
      )
    this.#binaries = await prepareBinaries(this.#options.user, this.#places.shelf)
    const { user, clock } = this.#options
    await removeRecovery({ place: this.#places.server(drillServer), binaries: this.#binaries, user, clock })
    this.#bases = await listBases(this.#store)
    this.#drills = await drillRecords(this.#store)
    this.#stopped = false
    this.#look()
  }

  async retire(): Promise<void> {
    await this.stop()
    for (const server of this.#options.topology().servers.filter(one => one.state === 'ready')) {
      const address = this.#addressOf(server)
      if (address === null) continue
      await dropSlot(address, archiveSlot).catch((error: Error) =>
        this.#say(
          'warn',
          `the slot ${archiveSlot} stays on ${server.id} and keeps its log: ${error.message}`,
        ),
      )
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#working?.cancel.abort(new Error('stopped'))
    await this.#working?.done.catch(() => {})
    await this.#receiver?.stop()
  }

  async listBackups(): Promise<readonly BaseBackup[]> {
    return (await listBases(this.#store)).toReversed()
  }

  status(): BackupStatus {
    const log = this.#receiver?.status ?? idleReceiver
    const last = this.#bases.at(-1) ?? null
    return {
      place: this.#store.place,
      bases: this.#bases.length,
      lastBase: last,
      nextBaseAtMs: this.#stopped ? null : this.#nextBaseAtMs(),
      working: this.#working?.what ?? null,
      log,
      lagBytes: log.serverLsn > 0 ? Math.max(0, log.serverLsn - log.archivedLsn) : null,
      lastDrill: this.#drills.at(-1) ?? null,
      problem: this.#problem,
    }
  }

  backupNow(progress: Progress, signal: AbortSignal): Promise<BaseBackup> {
    return this.#alone('a base backup', signal, async inner => {
      const address = this.#primaryAddress()
      if (address === null)
        throw new Failure(databaseFailures.backupFailed, `${this.#name} has no primary now.`)
      await this.#archiveOf(address)
      await this.#admit(await systemOf(address))
      const { store, clock } = { store: this.#store, clock: this.#clock }
      const database = this.#name
      const base = await takeBase({ store, address, database, clock, progress, signal: inner }).catch(failed)
      this.#receiver?.forgetGap()
      this.#problem = ''
      this.#failures = 0
      this.#say('info', `${base.name} is taken: ${Math.round(base.packedBytes / 1e6)} MB`)
      await this.#retain()
      return base
    })
  }

  restore(request: RestoreRequest, progress: Progress, signal: AbortSignal): Promise<RestoreResult> {
    return this.#alone('a restore', signal, inner => {
      const { stateDirectory, spec, user } = request.into
      const directories = spec.servers.kind === 'embedded' ? spec.servers.directories : {}
      const places = new Places({ stateDirectory, name: spec.name, user, directories })
      const place = places.server(request.server)
      const options = this.#restoring(place, progress, inner)
      return restoreTo(request.target, request.base, request.roles, options)
    })
  }

  drill(progress: Progress, signal: AbortSignal): Promise<DrillRecord> {
    return this.#alone('a drill', signal, async inner => {
      const startedAtMs = Math.round(this.#clock.wall() / MS)
      const began = this.#clock.monotonic()
      const archivedLsn = this.#receiver?.status.archivedLsn ?? 0
      const options = this.#restoring(this.#places.server(drillServer), progress, inner)
      const found = await tryLatest(this.#options.spec.database, archivedLsn, options).catch(
        (error: Error) => {
          inner.throwIfAborted()
          return { ...nothingFound, problems: [error.message] }
        },
      )
      const tookMs = Math.round((this.#clock.monotonic() - began) / MS)
      const record: DrillRecord = { startedAtMs, tookMs, archivedLsn, ...found }
      this.#drills = await keepDrill(this.#store, record, this.#drills)
      if (record.problems.length > 0) throw this.#bad(record)
      this.#say(
        'info',
        `${record.base} was restored for a trial in ${tookMs} ms: ${record.tables} tables, ${record.rows} rows, ${record.indexes} indexes are sound`,
      )
      return record
    })
  }

  #bad(record: DrillRecord): Failure {
    const sentence = `The last backup of ${this.#name} can't be relied on: ${record.problems.join('; ')}`
    this.#say('error', sentence)
    return new Failure(databaseFailures.drillFailed, sentence, { details: { record } })
  }

  #restoring(place: ServerPlace, progress: Progress, signal: AbortSignal): RestoringOptions {
    const { user, clock } = this.#options
    return {
      store: this.#store,
      archiveFor: base => this.#opened(base.segmentBytes),
      place,
      binaries: this.#binaries as Binaries,
      user,
      clock,
      progress,
      signal,
    }
  }

  get #name(): string {
    return this.#options.spec.name
  }

  #say(level: DatabaseDecision['level'], text: string): void {
    this.#options.decided({ level, database: this.#name, server: null, text: `backup: ${text}` })
  }

  /** One piece of work at a time; `stop` ends it, and so does the caller's signal. */
  async #alone<Result>(
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    if (this.#working !== null)
      throw new Failure(databaseFailures.backupBusy, `${this.#working.what} of ${this.#name} is under way.`)
    const cancel = new AbortController()
    const done = work(AbortSignal.any([signal, cancel.signal]))
    this.#working = { what, cancel, done }
    try {
      return await done
    } finally {
      this.#working = null
    }
  }

  #primaryAddress(): ReplicationAddress | null {
    const { primary, servers } = this.#options.topology()
    const server = servers.find(one => one.id === primary)
    return server === undefined ? null : this.#addressOf(server)
  }

  #addressOf({ host, port }: { readonly host: string; readonly port: number }): ReplicationAddress | null {
    const role = this.#options.roles().find(one => one.name === replicationUser)
    return role === undefined ? null : { host, port, user: role.name, password: role.password }
  }

  /** On replicas, so that whoever is promoted still has what is not archived yet. One that does not answer has its turn later. */
  async #moveSlots(): Promise<void> {
    const { primary, servers } = this.#options.topology()
    const { archivedLsn, state } = this.#receiver?.status ?? idleReceiver
    if (state !== 'streaming' || this.#nowMs() < this.#slotsMoveAtMs) return
    this.#slotsMoveAtMs = this.#nowMs() + slotsEveryMs
    for (const server of servers.filter(one => one.id !== primary && one.state === 'ready')) {
      const address = this.#addressOf(server)
      if (address !== null) await moveSlot(address, archiveSlot, archivedLsn).catch(() => {})
    }
  }

  async #archiveOf(address: ReplicationAddress): Promise<LogArchive> {
    if (this.#archive !== null) return this.#archive
    const connection = await ReplicationConnection.open(address, 'tenfold backup', connectTimeoutMs)
    try {
      return await this.#opened(await segmentBytesOf(connection))
    } finally {
      connection.close()
    }
  }

  async #opened(segmentBytes: number): Promise<LogArchive> {
    if (this.#archive !== null) return this.#archive
    const archive = new LogArchive(this.#store, join(this.#store.place, 'spool'), segmentBytes)
    await archive.open()
    this.#archive ??= archive
    return this.#archive
  }

  /** Everything that is due, again and again. */
  #look(): void {
    if (this.#stopped) return
    void this.#due()
      .catch((error: Error) => {
        if (this.#problem !== error.message) this.#say('error', error.message)
        this.#problem = error.message
        this.#notBeforeMs = this.#nowMs() + Math.min(retryMsMax, retryMsMin * 2 ** this.#failures++)
      })
      .finally(() => {
        if (!this.#stopped) this.#timer = setTimeout(() => this.#look(), lookEveryMs).unref()
      })
  }

  #nowMs(): number {
    return Math.round(this.#clock.wall() / MS)
  }

  async #due(): Promise<void> {
    const address = this.#primaryAddress()
    if (address === null) return
    await this.#receive(address)
    await this.#moveSlots()
    if (this.#working !== null || this.#nowMs() < this.#notBeforeMs) return
    const signal = new AbortController().signal
    if (this.#nowMs() >= this.#nextBaseAtMs() || this.#receiver?.status.gap)
      await this.backupNow(() => {}, signal)
    else if (this.#drillIsDue()) await this.drill(() => {}, signal)
  }

  #nextBaseAtMs(): number {
    const last = this.#bases.at(-1)
    return Math.max(this.#notBeforeMs, last === undefined ? 0 : last.startedAtMs + this.#spec.everyMs)
  }

  /** Not before the first base backup is as old as that: what was just made says little. */
  #drillIsDue(): boolean {
    const { drillEveryMs } = this.#spec
    const since = this.#drills.at(-1)?.startedAtMs ?? this.#bases[0]?.startedAtMs
    return drillEveryMs !== null && since !== undefined && this.#nowMs() >= since + drillEveryMs
  }

  async #receive(address: ReplicationAddress): Promise<void> {
    if (this.#receiver !== null) return
    const archive = await this.#archiveOf(address)
    if (this.#stopped || this.#receiver !== null) return
    this.#receiver = new LogReceiver({
      archive,
      clock: this.#clock,
      primary: () => {
        const now = this.#primaryAddress()
        const id = this.#options.topology().primary
        return now === null || id === null ? null : { id, address: now }
      },
      admit: systemId => this.#admit(systemId),
      told: (level, text) => this.#say(level, text),
    })
    this.#receiver.start()
  }

  /** Receiver and base backup ask at the same time; the first writes the object down. */
  #admit(systemId: string): Promise<void> {
    this.#admitting = this.#admitting.catch(() => {}).then(() => this.#admitNow(systemId))
    return this.#admitting
  }

  async #admitNow(systemId: string): Promise<void> {
    const found = (await this.#store.list(systemObject)).length > 0
    if (!found) {
      await this.#store.put(systemObject, once(`${JSON.stringify({ systemId })}\n`))
      return
    }
    const known = JSON.parse(await textOf(this.#store.get(systemObject))) as { systemId: string }
    if (known.systemId === systemId) return
    throw new Failure(
      databaseFailures.backupForeign,
      `${this.#store.place} holds backups of the system ${known.systemId}; ${this.#name} is ${systemId} now.`,
    )
  }

  /** What the new base made dispensable. */
  async #retain(): Promise<void> {
    this.#bases = await listBases(this.#store)
    const archive = this.#archive
    if (archive === null) return
    const plan = dispensable(this.#bases, await archive.segments(), this.#spec.keep, archive.segmentBytes)
    for (const base of plan.bases) await removeBase(this.#store, base.name)
    for (const segment of plan.segments) await archive.remove(segment)
    if (plan.bases.length > 0)
      this.#say('info', `${plan.bases.map(base => base.name).join(', ')} went by age`)
    this.#bases = await listBases(this.#store)
  }
}

const nothingFound = { base: '', recoveredLsn: 0, tables: 0, rows: 0, indexes: 0 } as const

async function systemOf(address: ReplicationAddress): Promise<string> {
  const connection = await ReplicationConnection.open(address, 'tenfold backup', connectTimeoutMs)
  try {
    return (await connection.identify()).systemId
  } finally {
    connection.close()
  }
}

function failed(error: unknown): never {
  if (error instanceof Failure || (error as Error).name === 'AbortError') throw error
  throw new Failure(databaseFailures.backupFailed, `The base backup failed: ${(error as Error).message}.`, {
    cause: error,
  })
}
