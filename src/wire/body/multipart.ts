// multipart/form-data, strictly (RFC 7578, RFC 2046 5.1): nothing before the first delimiter or behind the last, lines end
// with CRLF, each part says its name once and in one way, parts are not encoded and hold no further multiparts. The
// boundary comes nowhere but in delimiters. Parts of JSON are read as JSON.

import { contentTypeOf, parametersOf, withoutBlanks } from './content-type.ts'
import { readJson } from './json.ts'
import { type BodyContents, BodyFault, type BodyField, type BodyFile, type BodyLimits } from './reading.ts'
import { hasControl, hexByte } from './urlencoded.ts'
import { invalidUtf8At } from './utf8.ts'

const boundaryChars = /^[0-9A-Za-z'()+_,./:=?-]{1,70}$/
const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
const plainCodings = ['7bit', '8bit', 'binary']

interface PartHead {
  readonly name: string
  /** Null: a field. */
  readonly file: string | null
  readonly type: string
}

/** Throws BodyFault. */
export function readMultipart(text: string, boundary: string | undefined, limits: BodyLimits): BodyContents {
  if (boundary === undefined || !boundaryChars.test(boundary))
    throw new BodyFault('multipart-boundary', 'The boundary is missing or malformed.', 0)
  return new MultipartReader(text, `--${boundary}`, limits).read()
}

class MultipartReader {
  readonly #text: string
  readonly #delimiter: string
  readonly #limits: BodyLimits
  readonly #args: BodyField[] = []
  readonly #files: BodyFile[] = []
  readonly #partHeaders: BodyField[] = []

  constructor(text: string, delimiter: string, limits: BodyLimits) {
    this.#text = text
    this.#delimiter = delimiter
    this.#limits = limits
  }

  read(): BodyContents {
    const text = this.#text
    if (!text.startsWith(this.#delimiter))
      throw new BodyFault('multipart-preamble', 'The body does not begin with its boundary.', 0)
    let at = this.#delimiter.length
    for (let parts = 0; ; parts++) {
      if (text.startsWith('--', at)) break
      if (!text.startsWith('\r\n', at))
        throw new BodyFault('multipart-delimiter', 'A boundary is not followed by CRLF or two hyphens.', at)
      if (parts >= this.#limits.partsMax)
        throw new BodyFault('too-many-parts', `The body has more than ${this.#limits.partsMax} parts.`, at)
      at = this.#part(at + 2)
    }
    const rest = text.slice(at + 2)
    if (rest !== '' && rest !== '\r\n')
      throw new BodyFault('multipart-epilogue', 'Something follows the last boundary.', at + 2)
    return {
      args: this.#args,
      files: this.#files,
      partHeaders: this.#partHeaders,
      xmlTexts: [],
      xmlAttributes: [],
    }
  }

  /** One part, from behind its delimiter's line. Gives the place behind the next delimiter. */
  #part(from: number): number {
    const text = this.#text
    const headTo = text.indexOf('\r\n\r\n', from)
    const next = text.indexOf(this.#delimiter, from)
    if (headTo < 0 || next < headTo + 6 || text[next - 1] !== '\n' || text[next - 2] !== '\r')
      throw new BodyFault('multipart-delimiter', 'A part does not end with CRLF and the boundary.', from)
    if (headTo - from > this.#limits.partHeaderBytesMax)
      throw new BodyFault('part-head-too-long', 'The header of a part is too long.', from)
    const head = this.#head(text.slice(from, headTo), from, next - 2 - (headTo + 4))
    this.#contents(head, headTo + 4, next - 2)
    return next + this.#delimiter.length
  }

  #contents({ name, file, type }: PartHead, from: number, to: number): void {
    if (file !== null) this.#files.push({ field: name, name: file, type, from, to })
    const isJson = type === 'application/json' || type.endsWith('+json')
    if (isJson) this.#takeJson(name, from, to)
    if (file !== null) return
    const value = this.#text.slice(from, to)
    const bad = invalidUtf8At(value)
    if (bad >= 0) throw new BodyFault('utf-8', 'A field of the form is not UTF-8.', from + bad)
    if (name === '_charset_' && value.toLowerCase() !== 'utf-8')
      throw new BodyFault('charset', 'The form names a charset that is not UTF-8.', from)
    if (!isJson) this.#add([name, value], from)
  }

  #takeJson(name: string, from: number, to: number): void {
    for (const field of readJson(this.#text.slice(from, to), name, this.#limits, from)) this.#add(field, from)
  }

  #add(field: BodyField, at: number): void {
    if (this.#args.length >= this.#limits.argsMax)
      throw new BodyFault('too-many-arguments', `The form has more than ${this.#limits.argsMax} fields.`, at)
    this.#args.push(field)
  }

  #head(head: string, at: number, bytes: number): PartHead {
    const fields = new Map<string, string>()
    for (const line of head.split('\r\n')) {
      const colon = line.indexOf(':')
      const name = line.slice(0, Math.max(0, colon)).toLowerCase()
      if (!fieldName.test(name) || hasControl(line.replaceAll('\t', ' ')))
        throw new BodyFault('part-header', 'A header line of a part is malformed or folded.', at)
      if (fields.has(name)) throw new BodyFault('part-header-twice', 'A header of a part comes twice.', at)
      if (invalidUtf8At(line) >= 0) throw new BodyFault('utf-8', 'A header of a part is not UTF-8.', at)
      fields.set(name, withoutBlanks(line.slice(colon + 1)))
    }
    const disposition = dispositionOf(fields.get('content-disposition') ?? '', at, this.#limits)
    for (const line of head.split('\r\n')) this.#partHeaders.push([disposition.name, line])
    checkCoding(fields, at, bytes)
    const declared = fields.get('content-type')
    const type = declared === undefined ? '' : contentTypeOf(declared, 'The type of a part').type
    if (type.startsWith('multipart/') || type.startsWith('message/'))
      throw new BodyFault('multipart-nested', 'A part holds further parts.', at)
    return { ...disposition, type }
  }
}

function checkCoding(fields: ReadonlyMap<string, string>, at: number, bytes: number): void {
  const coding = fields.get('content-transfer-encoding')
  if (coding !== undefined && !plainCodings.includes(coding.toLowerCase()))
    throw new BodyFault('part-coding', 'A part is encoded (RFC 7578 4.7).', at)
  if (fields.has('content-encoding')) throw new BodyFault('part-coding', 'A part is encoded.', at)
  const length = fields.get('content-length')
  if (length !== undefined && length !== String(bytes))
    throw new BodyFault('part-length', 'A part says a length that it does not have.', at)
}

function dispositionOf(value: string, at: number, limits: BodyLimits): { name: string; file: string | null } {
  const semicolon = value.indexOf(';')
  if (semicolon < 0 || withoutBlanks(value.slice(0, semicolon)).toLowerCase() !== 'form-data')
    throw new BodyFault('part-disposition', 'A part is not form-data with a name.', at)
  const parameters = parametersOf(value, semicolon, 'Content-Disposition of a part')
  for (const name of parameters.keys())
    if (name !== 'name' && name !== 'filename' && name !== 'filename*')
      throw new BodyFault('part-disposition', 'A part has a parameter beside its names.', at)
  const name = parameters.get('name')
  if (name === undefined) throw new BodyFault('part-disposition', 'A part has no name.', at)
  if (name.length > limits.nameBytesMax)
    throw new BodyFault('name-too-long', `A name is longer than ${limits.nameBytesMax} bytes.`, at)
  const plain = parameters.get('filename')
  const extended = parameters.get('filename*')
  if (extended === undefined) return { name, file: plain ?? null }
  const file = extendedName(extended, at)
  if (plain !== undefined && plain !== file)
    throw new BodyFault('part-file-name', 'A part has two different file names.', at)
  return { name, file }
}

/** RFC 8187: `UTF-8'language'percent-encoded`. */
function extendedName(value: string, at: number): string {
  const first = value.indexOf("'")
  const second = value.indexOf("'", first + 1)
  if (first < 0 || second < 0 || value.slice(0, first).toLowerCase() !== 'utf-8')
    throw new BodyFault('charset', 'A file name is in a charset that is not UTF-8.', at)
  let out = ''
  for (let i = second + 1; i < value.length; i++) {
    const byte = value[i] === '%' ? hexByte(value, i + 1) : value.charCodeAt(i)
    if (byte < 0) throw new BodyFault('percent', 'A % is not followed by two hexadecimal digits.', at)
    if (value[i] === '%') i += 2
    out += String.fromCharCode(byte)
  }
  if (hasControl(out) || invalidUtf8At(out) >= 0)
    throw new BodyFault('part-file-name', 'A file name is not UTF-8, or has a control character.', at)
  return out
}
