// What an attacker or a fault once got through, so that it stays shut: bytes hidden behind the end of an encoded body,
// answers over HTTP/2 that were given up and looked whole.

import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type Ending, proxyRoute, serve, startEdge, until } from '../tools/edge-harness.ts'
import { flag, frame, frameType, headers, settings, uint32 } from '../tools/h2-peer.ts'
import { openHttp2 } from '../tools/http2-client.ts'
import { answering, ok, readRequest } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })

test('bytes behind the end of an encoded body never reach an instance, however they are framed', async t => {
  let received = ''
  const swallow = async (peer: { some(): Promise<Buffer> }): Promise<void> => {
    for (let bytes = await peer.some(); bytes.length > 0; bytes = await peer.some())
      received += bytes.latin1Slice()
  }
  await serve(edge, t, swallow, { routes: [proxyRoute('/*', { decodedBytesMax: 1 << 20 })] })
  const small = Buffer.concat([gzipSync('x'), Buffer.from('\0\0GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n')])
  const large = Buffer.concat([small, Buffer.alloc(20_000, 'A')])
  for (const [hidden, framing] of [
    [small, `Content-Length: ${small.length}`],
    [small, 'Transfer-Encoding: chunked'],
    [large, `Content-Length: ${large.length}`],
    [large, 'Transfer-Encoding: chunked'],
  ] as const) {
    received = ''
    const chunked = framing.startsWith('T')
    const peer = await edge.connect()
    await peer.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n${framing}\r\n\r\n`)
    if (chunked) await peer.send(`${hidden.length.toString(16)}\r\n`)
    await peer.send(hidden)
    if (chunked) await peer.send('\r\n0\r\n\r\n')
    assert.equal((await peer.response('POST')).status, 400, framing)
    await edge.idle()
    assert.doesNotMatch(received, /hidden|\r\n0\r\n/, framing)
  }
})

test('a gzip body of several members is taken as the one that it is', async t => {
  const origin = await serve(
    edge,
    t,
    answering(() => ok()),
    {
      routes: [proxyRoute('/*', { decodedBytesMax: 1 << 20 })],
    },
  )
  const body = Buffer.concat([gzipSync('one'), gzipSync('two')])
  const peer = await edge.connect()
  peer.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`)
  peer.write(body)
  assert.equal((await peer.response('POST')).status, 200)
  assert.deepEqual(origin.requests[0]?.body, body)
})

test('a client that has gone before the instance agreed to its upgrade leaves no tunnel behind', async t => {
  const origin = await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await released
    peer.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
    await peer.rest()
  })
  let release = (): void => {}
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  const peer = await edge.connect()
  peer.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n')
  await until('the request to arrive', () => origin.requests.length === 1)
  peer.halfClose()
  // The next request is read by the same thread after the end above.
  const next = await edge.connect()
  next.write('OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n')
  await next.response()
  release()
  await edge.idle()
})

/** How an instance leaves a stream in the middle of an answer. */
const endings: Readonly<Record<string, (socket: Socket, stream: number) => void>> = {
  'RST_STREAM with NO_ERROR': (socket, stream) => socket.write(frame(frameType.reset, 0, stream, uint32(0))),
  'RST_STREAM with CANCEL': (socket, stream) => socket.write(frame(frameType.reset, 0, stream, uint32(8))),
  FIN: socket => socket.end(),
  'GOAWAY and FIN': (socket, stream) => {
    socket.write(frame(frameType.goaway, 0, 0, Buffer.concat([uint32(stream), uint32(0)])))
    socket.end()
  },
}

/** An HTTP/2 instance that sends a head, perhaps a piece, and then what `end` does. */
async function abandoningOrigin(t: Ending, end: (socket: Socket, stream: number) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}))
    socket.write(settings())
    let rest: Buffer = Buffer.alloc(0)
    let preface = 24
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      while (rest.length >= preface + 9) {
        const to = preface + 9 + rest.readUIntBE(preface, 3)
        if (rest.length < to) return
        const [type, stream] = [rest[preface + 3], rest.readUInt32BE(preface + 5)]
        rest = rest.subarray(to)
        preface = 0
        if (type !== frameType.headers) continue
        socket.write(headers(stream, [[':status', '200']], flag.endHeaders))
        socket.write(frame(frameType.data, 0, stream, Buffer.from('part')))
        end(socket, stream)
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as { port: number }).port
}

for (const [name, end] of Object.entries(endings))
  test(`an instance's answer over HTTP/2 that ends with ${name} is seen as cut`, async t => {
    const port = await abandoningOrigin(t, end)
    await edge.apply({ members: [port], upstream: { protocol: 'h2' } })
    const peer = await edge.connect()
    peer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await peer.response()).complete, false)
    const answer = await (await openHttp2(t, edge.url)).ask({ ':path': '/' })
    assert.equal(answer.status, 200)
    assert.equal(answer.whole, false)
  })
