// A compiled pattern: does it match, and where. Automata say whether: one for each alternative, so that those whose
// required texts don't occur need not run. A backtracker says where, or decides alone what an automaton can't
// (look-around, back-references) once the automaton of the relaxed pattern has said `maybe`.

import { Automaton } from './automaton.ts'
import { Backtracker, type Groups } from './backtrack.ts'
import { requiredTexts } from './literals.ts'
import { writeProgram } from './program.ts'
import { PatternError, readSyntax, type Syntax, type Tree } from './syntax.ts'
import type { Work } from './work.ts'

export { PatternError }

/** Bytes around a match's end in which its begin is looked for, times instructions. */
const placeBitsMax = 1 << 20
/** Alternatives with an automaton of their own; more share. */
const piecesMax = 32

/** Some alternatives of a pattern. */
export class Piece {
  /** In every match occurs one text (lower case) of each of these lists; none: it must always be asked. */
  readonly required: readonly (readonly string[])[]
  readonly #tree: Tree
  #automaton: Automaton | null = null

  constructor(tree: Tree) {
    this.#tree = tree
    this.required = requiredTexts(tree)
  }

  /** Where a match was seen to end, or -1. */
  find(bytes: Uint8Array, length: number, work: Work): number {
    return this.warm().find(bytes, length, work)
  }

  warm(): Automaton {
    this.#automaton ??= new Automaton(writeProgram(this.#tree, 0, true))
    return this.#automaton
  }
}

export class Pattern {
  readonly source: string
  readonly irregular: boolean
  readonly pieces: readonly Piece[]
  readonly #syntax: Syntax
  #backtracker: Backtracker | null = null
  #instructions = 0

  /** `source`: one character a byte. Throws a PatternError. */
  constructor(source: string, anyCase = false) {
    this.source = source
    this.#syntax = readSyntax(source, anyCase)
    this.irregular = this.#syntax.irregular
    this.pieces = this.irregular ? [new Piece(this.#syntax.tree)] : piecesOf(this.#syntax.tree)
  }

  /** Makes programs now rather than at the first value. */
  warm(): void {
    for (const piece of this.pieces) piece.warm()
    if (this.irregular) this.#exact()
  }

  /** False also when the work is spent: who asks looks at `work.exhausted`. */
  test(bytes: Uint8Array, length: number, work: Work): boolean {
    return this.pieces.some(piece => this.endOf(piece, bytes, length, work) >= 0)
  }

  /** Where a match of this piece was seen to end, or -1. */
  endOf(piece: Piece, bytes: Uint8Array, length: number, work: Work): number {
    const end = piece.find(bytes, length, work)
    if (end < 0 || !this.irregular) return end
    return this.#exact().search(bytes, 0, length, work) === null ? -1 : end
  }

  /**
   * Begin and end of the leftmost match and its groups; null: none. In a text that is too long for that, of the leftmost
   * near `end`, where one was seen to end.
   */
  groups(bytes: Uint8Array, length: number, work: Work, end: number): Groups | null {
    const exact = this.#exact()
    const reach = Math.floor(placeBitsMax / this.#instructions)
    if (length <= reach || this.irregular) return exact.search(bytes, 0, length, work)
    const from = Math.max(0, end - (reach >> 1))
    return exact.search(bytes, from, Math.min(length, from + reach), work)
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

/** What must always be asked is one piece; the rest is dealt out in order. */
function piecesOf(tree: Tree): readonly Piece[] {
  const single = alternativesOf(tree).map(one => new Piece(one))
  if (single.length === 1) return single
  const trees = alternativesOf(tree)
  const always = trees.filter((_, index) => single[index]!.required.length === 0)
  const filtered = trees.filter((_, index) => single[index]!.required.length > 0)
  const size = Math.ceil(filtered.length / piecesMax)
  const pieces: Piece[] = []
  for (let at = 0; at < filtered.length; at += size) {
    pieces.push(new Piece({ kind: 'choice', parts: filtered.slice(at, at + size) }))
  }
  if (always.length > 0) pieces.push(new Piece({ kind: 'choice', parts: always }))
  return pieces
}

function alternativesOf(tree: Tree): readonly Tree[] {
  switch (tree.kind) {
    case 'choice':
      return tree.parts.flatMap(alternativesOf)
    case 'group':
      return alternativesOf(tree.part)
    case 'sequence': {
      const parts = tree.parts.filter(part => part.kind !== 'empty')
      return parts.length === 1 ? alternativesOf(parts[0]!) : [tree]
    }
    default:
      return [tree]
  }
}
