// What a request for a file that exists is answered with: the whole, some ranges, "not modified", or why not. Conditions
// in the order of RFC 9110 13.2.2. Small files in memory go out in one write; nothing here waits.

import type { Exchange } from '../exchange.ts'
import { clientFailures } from '../failures.ts'
import {
  asksForRange,
  isConditional,
  type Part,
  partialAnswer,
  rangeOf,
  unsatisfiedFields,
  verdictOn,
} from '../representation.ts'
import type { FileEntry, Representation } from './file-entry.ts'
import { DiskSender, MemorySender } from './file-sender.ts'

/** `entry`: whose file or bytes the representation is. `added`: the route's own field lines. */
export function answerFile(exchange: Exchange, entry: FileEntry, is: Representation, added: string): void {
  const { head } = exchange
  if (isConditional(exchange) && answeredByCondition(exchange, is, added)) return
  if (asksForRange(exchange) && answeredByRange(exchange, entry, is)) return
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

function answeredByCondition(exchange: Exchange, is: Representation, added: string): boolean {
  const verdict = verdictOn(exchange, is)
  if (verdict === 'pass') return false
  if (verdict === 'failed') exchange.refuse(clientFailures.preconditionFailed)
  else exchange.respond(304, is.unchangedFields + added + exchange.extraFields, '')
  return true
}

/** False: the whole is sent as if no range had been asked for. */
function answeredByRange(exchange: Exchange, entry: FileEntry, is: Representation): boolean {
  const answer = rangeOf(exchange, is, is.size)
  if (answer.kind === 'whole') return false
  if (answer.kind === 'unsatisfiable') {
    exchange.refuse(clientFailures.rangeNotSatisfiable, unsatisfiedFields(is.size))
    return true
  }
  const { fields, parts } = partialAnswer(exchange, answer.ranges, is.size, is.contentType)
  send(exchange, entry, is, 206, fields + is.partFields, parts)
  return true
}
