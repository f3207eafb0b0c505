// What each step of a resharding does. Owns the appliers of both ways; keeps in the journal what a later try may rely on.

import type { ReshardDifferences, ReshardJournal } from '../../../policy/shard/reshard-contract.ts'
import { epochsChanged, familiesOf, returnedMap } from '../../../policy/shard/reshard-steps.ts'
import { Applier, SlotLost } from './applier.ts'
import { writerOf } from './changes.ts'
import { checkReshard } from './checks.ts'
import { compareStream } from './compare.ts'
import type { MovedTable, MoveStream } from './contract.ts'
import { copyTable } from './copy.ts'
import { deleteLeftovers } from './leftovers.ts'
import { streamName } from './places.ts'
import type { ReshardPorts, ReshardProgress } from './ports.ts'
import { copySchema } from './schema-copy.ts'
import {
  closeStream,
  dropHolds,
  identitiesOf,
  installHolds,
  openStream,
  positionOf,
  prefixOf,
  removeAll,
  replicasReach,
  restoreIdentities,
  widenIdentities,
} from './servers.ts'
import { type Streams, streamsOf } from './streams.ts'
import { type Turned, turn } from './turn.ts'

const reachMs = 24 * 3_600_000
/** Statements that began while the filter was on may still ask for it. */
const graceMs = 1_000
const replicasMs = 30_000
const differencesNamed = 20

export interface StepsOptions {
  readonly ports: ReshardPorts
  readonly journal: () => ReshardJournal
  readonly change: (change: Partial<ReshardJournal>) => void
  readonly hold: (holding: boolean) => void
}

interface Following {
  readonly stream: MoveStream
  readonly applier: Applier
}

export class ReshardSteps {
  readonly #options: StepsOptions
  readonly #ports: ReshardPorts
  #streams: Streams | null = null
  /** By slot. */
  readonly #following = new Map<string, Following>()
  readonly #progress = new Map<string, ReshardProgress>()
  #holds = 0

  constructor(options: StepsOptions) {
    this.#options = options
    this.#ports = options.ports
  }

  get #journal(): ReshardJournal {
    return this.#options.journal()
  }

  get status(): { progress: readonly ReshardProgress[]; changes: number; holds: number } {
    const changes = [...this.#following.values()].reduce(
      (sum, { applier }) => sum + applier.status.changes,
      0,
    )
    return { progress: [...this.#progress.values()], changes, holds: this.#holds }
  }

  /** Shards whose slots are gone. */
  get lost(): readonly string[] {
    return [...this.#following.values()].flatMap(({ stream, applier }) =>
      applier.failure instanceof SlotLost ? [stream.from.shard] : [],
    )
  }

  async stop(): Promise<void> {
    const all = [...this.#following.values()]
    this.#following.clear()
    await Promise.all(all.map(({ applier }) => applier.stop()))
  }

  async #all(): Promise<Streams> {
    this.#streams ??= await streamsOf(this.#journal, this.#ports.ask, shard => this.#ports.end(shard))
    return this.#streams
  }

  get #shards(): readonly string[] {
    const { before, next } = this.#journal
    return [...new Set([...before.shards, ...next.shards])]
  }

  // --- before anything moves ------------------------------------------------------------------------------------

  /** Why it can't be; ''. */
  async check(): Promise<string> {
    const { id, before, next, moves, joining } = this.#journal
    const { refused, warnings } = await checkReshard({
      ask: this.#ports.ask,
      id,
      before,
      next,
      moves,
      joining,
    })
    for (const warning of warnings) this.#ports.say('warn', `resharding: ${warning}`)
    return refused.join(' ')
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const { ask } = this.#ports
    const { before, joining } = this.#journal
    const [model = ''] = before.shards
    for (const shard of joining) {
      await copySchema(ask, model, shard)
      signal.throwIfAborted()
    }
    const families = familiesOf(this.#journal)
    for (const shard of this.#shards) await installHolds(ask, shard, before, families)
    const { forth } = await this.#all()
    await this.#identities(forth)
    for (const stream of forth) {
      signal.throwIfAborted()
      await openStream(ask, stream)
    }
    for (const shard of before.shards)
      if (!(await replicasReach(ask, shard, replicasMs, this.#ports.delayed(shard))))
        throw new Error(`a replica of shard ${shard} does not follow`)
    const shards = forth.flatMap(({ from, into }) => [from.shard, into.shard])
    this.#options.change({
      epochs: Object.fromEntries(shards.map(shard => [shard, this.#ports.epoch(shard)])),
      copied: {},
    })
  }

  /** On both sides: the way back reads from the targets. */
  async #identities(forth: readonly MoveStream[]): Promise<void> {
    const { ask } = this.#ports
    const tables = new Map<string, MovedTable[]>()
    for (const stream of forth)
      for (const { shard } of [stream.from, stream.into])
        tables.set(shard, [...(tables.get(shard) ?? []), ...stream.tables])
    const now = await identitiesOf(ask, tables)
    const identities: Record<string, Record<string, string>> = {}
    for (const shard of new Set([...Object.keys(now), ...Object.keys(this.#journal.identities)]))
      identities[shard] = { ...now[shard], ...this.#journal.identities[shard] }
    this.#options.change({ identities })
    await widenIdentities(
      ask,
      identities,
      forth.flatMap(stream => stream.tables),
    )
  }

  /** Of streams that one of these shards has a part in. */
  async beginAgain(shards: readonly string[]): Promise<void> {
    const { forth } = await this.#all()
    const { ask } = this.#ports
    const copied = { ...this.#journal.copied }
    const epochs: Record<string, number> = { ...this.#journal.epochs }
    for (const shard of shards) epochs[shard] = this.#ports.epoch(shard)
    for (const stream of forth) {
      if (!shards.includes(stream.from.shard) && !shards.includes(stream.into.shard)) continue
      await this.#stop(stream)
      await closeStream(ask, stream)
      delete copied[streamName(stream)]
      this.#options.change({ copied })
      await openStream(ask, stream)
    }
    this.#options.change({ copied, epochs })
  }

  // --- copies and changes ---------------------------------------------------------------------------------------

  async copy(signal: AbortSignal): Promise<void> {
    const { forth } = await this.#all()
    // Streams of different sources side by side.
    const sources = Map.groupBy(forth, stream => stream.from.shard)
    await allOf([...sources.values()].map(streams => this.#copySource(streams, signal)))
  }

  async #copySource(streams: readonly MoveStream[], signal: AbortSignal): Promise<void> {
    for (const stream of streams)
      for (const table of stream.tables) {
        const name = `${table.schema}.${table.name}`
        const key = streamName(stream)
        if (this.#journal.copied[key]?.[name] !== undefined) continue
        const position = await copyTable(stream, table, {
          signal,
          progress: one => this.#tell({ stream: key, ...one }),
        })
        const { copied } = this.#journal
        this.#options.change({ copied: { ...copied, [key]: { ...copied[key], [name]: position } } })
      }
  }

  #tell(one: ReshardProgress): void {
    this.#progress.set(`${one.stream} ${one.table}`, one)
  }

  async catchUp(signal: AbortSignal): Promise<void> {
    const { forth } = await this.#all()
    await allOf(forth.map(stream => this.#reach(stream, signal)))
  }

  async #reach(stream: MoveStream, signal: AbortSignal): Promise<void> {
    const { applier } = this.#follow(stream, this.#journal.copied[streamName(stream)] ?? {})
    const position = await positionOf(this.#ports.ask, stream.from.shard)
    await orAborted(applier.until(position, reachMs), signal)
  }

  #follow(stream: MoveStream, copied: Readonly<Record<string, string>>): Following {
    const known = this.#following.get(stream.slot)
    if (known !== undefined && known.applier.status.state !== 'failed') return known
    if (known !== undefined) void known.applier.stop()
    const applier = new Applier({
      stream,
      maker: writerOf(stream),
      copied,
      tell: text => this.#ports.say('warn', text),
    })
    const following: Following = { stream, applier }
    this.#following.set(stream.slot, following)
    return following
  }

  async #stop({ slot }: MoveStream): Promise<void> {
    const following = this.#following.get(slot)
    this.#following.delete(slot)
    await following?.applier.stop()
  }

  /** All streams, one after another. Null: both sides are the same. */
  async compare(signal: AbortSignal): Promise<ReshardDifferences | null> {
    const { forth } = await this.#all()
    let count = 0
    const tables: Record<string, readonly string[]> = {}
    const rows: ReshardDifferences['rows'][number][] = []
    for (const stream of forth) {
      const name = streamName(stream)
      await this.#reach(stream, signal)
      const { applier } = this.#follow(stream, this.#journal.copied[name] ?? {})
      const found = await compareStream(stream, applier, signal, (table, compared) =>
        this.#tell({ stream: name, table, rows: compared, bytes: 0 }),
      )
      if (found.different === 0) continue
      count += found.different
      tables[name] = found.tables
      const named = found.differences.slice(0, differencesNamed - rows.length)
      rows.push(...named.map(one => ({ stream: name, ...one })))
    }
    return count === 0 ? null : { count, tables, rows }
  }

  /** Of tables that are copied again, what follows begins anew, from their next copy on. */
  async leaveDiffering(): Promise<void> {
    const { forth } = await this.#all()
    const again = Object.keys(this.#journal.differences?.tables ?? {})
    for (const stream of forth) if (again.includes(streamName(stream))) await this.#stop(stream)
  }

  // --- the switch, both ways --------------------------------------------------------------------------------------

  async turn(way: 'forth' | 'back', signal: AbortSignal): Promise<Turned> {
    const { forth, back } = await this.#all()
    const { before, next, wishes, copied } = this.#journal
    const forward = way === 'forth'
    if (forward && !wishes.finish) {
      // A slot of an earlier try follows from an earlier time, and is as good.
      for (const stream of back) await openStream(this.#ports.ask, stream)
    }
    const streams = (forward ? forth : back).map(stream =>
      this.#follow(stream, forward ? (copied[streamName(stream)] ?? {}) : {}),
    )
    this.#holds++
    return turn({
      ports: this.#ports,
      streams,
      families: familiesOf(this.#journal),
      from: forward ? before : next,
      to: forward ? next : returnedMap(this.#journal),
      hold: this.#options.hold,
      replaced: () => epochsChanged(this.#journal, shard => this.#ports.epoch(shard)),
      whole: () => {
        if (forward) this.#options.change({ step: 'switching' })
      },
      signal,
    })
  }

  /** What is written now goes to the sources, too. Why there is no way back any more; ''. */
  async follow(signal: AbortSignal): Promise<string> {
    const { forth, back } = await this.#all()
    for (const stream of forth) {
      if (!this.#following.has(stream.slot) && this.#closed.has(stream.slot)) continue
      await this.#stop(stream)
      await closeStream(this.#ports.ask, stream)
      this.#closed.add(stream.slot)
      signal.throwIfAborted()
    }
    if (this.#journal.backLost !== '') return ''
    const replaced = epochsChanged(this.#journal, shard => this.#ports.epoch(shard))
    if (replaced.length > 0) return `the primary of shard ${replaced.join(', ')} was replaced`
    for (const stream of back) {
      const { failure } = this.#following.get(stream.slot)?.applier ?? this.#follow(stream, {}).applier
      if (failure !== null) return failure.message
    }
    return ''
  }
  readonly #closed = new Set<string>()

  async dropBack(): Promise<void> {
    const { back } = await this.#all()
    for (const stream of back) {
      await this.#stop(stream)
      await closeStream(this.#ports.ask, stream)
    }
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  /** What moved is deleted where it was. */
  async clean(signal: AbortSignal): Promise<void> {
    const { back, forth } = await this.#all()
    for (const stream of [...forth, ...back]) await this.#stop(stream)
    await this.#remove()
    for (const { from, tables } of forth) await this.#delete(from.shard, tables, signal, true)
    await this.#tidy(forth)
  }

  /** What was copied is deleted where it came to: the shard does not have it, or not any more. */
  async cancel(signal: AbortSignal): Promise<void> {
    const { back, forth } = await this.#all()
    for (const stream of [...forth, ...back]) await this.#stop(stream)
    await this.#remove()
    for (const { into, tables } of forth) await this.#delete(into.shard, tables, signal, false)
    await this.#tidy(forth)
  }

  async #remove(): Promise<void> {
    for (const shard of this.#shards) await removeAll(this.#ports.ask, shard, this.#journal.id)
  }

  async #delete(
    shard: string,
    tables: readonly MovedTable[],
    signal: AbortSignal,
    placedOnly: boolean,
  ): Promise<void> {
    await deleteLeftovers({
      end: this.#ports.end(shard),
      tables: placedOnly ? tables.filter(table => table.family !== '') : tables,
      origin: `${prefixOf(this.#journal.id)}clean_${shard}`,
      signal,
      progress: (table, rows) => this.#tell({ stream: shard, table, rows, bytes: 0 }),
    })
  }

  async #tidy(forth: readonly MoveStream[]): Promise<void> {
    await restoreIdentities(
      this.#ports.ask,
      this.#journal.identities,
      forth.flatMap(({ tables }) => tables),
    )
    await this.#remove()
  }

  /** When no router asks for them any more. */
  async forget(): Promise<void> {
    await new Promise(resolve => setTimeout(resolve, graceMs))
    for (const shard of this.#shards)
      await dropHolds(this.#ports.ask, shard, this.#journal.before, familiesOf(this.#journal))
  }
}

/** Ends when all have ended; rejects with the first that failed. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work)
  const failed = results.find(result => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort)
  if (signal.aborted) abort()
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
    work.catch(() => {})
  }
}
