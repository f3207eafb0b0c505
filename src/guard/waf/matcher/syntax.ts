// Reads a regular expression in PCRE's spelling, as far as rule sets use it, into a tree over bytes. `.` matches every
// byte and `$` only the very end (PCRE_DOTALL, PCRE_DOLLAR_ENDONLY), which is how rule sets are written; `(?m)` and
// `(?-s)` change that. What it doesn't know is an error at load, never a guess.

import {
  addAll,
  anyButNewline,
  anyByte,
  type ByteSet,
  escapedSets,
  inverted,
  namedSets,
  oneByteSet,
  withBothCases,
} from './bytes.ts'

export type AssertKind = 'text-start' | 'text-end' | 'line-start' | 'line-end' | 'word-edge' | 'no-word-edge'

export type Tree =
  | { readonly kind: 'empty' }
  | { readonly kind: 'set'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Tree[] }
  | { readonly kind: 'choice'; readonly parts: readonly Tree[] }
  | {
      readonly kind: 'repeat'
      readonly part: Tree
      readonly least: number
      /** Infinity: no bound. */
      readonly most: number
      readonly greedy: boolean
    }
  | { readonly kind: 'group'; readonly index: number; readonly part: Tree }
  | { readonly kind: 'assert'; readonly assert: AssertKind }
  | { readonly kind: 'look'; readonly ahead: boolean; readonly wanted: boolean; readonly part: Tree }
  | { readonly kind: 'again'; readonly group: number; readonly anyCase: boolean }

export interface Syntax {
  readonly tree: Tree
  readonly groups: number
  /** It has look-around or back-references: an automaton alone can't decide. */
  readonly irregular: boolean
}

export class PatternError extends Error {}

/** As in RE2: what is repeated more often makes programs too large. */
const repeatsMax = 1000
const depthMax = 200

interface Flags {
  anyCase: boolean
  dotAll: boolean
  multiline: boolean
  extended: boolean
}

const empty: Tree = { kind: 'empty' }
const escapedBytes: Readonly<Record<string, number>> = { a: 7, e: 0x1b, f: 0x0c, n: 0x0a, r: 0x0d, t: 0x09 }
const asserts: Readonly<Record<string, AssertKind>> = {
  A: 'text-start',
  b: 'word-edge',
  B: 'no-word-edge',
  z: 'text-end',
  Z: 'text-end',
}

class Reader {
  text: string
  at = 0
  groups = 0
  depth = 0
  irregular = false
  flags: Flags = { anyCase: false, dotAll: true, multiline: false, extended: false }

  constructor(text: string) {
    this.text = text
  }

  fail(what: string): never {
    throw new PatternError(`${what} at character ${this.at + 1}`)
  }

  whole(): Tree {
    const tree = this.choice()
    if (this.at < this.text.length) this.fail("a ')' without its '('")
    return tree
  }

  choice(): Tree {
    this.depth += 1
    if (this.depth > depthMax) this.fail(`more than ${depthMax} groups in each other`)
    const before = { ...this.flags }
    const parts = [this.sequence()]
    while (this.text[this.at] === '|') {
      this.at += 1
      parts.push(this.sequence())
    }
    this.flags = before
    this.depth -= 1
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  sequence(): Tree {
    const parts: Tree[] = []
    while (this.at < this.text.length) {
      const character = this.text[this.at]!
      if (character === '|' || character === ')') break
      if (this.flags.extended && this.skipsExtended(character)) continue
      const atom = this.atom(character)
      if (atom !== null) parts.push(this.repeated(atom))
    }
    return parts.length === 1 ? parts[0]! : parts.length === 0 ? empty : { kind: 'sequence', parts }
  }

  skipsExtended(character: string): boolean {
    if (/^\s$/.test(character)) {
      this.at += 1
      return true
    }
    if (character !== '#') return false
    const end = this.text.indexOf('\n', this.at)
    this.at = end < 0 ? this.text.length : end + 1
    return true
  }

  /** Null: it only changed flags, or was a comment. */
  atom(character: string): Tree | null {
    this.at += 1
    switch (character) {
      case '(':
        return this.group()
      case '[':
        return this.bracket()
      case '\\':
        return this.escaped()
      case '.':
        return { kind: 'set', set: this.flags.dotAll ? anyByte : anyButNewline }
      case '^':
        return { kind: 'assert', assert: this.flags.multiline ? 'line-start' : 'text-start' }
      case '$':
        return { kind: 'assert', assert: this.flags.multiline ? 'line-end' : 'text-end' }
      case '*':
      case '+':
      case '?':
        this.at -= 1
        return this.fail('nothing to repeat')
    }
    return this.literal(character)
  }

  /** Characters above U+00FF are bytes of UTF-8, as rule files are written in it. */
  literal(character: string): Tree {
    const code = character.charCodeAt(0)
    if (code > 0xff) this.fail('a character that is no byte')
    return this.oneByte(code)
  }

  oneByte(code: number): Tree {
    return { kind: 'set', set: oneByteSet(code, this.flags.anyCase) }
  }

  group(): Tree | null {
    if (this.text[this.at] !== '?') {
      this.groups += 1
      const index = this.groups
      return { kind: 'group', index, part: this.closed() }
    }
    this.at += 1
    const character = this.text[this.at]
    this.at += 1
    switch (character) {
      case ':':
        return this.closed()
      case '>':
        // An atomic group matches less than a plain one; a filter may match more, never less.
        return this.closed()
      case '#':
        return this.comment()
      case '=':
        return this.look(true, true)
      case '!':
        return this.look(true, false)
      case 'P':
      case '<':
      case "'":
        return this.namedOrBehind(character)
    }
    this.at -= 1
    return this.flagged()
  }

  closed(): Tree {
    const tree = this.choice()
    if (this.text[this.at] !== ')') this.fail("a '(' without its ')'")
    this.at += 1
    return tree
  }

  comment(): null {
    const end = this.text.indexOf(')', this.at)
    if (end < 0) this.fail('a comment without its end')
    this.at = end + 1
    return null
  }

  look(ahead: boolean, wanted: boolean): Tree {
    this.irregular = true
    return { kind: 'look', ahead, wanted, part: this.closed() }
  }

  namedOrBehind(character: string): Tree {
    const next = this.text[this.at]
    if (character === '<' && (next === '=' || next === '!')) {
      this.at += 1
      return this.look(false, next === '=')
    }
    if (character === 'P') {
      if (next !== '<') this.fail('a named group that is not (?P<name>...)')
      this.at += 1
    }
    const end = this.text.indexOf(character === "'" ? "'" : '>', this.at)
    if (end < 0) this.fail('a group name without its end')
    this.at = end + 1
    this.groups += 1
    const index = this.groups
    return { kind: 'group', index, part: this.closed() }
  }

  flagged(): Tree | null {
    const flags = { ...this.flags }
    let on = true
    for (; this.at < this.text.length; this.at += 1) {
      const character = this.text[this.at]
      if (character === '-') on = false
      else if (character === 'i') flags.anyCase = on
      else if (character === 's') flags.dotAll = on
      else if (character === 'm') flags.multiline = on
      else if (character === 'x') flags.extended = on
      else break
    }
    const end = this.text[this.at]
    this.at += 1
    if (end === ')') {
      // Until the group around it ends, which `choice` sees to.
      this.flags = flags
      return null
    }
    if (end !== ':') this.fail('an unknown kind of group')
    const before = this.flags
    this.flags = flags
    const tree = this.closed()
    this.flags = before
    return tree
  }

  repeated(atom: Tree): Tree {
    let tree = atom
    for (;;) {
      const bounds = this.bounds()
      if (bounds === null) return tree
      const [least, most] = bounds
      let greedy = true
      if (this.text[this.at] === '?') {
        greedy = false
        this.at += 1
      } else if (this.text[this.at] === '+') {
        // Possessive: matches less than greedy does. As with atomic groups, the plain one is taken.
        this.at += 1
      }
      if (least > repeatsMax || (most !== Number.POSITIVE_INFINITY && most > repeatsMax)) {
        this.fail(`repeated more than ${repeatsMax} times`)
      }
      if (most < least) this.fail('a repetition whose bounds are turned round')
      tree = { kind: 'repeat', part: tree, least, most, greedy }
    }
  }

  bounds(): readonly [number, number] | null {
    const character = this.text[this.at]
    if (character === '*' || character === '+' || character === '?') {
      this.at += 1
      return [character === '+' ? 1 : 0, character === '?' ? 1 : Number.POSITIVE_INFINITY]
    }
    if (character !== '{') return null
    const found = /^\{(\d{1,6})(,(\d{0,6}))?\}/.exec(this.text.slice(this.at, this.at + 16))
    if (found === null) return null
    this.at += found[0].length
    const least = Number(found[1])
    if (found[2] === undefined) return [least, least]
    return [least, found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3])]
  }

  escaped(): Tree {
    const character = this.text[this.at]
    if (character === undefined) this.fail("a '\\' at the end")
    const assert = asserts[character]
    if (assert !== undefined) {
      this.at += 1
      return { kind: 'assert', assert }
    }
    const set = escapedSets[character]
    if (set !== undefined) {
      this.at += 1
      return { kind: 'set', set }
    }
    if (character === 'Q') return this.quoted()
    if (character === 'R') this.fail('\\R, which is not supported,')
    if (character >= '1' && character <= '9') return this.again()
    return this.oneByte(this.escapedByte())
  }

  quoted(): Tree {
    const end = this.text.indexOf('\\E', this.at)
    const stop = end < 0 ? this.text.length : end
    const parts = [...this.text.slice(this.at + 1, stop)].map(one => this.literal(one))
    this.at = end < 0 ? stop : stop + 2
    return { kind: 'sequence', parts }
  }

  again(): Tree {
    const found = /^\d{1,2}/.exec(this.text.slice(this.at, this.at + 2))!
    const group = Number(found[0])
    if (group > this.groups) this.fail(`a reference to group ${group}, which is not there yet,`)
    this.at += found[0].length
    this.irregular = true
    return { kind: 'again', group, anyCase: this.flags.anyCase }
  }

  /** After a backslash: what is one byte. */
  escapedByte(): number {
    const character = this.text[this.at]
    if (character === undefined) this.fail("a '\\' at the end")
    this.at += 1
    if (character === 'x') return this.hexadecimal()
    if (character === '0') return this.octal()
    const named = escapedBytes[character]
    if (named !== undefined) return named
    if (/^[A-Za-z0-9]$/.test(character)) {
      this.at -= 1
      this.fail(`\\${character}, which is not supported,`)
    }
    const code = character.charCodeAt(0)
    if (code > 0xff) this.fail('a character that is no byte')
    return code
  }

  hexadecimal(): number {
    const found = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{0,2}))/.exec(
      this.text.slice(this.at, this.at + 8),
    )!
    this.at += found[0].length
    const code = Number.parseInt(found[1] ?? (found[2] || '0'), 16)
    if (code > 0xff) this.fail('a code point that is no byte')
    return code
  }

  octal(): number {
    const found = /^[0-7]{0,2}/.exec(this.text.slice(this.at, this.at + 2))!
    this.at += found[0].length
    return Number.parseInt(found[0] || '0', 8)
  }

  bracket(): Tree {
    const set = new Uint8Array(256)
    const negated = this.text[this.at] === '^'
    if (negated) this.at += 1
    const begin = this.at
    for (;;) {
      const character = this.text[this.at]
      if (character === undefined) this.fail("a '[' without its ']'")
      if (character === ']' && this.at > begin) break
      this.bracketItem(set)
    }
    this.at += 1
    const folded = this.flags.anyCase ? withBothCases(set) : set
    return { kind: 'set', set: negated ? inverted(folded) : folded }
  }

  bracketItem(set: ByteSet): void {
    const named = this.namedSet()
    if (named !== null) {
      addAll(set, named)
      return
    }
    const from = this.bracketByte(set)
    if (from < 0) return
    const dash = this.text[this.at] === '-' && this.text[this.at + 1] !== ']'
    if (!dash || this.text[this.at + 1] === undefined) {
      set[from] = 1
      return
    }
    const before = this.at
    this.at += 1
    const to = this.bracketByte(set)
    if (to < 0) {
      // `[a-\d]`: the dash stands for itself.
      set[from] = 1
      set[0x2d] = 1
      return
    }
    if (to < from) {
      this.at = before
      this.fail('a range that is turned round')
    }
    set.fill(1, from, to + 1)
  }

  namedSet(): ByteSet | null {
    if (!this.text.startsWith('[:', this.at)) return null
    const end = this.text.indexOf(':]', this.at)
    if (end < 0) return null
    const name = this.text.slice(this.at + 2, end)
    const set = namedSets[name.replace('^', '')]
    if (set === undefined) return null
    this.at = end + 2
    return name.startsWith('^') ? inverted(set) : set
  }

  /** One byte of a bracket, or -1 when it was a set, which is added. */
  bracketByte(set: ByteSet): number {
    const character = this.text[this.at]!
    this.at += 1
    if (character !== '\\') {
      const code = character.charCodeAt(0)
      if (code > 0xff) this.fail('a character that is no byte')
      return code
    }
    const escaped = this.text[this.at]
    const known = escaped === undefined ? undefined : escapedSets[escaped]
    if (known !== undefined) {
      this.at += 1
      addAll(set, known)
      return -1
    }
    if (escaped === 'b') {
      this.at += 1
      return 0x08
    }
    if (escaped !== undefined && escaped >= '1' && escaped <= '7') return this.octal()
    return this.escapedByte()
  }
}

/** `source`: one character a byte. Throws a PatternError. */
export function readSyntax(source: string, anyCase = false): Syntax {
  const reader = new Reader(source)
  reader.flags.anyCase = anyCase
  const tree = reader.whole()
  return { tree, groups: reader.groups, irregular: reader.irregular }
}
