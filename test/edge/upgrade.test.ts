// Upgraded connections: WebSockets of the `ws` package on both ends, raw tunnels, leftovers, refusals, ends.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { after, type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { type EdgeSetup, proxyRoute, serve, startEdge, until } from '../tools/edge-harness.ts'
import { ok, readRequest } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })

interface Sockets {
  readonly server: WebSocketServer
  readonly http: Server
  readonly port: number
}

/** A WebSocket server that echoes, and is the edge's one member. */
async function echo(t: TestContext, setup: EdgeSetup = {}): Promise<Sockets> {
  const http = createServer((_request, response) => response.end('plain'))
  const server = new WebSocketServer({
    server: http,
    maxPayload: 64 << 20,
    handleProtocols: protocols => (protocols.has('chat') ? 'chat' : false),
  })
  server.on('connection', socket => {
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }))
    socket.on('error', () => {})
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    for (const socket of server.clients) socket.terminate()
    http.closeAllConnections()
    await new Promise(resolve => http.close(resolve))
  })
  const { port } = http.address() as { port: number }
  await edge.apply({ members: [port], ...setup })
  return { server, http, port }
}

async function open(t: TestContext, path = '/', protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`${edge.url.replace('http', 'ws')}${path}`, protocols, {
    maxPayload: 64 << 20,
  })
  t.after(() => socket.terminate())
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return socket
}

const nextMessage = (socket: WebSocket): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    socket.once('message', data => resolve(data as Buffer))
    socket.once('close', code => reject(new Error(`closed with ${code}`)))
  })
const closeOf = (socket: WebSocket): Promise<number> =>
  new Promise(resolve => socket.once('close', code => resolve(code)))

test('text, binary, empty and large messages pass both ways, with the subprotocol that was chosen', async t => {
  await echo(t)
  const socket = await open(t, '/a?b', ['other', 'chat'])
  assert.equal(socket.protocol, 'chat')
  for (const message of ['', 'hello', 'grüße', 'x'.repeat(70_000)]) {
    socket.send(message)
    assert.equal((await nextMessage(socket)).toString(), message)
  }
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 8 << 20]) {
    const message = randomBytes(size)
    socket.send(message)
    const back = await nextMessage(socket)
    assert.equal(
      createHash('sha256').update(back).digest('hex'),
      createHash('sha256').update(message).digest('hex'),
    )
  }
  socket.close(1000)
  assert.equal(await closeOf(socket), 1000)
  await edge.idle()
})

test('pings and pongs pass, from both sides', async t => {
  const { server } = await echo(t)
  const socket = await open(t)
  const pong = new Promise<string>(resolve => socket.once('pong', data => resolve(data.toString())))
  socket.ping('are you there')
  assert.equal(await pong, 'are you there')
  const [inside] = server.clients
  const back = new Promise<string>(resolve => inside?.once('pong', data => resolve(data.toString())))
  inside?.ping('and you')
  assert.equal(await back, 'and you')
})

test('many WebSockets at once exchange many messages in order, and are counted', async t => {
  await echo(t)
  const sockets = await Promise.all(Array.from({ length: 50 }, () => open(t)))
  assert.match(await edge.metrics(), /edge_tunnels\{worker="0"\} 50\n/)
  await Promise.all(
    sockets.map(async (socket, at) => {
      const seen: string[] = []
      const all = new Promise<void>(resolve =>
        socket.on('message', data => {
          if (seen.push(String(data)) === 100) resolve()
        }),
      )
      for (let i = 0; i < 100; i++) socket.send(`${at}:${i}:${'p'.repeat((i * 37) % 3000)}`)
      await all
      assert.deepEqual(
        seen,
        Array.from({ length: 100 }, (_, i) => `${at}:${i}:${'p'.repeat((i * 37) % 3000)}`),
      )
    }),
  )
  assert.equal((await edge.member(0)).inFlight, 50)
  for (const socket of sockets) socket.close()
  await edge.idle()
  assert.match(await edge.metrics(), /edge_tunnels\{worker="0"\} 0\n/)
})

test('a slow reader holds its sender back and loses nothing', async t => {
  const { server } = await echo(t)
  const socket = await open(t)
  const [inside] = server.clients
  socket.pause()
  const message = Buffer.alloc(1 << 20, 'm')
  for (let i = 0; i < 30; i++) inside?.send(message)
  await new Promise(resolve => setTimeout(resolve, 500))
  assert.ok((inside?.bufferedAmount ?? 0) > 5 << 20, 'the sender is held back')
  let got = 0
  const all = new Promise<void>(resolve =>
    socket.on('message', data => {
      assert.ok((data as Buffer).equals(message))
      if (++got === 30) resolve()
    }),
  )
  socket.resume()
  await all
})

test('a route that forbids upgrades passes the request without one', async t => {
  const origin = await serve(edge, t, undefined, { routes: [proxyRoute('/*', {}, { upgrade: false })] })
  const client = await edge.connect()
  client.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\n\r\n',
  )
  assert.equal((await client.response()).status, 200)
  assert.ok(!origin.requests[0]?.fields.has('upgrade'))
  assert.ok(!origin.requests[0]?.fields.has('connection'))
})

test('an upgrade with a body, of HTTP/1.0, by POST or to h2c is not passed as one', async t => {
  const origin = await serve(edge, t)
  for (const text of [
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc',
    'GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
  ]) {
    const client = await edge.connect()
    client.write(text)
    assert.equal((await client.response()).status, 200, text)
  }
  assert.equal(origin.requests.length, 4)
  for (const request of origin.requests) {
    for (const name of ['upgrade', 'connection', 'http2-settings'])
      assert.ok(!request.fields.has(name), request.head)
  }
})

test('an instance that declines an upgrade answers as usual, and the next request is one', async t => {
  await serve(edge, t, async (peer, _number, self) => {
    for (;;) {
      const request = await readRequest(peer, self)
      if (request === null) return
      if (request.fields.has('upgrade'))
        peer.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno')
      else peer.write(ok('plain'))
    }
  })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  assert.equal((await client.response()).status, 426)
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response()).body.toString(), 'plain')
})

test('bytes that came too early on either side reach the other, and a half-close passes through', async t => {
  await serve(edge, t, async peer => {
    assert.match((await peer.head()) ?? '', /\r\nConnection: upgrade\r\nUpgrade: raw\/1\r\n/)
    peer.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw/1\r\nX-A: 1\r\n\r\nfrom the instance',
    )
    const got = (await peer.rest()).toString()
    peer.write(`, which got: ${got}`)
  })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: raw/1\r\n\r\nfrom the client')
  const response = await client.response()
  assert.equal(response.status, 101)
  assert.equal(response.fields.get('upgrade'), 'raw/1')
  assert.equal(response.fields.get('x-a'), '1')
  await client.upTo('from the instance')
  client.halfClose()
  assert.equal((await client.rest()).toString(), ', which got: from the client')
  assert.equal(client.over, 'end')
  await edge.idle()
})

test('bytes pass through a raw tunnel unchanged and at once, both ways, large and small', async t => {
  await serve(edge, t, async peer => {
    await peer.head()
    peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n')
    peer.socket.on('data', (bytes: Buffer) => peer.write(bytes))
    await peer.when('the end', () => peer.over !== '')
  })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n')
  await client.response()
  for (const size of [1, 16_384, 16_385, 65_536, 10 << 20]) {
    const bytes = randomBytes(size)
    client.write(bytes)
    assert.ok((await client.bytes(size)).equals(bytes), `${size}`)
  }
})

test('an instance that dies between two frames tells its clients 1001', async t => {
  const { server } = await echo(t)
  const socket = await open(t)
  socket.send('hello')
  await nextMessage(socket)
  const closed = closeOf(socket)
  for (const inside of server.clients) inside.terminate()
  assert.equal(await closed, 1001)
  await edge.idle()
})

test('an instance that dies within a frame is not made to look as if it had ended one', async t => {
  await serve(edge, t, async peer => {
    const head = (await peer.head()) ?? ''
    const key = /sec-websocket-key: (\S+)/i.exec(head)?.[1]
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    await peer.send(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n\x81\x05he`,
    )
    peer.reset()
  })
  const socket = await open(t)
  assert.equal(await closeOf(socket), 1006)
})

test('a client that is gone frees the instance', async t => {
  const { server } = await echo(t)
  const socket = await open(t)
  const [inside] = server.clients
  const closed = new Promise(resolve => inside?.once('close', resolve))
  socket.terminate()
  await closed
  await edge.idle()
})

test('a WebSocket that is silent for too long is ended with 1001; one that speaks is not', async t => {
  await echo(t, { upstream: { upgradeIdleTimeoutMs: 700 } })
  const [silent, speaking] = [await open(t), await open(t)]
  const closed = closeOf(silent as WebSocket)
  let over = false
  void closed.then(() => {
    over = true
  })
  for (let i = 0; !over && i < 200; i++) {
    speaking?.send('still here')
    await nextMessage(speaking as WebSocket)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  assert.equal(await closed, 1001)
  speaking?.send('and here')
  assert.equal((await nextMessage(speaking as WebSocket)).toString(), 'and here')
})

test('an upgrade survives a new snapshot, and a member that is draining keeps its WebSockets', async t => {
  const { port } = await echo(t)
  const socket = await open(t)
  await edge.apply({ members: [{ port, state: 'draining' }] })
  socket.send('still')
  assert.equal((await nextMessage(socket)).toString(), 'still')
  await edge.apply({ members: [] })
  socket.send('and after it left')
  assert.equal((await nextMessage(socket)).toString(), 'and after it left')
  socket.close()
  await closeOf(socket)
  await edge.idle()
})

test('a drain ends WebSockets between two frames with 1001 when its time is over, on both sides', async t => {
  const other = await startEdge({ after: end => t.after(end) }, {})
  const { server, port } = await echo(t)
  await other.apply({ members: [port] })
  const socket = new WebSocket(other.url.replace('http', 'ws'))
  await new Promise(resolve => socket.once('open', resolve))
  await until('the instance to have it', () => server.clients.size === 1)
  const [inside] = server.clients
  const codes = Promise.all([closeOf(socket), new Promise(resolve => inside?.once('close', resolve))])
  await other.call('stop', { drainMs: 200 })
  assert.deepEqual(await codes, [1001, 1001])
  await other.exited()
})

test('a drain puts no close frame into the middle of a frame that a client has begun', async t => {
  const own = await startEdge({ after: end => t.after(end) })
  let got = ''
  let headBytes = 0
  const origin = await serve(own, t, async peer => {
    headBytes = (await peer.head())?.length ?? 0
    peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    got = (await peer.rest()).toString('latin1')
  })
  const client = await own.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  await client.response()
  // A frame of five bytes, of which two come.
  await client.send('\x81\x85\0\0\0\0he')
  await until('the instance to have it', () => (origin.connections[0]?.receivedBytes ?? 0) === headBytes + 8)
  await own.call('stop', { drainMs: 100 })
  assert.equal((await client.rest()).toString('latin1'), '\x88\x02\x03\xe9', 'the client is told 1001')
  await until('the instance to see the end', () => got !== '')
  assert.equal(got, '\x81\x85\0\0\0\0he')
})
