// How much each buyer may have, and how much there is: what is asked for is reserved for all keys and the stock at once, or
// not at all; a good answer makes it taken, another one gives it back, and one that nobody heard of gives it back after a
// while. Holds values only; `now` (monotonic) and `wall` are arguments, in integer microseconds. What must survive a
// restart leaves as `QuotaChange`s.
//
// A reservation is in one of these states: open (the request is under way) -> taken | free | unknown (nobody heard the
// answer) -> free (`holdMs` later). An open one lasts as long as its request; whoever knows that nobody will end it any
// more (its worker died) says `unknown`.

export interface QuotaRules {
  /** Units in all; 0 = no bound. */
  readonly stock: number
  readonly holdMs: number
  /** 0 = never. */
  readonly resetMs: number
  /** The instance answers a repeated Idempotency-Key by itself. */
  readonly idempotent: boolean
}

export interface QuotaKey {
  /** Of the key's definition and value; never the value itself. */
  readonly name: string
  readonly amount: number
}

export interface QuotaWish {
  readonly keys: readonly QuotaKey[]
  readonly quantity: number
  /** '' = none. */
  readonly idempotency: string
}

/**
 * `held`: goes on, and must be ended by `end`. `counted`: goes on, was counted before. `over`: more than a key may have.
 * `sold-out`: more than there is. `repeated`: the same order again. `full`: there are too many keys. `away`: nobody can say.
 */
export type QuotaState = 'held' | 'counted' | 'over' | 'sold-out' | 'repeated' | 'full' | 'away'

export interface QuotaAnswer {
  readonly state: QuotaState
  /** Of the reservation; 0: none. */
  readonly id: number
  /** What the key (its index in `which`) or the stock still has. */
  readonly left: number
  readonly which: number
}

export type QuotaEnding = 'taken' | 'free' | 'unknown'

export type QuotaChange =
  | {
      readonly t: 'hold'
      readonly id: number
      readonly k: readonly string[]
      readonly q: number
      readonly i: string
    }
  | { readonly t: 'taken'; readonly id: number; readonly at: number }
  | { readonly t: 'free'; readonly id: number }
  | { readonly t: 'key'; readonly k: string; readonly n: number; readonly at: number }
  | { readonly t: 'stock'; readonly n: number }
  | { readonly t: 'done'; readonly i: string; readonly q: number }

export interface HeldQuota {
  readonly id: number
  readonly keys: readonly string[]
  readonly quantity: number
  readonly idempotency: string
  /** Requests under way; 0: nobody heard how they ended. */
  readonly uses: number
  /** Infinity: as long as its request. */
  readonly leftMs: number
}

/** Of keys that have something, and of idempotency keys that are remembered: the oldest of those go. */
export const keysMax = 2_000_000
const doneMax = 200_000

interface Count {
  held: number
  taken: number
  /** Wall clock, milliseconds: when the first of what is taken was. */
  since: number
}

interface Reservation {
  readonly id: number
  readonly keys: readonly string[]
  readonly quantity: number
  readonly idempotency: string
  /** Requests under way that share it. */
  uses: number
  /** One of them ended, and nobody heard how. */
  doubtful: boolean
  until: number
}

const toMs = (us: number): number => Math.floor(us / 1_000)

export class Quota {
  rules: QuotaRules
  changes: QuotaChange[] = []
  readonly #counts = new Map<string, Count>()
  readonly #held = new Map<number, Reservation>()
  readonly #byIdempotency = new Map<string, Reservation>()
  /** Quantity of orders that went through, by idempotency key, oldest first. */
  readonly #done = new Map<string, number>()
  #stockHeld = 0
  #stockTaken = 0
  #ids = 0
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor(rules: QuotaRules) {
    this.rules = rules
  }

  reserve(now: number, wall: number, wish: QuotaWish): QuotaAnswer {
    this.advance(now)
    return this.#repeated(wish) ?? this.#over(toMs(wall), wish) ?? this.#hold(wish)
  }

  #repeated({ idempotency, quantity }: QuotaWish): QuotaAnswer | null {
    if (idempotency === '') return null
    const open = this.#byIdempotency.get(idempotency)
    const before = open?.quantity ?? this.#done.get(idempotency)
    if (before === undefined) return null
    // The same key for another quantity is another order under a false name.
    if (!this.rules.idempotent || before !== quantity) return answer('repeated')
    if (open === undefined) return answer('counted')
    open.uses++
    return { ...answer('held'), id: open.id }
  }

  #over(wallMs: number, { keys, quantity }: QuotaWish): QuotaAnswer | null {
    for (const [which, { name, amount }] of keys.entries()) {
      const left = amount - this.#used(name, wallMs)
      if (quantity > left) return { state: 'over', id: 0, left: Math.max(0, left), which }
    }
    const { stock } = this.rules
    const left = stock - this.#stockHeld - this.#stockTaken
    if (stock > 0 && quantity > left) return { state: 'sold-out', id: 0, left: Math.max(0, left), which: -1 }
    return this.#counts.size + keys.length > keysMax ? answer('full') : null
  }

  #used(name: string, wallMs: number): number {
    const count = this.#counts.get(name)
    if (count === undefined) return 0
    const { resetMs } = this.rules
    if (resetMs > 0 && count.taken > 0 && wallMs - count.since >= resetMs) count.taken = 0
    return count.held + count.taken
  }

  #hold({ keys, quantity, idempotency }: QuotaWish): QuotaAnswer {
    const id = ++this.#ids
    const names = keys.map(({ name }) => name)
    this.#add(id, names, quantity, idempotency, Number.POSITIVE_INFINITY)
    this.changes.push({ t: 'hold', id, k: names, q: quantity, i: idempotency })
    return { ...answer('held'), id }
  }

  #add(id: number, keys: readonly string[], quantity: number, idempotency: string, until: number): void {
    const reservation = { id, keys, quantity, idempotency, uses: 1, doubtful: false, until }
    this.#held.set(id, reservation)
    if (idempotency !== '') this.#byIdempotency.set(idempotency, reservation)
    for (const name of keys) this.#countOf(name).held += quantity
    this.#stockHeld += quantity
    if (id > this.#ids) this.#ids = id
  }

  #countOf(name: string): Count {
    let count = this.#counts.get(name)
    if (count === undefined) this.#counts.set(name, (count = { held: 0, taken: 0, since: 0 }))
    return count
  }

  /** What was reserved elsewhere, under a number that was given there: kept here as if it had been reserved here. */
  adopt(id: number, { keys, quantity, idempotency }: QuotaWish): void {
    const held = this.#held.get(id)
    if (held !== undefined) {
      held.uses++
      return
    }
    const names = keys.map(({ name }) => name)
    this.#add(id, names, quantity, idempotency, Number.POSITIVE_INFINITY)
    this.changes.push({ t: 'hold', id, k: names, q: quantity, i: idempotency })
  }

  /** What is reserved now. */
  *held(now: number): Generator<HeldQuota> {
    for (const { id, keys, quantity, idempotency, uses, until } of this.#held.values())
      yield { id, keys, quantity, idempotency, uses, leftMs: Math.max(0, until - toMs(now)) }
  }

  /** One request of a reservation is over. */
  end(now: number, wall: number, id: number, ending: QuotaEnding): void {
    const reservation = this.#held.get(id)
    if (reservation === undefined) return
    reservation.uses--
    if (ending === 'taken') {
      this.changes.push({ t: 'taken', id, at: toMs(wall) })
      this.#take(reservation, toMs(wall))
      return
    }
    if (ending === 'unknown') reservation.doubtful = true
    // Another request of the same order is still under way.
    if (reservation.uses > 0) return
    if (reservation.doubtful) {
      reservation.until = toMs(now) + this.rules.holdMs
      return
    }
    this.changes.push({ t: 'free', id })
    this.#free(reservation)
  }

  #take(reservation: Reservation, wallMs: number): void {
    const { keys, quantity, idempotency } = reservation
    this.#free(reservation)
    for (const name of keys) {
      const count = this.#countOf(name)
      this.#used(name, wallMs)
      if (count.taken === 0) count.since = wallMs
      count.taken += quantity
    }
    this.#stockTaken += quantity
    if (idempotency !== '') this.#remember(idempotency, quantity)
  }

  #remember(idempotency: string, quantity: number): void {
    this.#done.set(idempotency, quantity)
    if (this.#done.size <= doneMax) return
    const [oldest] = this.#done.keys()
    if (oldest !== undefined) this.#done.delete(oldest)
  }

  #free({ id, keys, quantity, idempotency }: Reservation): void {
    this.#held.delete(id)
    if (idempotency !== '') this.#byIdempotency.delete(idempotency)
    this.#stockHeld -= quantity
    for (const name of keys) {
      const count = this.#countOf(name)
      count.held -= quantity
      if (count.held === 0 && count.taken === 0) this.#counts.delete(name)
    }
  }

  /** What nobody has ended in time is free again. */
  advance(now: number): void {
    const ms = toMs(now)
    if (ms - this.#sweptMs < 100) return
    this.#sweptMs = ms
    for (const reservation of this.#held.values()) {
      if (ms < reservation.until) continue
      this.changes.push({ t: 'free', id: reservation.id })
      this.#free(reservation)
    }
  }

  counts(): { readonly held: number; readonly taken: number; readonly keys: number } {
    return { held: this.#stockHeld, taken: this.#stockTaken, keys: this.#counts.size }
  }

  // --- restarts -------------------------------------------------------------------------------------------------

  *snapshot(): Generator<QuotaChange> {
    yield { t: 'stock', n: this.#stockTaken }
    for (const [k, { taken, since }] of this.#counts)
      if (taken > 0) yield { t: 'key', k, n: taken, at: since }
    for (const [i, q] of this.#done) yield { t: 'done', i, q }
    for (const { id, keys, quantity, idempotency } of this.#held.values())
      yield { t: 'hold', id, k: keys, q: quantity, i: idempotency }
  }

  /** What was open is unknown now: nobody is left to end it. */
  restore(changes: Iterable<QuotaChange>, now: number): void {
    const until = toMs(now) + this.rules.holdMs
    for (const change of changes) this.#replay(change, until)
    for (const reservation of this.#held.values()) reservation.uses = 0
    this.changes = []
  }

  #replay(change: QuotaChange, until: number): void {
    if (change.t === 'hold') {
      if (!this.#held.has(change.id)) this.#add(change.id, change.k, change.q, change.i, until)
    } else if (change.t === 'stock') this.#stockTaken = change.n
    else if (change.t === 'key') this.#counts.set(change.k, { held: 0, taken: change.n, since: change.at })
    else if (change.t === 'done') this.#remember(change.i, change.q)
    else {
      const reservation = this.#held.get(change.id)
      if (reservation === undefined) return
      if (change.t === 'free') this.#free(reservation)
      else this.#take(reservation, change.at)
    }
  }
}

function answer(state: QuotaState): QuotaAnswer {
  return { state, id: 0, left: 0, which: -1 }
}
