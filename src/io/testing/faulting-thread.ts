// A thread for tests whose HTTP/2 server faults at its first stream, while nghttp2 has more to tell.

import http2 from 'node:http2'
import type { Socket } from 'node:net'
import { endAfterFaults, threadContext } from '../threads.ts'

const server = http2.createServer()
const sockets = new Set<Socket>()
endAfterFaults(() => {
  for (const socket of sockets) socket.destroy()
})
server.on('connection', socket => sockets.add(socket))
server.on('session', session => session.on('error', () => {}))
server.on('stream', () => {
  throw new Error('a fault of the test')
})
server.listen(0, '127.0.0.1', () => {
  threadContext().port.postMessage((server.address() as { port: number }).port)
})
