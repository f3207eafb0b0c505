// A client is answered from what is stored: in one write where it is small, else in pieces; 304 where its conditions say
// that it has it, ranges where it asks for some. The stored answer's own fields, Age, Cache-Status, and what this
// exchange and its route add.

import type { Validators } from '../../policy/conditional.ts'
import { ageUs } from '../../policy/freshness/index.ts'
import { fieldId } from '../../wire/fields.ts'
import { parseHttpDate } from '../../wire/http-date.ts'
import type { Http1ResponseHead } from '../../wire/http1/index.ts'
import type { Exchange } from '../exchange.ts'
import { clientFailures } from '../failures.ts'
import {
  asksForRange,
  isConditional,
  nowSeconds,
  partialAnswer,
  rangeOf,
  unsatisfiedFields,
  verdictOn,
} from '../representation.ts'
import type { StoredEntry, StoredMeta } from '../store/contract.ts'
import type { CachedRoute } from './cached-route.ts'
import { headOf, notIn304, shownOf, storedFlag, withoutNames } from './stored-fields.ts'
import { StoredSender, toTheEnd } from './stored-sender.ts'

/** Above it a text costs two copies more than bytes. */
const textBytesMax = 16_384
const notIn206: readonly string[] = ['content-type', 'content-length', 'content-range', 'accept-ranges']

/** Takes the entry over: it is released when the answer has gone. `said`: after the name in Cache-Status. */
export function answerStored(
  exchange: Exchange,
  route: CachedRoute,
  entry: StoredEntry,
  meta: StoredMeta,
  fields: string,
  said: string,
): void {
  const age = Math.floor(ageUs(meta, exchange.worker.now) / 1_000_000)
  const added = `Age: ${age}\r\n${route.statusStart}${said}\r\n`
  let lines = route.shown(exchange, shownOf(fields, meta.flags))
  if (meta.status === 200 && (isConditional(exchange) || asksForRange(exchange))) {
    if (answeredInPart(exchange, route, entry, lines, added)) return
  }
  if ((meta.flags & storedFlag.noLength) !== 0 && entry.bodyBytes >= 0 && meta.status !== 204)
    lines += `Content-Length: ${entry.bodyBytes}\r\n`
  lines += added
  const isSmall = entry.bodyBytes <= textBytesMax
  const text = exchange.head.method === 'HEAD' ? '' : isSmall ? entry.text() : null
  if (text === null || route.behind !== null) sendPieces(exchange, route, entry, meta.status, lines)
  else {
    exchange.localWhole(meta.status, lines, text)
    entry.release()
  }
}

function sendPieces(
  exchange: Exchange,
  route: CachedRoute,
  entry: StoredEntry,
  status: number,
  lines: string,
): void {
  const { bodyBytes } = entry
  const { method } = exchange.head
  const whole = { from: 0, to: bodyBytes < 0 ? toTheEnd : bodyBytes }
  const source = new StoredSender(exchange, entry, method === 'HEAD' ? [] : [whole])
  if (route.behind !== null) exchange.localThrough(headOf(status, lines, method), route.behind, source)
  else exchange.localBegin(status, lines, bodyBytes < 0 && method !== 'HEAD', source, true)
  source.start()
}

function answeredInPart(
  exchange: Exchange,
  route: CachedRoute,
  entry: StoredEntry,
  lines: string,
  added: string,
): boolean {
  const head = headOf(200, lines)
  const is = validatorsOf(exchange, head)
  const { behind } = route
  if (isConditional(exchange) && verdictOn(exchange, is) === 'not-modified') {
    const kept = withoutNames(head, notIn304) + added
    if (behind === null) exchange.localWhole(304, kept, '')
    else {
      const source = new StoredSender(exchange, entry, [])
      exchange.localThrough(headOf(304, kept), behind, source)
      source.start()
      return true
    }
    entry.release()
    return true
  }
  if (!asksForRange(exchange) || entry.bodyBytes < 0) return false
  const answer = rangeOf(exchange, is, entry.bodyBytes)
  if (answer.kind === 'whole') return false
  if (answer.kind === 'unsatisfiable') {
    exchange.refuse(clientFailures.rangeNotSatisfiable, unsatisfiedFields(entry.bodyBytes))
    entry.release()
    return true
  }
  const type = head.value(fieldId['content-type']) ?? ''
  const { fields, parts } = partialAnswer(exchange, answer.ranges, entry.bodyBytes, type)
  const all = withoutNames(head, notIn206) + fields + added
  const source = new StoredSender(exchange, entry, parts)
  if (behind === null) exchange.localBegin(206, all, false, source, true)
  else exchange.localThrough(headOf(206, all), behind, source)
  source.start()
  return true
}

/** Without Last-Modified the answer's Date stands in for it (RFC 9111 4.3.2). */
export function validatorsOf(exchange: Exchange, head: Http1ResponseHead): Validators {
  const now = nowSeconds(exchange)
  const modified = head.value(fieldId['last-modified']) ?? head.value(fieldId.date)
  const seconds = modified === undefined ? Number.NaN : parseHttpDate(modified, now)
  return { tag: head.value(fieldId.etag) ?? '', modifiedAt: Number.isNaN(seconds) ? now : seconds }
}
