// JSON, strictly (RFC 8259), flattened to named values: one value, no duplicate keys, no byte order mark, UTF-8 without lone
// surrogates, and no key that JavaScript takes for something else. Depth, count and length of names are bounded, so the
// cost is linear in the body.

import { BodyFault, type BodyField, type BodyLimits } from './reading.ts'
import { hasControl, hexDigit } from './urlencoded.ts'
import { invalidUtf8At, utf8Of } from './utf8.ts'

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const numberAt = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const numberCharsMax = 1_024

/** @param root Name of the whole: values are `root.key`, or `root` itself. Throws BodyFault. */
export function readJson(text: string, root: string, limits: BodyLimits, from = 0): BodyField[] {
  const bad = invalidUtf8At(text)
  if (bad >= 0) throw new BodyFault('utf-8', 'The JSON text is not UTF-8.', from + bad)
  return new JsonReader(text, limits, from).read(root)
}

class JsonReader {
  readonly #text: string
  readonly #limits: BodyLimits
  readonly #from: number
  readonly #fields: BodyField[] = []
  #at = 0
  #depth = 0
  #keys = 0

  constructor(text: string, limits: BodyLimits, from: number) {
    this.#text = text
    this.#limits = limits
    this.#from = from
  }

  read(root: string): BodyField[] {
    this.#blanks()
    this.#value(root, true)
    this.#blanks()
    if (this.#at < this.#text.length) throw this.#fault('json-trailing', 'Something follows the JSON value.')
    return this.#fields
  }

  #fault(problem: string, text: string): BodyFault {
    return new BodyFault(problem, text, this.#from + this.#at)
  }

  #syntax(): BodyFault {
    return this.#fault('json-syntax', 'The JSON text is malformed.')
  }

  #blanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  /** @param named It has a key of its own, and not just a place in a list. */
  #value(name: string, named: boolean): void {
    const text = this.#text
    switch (text[this.#at]) {
      case '{':
        this.#enter()
        this.#object(name)
        this.#depth--
        return
      case '[':
        this.#enter()
        this.#list(name)
        this.#depth--
        return
      case '"':
        this.#add(name, this.#string())
        return
      case 't':
        this.#word('true', name, named)
        return
      case 'f':
        this.#word('false', name, named)
        return
      case 'n':
        this.#word('null', name, named)
        return
      default:
        this.#number(name, named)
    }
  }

  #enter(): void {
    if (++this.#depth > this.#limits.depthMax)
      throw this.#fault('too-deep', `The JSON text is nested deeper than ${this.#limits.depthMax}.`)
    this.#at++
    this.#blanks()
  }

  #add(name: string, value: string): void {
    if (this.#fields.length >= this.#limits.argsMax)
      throw this.#fault('too-many-arguments', `The JSON text has more than ${this.#limits.argsMax} values.`)
    this.#fields.push([name, value])
  }

  #object(name: string): void {
    if (this.#text[this.#at] === '}') {
      this.#at++
      return
    }
    const seen = new Set<string>()
    for (;;) {
      if (this.#text[this.#at] !== '"') throw this.#syntax()
      const key = this.#string()
      this.#checkKey(key, seen, name)
      this.#blanks()
      if (this.#text[this.#at] !== ':') throw this.#syntax()
      this.#at++
      this.#blanks()
      this.#value(this.#childName(name, key), true)
      if (this.#closes('}')) return
    }
  }

  /** After a member: true at the end, else behind the comma. */
  #closes(end: string): boolean {
    this.#blanks()
    const next = this.#text[this.#at]
    if (next !== end && next !== ',') throw this.#syntax()
    this.#at++
    if (next === end) return true
    this.#blanks()
    return false
  }

  #checkKey(key: string, seen: Set<string>, name: string): void {
    if (seen.has(key)) throw this.#fault('json-duplicate-key', 'A key comes twice in one JSON object.')
    if (++this.#keys > this.#limits.argsMax)
      throw this.#fault('too-many-arguments', `The JSON text has more than ${this.#limits.argsMax} keys.`)
    seen.add(key)
    const inherited = key === '__proto__' || (key === 'prototype' && name.endsWith('.constructor'))
    if (inherited) throw this.#fault('prototype-key', 'A key names the prototype of objects.')
    if (hasControl(key)) throw this.#fault('name-control', 'A key has a control character.')
  }

  #childName(name: string, key: string): string {
    if (name.length + key.length >= this.#limits.nameBytesMax)
      throw this.#fault('name-too-long', `A name is longer than ${this.#limits.nameBytesMax} bytes.`)
    return `${name}.${key}`
  }

  #list(name: string): void {
    if (this.#text[this.#at] === ']') {
      this.#at++
      return
    }
    for (let index = 0; ; index++) {
      this.#value(this.#childName(name, String(index)), false)
      if (this.#closes(']')) return
    }
  }

  #word(word: string, name: string, named: boolean): void {
    if (!this.#text.startsWith(word, this.#at)) throw this.#syntax()
    this.#at += word.length
    if (named) this.#add(name, word)
  }

  /** Numbers in lists hide nothing and may be many: only named ones are values. */
  #number(name: string, named: boolean): void {
    numberAt.lastIndex = this.#at
    const found = numberAt.exec(this.#text)?.[0] ?? ''
    if (found === '') throw this.#syntax()
    if (found.length > numberCharsMax) throw this.#fault('json-number', 'A number is too long.')
    this.#at += found.length
    if (named) this.#add(name, found)
  }

  #string(): string {
    const text = this.#text
    let from = ++this.#at
    let out = ''
    for (;;) {
      const code = text.charCodeAt(this.#at)
      if (code === 0x22) {
        out += text.slice(from, this.#at++)
        return out
      }
      if (Number.isNaN(code) || code < 0x20) throw this.#syntax()
      if (code !== 0x5c) {
        this.#at++
        continue
      }
      out += text.slice(from, this.#at)
      out += this.#escape()
      from = this.#at
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1]
    if (letter !== 'u') {
      const plain = letter === undefined ? undefined : escapes[letter]
      if (plain === undefined) throw this.#syntax()
      this.#at += 2
      return plain
    }
    const first = this.#unit()
    if (first < 0xd800 || first > 0xdfff) return utf8Of(first)
    const paired = first < 0xdc00 && this.#text.startsWith('\\u', this.#at)
    const second = paired ? this.#unit() : 0
    if (second < 0xdc00 || second > 0xdfff)
      throw this.#fault('json-surrogate', 'A string has half of a surrogate pair.')
    return utf8Of(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
  }

  /** `\uXXXX`. */
  #unit(): number {
    let unit = 0
    for (let digit = 2; digit < 6; digit++) {
      const value = hexDigit(this.#text.charCodeAt(this.#at + digit))
      if (value < 0) throw this.#syntax()
      unit = unit * 16 + value
    }
    this.#at += 6
    return unit
  }
}
