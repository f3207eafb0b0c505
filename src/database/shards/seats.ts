// The seats of one client: opened when a shard is first needed, kept until the client goes. Settings are the client's, not a
// shard's: what was set on one seat is what the others have from then on, without a word to their servers before they are
// used. Scratch seats are beside, for temporary tables.

import type { Stream } from '../../io/net.ts'
import type { ReadsSetting } from '../contract.ts'
import type { DatabaseRouting } from '../router/database-routing.ts'
import { pinBit } from '../sql/contract.ts'
import { SeatLost } from './contract.ts'
import { Seat, type SeatOwner } from './seat.ts'

const tempPin = pinBit('temp-table')
/** Scratch seats of one client that wait for their next use. */
const scratchKept = 2

export interface SeatsStart {
  readonly groups: () => readonly DatabaseRouting[]
  readonly ids: () => readonly string[]
  readonly client: Pick<Stream, 'remoteAddress' | 'remotePort'>
  readonly userName: string
  /** As the client gave them when it logged in. */
  readonly settings: ReadonlyMap<string, string>
  readonly owner: SeatOwner
}

export class Seats {
  readonly #start: SeatsStart
  readonly #seats = new Map<number, Seat>()
  readonly #scratch = new Set<Seat>()
  readonly #scratchIdle: Seat[] = []
  /** What was set since. */
  #values: ReadonlyMap<string, string>
  #reads: ReadsSetting | null = null
  #closed = false

  constructor(start: SeatsStart) {
    this.#start = start
    this.#values = start.settings
  }

  get opened(): Iterable<Seat> {
    return this.#seats.values()
  }

  /** Those that owe an answer, scratch seats as well. */
  get atWork(): readonly Seat[] {
    return [...this.#seats.values(), ...this.#scratch].filter(seat => !seat.lost && !seat.free)
  }

  /** What the settings of this client are now: the statement that makes each so. */
  get values(): ReadonlyMap<string, string> {
    return this.#values
  }

  /** Of a shard whose session has ended before, anew. */
  open(shard: number): Seat {
    const known = this.#seats.get(shard)
    // By another map the same place is another shard's.
    if (known !== undefined && known.id !== this.#start.ids()[shard]) known.close()
    if (known !== undefined && !known.lost) return known
    const made = this.#make(shard)
    this.#seats.set(shard, made)
    return made
  }

  known(shard: number): Seat | undefined {
    return this.#seats.get(shard)
  }

  #make(shard: number): Seat {
    const { groups, ids, client, userName, settings, owner } = this.#start
    const routing = groups()[shard]
    const id = ids()[shard]
    if (this.#closed || routing === undefined || id === undefined)
      throw new SeatLost(shard, 'this shard is not there', true)
    const startup = routing.settings.of(settings)
    const seat = new Seat({ shard, id, routing, client, userName, settings: startup, owner })
    if (this.#values !== settings) seat.session.settings = routing.settings.of(this.#values)
    seat.session.reads = this.#reads
    return seat
  }

  /** The settings that were set on this seat are the client's. Outside transactions. */
  share(from: Seat): void {
    this.#reads = from.session.reads
    this.#values = from.session.settings.values
    for (const seat of this.#seats.values()) {
      if (seat === from || seat.lost) continue
      seat.session.reads = this.#reads
      if (seat.status === 'I') seat.session.settings = seat.session.database.settings.of(this.#values)
    }
    for (const seat of this.#scratchIdle.splice(0)) this.#drop(seat)
  }

  /** `tenfold.reads` of this seat is the client's. */
  shareReads(from: Seat): void {
    this.#reads = from.session.reads
    for (const seat of this.#seats.values()) seat.session.reads = this.#reads
  }

  /** A session of its own beside the others: the caller releases it. */
  scratch(shard: number): { readonly seat: Seat; release(): void } {
    const at = this.#scratchIdle.findIndex(one => one.shard === shard && !one.lost)
    const seat = at < 0 ? this.#make(shard) : (this.#scratchIdle.splice(at, 1)[0] as Seat)
    this.#scratch.add(seat)
    return { seat, release: () => this.#release(seat) }
  }

  /** Its temporary tables are dropped by the end of its transaction: then its connection is anybody's again. */
  #release(seat: Seat): void {
    if (!this.#scratch.delete(seat)) return
    if (seat.lost || this.#closed || !seat.free || seat.status !== 'I') {
      this.#drop(seat)
      return
    }
    seat.session.pins &= ~tempPin
    seat.session.afterReady()
    this.#scratchIdle.push(seat)
    if (this.#scratchIdle.length > scratchKept) this.#drop(this.#scratchIdle.shift() as Seat)
  }

  #drop(seat: Seat): void {
    this.#scratch.delete(seat)
    seat.close()
  }

  /** What runs now is to end. */
  cancel(): void {
    for (const seat of [...this.#seats.values(), ...this.#scratch]) if (!seat.free) seat.cancel()
  }

  /** Nothing is owed by any. */
  get free(): boolean {
    for (const seat of this.#seats.values()) if (!seat.free) return false
    return true
  }

  /** The client takes bytes again. */
  drain(): void {
    for (const seat of this.#seats.values()) if (!seat.lost) seat.drain()
  }

  close(): void {
    this.#closed = true
    for (const seat of [...this.#seats.values(), ...this.#scratch, ...this.#scratchIdle]) seat.close()
    this.#seats.clear()
    this.#scratch.clear()
    this.#scratchIdle.length = 0
  }
}
