// A request's field list as an HTTP/1.1 head (RFC 9113 8.3.1), so that one strict reader, `Http1RequestHead`, judges
// both protocols; and the head that an instance is to get as a field list. What is malformed by HTTP/2's own rules has no
// head: the stream is reset (RFC 9113 8.1.1).

import { isForwardableTrailer } from '../http1/index.ts'
import { eachLine, isConnectionSpecific, isGoodField, isVisible } from './grammar.ts'

export { trailerLines } from './grammar.ts'

/** RFC 9113 3.4: how a connection begins without TLS. */
export const connectionPreface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** How the body of a request is framed: none, by its own Content-Length, or of this many bytes, or unknown (-1). */
export interface RequestBody {
  /** END_STREAM came with the head. */
  readonly none: boolean
  /** Bytes where all have come; -1: more is to come. */
  readonly bytes: number
}

interface Pseudo {
  method: string
  scheme: string
  authority: string | null
  path: string
  protocol: string | null
}

/**
 * The head in HTTP/1.1 text, or null when it is malformed. `webSocketKey`: what an extended CONNECT (RFC 8441) is sent to
 * the instance with; '' where it is not offered.
 */
export function requestHeadText(
  list: readonly string[],
  body: RequestBody,
  webSocketKey: string,
): string | null {
  const pseudo: Pseudo = { method: '', scheme: '', authority: null, path: '', protocol: null }
  const regularFrom = readPseudo(list, pseudo)
  if (regularFrom < 0) return null
  let fields = ''
  let cookie = ''
  let host: string | null = null
  let length: string | null = null
  for (let i = regularFrom; i + 1 < list.length; i += 2) {
    const name = list[i] as string
    const value = list[i + 1] as string
    if (!isGoodField(name, value)) return null
    // RFC 9113 8.2.3: crumbs become one field again.
    if (name === 'cookie') cookie = cookie === '' ? value : `${cookie}; ${value}`
    else if (name === 'host') {
      if (host !== null) return null
      host = value
    } else {
      if (name === 'content-length') length = value
      fields += `${name}: ${value}\r\n`
    }
  }
  if (pseudo.authority !== null && host !== null && pseudo.authority.toLowerCase() !== host.toLowerCase())
    return null
  const authority = pseudo.authority ?? host
  const line = requestLine(pseudo, authority, webSocketKey)
  if (line === null) return null
  if (cookie !== '') fields += `cookie: ${cookie}\r\n`
  const framed = framingFields(pseudo, body, length)
  if (framed === null) return null
  const upgrade =
    pseudo.protocol === null
      ? ''
      : `connection: upgrade\r\nupgrade: ${pseudo.protocol}\r\nsec-websocket-key: ${webSocketKey}\r\n`
  return `${line}${fields}${framed}${upgrade}\r\n`
}

/** The index of the first regular field, or -1: one is unknown, repeated, missing, or comes after a regular field. */
function readPseudo(list: readonly string[], pseudo: Pseudo): number {
  let i = 0
  let seen = 0
  for (; i + 1 < list.length; i += 2) {
    const name = list[i] as string
    if (name.charCodeAt(0) !== 58) break
    const value = list[i + 1] as string
    const bit = pseudoBit(name)
    if (bit === 0 || (seen & bit) !== 0 || !isVisible(value)) return -1
    seen |= bit
    if (bit === 1) pseudo.method = value
    else if (bit === 2) pseudo.scheme = value
    else if (bit === 4) pseudo.authority = value
    else if (bit === 8) pseudo.path = value
    else pseudo.protocol = value
  }
  return arePseudoWhole(pseudo) ? i : -1
}

function pseudoBit(name: string): number {
  switch (name) {
    case ':method':
      return 1
    case ':scheme':
      return 2
    case ':authority':
      return 4
    case ':path':
      return 8
    case ':protocol':
      return 16
    default:
      return 0
  }
}

/** RFC 9113 8.3.1, 8.5; RFC 8441 4. */
function arePseudoWhole({ method, scheme, authority, path, protocol }: Pseudo): boolean {
  if (method === '') return false
  if (protocol !== null && method !== 'CONNECT') return false
  if (method === 'CONNECT' && protocol === null) return authority !== null && scheme === '' && path === ''
  if (!/^https?$/i.test(scheme)) return false
  return path.charCodeAt(0) === 47 || (path === '*' && method === 'OPTIONS')
}

function requestLine(pseudo: Pseudo, authority: string | null, webSocketKey: string): string | null {
  const { method, path, protocol } = pseudo
  const host = authority === null ? '' : `host: ${authority}\r\n`
  if (protocol !== null)
    return protocol === 'websocket' && webSocketKey !== '' ? `GET ${path} HTTP/1.1\r\n${host}` : null
  if (method === 'CONNECT') return `CONNECT ${authority} HTTP/1.1\r\n${host}`
  return `${method} ${path} HTTP/1.1\r\n${host}`
}

/** RFC 9113 8.1.1: Content-Length is what DATA adds up to; without it the body's end alone tells. */
function framingFields({ method }: Pseudo, body: RequestBody, length: string | null): string | null {
  if (body.none) return length === null || /^0+$/.test(length) ? '' : null
  // DATA on a tunnel is no content (RFC 9113 8.5).
  if (length !== null) return method === 'CONNECT' ? null : ''
  if (method === 'CONNECT') return ''
  return body.bytes < 0 ? 'transfer-encoding: chunked\r\n' : `content-length: ${body.bytes}\r\n`
}

/** Does a request ask for a tunnel of a protocol (RFC 8441)? Looks at pseudo-header fields only. */
export function isExtendedConnect(list: readonly string[]): boolean {
  for (let i = 0; i < list.length && (list[i] as string).charCodeAt(0) === 58; i += 2)
    if (list[i] === ':protocol') return true
  return false
}

export interface RequestList {
  readonly list: string[]
  /** Offset of what follows the head. */
  readonly after: number
}

/** A ready HTTP/1.1 request (ours: not checked again) as a field list. `trailers`: the client takes trailers. */
export function requestListOf(text: string, scheme: 'http' | 'https', trailers: boolean): RequestList {
  const lineTo = text.indexOf('\r\n')
  const blank = text.indexOf('\r\n\r\n')
  const methodTo = text.indexOf(' ')
  const targetTo = text.indexOf(' ', methodTo + 1)
  const list = [':method', text.slice(0, methodTo), ':scheme', scheme, ':authority', '']
  list.push(':path', text.slice(methodTo + 1, targetTo))
  eachLine(text.slice(lineTo + 2, blank + 2), (name, value) => {
    if (name === 'host') list[5] = value
    else if (!isConnectionSpecific(name) && name !== 'te') list.push(name, value)
  })
  if (trailers) list.push('te', 'trailers')
  return { list, after: blank + 4 }
}

/** Trailer lines as they may travel on, by name (RFC 9110 6.5.1); repeats as arrays. */
export function trailerFields(lines: readonly string[] | null): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {}
  for (const line of lines ?? []) {
    if (!isForwardableTrailer(line)) continue
    eachLine(line, (name, value) => {
      if (isConnectionSpecific(name) || name === 'te') return
      const before = fields[name]
      fields[name] = before === undefined ? value : [before, value].flat()
    })
  }
  return fields
}
