// Event streams of people near the front: each is told its place every few seconds, and at once when it is its turn. One
// timer looks for all of a worker; bounded, and who comes beyond the bound asks by itself.

import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import type { RoomAnswer } from '../../policy/room/index.ts'
import type { Passage } from '../passage.ts'
import type { RoomQuestion } from './messages.ts'
import type { RoomToken } from './tokens.ts'
import type { WorkerRoom } from './worker-room.ts'

const streamsMax = 2_000
/** Of one place: nobody takes all of them. A browser has few more tabs of one sale, and those ask. */
const streamsPerPlace = 8
const tickMs = 250
const everyUs = 2_000_000
/** A stream ends after this and is begun anew, so that none is for ever. */
const ageUsMax = 600_000_000

interface Stream {
  readonly room: WorkerRoom
  readonly passage: Passage
  readonly serial: number
  readonly token: RoomToken
  readonly beganAt: number
  dueAt: number
  asking: boolean
  last: string
}

export interface RoomEventsOptions {
  readonly clock: Clock
  readonly random: Random
  look(question: RoomQuestion, done: (answer: RoomAnswer) => void): void
}

export class RoomEvents {
  readonly #options: RoomEventsOptions
  readonly #streams = new Set<Stream>()
  #timer: NodeJS.Timeout | null = null

  constructor(options: RoomEventsOptions) {
    this.#options = options
  }

  begin(room: WorkerRoom, passage: Passage): void {
    const token = room.tokens.of(passage)
    if (this.#streams.size >= streamsMax || this.#streamsOf(room, token) >= streamsPerPlace) {
      passage.respond(
        503,
        `Content-Length: 0\r\nRetry-After: 10\r\nCache-Control: no-store\r\n${passage.extraFields}`,
        '',
      )
      return
    }
    const now = this.#options.clock.monotonic()
    const { serial } = passage
    const stream = { room, passage, serial, token, beganAt: now, dueAt: now, asking: false, last: '' }
    const forget = (): void => void this.#streams.delete(stream)
    passage.respondInPieces(
      `Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Request-Id: ${passage.requestId}\r\n`,
      { drained: () => {}, cancel: forget },
    )
    // HEAD has been answered.
    if (passage.serial !== serial) return
    this.#streams.add(stream)
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref()
    this.#look(stream)
  }

  #streamsOf({ room }: WorkerRoom, { id }: RoomToken): number {
    if (id === 0) return 0
    let count = 0
    for (const one of this.#streams) if (one.token.id === id && one.room.room.name === room.name) count++
    return count
  }

  #tick(): void {
    const now = this.#options.clock.monotonic()
    for (const stream of this.#streams) {
      if (now - stream.beganAt > ageUsMax) this.#end(stream)
      else if (!stream.asking && stream.dueAt <= now) this.#look(stream)
    }
  }

  #look(stream: Stream): void {
    const { clock, random } = this.#options
    const { room, passage } = stream
    stream.asking = true
    stream.dueAt = clock.monotonic() + Math.round(everyUs * (0.75 + random.float() / 4))
    const ask = room.askOf('look', passage, 0, stream.token)
    this.#options.look({ room: room.room.name, ask }, answer => {
      stream.asking = false
      if (this.#streams.has(stream)) this.#tell(stream, answer)
    })
  }

  #tell(stream: Stream, answer: RoomAnswer): void {
    const view = stream.room.view(stream.passage, answer)
    const { state, place, estimateSeconds } = view
    const said = `${state} ${place} ${estimateSeconds}`
    // A comment keeps proxies from closing a silent stream.
    const text = said === stream.last ? ':\n\n' : `data: ${JSON.stringify(view)}\n\n`
    stream.last = said
    const bytes = Buffer.from(text, 'utf8')
    // A client that takes nothing is gone by the edge's own deadline; what is said is small.
    stream.passage.localBytes(bytes, 0, bytes.length)
    if (state !== 'waiting' && state !== 'early') this.#end(stream)
  }

  #end(stream: Stream): void {
    if (this.#streams.delete(stream)) stream.passage.localEnd()
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    for (const stream of [...this.#streams]) this.#end(stream)
  }
}
