// The change feed as a service hears it: committed changes in the database, as names of what to forget. JSON lines over
// TCP: `{token, after}` once, then `{position, everything, tags, keys}` for each commit, `{position, gap: true}` where it
// can't be told what was missed, `{position}` each two seconds; `{ack}` back after each. Reconnects by itself for ever.
// What is forgotten, and what may be held while nothing is heard, is its owner's business.
//
// States: connecting -> heard (from the first line) -> silent (connection gone or no line for `staleAfterMs`) -> heard.
// Only in `heard` may its owner trust what he holds; short losses without a gap never leave it.

import { connectLines, type LineSocket } from '../../io/line-socket.ts'
import type { Clock } from '../../kit/clock.ts'
import { Failure } from '../../kit/failure.ts'
import type { Forgotten } from './contract.ts'
import { cacheFailures } from './failures.ts'
import { checkedNumber, type FeedOptions } from './options.ts'

export interface FeedUser {
  forget(what: Forgotten): void
  /** Nothing was heard for too long: what is held may be stale. */
  lost(): void
  /** Heard again, everything from then on. */
  regained(): void
  /** It can't be told what was missed: everything may be stale. */
  gap(): void
}

export interface FeedClient {
  close(): void
}

const connectTimeoutMs = 2_000
const retryMs = 250
const retryMsMax = 5_000
const msUs = 1_000

interface FeedLine {
  readonly position?: unknown
  readonly gap?: boolean
  readonly everything?: boolean
  readonly tags?: readonly string[]
  readonly keys?: readonly string[]
}

interface FeedPlace {
  readonly host: string
  readonly port: number
  readonly token: string
}

export function feedPlace(text: string): FeedPlace {
  const url = URL.parse(text)
  const token = url?.searchParams.get('token')
  if (url?.protocol !== 'tcp:' || url.hostname === '' || url.port === '' || !token)
    throw new Failure(
      cacheFailures.feedUrl,
      `the feed's address ${text.replace(/token=.*/, 'token=...')} is not of the form tcp://HOST:PORT?token=TOKEN`,
    )
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port), token }
}

/** Its owner begins as one who has not heard of it: `regained` comes with the first line. */
export function openFeed(options: FeedOptions, clock: Clock, user: FeedUser): FeedClient {
  const { staleAfterMs = 6_000 } = options
  checkedNumber('feed', 'staleAfterMs', staleAfterMs, 100, 3_600_000)
  return new Client(feedPlace(options.url), staleAfterMs, clock, user)
}

class Client implements FeedClient {
  readonly #place: FeedPlace
  readonly #staleAfterMs: number
  readonly #clock: Clock
  readonly #user: FeedUser
  #socket: LineSocket | null = null
  /** Opaque: what the feed gave. Null: from now on. */
  #position: unknown = null
  #heard = false
  #lastAt = 0
  #retryMs = retryMs
  #closed = false
  #watch: ReturnType<typeof setInterval>
  #retry: ReturnType<typeof setTimeout> | null = null

  constructor(place: FeedPlace, staleAfterMs: number, clock: Clock, user: FeedUser) {
    this.#place = place
    this.#staleAfterMs = staleAfterMs
    this.#clock = clock
    this.#user = user
    // Four looks in that time: noticed a quarter late at worst.
    this.#watch = setInterval(() => this.#look(), Math.max(25, staleAfterMs / 4)).unref()
    void this.#connect()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#watch)
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#socket?.close()
  }

  async #connect(): Promise<void> {
    try {
      const socket = await connectLines(this.#place, connectTimeoutMs, {
        onValue: value => this.#line(value as FeedLine),
        onEnd: () => this.#ended(),
      })
      if (this.#closed) return socket.close()
      this.#socket = socket
      this.#retryMs = retryMs
      socket.send({ token: this.#place.token, after: this.#position })
    } catch {
      this.#ended()
    }
  }

  #ended(): void {
    this.#socket = null
    if (this.#closed) return
    this.#retry = setTimeout(() => void this.#connect(), this.#retryMs).unref()
    this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2)
  }

  #line(line: FeedLine): void {
    const { position, gap = false, everything = false, tags = [], keys = [] } = line
    this.#lastAt = this.#clock.monotonic()
    if (gap) this.#user.gap()
    else if (everything || tags.length > 0 || keys.length > 0)
      this.#user.forget({ keys, tags, everything, soft: false })
    this.#position = position ?? this.#position
    if (!this.#heard) {
      this.#heard = true
      this.#user.regained()
    }
    this.#socket?.send({ ack: position })
  }

  #look(): void {
    if (!this.#heard || this.#clock.monotonic() - this.#lastAt < this.#staleAfterMs * msUs) return
    this.#heard = false
    // A connection that says nothing is none; the next one asks from the last position on.
    this.#socket?.close()
    if (this.#socket !== null) this.#ended()
    this.#user.lost()
  }
}
