// The databases of a running system: one agent each, and the router before all of them. Owns the order in which they come
// and go, and that the router always works from how they stand now. Every decision about servers is the agent's own.
//
// A database is in exactly one place: `#held` (its agent exists). The router is told of those that have stood once; one that
// is being taken back keeps what the router was told before.

import type { DatabaseGroup, DatabaseGroupStatus, GroupOptions, Lease } from '../database/agent/contract.ts'
import type { Backups, BackupsOptions } from '../database/backup/index.ts'
import type { RouterLogin } from '../database/columns/index.ts'
import type { DatabaseDecision, DatabaseLog, Topology } from '../database/contract.ts'
import type { RouterStatus } from '../database/router/control-protocol.ts'
import type { RoutedDatabase, RouterSnapshot } from '../database/router/snapshot.ts'
import type { ServersOptions } from '../database/servers/contract.ts'
import type { DirectoryPorts } from '../database/shards/directory-keys.ts'
import type { AskOne } from '../database/shards/drift.ts'
import type { Clock } from '../kit/clock.ts'
import { Failure } from '../kit/failure.ts'
import type { Random } from '../kit/random.ts'
import type { ShardMap } from '../policy/shard/contract.ts'
import type { ShardsSpec } from '../policy/shard/map.ts'
import { ColumnSplits, type ColumnSplitWish } from './column-splits.ts'
import {
  type CompiledDatabase,
  reachable,
  routedDatabase,
  routerSnapshot,
  shardedDatabase,
} from './compile-databases.ts'
import type { HeatView, PartitionsView, ShardsView } from './control/database-views.ts'
import type { OperationResult } from './control/handlers.ts'
import { Copies } from './copies.ts'
import { DanglingWatch } from './dangling-watch.ts'
import type { AdviceOf } from './database-advice.ts'
import { directoryOf, moveText, pinKey } from './directories.ts'
import { Exports } from './exports.ts'
import { systemFailures } from './failures.ts'
import { heatView } from './heat-view.ts'
import { progressOf, type Step } from './operation-progress.ts'
import { type PartitionedGroup, Partitions, rolledResult } from './partitions.ts'
import { ruleWish } from './reshard-rule.ts'
import { Reshards, type ReshardWish } from './reshards.ts'
import type { RouterProcess } from './router-process.ts'
import { ShardMaps } from './shard-maps.ts'
import { makeShard, type ShardParts } from './shard-readiness.ts'
import { type ShardGroup, shardsView } from './shards-view.ts'
import { UniqueColumnsJob } from './unique-columns.ts'

export interface DatabasesOptions {
  readonly stateDirectory: string
  readonly user: ServersOptions['user']
  readonly clock: Clock
  readonly lease: Lease
  readonly log: DatabaseLog
  readonly router: RouterProcess
  random(): Random
  createGroup(options: GroupOptions): Promise<DatabaseGroup>
  createBackups(options: BackupsOptions): Promise<Backups>
  loadShards(): Promise<ShardParts>
  tell(kind: 'progress' | 'decision' | 'warning', subject: string, text: string): void
}

interface Held {
  compiled: CompiledDatabase
  readonly group: DatabaseGroup
  /** What it said last; null: nothing yet. */
  topology: Topology | null
  /** Null: the file asks for none. */
  backups: Backups | null
}

/** Transactions under way end within this when the system stops; then connections are cut. */
const drainMs = 10_000

export class Databases {
  readonly #options: DatabasesOptions
  readonly #held = new Map<string, Held>()
  readonly #maps: ShardMaps
  readonly #reshards: Reshards
  readonly #exports: Exports
  readonly #splits: ColumnSplits
  readonly #partitions: Partitions
  readonly #dangling: DanglingWatch
  readonly unique: UniqueColumnsJob
  readonly copies: Copies
  #adopted = false
  #pushing: Promise<void> | null = null
  #next: Promise<void> | null = null
  #version = 0

  constructor(options: DatabasesOptions) {
    this.#options = options
    this.#maps = new ShardMaps(options.stateDirectory)
    this.#reshards = new Reshards({
      stateDirectory: options.stateDirectory,
      maps: this.#maps,
      routed: (database, shard) => this.#routedShard(database, shard),
      shards: database => this.#shardsOf(database),
      push: () => this.#push(),
      settled: async (database, timeoutMs) =>
        !options.router.replacesAnother && (await options.router.drained(database, timeoutMs, true)),
      // One that drains still serves clients by what it knows.
      drained: async (database, timeoutMs) =>
        !options.router.replacesAnother && (await options.router.drained(database, timeoutMs)),
      installMap: database => this.#installMap(database),
      random: () => options.random().float(),
      nowUs: () => options.clock.wall(),
      say: (database, level, text) => options.tell(level === 'info' ? 'decision' : 'warning', database, text),
    })
    this.#exports = new Exports({
      map: name => (this.#shardsHeld(name).length > 0 ? this.#maps.current(name) : null),
      routed: name => this.#routedParts(name),
      resharding: name => this.#reshards.active(name),
      push: () => this.#push(),
      drained: async (database, timeoutMs) =>
        !options.router.replacesAnother && (await options.router.drained(database, timeoutMs)),
    })
    this.#partitions = new Partitions({
      groups: () => this.#partitioned(this.names),
      nowUs: () => options.clock.wall(),
      tell: options.tell,
    })
    this.#dangling = new DanglingWatch({
      names: () => this.#fronts(),
      look: async name => {
        const { danglingReport } = await import('./shard-reports.ts')
        return danglingReport(name, this.mappedGroups(name), () => {})
      },
      tell: options.tell,
    })
    this.copies = new Copies({
      names: () => this.#fronts(),
      map: name => this.#maps.current(name),
      resharding: name => this.#reshards.active(name),
      ask: async name => {
        const { askerOf } = await import('./shard-reports.ts')
        return (shard, sql, timeoutMs) => askerOf(this.mappedGroups(name))(shard, sql, timeoutMs)
      },
      routed: (name, shard) => this.#routedShard(name, shard),
      push: () => this.#push(),
      nowMs: () => options.clock.monotonic() / 1_000,
      tell: options.tell,
    })
    this.unique = new UniqueColumnsJob({
      names: () => this.#fronts(),
      map: name => this.#maps.current(name),
      routed: (name, shard) => this.#routedShard(name, shard),
      resharding: name => this.#reshards.active(name),
      ready: () => !options.router.replacesAnother,
      loadSession: async () => (await options.loadShards()).ServerSession,
      tell: options.tell,
    })
    this.#splits = new ColumnSplits({
      stateDirectory: options.stateDirectory,
      map: name => (this.#shardsHeld(name).length > 0 ? this.#maps.current(name) : null),
      routed: name => this.#routedParts(name),
      resharding: name => this.#reshards.active(name),
      login: name => this.#routerLogin(name),
      random: () => options.random().float(),
      nowUs: () => options.clock.wall(),
      nowMs: () => options.clock.monotonic() / 1_000,
      say: (database, level, text) => options.tell(level === 'info' ? 'decision' : 'warning', database, text),
    })
  }

  #partitioned(names: readonly string[]): PartitionedGroup[] {
    return names.map(name => {
      const { compiled, group } = this.#find(name)
      const { primary } = group.topology
      const ask =
        primary === null
          ? null
          : (sql: string, timeoutMs: number) => group.servers.query(primary, sql, timeoutMs)
      return { name, specs: compiled.partitions, ask }
    })
  }

  /** Throws SYSTEM_DATABASE_UNKNOWN. */
  async partitionsView(name: string): Promise<PartitionsView> {
    return { database: name, groups: await this.#partitions.roll(this.#partitionedOf(name), true) }
  }

  /** Throws SYSTEM_DATABASE_UNKNOWN. */
  async rollPartitions(name: string): Promise<OperationResult> {
    return rolledResult(name, await this.#partitions.roll(this.#partitionedOf(name), false))
  }

  #partitionedOf(name: string): PartitionedGroup[] {
    const shards = this.#shardsHeld(name).map(({ compiled }) => compiled.spec.name)
    return this.#partitioned(shards.length > 0 ? shards : [name])
  }

  /** Throws SYSTEM_DATABASE_UNKNOWN. */
  columnSplits(name: string): ColumnSplits {
    if (this.#shardsHeld(name).length === 0) this.#find(name)
    return this.#splits
  }

  async splitColumns(name: string, wish: ColumnSplitWish): Promise<OperationResult> {
    return this.columnSplits(name).begin(name, wish)
  }

  /** Its groups, and where logins of its first one are. Throws SYSTEM_DATABASE_UNKNOWN. */
  advised(name: string): Pick<AdviceOf, 'groups' | 'routed'> {
    const shards = this.#shardsHeld(name)
    const groups =
      shards.length > 0 ? this.mappedGroups(name).map(({ group }) => group) : [this.#find(name).group]
    const [routed = null] = this.#routedParts(name).values()
    return { groups, routed }
  }

  /** As the operator, through the router. */
  #routerLogin(name: string): RouterLogin {
    const { spec, shard, ...own } = (this.#shardsHeld(name)[0] ?? this.#find(name)).compiled
    const { listener, clients } = shard?.front.routing ?? own.routing
    const client = clients.find(one => one.service === null)
    if (client === undefined) throw new Error('the router has no login for the operator')
    return {
      host: reachable(listener.host).replace(/^\[|\]$/g, ''),
      port: listener.port,
      user: client.name,
      password: client.password,
      database: spec.database,
      tls: listener.tls !== undefined,
    }
  }

  /** Throws SYSTEM_DATABASE_UNKNOWN. */
  exports(name: string): Exports {
    if (this.#shardsHeld(name).length === 0) this.#find(name)
    return this.#exports
  }

  #routedParts(name: string): Map<string, RoutedDatabase | null> {
    const map = this.#maps.current(name)
    if (map !== null && this.#shardsHeld(name).length > 0)
      return new Map(map.shards.map(id => [id, this.#routedShard(name, id)]))
    const { compiled, topology, group } = this.#find(name)
    return new Map([['', topology === null ? null : routedDatabase(compiled, topology, group.roles)]])
  }

  /** The router was taken back from a supervisor that had ended, and with it the servers. */
  get adopted(): boolean {
    return this.#adopted
  }

  get router(): RouterProcess {
    return this.#options.router
  }

  get names(): string[] {
    return [...this.#held.keys()]
  }

  /** Throws SYSTEM_DATABASE_UNKNOWN. */
  group(name: string): DatabaseGroup {
    return this.#find(name).group
  }

  /** Null: the file asks for none. */
  backups(name: string): Backups | null {
    return this.#find(name).backups
  }

  compiled(name: string): CompiledDatabase {
    return this.#find(name).compiled
  }

  #find(name: string): Held {
    const held = this.#held.get(name)
    if (held !== undefined) return held
    const there = this.names.map(one => `'${one}'`).join(', ')
    throw new Failure(
      systemFailures.databaseUnknown,
      there === '' ? 'The file has no database.' : `There is no database '${name}'; there is ${there}.`,
    )
  }

  // ---- the system's life

  async adoptRouter(): Promise<boolean> {
    this.#adopted = await this.#options.router.adopt()
    return this.#adopted
  }

  /** Resolves when each takes writes and the router serves it. Rejects with the first failure; `undo` then ends what began. */
  async start(databases: readonly CompiledDatabase[]): Promise<void> {
    await this.bring(databases, (subject, text) => this.#options.tell('progress', subject, text))
    await this.#dropOthers()
  }

  /**
   * What is new starts, what has changed becomes what it should be; what is gone stays until `settle`. When it rejects,
   * what it has started is stopped again; the rest is brought back by `bring` with what was there before.
   */
  async bring(databases: readonly CompiledDatabase[], step: Step): Promise<void> {
    // Before anything begins: a map that the file would move is refused.
    // Shards that go come with the file that had them; the first stays as long as there are any.
    const fronts = new Map(
      databases.flatMap(({ shard }) =>
        shard === undefined || shard.id !== shard.front.shards.shards[0]
          ? []
          : [[shard.front.routing.name, shard.front.shards] as const],
      ),
    )
    await this.#reshards.open([...fronts.keys()])
    for (const [name, shards] of fronts) {
      const busy = this.#reshards.keeps(name, shards.shards)
      if (busy !== '')
        throw new Failure(systemFailures.shardMapMoved, `The file takes a shard of '${name}' away: ${busy}.`)
      this.#maps.follow(name, shards, this.#reshards.next(name))
    }
    const fresh = databases.filter(one => !this.#held.has(one.spec.name))
    const changed = databases.filter(one => this.#held.has(one.spec.name))
    const results = await Promise.allSettled([
      ...fresh.map(one => this.#begin(one, step)),
      ...changed.map(one => this.#change(one, step)),
    ])
    try {
      const failed = results.find(result => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      await this.#serve()
      this.#reshards.start()
      this.#partitions.soon()
      this.#dangling.start()
      this.unique.soon()
      this.copies.soon()
      await this.#splits.start([
        ...fronts.keys(),
        ...databases.flatMap(one => (one.shard === undefined ? one.spec.name : [])),
      ])
    } catch (cause) {
      await this.#end(fresh.map(one => one.spec.name))
      throw cause
    }
  }

  /** Ends what the system no longer has: nobody uses it by now. */
  async settle(databases: readonly CompiledDatabase[], step: Step): Promise<void> {
    const gone = this.names.filter(name => databases.every(one => one.spec.name !== name))
    if (gone.length === 0) return
    for (const name of gone) step(name, 'stopping the database; its data stays')
    await this.#end(gone)
    if (this.#held.size === 0) await this.#options.router.stop(drainMs)
    else await this.#push()
  }

  async stop(): Promise<void> {
    this.#dangling.stop()
    await this.#partitions.stop()
    await this.unique.stop()
    await this.copies.stop()
    await this.#reshards.stop()
    await this.#splits.stop()
    await this.#options.router.stop(drainMs)
    await Promise.all([...this.#held.values()].map(held => endOf(held, false)))
  }

  /** Nothing is waited for; data is as safe as after a crash. */
  async kill(): Promise<void> {
    this.#dangling.stop()
    void this.#partitions.stop()
    void this.unique.stop()
    void this.copies.stop()
    void this.#reshards.stop()
    void this.#splits.stop()
    await this.#options.router.kill()
    await Promise.all([...this.#held.values()].map(held => endOf(held, true)))
  }

  /** Router and servers serve on for the next supervisor; until it comes nothing fails over. */
  release(): void {
    this.#dangling.stop()
    void this.#partitions.stop()
    void this.unique.stop()
    void this.copies.stop()
    void this.#reshards.stop()
    void this.#splits.stop()
    this.#options.router.release()
    for (const { group, backups } of this.#held.values()) {
      void backups?.stop()
      group.release()
    }
  }

  // ---- one database

  async #begin(compiled: CompiledDatabase, step: Step): Promise<void> {
    const { name } = compiled.spec
    const { stateDirectory, user, clock, lease, log } = this.#options
    const group = await this.#options.createGroup({
      spec: compiled.spec,
      stateDirectory,
      user,
      clock,
      log,
      lease,
      random: this.#options.random(),
      decided: decision => this.#tell(decision),
      publish: topology => this.#publish(topology),
      drained: (database, timeoutMs) => this.#options.router.drained(database, timeoutMs),
    })
    const held: Held = { compiled, group, topology: null, backups: null }
    this.#held.set(name, held)
    step(name, 'starting')
    await group.start(progressOf(name, step))
    if (this.#held.get(name) !== held) return
    held.topology ??= group.topology
    await this.#makeShard(held, step)
    await this.#backUp(held)
  }

  /** The schema that commits over shards and ids need. */
  async #makeShard(held: Held, step: Step): Promise<void> {
    const { shard, spec } = held.compiled
    const map = shard === undefined ? null : this.#maps.current(shard.front.routing.name)
    if (shard === undefined || map === null) return
    step(spec.name, `making it shard ${shard.id} of '${shard.front.routing.name}'`)
    const routed = (): RoutedDatabase | null =>
      held.topology === null ? null : routedDatabase(held.compiled, held.topology, held.group.roles)
    await makeShard(shard.id, map, routed, await this.#options.loadShards())
  }

  /** As the spec of now asks. A folder that can't be written to does not keep the database from running: it is said. */
  async #backUp(held: Held): Promise<void> {
    const { spec } = held.compiled
    // Without backups nobody reads the log that servers keep for them.
    await (spec.backup === null ? held.backups?.retire() : held.backups?.stop())
    held.backups = null
    if (spec.backup === null) return
    const { group } = held
    const backups = await this.#options.createBackups({
      ...this.serversOptions(spec.name),
      roles: () => group.roles,
      topology: () => held.topology ?? group.topology,
      decided: decision => this.#tell(decision),
    })
    held.backups = backups
    await backups.start().catch((cause: Error) => {
      this.#options.tell('warning', spec.name, `backups cannot be made: ${cause.message}`)
    })
  }

  /** As its agent has them. */
  serversOptions(name: string): ServersOptions {
    const { stateDirectory, user, clock, log } = this.#options
    return { spec: this.compiled(name).spec, stateDirectory, user, clock, log }
  }

  async #change(next: CompiledDatabase, step: Step): Promise<void> {
    const held = this.#find(next.spec.name)
    if (JSON.stringify(held.compiled.spec) !== JSON.stringify(next.spec))
      await held.group.apply(next.spec, progressOf(next.spec.name, step))
    const backupBefore = JSON.stringify(held.compiled.spec.backup)
    const tablesBefore = JSON.stringify(held.compiled.shard?.front.shards)
    held.compiled = next
    if (JSON.stringify(next.shard?.front.shards) !== tablesBefore) await this.#makeShard(held, step)
    if (JSON.stringify(next.spec.backup) !== backupBefore) await this.#backUp(held)
  }

  async #end(names: readonly string[]): Promise<void> {
    const ending = names.flatMap(name => this.#held.get(name) ?? [])
    for (const name of names) this.#held.delete(name)
    await Promise.all(ending.map(held => endOf(held, false)))
  }

  #tell({ level, database, server, text }: DatabaseDecision): void {
    this.#options.tell(
      level === 'info' ? 'decision' : 'warning',
      server === null ? database : `${database}/${server}`,
      text,
    )
  }

  // ---- what the router is told

  #publish(topology: Topology): Promise<void> {
    const held = this.#held.get(topology.database)
    if (held === undefined) return Promise.resolve()
    held.topology = topology
    return this.#push()
  }

  async #serve(): Promise<void> {
    const { router } = this.#options
    if (this.#held.size === 0) return
    if (router.state.state === 'stopped') await router.start(this.#snapshot())
    else await this.#push()
  }

  /** A router that was taken back may serve databases that the file no longer has. */
  async #dropOthers(): Promise<void> {
    const { router } = this.#options
    if (this.#held.size === 0 && router.state.state !== 'stopped') await router.stop(drainMs)
  }

  /** What changes while a push is under way goes out together in the next one. */
  #push(): Promise<void> {
    if (this.#options.router.state.state === 'stopped') return Promise.resolve()
    if (this.#pushing === null) return this.#begunPush()
    const under = this.#pushing
    this.#next ??= under
      .catch(() => {})
      .then(() => {
        this.#next = null
        return this.#begunPush()
      })
    return this.#next
  }

  #begunPush(): Promise<void> {
    const push = this.#options.router.apply(this.#snapshot()).finally(() => {
      if (this.#pushing === push) this.#pushing = null
    })
    this.#pushing = push
    return push
  }

  #snapshot(): RouterSnapshot {
    const { current } = this.#options.router
    // A supervisor that was there before us has counted too.
    this.#version = Math.max(this.#version, current?.version ?? 0) + 1
    const databases = this.#front(current, [...this.#held.values()])
    const [first] = this.#held.values()
    return routerSnapshot(this.#version, databases, first?.compiled.listeners ?? null)
  }

  /** What clients know: databases with servers of their own, and those whose shards have them. */
  #front(current: RouterSnapshot | null, held: readonly Held[]): RoutedDatabase[] {
    const plain = held.filter(({ compiled }) => compiled.shard === undefined)
    const fronts = new Map(
      held.flatMap(({ compiled: { shard } }) =>
        shard === undefined ? [] : [[shard.front.routing.name, shard.front] as const],
      ),
    )
    return [
      ...plain.flatMap(one => this.#routed(one, current)),
      ...[...fronts].flatMap(([name, front]) => {
        const before = current?.databases.find(one => one.name === name)
        const map = this.#maps.current(name)
        const groups = map?.shards.flatMap(id => {
          const one = held.find(
            ({ compiled: { shard } }) => shard?.id === id && shard.front.routing.name === name,
          )
          return one === undefined ? [] : this.#routed(one, current)
        })
        if (map === null || groups?.length !== map.shards.length) return before === undefined ? [] : [before]
        const told = this.#reshards.told(name)
        const definitions = this.copies.made(name)
        const said = this.#exports.holds(name) ? { ...told, holding: true } : told
        const holds = definitions === 0 ? said : { ...said, definitions }
        return [shardedDatabase(front, map, groups, holds)]
      }),
    ]
  }

  #routed({ compiled, group, topology }: Held, current: RouterSnapshot | null): RoutedDatabase[] {
    if (topology !== null) return [routedDatabase(compiled, topology, group.roles)]
    const known = current?.databases.flatMap(one => [one, ...(one.shards?.groups ?? [])])
    return known?.filter(one => one.name === compiled.spec.name) ?? []
  }

  // ---- how it is

  /** Throws SYSTEM_DATABASE_UNSHARDED. */
  async shardsView(name: string): Promise<ShardsView> {
    const groups = this.shardGroups(name)
    const map = this.#maps.current(name)
    if (map === null) throw this.#unsharded(name)
    return shardsView(name, map, groups)
  }

  /** What is hot, and what to do about it. Throws SYSTEM_DATABASE_UNSHARDED. */
  async heatView(name: string): Promise<HeatView> {
    const groups = this.shardGroups(name)
    const map = this.#maps.current(name)
    if (map === null) throw this.#unsharded(name)
    return heatView(name, map, groups, await this.#options.router.heat(name))
  }

  /** Throws SYSTEM_DATABASE_UNSHARDED. */
  shardGroups(name: string): ShardGroup[] {
    const groups = [...this.#held.values()].flatMap(({ compiled: { shard }, group }) =>
      shard?.front.routing.name === name ? [{ id: shard.id, group }] : [],
    )
    if (groups.length === 0) throw this.#unsharded(name)
    return groups
  }

  /** Throws SYSTEM_DATABASE_UNSHARDED. */
  reshards(name: string): Reshards {
    this.shardGroups(name)
    return this.#reshards
  }

  /** To the rule that a changed file says. Throws SYSTEM_RESHARD_REFUSED, SYSTEM_DATABASE_UNSHARDED. */
  async reshardRule(name: string, wish: ReshardWish, spec: ShardsSpec | null): Promise<OperationResult> {
    this.reshards(name)
    const map = this.#maps.current(name)
    if (map === null || spec === null || wish.intent.kind !== 'rule') throw this.#unsharded(name)
    const meant = ruleWish(map, spec, wish.intent.family)
    if (meant.kind === 'refused') throw new Failure(systemFailures.reshardRefused, meant.sentence)
    return this.reshard(name, { ...wish, intent: meant.intent })
  }

  /** Throws SYSTEM_DATABASE_UNSHARDED. */
  directoryPorts(name: string, askerOf: (groups: readonly ShardGroup[]) => AskOne): DirectoryPorts {
    const ask = askerOf(this.mappedGroups(name))
    return {
      ask,
      map: () => this.#maps.current(name) as ShardMap,
      keepMap: map => void this.#maps.keep(name, map),
      tell: () => this.#push(),
    }
  }

  /** A key of a directory is pinned to where it is first. */
  async #isolate(name: string, wish: ReshardWish): Promise<OperationResult | null> {
    const { intent } = wish
    const map = this.#maps.current(name)
    if (intent.kind !== 'isolate' || !('key' in intent) || map === null) return null
    const family = directoryOf(map, intent.family)
    const [key = '', ...more] = intent.key
    if (family === null || more.length > 0 || this.#reshards.active(name)) return null
    const { askerOf } = await import('./shard-reports.ts')
    const ports = this.directoryPorts(name, askerOf)
    if (wish.dryRun) return moveText(ports, family, key, intent.into)
    await pinKey(ports, family, key)
    return null
  }

  async reshard(name: string, wish: ReshardWish): Promise<OperationResult> {
    const reshards = this.reshards(name)
    if (!wish.dryRun && this.#splits.active(name))
      throw new Failure(
        systemFailures.reshardRefused,
        `A table of '${name}' is being split by columns: finish, undo or cancel that first.`,
      )
    if (!wish.dryRun) await this.copies.pause(name)
    return (await this.#isolate(name, wish)) ?? reshards.begin(name, wish)
  }

  #shardsOf(database: string): string[] {
    return this.#shardsHeld(database).flatMap(({ compiled: { shard } }) => shard?.id ?? [])
  }

  #shardsHeld(database: string): Held[] {
    return [...this.#held.values()].filter(
      ({ compiled: { shard } }) => shard?.front.routing.name === database,
    )
  }

  #routedShard(database: string, id: string): RoutedDatabase | null {
    const held = this.#shardsHeld(database).find(({ compiled: { shard } }) => shard?.id === id)
    return held === undefined || held.topology === null
      ? null
      : routedDatabase(held.compiled, held.topology, held.group.roles)
  }

  /** As it holds now, on all servers. */
  async #installMap(database: string): Promise<void> {
    for (const held of this.#shardsHeld(database)) await this.#makeShard(held, () => {})
  }

  /** Those that have rows: a shard that the file has added has no tables yet. Throws SYSTEM_DATABASE_UNSHARDED. */
  mappedGroups(name: string): ShardGroup[] {
    const groups = this.shardGroups(name)
    const map = this.#maps.current(name)
    return groups.filter(({ id }) => map?.shards.includes(id) === true)
  }

  /** Databases with shards. */
  #fronts(): string[] {
    const all = [...this.#held.values()].flatMap(({ compiled: { shard } }) => shard?.front.routing.name ?? [])
    return [...new Set(all)]
  }

  #unsharded(name: string): Failure {
    const there = this.#fronts()
      .map(one => `'${one}'`)
      .join(', ')
    return new Failure(
      systemFailures.databaseUnsharded,
      there === '' ? 'No database of the file has shards.' : `'${name}' has no shards; ${there} has.`,
    )
  }

  statuses(): DatabaseGroupStatus[] {
    return [...this.#held.values()].map(({ group }) => group.status())
  }

  /** Null: the router does not answer, or there is none. */
  async routerStatus(): Promise<RouterStatus | null> {
    if (this.#options.router.state.state === 'stopped') return null
    return this.#options.router.status().catch(() => null)
  }
}

async function endOf({ group, backups }: Held, now: boolean): Promise<void> {
  await backups?.stop()
  await group.stop(now)
}
