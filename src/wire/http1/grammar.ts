// Character classes of HTTP/1.1 (RFC 9110 5.6.2 and 5.5, RFC 9112 3) as tables by code, and small strict parsers.

export const CR = 13
export const LF = 10
export const SP = 32
export const HTAB = 9
export const COLON = 58

function table(allowed: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (allowed(code) ? 1 : 0))
}

const tchar = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/

/** tchar: method and field names. */
export const isToken: Uint8Array = table(code => code < 128 && tchar.test(String.fromCharCode(code)))
/** field-vchar, SP, HTAB and obs-text: what a field value may hold (no CTL, no DEL). */
export const isFieldValue: Uint8Array = table(
  code => code === HTAB || (code >= SP && code !== 127 && code <= 255),
)
/** Request target: visible ASCII but `#`, which is never sent (RFC 9112 3.2). */
export const isTarget: Uint8Array = table(code => code > SP && code < 127 && code !== 35)
/** uri-host [ ":" port ] without userinfo: reg-name, IPv4, IP-literal (RFC 3986 3.2.2). */
const isHostCharacter: Uint8Array = table(
  code => code < 128 && /[A-Za-z0-9\-._~%!$&'()*+;=:[\]]/.test(String.fromCharCode(code)),
)

/** uri-host with an optional port; no userinfo, no comma, not empty. */
export function isValidAuthority(authority: string): boolean {
  if (authority.length === 0 || authority.length > 260) return false
  for (let i = 0; i < authority.length; i++) {
    if (isHostCharacter[authority.charCodeAt(i)] !== 1) return false
  }
  return authority.charCodeAt(0) === 91 ? isIpLiteral(authority) : isNameAndPort(authority)
}

function isNameAndPort(authority: string): boolean {
  if (authority.includes('[') || authority.includes(']')) return false
  const colon = authority.indexOf(':')
  if (colon < 0) return true
  return colon > 0 && isPort(authority, colon + 1)
}

function isIpLiteral(authority: string): boolean {
  const close = authority.indexOf(']')
  if (close < 3 || authority.indexOf('[', 1) >= 0) return false
  if (!/^[0-9A-Fa-f:.]+$/.test(authority.slice(1, close))) return false
  return (
    close === authority.length - 1 ||
    (authority.charCodeAt(close + 1) === COLON && isPort(authority, close + 2))
  )
}

function isPort(text: string, from: number): boolean {
  if (text.length - from > 5) return false
  for (let i = from; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 48 || c > 57) return false
  }
  return true
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
    const element = value.slice(from, i).trim().toLowerCase()
    if (element !== '') visit(element)
    from = i + 1
  }
}
