// The edge's HTTP cache as clients, instances and operators see it, through a real edge: what is stored, served, validated
// and forgotten, beside the other features of a route.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type Answer, answers, ask, asked, cachedRoute, cacheSpec, withCache } from '../tools/cached-edge.ts'
import { type EdgeUnderTest, serve, startEdge, until } from '../tools/edge-harness.ts'
import { type Http2Answer, openHttp2 } from '../tools/http2-client.ts'
import { ok } from '../tools/raw-origin.ts'

const edge: EdgeUnderTest = await startEdge(
  { after },
  { workers: 2, routes: [cachedRoute()], more: withCache() },
)

let serial = 0
/** A path that no test has asked for. */
const newPath = (): string => `/thing-${++serial}`

const get = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
  ask(edge.port, path, headers, method)

const said = ({ headers }: Answer): string => headers['cache-status'] ?? ''

test('a second request is answered from the store, with Age and Cache-Status', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('hello', 'Cache-Control: max-age=60\r\nX-Own: 1\r\n')),
  )
  const path = newPath()
  const first = await get(path)
  assert.equal(first.text, 'hello')
  assert.match(said(first), /^tenfold; fwd=uri-miss; fwd-status=200; stored$/)
  const second = await get(path)
  assert.equal(second.text, 'hello')
  assert.match(said(second), /^tenfold; hit; ttl=(?:60|59)$/)
  assert.match(second.headers.age ?? '', /^[01]$/)
  assert.equal(second.headers['x-own'], '1')
  assert.equal(second.headers['content-length'], '5')
  assert.equal(origin.requests.length, 1)
})

const fresh = 'Cache-Control: max-age=60\r\n'
/** Stale from its first second on. */
const stale = (more = ''): string => `Cache-Control: max-age=0${more}\r\n`

test('HEAD is answered from what a GET stored, and stores nothing itself', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ method }) =>
      method === 'HEAD' ? `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n${fresh}\r\n` : ok('hello', fresh),
    ),
  )
  const path = newPath()
  assert.match(said(await get(path, {}, 'HEAD')), /fwd=uri-miss.*detail=head/)
  assert.equal((await get(path)).text, 'hello')
  const head = await get(path, {}, 'HEAD')
  assert.match(said(head), /hit/)
  assert.equal(head.headers['content-length'], '5')
  assert.equal(head.text, '')
  assert.equal(origin.requests.length, 2)
})

test('conditions and ranges of clients are judged by what is stored', async t => {
  const fields = `${fresh}ETag: "v1"\r\nContent-Type: text/plain\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n`
  const origin = await serve(
    edge,
    t,
    answers(() => ok('0123456789', fields)),
  )
  const path = newPath()
  await get(path)
  const unchanged = await get(path, { 'If-None-Match': '"other", W/"v1"' })
  assert.equal(unchanged.status, 304)
  assert.equal(unchanged.headers.etag, '"v1"')
  assert.equal(unchanged.headers['content-type'], undefined)
  assert.match(said(unchanged), /hit/)
  assert.equal((await get(path, { 'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT' })).status, 304)
  assert.equal((await get(path, { 'If-None-Match': '"v2"' })).status, 200)
  const part = await get(path, { Range: 'bytes=2-4' })
  assert.equal(part.status, 206)
  assert.equal(part.headers['content-range'], 'bytes 2-4/10')
  assert.equal(part.text, '234')
  const parts = await get(path, { Range: 'bytes=0-0,9-9' })
  assert.equal((await get(path, { Range: 'bytes=2-4', 'If-Range': '"old"' })).text, '0123456789')
  assert.ok(parts.status === 206 || parts.status === 200)
  const beyond = await get(path, { Range: 'bytes=20-' })
  assert.equal(beyond.status, 416)
  assert.equal(beyond.headers['content-range'], 'bytes */10')
  assert.equal(origin.requests.length, 1)
})

test('what is stale is validated with its own validators, and a 304 answers the client with the whole', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ headers }) =>
      headers['if-none-match'] === undefined
        ? ok('whole', `${stale()}ETag: "v1"\r\nX-Seen: first\r\n`)
        : `HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nX-Seen: again\r\n${fresh}\r\n`,
    ),
  )
  const path = newPath()
  assert.equal((await get(path)).text, 'whole')
  const second = await get(path, { 'If-None-Match': '"mine"' })
  assert.equal(second.status, 200)
  assert.equal(second.text, 'whole')
  assert.match(said(second), /fwd=stale; fwd-status=304/)
  assert.equal(second.headers['x-seen'], 'again')
  assert.equal(origin.requests[1]?.fields.get('if-none-match'), '"v1"')
  const third = await get(path)
  assert.match(said(third), /hit/)
  assert.equal(third.headers['x-seen'], 'again')
  assert.equal(third.text, 'whole')
  assert.equal(origin.requests.length, 2)
})

test('an answer that changed replaces what was stored, and is told with 304 to a client that has it', async t => {
  let version = 1
  await serve(
    edge,
    t,
    answers(({ headers }) =>
      headers['if-none-match'] === `"v${version}"`
        ? `HTTP/1.1 304 Not Modified\r\nETag: "v${version}"\r\n\r\n`
        : ok(`body ${version}`, `${stale()}ETag: "v${version}"\r\n`),
    ),
  )
  const path = newPath()
  assert.equal((await get(path)).text, 'body 1')
  version = 2
  const has = await get(path, { 'If-None-Match': '"v2"' })
  assert.equal(has.status, 304)
  assert.equal(has.headers.etag, '"v2"')
  assert.equal((await get(path)).text, 'body 2')
})

test('Vary keeps several variants apart; a request with other fields asks the origin', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ headers }) => ok(`in ${headers['accept-language']}`, `${fresh}Vary: Accept-Language\r\n`)),
  )
  const path = newPath()
  for (const language of ['en', 'de', 'en', 'de'])
    assert.equal((await get(path, { 'Accept-Language': language })).text, `in ${language}`)
  assert.equal(origin.requests.length, 2)
})

test('what is private, sets a cookie, or says nothing is not stored; Set-Cookie never reaches another client', async t => {
  const bodies: Record<string, string> = {
    private: ok('a', 'Cache-Control: private, max-age=60\r\n'),
    cookie: ok('a', `${fresh}Set-Cookie: a=1\r\n`),
    silent: ok('a'),
    star: ok('a', `${fresh}Vary: *\r\n`),
    closing: `HTTP/1.1 200 OK\r\n${fresh}Connection: close\r\n\r\na`,
    events: `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1\r\n${fresh}\r\na`,
  }
  const origin = await serve(
    edge,
    t,
    answers(({ target }, peer) => {
      const name = target.split('/')[2] as string
      peer.write(bodies[name] as string)
      if (name === 'closing') peer.socket.end()
      return undefined
    }),
  )
  const path = newPath()
  for (const name of Object.keys(bodies)) {
    for (let i = 0; i < 2; i++) assert.equal((await get(`${path}/${name}`)).text, 'a')
    const seen = origin.requests.filter(one => asked(one).target === `${path}/${name}`)
    assert.equal(seen.length, 2, `${name} is not stored`)
  }
})

test('stale-while-revalidate serves what it has and validates behind it, once', async t => {
  let version = 1
  const origin = await serve(
    edge,
    t,
    answers(() => ok(`body ${version}`, stale(', stale-while-revalidate=60'))),
  )
  const path = newPath()
  await get(path)
  version = 2
  const served = await get(path)
  assert.equal(served.text, 'body 1')
  assert.match(said(served), /detail=stale-while-revalidate/)
  await until('the answer behind', async () => (await get(path)).text === 'body 2')
  assert.ok(origin.requests.length >= 2)
  await edge.idle()
})

test('unsafe methods forget their target and what Location names; errors do not', async t => {
  let count = 0
  const origin = await serve(
    edge,
    t,
    answers(({ method, target, headers }) => {
      if (method === 'GET') return ok(`${++count}`, fresh)
      return headers['x-fail'] === undefined
        ? ok('', `Location: ${target}/child\r\n`)
        : 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'
    }),
  )
  const path = newPath()
  const both = async (): Promise<string> => `${(await get(path)).text} ${(await get(`${path}/child`)).text}`
  assert.equal(await both(), '1 2')
  await get(path, { 'X-Fail': '1' }, 'POST')
  assert.equal(await both(), '1 2')
  await get(path, {}, 'POST')
  assert.equal(await both(), '3 4')
  assert.ok(origin.requests.length >= 6)
})

test('only-if-cached is answered 504 where nothing is stored', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('x', fresh)),
  )
  const path = newPath()
  const refused = await get(path, { 'Cache-Control': 'only-if-cached', Accept: 'application/json' })
  assert.equal(refused.status, 504)
  assert.equal((JSON.parse(refused.text) as { error: { code: string } }).error.code, 'not-stored')
  await get(path)
  assert.equal((await get(path, { 'Cache-Control': 'only-if-cached' })).status, 200)
  assert.equal(origin.requests.length, 1)
})

test('large answers are stored in pieces and come out byte for byte, over several workers', async t => {
  const body = Buffer.alloc(700_001, 'abcdefghij\n')
  const origin = await serve(
    edge,
    t,
    answers((_request, peer) => {
      peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fresh}\r\n`)
      peer.write(body)
      return undefined
    }),
  )
  const path = newPath()
  for (let i = 0; i < 6; i++) {
    const response = await get(path)
    assert.ok(body.equals(response.bytes))
    if (i > 0) assert.match(said(response), /hit/)
  }
  const part = await get(path, { Range: 'bytes=300000-300009' })
  assert.equal(part.text, body.toString('latin1', 300_000, 300_010))
  assert.equal(origin.requests.length, 1)
})

test('chunked answers are stored; those with trailers are not', async t => {
  const chunked = (trailer: string): string =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${fresh}\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n${trailer}\r\n`
  const origin = await serve(
    edge,
    t,
    answers(({ target }) => chunked(target.endsWith('t') ? 'X-Sum: 1\r\n' : '')),
  )
  const path = newPath()
  for (let i = 0; i < 2; i++) assert.equal((await get(path)).text, 'hello world')
  assert.equal((await get(path)).headers['content-length'], '11')
  assert.equal(origin.requests.length, 1)
  for (let i = 0; i < 2; i++) assert.equal((await get(`${path}t`)).text, 'hello world')
  assert.equal(origin.requests.length, 3)
})

test('a purge by target, prefix or tag reaches every worker; a soft one leaves what is served while it is validated', async t => {
  let count = 0
  await serve(
    edge,
    t,
    answers(() => ok(`${++count}`, `${fresh}Surrogate-Key: films film:7\r\n`)),
  )
  const path = newPath()
  const text = async (): Promise<string> => (await get(path)).text
  assert.equal(await text(), '1')
  const whats = [{ targets: [path] }, { prefixes: [`${path}/`, '/'] }, { tags: ['film:7'] }, { all: true }]
  for (const [at, what] of whats.entries()) {
    await edge.call('purge', { what })
    for (let i = 0; i < 8; i++) assert.equal(await text(), `${at + 2}`, JSON.stringify(what))
  }
  await edge.call('purge', { what: { tags: ['films'], soft: true } })
  assert.equal(await text(), '5')
  await until('the answer behind', async () => (await text()) === '6')
  await assert.rejects(edge.call('purge', { what: { tags: 'films' as never } }), /lists of targets/)
})

test('a purge finds what it names however it is spelled, and what is below a prefix with any query', async t => {
  const only = { ...cacheSpec().key, query: { only: ['page'] } }
  await serve(
    edge,
    t,
    answers(() => ok('x', fresh)),
    { routes: [cachedRoute('/chosen/*', { key: only }), cachedRoute('/*')] },
  )
  const host = 'spelled.example'
  const cases: readonly [string, Record<string, readonly string[]>][] = [
    ['/spelled?b=2&a=1', { targets: [`${host}/spelled?b=2&a=1`] }],
    ['/spelled/%61', { targets: [`${host}/spelled/%61`] }],
    ['/spelled/a%2Fb', { targets: ['/spelled/a%2fb'] }],
    ['/spelled/host', { targets: ['Spelled.Example/spelled/host'] }],
    ['/chosen/films?page=2&from=mail', { targets: [`${host}/chosen/films?from=mail&page=2`] }],
    ['/spelled/list?page=2', { prefixes: ['Spelled.Example/spelled/list'] }],
  ]
  for (const [path, what] of cases) {
    await get(path, { host })
    assert.match(said(await get(path, { host })), /hit/, path)
    await edge.call('purge', { what })
    assert.doesNotMatch(said(await get(path, { host })), /hit/, path)
  }
})

test('rules stand above the origin: ttl, negative, browserTtl, tags, bypass, key', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ target }) => (target.includes('missing') ? notFound : ok('x'))),
    {
      routes: [
        cachedRoute('/films/:id', {
          ttlMs: 60_000,
          negativeMs: { 404: 60_000 },
          browserTtlMs: 5_000,
          tags: ['film:{id}'],
          key: { query: { only: ['page'] }, headers: [], cookies: ['shop'], device: false, languages: [] },
          bypass: { headers: ['x-preview'], cookies: ['session'], query: ['draft'] },
        }),
      ],
    },
  )
  const counted = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
    const before = origin.requests.length
    await get(path, headers)
    return origin.requests.length - before
  }
  assert.equal(await counted('/films/1'), 1)
  assert.equal(await counted('/films/1?utm=1'), 0)
  assert.equal(await counted('/films/1', { 'Cache-Control': 'no-cache' }), 0)
  assert.equal(await counted('/films/1?page=2'), 1)
  assert.equal(await counted('/films/1', { Cookie: 'shop=b' }), 1)
  assert.equal(await counted('/films/1', { Cookie: 'shop=b; other=1' }), 0)
  assert.equal(await counted('/films/1', { Cookie: 'session=1' }), 1)
  assert.equal(await counted('/films/1', { 'X-Preview': '1' }), 1)
  assert.equal(await counted('/films/1?draft=1'), 1)
  assert.equal(await counted('/films/missing'), 1)
  assert.equal(await counted('/films/missing'), 0)
  const hit = await get('/films/1')
  assert.equal(hit.headers['cache-control'], 'max-age=5')
  await edge.call('purge', { what: { tags: ['film:1'] } })
  assert.equal(await counted('/films/1'), 1)
  assert.equal(await counted('/films/missing'), 0)
})

const notFound = 'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone'

test('own rules for fields, CORS, HSTS and compression are at work on stored answers too', async t => {
  const big = 'compress me, please. '.repeat(400)
  const origin = await serve(
    edge,
    t,
    answers(() => ok(big, `${fresh}Content-Type: text/plain\r\nX-Inner: secret\r\nETag: "a"\r\n`)),
    {
      routes: [
        cachedRoute(
          '/*',
          {},
          {
            responseHeaders: { set: { 'X-Outer': 'yes' }, remove: ['X-Inner'] },
            cors: {
              origins: ['https://shop.example'],
              methods: ['GET'],
              requestHeaders: [],
              exposeHeaders: [],
              credentials: false,
              maxAgeSeconds: 60,
            },
            compress: { encodings: ['gzip'], bytesMin: 100, types: ['text/*'], level: 'fast' },
          },
        ),
      ],
    },
  )
  const path = newPath()
  for (const result of ['stored', 'hit', 'hit']) {
    const response = await get(path, { Origin: 'https://shop.example', 'Accept-Encoding': 'gzip' })
    assert.match(said(response), new RegExp(result))
    assert.equal(response.headers['content-encoding'], 'gzip')
    assert.equal(response.headers['x-outer'], 'yes')
    assert.equal(response.headers['x-inner'], undefined)
    assert.equal(response.headers['access-control-allow-origin'], 'https://shop.example')
    assert.equal(gunzipSync(response.bytes).toString(), big)
  }
  const plain = await get(path, { 'Accept-Encoding': 'identity' })
  assert.equal(plain.headers['access-control-allow-origin'], undefined)
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.text, big)
  const unchanged = await get(path, { 'If-None-Match': 'W/"a"', 'Accept-Encoding': 'gzip' })
  assert.equal(unchanged.status, 304)
  assert.equal(origin.requests.length, 1)
})

test('what is stored stays valid over snapshots; a key by other rules is another key', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('x', fresh)),
  )
  const path = newPath()
  await get(path)
  await edge.apply({ members: [origin.port], routes: [cachedRoute('/*', { staleIfErrorMs: 1_000 })] })
  assert.match(said(await get(path)), /hit/)
  const key = { query: 'none', headers: [], cookies: [], device: false, languages: [] } as const
  await edge.apply({ members: [origin.port], routes: [cachedRoute('/*', { key })] })
  assert.match(said(await get(path)), /fwd=uri-miss/)
})

test('operators see what is stored, push it ahead, and count what the cache did', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('pushed', `${fresh}ETag: "p"\r\n`)),
  )
  const path = newPath()
  const url = `http://127.0.0.1:${edge.port}${path}`
  assert.match((await edge.call('cacheLook', { url })).why, /nothing is stored/)
  const pushed = await edge.call('push', { url, from: 'origin' })
  assert.deepEqual(pushed, { stored: true, status: 200, bytes: 6, why: '' })
  const look = await edge.call('cacheLook', { url })
  assert.equal(look.entry?.state, 'fresh')
  assert.equal(look.entry?.bodyBytes, 6)
  assert.equal(look.route, '/*')
  const hit = await get(path)
  assert.match(said(hit), /hit/)
  assert.equal(hit.text, 'pushed')
  assert.equal(origin.requests.length, 1)

  const file = join(edge.stateDirectory, 'upload.txt')
  writeFileSync(file, 'from a file')
  const fromFile = { file, contentType: 'text/plain', ttlMs: 60_000, tags: ['files'] }
  const uploaded = await edge.call('push', { url: `${url}/file`, from: fromFile })
  assert.deepEqual(uploaded, { stored: true, status: 200, bytes: 11, why: '' })
  const served = await get(`${path}/file`)
  assert.equal(served.text, 'from a file')
  assert.equal(served.headers['content-length'], '11')
  assert.equal(origin.requests.length, 1)
  const gone = await edge.call('push', { url, from: { ...fromFile, file: `${file}.gone` } })
  assert.match(gone.why, /can't be read: ENOENT/)
  await assert.rejects(edge.call('push', { url: 'ftp://x/', from: 'origin' }), /not an absolute/)

  const status = await edge.call('cacheStatus', {})
  assert.ok((status?.store.entries ?? 0) > 0)
  const route = status?.routes.find(({ id }) => id === '/*')
  assert.ok(route !== undefined && route.hits > 0 && route.misses > 0 && route.hitBytes > 0)
  const metrics = await edge.metrics()
  assert.match(metrics, /^edge_cache_requests_total\{route="\/\*",result="hit"\} [1-9]/m)
  assert.match(metrics, /^edge_cache_entries [1-9]/m)
})

test('CDN-Cache-Control stands above Cache-Control and Expires where it is valid, and is ignored where it is not', async t => {
  const fieldsOf: Record<string, string> = {
    fresh: 'CDN-Cache-Control: max-age=60\r\nCache-Control: no-store\r\n',
    none: 'CDN-Cache-Control: no-store\r\nCache-Control: max-age=60\r\n',
    expired: 'CDN-Cache-Control: max-age=0\r\nCache-Control: max-age=60\r\n',
    unknown: 'CDN-Cache-Control: max-age=60, whatever=1\r\n',
    malformed: 'CDN-Cache-Control: max-age=60,,;\r\nCache-Control: no-store\r\n',
    ignored: 'CDN-Cache-Control: &&\r\nCache-Control: max-age=60\r\n',
    aged: 'CDN-Cache-Control: max-age=60\r\nAge: 70\r\n',
  }
  const path = newPath()
  const origin = await serve(
    edge,
    t,
    answers(({ target }) => ok('x', fieldsOf[target.split('/')[2] as string])),
  )
  const stored: string[] = []
  for (const name of Object.keys(fieldsOf)) {
    const before = origin.requests.length
    await get(`${path}/${name}`)
    await get(`${path}/${name}`)
    if (origin.requests.length === before + 1) stored.push(name)
  }
  assert.deepEqual(stored, ['fresh', 'unknown', 'ignored'])
})

test('interim answers pass and are not taken for the answer that is stored', async t => {
  const origin = await serve(
    edge,
    t,
    answers(
      () =>
        `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nCache-Control: max-age=9\r\n\r\n${ok('final', fresh)}`,
    ),
  )
  const path = newPath()
  assert.equal((await get(path)).text, 'final')
  const hit = await get(path)
  assert.equal(hit.text, 'final')
  assert.equal(hit.headers.link, undefined)
  assert.equal(origin.requests.length, 1)
})

test('a part is stored for the same range and for ranges inside of it; the whole is stored when the origin sends that', async t => {
  const body = '0123456789'
  const origin = await serve(
    edge,
    t,
    answers(({ headers, target }) => {
      const range = target.endsWith('whole') ? undefined : headers.range
      if (range !== 'bytes=2-7') return ok(body, fresh)
      return `HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\nContent-Range: bytes 2-7/10\r\n${fresh}\r\n234567`
    }),
  )
  const path = newPath()
  const part = (range: string, at = path): Promise<Answer> => get(at, { Range: range })
  assert.equal((await part('bytes=2-7')).text, '234567')
  const same = await part('bytes=2-7')
  assert.equal(same.headers['content-range'], 'bytes 2-7/10')
  assert.match(said(same), /hit/)
  const inside = await part('bytes=4-5')
  assert.equal(inside.status, 206)
  assert.equal(inside.headers['content-range'], 'bytes 4-5/10')
  assert.equal(inside.text, '45')
  assert.equal(origin.requests.length, 1)
  assert.equal((await get(path)).text, body)
  assert.equal((await part('bytes=0-1', `${path}/whole`)).status, 200)
  assert.match(said(await get(`${path}/whole`)), /hit/)
})

test('the answer to a POST whose Content-Location is its target is what a GET gets', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ target, method, headers }) =>
      ok(method, `${headers['x-own'] === undefined ? '' : `Content-Location: ${target}\r\n`}${fresh}`),
    ),
  )
  const path = newPath()
  await get(path, { 'X-Own': '1' }, 'POST')
  assert.equal((await get(path)).text, 'POST')
  await get(path, {}, 'POST')
  assert.equal((await get(path)).text, 'GET')
  assert.equal(origin.requests.length, 3)
})

test('who likes a language best gets the variant in it, whatever else he takes', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('deutsch', `${fresh}Vary: Accept-Language\r\nContent-Language: de\r\n`)),
  )
  const path = newPath()
  await get(path, { 'Accept-Language': 'en, de' })
  assert.match(said(await get(path, { 'Accept-Language': 'fr;q=0.5, de;q=1.0' })), /hit/)
  assert.match(said(await get(path, { 'Accept-Language': 'de' })), /hit/)
  assert.equal(origin.requests.length, 1)
  await get(path, { 'Accept-Language': 'fr, de;q=0.5' })
  assert.equal(origin.requests.length, 2)
})

test('Authorization keeps answers apart unless the origin shares them; fields that mislead origins do not go on', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ target, headers }) =>
      ok(
        `${headers.authorization}`,
        target.endsWith('public') ? 'Cache-Control: public, max-age=60\r\n' : fresh,
      ),
    ),
  )
  const path = newPath()
  const as = (user: string, at = path): Promise<Answer> =>
    get(at, { Authorization: user, 'X-Original-URL': '/admin' })
  assert.equal((await as('one')).text, 'one')
  assert.equal((await as('two')).text, 'two')
  assert.equal((await as('one', `${path}/public`)).text, 'one')
  assert.equal((await as('two', `${path}/public`)).text, 'one')
  assert.ok(origin.requests.every(({ fields }) => !fields.has('x-original-url')))
})

test('a GET with a body, an upgrade and conditions that are not for caches go past', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('x', fresh)),
  )
  const path = newPath()
  await get(path)
  assert.match(said(await get(path, { 'If-Match': '"a"' })), /fwd=bypass/)
  const peer = await edge.connect()
  peer.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${edge.port}\r\nContent-Length: 3\r\n\r\nfat`)
  const fat = await peer.response()
  assert.match(fat.fields.get('cache-status') ?? '', /fwd=bypass/)
  assert.equal(origin.requests.length, 3)
  assert.match(said(await get(path)), /hit/)
})

test('the access log says what the cache did', async t => {
  const logged = await startEdge(t, { accessLog: true, routes: [cachedRoute()], more: withCache() })
  await serve(
    logged,
    t,
    answers(() => ok('x', fresh)),
  )
  for (let i = 0; i < 2; i++) await ask(logged.port, '/logged')
  const lines = await logged.logLines(2)
  assert.deepEqual(
    lines.map(line => line.cache),
    ['miss', 'hit'],
  )
  assert.equal(lines[1]?.member, undefined)
})

test('refresh ahead validates an entry near its end while it is still served', async t => {
  const origin = await serve(
    edge,
    t,
    answers(() => ok('x', 'Cache-Control: max-age=3600\r\nAge: 3000\r\nETag: "a"\r\n')),
    { routes: [cachedRoute('/*', { refreshAhead: 1 })] },
  )
  const path = newPath()
  await get(path)
  await until('the origin to be asked ahead', async () => {
    assert.match(said(await get(path)), /hit/)
    return origin.requests.length > 1
  })
  assert.equal(origin.requests[1]?.fields.get('if-none-match'), '"a"')
  await edge.idle()
})

test('what was pushed survives a restart on the disk; what was purged does not come back', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-cache-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const more = withCache({}, { disk: { directory: folder, bytes: 64 << 20, objectBytesMax: 8 << 20 } })
  const setup = { routes: [cachedRoute()], more }
  const file = join(folder, 'upload.txt')
  writeFileSync(file, 'kept')
  const from = { file, contentType: 'text/plain', ttlMs: 3_600_000, tags: ['kept'] }
  const first = await startEdge(t, setup)
  const ahead = async (path: string, tags: readonly string[]): Promise<void> => {
    const pushed = await first.call('push', { url: `http://shop.example${path}`, from: { ...from, tags } })
    assert.equal(pushed.stored, true)
  }
  await ahead('/kept', ['kept'])
  await ahead('/gone', ['gone'])
  await first.call('purge', { what: { tags: ['gone'] } })
  await first.stop()
  const second = await startEdge(t, setup)
  const host = { Host: 'shop.example' }
  await until('the disk to be read', async () => (await ask(second.port, '/kept', host)).status === 200)
  const found = await ask(second.port, '/kept', host)
  assert.equal(found.text, 'kept')
  assert.match(said(found), /hit/)
  assert.equal((await ask(second.port, '/gone', host)).status, 503)
  assert.equal((await second.call('cacheLook', { url: 'http://shop.example/kept' })).entry?.state, 'fresh')
})

test('over HTTP/2 too: small and large hits, HEAD, ranges and 304', async t => {
  const large = Buffer.alloc(300_001, 'abc\n')
  const origin = await serve(
    edge,
    t,
    answers(({ target }, peer) => {
      if (!target.endsWith('large')) return ok('small', `${fresh}ETag: "s"\r\n`)
      peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n${fresh}\r\n`)
      peer.write(large)
      return undefined
    }),
  )
  const peer = await openHttp2(t, edge.url)
  const path = newPath()
  const over = (headers: Record<string, string>, at = path): Promise<Http2Answer> =>
    peer.ask({ ':path': at, ...headers })
  for (const result of [/stored/, /hit/, /hit/]) {
    const small = await over({})
    assert.match(String(small.headers['cache-status']), result)
    assert.equal(small.body.toString(), 'small')
    const big = await over({}, `${path}-large`)
    assert.match(String(big.headers['cache-status']), result)
    assert.ok(big.whole && big.body.equals(large))
  }
  const head = await over({ ':method': 'HEAD' }, `${path}-large`)
  assert.equal(head.headers['content-length'], `${large.length}`)
  assert.equal(head.body.length, 0)
  assert.equal((await over({ 'if-none-match': '"s"' })).status, 304)
  const part = await over({ range: 'bytes=-2' })
  assert.equal(part.status, 206)
  assert.equal(part.body.toString(), 'll')
  assert.equal(origin.requests.length, 2)
})

test('a hook that changes answers sees stored ones too', async t => {
  const module = join(edge.stateDirectory, 'cache-hooks.ts')
  writeFileSync(
    module,
    "export const mark = response => ({ headers: { set: { 'X-Hooked': String(response.status) } } })",
  )
  const hooks = { module, hash: 'one', onResponse: 'mark', deadlineMs: 20_000, onFailure: 'refuse' } as const
  const compress = { encodings: ['gzip'], bytesMin: 100, types: ['text/*'], level: 'fast' } as const
  const body = Buffer.alloc(400_000, 'hooked and compressed, ')
  const origin = await serve(
    edge,
    t,
    answers((_asked, peer) => {
      peer.write(
        `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n${fresh}\r\n`,
      )
      peer.write(body)
      return undefined
    }),
    { routes: [cachedRoute('/*', {}, { hooks, compress })] },
  )
  const path = newPath()
  for (const result of [/stored/, /hit/, /hit/]) {
    const answer = await get(path, { 'Accept-Encoding': 'gzip' })
    assert.match(said(answer), result)
    assert.equal(answer.headers['x-hooked'], '200')
    assert.ok(gunzipSync(answer.bytes).equals(body))
  }
  assert.equal(origin.requests.length, 1)
})

test('a rule for browsers does not become what is stored: a 304 is judged by what the origin said', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ headers }) =>
      headers['if-none-match'] === undefined
        ? ok('x', `${stale()}ETag: "a"\r\n`)
        : 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
    ),
    { routes: [cachedRoute('/*', { browserTtlMs: 3_600_000, immutable: true })] },
  )
  const path = newPath()
  for (let i = 1; i <= 3; i++) {
    const answer = await get(path)
    assert.equal(answer.text, 'x')
    assert.equal(answer.headers['cache-control'], 'max-age=3600, immutable')
    assert.equal(origin.requests.length, i)
  }
})

test('behind a trusted proxy the host that it names is part of the key, as it is what instances are told', async t => {
  const origin = await serve(
    edge,
    t,
    answers(({ headers }) => ok(`for ${headers['x-forwarded-host']}`, fresh)),
    { trustedProxies: ['127.0.0.0/8'] },
  )
  const path = newPath()
  const as = (host: string): Promise<Answer> => get(path, { 'X-Forwarded-Host': host })
  for (const host of ['a.example', 'b.example', 'a.example'])
    assert.equal((await as(host)).text, `for ${host}`)
  assert.equal(origin.requests.length, 2)
  assert.equal((await as('a.example, b.example')).text, 'for a.example, b.example')
})
