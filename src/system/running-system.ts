// The composition root: one system from its file to running parts, its changes and its end. Owns the order in which
// parts start and stop, and what happens when one of them fails. Every decision of a part is the part's own.
//
// States: `starting` -> `running` -> `stopping` -> `stopped`; `starting` -> `stopping` when a part fails or a stop is
// asked for. What a failed start began itself is stopped again; what it took back from an earlier supervisor runs on.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { DatabaseLog } from '../database/contract.ts'
import type { RouterStatus } from '../database/router/control-protocol.ts'
import { chooseServerUser } from '../database/servers/user.ts'
import type { CacheStatus, EdgeStatus } from '../edge/control-protocol.ts'
import type { CheckedSystem } from '../file/index.ts'
import { createFleet, type Fleet, type FleetDecision, type ServiceSpec } from '../fleet/index.ts'
import { userIds } from '../io/process.ts'
import { systemClock } from '../kit/clock.ts'
import { Failure } from '../kit/failure.ts'
import { type Random, seededRandom } from '../kit/random.ts'
import { Autoscale } from './autoscale.ts'
import { cacheHandlers } from './cache-handlers.ts'
import { Certificates } from './certificates.ts'
import { type ChangeParts, type Compiled, throwWhenFailed } from './change.ts'
import { Changes } from './changes.ts'
import { type CacheContext, cacheEnvironment, type Peer, peersOf, secretsOfCaches } from './compile-caches.ts'
import {
  compileDatabases,
  type DatabaseContext,
  databaseEnvironment,
  secretsOfDatabases,
} from './compile-databases.ts'
import type { EdgeSwitches } from './compile-edge.ts'
import { compileFleet } from './compile-fleet.ts'
import { compileGuard, guardEnvironment, secretsOfGuard } from './compile-guard.ts'
import { type ControlServer, startControlServer } from './control/server.ts'
import { openTokens } from './control/tokens.ts'
import type { StatusView, SystemEvent } from './control/views.ts'
import { controlHandlers } from './control-handlers.ts'
import { databaseHandlers } from './database-handlers.ts'
import { checkDatabasePorts, type DatabasePortKeeper, openDatabasePorts } from './database-ports.ts'
import { backupStateView, databaseView, routerView, waitingForDatabases } from './database-status.ts'
import { Databases } from './databases.ts'
import { createEdgeProcess, type EdgeProcess } from './edge-process.ts'
import { createEvents, type Events } from './events.ts'
import { systemFailures } from './failures.ts'
import { guardHandlers } from './guard-handlers.ts'
import { type History, openHistory } from './history.ts'
import { checkListenPorts } from './listen-check.ts'
import { type LoadedSystem, loadSystemFile, requireEdgeFiles } from './load.ts'
import { loadSecretValues, resolveSecrets } from './load-secrets.ts'
import { type Lock, takeLock } from './lock.ts'
import { keepLogsBounded } from './log-keeper.ts'
import { type Maintenance, type MaintenanceWish, openMaintenance } from './maintenance.ts'
import { createPublisher, type Publisher } from './publisher.ts'
import { Purges } from './purges.ts'
import { createRedactor, type Redactor } from './redact.ts'
import { createRouterProcess, type RouterProcessState } from './router-process.ts'
import { openRulings, type Rulings } from './rulings.ts'
import { sharedCacheHandlers } from './shared-caches.ts'
import { openStandDown, type StandDown } from './stand-down.ts'
import { openStateDirectory, type StateDirectory, stateDirectoryOf } from './state-directory.ts'
import { edgeView, serviceViews, waitingFor } from './status.ts'
import { openSystemLog, type SystemLog } from './system-log.ts'
import { systemMetrics } from './system-metrics.ts'
import { chooseServiceUser, type ServiceUser } from './users.ts'
import { tenfoldVersion } from './version.ts'
import { type FileWatcher, watchFiles } from './watch-file.ts'

export interface StartOptions {
  /** Path of the system file, or of a folder that holds one. */
  readonly file: string
  readonly environment?: string | undefined
  /** Absent: `.tenfold` beside the file. */
  readonly stateDirectory?: string | undefined
  /** Reload by itself when the file or what it imports changes. */
  readonly watch: boolean
  /** Who services run as where they name nobody; absent: docs/decisions/0008-users-and-privileges.md. */
  readonly user?: string | undefined
  readonly onEvent: (event: SystemEvent) => void
}

export interface RunningSystem {
  /** Resolves when everything runs; rejects with the failure after everything that was started is stopped again. */
  readonly ready: Promise<void>
  /** Resolves when everything has ended, whoever asked for it; also after a failed start. */
  readonly ended: Promise<void>
  status(): Promise<StatusView>
  /** Drains and stops. Called again with `now`, what is left is ended at once. */
  stop(options: { now: boolean; why: string }): Promise<void>
}

/** The parts, each there from the moment it was started. */
interface Parts {
  state: StateDirectory
  lock: Lock
  log: SystemLog
  events: Events
  user: ServiceUser
  changes: Changes
  purges: Purges
  control: ControlServer
  edge: EdgeProcess
  certificates: Certificates
  standDown: StandDown
  maintenance: Maintenance
  rulings: Rulings
  publisher: Publisher
  ports: DatabasePortKeeper
  databases: Databases
  fleet: Fleet
  autoscale: Autoscale
  history: History
  watcher: FileWatcher
  endLogKeeping: () => void
}

class ComposedSystem implements RunningSystem {
  readonly ready: Promise<void>
  readonly ended: Promise<void>
  readonly #options: StartOptions
  readonly #parts: Partial<Parts> = {}
  readonly #redactor: Redactor = createRedactor()
  readonly #startedAtMs = Date.now()
  readonly #end = Promise.withResolvers<void>()
  #state: 'starting' | 'running' | 'stopping' | 'stopped' = 'starting'
  /** Something was taken back: a failed start then leaves it running. */
  #adopted = false
  /** Differs from the file: what a process that was taken back still serves by. */
  #former: Compiled | null = null
  #warnings: string[] = []
  #stopping: Promise<void> | null = null

  constructor(options: StartOptions) {
    this.#options = options
    this.ended = this.#end.promise
    this.ready = this.#start()
  }

  async #start(): Promise<void> {
    try {
      await this.#prepare()
      await this.#startEdge()
      await this.#startDatabases()
      await this.#startFleet()
      this.#begun()
    } catch (cause) {
      const failure = this.#stopping === null ? cause : stopping()
      await this.#undoStart()
      throw failure
    }
  }

  /** Everything that needs no process: file, state, lock, secrets, control API. */
  async #prepare(): Promise<void> {
    const parts = this.#parts
    const loaded = await this.#load()
    parts.state = openStateDirectory(stateDirectoryOf(loaded.file, this.#options.stateDirectory))
    parts.lock = takeLock(parts.state.path, loaded.file)
    parts.standDown = openStandDown(parts.state.path)
    parts.maintenance = openMaintenance(parts.state.path)
    parts.rulings = openRulings(parts.state.path)
    parts.log = openSystemLog(join(parts.state.logs, 'tenfold.log'))
    parts.events = createEvents(parts.log, text => this.#redactor.text(text))
    parts.events.follow(this.#options.onEvent)
    parts.user = chooseServiceUser({
      told: this.#options.user,
      systemFile: loaded.file,
      directories: Object.values(loaded.system.services).flatMap(service =>
        service.kind === 'command' && service.user === undefined
          ? [join(loaded.directory, service.directory)]
          : [],
      ),
      effectiveUserId: process.geteuid?.(),
    })
    this.#warnings = [
      parts.user.warning,
      ...loaded.warnings.map(
        one => `${one.path}${one.value === undefined ? '' : `: ${one.value}`} ${one.message}`,
      ),
    ].filter(text => text !== '')
    for (const warning of this.#warnings) this.#tell('warning', 'file', warning)
    parts.ports = openDatabasePorts(parts.state.path, freshRandom())
    await parts.ports.choose(loaded.system)
    parts.history = openHistory(parts.state.snapshots, cause =>
      this.#tell('warning', 'history', `cannot be written, a later run will not know it: ${cause.message}`),
    )
    parts.changes = new Changes({
      loaded,
      current: this.#compile(loaded),
      history: parts.history,
      load: () => this.#load(),
      prepare: next => this.#need('ports').ports.choose(next.system),
      compile: next => this.#compile(next),
      parts: () => this.#changeParts(),
      tell: (kind, subject, text) => this.#tell(kind, subject, text),
      watch: files => parts.watcher?.watch(files),
    })
    parts.purges = new Purges({
      edge: () => this.#need('edge').edge,
      peers: () => this.#peers(),
      enabled: () => this.#caches(),
      tell: (kind, subject, text) => this.#tell(kind, subject, text),
    })
    await this.#startControl()
  }

  async #startControl(): Promise<void> {
    const { state, lock, events, history, changes, purges } = this.#need(
      'purges',
      'state',
      'lock',
      'events',
      'history',
      'changes',
    )
    const { host, port } = changes.current.system.control
    this.#parts.control = await startControlServer({
      host,
      port,
      version: tenfoldVersion,
      tokens: openTokens(state.path),
      handlers: controlHandlers({
        events,
        history,
        changes,
        redactor: this.#redactor,
        fleet: () => this.#need('fleet').fleet,
        scaledByHand: service => this.#parts.autoscale?.hold(service),
        status: () => this.status(),
        renew: host => this.#need('certificates').certificates.renew(host),
        standDown: reason => this.#switchStandDown(reason),
        hasHealthListener: () =>
          this.#need('changes').changes.current.system.edge.listeners.some(one => one.kind === 'health'),
        maintenance: wish => this.#switchMaintenance(wish),
        canary: (route, action) => this.#need('edge').edge.canary({ route, action }),
        hasService: name => Object.hasOwn(this.#need('changes').changes.current.system.services, name),
        rollEdge: () => this.#rollEdge(),
        databases: databaseHandlers({
          databases: () => this.#need('databases').databases,
          changes,
          redactor: this.#redactor,
        }),
        caches: cacheHandlers({
          edge: () => this.#need('edge').edge,
          purges,
          enabled: () => this.#caches(),
          folder: state.edge,
          shared: sharedCacheHandlers({
            system: () => changes.current.system,
            secrets: () => loadSecretValues(changes.loaded.directory, process.env),
            tell: text => this.#tell('decision', 'cache', text),
          }),
        }),
        guard: guardHandlers({
          edge: () => this.#need('edge').edge,
          rulings: this.#need('rulings').rulings,
          enabled: () => changes.current.guard !== null,
          auditFile: () => changes.current.guard?.audit.file ?? '',
          trustedProxies: () => changes.current.system.edge.trustedProxies,
          filed: () => [...(changes.current.guard?.ban ?? []), ...(changes.current.guard?.allow ?? [])],
          publish: () => this.#need('publisher').publisher.refresh(),
          tell: text => this.#tell('decision', 'guard', text),
        }),
        metrics: () => this.#metrics(),
        stop: how => void this.stop(how),
      }),
      onFault: fault => this.#fault(fault),
    })
    lock.tell(this.#parts.control.url)
  }

  async #startEdge(): Promise<void> {
    const { state, changes } = this.#need('state', 'changes')
    const { current, loaded } = changes
    const { workers } = current.system.edge
    const wanted = workers === 'cores' ? availableParallelism() : workers
    const edge = createEdgeProcess({
      state,
      workers: wanted,
      onEvent: event => this.#tell('decision', event.subject, event.text),
      onChange: (level, sentence) => this.#tell(level === 'warn' ? 'warning' : 'progress', 'edge', sentence),
    })
    this.#parts.edge = edge
    const taken = await edge.adopt()
    if (taken) {
      this.#adopted = true
      this.#former = this.#formerSystem(current)
    }
    const first = this.#former ?? current
    const certificates = this.#certificates(edge)
    this.#parts.certificates = certificates
    this.#parts.publisher = createPublisher(first, {
      edge,
      prepare: system => certificates.prepare(system),
      ownCertificates: system => certificates.specsOf(system),
      switches: () => this.#switches(),
      rulings: () => this.#need('rulings').rulings.current,
      stickySecret: state.stickySecret,
      identitySecret: state.identitySecret,
      stateDirectory: state.path,
      baseDirectory: loaded.directory,
    })
    this.#parts.endLogKeeping = keepLogsBounded({
      logs: state.logs,
      requestLogs: () =>
        [edge.current?.accessLog?.file, edge.current?.slowLog?.file].filter(file => file !== undefined),
      reopen: () => edge.reopenLogs(),
      onTrouble: cause => this.#tell('warning', 'logs', `cannot rotate: ${(cause as Error).message}`),
    })
    if (taken) {
      // It serves by the snapshot it has until the fleet knows its instances again.
      if (edge.current !== null) this.#parts.publisher.seed(edge.current)
      await this.#compareWorkers(wanted)
      certificates.begin()
      return
    }
    this.#throwWhenStopping()
    await checkListenPorts(current.system.edge.listeners)
    this.#throwWhenStopping()
    this.#tell('progress', 'edge', 'starting')
    await certificates.prepare(first.system)
    await edge.start(this.#parts.publisher.compile())
    certificates.begin()
  }

  async #startDatabases(): Promise<void> {
    const { state, lock, log, changes, ports } = this.#need('state', 'lock', 'log', 'changes', 'ports')
    this.#throwWhenStopping()
    const router = createRouterProcess({
      stateDirectory: state.path,
      onEvent: event => this.#tell('decision', event.subject, event.text),
      onChange: (level, sentence) =>
        this.#tell(level === 'warn' ? 'warning' : 'progress', 'router', sentence),
    })
    const databases = new Databases({
      stateDirectory: state.path,
      user: chooseServerUser(process.geteuid?.(), serviceUids(changes.current.specs)),
      clock: systemClock,
      lease: { held: () => lock.held() },
      log: this.#redactedLog(log),
      router,
      random: freshRandom,
      // PostgreSQL's client and all that: loaded where there is a database.
      createGroup: async options => (await import('../database/index.ts')).createDatabaseGroup(options),
      createBackups: async options => (await import('../database/index.ts')).createBackups(options),
      loadShards: () => import('../database/index.ts'),
      tell: (kind, subject, text) => this.#tell(kind, subject, text),
    })
    this.#parts.databases = databases
    if (await databases.adoptRouter()) this.#adopted = true
    else if (!router.replacesAnother) {
      await ports.replaceTaken(changes.loaded.system)
      await checkDatabasePorts(changes.loaded.system)
      // With another port, services get another URL.
      changes.current = this.#compile(changes.loaded)
    }
    this.#throwWhenStopping()
    await databases.start((this.#former ?? changes.current).databases)
  }

  #certificates(edge: EdgeProcess): Certificates {
    const { state, changes } = this.#need('state', 'changes')
    return new Certificates({
      stateDirectory: state.path,
      baseDirectory: changes.loaded.directory,
      random: freshRandom(),
      answer: tokens => edge.challenges(tokens),
      reload: () => edge.reloadCertificates(),
      publish: () => this.#need('publisher').publisher.refresh(),
      tell: (level, subject, text) => this.#tell(level === 'warn' ? 'warning' : 'decision', subject, text),
    })
  }

  /** What commands have switched on. */
  #switches(): EdgeSwitches {
    const standDown = this.#parts.standDown?.current
    const maintenance = this.#parts.maintenance?.wish
    return {
      ...(standDown ? { standDown: standDown.reason } : {}),
      ...(maintenance ? { maintenance } : {}),
    }
  }

  /** Null: it ends. */
  async #switchMaintenance(wish: MaintenanceWish | null): Promise<void> {
    const { maintenance, publisher } = this.#need('maintenance', 'publisher')
    if (wish === null) maintenance.end()
    else maintenance.begin(wish)
    this.#tell('decision', 'edge', wish === null ? 'maintenance is over' : 'under maintenance')
    await publisher.refresh()
  }

  /** Null: it stands up again. What is kept for the next supervisor comes first. */
  async #switchStandDown(reason: string | null): Promise<void> {
    const { standDown, publisher } = this.#need('standDown', 'publisher')
    if (reason === null) standDown.end()
    else standDown.begin(reason)
    this.#tell('decision', 'edge', reason === null ? 'stands up again' : `stands down: ${reason}`)
    await publisher.refresh()
  }

  /** What the supervisor that died had applied last, where that is not what the file says now. */
  #formerSystem(current: Compiled): Compiled | null {
    const { history, changes } = this.#need('history', 'changes')
    const newest = history.newest()
    if (newest === null || JSON.stringify(newest.system) === JSON.stringify(current.system)) return null
    try {
      return this.#compile({ ...changes.loaded, system: newest.system })
    } catch {
      // A secret that it needs is gone: then the new system is all there is.
      return null
    }
  }

  async #compareWorkers(wanted: number): Promise<void> {
    const found = (await this.#edgeStatus())?.workers.length ?? wanted
    if (found === wanted) return
    const text = `the edge that was taken back has ${found} workers, the file wants ${wanted}: they change with \`tenfold stop\` and \`up\``
    this.#warnings.push(text)
    this.#tell('warning', 'edge', text)
  }

  async #startFleet(): Promise<void> {
    const { state, changes, publisher, databases, log } = this.#need(
      'state',
      'changes',
      'publisher',
      'databases',
      'log',
    )
    const { current } = changes
    this.#throwWhenStopping()
    const fleet = createFleet({
      stateDirectory: state.path,
      clock: systemClock,
      random: freshRandom(),
      front: publisher,
      log,
    })
    this.#parts.fleet = fleet
    fleet.on('decision', decision => this.#tellDecision(decision))
    const report = await fleet.adopt()
    if (report.adopted.length > 0) this.#adopted = true
    this.#throwWhenStopping()
    if (this.#former === null) await this.#applyFirst(current)
    else await changes.takeOver({ fleet, publisher, databases }, this.#former)
    this.#throwWhenStopping()
    this.#startAutoscale(fleet)
  }

  #startAutoscale(fleet: Fleet): void {
    const { changes } = this.#need('changes')
    const autoscale = new Autoscale({
      system: () => changes.current.system,
      fleet: () => fleet.status(),
      edge: () => this.#edgeStatus(),
      isBusy: () => changes.isBusy || this.#state !== 'running',
      scale: (service, count) => fleet.scale(service, count),
      clock: systemClock,
      tell: (kind, service, text) => this.#tell(kind, service, text),
    })
    this.#parts.autoscale = autoscale
    autoscale.start()
  }

  async #applyFirst(current: Compiled): Promise<void> {
    const { fleet, publisher } = this.#need('fleet', 'publisher')
    const { services } = await fleet.apply(current.specs)
    this.#throwWhenStopping()
    // Settings of before, where nothing is known of the system that the former supervisor ran.
    await publisher.replace(current)
    try {
      throwWhenFailed(services)
    } catch (cause) {
      if (!this.#adopted) throw cause
      this.#tell('warning', 'services', (cause as Error).message)
    }
  }

  #begun(): void {
    this.#throwWhenStopping()
    const { history, changes, events } = this.#need('history', 'changes', 'events')
    history.record(changes.current.system, this.#adopted ? 'taken over by `tenfold up`' : 'started')
    if (this.#options.watch) {
      this.#parts.watcher = watchFiles(changes.loaded.imported, {
        onChange: () => void changes.reloadBecauseChanged(),
      })
    }
    this.#state = 'running'
    events.tell('ready', 'system', 'everything runs')
  }

  async #undoStart(): Promise<void> {
    if (this.#stopping !== null) return this.#stopping
    this.#state = 'stopping'
    this.#stopping = this.#adopted ? this.#leave() : this.#stopParts(true, 'the start failed')
    await this.#stopping
  }

  /** Ends only what is this process's own: control API, watcher, lock. Edge and instances serve on. */
  async #leave(): Promise<void> {
    this.#parts.autoscale?.stop()
    this.#parts.edge?.release()
    this.#parts.fleet?.release()
    this.#parts.databases?.release()
    await this.#endOwn()
  }

  stop(options: { now: boolean; why: string }): Promise<void> {
    if (this.#stopping === null) {
      this.#state = 'stopping'
      this.#stopping = this.#stopParts(options.now, options.why)
    } else if (options.now) {
      this.#tell('stopping', 'system', options.why)
      // Whatever waits for requests or for processes that end by themselves stops waiting.
      void this.#parts.edge?.kill()
      void this.#parts.fleet?.kill()
      void this.#parts.databases?.kill()
    }
    return this.#stopping
  }

  async #stopParts(now: boolean, why: string): Promise<void> {
    const { edge, fleet, databases, changes } = this.#parts
    try {
      this.#tell('stopping', 'system', why)
      this.#parts.autoscale?.stop()
      this.#parts.watcher?.close()
      if (now) {
        await Promise.all([edge?.kill(), fleet?.kill()])
        await databases?.kill()
      } else {
        const tellWaiting = this.#tellWhatIsWaitedFor()
        await edge?.stop(changes?.current.system.edge.limits.drainTimeoutMs ?? 0).finally(tellWaiting)
        if (fleet !== undefined) this.#tell('stopping', 'services', 'ending instances')
        await fleet?.stop()
        if (databases !== undefined && databases.names.length > 0)
          this.#tell('stopping', 'databases', 'ending the router and the servers')
        await databases?.stop()
      }
    } catch (cause) {
      this.#fault(cause)
      await Promise.allSettled([edge?.kill(), fleet?.kill(), databases?.kill()])
    } finally {
      await this.#endOwn()
    }
  }

  async #endOwn(): Promise<void> {
    const { watcher, endLogKeeping, certificates, purges, control, lock, log } = this.#parts
    watcher?.close()
    endLogKeeping?.()
    certificates?.close()
    purges?.close()
    await control?.close()
    lock?.release()
    log?.close()
    this.#state = 'stopped'
    this.#end.resolve()
  }

  /** A line a second while requests are in flight. The returned function ends it. */
  #tellWhatIsWaitedFor(): () => void {
    let last = ''
    const timer = setInterval(async () => {
      const status = await this.#edgeStatus()
      const inFlight = status?.workers.reduce((sum, worker) => sum + worker.exchanges, 0) ?? 0
      const text = `waiting for ${inFlight} request${inFlight === 1 ? '' : 's'} in flight`
      if (inFlight > 0 && text !== last) this.#tell('stopping', 'edge', text)
      last = text
    }, 1_000)
    return () => clearInterval(timer)
  }

  // ---- what the parts are asked for

  #load(): Promise<LoadedSystem> {
    return loadSystemFile(this.#options.file, { environment: this.#options.environment ?? null })
  }

  #compile({ system, directory }: LoadedSystem): Compiled {
    const values = loadSecretValues(directory, process.env)
    const { state, ports } = this.#need('state', 'ports')
    const context: DatabaseContext & CacheContext = {
      baseDirectory: directory,
      secrets: values,
      passwordSecret: state.databaseSecret,
      sessionSecret: state.sessionSecret,
      ports: ports.ports,
    }
    const secrets = resolveSecrets(system, values)
    const guard = compileGuard(system, {
      secrets: values,
      guardSecret: state.guardSecret,
      baseDirectory: directory,
      stateDirectory: state.path,
    })
    const environments = Object.fromEntries(
      Object.entries(secrets).map(([service, env]) => [
        service,
        {
          ...databaseEnvironment(system, service, context),
          ...cacheEnvironment(system, service, context),
          ...guardEnvironment(system, service, guard),
          ...env,
        },
      ]),
    )
    const databases = compileDatabases(system, context)
    this.#redactor.learn(secretValues(system, values))
    this.#redactor.learn(secretsOfGuard(guard))
    const user = this.#parts.user?.user
    const { identitySecret } = state
    this.#redactor.learn([
      identitySecret,
      state.databaseSecret,
      ...secretsOfDatabases(databases),
      ...secretsOfCaches(system, context),
    ])
    const specs = compileFleet(system, { baseDirectory: directory, environments, user, identitySecret })
    return { system, specs, databases, files: requireEdgeFiles(system, directory), guard }
  }

  #changeParts(): ChangeParts {
    if (this.#state === 'stopping' || this.#state === 'stopped') throw stopping()
    if (this.#state === 'starting') throw busy()
    return this.#need('fleet', 'publisher', 'databases')
  }

  async #metrics(): Promise<string> {
    this.#metricsText ??= systemMetrics({
      version: tenfoldVersion,
      startedAtMs: this.#startedAtMs,
      fleet: () => this.#parts.fleet?.status() ?? [],
      edge: () => this.#edgeState(),
      reloads: () => this.#need('changes').changes.counts,
      purgesWaiting: () => this.#parts.purges?.peers ?? [],
      databases: {
        statuses: () => this.#parts.databases?.statuses() ?? [],
        backup: name => this.#parts.databases?.backups(name)?.status() ?? null,
        router: () => {
          const { databases } = this.#parts
          return databases === undefined || databases.names.length === 0 ? null : databases.router.state
        },
      },
    })
    // system_edge_up and system_router_up say whose own are missing.
    const planes = await Promise.all([
      this.#parts.edge?.metrics().catch(() => ''),
      this.#parts.databases?.router.metrics().catch(() => ''),
    ])
    return planes.join('') + this.#metricsText()
  }
  #metricsText: (() => string) | null = null

  async status(): Promise<StatusView> {
    const { state, user, changes, control, events } = this.#need(
      'state',
      'user',
      'changes',
      'control',
      'events',
    )
    const { current, loaded } = changes
    const fleet = this.#parts.fleet?.status() ?? []
    const edge = await this.#edgeStatus()
    const process_ = this.#edgeState()
    const router = (await this.#parts.databases?.routerStatus()) ?? null
    const missing = [
      ...waitingFor(current.system, process_, edge, fleet),
      ...waitingForDatabases(
        Object.values(current.system.databases),
        this.#parts.databases?.statuses() ?? [],
        router,
        this.#routerState(),
      ),
    ]
    if (this.#state === 'starting') missing.push('the system is starting')
    if (this.#state === 'stopping') missing.push('the system is stopping')
    return {
      name: current.system.name,
      state: this.#state === 'stopped' ? 'stopping' : this.#state,
      ready: missing.length === 0,
      waitingFor: missing,
      tenfold: tenfoldVersion,
      pid: process.pid,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      uptimeMs: Date.now() - this.#startedAtMs,
      file: loaded.file,
      environment: current.system.environment,
      stateDirectory: state.path,
      controlUrl: control.url,
      watching: this.#parts.watcher !== undefined,
      runsAs: user.name,
      lastReload: changes.last,
      warnings: this.#warnings,
      edge: edgeView(process_, edge, edge === null ? null : await this.#cacheStatus()),
      acme: this.#parts.certificates?.view ?? [],
      standDown: this.#parts.standDown?.current ?? null,
      maintenance: this.#parts.maintenance?.view ?? null,
      services: serviceViews(current.system, fleet, edge, name => this.#parts.autoscale?.whyOf(name) ?? null),
      ...this.#databaseViews(current.system, router),
      decisions: events.latest(),
    }
  }

  /** Does a route keep anything? */
  #caches(): boolean {
    return this.#need('changes').changes.current.system.edge.routes.some(route => route.cache)
  }

  #peers(): Peer[] {
    const { current, loaded } = this.#need('changes').changes
    return peersOf(current.system, loadSecretValues(loaded.directory, process.env))
  }

  async #cacheStatus(): Promise<CacheStatus | null> {
    if (!this.#caches()) return null
    return (await this.#parts.edge?.cacheStatus().catch(() => null)) ?? null
  }

  async #rollEdge(): Promise<string> {
    const { edge, changes } = this.#need('edge', 'changes')
    const former = edge.state.pid
    await edge.roll(changes.current.system.edge.limits.drainTimeoutMs)
    return `edge process ${edge.state.pid} took over from ${former}, which drains`
  }

  #databaseViews(
    system: CheckedSystem,
    router: RouterStatus | null,
  ): Pick<StatusView, 'router' | 'databases'> {
    const { databases } = this.#parts
    const views = (databases?.statuses() ?? []).flatMap(status =>
      databases === undefined
        ? []
        : databaseView({
            compiled: databases.compiled(status.name),
            status,
            routed: router?.databases.find(one => one.name === status.name),
            backup: backupStateView(databases.backups(status.name)),
          }),
    )
    return { router: routerView(system, this.#routerState(), router), databases: views }
  }

  #routerState(): RouterProcessState {
    const stopped = {
      state: 'stopped',
      reason: 'not started',
      pid: null,
      adopted: false,
      restarts: 0,
    } as const
    return this.#parts.databases?.router.state ?? stopped
  }

  #edgeState(): EdgeProcess['state'] {
    const stopped = {
      state: 'stopped',
      reason: 'not started',
      pid: null,
      adopted: false,
      restarts: 0,
      leaving: [],
    } as const
    return this.#parts.edge?.state ?? stopped
  }

  async #edgeStatus(): Promise<EdgeStatus | null> {
    try {
      return (await this.#parts.edge?.status()) ?? null
    } catch {
      return null
    }
  }

  // ---- small helpers

  #tell(kind: SystemEvent['kind'], subject: string, text: string): void {
    this.#parts.events?.tell(kind, subject, text)
  }

  #tellDecision({ level, service, member, text }: FleetDecision): void {
    this.#tell(
      level === 'info' ? 'decision' : 'warning',
      member === null ? service : `${service}/${member}`,
      text,
    )
  }

  /** Agents quote what PostgreSQL says. */
  #redactedLog(log: SystemLog): DatabaseLog {
    const text = (sentence: string): string => this.#redactor.text(sentence)
    return {
      info: (fields, sentence) => log.info(fields, text(sentence)),
      warn: (fields, sentence) => log.warn(fields, text(sentence)),
      error: (fields, sentence) => log.error(fields, text(sentence)),
    }
  }

  #fault(fault: unknown): void {
    this.#parts.log?.error({ fault: (fault as Error)?.stack ?? String(fault) }, 'a fault inside Tenfold')
  }

  #throwWhenStopping(): void {
    if (this.#stopping !== null) throw stopping()
  }

  #need<K extends keyof Parts>(...names: K[]): Pick<Parts, K> {
    for (const name of names) {
      if (this.#parts[name] === undefined) throw busy()
    }
    return this.#parts as Pick<Parts, K>
  }
}

function freshRandom(): Random {
  return seededRandom(crypto.getRandomValues(new Uint32Array(1))[0] as number)
}

function stopping(): Failure {
  return new Failure(systemFailures.stopping, 'The system is stopping.')
}

/** As whom services run. */
function serviceUids(specs: readonly ServiceSpec[]): (number | null)[] {
  return specs.map(
    spec => (spec.kind === 'command' && spec.user !== undefined ? userIds(spec.user)?.uid : null) ?? null,
  )
}

function busy(): Failure {
  return new Failure(systemFailures.busy, 'Not now: the system is still starting.')
}

function secretValues(system: CheckedSystem, values: Readonly<Record<string, string | undefined>>): string[] {
  return Object.values(system.services).flatMap(service =>
    service.kind !== 'command'
      ? []
      : Object.values(service.env).flatMap(value =>
          typeof value === 'string' ? [] : (values[value.secret] ?? []),
        ),
  )
}

export function startSystem(options: StartOptions): RunningSystem {
  const system = new ComposedSystem(options)
  // Whoever only waits for the end must not die of a failed start.
  system.ready.catch(() => {})
  return system
}
