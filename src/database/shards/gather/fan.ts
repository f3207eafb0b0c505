// One step on several shards at once. The first error wins: the others are cancelled, their rows dropped, and all are waited
// for, so that every seat is left between statements.

import type { SeatEnd, SeatSink, ShardSeat } from '../contract.ts'

/** An error of a server, to be passed on as it came. */
export class ShardError extends Error {
  readonly errorFrame: Buffer
  constructor(end: SeatEnd) {
    super(end.error?.message ?? 'a shard refused the statement')
    this.errorFrame = end.errorFrame as Buffer
  }
}

/** The tag, or the error thrown. */
export function tagOf(end: SeatEnd): string {
  if (end.tag === null) throw new ShardError(end)
  return end.tag
}

/** A request to cancel is lost where the statement has not begun yet. */
const cancelAgainMs = 200
/** Milliseconds, about. */
const heardTries = 1_000
const isCancelling = (seat: ShardSeat): boolean => seat.cancelling === true

export class Fan {
  readonly #seats: readonly ShardSeat[]
  readonly #running = new Set<ShardSeat>()
  #failure: unknown = null
  #again: NodeJS.Timeout | undefined
  #failed = false

  constructor(seats: readonly ShardSeat[]) {
    this.#seats = seats
  }

  get failed(): boolean {
    return this.#failed
  }

  /** Ends the whole for this reason; a later one changes nothing. */
  fail(reason: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#failure = reason
    // Never while their rows are being taken.
    for (const seat of this.#running) queueMicrotask(() => seat.resume())
    this.#cancel()
    if (this.#running.size > 0) this.#again = setInterval(() => this.#cancel(), cancelAgainMs).unref()
  }

  pause(): void {
    if (!this.#failed) for (const seat of this.#running) seat.pause()
  }

  resume(): void {
    for (const seat of this.#running) seat.resume()
  }

  /** Calls `step` for each seat; answers what they gave, in the seats' order, or throws the first error. */
  async run<T>(step: (seat: ShardSeat, index: number) => Promise<T>): Promise<T[]> {
    const results: T[] = []
    await Promise.all(
      this.#seats.map(async (seat, index) => {
        this.#running.add(seat)
        try {
          results[index] = await step(seat, index)
          this.#release(seat)
        } catch (error) {
          this.#release(seat)
          this.fail(error)
        }
      }),
    )
    clearInterval(this.#again)
    if (this.#failed) {
      await this.#heard()
      throw this.#failure
    }
    return results
  }

  /** Nothing more is said to a server while a request to cancel is on its way there. */
  async #heard(): Promise<void> {
    for (let waited = 0; waited < heardTries && this.#seats.some(isCancelling); waited++)
      await new Promise(resolve => setTimeout(resolve, 1))
  }

  #cancel(): void {
    for (const seat of this.#running) seat.cancel()
  }

  /** Its last rows may have come while it was paused. */
  #release(seat: ShardSeat): void {
    this.#running.delete(seat)
    seat.resume()
  }
}

/** A sink that drops what comes after the statement failed, and turns what it throws into the failure. */
export function guarded(fan: Fan, sink: SeatSink): SeatSink {
  const guard =
    <A extends unknown[]>(call: (...args: A) => void) =>
    (...args: A): void => {
      if (fan.failed) return
      try {
        call(...args)
      } catch (error) {
        fan.fail(error)
      }
    }
  const { fields, notice, copyData, copyOut } = sink
  return {
    row: guard((bytes, from, to) => sink.row(bytes, from, to)),
    ...(fields === undefined ? {} : { fields: guard(frame => fields.call(sink, frame)) }),
    ...(notice === undefined ? {} : { notice: guard(frame => notice.call(sink, frame)) }),
    ...(copyOut === undefined ? {} : { copyOut: guard(frame => copyOut.call(sink, frame)) }),
    ...(copyData === undefined
      ? {}
      : { copyData: guard((bytes, from, to) => copyData.call(sink, bytes, from, to)) }),
  }
}
