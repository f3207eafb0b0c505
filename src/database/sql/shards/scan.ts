// A statement's text, piece by piece, where the parser tells only where something begins. Works on bytes, as the parser's places
// do; comments are gone already.

const quote = 0x27
const doubleQuote = 0x22
const dollar = 0x24
const open = 0x28
const close = 0x29
const comma = 0x2c

function isNamePart(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x5f ||
    byte === dollar ||
    byte >= 0x80
  )
}

/** Where the token that begins here ends. */
export function tokenEnd(bytes: Buffer, at: number): number {
  const byte = bytes[at] as number
  if (byte === quote) return stringEnd(bytes, at, isEscape(bytes, at))
  if (byte === doubleQuote) return quotedEnd(bytes, at)
  if (byte === dollar && (at === 0 || !isNamePart(bytes[at - 1] as number))) return dollarEnd(bytes, at)
  if (!isNamePart(byte)) return at + 1
  let end = at + 1
  while (end < bytes.length && isNamePart(bytes[end] as number)) end++
  return end
}

/** `E'...'`: a backslash hides what follows it. */
function isEscape(bytes: Buffer, at: number): boolean {
  const before = bytes[at - 1]
  return (before === 0x45 || before === 0x65) && (at < 2 || !isNamePart(bytes[at - 2] as number))
}

function stringEnd(bytes: Buffer, at: number, escapes: boolean): number {
  for (let end = at + 1; end < bytes.length; end++) {
    if (escapes && bytes[end] === 0x5c) end++
    else if (bytes[end] === quote) {
      if (bytes[end + 1] !== quote) return end + 1
      end++
    }
  }
  return bytes.length
}

function quotedEnd(bytes: Buffer, at: number): number {
  for (let end = at + 1; end < bytes.length; end++)
    if (bytes[end] === doubleQuote) {
      if (bytes[end + 1] !== doubleQuote) return end + 1
      end++
    }
  return bytes.length
}

function dollarEnd(bytes: Buffer, at: number): number {
  let end = at + 1
  while (end < bytes.length && bytes[end] !== dollar && isNamePart(bytes[end] as number)) end++
  // `$1` is a parameter.
  if (bytes[end] !== dollar || ((bytes[at + 1] as number) - 0x30 < 10 && (bytes[at + 1] as number) >= 0x30))
    return end
  const tag = bytes.subarray(at, end + 1)
  const closing = bytes.indexOf(tag, end + 1)
  return closing < 0 ? bytes.length : closing + tag.length
}

/** The end of a name such as `public.orders` or `"Orders"` that begins here, its dots included. */
export function nameEnd(bytes: Buffer, at: number): number {
  let end = tokenEnd(bytes, at)
  for (;;) {
    let next = end
    while (bytes[next] === 0x20) next++
    if (bytes[next] !== 0x2e) return end
    next++
    while (bytes[next] === 0x20) next++
    end = tokenEnd(bytes, next)
  }
}

/** The rows of `VALUES (...), (...)` and what is around them; null: there is no such list at the top of the text. */
export function splitValues(text: string): { head: string; rows: string[]; tail: string } | null {
  const bytes = Buffer.from(text)
  let depth = 0
  let at = 0
  let from = -1
  while (at < bytes.length && from < 0) {
    const end = tokenEnd(bytes, at)
    if (bytes[at] === open) depth++
    else if (bytes[at] === close) depth--
    else if (depth === 0 && end - at === 6 && bytes.latin1Slice(at, end).toUpperCase() === 'VALUES')
      from = end
    at = end
  }
  if (from < 0) return null
  const rows: string[] = []
  let last = from
  for (;;) {
    while (at < bytes.length && isSpace(bytes[at] as number)) at++
    if (bytes[at] !== open) return null
    const end = closedAt(bytes, at)
    if (end < 0) return null
    rows.push(bytes.utf8Slice(at, end))
    last = end
    at = end
    while (at < bytes.length && isSpace(bytes[at] as number)) at++
    if (bytes[at] !== comma) break
    at++
  }
  return { head: bytes.utf8Slice(0, from), rows, tail: bytes.utf8Slice(last, bytes.length) }
}

/** Behind the bracket that closes the one that opens here; -1: none does. */
export function closedAt(bytes: Buffer, from: number): number {
  let depth = 0
  for (let at = from; at < bytes.length; ) {
    const end = tokenEnd(bytes, at)
    if (bytes[at] === open) depth++
    else if (bytes[at] === close && --depth === 0) return end
    at = end
  }
  return -1
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}

/** Replaces pieces of a text; places are in bytes, and do not overlap. */
export function replaced(
  text: string,
  pieces: readonly { readonly from: number; readonly to: number; readonly by: string }[],
): string {
  const bytes = Buffer.from(text)
  let out = ''
  let at = 0
  for (const { from, to, by } of [...pieces].sort((one, other) => one.from - other.from)) {
    out += bytes.utf8Slice(at, from) + by
    at = to
  }
  return out + bytes.utf8Slice(at, bytes.length)
}

/** A word of the statement itself, in no bracket. */
export function wordAt(bytes: Buffer, word: string): { readonly from: number; readonly to: number } | null {
  let depth = 0
  for (let at = 0; at < bytes.length; ) {
    const end = tokenEnd(bytes, at)
    const byte = bytes[at]
    if (byte === 0x28 || byte === 0x5b) depth++
    else if (byte === 0x29 || byte === 0x5d) depth--
    else if (depth === 0 && end - at === word.length && bytes.latin1Slice(at, end).toUpperCase() === word)
      return { from: at, to: end }
    at = end
  }
  return null
}
