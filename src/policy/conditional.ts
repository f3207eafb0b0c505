// Whether a request's conditions let it through (RFC 9110 13), in the order of 13.2.2, and whether If-Range lets a Range
// stand. Dates are seconds since 1970, as `wire/http-date` reads them; entity tags stay text with their quotes. Pure.

/** Of the representation that would be sent. `tag` with its quotes, `W/"..."` when it is weak. */
export interface Validators {
  readonly tag: string
  /** Whole seconds. */
  readonly modifiedAt: number
}

/** Fields as they came; undefined where absent. Dates that are malformed are NaN, and say nothing. */
export interface Conditions {
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: number | undefined
  readonly ifUnmodifiedSince: number | undefined
}

export type Verdict = 'pass' | 'not-modified' | 'failed'

/** For GET and HEAD of something that exists. */
export function judgeConditions(asked: Conditions, { tag, modifiedAt }: Validators): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = asked
  if (ifMatch !== undefined) {
    if (!listHas(ifMatch, tag, true)) return 'failed'
  } else if (ifUnmodifiedSince !== undefined && modifiedAt > ifUnmodifiedSince) return 'failed'
  if (ifNoneMatch !== undefined) return listHas(ifNoneMatch, tag, false) ? 'not-modified' : 'pass'
  if (ifModifiedSince !== undefined && modifiedAt <= ifModifiedSince) return 'not-modified'
  return 'pass'
}

/**
 * RFC 9110 13.1.5: with If-Range a Range counts only for the very same bytes. `date`: the field as a date, NaN when it
 * is none. A date is strong only when the file was older than it by then (8.8.2.2).
 */
export function rangeStands(ifRange: string, date: number, is: Validators, nowSeconds: number): boolean {
  const value = ifRange.trim()
  if (value.startsWith('"') || value.startsWith('W/')) return isStrong(is.tag) && value === is.tag
  return date === is.modifiedAt && nowSeconds - is.modifiedAt >= 2
}

const isStrong = (tag: string): boolean => !tag.startsWith('W/')
const opaque = (tag: string): string => (isStrong(tag) ? tag : tag.slice(2))

const tagsMax = 64
/** RFC 9110 8.8.3: etagc is %x21, %x23-7E and obs-text. */
const tagForm = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

/** `*` or a list that has the tag, compared strongly or weakly (8.8.3.2). */
function listHas(list: string, tag: string, strongly: boolean): boolean {
  if (list.trim() === '*') return true
  let seen = 0
  for (const [one] of list.matchAll(tagForm)) {
    if (++seen > tagsMax) return false
    if (strongly ? isStrong(one) && one === tag : opaque(one) === opaque(tag)) return true
  }
  return false
}
