// A compiled pattern: does it match, and where. An automaton says whether; a backtracker says where, or decides alone
// what an automaton can't (look-around, back-references) once the automaton of the relaxed pattern has said `maybe`.

import { Automaton } from './automaton.ts'
import { Backtracker, type Groups } from './backtrack.ts'
import { requiredTexts } from './literals.ts'
import { writeProgram } from './program.ts'
import { PatternError, readSyntax, type Syntax } from './syntax.ts'
import type { Work } from './work.ts'

export { PatternError }

/** Bytes around a match's end in which its begin is looked for, times instructions. */
const placeBitsMax = 1 << 22

export class Pattern {
  readonly source: string
  /** One of these (lower case) occurs in every match; null: it must always be asked. */
  readonly required: readonly string[] | null
  readonly irregular: boolean
  readonly #syntax: Syntax
  #automaton: Automaton | null = null
  #backtracker: Backtracker | null = null
  #instructions = 0

  /** `source`: one character a byte. Throws a PatternError. */
  constructor(source: string, anyCase = false) {
    this.source = source
    this.#syntax = readSyntax(source, anyCase)
    this.required = requiredTexts(this.#syntax.tree)
    this.irregular = this.#syntax.irregular
  }

  /** Makes programs now rather than at the first value. */
  warm(): void {
    this.#automatic()
    if (this.irregular) this.#exact()
  }

  /** False also when the work is spent: who asks looks at `work.exhausted`. */
  test(bytes: Uint8Array, length: number, work: Work): boolean {
    if (this.#automatic().find(bytes, length, work) < 0) return false
    return !this.irregular || this.#exact().search(bytes, 0, length, work) !== null
  }

  /** Begin and end of the leftmost match and its groups, as far as can be said within bounds; null: not. */
  groups(bytes: Uint8Array, length: number, work: Work): Groups | null {
    const end = this.#automatic().find(bytes, length, work)
    if (end < 0) return null
    const exact = this.#exact()
    const reach = Math.floor(placeBitsMax / this.#instructions)
    if (length <= reach || this.irregular) return exact.search(bytes, 0, length, work)
    const from = Math.max(0, end - (reach >> 1))
    return exact.search(bytes, from, Math.min(length, from + reach), work)
  }

  #automatic(): Automaton {
    this.#automaton ??= new Automaton(writeProgram(this.#syntax.tree, 0, true))
    return this.#automaton
  }

  #exact(): Backtracker {
    if (this.#backtracker === null) {
      const program = writeProgram(this.#syntax.tree, this.#syntax.groups, false)
      this.#instructions = program.codes.length
      this.#backtracker = new Backtracker(program)
    }
    return this.#backtracker
  }
}
