// Which member gets a request, and which does not: limits and the queue before them, ejection and return, probes, panic,
// tiers, slow start, stickiness, draining. Real sockets; every decision's reason is read from the status.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type { UpstreamSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute, serve, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import {
  answering,
  closedPort,
  ok,
  type RawOrigin,
  readRequest,
  startRawOrigin,
} from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const edge = await startEdge({ after }, { workers: 2 })
const { health } = upstreamOf('x', [])
const passive = (change: Partial<UpstreamSpec['health']['passive']>): UpstreamSpec['health'] => ({
  ...health,
  passive: { ...health.passive, ...change },
})

interface Answer {
  readonly status: number
  readonly body: string
  readonly fields: ReadonlyMap<string, string>
}

/** One request over a connection of its own, so that both workers get their share. */
async function ask(path = '/', fields = ''): Promise<Answer> {
  const client = await RawPeer.connect(edge.port)
  client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n${fields}\r\n`)
  const { status, body, fields: got } = await client.response()
  client.destroy()
  return { status, body: body.toString(), fields: got }
}

/** Origins that answer with their number. */
async function numbered(t: TestContext, count: number): Promise<RawOrigin[]> {
  return Promise.all(
    Array.from({ length: count }, (_, at) =>
      startRawOrigin(
        t,
        answering(() => ok(String(at))),
      ),
    ),
  )
}
const portsOf = (origins: readonly RawOrigin[]): number[] => origins.map(origin => origin.port)
async function tally(count: number, path?: string, fields?: string): Promise<Record<string, number>> {
  const seen: Record<string, number> = {}
  for (let i = 0; i < count; i++) {
    const { body } = await ask(path, fields)
    seen[body] = (seen[body] ?? 0) + 1
  }
  return seen
}

test('no member ever has more requests in flight than its limit, over all workers', async t => {
  let now = 0
  let most = 0
  const origin = await startRawOrigin(
    t,
    answering(async () => {
      most = Math.max(most, ++now)
      await new Promise(resolve => setTimeout(resolve, 5 + (now % 7)))
      now--
      return ok()
    }),
  )
  await edge.apply({
    members: [origin.port],
    upstream: { limits: { connectionsMax: 0, inFlightMax: 5, pendingMax: 1_000, pendingTimeoutMs: 20_000 } },
  })
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask()))
  assert.ok(answers.every(answer => answer.status === 200))
  assert.ok(most <= 5, `${most} at once`)
  assert.ok(most >= 4, `the limit is used: ${most}`)
  const pending = (await edge.status()).upstreams[0]?.pending
  assert.equal(pending, 0)
})

test('a full queue is 503 with Retry-After; whoever waits too long gets it too; who waits longest goes first', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const order: string[] = []
  const origin = await startRawOrigin(
    t,
    answering(async request => {
      const path = request.startLine.split(' ')[1] as string
      order.push(path)
      if (path === '/holds') await held
      return ok(path)
    }),
  )
  const limits = { connectionsMax: 0, inFlightMax: 1, pendingMax: 3, pendingTimeoutMs: 20_000 }
  const single = await startEdge(
    { after: end => t.after(end) },
    { members: [origin.port], upstream: { limits } },
  )
  const send = async (path: string): Promise<RawPeer> => {
    const client = await single.connect()
    client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n`)
    return client
  }
  const first = await send('/holds')
  await until('the place to be taken', () => order.length === 1)
  const waiting: RawPeer[] = []
  for (let i = 1; i <= 3; i++) {
    waiting.push(await send(`/${i}`))
    await until(`${i} to wait`, async () => (await single.status()).upstreams[0]?.pending === i)
  }
  const refused = await (await send('/refused')).response()
  assert.equal(refused.status, 503)
  assert.match(refused.fields.get('retry-after') ?? '', /^[1-9]\d*$/)
  assert.match(refused.body.toString(), /"busy"/)
  // One of those who wait goes away.
  waiting[1]?.reset()
  await until(
    'its place in the queue to be free',
    async () => (await single.status()).upstreams[0]?.pending === 2,
  )
  release()
  assert.equal((await first.response()).status, 200)
  assert.equal((await waiting[0]?.response())?.status, 200)
  assert.equal((await waiting[2]?.response())?.status, 200)
  assert.deepEqual(order, ['/holds', '/1', '/3'])
  await single.apply({
    members: [origin.port],
    upstream: { limits: { ...limits, inFlightMax: 1, pendingTimeoutMs: 200 } },
  })
  const holding = await startRawOrigin(t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await peer.rest()
  })
  await single.apply({ members: [holding.port], upstream: { limits: { ...limits, pendingTimeoutMs: 200 } } })
  const stuck = await send('/a')
  await until('the place to be taken', () => holding.requests.length === 1)
  const late = await (await send('/b')).response()
  assert.equal(late.status, 503)
  assert.match(late.body.toString(), /waited-too-long/)
  stuck.reset()
})

test('failures in a row eject a member, the reason is said, and it comes back after its time', async t => {
  let failing = true
  const bad = await startRawOrigin(
    t,
    answering(() =>
      failing ? 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'.replace('500', '503') : ok('bad'),
    ),
  )
  const [good] = await numbered(t, 1)
  await edge.apply({
    members: [bad.port, good?.port as number],
    upstream: { health: passive({ consecutiveFailures: 3, ejectBaseMs: 1_500, ejectMaxMs: 3_000 }) },
  })
  await until('the ejection', async () => {
    await ask()
    return (await edge.member(0)).state === 'ejected'
  })
  assert.match((await edge.member(0)).reason, /^ejected: 3 failures in a row, back in /)
  const before = bad.requests.length
  assert.deepEqual(await tally(10), { 0: 10 })
  assert.equal(bad.requests.length, before)
  failing = false
  await until('the return', async () => (await edge.member(0)).state !== 'ejected')
  await until('traffic to it', async () => (await ask()).body === 'bad')
  const told = edge.events.filter(event => event.subject === 'app/app-0').map(event => event.text)
  assert.ok(
    told.some(text => text.startsWith('ejected: 3 failures in a row')),
    told.join('; '),
  )
  assert.ok(
    told.some(text => text.startsWith('back: ')),
    told.join('; '),
  )
})

test('a share of failures, or being much slower than the others, ejects too', async t => {
  let count = 0
  const half = await startRawOrigin(
    t,
    answering(() => (++count % 2 ? ok('half') : 'HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n')),
  )
  const good = await numbered(t, 2)
  await edge.apply({
    members: [half.port, ...portsOf(good)],
    upstream: { health: passive({ failureShare: 0.4, requestsMin: 10, ejectBaseMs: 5_000 }) },
  })
  await until('the ejection', async () => {
    await tally(6)
    return (await edge.member(0)).state === 'ejected'
  })
  assert.match((await edge.member(0)).reason, /^ejected: \d+ % of \d+ requests failed/)
  const slow = await startRawOrigin(
    t,
    answering(async () => {
      await new Promise(resolve => setTimeout(resolve, 200))
      return ok('slow')
    }),
  )
  await edge.apply({
    members: [slow.port, ...portsOf(good)],
    upstream: { health: passive({ latencyFactor: 4, requestsMin: 5, ejectBaseMs: 5_000 }) },
  })
  await until('the slow one to be out', async () => {
    await Promise.all(Array.from({ length: 9 }, () => ask()))
    return (await edge.member(0)).state === 'ejected'
  })
  assert.match((await edge.member(0)).reason, /^ejected: latency /)
})

test('the last member is never ejected, nor more than the share that may be', async () => {
  const ports = [await closedPort(), await closedPort(), await closedPort(), await closedPort()]
  await edge.apply({
    members: ports,
    upstream: {
      health: passive({ consecutiveFailures: 2, ejectShareMax: 0.5, ejectBaseMs: 8_000, ejectMaxMs: 8_000 }),
    },
  })
  for (let i = 0; i < 15; i++) await ask()
  const states = (await edge.status()).upstreams[0]?.members.map(member => member.state)
  assert.equal(states?.filter(state => state === 'ejected').length, 2, String(states))
})

test('probes take a member out and bring it back; when too few are well, all are used', async t => {
  let well = false
  const script = (name: string): Promise<RawOrigin> =>
    startRawOrigin(
      t,
      answering(request => {
        if (!request.startLine.includes('/healthz')) return ok(name)
        return well || name === 'well' ? ok('fine') : 'HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n'
      }),
    )
  const [ill, fine] = [await script('ill'), await script('well')]
  const active: UpstreamSpec['health']['active'] = {
    kind: 'http',
    path: '/healthz',
    intervalMs: 100,
    timeoutMs: 2_000,
    rise: 2,
    fall: 2,
    jitter: 0.1,
    expectStatus: { from: 200, to: 299 },
  }
  const setup = { members: [ill.port, fine.port], upstream: { health: { ...health, active } } }
  await edge.apply(setup)
  await until('the ill one to be out', async () => (await edge.member(0)).state === 'unhealthy')
  assert.match((await edge.member(0)).reason, /^\d+ probes failed$/)
  assert.deepEqual(await tally(10), { well: 10 })
  await edge.apply({ ...setup, upstream: { health: { ...health, active, panicShare: 0.6 } } })
  assert.equal((await edge.status()).upstreams[0]?.mode, 'panic: 1 of 2 healthy')
  const panicking = await tally(20)
  assert.ok((panicking.ill ?? 0) > 0 && (panicking.well ?? 0) > 0, JSON.stringify(panicking))
  well = true
  await until('its return', async () => (await edge.member(0)).state === 'healthy')
  assert.equal((await edge.status()).upstreams[0]?.mode, 'normal')
  assert.match((await edge.member(0)).reason, /^\d+ probes ok$/)
})

test('a backup tier is used only when the first one has nobody left', async t => {
  const [main, backup] = await numbered(t, 2)
  const dead = await closedPort()
  await edge.apply({ members: [{ port: main?.port as number }, { port: backup?.port as number, tier: 1 }] })
  assert.deepEqual(await tally(10), { 0: 10 })
  await edge.apply({
    members: [{ port: dead }, { port: dead, id: 'app-x' }, { port: backup?.port as number, tier: 1 }],
    upstream: {
      health: passive({ consecutiveFailures: 1, ejectShareMax: 1, ejectBaseMs: 9_000, ejectMaxMs: 9_000 }),
    },
  })
  await until('the first tier to be out', async () => (await ask()).body === '1')
  assert.deepEqual(await tally(10), { 1: 10 })
  assert.match((await edge.status()).upstreams[0]?.mode ?? '', /^tier 1 joins/)
})

test('weights are kept to, and a member that has just come warms up', async t => {
  const origins = await numbered(t, 2)
  const [light, heavy] = portsOf(origins) as [number, number]
  await edge.apply({
    members: [
      { port: light, weight: 1 },
      { port: heavy, weight: 3 },
    ],
    upstream: { balance: { kind: 'weighted-round-robin' } },
  })
  const shares = await tally(80)
  assert.ok(Math.abs((shares['1'] ?? 0) - 60) <= 6, JSON.stringify(shares))
  const [fresh] = await numbered(t, 1)
  const warming = {
    members: [
      { port: light, id: 'old' },
      { port: fresh?.port as number, id: 'fresh', epoch: 'e' },
    ],
    upstream: { slowStartMs: 2_000, balance: { kind: 'weighted-round-robin' as const } },
  }
  await edge.apply({ ...warming, members: warming.members.slice(0, 1) })
  // The old one is warm by then.
  await new Promise(resolve => setTimeout(resolve, 2_200))
  await edge.apply(warming)
  assert.equal(fresh?.requests.length, 0)
  await tally(100)
  const got = fresh?.requests.length ?? 0
  assert.ok(got > 0 && got < 45, `some, and fewer than half: ${got}`)
})

const cookieRoute = proxyRoute(
  '/*',
  {},
  { sticky: { by: 'cookie', name: 'stuck', secure: true, sameSite: 'Lax', maxAgeMs: 60_000 } },
)

test('a sticky cookie is signed and HttpOnly, keeps its member, and says nothing about it', async t => {
  const origins = await numbered(t, 4)
  await edge.apply({ members: portsOf(origins), routes: [cookieRoute] })
  const first = await ask()
  const line = first.fields.get('set-cookie') as string
  assert.match(line, /^stuck=[^;]+; Path=\/; HttpOnly; SameSite=Lax; Secure; Max-Age=60$/)
  const value = line.slice(0, line.indexOf(';'))
  for (const secret of ['app-', '127.0.0.1', ...portsOf(origins).map(String)])
    assert.ok(!value.includes(secret))
  for (let i = 0; i < 12; i++) {
    const again = await ask('/', `Cookie: a=b; ${value}; c=d\r\n`)
    assert.equal(again.body, first.body)
    assert.ok(!again.fields.has('set-cookie'), 'not set again')
  }
  const signature = value.slice(-5)
  const forged = value.replace(signature, signature.split('').reverse().join(''))
  const bodies = new Set<string>()
  for (let i = 0; i < 12; i++) {
    const answer = await ask('/', `Cookie: ${forged}\r\n`)
    bodies.add(answer.body)
    assert.ok(answer.fields.has('set-cookie'))
  }
  assert.equal(bodies.size, 4, 'a forged cookie counts for nothing')
  const left = portsOf(origins).map((port, at) => ({ port, id: `app-${at}` }))
  await edge.apply({ members: left.filter((_, at) => String(at) !== first.body), routes: [cookieRoute] })
  const moved = await ask('/', `Cookie: ${value}\r\n`)
  assert.notEqual(moved.body, first.body)
  assert.ok(moved.fields.has('set-cookie'), 'its member is gone: it is stuck to another one')
})

test('a sticky key in the path stays with its member, and one member more moves about its share of the keys', async t => {
  const origins = await numbered(t, 5)
  const members = portsOf(origins).map((port, at) => ({ port, id: `m-${at}` }))
  const routes = [proxyRoute('/rooms/:id/*', {}, { sticky: { by: 'path', name: 'id' } })]
  const placeAll = async (): Promise<string[]> => {
    const places: string[] = []
    for (let i = 0; i < 200; i++) places.push((await ask(`/rooms/${i}/x`)).body)
    return places
  }
  await edge.apply({ members: members.slice(0, 4), routes })
  const before = await placeAll()
  assert.deepEqual(await placeAll(), before)
  await edge.apply({ members, routes })
  const with5 = await placeAll()
  const moved = with5.filter((place, at) => place !== before[at])
  assert.ok(
    moved.every(place => place === '4'),
    'keys move to the new member only',
  )
  assert.ok(moved.length > 15 && moved.length < 75, `about a fifth of 200: ${moved.length}`)
})

test('every balance serves, and says how it chose', async t => {
  const origins = await numbered(t, 3)
  const kinds: readonly (readonly [UpstreamSpec['balance'], RegExp])[] = [
    [{ kind: 'round-robin' }, /^round robin$/],
    [{ kind: 'weighted-round-robin' }, /^weighted round robin$/],
    [{ kind: 'random' }, /^random$/],
    [{ kind: 'least-connections' }, /^least connections$/],
    [{ kind: 'least-response-time' }, /^(least response time|latency not known yet.*)$/],
    [{ kind: 'least-bandwidth' }, /^least bandwidth$/],
    [{ kind: 'two-choices' }, /^better of two choices$/],
    [{ kind: 'resource' }, /./],
    [{ kind: 'ip-hash' }, /^client address hash$/],
    [{ kind: 'ring-hash', key: { by: 'url' } }, /^ring hash$/],
    [{ kind: 'rendezvous-hash', key: { by: 'query', name: 'k' } }, /^rendezvous hash$/],
    [{ kind: 'maglev-hash', key: { by: 'header', name: 'X-Key' } }, /^maglev hash$/],
  ]
  for (const [balance, how] of kinds) {
    await edge.apply({
      members: portsOf(origins).map((port, at) => ({ port, epoch: `${balance.kind}-${at}` })),
      upstream: { balance },
    })
    const seen = new Set<string>()
    for (let i = 0; i < 24; i++) {
      const answer = await ask(`/?k=${i}`, `X-Key: ${i}\r\n`)
      assert.equal(answer.status, 200, balance.kind)
      seen.add(answer.body)
    }
    if (balance.kind === 'ip-hash') assert.equal(seen.size, 1)
    else if (!/least|resource/.test(balance.kind)) assert.ok(seen.size > 1, `${balance.kind}: ${[...seen]}`)
    const members = (await edge.status()).upstreams[0]?.members ?? []
    for (const member of members) if (member.chosenBy !== '') assert.match(member.chosenBy, how, balance.kind)
  }
})

test('a draining member gets nothing new, what is in flight there ends well, and then it is idle', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const leaving = await startRawOrigin(
    t,
    answering(async () => {
      await held
      return ok('leaving')
    }),
  )
  const [staying] = await numbered(t, 1)
  await edge.apply({ members: [leaving.port] })
  const waiting = Array.from({ length: 10 }, () => ask())
  await until('ten to be in flight', () => leaving.requests.length === 10)
  await edge.apply({ members: [{ port: leaving.port, state: 'draining' }, staying?.port as number] })
  assert.equal((await edge.member(0)).state, 'draining')
  assert.deepEqual(await tally(10), { 0: 10 })
  assert.equal(leaving.requests.length, 10)
  const epoch = `at ${leaving.port}`
  assert.deepEqual(await edge.memberIdle('app-0', epoch, 50), { idle: false, inFlight: 10 })
  const idle = edge.memberIdle('app-0', epoch, 15_000)
  release()
  for (const answer of await Promise.all(waiting)) assert.equal(answer.body, 'leaving')
  assert.deepEqual(await idle, { idle: true, inFlight: 0 })
  await until('its connections to be closed', () => leaving.open.size === 0)
})

test('an edge that runs out of files closes further clients or says 503, blames no instance, and goes on afterwards', async t => {
  const filesMax = 400
  const own = await startEdge({ after: end => t.after(end) }, { filesMax })
  const other = await startRawOrigin(t)
  const held: (() => void)[] = []
  await serve(
    own,
    t,
    async peer => {
      while ((await peer.head().catch(() => null)) !== null) {
        await new Promise<void>(resolve => held.push(resolve))
        peer.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }
    },
    {
      upstream: { health: passive({ consecutiveFailures: 1, ejectBaseMs: 60_000, ejectMaxMs: 60_000 }) },
      upstreams: [upstreamOf('other', [other.port])],
      routes: [proxyRoute('/other', {}, { upstream: 'other' }), proxyRoute()],
    },
  )
  const clients: RawPeer[] = []
  while (clients.length < filesMax) clients.push(await own.connect())
  const statuses: number[] = []
  const answers = clients.map(async client => {
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    statuses.push(
      await client.response().then(
        ({ status }) => status,
        () => 0,
      ),
    )
  })
  await until('each waits, or is refused', () => held.length + statuses.length === filesMax)
  const count = (status: number): number => statuses.filter(one => one === status).length
  assert.equal(count(0), filesMax / 4, 'a quarter of the files is not for clients')
  assert.ok(count(503) > 0, 'some have a connection, and there is none to the instance')
  assert.ok(held.length > 10)
  assert.equal((await own.member(0)).state, 'unchecked', 'the instance is not ejected')
  const answered = held.splice(0)
  for (const answer of answered) answer()
  await Promise.all(answers)
  assert.equal(count(200), answered.length)
  // Connections to the instance are idle now: they give way where others need the files.
  const open = clients.find(client => client.over === '')
  open?.write('GET /other HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await open?.response())?.status, 200)
})
