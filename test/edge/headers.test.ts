// What instances are told about a request and clients about an answer: hop-by-hop fields, forwarding fields by trust, ids,
// traces, loops, header rules, redirects, routes and paths. Over real sockets.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { RouteSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute, serve, startEdge, upstreamOf } from '../tools/edge-harness.ts'
import { answering, ok, startRawOrigin } from '../tools/raw-origin.ts'
import type { RawMessage, RawResponse } from '../tools/raw-peer.ts'

const edge = await startEdge({ after })
const here = ['127.0.0.1/32']

async function ask(text: string): Promise<RawResponse> {
  const client = await edge.connect()
  client.write(text)
  const response = await client.response(text.split(' ')[0])
  client.destroy()
  return response
}
const get = (fields = '', target = '/'): string =>
  `GET ${target} HTTP/1.1\r\nHost: x.example:81\r\n${fields}\r\n`
const last = (requests: readonly RawMessage[]): RawMessage => requests.at(-1) as RawMessage

test('fields of one hop and all that Connection lists are removed, both ways; what must stay stays', async t => {
  const origin = await serve(
    edge,
    t,
    answering(() =>
      ok(
        'ok',
        'Connection: X-Secret, close-not\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: a\r\nX-Open: 2\r\n',
      ),
    ),
  )
  const response = await ask(
    get(
      'Connection: X-Hop, keep-alive, Host, Authorization, Cookie, Content-Length, X-Forwarded-For, Via\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: a\r\nProxy-Authorization: b\r\nProxy: http://evil\r\nAuthorization: kept\r\nCookie: a=b\r\nX-Kept: 2\r\n',
    ),
  )
  const { fields } = last(origin.requests)
  for (const name of [
    'connection',
    'x-hop',
    'keep-alive',
    'te',
    'proxy-connection',
    'proxy-authorization',
    'proxy',
  ])
    assert.ok(!fields.has(name), name)
  assert.equal(fields.get('host'), 'x.example:81')
  assert.equal(fields.get('authorization'), 'kept')
  assert.equal(fields.get('cookie'), 'a=b')
  assert.equal(fields.get('x-kept'), '2')
  assert.ok(fields.has('x-forwarded-for') && fields.has('via'))
  for (const name of ['x-secret', 'keep-alive', 'proxy-connection', 'connection'])
    assert.ok(!response.fields.has(name), name)
  assert.equal(response.fields.get('x-open'), '2')
})

test('what a stranger claims about itself is replaced; what a trusted proxy says is believed and continued', async t => {
  const origin = await serve(edge, t)
  const claims =
    'X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Real-IP: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\nX-Request-Id: given-by-the-proxy-1\r\n'
  await ask(get(claims))
  const plain = last(origin.requests).fields
  assert.equal(plain.get('x-forwarded-for'), '127.0.0.1')
  assert.equal(plain.get('x-forwarded-proto'), 'http')
  assert.equal(plain.get('x-forwarded-host'), 'x.example:81')
  assert.ok(!plain.has('x-real-ip') && !plain.has('forwarded'))
  assert.notEqual(plain.get('x-request-id'), 'given-by-the-proxy-1')
  await edge.apply({ members: [origin.port], trustedProxies: here })
  await ask(get(claims))
  const trusted = last(origin.requests).fields
  assert.equal(trusted.get('x-forwarded-for'), '9.9.9.9, 127.0.0.1')
  assert.equal(trusted.get('x-forwarded-proto'), 'https')
  assert.equal(trusted.get('x-forwarded-host'), 'shop.example')
  assert.equal(trusted.get('x-request-id'), 'given-by-the-proxy-1')
  await edge.apply({ members: [origin.port], forwarded: 'both' })
  await ask(get())
  assert.equal(last(origin.requests).fields.get('forwarded'), 'for=127.0.0.1;host="x.example:81";proto=http')
  await edge.apply({ members: [origin.port], forwarded: 'none' })
  await ask(get())
  for (const name of ['forwarded', 'x-forwarded-for']) assert.ok(!last(origin.requests).fields.has(name))
})

test('each request has an id of its own, and a trace that is passed on or begun', async t => {
  const origin = await serve(edge, t)
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  for (let i = 0; i < 20; i++)
    await ask(get(i % 2 ? `traceparent: ${trace}\r\ntracestate: a=b\r\n` : 'tracestate: a=b\r\n'))
  assert.equal(new Set(origin.requests.map(request => request.fields.get('x-request-id'))).size, 20)
  for (const [at, { fields }] of origin.requests.entries()) {
    if (at % 2) {
      assert.equal(fields.get('traceparent'), trace)
      assert.equal(fields.get('tracestate'), 'a=b')
    } else {
      assert.match(fields.get('traceparent') ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
      assert.ok(!fields.has('tracestate'), 'a state belongs to its trace')
    }
  }
  await ask(get('traceparent: 00-zz\r\n'))
  assert.match(last(origin.requests).fields.get('traceparent') ?? '', /^00-[0-9a-f]{32}-/)
})

test('Via is added to what is there, and a request that has been here before is 508', async t => {
  const origin = await serve(edge, t)
  await ask(get('Via: 1.1 first\r\n'))
  const via = last(origin.requests).fields.get('via') as string
  assert.match(via, /^1\.1 first, 1\.1 \S+$/)
  await edge.apply({ members: [edge.port] })
  assert.equal((await ask(get())).status, 508, 'an edge that is its own instance')
})

test('header rules set and remove, on requests and answers, Host included', async t => {
  const origin = await serve(
    edge,
    t,
    answering(() => ok('ok', 'Server: secret/1\r\nX-A: origin\r\n')),
    {
      routes: [
        proxyRoute('/*', {
          requestHeaders: {
            set: { 'X-Set': 'by rule', Host: 'inside.example', 'User-Agent': 'edge' },
            remove: ['X-Gone', 'Accept'],
          },
          responseHeaders: {
            set: { 'X-A': 'edge', 'Strict-Transport-Security': 'max-age=1' },
            remove: ['Server'],
          },
        }),
      ],
    },
  )
  const response = await ask(get('X-Gone: 1\r\nX-Set: by client\r\nAccept: a\r\nUser-Agent: b\r\n'))
  const { fields } = last(origin.requests)
  assert.equal(fields.get('x-set'), 'by rule')
  assert.equal(fields.get('host'), 'inside.example')
  assert.equal(fields.get('user-agent'), 'edge')
  assert.ok(!fields.has('x-gone') && !fields.has('accept'))
  assert.equal(response.fields.get('x-a'), 'edge')
  assert.equal(response.fields.get('strict-transport-security'), 'max-age=1')
  assert.ok(!response.fields.has('server'))
})

test("a redirect to the instance's own address becomes one to ours; others stay as they are", async t => {
  let location = ''
  const origin = await serve(
    edge,
    t,
    answering(() => `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
  )
  for (const [given, wanted] of [
    [`http://127.0.0.1:${origin.port}/a?b`, '/a?b'],
    [`http://127.0.0.1:${origin.port}`, '/'],
    [`http://127.0.0.1:${origin.port}0/other-port`, `http://127.0.0.1:${origin.port}0/other-port`],
    ['https://elsewhere.example/', 'https://elsewhere.example/'],
    ['/relative', '/relative'],
  ] as const) {
    location = given
    assert.equal((await ask(get())).fields.get('location'), wanted)
  }
})

test('routes match by host, path, method and header; the first one wins', async t => {
  const named = async (name: string): Promise<number> =>
    (
      await startRawOrigin(
        t,
        answering(() => ok(name)),
      )
    ).port
  const names = ['host', 'wild', 'exact', 'prefix', 'parameter', 'method', 'header']
  const upstreams = await Promise.all(names.map(async name => upstreamOf(name, [await named(name)])))
  const to = (name: string, match: RouteSpec['match']): RouteSpec => ({
    id: name,
    match,
    action: { kind: 'proxy', upstream: name, upgrade: false },
  })
  await edge.apply({
    members: [await named('rest')],
    upstreams,
    routes: [
      to('host', { host: 'one.example', path: '/*' }),
      to('wild', { host: '*.many.example', path: '/*' }),
      to('exact', { path: '/exact' }),
      to('prefix', { path: '/prefix/*' }),
      to('parameter', { path: '/rooms/:id/seats' }),
      to('method', { path: '/*', methods: ['DELETE'] }),
      to('header', { path: '/*', headers: { 'x-beta': '1' } }),
      proxyRoute('/*'),
    ],
  })
  for (const [wanted, line, host, fields] of [
    ['host', 'GET /exact', 'ONE.example:80', ''],
    ['wild', 'GET /', 'a.b.many.example', ''],
    ['rest', 'GET /', 'many.example', ''],
    ['exact', 'GET /exact?q=1', 'x', ''],
    ['rest', 'GET /exact/', 'x', ''],
    ['prefix', 'GET /prefix', 'x', ''],
    ['prefix', 'GET /prefix/a/b', 'x', ''],
    ['rest', 'GET /prefixed', 'x', ''],
    ['parameter', 'GET /rooms/7/seats', 'x', ''],
    ['rest', 'GET /rooms/7/8/seats', 'x', ''],
    ['method', 'DELETE /a', 'x', ''],
    ['header', 'GET /', 'x', 'X-Beta: 1\r\n'],
    ['rest', 'GET /', 'x', 'X-Beta: 2\r\n'],
    // Dots and encodings are resolved before a route is chosen.
    ['prefix', 'GET /a/../prefix/b', 'x', ''],
    ['prefix', 'GET /%70refix/b', 'x', ''],
    ['rest', 'GET /prefix/../a', 'x', ''],
    ['rest', 'GET /prefix/%2e%2E/a', 'x', ''],
  ] as const) {
    const response = await ask(`${line} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n${fields}\r\n`)
    assert.equal(response.body.toString(), wanted, `${line} at ${host} ${fields}`)
  }
})

test('the path that was matched is the path that is forwarded', async t => {
  const origin = await serve(edge, t)
  for (const [given, forwarded] of [
    ['/a/./b/../c?x=../y', '/a/c?x=../y'],
    ['/%41%2d%7e', '/A-~'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%3fb', '/a%3Fb'],
    ['/%252e%252e/', '/%252e%252e/'],
    ['//a//b', '//a//b'],
    ['/a/..;/b', '/a/..;/b'],
    ['/?', '/?'],
  ] as const) {
    assert.equal((await ask(get('', given))).status, 200)
    assert.equal(last(origin.requests).startLine, `GET ${forwarded} HTTP/1.1`)
  }
})

test('a prefix is rewritten, a redirect and a fixed answer are given, and no route is 404', async t => {
  const origin = await serve(edge, t, undefined, {
    routes: [
      proxyRoute('/api/*', {}, { rewritePrefix: { from: '/api', to: '/' } }),
      proxyRoute('/v1/*', {}, { rewritePrefix: { from: '/v1', to: '/inner' } }),
      {
        id: 'moved',
        match: { path: '/old/*' },
        action: { kind: 'redirect', status: 308, location: 'https://{host}/new{uri}' },
        responseHeaders: { set: { 'X-Rule': '1' } },
      },
      {
        id: 'fixed',
        match: { path: '/fixed' },
        action: { kind: 'respond', status: 418, body: 'gr\u00fc\u00df', contentType: 'text/plain' },
      },
      {
        id: 'empty',
        match: { path: '/empty' },
        action: { kind: 'respond', status: 204, body: 'nobody', contentType: 'text/plain' },
      },
    ],
  })
  for (const [given, wanted] of [
    ['/api', '/'],
    ['/api/', '/'],
    ['/api/a/b?c', '/a/b?c'],
    ['/api?c', '/?c'],
    ['/v1/a', '/inner/a'],
    ['/v1', '/inner'],
  ] as const) {
    assert.equal((await ask(get('', given))).status, 200)
    assert.equal(last(origin.requests).startLine, `GET ${wanted} HTTP/1.1`)
  }
  const moved = await ask(get('', "/old/a?b=$&$'$`"))
  assert.equal(moved.status, 308)
  assert.equal(moved.fields.get('location'), "https://x.example/new/old/a?b=$&$'$`")
  assert.equal(moved.fields.get('x-rule'), '1')
  const client = await edge.connect()
  client.write(get('', '/fixed') + get('', '/empty') + get('', '/nowhere') + get('', '/api'))
  const fixed = await client.response()
  assert.deepEqual([fixed.status, fixed.body.toString()], [418, 'gr\u00fc\u00df'])
  const empty = await client.response()
  assert.equal(empty.status, 204)
  assert.ok(!empty.fields.has('content-length'), 'RFC 9110 8.6')
  assert.equal((await client.response()).status, 404)
  assert.equal((await client.response()).status, 200, 'all on one connection')
})

test('pipelined requests are answered in order, one after the other, and nothing after a bad one is read', async t => {
  let atOnce = 0
  const origin = await serve(
    edge,
    t,
    answering(async request => {
      assert.equal(++atOnce, 1, 'one at a time')
      const path = request.startLine.split(' ')[1] as string
      await new Promise(resolve => setTimeout(resolve, path === '/0' ? 100 : 1))
      atOnce--
      return ok(path)
    }),
  )
  const client = await edge.connect()
  for (let i = 0; i < 50; i++) client.write(get('', `/${i}`))
  for (let i = 0; i < 50; i++) assert.equal((await client.response()).body.toString(), `/${i}`)
  const other = await edge.connect()
  other.write(`${get('', '/good')}BAD\r\n\r\n${get('', '/never')}`)
  assert.equal((await other.response()).status, 200)
  assert.equal((await other.response()).status, 400)
  await other.rest()
  assert.equal(last(origin.requests).startLine, 'GET /good HTTP/1.1')
})

test('the access log has a JSON line a request with what was decided, and the metrics are readable', async t => {
  const own = await startEdge({ after: end => t.after(end) }, { accessLog: true })
  const origin = await startRawOrigin(t)
  await own.apply({ members: [origin.port], accessLog: true })
  const client = await own.connect()
  client.write(get('Accept: a"b\r\n', '/a%22b?secret=1'))
  await client.response()
  client.write('POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc')
  await client.response()
  client.write('BAD "\\ \x7f\r\n\r\n')
  await client.response()
  const [first, second, third] = await own.logLines(3)
  assert.equal(first?.path, '/a%22b')
  assert.equal(first?.status, 200)
  assert.equal(first?.route, '/*')
  assert.equal(first?.member, 'app-0')
  assert.equal(first?.client, '127.0.0.1')
  assert.equal(first?.bytesOut, 2)
  assert.equal(typeof first?.chosenBy, 'string')
  for (const key of ['at', 'id', 'method', 'host', 'ms', 'firstByteMs']) assert.ok(key in (first ?? {}), key)
  assert.equal(second?.bytesIn, 3)
  assert.equal(third?.status, 400)
  assert.equal(third?.error, 'bad-request-line')
  const metrics = await own.metrics()
  for (const line of metrics.split('\n').slice(0, -1))
    assert.match(
      line,
      /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)+\})? (\d+(\.\d+)?(e[+-]?\d+)?|\+Inf|NaN))$/,
    )
  assert.match(metrics, /edge_requests_total\{route="\/\*",status="2xx"\} 2\n/)
  assert.match(metrics, /edge_requests_total\{route="\(no route\)",status="4xx"\} 1\n/)
})
