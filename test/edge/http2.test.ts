// HTTP/2 to clients: what a request becomes, what an answer becomes, bodies both ways, ends; by Node's client and curl.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { proxyRoute, serve, startEdge, until } from '../tools/edge-harness.ts'
import { answerOf, openHttp2 } from '../tools/http2-client.ts'
import { answering, ok } from '../tools/raw-origin.ts'

const edge = await startEdge({ after }, { accessLog: true })
const log = { accessLog: true }
const run = promisify(execFile)

test('curl speaks HTTP/2 by prior knowledge, and the log says so', async t => {
  await serve(edge, t, undefined, log)
  const before = (await edge.logLines(0)).length
  const { stdout } = await run('curl', [
    '-sS',
    '--http2-prior-knowledge',
    '-w',
    ' %{http_version}',
    `${edge.url}/a?b=c`,
  ])
  assert.equal(stdout, 'ok 2')
  const lines = await edge.logLines(before + 1)
  const { protocol, path, status } = lines.at(-1) as Record<string, unknown>
  assert.deepEqual({ protocol, path, status }, { protocol: '2.0', path: '/a', status: 200 })
})

test('HTTP/1.1 is spoken on the same port, an upgrade to h2c is not taken up', async t => {
  await serve(edge, t)
  const { stdout } = await run('curl', ['-sS', '--http2', '-w', ' %{http_version}', edge.url])
  assert.equal(stdout, 'ok 1.1')
})

test('a request reaches the instance as HTTP/1.1, with what the edge says about the client', async t => {
  const origin = await serve(edge, t)
  const peer = await openHttp2(t, edge.url)
  const answer = await peer.ask({
    ':path': '/films?x=1',
    ':authority': 'tickets.example',
    cookie: ['a=1', 'b=2'],
    'x-own': 'grün',
    te: 'trailers',
    'x-forwarded-for': '6.6.6.6',
  })
  assert.equal(answer.status, 200)
  assert.equal(answer.body.toString(), 'ok')
  assert.equal(answer.headers['content-length'], '2')
  const { startLine, fields, head } = origin.requests[0] as (typeof origin.requests)[0]
  assert.equal(startLine, 'GET /films?x=1 HTTP/1.1')
  assert.equal(fields.get('host'), 'tickets.example')
  assert.equal(fields.get('cookie'), 'a=1; b=2')
  assert.equal(fields.get('x-own'), 'grün')
  assert.equal(fields.get('x-forwarded-for'), '127.0.0.1')
  assert.match(fields.get('via') as string, /^2\.0 /)
  assert.ok(!fields.has('te') && !fields.has('transfer-encoding') && !/:(?:path|method)/.test(head))
})

test('an answer loses what HTTP/2 has no place for, and keeps its fields in order and number', async t => {
  const fields =
    'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Mixed-Case: Yes\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n' +
    'Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nETag: "1"\r\nETag: "1"\r\n'
  await serve(
    edge,
    t,
    answering(() => ok('body', fields)),
  )
  const peer = await openHttp2(t, edge.url)
  const { headers, body } = await peer.ask({ ':path': '/' })
  assert.equal(body.toString(), 'body')
  assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
  assert.equal(headers['x-mixed-case'], 'Yes')
  assert.equal(headers.date, 'Mon, 01 Jan 2024 00:00:00 GMT')
  for (const name of [
    'keep-alive',
    'proxy-connection',
    'connection',
    'x-hop',
    'upgrade',
    'transfer-encoding',
  ])
    assert.equal(headers[name], undefined, name)
})

test('many requests share a connection, each with its own answer', async t => {
  await serve(
    edge,
    t,
    answering(async ({ startLine }) => ok(startLine)),
  )
  const peer = await openHttp2(t, edge.url)
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => peer.ask({ ':path': `/${i}` })))
  answers.forEach(({ body, status }, i) => {
    assert.equal(status, 200)
    assert.equal(body.toString(), `GET /${i} HTTP/1.1`)
  })
})

for (const [what, size] of [
  ['a small body', 11],
  ['a body beyond what is kept', 40_000],
  ['a large body', 9_000_001],
] as const)
  for (const length of [true, false])
    test(`${what} reaches the instance whole, ${length ? 'with' : 'without'} Content-Length, and comes back`, async t => {
      await serve(
        edge,
        t,
        answering(({ body }) => ok(body.toString('latin1'))),
      )
      const peer = await openHttp2(t, edge.url)
      const body = randomBytes(size)
      const fields = length ? { 'content-length': `${size}` } : {}
      const answer = await peer.ask({ ':path': '/', ':method': 'POST', ...fields }, body)
      assert.equal(answer.status, 200)
      assert.equal(sha(answer.body), sha(body))
      assert.ok(answer.whole)
    })

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

test('a small body without Content-Length gets one, so that it can be sent again', async t => {
  const origin = await serve(edge, t)
  const peer = await openHttp2(t, edge.url)
  await peer.ask({ ':path': '/', ':method': 'POST' }, 'hello')
  const { fields, body } = origin.requests[0] as (typeof origin.requests)[0]
  assert.equal(fields.get('content-length'), '5')
  assert.equal(body.toString(), 'hello')
})

test('trailers pass both ways', async t => {
  const origin = await serve(
    edge,
    t,
    answering(
      () =>
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\nAuthorization: no\r\n\r\n',
    ),
  )
  const peer = await openHttp2(t, edge.url)
  const stream = peer.open({ ':path': '/', ':method': 'POST' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': '7', host: 'evil' }))
  stream.end('data')
  const answer = await answerOf(stream)
  assert.equal(answer.body.toString(), 'abc')
  assert.deepEqual(Object.entries(answer.trailers), [['x-sum', '42']])
  const { trailers, body } = origin.requests[0] as (typeof origin.requests)[0]
  assert.equal(body.toString(), 'data')
  assert.deepEqual(trailers, ['x-checksum: 7'])
})

test('interim answers pass: 103 always, 100 to who expects it', async t => {
  await serve(
    edge,
    t,
    answering(() => `HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n${ok()}`),
  )
  const peer = await openHttp2(t, edge.url)
  const answer = await peer.ask({ ':path': '/' })
  assert.deepEqual(answer.interim, [103])
  assert.equal(answer.status, 200)
})

test('answers without a body end with their head: HEAD, 204, 304', async t => {
  const heads: Record<string, string> = {
    '/head': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n',
    '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/304': 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
  }
  await serve(
    edge,
    t,
    answering(({ startLine }) => heads[startLine.split(' ')[1] as string] as string),
  )
  const peer = await openHttp2(t, edge.url)
  const head = await peer.ask({ ':path': '/head', ':method': 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-length'], head.whole], [200, '100', true])
  assert.deepEqual(
    [(await peer.ask({ ':path': '/204' })).status, (await peer.ask({ ':path': '/304' })).whole],
    [204, true],
  )
})

test('a status beyond 599 becomes a 502, because node:http2 sends none', async t => {
  await serve(
    edge,
    t,
    answering(() => 'HTTP/1.1 799 Odd\r\nContent-Length: 1\r\n\r\nx'),
  )
  const peer = await openHttp2(t, edge.url)
  assert.equal((await peer.ask({ ':path': '/' })).status, 502)
})

for (const [how, head] of [
  ['with Content-Length', 'Content-Length: 100\r\n\r\nhalf'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
] as const)
  test(`an answer ${how} that breaks off is cut on the stream, and the connection goes on`, async t => {
    await serve(
      edge,
      t,
      answering(async ({ startLine }, peer) => {
        if (!startLine.includes('/broken')) return ok()
        peer.write(`HTTP/1.1 200 OK\r\n${head}`)
        await new Promise(resolve => setTimeout(resolve, 50))
        peer.reset()
        return undefined
      }),
    )
    const peer = await openHttp2(t, edge.url)
    const broken = await peer.ask({ ':path': '/broken' })
    assert.equal(broken.status, 200)
    assert.ok(!broken.whole)
    assert.equal(broken.code, 2)
    assert.equal((await peer.ask({ ':path': '/' })).body.toString(), 'ok')
  })

test('a client that takes its request back frees the instance', async t => {
  const origin = await serve(edge, t, async peer => {
    await peer.request()
    await peer.over
    await new Promise(resolve => peer.socket.once('close', resolve))
  })
  const peer = await openHttp2(t, edge.url)
  const stream = peer.open({ ':path': '/' })
  await until('the request to arrive', () => origin.connections.length === 1 && origin.open.size === 1)
  await until('it to be in flight', async () => (await edge.member(0)).inFlight === 1)
  stream.close(8)
  await until('the instance to be free', async () => (await edge.member(0)).inFlight === 0)
  const last = (await edge.logLines(1)).at(-1)
  assert.ok(last !== undefined)
})

test('what the reader of heads refuses is answered on the stream with the same status and code', async t => {
  await serve(edge, t)
  const peer = await openHttp2(t, edge.url)
  const long = await peer.ask({ ':path': `/${'x'.repeat(9_000)}` })
  assert.equal(long.status, 414)
  const many = await peer.ask({
    ':path': '/',
    ...Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`x-${i}`, '1'])),
  })
  assert.equal(many.status, 431)
  const host = await peer.ask({ ':path': '/', ':authority': 'a b' })
  assert.equal(host.status, 0)
  assert.equal(host.code, 1)
  const user = await peer.ask({ ':path': '/', ':authority': 'user@a' })
  assert.equal(user.code, 1)
  const expect = await peer.ask({ ':path': '/', ':method': 'POST', expect: 'magic' }, 'x')
  assert.equal(expect.status, 417)
  assert.equal((await peer.ask({ ':path': '/' })).status, 200)
})

test('CONNECT is refused, TRACE too', async t => {
  await serve(edge, t)
  const peer = await openHttp2(t, edge.url)
  const connect = peer.open({ ':method': 'CONNECT', ':authority': 'a.example:443' })
  assert.equal((await answerOf(connect)).status, 405)
  assert.equal((await peer.ask({ ':method': 'TRACE', ':path': '/' })).status, 405)
})

test('a body beyond the limit is refused with 413, said in advance or not', async t => {
  await serve(edge, t, undefined, { routes: [proxyRoute('/*', { bodyBytesMax: 1_000 })] })
  const peer = await openHttp2(t, edge.url)
  assert.equal(
    (await peer.ask({ ':path': '/', ':method': 'POST', 'content-length': '30000' }, Buffer.alloc(30_000)))
      .status,
    413,
  )
  const stream = peer.open({ ':path': '/', ':method': 'POST' })
  const answer = answerOf(stream)
  for (let i = 0; i < 40 && !stream.destroyed; i++) {
    stream.write(Buffer.alloc(1_000))
    await new Promise(resolve => setImmediate(resolve))
  }
  stream.end()
  assert.equal((await answer).status, 413)
})

test('an instance that does not read holds the client back by flow control', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  await serve(edge, t, async (peer, _number, origin) => {
    peer.socket.pause()
    await held
    peer.socket.resume()
    const request = await peer.request()
    if (request !== null) origin.requests.push(request)
    peer.write(ok(`${request?.body.length}`))
  })
  const peer = await openHttp2(t, edge.url)
  const stream = peer.open({ ':path': '/', ':method': 'POST' })
  const answer = answerOf(stream)
  const size = 64 << 20
  stream.end(Buffer.alloc(size))
  // The window closes: what has left stays far below the whole, for as long as nobody reads.
  let sent = -1
  await until('the client to be held back', async () => {
    const now = size - (stream.bufferSize ?? 0)
    const moved = now !== sent
    sent = now
    if (moved) await new Promise(resolve => setTimeout(resolve, 200))
    return !moved
  })
  const rss = Number((await edge.metrics()).match(/process_resident_memory_bytes (\S+)/)?.[1] ?? 0)
  assert.ok(rss < 400e6, `the edge holds ${rss} bytes`)
  release()
  assert.equal((await answer).body.toString(), `${size}`)
})

test('a client that reads slowly holds the instance back', async t => {
  const size = 32 << 20
  let written = 0
  await serve(edge, t, async peer => {
    await peer.request()
    peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    const piece = Buffer.alloc(1 << 20, 'x')
    for (let i = 0; i < 32; i++) {
      written += piece.length
      if (!peer.socket.write(piece)) await new Promise(resolve => peer.socket.once('drain', resolve))
    }
  })
  const peer = await openHttp2(t, edge.url)
  const stream = peer.open({ ':path': '/' })
  stream.pause()
  let last = -1
  await until('the instance to be held back', async () => {
    const moved = written !== last
    last = written
    if (moved) await new Promise(resolve => setTimeout(resolve, 200))
    return !moved && written > 0
  })
  assert.ok(written < size, `${written} of ${size} bytes have left the instance`)
  const answer = answerOf(stream)
  stream.resume()
  assert.equal((await answer).body.length, size)
})
