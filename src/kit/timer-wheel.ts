// Deadlines for very many objects at almost no cost: postponing one (the common case: each read of a connection moves its
// idle time-out) is a single store. A deadline fires at most one tick late and never early. Knows no clock: `advance` is told.

/** What the wheel keeps; an object is in at most one wheel. */
export abstract class Timed {
  /** Microseconds; `Infinity` = none. Set it through `TimerWheel.set`. */
  deadlineAt: number = Infinity
  /** The wheel's own: the deadline by which it was placed; the real one may be later. */
  wheelAt = 0
  /** The wheel's own: the bucket this is in, or -1. */
  wheelBucket = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null
  /** The deadline passed; the object is out of the wheel. */
  abstract expired(now: number): void
}

export class TimerWheel {
  readonly #tickUs: number
  readonly #heads: (Timed | null)[]
  #tick: number
  #count = 0

  /** A deadline further away than `buckets * tickUs` is looked at again once a turn. */
  constructor(now: number, tickUs: number, buckets: number) {
    this.#tickUs = tickUs
    this.#heads = new Array<Timed | null>(buckets).fill(null)
    this.#tick = Math.floor(now / tickUs)
  }

  /** Objects in the wheel, those without a deadline that have not been noticed yet included. */
  get count(): number {
    return this.#count
  }

  /** Sets, moves or (with `Infinity`) drops the object's deadline; it may stay in its bucket until that comes round. */
  set(timed: Timed, deadlineAt: number): void {
    timed.deadlineAt = deadlineAt
    if (timed.wheelBucket >= 0) {
      if (deadlineAt >= timed.wheelAt) return // found in its old bucket, and put further on then
      this.#unlink(timed)
    }
    if (deadlineAt !== Infinity) this.#insert(timed)
  }

  /** Takes the object out for good: call it when the object ends. */
  remove(timed: Timed): void {
    timed.deadlineAt = Infinity
    this.#unlink(timed)
  }

  #unlink(timed: Timed): void {
    const bucket = timed.wheelBucket
    if (bucket < 0) return
    const { wheelNext: next, wheelPrevious: previous } = timed
    if (previous === null) this.#heads[bucket] = next
    else previous.wheelNext = next
    if (next !== null) next.wheelPrevious = previous
    timed.wheelNext = timed.wheelPrevious = null
    timed.wheelBucket = -1
    this.#count--
  }

  #insert(timed: Timed): void {
    const buckets = this.#heads.length
    const tick = Math.max(Math.ceil(timed.deadlineAt / this.#tickUs), this.#tick + 1)
    const bucket = Math.min(tick, this.#tick + buckets - 1) % buckets
    const head = this.#heads[bucket] ?? null
    timed.wheelBucket = bucket
    timed.wheelAt = timed.deadlineAt
    timed.wheelNext = head
    timed.wheelPrevious = null
    if (head !== null) head.wheelPrevious = timed
    this.#heads[bucket] = timed
    this.#count++
  }

  /** Fires all that is due at `now`; call it about once a tick. */
  advance(now: number): void {
    const target = Math.floor(now / this.#tickUs)
    const buckets = this.#heads.length
    const first = Math.max(this.#tick + 1, target - buckets + 1)
    for (let tick = first; tick <= target; tick++) {
      this.#tick = tick
      this.#turn(tick % buckets, now)
    }
    this.#tick = Math.max(this.#tick, target)
  }

  #turn(bucket: number, now: number): void {
    // What is put back lands in another bucket, so this ends; and a callback may remove any other object meanwhile.
    for (let timed = this.#heads[bucket]; timed; timed = this.#heads[bucket]) {
      this.#unlink(timed)
      if (timed.deadlineAt <= now) {
        timed.deadlineAt = Infinity
        timed.expired(now)
      } else if (timed.deadlineAt !== Infinity) this.#insert(timed)
    }
  }
}
