// SQL as libinjection reads it: a text as tokens of one-letter types, in the view of ANSI or MySQL, from outside or from
// within a quoted string. Written after libinjection 3.9.2 (copyright (c) 2012-2016 Nick Galbreath, BSD 3-clause
// licence; see NOTICE), quirk by quirk: its fingerprints were learnt with them.

import { sqlWords } from './sqli-words.ts'

export interface Token {
  /** '' = none. */
  type: string
  text: string
  open: string
  close: string
}

/** Of a token's text; longer ones are cut, as words of the table are shorter. */
const textMax = 31
const spaces = ' \t\n\v\f\r\xa0\0'
const wordEnds = bytesOf(' []{}<>:\\?=@!#~+-*/&|^%(),\';\t\n\v\f\r"\xa0\0')
const variableEnds = bytesOf(" <>:\\?=@!#~+-*/&|^%(),';\t\n\v\f\r'`\"\0")
const letters = 'abcdefghjiklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\0'

function bytesOf(characters: string): Uint8Array {
  const table = new Uint8Array(256)
  for (let at = 0; at < characters.length; at += 1) table[characters.charCodeAt(at)] = 1
  return table
}

/** The type of a word of the table, or ''. */
export function wordType(text: string): string {
  return sqlWords.get(upper(text)) ?? ''
}

export function upper(text: string): string {
  if (!/[a-z]/.test(text)) return text
  return /[\x80-\xff]/.test(text) ? upperAscii(text) : text.toUpperCase()
}

function upperAscii(text: string): string {
  return text.replace(/[a-z]+/g, one => one.toUpperCase())
}

export function emptyToken(): Token {
  return { type: '', text: '', open: '', close: '' }
}

export function clearToken(token: Token): void {
  token.type = ''
  token.text = ''
  token.open = ''
  token.close = ''
}

export function isUnary(token: Token): boolean {
  if (token.type !== 'o') return false
  const { text } = token
  return /^[-+!~]$/.test(text) || text === '!!' || (text.length === 3 && upper(text) === 'NOT')
}

export function isArithmetic(token: Token): boolean {
  return token.type === 'o' && /^[-*/+%]$/.test(token.text)
}

export type Quote = '' | "'" | '"'

export class Tokens {
  readonly text: string
  readonly quote: Quote
  readonly mysql: boolean
  at = 0
  count = 0
  /** It has `--x` or `#`, which MySQL reads another way. */
  readsOtherwise = false
  current: Token = emptyToken()

  constructor(text: string, quote: Quote, mysql: boolean) {
    this.text = text
    this.quote = quote
    this.mysql = mysql
  }

  /** The next token into `token`; false: there is none. */
  next(token: Token): boolean {
    this.current = token
    clearToken(token)
    if (this.text === '') return false
    if (this.at === 0 && this.quote !== '') {
      this.at = this.#stringFrom(0, this.quote, 0)
      this.count += 1
      return true
    }
    const { text } = this
    while (this.at < text.length) {
      const code = text.charCodeAt(this.at)
      if (code <= 32 || code === 127 || code === 160) {
        this.at += 1
        continue
      }
      this.at = this.#read(text[this.at]!)
      if (token.type !== '') {
        this.count += 1
        return true
      }
    }
    return false
  }

  #read(character: string): number {
    const reader = readers[character.charCodeAt(0)]!
    switch (reader) {
      case 'operator1':
        return this.#one('o')
      case 'operator2':
        return this.#operator()
      case 'char':
        return this.#one(character)
      case 'other':
        return this.#one('?')
      case 'string':
        return this.#stringFrom(this.at, character, 1)
      case 'hash':
        return this.#hash()
      case 'dash':
        return this.#dash()
      case 'slash':
        return this.#slash()
      case 'money':
        return this.#money()
      case 'number':
        return this.#number()
      case 'variable':
        return this.#variable()
      case 'tick':
        return this.#tick()
      case 'bracket':
        return this.#bracket()
      case 'backslash':
        return this.#backslash()
      case 'b':
        return this.#digitsString('01\0')
      case 'x':
        return this.#digitsString('0123456789ABCDEFabcdef\0')
      case 'e':
        return this.#escapeString()
      case 'n':
        return this.at + 2 < this.text.length && this.text[this.at + 1] === "'"
          ? this.#escapeString()
          : this.#oracleString(1)
      case 'q':
        return this.#oracleString(0)
      case 'u':
        return this.#unicodeString()
      default:
        return this.#word()
    }
  }

  #assign(type: string, from: number, length: number): void {
    this.current.type = type
    this.current.text = this.text.slice(from, from + Math.min(length, textMax))
  }

  #one(type: string): number {
    this.#assign(type, this.at, 1)
    return this.at + 1
  }

  #untilLineEnd(): number {
    const end = this.text.indexOf('\n', this.at)
    const stop = end < 0 ? this.text.length : end
    this.#assign('c', this.at, stop - this.at)
    return end < 0 ? stop : stop + 1
  }

  #hash(): number {
    this.readsOtherwise = true
    return this.mysql ? this.#untilLineEnd() : this.#one('o')
  }

  #dash(): number {
    const second = this.text[this.at + 1]
    const third = this.text[this.at + 2]
    if (second === '-' && (third === undefined || spaces.includes(third))) return this.#untilLineEnd()
    if (second === '-' && !this.mysql) {
      this.readsOtherwise = true
      return this.#untilLineEnd()
    }
    return this.#one('o')
  }

  #slash(): number {
    const { text, at } = this
    if (text[at + 1] !== '*') return this.#one('o')
    const end = text.indexOf('*/', at + 2)
    const length = end < 0 ? text.length - at : end + 2 - at
    // Nested comments and MySQL's conditional ones can't be read in one way.
    const nested = end >= 0 && text.slice(at + 2, end + 1).includes('/*')
    const conditional = text[at + 2] === '!'
    this.#assign(nested || conditional ? 'X' : 'c', at, length)
    return at + length
  }

  #backslash(): number {
    if (this.text[this.at + 1] !== 'N') return this.#one('\\')
    this.#assign('1', this.at, 2)
    return this.at + 2
  }

  #operator(): number {
    const { text, at } = this
    if (at + 1 >= text.length) return this.#one('o')
    if (text.startsWith('<=>', at)) {
      this.#assign('o', at, 3)
      return at + 3
    }
    const type = wordType(text.slice(at, at + 2))
    if (type !== '') {
      this.#assign(type, at, 2)
      return at + 2
    }
    return this.#one(text[at] === ':' ? ':' : 'o')
  }

  /** `offset`: how many characters open the string; 0 where an opening quote is only imagined. */
  #stringFrom(from: number, delimiter: string, offset: number): number {
    const { text } = this
    const begin = from + offset
    this.current.open = offset > 0 ? delimiter : ''
    let end = text.indexOf(delimiter, begin)
    while (end >= 0) {
      if (this.#isEscaped(end - 1, begin)) end = text.indexOf(delimiter, end + 1)
      else if (text[end + 1] === delimiter) end = text.indexOf(delimiter, end + 2)
      else {
        this.#assign('s', begin, end - begin)
        this.current.close = delimiter
        return end + 1
      }
    }
    this.#assign('s', begin, text.length - begin)
    this.current.close = ''
    return text.length
  }

  #isEscaped(last: number, begin: number): boolean {
    let at = last
    while (at >= begin && this.text[at] === '\\') at -= 1
    return ((last - at) & 1) === 1
  }

  #escapeString(): number {
    if (this.at + 2 >= this.text.length || this.text[this.at + 1] !== "'") return this.#word()
    return this.#stringFrom(this.at, "'", 2)
  }

  #unicodeString(): number {
    if (this.text[this.at + 1] !== '&' || this.text[this.at + 2] !== "'") return this.#word()
    const end = this.#stringFrom(this.at + 2, "'", 1)
    this.current.open = 'u'
    if (this.current.close === "'") this.current.close = 'u'
    return end
  }

  #oracleString(offset: number): number {
    const { text } = this
    const at = this.at + offset
    if ((text[at] !== 'q' && text[at] !== 'Q') || at + 2 >= text.length || text[at + 1] !== "'") {
      return this.#word()
    }
    const opener = text[at + 2]!
    const code = opener.charCodeAt(0)
    if (code < 33 || code > 127) return this.#word()
    const closer = { '(': ')', '[': ']', '{': '}', '<': '>' }[opener] ?? opener
    const end = text.indexOf(`${closer}'`, at + 3)
    this.#assign('s', at + 3, (end < 0 ? text.length : end) - at - 3)
    this.current.open = 'q'
    this.current.close = end < 0 ? '' : 'q'
    return end < 0 ? text.length : end + 2
  }

  #digitsString(digits: string): number {
    const { text, at } = this
    if (at + 2 >= text.length || text[at + 1] !== "'") return this.#word()
    const length = span(text, at + 2, digits)
    if (text[at + 2 + length] !== "'") return this.#word()
    this.#assign('1', at, length + 3)
    return at + length + 3
  }

  #bracket(): number {
    const end = this.text.indexOf(']', this.at)
    const stop = end < 0 ? this.text.length : end + 1
    this.#assign('n', this.at, stop - this.at)
    return stop
  }

  #word(): number {
    const { text, at, current } = this
    const length = spanNot(text, at, wordEnds)
    this.#assign('n', at, length)
    for (let index = 0; index < current.text.length; index += 1) {
      const character = current.text[index]
      if (character !== '.' && character !== '`') continue
      const type = wordType(current.text.slice(0, index))
      if (type === '' || type === 'n') continue
      // `SELECT.1`, or SELECT`column`.
      this.#assign(type, at, index)
      return at + index
    }
    if (length <= textMax) current.type = wordType(current.text) || 'n'
    return at + length
  }

  #tick(): number {
    const end = this.#stringFrom(this.at, '`', 1)
    this.current.type = wordType(this.current.text) === 'f' ? 'f' : 'n'
    return end
  }

  #variable(): number {
    const { text } = this
    let from = this.at + 1
    if (text[from] === '@') from += 1
    const next = text[from]
    if (next === '`' || next === "'" || next === '"') {
      this.at = from
      const end = next === '`' ? this.#tick() : this.#stringFrom(from, next, 1)
      this.current.type = 'v'
      return end
    }
    const length = spanNot(text, from, variableEnds)
    this.#assign('v', from, length)
    return from + length
  }

  #money(): number {
    const { text, at } = this
    if (at + 1 === text.length) return this.#one('n')
    const length = span(text, at + 1, '0123456789.,\0')
    if (length === 0) return this.#dollarString()
    if (length === 1 && text[at + 1] === '.') return this.#word()
    this.#assign('1', at, 1 + length)
    return at + 1 + length
  }

  /** PostgreSQL's `$$text$$` and `$name$text$name$`. */
  #dollarString(): number {
    const { text, at } = this
    const length = text[at + 1] === '$' ? 0 : span(text, at + 1, letters)
    if (text[at + 1] !== '$' && (length === 0 || text[at + length + 1] !== '$')) return this.#one('n')
    const mark = text.slice(at, at + length + 2)
    const begin = at + mark.length
    const end = text.indexOf(mark, begin)
    this.#assign('s', begin, (end < 0 ? text.length : end) - begin)
    this.current.open = '$'
    this.current.close = end < 0 ? '' : '$'
    return end < 0 ? text.length : end + mark.length
  }

  #number(): number {
    const { text, at: start } = this
    if (text[start] === '0' && start + 1 < text.length) {
      const kind = text[start + 1]!.toLowerCase()
      const digits = kind === 'x' ? '0123456789ABCDEFabcdef\0' : kind === 'b' ? '01\0' : ''
      if (digits !== '') {
        const length = span(text, start + 2, digits)
        this.#assign(length === 0 ? 'n' : '1', start, 2 + length)
        return start + 2 + length
      }
    }
    let at = this.#digits(start)
    if (text[at] === '.') {
      at = this.#digits(at + 1)
      if (at - start === 1) {
        this.#assign('.', start, 1)
        return at
      }
    }
    let word = false
    if (text[at] === 'E' || text[at] === 'e') {
      at += 1
      if (text[at] === '+' || text[at] === '-') at += 1
      const end = this.#digits(at)
      word = end === at
      at = end
    }
    if (/^[dDfF]$/.test(text[at] ?? '') && this.#endsNumber(text[at + 1])) at += 1
    this.#assign(word ? 'n' : '1', start, at - start)
    return at
  }

  /** After Oracle's suffix of a number; `1fUNION` reads as `1f UNION`. */
  #endsNumber(next: string | undefined): boolean {
    return next === undefined || spaces.includes(next) || next === ';' || next === 'u' || next === 'U'
  }

  #digits(from: number): number {
    let at = from
    while (at < this.text.length && this.text[at]! >= '0' && this.text[at]! <= '9') at += 1
    return at
  }
}

function span(text: string, from: number, accepted: string): number {
  let at = from
  while (at < text.length && accepted.includes(text[at]!)) at += 1
  return Math.max(0, at - from)
}

function spanNot(text: string, from: number, refused: Uint8Array): number {
  let at = from
  while (at < text.length && refused[text.charCodeAt(at)] === 0) at += 1
  return Math.max(0, at - from)
}

/** Which reader a character begins. */
const readers: readonly string[] = Array.from({ length: 256 }, (_, code) => readerOf(code))

function readerOf(code: number): string {
  const character = String.fromCharCode(code)
  if ('!&*:<=>|'.includes(character)) return 'operator2'
  if ('%+^~'.includes(character)) return 'operator1'
  if ('(),;{}'.includes(character)) return 'char'
  if ('?]'.includes(character)) return 'other'
  if ('\'"'.includes(character)) return 'string'
  if ('.0123456789'.includes(character)) return 'number'
  const single: Readonly<Record<string, string>> = {
    '#': 'hash',
    $: 'money',
    '-': 'dash',
    '/': 'slash',
    '@': 'variable',
    '[': 'bracket',
    '\\': 'backslash',
    '`': 'tick',
  }
  if (single[character] !== undefined) return single[character]
  return 'benqux'.includes(character.toLowerCase()) ? character.toLowerCase() : 'word'
}
