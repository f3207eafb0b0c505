// Traces as a collector gets them: which requests are recorded, that spans fit together over retries, hedges and two
// edges, and that a collector which is slow, full or gone costs no request anything.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TracingSpec } from '../../src/io/trace-exporter.ts'
import { type Collector, type SpanSeen, startCollector } from '../tools/collector.ts'
import { type EdgeUnderTest, proxyRoute, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { readExposition, sampleOf } from '../tools/exposition.ts'
import { answering, ok, startRawOrigin } from '../tools/raw-origin.ts'
import type { RawResponse } from '../tools/raw-peer.ts'

async function trace(
  edge: EdgeUnderTest,
  collector: Collector,
  change: Partial<TracingSpec> = {},
): Promise<void> {
  const tracing = { endpoint: collector.endpoint, serviceName: 'front', sampleShare: 1, ...change }
  await edge.applySnapshot({ ...edge.snapshot, version: edge.snapshot.version + 1, tracing })
}

async function get(edge: EdgeUnderTest, path = '/', fields = ''): Promise<RawResponse> {
  const peer = await edge.connect()
  peer.write(`GET ${path} HTTP/1.1\r\nHost: shop.example:8080\r\n${fields}Connection: close\r\n\r\n`)
  const response = await peer.response()
  peer.destroy()
  return response
}

const server = (spans: readonly SpanSeen[]): SpanSeen => spans.find(one => one.kind === 2) as SpanSeen
const clients = (spans: readonly SpanSeen[]): SpanSeen[] => spans.filter(one => one.kind === 3)

const parent = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }
const traceparent = (flags: string): string => `traceparent: 00-${parent.trace}-${parent.span}-${flags}\r\n`

test('a request is a span of the server and one of each attempt, named as the conventions say', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], routes: [proxyRoute('/films/*')] })
  await trace(edge, collector)
  await get(edge, '/films/7?token=secret', 'User-Agent: curl/8\r\n')
  const spans = await collector.spansOf(2)
  const one = server(spans)
  assert.equal(one.name, 'GET /films/*')
  assert.equal(one.service, 'front')
  assert.equal(one.parentSpanId, '')
  assert.equal(one.status, 0)
  const expected = {
    'http.request.method': 'GET',
    'http.route': '/films/*',
    'http.response.status_code': 200,
    'url.path': '/films/7',
    'url.scheme': 'http',
    'server.address': 'shop.example',
    'server.port': 8080,
    'network.protocol.version': '1.1',
    'client.address': '127.0.0.1',
    'user_agent.original': 'curl/8',
    'http.response.body.size': 2,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(one.attributes.get(name), value, name)
  const attempt = clients(spans)[0] as SpanSeen
  assert.equal(attempt.parentSpanId, one.spanId)
  assert.equal(attempt.traceId, one.traceId)
  assert.ok(one.startNs <= attempt.startNs && attempt.endNs <= one.endNs)
  assert.equal(attempt.attributes.get('url.full'), `http://127.0.0.1:${origin.port}/films/7`)
  assert.equal(attempt.attributes.get('tenfold.member'), 'app-0')
  assert.ok(!JSON.stringify([...one.attributes, ...attempt.attributes]).includes('secret'))
  assert.equal(
    origin.requests[0]?.fields.get('traceparent'),
    `00-${one.traceId}-${attempt.spanId}-01`,
    'the instance is told the attempt as its parent',
  )
})

test('a parent is continued when a trusted proxy says it, with its decision; from anybody else a trace begins anew', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], trustedProxies: ['127.0.0.0/8'] })
  await trace(edge, collector, { sampleShare: 0 })
  await get(edge, '/', `${traceparent('01')}tracestate: vendor=1\r\n`)
  const one = server(await collector.spansOf(2))
  assert.deepEqual([one.traceId, one.parentSpanId], [parent.trace, parent.span])
  assert.equal(one.traceState, 'vendor=1')
  assert.equal(one.flags, 0x301, 'the parent is known to be elsewhere')
  assert.equal(origin.requests[0]?.fields.get('tracestate'), 'vendor=1')
  // Said not to be recorded: nothing is made, and the instance hears the same.
  await get(edge, '/', traceparent('00'))
  assert.equal(
    origin.requests[1]?.fields.get('traceparent'),
    `00-${parent.trace}-${parent.span}-00`,
    'passed on as it came',
  )
  // A share of 0 and no parent: the instance is told that nobody records.
  await get(edge)
  assert.match(origin.requests[2]?.fields.get('traceparent') ?? '', /-00$/)
  await edge.applySnapshot({ ...edge.snapshot, version: edge.snapshot.version + 1, trustedProxies: [] })
  await trace(edge, collector, { sampleShare: 1 })
  await get(edge, '/', `${traceparent('01')}tracestate: vendor=1\r\n`)
  const spans = (await collector.spansOf(4)).slice(2)
  assert.equal(spans.length, 2, 'the two others left nothing')
  assert.notEqual(server(spans).traceId, parent.trace)
  assert.equal(server(spans).parentSpanId, '')
  assert.equal(origin.requests[3]?.fields.get('tracestate'), undefined, 'it belongs to the other trace')
  await edge.idle()
})

test('each retry is a span of its own, whose instance is told it; the last says how it ended', async t => {
  const collector = await startCollector(t)
  const dead = await startRawOrigin(t, async peer => {
    await peer.request()
    peer.reset()
  })
  const alive = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [dead.port, alive.port], upstream: { slowStartMs: 0 } })
  await trace(edge, collector)
  let retried: SpanSeen[] = []
  let from = 0
  // Round robin: within two requests one begins at the dead one.
  for (let i = 0; i < 2 && retried.length === 0; i++) {
    assert.equal((await get(edge)).status, 200)
    await until('its spans', () => collector.spans.slice(from).some(one => one.kind === 2))
    const spans = collector.spans.slice(from)
    from = collector.spans.length
    if (clients(spans).length === 2) retried = spans
  }
  const [first, second] = clients(retried) as [SpanSeen, SpanSeen]
  assert.equal(first.attributes.get('error.type'), 'connection-lost')
  assert.equal(first.status, 2)
  assert.equal(second.attributes.get('http.request.resend_count'), 1)
  assert.equal(second.attributes.get('http.response.status_code'), 200)
  assert.equal(second.status, 0)
  assert.equal(server(retried).status, 0, 'the client saw no failure')
  for (const one of [first, second]) assert.equal(one.parentSpanId, server(retried).spanId)
  assert.ok(first.endNs <= second.startNs)
  const told = alive.requests.map(request => request.fields.get('traceparent')?.split('-')[2])
  assert.ok(told.includes(second.spanId))
})

test('a hedge and the attempt that it overtook are both there', async t => {
  const collector = await startCollector(t)
  let slow = false
  const fast = await startRawOrigin(t)
  const other = await startRawOrigin(
    t,
    answering(async () => {
      if (slow) await new Promise(resolve => setTimeout(resolve, 500))
      return ok()
    }),
  )
  const edge = await startEdge(t, {
    members: [fast.port, other.port],
    upstream: { hedge: { percentile: 50, delayMinMs: 20 } },
  })
  for (let i = 0; i < 100; i++) await get(edge)
  slow = true
  await trace(edge, collector)
  let raced: SpanSeen[] = []
  await until('a request that was hedged', async () => {
    assert.equal((await get(edge)).status, 200)
    raced = clients(collector.spans).filter(one => one.attributes.get('error.type') === 'lost-race')
    return raced.length > 0
  })
  const lost = raced[0] as SpanSeen
  const both = clients(collector.spans).filter(one => one.parentSpanId === lost.parentSpanId)
  assert.equal(both.length, 2)
  const won = both.find(one => one !== lost) as SpanSeen
  assert.equal(won.attributes.get('http.response.status_code'), 200)
  assert.ok(both.every(one => one.status === 0))
  assert.ok(lost.startNs < won.startNs && lost.endNs <= won.endNs)
})

test('what goes wrong is said in the spans: no route, no instance, an answer cut, a client gone', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(
    t,
    answering((request, peer) => {
      if (!request.startLine.includes('/cut')) return new Promise<undefined>(() => {})
      peer.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive.')
      setTimeout(() => peer.reset(), 50)
      return undefined
    }),
  )
  const edge = await startEdge(t, {
    members: [origin.port],
    upstreams: [upstreamOf('nobody', [])],
    routes: [proxyRoute('/cut'), proxyRoute('/hang'), proxyRoute('/none', {}, { upstream: 'nobody' })],
  })
  await trace(edge, collector)
  assert.equal((await get(edge, '/nowhere')).status, 404)
  assert.equal((await get(edge, '/none')).status, 503)
  const cut = await edge.connect()
  cut.write('GET /cut HTTP/1.1\r\nHost: x\r\n\r\n')
  await cut.response().catch(() => {})
  const gone = await edge.connect()
  gone.write('GET /hang HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the request to be there', () => origin.requests.length === 2)
  gone.reset()
  const spans = await collector.spansOf(6)
  const of = (path: string): SpanSeen =>
    spans.find(one => one.kind === 2 && one.attributes.get('url.path') === path) as SpanSeen
  assert.deepEqual([of('/nowhere').name, of('/nowhere').status], ['GET', 0])
  assert.deepEqual([of('/none').attributes.get('error.type'), of('/none').status], ['no-instance', 2])
  assert.deepEqual([of('/cut').attributes.get('error.type'), of('/cut').status], ['response-cut', 2])
  assert.deepEqual([of('/hang').attributes.get('error.type'), of('/hang').status], ['client-gone', 0])
  assert.equal(clients(spans).length, 2)
})

test('a trace goes through two edges and keeps its order of parents', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(t)
  const inner = await startEdge(t, { members: [origin.port], trustedProxies: ['127.0.0.1'] })
  const outer = await startEdge(t, { members: [inner.port] })
  await trace(inner, collector, { serviceName: 'inner', sampleShare: 0 })
  await trace(outer, collector, { serviceName: 'outer', sampleShare: 1 })
  assert.equal((await get(outer)).status, 200)
  const spans = await collector.spansOf(4)
  const chain = [
    spans.find(one => one.service === 'outer' && one.kind === 2),
    spans.find(one => one.service === 'outer' && one.kind === 3),
    spans.find(one => one.service === 'inner' && one.kind === 2),
    spans.find(one => one.service === 'inner' && one.kind === 3),
  ] as SpanSeen[]
  for (const [at, span] of chain.entries()) {
    assert.equal(span.traceId, chain[0]?.traceId)
    assert.equal(span.parentSpanId, at === 0 ? '' : chain[at - 1]?.spanId)
  }
  const last = chain[3] as SpanSeen
  assert.equal(origin.requests[0]?.fields.get('traceparent'), `00-${last.traceId}-${last.spanId}-01`)
})

test('a share of the traces is recorded, and the instance is told which', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [origin.port] })
  await trace(edge, collector, { sampleShare: 0.3 })
  const client = await edge.connect()
  const count = 400
  for (let i = 0; i < count; i++) {
    client.write(`GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.response()
  }
  const told = origin.requests.filter(request => request.fields.get('traceparent')?.endsWith('-01')).length
  assert.ok(told > 60 && told < 180, `${told} of ${count}`)
  await collector.spansOf(told * 2)
  assert.equal(collector.spans.length, told * 2)
  assert.equal(new Set(collector.spans.map(one => one.spanId)).size, told * 2, 'no id twice')
})

test('a collector that is busy is asked again as it says; one that refuses is not; requests go on meanwhile', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [origin.port] })
  const headersFile = join(edge.stateDirectory, 'headers')
  writeFileSync(headersFile, '# for the collector\nauthorization: Bearer of-the-tests\n')
  await trace(edge, collector, { headersFile })
  const counted = async (outcome: string): Promise<number> =>
    sampleOf(readExposition(await edge.metrics()), 'edge_trace_spans_total', { outcome })
  collector.refuse(1, { status: 429, fields: { 'Retry-After': '0' } })
  await get(edge)
  await collector.spansOf(2)
  assert.equal(collector.batches.length, 2)
  for (const fields of collector.batches) assert.equal(fields.authorization, 'Bearer of-the-tests')
  await until('them to be counted', async () => (await counted('sent')) === 2)
  collector.refuse(1, { status: 400 })
  await get(edge)
  await until('two to be rejected', async () => (await counted('rejected')) === 2)
  await until('an event', () => edge.events.some(event => /spans are lost.*answers 400/.test(event.text)))
  collector.refuse(1, { status: 200, body: '{"partialSuccess":{"rejectedSpans":"1"}}' })
  await get(edge)
  await until('one more to be rejected', async () => (await counted('rejected')) === 3)
  // One that answers nothing: requests do not notice.
  collector.hold(true)
  for (let i = 0; i < 20; i++) assert.equal((await get(edge)).status, 200)
  collector.hold(false)
  await until('all the rest to be sent', async () => (await counted('sent')) === 3 + 40)
  await until('an event', () => edge.events.some(event => /takes spans again/.test(event.text)))
})

test('the last spans are sent when the edge stops; a collector that is gone does not hold it up', async t => {
  const collector = await startCollector(t)
  const origin = await startRawOrigin(t)
  const edge = await startEdge(t, { members: [origin.port] })
  await trace(edge, collector)
  await get(edge)
  await edge.stop()
  assert.equal(collector.spans.length, 2)
  const lonely = await startEdge(t, { members: [origin.port] })
  await trace(lonely, { ...collector, endpoint: 'http://127.0.0.1:1/v1/traces' })
  await get(lonely)
  await until('an event', async () => {
    const metrics = readExposition(await lonely.metrics())
    return sampleOf(metrics, 'edge_trace_spans_total', { outcome: 'sent' }) === 0
  })
})
