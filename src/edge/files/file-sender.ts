// Writes the parts of a file that an answer is made of, from memory or from the disk: at most one piece is being written
// and one read ahead. A file that changes meanwhile cuts the answer: its end is never sent before the file has been
// looked at again. Owns its buffers and its hold on the descriptor until nobody uses them.

import { type FileFacts, factsOfOpen, readOpen } from '../../io/files.ts'
import type { Exchange } from '../exchange.ts'
import type { Part } from '../representation.ts'
import type { LocalSource } from '../response-sink.ts'
import type { Representation } from './file-entry.ts'
import type { OpenFile } from './open-files.ts'
import { ReadBuffers } from './read-buffers.ts'

interface Piece {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
  /** The buffer goes back to where it was taken. */
  readonly pooled: boolean
}

/** One worker's: each has a thread, and its own copy of this module. */
const buffers = new ReadBuffers()

export class MemorySender implements LocalSource {
  readonly #exchange: Exchange
  readonly #pieces: Piece[]
  #at = 0

  constructor(exchange: Exchange, body: Buffer, parts: readonly Part[]) {
    this.#exchange = exchange
    this.#pieces = parts.map(part =>
      'text' in part ? textPiece(part.text) : { bytes: body, from: part.from, to: part.to, pooled: false },
    )
  }

  start(): void {
    this.drained()
  }
  drained(): void {
    while (this.#at < this.#pieces.length) {
      const { bytes, from, to } = this.#pieces[this.#at++] as Piece
      if (!this.#exchange.localBytes(bytes, from, to) && this.#at < this.#pieces.length) return
    }
    this.#exchange.localEnd()
  }
  cancel(): void {
    this.#at = this.#pieces.length
  }
}

function textPiece(text: string): Piece {
  const bytes = Buffer.from(text, 'latin1')
  return { bytes, from: 0, to: bytes.length, pooled: false }
}

export class DiskSender implements LocalSource {
  readonly #exchange: Exchange
  readonly #file: OpenFile
  readonly #facts: FileFacts
  readonly #parts: readonly Part[]
  /** The part that is read next, and where in it. */
  #part = 0
  #position = 0
  #ready: Piece | null = null
  /** The client's connection still reads from it. */
  #held: Piece | null = null
  #reading = false
  #blocked = false
  #over = false

  constructor(exchange: Exchange, representation: Representation, facts: FileFacts, parts: readonly Part[]) {
    this.#exchange = exchange
    this.#file = representation.opened as OpenFile
    this.#facts = facts
    this.#parts = parts
    this.#file.use()
    const [first] = parts
    if (first !== undefined && 'from' in first) this.#position = first.from
  }

  start(): void {
    this.#fill()
  }

  /** Gets the next piece, unless there is one or one is on its way. */
  #fill(): void {
    if (this.#ready !== null || this.#reading || this.#over) return
    const part = this.#parts[this.#part]
    if (part === undefined) {
      if (this.#held === null) this.#end()
      return
    }
    if ('text' in part) {
      this.#nextPart()
      this.#ready = textPiece(part.text)
      // Else it is called by who writes the piece before.
      if (this.#held === null) this.#write()
    } else this.#read(part.to)
  }

  #nextPart(): void {
    const next = this.#parts[++this.#part]
    if (next !== undefined && 'from' in next) this.#position = next.from
  }

  #read(to: number): void {
    const bytes = buffers.take(to - this.#position)
    const wanted = Math.min(bytes.length, to - this.#position)
    this.#reading = true
    readOpen(this.#file.descriptor, bytes, 0, wanted, this.#position, (code, count) => {
      this.#exchange.worker.refresh()
      this.#reading = false
      const usable = !this.#over && code === '' && count > 0
      if (!usable) buffers.give(bytes, true)
      if (this.#over) this.#letGo()
      else if (!usable) this.#exchange.localCut('file-changed')
      else this.#got({ bytes, from: 0, to: count, pooled: true }, to)
    })
  }

  #got(piece: Piece, to: number): void {
    this.#position += piece.to
    if (this.#position === to) this.#nextPart()
    const last = this.#parts.slice(this.#part).every(part => 'text' in part)
    if (last) this.#lookAgain(piece)
    else {
      this.#ready = piece
      this.#write()
    }
  }

  /** All is read; it goes out only if the file is still what its head said. */
  #lookAgain(piece: Piece): void {
    this.#reading = true
    factsOfOpen(this.#file.descriptor, (code, facts) => {
      this.#exchange.worker.refresh()
      this.#reading = false
      // Not by ctime: a file that is replaced by a rename loses a link, and is still the whole old one.
      const same = facts.size === this.#facts.size && facts.mtimeMs === this.#facts.mtimeMs
      if (this.#over || code !== '' || !same) {
        buffers.give(piece.bytes, true)
        if (this.#over) this.#letGo()
        else this.#exchange.localCut('file-changed')
        return
      }
      this.#ready = piece
      this.#write()
    })
  }

  #write(): void {
    const piece = this.#ready
    if (piece === null || this.#blocked) return
    this.#ready = null
    this.#held = piece
    // Reads on while this is written; the end is said after it.
    const more = this.#part < this.#parts.length
    if (more) this.#fill()
    const taken = this.#exchange.localBytes(piece.bytes, piece.from, piece.to)
    if (this.#over) return
    if (taken) {
      this.#giveBack()
      if (this.#ready !== null) this.#write()
      else this.#fill()
    } else this.#blocked = true
  }

  #giveBack(): void {
    const piece = this.#held
    this.#held = null
    if (piece?.pooled) buffers.give(piece.bytes, true)
  }

  drained(): void {
    this.#blocked = false
    this.#giveBack()
    if (this.#ready !== null) this.#write()
    else this.#fill()
  }

  #end(): void {
    this.#over = true
    this.#letGo()
    this.#exchange.localEnd()
  }

  cancel(): void {
    if (this.#over) return
    this.#over = true
    if (this.#ready?.pooled) buffers.give(this.#ready.bytes, true)
    // The client's connection may still read from it.
    if (this.#held?.pooled) buffers.give(this.#held.bytes, false)
    this.#ready = this.#held = null
    // A descriptor is not let go of while it is read from.
    if (!this.#reading) this.#letGo()
  }

  #letGo(): void {
    this.#file.release(this.#exchange.worker.now)
  }
}
