// Compression on the fly: stands between an instance's answer and its client where the route asks for it, the client
// takes it, and nothing forbids it (RFC 9110 7.7, 8.8.1, 12.5.3). Streams: what the instance has sent goes out when it
// pauses. What waits is bounded on both sides; when too many answers are compressed at once, further ones go out as they are.
// Answers with secrets beside what the client chose can be guessed by their length (BREACH): docs/operate/compression.md.

import { type ByteStream, packStream, zstdSupported } from '../io/zlib.ts'
import { acceptanceOf, bestCoding, type Coding, isOfTypes } from '../policy/negotiate.ts'
import { fieldId } from '../wire/fields.ts'
import { framing, type Http1ResponseHead } from '../wire/http1/index.ts'
import type { Exchange } from './exchange.ts'
import type { HeadEdits, ResponseSink, ResponseStep } from './response-sink.ts'
import type { CompressSpec, RouteSpec } from './snapshot.ts'

/** Per worker, answers that are being compressed: each holds up to 1 MB with its window. */
const atOnceMax = 256
/** Bytes that wait to be compressed, beyond which the instance is held. */
const waitingBytesMax = 65_536
/** A pause of the instance: what it sent so far is worth sending. */
const pauseMs = 10
/** They speak about other bytes than those that are sent (RFC 9530, RFC 1864). */
const digests = ['content-digest', 'repr-digest', 'digest', 'content-md5']
const varyLine = 'Vary: Accept-Encoding\r\n'

/** Shared by the steps of a worker. */
export interface CompressLoad {
  atOnce: number
}

export function compressStep(load: CompressLoad, { compress }: RouteSpec): ResponseStep | null {
  return compress === undefined ? null : new CompressStep(load, compress)
}

class CompressStep implements ResponseStep {
  readonly #load: CompressLoad
  readonly #spec: CompressSpec
  readonly #encodings: readonly Coding[]

  constructor(load: CompressLoad, spec: CompressSpec) {
    this.#load = load
    this.#spec = spec
    this.#encodings = spec.encodings.filter(one => one !== 'zstd' || zstdSupported)
  }

  begin(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    if (head.status === 304) return this.#unchanged(exchange, head)
    if (!this.#couldBeCoded(exchange, head)) return null
    const coding = bestCoding(acceptanceOf(exchange.head.find('accept-encoding')), this.#encodings)
    const coded = coding !== null && coding !== 'identity' && head.status !== 206
    if (!coded || this.#load.atOnce >= atOnceMax) {
      exchange.extraFields += varyOf(head)
      return null
    }
    const edits = editsFor(head, coding)
    if (exchange.head.method !== 'HEAD')
      return new CompressSink(exchange, head, edits, this.#load, coding, this.#spec.level)
    exchange.sendHead(head, framing.none, edits)
    return new BodilessSink(exchange)
  }

  /** Whatever this client takes: these answers say Vary. */
  #couldBeCoded(exchange: Exchange, head: Http1ResponseHead): boolean {
    const { status } = head
    const isHead = exchange.head.method === 'HEAD'
    if (status < 200 || status === 204 || (head.framing === framing.none && !isHead)) return false
    const coding = head.value(fieldId['content-encoding'])
    if (coding !== undefined && coding.toLowerCase() !== 'identity') return false
    const type = head.value(fieldId['content-type'])
    if (type === undefined || /^text\/event-stream/i.test(type) || !isOfTypes(type, this.#spec.types))
      return false
    if (/(?:^|[,\s])no-transform(?:$|[,\s])/i.test(head.find('cache-control') ?? '')) return false
    const length = lengthOf(head, isHead)
    return length < 0 || length >= this.#spec.bytesMin
  }

  /** It must speak of what the client has: the weak tag that it was given (RFC 9111 4.3.3). */
  #unchanged(exchange: Exchange, head: Http1ResponseHead): ResponseSink | null {
    exchange.extraFields += varyOf(head)
    const tag = head.value(fieldId.etag)
    const asked = exchange.head.find('if-none-match')
    if (tag === undefined || tag.startsWith('W/') || !(asked?.includes(`W/${tag}`) ?? false)) return null
    exchange.sendHead(head, framing.none, { drop: ['etag'], add: `ETag: W/${tag}\r\n` })
    return new BodilessSink(exchange)
  }
}

/** -1: not known. A HEAD's answer says the length that GET's would have. */
function lengthOf(head: Http1ResponseHead, isHead: boolean): number {
  if (isHead) return head.firstOf(fieldId['content-length']) < 0 ? -1 : head.contentLength
  return head.framing === framing.length ? head.contentLength : -1
}

/** '' where the instance says it, or `*`, already. */
function varyOf(head: Http1ResponseHead): string {
  return /(?:^|[,\s])(?:accept-encoding|\*)(?:$|[,\s])/i.test(head.find('vary') ?? '') ? '' : varyLine
}

/** A strong tag becomes weak: the same text may be compressed to other bytes the next time (RFC 9110 8.8.1). */
function editsFor(head: Http1ResponseHead, coding: Coding): HeadEdits {
  const tag = head.value(fieldId.etag)
  const strong = tag !== undefined && !tag.startsWith('W/')
  const drop = ['content-length', 'content-encoding', ...digests]
  if (strong) drop.push('etag')
  const weak = strong ? `ETag: W/${tag}\r\n` : ''
  return { drop, add: `Content-Encoding: ${coding}\r\n${weak}${varyOf(head)}` }
}

/** Its head is sent and there is no body. */
class BodilessSink implements ResponseSink {
  readonly #exchange: Exchange

  constructor(exchange: Exchange) {
    this.#exchange = exchange
  }
  text(): void {}
  bytes(): boolean {
    return true
  }
  end(trailers: readonly string[] | null): void {
    this.#exchange.sinkDone(trailers)
  }
  drained(): void {}
  cancel(): void {}
}

class CompressSink implements ResponseSink {
  readonly #exchange: Exchange
  readonly #load: CompressLoad
  readonly #stream: ByteStream
  #trailers: readonly string[] | null = null
  #waitingBytes = 0
  #held = false
  #ended = false
  #over = false
  /** Written since the last flush, and since the timer was set. */
  #unflushed = false
  #moved = false
  #timer: NodeJS.Timeout | null = null

  constructor(
    exchange: Exchange,
    head: Http1ResponseHead,
    edits: HeadEdits,
    load: CompressLoad,
    coding: Coding,
    level: CompressSpec['level'],
  ) {
    this.#exchange = exchange
    this.#load = load
    load.atOnce++
    this.#stream = packStream(coding, level, {
      bytes: bytes => this.#send(bytes),
      end: () => this.#finish(),
      failed: () => this.#fail(),
    })
    exchange.sendHead(head, framing.chunked, edits)
  }

  // --- from the instance --------------------------------------------------------------------------------------

  text(text: string): void {
    this.#push(Buffer.from(text, 'latin1'))
  }

  /** A copy: the read buffer is somebody else's by the time that the compressor comes to it. */
  bytes(bytes: Buffer, from: number, to: number): boolean {
    this.#push(Buffer.from(bytes.subarray(from, to)))
    this.#held = this.#waitingBytes >= waitingBytesMax
    return !this.#held
  }

  #push(copy: Buffer): void {
    if (copy.length === 0) return
    this.#waitingBytes += copy.length
    this.#unflushed = this.#moved = true
    this.#stream.write(copy, () => this.#taken(copy.length))
    if (this.#timer === null) this.#watch()
  }

  #taken(count: number): void {
    this.#waitingBytes -= count
    if (!this.#held || this.#waitingBytes > 0) return
    this.#held = false
    this.#exchange.worker.refresh()
    this.#exchange.resumeResponse()
  }

  /** Nothing came for a while: what came before is not kept back. */
  #look(): void {
    this.#timer = null
    if (this.#ended || !this.#unflushed) return
    if (this.#moved) {
      this.#watch()
      return
    }
    this.#unflushed = false
    this.#stream.flush()
  }

  #watch(): void {
    this.#moved = false
    this.#timer = setTimeout(() => this.#look(), pauseMs)
  }

  end(trailers: readonly string[] | null): void {
    this.#trailers = trailers
    this.#ended = true
    this.#stream.end()
  }

  drained(): void {
    this.#stream.resume()
  }

  cancel(): void {
    this.#letGo()
    this.#stream.destroy()
  }

  #letGo(): void {
    if (this.#over) return
    this.#over = true
    this.#load.atOnce--
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  // --- from the compressor ------------------------------------------------------------------------------------

  /** Its memory is the compressor's no more, and never written again: the client may read from it as long as it likes. */
  #send(bytes: Buffer): void {
    const { client, worker } = this.#exchange
    worker.refresh()
    if (client !== null && !client.bodyBytes(bytes, 0, bytes.length)) this.#stream.pause()
  }

  #finish(): void {
    this.#exchange.worker.refresh()
    this.#letGo()
    this.#exchange.sinkDone(this.#trailers)
  }

  #fail(): void {
    this.#exchange.worker.refresh()
    this.#exchange.sinkFailed('compression-failed')
  }
}
