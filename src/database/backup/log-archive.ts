// What is kept of the log: finished segments, packed, and the histories of timelines in the store; the segment being written
// in the spool, beside it, synced as it grows. Knows what is there and puts more; where the log comes from is the receiver's.
//
// A segment is in exactly one place: spool (growing) -> store (finished), moved by `finish`. After a crash between the two
// steps of that it is in both, with the same content, and `open` removes the older.

import { join } from 'node:path'
import { filesBelow, type GrowingFile, openGrowing, readPieces } from '../../io/durable-files.ts'
import { ownFolder, removeFile } from '../../io/owned-files.ts'
import { packed, unpacked } from '../../io/zstd.ts'
import type { Lsn } from '../contract.ts'
import { historyName, historyTimeline, type Segment, segmentName, segmentOf } from './segments.ts'
import type { BackupStore } from './store.ts'

const folder = 'wal'
const packedSuffix = '.zst'

export interface KeptSegment extends Segment {
  readonly finished: boolean
  /** Of a growing one: what is there of it. */
  readonly bytes: number
  readonly modifiedMs: number
}

export class LogArchive {
  readonly #store: BackupStore
  readonly #spool: string
  readonly segmentBytes: number

  constructor(store: BackupStore, spool: string, segmentBytes: number) {
    this.#store = store
    this.#spool = spool
    this.segmentBytes = segmentBytes
  }

  async open(): Promise<void> {
    ownFolder(this.#spool, 0o700, null)
    const there = await this.segments()
    const finished = new Set(there.filter(one => one.finished).map(one => this.#nameOf(one)))
    for (const one of there) if (!one.finished && finished.has(this.#nameOf(one))) this.#forget(one)
  }

  /** Everything that is kept, finished ones first of the same name; by timeline, then number. */
  async segments(): Promise<KeptSegment[]> {
    const stored = (await this.#store.list(`${folder}/`)).flatMap(object => {
      const segment = this.#segmentOf(object.name.slice(folder.length + 1).replace(packedSuffix, ''))
      return segment === null
        ? []
        : [{ ...segment, finished: true, bytes: object.bytes, modifiedMs: object.modifiedMs }]
    })
    const growing = (await filesBelow(this.#spool)).flatMap(file => {
      const segment = this.#segmentOf(file.name)
      return segment === null
        ? []
        : [{ ...segment, finished: false, bytes: file.bytes, modifiedMs: file.modifiedMs }]
    })
    return [...stored, ...growing].sort(
      (one, other) =>
        one.timeline - other.timeline ||
        one.number - other.number ||
        Number(other.finished) - Number(one.finished),
    )
  }

  openSegment(segment: Segment): Promise<GrowingFile> {
    return openGrowing(join(this.#spool, this.#nameOf(segment)))
  }

  /** It is whole and synced. What older timelines left half written up to here is not needed any more. */
  async finish(segment: Segment): Promise<void> {
    const name = this.#nameOf(segment)
    await this.#store.put(`${folder}/${name}${packedSuffix}`, packed(readPieces(join(this.#spool, name))))
    this.#forget(segment)
    for (const one of await this.segments()) {
      const older = one.timeline < segment.timeline && one.number <= segment.number
      if (!one.finished && older) this.#forget(one)
    }
  }

  /** As it was written; throws when it is damaged. */
  read(segment: KeptSegment): AsyncIterable<Buffer> {
    const name = this.#nameOf(segment)
    if (!segment.finished) return readPieces(join(this.#spool, name))
    return unpacked(this.#store.get(`${folder}/${name}${packedSuffix}`))
  }

  nameOf(segment: Segment): string {
    return this.#nameOf(segment)
  }

  async remove(segment: KeptSegment): Promise<void> {
    if (segment.finished) await this.#store.remove(`${folder}/${this.#nameOf(segment)}${packedSuffix}`)
    else this.#forget(segment)
  }

  async putHistory(timeline: number, text: string): Promise<void> {
    await this.#store.put(`${folder}/${historyName(timeline)}`, once(text))
  }

  /** By timeline. */
  async histories(): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    for (const object of await this.#store.list(`${folder}/`)) {
      const timeline = historyTimeline(object.name.slice(folder.length + 1))
      if (timeline !== null) found.set(timeline, await textOf(this.#store.get(object.name)))
    }
    return found
  }

  positionOf(segment: Segment): Lsn {
    return segment.number * this.segmentBytes
  }

  #nameOf(segment: Segment): string {
    return segmentName(segment, this.segmentBytes)
  }

  #segmentOf(name: string): Segment | null {
    return segmentOf(name, this.segmentBytes)
  }

  #forget(segment: Segment): void {
    removeFile(join(this.#spool, this.#nameOf(segment)))
  }
}

export async function* once(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

export async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of source) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}
