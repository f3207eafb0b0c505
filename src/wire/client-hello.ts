// The first message of a TLS handshake (RFC 8446 4.1.2, RFC 5246 7.4.1.2), as far as its fingerprints JA3 and JA4 (TLS
// client) need it. Reads whole records only, never beyond the message, and judges nothing: what is malformed has no
// fingerprint, and whoever does the handshake says so to the client. Hashes nothing.
//
// GREASE (RFC 8701) is left out of everything. The texts are FoxIO's JA4 and Salesforce's JA3, before hashing.

export interface ClientHelloFields {
  /** `legacy_version`. */
  readonly version: number
  /** In the order in which they were sent, as everything here. */
  readonly ciphers: readonly number[]
  readonly extensions: readonly number[]
  readonly groups: readonly number[]
  readonly pointFormats: readonly number[]
  readonly versions: readonly number[]
  readonly signatures: readonly number[]
  /** The first protocol of ALPN, one byte a character; '' = none. */
  readonly protocol: string
}

export type ClientHelloProblem = 'no-handshake' | 'no-hello' | 'bad-record' | 'too-long' | 'malformed'

export type ClientHelloReading =
  /** It can't be judged before so many bytes have come. */
  | { readonly kind: 'more'; readonly bytes: number }
  | { readonly kind: 'problem'; readonly problem: ClientHelloProblem }
  | { readonly kind: 'hello'; readonly hello: ClientHelloFields }

/** What is looked at, record headers included; a longer message has no fingerprint. Real ones: 200 to 2,500 bytes. */
export const clientHelloBytesMax = 16_384
const recordHeaderBytes = 5
const messageHeaderBytes = 4
const recordBytesMax = 16_384
const handshakeRecord = 22
const clientHello = 1
const extension = {
  serverName: 0,
  groups: 10,
  pointFormats: 11,
  signatures: 13,
  alpn: 16,
  versions: 43,
} as const

/** What `bytes[0..length)`, the start of a connection, begins with. Nothing is kept between calls. */
export function readClientHello(bytes: Uint8Array, length: number): ClientHelloReading {
  const end = Math.min(length, clientHelloBytesMax)
  let message: Uint8Array | null = null
  for (let at = 0; ; ) {
    // Judged as early as its bytes are there: what is no handshake is not waited for.
    if (at < end && bytes[at] !== handshakeRecord) return problem(at === 0 ? 'no-handshake' : 'bad-record')
    if (at + 1 < end && bytes[at + 1] !== 3) return problem(at === 0 ? 'no-handshake' : 'bad-record')
    if (end - at < recordHeaderBytes) return more(at + recordHeaderBytes)
    const recordBytes = word(bytes, at + 3)
    // RFC 8446 5.1: no empty fragments of handshake messages.
    if (recordBytes === 0 || recordBytes > recordBytesMax) return problem('bad-record')
    const from = at + recordHeaderBytes
    at = from + recordBytes
    const part = bytes.subarray(from, Math.min(at, end))
    message = message === null ? part : joined(message, part)
    const needed = messageBytes(message)
    if (needed < 0) return problem('no-hello')
    if (needed > clientHelloBytesMax - recordHeaderBytes) return problem('too-long')
    if (message.length >= needed && needed > 0) return hello(message, needed)
    if (at > end) return more(at)
  }
}

function more(bytes: number): ClientHelloReading {
  return bytes > clientHelloBytesMax ? problem('too-long') : { kind: 'more', bytes }
}

/** Of the whole message with its header; 0 = too little has come, negative: it is none. */
function messageBytes(message: Uint8Array): number {
  if (message.length > 0 && message[0] !== clientHello) return -1
  if (message.length < messageHeaderBytes) return 0
  return messageHeaderBytes + ((message[1] as number) << 16) + word(message, 2)
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

function problem(name: ClientHelloProblem): ClientHelloReading {
  return { kind: 'problem', problem: name }
}

function hello(message: Uint8Array, end: number): ClientHelloReading {
  const fields = fieldsOf(new Cursor(message, messageHeaderBytes, end))
  return fields === null ? problem('malformed') : { kind: 'hello', hello: fields }
}

/** Walks over vectors; once something does not fit, everything after it is empty and `bad` says so. */
class Cursor {
  readonly bytes: Uint8Array
  at: number
  readonly end: number
  bad = false

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.bytes = bytes
    this.at = from
    this.end = to
  }

  number(width: 1 | 2): number {
    if (this.end - this.at < width) {
      this.bad = true
      this.at = this.end
      return 0
    }
    const value = width === 1 ? (this.bytes[this.at] as number) : word(this.bytes, this.at)
    this.at += width
    return value
  }

  skip(count: number): void {
    if (count > this.end - this.at) this.bad = true
    this.at = Math.min(this.end, this.at + count)
  }

  /** A vector whose length is told in `width` bytes. */
  vector(width: 1 | 2): Cursor {
    const count = this.number(width)
    const from = this.at
    this.skip(count)
    return new Cursor(this.bytes, from, this.bad ? from : this.at)
  }

  /** All numbers to the end, without GREASE where they have two bytes. */
  list(width: 1 | 2): number[] {
    const found: number[] = []
    while (this.at < this.end) {
      const value = this.number(width)
      if (!(width === 2 && isGrease(value))) found.push(value)
    }
    return found
  }
}

interface Gathered {
  extensions: number[]
  groups: number[]
  pointFormats: number[]
  versions: number[]
  signatures: number[]
  protocol: string
}

function fieldsOf(message: Cursor): ClientHelloFields | null {
  const version = message.number(2)
  message.skip(32)
  message.vector(1)
  const suites = message.vector(2)
  const ciphers = suites.list(2)
  message.vector(1)
  const gathered: Gathered = {
    extensions: [],
    groups: [],
    pointFormats: [],
    versions: [],
    signatures: [],
    protocol: '',
  }
  // RFC 5246 7.4.1.2: a client may send no extensions at all.
  const sound = message.at === message.end || readExtensions(message.vector(2), gathered)
  if (message.bad || suites.bad || !sound || message.at !== message.end) return null
  return { version, ciphers, ...gathered }
}

function readExtensions(all: Cursor, into: Gathered): boolean {
  const seen = new Set<number>()
  while (all.at < all.end) {
    const type = all.number(2)
    const body = all.vector(2)
    if (all.bad || seen.has(type) || !readExtension(type, body, into)) return false
    seen.add(type)
    if (!isGrease(type)) into.extensions.push(type)
  }
  return true
}

function readExtension(type: number, body: Cursor, into: Gathered): boolean {
  if (type === extension.groups) return gather(body, 2, 2, into.groups)
  if (type === extension.pointFormats) return gather(body, 1, 1, into.pointFormats)
  if (type === extension.versions) return gather(body, 1, 2, into.versions)
  if (type === extension.signatures) return gather(body, 2, 2, into.signatures)
  if (type === extension.alpn) {
    const name = body.vector(2).vector(1)
    for (let at = name.at; at < name.end; at++) into.protocol += String.fromCharCode(name.bytes[at] as number)
    return !body.bad && !name.bad
  }
  return true
}

function gather(body: Cursor, lengthWidth: 1 | 2, width: 1 | 2, into: number[]): boolean {
  const vector = body.vector(lengthWidth)
  into.push(...vector.list(width))
  return !body.bad && !vector.bad && body.at === body.end
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

/** RFC 8701 2: both bytes are the same and end in `a`. */
function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 255)
}

/** What JA3 hashes with MD5: `771,4865-4866,0-10-11,29-23,0`. */
export function ja3Text(hello: ClientHelloFields): string {
  const lists = [hello.ciphers, hello.extensions, hello.groups, hello.pointFormats]
  return [hello.version, ...lists.map(list => list.join('-'))].join(',')
}

/** JA4 before hashing: `first` stays as it is; 12 hexadecimal digits of SHA-256 stand for the others ('' = twelve 0). */
export interface Ja4Text {
  readonly first: string
  readonly ciphers: string
  readonly rest: string
}

export function ja4Text(hello: ClientHelloFields): Ja4Text {
  const { ciphers, extensions, signatures } = hello
  const named = extensions.includes(extension.serverName) ? 'd' : 'i'
  const counts = `${twoDigits(ciphers.length)}${twoDigits(extensions.length)}`
  const kept = extensions.filter(type => type !== extension.serverName && type !== extension.alpn)
  const order = signatures.length === 0 ? '' : `_${signatures.map(hex).join(',')}`
  return {
    first: `t${versionText(hello)}${named}${counts}${protocolText(hello.protocol)}`,
    ciphers: sorted(ciphers),
    rest: extensions.length === 0 ? '' : `${sorted(kept)}${order}`,
  }
}

const versionTexts: Readonly<Record<number, string>> = {
  772: '13',
  771: '12',
  770: '11',
  769: '10',
  768: 's3',
  2: 's2',
}

/** The highest that is offered: `supported_versions` has the word where it was sent. */
function versionText(hello: ClientHelloFields): string {
  const highest = hello.versions.length > 0 ? Math.max(...hello.versions) : hello.version
  return versionTexts[highest] ?? '00'
}

function twoDigits(count: number): string {
  return String(Math.min(count, 99)).padStart(2, '0')
}

/** First and last character of the protocol's name, or of its hexadecimal form where one of both is no letter or digit. */
function protocolText(name: string): string {
  if (name === '') return '00'
  const ends = `${name[0]}${name.at(-1)}`
  if (/^[0-9A-Za-z]{2}$/.test(ends)) return ends
  const first = name.charCodeAt(0)
  const last = name.charCodeAt(name.length - 1)
  return `${(first >> 4).toString(16)}${(last & 15).toString(16)}`
}

function sorted(list: readonly number[]): string {
  return list.map(hex).sort().join(',')
}

function hex(value: number): string {
  return value.toString(16).padStart(4, '0')
}
