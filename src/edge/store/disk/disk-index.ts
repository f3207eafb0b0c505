// Where on the disk which key lies: a table that all threads read and the main thread writes. It holds hashes; the record
// itself says whether it is the key's. A set that is full forgets its oldest.

import { hashText } from '../../../policy/hash.ts'
import { diskSets, diskWays, type StoreViews } from '../layout.ts'

const secondSeed = 0x165667b1

export interface DiskPlace {
  readonly segment: number
  /** In the segment, in bytes. */
  readonly at: number
  readonly bytes: number
}

export class DiskIndex {
  readonly #views: StoreViews
  readonly #sets: number

  constructor(views: StoreViews) {
    this.#views = views
    this.#sets = diskSets(views.spec)
  }

  #second(key: string): number {
    return hashText(key, this.#views.seed ^ secondSeed) | 0
  }

  #setOf(hash: number): number {
    return (hash & (this.#sets - 1)) * diskWays
  }

  /** Row of the key; -1: it is not there. */
  rowOf(key: string, hash: number): number {
    const { disk } = this.#views
    const from = this.#setOf(hash)
    const second = this.#second(key)
    for (let row = from; row < from + diskWays; row++)
      if (disk.segment[row] !== 0 && disk.hash[row] === (hash | 0) && disk.second[row] === second) return row
    return -1
  }

  placeOf(row: number): DiskPlace {
    const { disk } = this.#views
    return {
      segment: disk.segment[row] as number,
      at: (disk.at64[row] as number) * 64,
      bytes: (disk.bytes64[row] as number) * 64,
    }
  }

  /** A record that nobody should find again: it is damaged, or was purged. Any thread. */
  forget(row: number, place: DiskPlace): void {
    const { disk, common } = this.#views
    if (Atomics.compareExchange(disk.segment, row, place.segment, 0) === place.segment)
      Atomics.sub(common.diskEntries, 0, 1)
  }

  /** It was loaded: worth keeping when its segment goes. */
  use(row: number): void {
    this.#views.disk.used[row] = 1
  }

  /** Main thread. `older`: only where the key is not there yet. */
  add(key: string, hash: number, place: DiskPlace, older = false): void {
    const { disk, common } = this.#views
    let row = this.rowOf(key, hash)
    if (row >= 0 && older) return
    if (row < 0) row = this.#oldestOf(this.#setOf(hash))
    if (disk.segment[row] === 0) Atomics.add(common.diskEntries, 0, 1)
    Atomics.store(disk.segment, row, 0)
    disk.hash[row] = hash | 0
    disk.second[row] = this.#second(key)
    disk.at64[row] = place.at / 64
    disk.bytes64[row] = place.bytes / 64
    disk.used[row] = 0
    Atomics.store(disk.segment, row, place.segment)
  }

  #oldestOf(from: number): number {
    const { segment } = this.#views.disk
    let oldest = from
    for (let row = from + 1; row < from + diskWays; row++)
      if ((segment[row] as number) < (segment[oldest] as number)) oldest = row
    return oldest
  }

  /** Main thread: a segment is to go; the rows in it that were used since they were written. */
  usedOf(segment: number): number[] {
    const { disk } = this.#views
    const rows: number[] = []
    for (let row = 0; row < disk.segment.length; row++)
      if (disk.segment[row] === segment && disk.used[row] === 1) rows.push(row)
    return rows
  }

  /** Main thread. */
  forgetSegment(segment: number): void {
    const { disk } = this.#views
    for (let row = 0; row < disk.segment.length; row++)
      if (disk.segment[row] === segment) this.forget(row, { segment, at: 0, bytes: 0 })
  }
}
