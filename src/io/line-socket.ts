// JSON lines over a Unix socket or TCP, from the side that connects. Owns framing and its bounds; what the lines mean is its
// user's business. It never reconnects by itself.

import { connect, type Socket } from 'node:net'

/** A longer line is no message of ours: the connection is closed. */
const lineBytesMax = 64 * 1024 * 1024

export interface LineSocket {
  send(value: unknown): void
  close(): void
}

export interface LineSocketUser {
  onValue(value: unknown): void
  /** Once, however it ended; not when `close` was called. */
  onEnd(cause: Error | null): void
}

/** Of a socket file, or an address. */
export type LinePlace = string | { readonly host: string; readonly port: number }

/** Rejects when nobody listens there, or within `timeoutMs`. */
export function connectLines(place: LinePlace, timeoutMs: number, user: LineSocketUser): Promise<LineSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(typeof place === 'string' ? { path: place } : { ...place, noDelay: true })
    const limit = setTimeout(() => socket.destroy(new Error(`no connection in ${timeoutMs} ms`)), timeoutMs)
    socket.once('error', reject)
    socket.once('connect', () => {
      clearTimeout(limit)
      socket.off('error', reject)
      resolve(framed(socket, user))
    })
    socket.once('close', () => clearTimeout(limit))
  })
}

/** JSON lines over a socket that is connected already: also for the side that listens (`line-server.ts`). */
export function framed(socket: Socket, user: LineSocketUser): LineSocket {
  let parts: string[] = []
  let length = 0
  let closed = false
  let failure: Error | null = null
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    try {
      take(chunk)
    } catch (cause) {
      socket.destroy(cause as Error)
    }
  })
  socket.on('error', cause => {
    failure = cause
  })
  socket.on('close', () => {
    if (!closed) user.onEnd(failure)
    closed = true
  })

  function take(chunk: string): void {
    let from = 0
    for (let at = chunk.indexOf('\n'); at >= 0; at = chunk.indexOf('\n', from)) {
      parts.push(chunk.slice(from, at))
      const line = parts.join('')
      parts = []
      length = 0
      from = at + 1
      if (line !== '' && !closed) user.onValue(JSON.parse(line))
    }
    parts.push(chunk.slice(from))
    length += chunk.length - from
    if (length > lineBytesMax) throw new Error(`a line is longer than ${lineBytesMax} bytes`)
  }

  return {
    send: value => {
      if (!closed) socket.write(`${JSON.stringify(value)}\n`)
    },
    close: () => {
      closed = true
      socket.destroy()
    },
  }
}
