// An HTTP/2 client of bytes for tests: writes exactly the frames it is told, however wrong, with HPACK literals only, and
// reads the frames that come. Shares nothing with the code under test. Not a client for use.

import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { patienceMs } from './raw-peer.ts'

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const

export const flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const

export const codeNames: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
]

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Field lines as HPACK literals without indexing (RFC 7541 6.2.2), names and values as they are. */
export function literals(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), stringOf(name), stringOf(value)]))
}

function stringOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([integer(bytes.length, 7), bytes])
}

/** RFC 7541 5.1. */
export function integer(value: number, prefixBits: number, top = 0): Buffer {
  const most = 2 ** prefixBits - 1
  if (value < most) return Buffer.from([top | value])
  const bytes = [top | most]
  let rest = value - most
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

export const requestFields: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'localhost'],
]

export const postFields: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  ...requestFields.slice(1),
]

export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length)
  pairs.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, 6 * i)
    payload.writeUInt32BE(value, 6 * i + 2)
  })
  return frame(frameType.settings, 0, 0, payload)
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

export function headers(
  stream: number,
  fields: readonly (readonly [string, string])[],
  flags: number = flag.endHeaders | flag.endStream,
): Buffer {
  return frame(frameType.headers, flags, stream, literals(fields))
}

/** Huffman codes of the digits (RFC 7541 B): enough for a status. */
const digits: Readonly<Record<string, string>> = {
  '00000': '0',
  '00001': '1',
  '00010': '2',
  '011001': '3',
  '011010': '4',
  '011011': '5',
  '011100': '6',
  '011101': '7',
  '011110': '8',
  '011111': '9',
}
const staticStatuses = [200, 204, 206, 304, 400, 404, 500]

/** Status of a response's fields: the first of them, indexed or as a literal whose name is `:status`. */
export function statusOf(block: Buffer): number {
  let at = 0
  // RFC 7541 6.3: a change of the table's size may come first.
  while (((block[at] ?? 0) & 0xe0) === 0x20) at++
  const first = block[at] ?? 0
  if (first >= 0x88 && first <= 0x8e) return staticStatuses[first - 0x88] as number
  const length = block[at + 1] ?? 0
  const value = block.subarray(at + 2, at + 2 + (length & 127))
  if ((length & 128) === 0) return Number(value.toString('latin1'))
  let bits = ''
  for (const byte of value) bits += byte.toString(2).padStart(8, '0')
  let text = ''
  while (text.length < 3) {
    const width = bits.slice(0, 5) in digits ? 5 : 6
    text += digits[bits.slice(0, width)] ?? '?'
    bits = bits.slice(width)
  }
  return Number(text)
}

export class H2Peer {
  readonly socket: Socket
  readonly frames: Frame[] = []
  /** The other side has closed, or the connection is broken. */
  over = false
  #rest: Buffer = Buffer.alloc(0)
  #nextPing = 1

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
    for (const event of ['end', 'close', 'error'] as const)
      socket.on(event, () => {
        this.over = true
      })
  }

  static async connect(port: number): Promise<H2Peer> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new H2Peer(socket)
  }

  /** Connected, and past the settings of both sides. */
  static async greeted(port: number, ...pairs: readonly (readonly [number, number])[]): Promise<H2Peer> {
    const peer = await H2Peer.connect(port)
    peer.write(Buffer.from(preface, 'latin1'), settings(...pairs))
    await peer.until(() => peer.frames.some(one => one.type === frameType.settings))
    peer.write(frame(frameType.settings, flag.ack, 0))
    return peer
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      this.frames.push({
        type: this.#rest[3] as number,
        flags: this.#rest[4] as number,
        stream: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#rest.subarray(9, 9 + length)),
      })
      this.#rest = Buffer.from(this.#rest.subarray(9 + length))
    }
  }

  write(...pieces: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(pieces))
  }

  /** Written and taken by the system. */
  async send(bytes: Buffer): Promise<void> {
    if (this.socket.destroyed || this.socket.write(bytes)) return
    await new Promise<void>(resolve => {
      const done = (): void => {
        this.socket.off('drain', done).off('close', done)
        resolve()
      }
      this.socket.on('drain', done).on('close', done)
    })
  }

  /** Waits for it, or until the time is over; tells which. */
  async until(condition: () => boolean, timeMs: number = patienceMs): Promise<boolean> {
    const end = performance.now() + timeMs
    while (!condition()) {
      if (performance.now() > end) return false
      await sleep(2)
    }
    return true
  }

  get goaways(): number[] {
    return this.frames.filter(one => one.type === frameType.goaway).map(one => one.payload.readUInt32BE(4))
  }
  get goaway(): number | null {
    return this.goaways.at(-1) ?? null
  }
  resetOf(stream: number): number | null {
    const found = this.frames.find(one => one.type === frameType.reset && one.stream === stream)
    return found === undefined ? null : found.payload.readUInt32BE(0)
  }
  statusOf(stream: number): number | null {
    const found = this.frames.find(one => one.type === frameType.headers && one.stream === stream)
    return found === undefined ? null : statusOf(found.payload)
  }
  ended(stream: number): boolean {
    return this.frames.some(
      ({ type, flags, stream: of }) =>
        of === stream &&
        (type === frameType.reset || (type <= frameType.headers && (flags & flag.endStream) !== 0)),
    )
  }

  /** All that was written before has been looked at, or the connection is over. */
  async answered(timeMs: number = patienceMs): Promise<boolean> {
    const payload = Buffer.alloc(8, this.#nextPing++)
    this.write(frame(frameType.ping, 0, 0, payload))
    const isBack = (one: Frame): boolean =>
      one.type === frameType.ping && one.flags === flag.ack && one.payload.equals(payload)
    return this.until(() => this.over || this.frames.some(isBack), timeMs)
  }

  destroy(): void {
    this.socket.destroy()
  }
}
