// Parts of answers (206) as a cache may use them (RFC 9111 3.3, 3.4): one part a key, as it came, for the same range again
// or one inside of it. Parts are never joined, validated or waited for: that would need strong validators throughout.

import { fieldId } from '../../wire/fields.ts'
import type { Http1ResponseHead } from '../../wire/http1/index.ts'
import { answerRange, type ByteRange, contentRange } from '../../wire/range.ts'
import type { Exchange } from '../exchange.ts'
import type { StoredEntry } from '../store/contract.ts'
import { type CachedRoute, keyWith } from './cached-route.ts'
import { headOf, shownOf, withoutNames } from './stored-fields.ts'
import { StoredSender } from './stored-sender.ts'
import { ageText, ttlText } from './told.ts'

const rangeForm = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/
const replaced: readonly string[] = ['content-length', 'content-range', 'accept-ranges']

export const partKey = (baseKey: string): string => keyWith(baseKey, '~part')

/** Hidden line of a stored part: the range as it was asked for. */
export function askedLine(exchange: Exchange): string {
  return `range: ${exchange.head.find('range') ?? ''}\r\n`
}

/** One range of known size, under no Vary: what may be stored as a part. */
export function isPart(head: Http1ResponseHead): boolean {
  return head.status === 206 && rangeForm.test(head.find('content-range') ?? '')
}

/** False: what is asked for is not in the part, which is released then. */
export function answerPart(exchange: Exchange, route: CachedRoute, entry: StoredEntry): boolean {
  const { meta, fields } = entry
  const lines = shownOf(fields, meta.flags)
  const head = headOf(206, lines)
  const placed = rangeForm.exec(head.find('content-range') ?? '')
  const asked = exchange.head.find('range') ?? ''
  const isSame = fields.startsWith(`range: ${asked}\r\n`)
  const first = Number(placed?.[1])
  const size = Number(placed?.[3])
  const range = placed === null ? null : isSame ? whole(entry, first) : inside(entry, asked, first, size)
  if (range === null) {
    entry.release()
    return false
  }
  const place = isSame ? `bytes ${placed?.[1]}-${placed?.[2]}/${size}` : contentRange(range, size)
  const own = `Content-Length: ${range.to - range.from}\r\nContent-Range: ${place}\r\n`
  const { now } = exchange.worker
  const told = `Age: ${ageText(meta, now)}\r\n${route.statusStart}hit; ttl=${ttlText(meta, now)}; detail=part\r\n`
  const source = new StoredSender(exchange, entry, [{ from: range.from - first, to: range.to - first }])
  const all = withoutNames(head, replaced) + own + told
  if (route.behind === null) exchange.localBegin(206, all, false, source, true)
  else exchange.localThrough(headOf(206, all), route.behind, source)
  source.start()
  return true
}

const whole = ({ bodyBytes }: StoredEntry, first: number): ByteRange | null =>
  bodyBytes > 0 ? { from: first, to: first + bodyBytes } : null

/** What came counts, not what Content-Range promised. */
function inside({ bodyBytes }: StoredEntry, asked: string, first: number, size: number): ByteRange | null {
  const answer = answerRange(asked, size)
  if (answer.kind !== 'ranges' || answer.ranges.length !== 1) return null
  const [range] = answer.ranges as [ByteRange]
  return range.from >= first && range.to <= first + bodyBytes ? range : null
}

export function asksForPart({ head }: Exchange): boolean {
  return head.firstOf(fieldId.range) >= 0 && head.firstOf(fieldId['if-range']) < 0
}
