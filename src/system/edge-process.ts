// The edge as a process: started, taken back, watched, restarted, told of snapshots, stopped. It runs detached, so it
// serves on when the supervisor dies; STATE/edge/process.json and its nonce say which one is ours.
//
// It is replaced without a gap by `roll`: the next process listens on the same ports beside it, then it drains
// (edge-lives.ts). A process of another version that is found is replaced in that way, too.
//
// States: `stopped` (nobody wants it) -> `starting` (begun, not yet answering) -> `running` (answers) -> `restarting`
// (died or hung while it was wanted; again and again, with back-off) -> `running`. `stop`, `kill` and `release` lead to
// `stopped` from everywhere.

import { join } from 'node:path'
import type {
  CacheLook,
  CacheStatus,
  CanaryStatus,
  ControlEvent,
  ControlMethods,
  EdgeStatus,
  PushRequest,
  PushResult,
} from '../edge/control-protocol.ts'
import type { EdgeSnapshot } from '../edge/snapshot.ts'
import type { Purge } from '../edge/store/contract.ts'
import { lastLines } from '../io/log-file.ts'
import { type LifeIdentity, leaderAlive, signalLife } from '../io/process.ts'
import { processes } from '../io/process-table.ts'
import { keepWaitingConnections } from '../io/reuse-port.ts'
import { socketPath } from '../io/socket-path.ts'
import { Failure } from '../kit/failure.ts'
import { connectEdge, type EdgeClient } from './edge-client.ts'
import { type EdgeLife, type FormerEdge, LeavingEdges, type PurgeOutcome, purgeIn } from './edge-lives.ts'
import { systemFailures } from './failures.ts'
import { removeIfPossible, writePrivate } from './private-file.ts'
import { deathsWith, ended, launchRole, pause, readJsonOrNull, restartDelayMs } from './role-process.ts'
import type { StateDirectory } from './state-directory.ts'
import { tenfoldVersion } from './version.ts'

export interface EdgeProcessOptions {
  readonly state: StateDirectory
  /** Worker threads of a process that is started; one that is taken back keeps its own. */
  readonly workers: number
  onEvent(event: ControlEvent): void
  /** A sentence about the process itself: started, died, restarted. */
  onChange(level: 'info' | 'warn', sentence: string): void
}

export interface EdgeProcessState {
  readonly state: 'stopped' | 'starting' | 'running' | 'restarting'
  readonly reason: string
  readonly pid: number | null
  readonly adopted: boolean
  readonly restarts: number
  /** Pids of former processes that drain. */
  readonly leaving: readonly number[]
}

/** Its kind says which part of the guard it is for; the rest is between that and whoever asks. */
export interface GuardQuestion {
  readonly kind: string
  readonly [name: string]: unknown
}

export interface EdgeProcess {
  readonly state: EdgeProcessState
  /** What runs: the snapshot that was applied last, or was found with a process taken back. */
  readonly current: EdgeSnapshot | null
  /** Takes the running edge of this state directory back when there is one of this version; ends one of another. */
  adopt(): Promise<boolean>
  /** Starts from the snapshot. Rejects with SYSTEM_EDGE_FAILED and its last lines when it does not come up. */
  start(snapshot: EdgeSnapshot): Promise<void>
  /**
   * Waits for an edge that is being restarted. Rejects when the edge refuses, or does not come back in time. Where the
   * snapshot asks for another store than the process began with, another one takes over.
   */
  apply(snapshot: EdgeSnapshot): Promise<void>
  status(): Promise<EdgeStatus>
  metrics(): Promise<string>
  memberIdle(params: ControlMethods['memberIdle']['params']): Promise<boolean>
  canary(params: ControlMethods['canary']['params']): Promise<CanaryStatus>
  /**
   * Every process of this edge forgets it: also those that drain, and one that takes over meanwhile. An outcome for each
   * that lives.
   */
  purge(what: Purge): Promise<readonly PurgeOutcome[]>
  push(request: PushRequest): Promise<PushResult>
  /** Null: no route keeps anything. */
  cacheStatus(): Promise<CacheStatus | null>
  cacheLook(url: string): Promise<CacheLook>
  /** A question to the guard of the process that serves. */
  guard<T>(question: GuardQuestion): Promise<T>
  /** To the guards of all processes, also those that drain; what those that answer say. */
  tellGuard<T>(question: GuardQuestion): Promise<readonly T[]>
  reopenLogs(): Promise<void>
  /** Reads the files of its certificates anew, for handshakes to come. What does not fit, the edge tells. */
  reloadCertificates(): Promise<void>
  /** Key authorizations by token. Resolves when the edge answers them; the next one will answer them as well. */
  challenges(tokens: Readonly<Record<string, string>>): Promise<void>
  /**
   * Another process takes over: it listens beside this one before this one takes no more connections and drains. Nothing
   * changes when the next one does not come up. Resolves when the next one serves; the former drains on.
   */
  roll(drainMs: number): Promise<void>
  /** Drains, then it exits; killed when it does not. */
  stop(drainMs: number): Promise<void>
  kill(): Promise<void>
  /** Lets it run on for the next supervisor. */
  release(): void
}

const startTimeoutMs = 30_000
/** For an origin to answer what is pushed. */
const pushTimeoutMs = 120_000
/** Where no snapshot says how long one may drain. */
const drainMsUnknown = 30_000
/** How long `apply` waits for an edge that is being restarted. */
const returnTimeoutMs = 30_000
const linesQuotedMax = 8

/** Each client connection can have one to an instance beside it; the rest is for idle ones, logs and files. */
function filesFor(snapshot: EdgeSnapshot | null): number {
  return 2 * (snapshot?.limits.connectionsMax ?? 20_000) + 4_096
}

interface RecordedEdge extends LifeIdentity {
  /** Of its control socket; absent: `edge`. */
  readonly socket?: string
}

interface ProcessRecord extends RecordedEdge {
  readonly format: 1
  /** Processes on the same ports: one that takes over, and those that drain. Absent: none. */
  readonly beside?: readonly RecordedEdge[]
  readonly bootId: string
  readonly tenfold: string
  /** Layout of its cache's store as JSON: what it began with. Absent: none. */
  readonly store?: string
}

interface Answering {
  readonly client: EdgeClient
  readonly status: EdgeStatus
}

class DetachedEdge implements EdgeProcess {
  readonly #options: EdgeProcessOptions
  readonly #logFile: string
  readonly #leaving: LeavingEdges = new LeavingEdges()
  #state: Omit<EdgeProcessState, 'leaving'> = {
    state: 'stopped',
    reason: 'not started',
    pid: null,
    adopted: false,
    restarts: 0,
  }
  #life: LifeIdentity | null = null
  /** Name of its control socket. */
  #socket = 'edge'
  #rolling: Promise<void> | null = null
  /** Started by `roll`, and not in charge yet. */
  #next: EdgeLife | null = null
  #client: EdgeClient | null = null
  #current: EdgeSnapshot | null = null
  #wanted = false
  /** A process was started and has not answered yet: whoever started it deals with its death. */
  #spawning = false
  /** Found by `adopt`, of another version: it leaves when the next one serves. */
  #former: FormerEdge | null = null
  #returned: (() => void)[] = []
  /** Real ports by listener id: a listener of port 0 keeps its port over restarts. */
  #ports = new Map<string, number>()
  #unwritable = false
  /** ACME: what an edge that takes over must answer as well. */
  #challenges: Readonly<Record<string, string>> = {}
  /** Of the process in charge, as JSON: laid out when it starts. '': none. */
  #store = ''
  #deathsInARow = 0
  #upSinceMs = 0

  constructor(options: EdgeProcessOptions) {
    this.#options = options
    this.#logFile = join(options.state.logs, 'edge.log')
  }

  get state(): EdgeProcessState {
    const former = this.#former === null ? [] : [this.#former.life.pid]
    return { ...this.#state, leaving: [...former, ...this.#leaving.pids] }
  }

  get current(): EdgeSnapshot | null {
    return this.#current
  }

  async adopt(): Promise<boolean> {
    const record = this.#readRecord()
    if (record === null || record.bootId !== processes.bootId()) return false
    let taken = false
    // A supervisor that died amid a change of processes has left two: each serves on the same ports, and one has to go.
    for (const found of [record, ...(record.beside ?? [])].filter(life => leaderAlive(life))) {
      if (taken || this.#former !== null) await this.#sendAway(found)
      else taken = await this.#adopt(found, record)
    }
    if (taken) this.#keepRecord()
    return taken
  }

  async #adopt(found: RecordedEdge, { tenfold, store = '' }: ProcessRecord): Promise<boolean> {
    this.#life = found
    this.#store = store
    this.#socket = found.socket ?? 'edge'
    try {
      const client = await this.#connect()
      const status = await client.call('status', {}, 5_000)
      if (status.pid !== found.pid || status.nonce !== found.nonce) throw new Error('another edge answers')
      if (tenfold !== tenfoldVersion || status.draining) {
        const why = status.draining ? 'drains' : `is of Tenfold ${tenfold}`
        this.#options.onChange('info', `the edge that runs ${why}: it is replaced`)
        // It serves until the one that will be started serves.
        this.#current = this.#snapshotFile()
        this.#learnPorts(status)
        this.#former = { life: found, client, socket: this.#socket }
        this.#life = null
        return false
      }
      this.#current = this.#snapshotFile()
      this.#wanted = true
      this.#becomeRunning(client, status, true, 'taken back from a supervisor that had ended')
      return true
    } catch (cause) {
      this.#options.onChange(
        'warn',
        `the edge that was left running does not answer: ${(cause as Error).message}`,
      )
      await this.kill()
      return false
    }
  }

  /** One that does not answer (yet) is told by a signal. */
  async #sendAway(found: RecordedEdge): Promise<void> {
    const socket = found.socket ?? 'edge'
    const client = await this.#connect(socket).catch(() => deafClient)
    this.#leave({ life: found, client, socket }, this.#current?.limits.drainTimeoutMs ?? drainMsUnknown)
  }

  async start(snapshot: EdgeSnapshot): Promise<void> {
    this.#wanted = true
    this.#set({ state: 'starting', reason: 'starting' })
    const former = this.#former
    this.#former = null
    this.#writeSnapshot(former === null ? snapshot : this.#pinned(snapshot))
    this.#current = snapshot
    try {
      await this.#spawn(former !== null)
    } catch (cause) {
      await this.kill()
      former?.client.close()
      throw cause
    }
    if (former !== null) this.#leave(former, snapshot.limits.drainTimeoutMs)
  }

  roll(drainMs: number): Promise<void> {
    if (this.#rolling !== null) throw new Failure(systemFailures.busy, 'The edge is being replaced already.')
    this.#rolling = this.#roll(drainMs).finally(() => {
      this.#rolling = null
      this.#next = null
    })
    return this.#rolling
  }

  async #roll(drainMs: number): Promise<void> {
    const former = { life: this.#life, client: this.#now(), socket: this.#socket }
    const { current } = this
    if (former.life === null || current === null)
      throw new Failure(systemFailures.edgeUnreachable, 'The edge is not running.')
    this.#writeSnapshot(this.#pinned(current))
    if (!keepWaitingConnections())
      this.#options.onChange(
        'warn',
        'connections that arrive at the very moment of the change may be reset: sysctl net.ipv4.tcp_migrate_req=1 prevents it',
      )
    const next = await this.#launch(true)
    const store = storeOf(current)
    this.#next = next
    this.#keepRecord()
    let answered: Answering
    try {
      answered = await this.#answering(next, () => this.#wanted)
    } catch (cause) {
      signalLife(next.life, 'SIGKILL')
      removeIfPossible(socketPath(this.#options.state.path, next.socket))
      throw cause
    }
    // The former may have died meanwhile; then nobody is there to leave.
    const alive = this.#life === former.life
    this.#life = next.life
    this.#socket = next.socket
    this.#store = store
    this.#watch(next)
    this.#next = null
    this.#becomeRunning(answered.client, answered.status, false, 'took over')
    if (alive) this.#leave(former as FormerEdge, drainMs)
    else former.client.close()
    this.#keepRecord()
  }

  #leave(former: FormerEdge, drainMs: number): void {
    this.#options.onChange('info', `edge process ${former.life.pid} takes no more connections and drains`)
    this.#leaving.add(former, drainMs, () => {
      removeIfPossible(socketPath(this.#options.state.path, former.socket))
      if (this.#wanted) this.#keepRecord()
      this.#options.onChange('info', `edge process ${former.life.pid} has ended`)
    })
  }

  async apply(snapshot: EdgeSnapshot): Promise<void> {
    await this.#apply(snapshot)
    const store = storeOf(snapshot)
    if (store === '' || store === this.#store) return
    await this.#rolling?.catch(() => {})
    if (store === this.#store) return
    this.#options.onChange('info', "the cache's store is another one: another edge process takes over")
    await this.roll(snapshot.limits.drainTimeoutMs)
  }

  async #apply(snapshot: EdgeSnapshot): Promise<void> {
    // One that takes over has begun with what was there before.
    await this.#rolling?.catch(() => {})
    const deadlineMs = performance.now() + returnTimeoutMs
    for (let again = false; ; again = true) {
      const client = await this.#running(deadlineMs)
      try {
        // The answer may have been lost, not the request.
        if (again && (await client.call('status', {})).version >= snapshot.version) return
        const pinned = this.#pinned(snapshot)
        await client.call('apply', { snapshot: pinned })
        if (pinned.listeners.some(listener => listener.port === 0))
          this.#learnPorts(await client.call('status', {}))
        this.#current = snapshot
        this.#keep('the snapshot', () => this.#writeSnapshot(this.#pinned(snapshot)))
        return
      } catch (cause) {
        // It died on the way: what it had not confirmed is sent to the next one.
        if (!isUnreachable(cause) || performance.now() > deadlineMs) throw cause
      }
    }
  }

  async status(): Promise<EdgeStatus> {
    return this.#now().call('status', {})
  }

  async metrics(): Promise<string> {
    return (await this.#now().call('metrics', {})).text
  }

  async memberIdle(params: ControlMethods['memberIdle']['params']): Promise<boolean> {
    try {
      const client = await this.#running(performance.now() + params.timeoutMs)
      const own = client.call('memberIdle', params, params.timeoutMs + 5_000)
      const [{ idle }, others] = await Promise.all([own, this.#leaving.memberIdle(params)])
      return idle && others
    } catch (cause) {
      if (!isUnreachable(cause)) throw cause
      // A process that is gone carries no request.
      return this.#life === null || !leaderAlive(this.#life)
    }
  }

  async reloadCertificates(): Promise<void> {
    const client = await this.#running(performance.now() + returnTimeoutMs)
    // One that dies before it answers reads them when it starts.
    await client.call('reloadCertificates', {}).catch((cause: unknown) => {
      if (!isUnreachable(cause)) throw cause
    })
  }

  async challenges(tokens: Readonly<Record<string, string>>): Promise<void> {
    this.#challenges = tokens
    const deadlineMs = performance.now() + returnTimeoutMs
    for (;;) {
      const client = await this.#running(deadlineMs)
      try {
        await client.call('challenges', { tokens: this.#challenges })
        return
      } catch (cause) {
        if (!isUnreachable(cause) || performance.now() > deadlineMs) throw cause
      }
    }
  }

  canary(params: ControlMethods['canary']['params']): Promise<CanaryStatus> {
    return this.#now().call('canary', params)
  }

  async purge(what: Purge): Promise<readonly PurgeOutcome[]> {
    const rolling = this.#rolling
    const [leaving, own] = await Promise.all([this.#leaving.purge(what), this.#purgeOwn(what)])
    if (rolling === null) return [...leaving, ...own]
    // The one that takes over may have begun to keep answers before this purge.
    await rolling.catch(() => {})
    const taken = (await this.#purgeOwn(what)).filter(one => own.every(before => before.pid !== one.pid))
    return [...leaving, ...own, ...taken]
  }

  /** Where it is being started again, the one that comes: what is on its disk has to go as well. */
  async #purgeOwn(what: Purge): Promise<PurgeOutcome[]> {
    const deadlineMs = performance.now() + returnTimeoutMs
    while (performance.now() < deadlineMs) {
      const client = await this.#running(deadlineMs)
      const life = this.#life
      const outcome = life === null ? null : await purgeIn({ client, life, socket: this.#socket }, what)
      if (outcome !== null) return [outcome]
      await pause(20)
    }
    return []
  }

  async push(request: PushRequest): Promise<PushResult> {
    const client = await this.#running(performance.now() + returnTimeoutMs)
    return client.call('push', request, pushTimeoutMs)
  }

  async cacheStatus(): Promise<CacheStatus | null> {
    return this.#now().call('cacheStatus', {})
  }

  async cacheLook(url: string): Promise<CacheLook> {
    return this.#now().call('cacheLook', { url })
  }

  async guard<T>(question: GuardQuestion): Promise<T> {
    const client = await this.#running(performance.now() + returnTimeoutMs)
    return (await client.call('guard', { question })).answer as T
  }

  async tellGuard<T>(question: GuardQuestion): Promise<readonly T[]> {
    const own = await this.guard<T>(question)
    const others = await Promise.all(
      this.#leaving.edges.map(({ client }) =>
        client.call('guard', { question }).then(
          ({ answer }) => [answer as T],
          // It is going, or has no guard yet: what it still serves ends with its drain.
          () => [],
        ),
      ),
    )
    return [own, ...others.flat()]
  }

  async reopenLogs(): Promise<void> {
    await this.#now().call('reopenLogs', {})
  }

  async stop(drainMs: number): Promise<void> {
    this.#wanted = false
    if (this.#former !== null) this.#leave(this.#former, drainMs)
    this.#former = null
    const left = this.#leaving.end(drainMs)
    const life = this.#life
    const begun = this.#state.state !== 'starting'
    const drains = await this.#drain(drainMs)
    if (life !== null && !(drains && (await ended(life, drainMs + 2_000)))) {
      signalLife(life, 'SIGTERM')
      // By this signal it drains as well, when it can.
      if (!(await ended(life, drains || !begun ? 2_000 : drainMs + 2_000))) signalLife(life, 'SIGKILL')
      await ended(life, 5_000)
    }
    await left
    this.#forget('stopped')
  }

  /** False when it was not told: it is still starting, or does not answer. Then nobody need wait for its end yet. */
  async #drain(drainMs: number): Promise<boolean> {
    if (this.#client === null) return false
    return await this.#client.call('stop', { drainMs }, 5_000).then(
      () => true,
      () => false,
    )
  }

  async kill(): Promise<void> {
    this.#wanted = false
    if (this.#former !== null) signalLife(this.#former.life, 'SIGKILL')
    this.#leaving.kill()
    const life = this.#life
    if (life !== null) {
      signalLife(life, 'SIGKILL')
      await ended(life, 5_000)
    }
    this.#forget('killed')
  }

  release(): void {
    this.#wanted = false
    this.#leaving.release()
    this.#client?.close()
    this.#client = null
    this.#set({ state: 'stopped', reason: 'left running for the next supervisor' })
  }

  #now(): EdgeClient {
    if (this.#client === null) {
      throw new Failure(systemFailures.edgeUnreachable, `The edge is not running: ${this.#state.reason}.`)
    }
    return this.#client
  }

  /** The client, as soon as there is one. */
  async #running(deadlineMs: number): Promise<EdgeClient> {
    while (this.#client === null) {
      const leftMs = deadlineMs - performance.now()
      if (!this.#wanted || leftMs <= 0) return this.#now()
      await this.#return(leftMs)
    }
    return this.#client
  }

  #return(timeoutMs: number): Promise<void> {
    return new Promise(resolve => {
      const limit = setTimeout(resolve, timeoutMs)
      this.#returned.push(() => {
        clearTimeout(limit)
        resolve()
      })
    })
  }

  async #spawn(besideAnother = false): Promise<void> {
    this.#spawning = true
    try {
      const store = storeOf(this.#current)
      const next = await this.#launch(besideAnother)
      this.#life = next.life
      this.#socket = next.socket
      this.#store = store
      if (!this.#wanted) throw this.#startFailure('was stopped while it started')
      this.#keepRecord()
      this.#watch(next)
      const { client, status } = await this.#answering(next, () => this.#life === next.life && this.#wanted)
      this.#becomeRunning(client, status, false, 'started')
    } finally {
      this.#spawning = false
    }
  }

  /** `besideAnother`: the ports are another edge's, which will let go of them. */
  #launch(besideAnother: boolean): Promise<EdgeLife> {
    return launchRole({
      role: 'edge',
      stateDirectory: this.#options.state.path,
      filesMax: filesFor(this.#current),
      env: { TENFOLD_EDGE_WORKERS: String(this.#options.workers) },
      logFile: this.#logFile,
      besideAnother,
    })
  }

  #watch(next: EdgeLife): void {
    next.life.exited.then(
      () => {
        if (this.#life === next.life) this.#died(next.exit ?? 'ended')
      },
      () => {},
    )
  }

  /** Until it answers with its nonce; a death or the limit ends the wait. */
  async #answering(next: EdgeLife, wanted: () => boolean): Promise<Answering> {
    const deadlineMs = performance.now() + startTimeoutMs
    let last = 'it does not listen on its control socket'
    while (next.exit === null && performance.now() < deadlineMs && wanted()) {
      try {
        const client = await this.#connect(next.socket)
        const status = await client.call('status', {}, 5_000)
        // It answers before its workers listen.
        const listens = status.workers.every(worker => worker.state === 'running')
        if (status.nonce === next.life.nonce && listens && wanted()) {
          await this.#bringUpToDate(client, status)
          return { client, status }
        }
        client.close()
        last = listens ? 'another edge answers on the control socket' : 'its workers do not listen yet'
      } catch (cause) {
        last = (cause as Error).message
      }
      await pause(20)
    }
    if (!this.#wanted) throw this.#startFailure('was stopped while it started')
    throw this.#startFailure(next.exit ?? `did not answer in ${startTimeoutMs / 1000} s (${last})`)
  }

  /** Where the disk was full it has begun with an older snapshot than the last one that was applied. */
  async #bringUpToDate(client: EdgeClient, status: EdgeStatus): Promise<void> {
    const { current } = this
    if (current === null || status.version >= current.version) return
    await client.call('apply', { snapshot: this.#pinned(current) })
  }

  #startFailure(why: string): Failure {
    const lines = lastLines(this.#logFile, linesQuotedMax)
    const quote = lines.length === 0 ? '' : `\n  ${lines.join('\n  ')}`
    return new Failure(systemFailures.edgeFailed, `The edge ${why}. Its last lines:${quote || ' none'}`)
  }

  #connect(name = this.#socket): Promise<EdgeClient> {
    let ours: EdgeClient | null = null
    return connectEdge(socketPath(this.#options.state.path, name), {
      onEvent: event => this.#options.onEvent(event),
      onEnd: () => {
        if (ours !== null && this.#client === ours) this.#lost()
      },
    }).then(client => {
      ours = client
      return client
    })
  }

  #becomeRunning(client: EdgeClient, status: EdgeStatus, adopted: boolean, reason: string): void {
    const { pid } = status
    this.#client = client
    this.#learnPorts(status)
    // One that is lost on the way comes here again.
    if (Object.keys(this.#challenges).length > 0)
      client.call('challenges', { tokens: this.#challenges }).catch(() => {})
    const { current } = this
    if (current !== null) this.#keep('the snapshot', () => this.#writeSnapshot(this.#pinned(current)))
    this.#upSinceMs = performance.now()
    this.#set({ state: 'running', reason, pid, adopted })
    this.#options.onChange(
      'info',
      adopted ? `edge process ${pid} taken back` : `edge process ${pid} ${reason}`,
    )
    for (const tell of this.#returned.splice(0)) tell()
  }

  /** The connection ended. A living process is asked again; a dead one (and one that stays silent) is replaced. */
  #lost(): void {
    this.#client = null
    const life = this.#life
    if (!this.#wanted || life === null) return
    this.#set({ state: 'restarting', reason: 'the connection to the edge was lost' })
    void this.#reconnect(life)
  }

  async #reconnect(life: LifeIdentity): Promise<void> {
    for (let tries = 0; tries < 50 && this.#life === life && this.#client === null; tries += 1) {
      if (!leaderAlive(life)) return this.#died('died')
      try {
        const client = await this.#connect()
        const status = await client.call('status', {}, 2_000)
        if (status.nonce === life.nonce && this.#life === life) {
          this.#becomeRunning(client, status, this.#state.adopted, 'connected again')
          return
        }
        client.close()
      } catch {
        await pause(50)
      }
    }
    if (this.#life !== life || this.#client !== null) return
    signalLife(life, 'SIGKILL')
    this.#died('did not answer any more and was killed')
  }

  #died(how: string): void {
    if (this.#life === null) return
    const pid = this.#life.pid
    this.#life = null
    this.#client?.close()
    this.#client = null
    if (!this.#wanted || this.#spawning) return
    if (this.#rolling !== null) {
      // The next one may be there in a moment; if it is not, this one is started again.
      void this.#rolling.catch(() => this.#diedAlone(pid, how))
      return
    }
    this.#diedAlone(pid, how)
  }

  #diedAlone(pid: number, how: string): void {
    if (!this.#wanted || this.#life !== null) return
    this.#deathsInARow = deathsWith(this.#deathsInARow, this.#upSinceMs)
    this.#set({
      state: 'restarting',
      reason: how,
      pid: null,
      adopted: false,
      restarts: this.#state.restarts + 1,
    })
    this.#options.onChange('warn', `edge process ${pid} ${how}; it is started again`)
    void this.#restart()
  }

  async #restart(): Promise<void> {
    while (this.#wanted && this.#life === null) {
      // After the first death at once: nothing is served meanwhile.
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

  #forget(reason: string): void {
    this.#client?.close()
    this.#client = null
    this.#life = null
    removeIfPossible(join(this.#options.state.edge, 'process.json'))
    // A process that was killed leaves its socket behind.
    removeIfPossible(socketPath(this.#options.state.path, this.#socket))
    this.#set({ state: 'stopped', reason, pid: null })
    for (const tell of this.#returned.splice(0)) tell()
  }

  #set(change: Partial<Omit<EdgeProcessState, 'leaving'>>): void {
    this.#state = { ...this.#state, ...change }
  }

  #learnPorts(status: EdgeStatus): void {
    this.#ports = new Map(status.listeners.map(listener => [listener.id, listener.port]))
  }

  #pinned(snapshot: EdgeSnapshot): EdgeSnapshot {
    const listeners = snapshot.listeners.map(listener =>
      listener.port === 0 ? { ...listener, port: this.#ports.get(listener.id) ?? 0 } : listener,
    )
    return { ...snapshot, listeners }
  }

  /** What the edge does comes before what is kept of it: a full disk is said, once, and nothing waits for it. */
  #keep(what: string, write: () => void): void {
    try {
      write()
      this.#unwritable = false
    } catch (cause) {
      if (this.#unwritable) return
      this.#unwritable = true
      this.#options.onChange(
        'warn',
        `${what} cannot be written to the state directory, a later start may not find it: ${(cause as Error).message}`,
      )
    }
  }

  #writeSnapshot(snapshot: EdgeSnapshot): void {
    writePrivate(join(this.#options.state.edge, 'snapshot.json'), `${JSON.stringify(snapshot)}\n`)
  }

  #snapshotFile(): EdgeSnapshot | null {
    return readJsonOrNull<EdgeSnapshot>(join(this.#options.state.edge, 'snapshot.json'))
  }

  /** Of every process on our ports, so that whoever comes after us finds all of them. */
  #keepRecord(): void {
    if (this.#life === null) return
    const others = [...(this.#next === null ? [] : [this.#next]), ...this.#leaving.edges]
    const record: ProcessRecord = {
      format: 1,
      ...recorded({ life: this.#life, socket: this.#socket }),
      bootId: processes.bootId(),
      tenfold: tenfoldVersion,
      ...(this.#store === '' ? {} : { store: this.#store }),
      beside: others.map(recorded),
    }
    const file = join(this.#options.state.edge, 'process.json')
    this.#keep('the record of its process', () => writePrivate(file, `${JSON.stringify(record)}\n`))
  }

  #readRecord(): ProcessRecord | null {
    return readJsonOrNull<ProcessRecord>(join(this.#options.state.edge, 'process.json'))
  }
}

export function createEdgeProcess(options: EdgeProcessOptions): EdgeProcess {
  return new DetachedEdge(options)
}

/** What the memory of a process is laid out by. */
function storeOf(snapshot: EdgeSnapshot | null): string {
  return snapshot?.cache === undefined ? '' : JSON.stringify(snapshot.cache.store)
}

function recorded({
  life: { pid, startedAt, nonce },
  socket,
}: Pick<FormerEdge, 'life' | 'socket'>): RecordedEdge {
  return { pid, startedAt, nonce, socket }
}

/** Of a process that can't be asked; whoever asks looks whether it lives. */
const deafClient: EdgeClient = {
  call: () => Promise.reject(new Failure(systemFailures.edgeUnreachable, 'The edge does not answer.')),
  close: () => {},
}

function isUnreachable(cause: unknown): boolean {
  return cause instanceof Failure && cause.code === systemFailures.edgeUnreachable.code
}
