// The shape of an SQL text: the text without the values of strings and numbers, without comments and with single spaces,
// made in one pass, so that a statement is parsed once for all the values that it comes with. It follows PostgreSQL's own
// lexer (src/backend/parser/scan.l of 18) with standard_conforming_strings on. Two texts of one shape are judged alike;
// where a value could change the judgement the shape is `exact`: it stands for this text only. Never judges anything.

/** What stands for a value in a shape: characters that may not stand outside quotes in SQL. */
export const placeholder = { string: '\x01', number: '\x02', more: '\x03', parameter: '\x05' } as const

export interface Shape {
  /** Whitespace single, comments gone, placeholders for values; lists of values are one value and `more`. */
  readonly key: string
  /** Values may matter (SET, EXPLAIN, set_config ...), or it is not understood: only the same text is the same statement. */
  readonly exact: boolean
  /** It has strings or numbers in it. */
  readonly values: boolean
  /** Of the first comment that begins with `tenfold:`, before anything else: what follows the colon. */
  readonly hint: string | null
  /** Statements that begin in it. */
  readonly statements: number
  /** The first word of the first statement, lower case; ''. */
  readonly verb: string
}

const kinds = {
  other: 0,
  space: 1,
  word: 2,
  digit: 3,
  quote: 4,
  doubleQuote: 5,
  dollar: 6,
  dash: 7,
  slash: 8,
  dot: 9,
  semicolon: 10,
  comma: 11,
  open: 12,
  bad: 13,
} as const

/** By character code below 128; everything above is part of a word. */
const classes: Uint8Array = classTable()

function classTable(): Uint8Array {
  const table = new Uint8Array(128)
  const put = (characters: string, kind: number): void => {
    for (const one of characters) table[one.charCodeAt(0)] = kind
  }
  for (let code = 0; code < 32; code++) table[code] = kinds.bad
  table[127] = kinds.bad
  put(' \t\n\r\f\v', kinds.space)
  put('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', kinds.word)
  put('0123456789', kinds.digit)
  put("'", kinds.quote)
  put('"', kinds.doubleQuote)
  put('$', kinds.dollar)
  put('-', kinds.dash)
  put('/', kinds.slash)
  put('.', kinds.dot)
  put(';', kinds.semicolon)
  put(',', kinds.comma)
  put('(', kinds.open)
  return table
}

/** Statements whose judgement no value can change, but for those of `valueWords`. */
const mergeable: ReadonlySet<string> = new Set([
  'select',
  'insert',
  'update',
  'delete',
  'with',
  'values',
  'merge',
  'table',
  'call',
  'execute',
])

/** Functions whose arguments are looked at. */
const valueWords: ReadonlySet<string> = new Set(['set_config', 'current_setting'])
const valueWordLengths: ReadonlySet<number> = new Set([...valueWords].map(word => word.length))

const hintPattern = /^(?:\/\*|--)\s*tenfold:\s*([^*\r\n]{0,40})/
const tagPattern = /\$(?:[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff]*)?\$/y
/** Rows of values that repeat: a statement that inserts ten rows is one that inserts two. */
const rowsPattern = /(\((?:[\x01\x02\x03\x05, ]|null|default|true|false)*\))(?: ?, ?\1)+/gi
const rowsCharsMin = 256

/** 1: may stand in a name, behind its first character. */
const nameParts: Uint8Array = classes.map(kind =>
  kind === kinds.word || kind === kinds.digit || kind === kinds.dollar ? 1 : 0,
)

/** 1: a name of so many characters is only a name. Others may be a string's prefix, or one of `valueWords`. */
const lengthsMax = 16
const plainLengths: Uint8Array = Uint8Array.from({ length: lengthsMax + 1 }, (_, length) =>
  length === 1 || valueWordLengths.has(length) ? 0 : 1,
)

/** Neither whitespace nor perhaps a comment. */
function isToken(text: string, at: number, end: number): boolean {
  if (at >= end) return false
  const character = text.charCodeAt(at)
  if (character >= 128) return true
  const kind = classes[character]
  return kind !== kinds.space && kind !== kinds.dash && kind !== kinds.slash
}

const code = {
  newline: 10,
  space: 32,
  carriageReturn: 13,
  quote: 39,
  star: 42,
  dash: 45,
  slash: 47,
  backslash: 92,
}

/** 0: nothing; 1: behind a value; 2: behind a value and a comma. */
type ListState = 0 | 1 | 2

class Lexer {
  #text = ''
  #at = 0
  /** Text from here to `#at` is not in `#out` yet. */
  #from = 0
  #out = ''
  /** Behind `#out`, unless the next thing is one more value of a list. */
  #pending = ''
  #list: ListState = 0
  #lastKind = ''
  #marked = false
  #begins = true
  #exact = false
  #values = false
  #empty = true
  #hint: string | null = null
  #statements = 0
  #verb = ''
  /** Values stay. */
  #keeps = false
  /** A comment has no end, which is an error that must stay. */
  #unclosed = false

  withoutComments(text: string): string {
    this.#keeps = true
    this.#unclosed = false
    const { key } = this.shapeOf(text)
    this.#keeps = false
    return this.#unclosed ? text : key
  }

  shapeOf(text: string): Shape {
    this.#start(text)
    this.#run(text)
    const out = this.#out + this.#pending + text.slice(this.#from)
    const trimmed = out.endsWith(' ') ? out.slice(0, -1) : out
    const key =
      trimmed.length < rowsCharsMin ? trimmed : trimmed.replace(rowsPattern, `$1${placeholder.more}`)
    const shape = {
      key,
      exact: this.#exact,
      values: this.#values,
      hint: this.#hint,
      statements: this.#statements,
      verb: this.#verb,
    }
    this.#start('')
    return shape
  }

  /** The hot loop: names and single spaces, which are most of any text, are passed over here. */
  #run(text: string): void {
    const end = text.length
    let at = 0
    while (at < end) {
      const character = text.charCodeAt(at)
      const kind = character < 128 ? classes[character]! : kinds.word
      if (kind === kinds.word) {
        const start = at++
        while (at < end) {
          const next = text.charCodeAt(at)
          if (next < 128 && nameParts[next] === 0) break
          at++
        }
        if (!this.#begins && plainLengths[Math.min(at - start, lengthsMax)] === 1) {
          this.#list = 0
          continue
        }
        this.#at = start
        this.#word(at)
        at = this.#at
      } else if (character === code.space && !this.#empty && isToken(text, at + 1, end)) at++
      else {
        this.#at = at
        this.#step(kind)
        at = this.#at
      }
    }
  }

  #start(text: string): void {
    this.#text = text
    this.#at = 0
    this.#from = 0
    this.#out = ''
    this.#pending = ''
    this.#list = 0
    this.#begins = true
    this.#exact = false
    this.#values = false
    this.#empty = true
    this.#hint = null
    this.#statements = 0
    this.#verb = ''
  }

  #kindAt(at: number): number {
    if (at >= this.#text.length) return kinds.bad
    const character = this.#text.charCodeAt(at)
    return character < 128 ? classes[character]! : kinds.word
  }

  #step(kind: number): void {
    switch (kind) {
      case kinds.space:
        this.#gap()
        return
      case kinds.digit:
        this.#value(this.#numberEnd(this.#at), placeholder.number)
        return
      case kinds.quote:
        this.#value(this.#stringEnd(this.#at, false), placeholder.string)
        return
      case kinds.doubleQuote:
        this.#quotedName()
        return
      case kinds.dollar:
        this.#dollar()
        return
      case kinds.dash:
        this.#text.charCodeAt(this.#at + 1) === code.dash ? this.#gap() : this.#other()
        return
      case kinds.slash:
        this.#text.charCodeAt(this.#at + 1) === code.star ? this.#gap() : this.#other()
        return
      case kinds.dot:
        if (this.#kindAt(this.#at + 1) !== kinds.digit) this.#other()
        else this.#value(this.#numberEnd(this.#at), placeholder.number)
        return
      case kinds.semicolon:
        this.#begins = true
        this.#other()
        return
      case kinds.comma:
        this.#list = this.#list === 1 ? 2 : 0
        this.#at++
        return
      case kinds.open:
        this.#list = 0
        this.#empty = false
        this.#at++
        return
      case kinds.bad:
        this.#exact = true
        this.#other()
        return
      default:
        this.#other()
        return
    }
  }

  #other(): void {
    this.#list = 0
    this.#empty = false
    this.#at++
  }

  /** Whitespace and comments: one space; nothing at the beginning. */
  #gap(): void {
    const start = this.#at
    let at = start
    for (;;) {
      const end = this.#gapEnd(at)
      if (end === at) break
      if (this.#empty && this.#hint === null) this.#readHint(at, end)
      at = end
    }
    this.#at = at
    if (at === start + 1 && this.#text[start] === ' ' && !this.#empty) return
    this.#pending += this.#text.slice(this.#from, start)
    if (!this.#empty) this.#pending += ' '
    this.#from = at
  }

  #gapEnd(at: number): number {
    const text = this.#text
    const next = text.charCodeAt(at + 1)
    if (text.charCodeAt(at) === code.dash && next === code.dash) return this.#lineEnd(at)
    if (text.charCodeAt(at) === code.slash && next === code.star) return this.#commentEnd(at)
    while (this.#kindAt(at) === kinds.space) at++
    return at
  }

  #lineEnd(at: number): number {
    const text = this.#text
    for (; at < text.length; at++) {
      const character = text.charCodeAt(at)
      if (character === code.newline || character === code.carriageReturn) return at
    }
    return at
  }

  /** Comments nest (scan.l, xcstart). */
  #commentEnd(at: number): number {
    const text = this.#text
    let depth = 0
    while (at < text.length) {
      const here = text.charCodeAt(at)
      const next = text.charCodeAt(at + 1)
      if (here === code.slash && next === code.star) {
        depth++
        at += 2
      } else if (here === code.star && next === code.slash) {
        depth--
        at += 2
        if (depth === 0) return at
      } else at++
    }
    this.#exact = true
    this.#unclosed = true
    return text.length
  }

  #readHint(start: number, end: number): void {
    if (this.#kindAt(start) === kinds.space) return
    this.#hint = hintPattern.exec(this.#text.slice(start, Math.min(end, start + 200)))?.[1]?.trim() ?? null
  }

  #word(end: number): void {
    const start = this.#at
    if (end === start + 1 && this.#prefixed(start)) return
    const word = this.#text.slice(start, end).toLowerCase()
    if (this.#begins) this.#begin(word)
    else if (valueWords.has(word)) this.#exact = true
    this.#list = 0
    this.#empty = false
    this.#at = end
  }

  #begin(verb: string): void {
    this.#begins = false
    this.#statements++
    if (this.#statements === 1) this.#verb = verb
    if (!mergeable.has(verb)) this.#exact = true
  }

  /** E'' has escapes; B'', X'', N'' have not; U& makes names and strings that mean something else than they show. */
  #prefixed(start: number): boolean {
    const letter = this.#text.charCodeAt(start) | 32
    const next = this.#text[start + 1]
    if (letter === 117 && next === '&') this.#exact = true
    if (next !== "'" || (letter !== 101 && letter !== 98 && letter !== 120 && letter !== 110)) return false
    this.#value(this.#stringEnd(start + 1, letter === 101), placeholder.string)
    return true
  }

  #stringEnd(quote: number, escapes: boolean): number {
    const text = this.#text
    for (let at = quote + 1; at < text.length; at++) {
      const character = text.charCodeAt(at)
      if (escapes && character === code.backslash) at++
      else if (character === code.quote) {
        if (text.charCodeAt(at + 1) !== code.quote) return at + 1
        at++
      }
    }
    this.#exact = true
    return text.length
  }

  #quotedName(): void {
    const start = this.#at
    let at = start + 1
    for (;;) {
      const end = this.#text.indexOf('"', at)
      if (end < 0) {
        // Never closed: no name, and nobody's value is shown.
        this.#value(this.#text.length, placeholder.string, true)
        return
      }
      at = end + 1
      if (this.#text[at] !== '"') break
      at++
    }
    if (valueWords.has(this.#text.slice(start + 1, at - 1))) this.#exact = true
    if (this.#begins) this.#begin('"')
    this.#other()
    this.#at = at
  }

  #dollar(): void {
    const at = this.#at
    if (this.#kindAt(at + 1) === kinds.digit) {
      let end = at + 2
      while (this.#kindAt(end) === kinds.digit) end++
      this.#value(end, placeholder.parameter)
      return
    }
    tagPattern.lastIndex = at
    const tag = tagPattern.exec(this.#text)?.[0]
    if (tag === undefined) {
      this.#exact = true
      this.#other()
      return
    }
    const close = this.#text.indexOf(tag, at + tag.length)
    this.#value(close < 0 ? this.#text.length : close + tag.length, placeholder.string, close < 0)
  }

  /** 1, 1.5, .5, 1e-5, 0xff, 1_000; letters directly behind are an error to PostgreSQL, and swallowed here. */
  #numberEnd(start: number): number {
    const text = this.#text
    let at = start
    for (;;) {
      const kind = this.#kindAt(at)
      if (kind === kinds.dot) {
        if (text[at + 1] === '.') return at
      } else if (kind !== kinds.digit && kind !== kinds.word) {
        if (!this.#signOfExponent(start, at)) return at
      }
      at++
    }
  }

  #signOfExponent(start: number, at: number): boolean {
    const sign = this.#text[at]
    if ((sign !== '+' && sign !== '-') || (this.#text.charCodeAt(at - 1) | 32) !== 101) return false
    const second = this.#text.charCodeAt(start + 1) | 32
    const decimal = !(this.#text[start] === '0' && (second === 120 || second === 111 || second === 98))
    return decimal && this.#kindAt(at + 1) === kinds.digit
  }

  #value(end: number, kind: string, exact = false): void {
    this.#pending += this.#text.slice(this.#from, this.#at)
    if (this.#keeps) this.#out += this.#pending + this.#text.slice(this.#at, end)
    else if (this.#list === 2 && kind === this.#lastKind) {
      if (!this.#marked) this.#out += placeholder.more
      this.#marked = true
    } else {
      this.#out += this.#pending + kind
      this.#marked = false
    }
    if (kind !== placeholder.parameter) this.#values = true
    if (exact || this.#begins) this.#exact = true
    this.#pending = ''
    this.#from = end
    this.#at = end
    this.#list = 1
    this.#lastKind = kind
    this.#empty = false
  }
}

const lexer = new Lexer()

export function shapeOf(text: string): Shape {
  return lexer.shapeOf(text)
}

const perhapsComment = /--|\/\*/

/** The same statement with spaces for comments. */
export function withoutComments(text: string): string {
  return perhapsComment.test(text) ? lexer.withoutComments(text) : text
}

const placeholders = /[\x01\x02\x05]|\x03/g
const shownCharsMax = 4096

/** For people: `$1` for each value, `, ...` for the rest of a list. Holds nothing of a value. */
export function shownText(key: string): string {
  let count = 0
  const text = key.replace(placeholders, one => (one === placeholder.more ? ', ...' : `$${++count}`))
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)} ...` : text
}

/** A statement of this shape, as short as can be. */
export function sampleText(key: string): string {
  return key.replace(placeholders, one => {
    if (one === placeholder.string) return "''"
    if (one === placeholder.number) return '1'
    return one === placeholder.parameter ? '$1' : ''
  })
}
