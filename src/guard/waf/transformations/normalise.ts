// Transformations that take away what attackers hide behind: white space, comments, path steps, case. Bytes in and out,
// all linear.

import { onText, type Transform } from './bytes.ts'

/** Of ASCII only: other bytes have no case. */
export const lowercase: Transform = (bytes, length, out) => {
  for (let at = 0; at < length; at += 1) out[at] = lower(bytes[at]!)
  return length
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte
}

export const uppercase: Transform = (bytes, length, out) => {
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at]!
    out[at] = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
  }
  return length
}

/** With the blank that no locale has, as ModSecurity. */
function isWhite(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0xa0
}

export const compressWhitespace: Transform = (bytes, length, out) => {
  let end = 0
  let white = false
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at]!
    if (!isWhite(byte)) {
      out[end++] = byte
      white = false
    } else if (!white) {
      out[end++] = 0x20
      white = true
    }
  }
  return end
}

export const removeWhitespace: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; at += 1) if (!isWhite(bytes[at]!)) out[end++] = bytes[at]!
  return end
}

export const removeNulls: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; at += 1) if (bytes[at] !== 0) out[end++] = bytes[at]!
  return end
}

export const replaceNulls: Transform = (bytes, length, out) => {
  for (let at = 0; at < length; at += 1) out[at] = bytes[at] === 0 ? 0x20 : bytes[at]!
  return length
}

/** C's comments become a space, also one that is never closed. */
export const replaceComments: Transform = (bytes, length, out) => {
  let end = 0
  for (let at = 0; at < length; ) {
    if (bytes[at] !== 0x2f || bytes[at + 1] !== 0x2a || at + 1 >= length) {
      out[end++] = bytes[at]!
      at += 1
      continue
    }
    at += 2
    while (at < length && !(bytes[at] === 0x2a && at + 1 < length && bytes[at + 1] === 0x2f)) at += 1
    at = Math.min(length, at + 2)
    out[end++] = 0x20
  }
  return end
}

/** C's, HTML's and SQL's comments vanish; what follows `--` or `#` too. */
export const removeComments: Transform = onText(text => {
  let out = ''
  for (let at = 0; at < text.length; ) {
    if (text.startsWith('/*', at)) {
      // One that is never closed leaves a blank.
      if (text.indexOf('*/', at + 2) < 0) return `${out} `
      at = after(text, '*/', at + 2)
    } else if (text.startsWith('<!--', at)) at = after(text, '-->', at + 4)
    else if (text.startsWith('--', at) || text[at] === '#') break
    else {
      out += text[at]
      at += 1
    }
  }
  return out
})

/** Only the marks of comments go; what is in them stays. */
export const removeCommentsChar: Transform = onText(text => {
  let out = ''
  for (let at = 0; at < text.length; ) {
    if (text.startsWith('/*', at) || text.startsWith('*/', at)) at += 2
    else if (text.startsWith('<!--', at)) at += 4
    else if (text.startsWith('-->', at)) at += 3
    else if (text.startsWith('--', at)) at += 2
    else {
      if (text[at] !== '#') out += text[at]
      at += 1
    }
  }
  return out
})

function after(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from)
  return at < 0 ? text.length : at + mark.length
}

/** `a//b/./c/../d` to `a/b/d`. */
export const normalizePath: Transform = (bytes, length, out) => pathSteps(bytes, length, out, false)

/** With backslashes taken for slashes. */
export const normalizePathWin: Transform = (bytes, length, out) => pathSteps(bytes, length, out, true)

const dot = 0x2e
const slash = 0x2f

function pathSteps(bytes: Uint8Array, length: number, out: Uint8Array, windows: boolean): number {
  const isSlash = (byte: number): boolean => byte === slash || (windows && byte === 0x5c)
  if (length === 0) return 0
  const rooted = isSlash(bytes[0]!)
  if (rooted) out[0] = slash
  const base = rooted ? 1 : 0
  let end = base
  // Before it are only steps up that lead out of where the path began.
  let floor = base
  for (let at = 0; at < length; ) {
    const begin = at
    while (at < length && !isSlash(bytes[at]!)) at += 1
    const size = at - begin
    at += 1
    if (size === 0 || (size === 1 && bytes[begin] === dot)) continue
    const up = size === 2 && bytes[begin] === dot && bytes[begin + 1] === dot
    if (up && end > floor) {
      while (end > base && out[end - 1] !== slash) end -= 1
      if (end > base) end -= 1
    } else if (!up || !rooted) {
      if (end > base) out[end++] = slash
      for (let index = 0; index < size; index += 1) out[end++] = bytes[begin + index]!
      if (up) floor = end
    }
  }
  if (end > base && isSlash(bytes[length - 1]!)) out[end++] = slash
  return end
}

/** What shells pass over (quotes, carets, backslashes), and one space for what separates. */
export const cmdLine: Transform = (bytes, length, out) => {
  let end = 0
  let separated = false
  for (let at = 0; at < length; at += 1) {
    const byte = bytes[at]!
    if (byte === 0x22 || byte === 0x27 || byte === 0x5c || byte === 0x5e) continue
    if (separates(byte)) {
      if (!separated) out[end++] = 0x20
      separated = true
      continue
    }
    if (separated && (byte === slash || byte === 0x28)) end -= 1
    separated = false
    out[end++] = lower(byte)
  }
  return end
}

function separates(byte: number): boolean {
  return byte === 0x20 || byte === 0x2c || byte === 0x3b || byte === 0x09 || byte === 0x0d || byte === 0x0a
}

export const trim: Transform = onText(text => trimmedRight(trimmedLeft(text)))
export const trimLeft: Transform = onText(trimmedLeft)
export const trimRight: Transform = onText(trimmedRight)

function trimmedLeft(text: string): string {
  let at = 0
  while (at < text.length && isSpace(text.charCodeAt(at))) at += 1
  return text.slice(at)
}

function trimmedRight(text: string): string {
  let end = text.length
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(0, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}
