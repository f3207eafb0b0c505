// One embedded server: its place, its record, its processes and our connections to it. Writes its configuration, starts
// it as what it is on disk, and asks it things. What the database needs of several servers at once is `embedded.ts`.

import { join } from 'node:path'
import { freePort } from '../../io/free-port.ts'
import { isThere, keepOwned, removeFile, textOf, writeOwned } from '../../io/owned-files.ts'
import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Random } from '../../kit/random.ts'
import type { DatabaseRole, DatabaseSpec, ServerSpec } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import { type Binaries, postgresMajor, versionOfData } from './binaries.ts'
import type { Book, ServerRecord } from './book.ts'
import type { FoundServer, ServerAddress } from './contract.ts'
import type { ServerPlace } from './places.ts'
import { preparePrimary } from './prepare.ts'
import { replicationUser, superuser } from './roles.ts'
import { ServerProcess } from './server-process.ts'
import { type Row, Session, type SessionTarget } from './session.ts'
import {
  accessText,
  configurationText,
  type Following,
  isolatedAccessText,
  type Machine,
  sizesSql,
  slotOf,
} from './settings.ts'

export const loopback = '127.0.0.1'
const maintenance = 'postgres'

/** What all servers of one database share. */
export interface Shared {
  readonly clock: Clock
  readonly random: Random
  readonly binaries: Binaries
  readonly book: Book
  readonly user: { readonly uid: number; readonly gid: number } | null
  readonly machine: Machine
  spec(): DatabaseSpec
  roles(): readonly DatabaseRole[]
  extra(): Readonly<Record<string, string>>
  /** Ports that are given away, to whichever server. */
  portsTaken(): ReadonlySet<number>
  /** The spec of a server; undefined: not in the file any more. */
  specOf(id: string): ServerSpec | undefined
  disturbed(id: string): void
}

export class Member {
  readonly id: string
  readonly place: ServerPlace
  readonly process: ServerProcess
  readonly #shared: Shared
  /** For looks only: a question that hangs costs only the next look a connection. */
  readonly look: Session
  readonly #maintenance: Session
  readonly #database: Session
  #databaseBusy = 0
  /** See `takeSizes`. */
  #sizes = ''
  /** Monotonic: when the last tiny write was made. */
  wroteAtUs: number = Number.NEGATIVE_INFINITY

  constructor(place: ServerPlace, shared: Shared) {
    this.id = place.id
    this.place = place
    this.#shared = shared
    const { binaries, user, clock, book } = shared
    this.process = new ServerProcess({
      place,
      binaries,
      user,
      clock,
      remember: life => book.change(place.id, { life }),
      ended: () => shared.disturbed(place.id),
    })
    this.look = new Session(
      () => this.target(superuser, maintenance),
      () => shared.disturbed(place.id),
    )
    this.#maintenance = new Session(() => this.target(superuser, maintenance))
    this.#database = new Session(() => this.target(superuser, shared.spec().database))
  }

  get record(): ServerRecord {
    return this.#shared.book.of(this.id)
  }

  get address(): ServerAddress {
    return { id: this.id, host: loopback, port: this.record.port }
  }

  get disk(): FoundServer['disk'] {
    const { data, partial } = this.place
    if (isThere(partial)) return 'damaged'
    if (!isThere(data)) return 'empty'
    if (versionOfData(data) === null || !isThere(join(data, 'global', 'pg_control'))) return 'damaged'
    return this.standby ? 'replica' : 'primary'
  }

  get standby(): boolean {
    return isThere(join(this.place.data, 'standby.signal'))
  }

  get fenced(): boolean {
    return isThere(this.place.fenced)
  }

  target(user: string, database: string): SessionTarget {
    const password = this.#shared.roles().find(role => role.name === user)?.password ?? ''
    return { host: loopback, port: this.record.port, user, password, database }
  }

  /** In the maintenance database. */
  ask(sql: string, timeoutMs = 10_000): Promise<readonly Row[]> {
    return this.#maintenance.query(sql, timeoutMs)
  }

  /** In the database itself. Long questions do not hold up others. */
  async askDatabase(sql: string, timeoutMs: number): Promise<readonly Row[]> {
    const own = this.#databaseBusy > 0
    const session = own
      ? new Session(() => this.target(superuser, this.#shared.spec().database))
      : this.#database
    this.#databaseBusy++
    try {
      return await session.query(sql, timeoutMs)
    } finally {
      this.#databaseBusy--
      if (own) session.close()
    }
  }

  /** Our connections; the next question opens another. */
  drop(): void {
    for (const session of [this.look, this.#maintenance, this.#database]) session.drop()
  }

  close(): void {
    for (const session of [this.look, this.#maintenance, this.#database]) session.close()
  }

  async havePort(): Promise<void> {
    if (this.record.port !== 0) return
    await this.newPort()
  }

  async newPort(): Promise<void> {
    const { random, book } = this.#shared
    book.change(this.id, { port: await freePort(loopback, random, this.#shared.portsTaken()) })
  }

  /** Everything of it that we write: settings, who gets in, the password for replication. */
  configure(): void {
    const { place, record } = this
    keepOwned(place.access, accessText(replicationUser, superuser), 0o644, null)
    const password = this.#shared.roles().find(role => role.name === replicationUser)?.password ?? ''
    // libpq reads it only when nobody else can.
    keepOwned(place.passwords, `*:*:*:${replicationUser}:${password}\n`, 0o600, this.#shared.user)
    const text = this.#configuration(record, place.access, {})
    keepOwned(place.configuration, text, 0o644, null)
  }

  #configuration(
    record: Pick<ServerRecord, 'port' | 'synchronous' | 'follows'>,
    accessFile: string,
    more: Readonly<Record<string, string>>,
  ): string {
    const { machine, spec, extra } = this.#shared
    const { servers } = spec()
    return configurationText({
      port: record.port,
      accessFile,
      machine,
      servers: servers.kind === 'embedded' ? servers.members.length : 1,
      extra: { ...extra(), ...more },
      synchronous: record.synchronous,
      follows: record.follows === null ? null : this.#following(record.follows),
      former: [textOf(this.place.configuration) ?? '', this.#sizes].join('\n'),
    })
  }

  #following(from: string): Following {
    const spec = this.#shared.specOf(this.id)
    const delayMs = spec?.delayMs ?? 0
    return {
      id: this.id,
      host: loopback,
      port: this.#shared.book.of(from).port,
      user: replicationUser,
      passwordFile: this.place.passwords,
      slot: slotOf(this.id),
      delayMs,
      keepsSlots: delayMs === 0 && (spec?.from ?? 'primary') === 'primary',
    }
  }

  /** Where it reads the log alone, shut to everybody but us. Gives the file to start it with. */
  configureIsolated(port: number): string {
    const access = join(this.place.folder, 'isolated.hba.conf')
    const configuration = join(this.place.folder, 'isolated.conf')
    writeOwned(access, isolatedAccessText(superuser), 0o644, null)
    const quiet = { archive_mode: 'off', autovacuum: 'off', default_transaction_read_only: 'on' }
    const text = this.#configuration({ port, synchronous: '', follows: null }, access, quiet)
    writeOwned(configuration, text, 0o644, null)
    return configuration
  }

  /** Starts what is on disk. A port that somebody took meanwhile is given up for another. */
  async start(): Promise<void> {
    const { data } = this.place
    const version = versionOfData(data)
    if (version !== null && version !== postgresMajor)
      throw new Failure(
        databaseFailures.binariesMissing,
        `${this.id}: ${data} is of PostgreSQL ${version}; this Tenfold runs version ${postgresMajor}.`,
      )
    if (!this.standby) {
      if (this.fenced)
        throw new Failure(
          databaseFailures.serverFenced,
          `${this.id} was fenced off: another server became the primary, so it can't be started as one.`,
        )
      this.#shared.book.change(this.id, { follows: null })
    }
    await this.havePort()
    this.configure()
    try {
      await this.process.start()
    } catch (error) {
      if (!this.process.output(10).some(line => /could not bind .*Address already in use/.test(line)))
        throw error
      await this.newPort()
      this.configure()
      await this.process.start()
    }
  }

  /** A replica needs as many connections and the like as the server that it follows has, whatever the file says by now. */
  async takeSizes(source: Member): Promise<void> {
    this.#sizes = (await source.ask(sizesSql))[0]?.[0] ?? ''
  }

  /** It becomes a replica of that one at its next start. */
  markStandby(from: string): void {
    writeOwned(join(this.place.data, 'standby.signal'), '', 0o600, this.#shared.user)
    this.#shared.book.change(this.id, { follows: from })
    removeFile(this.place.fenced)
  }

  prepare(): Promise<void> {
    return preparePrimary(
      {
        maintenance: (sql, timeoutMs) => this.ask(sql, timeoutMs),
        database: (sql, timeoutMs) => this.askDatabase(sql, timeoutMs),
      },
      this.#shared.spec().database,
      this.#shared.roles(),
    )
  }

  /** The last words of a server that does not answer, where they say why. */
  get diskFull(): boolean {
    return this.process.output(6).some(line => line.includes('No space left on device'))
  }
}
