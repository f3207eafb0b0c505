// A tree as a program for a nondeterministic automaton: what the lazy automaton and the backtracker both run. Four
// numbers an instruction. Repetitions with bounds are written out.

import { type ByteSet, textOfSet } from './bytes.ts'
import { type AssertKind, PatternError, type Tree } from './syntax.ts'

/** `look` has its own little program at `first`, which ends with `match`. */
export const code = {
  match: 0,
  /** One byte of set `first`, then `next`. */
  byte: 1,
  /** `next` first, then `first`. */
  split: 2,
  jump: 3,
  /** Remembers the place in slot `first`. */
  save: 4,
  assert: 5,
  look: 6,
  again: 7,
} as const

export const assertCodes: Readonly<Record<AssertKind, number>> = {
  'text-start': 0,
  'text-end': 1,
  'line-start': 2,
  'line-end': 3,
  'word-edge': 4,
  'no-word-edge': 5,
}

/** Bits of `second` in a `look`; above them: how many bytes it looks back at most. */
export const lookBits = { ahead: 1, wanted: 2 } as const

export interface Program {
  readonly codes: Uint8Array
  readonly next: Int32Array
  readonly first: Int32Array
  readonly second: Int32Array
  readonly sets: readonly ByteSet[]
  readonly start: number
  readonly groups: number
  /**
   * Of each instruction that begins what is left of a bounded repetition (`a{0,9}`): which repetition, from 1 on; else 0.
   * The one with the higher number allows all that a lower one of the same repetition does.
   */
  readonly runs: Int32Array
}

/** More would make each step over a byte too dear. */
const instructionsMax = 60_000
const behindMax = 255

class Writer {
  codes: number[] = []
  next: number[] = []
  first: number[] = []
  second: number[] = []
  sets: ByteSet[] = []
  /** By themselves, and by what they hold. */
  setsKnown: Map<ByteSet | string, number> = new Map()
  /** Without what an automaton can't decide: it then matches more, never less. */
  relaxed: boolean
  runs: Map<number, number> = new Map()
  runCount = 0

  constructor(relaxed: boolean) {
    this.relaxed = relaxed
  }

  add(kind: number, next: number, first = 0, second = 0): number {
    if (this.codes.length >= instructionsMax) {
      throw new PatternError(`it needs more than ${instructionsMax} instructions`)
    }
    this.codes.push(kind)
    this.next.push(next)
    this.first.push(first)
    this.second.push(second)
    return this.codes.length - 1
  }

  setIndex(set: ByteSet): number {
    const same = this.setsKnown.get(set)
    if (same !== undefined) return same
    const text = textOfSet(set)
    const index = this.setsKnown.get(text) ?? this.sets.push(set) - 1
    this.setsKnown.set(set, index).set(text, index)
    return index
  }

  /** Writes backwards: the instruction after `tree` is known. Gives the first one of it. */
  write(tree: Tree, after: number): number {
    switch (tree.kind) {
      case 'empty':
        return after
      case 'set':
        return this.add(code.byte, after, this.setIndex(tree.set))
      case 'sequence':
        return tree.parts.reduceRight((next, part) => this.write(part, next), after)
      case 'choice':
        return this.choice(tree.parts, after)
      case 'repeat':
        return this.repeat(tree.part, tree.least, tree.most, tree.greedy, after)
      case 'group': {
        if (this.relaxed) return this.write(tree.part, after)
        const end = this.add(code.save, after, tree.index * 2 + 1)
        return this.add(code.save, this.write(tree.part, end), tree.index * 2)
      }
      case 'assert':
        return this.add(code.assert, after, assertCodes[tree.assert])
      case 'look':
        return this.look(tree, after)
      case 'again':
        return this.again(tree, after)
    }
  }

  choice(parts: readonly Tree[], after: number): number {
    let start = this.write(parts.at(-1)!, after)
    for (let index = parts.length - 2; index >= 0; index -= 1) {
      start = this.add(code.split, this.write(parts[index]!, after), start)
    }
    return start
  }

  repeat(part: Tree, least: number, most: number, greedy: boolean, after: number): number {
    let start = after
    if (most === Number.POSITIVE_INFINITY) {
      const loop = this.add(code.split, 0)
      const body = this.write(part, loop)
      this.next[loop] = greedy ? body : after
      this.first[loop] = greedy ? after : body
      start = loop
    } else {
      this.runCount += 1
      const run = this.runCount
      for (let count = least; count < most; count += 1) {
        const body = this.write(part, start)
        start = greedy ? this.add(code.split, body, after) : this.add(code.split, after, body)
        this.runs.set(start, run)
      }
    }
    for (let count = 0; count < least; count += 1) start = this.write(part, start)
    return start
  }

  look(tree: Extract<Tree, { kind: 'look' }>, after: number): number {
    if (this.relaxed) return after
    const inner = this.write(tree.part, this.add(code.match, 0))
    const behind = tree.ahead ? 0 : longest(tree.part)
    if (behind > behindMax) throw new PatternError(`it looks back over more than ${behindMax} bytes`)
    const bits = (tree.ahead ? lookBits.ahead : 0) | (tree.wanted ? lookBits.wanted : 0)
    return this.add(code.look, after, inner, bits | (behind << 2))
  }

  again(tree: Extract<Tree, { kind: 'again' }>, after: number): number {
    if (!this.relaxed) return this.add(code.again, after, tree.group, tree.anyCase ? 1 : 0)
    const any = this.setIndex(new Uint8Array(256).fill(1))
    const loop = this.add(code.split, 0, after)
    this.next[loop] = this.add(code.byte, loop, any)
    return loop
  }
}

export function writeProgram(tree: Tree, groups: number, relaxed: boolean): Program {
  const writer = new Writer(relaxed)
  const start = writer.write(tree, writer.add(code.match, 0))
  const runs = new Int32Array(writer.codes.length)
  for (const [at, run] of writer.runs) runs[at] = run
  return {
    codes: Uint8Array.from(writer.codes),
    next: Int32Array.from(writer.next),
    first: Int32Array.from(writer.first),
    second: Int32Array.from(writer.second),
    sets: writer.sets,
    start,
    groups,
    runs,
  }
}

/** Bytes of the longest match; Infinity where there is none. */
function longest(tree: Tree): number {
  switch (tree.kind) {
    case 'set':
      return 1
    case 'sequence':
      return tree.parts.reduce((sum, part) => sum + longest(part), 0)
    case 'choice':
      return Math.max(...tree.parts.map(longest))
    case 'repeat':
      return tree.most === 0 ? 0 : longest(tree.part) * tree.most
    case 'group':
      return longest(tree.part)
    case 'again':
      return Number.POSITIVE_INFINITY
    default:
      return 0
  }
}
