// Whole messages for the random tests: generators of good, odd and damaged ones, and what our codec makes of a message.

import fc from 'fast-check'
import { ChunkedDecoder } from '../chunked.ts'
import { framing, type HeadLimits } from '../head.ts'
import { Http1RequestHead } from '../request-head.ts'
import { Http1ResponseHead } from '../response-head.ts'

export const wideLimits: HeadLimits = {
  requestLineBytesMax: 8_192,
  headerBytesMax: 16_384,
  headerCountMax: 100,
}

export interface Message {
  fields: [name: string, value: string][]
  trailers: [name: string, value: string][]
  body: string
}
export interface RequestMessage extends Message {
  method: string
  target: string
  authority: string
}
export interface ResponseMessage extends Message {
  status: number
  reason: string
}

type AnyHead = Http1RequestHead | Http1ResponseHead

/** The body behind a head, or null when it is refused or does not end. */
function bodyOf(
  head: AnyHead,
  rest: string,
): { body: string; trailers: Message['trailers']; bytes: number } | null {
  if (head.framing === framing.none) return { body: '', trailers: [], bytes: 0 }
  if (head.framing === framing.untilClose) return { body: rest, trailers: [], bytes: rest.length }
  if (head.framing === framing.length) {
    const bytes = head.contentLength
    return rest.length < bytes ? null : { body: rest.slice(0, bytes), trailers: [], bytes }
  }
  const bytes = Buffer.from(rest, 'latin1')
  const decoder = new ChunkedDecoder()
  const end = decoder.scan(bytes, 0, bytes.length)
  if (end < 0 || !decoder.done) return null
  let body = ''
  for (let i = 0; i < decoder.rangeCount; i++) body += rest.slice(decoder.rangeFrom(i), decoder.rangeTo(i))
  return { body, trailers: (decoder.trailers ?? []).map(fieldOf), bytes: end }
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, '')]
}

function fieldsOf(head: AnyHead): Message['fields'] {
  return Array.from({ length: head.count }, (_, i) => [head.nameAt(i), head.valueAt(i)])
}

/** The first request in the text as our codec reads it; null when it refuses it or it does not end. */
export function readRequest(text: string): RequestMessage | null {
  const head = new Http1RequestHead(wideLimits)
  const end = head.parse(text)
  const body = end > 0 ? bodyOf(head, text.slice(end)) : null
  if (body === null) return null
  const { method, target, authority } = head
  return { method, target, authority, fields: fieldsOf(head), body: body.body, trailers: body.trailers }
}

/** The final response in the text, which the connection's end follows; `rest` is what stands behind it. */
export function readResponse(
  text: string,
  method: string,
): { message: ResponseMessage; rest: string } | null {
  const head = new Http1ResponseHead(wideLimits)
  let from = 0
  do {
    head.reset(wideLimits)
    const end = head.parse(text.slice(from), method)
    if (end <= 0) return null
    from += end
  } while (head.status < 200 && head.status !== 101)
  const found = bodyOf(head, text.slice(from))
  if (found === null) return null
  const { body, trailers, bytes } = found
  const { status, reason } = head
  return {
    message: { status, reason, fields: fieldsOf(head), body, trailers },
    rest: text.slice(from + bytes),
  }
}

const rarely = <T>(arbitrary: fc.Arbitrary<T>, usual: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary })

const blank = fc.constantFrom(' ', '', '\t', ' \t ')
const text = fc.string({ unit: fc.constantFrom(...'abcXYZ019 ,;="/\\\t\xe4\xff:'), maxLength: 20 })
const otherName = fc.constantFrom(
  'A',
  'x-b',
  'Accept',
  "!#$%&'*+-.^_`|~",
  'Cookie',
  'X_Y',
  'Content_Length',
  'Via',
)
const codings = fc.constantFrom(
  'chunked',
  'Chunked',
  'gzip, chunked',
  'chunked, chunked',
  'identity',
  ',chunked',
  '',
  'x',
)
const connections = fc.constantFrom('close', 'keep-alive', 'Keep-Alive, close', 'x-b', 'te, close')

const otherField = fc
  .tuple(otherName, blank, text, blank)
  .map(([name, a, value, b]) => `${name}:${a}${value}${b}`)
const steering = fc.oneof(
  codings.map(value => `Transfer-Encoding: ${value}`),
  fc
    .constantFrom('0', '3', '003', '+3', '3, 3', '', '0x3', '99999999999999999999')
    .map(v => `Content-Length: ${v}`),
  connections.map(value => `Connection: ${value}`),
)

const chunk = fc
  .tuple(text, fc.constantFrom('', ';a', ';a=b', ';a="b\\""', ';', ' ;a'))
  .filter(([data]) => data !== '')
const chunks = fc.array(chunk, { maxLength: 4 }).chain(list =>
  fc
    .record({
      extended: rarely(fc.constant(true), false),
      trailers: rarely(fc.array(otherField, { maxLength: 2 }), []),
    })
    .map(({ extended, trailers }) => {
      const parts = list.map(
        ([data, ext]) => `${data.length.toString(16)}${extended ? ext : ''}\r\n${data}\r\n`,
      )
      return `${parts.join('')}0\r\n${trailers.map(line => `${line}\r\n`).join('')}\r\n`
    }),
)
/** The field that frames a body, and the body. */
const framed: fc.Arbitrary<[fields: string[], body: string]> = fc.oneof(
  fc.constant<[string[], string]>([[], '']),
  text.map((body): [string[], string] => [[`Content-Length: ${body.length}`], body]),
  chunks.map((body): [string[], string] => [['Transfer-Encoding: chunked'], body]),
)

const fields = fc
  .record({
    others: fc.array(otherField, { maxLength: 4 }),
    steers: rarely(fc.array(steering, { maxLength: 2 }), []),
  })
  .map(({ others, steers }) => [...others, ...steers])

/** Small damages: bytes put in, taken out or exchanged. */
const damages = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    put: fc.oneof(
      fc.constantFrom(
        '',
        '\r\n',
        '\n',
        '\r',
        '\r\n ',
        ' ',
        '\t',
        ':',
        '\0',
        '\x7f',
        '\xa0',
        ',',
        '0',
        '\r\n\r\n',
        '#',
      ),
      fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code)),
    ),
    take: fc.nat(2),
  }),
  { maxLength: 3 },
)

function damaged(whole: string, list: readonly { at: number; put: string; take: number }[]): string {
  for (const { at, put, take } of list) {
    const from = Math.floor(at * whole.length)
    whole = whole.slice(0, from) + put + whole.slice(from + take)
  }
  return whole
}

const lineEnd = rarely(fc.constantFrom('\n', '\r', '\r\r\n'), '\r\n')

function messageOf(start: fc.Arbitrary<string>, always: fc.Arbitrary<string[]>): fc.Arbitrary<string> {
  return fc
    .record({ start, always, fields, framed, lineEnd, damages: rarely(damages, []) })
    .map(
      ({ start: first, always: fixed, fields: more, framed: [frame, body], lineEnd: end, damages: harm }) => {
        const lines = [first, ...fixed, ...more, ...frame]
        return damaged(`${lines.join('\r\n')}${end}\r\n${body}`, harm)
      },
    )
}

const method = fc.constantFrom(
  'GET',
  'POST',
  'POST',
  'PUT',
  'HEAD',
  'OPTIONS',
  'DELETE',
  'TRACE',
  'M-SEARCH',
  'get',
  'FOO',
)
const target = rarely(
  fc.constantFrom(
    '*',
    '/%zz?a=b?c#d',
    'http://b/c?d',
    'HTTP://b:1',
    'http://[::1]/',
    '/\xe4',
    '//x',
    'x',
    '?a',
    'http://u@b/',
    '/"<>\\^`{|}',
  ),
  '/a?b',
)
const version = rarely(
  fc.constantFrom('HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.10', 'HTTP/0.9', ''),
  'HTTP/1.1',
)
const host = rarely(
  fc.constantFrom<string[][]>(
    [],
    ['Host: a', 'Host: a'],
    ['Host:'],
    ['Host: a,b'],
    ['Host: u@a'],
    ['hOst:\ta:80 '],
    ['Host: [::1]'],
  ),
  ['Host: a'],
)
export const requestText: fc.Arbitrary<string> = messageOf(
  fc
    .tuple(rarely(fc.constantFrom('\r\n', '\n', ' '), ''), method, target, version)
    .map(([before, ...line]) => before + line.join(' ').trimEnd()),
  host,
)

const interim = rarely(
  fc.constantFrom('HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'),
  '',
)
const status = rarely(
  fc.constantFrom(
    '204 No Content',
    '304 Not Modified',
    '205 Reset',
    '404',
    '500 ',
    '99 X',
    '1000 X',
    '599 \xe4',
  ),
  '200 OK',
)
const responseVersion = rarely(fc.constantFrom('HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.2'), 'HTTP/1.1')
export const responseText: fc.Arbitrary<string> = messageOf(
  fc.tuple(interim, responseVersion, status).map(([first, a, b]) => `${first}${a} ${b}`),
  fc.constant([]),
)
