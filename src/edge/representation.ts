// What a request asks of a representation that is here, a file or a stored answer: whether its conditions let it through
// (RFC 9110 13), and which ranges of it are sent (RFC 9110 14). Decides; whoever has the bytes sends them.

import { judgeConditions, rangeStands, type Validators, type Verdict } from '../policy/conditional.ts'
import { fieldId } from '../wire/fields.ts'
import { parseHttpDate } from '../wire/http-date.ts'
import {
  answerRange,
  type ByteRange,
  contentRange,
  contentRangeUnsatisfied,
  partsText,
  type RangeAnswer,
} from '../wire/range.ts'
import type { Exchange } from './exchange.ts'

/** Text, or bytes of the representation. */
export type Part = { readonly text: string } | { readonly from: number; readonly to: number }

export interface PartialAnswer {
  /** Content-Type, Content-Length and, for one range, Content-Range. */
  readonly fields: string
  readonly parts: readonly Part[]
}

export function isConditional({ head }: Exchange): boolean {
  return (
    head.firstOf(fieldId['if-none-match']) >= 0 ||
    head.firstOf(fieldId['if-modified-since']) >= 0 ||
    head.firstOf(fieldId['if-match']) >= 0 ||
    head.firstOf(fieldId['if-unmodified-since']) >= 0
  )
}

export function nowSeconds(exchange: Exchange): number {
  return exchange.worker.clock.wall() / 1_000_000
}

export function verdictOn(exchange: Exchange, is: Validators): Verdict {
  const { head } = exchange
  const date = (id: number): number | undefined => {
    const value = head.value(id)
    return value === undefined ? undefined : parseHttpDate(value, nowSeconds(exchange))
  }
  return judgeConditions(
    {
      ifMatch: head.find('if-match'),
      ifNoneMatch: head.find('if-none-match'),
      ifModifiedSince: date(fieldId['if-modified-since']),
      ifUnmodifiedSince: date(fieldId['if-unmodified-since']),
    },
    is,
  )
}

const whole: RangeAnswer = { kind: 'whole' }

export function asksForRange({ head }: Exchange): boolean {
  return head.firstOf(fieldId.range) >= 0 && head.method === 'GET'
}

/** For a request that `asksForRange`. */
export function rangeOf(exchange: Exchange, is: Validators, size: number): RangeAnswer {
  const { head } = exchange
  const ifRange = head.value(fieldId['if-range'])
  if (ifRange !== undefined) {
    const now = nowSeconds(exchange)
    if (!rangeStands(ifRange, parseHttpDate(ifRange, now), is, now)) return whole
  }
  return answerRange(head.find('range') as string, size)
}

export function unsatisfiedFields(size: number): string {
  return `Content-Range: ${contentRangeUnsatisfied(size)}\r\nAccept-Ranges: bytes\r\n`
}

export function partialAnswer(
  exchange: Exchange,
  ranges: readonly ByteRange[],
  size: number,
  contentType: string,
): PartialAnswer {
  if (ranges.length === 1) {
    const range = ranges[0] as ByteRange
    const type = contentType === '' ? '' : `Content-Type: ${contentType}\r\n`
    const fields = `${type}Content-Length: ${range.to - range.from}\r\nContent-Range: ${contentRange(range, size)}\r\n`
    return { fields, parts: [range] }
  }
  // Nobody who wrote the content can know it.
  const { random } = exchange.worker
  const boundary = `part-${random.below(2 ** 32).toString(36)}${random.below(2 ** 32).toString(36)}${exchange.idSuffix}`
  const partType = contentType === '' ? 'application/octet-stream' : contentType
  const { heads, end, bytes } = partsText(ranges, size, partType, boundary)
  const parts: Part[] = ranges.flatMap((range, at): Part[] => [{ text: heads[at] as string }, range])
  const fields = `Content-Type: multipart/byteranges; boundary=${boundary}\r\nContent-Length: ${bytes}\r\n`
  return { fields, parts: [...parts, { text: end }] }
}
