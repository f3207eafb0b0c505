// Time-outs of one length: they end in the order in which they began, so a ring and one pending event hold any number of
// them, and one that is met costs nothing more.

import { type Engine, type EventCode, Priority } from '../core/engine.ts'

export class Deadlines {
  readonly lengthUs: number
  readonly #engine: Engine
  readonly #code: EventCode
  readonly #passed: (row: number, life: number) => void
  readonly #isOpen: (row: number, life: number) => boolean
  #rows = new Int32Array(64)
  #lives = new Int32Array(64)
  #ends = new Float64Array(64)
  #head = 0
  #count = 0
  #planned = false

  /**
   * @param isOpen is this still waited for? A row of a table may have been given to somebody else: its life tells
   * @param passed called for those that are, at their time
   */
  constructor(
    engine: Engine,
    name: string,
    lengthUs: number,
    isOpen: (row: number, life: number) => boolean,
    passed: (row: number, life: number) => void,
  ) {
    this.lengthUs = lengthUs
    this.#engine = engine
    this.#isOpen = isOpen
    this.#passed = passed
    this.#code = engine.on(name, () => this.#due(), Priority.normal)
  }

  begin(row: number, life: number): void {
    this.#dropMet()
    if (this.#count === this.#rows.length) this.#grow()
    const at = (this.#head + this.#count++) & (this.#rows.length - 1)
    this.#rows[at] = row
    this.#lives[at] = life
    this.#ends[at] = this.#engine.now + this.lengthUs
    this.#plan()
  }

  #plan(): void {
    if (this.#planned || this.#count === 0) return
    this.#planned = true
    this.#engine.at(this.#ends[this.#head] as number, this.#code)
  }

  #dropMet(): void {
    while (
      this.#count > 0 &&
      !this.#isOpen(this.#rows[this.#head] as number, this.#lives[this.#head] as number)
    )
      this.#pop()
  }

  #pop(): void {
    this.#head = (this.#head + 1) & (this.#rows.length - 1)
    this.#count--
  }

  #due(): void {
    this.#planned = false
    const { now } = this.#engine
    while (this.#count > 0 && (this.#ends[this.#head] as number) <= now) {
      const row = this.#rows[this.#head] as number
      const life = this.#lives[this.#head] as number
      this.#pop()
      if (this.#isOpen(row, life)) this.#passed(row, life)
    }
    this.#dropMet()
    this.#plan()
  }

  #grow(): void {
    const size = this.#rows.length
    const turned = <T extends Int32Array | Float64Array>(column: T): T => {
      const next = new (column.constructor as new (length: number) => T)(size * 2)
      for (let at = 0; at < this.#count; at++) next[at] = column[(this.#head + at) & (size - 1)] as number
      return next
    }
    this.#rows = turned(this.#rows)
    this.#lives = turned(this.#lives)
    this.#ends = turned(this.#ends)
    this.#head = 0
  }
}
