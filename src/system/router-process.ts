// The database router as a process: started, taken back, watched, restarted, told of snapshots, stopped. It runs detached,
// so it serves on when the supervisor dies; STATE/router/process.json and its nonce say which one is ours. A router of
// another version that is found serves until the next one listens beside it, and then drains; where they can't share
// ports it drains first.
//
// States: `stopped` -> `starting` (begun, not yet answering) -> `running` -> `restarting` (died or hung while it was wanted;
// again and again, with back-off) -> `running`. `stop`, `kill` and `release` lead to `stopped` from everywhere.

import { join } from 'node:path'
import type { RouterControlEvent, RouterStatus } from '../database/router/control-protocol.ts'
import type { RouterSnapshot } from '../database/router/snapshot.ts'
import { lastLines } from '../io/log-file.ts'
import { type LifeIdentity, leaderAlive, signalLife } from '../io/process.ts'
import { processes } from '../io/process-table.ts'
import { socketPath } from '../io/socket-path.ts'
import { Failure } from '../kit/failure.ts'
import type { HeatReport } from '../policy/shard/heat-contract.ts'
import { systemFailures } from './failures.ts'
import { removeIfPossible, writePrivate } from './private-file.ts'
import {
  deathsWith,
  ended,
  launchRole,
  pause,
  type RoleLife,
  readJsonOrNull,
  restartDelayMs,
} from './role-process.ts'
import { connectRouter, type RouterClient } from './router-client.ts'
import { tenfoldVersion } from './version.ts'

export interface RouterProcessOptions {
  /** Absolute. */
  readonly stateDirectory: string
  onEvent(event: RouterControlEvent): void
  /** A sentence about the process itself: started, died, restarted. */
  onChange(level: 'info' | 'warn', sentence: string): void
}

export interface RouterProcessState {
  readonly state: 'stopped' | 'starting' | 'running' | 'restarting'
  readonly reason: string
  readonly pid: number | null
  readonly adopted: boolean
  readonly restarts: number
}

export interface RouterProcess {
  readonly state: RouterProcessState
  /** What runs: applied last, or found with a process taken back. */
  readonly current: RouterSnapshot | null
  /** One of another version was found: it listens until the next one does. */
  readonly replacesAnother: boolean
  /** Takes the running router of this state directory back when there is one of this version. */
  adopt(): Promise<boolean>
  /** Rejects with SYSTEM_ROUTER_FAILED and its last lines when it does not come up. */
  start(snapshot: RouterSnapshot): Promise<void>
  /**
   * Resolves when no router that lives works from an older snapshot: a dead or hung one begins with this. Rejects when
   * the router refuses.
   */
  apply(snapshot: RouterSnapshot): Promise<void>
  /** True when no transaction is open on the database's primary; a router that is gone has none open. */
  /** @param earlier statements over several shards that were planned before, instead of all that is open */
  drained(database: string, timeoutMs: number, earlier?: boolean): Promise<boolean>
  status(): Promise<RouterStatus>
  /** Null: the router has no such sharded database, or does not run. */
  heat(database: string): Promise<HeatReport | null>
  metrics(): Promise<string>
  /** Transactions end, then it exits; killed when it does not. */
  stop(drainMs: number): Promise<void>
  kill(): Promise<void>
  /** Lets it run on for the next supervisor. */
  release(): void
}

const startTimeoutMs = 30_000
const applyTimeoutMs = 5_000
/** One that holds the connection and answers nothing for this long is killed, so that a failover need not wait for it. */
const hungTimeoutMs = 5_000
/** Of a router of another version, before it is ended. */
const formerDrainMs = 30_000
const linesQuotedMax = 8

interface ProcessRecord extends LifeIdentity {
  readonly format: 1
  /** Of its control socket. */
  readonly socket: string
  readonly bootId: string
  readonly tenfold: string
  /** One that drains. */
  readonly former: (LifeIdentity & { readonly socket: string }) | null
}

interface Former {
  readonly life: LifeIdentity
  readonly socket: string
}

class DetachedRouter implements RouterProcess {
  readonly #options: RouterProcessOptions
  readonly #folder: string
  readonly #logFile: string
  #state: RouterProcessState = {
    state: 'stopped',
    reason: 'not started',
    pid: null,
    adopted: false,
    restarts: 0,
  }
  #life: LifeIdentity | null = null
  #socket = 'router'
  #client: RouterClient | null = null
  #current: RouterSnapshot | null = null
  #wanted = false
  /** A process was started and has not answered yet: whoever started it deals with its death. */
  #spawning = false
  /** Of another version, or left amid a change: it drains as soon as the next one serves. */
  #former: Former | null = null
  #leaving: Promise<void> | null = null
  #deathsInARow = 0
  #upSinceMs = 0

  constructor(options: RouterProcessOptions) {
    this.#options = options
    this.#folder = join(options.stateDirectory, 'router')
    this.#logFile = join(options.stateDirectory, 'logs', 'router.log')
  }

  get state(): RouterProcessState {
    return this.#state
  }

  get current(): RouterSnapshot | null {
    return this.#current
  }

  get replacesAnother(): boolean {
    return this.#former !== null
  }

  // ---- taken back, started

  async adopt(): Promise<boolean> {
    const record = readJsonOrNull<ProcessRecord>(join(this.#folder, 'process.json'))
    if (record === null || record.bootId !== processes.bootId()) return false
    if (record.former !== null && leaderAlive(record.former))
      this.#former = { life: record.former, socket: record.former.socket }
    if (!leaderAlive(record)) {
      if (this.#former !== null) await this.#end(this.#former, 0)
      this.#former = null
      return false
    }
    this.#current = readJsonOrNull<RouterSnapshot>(join(this.#folder, 'snapshot.json'))
    try {
      return await this.#adopt(record)
    } catch (cause) {
      this.#options.onChange('warn', `the router left running does not answer: ${(cause as Error).message}`)
      this.#life = record
      await this.kill()
      return false
    }
  }

  async #adopt(record: ProcessRecord): Promise<boolean> {
    const client = await this.#connect(record.socket)
    const status = await client.call('status', {}, hungTimeoutMs)
    if (status.pid !== record.pid || status.nonce !== record.nonce) throw new Error('another router answers')
    if (record.tenfold !== tenfoldVersion || status.draining) {
      client.close()
      const why = status.draining ? 'drains' : `is of Tenfold ${record.tenfold}`
      this.#options.onChange('info', `the database router that runs ${why}: it is replaced`)
      if (this.#former !== null) await this.#end(this.#former, 0)
      this.#former = { life: record, socket: record.socket }
      return false
    }
    this.#life = record
    this.#socket = record.socket
    this.#wanted = true
    this.#becomeRunning(client, status, true, 'taken back from a supervisor that had ended')
    this.#leaveFormer()
    return true
  }

  async start(snapshot: RouterSnapshot): Promise<void> {
    this.#wanted = true
    this.#set({ state: 'starting', reason: 'starting' })
    this.#keep(snapshot)
    try {
      await this.#spawn().catch(cause => this.#spawnAfter(cause))
    } catch (cause) {
      await this.kill()
      throw cause
    }
    this.#leaveFormer()
  }

  /** Where ports can't be shared with the former one: it has to go first, and clients are refused for a moment. */
  async #spawnAfter(cause: unknown): Promise<void> {
    const former = this.#former
    if (former === null) throw cause
    if (this.#life !== null) signalLife(this.#life, 'SIGKILL')
    this.#options.onChange('info', `router process ${former.life.pid} drains before the next one listens`)
    await this.#end(former, formerDrainMs)
    this.#former = null
    await this.#spawn()
  }

  #leaveFormer(): void {
    const former = this.#former
    if (former === null) return
    this.#leaving = this.#end(former, formerDrainMs).then(() => {
      this.#former = null
      if (this.#wanted) this.#keepRecord()
      this.#options.onChange('info', `router process ${former.life.pid} has ended`)
    })
  }

  async #end({ life, socket }: Former, drainMs: number): Promise<void> {
    const client = drainMs === 0 ? null : await this.#connect(socket).catch(() => null)
    await client?.call('stop', { drainMs }, hungTimeoutMs).catch(() => signalLife(life, 'SIGTERM'))
    if (drainMs === 0 || !(await ended(life, drainMs + 5_000))) signalLife(life, 'SIGKILL')
    await ended(life, 5_000)
    client?.close()
    removeIfPossible(socketPath(this.#options.stateDirectory, socket))
  }

  // ---- told of snapshots, asked

  async apply(snapshot: RouterSnapshot): Promise<void> {
    // Kept first: whichever router begins from now on begins with it.
    this.#keep(snapshot)
    const deadlineMs = performance.now() + applyTimeoutMs
    while (this.#wanted && performance.now() < deadlineMs) {
      const client = this.#client
      if (client === null) {
        if (this.#life === null || !leaderAlive(this.#life)) return
        await pause(10)
        continue
      }
      try {
        await client.call('apply', { snapshot }, hungTimeoutMs)
        return
      } catch (cause) {
        if (!isUnreachable(cause)) throw cause
      }
    }
    // It lives and does not answer: it must not go on with what it has.
    const life = this.#life
    if (!this.#wanted || life === null) return
    signalLife(life, 'SIGKILL')
    await ended(life, 5_000)
  }

  async drained(database: string, timeoutMs: number, earlier: boolean = false): Promise<boolean> {
    try {
      const asked = { database, timeoutMs, ...(earlier ? { earlier } : {}) }
      return (await this.#now().call('drained', asked, timeoutMs + hungTimeoutMs)).drained
    } catch (cause) {
      if (!isUnreachable(cause)) throw cause
      return this.#life === null || !leaderAlive(this.#life)
    }
  }

  async status(): Promise<RouterStatus> {
    return this.#now().call('status', {})
  }

  async heat(database: string): Promise<HeatReport | null> {
    try {
      return (await this.#now().call('heat', { database })).heat
    } catch (cause) {
      if (isUnreachable(cause)) return null
      throw cause
    }
  }

  async metrics(): Promise<string> {
    return (await this.#now().call('metrics', {})).text
  }

  // ---- ended

  async stop(drainMs: number): Promise<void> {
    this.#wanted = false
    const life = this.#life
    if (this.#former !== null) await this.#end(this.#former, 0)
    if (life !== null) {
      const client = this.#client
      const told = await client?.call('stop', { drainMs }, hungTimeoutMs).then(
        () => true,
        () => false,
      )
      if (told !== true) signalLife(life, 'SIGTERM')
      if (!(await ended(life, drainMs + 2_000))) signalLife(life, 'SIGKILL')
      await ended(life, 5_000)
    }
    await this.#leaving
    this.#forget('stopped')
  }

  async kill(): Promise<void> {
    this.#wanted = false
    for (const life of [this.#life, this.#former?.life ?? null]) {
      if (life === null) continue
      signalLife(life, 'SIGKILL')
      await ended(life, 5_000)
    }
    await this.#leaving
    this.#forget('killed')
  }

  release(): void {
    this.#wanted = false
    this.#client?.close()
    this.#client = null
    this.#set({ state: 'stopped', reason: 'left running for the next supervisor' })
  }

  #forget(reason: string): void {
    this.#client?.close()
    this.#client = null
    this.#life = null
    this.#former = null
    removeIfPossible(join(this.#folder, 'process.json'))
    removeIfPossible(socketPath(this.#options.stateDirectory, this.#socket))
    this.#set({ state: 'stopped', reason, pid: null })
  }

  // ---- one life

  async #spawn(): Promise<void> {
    this.#spawning = true
    try {
      const next = await launchRole({
        role: 'router',
        stateDirectory: this.#options.stateDirectory,
        filesMax: filesFor(this.#current),
        env: {},
        logFile: this.#logFile,
        besideAnother: this.#former !== null,
      })
      this.#life = next.life
      this.#socket = next.socket
      this.#keepRecord()
      this.#watch(next)
      const { client, status } = await this.#answering(next)
      this.#becomeRunning(client, status, false, 'started')
    } finally {
      this.#spawning = false
    }
  }

  #watch(next: RoleLife): void {
    next.life.exited.then(
      () => {
        if (this.#life === next.life) this.#died(next.exit ?? 'ended')
      },
      () => {},
    )
  }

  async #answering(next: RoleLife): Promise<{ client: RouterClient; status: RouterStatus }> {
    const deadlineMs = performance.now() + startTimeoutMs
    let last = 'it does not listen on its control socket'
    while (next.exit === null && performance.now() < deadlineMs && this.#wanted) {
      try {
        const client = await this.#connect(next.socket)
        const status = await client.call('status', {}, hungTimeoutMs)
        if (status.nonce === next.life.nonce) {
          await this.#bringUpToDate(client, status)
          return { client, status }
        }
        client.close()
        last = 'another router answers on the control socket'
      } catch (cause) {
        last = (cause as Error).message
      }
      await pause(20)
    }
    throw this.#startFailure(
      this.#wanted
        ? (next.exit ?? `did not answer in ${startTimeoutMs / 1_000} s (${last})`)
        : 'was stopped while it started',
    )
  }

  /** A snapshot may have come after it had read the file. */
  async #bringUpToDate(client: RouterClient, status: RouterStatus): Promise<void> {
    const { current } = this
    if (current !== null && status.version < current.version)
      await client.call('apply', { snapshot: current }, hungTimeoutMs)
  }

  #startFailure(why: string): Failure {
    const lines = lastLines(this.#logFile, linesQuotedMax)
    const quote = lines.length === 0 ? ' none' : `\n  ${lines.join('\n  ')}`
    return new Failure(systemFailures.routerFailed, `The database router ${why}. Its last lines:${quote}`)
  }

  #connect(socket: string): Promise<RouterClient> {
    let ours: RouterClient | null = null
    return connectRouter(socketPath(this.#options.stateDirectory, socket), {
      onEvent: event => this.#options.onEvent(event),
      onEnd: () => {
        if (ours !== null && this.#client === ours) this.#lost()
      },
    }).then(client => {
      ours = client
      return client
    })
  }

  #becomeRunning(client: RouterClient, { pid }: RouterStatus, adopted: boolean, reason: string): void {
    this.#client = client
    this.#upSinceMs = performance.now()
    this.#set({ state: 'running', reason, pid, adopted })
    this.#keepRecord()
    this.#options.onChange('info', `router process ${pid} ${adopted ? 'taken back' : reason}`)
  }

  /** The connection ended. A living process is asked again; a dead one, and one that stays silent, is replaced. */
  #lost(): void {
    this.#client = null
    const life = this.#life
    if (!this.#wanted || life === null) return
    this.#set({ state: 'restarting', reason: 'the connection to the router was lost' })
    void this.#reconnect(life)
  }

  async #reconnect(life: LifeIdentity): Promise<void> {
    const deadlineMs = performance.now() + hungTimeoutMs
    while (this.#wanted && this.#life === life && this.#client === null) {
      if (!leaderAlive(life)) return this.#died('died')
      if (performance.now() > deadlineMs) break
      try {
        const client = await this.#connect(this.#socket)
        const status = await client.call('status', {}, 2_000)
        if (status.nonce !== life.nonce || this.#life !== life) client.close()
        else {
          await this.#bringUpToDate(client, status)
          return this.#becomeRunning(client, status, this.#state.adopted, 'connected again')
        }
      } catch {
        await pause(50)
      }
    }
    if (!this.#wanted || this.#life !== life || this.#client !== null) return
    signalLife(life, 'SIGKILL')
    this.#died('did not answer any more and was killed')
  }

  #died(how: string): void {
    const life = this.#life
    if (life === null) return
    this.#life = null
    this.#client?.close()
    this.#client = null
    if (!this.#wanted || this.#spawning) return
    this.#deathsInARow = deathsWith(this.#deathsInARow, this.#upSinceMs)
    const restarts = this.#state.restarts + 1
    this.#set({ state: 'restarting', reason: how, pid: null, adopted: false, restarts })
    this.#options.onChange('warn', `router process ${life.pid} ${how}; it is started again`)
    void this.#restart()
  }

  async #restart(): Promise<void> {
    while (this.#wanted && this.#life === null) {
      await pause(restartDelayMs(this.#deathsInARow))
      if (!this.#wanted) return
      try {
        await this.#spawn()
        return
      } catch (cause) {
        this.#deathsInARow += 1
        if (this.#life !== null) signalLife(this.#life, 'SIGKILL')
        this.#life = null
        if (!this.#wanted) return
        this.#set({ state: 'restarting', reason: (cause as Error).message })
        this.#options.onChange('warn', (cause as Error).message)
      }
    }
  }

  #now(): RouterClient {
    if (this.#client !== null) return this.#client
    throw new Failure(
      systemFailures.routerUnreachable,
      `The database router is not running: ${this.#state.reason}.`,
    )
  }

  #set(change: Partial<RouterProcessState>): void {
    this.#state = { ...this.#state, ...change }
  }

  /** A full disk must not hinder a failover: a router that begins with an older file is told before it counts as running. */
  #keep(snapshot: RouterSnapshot): void {
    this.#current = snapshot
    this.#write('snapshot.json', snapshot)
  }

  #write(name: string, content: object): void {
    try {
      writePrivate(join(this.#folder, name), `${JSON.stringify(content)}\n`)
    } catch (cause) {
      this.#options.onChange('warn', `${name} of the router cannot be kept: ${(cause as Error).message}`)
    }
  }

  #keepRecord(): void {
    if (this.#life === null) return
    const { pid, startedAt, nonce } = this.#life
    const record: ProcessRecord = {
      format: 1,
      pid,
      startedAt,
      nonce,
      socket: this.#socket,
      bootId: processes.bootId(),
      tenfold: tenfoldVersion,
      former: this.#former === null ? null : { ...identity(this.#former.life), socket: this.#former.socket },
    }
    this.#write('process.json', record)
  }
}

const identity = ({ pid, startedAt, nonce }: LifeIdentity): LifeIdentity => ({ pid, startedAt, nonce })

/** Clients, connections to servers, the rest for logs and control. */
function filesFor(snapshot: RouterSnapshot | null): number {
  const databases = snapshot?.databases ?? []
  const needed = databases.map(one => one.pool.clientsMax + one.pool.sizeMax * one.servers.length * 2)
  return needed.reduce((sum, files) => sum + files, 0) + 1_024
}

function isUnreachable(cause: unknown): boolean {
  return cause instanceof Failure && cause.code === systemFailures.routerUnreachable.code
}

export function createRouterProcess(options: RouterProcessOptions): RouterProcess {
  return new DetachedRouter(options)
}
