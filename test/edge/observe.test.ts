// What an edge tells of itself under real requests: Prometheus text that a strict reader takes, counts that agree with
// what clients and instances saw.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EdgeUnderTest, proxyRoute, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { readExposition, sampleOf } from '../tools/exposition.ts'
import { answering, closedPort, ok, startRawOrigin } from '../tools/raw-origin.ts'
import type { RawResponse } from '../tools/raw-peer.ts'

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

async function ask(edge: EdgeUnderTest, path: string, fields = ''): Promise<RawResponse> {
  const client = await edge.connect()
  client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)
  const response = await client.response()
  client.destroy()
  return response
}

/** `queue;dur=1.5, edge;dur=0` as numbers. */
function timingOf(response: RawResponse): Record<string, number> {
  const value = response.fields.get('server-timing') ?? ''
  return Object.fromEntries(
    value.split(', ').map(part => {
      const match = /^([a-z]+);dur=(\d+(?:\.\d+)?)$/.exec(part)
      assert.ok(match !== null, `a metric of Server-Timing: ${part}`)
      return [match[1] as string, Number(match[2])]
    }),
  )
}

/** Answers after the milliseconds that the path names; a second later the body's second half, where it names that. */
const slowScript = answering(async (request, peer) => {
  const [, wait = 0, body = 0] = /\/(\d+)\/?(\d+)?/.exec(request.startLine) ?? []
  await sleep(Number(wait))
  if (Number(body) === 0) return ok('whole')
  peer.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst')
  await sleep(Number(body))
  return 'after'
})

test('Server-Timing tells the phases to who asks, or to everybody, or to nobody; a body is not in it', async t => {
  const origin = await startRawOrigin(t, slowScript)
  const edge = await startEdge(t, { members: [origin.port], routes: [proxyRoute('/*')] })
  assert.equal((await ask(edge, '/0', 'X-Server-Timing: 1\r\n')).fields.get('server-timing'), undefined)
  const version = (): number => edge.snapshot.version + 1
  await edge.applySnapshot({ ...edge.snapshot, version: version(), serverTiming: 'asked' })
  assert.equal((await ask(edge, '/0')).fields.get('server-timing'), undefined)
  const asked = timingOf(await ask(edge, '/120/150', 'X-Server-Timing: 1\r\n'))
  assert.deepEqual(Object.keys(asked), ['queue', 'connect', 'wait', 'edge'])
  // Milliseconds of the instance's own timer: it may be early by one.
  assert.ok((asked.wait as number) >= 119, `waited ${asked.wait} ms`)
  await edge.applySnapshot({ ...edge.snapshot, version: version(), serverTiming: 'always' })
  assert.ok('wait' in timingOf(await ask(edge, '/0')))
  await edge.applySnapshot({ ...edge.snapshot, version: version(), routes: [] })
  assert.deepEqual(Object.keys(timingOf(await ask(edge, '/nowhere'))), ['edge'])
})

test('the slow-request log has a line for each slow request, with the phases that it spent its time in', async t => {
  let dead = true
  const origin = await startRawOrigin(t, async (peer, number, self) => {
    if (dead && number === 0) {
      await peer.request()
      await sleep(60)
      peer.reset()
      return
    }
    await slowScript(peer, number, self)
  })
  const edge = await startEdge(t, {
    members: [origin.port],
    upstream: {
      limits: { connectionsMax: 0, inFlightMax: 1, pendingMax: 10, pendingTimeoutMs: 20_000 },
    },
  })
  const file = join(edge.stateDirectory, 'slow.log')
  const lines = (): Record<string, unknown>[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .slice(0, -1)
          .map(line => JSON.parse(line) as Record<string, unknown>)
      : []
  const lineOf = async (path: string): Promise<Record<string, number>> => {
    await until(`a line of ${path}`, () => lines().some(line => line.path === path))
    return lines().find(line => line.path === path) as Record<string, number>
  }
  const slowerThan = (thresholdMs: number): Promise<number> =>
    edge.applySnapshot({
      ...edge.snapshot,
      version: edge.snapshot.version + 1,
      slowLog: { file, thresholdMs },
    })
  await slowerThan(100)
  // Its first attempt lasts 60 ms and is lost.
  assert.equal((await ask(edge, '/120/retried')).status, 200)
  dead = false
  const retried = await lineOf('/120/retried')
  assert.equal(retried.retries, 1)
  assert.ok(
    (retried.retryMs as number) >= 59 && (retried.firstByteMs as number) >= 119,
    JSON.stringify(retried),
  )
  await slowerThan(600_000)
  assert.equal((await ask(edge, '/0/fast')).status, 200)
  await slowerThan(100)
  assert.equal((await ask(edge, '/1/2000')).status, 200)
  const body = await lineOf('/1/2000')
  // Its head may have been late; the body is two seconds behind it, less that.
  assert.ok(
    (body.bodyMs as number) >= 1_000 && (body.bodyMs as number) <= (body.ms as number),
    JSON.stringify(body),
  )
  // The second of two waits for the only place.
  const both = Promise.all([ask(edge, '/1500/0/a'), ask(edge, '/1500/0/b')])
  for (const { status } of await both) assert.equal(status, 200)
  const queued = [await lineOf('/1500/0/a'), await lineOf('/1500/0/b')].map(line => line.queueMs as number)
  // However late the second one comes, it comes within the first one's time.
  assert.ok(Math.max(...queued) > 0 && Math.min(...queued) < Math.max(...queued), `${queued}`)
  for (const line of lines()) {
    const parts = ['gatesMs', 'queueMs', 'retryMs', 'connectMs', 'firstByteMs', 'bodyMs']
    const sum = parts.reduce((total, part) => total + (line[part] as number), 0)
    assert.ok(Math.abs(sum - (line.ms as number)) < 1, `the phases add up: ${JSON.stringify(line)}`)
    assert.deepEqual([line.member, line.upstream, line.route], ['app-0', 'app', '/*'])
  }
  assert.ok(!lines().some(line => line.path === '/0/fast'), 'what is fast has no line')
  renameSync(file, `${file}.1`)
  await edge.call('reopenLogs', {})
  await ask(edge, '/150/rotated')
  await lineOf('/150/rotated')
})
