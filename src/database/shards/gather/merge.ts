// Ordered rows of several shards as one ordered answer. A shard that is ahead is paused: at most about a page of rows of
// each is held. Equal rows come in the order of the shards.

import type { Column } from '../../../wire/postgres/index.ts'
import type { AcrossPlan, MergeKey } from '../../sql/shards/contract.ts'
import type { AcrossEnd, SeatRequest, ShardAnswer, ShardSeat } from '../contract.ts'
import { type Bounds, boundsOf } from './bounds.ts'
import { type KeyReader, keyReader, type Sortable } from './compare.ts'
import { Fan, guarded, tagOf } from './fan.ts'
import type { GatherInput } from './input.ts'
import { columnsOf, cutFields, cutRow, sameColumns, valuesOf } from './rows.ts'
import { addTags, withCount } from './tags.ts'
import { typed, withText } from './typed.ts'

type MergePlan = Extract<AcrossPlan, { how: 'merge' }>

export async function merge(input: GatherInput<MergePlan>): Promise<AcrossEnd> {
  const { plan, seats, targets } = input
  const bounds = boundsOf(plan, input.request)
  const all = await Promise.all(targets.map(shard => seats.seat(shard)))
  const original = await typed(input.request, all[0] as ShardSeat)
  const fan = new Fan(all)
  const merging = new Merging(input, bounds, fan, all)
  const request = withText(original, plan.sql, hiddenAsText(original, plan.hidden))
  const tags = await fan.run(async (seat, index) => {
    const tag = tagOf(await seat.run(request, guarded(fan, merging.sink(index))))
    merging.ended(index)
    return tag
  })
  await merging.finished()
  return { tag: withCount(addTags(tags), merging.passed) }
}

/** Formats one by one must count the hidden columns as well. */
function hiddenAsText(request: SeatRequest, hidden: number): readonly number[] {
  const { resultFormats } = request
  return hidden === 0 || resultFormats.length < 2
    ? resultFormats
    : [...resultFormats, ...new Array<number>(hidden).fill(0)]
}

interface Row {
  readonly keys: readonly (Sortable | null)[]
  /** As the client gets it. */
  readonly frame: Buffer
}

interface Lane {
  readonly seat: ShardSeat
  readonly rows: Row[]
  /** Of `rows`: the first that has not been passed on. */
  next: number
  over: boolean
  paused: boolean
}

class Merging {
  readonly #plan: MergePlan
  readonly #answer: ShardAnswer
  readonly #fan: Fan
  readonly #lanes: readonly Lane[]
  readonly #pageRows: number
  readonly #bounds: Bounds
  #columns: readonly Column[] | null = null
  #readers: readonly KeyReader[] = []
  #place = 0
  #full = false
  #last: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  passed = 0

  constructor(input: GatherInput<MergePlan>, bounds: Bounds, fan: Fan, seats: readonly ShardSeat[]) {
    this.#plan = input.plan
    this.#answer = input.answer
    this.#bounds = bounds
    this.#fan = fan
    this.#pageRows = input.limits.pageRows
    this.#lanes = seats.map(seat => ({ seat, rows: [], next: 0, over: false, paused: false }))
  }

  sink(index: number): Parameters<ShardSeat['run']>[1] {
    const lane = this.#lanes[index] as Lane
    return {
      fields: frame => this.#fields(frame),
      notice: frame => this.#answer.notice(frame),
      row: (bytes, from, to) => this.#take(lane, bytes, from, to),
    }
  }

  ended(index: number): void {
    const lane = this.#lanes[index] as Lane
    lane.over = true
    lane.paused = false
    this.#pump()
  }

  /** All that the shards sent has been passed on. */
  async finished(): Promise<void> {
    this.#pump()
    if (this.#lanes.some(lane => !spent(lane)) && !this.#done) await this.#last.promise
    if (this.#fan.failed) throw this.#reason
  }
  #reason: unknown = null

  get #done(): boolean {
    return this.passed >= this.#bounds.limit
  }

  #fields(frame: Buffer): void {
    const columns = columnsOf(frame)
    if (this.#columns !== null) {
      sameColumns(this.#columns, columns)
      return
    }
    this.#readers = this.#plan.order.map(key => keyReader(key.compare, columns[key.column] as Column))
    this.#columns = columns
    this.#answer.fields(this.#plan.hidden === 0 ? frame : cutFields(frame, this.#plan.hidden))
  }

  #take(lane: Lane, bytes: Buffer, from: number, to: number): void {
    // What is behind the limit is not kept; the shards were asked for no more than may be needed.
    if (this.#done) return
    const values = valuesOf(bytes, from, to)
    const keys = this.#plan.order.map((key, index) => {
      const value = values[key.column] ?? null
      return value === null ? null : (this.#readers[index] as KeyReader).read(value)
    })
    const { hidden } = this.#plan
    const frame =
      hidden === 0 ? Buffer.from(bytes.subarray(from, to)) : cutRow(bytes, from, 0, values.length - hidden)
    lane.rows.push({ keys, frame })
    if (lane.rows.length - lane.next >= this.#pageRows && !lane.paused) {
      lane.paused = true
      lane.seat.pause()
    }
    this.#pump()
  }

  /** Passes on what is known to be next: while every shard that has not ended has a row here. */
  #pump(): void {
    while (!this.#full && !this.#fan.failed) {
      if (this.#done) {
        this.#drop()
        return
      }
      const lane = this.#first()
      if (lane === null) return
      this.#pass(lane.rows[lane.next++] as Row)
      this.#refill(lane)
    }
  }

  #first(): Lane | null {
    let first: Lane | null = null
    for (const lane of this.#lanes) {
      if (lane.next < lane.rows.length) {
        if (first === null || this.#compare(lane.rows[lane.next] as Row, first.rows[first.next] as Row) < 0)
          first = lane
      } else if (!lane.over) return null
    }
    if (first === null) this.#last.resolve()
    return first
  }

  #refill(lane: Lane): void {
    const left = lane.rows.length - lane.next
    if (lane.next >= this.#pageRows || left === 0) {
      lane.rows.splice(0, lane.next)
      lane.next = 0
    }
    if (!lane.paused || left > this.#pageRows / 2) return
    lane.paused = false
    resumeSoon(lane)
  }

  #pass({ frame }: Row): void {
    if (this.#place++ < this.#bounds.offset) return
    this.passed++
    if (this.#answer.row(frame, 0, frame.length)) return
    this.#full = true
    this.#answer.drained().then(
      () => {
        this.#full = false
        try {
          this.#pump()
        } catch (error) {
          this.#fail(error)
        }
      },
      error => this.#fail(error),
    )
  }

  #fail(error: unknown): void {
    this.#reason = error
    this.#fan.fail(error)
    this.#last.resolve()
  }

  /** The limit is reached. */
  #drop(): void {
    for (const lane of this.#lanes) {
      lane.rows.length = 0
      lane.next = 0
      if (lane.paused) resumeSoon(lane)
      lane.paused = false
    }
    this.#last.resolve()
  }

  #compare(one: Row, other: Row): number {
    const { order } = this.#plan
    for (let index = 0; index < order.length; index++) {
      const by = compareKeys(
        one.keys[index] ?? null,
        other.keys[index] ?? null,
        order[index] as MergeKey,
        this.#readers[index] as KeyReader,
      )
      if (by !== 0) return by
    }
    return 0
  }
}

/** Never while its rows are being taken. */
function resumeSoon(lane: Lane): void {
  queueMicrotask(() => {
    if (!lane.paused) lane.seat.resume()
  })
}

function spent(lane: Lane): boolean {
  return lane.over && lane.next >= lane.rows.length
}

function compareKeys(one: Sortable | null, other: Sortable | null, key: MergeKey, reader: KeyReader): number {
  if (one === null || other === null) {
    if (one === other) return 0
    return (one === null) === key.nullsFirst ? -1 : 1
  }
  const by = reader.compare(one, other)
  return key.descending ? -by : by
}
