// Where rules find values: each collection as a list of named values. Filled from the request as it becomes known.

import type { WafAnswer, WafBody, WafField, WafRequest } from '../transaction.ts'
import { transformations, transformText } from '../transformations/index.ts'
import { Value } from './value.ts'

export interface Entry {
  /** Of the collection it is in: `ARGS`. */
  readonly collection: string
  /** Name within it, as sent; '' for a variable that has one value. */
  readonly name: string
  /** The same in lower case: how selectors compare. */
  readonly key: string
  readonly value: Value
  /** What a value is when it is decoded once more than it was asked for: looked at, never counted. */
  readonly again: boolean
}

export class Entries {
  readonly #lists: Map<string, Entry[]> = new Map()
  readonly #values: Map<string, Value> = new Map()

  list(collection: string): readonly Entry[] {
    return this.#lists.get(collection) ?? none
  }

  /** Equal texts are one value. */
  value(text: string): Value {
    let value = this.#values.get(text)
    if (value === undefined) {
      value = new Value(text)
      this.#values.set(text, value)
    }
    return value
  }

  add(collection: string, name: string, text: string, again = false): void {
    const entry: Entry = { collection, name, key: name.toLowerCase(), value: this.value(text), again }
    const list = this.#lists.get(collection)
    if (list === undefined) this.#lists.set(collection, [entry])
    else list.push(entry)
  }

  set(collection: string, text: string): void {
    this.#lists.set(collection, [{ collection, name: '', key: '', value: this.value(text), again: false }])
  }

  request(request: WafRequest): void {
    const { target, method, protocol } = request
    const plain = withoutFragment(target)
    const question = plain.indexOf('?')
    const path = withoutOrigin(question < 0 ? plain : plain.slice(0, question))
    const query = question < 0 ? '' : plain.slice(question + 1)
    this.set('REQUEST_METHOD', method)
    this.set('REQUEST_PROTOCOL', protocol)
    this.set('REQUEST_LINE', `${method} ${target} ${protocol}`)
    this.set('REQUEST_URI_RAW', target)
    this.set('REQUEST_URI', question < 0 ? path : `${path}?${query}`)
    this.set('REQUEST_FILENAME', path)
    this.set('REQUEST_BASENAME', path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1))
    this.set('PATH_INFO', path)
    this.set('QUERY_STRING', query)
    this.set('REMOTE_ADDR', request.address)
    this.set('REMOTE_HOST', request.address)
    this.set('UNIQUE_ID', request.requestId)
    this.#headers('REQUEST_HEADERS', request.headers)
    for (const [name, value] of request.headers) {
      const lower = name.toLowerCase()
      if (lower === 'cookie') this.#cookies(value)
      else if (lower === 'host') this.set('SERVER_NAME', value.replace(/:\d+$/, ''))
    }
    for (const [name, value] of formFields(query)) this.#argument('GET', name, value)
    this.#sizes()
    this.body(null)
  }

  body(body: WafBody | null): void {
    this.set('REQBODY_PROCESSOR', body?.processor ?? '')
    this.set('REQUEST_BODY_LENGTH', String(body?.bytes ?? 0))
    this.set('REQUEST_BODY', body?.text ?? '')
    const failed = body !== null && body.error !== ''
    this.set('REQBODY_ERROR', failed ? '1' : '0')
    this.set('REQBODY_ERROR_MSG', body?.error ?? '')
    this.set('REQBODY_PROCESSOR_ERROR', failed ? '1' : '0')
    this.set('REQBODY_PROCESSOR_ERROR_MSG', body?.error ?? '')
    this.set('MULTIPART_STRICT_ERROR', failed && body.processor === 'MULTIPART' ? '1' : '0')
    this.set('MULTIPART_UNMATCHED_BOUNDARY', '0')
    this.set('INBOUND_DATA_ERROR', '0')
    if (body === null) return
    for (const [name, value] of body.args) this.#argument('POST', name, value)
    this.#files(body)
    for (const [name, line] of body.partHeaders) this.add('MULTIPART_PART_HEADERS', name, line)
    if (body.xmlTexts.length > 0) this.add('XML', '/*', body.xmlTexts.join(' '))
    for (const text of body.xmlAttributes) this.add('XML', '//@*', text)
    this.#sizes()
  }

  answer(answer: WafAnswer): void {
    this.set('RESPONSE_STATUS', String(answer.status))
    this.set('RESPONSE_PROTOCOL', answer.protocol)
    this.#headers('RESPONSE_HEADERS', answer.headers)
    this.set('OUTBOUND_DATA_ERROR', '0')
    for (const [name, value] of answer.headers) {
      const lower = name.toLowerCase()
      if (lower === 'content-length') this.set('RESPONSE_CONTENT_LENGTH', value)
      if (lower === 'content-type') this.set('RESPONSE_CONTENT_TYPE', value)
    }
  }

  #files(body: WafBody): void {
    let bytes = 0
    for (const file of body.files) {
      this.add('FILES', file.field, file.name)
      this.add('FILES_NAMES', file.field, file.field)
      this.add('FILES_SIZES', file.field, String(file.bytes))
      this.add('MULTIPART_FILENAME', file.field, file.name)
      this.add('MULTIPART_NAME', file.field, file.field)
      bytes += file.bytes
    }
    this.set('FILES_COMBINED_SIZE', String(bytes))
  }

  #argument(kind: 'GET' | 'POST', name: string, value: string): void {
    this.add('ARGS', name, value)
    this.#decodedAgain('ARGS', name, value)
    this.add(`ARGS_${kind}`, name, value)
    this.add('ARGS_NAMES', name, name)
    this.add(`ARGS_${kind}_NAMES`, name, name)
  }

  #headers(collection: string, headers: readonly WafField[]): void {
    for (const [name, value] of headers) {
      this.add(collection, name, value)
      this.add(`${collection}_NAMES`, name, name)
    }
  }

  #cookies(text: string): void {
    for (const piece of text.split(';')) {
      const plain = piece.trim()
      if (plain === '') continue
      const equals = plain.indexOf('=')
      const name = equals < 0 ? plain : plain.slice(0, equals).trim()
      const value = equals < 0 ? '' : plain.slice(equals + 1).trim()
      this.add('REQUEST_COOKIES', name, value)
      this.#decodedAgain('REQUEST_COOKIES', name, value)
      this.add('REQUEST_COOKIES_NAMES', name, name)
    }
  }

  /** Encodings within encodings: not all rules decode, and who serves the request may. */
  #decodedAgain(collection: string, name: string, text: string): void {
    let value = text
    for (let depth = 0; depth < decodedAgainMax && encoded.test(value); depth += 1) {
      const next = urlDecodeUni(value)
      if (next === value) return
      value = next
      this.add(collection, name, value, true)
    }
  }

  #sizes(): void {
    let bytes = 0
    for (const entry of this.list('ARGS')) if (!entry.again) bytes += entry.name.length + entry.value.length
    this.set('ARGS_COMBINED_SIZE', String(bytes))
    if (this.list('FILES_COMBINED_SIZE').length === 0) this.set('FILES_COMBINED_SIZE', '0')
  }
}

const none: readonly Entry[] = []
const urlDecoding = transformations.urldecodeuni!

function urlDecodeUni(text: string): string {
  return /[%+]/.test(text) ? transformText(urlDecoding, text) : text
}

const decodedAgainMax = 2
const encoded = /%(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})/

/** A query as a form: percent encodings and `+` decoded, `%uHHHH` too, as the servers that know it do. */
export function formFields(text: string): WafField[] {
  const fields: WafField[] = []
  for (const piece of text.split('&')) {
    if (piece === '') continue
    const equals = piece.indexOf('=')
    const name = equals < 0 ? piece : piece.slice(0, equals)
    fields.push([urlDecodeUni(name), equals < 0 ? '' : urlDecodeUni(piece.slice(equals + 1))])
  }
  return fields
}

function withoutFragment(target: string): string {
  const at = target.indexOf('#')
  return at < 0 ? target : target.slice(0, at)
}

function withoutOrigin(path: string): string {
  return path.replace(/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?]*/, '') || '/'
}
