// Keeps the copies of one sharded database fresh: a stream from each shard to each, which first fills and then follows. What is there is
// found on the servers each time (what a copy was made of, which streams have brought their first rows, which slots stand), so
// that any supervisor goes on where another ended. What can't go on is made anew: the copy is dropped, and filled again.

import type { ShardMap } from '../../../policy/shard/contract.ts'
import { copiesOf, copyDefinition, copyId, type ShardCopy } from '../../../policy/shard/copies.ts'
import { lsnOf } from '../../backup/segments.ts'
import type { AskOne } from '../drift.ts'
import { Applier, type ApplierStatus, type FollowedStream } from '../reshard/applier.ts'
import { literal } from '../reshard/changes.ts'
import type { MovedTable, ShardEnd } from '../reshard/contract.ts'
import { closeStream, openStream } from '../reshard/servers.ts'
import { CopyChanges } from './changes.ts'
import { fillCopy, timelineSql } from './fill.ts'
import { CopyRefused, type CopyShape, dropCopy, makeCopy, shapeOf, sourceTable } from './shape.ts'

export { placeOf } from '../../feed/index.ts'

const askMs = 30_000
/** A copy that failed is made anew not sooner than so. */
const againMs = 5_000

export interface CopiesPorts {
  readonly ask: AskOne
  readonly end: (shard: string) => ShardEnd
  readonly map: () => ShardMap
  /** Tables were made or dropped: routers are to know. */
  readonly made: () => Promise<void>
  readonly nowMs: () => number
  readonly say: (level: 'info' | 'warn', text: string) => void
}

export interface CopyStatus {
  readonly name: string
  readonly of: string
  /** `waits`: the source is not there, or something has to be changed first. */
  readonly state: 'waits' | 'filling' | 'fresh' | 'behind' | 'stopped'
  readonly trouble: string
  readonly streams: readonly {
    readonly from: string
    readonly into: string
    readonly state: string
    readonly lagBytes: number
  }[]
}

interface Stream {
  readonly stream: FollowedStream
  applier: Applier | null
  /** Its first rows are under way. */
  filling: Promise<void> | null
  readonly abort: AbortController
}

interface Kept {
  copy: ShardCopy
  definition: string
  trouble: string
  readonly streams: Map<string, Stream>
  /** Not before. */
  againAt: number
}

/** What was followed is gone, and another table has its name. */
class SourceReplaced extends Error {}

export class CopyKeeper {
  readonly #ports: CopiesPorts
  readonly #kept = new Map<string, Kept>()
  #turn: Promise<unknown> = Promise.resolve()
  #stopped = false

  constructor(ports: CopiesPorts) {
    this.#ports = ports
  }

  /** Brings everything to what the map says; again and again. Never rejects. */
  ensure(): Promise<void> {
    return this.#alone(async () => {
      if (this.#stopped) return
      const wanted = copiesOf(this.#ports.map())
      try {
        await this.#removeOthers(wanted)
      } catch {
        // A shard that can't be asked: the next time.
      }
      for (const copy of wanted) {
        if (this.#stopped) return
        await this.#keep(copy)
      }
    })
  }

  /** Streams end; what they have brought stays. `ensure` goes on. */
  pause(): Promise<void> {
    return this.#alone(async () => {
      for (const kept of this.#kept.values()) await endStreams(kept)
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const kept of this.#kept.values()) for (const { abort } of kept.streams.values()) abort.abort()
    await this.pause()
  }

  /** From the beginning. False: there is none of that name. */
  rebuild(name: string): Promise<boolean> {
    return this.#alone(async () => {
      const kept = this.#kept.get(name)
      if (kept === undefined) return false
      await this.#clear(kept)
      await this.#keep(kept.copy)
      return true
    })
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  // --- one copy -----------------------------------------------------------------------------------------------

  async #keep(copy: ShardCopy): Promise<void> {
    const { map, nowMs, say } = this.#ports
    const known = this.#kept.get(copy.name)
    const kept: Kept = known ?? { copy, definition: '', trouble: '', streams: new Map(), againAt: 0 }
    this.#kept.set(copy.name, kept)
    kept.copy = copy
    try {
      const definition = copyDefinition(map(), copy)
      const failed = [...kept.streams.values()].find(({ applier }) => applier?.failure != null)
      if (failed !== undefined) {
        const why = failed.applier?.failure?.message ?? ''
        if (nowMs() < kept.againAt) {
          kept.trouble = why
          return
        }
        say('warn', `copy ${copy.name}: ${why}; it is filled again`)
        await this.#clear(kept)
      }
      if (kept.definition !== definition) {
        await endStreams(kept)
        kept.streams.clear()
        if (!(await this.#isMade(copy, definition))) await this.#clear(kept)
        kept.definition = definition
      }
      const [model = ''] = map().shards
      const shape = await shapeOf(this.#ports.ask, model, copy)
      if (shape === null) {
        kept.trouble = `${copy.of} is not there yet`
        return
      }
      await this.#make(copy, definition, shape).catch(async (why: Error) => {
        if (!(why instanceof SourceReplaced)) throw why
        say('warn', `copy ${copy.name}: ${why.message}; it is filled again`)
        await this.#clear(kept)
        kept.definition = definition
        await this.#make(copy, definition, shape)
      })
      await this.#follow(kept, shape)
      kept.trouble = ''
    } catch (error) {
      const { message } = error as Error
      if (kept.trouble !== message) say('warn', `copy ${copy.name}: ${message}`)
      kept.trouble = message
      if (!(error instanceof CopyRefused)) kept.againAt = nowMs() + againMs
    }
  }

  async #isMade(copy: ShardCopy, definition: string): Promise<boolean> {
    const { ask, map } = this.#ports
    for (const shard of map().shards) {
      const [row] = await ask(
        shard,
        `SELECT definition FROM tenfold.copies WHERE name = ${literal(copy.name)}`,
        askMs,
      )
      if (row?.[0] !== definition) return false
    }
    return true
  }

  async #make(copy: ShardCopy, definition: string, shape: CopyShape): Promise<void> {
    const { ask, map } = this.#ports
    let made = false
    for (const shard of map().shards) {
      const [row] = await ask(
        shard,
        `SELECT definition FROM tenfold.copies WHERE name = ${literal(copy.name)}`,
        askMs,
      )
      if (row?.[0] !== definition) {
        await makeCopy(ask, shard, map(), shape)
        made = true
      }
      const [source] = await ask(
        shard,
        `SELECT relreplident, EXISTS (SELECT FROM pg_publication p WHERE pubname LIKE 'tenfold\\_copy\\_${copyId(copy.name)}\\_%'
            AND NOT EXISTS (SELECT FROM pg_publication_rel WHERE prpubid = p.oid AND prrelid = c.oid))
          FROM pg_class c WHERE oid = ${literal(sourceTable(copy))}::regclass`,
        askMs,
      )
      if (source?.[1] === 't') throw new SourceReplaced(`${copy.of} was made anew`)
      if (source?.[0] !== 'f')
        await ask(
          shard,
          `BEGIN; SET LOCAL lock_timeout = '2s'; ALTER TABLE ${sourceTable(copy)} REPLICA IDENTITY FULL; COMMIT`,
          askMs,
        )
    }
    if (made) await this.#ports.made()
  }

  /** Streams that are not there yet begin. */
  async #follow(kept: Kept, shape: CopyShape): Promise<void> {
    const { map, ask } = this.#ports
    const { shards } = map()
    for (const from of shards)
      for (const into of shards) {
        const key = `${from}>${into}`
        if (kept.streams.has(key)) continue
        const followed = this.#streamOf(kept.copy, from, into)
        const [mark] = await ask(
          into,
          `SELECT position::text, timeline = ${timelineSql} FROM tenfold.copy_streams WHERE stream = ${literal(followed.slot)}`,
          askMs,
        )
        const [slot] = await ask(
          from,
          `SELECT wal_status FROM pg_replication_slots WHERE slot_name = ${literal(followed.slot)}`,
          askMs,
        )
        // A server that took the target's place may lack what was confirmed to the source.
        const replaced = mark !== undefined && mark[1] !== 't'
        if (mark !== undefined && (slot === undefined || slot[0] === 'lost' || replaced)) {
          this.#ports.say(
            'warn',
            `copy ${kept.copy.name}: ${replaced ? `shard ${into} was replaced` : `shard ${from} has no slot for it any more`}; it is filled again`,
          )
          await this.#clear(kept)
          throw new Error('it is filled again')
        }
        // One that is followed already is not to be touched: who followed it may only just have ended.
        if (mark === undefined) await openStream(ask, this.#moved(followed, shape))
        const stream: Stream = {
          stream: followed,
          applier: null,
          filling: null,
          abort: new AbortController(),
        }
        kept.streams.set(key, stream)
        if (mark !== undefined) this.#apply(stream, shape, mark[0] as string)
        else stream.filling = this.#fill(kept, key, stream, shape)
      }
  }

  async #fill(kept: Kept, key: string, stream: Stream, shape: CopyShape): Promise<void> {
    try {
      const position = await fillCopy(stream.stream, shape, this.#ports.map(), stream.abort.signal)
      stream.filling = null
      if (!stream.abort.signal.aborted) this.#apply(stream, shape, position)
    } catch (error) {
      if (stream.abort.signal.aborted) return
      // The next `ensure` begins it again.
      kept.streams.delete(key)
      kept.trouble = (error as Error).message
      this.#ports.say('warn', `copy ${kept.copy.name}, ${key}: ${kept.trouble}`)
    }
  }

  #apply(stream: Stream, shape: CopyShape, position: string): void {
    const { from, into } = stream.stream
    const map = this.#ports.map()
    stream.applier = new Applier({
      stream: stream.stream,
      maker: () => new CopyChanges(shape, map, from.shard, into.shard),
      copied: { [shape.copy.of]: position },
      tell: text => this.#ports.say('warn', text),
    })
  }

  #streamOf(copy: ShardCopy, from: string, into: string): FollowedStream {
    const slot = `tenfold_copy_${copyId(copy.name)}_${from}_${into}`
    const { end } = this.#ports
    return { from: end(from), into: end(into), slot, publication: slot }
  }

  #moved(stream: FollowedStream, { copy, primary }: CopyShape): Parameters<typeof openStream>[1] {
    const [schema = '', name = ''] = copy.of.split('.')
    const table: MovedTable = {
      schema,
      name,
      columns: [],
      generated: [],
      primary,
      key: copy.key,
      family: copy.family,
      where: 'true',
    }
    const map = this.#ports.map()
    return { ...stream, tables: [table], before: map, next: map }
  }

  // --- away ---------------------------------------------------------------------------------------------------

  /** Its streams, marks and tables. */
  async #clear(kept: Kept): Promise<void> {
    kept.againAt = this.#ports.nowMs() + againMs
    await endStreams(kept)
    kept.streams.clear()
    kept.definition = ''
    await this.#remove(kept.copy.name)
  }

  async #remove(name: string): Promise<void> {
    const { ask, map, end } = this.#ports
    const { shards } = map()
    const id = copyId(name)
    const ours = `LIKE 'tenfold\\_copy\\_${id}\\_%'`
    for (const shard of shards) {
      const slots = await ask(
        shard,
        `SELECT slot_name FROM pg_replication_slots WHERE slot_name ${ours} AND NOT temporary UNION SELECT pubname FROM pg_publication WHERE pubname ${ours}`,
        askMs,
      )
      const origins = await ask(shard, `SELECT roname FROM pg_replication_origin WHERE roname ${ours}`, askMs)
      const here = { ...this.#nobody(shard, end), tables: [], before: map(), next: map() }
      for (const [slot] of [...slots, ...origins])
        await closeStream(ask, { ...here, slot: slot as string, publication: slot as string })
      await ask(shard, `DELETE FROM tenfold.copy_streams WHERE stream ${ours}`, askMs)
      await dropCopy(ask, shard, name)
    }
  }

  #nobody(
    shard: string,
    end: (shard: string) => ShardEnd,
  ): { readonly from: ShardEnd; readonly into: ShardEnd } {
    return { from: end(shard), into: end(shard) }
  }

  /** Copies that the file does not say any more. */
  async #removeOthers(wanted: readonly ShardCopy[]): Promise<void> {
    const { ask, map, say } = this.#ports
    const names = new Set(wanted.map(({ name }) => name))
    const found = new Set<string>()
    for (const shard of map().shards)
      for (const [name] of await ask(shard, 'SELECT name FROM tenfold.copies', askMs))
        found.add(name as string)
    for (const name of found) {
      if (names.has(name)) continue
      const kept = this.#kept.get(name)
      if (kept !== undefined) await endStreams(kept)
      this.#kept.delete(name)
      await this.#remove(name)
      await this.#ports.made()
      say('info', `copy ${name} is gone: the file does not say it any more`)
    }
  }

  // --- how it is ----------------------------------------------------------------------------------------------

  async status(): Promise<CopyStatus[]> {
    const { ask, map } = this.#ports
    const at = new Map<string, number>()
    for (const shard of map().shards)
      try {
        const [row] = await ask(shard, 'SELECT pg_current_wal_flush_lsn()::text', askMs)
        at.set(shard, lsnOf(row?.[0] ?? '0/0'))
      } catch {
        // It is said by its streams.
      }
    return copiesOf(map()).map(copy => {
      const kept = this.#kept.get(copy.name)
      const streams = [...(kept?.streams.values() ?? [])].map(({ stream, applier, filling }) => {
        const status: ApplierStatus | null = applier?.status ?? null
        const lagBytes = Math.max(0, (at.get(stream.from.shard) ?? 0) - (status?.applied ?? 0))
        return {
          from: stream.from.shard,
          into: stream.into.shard,
          state: filling !== null ? 'filling' : (status?.state ?? 'stopped'),
          lagBytes: status === null ? 0 : lagBytes,
        }
      })
      const trouble = kept?.trouble ?? ''
      const all = map().shards.length ** 2
      const state =
        trouble !== '' && streams.length === 0
          ? 'waits'
          : streams.length === 0
            ? 'stopped'
            : streams.length < all || streams.some(one => one.state === 'filling')
              ? 'filling'
              : streams.every(one => one.state === 'streaming')
                ? 'fresh'
                : 'behind'
      return { name: copy.name, of: copy.of, state, trouble, streams }
    })
  }

  /** Everything that was committed before this call is in the copies. Rejects where it is not in time. */
  async caughtUp(timeoutMs: number): Promise<void> {
    const { ask } = this.#ports
    for (const { streams } of this.#kept.values())
      for (const { stream, applier } of streams.values()) {
        await ask(stream.from.shard, "SELECT pg_logical_emit_message(true, 'tenfold', '')", askMs)
        const [row] = await ask(stream.from.shard, 'SELECT pg_current_wal_flush_lsn()::text', askMs)
        if (applier === null) throw new Error(`${stream.slot} is not filled yet`)
        await applier.until(lsnOf(row?.[0] ?? '0/0'), timeoutMs)
      }
  }
}

async function endStreams({ streams }: Kept): Promise<void> {
  for (const { abort } of streams.values()) abort.abort()
  await Promise.all(
    [...streams.values()].map(async ({ applier, filling }) => {
      await filling
      await applier?.stop()
    }),
  )
  streams.clear()
}
