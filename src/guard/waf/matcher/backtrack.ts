// Where exactly a pattern matches, and its groups: backtracking that never visits the same instruction at the same place
// twice, so it is linear in bytes times instructions. Patterns with back-references can't promise that: they run on
// steps, and who needs more has no verdict. Used on few values: an automaton has said before that there is a match.

import { holds } from './automaton.ts'
import { isWordByte } from './bytes.ts'
import { code, lookBits, type Program } from './program.ts'
import type { Work } from './work.ts'

/** Bits of the memory of visits: 4 MB. */
const visitBitsMax = 1 << 25
/** Steps of one search that can't remember its visits. */
const freeStepsMax = 200_000

export type Groups = Int32Array

export class Backtracker {
  readonly #program: Program
  readonly #forgetful: boolean
  #visits: Uint32Array = new Uint32Array(0)
  #looks: Map<number, boolean> = new Map()
  #bytes: Uint8Array = new Uint8Array(0)
  #from = 0
  #end = 0
  #slots: Int32Array
  #stack: number[] = []
  #steps = 0

  constructor(program: Program) {
    this.#program = program
    this.#forgetful = program.codes.includes(code.again)
    this.#slots = new Int32Array((program.groups + 1) * 2)
  }

  /**
   * The leftmost match in `bytes` between `from` and `end`, as pairs of begin and end (-1: a group that took no part);
   * null: none. `undecided` in the work's place: `work` is spent then.
   */
  search(bytes: Uint8Array, from: number, end: number, work: Work): Groups | null {
    const bits = this.#program.codes.length * (end - from + 1)
    if (!this.#forgetful && bits > visitBitsMax) {
      work.left = 0
      return null
    }
    this.#prepare(bytes, from, end, bits)
    let found: Groups | null = null
    this.#steps = Math.min(work.left, this.#forgetful ? freeStepsMax : Number.MAX_SAFE_INTEGER)
    const allowed = this.#steps
    for (let start = from; start <= end && found === null && this.#steps > 0; start += 1) {
      this.#slots.fill(-1)
      const stop = this.#run(this.#program.start, start, -1, true)
      if (stop >= 0) {
        this.#slots[0] = start
        this.#slots[1] = stop
        found = this.#slots.slice()
      }
    }
    work.spend(allowed - this.#steps)
    if (this.#steps <= 0 && found === null) work.left = 0
    return found
  }

  #prepare(bytes: Uint8Array, from: number, end: number, bits: number): void {
    this.#bytes = bytes
    this.#from = from
    this.#end = end
    this.#looks.clear()
    if (this.#forgetful) return
    const words = (bits >>> 5) + 1
    if (this.#visits.length < words) this.#visits = new Uint32Array(words)
    else this.#visits.fill(0, 0, words)
  }

  /** Where it ends, or -1. `exactly`: only a match that ends there counts. Entries of the stack: instruction, place, and undo. */
  #run(start: number, place: number, exactly: number, remember: boolean): number {
    const { codes, next, first, second, sets } = this.#program
    const stack = this.#stack
    const floor = stack.length
    stack.push(start, place, 0)
    while (stack.length > floor) {
      const undo = stack.pop()!
      let at = stack.pop()!
      let pc = stack.pop()!
      if (pc < 0) {
        // Going back over a `save`.
        this.#slots[-pc - 1] = undo
        continue
      }
      for (;;) {
        this.#steps -= 1
        if (this.#steps <= 0) {
          stack.length = floor
          return -1
        }
        if (remember && !this.#forgetful && this.#visited(pc, at)) break
        const kind = codes[pc]
        if (kind === code.byte) {
          if (at >= this.#end || sets[first[pc]!]![this.#bytes[at]!] === 0) break
          at += 1
        } else if (kind === code.split) {
          stack.push(first[pc]!, at, 0)
        } else if (kind === code.match) {
          if (exactly >= 0 && at !== exactly) break
          stack.length = floor
          return at
        } else if (kind === code.save) {
          const slot = first[pc]!
          stack.push(-slot - 1, 0, this.#slots[slot]!)
          this.#slots[slot] = at
        } else if (kind === code.assert) {
          if (!this.#holds(first[pc]!, at)) break
        } else if (kind === code.look) {
          if (!this.#looksLike(pc, at, first[pc]!, second[pc]!)) break
        } else if (kind === code.again) {
          const length = this.#sameAgain(first[pc]!, at, second[pc] === 1)
          if (length < 0) break
          at += length
        }
        pc = next[pc]!
      }
    }
    return -1
  }

  #visited(pc: number, at: number): boolean {
    const bit = pc * (this.#end - this.#from + 1) + (at - this.#from)
    const word = bit >>> 5
    const mask = 1 << (bit & 31)
    if ((this.#visits[word]! & mask) !== 0) return true
    this.#visits[word]! |= mask
    return false
  }

  #holds(assert: number, at: number): boolean {
    const previous = at > 0 ? this.#bytes[at - 1]! : -1
    const flags =
      (at === 0 ? 1 : 0) | (previous >= 0 && isWordByte[previous] === 1 ? 2 : 0) | (previous === 0x0a ? 4 : 0)
    return holds(assert, flags, at < this.#end ? this.#bytes[at]! : -1)
  }

  /** Answers of look-around at a place are kept: they don't depend on the way there, but for groups inside. */
  #looksLike(pc: number, at: number, inner: number, bits: number): boolean {
    const key = pc * (this.#end + 1) + at
    let known = this.#forgetful ? undefined : this.#looks.get(key)
    if (known === undefined) {
      known =
        (bits & lookBits.ahead) !== 0
          ? this.#run(inner, at, -1, false) >= 0
          : this.#behind(inner, at, bits >> 2)
      if (!this.#forgetful) this.#looks.set(key, known)
    }
    return known === ((bits & lookBits.wanted) !== 0)
  }

  #behind(inner: number, at: number, lengthMax: number): boolean {
    for (let from = at; from >= 0 && from >= at - lengthMax; from -= 1) {
      if (this.#run(inner, from, at, false) >= 0) return true
    }
    return false
  }

  #sameAgain(group: number, at: number, anyCase: boolean): number {
    const from = this.#slots[group * 2]!
    const to = this.#slots[group * 2 + 1]!
    if (from < 0 || to < from) return -1
    const length = to - from
    if (at + length > this.#end) return -1
    for (let index = 0; index < length; index += 1) {
      const one = this.#bytes[from + index]!
      const other = this.#bytes[at + index]!
      if (one !== other && !(anyCase && lower(one) === lower(other))) return -1
    }
    return length
  }
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}
