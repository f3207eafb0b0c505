// Seats over plain connections to servers, for tests of what runs statements over several shards: without a router, so that a
// test sees what is sent, held back and left behind. Counts what is buffered.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { serverLogin } from '../../src/database/auth/index.ts'
import { FrameWalk } from '../../src/database/shards/answer-walk.ts'
import {
  type SeatCopy,
  type SeatEnd,
  SeatLost,
  type SeatRequest,
  type SeatSink,
  type ShardSeat,
  type ShardSeats,
} from '../../src/database/shards/contract.ts'
import type { GatherPlaces } from '../../src/database/shards/gather/index.ts'
import type { ShardMap } from '../../src/policy/shard/contract.ts'
import {
  backend,
  bindFormattedMessage,
  cancelRequest,
  copyDoneMessage,
  copyFailMessage,
  describeMessage,
  executeMessage,
  parseMessage,
  portalTarget,
  queryMessage,
  type ReportFields,
  readBackendKeyData,
  readCommandTag,
  readParameterDescription,
  readReport,
  startupMessage,
  statementTarget,
  syncMessage,
} from '../../src/wire/postgres/index.ts'

export interface SeatTarget {
  readonly host: string
  readonly port: number
  readonly database: string
}

interface Asked {
  readonly sink: SeatSink
  readonly other: (type: number, frame: Buffer) => void
  readonly done: PromiseWithResolvers<SeatEnd>
  tag: string | null
  error: ReportFields | null
  errorFrame: Buffer | null
}

export class PlainSeat implements ShardSeat {
  readonly shard: number
  readonly id: string
  status: 'I' | 'T' | 'E' = 'I'
  lost = false
  cancels = 0
  pauses = 0
  /** Rows that came. */
  rows = 0
  /** Texts that were sent, in their order. */
  readonly said: string[] = []
  readonly #socket: Socket
  readonly #target: SeatTarget
  readonly #asked: Asked[] = []
  #line: Promise<unknown> = Promise.resolve()
  #key: { processId: number; key: Buffer } | null = null
  #logIn: ((type: number, frame: Buffer) => void) | null = null

  private constructor(shard: number, socket: Socket, target: SeatTarget) {
    this.shard = shard
    this.id = String(shard + 1)
    this.#socket = socket
    this.#target = target
    const walk = new FrameWalk((type, bytes, from, to) => this.#frame(type, bytes, from, to))
    socket.on('data', (chunk: Buffer) => walk.walk(chunk, 0, chunk.length))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.lost = true
      for (const asked of this.#asked.splice(0))
        asked.done.reject(new SeatLost(shard, 'the connection ended', false))
    })
  }

  static async open(shard: number, target: SeatTarget): Promise<PlainSeat> {
    const socket = connect(target.port, target.host)
    await once(socket, 'connect')
    socket.setNoDelay(true)
    const seat = new PlainSeat(shard, socket, target)
    const login = serverLogin({ user: 'tenfold', password: 'secret', md5Allowed: false, secure: false })
    const ready = Promise.withResolvers<void>()
    seat.#logIn = (type, frame) => {
      if (type === backend.readyForQuery) {
        seat.#logIn = null
        ready.resolve()
      } else if (type === backend.backendKeyData) {
        seat.#key = readBackendKeyData(frame, 5, frame.length)
      } else if (type === backend.authentication) {
        const step = login.take(frame.subarray(5))
        assert.notEqual(step.kind, 'refused')
        if (step.kind === 'send') socket.write(step.bytes)
      } else if (type === backend.errorResponse) ready.reject(new Error(frame.toString()))
    }
    socket.write(startupMessage(0x30000, { user: 'tenfold', database: target.database }))
    await ready.promise
    return seat
  }

  run(request: SeatRequest, sink: SeatSink, behind?: string): Promise<SeatEnd> {
    this.said.push(request.sql)
    const end = this.#ask(sink, () => {}, [
      parseMessage('', request.sql, request.types),
      bindFormattedMessage('', '', request.parameters, request.parameterFormats, request.resultFormats),
      describeMessage(portalTarget, ''),
      executeMessage('', 0),
      syncMessage,
    ])
    return behind === undefined ? end : Promise.all([end, this.command(behind)]).then(([first]) => first)
  }

  command(sql: string): Promise<SeatEnd> {
    this.said.push(sql)
    return this.#ask({ row: () => {} }, () => {}, [queryMessage(sql)])
  }

  async describe(sql: string, types: readonly number[]): ReturnType<ShardSeat['describe']> {
    let found: readonly number[] = []
    let fields: Buffer | null = null
    const sink: SeatSink = {
      row: () => {},
      fields: frame => {
        fields = frame
      },
    }
    const end = await this.#ask(
      sink,
      (type, frame) => {
        if (type === backend.parameterDescription)
          found = readParameterDescription(frame, 5, frame.length) ?? []
      },
      [parseMessage('', sql, types), describeMessage(statementTarget, ''), syncMessage],
    )
    return { end, types: found, fields }
  }

  async copyIn(sql: string): Promise<SeatCopy | SeatEnd> {
    this.said.push(sql)
    const began = Promise.withResolvers<SeatCopy | SeatEnd>()
    const ended = this.#ask(
      { row: () => {} },
      (type, frame) => {
        if (type !== backend.copyInResponse) return
        const finish = (message: Buffer): Promise<SeatEnd> => {
          this.#socket.write(message)
          return ended
        }
        began.resolve({
          frame,
          send: (bytes, from, to) => {
            const message = Buffer.alloc(5 + to - from)
            message[0] = 0x64
            message.writeInt32BE(4 + to - from, 1)
            bytes.copy(message, 5, from, to)
            return this.#socket.write(message)
          },
          drained: async () => {
            if (this.#socket.writableNeedDrain) await once(this.#socket, 'drain')
          },
          done: () => finish(copyDoneMessage),
          fail: reason => finish(copyFailMessage(reason)),
        })
      },
      [queryMessage(sql)],
    )
    ended.then(began.resolve, began.reject)
    return await began.promise
  }

  pause(): void {
    this.pauses++
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  cancel(): void {
    this.cancels++
    if (this.#key === null) return
    const { processId, key } = this.#key
    const socket = connect(this.#target.port, this.#target.host)
    socket.on('error', () => {})
    socket.once('connect', () => socket.end(cancelRequest(processId, key)))
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Waits until nothing is asked. */
  async quiet(): Promise<void> {
    await this.#line
  }

  get socketPaused(): boolean {
    return this.#socket.isPaused()
  }

  get busy(): boolean {
    return this.#asked.length > 0
  }

  #ask(sink: SeatSink, other: Asked['other'], messages: readonly Buffer[]): Promise<SeatEnd> {
    const done = Promise.withResolvers<SeatEnd>()
    const before = this.#line
    this.#line = done.promise.catch(() => {})
    const start = (): void => {
      if (this.lost) {
        done.reject(new SeatLost(this.shard, 'the connection ended', true))
        return
      }
      this.#asked.push({ sink, other, done, tag: null, error: null, errorFrame: null })
      this.#socket.write(Buffer.concat(messages))
    }
    if (this.#asked.length === 0) start()
    else void before.then(start)
    return done.promise
  }

  #frame(type: number, bytes: Buffer, from: number, to: number): void {
    const asked = this.#asked[0]
    if (type === backend.dataRow) {
      this.rows++
      asked?.sink.row(bytes, from, to)
    } else if (type === backend.copyData) asked?.sink.copyData?.(bytes, from, to)
    else this.#said(type, Buffer.from(bytes.subarray(from, to)))
  }

  #said(type: number, frame: Buffer): void {
    const asked = this.#asked[0]
    if (this.#logIn !== null) this.#logIn(type, frame)
    else if (asked === undefined) return
    else if (type === backend.readyForQuery) {
      this.status = String.fromCharCode(frame[5] as number) as 'I'
      this.#asked.shift()
      const failed = asked.errorFrame !== null
      asked.done.resolve({
        tag: failed ? null : (asked.tag ?? ''),
        error: asked.error,
        errorFrame: asked.errorFrame,
      })
    } else if (type === backend.rowDescription) asked.sink.fields?.(frame)
    else if (type === backend.copyOutResponse) asked.sink.copyOut?.(frame)
    else if (type === backend.noticeResponse) asked.sink.notice?.(frame)
    else if (type === backend.commandComplete) asked.tag = readCommandTag(frame, 5, frame.length)
    else if (type === backend.errorResponse) {
      asked.error ??= readReport(frame, 5, frame.length)
      asked.errorFrame ??= frame
    } else asked.other(type, frame)
  }
}

/** All seats of one client; a transaction is begun and ended by the test. */
export class PlainSeats implements ShardSeats {
  readonly map: ShardMap
  inTransaction = false
  wrote = false
  readonly all: readonly PlainSeat[]
  readonly writers: Set<number> = new Set()
  scratches = 0
  readonly #targets: readonly SeatTarget[]
  readonly #places: GatherPlaces

  constructor(
    map: ShardMap,
    all: readonly PlainSeat[],
    targets: readonly SeatTarget[],
    places: GatherPlaces,
  ) {
    this.#places = places
    this.map = map
    this.all = all
    this.#targets = targets
  }

  async seat(shard: number): Promise<PlainSeat> {
    const seat = this.all[shard] as PlainSeat
    if (this.inTransaction && seat.status === 'I') await seat.command('BEGIN')
    return seat
  }

  async scratch(shard: number): Promise<{ seat: ShardSeat; settings: readonly string[]; release(): void }> {
    const seat = await PlainSeat.open(shard, this.#targets[shard] as SeatTarget)
    this.scratches++
    return {
      seat,
      settings: [],
      release: () => {
        this.scratches--
        seat.close()
      },
    }
  }

  /** A connection to the database that has all rows. */
  reference(): Promise<PlainSeat> {
    return PlainSeat.open(0, { ...(this.#targets[0] as SeatTarget), database: 'app' })
  }

  places(): GatherPlaces {
    return this.#places
  }

  async begin(): Promise<void> {
    this.inTransaction = true
  }

  wroteOn(shard: number): void {
    this.writers.add(shard)
    this.wrote = true
  }

  async end(sql: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    for (const seat of this.all) if (seat.status !== 'I') await seat.command(sql)
    this.inTransaction = false
    this.wrote = false
    this.writers.clear()
  }
}
