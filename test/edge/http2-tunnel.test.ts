// WebSockets over HTTP/2 (RFC 8441), drains with GOAWAY, and load by h2load: nothing is lost.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type http2 from 'node:http2'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type WebSocket, WebSocketServer } from 'ws'
import { type EdgeUnderTest, serve, startEdge, until } from '../tools/edge-harness.ts'
import { answerOf, type Http2Peer, openHttp2 } from '../tools/http2-client.ts'
import { answering, ok } from '../tools/raw-origin.ts'

const run = promisify(execFile)

async function echo(t: TestContext, edge: EdgeUnderTest): Promise<WebSocketServer> {
  const http = createServer((_request, response) => response.end('plain'))
  const server = new WebSocketServer({ server: http, handleProtocols: () => 'chat' })
  server.on('connection', (socket: WebSocket) => {
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }))
    socket.on('error', () => {})
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    for (const socket of server.clients) socket.terminate()
    http.closeAllConnections()
    await new Promise(resolve => http.close(resolve))
  })
  await edge.apply({ members: [(http.address() as { port: number }).port] })
  return server
}

function tunnel(peer: Http2Peer, protocol = 'websocket'): http2.ClientHttp2Stream {
  return peer.open(
    {
      ':method': 'CONNECT',
      ':protocol': protocol,
      ':path': '/chat',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
    },
    { endStream: false },
  )
}

const responseOf = (
  stream: http2.ClientHttp2Stream,
): Promise<http2.IncomingHttpHeaders & { ':status'?: number }> =>
  new Promise((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('close', () => reject(new Error(`no response, code ${stream.rstCode}`)))
  })

/** A masked frame from a client (RFC 6455 5.2), with a mask of zeros. */
function masked(opcode: number, payload: Buffer): Buffer {
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 255])
  return Buffer.concat([Buffer.from([0x80 | opcode]), length, Buffer.alloc(4), payload])
}

/** Waits for that many bytes. */
async function read(stream: http2.ClientHttp2Stream, length: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let got = 0
  const take = (bytes: Buffer): void => {
    parts.push(bytes)
    got += bytes.length
  }
  stream.on('data', take)
  await until(`${length} bytes`, () => got >= length)
  stream.off('data', take)
  return Buffer.concat(parts)
}

test('a WebSocket passes over a stream, beside requests, and ends in order', async t => {
  const edge = await startEdge(t)
  await echo(t, edge)
  const peer = await openHttp2(t, edge.url)
  assert.equal(peer.session.remoteSettings.enableConnectProtocol, true)
  const stream = tunnel(peer)
  const head = await responseOf(stream)
  assert.equal(head[':status'], 200)
  assert.equal(head['sec-websocket-protocol'], 'chat')
  assert.equal(head['sec-websocket-accept'] ?? head.upgrade ?? head.connection, undefined)
  stream.write(masked(1, Buffer.from('hello')))
  assert.deepEqual(await read(stream, 7), Buffer.from('\x81\x05hello', 'latin1'))
  const large = Buffer.alloc(60_000, 'x')
  stream.write(masked(2, large))
  assert.equal((await read(stream, 60_004)).length, 60_004)
  assert.equal((await peer.ask({ ':path': '/' })).body.toString(), 'plain')
  const closed = new Promise(resolve => stream.once('close', resolve))
  stream.write(masked(8, Buffer.from([3, 0xe8])))
  assert.deepEqual(await read(stream, 4), Buffer.from([0x88, 2, 3, 0xe8]))
  stream.end()
  await closed
  await edge.idle()
})

test('what is no WebSocket is refused: another protocol, an instance that does not agree', async t => {
  const edge = await startEdge(t)
  await serve(
    edge,
    t,
    answering(() => ok('plain')),
  )
  const peer = await openHttp2(t, edge.url)
  assert.equal((await answerOf(tunnel(peer, 'gopher'))).code, 1)
  assert.equal((await answerOf(tunnel(peer))).status, 502)
  await serve(
    edge,
    t,
    answering(
      () =>
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n',
    ),
  )
  assert.equal((await answerOf(tunnel(peer))).status, 502)
  await serve(
    edge,
    t,
    answering(() => 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
  )
  assert.equal((await answerOf(tunnel(peer))).status, 403)
})

test('a client that resets its WebSocket frees the instance; an instance that dies tells the client 1001', async t => {
  const edge = await startEdge(t)
  const server = await echo(t, edge)
  const peer = await openHttp2(t, edge.url)
  const first = tunnel(peer)
  await responseOf(first)
  first.close(8)
  await until('the instance to hear of it', () => server.clients.size === 0)
  const second = tunnel(peer)
  await responseOf(second)
  for (const socket of server.clients) socket.terminate()
  assert.deepEqual(await read(second, 4), Buffer.from([0x88, 2, 3, 0xe9]))
  second.end(masked(8, Buffer.from([3, 0xe9])))
  await edge.idle()
})

test('a drain sends GOAWAY, serves what is under way and what was on its way, and gives WebSockets 1001', async t => {
  const edge = await startEdge(t)
  await echo(t, edge)
  const peer = await openHttp2(t, edge.url)
  const stream = tunnel(peer)
  await responseOf(stream)
  const goaway = new Promise(resolve => peer.session.once('goaway', resolve))
  const stopped = edge.call('stop', { drainMs: 500 }, 20_000)
  await goaway
  assert.deepEqual(await read(stream, 4), Buffer.from([0x88, 2, 3, 0xe9]))
  await stopped
  await peer.closed()
  await edge.exited()
})

test('a drain under load loses no request', async t => {
  const edge = await startEdge(t)
  await serve(
    edge,
    t,
    answering(async () => {
      await new Promise(resolve => setTimeout(resolve, 5))
      return ok()
    }),
  )
  const lost: string[] = []
  let served = 0
  let ending = false
  const client = async (): Promise<void> => {
    const peer = await openHttp2(t, edge.url)
    const one = async (): Promise<void> => {
      while (!ending && !peer.session.closed && !peer.session.destroyed) {
        const { status, code } = await peer.ask({ ':path': '/' })
        if (status === 200) served++
        // A stream that the session took back before it was sent is nobody's loss: its client asks elsewhere.
        else if (!peer.session.closed || code !== 7) lost.push(`${status} ${code}`)
      }
    }
    await Promise.all(Array.from({ length: 20 }, one))
  }
  const clients = Array.from({ length: 4 }, client)
  await until('some to be served', () => served > 200)
  await edge.call('stop', { drainMs: 10_000 }, 20_000)
  await edge.exited()
  ending = true
  await Promise.all(clients)
  assert.deepEqual(lost, [])
})

test('h2load finds no error: many streams, small and large answers, uploads', async t => {
  const edge = await startEdge(t)
  const large = 'x'.repeat(100_000)
  await serve(
    edge,
    t,
    answering(({ startLine }) => ok(startLine.includes('/large') ? large : 'ok')),
  )
  for (const args of [
    ['-n', '20000', '-c', '8', '-m', '50', `${edge.url}/`],
    ['-n', '500', '-c', '4', '-m', '10', `${edge.url}/large`],
    ['-n', '2000', '-c', '4', '-m', '10', '-d', '/etc/passwd', `${edge.url}/post`],
  ]) {
    const { stdout } = await run('h2load', args)
    const total = args[1] as string
    assert.match(
      stdout,
      new RegExp(
        `requests: ${total} total, ${total} started, ${total} done, ${total} succeeded, 0 failed, 0 errored, 0 timeout`,
      ),
    )
    assert.match(stdout, new RegExp(`status codes: ${total} 2xx`))
  }
})
