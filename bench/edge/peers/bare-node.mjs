// The floor for a proxy on this runtime: raw sockets, the head found and scanned, one header added, upstream sockets on
// a stack. No limits, no time-outs, no errors handled well, no features: a measure, not a program to use.
//   node bare-node.mjs PORT ORIGIN_PORT

import { connect, createServer } from 'node:net'

const [port, originPort] = process.argv.slice(2).map(Number)
const idle = []

/** Length of the message's body by content-length; 0 when there is none. */
function bodyLength(head) {
  const at = head.search(/\r\ncontent-length:/i)
  return at < 0 ? 0 : Number.parseInt(head.slice(at + 17, at + 40), 10)
}

function openUpstream() {
  const socket = connect({ port: originPort, host: '127.0.0.1', noDelay: true })
  socket.client = null
  socket.missing = 0
  socket.on('data', chunk => {
    const client = socket.client
    if (client === null) return
    if (socket.missing === 0) {
      const head = chunk.latin1Slice()
      const end = head.indexOf('\r\n\r\n')
      socket.missing = bodyLength(head.slice(0, end + 2)) - (chunk.length - end - 4)
    } else socket.missing -= chunk.length
    if (client.write(chunk) === false) {
      socket.pause()
      client.once('drain', () => socket.resume())
    }
    if (socket.missing <= 0) {
      socket.missing = 0
      // Its last client may have gone while it was paused.
      socket.resume()
      socket.client = null
      client.upstream = null
      idle.push(socket)
    }
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    const place = idle.indexOf(socket)
    if (place >= 0) idle.splice(place, 1)
    socket.client?.destroy()
  })
  return socket
}

createServer({ noDelay: true }, client => {
  client.upstream = null
  let missing = 0
  client.on('data', chunk => {
    if (missing > 0) {
      missing -= chunk.length
      client.upstream.write(chunk)
      return
    }
    const text = chunk.latin1Slice()
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return client.destroy()
    const upstream = idle.pop() ?? openUpstream()
    upstream.client = client
    client.upstream = upstream
    const length = bodyLength(text.slice(0, end + 2))
    missing = length - (chunk.length - end - 4)
    const head = `${text.slice(0, end)}\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n`
    upstream.write(chunk.length === end + 4 ? head : head + text.slice(end + 4), 'latin1')
  })
  client.on('error', () => client.destroy())
  client.on('close', () => client.upstream?.destroy())
}).listen(port, '127.0.0.1')
