// One PostgreSQL server as processes: a postmaster that outlives us, and its backends, each of which may outlive the
// postmaster. Starts them, waits until they take connections, ends them so that none is left. Knows nothing of roles.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastLines, logBytes } from '../../io/log-file.ts'
import { removeFile, textOf } from '../../io/owned-files.ts'
import { type LifeIdentity, leaderAlive, processesWithNonce, startLife } from '../../io/process.ts'
import { childrenOf, processesAt, signalRow } from '../../io/process-places.ts'
import { type ProcessRow, processes } from '../../io/process-table.ts'
import { removeSharedMemory } from '../../io/shared-memory.ts'
import type { Clock } from '../../kit/clock.ts'
import { MS, SECOND } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import { databaseFailures } from '../failures.ts'
import { type Binaries, bareEnvironment } from './binaries.ts'
import type { ServerRecord } from './book.ts'
import type { ServerPlace } from './places.ts'

/** Recovery after a crash replays up to `max_wal_size`, and a large directory is synced first. */
const readyTimeoutUs = 600 * SECOND
const fastTimeoutUs = 30 * SECOND
const immediateTimeoutUs = 10 * SECOND
const killTimeoutUs = 15 * SECOND
const programName = 'postgres'

export interface ServerProcessOptions {
  readonly place: ServerPlace
  readonly binaries: Binaries
  readonly user: { readonly uid: number; readonly gid: number } | null
  readonly clock: Clock
  /** The book. */
  remember(life: ServerRecord['life']): void
  /** Its postmaster ended, whoever ended it. For adopted ones only as often as `poll` is called. */
  ended(): void
}

export class ServerProcess {
  readonly #options: ServerProcessOptions
  #life: LifeIdentity | null = null
  #adopted = false
  /** Where in the log its own output begins. */
  logFrom = 0

  constructor(options: ServerProcessOptions) {
    this.#options = options
  }

  get alive(): boolean {
    return this.#life !== null && leaderAlive(this.#life)
  }

  get pid(): number | null {
    return this.alive ? (this.#life?.pid ?? null) : null
  }

  /** Takes back what an earlier supervisor left running: by the record, else by who works in the data directory. */
  adopt(recorded: ServerRecord['life']): boolean {
    const bootId = processes.bootId()
    const life = recorded?.bootId === bootId && recorded.pid > 0 && leaderAlive(recorded) ? recorded : null
    this.#life = life ?? this.#found(recorded?.nonce ?? null)
    this.#adopted = this.#life !== null
    if (this.#life !== null) {
      this.logFrom = logBytes(this.#options.place.output)
      this.#options.remember({ ...this.#life, bootId })
    }
    return this.alive
  }

  /** The supervisor may have died between the start and its record. */
  #found(nonce: string | null): LifeIdentity | null {
    const pid = Number(this.#pidFile()[0] ?? 0)
    const here = processesAt(this.#options.place.data, programName)
    const leader =
      here.find(row => row.pid === pid) ??
      (nonce === null ? undefined : processesWithNonce(nonce).find(row => row.group === row.pid))
    if (leader === undefined) return null
    return { pid: leader.pid, startedAt: leader.startedAt, nonce: nonce ?? '' }
  }

  /** Starts it and resolves when it takes connections (`ready`), or rejects with what it said. */
  async start(configuration: string = this.#options.place.configuration): Promise<void> {
    await this.launch(configuration)
    await this.untilReady()
  }

  async launch(configuration: string = this.#options.place.configuration): Promise<void> {
    if (this.alive) return
    const { place, binaries, user, remember } = this.#options
    // A backend of an earlier postmaster would still write, and the new one would refuse to start beside it.
    await this.kill()
    // Nobody works in the directory, so whoever has the pid that stands here by now is a stranger. Elsewhere nobody can
    // say who works where as surely, and PostgreSQL judges its file itself.
    if (process.platform === 'linux') removeFile(`${place.data}/postmaster.pid`)
    this.logFrom = logBytes(place.output)
    const nonce = randomBytes(8).toString('hex')
    const bootId = processes.bootId()
    remember({ pid: 0, startedAt: '', nonce, bootId })
    const life = await startLife({
      command: [binaries.postgres, '-D', place.data, '-c', `config_file=${configuration}`],
      directory: '/',
      env: bareEnvironment,
      nonce,
      outputFile: place.output,
      ...(user === null ? {} : { user }),
    })
    this.#life = { pid: life.pid, startedAt: life.startedAt, nonce }
    this.#adopted = false
    remember({ ...this.#life, bootId })
    void life.exited.then(() => {
      if (this.#life?.pid === life.pid) this.#options.ended()
    })
  }

  async untilReady(): Promise<void> {
    const deadline = this.#options.clock.monotonic() + readyTimeoutUs
    while (!this.#saysReady()) {
      if (!this.alive) throw this.failure('ended while it started')
      if (this.#options.clock.monotonic() > deadline) throw this.failure('does not become ready')
      await sleep(4)
    }
  }

  /** The eighth line of postmaster.pid (miscadmin.h: LOCK_FILE_LINE_PM_STATUS). */
  #saysReady(): boolean {
    const lines = this.#pidFile()
    return Number(lines[0]) === this.#life?.pid && lines[7]?.trim() === 'ready'
  }

  #pidFile(): string[] {
    return (textOf(`${this.#options.place.data}/postmaster.pid`) ?? '').split('\n')
  }

  /** It reads its configuration again. */
  reload(): void {
    const row = this.#leader()
    if (row !== null) signalRow(row, 'SIGHUP')
  }

  #leader(): ProcessRow | null {
    const row = this.#life === null ? null : processes.row(this.#life.pid)
    return row !== null && row.startedAt === this.#life?.startedAt && !row.zombie ? row : null
  }

  /** fast: sessions are ended, replicas get the rest of the log. What does not end in time is ended harder. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    if (mode === 'fast' && (await this.#endedBy('SIGINT', fastTimeoutUs))) return
    if (await this.#endedBy('SIGQUIT', immediateTimeoutUs)) return
    await this.kill()
  }

  async #endedBy(signal: NodeJS.Signals, timeoutUs: number): Promise<boolean> {
    const row = this.#leader()
    const life = this.#life
    if (row !== null) signalRow(row, signal)
    const deadline = this.#options.clock.monotonic() + timeoutUs
    while (life !== null && leaderAlive(life)) {
      if (this.#options.clock.monotonic() > deadline) return false
      await sleep(2)
    }
    // Somebody who would not wait may have killed it meanwhile, and started another one: that is not ours to end.
    if (this.#life === life) await this.kill()
    return true
  }

  /**
   * Ends every process of it at once, also stopped ones, and resolves when none is left. The postmaster is stopped first,
   * so that it starts nobody while its children are listed; a busy backend would outlive it and go on to commit.
   */
  async kill(): Promise<void> {
    const deadline = this.#options.clock.monotonic() + killTimeoutUs
    const leader = this.#leader()
    if (leader !== null) signalRow(leader, 'SIGSTOP')
    const children = leader === null ? [] : childrenOf(leader.pid)
    if (leader !== null) signalRow(leader, 'SIGKILL')
    for (let known = children; ; known = []) {
      const left = this.#left(known)
      for (const row of left) signalRow(row, 'SIGKILL')
      if (left.length === 0) break
      if (this.#options.clock.monotonic() > deadline)
        throw this.failure(`could not be ended: processes ${left.map(row => row.pid).join(', ')} are left`)
      await untilGone(
        left,
        Math.min(deadline, this.#options.clock.monotonic() + 200 * MS),
        this.#options.clock,
      )
    }
    await this.#forgetMemory()
    if (this.#life !== null) this.#options.remember(null)
    this.#life = null
  }

  /**
   * The few bytes of System V memory by which PostgreSQL sees that nobody uses a data directory: what is killed leaves
   * them, and a machine has 4,096 such pieces. Only when nobody is attached.
   */
  async #forgetMemory(): Promise<void> {
    // The seventh line of postmaster.pid: key and id.
    const id = Number(this.#pidFile()[6]?.trim().split(/\s+/)[1])
    if (id >= 0) await removeSharedMemory(id, Number(this.#pidFile()[0]))
  }

  /** All that work in the data directory, and children known otherwise. */
  #left(children: readonly ProcessRow[]): ProcessRow[] {
    const rows = new Map(processesAt(this.#options.place.data, programName).map(row => [row.pid, row]))
    for (const row of children) rows.set(row.pid, row)
    const leader = this.#leader()
    if (leader !== null) rows.set(leader.pid, leader)
    return [...rows.values()].filter(
      row => processes.row(row.pid)?.startedAt === row.startedAt && !row.zombie,
    )
  }

  /** For adopted ones, whose end nobody announces. */
  poll(): void {
    if (!this.#adopted || this.alive) return
    this.#adopted = false
    this.#options.ended()
  }

  /** The last lines that it wrote, without what only says that connections were refused meanwhile. */
  output(count: number): string[] {
    const lines = lastLines(this.#options.place.output, 40, this.logFrom)
    return lines
      .filter(line => !/the database system is (starting up|not yet accepting|shutting down)/.test(line))
      .slice(-count)
  }

  failure(what: string): Failure {
    const lines = this.output(20)
    // What it died of, with what explains it, stands before lines that only say that all is shut down.
    const at = lines.findLastIndex(line => /\b(FATAL|PANIC): /.test(line))
    const why = lines.slice(at).filter(line => /\b(FATAL|PANIC|DETAIL|HINT): /.test(line))
    const said = (at === -1 ? lines.slice(-4) : why.slice(0, 4))
      .map(line => line.replace(/^\S+ \S+ \S+ \[\d+\] (\S+@\S* )?/, ''))
      .join('; ')
    const { place } = this.#options
    return new Failure(
      databaseFailures.serverFailed,
      `${place.id} ${what}.${said === '' ? '' : ` It said: ${said}`}`,
      { details: { log: place.output } },
    )
  }
}

async function untilGone(rows: readonly ProcessRow[], deadline: number, clock: Clock): Promise<void> {
  const there = (row: ProcessRow): boolean => {
    const now = processes.row(row.pid)
    return now !== null && !now.zombie && now.startedAt === row.startedAt
  }
  while (rows.some(there) && clock.monotonic() < deadline) await sleep(1)
}
