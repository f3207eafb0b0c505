// Instances that speak HTTP/2: one session for many requests, trailers, refusals that may be sent again, ends of sessions.
// The instances are Node's own HTTP/2 servers.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import http2 from 'node:http2'
import { after, type TestContext, test } from 'node:test'
import { type EdgeSetup, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { answerOf, openHttp2 } from '../tools/http2-client.ts'
import { startRawOrigin } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })

interface Instance {
  readonly port: number
  readonly sessions: Set<http2.ServerHttp2Session>
  readonly seen: { path: string; headers: http2.IncomingHttpHeaders }[]
  opened: number
  close(): Promise<void>
}

type Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, count: number) => void

async function startInstance(
  t: TestContext,
  handler: Handler,
  settings: http2.Settings = {},
): Promise<Instance> {
  const sessions = new Set<http2.ServerHttp2Session>()
  const seen: Instance['seen'] = []
  const server = http2.createServer({ settings })
  const instance: Instance = {
    port: 0,
    sessions,
    seen,
    opened: 0,
    close: async () => {
      const closed = new Promise(resolve => server.close(resolve))
      for (const session of sessions) session.destroy()
      await closed
    },
  }
  server.on('session', session => {
    instance.opened++
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => {})
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    seen.push({ path: headers[':path'] as string, headers })
    handler(stream as http2.ServerHttp2Stream, headers, seen.length)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => instance.close())
  return Object.assign(instance, { port: (server.address() as { port: number }).port })
}

const upstream: EdgeSetup['upstream'] = { protocol: 'h2' }

const answer: Handler = (stream, headers) => {
  stream.respond({ ':status': 200, 'x-path': headers[':path'] as string })
  stream.end(headers[':path'] as string)
}

test('clients of both protocols are served over one session', async t => {
  const instance = await startInstance(t, answer)
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => peer.ask({ ':path': `/${i}` })))
  for (const [i, { body, whole }] of answers.entries())
    assert.deepEqual([body.toString(), whole], [`/${i}`, true])
  const plain = await (await fetch(`${edge.url}/plain?x`, { headers: { connection: 'keep-alive' } })).text()
  assert.equal(plain, '/plain?x')
  assert.equal(instance.opened, 1)
  const { headers } = instance.seen[0] as (typeof instance.seen)[0]
  assert.equal(headers[':authority'], `127.0.0.1:${edge.port}`)
  assert.equal(headers[':scheme'], 'http')
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.equal(headers.connection ?? headers.host, undefined)
})

test('bodies pass both ways, whole', async t => {
  const instance = await startInstance(t, stream => {
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  for (const size of [0, 5, 100_000, 8_000_003]) {
    const body = randomBytes(size)
    const { body: back, whole } = await peer.ask({ ':path': '/', ':method': 'POST' }, body)
    assert.ok(whole)
    assert.equal(sha(back), sha(body), `${size} bytes`)
    const plain = await fetch(edge.url, { method: 'POST', body })
    assert.equal(sha(Buffer.from(await plain.arrayBuffer())), sha(body), `${size} bytes over HTTP/1.1`)
  }
})

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

test('trailers pass both ways, and TE says that they may', async t => {
  let trailers: http2.IncomingHttpHeaders = {}
  const instance = await startInstance(t, stream => {
    stream.on('trailers', fields => {
      trailers = fields
    })
    stream.resume()
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-sum': '1' }))
    stream.on('end', () => stream.end('body'))
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  const stream = peer.open({ ':path': '/', ':method': 'POST', te: 'trailers' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-mine': '2' }))
  stream.end('data')
  const { body, trailers: back } = await answerOf(stream)
  assert.equal(body.toString(), 'body')
  assert.deepEqual(Object.entries(back), [
    ['grpc-status', '0'],
    ['x-sum', '1'],
  ])
  assert.deepEqual(Object.entries(trailers), [['x-mine', '2']])
  assert.equal(instance.seen[0]?.headers.te, 'trailers')
})

test('answers without a body, and interim ones, pass', async t => {
  const instance = await startInstance(t, (stream, headers) => {
    if (headers[':path'] === '/hints') stream.additionalHeaders({ ':status': 103, link: '</a>; rel=preload' })
    stream.respond({ ':status': headers[':path'] === '/none' ? 204 : 200 }, { endStream: true })
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  assert.deepEqual((await peer.ask({ ':path': '/hints' })).interim, [103])
  assert.equal((await peer.ask({ ':path': '/none' })).status, 204)
  const head = await peer.ask({ ':path': '/', ':method': 'HEAD' })
  assert.deepEqual([head.status, head.whole], [200, true])
  const plain = await fetch(`${edge.url}/empty`)
  assert.deepEqual([plain.status, await plain.text()], [200, ''])
})

test('a stream that the instance refuses is sent again, whatever its method, also with a small body', async t => {
  let refused = 0
  const instance = await startInstance(t, (stream, headers) => {
    if (headers['x-try'] === undefined && refused < 2) {
      refused++
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
      return
    }
    let text = ''
    stream.on('data', data => (text += data))
    stream.on('end', () => {
      stream.respond({ ':status': 200 })
      stream.end(text)
    })
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  const { status, body } = await peer.ask({ ':path': '/', ':method': 'POST' }, 'once')
  assert.deepEqual([status, body.toString(), refused], [200, 'once', 2])
})

test('a POST that the instance may have looked at is not sent again', async t => {
  const instance = await startInstance(t, stream => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR))
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  assert.equal((await peer.ask({ ':path': '/', ':method': 'POST' }, 'once')).status, 502)
  assert.equal(instance.seen.length, 1)
})

test('a GOAWAY loses no request: what it does not cover goes over a new session', async t => {
  const instance = await startInstance(t, (stream, _headers, count) => {
    if (count % 10 === 0) stream.session?.close()
    setTimeout(() => {
      if (stream.destroyed) return
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }, 5)
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  const lost: number[] = []
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => peer.ask({ ':path': '/', ':method': 'POST' }, 'x')),
    )
    for (const { status } of answers) if (status !== 200) lost.push(status)
  }
  assert.deepEqual(lost, [])
  assert.ok(instance.opened > 1)
})

test('an instance that takes few streams gets further sessions, and none of the requests fails', async t => {
  let most = 0
  let now = 0
  const instance = await startInstance(
    t,
    stream => {
      most = Math.max(most, ++now)
      setTimeout(() => {
        now--
        stream.respond({ ':status': 200 })
        stream.end('ok')
      }, 20)
    },
    { maxConcurrentStreams: 5 },
  )
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  await peer.ask({ ':path': '/' })
  const answers = await Promise.all(Array.from({ length: 120 }, () => peer.ask({ ':path': '/' })))
  for (const { status } of answers) assert.equal(status, 200)
  assert.ok(instance.opened > 1 && instance.opened <= 24, `${instance.opened} sessions`)
})

test('a session that dies takes only its own requests, and the next ones find a new one', async t => {
  const instance = await startInstance(t, (stream, headers) => {
    if (headers[':path'] === '/dies') stream.session?.destroy()
    else answer(stream, headers, 0)
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  assert.equal((await peer.ask({ ':path': '/dies', ':method': 'POST' }, 'x')).status, 502)
  assert.equal((await peer.ask({ ':path': '/lives' })).status, 200)
})

test('an answer that breaks off is cut for the client', async t => {
  const instance = await startInstance(t, stream => {
    stream.respond({ ':status': 200 })
    stream.write('half', () => setTimeout(() => stream.destroy(new Error('no more')), 30))
  })
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  const { status, whole, code } = await peer.ask({ ':path': '/' })
  assert.deepEqual([status, whole, code], [200, false, 2])
})

test('an upgrade towards such an instance is refused with 501 and why', async t => {
  const instance = await startInstance(t, answer)
  await edge.apply({ members: [instance.port], upstream })
  const peer = await edge.connect()
  peer.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const { status, body } = await peer.response()
  assert.equal(status, 501)
  assert.match(body.toString(), /upgrade-to-http2/)
})

test('an instance that speaks no HTTP/2 is a 502', async t => {
  const origin = await startRawOrigin(t, async peer => {
    peer.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
  })
  await edge.apply({ members: [origin.port], upstream })
  const peer = await openHttp2(t, edge.url)
  assert.equal((await peer.ask({ ':path': '/', ':method': 'POST' }, 'x')).status, 502)
})

test('an instance that is not there is a 502', async t => {
  const closed = await startInstance(t, answer)
  await closed.close()
  await edge.apply({ members: [closed.port], upstream, upstreams: [upstreamOf('other', [])] })
  const peer = await openHttp2(t, edge.url)
  const { status, body } = await peer.ask({ ':path': '/', accept: 'application/json' })
  assert.equal(status, 502)
  assert.match(body.toString(), /instance-unreachable/)
})

test('a drained instance loses its idle session, and none is open to a member that is gone', async t => {
  const instance = await startInstance(t, answer)
  await edge.apply({ members: [instance.port], upstream })
  const peer = await openHttp2(t, edge.url)
  await peer.ask({ ':path': '/' })
  await until('a session', () => instance.sessions.size === 1)
  const other = await startInstance(t, answer)
  await edge.apply({ members: [other.port], upstream })
  await until('no session', () => instance.sessions.size === 0)
  assert.equal((await peer.ask({ ':path': '/' })).status, 200)
})
