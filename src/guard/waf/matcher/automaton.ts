// Does a pattern match anywhere in these bytes? A deterministic automaton made while it runs (Thompson, 1968; RE2's lazy
// DFA): each byte costs one look into a table, and a state that was not met before is made from the program. Time is
// linear in the bytes, with the program's length as the worst factor; both are paid from the request's work.
//
// A state is the set of instructions that wait for the next byte, not yet followed through assertions: which of these
// hold is known only with that byte. So each step follows first, then consumes; the end of the text is one more class.

import { isWordByte } from './bytes.ts'
import { code, type Program } from './program.ts'
import type { Work } from './work.ts'

/** Cells of a table: 512 KB. A full one is emptied and begun anew. */
const cellsMax = 1 << 17
const unknown = -1
/** Rows 0 and 1 are the two ends; real states come after. */
const deadRow = 0
const matchRow = 1
/** What following one instruction costs beside a look into the table. */
const followSteps = 2

const before = { start: 1, word: 2, newline: 4 } as const

interface State {
  readonly ids: Int32Array
  /** `before` bits: what stands before the next byte, where an assertion asks. */
  readonly flags: number
}

export class Automaton {
  readonly #program: Program
  readonly #classes: Uint8Array
  /** A byte of each class; -1 for the end. */
  readonly #samples: number[]
  /** Classes and the end. */
  readonly #width: number
  readonly #asserts: boolean
  readonly #anchored: boolean
  #table: Int32Array = new Int32Array(0)
  #states: State[] = []
  /** The newest state by the hash of its instructions, and the one before it with the same hash. */
  #rows: Map<number, number> = new Map()
  #older: number[] = []
  readonly #seen: Int32Array
  #seenMark = 0
  readonly #stack: number[] = []
  readonly #found: number[] = []
  #matched = false

  constructor(program: Program) {
    this.#program = program
    this.#asserts = program.codes.includes(code.assert)
    const { classes, samples } = byteClasses(program, this.#asserts)
    this.#classes = classes
    this.#samples = samples
    this.#width = samples.length
    this.#seen = new Int32Array(program.codes.length)
    this.#anchored = this.#isAnchored()
    this.#clear()
  }

  /** How many states there are now, for figures. */
  get stateCount(): number {
    return this.#states.length
  }

  /** Where the first match that ends earliest was seen to end (a byte late), or -1. */
  find(bytes: Uint8Array, length: number, work: Work): number {
    if (!work.spend(length + 1)) return -1
    const classes = this.#classes
    const width = this.#width
    let table = this.#table
    let row = this.#row([this.#program.start], before.start) * width
    for (let index = 0; index < length; index += 1) {
      const kind = classes[bytes[index]!]!
      let next = table[row + kind]!
      if (next === unknown) {
        next = this.#step(row / width, kind, work)
        table = this.#table
      }
      row = next
      if (row <= width) {
        if (row === width * matchRow) return index
        if (row === deadRow) return -1
      }
    }
    let last = table[row + width - 1]!
    if (last === unknown) last = this.#step(row / width, width - 1, work)
    return last === width * matchRow ? length : -1
  }

  #clear(): void {
    this.#states = [
      { ids: new Int32Array(0), flags: 0 },
      { ids: new Int32Array(0), flags: 0 },
    ]
    this.#rows.clear()
    this.#older = [-1, -1]
    this.#table = new Int32Array(this.#width * 8).fill(unknown)
    this.#table.fill(deadRow, 0, this.#width)
    this.#table.fill(this.#width * matchRow, this.#width, this.#width * 2)
  }

  #row(ids: readonly number[] | Int32Array, flags: number): number {
    let hash = flags
    for (let at = 0; at < ids.length; at += 1) hash = (Math.imul(hash, 31) + ids[at]!) | 0
    const newest = this.#rows.get(hash) ?? -1
    for (let row = newest; row >= 0; row = this.#older[row]!) {
      if (isState(this.#states[row]!, ids, flags)) return row
    }
    const row = this.#states.length
    if ((row + 1) * this.#width > this.#table.length) {
      const larger = new Int32Array(this.#table.length * 2).fill(unknown)
      larger.set(this.#table)
      this.#table = larger
    }
    this.#states.push({ ids: Int32Array.from(ids), flags })
    this.#older[row] = newest
    this.#rows.set(hash, row)
    return row
  }

  /** Makes the transition; gives it as the table holds it: row times width. */
  #step(row: number, kind: number, work: Work): number {
    let from = row
    let state = this.#states[row]!
    if ((this.#states.length + 1) * this.#width > cellsMax) {
      this.#clear()
      from = this.#row(state.ids, state.flags)
      state = this.#states[from]!
    }
    const byte = this.#samples[kind]!
    this.#follow(state, byte)
    work.left -= this.#found.length * followSteps + 8
    const next = this.#matched ? matchRow : this.#consumed(byte)
    const value = next * this.#width
    this.#table[from * this.#width + kind] = value
    return value
  }

  /** Into `#found`: the instructions that consume a byte, when `byte` (-1: the end) is what comes. */
  #follow(state: State, byte: number): void {
    const { codes, next, first } = this.#program
    this.#seenMark += 1
    this.#matched = false
    this.#found.length = 0
    const stack = this.#stack
    for (const id of state.ids) {
      stack.push(id)
      while (stack.length > 0) {
        const at = stack.pop()!
        if (this.#seen[at] === this.#seenMark) continue
        this.#seen[at] = this.#seenMark
        switch (codes[at]) {
          case code.match:
            this.#matched = true
            stack.length = 0
            return
          case code.byte:
            this.#found.push(at)
            break
          case code.split:
            stack.push(first[at]!, next[at]!)
            break
          case code.assert:
            if (holds(first[at]!, state.flags, byte)) stack.push(next[at]!)
            break
          default:
            stack.push(next[at]!)
        }
      }
    }
  }

  #consumed(byte: number): number {
    if (byte < 0) return deadRow
    const { next, first, sets, start, runs } = this.#program
    this.#seenMark += 1
    const ids: number[] = []
    for (const at of this.#found) {
      if (sets[first[at]!]![byte] === 0) continue
      const to = next[at]!
      if (this.#seen[to] === this.#seenMark) continue
      this.#seen[to] = this.#seenMark
      if (runs[to] === 0) ids.push(to)
      else this.#keepLongest(ids, to, runs[to]!)
    }
    if (!this.#anchored && this.#seen[start] !== this.#seenMark) ids.push(start)
    if (ids.length === 0) return deadRow
    ids.sort((a, b) => a - b)
    return this.#row(ids, this.#flagsAfter(byte))
  }

  /** Of the ways through one bounded repetition, the one that may go on longest allows what all others do. */
  #keepLongest(ids: number[], to: number, run: number): void {
    const { runs } = this.#program
    const at = ids.findIndex(id => runs[id] === run)
    if (at < 0) ids.push(to)
    else if (to > ids[at]!) ids[at] = to
  }

  #flagsAfter(byte: number): number {
    if (!this.#asserts) return 0
    return (isWordByte[byte] === 1 ? before.word : 0) | (byte === 0x0a ? before.newline : 0)
  }

  /** Every way begins with an assertion of the text's start: no need to begin anew at each byte. */
  #isAnchored(): boolean {
    const flags = this.#asserts ? 0 : before.start
    if (flags !== 0) return false
    for (const before of [0, 2, 4]) {
      for (const byte of [-1, 0x0a, 0x61, 0x20]) {
        this.#follow({ ids: Int32Array.of(this.#program.start), flags: before }, byte)
        if (this.#matched || this.#found.length > 0) return false
      }
    }
    return true
  }
}

function isState(state: State, ids: readonly number[] | Int32Array, flags: number): boolean {
  if (state.flags !== flags || state.ids.length !== ids.length) return false
  for (let at = 0; at < ids.length; at += 1) if (state.ids[at] !== ids[at]) return false
  return true
}

/** `flags`: what is before; `byte`: what comes, -1 the end. */
export function holds(assert: number, flags: number, byte: number): boolean {
  switch (assert) {
    case 0:
      return (flags & before.start) !== 0
    case 1:
      return byte < 0
    case 2:
      return (flags & (before.start | before.newline)) !== 0
    case 3:
      return byte < 0 || byte === 0x0a
  }
  const edge = ((flags & before.word) !== 0) !== (byte >= 0 && isWordByte[byte] === 1)
  return edge === (assert === 4)
}

/** Bytes that no set of the program tells apart are one class; assertions tell words and line ends apart. */
function byteClasses(program: Program, asserts: boolean): { classes: Uint8Array; samples: number[] } {
  const sets = asserts ? [...program.sets, isWordByte, new Uint8Array(256).fill(1, 0x0a, 0x0b)] : program.sets
  const classes = new Uint8Array(256)
  let count = 1
  for (const set of sets) count = splitClasses(classes, count, set)
  const samples: number[] = []
  for (let byte = 0; byte < 256; byte += 1) if (classes[byte] === samples.length) samples.push(byte)
  samples.push(-1)
  return { classes, samples }
}

/** Each class becomes two where the set holds only some of it. Numbered by their first bytes. Gives how many there are. */
function splitClasses(classes: Uint8Array, count: number, set: Uint8Array): number {
  const numbers = new Int16Array(count * 2).fill(-1)
  let next = 0
  for (let byte = 0; byte < 256; byte += 1) {
    const half = classes[byte]! * 2 + set[byte]!
    if (numbers[half]! < 0) numbers[half] = next++
    classes[byte] = numbers[half]!
  }
  return next
}
