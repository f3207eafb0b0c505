// XML, strictly and only as far as data needs it (XML 1.0): elements, attributes, texts, CDATA, comments. No document type,
// so no entities but the five and character references; no processing instructions; UTF-8. Gives texts and values of
// attributes with their references resolved, as rules see them.

import { type BodyContents, BodyFault, type BodyLimits } from './reading.ts'
import { invalidUtf8At, utf8Of } from './utf8.ts'

const nameAt = /[A-Za-z_:\x80-\xff][\w:.\x80-\xff-]*/y
const declarationAt =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"([\w.-]*)"|'([\w.-]*)'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"yes"|'yes'|"no"|'no'))?[ \t\r\n]*\?>/y
const entities: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])
const referenceCharsMax = 12
const nameCharsMax = 256

/** Throws BodyFault. */
export function readXml(text: string, limits: BodyLimits): BodyContents {
  const bad = invalidUtf8At(text)
  if (bad >= 0) throw new BodyFault('utf-8', 'The XML text is not UTF-8.', bad)
  return new XmlReader(text, limits).read()
}

class XmlReader {
  readonly #text: string
  readonly #limits: BodyLimits
  readonly #texts: string[] = []
  readonly #attributes: string[] = []
  readonly #open: string[] = []
  #at = 0
  #count = 0
  #rootSeen = false

  constructor(text: string, limits: BodyLimits) {
    this.#text = text
    this.#limits = limits
  }

  read(): BodyContents {
    this.#declaration()
    while (this.#at < this.#text.length) this.#next()
    if (this.#open.length > 0 || !this.#rootSeen)
      throw this.#fault('xml-syntax', 'The XML text is not complete.')
    return { args: [], files: [], partHeaders: [], xmlTexts: this.#texts, xmlAttributes: this.#attributes }
  }

  #fault(problem: string, text: string): BodyFault {
    return new BodyFault(problem, text, this.#at)
  }

  #syntax(): BodyFault {
    return this.#fault('xml-syntax', 'The XML text is malformed.')
  }

  #declaration(): void {
    if (!/^<\?xml[ \t\r\n]/.test(this.#text)) return
    declarationAt.lastIndex = 0
    const found = declarationAt.exec(this.#text)
    if (found === null) throw this.#fault('xml-declaration', 'The XML declaration is malformed.')
    const encoding = (found[1] ?? found[2] ?? 'utf-8').toLowerCase()
    if (encoding !== 'utf-8' && encoding !== 'us-ascii')
      throw this.#fault('charset', 'The XML text is declared in a charset that is not UTF-8 or US-ASCII.')
    this.#at = found[0].length
  }

  #next(): void {
    const text = this.#text
    if (text[this.#at] !== '<') this.#characters()
    else if (text.startsWith('</', this.#at)) this.#endTag()
    else if (text.startsWith('<!--', this.#at)) this.#comment()
    else if (text.startsWith('<![CDATA[', this.#at)) this.#cdata()
    else if (text.startsWith('<!', this.#at))
      throw this.#fault('xml-doctype', 'The XML text has a document type or another declaration.')
    else if (text.startsWith('<?', this.#at))
      throw this.#fault('xml-instruction', 'The XML text has a processing instruction.')
    else this.#startTag()
  }

  #counted(): void {
    if (++this.#count > this.#limits.argsMax)
      throw this.#fault('too-many-arguments', `The XML text has more than ${this.#limits.argsMax} nodes.`)
  }

  #characters(): void {
    const open = this.#text.indexOf('<', this.#at)
    const to = open < 0 ? this.#text.length : open
    const raw = this.#text.slice(this.#at, to)
    const blank = !/[^ \t\r\n]/.test(raw)
    if (!blank && this.#open.length === 0)
      throw this.#fault('xml-syntax', 'Text stands outside of the root element.')
    if (!blank) {
      if (raw.includes(']]>')) throw this.#syntax()
      this.#counted()
      this.#texts.push(this.#resolved(raw))
    }
    this.#at = to
  }

  #resolved(raw: string): string {
    this.#checkCharacters(raw)
    if (!raw.includes('&')) return raw
    let out = ''
    let from = 0
    for (let at = raw.indexOf('&'); at >= 0; at = raw.indexOf('&', from)) {
      const end = raw.indexOf(';', at)
      if (end < 0 || end - at > referenceCharsMax) throw this.#syntax()
      out += raw.slice(from, at) + this.#reference(raw.slice(at + 1, end))
      from = end + 1
    }
    return out + raw.slice(from)
  }

  #checkCharacters(raw: string): void {
    for (let i = 0; i < raw.length; i++) {
      const code = raw.charCodeAt(i)
      if (code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d)
        throw this.#fault('xml-character', 'The XML text has a control character.')
    }
  }

  #reference(name: string): string {
    const plain = entities.get(name)
    if (plain !== undefined) return plain
    const digits = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name)
    if (digits === null) throw this.#fault('xml-entity', 'The XML text has an entity of its own.')
    const point = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16)
    const allowed = point === 9 || point === 10 || point === 13 || (point >= 0x20 && point <= 0x10_ffff)
    if (!allowed || (point >= 0xd800 && point <= 0xdfff) || point === 0xfffe || point === 0xffff)
      throw this.#fault('xml-character', 'A character reference of the XML text names no character.')
    return utf8Of(point)
  }

  #comment(): void {
    const end = this.#text.indexOf('--', this.#at + 4)
    if (end < 0 || this.#text[end + 2] !== '>') throw this.#syntax()
    this.#checkCharacters(this.#text.slice(this.#at, end))
    this.#at = end + 3
  }

  #cdata(): void {
    const end = this.#text.indexOf(']]>', this.#at)
    if (end < 0 || this.#open.length === 0) throw this.#syntax()
    const inside = this.#text.slice(this.#at + 9, end)
    this.#checkCharacters(inside)
    this.#counted()
    this.#texts.push(inside)
    this.#at = end + 3
  }

  #name(): string {
    nameAt.lastIndex = this.#at
    const name = nameAt.exec(this.#text)?.[0] ?? ''
    if (name === '' || name.length > nameCharsMax) throw this.#syntax()
    this.#at += name.length
    return name
  }

  #blanks(): boolean {
    const from = this.#at
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at++
    return this.#at > from
  }

  #startTag(): void {
    if (this.#open.length === 0 && this.#rootSeen)
      throw this.#fault('xml-syntax', 'The XML text has two roots.')
    if (this.#open.length >= this.#limits.depthMax)
      throw this.#fault('too-deep', `The XML text is nested deeper than ${this.#limits.depthMax}.`)
    this.#rootSeen = true
    this.#counted()
    this.#at++
    const name = this.#name()
    const seen = new Set<string>()
    for (;;) {
      const apart = this.#blanks()
      if (this.#text.startsWith('/>', this.#at)) {
        this.#at += 2
        return
      }
      if (this.#text[this.#at] === '>') {
        this.#at++
        this.#open.push(name)
        return
      }
      if (!apart) throw this.#syntax()
      this.#attribute(seen)
    }
  }

  #attribute(seen: Set<string>): void {
    this.#counted()
    const name = this.#name()
    if (seen.has(name)) throw this.#fault('xml-attribute-twice', 'An attribute comes twice in one element.')
    seen.add(name)
    this.#blanks()
    if (this.#text[this.#at++] !== '=') throw this.#syntax()
    this.#blanks()
    const quote = this.#text[this.#at] ?? ''
    if (quote !== '"' && quote !== "'") throw this.#syntax()
    const end = this.#text.indexOf(quote, this.#at + 1)
    const raw = this.#text.slice(this.#at + 1, Math.max(end, this.#at + 1))
    if (end < 0 || raw.includes('<')) throw this.#syntax()
    this.#attributes.push(this.#resolved(raw))
    this.#at = end + 1
  }

  #endTag(): void {
    this.#at += 2
    const name = this.#name()
    this.#blanks()
    if (this.#text[this.#at++] !== '>' || this.#open.pop() !== name) throw this.#syntax()
  }
}
