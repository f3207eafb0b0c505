// How messages are framed on both sides of the edge, over real sockets: lengths, chunks, trailers, HTTP/1.0, bodiless
// answers, interim answers, heads in pieces. What the edge does with bad framing is in `refusals.test.ts`.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serve, startEdge } from '../tools/edge-harness.ts'
import { answering, ok, readRequest } from '../tools/raw-origin.ts'
import type { RawMessage } from '../tools/raw-peer.ts'

const edge = await startEdge({ after })

test('a GET without a body goes on without framing, its answer keeps the length that it came with', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  client.write('GET /a?b=c HTTP/1.1\r\nHost: x.example\r\n\r\n')
  const response = await client.response()
  assert.equal(response.status, 200)
  assert.equal(response.body.toString(), 'ok')
  assert.equal(response.fields.get('content-length'), '2')
  const [request] = origin.requests
  assert.equal(request?.startLine, 'GET /a?b=c HTTP/1.1')
  assert.equal(request?.fields.get('host'), 'x.example')
  assert.ok(!request?.fields.has('content-length') && !request?.fields.has('transfer-encoding'))
})

test('a body with a length, whole or in pieces, reaches the instance with the same length', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  client.write('POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello')
  assert.equal((await client.response()).status, 200)
  client.write('POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n')
  for (const letter of 'hello') await client.send(letter)
  assert.equal((await client.response()).status, 200)
  for (const request of origin.requests) {
    assert.equal(request.body.toString(), 'hello')
    assert.equal(request.fields.get('content-length'), '5')
    assert.ok(!request.fields.has('transfer-encoding'))
  }
})

test('a zero Content-Length is kept, so that the instance knows that nothing comes', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  assert.equal((await client.response()).status, 200)
  assert.equal(origin.requests[0]?.fields.get('content-length'), '0')
})

test('a GET with a body keeps body and length together, and what follows is a request of its own', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  client.write(
    'GET /one HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: x\r\n\r\n',
  )
  await client.response()
  await client.response()
  assert.deepEqual(
    origin.requests.map(request => [request.startLine, request.body.toString()]),
    [
      ['GET /one HTTP/1.1', 'abc'],
      ['GET /two HTTP/1.1', ''],
    ],
  )
})

test('a chunked request is framed anew: same data, no extension, allowed trailers only', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  client.write(
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
      '3;name=value\r\nabc\r\n0004\r\ndefg\r\n0\r\nX-Sum: 7\r\nAuthorization: stolen\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n',
  )
  assert.equal((await client.response()).status, 200)
  const [request] = origin.requests
  assert.equal(request?.body.toString(), 'abcdefg')
  assert.deepEqual(request?.trailers, ['X-Sum: 7'])
  assert.equal(request?.fields.get('transfer-encoding'), 'chunked')
  assert.ok(!request?.fields.has('content-length'))
})

test('a chunked request byte by byte gives the same body', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  const text =
    'PUT /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a="b;c"\r\n world\r\n0\r\nT: v\r\n\r\n'
  for (const byte of text) await client.send(byte)
  assert.equal((await client.response()).status, 200)
  assert.equal(origin.requests[0]?.body.toString(), 'hello world')
  assert.deepEqual(origin.requests[0]?.trailers, ['T: v'])
})

test('a chunked answer with trailers arrives whole, framed anew, with its trailers', async t => {
  const body =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Sum: 9\r\n\r\n'
  const origin = await serve(
    edge,
    t,
    answering(() => body),
  )
  const client = await edge.connect()
  for (let i = 0; i < 3; i++) {
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const response = await client.response()
    assert.equal(response.body.toString(), 'wikipedia')
    assert.deepEqual(response.trailers, ['X-Sum: 9'])
  }
  assert.equal(origin.connections.length, 1, 'the connection to the instance is used again')
})

test('an answer that ends with the connection becomes chunked for HTTP/1.1', async t => {
  await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    peer.write('HTTP/1.1 200 OK\r\n\r\n')
    await peer.send('until ')
    await peer.send('the end')
  })
  const client = await edge.connect()
  for (let i = 0; i < 2; i++) {
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const response = await client.response()
    assert.equal(response.fields.get('transfer-encoding'), 'chunked')
    assert.equal(response.body.toString(), 'until the end')
  }
})

test('an HTTP/1.0 client gets no chunks and no interim answer, but the body and then the end', async t => {
  const origin = await serve(
    edge,
    t,
    answering(
      () =>
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: v\r\n\r\n',
    ),
  )
  const client = await edge.connect()
  const interims: RawMessage[] = []
  client.write('GET / HTTP/1.0\r\nHost: x\r\n\r\n')
  const response = await client.response('GET', interims)
  assert.deepEqual(interims, [])
  assert.ok(!response.fields.has('transfer-encoding'))
  assert.equal(response.fields.get('connection'), 'close')
  assert.equal(response.body.toString(), 'hello')
  assert.equal(response.complete, true)
  assert.equal(origin.requests[0]?.startLine, 'GET / HTTP/1.1')
  assert.match(origin.requests[0]?.fields.get('via') ?? '', /^1\.0 /)
})

test('an HTTP/1.0 client that asks for keep-alive keeps its connection when the answer has a length', async t => {
  await serve(edge, t)
  const client = await edge.connect()
  for (let i = 0; i < 2; i++) {
    client.write('GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n')
    const response = await client.response()
    assert.equal(response.fields.get('connection'), 'keep-alive')
    assert.equal(response.body.toString(), 'ok')
  }
  client.write('GET / HTTP/1.0\r\nHost: x\r\n\r\n')
  assert.equal((await client.response()).fields.get('connection'), 'close')
  await client.rest()
  assert.equal(client.over, 'end')
})

test('an HTTP/1.0 client whose answer is cut sees a reset and never an end', async t => {
  await serve(edge, t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    peer.reset()
  })
  for (let i = 0; i < 20; i++) {
    const client = await edge.connect()
    client.write('GET / HTTP/1.0\r\nHost: x\r\n\r\n')
    await client.when('the connection to be over', () => client.over !== '')
    assert.equal(client.over, 'ECONNRESET')
  }
})

test('HEAD, 204 and 304 have no body, whatever their fields say, and the connection goes on', async t => {
  const origin = await serve(
    edge,
    t,
    answering(request => {
      if (request.startLine.startsWith('HEAD /chunked'))
        return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
      if (request.startLine.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n'
      if (request.startLine.includes('/204')) return 'HTTP/1.1 204 No Content\r\n\r\n'
      if (request.startLine.includes('/304'))
        return 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "a"\r\n\r\n'
      return ok('end')
    }),
  )
  const client = await edge.connect()
  client.write('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response('HEAD')).fields.get('content-length'), '1000')
  client.write('HEAD /chunked HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response('HEAD')).status, 200)
  client.write('GET /204 HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response()).status, 204)
  client.write('GET /304 HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response()).fields.get('etag'), '"a"')
  client.write('GET /last HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response()).body.toString(), 'end')
  assert.equal(origin.connections.length, 1)
})

test('a 204 that claims a length is passed on without it', async t => {
  await serve(
    edge,
    t,
    answering(() => 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-Kept: 1\r\n\r\n'),
  )
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const response = await client.response()
  assert.equal(response.fields.get('x-kept'), '1')
  assert.ok(!response.fields.has('content-length'), 'RFC 9110 8.6: none in a 204')
})

test('103 goes to the client as often as it comes, before the final answer', async t => {
  const hint = (n: number): string =>
    `HTTP/1.1 103 Early Hints\r\nLink: </${n}.css>\r\nConnection: x-a\r\nX-A: 1\r\n\r\n`
  await serve(
    edge,
    t,
    answering(() => `${hint(1)}${hint(2)}${ok('final')}`),
  )
  const client = await edge.connect()
  const interims: RawMessage[] = []
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const response = await client.response('GET', interims)
  assert.equal(response.body.toString(), 'final')
  assert.deepEqual(
    interims.map(one => one.fields.get('link')),
    ['</1.css>', '</2.css>'],
  )
})

test('100 Continue comes from the instance before the body is sent', async t => {
  await serve(edge, t, async (peer, _number, self) => {
    const head = await peer.head()
    assert.match(head ?? '', /Expect: 100-continue/)
    peer.write('HTTP/1.1 100 Continue\r\n\r\n')
    const body = await peer.bytes(5)
    peer.write(ok(body.toString()))
    await readRequest(peer, self)
  })
  const client = await edge.connect()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
  const interim = await client.head()
  assert.match(interim ?? '', /^HTTP\/1\.1 100 /)
  client.write('hello')
  assert.equal((await client.response()).body.toString(), 'hello')
})

test('a final answer instead of 100 reaches the client, which then need not send the body', async t => {
  await serve(edge, t, async peer => {
    await peer.head()
    await peer.send('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno')
    await peer.rest()
  })
  const client = await edge.connect()
  client.write('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 500000\r\n\r\n')
  const interims: RawMessage[] = []
  const response = await client.response('POST', interims)
  assert.equal(response.status, 417)
  assert.deepEqual(interims, [])
  await client.rest()
  assert.equal(client.over, 'end', 'the connection is not used again: its next byte could be body or request')
})

test('a 100 that nobody asked for is not passed on', async t => {
  await serve(
    edge,
    t,
    answering(() => `HTTP/1.1 100 Continue\r\n\r\n${ok()}`),
  )
  const client = await edge.connect()
  const interims: RawMessage[] = []
  client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab')
  assert.equal((await client.response('POST', interims)).status, 200)
  assert.deepEqual(interims, [])
})

test('an answer byte by byte, head and all, is passed on whole', async t => {
  const text = 'HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nT: v\r\n\r\n'
  const origin = await serve(
    edge,
    t,
    answering(async (_request, peer) => {
      for (const byte of text) await peer.send(byte)
      return undefined
    }),
  )
  const client = await edge.connect()
  for (let i = 0; i < 2; i++) {
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const response = await client.response()
    assert.equal(response.fields.get('x-a'), '1')
    assert.equal(response.body.toString(), 'abcd')
    assert.deepEqual(response.trailers, ['T: v'])
  }
  assert.equal(origin.connections.length, 1)
})

test('a request head byte by byte is read as one', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  for (const byte of '\r\nGET /slowly HTTP/1.1\r\nHost: x\r\nX-Long: abc\r\n\r\n') await client.send(byte)
  assert.equal((await client.response()).status, 200)
  assert.equal(origin.requests[0]?.startLine, 'GET /slowly HTTP/1.1')
  assert.equal(origin.requests[0]?.fields.get('x-long'), 'abc')
})
