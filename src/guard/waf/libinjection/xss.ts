// Would a browser run something of this text? libinjection's way: read it as HTML from five beginnings, and look for
// tags, attributes, addresses and comments that run or hide scripts. After libinjection 3.9.2 (copyright (c) 2012-2016
// Nick Galbreath, BSD 3-clause licence; see NOTICE).

import { HtmlReader, type HtmlStart } from './html.ts'

type AttributeKind = 'none' | 'always' | 'url' | 'style' | 'indirect'

const attributes: Readonly<Record<string, AttributeKind>> = {
  ACTION: 'url',
  ATTRIBUTENAME: 'indirect',
  BACKGROUND: 'url',
  BY: 'url',
  DATAFORMATAS: 'always',
  DATASRC: 'always',
  DYNSRC: 'url',
  FILTER: 'style',
  FOLDER: 'url',
  FORMACTION: 'url',
  FROM: 'url',
  HANDLER: 'url',
  HREF: 'url',
  LOWSRC: 'url',
  POSTER: 'url',
  SRC: 'url',
  STYLE: 'style',
  TO: 'url',
  VALUES: 'url',
  'XLINK:HREF': 'url',
}

const tags: ReadonlySet<string> = new Set(
  (
    'APPLET BASE COMMENT EMBED FRAME FRAMESET HANDLER IFRAME IMPORT ISINDEX LINK LISTENER META NOSCRIPT OBJECT SCRIPT ' +
    'STYLE VMLFRAME XML XSS'
  ).split(' '),
)
const schemes: readonly string[] = ['DATA', 'VIEW-SOURCE', 'JAVA', 'VBSCRIPT']
const starts: readonly HtmlStart[] = ['text', 'no-quote', 'single', 'double', 'back']
/** Of a value, in which a scheme is looked for. */
const codePointMax = 0x1000ff

export function detectXss(text: string): boolean {
  return starts.some(start => isScript(text, start))
}

function isScript(text: string, start: HtmlStart): boolean {
  const reader = new HtmlReader(text, start)
  let kind: AttributeKind = 'none'
  while (reader.next()) {
    const { type, token } = reader
    if (type !== 'value') kind = 'none'
    if (type === 'doctype') return true
    if (type === 'tag-open' && isBadTag(token)) return true
    if (type === 'attribute') kind = attributeKind(token)
    if (type === 'value' && isBadValue(kind, token)) return true
    if (type === 'value') kind = 'none'
    if (type === 'comment' && isBadComment(token)) return true
  }
  return false
}

/** Of the longest name in the tables, and one more: longer ones are none of them. */
const nameMax = 15

/** In upper case, without NUL, which browsers pass over; at most `most` characters. */
function plain(text: string, most: number): string {
  if (text.length <= most && !/[^A-Z:-]/.test(text)) return text
  let out = ''
  for (let at = 0; at < text.length && out.length < most; at += 1) {
    const code = text.charCodeAt(at)
    if (code !== 0) out += code >= 0x61 && code <= 0x7a ? String.fromCharCode(code - 0x20) : text[at]
  }
  return out
}

function isBadTag(name: string): boolean {
  if (name.length < 3) return false
  return tags.has(plain(name, nameMax)) || /^(?:svg|xsl)/i.test(name)
}

function attributeKind(name: string): AttributeKind {
  if (name.length < 2) return 'none'
  if (name.length >= 5) {
    if (/^on/i.test(name)) return 'always'
    const begin = plain(name.slice(0, 5), 5)
    if (begin === 'XMLNS' || begin === 'XLINK') return 'always'
  }
  const upper = plain(name, nameMax)
  return Object.hasOwn(attributes, upper) ? attributes[upper]! : 'none'
}

function isBadValue(kind: AttributeKind, value: string): boolean {
  switch (kind) {
    case 'none':
      return false
    case 'always':
    case 'style':
      return true
    case 'url':
      return isBadUrl(value)
    case 'indirect':
      return attributeKind(value) !== 'none'
  }
}

function isBadUrl(value: string): boolean {
  let at = 0
  while (at < value.length && !(value.charCodeAt(at) > 32 && value.charCodeAt(at) < 127)) at += 1
  return schemes.some(scheme => beginsDecoded(value, at, scheme))
}

/** With numeric entities decoded, and what browsers pass over left out. */
function beginsDecoded(text: string, from: number, wanted: string): boolean {
  let matched = 0
  let first = true
  for (let at = from; at < text.length; ) {
    if (matched === wanted.length) return true
    const [code, length] = characterAt(text, at)
    at += length
    if (first && code <= 32) continue
    first = false
    if (code === 0 || code === 10) continue
    const upper = code >= 0x61 && code <= 0x7a ? code - 0x20 : code
    // C compares one byte of it.
    if ((upper & 0xff) !== wanted.charCodeAt(matched)) return false
    matched += 1
  }
  return matched === wanted.length
}

function characterAt(text: string, at: number): readonly [code: number, length: number] {
  const code = text.charCodeAt(at)
  if (code !== 0x26 || text[at + 1] !== '#') return [code, 1]
  const hexadecimal = text[at + 2] === 'x' || text[at + 2] === 'X'
  const base = hexadecimal ? 16 : 10
  let value = 0
  let place = at + (hexadecimal ? 3 : 2)
  const begin = place
  for (; place < text.length; place += 1) {
    const digit = Number.parseInt(text[place]!, base)
    if (Number.isNaN(digit)) break
    value = value * base + digit
    if (value > codePointMax) return [code, 1]
  }
  if (place === begin) return [code, 1]
  return [value, place - at + (text[place] === ';' ? 1 : 0)]
}

function isBadComment(text: string): boolean {
  if (text.includes('`')) return true
  if (text.length > 3 && (/^\[if/i.test(text) || /^xml/i.test(text))) return true
  if (text.length <= 5) return false
  const begin = plain(text.slice(0, 6), 6)
  return begin === 'IMPORT' || begin === 'ENTITY'
}
