// Transformations that take away what attackers hide behind: white space, comments, path steps, case. Byte strings in
// and out, all linear (the regular expressions here have no nested repetition).

/** Of ASCII only: other bytes have no case. */
export function lowercase(text: string): string {
  if (!/[A-Z]/.test(text)) return text
  return isAscii(text) ? text.toLowerCase() : text.replace(/[A-Z]+/g, one => one.toLowerCase())
}

export function uppercase(text: string): string {
  if (!/[a-z]/.test(text)) return text
  return isAscii(text) ? text.toUpperCase() : text.replace(/[a-z]+/g, one => one.toUpperCase())
}

function isAscii(text: string): boolean {
  return !/[\x80-\xff]/.test(text)
}

export function compressWhitespace(text: string): string {
  return text.replace(/[\t-\r \xa0]+/g, ' ')
}

export function removeWhitespace(text: string): string {
  return text.replace(/[\t-\r \xa0]+/g, '')
}

export function removeNulls(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '') : text
}

export function replaceNulls(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', ' ') : text
}

/** C's comments become a space, also one that is never closed. */
export function replaceComments(text: string): string {
  return withoutComments(text, ' ')
}

/** C's, HTML's and SQL's comments vanish; what follows `--` or `#` too. */
export function removeComments(text: string): string {
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
}

/** Only the marks of comments go; what is in them stays. */
export function removeCommentsChar(text: string): string {
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
}

function withoutComments(text: string, instead: string): string {
  if (!text.includes('/*')) return text
  let out = ''
  for (let at = 0; at < text.length; ) {
    const begin = text.indexOf('/*', at)
    if (begin < 0) return out + text.slice(at)
    out += text.slice(at, begin) + instead
    at = after(text, '*/', begin + 2)
  }
  return out
}

function after(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from)
  return at < 0 ? text.length : at + mark.length
}

/** `a//b/./c/../d` to `a/b/d`. */
export function normalizePath(text: string): string {
  if (text === '') return text
  const rooted = text.startsWith('/')
  const parts: string[] = []
  const pieces = text.split('/')
  for (const piece of pieces) {
    if (piece === '' || piece === '.') continue
    if (piece !== '..') parts.push(piece)
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (!rooted) parts.push('..')
  }
  const tail = parts.length > 0 && text.endsWith('/') ? '/' : ''
  return `${rooted ? '/' : ''}${parts.join('/')}${tail}`
}

/** With backslashes taken for slashes. */
export function normalizePathWin(text: string): string {
  return normalizePath(text.replaceAll('\\', '/'))
}

/** What shells pass over (quotes, carets, backslashes), and one space for what separates. */
export function cmdLine(text: string): string {
  const bare = text.replace(/["'\\^]+/g, '').replace(/[ ,;\t\r\n]+/g, ' ')
  return lowercase(bare.replace(/ (?=[/(])/g, ''))
}

export function trim(text: string): string {
  return trimRight(trimLeft(text))
}

export function trimLeft(text: string): string {
  let at = 0
  while (at < text.length && isSpace(text.charCodeAt(at))) at += 1
  return text.slice(at)
}

export function trimRight(text: string): string {
  let end = text.length
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(0, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}
