// Edge functions over real sockets: what hooks may change, what they may not, and that hooks which throw, loop, exhaust
// memory, die, never answer or answer junk harm nothing but their own calls.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { HooksSpec, RouteSpec } from '../../src/edge/snapshot.ts'
import { type EdgeUnderTest, proxyRoute, serve, startEdge, until } from '../tools/edge-harness.ts'
import { readExposition, sampleOf } from '../tools/exposition.ts'
import { answering, ok, type RawOrigin } from '../tools/raw-origin.ts'
import type { RawPeer, RawResponse } from '../tools/raw-peer.ts'

const folder = mkdtempSync(join(tmpdir(), 'tenfold-hooks-'))
const endings: (() => Promise<void> | void)[] = []
let edge: EdgeUnderTest
let written = 0

before(async () => {
  edge = await startEdge({ after: end => endings.push(end) }, { workers: 1 })
})
after(async () => {
  for (const end of endings.toReversed()) await end()
  rmSync(folder, { recursive: true, force: true })
})

/** A module of hooks; each call is another one, so no test sees the threads of another. */
function hooksOf(code: string, change: Partial<HooksSpec> = {}): HooksSpec {
  const module = join(folder, `hooks-${++written}.ts`)
  writeFileSync(module, code)
  return { module, hash: `hash-${written}`, deadlineMs: 5_000, onFailure: 'refuse', ...change }
}

function hooked(hooks: HooksSpec, change: Partial<RouteSpec> = {}): { routes: RouteSpec[] } {
  return { routes: [proxyRoute('/*', { hooks, ...change })] }
}

async function ask(client: RawPeer, path = '/', fields = ''): Promise<RawResponse> {
  client.write(`GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`)
  return await client.response()
}

async function counted(): Promise<{ calls: number; failures: number; late: number; restarts: number }> {
  const metrics = readExposition(await edge.metrics())
  const of = (name: string): number => sampleOf(metrics, name, { route: '/*' })
  return {
    calls: of('edge_hook_calls_total'),
    failures: of('edge_hook_failures_total'),
    late: of('edge_hook_late_total'),
    restarts: sampleOf(metrics, 'edge_hook_restarts_total', { worker: '0' }),
  }
}

const told = (pattern: RegExp): boolean => edge.events.some(event => pattern.test(event.text))

test('a request hook sees the request and changes its fields and path; the instance gets what it wants', async t => {
  const hooks = hooksOf(
    `import type { OnRequest } from 'tenfold'
     export const addUser: OnRequest = async request => {
       await new Promise(resolve => setTimeout(resolve, 1))
       return {
         url: '/v2' + request.url,
         headers: {
           set: { 'X-User': request.headers.get('x-who') ?? 'nobody', 'X-Two': ['a', 'b'] },
           append: { 'X-Seen': [request.method, request.host, request.clientAddress, String(request.id.length > 8)].join(' ') },
           remove: ['X-Who'],
         },
       }
     }`,
    { onRequest: 'addUser' },
  )
  const origin = await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  assert.equal((await ask(client, '/films?x=1', 'X-Who: ada\r\nX-Two: z\r\nX-Seen: before\r\n')).status, 200)
  const [got] = origin.requests
  assert.equal(got?.startLine, 'GET /v2/films?x=1 HTTP/1.1')
  assert.equal(got?.fields.get('x-user'), 'ada')
  assert.equal(got?.fields.get('x-two'), 'a, b')
  assert.equal(got?.fields.get('x-who'), undefined)
  assert.equal(got?.fields.get('x-seen'), 'before, GET shop.example 127.0.0.1 true')
})

test('a request hook answers by itself, also with bytes and to HEAD; bodies that it ignores do no harm', async t => {
  const hooks = hooksOf(
    `export function gate(request) {
       if (request.url === '/bytes') return { respond: { status: 200, headers: { 'Content-Type': 'image/x' }, body: new Uint8Array([0, 255, 10]) } }
       if (request.url === '/none') return { respond: { status: 204 } }
       if (request.headers.get('authorization') !== 'yes') return { respond: { status: 401, headers: { 'WWW-Authenticate': 'Basic' }, body: 'Zutritt für Gäste verboten' } }
     }`,
    { onRequest: 'gate' },
  )
  const origin = await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  const refused = await ask(client)
  assert.equal(refused.status, 401)
  assert.equal(refused.body.toString(), 'Zutritt für Gäste verboten')
  assert.equal(refused.fields.get('www-authenticate'), 'Basic')
  assert.equal(refused.fields.get('content-type'), 'text/plain; charset=utf-8')
  assert.deepEqual([...(await ask(client, '/bytes')).body], [0, 255, 10])
  assert.equal((await ask(client, '/none')).status, 204)
  assert.equal((await ask(client, '/', 'Authorization: yes\r\n')).status, 200)
  assert.equal(origin.requests.length, 1)
  const uploading = await edge.connect()
  uploading.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(50_000)}`)
  assert.equal((await uploading.response()).status, 401)
  assert.equal(origin.requests.length, 1)
})

test('a response hook changes status and fields of answers of every framing and size, bodies untouched', async t => {
  const hooks = hooksOf(
    `export const hide = (response, request) => ({
       status: response.status === 404 ? 410 : response.status,
       headers: {
         set: { 'X-Was': response.headers.get('x-is') + ' ' + request.url },
         append: { 'Set-Cookie': 'b=2' },
         remove: ['server'],
       },
     })`,
    { onResponse: 'hide' },
  )
  const large = Buffer.from(
    Array.from({ length: 300_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join(''),
  )
  const fields = 'Server: secret/1\r\nX-Is: here\r\nSet-Cookie: a=1\r\n'
  const answers: Record<string, string> = {
    '/small': ok('small', fields),
    '/large': ok(large.toString('latin1'), fields),
    '/empty': `HTTP/1.1 204 No Content\r\n${fields}\r\n`,
    '/gone': `HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n${fields}\r\nno`,
    '/chunked': `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${fields}\r\n5\r\nhello\r\n0\r\nX-T: end\r\n\r\n`,
  }
  await serve(
    edge,
    t,
    answering(request => answers[request.startLine.split(' ')[1] as string]),
    hooked(hooks),
  )
  const client = await edge.connect()
  for (const [path, status, body] of [
    ['/small', 200, 'small'],
    ['/large', 200, large.toString()],
    ['/gone', 410, 'no'],
    ['/chunked', 200, 'hello'],
    ['/empty', 204, ''],
  ] as const) {
    const response = await ask(client, path)
    assert.equal(response.status, status, path)
    assert.equal(response.body.toString(), body, path)
    assert.equal(response.fields.get('server'), undefined)
    assert.equal(response.fields.get('x-was'), `here ${path}`)
    assert.match(response.head, /Set-Cookie: a=1\r\n/)
    assert.match(response.head, /Set-Cookie: b=2\r\n/)
  }
  client.write('HEAD /small HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.match((await client.head()) ?? '', /content-length: 5/i)
})

test('hooks see and change HTTP/2 requests too, and what an answer is changed to decides whether it is compressed', async t => {
  const hooks = hooksOf(
    `export const ask = request => ({ headers: { set: { 'X-Asked': request.host + request.url } } })
     export const answer = (response, request) => ({
       headers: { set: { 'Content-Type': 'text/plain', ...(request.url === '/raw' ? { 'Cache-Control': 'no-transform' } : {}) } },
     })`,
    { onRequest: 'ask', onResponse: 'answer' },
  )
  const body = 'compressible '.repeat(20_000)
  const origin = await serve(
    edge,
    t,
    answering(() => ok(body, 'Content-Type: application/x-odd\r\n')),
    hooked(hooks, { compress: { encodings: ['gzip'], bytesMin: 100, types: ['text/*'], level: 'fast' } }),
  )
  const curl = async (path: string): Promise<string> => {
    const url = `${edge.url}${path}`
    const args = ['-sS', '--http2-prior-knowledge', '--compressed', '-D', '-', url]
    return (await promisify(execFile)('curl', args, { maxBuffer: 1 << 24 })).stdout
  }
  const packed = await curl('/packed')
  assert.match(packed, /^HTTP\/2 200/)
  assert.match(packed, /^content-encoding: gzip\r$/m)
  assert.match(packed, /^content-type: text\/plain\r$/m)
  assert.ok(packed.endsWith(body))
  const raw = await curl('/raw')
  assert.doesNotMatch(raw, /content-encoding/)
  assert.ok(raw.endsWith(body))
  assert.equal(origin.requests[0]?.fields.get('x-asked'), `127.0.0.1:${edge.port}/packed`)
})

test("what would break framing, belongs to one hop or is the edge's own word is refused, in every spelling", async t => {
  const cases: [string, RegExp][] = [
    ["{ headers: { set: { 'Content-Length': '5' } } }", /sets the field Content-Length/],
    ["{ headers: { set: { 'content_length': '5' } } }", /sets the field content_length/],
    ["{ headers: { append: { 'Transfer-Encoding': 'chunked' } } }", /sets the field Transfer-Encoding/],
    ["{ headers: { set: { 'x-forwarded-for': '1.1.1.1' } } }", /sets the field x-forwarded-for/],
    ["{ headers: { remove: ['Host'] } }", /removes the field Host/],
    ["{ headers: { set: { 'X_Client-Identity': 'ada' } } }", /sets the field X_Client-Identity/],
    ["{ headers: { set: { 'X-A': 'a\\r\\nX-B: b' } } }", /sets "X-A" to a value/],
    ["{ headers: { set: { 'X-A': 'caf\\u0153' } } }", /sets "X-A" to a value/],
    ["{ headers: { set: { 'X A': 'a' } } }", /whose name is no name/],
    ["{ headers: { set: { 'X-A': 'a'.repeat(9000) } } }", /sets "X-A" to a value/],
    [
      "{ headers: { set: Object.fromEntries(Array.from({ length: 70 }, (_, i) => ['x-' + i, 'v'])) } }",
      /more than 64/,
    ],
    ["{ url: 'http://elsewhere/' }", /a url that is not a path/],
    ["{ url: '/a b' }", /a url that is not a path/],
    ["{ url: '/..%00/..' }", /a url that is not a path/],
    ['{ respond: { status: 101 } }', /gave back the status 101/],
    ["{ respond: { status: 200, headers: { Connection: 'close' } } }", /sets the field Connection/],
    ["{ respond: { status: 200, body: 'x'.repeat(300_000) } }", /300000 bytes; at most 256 KB/],
    ['{ header: {} }', /has 'header'; it may have headers, url, respond/],
    ["'a string'", /is not an object/],
    ["{ headers: { set: { 'X-A': {} } } }", /with a value that is not text/],
  ]
  const hooks = hooksOf(
    `const cases = [${cases.map(([code]) => code).join(',\n')}]
     export const onRequest = request => cases[Number(request.url.slice(1))]`,
    { onRequest: 'onRequest' },
  )
  const origin = await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  for (const [at, [code, sentence]] of cases.entries()) {
    const response = await ask(client, `/${at}`)
    assert.equal(response.status, 502, code)
    assert.match(response.body.toString(), /hook-failed/)
    await until(`it to be told: ${sentence.source}`, () => told(sentence))
  }
  assert.equal(origin.requests.length, 0)
  const { calls, failures } = await counted()
  assert.ok(calls >= cases.length && failures >= cases.length)
})

test('a response hook can not change framing, codings or answers without a body', async t => {
  const cases: [string, RegExp][] = [
    ["{ headers: { set: { 'Content-Encoding': 'gzip' } } }", /sets the field Content-Encoding/],
    ["{ headers: { remove: ['content-length'] } }", /removes the field content-length/],
    ['{ status: 204 }', /gave back the status 204/],
    ['{ status: 99 }', /gave back the status 99/],
    ['{ status: "200" }', /gave back the status "200"/],
    ['{ respond: {} }', /has 'respond'; it may have headers, status/],
  ]
  const hooks = hooksOf(
    `const cases = [${cases.map(([code]) => code).join(',\n')}]
     export const change = (_, request) => cases[Number(request.url.slice(1))]`,
    { onResponse: 'change' },
  )
  await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  for (const [at, [code, sentence]] of cases.entries()) {
    const response = await ask(client, `/${at}`)
    assert.equal(response.status, 502, code)
    await until(`it to be told: ${sentence.source}`, () => told(sentence))
  }
})

test('a hook that throws, rejects or is not there refuses or passes, as the route says, and says so once', async t => {
  const code = `
    export const throws = () => { throw new Error('no such luck') }
    export const rejects = async () => { throw new RangeError('later') }
    export const odd = () => { throw Object.create(null) }`
  for (const name of ['throws', 'rejects', 'odd', 'missing']) {
    for (const onFailure of ['refuse', 'pass'] as const) {
      const hooks = hooksOf(code, { onRequest: name, onFailure })
      await serve(edge, t, undefined, hooked(hooks))
      const client = await edge.connect()
      for (let i = 0; i < 3; i++)
        assert.equal((await ask(client)).status, onFailure === 'pass' ? 200 : 502, `${name} ${onFailure}`)
    }
    for (const onFailure of ['refuse', 'pass'] as const) {
      const hooks = hooksOf(code, { onResponse: name, onFailure })
      await serve(edge, t, undefined, hooked(hooks))
      const client = await edge.connect()
      for (let i = 0; i < 3; i++)
        assert.equal((await ask(client)).status, onFailure === 'pass' ? 200 : 502, `${name} ${onFailure}`)
    }
  }
  await until('the sentences', () => told(/throws failed: Error: no such luck/) && told(/RangeError: later/))
  await until('the missing one', () => told(/has no function 'missing'; it exports odd, rejects, throws/))
})

test('a module that can not be loaded is told, and is loaded again when it is mended', async t => {
  const hooks = hooksOf('export const broken = (', { onRequest: 'broken' })
  await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  assert.equal((await ask(client)).status, 502)
  await until('it to be told', () => told(/can't be loaded: /))
  writeFileSync(hooks.module, "export const broken = () => ({ respond: { status: 200, body: 'mended' } })")
  await until('the mended module to answer', async () => (await ask(client)).body.toString() === 'mended')
})

test('a module that can not be loaded is left alone once no route names it', async t => {
  const broken = (name: string): { hooks: HooksSpec; loads: () => number } => {
    const log = join(folder, `${name}.log`)
    writeFileSync(log, '')
    const code = `import { appendFileSync } from 'node:fs'
      appendFileSync(${JSON.stringify(log)}, '.')
      throw new Error('broken')`
    return { hooks: hooksOf(code, { onRequest: 'go' }), loads: () => readFileSync(log, 'utf8').length }
  }
  const [former, latter] = [broken('former'), broken('latter')]
  await serve(edge, t, undefined, hooked(former.hooks))
  await until('it was tried', () => former.loads() >= 3)
  await serve(edge, t, undefined, hooked(latter.hooks))
  const before = former.loads()
  // Tried ever less often: by its seventh time the former one would have been tried twice more at least.
  await until('the next one was tried again and again', () => latter.loads() >= 7)
  assert.ok(former.loads() <= before + 1, 'one may have been under way')
})

test('a hook that loops for ever is ended: its calls are late, those that waited behind it are served by the next', async t => {
  const hooks = hooksOf(
    `export const maybe = request => {
       if (request.url === '/loop') for (;;) {}
       return { headers: { set: { 'X-Hooked': 'yes' } } }
     }`,
    { onRequest: 'maybe', deadlineMs: 2_000 },
  )
  const origin = await serve(edge, t, undefined, hooked(hooks))
  const before = await counted()
  const clients = await Promise.all(Array.from({ length: 8 }, () => edge.connect()))
  const [looping, ...others] = clients as [RawPeer, ...RawPeer[]]
  assert.equal((await ask(looping, '/warm')).status, 200)
  looping.write('GET /loop HTTP/1.1\r\nHost: x\r\n\r\n')
  const late = await looping.response()
  assert.equal(late.status, 504)
  assert.match(late.body.toString(), /hook-late/)
  const answers = await Promise.all(others.map(client => ask(client, '/fine')))
  assert.deepEqual(
    answers.map(answer => answer.status),
    others.map(() => 200),
  )
  assert.ok(origin.requests.every(request => request.fields.get('x-hooked') === 'yes'))
  const now = await counted()
  assert.equal(now.late - before.late, 1)
  assert.equal(now.restarts - before.restarts, 1)
  assert.ok(told(/did not come back from a call/))
})

test('a hook that never answers is late; the thread serves the others and is replaced behind them', async t => {
  const hooks = hooksOf(
    `let served = 0
     export const maybe = request => {
       if (request.url === '/never') return new Promise(() => {})
       return { respond: { status: 200, body: String(served++) } }
     }`,
    { onRequest: 'maybe', deadlineMs: 300, onFailure: 'refuse' },
  )
  await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  await until('the thread to be warm', async () => (await ask(client)).status === 200)
  const { restarts } = await counted()
  assert.equal((await ask(client, '/never')).status, 504)
  await until('the next thread', async () => (await ask(client)).body.toString() === '0')
  assert.ok((await counted()).restarts > restarts)
})

test('a hook that takes all memory, or ends its thread, fails its call; the next call has a fresh thread', async t => {
  const hooks = hooksOf(
    `import { setTimeout as wait } from 'node:timers/promises'
     export const maybe = async request => {
       if (request.url === '/memory') { const all = []; for (;;) all.push(new Array(100_000).fill(Math.random())) }
       if (request.url === '/exit') process.exit(3)
       if (request.url === '/later') { setTimeout(() => { throw new Error('out of nowhere') }, 1); await wait(60_000) }
       return { respond: { status: 200, body: JSON.stringify([process.env.PATH ?? null, process.argv.length]) } }
     }`,
    { onRequest: 'maybe', deadlineMs: 15_000 },
  )
  await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  for (const path of ['/memory', '/exit', '/later']) {
    assert.equal((await ask(client, path)).status, 502, path)
    await until('a fresh thread', async () => (await ask(client)).status === 200)
  }
  assert.match((await ask(client)).body.toString(), /^\[null,/, 'the environment is not there')
  await until('all three to be told', () =>
    [/used more than 128 MB/, /ended its thread with exit code 3/, /out of nowhere/].every(told),
  )
})

test('a client that goes while its hook thinks leaves nothing behind, before and after the instance', async t => {
  const code = `
    export const slow = async () => { await new Promise(resolve => setTimeout(resolve, 400)); return { headers: { set: { 'X-Late': '1' } } } }`
  const requested = await serve(edge, t, undefined, hooked(hooksOf(code, { onRequest: 'slow' })))
  const first = await edge.connect()
  assert.equal((await ask(first)).status, 200)
  first.write('GET /gone HTTP/1.1\r\nHost: x\r\n\r\n')
  const busy = async (): Promise<boolean> =>
    sampleOf(readExposition(await edge.metrics()), 'edge_requests_in_flight', { route: '/*' }) > 0
  await until('the hook to be asked', busy)
  first.reset()
  await edge.idle()
  assert.equal(requested.requests.length, 1)
  const large = 'x'.repeat(2_000_000)
  const answered = await serve(
    edge,
    t,
    answering(() => ok(large)),
    hooked(hooksOf(code, { onResponse: 'slow' })),
  )
  const second = await edge.connect()
  assert.equal((await ask(second)).body.length, large.length)
  second.write('GET /gone HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the instance to be asked', () => answered.requests.length === 2)
  second.reset()
  await edge.idle()
  const third = await edge.connect()
  const again = await ask(third)
  assert.equal(again.fields.get('x-late'), '1')
  assert.equal(again.body.length, large.length)
})

test('more calls than a thread and its queue hold are refused with 503, and all others are answered', async t => {
  const go = join(folder, 'go')
  const hooks = hooksOf(
    `import { existsSync } from 'node:fs'
     const until = resolve => existsSync(${JSON.stringify(go)}) ? resolve() : setTimeout(until, 20, resolve)
     export const slow = request => request.url === '/warm' ? undefined : new Promise(until)`,
    { onRequest: 'slow', deadlineMs: 60_000 },
  )
  await serve(edge, t, undefined, hooked(hooks))
  assert.equal((await ask(await edge.connect(), '/warm')).status, 200)
  const clients = await Promise.all(Array.from({ length: 1_300 }, () => edge.connect()))
  const statuses: number[] = []
  const all = Promise.all(clients.map(async client => statuses.push((await ask(client)).status)))
  const places = 128 + 1_024
  await until('the rest to be refused', () => statuses.length === 1_300 - places)
  assert.deepEqual([...new Set(statuses)], [503])
  writeFileSync(go, '')
  await all
  assert.equal(statuses.filter(status => status === 200).length, places)
  for (const client of clients) client.destroy()
  await edge.idle()
})

test('under load while hook threads are ended again and again, every request has exactly one whole answer', async t => {
  const hooks = hooksOf(
    `let count = 0
     export const risky = request => {
       if (request.url.startsWith('/kill')) { if (count++ % 2) process.exit(1); for (;;) {} }
       return { headers: { set: { 'X-Hooked': request.url } } }
     }
     export const mark = (response, request) => ({ headers: { set: { 'X-Marked': request.url } } })`,
    { onRequest: 'risky', onResponse: 'mark', deadlineMs: 1_000 },
  )
  const origin: RawOrigin = await serve(
    edge,
    t,
    answering(request => ok(request.fields.get('x-hooked') ?? 'unhooked')),
    hooked(hooks),
  )
  const statuses = new Map<number, number>()
  let going = true
  const one = async (at: number): Promise<void> => {
    const client = await edge.connect()
    for (let i = 0; going; i++) {
      const path = `/${at}/${i}`
      const response = await ask(client, path)
      assert.ok(response.complete)
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
      if (response.status === 200) {
        assert.equal(response.body.toString(), path)
        assert.equal(response.fields.get('x-marked'), path)
      } else assert.match(response.body.toString(), /hook-(failed|late|busy)/)
    }
  }
  const all = Promise.all(Array.from({ length: 20 }, (_, at) => one(at)))
  const answered = (): number => statuses.get(200) ?? 0
  for (let kill = 0; kill < 4; kill++) {
    const before = answered()
    await until('the load to run', () => answered() > before + 50)
    const killer = await edge.connect()
    assert.ok([502, 504].includes((await ask(killer, `/kill/${kill}`)).status))
  }
  const before = answered()
  await until('the load to go on', () => answered() > before + 50)
  going = false
  await all
  assert.ok([...statuses.keys()].every(status => [200, 502, 503, 504].includes(status)))
  assert.ok(origin.requests.every(request => request.fields.get('x-hooked') !== undefined))
  await edge.idle()
})

test('a thread that is replaced runs what the first one loaded, whatever the files hold by then', async t => {
  const code = (word: string): string => `import { word } from './${word}.ts'
    export const say = request => {
      if (request.url === '/exit') process.exit(1)
      return { respond: { status: 200, body: word as string } }
    }`
  writeFileSync(join(folder, 'first.ts'), "export const word: string = 'first'")
  const hooks = hooksOf(code('first'), { onRequest: 'say' })
  await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  assert.equal((await ask(client)).body.toString(), 'first')
  writeFileSync(join(folder, 'first.ts'), 'this is no module (')
  writeFileSync(hooks.module, 'neither is this (')
  assert.equal((await ask(client, '/exit')).status, 502)
  await until('the next thread', async () => (await ask(client)).status === 200)
  assert.equal((await ask(client)).body.toString(), 'first')
})

test('a reload brings the module as it is now; the old thread ends, and a route without hooks has none', async t => {
  const hooks = hooksOf("export const say = () => ({ respond: { status: 200, body: 'old' } })", {
    onRequest: 'say',
  })
  await serve(edge, t, undefined, hooked(hooks))
  const client = await edge.connect()
  assert.equal((await ask(client)).body.toString(), 'old')
  writeFileSync(hooks.module, "export const say = () => ({ respond: { status: 200, body: 'new' } })")
  assert.equal((await ask(client)).body.toString(), 'old', 'nothing changes before the reload')
  await edge.apply({ routes: [proxyRoute('/*', { hooks: { ...hooks, hash: 'another' } })] })
  assert.equal((await ask(client)).body.toString(), 'new')
  await serve(edge, t, undefined, { routes: [proxyRoute('/*')] })
  assert.equal((await ask(client)).body.toString(), 'ok')
})
