// A stored response as one exchange holds it: pinned, so that its bytes in the arena stay; or hot, when it is small and
// used often: its fields and body as texts of this thread, which need no pin.

import { assert } from '../../kit/failure.ts'
import type { Piece, StoredEntry, StoredMeta } from './contract.ts'
import { bodyWord, type Entries, headWord } from './entries.ts'
import { blockBytes, bodyRunHeadBytes, entryState, headBytes } from './layout.ts'
import type { Waits } from './waits.ts'

/** The body of a pinned entry is text at once up to here; larger ones only when they are hot. */
export const textBytesMax = 16_384
const wordsOfBlock = blockBytes / 4
const doublesOfBlock = blockBytes / 8

export class PinnedEntry implements StoredEntry {
  readonly key: string
  readonly slot: number
  readonly seq: number
  readonly serial: number
  readonly meta: StoredMeta
  readonly purgedSoftly: boolean
  readonly #entries: Entries
  readonly #waits: Waits
  readonly #head: number
  /** The run that `piece` stood in, and where in the body that run begins. */
  #run = 0
  #runAt = 0
  #fields: string | null = null
  #moreOf: (() => boolean | null) | null = null
  #released = false

  /** The slot is pinned. `serial`: purges begun when it was looked at. */
  constructor(entries: Entries, waits: Waits, key: string, slot: number, serial: number, soft: boolean) {
    const { entry } = entries.views
    this.#entries = entries
    this.#waits = waits
    this.key = key
    this.slot = slot
    this.serial = serial
    this.purgedSoftly = soft
    this.seq = Atomics.load(entry.seq, slot)
    this.#head = Atomics.load(entry.head, slot)
    this.meta = readMeta(entries, this.#head)
  }

  get fields(): string {
    this.#fields ??= readFields(this.#entries, this.#head)
    return this.#fields
  }

  get bodyBytes(): number {
    return Atomics.load(this.#entries.views.entry.bodyBytes, this.slot)
  }

  get isWhole(): boolean {
    return Atomics.load(this.#entries.views.entry.whole, this.slot) === 1
  }

  text(): string | null {
    return this.isWhole && this.bodyBytes <= textBytesMax ? this.wholeText() : null
  }

  /** Of a whole body, whatever its size. */
  wholeText(): string {
    const { views } = this.#entries
    const piece: Piece = { bytes: views.bytes, from: 0, to: 0 }
    let text = ''
    while (this.piece(text.length, piece) !== null) text += views.bytes.latin1Slice(piece.from, piece.to)
    return text
  }

  /** Of a whole body: bytes of one's own. */
  copyBody(): Buffer {
    const { views } = this.#entries
    const body = Buffer.allocUnsafe(this.bodyBytes)
    const piece: Piece = { bytes: views.bytes, from: 0, to: 0 }
    for (let at = 0; this.piece(at, piece) !== null; ) at += views.bytes.copy(body, at, piece.from, piece.to)
    return body
  }

  piece(at: number, into: Piece): Piece | null {
    const { entry, bytes } = this.#entries.views
    const got = Atomics.load(entry.gotBytes, this.slot)
    if (at >= got) return null
    const body = entry.body[this.slot] as number
    const bodyAt = entry.bodyAt[this.slot] as number
    into.bytes = bytes
    if (bodyAt !== bodyRunHeadBytes) {
      into.from = body * blockBytes + bodyAt + at
      into.to = into.from + got - at
      return into
    }
    return this.#pieceOfChain(body, at, got, into)
  }

  #pieceOfChain(first: number, at: number, got: number, into: Piece): Piece {
    const { words } = this.#entries.views
    if (this.#run === 0 || at < this.#runAt) {
      this.#run = first
      this.#runAt = 0
    }
    let size = words[this.#run * wordsOfBlock + bodyWord.bytes] as number
    while (at >= this.#runAt + size) {
      this.#runAt += size
      this.#run = words[this.#run * wordsOfBlock + bodyWord.next] as number
      size = words[this.#run * wordsOfBlock + bodyWord.bytes] as number
    }
    into.from = this.#run * blockBytes + bodyRunHeadBytes + at - this.#runAt
    into.to = into.from + Math.min(got, this.#runAt + size) - at
    return into
  }

  ended(at: number): boolean {
    return this.isWhole && at === this.bodyBytes
  }

  whenMore(at: number, told: (ok: boolean) => void): void {
    assert(!this.#released, 'store: an entry that was released is waited for')
    const { entry } = this.#entries.views
    const { slot } = this
    const moreOf = (): boolean | null => {
      if (Atomics.load(entry.gotBytes, slot) > at || Atomics.load(entry.whole, slot) === 1) return true
      return Atomics.load(entry.state, slot) === entryState.filling ? null : false
    }
    this.#moreOf = moreOf
    this.#waits.forMore(moreOf, ok => {
      this.#moreOf = null
      told(ok)
    })
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    if (this.#moreOf !== null) this.#waits.forgetMore(this.#moreOf)
    this.#entries.unpin(this.slot)
  }
}

function readMeta({ views }: Entries, head: number): StoredMeta {
  const { doubles, words } = views
  const at = head * doublesOfBlock
  return {
    status: words[head * wordsOfBlock + headWord.status] as number,
    receivedAtUs: doubles[at] as number,
    initialAgeUs: doubles[at + 1] as number,
    freshForUs: doubles[at + 2] as number,
    staleWhileRevalidateUs: doubles[at + 3] as number,
    staleIfErrorUs: doubles[at + 4] as number,
    flags: words[head * wordsOfBlock + headWord.flags] as number,
  }
}

function readFields({ views }: Entries, head: number): string {
  const { words, bytes } = views
  const at = head * wordsOfBlock
  const tags = words[at + headWord.tags] as number
  const from = head * blockBytes + headBytes + tags * 4 + (words[at + headWord.keyBytes] as number)
  return bytes.latin1Slice(from, from + (words[at + headWord.fieldsBytes] as number))
}

export function writeMeta({ views }: Entries, head: number, meta: StoredMeta): void {
  const { doubles, words } = views
  const at = head * doublesOfBlock
  doubles[at] = meta.receivedAtUs
  doubles[at + 1] = meta.initialAgeUs
  doubles[at + 2] = meta.freshForUs
  doubles[at + 3] = meta.staleWhileRevalidateUs
  doubles[at + 4] = meta.staleIfErrorUs
  words[head * wordsOfBlock + headWord.status] = meta.status
  words[head * wordsOfBlock + headWord.flags] = meta.flags
}

/** Key, tags and fields behind the numbers; where they end. */
export function writeHead(
  entries: Entries,
  head: number,
  key: string,
  fields: string,
  tags: readonly number[],
): number {
  const { words, bytes } = entries.views
  const at = head * wordsOfBlock
  words[at + headWord.keyBytes] = key.length
  words[at + headWord.fieldsBytes] = fields.length
  words[at + headWord.tags] = tags.length
  for (const [i, hash] of tags.entries()) words[at + headWord.firstTag + i] = hash
  const from = headBytes + tags.length * 4
  bytes.write(key, head * blockBytes + from, 'latin1')
  bytes.write(fields, head * blockBytes + from + key.length, 'latin1')
  return from + key.length + fields.length
}

export class HotEntry implements StoredEntry {
  readonly key: string
  readonly slot: number
  readonly seq: number
  readonly meta: StoredMeta
  readonly fields: string
  readonly bodyBytes: number
  readonly purgedSoftly = false
  /** Purges begun, and ended, when it was last found untouched. */
  serial: number
  checkedPurges: number
  readonly #text: string
  #bytes: Buffer | null = null

  constructor(from: PinnedEntry, endedPurges: number) {
    this.key = from.key
    this.slot = from.slot
    this.seq = from.seq
    this.meta = from.meta
    this.fields = from.fields
    this.#text = from.wholeText()
    this.bodyBytes = this.#text.length
    this.serial = from.serial
    this.checkedPurges = endedPurges
  }

  text(): string {
    return this.#text
  }

  piece(at: number, into: Piece): Piece | null {
    if (at >= this.bodyBytes) return null
    this.#bytes ??= Buffer.from(this.#text, 'latin1')
    into.bytes = this.#bytes
    into.from = at
    into.to = this.bodyBytes
    return into
  }

  ended(at: number): boolean {
    return at === this.bodyBytes
  }

  whenMore(_at: number, told: (ok: boolean) => void): void {
    queueMicrotask(() => told(true))
  }

  release(): void {}
}
