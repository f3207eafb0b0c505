// One client of a sharded database: the front that it talks to. Reads what the client says batch by batch. A batch that is one
// shard's alone goes to the seat there as it is, and the answer to the client likewise; any other is the interpreter's, and
// nothing more is read until that has ended.
//
// States: '' reads; greeting: the first seat is asked who it is; passing: another shard still answers the batch before;
// held: the map is about to change; full: a shard takes no more for now; busy: the interpreter works; copying: it takes what the client sends; over.

import type { Stream, StreamHandler } from '../../io/net.ts'
import { Timed } from '../../kit/timer-wheel.ts'
import {
  backendKeyData,
  frameProblem,
  frontend,
  frontendFrameBytes,
  parameterStatus,
  readParameterStatus,
  readyIdle,
} from '../../wire/postgres/index.ts'
import { plainError, protocolError, routerError, type SqlError } from '../router/sql-errors.ts'
import { type CopyEnd, type CopyTarget, ShardClient } from './client.ts'
import { ClientOutput } from './client-output.ts'
import { CopyReader } from './copy-reader.ts'
import type { WaitingClient } from './deadlocks.ts'
import { FastBatch } from './fast-batch.ts'
import { Inbox } from './inbox.ts'
import { Interpreter } from './interpreter.ts'
import type { Seat, SeatOwner } from './seat.ts'
import { Seats } from './seats.ts'
import type { ShardedRouting } from './sharded-routing.ts'
import { failureOf } from './statement-failed.ts'
import { startedWith } from './tenfold-settings.ts'
import { ShardTransaction } from './transaction.ts'
import { waitingClient } from './waiting-client.ts'

export interface ShardedStart {
  readonly userName: string
  /** Statements by setting, as the client gave them at its login. */
  readonly settings: ReadonlyMap<string, string>
  readonly processId: number
  readonly key: Buffer
  readonly over: (session: ShardedSession) => void
}

/** Beyond it they are dropped. */
const laterMax = 10_000

/** Made once. */
const singles: readonly (readonly number[])[] = Array.from({ length: 64 }, (_, shard) => [shard])

type State = '' | 'greeting' | 'held' | 'passing' | 'full' | 'busy' | 'copying' | 'over'

/** More of a batch whose Sync has not come is given to the interpreter as it is. */
const batchBytesMax = 256 * 1024
/** Bytes for a shard that takes no more. */
const keptBytesMax = 256 * 1024

export class ShardedSession extends Timed implements StreamHandler, SeatOwner {
  readonly routing: ShardedRouting
  readonly stream: Stream
  readonly cancelKey: Buffer
  readonly #start: ShardedStart
  readonly #output: ClientOutput
  readonly #seats: Seats
  readonly #client: ShardClient
  readonly #fast: FastBatch
  readonly #interpreter: Interpreter
  readonly #told = new Map<string, string>()
  #state: State = 'greeting'
  /** The seat whose answers go to the client as they come. */
  #passingTo: Seat | null = null
  readonly #inbox = new Inbox()
  #copy: CopyReader | null = null
  /** Notices and notifications that wait until nothing is passed on. */
  readonly #later: Buffer[] = []
  #working: Promise<void> | null = null

  constructor(routing: ShardedRouting, stream: Stream, start: ShardedStart) {
    super()
    this.routing = routing
    this.stream = stream
    this.cancelKey = start.key
    this.#start = start
    this.#output = new ClientOutput(stream)
    this.#seats = new Seats({
      groups: () => routing.groups,
      ids: () => routing.map.shards,
      client: stream,
      userName: start.userName,
      settings: start.settings,
      owner: this,
    })
    this.#client = new ShardClient({
      routing,
      output: this.#output,
      seats: this.#seats,
      transaction: new ShardTransaction({
        map: () => routing.map,
        systemId: () => routing.systemId,
        commits: () => routing.commits,
        seats: this.#seats,
      }),
      copySource: { read: target => this.#readCopy(target) },
      userName: start.userName,
      allowBroadcast: /'(on|true|yes|1)'/i.test(start.settings.get('tenfold.allow_broadcast') ?? ''),
      region: startedWith(start.settings.get('tenfold.region')),
    })
    this.#fast = new FastBatch(this.#client)
    this.#interpreter = new Interpreter({
      client: this.#client,
      end: () => this.#end(),
      tell: fault => routing.context.tell(routing.name, `a statement failed by a fault: ${fault.stack}`),
    })
    routing.sessions.add(this)
  }

  get processId(): number {
    return this.#start.processId
  }

  /** Nothing is under way, no transaction is open. */
  get idle(): boolean {
    return this.#state === '' && this.#passingTo === null && !this.#client.transaction.inTransaction
  }

  get inTransaction(): boolean {
    return this.#client.transaction.inTransaction
  }

  /** Its part in deadlocks over shards. */
  get waiting(): WaitingClient {
    return waitingClient(String(this.processId), this.#client.transaction, this.#seats)
  }

  /** Something is open on a shard. */
  get busy(): boolean {
    return (
      this.#passingTo !== null ||
      this.#client.transaction.inTransaction ||
      this.#state === 'busy' ||
      this.#state === 'copying'
    )
  }

  // --- the beginning ------------------------------------------------------------------------------------------

  /** The client has proven who it is. */
  begin(): void {
    const { context, spec } = this.routing
    this.stream.pause()
    context.wheel.set(this, context.now + spec.hold.timeoutMs * 1000)
    void this.#greet()
  }

  async #greet(): Promise<void> {
    try {
      while (!this.routing.known && !this.#isOver) await this.routing.learnt(this.routing.spec.hold.timeoutMs)
      if (this.#isOver) return
      const seat = this.#seats.open(this.#client.home)
      if (!seat.session.greeted) await seat.command('')
      this.#greeted(seat)
    } catch (thrown) {
      const failure = failureOf(thrown, false)
      if (failure === null) throw thrown
      this.fail({ frame: failure.frame, fatal: true })
    }
  }

  #greeted(seat: Seat): void {
    if (this.#isOver) return
    this.routing.context.wheel.set(this, Infinity)
    if (seat.session.told?.utf8 === false) {
      this.fail(plainError('0A000', 'Over shards, clients speak UTF-8: set client_encoding to UTF8.', true))
      return
    }
    const frames: Buffer[] = []
    for (const [name, value] of seat.session.told?.values ?? []) {
      this.#told.set(name, value)
      frames.push(parameterStatus(name, name === 'in_hot_standby' ? 'off' : value))
    }
    frames.push(backendKeyData(this.processId, this.cancelKey), readyIdle)
    for (const frame of frames) this.#output.addAll(frame)
    this.#output.flush()
    this.#goOn()
  }

  override expired(): void {
    if (this.#state === 'held') {
      this.fail(routerError('holdTimeout', 'The shards are being changed, and that took too long.', true))
      return
    }
    const sentence = `The tables of '${this.routing.name}' could not be read, or no shard be reached, in time.`
    this.fail(routerError('holdTimeout', sentence, true))
  }

  // --- reading ------------------------------------------------------------------------------------------------

  opened(): void {}

  data(_stream: Stream, bytes: Buffer, length: number): void {
    this.routing.context.refresh()
    if (this.#isOver) return
    if (this.#state === 'copying') {
      this.#feed(bytes, 0, length)
      return
    }
    if (!this.#inbox.empty || this.#state !== '') {
      this.#inbox.keep(bytes, 0, length)
      if (this.#state === '' && this.#inbox.enough) this.#consumeKept()
    } else this.#consume(bytes, length)
  }

  get #isOver(): boolean {
    return this.#state === 'over'
  }

  #consumeKept(): void {
    const { bytes, length } = this.#inbox.take()
    this.#consume(bytes, length)
  }

  #consume(bytes: Buffer, length: number): void {
    let at = 0
    while (at < length && this.#state === '') {
      const end = this.#batch(bytes, at, length)
      if (end === at) break
      at = end
    }
    if (at >= length || this.#isOver) return
    if (this.#state === 'copying') this.#feed(bytes, at, length)
    else this.#inbox.keep(bytes, at, length)
  }

  /** One batch from `from` on: answers its end, or `from` if it has to wait. */
  #batch(bytes: Buffer, from: number, length: number): number {
    const bytesMax = this.routing.spec.pool.messageBytesMax
    const fast = this.#fast
    fast.begin()
    let at = from
    this.#inbox.needed = 0
    while (at < length) {
      const size = frontendFrameBytes(bytes, at, length, bytesMax)
      if (size < 0) return this.#broken(protocolError(frameProblem(size)), length)
      const end = at + size
      if (size === 0 || end > length) {
        this.#inbox.needed = size === 0 ? 0 : end - from
        break
      }
      const type = bytes[at] as number
      if (type === frontend.terminate) {
        this.#end()
        return length
      }
      if (type === frontend.password)
        return this.#broken(plainError('08P01', 'A password came after the login.', true), length)
      const copies = type === frontend.copyData || type === frontend.copyDone || type === frontend.copyFail
      // Of a COPY that has failed.
      if (copies && at === from) return end
      fast.take(type, bytes, at, end)
      at = end
      if (type === frontend.sync || type === frontend.query || type === frontend.flush)
        return this.#dispatch(bytes, from, at)
      if (type === frontend.functionCall) return this.#dispatch(bytes, from, at)
    }
    // Without its Sync: what is whole of it is begun with.
    if (at - from > batchBytesMax) {
      fast.passes = false
      return this.#dispatch(bytes, from, at)
    }
    return from
  }

  #broken(error: SqlError, length: number): number {
    this.fail(error)
    return length
  }

  #dispatch(bytes: Buffer, from: number, to: number): number {
    const { transaction, dryRun } = this.#client
    const passes = this.#fast.passes && !this.#interpreter.skipping && !dryRun
    const held = this.routing.holding && !transaction.inTransaction
    const seat = passes && !held ? this.#seatOf(transaction) : null
    if (this.#passingTo !== null && this.#passingTo !== seat) {
      this.#block('passing')
      return from
    }
    if (held) {
      this.#hold()
      return from
    }
    if (seat !== null) this.#pass(seat, bytes, from, to)
    else if (passes && this.#fast.whole && transaction.isFresh) this.#join(bytes, from, to)
    else this.#interpret(framesOf(bytes, from, to))
    return to
  }

  /** Amid a transaction: where the seat is the only one that takes part. Null: it is the interpreter's. */
  #seatOf(transaction: ShardTransaction): Seat | null {
    const { shard, whole } = this.#fast
    if (!transaction.inTransaction) return this.#seats.open(shard)
    const seat = whole ? this.#seats.known(shard) : undefined
    if (seat === undefined || !transaction.isAlone(seat) || seat.id !== this.routing.map.shards[shard])
      return null
    this.#client.portals.delete('')
    if (this.#fast.writes) transaction.wroteOn(shard)
    return seat
  }

  /** Until there is another map, by which it is placed then. */
  #hold(): void {
    const { context, spec } = this.routing
    this.#block('held')
    context.wheel.set(this, context.now + spec.hold.timeoutMs * 1000)
  }

  /** To its shard, as it is. */
  #pass(seat: Seat, bytes: Buffer, from: number, to: number): void {
    const client = this.#client
    const { used, made, query, shard } = this.#fast
    for (const statement of used) client.teach(seat, statement)
    for (const statement of made) {
      if (statement.name === '') client.unnamed = statement
      else client.statements.set(statement.name, { ...statement, by: seat })
    }
    if (query) client.unnamed = null
    this.#fast.count()
    client.went(singles[shard] ?? [shard])
    this.#passingTo = seat
    seat.pass(bytes, from, to, 1)
    if (seat.keptBytes > keptBytesMax && this.#state === '') this.#block('full')
  }

  /** The first of a transaction: it goes to its shard as it is once that takes part. */
  #join(bytes: Buffer, from: number, to: number): void {
    const { transaction, portals } = this.#client
    const { shard, writes } = this.#fast
    const kept = Buffer.from(bytes.subarray(from, to))
    const joined = transaction.seat(shard).then(
      () => {
        const seat = this.#seats.known(shard)
        if (this.#isOver || seat === undefined) return
        portals.delete('')
        if (writes) transaction.wroteOn(shard)
        this.#pass(seat, kept, 0, kept.length)
      },
      why => this.#interpreter.refuse(why),
    )
    this.#work(joined)
  }

  #interpret(frames: readonly Buffer[]): void {
    this.#work(this.#interpreter.run(frames))
  }

  #work(work: Promise<void>): void {
    this.#block('busy')
    this.#working = work.finally(() => {
      this.#working = null
      if (this.#state === 'busy') this.#goOn()
    })
  }

  #block(state: State): void {
    this.#state = state
    this.stream.pause()
  }

  #goOn(): void {
    if (this.#isOver) return
    this.routing.context.refresh()
    this.#state = ''
    if (this.routing.context.draining && this.idle) {
      this.endNow('The router stops.')
      return
    }
    if (!this.#inbox.empty && this.#inbox.enough) this.#consumeKept()
    if (this.#state === '') this.stream.resume()
  }

  // --- COPY FROM STDIN ----------------------------------------------------------------------------------------

  #readCopy(target: CopyTarget): Promise<CopyEnd> {
    const reader = new CopyReader(target, this.routing.spec.pool.messageBytesMax, {
      pause: () => this.stream.pause(),
      resume: () => {
        if (this.#state === 'copying') this.stream.resume()
      },
    })
    this.#copy = reader
    this.#state = 'copying'
    this.#output.flush()
    if (!this.#inbox.empty) {
      const { bytes, length } = this.#inbox.take()
      this.#feed(bytes, 0, length)
    }
    if (this.#state === 'copying' && !reader.full) this.stream.resume()
    return reader.end
  }

  #feed(bytes: Buffer, from: number, to: number): void {
    const reader = this.#copy as CopyReader
    const at = reader.take(bytes, from, to)
    if (!reader.over) return
    this.#copy = null
    this.#block('busy')
    this.#inbox.needed = 0
    if (at < to) this.#inbox.keep(bytes, at, to)
  }

  // --- what seats say -----------------------------------------------------------------------------------------

  passed(bytes: Buffer, from: number, to: number): boolean {
    return this.#isOver || this.stream.writeBytes(bytes, from, to)
  }

  passedReady(seat: Seat): void {
    const { transaction } = this.#client
    if (seat.status === 'E' && transaction.isMember(seat)) transaction.failed = true
    if (seat.owed > 0 || this.#passingTo !== seat) return
    this.#passingTo = null
    if (this.#later.length > 0) {
      for (const frame of this.#later.splice(0)) this.#output.addAll(frame)
      this.#output.flush()
    }
    if (this.#state === 'passing' || this.routing.context.draining) queueMicrotask(() => this.#passingOver())
  }

  #passingOver(): void {
    if (this.#state === 'passing' || (this.#state === '' && this.routing.context.draining)) this.#goOn()
  }

  seatDrained(): void {
    if (this.#state === 'full') queueMicrotask(() => this.#state === 'full' && this.#goOn())
  }

  unasked(frame: Buffer): void {
    if (frame[0] === 0x53) {
      const said = readParameterStatus(frame, 5, frame.length)
      if (said === null || said.name === 'in_hot_standby' || this.#told.get(said.name) === said.value) return
      this.#told.set(said.name, said.value)
    }
    // Not amid a message that is passed on.
    if (this.#passingTo !== null) {
      if (this.#later.length < laterMax) this.#later.push(frame)
      return
    }
    this.#output.addAll(frame)
    if (this.#state !== 'busy') this.#output.flush()
  }

  seatLost(seat: Seat, errorFrame: Buffer | null): void {
    if (this.#isOver) return
    if (this.#state === 'greeting' && errorFrame !== null) {
      this.fail({ frame: errorFrame, fatal: true })
      return
    }
    // What it said last has gone to the client as it came.
    if (seat.owed > 0) {
      this.#end()
      return
    }
    const member = this.#client.transaction.isMember(seat)
    // What is not in a block of the client's fails by itself.
    const { kind, committing } = this.#client.transaction
    if (!member || kind !== 'block' || committing) return
    const sentence = `The session on shard ${seat.id} has ended amid a transaction.`
    this.fail(
      errorFrame === null ? routerError('serverLost', sentence, true) : { frame: errorFrame, fatal: true },
    )
  }

  // --- the client ---------------------------------------------------------------------------------------------

  drained(): void {
    this.routing.context.refresh()
    this.#output.takes()
    this.#seats.drain()
  }

  /** A request to cancel came, with this session's key. */
  cancel(): void {
    if (!this.#client.transaction.committing) this.#seats.cancel()
  }

  snapshotChanged(): void {
    if (!this.routing.users.has(this.#start.userName))
      this.endNow(`User '${this.#start.userName}' is not allowed here any more.`)
    else if (this.#state === 'held' && !this.routing.holding) {
      this.routing.context.wheel.set(this, Infinity)
      this.#goOn()
    }
  }

  endNow(sentence: string): void {
    this.fail(routerError('routerStopping', sentence, true))
  }

  /** FATAL. */
  fail({ frame }: SqlError): void {
    if (this.#isOver) return
    this.#output.addAll(frame)
    this.#end()
  }

  ended(): void {
    this.routing.context.refresh()
    this.#end()
  }

  closed(): void {
    this.routing.context.refresh()
    this.#leave()
  }

  #end(): void {
    this.#output.flush()
    this.stream.end()
    this.#leave()
  }

  #leave(): void {
    if (this.#isOver) return
    this.#state = 'over'
    this.routing.context.wheel.remove(this)
    this.routing.sessions.delete(this)
    this.#inbox.clear()
    this.#output.gone()
    this.#copy?.gone()
    this.#copy = null
    // A commit over several shards is brought to its end.
    if (this.#client.transaction.committing && this.#working !== null)
      void this.#working.finally(() => this.#seats.close())
    else this.#seats.close()
    this.#start.over(this)
  }
}

/** Whole messages, copied. */
function framesOf(bytes: Buffer, from: number, to: number): readonly Buffer[] {
  const frames: Buffer[] = []
  for (let at = from; at < to; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    frames.push(Buffer.from(bytes.subarray(at, end)))
    at = end
  }
  return frames
}
