// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, 2.1 and 2.2): who is at the far ends of a
// connection that a proxy has made. Reads strictly and never beyond the header; who may send one decides the caller.
//
// A reader must not guess: as soon as the bytes can't become a header they are a problem, and a header that is not whole
// yet is `more`. A header without usable addresses (LOCAL, UNKNOWN, UNSPEC, Unix sockets) says that the connection's own
// addresses count.

import { addressBytes, addressText } from '../kit/address.ts'

export interface Endpoint {
  /** IPv4 or IPv6, as RFC 5952 writes it. */
  readonly address: string
  readonly port: number
}

export type ProxyProblem =
  | 'no-header'
  | 'bad-version-1'
  | 'too-long'
  | 'bad-version'
  | 'bad-family'
  | 'bad-length'
  | 'bad-tlv'
  | 'bad-checksum'

export type ProxyReading =
  | { readonly kind: 'more' }
  | { readonly kind: 'problem'; readonly problem: ProxyProblem }
  | ProxyHeader

export interface ProxyHeader {
  readonly kind: 'header'
  readonly version: 1 | 2
  /** The proxy speaks for itself (a health check): the connection's own addresses count. */
  readonly local: boolean
  /** Null: the connection's own addresses count. */
  readonly source: Endpoint | null
  readonly destination: Endpoint | null
  /** What follows is the connection's first byte. */
  readonly headerBytes: number
}

/** 2.1: the longest line, CR LF included. */
const lineBytesMax = 107
const fixedBytes = 16
/** What may follow the fixed part of version 2. The format allows 65,535; senders stay far below (2.2: 216 + a few TLVs). */
const restBytesMax = 4_096
/** The longest header that is read. */
export const proxyHeaderBytesMax: number = fixedBytes + restBytesMax

const signature = '\r\n\r\n\0\r\nQUIT\n'
const lineStart = 'PROXY '
const more: ProxyReading = { kind: 'more' }
const tlvType = { crc32c: 3 } as const
/** By address family: bytes of source and destination address and ports; 0 = AF_UNSPEC, 1 = INET, 2 = INET6, 3 = UNIX. */
const addressBlockBytes = [0, 12, 36, 216] as const
const stream = 1

/** What `bytes[0..length)` begins with. `length` may be anything; nothing is kept between calls. */
export function readProxyHeader(bytes: Uint8Array, length: number): ProxyReading {
  if (length === 0) return more
  if (bytes[0] === 0x50) return readLine(bytes, length)
  return readBinary(bytes, length)
}

function problem(name: ProxyProblem): ProxyReading {
  return { kind: 'problem', problem: name }
}

function startsAs(bytes: Uint8Array, length: number, text: string): boolean {
  const end = Math.min(length, text.length)
  for (let at = 0; at < end; at++) if (bytes[at] !== text.charCodeAt(at)) return false
  return true
}

// --- version 1 --------------------------------------------------------------------------------------------------

function readLine(bytes: Uint8Array, length: number): ProxyReading {
  if (!startsAs(bytes, length, lineStart)) return problem('no-header')
  const end = Math.min(length, lineBytesMax)
  let text = ''
  for (let at = 0; at < end; at++) {
    const byte = bytes[at] as number
    if (byte === 10) return text.endsWith('\r') ? lineOf(text.slice(0, -1), at + 1) : problem('bad-version-1')
    // 2.1: a CR only before the LF, and no other control or non-ASCII character anywhere.
    if (text.endsWith('\r') || (byte < 32 && byte !== 13) || byte > 126) return problem('bad-version-1')
    text += String.fromCharCode(byte)
  }
  return length >= lineBytesMax ? problem('too-long') : more
}

function lineOf(line: string, headerBytes: number): ProxyReading {
  const header = { kind: 'header', version: 1, local: false, headerBytes } as const
  // 2.1: what follows UNKNOWN is to be ignored.
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN '))
    return { ...header, source: null, destination: null }
  const [, family, from, to, fromPort, toPort, beyond] = line.split(' ')
  if (family !== 'TCP4' && family !== 'TCP6') return problem('bad-version-1')
  const source = endpoint(family, from, fromPort)
  const destination = endpoint(family, to, toPort)
  if (source === null || destination === null || beyond !== undefined) return problem('bad-version-1')
  return { ...header, source, destination }
}

function endpoint(
  family: 'TCP4' | 'TCP6',
  address: string | undefined,
  port: string | undefined,
): Endpoint | null {
  if (address === undefined || port === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(port)) return null
  if (address.includes(':') !== (family === 'TCP6') || address.includes('%')) return null
  const bytes = addressBytes(address)
  return bytes === null || Number(port) > 65_535 ? null : { address: addressText(bytes), port: Number(port) }
}

// --- version 2 --------------------------------------------------------------------------------------------------

function readBinary(bytes: Uint8Array, length: number): ProxyReading {
  if (!startsAs(bytes, length, signature)) return problem('no-header')
  if (length < fixedBytes) return more
  const versionCommand = bytes[12] as number
  if (versionCommand !== 0x20 && versionCommand !== 0x21) return problem('bad-version')
  const rest = word(bytes, 14)
  if (rest > restBytesMax) return problem('too-long')
  const isLocal = versionCommand === 0x20
  const familyProblem = isLocal ? null : checkFamily(bytes[13] as number, rest)
  if (familyProblem !== null) return problem(familyProblem)
  const end = fixedBytes + rest
  if (length < end) return more
  // 2.2: of LOCAL everything that follows is discarded, the family included.
  if (isLocal)
    return { kind: 'header', version: 2, local: true, source: null, destination: null, headerBytes: end }
  return readProxied(bytes, end)
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

function checkFamily(byte: number, rest: number): ProxyProblem | null {
  const needed = addressBlockBytes[byte >> 4]
  if (needed === undefined || (byte & 15) > 2) return 'bad-family'
  return rest < needed ? 'bad-length' : null
}

function readProxied(bytes: Uint8Array, end: number): ProxyReading {
  const family = (bytes[13] as number) >> 4
  const tlvs = fixedBytes + (addressBlockBytes[family] as number)
  const wrong = checkTlvs(bytes, tlvs, end)
  if (wrong !== null) return problem(wrong)
  const header = { kind: 'header', version: 2, local: false, headerBytes: end } as const
  const isIp = family === 1 || family === 2
  if (!isIp || ((bytes[13] as number) & 15) !== stream) return { ...header, source: null, destination: null }
  const width = family === 1 ? 4 : 16
  const ports = fixedBytes + 2 * width
  return {
    ...header,
    source: { address: addressAt(bytes, fixedBytes, width), port: word(bytes, ports) },
    destination: { address: addressAt(bytes, fixedBytes + width, width), port: word(bytes, ports + 2) },
  }
}

function addressAt(bytes: Uint8Array, at: number, width: number): string {
  return width === 4 ? bytes.subarray(at, at + 4).join('.') : addressText(bytes, at)
}

/** 2.2.1: types and lengths fill the rest exactly; 2.2.3: a checksum, where there is one, must be right. */
function checkTlvs(bytes: Uint8Array, from: number, end: number): ProxyProblem | null {
  let at = from
  while (at < end) {
    if (at + 3 > end) return 'bad-tlv'
    const size = word(bytes, at + 1)
    const value = at + 3
    if (value + size > end) return 'bad-tlv'
    if (bytes[at] === tlvType.crc32c) {
      if (size !== 4) return 'bad-tlv'
      if (crc32c(bytes, end, value) !== wordPair(bytes, value)) return 'bad-checksum'
    }
    at = value + size
  }
  return null
}

function wordPair(bytes: Uint8Array, at: number): number {
  return ((word(bytes, at) << 16) | word(bytes, at + 2)) >>> 0
}

/** CRC-32C (RFC 3720 12.1, reflected 0x1EDC6F41) of the whole header, its own four bytes at `hole` taken as zero. */
function crc32c(bytes: Uint8Array, end: number, hole: number): number {
  let crc = 0xffffffff
  for (let at = 0; at < end; at++) {
    crc ^= at >= hole && at < hole + 4 ? 0 : (bytes[at] as number)
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

// --- writing ----------------------------------------------------------------------------------------------------

/** The header as Latin-1 text, one character a byte. Text that is no address: a header that says "unknown". */
export function writeProxyHeader(version: 'v1' | 'v2', source: Endpoint, destination: Endpoint): string {
  const from = addressBytes(source.address)
  const to = addressBytes(destination.address)
  if (from === null || to === null) return version === 'v1' ? 'PROXY UNKNOWN\r\n' : `${signature}\x21\0\0\0`
  const [fromText, toText] = [addressText(from), addressText(to)]
  const isIpv4 = !fromText.includes(':') && !toText.includes(':')
  if (version === 'v1') return lineText(isIpv4, fromText, toText, source.port, destination.port)
  const ports = wordText(source.port) + wordText(destination.port)
  if (isIpv4) return `${signature}\x21\x11\0\x0c${byteText(from, 12)}${byteText(to, 12)}${ports}`
  return `${signature}\x21\x21\0\x24${byteText(from, 0)}${byteText(to, 0)}${ports}`
}

/** 2.1: both addresses are of one family; an IPv4 one beside IPv6 is written as mapped. */
function lineText(isIpv4: boolean, from: string, to: string, fromPort: number, toPort: number): string {
  const inIpv6 = (text: string): string => (text.includes(':') ? text : `::ffff:${text}`)
  if (isIpv4) return `PROXY TCP4 ${from} ${to} ${fromPort} ${toPort}\r\n`
  return `PROXY TCP6 ${inIpv6(from)} ${inIpv6(to)} ${fromPort} ${toPort}\r\n`
}

function byteText(bytes: Uint8Array, from: number): string {
  return String.fromCharCode(...bytes.subarray(from))
}

function wordText(value: number): string {
  return String.fromCharCode((value >> 8) & 255, value & 255)
}
