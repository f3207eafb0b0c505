// One client's session on one shard: an ordinary session of that shard's router, over a stream in this process. Two manners:
// *passed on*: the client's own bytes go in, the answer goes out to the client untouched, and only its ends are counted;
// *asked*: one statement at a time, its answer read message by message. Never both at once.

import type { Stream } from '../../io/net.ts'
import {
  backend,
  bindFormattedMessage,
  copyDoneMessage,
  copyFailMessage,
  describeMessage,
  executeMessage,
  idleStatus,
  parseMessage,
  portalTarget,
  queryMessage,
  type ReportFields,
  readCommandTag,
  readParameterDescription,
  readReport,
  statementTarget,
  syncMessage,
} from '../../wire/postgres/index.ts'
import { ClientSession } from '../router/client-session.ts'
import type { DatabaseRouting } from '../router/database-routing.ts'
import type { SettingsSet } from '../router/settings.ts'
import { FrameWalk, PassingWalk } from './answer-walk.ts'
import {
  type SeatCopy,
  type SeatEnd,
  SeatLost,
  type SeatRequest,
  type SeatSink,
  type ShardSeat,
} from './contract.ts'
import { SeatStream, type StreamEnd } from './seat-stream.ts'

/** Who has the seat: the front of its client. */
export interface SeatOwner {
  /** Bytes of an answer that is passed on; as `Stream.writeBytes`. */
  passed(bytes: Buffer, from: number, to: number): boolean
  /** So many batches that were passed on have been answered, and all bytes of them been passed. */
  passedReady(seat: Seat, readies: number): void
  /** ParameterStatus, NoticeResponse or NotificationResponse that belongs to no statement; a whole frame, a copy. */
  unasked(frame: Buffer): void
  /** The session on the shard is gone, with the last error it said, if it said one. */
  seatLost(seat: Seat, errorFrame: Buffer | null): void
  /** What was kept because the shard took no more has been taken. */
  seatDrained(seat: Seat): void
}

export interface SeatStart {
  readonly shard: number
  readonly id: string
  readonly routing: DatabaseRouting
  readonly client: Pick<Stream, 'remoteAddress' | 'remotePort'>
  readonly userName: string
  readonly settings: SettingsSet
  readonly owner: SeatOwner
}

interface Asked {
  readonly sink: SeatSink
  /** An answer to a frame that is no row and no end. */
  readonly other?: (type: number, bytes: Buffer, from: number, to: number) => void
  readonly done: (end: SeatEnd) => void
  readonly lost: (lost: SeatLost) => void
  tag: string | null
  error: ReportFields | null
  errorFrame: Buffer | null
}

const letters: Readonly<Record<number, 'I' | 'T' | 'E'>> = { 73: 'I', 84: 'T', 69: 'E' }
/** query_canceled */
const canceled = '57014'
const noSink: SeatSink = { row: () => {} }

export class Seat implements ShardSeat, StreamEnd {
  readonly shard: number
  readonly id: string
  readonly session: ClientSession
  readonly #stream: SeatStream
  readonly #owner: SeatOwner
  readonly #passing = new PassingWalk()
  readonly #frames: FrameWalk
  #status: number = idleStatus
  #greeted = false
  #lost = false
  #mode: 'asked' | 'passing' = 'asked'
  /** What was sent and is not answered, in its order: one, but where something was sent right behind it. */
  readonly #asked: Asked[] = []
  /** The end of the last call that was made. */
  #line: Promise<unknown> = Promise.resolve()
  #lastError: Buffer | null = null
  #instead: Buffer | null = null
  #drainWaiters: (() => void)[] = []
  /** Batches passed on that are not answered yet. */
  owed = 0

  constructor(start: SeatStart) {
    this.shard = start.shard
    this.id = start.id
    this.#owner = start.owner
    this.#frames = new FrameWalk((type, bytes, from, to) => this.#frame(type, bytes, from, to))
    this.#stream = new SeatStream(this, start.client)
    this.session = new ClientSession(start.routing, this.#stream, {
      userName: start.userName,
      settings: start.settings,
      processId: 0,
      key: Buffer.alloc(4),
      over: () => {},
    })
    this.#stream.handler = this.session
    this.session.begin()
  }

  get status(): 'I' | 'T' | 'E' {
    return letters[this.#status] ?? 'I'
  }

  get lost(): boolean {
    return this.#lost
  }

  // --- passed on ----------------------------------------------------------------------------------------------

  /** `batches`: how many ReadyForQuery these bytes will bring. Only while nothing is asked. */
  pass(bytes: Buffer, from: number, to: number, batches: number): void {
    this.#mode = 'passing'
    this.owed += batches
    this.#stream.send(bytes, from, to)
  }

  /** Nothing that was passed on is owed, nothing is asked. */
  get free(): boolean {
    return this.owed === 0 && this.#asked.length === 0
  }

  get keptBytes(): number {
    return this.#stream.keptBytes
  }

  /** The client takes bytes again. */
  drain(): void {
    this.#stream.drain()
  }

  // --- asked --------------------------------------------------------------------------------------------------

  run(request: SeatRequest, sink: SeatSink, behind?: string): Promise<SeatEnd> {
    const frames = [
      parseMessage('', request.sql, request.types),
      bindFormattedMessage('', '', request.parameters, request.parameterFormats, request.resultFormats),
      describeMessage(portalTarget, ''),
      executeMessage('', 0),
      syncMessage,
    ]
    if (behind === undefined) return this.#ask(frames, sink)
    return this.#turn(() => {
      const first = this.#begin(frames, sink)
      const last = this.#begin([queryMessage(behind)], noSink)
      const whole = Promise.all([first, last]).then(([end]) => end)
      return { first: whole, whole }
    })
  }

  command(sql: string): Promise<SeatEnd> {
    return this.#ask([queryMessage(sql)], noSink)
  }

  /** A simple Query whose rows go to the sink. */
  query(sql: string, sink: SeatSink): Promise<SeatEnd> {
    return this.#ask([queryMessage(sql)], sink)
  }

  /** Whole messages of the client's own that end with one Sync or are one Query. `other` gets what is no row, tag or error. */
  exchange(
    frames: readonly Buffer[],
    sink: SeatSink,
    other: (type: number, bytes: Buffer, from: number, to: number) => void,
  ): Promise<SeatEnd> {
    return this.#ask(frames, sink, other)
  }

  async describe(
    sql: string,
    types: readonly number[],
  ): Promise<{ end: SeatEnd; types: readonly number[]; fields: Buffer | null }> {
    let known: readonly number[] = []
    let fields: Buffer | null = null
    const end = await this.#ask(
      [parseMessage('', sql, types), describeMessage(statementTarget, ''), syncMessage],
      {
        row: () => {},
        fields: frame => {
          fields = frame
        },
      },
      (type, bytes, from, to) => {
        if (type === backend.parameterDescription) known = readParameterDescription(bytes, from + 5, to) ?? []
      },
    )
    return { end, types: known, fields }
  }

  async copyIn(sql: string): Promise<SeatCopy | SeatEnd> {
    return this.#turn(() => {
      const began = Promise.withResolvers<SeatCopy | SeatEnd>()
      const sent = Promise.withResolvers<void>()
      const finish = (frame: Buffer): Promise<SeatEnd> => {
        this.#stream.send(frame, 0, frame.length)
        sent.resolve()
        return ended
      }
      const ended = this.#begin([queryMessage(sql)], noSink, (type, bytes, from, to) => {
        if (type !== backend.copyInResponse) return
        began.resolve({
          frame: Buffer.from(bytes.subarray(from, to)),
          send: (data, start, stop) => this.#sendCopy(data, start, stop),
          drained: () => this.#drained(),
          done: () => finish(copyDoneMessage),
          fail: reason => finish(copyFailMessage(reason)),
        })
      })
      ended.then(began.resolve, began.reject)
      return { first: began.promise, whole: Promise.race([sent.promise, ended]) }
    })
  }

  pause(): void {
    this.session.server?.stream.pause()
    this.#slow = true
  }

  resume(): void {
    if (!this.#slow) return
    this.#slow = false
    this.#stream.drain()
  }
  #slow = false

  /** @param instead the ErrorResponse that stands for the server's 57014, of what is asked */
  cancel(instead: Buffer | null = null): void {
    this.#instead = instead
    this.session.cancel()
  }

  get cancelling(): boolean {
    return (this.session.server?.cancels ?? 0) > 0
  }

  /** The client has gone, or needs the seat no more: what is open is rolled back by the shard's router. */
  close(): void {
    if (this.#lost) return
    this.#lost = true
    this.#stream.close()
    this.#loseAsked(false)
  }

  #sendCopy(bytes: Buffer, from: number, to: number): boolean {
    const copy = Buffer.allocUnsafe(5 + to - from)
    copy[0] = 0x64
    copy.writeInt32BE(4 + to - from, 1)
    bytes.copy(copy, 5, from, to)
    return this.#stream.send(copy, 0, copy.length) === 0
  }

  #drained(): Promise<void> {
    if (this.#stream.keptBytes === 0 || this.#lost) return Promise.resolve()
    return new Promise(resolve => this.#drainWaiters.push(resolve))
  }

  #ask(frames: readonly Buffer[], sink: SeatSink, other?: Asked['other']): Promise<SeatEnd> {
    return this.#turn(() => {
      const whole = this.#begin(frames, sink, other)
      return { first: whole, whole }
    })
  }

  /** One after another: the next begins when the whole of the one before has ended. */
  #turn<T>(begin: () => { first: Promise<T>; whole: Promise<unknown> }): Promise<T> {
    const before = this.#line
    const result = Promise.withResolvers<T>()
    this.#line = before.then(async () => {
      const { first, whole } = begin()
      first.then(result.resolve, result.reject)
      await whole.catch(() => {})
    })
    return result.promise
  }

  #begin(frames: readonly Buffer[], sink: SeatSink, other?: Asked['other']): Promise<SeatEnd> {
    if (this.#lost) return Promise.reject(new SeatLost(this.shard, `shard ${this.id} is gone`, true))
    this.#mode = 'asked'
    const { promise, resolve, reject } = Promise.withResolvers<SeatEnd>()
    this.#asked.push({
      sink,
      ...(other === undefined ? {} : { other }),
      done: resolve,
      lost: reject,
      tag: null,
      error: null,
      errorFrame: null,
    })
    const bytes = frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames)
    this.#stream.send(bytes, 0, bytes.length)
    return promise
  }

  // --- what the session says ----------------------------------------------------------------------------------

  written(bytes: Buffer, from: number, to: number): boolean {
    if (this.#mode === 'passing' && this.#greeted && this.owed > 0) {
      this.#passing.walk(bytes, from, to)
      const taken = this.#owner.passed(bytes, from, to)
      const readies = this.#passing.take()
      if (readies > 0) {
        this.#status = this.#passing.status
        this.owed -= readies
        this.#owner.passedReady(this, readies)
      }
      return taken
    }
    this.#frames.walk(bytes, from, to)
    return !this.#slow
  }

  wanted(): void {
    const waiters = this.#drainWaiters
    this.#drainWaiters = []
    for (const resolve of waiters) resolve()
    this.#owner.seatDrained(this)
  }

  over(): void {
    if (this.#lost) return
    this.#lost = true
    this.#loseAsked(false)
    this.wanted()
    this.#owner.seatLost(this, this.#lastError)
  }

  #loseAsked(unsent: boolean): void {
    for (const asked of this.#asked.splice(0))
      asked.lost(new SeatLost(this.shard, `the session on shard ${this.id} has ended`, unsent))
  }

  #frame(type: number, bytes: Buffer, from: number, to: number): void {
    const asked = this.#asked[0]
    switch (type) {
      case backend.dataRow:
        asked?.sink.row(bytes, from, to)
        return
      case backend.readyForQuery:
        this.#ready(bytes[from + 5] as number)
        return
      case backend.errorResponse:
        this.#lastError = Buffer.from(bytes.subarray(from, to))
        if (asked !== undefined && asked.errorFrame === null) {
          asked.error = readReport(bytes, from + 5, to)
          asked.errorFrame = this.#lastError
          if (asked.error?.code === canceled && this.#instead !== null) {
            asked.error = readReport(this.#instead, 5, this.#instead.length)
            asked.errorFrame = this.#instead
          }
        }
        return
      case backend.commandComplete:
        if (asked !== undefined) asked.tag = readCommandTag(bytes, from + 5, to) ?? ''
        return
      case backend.emptyQueryResponse:
        if (asked !== undefined) asked.tag = ''
        return
      case backend.rowDescription:
        asked?.sink.fields?.(Buffer.from(bytes.subarray(from, to)))
        return
      case backend.copyOutResponse:
        asked?.sink.copyOut?.(Buffer.from(bytes.subarray(from, to)))
        return
      case backend.copyData:
        asked?.sink.copyData?.(bytes, from, to)
        return
      case backend.noticeResponse:
      case backend.notificationResponse:
      case backend.parameterStatus:
        this.#aside(type, Buffer.from(bytes.subarray(from, to)))
        return
      default:
        asked?.other?.(type, bytes, from, to)
    }
  }

  #aside(type: number, frame: Buffer): void {
    if (!this.#greeted) return
    const notice = this.#asked[0]?.sink.notice
    if (type === backend.noticeResponse && notice !== undefined) notice(frame)
    else this.#owner.unasked(frame)
  }

  #ready(status: number): void {
    if (!this.#greeted) {
      this.#greeted = true
      return
    }
    this.#status = status
    this.#instead = null
    const asked = this.#asked.shift()
    if (asked === undefined) return
    const { tag, error, errorFrame } = asked
    asked.done(
      errorFrame === null
        ? { tag: tag ?? '', error: null, errorFrame: null }
        : { tag: null, error, errorFrame },
    )
  }
}
