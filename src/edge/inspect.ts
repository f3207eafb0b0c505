// Request bodies that come with a Content-Encoding, on routes that ask for it: decoded beside the way to count them. The
// instance gets the original bytes, each piece only after it was decoded within bounds, and the end only after the whole
// was: a bomb, or what is not what it says, never becomes a whole request. What is decoded is counted and dropped.

import { type ByteStream, type UnpackCoding, unpackStream } from '../io/zlib.ts'
import { fieldId } from '../wire/fields.ts'
import { framing } from '../wire/http1/index.ts'
import type { BodyInspector } from './body-inspector.ts'
import type { ExchangeClient } from './client.ts'
import type { Exchange } from './exchange.ts'
import { type ClientFailure, clientFailures } from './failures.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { RouteSpec } from './snapshot.ts'

/** Codings one over another; nobody needs more. */
const codingsMax = 2
/** No text packs better than this; what does, and is large, is a bomb. Small bodies may: a megabyte of spaces is one. */
const ratioMax = 200
const ratioFreeBytes = 1 << 20
/** Bytes that wait to be decoded, beyond which the client is held. */
const waitingBytesMax = 65_536
const known: Readonly<Record<string, UnpackCoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
}
const taken = 'Accept-Encoding: gzip, deflate, br, zstd\r\n'

export function inspectGates({ decodedBytesMax }: RouteSpec): readonly Gate[] {
  return decodedBytesMax === undefined ? [] : [new InspectGate(decodedBytesMax)]
}

class InspectGate implements Gate {
  readonly name = 'inspect'
  readonly #decodedBytesMax: number

  constructor(decodedBytesMax: number) {
    this.#decodedBytesMax = decodedBytesMax
  }

  enter(exchange: Exchange): number {
    const { head } = exchange
    const field =
      head.firstOf(fieldId['content-encoding']) < 0 ? '' : (head.find('content-encoding') as string)
    if (field === '' || head.framing === framing.none) return gateAnswer.pass
    const codings = codingsOf(field)
    if (codings === null) {
      // RFC 9110 15.5.16: what would be taken.
      exchange.refusal = { ...clientFailures.contentCodingUnknown, fields: taken }
      return gateAnswer.refuse
    }
    if (codings.length === 0) return gateAnswer.pass
    if (!(exchange.client as ExchangeClient).bodyOpen) return this.#inspectWhole(exchange, codings)
    exchange.bodyInspector = new StreamInspector(exchange, codings, this.#decodedBytesMax)
    return gateAnswer.pass
  }

  /** The body is here already: it waits at the gate. */
  #inspectWhole(exchange: Exchange, codings: readonly UnpackCoding[]): number {
    const { serial, worker } = exchange
    const decoding = new Decoding(codings, this.#decodedBytesMax, failure => {
      worker.refresh()
      if (exchange.serial !== serial) return
      exchange.bodyInspector = null
      if (failure !== null) exchange.refusal = failure
      exchange.resumeGate(serial, failure === null ? gateAnswer.pass : gateAnswer.refuse)
    })
    exchange.bodyInspector = { bytes: () => true, end: () => {}, cancel: () => decoding.stop() }
    decoding.write(Buffer.from(exchange.bodyText, 'latin1'), () => {})
    decoding.end()
    return gateAnswer.pending
  }
}

/** In the order in which they are undone; null: one that is not known, or too many. */
function codingsOf(field: string): UnpackCoding[] | null {
  const names = field
    .toLowerCase()
    .split(',', 8)
    .map(name => name.trim())
    .filter(name => name !== '' && name !== 'identity')
  const codings = names.map(name => known[name])
  if (codings.length > codingsMax || codings.includes(undefined)) return null
  return (codings as UnpackCoding[]).reverse()
}

/** Bytes through one or two decoders, counted after each. Says once how it ended: null = within bounds and complete. */
class Decoding {
  readonly #codings: readonly UnpackCoding[]
  readonly #decodedBytesMax: number
  readonly #done: (failure: ClientFailure | null) => void
  #stages: ByteStream[] = []
  readonly #counted: number[]
  #bytesIn = 0
  #allGiven = false
  #over = false

  constructor(
    codings: readonly UnpackCoding[],
    decodedBytesMax: number,
    done: (failure: ClientFailure | null) => void,
  ) {
    this.#codings = codings
    this.#decodedBytesMax = decodedBytesMax
    this.#done = done
    this.#counted = codings.map(() => 0)
  }

  /** `passed` is called when the bytes have been decoded; they must not change before. */
  write(bytes: Buffer, passed: () => void): void {
    if (this.#over) return
    this.#bytesIn += bytes.length
    if (this.#stages.length === 0) this.#open(bytes)
    this.#stages[0]?.write(bytes, passed)
  }

  end(): void {
    if (this.#over) return
    this.#allGiven = true
    if (this.#stages.length === 0) this.#finish(clientFailures.contentCodingBad)
    else this.#stages[0]?.end()
  }

  #open(first: Buffer): void {
    for (let at = this.#codings.length - 1; at >= 0; at--) {
      const coding = this.#codings[at] as UnpackCoding
      // RFC 9110 8.4.1.2: some send deflate without its zlib header; only the first stage can look.
      const bare = coding === 'deflate' && at === 0 && ((first[0] as number) & 15) !== 8
      this.#stages.unshift(
        unpackStream(bare ? 'raw-deflate' : coding, {
          bytes: bytes => this.#count(at, bytes),
          end: () => this.#ended(at),
          failed: () => this.#finish(clientFailures.contentCodingBad),
        }),
      )
    }
  }

  #count(at: number, bytes: Buffer): void {
    const count = (this.#counted[at]! += bytes.length)
    const tooDense = count > ratioFreeBytes && count > this.#bytesIn * ratioMax
    if (count > this.#decodedBytesMax || tooDense) {
      this.#finish(clientFailures.decodedTooLarge)
      return
    }
    const next = this.#stages[at + 1]
    if (next === undefined) return
    const here = this.#stages[at] as ByteStream
    here.pause()
    next.write(bytes, () => {
      if (!this.#over) here.resume()
    })
  }

  /** A stage that ends by itself has left bytes unread: nothing may be said to be whole before the client has said so. */
  #ended(at: number): void {
    const next = this.#stages[at + 1]
    if (!this.#allGiven) this.#finish(clientFailures.contentCodingBad)
    else if (next === undefined) this.#finish(null)
    else next.end()
  }

  #finish(failure: ClientFailure | null): void {
    if (this.#over) return
    this.stop()
    this.#done(failure)
  }

  /** Nothing is said any more. */
  stop(): void {
    this.#over = true
    for (const stage of this.#stages) stage.destroy()
    this.#stages = []
  }
}

class StreamInspector implements BodyInspector {
  readonly #exchange: Exchange
  readonly #decoding: Decoding
  #waitingBytes = 0
  #held = false
  /** The last piece of a body of known length completes the request: it waits for the verdict. */
  #last: Buffer | null = null
  #trailers: readonly string[] | null = null

  constructor(exchange: Exchange, codings: readonly UnpackCoding[], decodedBytesMax: number) {
    this.#exchange = exchange
    this.#decoding = new Decoding(codings, decodedBytesMax, failure => this.#judged(failure))
  }

  bytes(bytes: Buffer, from: number, to: number): boolean {
    const copy = Buffer.from(bytes.subarray(from, to))
    const { head, bytesIn } = this.#exchange
    const last = head.framing === framing.length && bytesIn === head.contentLength
    if (last) this.#last = copy
    this.#waitingBytes += copy.length
    this.#decoding.write(copy, () => this.#passed(copy, last))
    this.#held = this.#waitingBytes >= waitingBytesMax
    return !this.#held
  }

  #passed(copy: Buffer, last: boolean): void {
    this.#waitingBytes -= copy.length
    if (last) return
    this.#exchange.worker.refresh()
    const room = this.#exchange.forwardBody(copy)
    if (!this.#held || this.#waitingBytes > 0) return
    this.#held = false
    // Without room the instance's connection says when it drained.
    if (room) this.#exchange.client?.resumeBody()
  }

  end(trailers: readonly string[] | null): void {
    this.#trailers = trailers
    this.#decoding.end()
  }

  #judged(failure: ClientFailure | null): void {
    const exchange = this.#exchange
    exchange.worker.refresh()
    if (failure !== null) {
      exchange.requestBodyBad(failure)
      return
    }
    if (this.#last !== null) exchange.forwardBody(this.#last)
    exchange.forwardBodyEnd(this.#trailers)
  }

  cancel(): void {
    this.#decoding.stop()
  }
}
