// Is a text an injection into SQL? libinjection's way: read it as SQL from outside and from within quotes, fold the
// tokens to at most five, and look the pattern of their types up among those of known attacks. After libinjection 3.9.2
// (copyright (c) 2012-2016 Nick Galbreath, BSD 3-clause licence; see NOTICE).

import {
  clearToken,
  emptyToken,
  isArithmetic,
  isUnary,
  type Quote,
  type Token,
  Tokens,
  upper,
  wordType,
} from './sqli-tokens.ts'

const tokensMax = 5

interface Reading {
  readonly fingerprint: string
  readonly tokens: readonly Token[]
  readonly source: Tokens
}

/** The pattern that an attack folds to (`s&1c`), or '': none. */
export function detectSqli(text: string): string {
  if (text === '') return ''
  const found = inQuote(text, '')
  if (found !== '') return found
  if (text.includes("'")) {
    const single = inQuote(text, "'")
    if (single !== '') return single
  }
  if (!text.includes('"')) return ''
  const reading = read(text, '"', true)
  return isAttack(reading) ? reading.fingerprint : ''
}

function inQuote(text: string, quote: Quote): string {
  const ansi = read(text, quote, false)
  if (isAttack(ansi)) return ansi.fingerprint
  if (!ansi.source.readsOtherwise) return ''
  const mysql = read(text, quote, true)
  return isAttack(mysql) ? mysql.fingerprint : ''
}

function read(text: string, quote: Quote, mysql: boolean): Reading {
  const source = new Tokens(text, quote, mysql)
  const folding = new Folding(source)
  const length = folding.fold()
  const { tokens } = folding
  const last = tokens[length - 1]
  if (length > 2 && last!.type === 'n' && last!.open === '`' && last!.text === '' && last!.close === '') {
    last!.type = 'c'
  }
  const fingerprint = tokens
    .slice(0, length)
    .map(token => token.type)
    .join('')
  return { fingerprint: fingerprint.includes('X') ? 'X' : fingerprint, tokens, source }
}

function isAttack(reading: Reading): boolean {
  const { fingerprint } = reading
  if (fingerprint === '' || wordType(`0${upper(fingerprint)}`) !== 'F') return false
  return !isHarmless(reading)
}

/** Short patterns that ordinary texts have too. */
function isHarmless(reading: Reading): boolean {
  const { fingerprint, source } = reading
  const { length } = fingerprint
  if (length > 1 && fingerprint.endsWith('c') && source.text.includes('sp_password')) return false
  if (length === 2) return isHarmlessPair(reading)
  if (length === 3) return isHarmlessTriple(reading)
  return false
}

function isHarmlessPair({ fingerprint, tokens, source }: Reading): boolean {
  const [first, second] = tokens as [Token, Token]
  const { text } = source
  if (fingerprint[1] === 'U') return source.count === 2
  if (second.text[0] === '#') return true
  if (first.type === 'n' && second.type === 'c' && second.text[0] !== '/') return true
  if (first.type === '1' && second.type === 'c') {
    if (second.text[0] === '/') return false
    if (source.count > 2) return false
    // What follows the number in the text itself: white space or a comment, or it is no number.
    const next = text.charCodeAt(first.text.length)
    if (Number.isNaN(next) || next <= 32 || next >= 128) return false
    return !text.startsWith('/*', first.text.length) && !text.startsWith('--', first.text.length)
  }
  return second.text.length > 2 && second.text[0] === '-'
}

const plainTriples: ReadonlySet<string> = new Set(['s&n', 'n&1', '1&1', '1&v', '1&s'])

function isHarmlessTriple({ fingerprint, tokens, source }: Reading): boolean {
  const [first, second, third] = tokens as [Token, Token, Token]
  if (fingerprint === 'sos' || fingerprint === 's&s') {
    return !(first.open === '' && third.close === '' && first.close === third.open)
  }
  if (plainTriples.has(fingerprint)) return source.count === 3
  if (second.type === 'k') return second.text.length < 5 || upper(second.text.slice(0, 4)) !== 'INTO'
  return false
}

const mergeable = new Set(['k', 'n', 'o', 'U', 'f', 'E', 'T', 't'])
const functionNames: ReadonlySet<string> = new Set([
  'USER_ID',
  'USER_NAME',
  'DATABASE',
  'PASSWORD',
  'USER',
  'CURRENT_USER',
  'CURRENT_DATE',
  'CURRENT_TIME',
  'CURRENT_TIMESTAMP',
  'LOCALTIME',
  'LOCALTIMESTAMP',
])

/** A reading is judged before the next one begins: one set of tokens is enough. */
const spareTokens: Token[] = Array.from({ length: tokensMax + 3 }, emptyToken)

/** Folds what says nothing: `1+1` is `1`, two strings are one, brackets and signs vanish. */
class Folding {
  readonly tokens: Token[] = spareTokens
  readonly #source: Tokens
  /** Where the next token goes. */
  #end = 0
  /** Tokens before it are folded. */
  #left = 0
  #more = true
  #comment: Token | null = null

  constructor(source: Tokens) {
    this.#source = source
    for (const token of this.tokens) clearToken(token)
  }

  fold(): number {
    if (!this.#first()) return 0
    for (;;) {
      if (this.#end >= tokensMax) this.#foldFive()
      if (!this.#more || this.#left >= tokensMax) {
        this.#left = this.#end
        break
      }
      this.#fetch(2)
      if (this.#end - this.#left < 2) {
        this.#left = this.#end
        continue
      }
      const two = this.#foldTwo()
      if (two === 'evil') return this.#left + 2
      if (two === 'again') continue
      this.#fetch(3)
      if (this.#end - this.#left < 3) {
        this.#left = this.#end
        continue
      }
      if (this.#foldThree()) continue
      this.#left += 1
    }
    if (this.#left < tokensMax && this.#comment !== null) {
      Object.assign(this.tokens[this.#left]!, this.#comment)
      this.#left += 1
    }
    return Math.min(this.#left, tokensMax)
  }

  /** Passes over comments, brackets, types and signs at the beginning. */
  #first(): boolean {
    const token = this.tokens[0]!
    while (this.#more) {
      this.#more = this.#source.next(token)
      if (!(token.type === 'c' || token.type === '(' || token.type === 't' || isUnary(token))) break
    }
    if (!this.#more) return false
    this.#end = 1
    return true
  }

  #fetch(count: number): void {
    while (this.#more && this.#end <= tokensMax && this.#end - this.#left < count) {
      const token = this.tokens[this.#end]!
      this.#more = this.#source.next(token)
      if (!this.#more) return
      if (token.type === 'c') this.#comment = { ...token }
      else {
        this.#comment = null
        this.#end += 1
      }
    }
  }

  #types(count: number): string[] {
    return this.tokens.slice(this.#left, this.#left + count).map(token => token.type)
  }

  #foldFive(): void {
    const [a, b, c, d, e] = this.tokens.map(token => token.type)
    const folds =
      (a === '1' && (b === 'o' || b === ',') && c === '(' && d === '1' && e === ')') ||
      (a === 'n' && b === 'o' && c === '(' && (d === 'n' || d === '1') && e === ')') ||
      (a === '1' && b === ')' && c === ',' && d === '(' && e === '1') ||
      (a === 'n' && b === ')' && c === 'o' && d === '(' && e === 'n')
    if (!folds) return
    if (this.#end > tokensMax) {
      Object.assign(this.tokens[1]!, this.tokens[tokensMax]!)
      this.#end = 2
    } else this.#end = 1
    this.#left = 0
  }

  #drop(count: number, left: number): 'again' {
    this.#end -= count
    this.#left = left
    return 'again'
  }

  #foldTwo(): 'again' | 'evil' | 'on' {
    const left = this.#left
    const first = this.tokens[left]!
    const second = this.tokens[left + 1]!
    if (first.type === 's' && second.type === 's') return this.#drop(1, left)
    if (first.type === ';' && second.type === ';') return this.#drop(1, left)
    if ((first.type === 'o' || first.type === '&') && (isUnary(second) || second.type === 't')) {
      return this.#drop(1, 0)
    }
    if (first.type === '(' && isUnary(second)) return this.#drop(1, Math.max(0, left - 1))
    if (merge(first, second)) return this.#drop(1, Math.max(0, left - 1))
    return this.#retype(first, second)
  }

  /** What a token is depends on the next one. */
  #retype(first: Token, second: Token): 'again' | 'evil' | 'on' {
    if (first.type === ';' && second.type === 'f' && /^if/i.test(second.text)) {
      second.type = 'T'
      return 'again'
    }
    if (
      (first.type === 'n' || first.type === 'v') &&
      second.type === '(' &&
      functionNames.has(upper(first.text))
    ) {
      first.type = 'f'
      return 'again'
    }
    const name = upper(first.text)
    if (first.type === 'k' && (name === 'IN' || name === 'NOT IN')) {
      first.type = second.type === '(' ? 'o' : 'n'
      return 'again'
    }
    if (first.type === 'o' && (name === 'LIKE' || name === 'NOT LIKE')) {
      if (second.type === '(') first.type = 'f'
      return 'on'
    }
    return this.#foldPair(first, second)
  }

  #foldPair(first: Token, second: Token): 'again' | 'evil' | 'on' {
    if (first.type === 't' && /^[n1t(fvs]$/.test(second.type)) {
      Object.assign(first, second)
      return this.#drop(1, 0)
    }
    if (first.type === 'A' && second.type === 'n') {
      if (second.text.includes('_')) {
        second.type = 't'
        this.#left = 0
      }
      return 'on'
    }
    if (first.type === '\\') {
      if (isArithmetic(second)) {
        first.type = '1'
        return this.#drop(0, 0)
      }
      Object.assign(first, second)
      return this.#drop(1, 0)
    }
    if (first.type === '(' && second.type === '(') return this.#drop(1, 0)
    if (first.type === ')' && second.type === ')') return this.#drop(1, 0)
    if (first.type === '{' && second.type === 'n') {
      if (second.text === '') {
        second.type = 'X'
        return 'evil'
      }
      return this.#drop(2, 0)
    }
    return second.type === '}' ? this.#drop(1, 0) : 'on'
  }

  #foldThree(): boolean {
    const left = this.#left
    const first = this.tokens[left]!
    const second = this.tokens[left + 1]!
    const third = this.tokens[left + 2]!
    const [a, b, c] = this.#types(3) as [string, string, string]
    const two =
      (a === '1' && b === 'o' && c === '1') ||
      (a === 'o' && b !== '(' && c === 'o') ||
      (a === '&' && c === '&') ||
      (a === 'v' && b === 'o' && /^[v1n]$/.test(c)) ||
      (/^[n1]$/.test(a) && b === 'o' && /^[1n]$/.test(c)) ||
      (/^[n1vs]$/.test(a) && b === 'o' && second.text === '::' && c === 't') ||
      (/^[n1sv]$/.test(a) && b === ',' && /^[1nsv]$/.test(c))
    if (two) return this.#drop(2, 0) === 'again'
    return this.#foldSigns(first, second, third)
  }

  #foldSigns(first: Token, second: Token, third: Token): boolean {
    const unary = isUnary(second)
    const { type } = first
    if (unary && /^[EB,]$/.test(type) && third.type === '(') return this.#dropSecond(second, third, 1)
    if (unary && /^[kEB]$/.test(type) && /^[1nvsf]$/.test(third.type))
      return this.#dropSecond(second, third, 1)
    // `1,-1` is `1`: what stands before is looked at again.
    if (unary && type === ',' && /^[1nvs]$/.test(third.type)) return this.#dropSecond(second, third, 3)
    if (unary && type === ',' && third.type === 'f') return this.#dropSecond(second, third, 1)
    if (type === 'n' && second.type === '.' && third.type === 'n') return this.#drop(2, 0) === 'again'
    if (type === 'E' && second.type === '.' && third.type === 'n') return this.#dropSecond(second, third, 1)
    if (type === 'f' && second.type === '(' && third.type !== ')' && upper(first.text) === 'USER')
      first.type = 'n'
    return false
  }

  #dropSecond(second: Token, third: Token, count: number): boolean {
    Object.assign(second, third)
    return this.#drop(count, 0) === 'again'
  }
}

/** `UNION` and `ALL` are one word of the table. */
function merge(first: Token, second: Token): boolean {
  if (!mergeable.has(first.type) || !(mergeable.has(second.type) || second.type === '&')) return false
  const text = `${first.text} ${second.text}`
  if (text.length > 31) return false
  const type = wordType(text)
  if (type === '') return false
  Object.assign(first, { type, text })
  return true
}
