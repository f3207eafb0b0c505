// Which replies a server still owes, in the order in which it was asked: what the client waits for, what is for the router
// alone, and what the router says itself in that place. One ring a server connection; nothing is made for a message.
//
// An ErrorResponse inside an extended batch drops everything up to the batch's Sync: the server passes it over.

/** What is owed. `Hidden` replies are not passed on. */
export const owed = {
  nothing: 0,
  parse: 1,
  parseHidden: 2,
  bind: 3,
  describe: 4,
  execute: 5,
  close: 6,
  closeHidden: 7,
  sync: 8,
  /** Everything up to ReadyForQuery: of a simple Query or a function call. */
  query: 9,
  queryHidden: 10,
  /** CopyDone or CopyFail went out: no reply of its own; tells which Syncs a COPY FROM STDIN passes over. */
  copyEnd: 11,
  /** Bytes that the router says here. */
  local: 12,
  /** A ReadyForQuery that the router says here, with the state of the transaction as it is then. */
  localReady: 13,
  /** ParseComplete for a statement that the server has already. */
  parseLocal: 14,
  /** CloseComplete for a statement that only the client forgets. */
  closeLocal: 15,
} as const

const startSize = 16

export class Replies {
  #kinds: Uint8Array = new Uint8Array(startSize)
  #values: (object | null)[] = new Array<object | null>(startSize).fill(null)
  #head = 0
  length = 0

  /** What comes next; `owed.nothing` if nothing is owed. */
  get next(): number {
    return this.length === 0 ? owed.nothing : (this.#kinds[this.#head] as number)
  }

  get nextValue(): object | null {
    return this.length === 0 ? null : (this.#values[this.#head] as object | null)
  }

  push(kind: number, value: object | null = null): void {
    if (this.length === this.#kinds.length) this.#grow()
    const at = (this.#head + this.length++) & (this.#kinds.length - 1)
    this.#kinds[at] = kind
    if (value !== null) this.#values[at] = value
  }

  /** Takes the next one away; its value was asked for before. */
  pop(): void {
    if (this.#values[this.#head] !== null) this.#values[this.#head] = null
    this.#head = (this.#head + 1) & (this.#kinds.length - 1)
    this.length--
  }

  /** The kind at a place behind the next one. */
  kindAt(place: number): number {
    return this.#kinds[(this.#head + place) & (this.#kinds.length - 1)] as number
  }

  /** After an error in an extended batch: gives each that is passed over to `dropped`, the last first; the Sync stays. */
  dropToSync(dropped: (kind: number, value: object | null) => void): void {
    this.#drop(() => this.next !== owed.sync, dropped)
  }

  /** ReadyForQuery has come: what was to be answered before it was passed over. */
  dropToReady(dropped: (kind: number, value: object | null) => void): void {
    this.#drop(() => this.next !== owed.sync && this.next !== owed.query, dropped)
  }

  /** The last first: what each did to the names of statements is undone. */
  #drop(goes: () => boolean, dropped: (kind: number, value: object | null) => void): void {
    const gone: [number, object | null][] = []
    while (this.length > 0 && goes()) {
      gone.push([this.next, this.nextValue])
      this.pop()
    }
    for (const [kind, value] of gone.reverse()) dropped(kind, value)
  }

  /**
   * COPY FROM STDIN has begun: the server passes over the Syncs that were sent before the data's end; `passedOver` hears of
   * each. Answers whether the end was sent already.
   */
  copyBegan(passedOver: () => void = () => {}): boolean {
    const kinds: number[] = []
    const values: (object | null)[] = []
    let ended = false
    while (this.length > 0) {
      const { next, nextValue } = this
      this.pop()
      if (next === owed.copyEnd) ended = true
      if (next === owed.sync && !ended) {
        passedOver()
        continue
      }
      kinds.push(next)
      values.push(nextValue)
    }
    for (const [index, kind] of kinds.entries()) this.push(kind, values[index] as object | null)
    return ended
  }

  /** Does the batch under way end by what was sent already? A simple Query ends by itself. */
  get ends(): boolean {
    if (this.next === owed.query) return true
    for (let place = 0; place < this.length; place++) if (this.kindAt(place) === owed.sync) return true
    return false
  }

  /** Is a Parse, or a Close of the router's own, among what is owed? */
  get prepares(): boolean {
    for (let place = 0; place < this.length; place++) {
      const kind = this.kindAt(place)
      if (kind === owed.parse || kind === owed.parseHidden || kind === owed.closeHidden) return true
    }
    return false
  }

  #grow(): void {
    const size = this.#kinds.length * 2
    const kinds = new Uint8Array(size)
    const values = new Array<object | null>(size).fill(null)
    for (let place = 0; place < this.length; place++) {
      const at = (this.#head + place) & (this.#kinds.length - 1)
      kinds[place] = this.#kinds[at] as number
      values[place] = this.#values[at] as object | null
    }
    this.#kinds = kinds
    this.#values = values
    this.#head = 0
  }
}
