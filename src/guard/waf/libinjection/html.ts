// HTML as libinjection reads it: tokens of a text that begins as text, or within an attribute. After libinjection 3.9.2
// (copyright (c) 2012-2016 Nick Galbreath, BSD 3-clause licence; see NOTICE). Its states, without their recursion.

export type HtmlToken =
  | 'text'
  | 'tag-open'
  | 'tag-name-close'
  | 'tag-self-close'
  | 'tag-close'
  | 'attribute'
  | 'value'
  | 'comment'
  | 'doctype'

export type HtmlStart = 'text' | 'no-quote' | 'single' | 'double' | 'back'

type State =
  | 'text'
  | 'tag'
  | 'tag-name-close'
  | 'before-attribute'
  | 'after-attribute'
  | 'before-value'
  | 'after-value'
  | 'self-closing'
  | 'single'
  | 'double'
  | 'back'
  | 'end'

/** White space of HTML, and NUL, which some browsers passed over. */
function isWhite(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0
}

export class HtmlReader {
  readonly #text: string
  #at = 0
  #state: State
  #closing = false
  type: HtmlToken = 'text'
  token = ''

  constructor(text: string, start: HtmlStart) {
    this.#text = text
    this.#state = start === 'no-quote' ? 'before-attribute' : start
  }

  /** False: there are no more. */
  next(): boolean {
    switch (this.#state) {
      case 'text':
        return this.#data()
      case 'tag':
        return this.#tagOpen()
      case 'tag-name-close':
        return this.#tagNameClose()
      case 'before-attribute':
        return this.#beforeAttribute()
      case 'after-attribute':
        return this.#afterAttribute()
      case 'before-value':
        return this.#beforeValue()
      case 'after-value':
        return this.#afterValue()
      case 'self-closing':
        return this.#selfClosing()
      case 'single':
        return this.#quoted("'")
      case 'double':
        return this.#quoted('"')
      case 'back':
        return this.#quoted('`')
      case 'end':
        return false
    }
  }

  #give(type: HtmlToken, from: number, to: number, state: State, at: number): true {
    this.type = type
    this.token = this.#text.slice(from, to)
    this.#state = state
    this.#at = at
    return true
  }

  #skipWhite(): string {
    while (this.#at < this.#text.length && isWhite(this.#text, this.#at)) this.#at += 1
    return this.#text[this.#at] ?? ''
  }

  #data(): boolean {
    const from = this.#at
    const open = this.#text.indexOf('<', from)
    if (open < 0) {
      this.#give('text', from, this.#text.length, 'end', this.#text.length)
      return this.token !== ''
    }
    this.#give('text', from, open, 'tag', open + 1)
    return this.token === '' ? this.#tagOpen() : true
  }

  #tagOpen(): boolean {
    const character = this.#text[this.#at]
    if (character === undefined) return false
    if (character === '!') {
      this.#at += 1
      return this.#declaration()
    }
    if (character === '/') {
      this.#at += 1
      this.#closing = true
      return this.#endTag()
    }
    if (character === '?') {
      this.#at += 1
      return this.#bogusComment('>')
    }
    if (character === '%') {
      this.#at += 1
      return this.#bogusComment('%>')
    }
    if (/^[A-Za-z\0]$/.test(character)) return this.#tagName()
    if (this.#at === 0) return this.#data()
    return this.#give('text', this.#at - 1, this.#at, 'text', this.#at)
  }

  #endTag(): boolean {
    const character = this.#text[this.#at]
    if (character === undefined) return false
    if (character === '>') return this.#data()
    if (/^[A-Za-z]$/.test(character)) return this.#tagName()
    this.#closing = false
    return this.#bogusComment('>')
  }

  #tagNameClose(): boolean {
    this.#closing = false
    const at = this.#at
    return this.#give('tag-name-close', at, at + 1, at + 1 < this.#text.length ? 'text' : 'end', at + 1)
  }

  #tagName(): boolean {
    const from = this.#at
    const text = this.#text
    for (let at = from; at < text.length; at += 1) {
      const character = text[at]!
      if (character === '\0') continue
      if (isWhite(text, at)) return this.#give('tag-open', from, at, 'before-attribute', at + 1)
      if (character === '/') return this.#give('tag-open', from, at, 'self-closing', at + 1)
      if (character !== '>') continue
      if (!this.#closing) return this.#give('tag-open', from, at, 'tag-name-close', at)
      this.#closing = false
      return this.#give('tag-close', from, at, 'text', at + 1)
    }
    return this.#give('tag-open', from, text.length, 'end', text.length)
  }

  #beforeAttribute(): boolean {
    for (;;) {
      const character = this.#skipWhite()
      if (character === '') return false
      if (character === '>') {
        return this.#give('tag-name-close', this.#at, this.#at + 1, 'text', this.#at + 1)
      }
      if (character !== '/') return this.#attributeName()
      this.#at += 1
      if (this.#at >= this.#text.length) return false
      if (this.#text[this.#at] === '>') return this.#selfClosed()
    }
  }

  #selfClosing(): boolean {
    if (this.#at >= this.#text.length) return false
    return this.#text[this.#at] === '>' ? this.#selfClosed() : this.#beforeAttribute()
  }

  #selfClosed(): boolean {
    return this.#give('tag-self-close', this.#at - 1, this.#at + 1, 'text', this.#at + 1)
  }

  #attributeName(): boolean {
    const from = this.#at
    const text = this.#text
    for (let at = from + 1; at < text.length; at += 1) {
      const character = text[at]!
      if (isWhite(text, at)) return this.#give('attribute', from, at, 'after-attribute', at + 1)
      if (character === '/') return this.#give('attribute', from, at, 'self-closing', at + 1)
      if (character === '=') return this.#give('attribute', from, at, 'before-value', at + 1)
      if (character === '>') return this.#give('attribute', from, at, 'tag-name-close', at)
    }
    return this.#give('attribute', from, text.length, 'end', text.length)
  }

  #afterAttribute(): boolean {
    const character = this.#skipWhite()
    if (character === '') return false
    if (character === '/') {
      this.#at += 1
      return this.#selfClosing()
    }
    if (character === '=') {
      this.#at += 1
      return this.#beforeValue()
    }
    return character === '>' ? this.#tagNameClose() : this.#attributeName()
  }

  #beforeValue(): boolean {
    const character = this.#skipWhite()
    if (character === '') {
      this.#state = 'end'
      return false
    }
    if (character === '"' || character === "'" || character === '`') return this.#quoted(character)
    return this.#unquoted()
  }

  #quoted(quote: string): boolean {
    // At the very beginning the opening quote is only imagined.
    if (this.#at > 0) this.#at += 1
    const from = this.#at
    const end = this.#text.indexOf(quote, from)
    if (end < 0) return this.#give('value', from, this.#text.length, 'end', this.#text.length)
    return this.#give('value', from, end, 'after-value', end + 1)
  }

  #unquoted(): boolean {
    const from = this.#at
    const text = this.#text
    for (let at = from; at < text.length; at += 1) {
      const character = text[at]!
      if (isWhite(text, at)) return this.#give('value', from, at, 'before-attribute', at + 1)
      if (character === '>') return this.#give('value', from, at, 'tag-name-close', at)
    }
    return this.#give('value', from, text.length, 'end', text.length)
  }

  #afterValue(): boolean {
    const character = this.#text[this.#at]
    if (character === undefined) return false
    if (isWhite(this.#text, this.#at)) {
      this.#at += 1
      return this.#beforeAttribute()
    }
    if (character === '/') {
      this.#at += 1
      return this.#selfClosing()
    }
    if (character === '>') return this.#give('tag-name-close', this.#at, this.#at + 1, 'text', this.#at + 1)
    return this.#beforeAttribute()
  }

  #bogusComment(mark: string): boolean {
    const from = this.#at
    const end = this.#text.indexOf(mark, from)
    if (end < 0) return this.#give('comment', from, this.#text.length, 'end', this.#text.length)
    return this.#give('comment', from, end, 'text', end + mark.length)
  }

  #declaration(): boolean {
    const text = this.#text
    const from = this.#at
    if (/^doctype$/i.test(text.slice(from, from + 7))) {
      const end = text.indexOf('>', from)
      if (end < 0) return this.#give('doctype', from, text.length, 'end', text.length)
      return this.#give('doctype', from, end, 'text', end + 1)
    }
    if (text.startsWith('[CDATA[', from)) return this.#characterData(from + 7)
    if (!text.startsWith('--', from)) return this.#bogusComment('>')
    return this.#comment(from + 2)
  }

  #characterData(from: number): boolean {
    const end = this.#text.indexOf(']]>', from)
    if (end < 0) return this.#give('text', from, this.#text.length, 'end', this.#text.length)
    return this.#give('text', from, end, 'text', end + 3)
  }

  /** Ends with `-->` or `-!>`; NUL bytes after its first dash count for nothing. */
  #comment(from: number): boolean {
    const text = this.#text
    for (let dash = text.indexOf('-', from); dash >= 0 && dash <= text.length - 3; ) {
      let at = dash + 1
      while (text[at] === '\0') at += 1
      const ends = (text[at] === '-' || text[at] === '!') && text[at + 1] === '>'
      if (ends) return this.#give('comment', from, dash, 'text', at + 2)
      dash = text.indexOf('-', dash + 1)
    }
    return this.#give('comment', from, text.length, 'end', text.length)
  }
}
