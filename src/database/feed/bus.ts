// The feed for caches inside services: JSON lines over loopback TCP. A client says `{token, after}` once and then acknowledges
// each line; it gets `{position, everything, tags, keys, database}` for each invalidation, `{position}` each two seconds, and
// `{position, gap: true}` where it can't be told what it missed. Positions are opaque: they are echoed, and void with this process.
//
// A client: hello (nothing said yet) -> listening (told and waited for) -> gone (it left, was slow, or said nonsense).

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Listener, Net, Stream, StreamHandler } from '../../io/net.ts'
import type { Invalidation } from './contract.ts'

const heartbeatMs = 2_000
const helloMsMax = 5_000
/** Longer than clients trust what they hold without a line (6 s): who is cut by then does not trust it any more. */
const ackMsMax = 8_000
const clientsMax = 1_024
/** A line of a client's. */
const lineBytesMax = 4_096
/** Lines that wait for a client that does not read. */
const unsentBytesMax = 4 * 1024 * 1024
/** What is kept for clients that come back. */
const keptLinesMax = 4_096
const keptBytesMax = 8 * 1024 * 1024

export interface BusOptions {
  readonly net: Net
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly token: string
}

interface Line {
  readonly number: number
  readonly bytes: Buffer
}

export class FeedBus {
  readonly #instance = randomBytes(6).toString('hex')
  readonly #token: Buffer
  readonly #clients = new Set<BusClient>()
  readonly #kept: Line[] = []
  #keptBytes = 0
  #number = 0
  #listener: Listener | null = null
  readonly #heartbeat: NodeJS.Timeout

  private constructor(token: string) {
    this.#token = digest(token)
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs)
  }

  /** Rejects with the system's code when the port can't be had. */
  static async open({ net, host, port, token }: BusOptions): Promise<FeedBus> {
    const bus = new FeedBus(token)
    try {
      bus.#listener = await net.listen({
        host,
        port,
        reusePort: false,
        backlog: 512,
        lean: true,
        handlerOf: stream => bus.#accept(stream),
      })
    } catch (cause) {
      bus.close()
      throw cause
    }
    return bus
  }

  get port(): number {
    return this.#listener?.port ?? 0
  }

  /** Those that are told. */
  get listening(): number {
    let count = 0
    for (const client of this.#clients) if (client.listening) count++
    return count
  }

  /** Resolves when everybody who listens has forgotten it, or was cut. */
  async tell({ database, everything, tags, keys }: Invalidation): Promise<void> {
    if (!everything && tags.length === 0 && keys.length === 0) return
    this.#number++
    const line = this.#lineOf({ position: this.#position, database, everything, tags, keys })
    this.#keep(line)
    const told = [...this.#clients].filter(client => client.listening)
    await Promise.all(told.map(client => client.tell(line)))
  }

  get #position(): string {
    return `${this.#instance}.${this.#number}`
  }

  #lineOf(value: object): Line {
    return { number: this.#number, bytes: Buffer.from(`${JSON.stringify(value)}\n`) }
  }

  #keep(line: Line): void {
    this.#kept.push(line)
    this.#keptBytes += line.bytes.length
    while (this.#kept.length > keptLinesMax || this.#keptBytes > keptBytesMax)
      this.#keptBytes -= (this.#kept.shift() as Line).bytes.length
  }

  #beat(): void {
    const line = this.#lineOf({ position: this.#position })
    for (const client of this.#clients) if (client.listening) client.send(line)
  }

  #accept(stream: Stream): StreamHandler {
    const client = new BusClient(stream, {
      hello: hello => this.#hello(client, hello),
      ack: position => this.#numberOf(position),
      gone: () => this.#clients.delete(client),
    })
    if (this.#clients.size >= clientsMax) stream.destroy()
    else this.#clients.add(client)
    return client
  }

  /** False: it may not listen. */
  #hello(client: BusClient, { token, after }: Record<string, unknown>): boolean {
    if (typeof token !== 'string' || !timingSafeEqual(digest(token), this.#token)) return false
    const from = this.#numberOf(after)
    const missed = this.#kept.filter(line => line.number > from)
    // Which of them were dropped from memory shows by a hole in front of them.
    const known = from >= 0 && from + missed.length === this.#number
    if (known) for (const line of missed) client.send(line)
    const gap = !known && after != null
    client.send(this.#lineOf({ position: this.#position, ...(gap ? { gap } : {}) }))
    return true
  }

  /** Below 0: of another process, or none. */
  #numberOf(position: unknown): number {
    if (typeof position !== 'string' || !position.startsWith(`${this.#instance}.`)) return -1
    const number = Number(position.slice(this.#instance.length + 1))
    return Number.isInteger(number) && number >= 0 && number <= this.#number ? number : -1
  }

  close(): void {
    clearInterval(this.#heartbeat)
    this.#listener?.close()
    for (const client of [...this.#clients]) client.leave()
  }
}

interface BusClientUser {
  hello(value: Record<string, unknown>): boolean
  ack(position: unknown): number
  gone(): void
}

interface Owed {
  readonly number: number
  readonly done: () => void
  readonly limit: NodeJS.Timeout
}

class BusClient implements StreamHandler {
  readonly #stream: Stream
  readonly #user: BusClientUser
  readonly #unsent: Buffer[] = []
  #unsentBytes = 0
  #blocked = false
  #owed: Owed[] = []
  #partial = ''
  #gone = false
  #limit: NodeJS.Timeout
  listening = false

  constructor(stream: Stream, user: BusClientUser) {
    this.#stream = stream
    this.#user = user
    this.#limit = setTimeout(() => this.leave(), helloMsMax)
  }

  /** Resolves when it was acknowledged, or the client is gone. */
  tell(line: Line): Promise<void> {
    return new Promise(done => {
      if (this.#gone) return done()
      this.#owed.push({ number: line.number, done, limit: setTimeout(() => this.leave(), ackMsMax) })
      this.send(line)
    })
  }

  send({ bytes }: Line): void {
    if (this.#gone) return
    if (!this.#blocked) {
      this.#blocked = !this.#stream.writeBytes(bytes, 0, bytes.length)
      return
    }
    this.#unsentBytes += bytes.length
    if (this.#unsentBytes > unsentBytesMax) this.leave()
    else this.#unsent.push(bytes)
  }

  drained(): void {
    const bytes = Buffer.concat(this.#unsent.splice(0))
    this.#unsentBytes = 0
    this.#blocked = bytes.length > 0 && !this.#stream.writeBytes(bytes, 0, bytes.length)
  }

  data(_stream: Stream, bytes: Buffer, length: number): void {
    // Tokens and positions are ASCII; what is not is no line of a client's.
    this.#partial += bytes.latin1Slice(0, length)
    for (let end = this.#partial.indexOf('\n'); end >= 0 && !this.#gone; end = this.#partial.indexOf('\n')) {
      const line = this.#partial.slice(0, end)
      this.#partial = this.#partial.slice(end + 1)
      if (!this.#take(line)) this.leave()
    }
    if (this.#partial.length > lineBytesMax) this.leave()
  }

  #take(line: string): boolean {
    const value = parsed(line)
    if (value === null) return false
    if (!this.listening) {
      if (!this.#user.hello(value)) return false
      clearTimeout(this.#limit)
      this.listening = true
      return true
    }
    const upTo = this.#user.ack(value.ack)
    const heard = this.#owed.filter(one => one.number <= upTo)
    this.#owed = this.#owed.filter(one => one.number > upTo)
    for (const { done, limit } of heard) {
      clearTimeout(limit)
      done()
    }
    return true
  }

  /** At once, from either side. */
  leave(): void {
    this.#end()
    this.#stream.destroy()
  }

  #end(): void {
    if (this.#gone) return
    this.#gone = true
    this.listening = false
    clearTimeout(this.#limit)
    this.#user.gone()
    for (const { done, limit } of this.#owed.splice(0)) {
      clearTimeout(limit)
      done()
    }
  }

  opened(): void {}

  ended(): void {
    this.leave()
  }

  closed(): void {
    this.#end()
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
