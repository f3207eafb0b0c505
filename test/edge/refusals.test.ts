// What the edge refuses, and that a refusal is one: the right status, a closed connection, and nothing of it at the
// instance. Each attack is also followed by a request that must never be taken for one (smuggling).

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serve, startEdge, until } from '../tools/edge-harness.ts'
import { answering, ok, readRequest } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const edge = await startEdge({ after })

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
const post = (fields: string, body = ''): string => `POST /p HTTP/1.1\r\nHost: x\r\n${fields}\r\n${body}`
const get = (fields: string): string => `GET /g HTTP/1.1\r\nHost: x\r\n${fields}\r\n`

/** Heads that are refused, with the status. */
const badHeads: readonly (readonly [string, number, string])[] = [
  [
    'Content-Length and Transfer-Encoding together',
    400,
    post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ],
  ['two Content-Lengths that differ', 400, post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abc')],
  ['two Content-Lengths alike', 400, post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')],
  ['a list of lengths', 400, post('Content-Length: 3, 3\r\n', 'abc')],
  [
    'an empty Content-Length before a valid one',
    400,
    post('Content-Length:\r\nContent-Length: 3\r\n', 'abc'),
  ],
  ['a length with a sign', 400, post('Content-Length: +3\r\n', 'abc')],
  ['a hexadecimal length', 400, post('Content-Length: 0x3\r\n', 'abc')],
  ['a length beyond every number', 400, post('Content-Length: 99999999999999999999\r\n')],
  ['Transfer-Encoding: xchunked', 400, post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
  [
    'Transfer-Encoding: chunked twice',
    400,
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  ],
  ['chunked that is not last', 400, post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n')],
  ['a comma before chunked', 400, post('Transfer-Encoding: ,chunked\r\n', '0\r\n\r\n')],
  ['a coding that is not spoken', 501, post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')],
  [
    'Transfer-Encoding from HTTP/1.0',
    400,
    'POST /p HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a space before the colon', 400, post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n')],
  ['a vertical tab in Transfer-Encoding', 400, post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n')],
  ['a folded field', 400, get('X-A: 1\r\n two\r\n')],
  ['a first field line that is folded', 400, 'GET / HTTP/1.1\r\n Host: x\r\n\r\n'],
  ['a bare LF as line end', 400, 'GET / HTTP/1.1\nHost: x\n\n'],
  ['a bare CR in a value', 400, get('X-A: a\rb\r\n')],
  ['a NUL in a value', 400, get('X-A: a\0b\r\n')],
  ['a field without a colon', 400, get('Whatever\r\n')],
  ['an empty field name', 400, get(': value\r\n')],
  ['no Host', 400, 'GET / HTTP/1.1\r\n\r\n'],
  ['two Hosts', 400, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['two Hosts alike', 400, 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
  ['a Host with a comma', 400, 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n'],
  ['a Host with user information', 400, 'GET / HTTP/1.1\r\nHost: me@a\r\n\r\n'],
  ['a Host with a path', 400, 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  ['an absolute target with user information', 400, 'GET http://me@a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/0.9', 400, 'GET /\r\n\r\n'],
  ['HTTP/1.2', 505, 'GET / HTTP/1.2\r\nHost: x\r\n\r\n'],
  ['HTTP/2.0 in a request line', 505, 'GET / HTTP/2.0\r\nHost: x\r\n\r\n'],
  ['a lower-case version', 400, 'GET / http/1.1\r\nHost: x\r\n\r\n'],
  ['a tab in the request line', 400, 'GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['two spaces in the request line', 400, 'GET  / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a fragment in the target', 400, 'GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a raw UTF-8 target', 400, 'GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['an asterisk with GET', 400, 'GET * HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a target of another scheme', 400, 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['Content_Length', 400, post('Content_Length: 3\r\n')],
  ['Transfer.Encoding', 400, post('Transfer.Encoding: chunked\r\n')],
  ['X_Forwarded_For', 400, get('X_Forwarded_For: 1.2.3.4\r\n')],
  ['TRACE with a body', 400, 'TRACE / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc'],
  ['an expectation that is unknown', 417, post('Expect: 200-ok\r\nContent-Length: 3\r\n')],
  ['a request line that is too long', 414, `GET /${'a'.repeat(9_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
  ['a request line without an end', 414, `GET /${'a'.repeat(20_000)}`],
  ['a header that is too large', 431, get(`X-A: ${'a'.repeat(40_000)}\r\n`)],
  ['too many fields', 431, get('X-A: a\r\n'.repeat(200))],
  ['a TLS hello', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['nearly the HTTP/2 preface', 505, 'PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n'],
  ['a path above the root', 400, 'GET /a/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['an encoded path above the root', 400, 'GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['an encoded NUL in the path', 400, 'GET /a%00 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a broken percent-encoding', 400, 'GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a backslash in the path', 400, 'GET /a\\..\\b HTTP/1.1\r\nHost: x\r\n\r\n'],
]

test('a bad head gets its status and a closed connection, and nothing of it reaches the instance', async t => {
  const origin = await serve(edge, t)
  for (const [what, status, text] of badHeads) {
    const client = await edge.connect()
    client.write(text + smuggled)
    const response = await client.response(text.startsWith('HEAD') ? 'HEAD' : 'GET').catch((cause: Error) => {
      throw new Error(`${what}: ${cause.message}`)
    })
    assert.equal(response.status, status, what)
    // A path is refused after a head that was understood: what follows is the next request indeed.
    if (!/GET \/\S*(?:\.\.|%|\\)/.test(text.replaceAll('%2e', '..').slice(0, 40))) {
      assert.equal(response.fields.get('connection'), 'close', what)
      await client.rest()
      assert.equal(client.over, 'end', what)
    } else assert.equal((await client.response()).status, 200, what)
  }
  assert.deepEqual(
    origin.requests
      .filter(request => !request.startLine.startsWith('GET /smuggled'))
      .map(request => request.head),
    [],
  )
  assert.equal(origin.requests.length, 5, 'only after the five refused paths the next request was one')
})

test('bad heads in single bytes are refused all the same', async t => {
  const origin = await serve(edge, t)
  // In pieces the preface is HTTP/2's from its first line on: what is wrong with the rest is told in its frames.
  const inPieces = badHeads.filter(([, , one]) => one.length < 200 && !one.startsWith('PRI '))
  for (const [what, status, text] of inPieces) {
    const client = await edge.connect()
    for (const byte of text) {
      if (client.over !== '') break
      await client.send(byte)
    }
    const response = await client.response().catch((cause: Error) => {
      throw new Error(`${what}: ${cause.message}`)
    })
    assert.equal(response.status, status, what)
    assert.deepEqual(origin.requests, [], what)
  }
})

test('the HTTP/2 preface is refused where HTTP/2 is off, and after a request', async t => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
  const plain = { id: 'plain', kind: 'http', host: '127.0.0.1', port: 0, http2: false } as const
  const own = await startEdge({ after: end => t.after(end) }, { listeners: [plain] })
  const origin = await serve(own, t, undefined, { listeners: [plain] })
  const off = await RawPeer.connect(await own.portOf('plain'))
  t.after(() => off.destroy())
  off.write(preface)
  assert.equal((await off.response()).status, 505)
  const late = await own.connect()
  late.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await late.response()).status, 200)
  late.write(preface)
  assert.equal((await late.response()).status, 505)
  assert.equal(origin.requests.length, 1)
})

const badChunks: readonly (readonly [string, string])[] = [
  ['a size with 0x', '0x3\r\nabc\r\n0\r\n\r\n'],
  ['a size with a plus', '+3\r\nabc\r\n0\r\n\r\n'],
  ['a size with a space', '3 \r\nabc\r\n0\r\n\r\n'],
  ['an empty size', '\r\nabc\r\n0\r\n\r\n'],
  ['a size beyond every number', 'fffffffffffffffff\r\nabc'],
  ['a valid prefix of a size', '3g\r\nabc\r\n0\r\n\r\n'],
  ['LF after the size', '3\nabc\r\n0\r\n\r\n'],
  ['LF after the data', '3\r\nabc\n0\r\n\r\n'],
  ['data longer than its size', '3\r\nabcd\r\n0\r\n\r\n'],
  ['an extra CR LF between chunks', '3\r\nabc\r\n\r\n0\r\n\r\n'],
  ['a LF in an extension', '3;a\nb\r\nabc\r\n0\r\n\r\n'],
  ['an extension without a bound', `3;${'a'.repeat(6_000)}\r\nabc\r\n0\r\n\r\n`],
  ['Content-Length as a trailer', '0\r\nContent-Length: 5\r\n\r\n'],
  ['a trailer without a colon', '0\r\nwhatever\r\n\r\n'],
  ['trailers without a bound', `0\r\n${'X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n'.repeat(400)}\r\n`],
]

test('bad chunks get 400 and a close over fresh and used connections; the instance never sees a whole request', async t => {
  let whole = 0
  const origin = await serve(edge, t, async (peer, _number, self) => {
    for (;;) {
      const head = await peer.head()
      if (head === null) return
      if (head.startsWith('GET /warm')) {
        peer.write(ok())
        continue
      }
      assert.ok(head.startsWith('POST /p '), head)
      self.requests.push({
        head,
        startLine: '',
        fields: new Map(),
        body: Buffer.alloc(0),
        trailers: [],
        chunks: [],
      })
      const rest = (await peer.rest()).toString('latin1')
      if (/(^|\r\n)0\r\n/.test(rest) || rest.includes('smuggled')) whole++
      return
    }
  })
  for (const warm of [false, true]) {
    for (const [what, body] of badChunks) {
      const client = await edge.connect()
      if (warm) {
        client.write('GET /warm HTTP/1.1\r\nHost: x\r\n\r\n')
        assert.equal((await client.response()).status, 200)
      }
      client.write(post('Transfer-Encoding: chunked\r\n', body) + smuggled)
      assert.equal((await client.response('POST')).status, 400, what)
      await client.rest()
      assert.equal(client.over, 'end', what)
    }
  }
  await until('the connections to the instance to be gone', () => origin.open.size === 0)
  assert.equal(whole, 0)
})

test('requests with odd but legal heads pass: an empty line before, unknown methods and fields', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  for (const text of [
    '\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'PURGE / HTTP/1.1\r\nHost: x\r\n\r\n',
    'M-SEARCH /a HTTP/1.1\r\nhOsT: x\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: [::1]:80\r\nX-Empty:\r\nX-8: \xe9\r\nX!#$: 1\r\n\r\n',
  ]) {
    client.write(text)
    assert.equal((await client.response()).status, 200, text)
  }
  assert.equal(origin.requests.length, 4)
  assert.match(origin.requests[3]?.head ?? '', /X-8: \xe9\r\n/)
})

test('an absolute target overrides Host, which is written anew', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  client.write('GET http://right.example/a?b HTTP/1.1\r\nHost: wrong.example\r\n\r\n')
  assert.equal((await client.response()).status, 200)
  assert.equal(origin.requests[0]?.startLine, 'GET /a?b HTTP/1.1')
  assert.equal(origin.requests[0]?.fields.get('host'), 'right.example')
  assert.ok(!origin.requests[0]?.head.includes('wrong.example'))
})

test('CONNECT and TRACE are refused with 405; OPTIONS * and Max-Forwards: 0 are answered here', async t => {
  const origin = await serve(edge, t)
  const client = await edge.connect()
  for (const [text, status] of [
    ['CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n', 405],
    ['TRACE / HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    ['OPTIONS /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n', 200],
  ] as const) {
    client.write(text)
    const response = await client.response('OPTIONS')
    assert.equal(response.status, status, text)
    assert.match(response.fields.get('allow') ?? '', /GET/)
  }
  assert.equal(origin.requests.length, 0)
  client.write('OPTIONS /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 5\r\n\r\n')
  await client.response('OPTIONS')
  assert.equal(origin.requests[0]?.fields.get('max-forwards'), '4')
})

test('a declared body that is too large is refused before anything goes to an instance', async t => {
  const origin = await serve(edge, t, undefined, { limits: { bodyBytesMax: 10 } })
  const client = await edge.connect()
  // It came with its head: the connection can go on behind it.
  client.write(`${post('Content-Length: 11\r\n', 'abcdefghijk')}GET / HTTP/1.1\r\nHost: x\r\n\r\n`)
  assert.equal((await client.response('POST')).status, 413)
  assert.equal((await client.response()).status, 200)
  assert.equal(origin.requests.length, 1)
  client.write(post('Content-Length: 11\r\n', 'abc'))
  assert.equal((await client.response('POST')).status, 413)
  await client.rest()
  assert.equal(client.over, 'end')
  assert.equal(origin.requests.length, 1)
})

test('a slow head and a slow body get 408 and a close', async t => {
  const origin = await serve(edge, t, async peer => void (await peer.rest()), {
    limits: { headTimeoutMs: 300, bodyTimeoutMs: 300 },
  })
  const head = await edge.connect()
  head.write('GET / HTTP/1.1\r\nHost:')
  assert.equal((await head.response()).status, 408)
  await head.rest()
  assert.equal(origin.connections.length, 0)
  const body = await edge.connect()
  body.write(post('Content-Length: 10\r\n', 'abc'))
  assert.equal((await body.response('POST')).status, 408)
  await body.rest()
  assert.equal(body.over, 'end')
  await until("the instance's connection to be cut", () => origin.open.size === 0)
})

test('a head that drips in does not get more time for each drop', async t => {
  await serve(edge, t, undefined, { limits: { headTimeoutMs: 500 } })
  const client = await edge.connect()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n')
  for (let i = 0; client.over === '' && client.receivedBytes === 0 && i < 200; i++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    await client.send('X-A: 1\r\n')
  }
  assert.equal((await client.response()).status, 408)
})

test('an idle connection is closed politely after its time, one with too many requests after its last', async t => {
  await serve(edge, t, undefined, { limits: { idleTimeoutMs: 300, requestsPerConnectionMax: 3 } })
  const idle = await edge.connect()
  assert.equal((await idle.rest()).length, 0)
  assert.equal(idle.over, 'end')
  const busy = await edge.connect()
  for (let i = 1; i <= 3; i++) {
    busy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await busy.response()).fields.get('connection'), i === 3 ? 'close' : undefined)
  }
  await busy.rest()
  assert.equal(busy.over, 'end')
})

test('connections beyond the limit are closed, and places that become free are given again', async t => {
  await edge.idle()
  await until(
    'earlier connections to be gone',
    async () => (await edge.status()).workers[0]?.connections === 0,
  )
  await serve(edge, t, undefined, { limits: { connectionsMax: 3 } })
  const allowed = await Promise.all([edge.connect(), edge.connect(), edge.connect()])
  await until('three to be counted', async () => (await edge.status()).workers[0]?.connections === 3)
  const refused = await edge.connect()
  await refused.when('the fourth to be closed', () => refused.over !== '')
  assert.equal(refused.receivedBytes, 0)
  for (const client of allowed) {
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await client.response()).status, 200)
  }
  allowed[0]?.destroy()
  await until('its place to be free', async () => (await edge.status()).workers[0]?.connections === 2)
  const next = await edge.connect()
  next.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await next.response()).status, 200)
  assert.match(await edge.metrics(), /edge_refused_total\{worker="0"\} 1\n/)
})

const badAnswers: readonly (readonly [string, string])[] = [
  ['no status line', 'hello\r\n\r\n'],
  ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n'],
  ['interim answers without end', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(30)}`],
  [
    'a switch that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
]

test('an answer that is not HTTP becomes one 502, without a second request and without a word of it', async t => {
  const origin = await serve(edge, t, async (peer, _number, self) => {
    const request = await readRequest(peer, self)
    const at = Number(request?.startLine.split('/')[1]?.split(' ')[0])
    peer.write((badAnswers[at] as readonly [string, string])[1])
    await peer.rest()
  })
  for (const [at, [what]] of badAnswers.entries()) {
    const client = await edge.connect()
    client.write(`GET /${at} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n`)
    const response = await client.response()
    assert.equal(response.status, 502, what)
    const { error } = JSON.parse(response.body.toString()) as { error: { code: string } }
    assert.equal(error.code, 'bad-response', what)
    client.destroy()
  }
  assert.equal(origin.requests.length, badAnswers.length)
})

test('bytes after an answer never become the answer of the next request', async t => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
  const origin = await serve(
    edge,
    t,
    answering(request => (request.startLine.includes('/first') ? ok('good') + evil : ok('good'))),
  )
  const client = await edge.connect()
  for (let i = 0; i < 10; i++) {
    client.write('GET /first HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await client.response()).body.toString(), 'good')
    client.write('GET /second HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await client.response()).body.toString(), 'good')
  }
  assert.ok(origin.connections.length >= 10, 'a connection that said too much is not used again')
})

test('error pages are HTML or JSON by Accept, with code and request id, without addresses or stacks', async t => {
  const origin = await serve(
    edge,
    t,
    async peer => {
      await peer.head()
      peer.reset()
    },
    { upstream: { retry: noRetry } },
  )
  for (const [accept, type] of [
    ['', 'text/html; charset=utf-8'],
    ['Accept: text/html, application/json;q=0.9\r\n', 'text/html; charset=utf-8'],
    ['Accept: application/json\r\n', 'application/json'],
    ['Accept: application/problem+json, text/html;q=0.5\r\n', 'application/json'],
  ] as const) {
    const client = await edge.connect()
    client.write(
      `POST /<script> HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n${accept}\r\n`.replace(
        '<script>',
        '%3Cscript%3E',
      ),
    )
    const response = await client.response('POST')
    assert.equal(response.status, 502)
    assert.equal(response.fields.get('content-type'), type)
    assert.equal(response.fields.get('cache-control'), 'no-store')
    const id = response.fields.get('x-request-id') as string
    const body = response.body.toString()
    assert.ok(id.length > 10 && body.includes(id))
    assert.match(body, /instance-lost/)
    for (const secret of ['127.0.0.1', `${origin.port}`, 'at ', '.ts', '<script>'])
      assert.ok(!body.includes(secret), secret)
  }
})

const noRetry = { attempts: 0, budgetShare: 0, budgetMin: 0, backoffBaseMs: 1, backoffMaxMs: 1, onStatus: [] }
