// The same floor as bare-node.mjs on Bun's sockets: bun bare-bun.mjs PORT ORIGIN_PORT

const [port, originPort] = process.argv.slice(2).map(Number)
const idle = []

function bodyLength(head) {
  const at = head.search(/\r\ncontent-length:/i)
  return at < 0 ? 0 : Number.parseInt(head.slice(at + 17, at + 40), 10)
}

/** Bun takes what fits and drops the rest: it is kept here until the socket drains. */
function send(socket, chunk) {
  const state = socket.data
  if (state.rest.length > 0) {
    state.rest.push(chunk)
    return
  }
  const taken = socket.write(chunk)
  if (taken < chunk.length) state.rest.push(chunk.subarray(Math.max(0, taken)))
}
function drain(socket) {
  const { rest } = socket.data
  while (rest.length > 0) {
    const taken = socket.write(rest[0])
    if (taken < rest[0].length) {
      rest[0] = rest[0].subarray(Math.max(0, taken))
      return
    }
    rest.shift()
  }
}

const upstreamHandlers = {
  open(socket) {
    socket.data.open = true
    drain(socket)
  },
  data(socket, chunk) {
    const state = socket.data
    const client = state.client
    if (client === null) return
    if (state.missing === 0) {
      const head = chunk.latin1Slice()
      const end = head.indexOf('\r\n\r\n')
      state.missing = bodyLength(head.slice(0, end + 2)) - (chunk.length - end - 4)
    } else state.missing -= chunk.length
    send(client, chunk)
    if (state.missing <= 0) {
      state.missing = 0
      state.client = null
      client.data.upstream = null
      idle.push(socket)
    }
  },
  drain,
  close(socket) {
    const place = idle.indexOf(socket)
    if (place >= 0) idle.splice(place, 1)
    socket.data.client?.end()
  },
  error() {},
}

Bun.listen({
  hostname: '127.0.0.1',
  port,
  socket: {
    open(client) {
      client.data = { upstream: null, missing: 0, rest: [] }
    },
    async data(client, chunk) {
      const state = client.data
      if (state.missing > 0) {
        state.missing -= chunk.length
        send(state.upstream, Buffer.from(chunk))
        return
      }
      const text = chunk.latin1Slice()
      const end = text.indexOf('\r\n\r\n')
      state.missing = bodyLength(text.slice(0, end + 2)) - (chunk.length - end - 4)
      const head = `${text.slice(0, end)}\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n`
      const bytes = Buffer.from(chunk.length === end + 4 ? head : head + text.slice(end + 4), 'latin1')
      const upstream = idle.pop()
      if (upstream) {
        upstream.data.client = client
        state.upstream = upstream
        send(upstream, bytes)
        return
      }
      const data = { client, missing: 0, rest: [bytes] }
      state.upstream = { data, write: () => 0 }
      state.upstream = await Bun.connect({
        hostname: '127.0.0.1',
        port: originPort,
        data,
        socket: upstreamHandlers,
      })
    },
    drain,
    close(client) {
      client.data.upstream?.end?.()
    },
    error() {},
  },
})
