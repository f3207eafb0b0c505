// The Node driver of the seam in `net.ts`. It keeps `node:net`'s Socket for the life of a connection (connect, end,
// close, errors) and goes around it where a proxied request would pay for generality, as measured in
// docs/decisions/0010-io-seam.md: reads land in one shared buffer (`onread`), and writes go straight to the handle with one
// reusable request object while the kernel takes them at once. Where a runtime lacks those doors, the plain ones are used.

import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { Listener, ListenOptions, Net, Stream, StreamHandler } from './net.ts'
import { sharedReadBytes } from './net.ts'

interface WriteRequest {
  oncomplete?: (status: number) => void
  stream?: NodeStream
  bytes?: Buffer | null
}
interface Handle {
  reading: boolean
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Buffer): void
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  onconnection?: (error: number, handle: Handle) => void
}
interface StreamBinding {
  WriteWrap: new () => WriteRequest
  streamBaseState: Int32Array
  kLastWriteWasAsync: number
}
type RawSocket = net.Socket & { _handle: Handle | null; tenfold: NodeStream }

function loadBinding(): StreamBinding | null {
  try {
    const binding = (process as unknown as { binding(name: string): StreamBinding }).binding('stream_wrap')
    return typeof binding.WriteWrap === 'function' && binding.streamBaseState ? binding : null
  } catch {
    return null
  }
}

const binding: StreamBinding | null = process.versions['bun'] ? null : loadBinding()
const shared = Buffer.allocUnsafeSlow(sharedReadBytes)
const nothing = Buffer.alloc(0)

/** One spare request object: a write that the kernel takes at once never uses it up. */
let spareRequest: WriteRequest | null = null

function writeCompleted(this: WriteRequest, status: number): void {
  const stream = this.stream as NodeStream
  this.bytes = null
  stream.writeEnded(status)
}

function onRead(this: RawSocket, length: number): boolean {
  return this.tenfold.received(length)
}

const onread = { buffer: shared, callback: onRead as unknown as (bytes: number, buf: Uint8Array) => boolean }

class NodeStream implements Stream {
  handler: StreamHandler
  paused = false
  readonly #socket: RawSocket
  #buffer: Buffer = shared
  #writesPending = 0
  #unshifted: Buffer | null = null
  #failure = ''
  #destroyed = false
  #drainOwed = false

  constructor(socket: net.Socket, handler: StreamHandler) {
    this.handler = handler
    this.#socket = socket as RawSocket
    this.#socket.tenfold = this
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
    socket.on('drain', onDrain)
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? ''
  }
  get remotePort(): number {
    return this.#socket.remotePort ?? 0
  }
  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  received(length: number): boolean {
    this.handler.data(this, this.#buffer, length)
    return !this.paused
  }

  write(text: string): boolean {
    const handle = this.#directHandle()
    if (handle === null) return this.#writeThroughSocket(text)
    const request = spareRequest ?? new (binding as StreamBinding).WriteWrap()
    const error = handle.writeLatin1String(request, text)
    return this.#written(request, error, null)
  }

  writeBytes(bytes: Buffer, from: number, to: number): boolean {
    const part = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
    const handle = this.#directHandle()
    if (handle === null) return this.#writeThroughSocket(part)
    const request = spareRequest ?? new (binding as StreamBinding).WriteWrap()
    const error = handle.writeBuffer(request, part)
    return this.#written(request, error, part)
  }

  /** The handle, when nothing waits in the socket's own buffer and it is connected. */
  #directHandle(): Handle | null {
    const socket = this.#socket
    if (binding === null || socket.connecting || socket.writableLength !== 0) return null
    if (this.#destroyed || socket.writableEnded) return null
    return socket._handle
  }

  #written(request: WriteRequest, error: number, bytes: Buffer | null): boolean {
    const state = binding as StreamBinding
    if (error !== 0) {
      spareRequest = request
      this.#fail(getSystemErrorName(error))
      return true
    }
    if (state.streamBaseState[state.kLastWriteWasAsync] === 0) {
      spareRequest = request
      return this.#writesPending === 0
    }
    spareRequest = null
    request.stream = this
    request.bytes = bytes
    request.oncomplete = writeCompleted
    this.#writesPending++
    return false
  }

  writeEnded(status: number): void {
    this.#writesPending--
    if (status < 0) this.#fail(getSystemErrorName(status))
    else if (this.#writesPending === 0 && !this.#destroyed) this.handler.drained(this)
  }

  #writeThroughSocket(data: string | Buffer): boolean {
    const socket = this.#socket
    if (this.#destroyed || socket.writableEnded) return true
    if (typeof data === 'string') socket.write(data, 'latin1')
    else socket.write(data)
    if (socket.writableLength === 0) return true
    this.#drainOwed = true
    // The socket tells of a drain only above its high-water mark; an empty write's callback tells of every one.
    socket.write(nothing, () => this.drained())
    return false
  }

  drained(): void {
    if (!this.#drainOwed || this.#destroyed || this.#socket.writableLength > 0) return
    this.#drainOwed = false
    this.handler.drained(this)
  }

  #fail(code: string): void {
    if (this.#failure === '') this.#failure = code
    this.destroy()
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    const handle = this.#socket._handle
    if (handle?.reading && !this.#socket.connecting) {
      handle.reading = false
      handle.readStop()
    }
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.#unshifted !== null) {
      setImmediate(deliverUnshifted, this)
      return
    }
    this.startReading()
  }

  startReading(): void {
    const handle = this.#socket._handle
    if (this.paused || !handle || handle.reading || this.#socket.connecting) return
    handle.reading = true
    const error = handle.readStart()
    if (error !== 0) this.#fail(getSystemErrorName(error))
  }

  readInto(buffer: Buffer | null): void {
    const next = buffer ?? shared
    if (next === this.#buffer) return
    this.#buffer = next
    this.#socket._handle?.useUserBuffer(next)
  }

  unshift(bytes: Buffer): void {
    this.#unshifted = this.#unshifted === null ? bytes : Buffer.concat([bytes, this.#unshifted])
    if (this.paused) return
    this.pause()
    this.paused = false
    setImmediate(deliverUnshifted, this)
  }

  deliverUnshifted(): void {
    const bytes = this.#unshifted
    if (bytes === null || this.paused || this.#destroyed) return
    this.#unshifted = null
    this.handler.data(this, bytes, bytes.length)
    this.startReading()
  }

  end(): void {
    if (!this.#destroyed) this.#socket.end()
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#socket.destroy()
  }

  reset(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.#socket.resetAndDestroy()
  }

  failed(code: string): void {
    if (this.#failure === '') this.#failure = code
    this.#destroyed = true
  }

  socketEnded(): void {
    if (!this.#destroyed) this.handler.ended(this)
  }

  socketClosed(): void {
    this.#destroyed = true
    this.#unshifted = null
    this.handler.closed(this, this.#failure)
  }
}

function deliverUnshifted(stream: NodeStream): void {
  stream.deliverUnshifted()
}
function onEnd(this: RawSocket): void {
  this.tenfold.socketEnded()
}
function onError(this: RawSocket, error: NodeJS.ErrnoException): void {
  this.tenfold.failed(error.code ?? 'ERROR')
}
function onClose(this: RawSocket): void {
  this.tenfold.socketClosed()
}
function onDrain(this: RawSocket): void {
  this.tenfold.drained()
}

function accept(handle: Handle, options: ListenOptions): void {
  const socket = new net.Socket({
    handle,
    allowHalfOpen: true,
    onread,
  } as unknown as net.SocketConstructorOpts)
  socket.setNoDelay(true)
  const stream = new NodeStream(socket, noHandler)
  stream.handler = options.handlerOf(stream)
}

const noHandler: StreamHandler = { opened() {}, data() {}, ended() {}, drained() {}, closed() {} }

function listen(options: ListenOptions): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ allowHalfOpen: true }, socket => socket.destroy())
    server.once('error', reject)
    const { host, port, reusePort, backlog } = options
    server.listen({ host, port, reusePort, backlog, exclusive: true }, () => {
      server.removeListener('error', reject)
      server.on('error', () => {}) // accept errors (EMFILE): the connection is lost, the listener goes on
      const handle = (server as unknown as { _handle: Handle })._handle
      handle.onconnection = (error, client) => {
        if (error === 0) accept(client, options)
      }
      resolve({ port: (server.address() as net.AddressInfo).port, close: () => server.close() })
    })
  })
}

function connect(host: string, port: number, handler: StreamHandler): Stream {
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true, onread } as net.NetConnectOpts)
  const stream = new NodeStream(socket, handler)
  socket.once('connect', () => {
    stream.handler.opened(stream)
    if (stream.paused) {
      const handle = (socket as RawSocket)._handle
      if (handle?.reading) {
        handle.reading = false
        handle.readStop()
      }
    }
  })
  return stream
}

export const nodeNet: Net = {
  name: 'node',
  reusePortSupported: process.platform === 'linux' || process.platform === 'freebsd',
  listen,
  connect,
}
