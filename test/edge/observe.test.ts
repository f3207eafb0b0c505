// What an edge tells of itself under real requests: Prometheus text that a strict reader takes, counts that agree with
// what clients and instances saw.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proxyRoute, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { readExposition, sampleOf } from '../tools/exposition.ts'
import { answering, closedPort, ok, startRawOrigin } from '../tools/raw-origin.ts'

function statusAnswer(path: string): string {
  const status = Number(/\d{3}/.exec(path)?.[0] ?? 200)
  return `HTTP/1.1 ${status} As Asked\r\nContent-Length: 2\r\n\r\nok`
}

test('requests, failures and durations are counted per route and upstream, in text that a strict reader takes', async t => {
  const origin = await startRawOrigin(
    t,
    answering(request => statusAnswer(request.startLine.split(' ')[1] as string)),
  )
  const broken = await startRawOrigin(t, async peer => {
    await peer.request()
    peer.write('this is not HTTP\r\n\r\n')
  })
  const edge = await startEdge(t, {
    members: [origin.port],
    workers: 2,
    upstream: { retry: { ...upstreamOf('x', []).retry, onStatus: [500] } },
    upstreams: [
      upstreamOf('broken', [broken.port], { retry: { ...upstreamOf('x', []).retry, attempts: 0 } }),
      upstreamOf('gone', [await closedPort()], { retry: { ...upstreamOf('x', []).retry, attempts: 0 } }),
    ],
    routes: [
      proxyRoute('/broken', {}, { upstream: 'broken' }),
      proxyRoute('/gone', {}, { upstream: 'gone' }),
      proxyRoute('/odd "name"\\'),
      proxyRoute('/*'),
    ],
  })
  const client = await edge.connect()
  const paths = ['/200', '/200', '/204?', '/302', '/404', '/503', '/broken', '/gone', '/500']
  for (const path of paths) {
    client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.response()
  }
  await edge.idle()
  const metrics = readExposition(await edge.metrics())
  const routed = (status: string): number => sampleOf(metrics, 'edge_requests_total', { route: '/*', status })
  assert.deepEqual(['1xx', '2xx', '3xx', '4xx', '5xx'].map(routed), [0, 3, 1, 1, 2])
  const answered = (status: string): number =>
    sampleOf(metrics, 'edge_upstream_requests_total', { upstream: 'app', status })
  // 500 is tried again, twice: each answer of the instance is counted.
  assert.deepEqual(['1xx', '2xx', '3xx', '4xx', '5xx'].map(answered), [0, 3, 1, 1, 4])
  const failed = (upstream: string, reason: string): number =>
    sampleOf(metrics, 'edge_upstream_failures_total', { upstream, reason })
  assert.equal(failed('broken', 'invalid'), 1)
  assert.equal(failed('gone', 'connect'), 1)
  assert.equal(failed('app', 'lost'), 0)
  assert.equal(sampleOf(metrics, 'edge_request_seconds_count', { route: '/*' }), 7)
  assert.equal(sampleOf(metrics, 'edge_upstream_seconds_count', { upstream: 'app' }), 7)
  assert.ok(sampleOf(metrics, 'edge_upstream_seconds_sum', { upstream: 'app' }) > 0)
  for (const route of ['/*', '/odd "name"\\'])
    assert.equal(sampleOf(metrics, 'edge_requests_in_flight', { route }), 0)
})

test('what is in flight is told while it is, by route and upstream, and is over when its worker dies', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const origin = await startRawOrigin(
    t,
    answering(async () => {
      await held
      return ok()
    }),
  )
  const edge = await startEdge(t, { members: [origin.port] })
  const inFlight = async (): Promise<number[]> => {
    const metrics = readExposition(await edge.metrics())
    return [
      sampleOf(metrics, 'edge_requests_in_flight', { route: '/*' }),
      sampleOf(metrics, 'edge_upstream_in_flight', { upstream: 'app' }),
    ]
  }
  const clients = await Promise.all([edge.connect(), edge.connect(), edge.connect()])
  for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('three requests in flight', () => origin.requests.length === 3)
  assert.deepEqual(await inFlight(), [3, 3])
  const before = readExposition(await edge.metrics())
  assert.equal(sampleOf(before, 'edge_upstream_requests_total', { upstream: 'app', status: '2xx' }), 0)
  await edge.killWorker(0)
  await until('nothing in flight', async () => (await inFlight()).join() === '0,0')
  release()
})
