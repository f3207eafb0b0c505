// A client of the PostgreSQL protocol that says exactly what a test wants, message by message, and shows what came back.
// Reads only what is asked for: until then TCP holds the other side back.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { serverLogin } from '../../src/database/auth/index.ts'
import {
  backend,
  frameBytes,
  readBackendKeyData,
  readReport,
  startupMessage,
} from '../../src/wire/postgres/index.ts'

/** Generous: what takes longer hangs. */
export const patienceMs = 60_000
const frameBytesMax = 1 << 30

export interface PeerTarget {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
}

export interface PeerMessage {
  /** Type as a letter. */
  readonly type: string
  readonly payload: Buffer
}

export class PostgresPeer {
  readonly socket: Socket
  processId = 0
  key: Buffer = Buffer.alloc(0)
  readonly parameters: Map<string, string> = new Map()
  #chunks: Buffer[] = []
  #size = 0
  #over = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.pause()
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#size += chunk.length
      this.#wake()
    })
    const over = (): void => {
      this.#over = true
      this.#wake()
    }
    socket.on('error', over)
    socket.on('end', over)
    socket.on('close', over)
  }

  static async connect(target: Pick<PeerTarget, 'host' | 'port'>): Promise<PostgresPeer> {
    const socket = connect(target.port, target.host)
    await once(socket, 'connect')
    return new PostgresPeer(socket)
  }

  /** Connected and logged in, up to ReadyForQuery. */
  static async logIn(
    target: PeerTarget,
    version = 0x30000,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<PostgresPeer> {
    const peer = await PostgresPeer.connect(target)
    peer.write(startupMessage(version, { user: target.user, database: target.database, ...parameters }))
    await peer.finishLogin(target)
    return peer
  }

  async finishLogin(target: PeerTarget): Promise<void> {
    const login = serverLogin({ ...target, md5Allowed: false, secure: false })
    for (;;) {
      const message = await this.next()
      assert.ok(message !== null, 'the connection ended amid the login')
      if (message.type === 'Z') return
      if (message.type === 'E') throw new Error(errorText(message))
      if (message.type === 'K') {
        const data = readBackendKeyData(message.payload, 0, message.payload.length)
        this.processId = data?.processId ?? 0
        this.key = data?.key ?? this.key
      } else if (message.type === 'S') {
        const [name = '', value = ''] = message.payload.toString().split('\0')
        this.parameters.set(name, value)
      } else if (message.payload.length > 0 && message.type === 'R') {
        const step = login.take(message.payload)
        assert.notEqual(step.kind, 'refused', step.kind === 'refused' ? step.message : '')
        if (step.kind === 'send') this.write(step.bytes)
      }
    }
  }

  write(...frames: readonly Buffer[]): void {
    this.socket.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames))
  }

  /** The next message; null: the connection has ended. */
  async next(): Promise<PeerMessage | null> {
    const header = await this.#have(5)
    if (header === null) return null
    const size = frameBytes(header, 0, 5, frameBytesMax)
    assert.ok(size > 0, `what came is no message: ${header.subarray(0, 40).toString('latin1')}`)
    const bytes = await this.#have(size)
    if (bytes === null) return null
    this.#keep(bytes.subarray(size))
    return { type: String.fromCharCode(bytes[0] as number), payload: bytes.subarray(5, size) }
  }

  /** One byte that is no message: the answer to SSLRequest. */
  async byte(): Promise<string> {
    const bytes = await this.#have(1)
    if (bytes === null) return ''
    this.#keep(bytes.subarray(1))
    return String.fromCharCode(bytes[0] as number)
  }

  /** Messages up to and with the first of this type; or to the end of the connection. */
  async until(type: string): Promise<PeerMessage[]> {
    const messages: PeerMessage[] = []
    for (;;) {
      const message = await this.next()
      if (message === null) return messages
      messages.push(message)
      if (message.type === type) return messages
    }
  }

  /** Types of the messages but ParameterStatus up to the `count`th ReadyForQuery; errors with their SQLSTATE: `1 2 E42P01 Z`. */
  async types(count = 1): Promise<string> {
    const words: string[] = []
    for (let ready = 0; ready < count; ready++) {
      for (const message of await this.until(String.fromCharCode(backend.readyForQuery)))
        words.push(wordOf(message))
    }
    return words.join(' ')
  }

  /** The connection's end, whatever comes before it: the messages. */
  async rest(): Promise<PeerMessage[]> {
    return await this.until('')
  }

  /** An abrupt end. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  close(): void {
    this.socket.destroy()
  }

  /** At least so many bytes, all that are there; null when the connection ended before. */
  async #have(size: number): Promise<Buffer | null> {
    const deadline = Date.now() + patienceMs
    while (this.#size < size) {
      if (this.#over) return null
      assert.ok(
        Date.now() < deadline,
        `${size} bytes were awaited, ${this.#size} came within ${patienceMs} ms`,
      )
      const woken = new Promise<void>(resolve => {
        this.#wake = resolve
      })
      this.socket.resume()
      const timer = setTimeout(() => this.#wake(), 1_000)
      await woken
      clearTimeout(timer)
    }
    this.socket.pause()
    if (this.#chunks.length > 1) this.#keep(Buffer.concat(this.#chunks))
    return this.#chunks[0] ?? Buffer.alloc(0)
  }

  #keep(bytes: Buffer): void {
    this.#chunks = [bytes]
    this.#size = bytes.length
  }
}

function wordOf({ type, payload }: PeerMessage): string {
  if (type === 'E') return `E${readReport(payload, 0, payload.length)?.code}`
  return type === 'Z' ? `Z${payload.toString()}` : type
}

export function errorText({ payload }: PeerMessage): string {
  const report = readReport(payload, 0, payload.length)
  return report === null ? 'unreadable' : `${report.severity} ${report.code} ${report.message}`
}
