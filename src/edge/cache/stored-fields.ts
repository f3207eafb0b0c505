// The fields of an answer as they are stored, and as they are read again. What clients are shown stands as ready lines;
// what they are not shown but a later validation needs (the origin's own Cache-Control where a rule replaces it, targeted
// fields) stands before it, hidden. Never stored: hop-by-hop fields, Set-Cookie, Age, what belongs to one request.

import { browserCacheControl, type CacheRules, type Judged } from '../../policy/freshness/index.ts'
import { fieldId, knownIds } from '../../wire/fields.ts'
import { framing, Http1ResponseHead, reasonOf, responseDrop, withDropped } from '../../wire/http1/index.ts'
import type { CompiledRoute } from '../compile.ts'
import type { Exchange } from '../exchange.ts'

/** Bits of `StoredMeta.flags` beside those of policy/freshness. */
export const storedFlag = {
  /** No answer: its fields are the names by which answers under this key vary. */
  marker: 0x10_0000,
  /** Hidden lines stand before those that are shown. */
  hidden: 0x20_0000,
  /** The fields have no Content-Length: it was not known. */
  noLength: 0x40_0000,
  /** No answer: its fields are the key under which the answer is stored. */
  alias: 0x80_0000,
} as const

const storedLimits = { requestLineBytesMax: 8_192, headerBytesMax: 1 << 20, headerCountMax: 1_024 }
const neverStored: readonly string[] = ['age', 'trailer', 'content-length', 'location', 'tenfold-after']
const freshnessNames: readonly string[] = [
  'cache-control',
  'expires',
  'pragma',
  'surrogate-control',
  'cdn-cache-control',
]
export const replacedByRule: readonly string[] = ['cache-control', 'expires', 'pragma']

/** What a 304 does not say (RFC 9110 15.4.5). */
export const notIn304: readonly string[] = [
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-range',
  'accept-ranges',
]

export interface StoredFields {
  readonly text: string
  /** Bits of `storedFlag`. */
  readonly flags: number
}

/** What is stored of an instance's head. `bodyBytes`: -1 where it is not known. */
export function storedFields(
  exchange: Exchange,
  head: Http1ResponseHead,
  judged: Judged,
  rules: CacheRules,
  bodyBytes: number,
  hiddenMore = '',
): StoredFields {
  const forClients = browserCacheControl(rules, head, false)
  const replaced = forClients === null ? [] : replacedByRule
  const cookies = rules.shareCookies === true ? [] : ['set-cookie']
  const gone = [...neverStored, ...cookies, ...judged.drop, ...replaced]
  const hidden = freshnessNames.filter(name => judged.drop.includes(name) || replaced.includes(name))
  let text = hiddenMore
  for (const name of hidden) {
    const value = head.find(name)
    if (value !== undefined) text += `${name}: ${value}\r\n`
  }
  const isHidden = text !== ''
  if (isHidden) text += '\r\n'
  const { drop } = (exchange.route as CompiledRoute).response
  const strict =
    drop[fieldId['strict-transport-security']] === 1 ? [fieldId['strict-transport-security']] : []
  const also = head.connectionNames === null ? gone : [...gone, ...head.connectionNames]
  text += head.copyFields(withDropped(responseDrop, [...knownIds(gone), ...strict]), also)
  if (forClients !== null) text += `Cache-Control: ${forClients}\r\n`
  const location = exchange.publicLocation(head) ?? head.value(fieldId.location)
  if (location !== undefined) text += `Location: ${location}\r\n`
  if (head.firstOf(fieldId.date) < 0) text += exchange.worker.dateText
  if (bodyBytes >= 0 && head.status !== 204) text += `Content-Length: ${bodyBytes}\r\n`
  return {
    text,
    flags: (isHidden ? storedFlag.hidden : 0) | (bodyBytes < 0 ? storedFlag.noLength : 0),
  }
}

export function shownOf(fields: string, flags: number): string {
  return (flags & storedFlag.hidden) === 0 ? fields : fields.slice(fields.indexOf('\r\n\r\n') + 4)
}

/** All that the origin said, as field lines: what is hidden in place of what is shown instead of it. */
export function originFields(status: number, fields: string, flags: number): string {
  if ((flags & storedFlag.hidden) === 0) return fields
  const at = fields.indexOf('\r\n\r\n') + 2
  const hidden = fields.slice(0, at)
  const names = hidden.split('\r\n').map(line => line.slice(0, line.indexOf(':')))
  return hidden + withoutNames(headOf(status, fields.slice(at + 2)), names)
}

export function withoutNames(head: Http1ResponseHead, names: readonly string[]): string {
  return head.copyFields(withDropped(nothingDropped, knownIds(names)), names)
}

const nothingDropped = new Uint8Array(256)

/** Field lines as a head that can be asked. `method`: of the request that it is for. */
export function headOf(status: number, lines: string, method = 'GET'): Http1ResponseHead {
  const head = new Http1ResponseHead(storedLimits)
  head.parse(`HTTP/1.1 ${status} ${reasonOf(status)}\r\n${lines}\r\n`, method)
  return head
}

/** -1 where it is not known before the end; -2: it ends with the connection, so that nobody could say whether it is whole. */
export function bodyBytesOf(head: Http1ResponseHead): number {
  if (head.framing === framing.untilClose) return -2
  if (head.framing === framing.chunked) return -1
  return head.framing === framing.length ? head.contentLength : 0
}
