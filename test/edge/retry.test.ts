// When a request is tried again and when never: counted at scripted origins, over real sockets.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { proxyRoute, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { answering, closedPort, ok, readRequest, type Script, startRawOrigin } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })
const once = { attempts: 0, budgetShare: 0, budgetMin: 0, backoffBaseMs: 1, backoffMaxMs: 2, onStatus: [] }
const { retry } = upstreamOf('x', [])

/** Takes the request and resets before a byte of an answer. */
const loses: Script = async (peer, _number, self) => {
  await readRequest(peer, self)
  peer.reset()
}

async function ask(
  text: string,
): Promise<{ status: number; body: string; fields: ReadonlyMap<string, string> }> {
  const client = await edge.connect()
  client.write(text)
  const response = await client.response(text.split(' ')[0])
  client.destroy()
  return { status: response.status, body: response.body.toString(), fields: response.fields }
}
const get = 'GET / HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n'
const post = 'POST / HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nContent-Length: 3\r\n\r\nabc'
const codeOf = (body: string): string => (JSON.parse(body) as { error: { code: string } }).error.code

test('a member that refuses connections costs no request of any method, streamed bodies included', async t => {
  const good = await startRawOrigin(t)
  await edge.apply({ members: [await closedPort(), good.port] })
  const chunked = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
  for (let i = 0; i < 6; i++)
    for (const text of [get, post, chunked]) assert.equal((await ask(text)).status, 200)
  const large = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n${'b'.repeat(300_000)}`
  for (let i = 0; i < 4; i++) assert.equal((await ask(large)).status, 200)
  assert.equal(good.requests.length, 22)
  assert.ok((await edge.member(0)).retries >= 5)
})

test('when every member refuses, there is one 502', async () => {
  await edge.apply({ members: [await closedPort(), await closedPort()] })
  const response = await ask(get)
  assert.equal(response.status, 502)
  assert.equal(codeOf(response.body), 'instance-unreachable')
})

test('without any member there is 503 with Retry-After at once', async () => {
  await edge.apply({ members: [] })
  const response = await ask(get)
  assert.equal(response.status, 503)
  assert.equal(codeOf(response.body), 'no-instance')
  assert.match(response.fields.get('retry-after') ?? '', /^\d+$/)
})

test('a connection lost before an answer: GET goes elsewhere, POST gets one 502 and ran once', async t => {
  const bad = await startRawOrigin(t, loses)
  const good = await startRawOrigin(t)
  await edge.apply({ members: [bad.port, good.port] })
  for (let i = 0; i < 10; i++) assert.equal((await ask(get)).status, 200)
  assert.equal(good.requests.length, 10)
  const before = bad.requests.length + good.requests.length
  let failed = 0
  for (let i = 0; i < 10; i++) {
    const response = await ask(post)
    if (response.status === 502) {
      failed++
      assert.equal(codeOf(response.body), 'instance-lost')
    } else assert.equal(response.status, 200)
  }
  assert.equal(failed, 5, 'round robin: every other POST meets the bad one')
  assert.equal(bad.requests.length + good.requests.length, before + 10, 'each POST ran exactly once')
})

test('PUT and DELETE are tried again, PATCH is not', async t => {
  const bad = await startRawOrigin(t, loses)
  const good = await startRawOrigin(t)
  for (const [method, wanted] of [
    ['PUT', 200],
    ['DELETE', 200],
    ['PATCH', 502],
  ] as const) {
    await edge.apply({ members: [bad.port, good.port] })
    const statuses = new Set<number>()
    for (let i = 0; i < 2; i++)
      statuses.add((await ask(`${method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab`)).status)
    assert.ok(statuses.has(wanted) && (wanted === 502 || statuses.size === 1), `${method}: ${[...statuses]}`)
  }
})

/** Answers one request and closes when the second one comes, as an instance does whose keep-alive time ends just then. */
const stale: Script = async (peer, _number, self) => {
  await readRequest(peer, self)
  peer.write(ok('first'))
  await peer.bytes(1)
  peer.reset()
}

test('a connection that the instance closed as we wrote costs no GET, even without retries; POST gets one 502', async t => {
  const origin = await startRawOrigin(t, stale)
  await edge.apply({ members: [origin.port], upstream: { retry: once } })
  for (let i = 0; i < 10; i++) assert.equal((await ask(get)).status, 200, `GET ${i}`)
  const ran = origin.requests.length
  assert.equal(ran, 10)
  const response = await ask(post)
  assert.equal(response.status, 502)
  assert.equal(origin.requests.length, ran, 'it was not sent again')
  assert.equal((await edge.member(0)).failures, 0, 'and it says nothing about the instance')
})

test('an idle connection that the instance has closed is not used', async t => {
  const origin = await startRawOrigin(t, async (peer, _number, self) => {
    await readRequest(peer, self)
    peer.write(ok())
  })
  await edge.apply({ members: [origin.port], upstream: { retry: once } })
  for (let i = 0; i < 5; i++) {
    assert.equal((await ask(post)).status, 200)
    await until('the edge to notice the end', async () => (await edge.member(0)).connections === 0)
  }
})

test('statuses of the list are tried again for idempotent methods, up to the attempts, then passed on', async t => {
  const bad = await startRawOrigin(
    t,
    answering(() => 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy'),
  )
  await edge.apply({ members: [bad.port], upstream: { retry: { ...retry, attempts: 2, onStatus: [503] } } })
  const response = await ask(get)
  assert.deepEqual([response.status, response.body], [503, 'busy'])
  assert.equal(bad.requests.length, 3)
  assert.equal((await ask(post)).status, 503)
  assert.equal(bad.requests.length, 4, 'POST once')
})

test('the budget bounds retries: a group that fails altogether is not asked twice as often', async t => {
  const bad = await startRawOrigin(
    t,
    answering(async () => {
      await new Promise(resolve => setTimeout(resolve, 200))
      return 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'
    }),
  )
  const strict = { ...retry, attempts: 5, budgetShare: 0.1, budgetMin: 2, onStatus: [503], backoffBaseMs: 1 }
  await edge.apply({ members: [bad.port], upstream: { retry: strict } })
  await Promise.all(Array.from({ length: 100 }, () => ask(get)))
  // Each of at most 10 retries at once may repeat while others wait; unbounded it would be 600.
  assert.ok(bad.requests.length < 250, `${bad.requests.length} attempts for 100 requests`)
})

test('a try has its own time: the next one goes elsewhere; without a further one there is 504', async t => {
  const silent = await startRawOrigin(t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await peer.rest()
  })
  const good = await startRawOrigin(t)
  await edge.apply({
    members: [silent.port, good.port],
    upstream: { retry: { ...retry, perTryTimeoutMs: 300 } },
  })
  for (let i = 0; i < 4; i++) assert.equal((await ask(get)).status, 200)
  await edge.apply({ members: [silent.port], upstream: { retry: once, responseTimeoutMs: 300 } })
  const response = await ask(get)
  assert.equal(response.status, 504)
  assert.equal(codeOf(response.body), 'response-timeout')
  await until('its connections to be cut', () => silent.open.size === 0)
})

test('an answer that has begun is never asked for again', async t => {
  const cut = await startRawOrigin(t, async (peer, _number, self) => {
    await readRequest(peer, self)
    await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc')
    peer.reset()
  })
  await edge.apply({ members: [cut.port, cut.port].map((port, at) => ({ port, id: `m${at}` })) })
  const client = await edge.connect()
  client.write(get)
  const response = await client.response().catch(() => null)
  assert.ok(response === null || !response.complete)
  await edge.idle()
  assert.equal(cut.requests.length, 1)
})

test("a route's own rules of retry win over the upstream's", async t => {
  const bad = await startRawOrigin(t, loses)
  await edge.apply({
    members: [bad.port],
    upstream: { retry: { ...retry, attempts: 3 } },
    routes: [proxyRoute('/once', {}, { retry: { attempts: 0 } }), proxyRoute('/*')],
  })
  assert.equal((await ask(get.replace('/ ', '/once '))).status, 502)
  assert.equal(bad.requests.length, 1)
  assert.equal((await ask(get)).status, 502)
  assert.equal(bad.requests.length, 5)
})

test('hedging: a slow first member is overtaken by a second one, and its connection is given up', async t => {
  let slowNow = false
  const slow = await startRawOrigin(
    t,
    answering(async (_request, peer) => {
      if (!slowNow) return ok('slow')
      await peer.when('to be given up', () => peer.over !== '')
      return undefined
    }),
  )
  const fast = await startRawOrigin(
    t,
    answering(() => ok('fast')),
  )
  await edge.apply({
    members: [slow.port, fast.port],
    upstream: { hedge: { percentile: 95, delayMinMs: 50 }, retry: { ...retry, budgetMin: 10 } },
  })
  const client = await edge.connect()
  // Enough latencies to know a percentile, for longer than what the edge knew before is kept.
  const known = performance.now() + 1_500
  for (let i = 0; i < 150 || performance.now() < known; i++) {
    client.write(get)
    await client.response()
  }
  slowNow = true
  const asked = slow.requests.length
  await until('the slow member to be asked', async () => {
    client.write(get)
    assert.equal((await client.response()).body.toString(), 'fast')
    return slow.requests.length > asked
  })
  await edge.idle()
  await until("the slow member's connections to be closed", () => slow.open.size === 0)
  const before = fast.requests.length + slow.requests.length
  client.write(post)
  slowNow = false
  await client.response('POST')
  assert.equal(fast.requests.length + slow.requests.length, before + 1, 'a POST is never hedged')
})
