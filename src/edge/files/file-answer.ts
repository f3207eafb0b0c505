// What a request for a file that exists is answered with: the whole, some ranges, "not modified", or why not. Conditions
// in the order of RFC 9110 13.2.2. Small files in memory go out in one write; nothing here waits.

import { judgeConditions, rangeStands, type Validators } from '../../policy/conditional.ts'
import { fieldId } from '../../wire/fields.ts'
import { parseHttpDate } from '../../wire/http-date.ts'
import {
  answerRange,
  type ByteRange,
  contentRange,
  contentRangeUnsatisfied,
  partsText,
} from '../../wire/range.ts'
import type { Exchange } from '../exchange.ts'
import { clientFailures } from '../failures.ts'
import type { FileEntry, Representation } from './file-entry.ts'
import { DiskSender, MemorySender, type Part } from './file-sender.ts'

/** `entry`: whose file or bytes the representation is. `added`: the route's own field lines. */
export function answerFile(exchange: Exchange, entry: FileEntry, is: Representation, added: string): void {
  const { head } = exchange
  if (isConditional(exchange) && answeredByCondition(exchange, is, added)) return
  if (head.firstOf(fieldId.range) >= 0 && head.method === 'GET' && answeredByRange(exchange, entry, is))
    return
  if (head.method === 'HEAD') exchange.respond(200, is.wholeFields + added + exchange.extraFields, '')
  else if (is.text !== null) exchange.respond(200, is.wholeFields + added + exchange.extraFields, is.text)
  else if (is.body !== null) sendWhole(exchange, is, is.body)
  else send(exchange, entry, is, 200, is.wholeFields, [{ from: 0, to: is.size }])
}

/** From memory in one piece: nothing of ours has to stay until it is written, for the bytes never change. */
function sendWhole(exchange: Exchange, is: Representation, body: Buffer): void {
  exchange.localBegin(200, is.wholeFields, false, null)
  exchange.localBytes(body, 0, body.length)
  exchange.localEnd()
}

function send(
  exchange: Exchange,
  entry: FileEntry,
  is: Representation,
  status: number,
  fields: string,
  parts: readonly Part[],
): void {
  const source =
    is.body !== null
      ? new MemorySender(exchange, is.body, parts)
      : new DiskSender(exchange, is, entry.facts, parts)
  exchange.localBegin(status, fields, false, source)
  source.start()
}

function isConditional({ head }: Exchange): boolean {
  return (
    head.firstOf(fieldId['if-none-match']) >= 0 ||
    head.firstOf(fieldId['if-modified-since']) >= 0 ||
    head.firstOf(fieldId['if-match']) >= 0 ||
    head.firstOf(fieldId['if-unmodified-since']) >= 0
  )
}

function nowSeconds(exchange: Exchange): number {
  return exchange.worker.clock.wall() / 1_000_000
}

function answeredByCondition(exchange: Exchange, is: Validators & Representation, added: string): boolean {
  const { head } = exchange
  const date = (id: number): number | undefined => {
    const value = head.value(id)
    return value === undefined ? undefined : parseHttpDate(value, nowSeconds(exchange))
  }
  const verdict = judgeConditions(
    {
      ifMatch: head.find('if-match'),
      ifNoneMatch: head.find('if-none-match'),
      ifModifiedSince: date(fieldId['if-modified-since']),
      ifUnmodifiedSince: date(fieldId['if-unmodified-since']),
    },
    is,
  )
  if (verdict === 'pass') return false
  if (verdict === 'failed') exchange.refuse(clientFailures.preconditionFailed)
  else exchange.respond(304, is.unchangedFields + added + exchange.extraFields, '')
  return true
}

/** False: the whole is sent as if no range had been asked for. */
function answeredByRange(exchange: Exchange, entry: FileEntry, is: Representation): boolean {
  const { head } = exchange
  const ifRange = head.value(fieldId['if-range'])
  if (ifRange !== undefined) {
    const now = nowSeconds(exchange)
    if (!rangeStands(ifRange, parseHttpDate(ifRange, now), is, now)) return false
  }
  const answer = answerRange(head.find('range') as string, is.size)
  if (answer.kind === 'whole') return false
  if (answer.kind === 'unsatisfiable') {
    const fields = `Content-Range: ${contentRangeUnsatisfied(is.size)}\r\nAccept-Ranges: bytes\r\n`
    exchange.refuse(clientFailures.rangeNotSatisfiable, fields)
    return true
  }
  const { ranges } = answer
  if (ranges.length === 1) sendRange(exchange, entry, is, ranges[0] as ByteRange)
  else sendRanges(exchange, entry, is, ranges)
  return true
}

function sendRange(exchange: Exchange, entry: FileEntry, is: Representation, range: ByteRange): void {
  const { from, to } = range
  const fields = `Content-Type: ${is.contentType}\r\nContent-Length: ${to - from}\r\nContent-Range: ${contentRange(range, is.size)}\r\n${is.partFields}`
  send(exchange, entry, is, 206, fields, [range])
}

function sendRanges(
  exchange: Exchange,
  entry: FileEntry,
  is: Representation,
  ranges: readonly ByteRange[],
): void {
  // Nobody who wrote the file can know it.
  const { random } = exchange.worker
  const boundary = `part-${random.below(2 ** 32).toString(36)}${random.below(2 ** 32).toString(36)}${exchange.idSuffix}`
  const { heads, end, bytes } = partsText(ranges, is.size, is.contentType, boundary)
  const parts: Part[] = ranges.flatMap((range, at): Part[] => [{ text: heads[at] as string }, range])
  const fields = `Content-Type: multipart/byteranges; boundary=${boundary}\r\nContent-Length: ${bytes}\r\n${is.partFields}`
  send(exchange, entry, is, 206, fields, [...parts, { text: end }])
}
