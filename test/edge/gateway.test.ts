// What a gateway does beside passing requests on: splits and canaries, mirrors, CORS, maintenance, error pages, redirects.
// Real sockets; instances are scripted; who a client is comes from a trusted proxy's X-Forwarded-For.

import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, type TestContext, test } from 'node:test'
import type { CanarySpec, CorsSpec, EdgeSnapshot, RouteSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import {
  answering,
  closedPort,
  ok,
  type RawOrigin,
  type Script,
  startRawOrigin,
} from '../tools/raw-origin.ts'
import { RawPeer, type RawResponse } from '../tools/raw-peer.ts'

const edge = await startEdge({ after }, { workers: 2, trustedProxies: ['127.0.0.0/8'], accessLog: true })

interface Site {
  readonly origins: Readonly<Record<string, RawOrigin>>
}

/** Upstreams that answer with their names (or by their scripts), behind these routes. */
async function serve(
  t: TestContext,
  upstreams: Readonly<Record<string, Script | null>>,
  routes: readonly RouteSpec[],
  change: Partial<EdgeSnapshot> = {},
): Promise<Site> {
  const origins: Record<string, RawOrigin> = {}
  for (const [name, script] of Object.entries(upstreams))
    origins[name] = await startRawOrigin(t, script ?? answering(() => ok(name)))
  const { maintenance: _maintenance, errorPages: _pages, ...before } = edge.snapshot
  await edge.applySnapshot({
    ...before,
    version: before.version + 1,
    routes,
    upstreams: Object.entries(origins).map(([name, origin]) => upstreamOf(name, [origin.port])),
    ...change,
  })
  return { origins }
}

async function ask(request: {
  method?: string
  path?: string
  client?: string
  fields?: string
  body?: string
}): Promise<RawResponse> {
  const { method = 'GET', path = '/', client, fields = '', body = '' } = request
  const peer = await RawPeer.connect(edge.port)
  const from = client === undefined ? '' : `X-Forwarded-For: ${client}\r\n`
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
  peer.write(`${method} ${path} HTTP/1.1\r\nHost: shop.example\r\n${from}${fields}${length}\r\n${body}`)
  const response = await peer.response(method)
  peer.destroy()
  return response
}

const bodyOf = async (request: Parameters<typeof ask>[0]): Promise<string> =>
  (await ask(request)).body.toString()
const clientAt = (i: number): string => `10.1.${i >> 8}.${i & 255}`

function cookieOf({ fields }: RawResponse, name: string): string | undefined {
  return new RegExp(`${name}=([^;]+)`).exec(fields.get('set-cookie') ?? '')?.[1]
}

// --- split and canary -------------------------------------------------------------------------------------------

const noRollback: CanarySpec = { upstream: 'next', share: 0.3, rollback: null }
const canaryRoute = (canary: CanarySpec, sticky = false): RouteSpec =>
  proxyRoute(
    '/*',
    {},
    {
      upstream: 'app',
      canary,
      ...(sticky && { sticky: { by: 'cookie', name: 'at', secure: false, sameSite: 'Lax' } as const }),
    },
  )

test('a split sends each client always to the same upstream, and each upstream its share of the clients', async t => {
  const split = [
    { upstream: 'app', share: 0.75 },
    { upstream: 'next', share: 0.25 },
  ]
  await serve(t, { app: null, next: null }, [proxyRoute('/*', {}, { split })])
  const seen: string[] = []
  for (let i = 0; i < 200; i++) seen.push(await bodyOf({ client: clientAt(i) }))
  const next = seen.filter(body => body === 'next').length
  assert.ok(next > 25 && next < 75, `${next} of 200`)
  for (let i = 0; i < 40; i++) assert.equal(await bodyOf({ client: clientAt(i) }), seen[i])
})

test('a canary keeps its clients when its share grows, and its header and cookie choose it for anybody', async t => {
  const rules = { header: { name: 'X-Canary', value: 'yes' }, cookie: { name: 'canary', value: '1' } }
  await serve(t, { app: null, next: null }, [canaryRoute({ ...noRollback, ...rules })])
  const before: string[] = []
  for (let i = 0; i < 100; i++) before.push(await bodyOf({ client: clientAt(i) }))
  const others = before.indexOf('app')
  assert.ok(before.includes('next') && others >= 0)
  assert.equal(await bodyOf({ client: clientAt(others), fields: 'x-canary: yes\r\n' }), 'next')
  assert.equal(await bodyOf({ client: clientAt(others), fields: 'x-canary: no\r\n' }), 'app')
  assert.equal(await bodyOf({ client: clientAt(others), fields: 'Cookie: a=b; canary=1\r\n' }), 'next')
  const { snapshot } = edge
  await edge.applySnapshot({
    ...snapshot,
    version: snapshot.version + 1,
    routes: [canaryRoute({ ...noRollback, share: 0.6 })],
  })
  for (const [i, body] of before.entries())
    if (body === 'next') assert.equal(await bodyOf({ client: clientAt(i) }), 'next')
})

test('on a route that is sticky by cookie a client keeps its side when its address changes, and a forged side is not believed', async t => {
  await serve(t, { app: null, next: null }, [canaryRoute(noRollback, true)])
  const sides = new Map<string, string>()
  for (let i = 0; i < 40 && sides.size < 2; i++) {
    const response = await ask({ client: clientAt(i) })
    const side = cookieOf(response, 'at_side')
    assert.ok(side, 'the side is kept in a cookie')
    sides.set(response.body.toString(), side)
  }
  assert.equal(sides.size, 2)
  for (const [upstream, side] of sides) {
    for (let i = 50; i < 70; i++) {
      const response = await ask({ client: clientAt(i), fields: `Cookie: at_side=${side}\r\n` })
      assert.equal(response.body.toString(), upstream)
      assert.equal(cookieOf(response, 'at_side'), undefined, 'it is not given again')
    }
  }
  const forged = `${sides.get('next')?.split('.')[0]}.AAAAAAAAAAAAAAAAAAAAAA`
  const answers = new Set<string>()
  for (let i = 0; i < 40; i++)
    answers.add(await bodyOf({ client: clientAt(i), fields: `Cookie: at_side=${forged}\r\n` }))
  assert.deepEqual([...answers].sort(), ['app', 'next'], 'the address decides as if it were not there')
})

test('a canary without a member in rotation gets nothing: its clients go to the others', async t => {
  await serve(t, { app: null }, [canaryRoute({ ...noRollback, share: 1 })], {
    upstreams: [
      upstreamOf('app', [
        (
          await startRawOrigin(
            t,
            answering(() => ok('app')),
          )
        ).port,
      ]),
      upstreamOf('next', []),
    ],
  })
  assert.equal(await bodyOf({}), 'app')
})

test('a canary none of whose members serves gets nothing, though all of them would be used if it were alone (panic)', async t => {
  const active = {
    kind: 'http',
    path: '/healthz',
    intervalMs: 100,
    timeoutMs: 2_000,
    rise: 2,
    fall: 2,
    jitter: 0.1,
    expectStatus: { from: 200, to: 299 },
  } as const
  const ill = await startRawOrigin(
    t,
    answering(() => 'HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n'),
  )
  const next = upstreamOf('next', [ill.port])
  const app = upstreamOf('app', [
    (
      await startRawOrigin(
        t,
        answering(() => ok('app')),
      )
    ).port,
  ])
  await serve(t, {}, [canaryRoute({ ...noRollback, share: 1 })], {
    upstreams: [app, { ...next, health: { ...next.health, active, panicShare: 0.3 } }],
  })
  await until('the canary panics', async () =>
    (await edge.status()).upstreams.some(({ mode }) => mode === 'panic: 0 of 1 healthy'),
  )
  assert.equal(await bodyOf({}), 'app')
})

const rollback = { windowMs: 60_000, requestsMin: 30, errorShareExcess: 0.05, latencyFactor: 0 }

test('a canary that fails is taken out for all workers, by header too, and none but its own requests has failed; a dead worker changes nothing', async t => {
  const failing = answering(() => 'HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n')
  const spec: CanarySpec = {
    upstream: 'next',
    share: 0.2,
    rollback,
    header: { name: 'x-canary', value: '1' },
  }
  const { origins } = await serve(t, { app: null, next: failing }, [canaryRoute(spec)])
  const answers: number[] = []
  let going = true
  const load = Array.from({ length: 8 }, async (_, worker) => {
    const peer = await RawPeer.connect(edge.port)
    for (let i = 0; going; i++) {
      peer.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.2.${worker}.${i & 255}\r\n\r\n`)
      answers.push((await peer.response()).status)
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    peer.destroy()
  })
  const said = (): string | undefined => edge.events.find(event => /taken out/.test(event.text))?.text
  await until('the canary to be taken out', () => said() !== undefined)
  const askedUntilThen = answers.length
  await until('more requests', () => answers.length > askedUntilThen + 400)
  going = false
  await Promise.all(load)
  assert.match(said() as string, /^canary next taken out: errors 100 % against 0 % of \d+ requests$/)
  const failed = answers.filter(status => status !== 200).length
  // Those that were on their way when it was decided are the canary's too; each client has one.
  assert.equal(failed, origins.next?.requests.length, 'a failed request is one that the canary got')
  assert.equal(
    answers.length - failed,
    origins.app?.requests.length,
    'all others were answered by the others, once',
  )
  assert.ok(
    answers.slice(askedUntilThen + 8).every(status => status === 200),
    'nothing fails any more',
  )

  const reached = origins.next?.requests.length
  for (let i = 0; i < 10; i++) assert.equal(await bodyOf({ fields: 'X-Canary: 1\r\n' }), 'app')
  await edge.killWorker(0)
  await until('the worker to be replaced', async () =>
    (await edge.status()).workers.every(worker => worker.state === 'running'),
  )
  for (let i = 0; i < 40; i++) assert.equal(await bodyOf({ client: clientAt(i) }), 'app')
  assert.equal(origins.next?.requests.length, reached)

  const [status] = (await edge.status()).canaries
  assert.deepEqual([status?.route, status?.upstream, status?.state], ['/*', 'next', 'taken-out'])
  assert.match(status?.reason as string, /^taken out: errors 100 %/)
  // Another snapshot with the same canary leaves it out.
  const { snapshot } = edge
  await edge.applySnapshot({ ...snapshot, version: snapshot.version + 1 })
  assert.equal(await bodyOf({ fields: 'X-Canary: 1\r\n' }), 'app')
  // A changed one is another canary.
  await edge.applySnapshot({
    ...snapshot,
    version: snapshot.version + 2,
    routes: [canaryRoute({ ...spec, share: 0.1 })],
  })
  assert.equal((await edge.status()).canaries[0]?.state, 'running')
  assert.equal((await ask({ fields: 'X-Canary: 1\r\n' })).status, 500)
})

test('an operator stops a canary and resumes it; what is no canary is refused by name', async t => {
  await serve(t, { app: null, next: null }, [canaryRoute({ ...noRollback, share: 1 })])
  assert.equal(await bodyOf({}), 'next')
  const stopped = await edge.call('canary', { route: '/*', action: 'stop' })
  assert.deepEqual([stopped.state, stopped.reason], ['stopped', 'stopped by an operator'])
  assert.equal(await bodyOf({}), 'app')
  const resumed = await edge.call('canary', { route: '/*', action: 'resume' })
  assert.equal(resumed.state, 'running')
  assert.equal(await bodyOf({}), 'next')
  await assert.rejects(edge.call('canary', { route: '/none', action: 'stop' }), {
    code: 'EDGE_CANARY_UNKNOWN',
    message: /'\/\*'/,
  })
})

// --- mirror -----------------------------------------------------------------------------------------------------

const mirrored = (
  change: { share?: number; inFlightMax?: number } = {},
  route: Partial<RouteSpec> = {},
): RouteSpec =>
  proxyRoute('/*', route, {
    upgrade: false,
    mirror: { upstream: 'shadow', share: 1, inFlightMax: 100, ...change },
  })

const unmirrored = async (reason: string): Promise<number> =>
  Number(
    new RegExp(`^edge_unmirrored_total\\{route="/\\* \\(mirror\\)",reason="${reason}"\\} (\\d+)`, 'm').exec(
      await edge.metrics(),
    )?.[1] ?? Number.NaN,
  )

async function copiesCounted(): Promise<{ requests: number; errors: number }> {
  const { routes } = await edge.status()
  return routes.find(route => route.id === '/* (mirror)') as { requests: number; errors: number }
}

test('a mirror gets the request as the instance does, marked, with its body; the client hears the instance alone', async t => {
  const { origins } = await serve(t, { app: null, shadow: null }, [mirrored()])
  const response = await ask({ method: 'POST', path: '/buy?n=1', client: '10.9.9.9', body: 'two tickets' })
  assert.equal(response.body.toString(), 'app')
  const shadow = origins.shadow as RawOrigin
  await until('the copy', () => shadow.requests.length === 1)
  const [original, copy] = [origins.app?.requests[0], shadow.requests[0]]
  assert.equal(copy?.startLine, original?.startLine)
  assert.equal(copy?.body.toString(), 'two tickets')
  const { 'x-mirrored': mark, ...fields } = Object.fromEntries(copy?.fields ?? [])
  assert.equal(mark, '1')
  assert.deepEqual(fields, Object.fromEntries(original?.fields ?? []), 'the request id too')
  await edge.idle()
  assert.equal((await copiesCounted()).requests, 1)
  let logged: unknown[] = []
  await until('the line in the access log', async () => {
    logged = (await edge.logLines(1)).filter(line => line.path === '/buy')
    return logged.length > 0
  })
  assert.equal(logged.length, 1, 'the access log is of clients')
})

test('a mirror that is dead, slow or endless is never felt, and holds no more than its bound of copies', async t => {
  const hanging: Script = async peer => {
    await peer.request()
    await peer.when('end', () => peer.over !== '', Infinity)
  }
  await serve(t, { app: null, shadow: hanging }, [mirrored({ inFlightMax: 5 })])
  const before = await unmirrored('busy')
  for (let i = 0; i < 50; i++) assert.equal(await bodyOf({}), 'app')
  // Two workers with five each at the most.
  assert.ok((await unmirrored('busy')) - before >= 40)
  const status = await edge.status()
  const inFlight = status.upstreams.find(one => one.name === 'shadow')?.members[0]?.inFlight ?? 0
  assert.ok(inFlight >= 1 && inFlight <= 10, `${inFlight}`)
  await serve(t, { app: null }, [mirrored()], {
    upstreams: [
      upstreamOf('app', [
        (
          await startRawOrigin(
            t,
            answering(() => ok('app')),
          )
        ).port,
      ]),
      upstreamOf('shadow', [await closedPort()]),
    ],
  })
  for (let i = 0; i < 50; i++) {
    const response = await ask({})
    assert.deepEqual([response.status, response.body.toString()], [200, 'app'])
  }
})

test('a copy whose answer is large or cut off leaves nothing behind', async t => {
  const large = answering((_request, peer, index) => {
    if (index % 2 === 0) return ok('x'.repeat(300_000))
    peer.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf')
    peer.reset()
    return undefined
  })
  const { origins } = await serve(t, { app: null, shadow: large }, [mirrored()])
  for (let i = 0; i < 20; i++) assert.equal(await bodyOf({}), 'app')
  await until('the copies', () => (origins.shadow?.requests.length ?? 0) === 20)
  await edge.idle()
})

test('bodies that do not come whole with their heads, upgrades and copies are not mirrored; the first are counted', async t => {
  const { origins } = await serve(t, { app: null, shadow: null }, [mirrored()])
  const before = await unmirrored('body')
  const body = 'b'.repeat(40_000)
  assert.equal(await bodyOf({ method: 'POST', body }), 'app')
  assert.equal(await bodyOf({ fields: 'X-Mirrored: 1\r\n' }), 'app')
  assert.equal(await bodyOf({ fields: 'Connection: upgrade\r\nUpgrade: websocket\r\n' }), 'app')
  assert.equal(await bodyOf({ path: '/last' }), 'app')
  await until('the one copy', () => (origins.shadow?.requests.length ?? 0) > 0)
  assert.deepEqual(
    origins.shadow?.requests.map(request => request.startLine),
    ['GET /last HTTP/1.1'],
  )
  assert.equal(await unmirrored('body'), before + 1)
})

test('over HTTP/2 canaries, mirrors and CORS are what they are over HTTP/1.1', async t => {
  const cors: CorsSpec = { ...open, origins: ['https://shop.example'] }
  const canary: CanarySpec = { ...noRollback, share: 1 }
  const mirror = { upstream: 'shadow', share: 1, inFlightMax: 10 }
  const { origins } = await serve(t, { app: null, next: null, shadow: null }, [
    proxyRoute('/*', { cors }, { canary, mirror }),
  ])
  const session = connect(edge.url)
  t.after(() => session.close())
  const stream = session.request({ ':path': '/two', origin: 'https://shop.example' })
  let body = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text
  })
  const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('error', reject)
  })
  await new Promise(resolve => stream.once('end', resolve))
  assert.deepEqual([headers[':status'], body], [200, 'next'])
  assert.equal(headers['access-control-allow-origin'], 'https://shop.example')
  await until('the copy', () => origins.shadow?.requests.length === 1)
  assert.equal(origins.shadow?.requests[0]?.startLine, 'GET /two HTTP/1.1')
  assert.equal(origins.shadow?.requests[0]?.fields.get('x-mirrored'), '1')
})

test('a mirror gets its share of the requests', async t => {
  const { origins } = await serve(t, { app: null, shadow: null }, [mirrored({ share: 0.5 })])
  for (let i = 0; i < 100; i++) await ask({})
  await until('copies', () => (origins.shadow?.requests.length ?? 0) > 20)
  await edge.idle()
  const copies = origins.shadow?.requests.length ?? 0
  assert.ok(copies > 20 && copies < 80, `${copies} of 100`)
})

test('an edge that is its own mirror copies a request once and no more', async t => {
  await serve(t, { app: null }, [mirrored()], {
    upstreams: [
      upstreamOf('app', [
        (
          await startRawOrigin(
            t,
            answering(() => ok('app')),
          )
        ).port,
      ]),
      upstreamOf('shadow', [edge.port]),
    ],
  })
  await edge.idle()
  const before = await copiesCounted()
  assert.equal(await bodyOf({}), 'app')
  await until('the copy to end', async () => (await copiesCounted()).requests > before.requests)
  await edge.idle()
  const after = await copiesCounted()
  assert.equal(after.requests - before.requests, 1)
  assert.equal(after.errors - before.errors, 1, 'it came back and was refused as a loop')
})

// --- CORS -------------------------------------------------------------------------------------------------------

const strict: CorsSpec = {
  origins: ['https://shop.example', 'https://*.tickets.example', 'null'],
  methods: ['GET', 'POST'],
  requestHeaders: ['Content-Type', 'X-Key'],
  exposeHeaders: ['X-Total'],
  credentials: true,
  maxAgeSeconds: 600,
}
const open: CorsSpec = {
  ...strict,
  origins: ['*'],
  requestHeaders: ['*'],
  exposeHeaders: [],
  credentials: false,
}
const talkative = answering(() =>
  ok(
    'data',
    'Access-Control-Allow-Origin: https://wrong.example\r\nAccess-Control-Max-Age: 1\r\nVary: Accept\r\n',
  ),
)
const preflightFields = (origin: string, method: string, headers = ''): string =>
  `Origin: ${origin}\r\nAccess-Control-Request-Method: ${method}\r\nAccess-Control-Request-Private-Network: true\r\n${headers === '' ? '' : `Access-Control-Request-Headers: ${headers}\r\n`}`

const corsCases: readonly {
  readonly name: string
  readonly cors: CorsSpec
  readonly origin: string
  /** What Access-Control-Allow-Origin says; undefined: it is not there. */
  readonly allowed: string | undefined
}[] = [
  { name: 'an exact origin', cors: strict, origin: 'https://shop.example', allowed: 'https://shop.example' },
  { name: 'another port', cors: strict, origin: 'https://shop.example:8443', allowed: undefined },
  { name: 'another scheme', cors: strict, origin: 'http://shop.example', allowed: undefined },
  { name: 'another case of the host', cors: strict, origin: 'https://Shop.example', allowed: undefined },
  {
    name: 'a name below',
    cors: strict,
    origin: 'https://a.tickets.example',
    allowed: 'https://a.tickets.example',
  },
  {
    name: 'two labels below',
    cors: strict,
    origin: 'https://a.b.tickets.example',
    allowed: 'https://a.b.tickets.example',
  },
  { name: 'the name itself', cors: strict, origin: 'https://tickets.example', allowed: undefined },
  { name: 'an empty label', cors: strict, origin: 'https://.tickets.example', allowed: undefined },
  { name: 'a suffix without a dot', cors: strict, origin: 'https://eviltickets.example', allowed: undefined },
  {
    name: 'a host in a path',
    cors: strict,
    origin: 'https://evil.example/.tickets.example',
    allowed: undefined,
  },
  {
    name: 'a host in a user',
    cors: strict,
    origin: 'https://evil.example@a.tickets.example',
    allowed: undefined,
  },
  {
    name: 'a name that goes on',
    cors: strict,
    origin: 'https://a.tickets.example.evil.example',
    allowed: undefined,
  },
  { name: 'null where it is listed', cors: strict, origin: 'null', allowed: 'null' },
  {
    name: 'null where it is not',
    cors: { ...strict, origins: ['https://shop.example'] },
    origin: 'null',
    allowed: undefined,
  },
  { name: 'any origin', cors: open, origin: 'https://anything.example', allowed: '*' },
  {
    name: 'any origin with an exact list',
    cors: { ...strict, credentials: false },
    origin: 'https://shop.example',
    allowed: 'https://shop.example',
  },
]

test('origins: what is allowed and what is not, for requests and their preflights', async t => {
  for (const { name, cors, origin, allowed } of corsCases) {
    const { origins } = await serve(t, { app: talkative }, [proxyRoute('/*', { cors })])
    const simple = await ask({ fields: `Origin: ${origin}\r\n` })
    assert.equal(simple.fields.get('access-control-allow-origin'), allowed, `${name}: a request`)
    assert.equal(simple.fields.get('access-control-max-age'), undefined, "the instance's own are dropped")
    const preflight = await ask({ method: 'OPTIONS', fields: preflightFields(origin, 'POST') })
    assert.equal(preflight.fields.get('access-control-allow-origin'), allowed, `${name}: a preflight`)
    assert.equal(preflight.status, allowed === undefined ? 403 : 204, name)
    assert.equal(origins.app?.requests.length, 1, 'the preflight never reaches an instance')
  }
})

test('a preflight is answered in full by the edge; private networks are not', async t => {
  await serve(t, { app: talkative }, [proxyRoute('/*', { cors: strict })])
  const asked = preflightFields('https://shop.example', 'POST', 'content-type, x-other')
  const { status, fields, body } = await ask({ method: 'OPTIONS', fields: asked })
  assert.deepEqual([status, body.length], [204, 0])
  const shown = [...fields].filter(([name]) => name.startsWith('access-control') || name === 'vary')
  assert.deepEqual(Object.fromEntries(shown), {
    'access-control-allow-origin': 'https://shop.example',
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': 'Content-Type, X-Key',
    'access-control-max-age': '600',
    vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  })
  await serve(t, { app: talkative }, [proxyRoute('/*', { cors: open })])
  const wide = await ask({
    method: 'OPTIONS',
    fields: preflightFields('https://x.example', 'POST', 'x-a, bad name, x-b'),
  })
  assert.equal(wide.fields.get('access-control-allow-headers'), 'x-a, x-b', 'what is asked for is named')
})

test('answers say what pages may read and that they differ by origin, without an origin too, and errors of the edge as well', async t => {
  const routes = [
    proxyRoute('/*', { cors: strict }),
    proxyRoute('/gone', { cors: strict, id: 'gone' }, { upstream: 'gone' }),
  ].reverse()
  await serve(t, { app: talkative }, routes, {
    upstreams: [upstreamOf('app', [(await startRawOrigin(t, talkative)).port]), upstreamOf('gone', [])],
  })
  const answer = await ask({ fields: 'Origin: https://shop.example\r\n' })
  assert.equal(answer.fields.get('access-control-expose-headers'), 'X-Total')
  assert.equal(answer.fields.get('access-control-allow-credentials'), 'true')
  assert.equal(answer.fields.get('vary'), 'Accept, Origin')
  assert.equal((await ask({})).fields.get('vary'), 'Accept, Origin')
  const error = await ask({ path: '/gone', fields: 'Origin: https://shop.example\r\n' })
  assert.deepEqual(
    [error.status, error.fields.get('access-control-allow-origin')],
    [503, 'https://shop.example'],
  )
})

test('a preflight finds the route of the request that it asks for; OPTIONS that is none goes to the instance', async t => {
  const writes: RouteSpec = {
    ...proxyRoute('/api/*', { cors: strict }),
    id: 'writes',
    match: { path: '/api/*', methods: ['POST'], headers: { 'x-key': '*' } },
  }
  const { origins } = await serve(t, { app: null }, [writes, proxyRoute()])
  const asked = preflightFields('https://shop.example', 'POST', 'X-Key')
  assert.equal((await ask({ method: 'OPTIONS', path: '/api/a', fields: asked })).status, 204)
  assert.equal(origins.app?.requests.length, 0)
  const other = preflightFields('https://shop.example', 'DELETE', 'X-Key')
  assert.equal((await ask({ method: 'OPTIONS', path: '/api/a', fields: other })).status, 200)
  const without = preflightFields('https://shop.example', 'POST')
  assert.equal((await ask({ method: 'OPTIONS', path: '/api/a', fields: without })).status, 200)
  assert.equal((await ask({ method: 'OPTIONS', path: '/api/a', fields: 'X-Key: 1\r\n' })).status, 200)
  assert.equal(origins.app?.requests.length, 3)
})

// --- maintenance and error pages --------------------------------------------------------------------------------

const page = { contentType: 'text/html; charset=utf-8', body: '<h1>Back soon – {code} {requestId}</h1>' }
const maintenance = { ...page, retryAfterSeconds: 120, allow: ['10.7.0.0/16'] }

test('maintenance: everybody gets the page, 503 and when to come back, but those who are let through', async t => {
  const { origins } = await serve(t, { app: null }, [proxyRoute()], { maintenance })
  const { status, fields, body } = await ask({ client: '10.8.0.1', path: '/any' })
  assert.deepEqual([status, fields.get('retry-after'), fields.get('cache-control')], [503, '120', 'no-store'])
  assert.match(body.toString(), /^<h1>Back soon – maintenance [\w-]+<\/h1>$/)
  const json = await ask({ client: '10.8.0.1', fields: 'Accept: application/json\r\n' })
  assert.equal((JSON.parse(json.body.toString()) as { error: { code: string } }).error.code, 'maintenance')
  assert.equal(origins.app?.requests.length, 0)
  assert.equal(await bodyOf({ client: '10.7.3.4' }), 'app')
  await serve(t, { app: null }, [proxyRoute()], { maintenance: { ...maintenance, body: '' } })
  assert.match(await bodyOf({ client: '10.8.0.1' }), /under maintenance/, "without a page the edge's own")
  await serve(t, { app: null }, [proxyRoute()])
  assert.equal(await bodyOf({ client: '10.8.0.1' }), 'app')
})

test("error pages stand in for the edge's own errors only: by status, by class, filled and escaped; JSON stays JSON", async t => {
  const errorPages = {
    '404': {
      contentType: 'text/html',
      body: '<p>{status} {reason} {code} "{message}" {requestId} {unknown}</p>',
    },
    '5xx': { contentType: 'text/plain', body: 'broken: {code}' },
  }
  const missing = answering(() => 'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nmine')
  await serve(
    t,
    { app: missing },
    [proxyRoute('/app'), { ...proxyRoute('/gone', {}, { upstream: 'gone' }) }],
    {
      errorPages,
      upstreams: [upstreamOf('app', [(await startRawOrigin(t, missing)).port]), upstreamOf('gone', [])],
    },
  )
  const own = await ask({ path: '/nowhere' })
  assert.equal(own.status, 404)
  assert.match(
    own.body.toString(),
    /^<p>404 Not Found no-route "Nothing is served at this address\." [\w-]+ \{unknown\}<\/p>$/,
  )
  assert.equal(own.fields.get('content-length'), `${own.body.length}`)
  assert.equal(await bodyOf({ path: '/app' }), 'mine', "an instance's own page")
  assert.equal(await bodyOf({ path: '/gone' }), 'broken: no-instance')
  const json = await ask({ path: '/nowhere', fields: 'Accept: application/json\r\n' })
  assert.equal((JSON.parse(json.body.toString()) as { error: { code: string } }).error.code, 'no-route')
})

// --- redirects --------------------------------------------------------------------------------------------------

test('redirects keep what they name of the address, and never lead to another host by accident', async t => {
  const redirect = (path: string, location: string): RouteSpec => ({
    id: path,
    match: { path },
    action: { kind: 'redirect', status: 308, location },
  })
  await serve(t, { app: null }, [
    redirect('/old/*', '/new/{rest}{query}'),
    redirect('/films/:id/*', '/f/{id}/{rest}'),
    redirect('/all/*', 'https://{host}{path}'),
    redirect('/uri/*', 'https://www.example{uri}'),
    redirect('/plain', '/plain/{nothing}'),
    redirect('/slashed/*', '/{uri}'),
    redirect('/*', '/{rest}'),
  ])
  const cases: readonly (readonly [string, string])[] = [
    ['/old/a/b?x=1&y=%20', '/new/a/b?x=1&y=%20'],
    ['/old', '/new/'],
    ['/films/7/cast?all', '/f/7/cast'],
    ['/all/x?y', 'https://shop.example/all/x'],
    ['/uri/x?y', 'https://www.example/uri/x?y'],
    ['/plain', '/plain/{nothing}'],
    ['/slashed/x?y', '/slashed/x?y'],
    ['//evil.example/x', '/evil.example/x'],
    ['///evil.example', '/evil.example'],
  ]
  for (const [path, location] of cases) {
    const { status, fields } = await ask({ path })
    assert.deepEqual([status, fields.get('location')], [308, location], path)
  }
})
