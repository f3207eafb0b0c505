// COPY FROM STDIN over shards: rows are read as they come and each goes to the shard of its key, in the bytes that the client
// sent. Tables that are everywhere get all of them on all shards. When one shard or we refuse, all are told to give up.

import type { Placed, TablePlace } from '../../../policy/shard/contract.ts'
import type { CopyOptions } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatCopy, SeatEnd, ShardSeat, ShardSeats } from '../contract.ts'
import { isCopy } from './combine.ts'
import { CopyOutlet } from './copy-form.ts'
import { type CopyRow, CopySplitter } from './copy-split.ts'
import { ShardError, tagOf } from './fan.ts'
import type { GatherLimits, GatherPlaces } from './input.ts'
import { drift, noPlace, Refused, unsupported } from './refusals.ts'
import { addTags } from './tags.ts'

export interface CopyInInput {
  /** The statement as it is. */
  readonly sql: string
  readonly place: TablePlace
  /** Columns that the rows have, in their order: those named, or all that are not generated. */
  readonly columns: readonly string[]
  readonly options: CopyOptions
  readonly seats: ShardSeats
  readonly places: GatherPlaces
  readonly limits: GatherLimits
}

interface Lane {
  readonly seat: ShardSeat
  readonly copy: SeatCopy
  readonly outlet: CopyOutlet
  wrote: boolean
}

/** The COPY that is open on the shards; or why it is not. Rejects with SeatLost. */
export async function openCopyIn(input: CopyInInput): Promise<CopyIn | { readonly errorFrame: Buffer }> {
  const { seats, place, columns } = input
  const key = place.kind === 'sharded' ? place.key.map(name => columns.indexOf(name)) : []
  try {
    if (key.includes(-1)) throw noPlace('null-key', null)
    await seats.begin()
    const all = await Promise.all(shardsOf(input).map(shard => seats.seat(shard)))
    return new CopyIn(input, key, await openAll(all, input.sql))
  } catch (error) {
    return { errorFrame: frameOf(error) }
  }
}

function shardsOf({ place, seats }: CopyInInput): readonly number[] {
  const { shards } = seats.map
  return place.kind === 'on' ? [shards.indexOf(place.shard)] : shards.map((_, shard) => shard)
}

async function openAll(all: readonly ShardSeat[], sql: string): Promise<readonly Lane[]> {
  const opened = await Promise.allSettled(all.map(seat => seat.copyIn(sql)))
  const lanes = opened.flatMap((one, index) => {
    if (one.status === 'rejected' || !isCopy(one.value)) return []
    return [
      { seat: all[index] as ShardSeat, copy: one.value, outlet: new CopyOutlet(one.value), wrote: false },
    ]
  })
  if (lanes.length === all.length) return lanes
  await giveUp(lanes, 'another shard refused')
  for (const one of opened) {
    if (one.status === 'rejected') throw one.reason
    if (!isCopy(one.value)) tagOf(one.value)
  }
  throw unsupported('The statement copies nothing in.', 'Write COPY table FROM STDIN.')
}

async function giveUp(lanes: readonly Lane[], reason: string): Promise<void> {
  await Promise.allSettled(lanes.map(({ copy }) => copy.fail(reason)))
}

function frameOf(error: unknown): Buffer {
  if (error instanceof Refused || error instanceof ShardError) return error.errorFrame
  throw error
}

export class CopyIn {
  /** CopyInResponse, for the client. */
  readonly frame: Buffer
  readonly #input: CopyInInput
  readonly #key: readonly number[]
  readonly #lanes: readonly Lane[]
  readonly #splitter: CopySplitter
  /** Every lane gets all bytes. */
  readonly #unread: boolean
  #failed = false
  #failure: unknown = null
  #nextLane = 0
  /** While a shard takes no more, or a key's place is asked for; what comes meanwhile is kept. */
  #working: Promise<void> | null = null
  #pending: Buffer[] = []

  constructor(input: CopyInInput, key: readonly number[], lanes: readonly Lane[]) {
    this.#input = input
    this.#key = key
    this.#lanes = lanes
    this.#unread = input.place.kind === 'everywhere' || input.place.kind === 'on'
    this.frame = (lanes[0] as Lane).copy.frame
    this.#splitter = new CopySplitter(input.options, input.limits.copyRowBytes)
  }

  /** It will not succeed: what still comes is dropped, and `done` says why. */
  get failed(): boolean {
    return this.#failed
  }

  /** Content of CopyData, in pieces of any size, valid in the call only. False: no more until `drained`. */
  take(bytes: Buffer, from: number, to: number): boolean {
    if (this.#failed) return true
    if (this.#working !== null) this.#pending.push(Buffer.from(bytes.subarray(from, to)))
    else this.#start(bytes, from, to)
    return this.#working === null
  }

  async drained(): Promise<void> {
    await this.#working
  }

  /** CopyDone. Rejects with SeatLost. */
  async done(): Promise<AcrossEnd> {
    await this.#working
    try {
      const rest = this.#failed || this.#unread ? null : this.#splitter.rest()
      if (rest !== null) await this.#put(rest)
    } catch (error) {
      this.#fail(error)
    }
    if (this.#failed) {
      await giveUp(this.#lanes, 'the rows can not be placed')
      return { errorFrame: frameOf(this.#failure) }
    }
    for (const { outlet } of this.#lanes) outlet.flush()
    return await this.#ended(this.#lanes.map(({ copy }) => copy.done()))
  }

  /** CopyFail. Rejects with SeatLost. */
  async fail(reason: string): Promise<AcrossEnd> {
    await this.#working
    return await this.#ended(this.#lanes.map(({ copy }) => copy.fail(reason)))
  }

  async #ended(ends: readonly Promise<SeatEnd>[]): Promise<AcrossEnd> {
    const settled = await Promise.allSettled(ends)
    try {
      const tags = settled.map(one => {
        if (one.status === 'rejected') throw one.reason
        return tagOf(one.value)
      })
      if (!this.#unread) return { tag: addTags(tags) }
      if (new Set(tags).size > 1) throw drift('The copies of a table that is everywhere took different rows.')
      return { tag: tags[0] as string }
    } catch (error) {
      return { errorFrame: frameOf(error) }
    }
  }

  #fail(error: unknown): void {
    this.#failed = true
    this.#failure ??= error
    this.#pending = []
  }

  #start(bytes: Buffer, from: number, to: number): void {
    try {
      const wait = this.#walk(bytes, from, to)
      if (wait !== null)
        this.#working = this.#goOn(wait).finally(() => {
          this.#working = null
        })
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Up to where something must be waited for; null: all of it. */
  #walk(bytes: Buffer, from: number, to: number): Promise<void> | null {
    if (this.#unread) return this.#toAll(bytes, from, to)
    this.#splitter.push(bytes, from, to)
    return this.#rows()
  }

  #rows(): Promise<void> | null {
    for (let row = this.#splitter.next(); row !== null; row = this.#splitter.next()) {
      const wait = this.#put(row)
      if (wait !== null) return wait
    }
    return null
  }

  async #goOn(wait: Promise<void>): Promise<void> {
    try {
      await wait
      for (;;) {
        const next = this.#rows() ?? this.#kept()
        if (next === null) return
        await next
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** What came while something was waited for. */
  #kept(): Promise<void> | null {
    for (let bytes = this.#pending.shift(); bytes !== undefined; bytes = this.#pending.shift()) {
      const wait = this.#walk(bytes, 0, bytes.length)
      if (wait !== null) return wait
    }
    return null
  }

  #put(row: CopyRow): Promise<void> | null {
    if (row.toAll) return this.#toAll(row.bytes, row.from, row.to)
    const place = this.#placeOf(row)
    const { line } = this.#splitter
    if (place instanceof Promise)
      return place.then(found => this.#send(row, shardOf(found, line)) ?? undefined)
    return this.#send(row, shardOf(place, line))
  }

  #placeOf(row: CopyRow): Placed | Promise<Placed> {
    const { place, places, options } = this.#input
    if (place.kind !== 'sharded') {
      this.#nextLane = (this.#nextLane + 1) % this.#lanes.length
      return { shard: this.#nextLane, slot: -1 }
    }
    const values = this.#splitter.values(row, this.#key)
    // A row that has too few columns: any server says so.
    if (values.includes(undefined)) return { shard: 0, slot: -1 }
    const format = options.format === 'binary' ? 1 : 0
    return places.ofValues(place.family, values as readonly (Buffer | null)[], format)
  }

  #send({ bytes, from, to }: CopyRow, shard: number): Promise<void> | null {
    const lane = this.#lanes[shard] as Lane
    this.#wrote(lane)
    return lane.outlet.add(bytes, from, to) ? null : lane.outlet.drained()
  }

  #toAll(bytes: Buffer, from: number, to: number): Promise<void> | null {
    const full = this.#lanes.filter(lane => {
      if (this.#unread) this.#wrote(lane)
      return !lane.outlet.add(bytes, from, to)
    })
    return full.length === 0 ? null : Promise.all(full.map(({ outlet }) => outlet.drained())).then(() => {})
  }

  #wrote(lane: Lane): void {
    if (lane.wrote) return
    lane.wrote = true
    this.#input.seats.wroteOn(lane.seat.shard)
  }
}

function shardOf(placed: Placed, line: number): number {
  if ('refused' in placed) throw noPlace(placed.refused, placed.value, line)
  return placed.shard
}
