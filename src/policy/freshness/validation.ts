// Validation of what is stored (RFC 9111 4.3): the conditions that are sent, what a 304 or a HEAD says of it, and how its
// fields are updated (3.2). Fields as text: lines that end in CRLF. A client's own conditions: `policy/conditional`.

import type { Fields } from './contract.ts'
import { listMembers } from './scan.ts'

/** Both validators, where there are both (4.3.1); '' where there are none. */
export function conditionalFields(stored: Fields): string {
  const tag = stored.find('etag')
  const modified = stored.find('last-modified')
  return (
    (tag === undefined ? '' : `If-None-Match: ${tag}\r\n`) +
    (modified === undefined ? '' : `If-Modified-Since: ${modified}\r\n`)
  )
}

/** Lower-case names of a request's conditions and ranges: replaced by ours when what is stored is validated. */
export const conditionNames: readonly string[] = [
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
]

/**
 * Whether a 304 is about what is stored, after a request with `conditionalFields`. The origin compared the one tag that
 * it was sent: where it names another in its 304 (some add or drop `W/` or `-gzip`) the stored one stays (decision 0024).
 * By dates alone the 304's must be the stored one.
 */
export function matches304(stored: Fields, notModified: Fields): boolean {
  if (stored.find('etag') !== undefined) return true
  const before = stored.find('last-modified')
  const now = notModified.find('last-modified')
  return now === undefined || before === undefined || now === before
}

/** Never taken from a 304 or HEAD: of the connection, of the bytes that are stored, or worked out anew. */
const notUpdated: ReadonlySet<string> = new Set([
  'age',
  'connection',
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'etag',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * `stored` with each field of `news` in place of its own lines of that name. `shareCookies`: Set-Cookie too. A field that
 * a Connection in `news` names is of the connection (RFC 9110 7.6.1).
 */
export function updatedFields(stored: string, news: string, shareCookies = false): string {
  const replaced = new Set<string>()
  const hops = new Set(listMembers(lineValues(news, 'connection').join(',').toLowerCase(), 64))
  let added = ''
  eachLine(news, (name, line) => {
    if (hops.has(name) || (notUpdated.has(name) && !(shareCookies && name === 'set-cookie'))) return
    replaced.add(name)
    added += line
  })
  let kept = ''
  eachLine(stored, (name, line) => {
    if (!replaced.has(name)) kept += line
  })
  return kept + added
}

/** Lower-case name and whole line, with its CRLF. Lines without a colon are left out. */
function eachLine(text: string, see: (name: string, line: string) => void): void {
  let from = 0
  while (from < text.length) {
    const found = text.indexOf('\r\n', from)
    const end = found < 0 ? text.length : found
    const colon = text.indexOf(':', from)
    if (colon > from && colon < end)
      see(text.slice(from, colon).toLowerCase(), `${text.slice(from, end)}\r\n`)
    from = end + 2
  }
}

function lineValues(text: string, wanted: string): string[] {
  const values: string[] = []
  eachLine(text, (name, line) => {
    if (name === wanted) values.push(line.slice(name.length + 1, -2).trim())
  })
  return values
}

/** 4.3.5: what a HEAD says of a stored GET. `invalidate`: it differs, and is not to be used without validation. */
export function headEffect(
  stored: Fields,
  storedStatus: number,
  storedBodyBytes: number,
  head: Fields,
  status: number,
): 'freshen' | 'invalidate' | 'none' {
  if (status !== 200 || storedStatus !== 200) return 'none'
  const differs = (name: string): boolean => {
    const now = head.find(name)
    return now !== undefined && now !== stored.find(name)
  }
  const length = head.find('content-length')
  const isOtherLength = length !== undefined && storedBodyBytes >= 0 && length !== `${storedBodyBytes}`
  return differs('etag') || differs('last-modified') || isOtherLength ? 'invalidate' : 'freshen'
}
