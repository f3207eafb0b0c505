// Row 14 of the guard's checklist on a real edge: cheap traffic must not push out buyers. The origin is a real server with
// a fixed number of slots and a queue of its own; what is counted is who is served, never how fast.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import type { AdaptiveSpec } from '../../src/edge/snapshot.ts'
import { type EdgeSetup, proxyRoute, until } from '../tools/edge-harness.ts'
import { RawPeer } from '../tools/raw-peer.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const slots = 6
const workMs = 25
/** Longer than that, and the buyer has left: the origin does not even begin. */
const patienceMs = 2_000

/** Answers 200, or 504 to who has waited too long in its own queue. */
async function slottedOrigin(t: TestContext): Promise<number> {
  const queue: { readonly at: number; end(status: number): void }[] = []
  let working = 0
  const next = (): void => {
    while (working < slots) {
      const one = queue.shift()
      if (one === undefined) return
      working++
      setTimeout(() => {
        working--
        one.end(performance.now() - one.at > patienceMs ? 504 : 200)
        next()
      }, workMs)
    }
  }
  const server = createServer((request, response) => {
    request.resume()
    queue.push({ at: performance.now(), end: status => response.writeHead(status).end('done') })
    next()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    const closed = new Promise(resolve => server.close(resolve))
    server.closeAllConnections()
    await closed
  })
  return (server.address() as { port: number }).port
}

const adaptive: AdaptiveSpec = {
  limitMin: slots,
  limitMax: slots * 2,
  limitStart: slots,
  tolerance: 1.5,
  probeMs: 30_000,
  queueTargetMs: 50,
  queueIntervalMs: 400,
  reserveShare: 0.2,
}

const routes = [
  proxyRoute('/checkout', { guard: 'checkout' }),
  proxyRoute('/search', { guard: 'search' }),
  proxyRoute('/*'),
]
const guard = specOf([policyOf('checkout', { shed: 'critical' }), policyOf('search', { shed: 'sheddable' })])

async function start(t: TestContext, on: boolean): Promise<GuardedEdge> {
  const port = await slottedOrigin(t)
  const limits = { connectionsMax: 0, inFlightMax: 0, pendingMax: 4_000, pendingTimeoutMs: 30_000 }
  const setup: EdgeSetup = {
    workers: 2,
    members: [port],
    routes,
    upstream: { limits: on ? { ...limits, adaptive } : limits },
  }
  return startGuardedEdge(t, guard, setup)
}

/** Clients that ask again and again until told to stop; 503s are asked again after a moment. */
function clients(
  port: number,
  count: number,
  path: string,
): { statuses: Map<number, number>; stop(): Promise<void> } {
  const statuses = new Map<number, number>()
  let over = false
  const all = Array.from({ length: count }, async () => {
    const peer = await RawPeer.connect(port)
    while (!over) {
      peer.write(`GET ${path} HTTP/1.1\r\nHost: shop.example\r\n\r\n`)
      const { status } = await peer.response('GET')
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status !== 200) await new Promise(resolve => setTimeout(resolve, 30))
    }
    peer.destroy()
  })
  const stop = async (): Promise<void> => {
    over = true
    await Promise.all(all)
  }
  return { statuses, stop }
}

/** Each buys once after the other, while the flood goes on. */
async function purchases(port: number, count: number): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const peer = await RawPeer.connect(port)
  for (let at = 0; at < count; at++) {
    peer.write('GET /checkout HTTP/1.1\r\nHost: shop.example\r\n\r\n')
    const { status } = await peer.response('GET')
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  peer.destroy()
  return statuses
}

const total = (statuses: ReadonlyMap<number, number>): number =>
  [...statuses.values()].reduce((sum, one) => sum + one, 0)

test('row 14: a flood of cheap requests pushes out no buyer, and is told to come later', async t => {
  const guarded = await start(t, true)
  const { port } = guarded.edge
  const flood = clients(port, 150, '/search')
  const others = clients(port, 10, '/plain')
  await until('the flood to be refused in part', () => (flood.statuses.get(503) ?? 0) > 50)
  const bought = await purchases(port, 60)
  assert.deepEqual([...bought], [[200, 60]])
  await until('some of the flood and of the others are served', () =>
    [flood, others].every(({ statuses }) => (statuses.get(200) ?? 0) > 0),
  )
  const places = (await guarded.edge.status()).upstreams.find(({ name }) => name === 'app')?.places
  assert.equal(places?.shed.critical, 0)
  await Promise.all([flood.stop(), others.stop()])
  assert.match(await guarded.edge.metrics(), /^edge_shed_total\{upstream="app",class="critical"\} 0$/m)
})

test('row 14: without classes and a limit the same flood pushes buyers out', async t => {
  const guarded = await start(t, false)
  const { port } = guarded.edge
  const flood = clients(port, 700, '/search')
  await until('the flood to stand in the origin', () => total(flood.statuses) > 1_000)
  const bought = await purchases(port, 4)
  assert.notEqual(bought.get(200) ?? 0, 4, JSON.stringify([...bought]))
  await flood.stop()
})

test('who is refused for want of a place finds out why by the id of the request', async t => {
  const guarded = await start(t, true)
  const { port } = guarded.edge
  const flood = clients(port, 100, '/search')
  await until('the flood to be refused in part', () => (flood.statuses.get(503) ?? 0) > 20)
  let refused = await guarded.ask({ path: '/search' })
  await until('one that is refused', async () => {
    if (refused.status !== 503) refused = await guarded.ask({ path: '/search' })
    return refused.status === 503
  })
  assert.ok(Number(refused.fields.get('retry-after')) > 0)
  const record = await guarded.explained(refused.fields.get('x-request-id') as string)
  assert.equal(record.outcome, 'refused')
  const finding = record.findings.find(({ step, detected }) => step === 'shed' && !detected)
  // By the places of the service, or, on a machine that has more to do, by the load of the worker.
  const expected = record.code === 'overloaded' ? 'shed:sheddable' : 'shed:load'
  assert.equal(finding?.rule, expected)
  assert.ok(['overloaded', 'SHED'].includes(record.code), record.code)
  assert.ok((finding?.would ?? '') !== '' && (finding?.text ?? '').includes('sheddable'))
  await flood.stop()
  const status = await guarded.question<{ parts: { shed: { load: number[] } } }>({ kind: 'status' })
  assert.equal(status.parts.shed.load.length, 2)
})
