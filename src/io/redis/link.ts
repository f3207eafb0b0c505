// One connection to one Redis server, and whether that server may be relied on. Commands sent in one turn of the event
// loop leave in one write (node-redis corks them). A command has a deadline; nothing waits for a connection.
//
//   away    no connection; the next attempt is at a jittered, growing interval. Commands fail at once.
//   ready   commands flow. Too many late ones, or the connection's end, lead to `away`: this is the circuit.
//   closed  for good.

import { createClient, ErrorReply, RESP_TYPES, type RedisClientType } from 'redis'
import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Random } from '../../kit/random.ts'
import { redisFailures } from './failures.ts'
import type { Script } from './script.ts'

export type Argument = string | Buffer
/** What a server answers: bulk strings as Buffers. */
export type Reply =
  | Buffer
  | string
  | number
  | boolean
  | null
  | readonly Reply[]
  | { readonly [key: string]: Reply }

export interface LinkSettings {
  /** A command that takes longer fails; 500 ms when left out. */
  readonly timeoutMs: number
  /** Late or failed commands, less half of those answered in time, that open the circuit. */
  readonly failuresMax: number
  /** Commands under way at once; more fail at once, so that a slow server fills no memory. */
  readonly commandsMax: number
  /** Longest pause between attempts to connect. */
  readonly retryMsMax: number
}

export const linkDefaults: LinkSettings = {
  timeoutMs: 500,
  failuresMax: 5,
  commandsMax: 20_000,
  retryMsMax: 2_000,
}

export interface LinkEvents {
  /** Connected, answering, its channels subscribed. */
  onReady?(): void
  /** Is away: what it told us until now no longer counts. @param wasReady false: another attempt failed */
  onAway?(cause: Error, wasReady: boolean): void
  /** A message of one of the channels; called in the order of the answers. */
  onMessage?(message: string): void
  /** The server was emptied (FLUSHALL, FLUSHDB), by whomever. */
  onFlushed?(): void
}

/** Channels that are subscribed before the server is trusted; `sharded`: SSUBSCRIBE, for a cluster. */
export interface Channels {
  readonly names: readonly string[]
  readonly sharded: boolean
}

export interface LinkOptions {
  readonly url: string
  readonly clock: Clock
  readonly random: Random
  readonly settings?: Partial<LinkSettings>
  readonly events?: LinkEvents
  /** Asked at each connection. None: nothing is heard, neither messages nor flushes. */
  readonly channels?: () => Channels
}

export type LinkState = 'away' | 'ready' | 'closed'

export interface LinkCounts {
  answered: number
  failed: number
  late: number
  refused: number
  connections: number
}

interface Waiting {
  readonly deadline: number
  readonly reject: (error: Error) => void
  done: boolean
}

type Client = RedisClientType<Record<string, never>, Record<string, never>, Record<string, never>, 3>

const asBuffers = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const
const firstRetryMs = 50

export class RedisLink {
  /** `host:port`, never the password. */
  readonly name: string
  readonly counts: LinkCounts = { answered: 0, failed: 0, late: 0, refused: 0, connections: 0 }
  readonly settings: LinkSettings
  state: LinkState = 'away'
  /** Why it is away. */
  cause: Error | null = null
  readonly #options: LinkOptions
  #client: Client | null = null
  #waiting: Waiting[] = []
  #head = 0
  #sweep: NodeJS.Timeout | null = null
  #retry: NodeJS.Timeout | null = null
  #attempts = 0
  /** Late or failed commands, see `failuresMax`. */
  #score = 0
  #first: Promise<void>

  constructor(options: LinkOptions) {
    this.#options = options
    this.settings = { ...linkDefaults, ...options.settings }
    this.name = serverName(options.url)
    this.#first = this.#connect()
  }

  /** Resolves when the first attempt to connect has ended, either way. */
  get attempted(): Promise<void> {
    return this.#first
  }

  get ready(): boolean {
    return this.state === 'ready'
  }

  get underWay(): number {
    return this.#waiting.length - this.#head
  }

  /** @throws Failure `away`, `late`, `busy`; what the server refuses: its own error, whose message begins with its code. */
  ask<T extends Reply = Reply>(args: readonly Argument[]): Promise<T> {
    if (this.state !== 'ready') return Promise.reject(this.#refused())
    return this.#send<T>(args)
  }

  /** EVALSHA; where the server does not know the script (new, or SCRIPT FLUSH), once more with its text. */
  async run<T extends Reply = Reply>(
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
  ): Promise<T> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await this.ask<T>(['EVALSHA', script.sha, ...rest])
    } catch (error) {
      if (!isServerError(error, 'NOSCRIPT')) throw error
      return this.ask<T>(['EVAL', script.text, ...rest])
    }
  }

  /** What was told to the server may not have been heard: it is connected anew. */
  distrust(cause: Error): void {
    if (this.state === 'ready') this.#leave(cause)
  }

  close(): void {
    if (this.state === 'closed') return
    this.#leave(new Failure(redisFailures.closed, `The connection to ${this.name} was closed.`))
    this.state = 'closed'
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
  }

  #refused(): Failure {
    this.counts.refused++
    const why = this.cause === null ? '' : ` (${this.cause.message})`
    return this.state === 'closed'
      ? new Failure(redisFailures.closed, `The connection to ${this.name} was closed.`)
      : new Failure(redisFailures.away, `Redis at ${this.name} is away${why}.`)
  }

  #send<T>(args: readonly Argument[]): Promise<T> {
    const client = this.#client!
    if (this.underWay >= this.settings.commandsMax) {
      this.counts.refused++
      const sentence = `${this.settings.commandsMax} commands wait for Redis at ${this.name}.`
      return Promise.reject(new Failure(redisFailures.busy, sentence))
    }
    return new Promise<T>((resolve, reject) => {
      const deadline = this.#options.clock.monotonic() + this.settings.timeoutMs * 1_000
      const waiting: Waiting = { deadline, reject, done: false }
      this.#waiting.push(waiting)
      this.#sweep ??= setTimeout(() => this.#sweepLate(), this.settings.timeoutMs)
      client.sendCommand<T>(args, asBuffers).then(
        reply => {
          this.#settled(waiting, true)
          resolve(reply)
        },
        (error: Error) => {
          // The server's own errors are answers: it lives.
          if (waiting.done) return
          this.#settled(waiting, error instanceof ErrorReply)
          reject(error instanceof ErrorReply ? error : this.#awayBy(error))
        },
      )
    })
  }

  #settled(waiting: Waiting, answered: boolean): void {
    if (waiting.done) return
    waiting.done = true
    if (answered) {
      this.counts.answered++
      if (this.#score > 0) this.#score -= 0.5
    } else {
      this.counts.failed++
    }
    while (this.#head < this.#waiting.length && this.#waiting[this.#head]!.done) this.#head++
    // Settled ones are dropped in bulk: answers come in order, so the head moves with them.
    if (this.#head > 1_024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    } else if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0
      this.#head = 0
    }
  }

  #sweepLate(): void {
    this.#sweep = null
    const now = this.#options.clock.monotonic()
    const late = this.#waiting.slice(this.#head).filter(one => !one.done && one.deadline <= now)
    for (const one of late) {
      this.counts.late++
      this.#score++
      this.#settled(one, false)
      const sentence = `Redis at ${this.name} did not answer within ${this.settings.timeoutMs} ms.`
      one.reject(new Failure(redisFailures.late, sentence))
    }
    if (this.#score >= this.settings.failuresMax) {
      this.#leave(new Error(`${Math.floor(this.#score)} commands were late`))
      return
    }
    const next = this.#waiting[this.#head]
    if (next !== undefined)
      this.#sweep = setTimeout(() => this.#sweepLate(), Math.max(1, (next.deadline - now) / 1_000))
  }

  async #connect(): Promise<void> {
    this.#retry = null
    const client = this.#newClient()
    this.#client = client
    try {
      await this.#within(client.connect().then(() => this.#listen(client)))
      if (this.#client !== client) return
      this.state = 'ready'
      this.cause = null
      this.counts.connections++
      this.#score = 0
      this.#attempts = 0
      this.#options.events?.onReady?.()
    } catch (error) {
      if (this.#client === client) this.#leave(error as Error)
    }
  }

  #newClient(): Client {
    const client = createClient({
      url: this.#options.url,
      RESP: 3,
      disableOfflineQueue: true,
      maintNotifications: 'disabled',
      emitInvalidate: this.#options.channels !== undefined,
      socket: { reconnectStrategy: false, connectTimeout: this.settings.timeoutMs * 2 },
    }) as unknown as Client
    client.on('error', (error: Error) => {
      if (this.#client === client && this.state !== 'away') this.#leave(error)
    })
    return client
  }

  /**
   * Messages, and word of a flush: client tracking in a mode that tracks no key still brings that (a null payload), and
   * costs the server nothing.
   */
  async #listen(client: Client): Promise<void> {
    const { channels, events } = this.#options
    if (channels === undefined) return
    client.on('invalidate', (key: unknown) => {
      if (this.#client === client && key === null) events?.onFlushed?.()
    })
    await client.sendCommand(['CLIENT', 'TRACKING', 'OFF'])
    await client.sendCommand(['CLIENT', 'TRACKING', 'ON', 'OPTIN'])
    const heard = (message: string): void => {
      if (this.#client === client) events?.onMessage?.(message)
    }
    client.on('sharded-channel-moved', () => {
      if (this.#client === client) this.#leave(new Error('a channel moved to another server'))
    })
    const { names, sharded } = channels()
    if (names.length === 0) return
    // A channel each: they lie on different slots.
    if (sharded) await Promise.all(names.map(name => client.sSubscribe(name, heard)))
    else await client.subscribe([...names], heard)
  }

  /** A server that accepts connections and says nothing (stopped, swapping) must not hold the attempt for ever. */
  #within(work: Promise<void>): Promise<void> {
    const boundMs = this.settings.timeoutMs * 4
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`nothing was answered within ${boundMs} ms of connecting`)),
        boundMs,
      )
      work.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  #leave(cause: Error): void {
    const was = this.state
    if (was === 'closed') return
    this.state = 'away'
    this.cause = cause
    const client = this.#client
    this.#client = null
    this.#failAll(cause)
    if (client?.isOpen) client.destroy()
    this.#attempts++
    const pauseMs = Math.min(this.settings.retryMsMax, firstRetryMs * 2 ** Math.min(this.#attempts - 1, 10))
    const jittered = pauseMs * (0.5 + this.#options.random.float() / 2)
    this.#retry = setTimeout(() => void this.#connect(), jittered)
    // The service may end while Redis is away; being connected keeps no process alive either.
    this.#retry.unref()
    this.#options.events?.onAway?.(cause, was === 'ready')
  }

  #failAll(cause: Error): void {
    if (this.#sweep !== null) clearTimeout(this.#sweep)
    this.#sweep = null
    const open = this.#waiting.slice(this.#head).filter(one => !one.done)
    this.#waiting = []
    this.#head = 0
    for (const one of open) {
      one.done = true
      this.counts.failed++
      one.reject(this.#awayBy(cause))
    }
  }

  #awayBy(cause: Error): Failure {
    return new Failure(redisFailures.away, `Redis at ${this.name} is away (${cause.message}).`, { cause })
  }
}

/** An error that the server answered: `isServerError(error, 'NOSCRIPT')`. Its code is the first word of the message. */
export function isServerError(error: unknown, code?: string): error is Error {
  return error instanceof ErrorReply && (code === undefined || error.message.startsWith(code))
}

/** @throws Failure `addressWrong` */
export function serverName(url: string): string {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    const sentence = `${url.replace(/\/\/[^@/]*@/, '//...@')} is no address of a Redis server.`
    throw new Failure(redisFailures.addressWrong, sentence)
  }
  const { hostname, port } = new URL(url)
  return `${hostname}:${port === '' ? '6379' : port}`
}
