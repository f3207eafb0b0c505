// Character classes of HTTP/1.1 (RFC 9110 5.6.2 and 5.5, RFC 9112 3) as tables by code, and small strict parsers.

export const CR = 13
export const LF = 10
export const SP = 32
export const HTAB = 9
export const COLON = 58
const OPEN = 91

function table(allowed: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (allowed(code) ? 1 : 0))
}

const tchar = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/

/** tchar: method and field names. */
export const isToken: Uint8Array = table(code => code < 128 && tchar.test(String.fromCharCode(code)))
/** For field names: 0 = no tchar, 1 = letter, digit or hyphen, 2 = another tchar (that CGI folds into the hyphen's `_`). */
export const nameKind: Uint8Array = isToken.map((token, code) =>
  token === 0 ? 0 : /[-0-9A-Za-z]/.test(String.fromCharCode(code)) ? 1 : 2,
)
/** field-vchar, SP, HTAB and obs-text: what a field value may hold (no CTL, no DEL). */
export const isFieldValue: Uint8Array = table(
  code => code === HTAB || (code >= SP && code !== 127 && code <= 255),
)
/** Request target: visible ASCII but `#`, which is never sent (RFC 9112 3.2). */
export const isTarget: Uint8Array = table(code => code > SP && code < 127 && code !== 35)
const authority = /^(?:[A-Za-z0-9\-._~!$&'()*+;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

/**
 * uri-host with an optional port (RFC 3986 3.2.2): name, IPv4 or bracketed IPv6. No userinfo, no comma, not empty, and
 * no percent-encoding: no name that is registered has one, and a peer might decode it.
 */
export function isValidAuthority(text: string): boolean {
  if (text === lastValid) return true
  const valid = hasAuthorityForm(text)
  if (valid) lastValid = text
  return valid
}

/** Nearly every request names the host of the one before: comparing is several times cheaper than the grammar. */
let lastValid = 'localhost'

function hasAuthorityForm(text: string): boolean {
  if (text.length > 260 || !authority.test(text)) return false
  const name = text.charCodeAt(0) !== OPEN
  const hostTo = name ? text.indexOf(':') : text.indexOf(']') + 1
  if (hostTo >= 0 && Number(text.slice(hostTo + 1)) > 65_535) return false
  return name || isIpv6(text.slice(1, hostTo - 1))
}

/** RFC 4291 2.2: eight groups, one run of zero groups shortened, the last two perhaps as IPv4. */
function isIpv6(text: string): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap(half => (half === '' ? [] : half.split(':')))
  const last = groups.at(-1) ?? ''
  const dotted = last.includes('.')
  if (dotted && (!text.endsWith(last) || !isIpv4(last))) return false
  const plain = dotted ? groups.slice(0, -1) : groups
  if (!plain.every(group => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false
  const count = plain.length + (dotted ? 2 : 0)
  return halves.length === 2 ? count < 8 : count === 8
}

function isIpv4(text: string): boolean {
  return /^(?:(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])(?:\.(?!$)|$)){4}$/.test(text)
}

/** Content-Length: digits only, no sign, no list, no leading zero, at most 2^53 - 1; -1 when it is not (RFC 9112 6.3). */
export function contentLengthOf(value: string): number {
  const length = value.length
  if (length === 0 || length > 16) return -1
  if (length > 1 && value.charCodeAt(0) === 48) return -1
  let number = 0
  for (let i = 0; i < length; i++) {
    const digit = value.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : -1
}

/** Calls `visit` with each lower-cased, trimmed, non-empty element of a comma-separated list. */
export function eachListElement(value: string, visit: (element: string) => void): void {
  let from = 0
  for (let i = 0; i <= value.length; i++) {
    if (i < value.length && value.charCodeAt(i) !== 44) continue
    const element = trimmed(value.slice(from, i)).toLowerCase()
    if (element !== '') visit(element)
    from = i + 1
  }
}

/** Without SP and HTAB around it: `trim` would also take obs-text such as 0xA0 away. */
function trimmed(text: string): string {
  return text.replace(/^[\t ]+/, '').replace(/[\t ]+$/, '')
}
