// application/x-www-form-urlencoded, strictly: `&` alone separates, every `%` begins an escape, names have no NUL, and what
// comes out is UTF-8. What some readers take for a separator, cut off or repair is refused.

import { BodyFault, type BodyField, type BodyLimits } from './reading.ts'
import { invalidUtf8At } from './utf8.ts'

/** Throws BodyFault. */
export function readUrlencoded(text: string, limits: BodyLimits): BodyField[] {
  checkRaw(text)
  const fields: BodyField[] = []
  for (let from = 0; from <= text.length; ) {
    const and = text.indexOf('&', from)
    const to = and < 0 ? text.length : and
    if (to > from) {
      if (fields.length >= limits.argsMax)
        throw new BodyFault('too-many-arguments', `The form has more than ${limits.argsMax} fields.`, from)
      fields.push(fieldOf(text, from, to, limits))
    }
    from = to + 1
  }
  return fields
}

/** Control characters are never sent as they are: readers trim, cut or keep them. */
function checkRaw(text: string): void {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0x20 || code === 0x7f)
      throw new BodyFault('form-control', 'The form has a control character that is not encoded.', at)
    if (code === 0x3b)
      throw new BodyFault('form-separator', 'The form has a semicolon, which some take for a separator.', at)
  }
}

function fieldOf(text: string, from: number, to: number, limits: BodyLimits): BodyField {
  const equals = text.indexOf('=', from)
  const nameTo = equals < 0 || equals > to ? to : equals
  const name = decoded(text, from, nameTo)
  const value = nameTo === to ? '' : decoded(text, nameTo + 1, to)
  if (name.length > limits.nameBytesMax)
    throw new BodyFault('name-too-long', `A name is longer than ${limits.nameBytesMax} bytes.`, from)
  if (hasControl(name)) throw new BodyFault('name-control', 'A name has a control character.', from)
  if (name[0] === ' ') throw new BodyFault('name-blank', 'A name begins with a blank.', from)
  if (name === '_charset_' && value.toLowerCase() !== 'utf-8')
    throw new BodyFault('charset', 'The form names a charset that is not UTF-8.', from)
  return [name, value]
}

export function hasControl(name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

function decoded(text: string, from: number, to: number): string {
  const raw = text.slice(from, to)
  let out = ''
  let copied = 0
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at)
    if (code !== 0x25 && code !== 0x2b) continue
    out += raw.slice(copied, at)
    if (code === 0x2b) out += ' '
    else {
      const byte = hexByte(raw, at + 1)
      if (byte < 0)
        throw new BodyFault('percent', 'A % is not followed by two hexadecimal digits.', from + at)
      out += String.fromCharCode(byte)
      at += 2
    }
    copied = at + 1
  }
  if (copied > 0) out += raw.slice(copied)
  else out = raw
  if (invalidUtf8At(out) >= 0) throw new BodyFault('utf-8', 'A field of the form is not UTF-8.', from)
  return out
}

/** -1: not two hexadecimal digits. */
export function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

export function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const folded = code | 0x20
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1
}
