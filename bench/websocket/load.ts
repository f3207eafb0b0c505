// WebSocket clients that send a message and wait for its echo, over and over, as a program of its own:
//   node load.ts PORT BYTES SECONDS CONNECTIONS   ->   one line of JSON
// With 0 bytes the connections are only opened, `open N` is said, and they stay idle until the program is ended.
// Frames are written by hand: the cost of a client library would be measured nowhere, and slow the load down.

import { connect, type Socket } from 'node:net'

export interface LoadResult {
  readonly messages: number
  readonly p50Us: number
  readonly p99Us: number
  readonly errors: number
}

const mask = Buffer.from([1, 2, 3, 4])
const opening = (port: number): string =>
  `GET /echo HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** A masked binary frame (RFC 6455 5.2). */
function frameOf(bytes: number): Buffer {
  const length =
    bytes < 126 ? Buffer.from([0x80 | bytes]) : Buffer.from([0x80 | 126, bytes >> 8, bytes & 255])
  return Buffer.concat([Buffer.from([0x82]), length, mask, Buffer.alloc(bytes, 7)])
}

/** Resolves when the server has agreed; null when it has not. */
function open(port: number): Promise<Socket | null> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('connect', () => socket.write(opening(port)))
    socket.once('data', data => resolve(data.toString('latin1').startsWith('HTTP/1.1 101') ? socket : null))
    socket.on('error', () => resolve(null))
  })
}

async function openAll(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let at = 0; at < count; at += 200) {
    const wave = Array.from({ length: Math.min(200, count - at) }, () => open(port))
    sockets.push(...(await Promise.all(wave)).filter(socket => socket !== null))
  }
  return sockets
}

function talk(
  socket: Socket,
  frame: Buffer,
  echoBytes: number,
  until: number,
  times: number[],
): Promise<boolean> {
  return new Promise(resolve => {
    let got = 0
    let sentAt = performance.now()
    socket.on('data', (data: Buffer) => {
      got += data.length
      if (got < echoBytes) return
      got = 0
      const now = performance.now()
      times.push(now - sentAt)
      if (now >= until) {
        socket.destroy()
        resolve(true)
        return
      }
      sentAt = now
      socket.write(frame)
    })
    socket.once('close', () => resolve(false))
    socket.write(frame)
  })
}

if (import.meta.main) {
  const [port = 0, bytes = 0, seconds = 0, connections = 0] = process.argv.slice(2).map(Number)
  const sockets = await openAll(port, connections)
  if (bytes === 0) {
    console.log(`open ${sockets.length}`)
    setInterval(() => {}, 60_000)
  } else {
    const times: number[] = []
    // An echo is not masked.
    const echoBytes = bytes + (bytes < 126 ? 2 : 4)
    const end = performance.now() + seconds * 1000
    const done = await Promise.all(sockets.map(socket => talk(socket, frameOf(bytes), echoBytes, end, times)))
    times.sort((a, b) => a - b)
    const at = (share: number): number => (times[Math.floor(share * (times.length - 1))] ?? 0) * 1000
    const errors = done.filter(one => !one).length + connections - sockets.length
    const result: LoadResult = { messages: times.length, p50Us: at(0.5), p99Us: at(0.99), errors }
    console.log(JSON.stringify(result))
    process.exit(0)
  }
}
