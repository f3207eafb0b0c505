// The doors of Node that `net-node-direct.ts`, `net-node-lean.ts` and `net-node-secure.ts` go through: the handles under its sockets, and how
// their reads and writes tell what happened. Found once, at start; where one is missing all streams take the plain way.
// What each is used for, and what holds it: docs/decisions/0010-io-seam.md.

import { sharedReadBytes } from './net.ts'

/** All streams of a thread read into it, unless they have a buffer of their own. */
export const sharedBuffer: Buffer = Buffer.allocUnsafeSlow(sharedReadBytes)

export interface Address {
  address?: string
  port?: number
}

export interface Request {
  oncomplete?: (status: number) => void
}

/** TCP's handle, where no socket stands above it. Answers are 0 or libuv's error. */
export interface TcpHandle<Owner> extends Handle {
  tenfold: Owner
  onread: (this: TcpHandle<Owner>, memory: ArrayBuffer) => Buffer | undefined
  setNoDelay(on: boolean): number
  connect(request: Request, host: string, port: number): number
  connect6(request: Request, host: string, port: number): number
  getpeername(found: Address): number
  getsockname(found: Address): number
  shutdown(request: Request): number
  close(done: () => void): void
  reset(done: () => void): number
}

export interface LeanDoors {
  readonly Tcp: new (kind: number) => unknown
  /** The kind of handle that connects. */
  readonly socketKind: number
  readonly ConnectRequest: new () => Request
  readonly ShutdownRequest: new () => Request
}

export interface Handle {
  /** Bytes that the system has not taken yet; of TCP's handle. */
  readonly writeQueueSize: number
  reading: boolean
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Buffer): void
  writeLatin1String(request: WriteRequest, text: string): number
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  /** Pairs of a chunk and its encoding, unless all are bytes. */
  writev(request: WriteRequest, chunks: readonly (string | Uint8Array)[], allBytes: boolean): number
  onconnection?: (error: number, handle: Handle) => void
}

/** Who hears what a TLSSocket's handle reads; answers the buffer to read into from now on, if it is another. */
export interface SecureReader {
  received(length: number): Buffer | undefined
  /** libuv's error, below 0. */
  readFailed(error: number): void
}

/** The handle of a TLSSocket: a stream like that of TCP, over it. */
export interface SecureHandle extends Handle {
  onread: (this: SecureHandle, memory: ArrayBuffer) => Buffer | undefined
  tenfold: SecureReader
}

export interface WriteRequest {
  oncomplete?: (status: number) => void
  /** What a completed write belongs to, and the bytes that it keeps alive. */
  owner?: { writeEnded(status: number): void }
  bytes?: Buffer | null
}

export interface Doors {
  readonly WriteRequest: new () => WriteRequest
  readonly state: Int32Array
  readonly lastWriteWasAsync: number
  readonly readBytesOrError: number
  /** Null: streams without a socket are not to be had. */
  readonly lean: LeanDoors | null
}

const handleMethods = [
  'readStart',
  'readStop',
  'useUserBuffer',
  'writeLatin1String',
  'writeBuffer',
  'writev',
] as const

const leanMethods = [
  'setNoDelay',
  'connect',
  'connect6',
  'getpeername',
  'getsockname',
  'shutdown',
  'close',
  'reset',
] as const

export const doors: Doors | null = process.versions.bun || process.platform === 'win32' ? null : findDoors()

/** Does this runtime have every door? */
export const directWorks: boolean = doors !== null

function findDoors(): Doors | null {
  const flags = process as { noDeprecation?: boolean | undefined }
  const before = flags.noDeprecation
  try {
    // `process.binding` is deprecated in the documentation only; what it says under --pending-deprecation is for
    // programs that have no other way, and we have one.
    flags.noDeprecation = true
    const binding = (process as unknown as { binding(name: string): Record<string, unknown> }).binding
    return checkedDoors(binding('stream_wrap'), binding('tcp_wrap'))
  } catch {
    return null
  } finally {
    flags.noDeprecation = before
  }
}

function checkedDoors(streams: Record<string, unknown>, tcp: Record<string, unknown>): Doors | null {
  const { WriteWrap: WriteRequest, streamBaseState: state, kLastWriteWasAsync: index } = streams
  const { kReadBytesOrError: readIndex } = streams
  const prototype = (tcp.TCP as { prototype: Record<string, unknown> }).prototype
  if (typeof WriteRequest !== 'function' || !(state instanceof Int32Array)) return null
  if (typeof index !== 'number' || index >= state.length) return null
  if (typeof readIndex !== 'number' || readIndex >= state.length) return null
  if (!handleMethods.every(name => typeof prototype[name] === 'function')) return null
  return {
    WriteRequest: WriteRequest as Doors['WriteRequest'],
    state,
    lastWriteWasAsync: index,
    readBytesOrError: readIndex,
    lean: leanDoors(streams, tcp),
  }
}

function leanDoors(streams: Record<string, unknown>, tcp: Record<string, unknown>): LeanDoors | null {
  const { ShutdownWrap: ShutdownRequest } = streams
  const { TCP: Tcp, TCPConnectWrap: ConnectRequest, constants } = tcp
  const socketKind = (constants as { SOCKET?: unknown } | undefined)?.SOCKET
  if (typeof ShutdownRequest !== 'function' || typeof ConnectRequest !== 'function') return null
  if (typeof socketKind !== 'number') return null
  const { prototype } = Tcp as { prototype: Record<string, unknown> }
  if (!leanMethods.every(name => typeof prototype[name] === 'function')) return null
  return {
    Tcp: Tcp as LeanDoors['Tcp'],
    socketKind,
    ConnectRequest: ConnectRequest as LeanDoors['ConnectRequest'],
    ShutdownRequest: ShutdownRequest as LeanDoors['ShutdownRequest'],
  }
}
