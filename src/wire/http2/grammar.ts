// What is allowed in an HTTP/2 field (RFC 9113 8.2), on both ways. A list is flat: name, value, name, value.

/** RFC 9113 8.2.2: what HTTP/2 has frames for, or nothing. `te` is judged by its value. */
const connectionSpecific: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

export const isConnectionSpecific = (name: string): boolean => connectionSpecific.has(name)

/** RFC 9113 8.2.1, and tokens only (RFC 9110 5.1). */
const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
/** RFC 9113 8.2.1: NUL, CR, LF anywhere, white space at either end. */
const badValue = /[\0\r\n]|^[\t ]|[\t ]$/

/** A regular field of a message that came. */
export function isGoodField(name: string, value: string): boolean {
  if (!fieldName.test(name) || badValue.test(value)) return false
  return name === 'te' ? value === 'trailers' : !connectionSpecific.has(name)
}

/** Visible characters only: what may stand in a request line, in Host, as a method. */
export const isVisible = (text: string): boolean => /^[!-~\x80-\xff]+$/.test(text)

/** Each `name: value` line of HTTP/1.1 text, the name in lower case, the value trimmed. */
export function eachLine(text: string, take: (name: string, value: string) => void): void {
  for (let from = 0; from < text.length; ) {
    let to = text.indexOf('\r\n', from)
    if (to < 0) to = text.length
    const colon = text.indexOf(':', from)
    if (colon > from && colon < to)
      take(text.slice(from, colon).toLowerCase(), text.slice(colon + 1, to).trim())
    from = to + 2
  }
}

/** A list of trailer fields as lines; null: malformed (RFC 9113 8.1: no pseudo-header fields). */
export function trailerLines(list: readonly string[]): string[] | null {
  const lines: string[] = []
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = list[i] as string
    const value = list[i + 1] as string
    // What frames a message is as bad here as in a chunked trailer section (RFC 9110 6.5.1).
    if (!isGoodField(name, value) || name === 'content-length') return null
    lines.push(`${name}: ${value}`)
  }
  return lines
}
