// What one column of a line of COPY FROM holds, in the text format and as CSV, read as PostgreSQL reads it.

import type { CopyOptions } from '../../sql/shards/contract.ts'

const backslash = 0x5c

/** null: NULL; undefined: the line has no such column. `bytes[from..to)` is the line without its end. */
export function textValue(
  bytes: Buffer,
  from: number,
  to: number,
  column: number,
  options: CopyOptions,
): Buffer | null | undefined {
  const delimiter = options.delimiter.charCodeAt(0)
  let start = from
  let at = from
  for (let index = 0; ; index++) {
    while (at < to && bytes[at] !== delimiter) at += bytes[at] === backslash ? 2 : 1
    const end = Math.min(at, to)
    if (index === column) {
      if (is(bytes, start, end, options.nullText)) return null
      return unescaped(bytes.subarray(start, end))
    }
    if (at >= to) return undefined
    start = ++at
  }
}

function is(bytes: Buffer, from: number, to: number, text: string): boolean {
  return to - from === Buffer.byteLength(text) && bytes.utf8Slice(from, to) === text
}

const letters: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 }

function unescaped(raw: Buffer): Buffer {
  if (!raw.includes(backslash)) return raw
  const out: number[] = []
  let at = 0
  while (at < raw.length) {
    const byte = raw[at++] as number
    if (byte !== backslash || at >= raw.length) {
      out.push(byte)
      continue
    }
    const rest = raw.latin1Slice(at, at + 3)
    const [code, base, skip] = codeOf(rest)
    if (code === null) {
      out.push(letters[rest[0] as string] ?? (raw[at] as number))
      at++
    } else {
      out.push(Number.parseInt(code, base) & 0xff)
      at += code.length + skip
    }
  }
  return Buffer.from(out)
}

/** Octal and hexadecimal codes of bytes. */
function codeOf(rest: string): [code: string | null, base: number, skip: number] {
  const octal = /^[0-7]{1,3}/.exec(rest)
  if (octal !== null) return [octal[0], 8, 0]
  const hexadecimal = /^x([0-9a-fA-F]{1,2})/.exec(rest)
  return hexadecimal === null ? [null, 0, 0] : [hexadecimal[1] as string, 16, 1]
}

/** The same of CSV: a value with a quote in it is never NULL. */
export function csvValue(
  bytes: Buffer,
  from: number,
  to: number,
  column: number,
  options: CopyOptions,
): Buffer | null | undefined {
  const delimiter = options.delimiter.charCodeAt(0)
  const quote = options.quote.charCodeAt(0)
  const escaping = options.escape.charCodeAt(0)
  let at = from
  for (let index = 0; ; index++) {
    const out: number[] = []
    let quoted = false
    let inside = false
    for (; at < to; at++) {
      const byte = bytes[at] as number
      if (!inside && byte === delimiter) break
      if (!inside && byte === quote) {
        inside = true
        quoted = true
      } else if (
        inside &&
        byte === escaping &&
        (bytes[at + 1] === escaping || bytes[at + 1] === quote) &&
        at + 1 < to
      )
        out.push(bytes[++at] as number)
      else if (inside && byte === quote) inside = false
      else out.push(byte)
    }
    if (index === column) {
      const value = Buffer.from(out)
      return !quoted && value.toString() === options.nullText ? null : value
    }
    if (at >= to) return undefined
    at++
  }
}
