// The servers of one database that we run ourselves: made, started, copied, promoted, fenced. Each method does one thing
// to one server and tells when it is done; what is to be done is the agent's. Servers outlive this object.

import { randomInt } from 'node:crypto'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../io/free-port.ts'
import { rotateIfLarge } from '../../io/log-file.ts'
import {
  freeBytes,
  isThere,
  moveWhole,
  type Owner,
  ownerOf,
  ownFolder,
  removeFile,
  removeTree,
  writeOwned,
} from '../../io/owned-files.ts'
import { runChild } from '../../io/run-child.ts'
import { SECOND } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { seededRandom } from '../../kit/random.ts'
import type { DatabaseRole, DatabaseSpec, EmbeddedServers as EmbeddedSpec, LogPosition } from '../contract.ts'
import { databaseFailures } from '../failures.ts'
import { type Binaries, bareEnvironment, prepareBinaries, whyRefused } from './binaries.ts'
import { Book } from './book.ts'
import type {
  DatabaseServers,
  FoundServer,
  IsolatedServer,
  Progress,
  ServerAddress,
  ServerObservation,
  ServersOptions,
} from './contract.ts'
import { copyServer } from './copy.ts'
import { DivergenceWatch, untilFollows } from './following.ts'
import { lookOf, lookSql, problemOf, silent } from './look.ts'
import { loopback, Member, type Shared } from './member.ts'
import { Places } from './places.ts'
import { heartbeatSql, keptRoles, replicationUser, superuser } from './roles.ts'
import { type Row, Session, sqlState } from './session.ts'
import { configurationText, type Machine, pendingSql, whyNotSettable } from './settings.ts'
import { dropSlotOf, freshSlot, haveSlot, keepSlots } from './slots.ts'

const promoteTimeoutUs = 60 * SECOND
/** A write a look would keep the disk of an idle machine busy; what fills or breaks is seen soon enough. */
const writeEveryUs = SECOND / 2
/** Less than this and the next segment of the log has no place. */
const freeBytesMin = 2 * 1024 * 1024
const logLimits = { bytesMax: 16 * 1024 * 1024, filesMax: 3 }
const logLookMs = 5_000
const exitLookMs = 100
const initTimeoutMs = 300_000

export class EmbeddedServers implements DatabaseServers {
  readonly canFence = true
  readonly #options: ServersOptions
  #spec: DatabaseSpec
  #extra: Readonly<Record<string, string>> = {}
  #roles: readonly DatabaseRole[] = []
  readonly #places: Places
  readonly #book: Book
  readonly #members = new Map<string, Member>()
  readonly #user: Owner | null
  readonly #listeners: ((id: string) => void)[] = []
  #shared: Shared | null = null
  #timers: NodeJS.Timeout[] = []

  constructor(options: ServersOptions) {
    this.#options = options
    this.#spec = options.spec
    this.#user = userOf(options)
    this.#places = new Places({
      stateDirectory: options.stateDirectory,
      name: options.spec.name,
      user: this.#user,
      directories: embedded(options.spec).directories,
    })
    this.#book = new Book(this.#places.book)
  }

  get roles(): readonly DatabaseRole[] {
    return this.#roles
  }

  async open(): Promise<readonly FoundServer[]> {
    const binaries = await prepareBinaries(this.#user, this.#places.shelf)
    this.#shared = this.#share(binaries)
    const ids = embedded(this.#spec).members.map(member => member.id)
    const places = ids.map(id => this.#places.server(id))
    const begun = places.some(place => isThere(place.data))
    this.#roles = keptRoles(this.#places.roles, this.#spec.access, begun)
    for (const place of places) this.#members.set(place.id, new Member(place, this.#shared))
    await this.#checkSettings(this.#spec)
    this.#extra = embedded(this.#spec).settings
    for (const member of this.#members.values()) await member.havePort()
    const found = [...this.#members.values()].map(member => ({
      ...member.address,
      running: member.process.adopt(member.record.life),
      disk: member.disk,
    }))
    await this.#endFormer(new Set(ids))
    this.#keepWatch()
    return found
  }

  #share(binaries: Binaries): Shared {
    return {
      clock: this.#options.clock,
      random: seededRandom(randomInt(2 ** 32)),
      binaries,
      book: this.#book,
      user: this.#user,
      machine: thisMachine(),
      spec: () => this.#spec,
      roles: () => this.#roles,
      extra: () => this.#extra,
      portsTaken: () => new Set(this.#book.ids.map(id => this.#book.of(id).port)),
      specOf: id => embedded(this.#spec).members.find(member => member.id === id),
      disturbed: id => {
        for (const listener of this.#listeners) listener(id)
      },
    }
  }

  /** Servers that the file does not name any more and that still run: they would stream on, and their slots with them. */
  async #endFormer(present: ReadonlySet<string>): Promise<void> {
    for (const id of this.#book.ids.filter(one => !present.has(one))) {
      const member = new Member(this.#places.server(id), this.#opened())
      if (!member.process.adopt(member.record.life)) continue
      this.#options.log.info({ database: this.#spec.name, server: id }, `${id} is not in the file: stopped`)
      await member.process.stop('fast')
      member.close()
    }
  }

  #keepWatch(): void {
    const rotate = setInterval(() => {
      for (const { place } of this.#members.values())
        void rotateIfLarge(place.output, logLimits).catch(cause =>
          this.#options.log.warn({ cause }, `${place.output} could not be rotated: ${cause.message}`),
        )
    }, logLookMs)
    const exits = setInterval(() => {
      for (const member of this.#members.values()) member.process.poll()
    }, exitLookMs)
    this.#timers = [rotate, exits]
    for (const timer of this.#timers) timer.unref()
  }

  #opened(): Shared {
    if (this.#shared === null) throw new Error('servers are asked before open()')
    return this.#shared
  }

  #member(id: string): Member {
    const member = this.#members.get(id)
    if (member !== undefined) return member
    const known = [...this.#members.keys()].join(', ')
    throw new Failure(
      databaseFailures.serverUnknown,
      `databases.${this.#spec.name} has no server '${id}'; it has ${known}.`,
    )
  }

  address(id: string): ServerAddress {
    return this.#member(id).address
  }

  pid(id: string): number | null {
    return this.#member(id).process.pid
  }

  watch(listener: (id: string) => void): void {
    this.#listeners.push(listener)
  }

  async create(id: string): Promise<void> {
    const member = this.#member(id)
    if (member.disk === 'primary' || member.disk === 'replica')
      throw failed(`${id} has data in ${member.place.data}; it is not made anew over it.`)
    await this.#initialise(member)
    this.#book.change(id, { follows: null, synchronous: '' })
    removeFile(member.place.fenced)
    await member.start()
    // Its files are synced while it is prepared: what is written from now on, it syncs itself (if it is to sync at all).
    const synced = this.#extra.fsync === 'off' ? [] : ['--sync-only']
    await Promise.all([
      ...synced.map(flag => this.#run(member, 'initdb', [flag, '-D', member.place.data])),
      member.prepare(),
    ])
  }

  async #initialise(member: Member): Promise<void> {
    const { partial, data, folder } = member.place
    await this.#empty(member)
    const passwordFile = join(folder, 'first-password')
    const password = this.#roles.find(role => role.name === superuser)?.password
    writeOwned(passwordFile, `${password}\n`, 0o600, this.#user)
    const options = ['-D', partial, '-U', superuser, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
    const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '-E', 'UTF8']
    try {
      await this.#run(member, 'initdb', [
        ...options,
        ...locale,
        '--data-checksums',
        '--no-sync',
        '--no-instructions',
      ])
    } finally {
      removeFile(passwordFile)
    }
    moveWhole(partial, data)
  }

  /** Nothing is left of what was there, and what comes is partial until it is moved into place. */
  async #empty(member: Member): Promise<void> {
    const { data, partial } = member.place
    await member.process.kill()
    member.drop()
    if (isThere(data) && !isThere(partial)) moveWhole(data, partial)
    await removeTree(data)
    await removeTree(partial)
    ownFolder(partial, 0o700, this.#user)
  }

  async #run(member: Member, program: 'initdb', args: readonly string[]): Promise<void> {
    const ran = await runChild({
      command: this.#opened().binaries[program],
      args,
      directory: '/',
      env: bareEnvironment,
      timeoutMs: initTimeoutMs,
      outputBytesMax: 16_384,
      channelBytesMax: 1,
      ...(this.#user === null ? {} : { user: this.#user }),
    })
    if (ran.exitCode === 0 && ran.ended === 'exit') return
    const said = ran.stderr.trim().split('\n').slice(-5).join('; ')
    const how = ran.ended === 'timeout' ? 'took too long' : `ended with ${ran.exitCode ?? ran.signal}`
    throw failed(`${member.id} could not be made: ${program} ${how}. It said: ${said}`)
  }

  async start(id: string): Promise<void> {
    const member = this.#member(id)
    const { disk } = member
    if (disk === 'empty' || disk === 'damaged')
      throw failed(`${id} can't be started: its directory ${member.place.data} is ${disk}.`)
    if (!member.process.alive) await member.start()
    else await member.process.untilReady()
    if (!member.standby) await member.prepare()
  }

  async stop(id: string, mode: 'fast' | 'immediate'): Promise<void> {
    const member = this.#member(id)
    member.drop()
    await member.process.stop(mode)
  }

  async fence(id: string): Promise<void> {
    const member = this.#member(id)
    const at = new Date(this.#options.clock.wall() / 1000).toISOString()
    writeOwned(member.place.fenced, `${at}\n`, 0o600, null)
    member.drop()
    await member.process.kill()
  }

  async observe(id: string, timeoutMs: number): Promise<ServerObservation> {
    const member = this.#member(id)
    const { clock } = this.#options
    const startUs = clock.monotonic()
    const tookUs = (): number => clock.monotonic() - startUs
    if (!member.process.alive) {
      const problem = member.diskFull ? 'no space left on device; not running' : 'not running'
      return silent(id, problem, false, tookUs())
    }
    try {
      const { receives: _, ...look } = lookOf((await member.look.query(lookSql, timeoutMs))[0] as Row)
      const leftMs = Math.max(1, timeoutMs - tookUs() / 1000)
      const write = look.inRecovery ? { writes: false, problem: '' } : await this.#tinyWrite(member, leftMs)
      return { id, processAlive: true, answers: true, ...look, ...write, tookUs: tookUs() }
    } catch (error) {
      const problem = member.diskFull ? 'no space left on device' : problemOf(error)
      return silent(id, problem, member.process.alive, tookUs())
    }
  }

  async #tinyWrite(member: Member, timeoutMs: number): Promise<{ writes: boolean; problem: string }> {
    const free = await freeBytes(member.place.data).catch(() => freeBytesMin)
    if (free < freeBytesMin) return { writes: false, problem: 'no space left on device' }
    const now = this.#options.clock.monotonic()
    if (now - member.wroteAtUs < writeEveryUs) return { writes: true, problem: '' }
    try {
      await member.look.query(heartbeatSql, timeoutMs)
      member.wroteAtUs = now
      return { writes: true, problem: '' }
    } catch (error) {
      member.wroteAtUs = Number.NEGATIVE_INFINITY
      // 42P01: we died between its first start and its preparation.
      if (sqlState(error) === '42P01') await member.prepare().catch(() => {})
      const problem = sqlState(error) === '53100' ? 'no space left on device' : problemOf(error)
      return { writes: false, problem }
    }
  }

  async clone(id: string, from: string, progress: Progress): Promise<void> {
    const member = this.#member(id)
    const source = this.#member(from)
    await this.#empty(member)
    progress(`${id} is copied from ${from}`)
    const ask = (sql: string): Promise<readonly Row[]> => source.ask(sql, 30_000)
    await freshSlot(ask, id)
    try {
      await copyServer(
        {
          target: source.target(replicationUser, 'postgres'),
          label: `tenfold ${id}`,
          directory: member.place.partial,
          owner: this.#user,
        },
        (done, total) => progress(`${id} is copied from ${from}`, done, total),
      )
    } catch (cause) {
      await dropSlotOf(ask, id).catch(() => {})
      throw failed(`${id} could not be copied from ${from}: ${(cause as Error).message}.`, cause)
    }
    this.#takeCopy(member, from)
    await member.takeSizes(source)
    progress(`${id} starts`)
    await member.start()
  }

  #takeCopy(member: Member, from: string): void {
    const { partial, data } = member.place
    // What the source was told by ALTER SYSTEM is the source's.
    writeOwned(join(partial, 'postgresql.auto.conf'), '', 0o600, this.#user)
    writeOwned(join(partial, 'standby.signal'), '', 0o600, this.#user)
    this.#book.change(member.id, { follows: from, synchronous: '' })
    moveWhole(partial, data)
    removeFile(member.place.fenced)
  }

  async promote(id: string): Promise<LogPosition> {
    const member = this.#member(id)
    const { clock } = this.#options
    if (member.fenced)
      throw new Failure(
        databaseFailures.serverFenced,
        `${id} was fenced off and can't be promoted before it followed another server.`,
      )
    await member.ask('SELECT pg_promote(false) WHERE pg_is_in_recovery()')
    const deadline = clock.monotonic() + promoteTimeoutUs
    const positionSql =
      "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int, pg_current_wal_flush_lsn() - '0/0' WHERE NOT pg_is_in_recovery()"
    for (;;) {
      const [row] = await promoted(member, positionSql)
      if (row !== undefined) {
        this.#book.change(id, { follows: null })
        member.configure()
        member.process.reload()
        return { timeline: Number(row[0]), lsn: Number(row[1]) }
      }
      if (clock.monotonic() > deadline) throw member.process.failure('does not become the primary')
      await sleep(1)
    }
  }

  async follow(id: string, from: string): Promise<'streams' | 'diverged'> {
    const member = this.#member(id)
    const source = this.#member(from)
    const { disk } = member
    if (disk === 'empty' || disk === 'damaged') return 'diverged'
    await haveSlot(sql => source.ask(sql), id)
    await member.takeSizes(source)
    if (member.process.alive && !member.standby) await member.process.stop('fast')
    const watch = new DivergenceWatch(member.place.output)
    if (member.process.alive) {
      this.#book.change(id, { follows: from })
      member.configure()
      member.process.reload()
    } else {
      member.markStandby(from)
      await member.start()
    }
    const outcome = await untilFollows(member, source, watch, this.#options.clock)
    if (outcome === 'diverged') {
      // It would answer reads with what never was, and ask for ever.
      await this.fence(id)
      return outcome
    }
    await keepSlots(sql => member.ask(sql), this.#followersOf(id))
    return outcome
  }

  /** Replicas that the file lets follow this one by name. */
  #followersOf(id: string): string[] {
    return embedded(this.#spec)
      .members.filter(member => member.from === id)
      .map(member => member.id)
  }

  async setSynchronous(id: string, names: string): Promise<void> {
    const member = this.#member(id)
    this.#book.change(id, { synchronous: names })
    member.configure()
    if (!member.process.alive) return
    member.process.reload()
    const deadline = this.#options.clock.monotonic() + 10 * SECOND
    while ((await member.ask('SHOW synchronous_standby_names'))[0]?.[0] !== names) {
      if (this.#options.clock.monotonic() > deadline)
        throw member.process.failure(`does not take synchronous_standby_names = '${names}'`)
      await sleep(2)
    }
  }

  async keepSlots(id: string, replicas: readonly string[]): Promise<void> {
    const member = this.#member(id)
    return keepSlots(sql => member.ask(sql), replicas)
  }

  async query(id: string, sql: string, timeoutMs: number): Promise<readonly Row[]> {
    return this.#member(id).askDatabase(sql, timeoutMs)
  }

  release(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const member of this.#members.values()) member.close()
    this.#listeners.length = 0
  }

  async change(spec: DatabaseSpec): Promise<{ readonly restart: readonly string[] }> {
    await this.#checkSettings(spec)
    this.#spec = spec
    this.#extra = embedded(spec).settings
    this.#roles = keptRoles(this.#places.roles, spec.access, true)
    for (const { id } of embedded(spec).members) {
      if (this.#members.has(id)) continue
      const member = new Member(this.#places.server(id), this.#opened())
      this.#members.set(id, member)
      await member.havePort()
      member.process.adopt(member.record.life)
    }
    const running = [...this.#members.values()].filter(member => member.process.alive)
    for (const member of running) {
      member.configure()
      member.process.reload()
    }
    for (const member of running.filter(one => !one.standby)) await member.prepare()
    return { restart: await needRestart(running) }
  }

  async remove(id: string): Promise<void> {
    const member = this.#member(id)
    await member.process.kill()
    member.close()
    await removeTree(member.place.data)
    await removeTree(member.place.partial)
    await removeTree(member.place.folder)
    this.#book.forget(id)
    this.#members.delete(id)
  }

  async isolate(id: string): Promise<IsolatedServer> {
    const member = this.#member(id)
    const shared = this.#opened()
    if (member.process.alive) throw failed(`${id} runs; only a server that was ended can be isolated.`)
    if (!member.fenced) await this.fence(id)
    removeFile(join(member.place.data, 'standby.signal'))
    const port = await freePort(loopback, shared.random, shared.portsTaken())
    await member.process.start(member.configureIsolated(port))
    const session = new Session(() => ({ ...member.target(superuser, this.#spec.database), port }))
    return {
      query: (sql, timeoutMs) => session.query(sql, timeoutMs),
      close: async () => {
        session.close()
        await member.process.kill()
      },
    }
  }

  async #checkSettings(spec: DatabaseSpec): Promise<void> {
    const { settings } = embedded(spec)
    const where = `databases.${spec.name}.settings`
    for (const name of Object.keys(settings)) {
      const why = whyNotSettable(name)
      if (why !== null) throw new Failure(databaseFailures.settingRefused, `${where}: ${why}.`)
    }
    if (Object.keys(settings).length === 0) return
    const file = join(this.#places.home, 'settings-check.conf')
    const text = configurationText({
      port: 1,
      accessFile: '/dev/null',
      machine: thisMachine(),
      servers: embedded(spec).members.length,
      extra: settings,
      synchronous: '',
      follows: null,
      former: null,
    })
    writeOwned(file, text, 0o644, null)
    const refused = await whyRefused(this.#opened().binaries, file, this.#places.home)
    removeFile(file)
    if (refused !== null)
      throw new Failure(databaseFailures.settingRefused, `${where}: PostgreSQL refuses it: ${refused}.`)
  }
}

function embedded(spec: DatabaseSpec): EmbeddedSpec {
  if (spec.servers.kind !== 'embedded') throw new Error(`databases.${spec.name} has servers of others`)
  return spec.servers
}

/**
 * Somebody else only where we are root; ourselves otherwise. Whoever data belong to already goes on with them, although
 * today another user would be chosen.
 */
function userOf({ user, spec, stateDirectory }: ServersOptions): Owner | null {
  const own = process.geteuid?.()
  if (own !== 0) return null
  const { members, directories } = embedded(spec)
  const folders = members.map(({ id }) => directories[id] ?? join(stateDirectory, 'db', spec.name, id))
  const owners = folders.flatMap(folder => ownerOf(join(folder, 'data')) ?? [])
  const owner = owners.find(({ uid }) => uid !== 0) ?? user
  return owner === null ? null : { uid: owner.uid, gid: owner.gid }
}

function failed(sentence: string, cause?: unknown): Failure {
  return new Failure(databaseFailures.serverFailed, sentence, { cause })
}

/** While a server is promoted, sessions may be ended by it once. */
async function promoted(member: Member, sql: string): Promise<readonly Row[]> {
  try {
    return await member.ask(sql)
  } catch (error) {
    if (!member.process.alive) throw member.process.failure('ended when it was promoted')
    if (sqlState(error) === null) return []
    // 55000: the recovery control functions' and WAL functions' answer within the change itself.
    if (sqlState(error) === '55000') return []
    throw error
  }
}

async function needRestart(members: readonly Member[]): Promise<string[]> {
  const waiting = await Promise.all(
    members.map(async member => {
      const rows = await member.ask(pendingSql(members.length > 1))
      return Number(rows[0]?.[1] ?? 0) > 0
    }),
  )
  return members.filter((_, at) => waiting[at]).map(member => member.id)
}

/** A container's limit counts, where there is one. */
function thisMachine(): Machine {
  const limit = process.constrainedMemory()
  const memory = totalmem()
  return { memoryBytes: limit > 0 && limit < memory ? limit : memory, cores: availableParallelism() }
}
