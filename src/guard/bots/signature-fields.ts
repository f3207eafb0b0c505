// Reads the fields of an HTTP message signature (RFC 9421 4.1, 4.2) that a crawler sends: the members of two dictionaries of
// structured fields (RFC 8941), as far as Web Bot Auth needs them. Strict: what is not understood whole is no signature.
// Linear in the length of the text; verifies nothing.

export interface SignatureInput {
  readonly label: string
  /** Covered components in order, as identifiers without parameters: `@authority`, `signature-agent`. */
  readonly components: readonly string[]
  /** The member's text, as it is part of what is signed: `("@authority");created=1;...`. */
  readonly text: string
  readonly created: number
  readonly expires: number
  readonly keyId: string
  readonly algorithm: string
  readonly nonce: string
  readonly tag: string
}

const charsMax = 4_096
const componentsMax = 16
const membersMax = 8

/** Of `Signature-Input`: the one whose tag is `tag`. Null: none, or more than one, or not understood. */
export function signatureInput(field: string, tag: string): SignatureInput | null {
  if (field.length > charsMax) return null
  const reader = new Reader(field)
  let found: SignatureInput | null = null
  for (let count = 0; !reader.done; count++) {
    if (count >= membersMax) return null
    const member = reader.inputMember()
    if (member === null) return null
    if (member.tag !== tag) continue
    if (found !== null) return null
    found = member
  }
  return found
}

/** Of `Signature`: the bytes of the member `label`. */
export function signatureBytes(field: string, label: string): Buffer | null {
  if (field.length > charsMax) return null
  const reader = new Reader(field)
  let found: Buffer | null = null
  for (let count = 0; !reader.done; count++) {
    if (count >= membersMax) return null
    const member = reader.bytesMember()
    if (member === null) return null
    if (member.label !== label) continue
    if (found !== null) return null
    found = member.bytes
  }
  return found
}

/** Of `Signature-Agent`: one string; null where it is anything else. */
export function quotedText(field: string): string | null {
  if (field.length > charsMax) return null
  const reader = new Reader(field)
  const text = reader.string()
  return reader.done ? text : null
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
    this.#spaces()
  }

  get done(): boolean {
    return this.#at >= this.#text.length
  }

  #spaces(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++
  }

  #take(expected: string): boolean {
    if (this.#text[this.#at] !== expected) return false
    this.#at++
    return true
  }

  /** Between the members of a dictionary; a comma with nothing behind it is no end. */
  #next(): boolean {
    this.#spaces()
    if (this.done) return true
    if (!this.#take(',')) return false
    this.#spaces()
    return !this.done
  }

  #key(): string | null {
    const from = this.#at
    while (/[a-z0-9_\-.*]/.test(this.#text[this.#at] ?? '')) this.#at++
    const key = this.#text.slice(from, this.#at)
    return /^[a-z*]/.test(key) ? key : null
  }

  /** A string (RFC 8941 3.3.3); null where there is none. */
  string(): string | null {
    if (!this.#take('"')) return null
    let text = ''
    for (;;) {
      const c = this.#text[this.#at++]
      if (c === undefined || c < ' ' || c > '~') return null
      if (c === '"') return text
      if (c !== '\\') text += c
      else {
        const escaped = this.#text[this.#at++]
        if (escaped !== '"' && escaped !== '\\') return null
        text += escaped
      }
    }
  }

  #integer(): number | null {
    const from = this.#at
    while (/[0-9]/.test(this.#text[this.#at] ?? '')) this.#at++
    const length = this.#at - from
    return length < 1 || length > 15 ? null : Number(this.#text.slice(from, this.#at))
  }

  inputMember(): SignatureInput | null {
    const label = this.#key()
    if (label === null || !this.#take('=')) return null
    const from = this.#at
    const components = this.#components()
    const parameters = components === null ? null : this.#parameters()
    const text = this.#text.slice(from, this.#at)
    if (components === null || parameters === null || !this.#next()) return null
    return {
      label,
      components,
      text,
      created: numberOf(parameters.get('created')),
      expires: numberOf(parameters.get('expires')),
      keyId: textOf(parameters.get('keyid')),
      algorithm: textOf(parameters.get('alg')),
      nonce: textOf(parameters.get('nonce')),
      tag: textOf(parameters.get('tag')),
    }
  }

  #components(): string[] | null {
    if (!this.#take('(')) return null
    const found: string[] = []
    for (;;) {
      this.#spaces()
      if (this.#take(')')) return found
      const name = this.string()
      // A parameter of a component changes what is signed: not understood.
      if (name === null || name === '' || found.includes(name) || found.length >= componentsMax) return null
      if (this.#text[this.#at] !== ' ' && this.#text[this.#at] !== ')') return null
      found.push(name)
    }
  }

  #parameters(): Map<string, string | number> | null {
    const found = new Map<string, string | number>()
    while (this.#take(';')) {
      this.#spaces()
      const key = this.#key()
      if (key === null || found.has(key) || !this.#take('=')) return null
      const value = this.#text[this.#at] === '"' ? this.string() : this.#integer()
      if (value === null) return null
      found.set(key, value)
    }
    return found
  }

  bytesMember(): { label: string; bytes: Buffer } | null {
    const label = this.#key()
    if (label === null || !this.#take('=') || !this.#take(':')) return null
    const to = this.#text.indexOf(':', this.#at)
    if (to < 0) return null
    const text = this.#text.slice(this.#at, to)
    this.#at = to + 1
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || !this.#next()) return null
    return { label, bytes: Buffer.from(text, 'base64') }
  }
}

function numberOf(value: string | number | undefined): number {
  return typeof value === 'number' ? value : -1
}
function textOf(value: string | number | undefined): string {
  return typeof value === 'string' ? value : ''
}
