// One sharded database in a router: a routing of its own for each shard's group, and what all clients share: the map, the plans
// of texts. Takes each new snapshot; what belongs to one group (epochs, pools, holding) is that group's routing's matter.

import type { Placed, ShardMap } from '../../policy/shard/contract.ts'
import { ShardHeatCounters } from '../../policy/shard/heat.ts'
import type { HeatReport } from '../../policy/shard/heat-contract.ts'
import { compilePlacement, type IntegerPlacer, type Placement } from '../../policy/shard/placement.ts'
import { regionsOf } from '../../policy/shard/regions.ts'
import { type UniqueColumns, uniqueSchema, uniquesOf } from '../../policy/shard/unique.ts'
import { placeOf } from '../feed/index.ts'
import type { LinkTarget } from '../reads/link.ts'
import type { DatabaseRouting, RouterContext } from '../router/database-routing.ts'
import type { RoutedDatabase, RoutedShards, RouterUser } from '../router/snapshot.ts'
import { createStatementBook } from '../sql/index.ts'
import type { ShardedCatalogue } from '../sql/shards/contract.ts'
import { createShardPlanner, loadDeparser, type ShardPlanner } from '../sql/shards/index.ts'
import { readShardCatalogue } from './catalogue.ts'
import { Directory } from './directory.ts'
import { type BoundParameters, type HeardKey, heatKey, KeyPlaces, type PlaceRules } from './key-places.ts'
import { Primaries, type ShardPrimary } from './primaries.ts'
import type { ShardedSession } from './session.ts'
import { TextBook, type TextStatement } from './texts.ts'
import { ShardUpkeep } from './upkeep.ts'

/** After DDL: so long the next statement waits for what the tables are now. */
const relearnMs = 5_000
/** Heat fades in steps of at least so much. */
const coolMsMin = 1_000
const nothingMoves: readonly string[] = []
const nothingKnown: ShardedCatalogue = { tables: new Map(), calm: new Set() }

export class ShardedRouting implements PlaceRules {
  readonly context: RouterContext
  readonly sessions: Set<ShardedSession> = new Set()
  readonly #routingOf: (spec: RoutedDatabase) => DatabaseRouting
  readonly #planner: ShardPlanner
  readonly #byName = new Map<string, DatabaseRouting>()
  readonly texts: TextBook
  readonly heat: ShardHeatCounters
  #cooledAt: number
  spec: RoutedDatabase
  map: ShardMap
  /** In the order of the map's shards. */
  groups: readonly DatabaseRouting[] = []
  #placement: Placement
  #catalogue: ShardedCatalogue | null = null
  #waiters: (() => void)[] = []
  #asked = 0
  #answered = 0
  #home = 0
  /** Names of commits over shards that are at work here: recovery leaves them alone. */
  readonly commits: Set<string> = new Set()
  readonly upkeep: ShardUpkeep
  readonly directory: Directory
  /** Of clients, with the shard that is near. */
  regions: ReadonlyMap<string, number>
  /** Columns that are unique over all shards, by the name of their look-up table in its schema. */
  uniques: ReadonlyMap<string, UniqueColumns>
  readonly #primaries: Primaries
  #closed = false

  /** @param routingOf makes the routing of one group */
  constructor(
    context: RouterContext,
    spec: RoutedDatabase,
    routingOf: (sharded: ShardedRouting, spec: RoutedDatabase) => DatabaseRouting,
  ) {
    const { map } = shardsOf(spec)
    this.context = context
    this.spec = spec
    this.map = map
    this.heat = new ShardHeatCounters(map)
    this.#cooledAt = context.now
    this.#routingOf = group => routingOf(this, group)
    this.#primaries = new Primaries(() => this.#allPrimaries())
    this.directory = new Directory(map, (shard, sql, timeoutMs) => this.#primaries.ask(shard, sql, timeoutMs))
    this.regions = regionsOf(map)
    this.uniques = uniquesByName(map)
    this.#placement = compilePlacement(map, this.directory.lookup)
    this.#planner = createShardPlanner({ map, catalogue: nothingKnown })
    this.#planner.learn(map, nothingKnown, this.moving)
    // What a statement is (transaction control, settings) needs no catalogue.
    this.texts = new TextBook(this.#planner, createStatementBook({ strict: true }))
    this.#follow()
    this.upkeep = new ShardUpkeep({
      systemId: shardsOf(spec).systemId,
      shards: () => this.#allPrimaries(),
      underWay: commit => this.commits.has(commit),
      clients: () => [...this.sessions].filter(one => one.busy).map(one => one.waiting),
      tell: text => context.tell(this.name, text),
    })
  }

  #allPrimaries(): readonly ShardPrimary[] {
    return this.groups.map((group, index) => this.#primaryOf(group, this.map.shards[index] as string))
  }

  /** As the superuser, for what commits have left behind. */
  #primaryOf({ spec }: DatabaseRouting, shard: string): ShardPrimary {
    const place = spec.holding ? null : placeOf(spec)
    return { shard, epoch: spec.epoch, target: place }
  }

  get name(): string {
    return this.spec.name
  }

  /** Names prepared transactions of this system. */
  get systemId(): string {
    return shardsOf(this.spec).systemId
  }

  get users(): ReadonlyMap<string, RouterUser> {
    return (this.groups[0] as DatabaseRouting).users
  }

  get holding(): boolean {
    return shardsOf(this.spec).holding === true
  }

  /** A statement over several shards begins; to be called when it is over. */
  began({ generation }: TextStatement): () => void {
    this.#spread.set(generation, (this.#spread.get(generation) ?? 0) + 1)
    return () => {
      const left = (this.#spread.get(generation) ?? 1) - 1
      if (left === 0) this.#spread.delete(generation)
      else this.#spread.set(generation, left)
    }
  }

  /** Of these, those that were planned before tables, the map or what moves changed. */
  get earlier(): number {
    let count = 0
    for (const [generation, open] of this.#spread) if (generation !== this.texts.generation) count += open
    return count
  }
  /** By generation of plans. */
  readonly #spread = new Map<number, number>()

  /** Families whose rows may lie on two shards. */
  get moving(): readonly string[] {
    return shardsOf(this.spec).moving ?? nothingMoves
  }

  /** Clients that have something open: a transaction, or a statement under way; commits whose client has gone. */
  get busy(): number {
    let count = this.commits.size
    for (const session of this.sessions) if (session.busy) count++
    return count
  }

  /** The tables are known: statements can be planned. */
  get known(): boolean {
    return this.#catalogue !== null
  }

  /** Where the next client's odd jobs are done. */
  nextHome(): number {
    this.#home = (this.#home + 1) % this.groups.length
    if (this.groups[this.#home]?.primaryOpen === true) return this.#home
    const open = this.groups.findIndex(group => group.primaryOpen)
    return open < 0 ? this.#home : open
  }

  // --- snapshots ----------------------------------------------------------------------------------------------

  use(spec: RoutedDatabase): void {
    const { map } = shardsOf(spec)
    const { moving } = this
    const { definitions } = shardsOf(this.spec)
    this.spec = spec
    if (shardsOf(spec).definitions !== definitions) void this.relearn()
    const moved = moving.join('\0') !== this.moving.join('\0')
    if (map.version > this.map.version) {
      this.map = map
      this.directory.use(map)
      this.regions = regionsOf(map)
      this.uniques = uniquesByName(map)
      this.#placement = compilePlacement(map, this.directory.lookup)
      this.heat.use(map)
      this.#plan()
    } else if (moved) this.#plan()
    this.#follow()
    for (const session of [...this.sessions]) session.snapshotChanged()
  }

  #follow(): void {
    const { groups } = shardsOf(this.spec)
    const gone = new Set(this.#byName.keys())
    this.groups = groups.map(spec => {
      gone.delete(spec.name)
      const known = this.#byName.get(spec.name)
      if (known === undefined) {
        const made = this.#routingOf(spec)
        this.#byName.set(spec.name, made)
        return made
      }
      if (known.spec !== spec) known.use(spec)
      return known
    })
    for (const name of gone) {
      this.#byName.get(name)?.close()
      this.#byName.delete(name)
    }
  }

  // --- what is known of tables --------------------------------------------------------------------------------

  /** By what it is, or by what it calls, as far as that is known. */
  mayWrite(text: string): boolean {
    return this.groups[0]?.book.look(text).mayWrite !== false
  }

  /** Asks a group for the tables as they are. What was asked earlier and is answered later does not count. */
  async read(group: string): Promise<void> {
    const asked = ++this.#asked
    const [catalogue] = await Promise.all([readShardCatalogue(this.#targetOf(group)), loadDeparser()])
    if (asked < this.#answered) return
    this.#answered = asked
    this.#learn(catalogue)
  }

  /** Statements are planned anew, by what is known now. */
  #plan(): void {
    this.#planner.learn(this.map, this.#catalogue ?? nothingKnown, this.moving)
    this.texts.forget()
  }

  #learn(catalogue: ShardedCatalogue): void {
    this.#catalogue = catalogue
    this.#plan()
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }

  /** Tables have changed: they are read anew; awaited, but not for longer than a moment. */
  async relearn(): Promise<void> {
    if (this.#closed) return
    for (const group of this.groups) group.planner.definitionsChanged()
    const model = this.groups.find(one => one.primaryOpen)
    if (model === undefined) return
    // Not the next answer that comes: that one may have been asked before the change.
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, relearnMs)
    await Promise.race([this.read(model.name).catch(() => {}), late])
    clearTimeout(timer)
  }

  /** The next time that the tables are known, or not in time. */
  async learnt(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiters.push(resolve)
    const timer = setTimeout(resolve, timeoutMs)
    await promise
    clearTimeout(timer)
  }

  /** Columns that a COPY without a list of them has. */
  columnsOf(table: string): readonly string[] {
    const columns = this.#catalogue?.tables.get(table)?.columns ?? []
    return columns.filter(column => !column.generated).map(({ name }) => name)
  }

  /** Its tables go for all shards': those of the first group that can be asked. */
  isModel(group: string): boolean {
    return !this.known || this.groups.find(one => one.primaryOpen)?.name === group
  }

  /** The primary of a shard's group, for whoever reads its tables. */
  #targetOf(group: string): LinkTarget {
    const spec = this.#byName.get(group)?.spec
    const server = spec?.servers.find(({ id }) => id === spec.primary)
    if (spec === undefined || server === undefined) throw new Error(`${group} has no primary`)
    const { host, port } = server
    const { user, password } = spec.monitor
    return { host, port, database: spec.database, user, password, tls: spec.serverTls }
  }

  // --- where keys are -----------------------------------------------------------------------------------------

  placeCanonical(family: string, values: readonly (string | null)[]): Placed {
    return this.#placement.placeCanonical(family, values)
  }

  integers(family: string): IntegerPlacer | null {
    return this.#placement.integers(family)
  }

  /** @param heard what is placed counts as heat where this says so */
  places(bound: BoundParameters, heard: HeardKey | null = null, rules: PlaceRules = this): KeyPlaces {
    return new KeyPlaces(rules, bound, heard)
  }

  // --- how hot it is ------------------------------------------------------------------------------------------

  /** Keys of statements that read, and of those that write. */
  readonly hotReads: HeardKey = (family, values, { shard, slot }) =>
    this.heat.key(family, shard, slot, heatKey(values), false)
  readonly hotWrites: HeardKey = (family, values, { shard, slot }) =>
    this.heat.key(family, shard, slot, heatKey(values), true)

  heatReport(): HeatReport {
    this.context.refresh()
    this.#cool()
    return this.heat.report((family, values) => this.#placement.placeCanonical(family, values))
  }

  #cool(): void {
    const { now } = this.context
    const ms = (now - this.#cooledAt) / 1_000
    if (ms < coolMsMin) return
    this.#cooledAt = now
    this.heat.advance(ms)
  }

  // --- the end ------------------------------------------------------------------------------------------------

  sweep(): void {
    this.#cool()
    for (const group of this.groups) group.sweep()
  }

  close(): void {
    this.#closed = true
    this.upkeep.close()
    this.directory.close()
    this.#primaries.close()
    for (const session of [...this.sessions]) session.endNow('The router stops.')
    for (const group of this.#byName.values()) group.close()
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }
}

function uniquesByName(map: ShardMap): ReadonlyMap<string, UniqueColumns> {
  const all = [...uniquesOf(map).values()].flat()
  return new Map(all.map(one => [one.lookup.slice(uniqueSchema.length + 1), one]))
}

function shardsOf(spec: RoutedDatabase): RoutedShards {
  if (spec.shards === undefined) throw new Error(`database ${spec.name} has no shards`)
  return spec.shards
}
