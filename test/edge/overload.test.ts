// Adaptive limits on a real edge: an origin with a fixed number of slots, of which a slow one is never asked for more than
// it can do, by two workers together. What is counted is counted once, and given back.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { PlacesStatus } from '../../src/edge/control-protocol.ts'
import type { AdaptiveSpec, UpstreamSpec } from '../../src/edge/snapshot.ts'
import { type EdgeUnderTest, startEdge, until } from '../tools/edge-harness.ts'
import { answering, startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const adaptive: AdaptiveSpec = {
  limitMin: 4,
  limitMax: 1_000,
  limitStart: 4,
  tolerance: 1.5,
  probeMs: 30_000,
  queueTargetMs: 20_000,
  queueIntervalMs: 20_000,
  reserveShare: 0.2,
}

const upstream = (
  change: Partial<AdaptiveSpec> = {},
  more: Partial<UpstreamSpec> = {},
): Partial<UpstreamSpec> => ({
  limits: {
    connectionsMax: 0,
    inFlightMax: 0,
    pendingMax: 1_000,
    pendingTimeoutMs: 60_000,
    adaptive: { ...adaptive, ...change },
  },
  ...more,
})

/** So that the limit stays where it is. */
const fixed = (limit: number): Partial<AdaptiveSpec> => ({
  limitMin: limit,
  limitMax: limit,
  limitStart: limit,
})

async function placesOf(edge: EdgeUnderTest): Promise<PlacesStatus> {
  return (await edge.status()).upstreams.find(({ name }) => name === 'app')?.places as PlacesStatus
}

interface HeldOrigin {
  readonly port: number
  /** Requests that wait for an answer now, in order. */
  readonly held: string[]
  /** Most at once. */
  most: number
  seen: number
  /** Answers the oldest. */
  answer(status?: number): void
  answerAll(): void
}

/** Answers when it is told to. */
async function heldOrigin(t: TestContext): Promise<HeldOrigin> {
  const waiting: { readonly path: string; end(status: number): void }[] = []
  const origin: HeldOrigin = {
    port: 0,
    get held() {
      return waiting.map(({ path }) => path)
    },
    most: 0,
    seen: 0,
    answer: (status = 200) => waiting.shift()?.end(status),
    answerAll: () => {
      for (const one of waiting.splice(0)) one.end(200)
    },
  }
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      origin.seen++
      waiting.push({ path: request.url ?? '', end: status => response.writeHead(status).end('done') })
      origin.most = Math.max(origin.most, waiting.length)
    })
    response.on('close', () => {
      const at = waiting.findIndex(one => one.path === request.url)
      if (at >= 0 && !response.writableEnded) waiting.splice(at, 1)
    })
  })
  return Object.assign(origin, { port: await listening(t, server) })
}

/** Is at work from the head on, whatever body is to come, until its client has gone. */
async function headOrigin(t: TestContext): Promise<{ readonly port: number; readonly inside: number }> {
  const open = new Set<unknown>()
  const server = createServer((_request, response) => {
    open.add(response)
    response.on('close', () => open.delete(response))
  })
  const port = await listening(t, server)
  return {
    port,
    get inside() {
      return open.size
    },
  }
}

const openAll = (t: TestContext, edge: EdgeUnderTest, count: number, text: string): Promise<RawPeer[]> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const peer = await RawPeer.connect(edge.port)
      t.after(() => peer.destroy())
      peer.write(text)
      return peer
    }),
  )

async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(async () => {
    const closed = new Promise(resolve => server.close(resolve))
    // Also those that became WebSockets, which the server no longer counts as its own.
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return (server.address() as { port: number }).port
}

const send = async (t: TestContext, edge: EdgeUnderTest, path: string, fields = ''): Promise<RawPeer> => {
  const peer = await RawPeer.connect(edge.port)
  t.after(() => peer.destroy())
  peer.write(`GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`)
  return peer
}

const sendAll = (t: TestContext, edge: EdgeUnderTest, count: number): Promise<RawPeer[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => send(t, edge, `/${at}`)))

test('no more than the limit reach the upstream, over both workers; the others wait, and all are answered', async t => {
  const origin = await heldOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], workers: 2, upstream: upstream(fixed(5)) })
  const peers = await sendAll(t, edge, 30)
  await until('five at the origin and the others waiting', async () => {
    const { used } = await placesOf(edge)
    return origin.held.length === 5 && used === 5 && (await edge.status()).upstreams[0]?.pending === 25
  })
  for (let left = 30; left > 0; left--) {
    await until('somebody at the origin', () => origin.held.length > 0)
    origin.answer()
  }
  for (const peer of peers) assert.equal((await peer.response('GET')).status, 200)
  // Two workers that look at the same moment may each let one in.
  assert.ok(origin.most <= 6, `${origin.most} at once`)
  assert.equal((await placesOf(edge)).used, 0)
})

test('a client that leaves gives its place in the line away at once', async t => {
  const origin = await heldOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], upstream: upstream(fixed(2)) })
  const first = await sendAll(t, edge, 2)
  await until('both at the origin', () => origin.held.length === 2)
  const waiting = await sendAll(t, edge, 20)
  const pending = async (): Promise<number | undefined> => (await edge.status()).upstreams[0]?.pending
  await until('twenty to wait', async () => (await pending()) === 20)
  for (const peer of waiting.slice(0, 10)) peer.destroy()
  for (const peer of waiting.slice(10, 15)) peer.reset()
  await until('five to wait', async () => (await pending()) === 5)
  assert.equal((await placesOf(edge)).used, 2)
  await until('seven to have been at the origin', () => {
    origin.answerAll()
    return origin.seen >= 7
  })
  origin.answerAll()
  for (const peer of [...first, ...waiting.slice(15)]) assert.equal((await peer.response('GET')).status, 200)
  assert.equal(origin.seen, 7, 'who had left never reached the origin')
})

test('neither a slow upload, nor a slow reader, nor a WebSocket holds a place', async t => {
  // More than the kernel keeps for a reader who does not read (tcp_wmem and tcp_rmem, twice).
  const big = Buffer.alloc(64 << 20, 'x')
  const server = createServer((request, response) => {
    if (request.url === '/big') response.end(big)
    else request.resume().on('end', () => response.end('done'))
  })
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end())
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  const port = await listening(t, server)
  const edge = await startEdge(t, { members: [port], upstream: upstream(fixed(2)) })
  const peers: RawPeer[] = []
  for (let at = 0; at < 6; at++) {
    const upload = await RawPeer.connect(edge.port)
    upload.write('POST /up HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\nslow')
    const reader = await send(t, edge, '/big')
    reader.socket.pause()
    const socket = await send(
      t,
      edge,
      '/ws',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
    )
    peers.push(upload, reader, socket)
  }
  t.after(() => {
    for (const peer of peers) peer.destroy()
  })
  await until('all of them under way', async () => {
    const { upstreams } = await edge.status()
    return upstreams[0]?.members[0]?.inFlight === 18
  })
  // Whose answer has begun.
  await until('no place in use', async () => (await placesOf(edge)).used === 0)
  const plain = await send(t, edge, '/plain')
  assert.equal((await plain.response('GET')).status, 200)
  for (const peer of peers) peer.destroy()
})

test('an upload holds a place once it is complete, and gives it back', async t => {
  const origin = await heldOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], upstream: upstream(fixed(2)) })
  const peer = await RawPeer.connect(edge.port)
  t.after(() => peer.destroy())
  const body = 'x'.repeat(40_000)
  peer.write(`POST /up HTTP/1.1\r\nHost: shop.example\r\nContent-Length: ${body.length}\r\n\r\n`)
  peer.write(body)
  await until('the origin to have it', () => origin.held.length === 1)
  await until('a place', async () => (await placesOf(edge)).used === 1)
  origin.answer()
  assert.equal((await peer.response('POST')).status, 200)
  assert.equal((await placesOf(edge)).used, 0)
})

test('a request with its body half open reaches the origin when it is whole, and then needs a place like others', async t => {
  const origin = await headOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], upstream: upstream(fixed(3)) })
  const peers = await openAll(t, edge, 12, 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na')
  const plain = await send(t, edge, '/plain')
  await until('the whole one to be there alone', () => origin.inside === 1)
  assert.equal((await placesOf(edge)).used, 1)
  for (const peer of peers) peer.write('b')
  await until('as many as there are places', async () => (await placesOf(edge)).used === 3)
  await until('the others wait', async () => (await edge.status()).upstreams[0]?.pending === 10)
  await until('three at work', () => origin.inside === 3)
  plain.reset()
  for (const peer of peers) peer.reset()
  await edge.idle()
})

test('long bodies under way are bounded, by the places where the method has no use for one; their count is given back', async t => {
  const origin = await headOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], upstream: upstream(fixed(3)) })
  const long = (method: string): string =>
    `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\na`
  for (let round = 0; round < 2; round++) {
    const peers = await openAll(t, edge, 3, long('GET'))
    await until('three at work', () => origin.inside === 3)
    const [more] = await openAll(t, edge, 1, long('GET'))
    const refused = await (more as RawPeer).response('GET')
    assert.equal(refused.status, 503)
    const [upload] = await openAll(t, edge, 1, long('POST'))
    await until('the upload beside them', () => origin.inside === 4)
    const plain = await send(t, edge, '/plain')
    await until('who has a place', () => origin.inside === 5)
    for (const peer of [...peers, more, upload, plain]) peer?.reset()
    await edge.idle()
    await until('all gone', () => origin.inside === 0)
  }
})

test('quick answers of 4xx do not pass for the latency without a queue', async t => {
  const server = createServer((request, response) => {
    if (request.url === '/no') response.writeHead(404).end()
    else setTimeout(() => response.end('done'), 60)
  })
  const port = await listening(t, server)
  const edge = await startEdge(t, { members: [port], upstream: upstream(fixed(50)) })
  const learn = async (path: string): Promise<void> => {
    const peers = await Promise.all(Array.from({ length: 30 }, () => send(t, edge, path)))
    for (const peer of peers) {
      await peer.response('GET')
      peer.destroy()
    }
  }
  await until('the latency to be known', async () => {
    await learn('/')
    return (await placesOf(edge)).baselineMs >= 40
  })
  for (let round = 0; round < 10; round++) await learn('/no')
  await learn('/')
  const { baselineMs } = await placesOf(edge)
  assert.ok(baselineMs >= 40, `${baselineMs} ms`)
})

test('with retries, hedges and a line together every attempt is counted once and given back', async t => {
  let asked = 0
  const origin = await startRawOrigin(
    t,
    answering(async (_request, peer) => {
      const turn = asked++ % 5
      if (turn === 0) {
        peer.reset()
        return undefined
      }
      if (turn === 1) return 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'
      if (turn === 2) await new Promise(resolve => setTimeout(resolve, 60))
      return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    }),
  )
  const edge = await startEdge(t, {
    members: [origin.port, { port: origin.port, epoch: 'b' }],
    workers: 2,
    upstream: upstream(fixed(8), {
      retry: {
        attempts: 4,
        budgetShare: 1,
        budgetMin: 1_000,
        backoffBaseMs: 1,
        backoffMaxMs: 5,
        onStatus: [503],
      },
      hedge: { percentile: 50, delayMinMs: 5 },
    }),
  })
  let answered = 0
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      const peer = await RawPeer.connect(edge.port)
      for (let at = 0; at < 25; at++) {
        peer.write('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
        const { status } = await peer.response('GET')
        assert.ok([200, 502, 503].includes(status), String(status))
        answered++
      }
      peer.destroy()
    }),
  )
  assert.equal(answered, 600)
  await edge.idle()
  // What was given up, a hedge that lost, may be at work at the origin for a moment longer.
  await until('no place in use', async () => (await placesOf(edge)).used === 0)
  assert.match(await edge.metrics(), /^edge_upstream_places_used\{upstream="app"\} 0$/m)
})

test('what a worker held that dies is given back', async t => {
  const origin = await heldOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], workers: 2, upstream: upstream(fixed(40)) })
  await sendAll(t, edge, 20)
  await until('all at the origin', async () => (await placesOf(edge)).used === 20)
  await edge.killWorker(0)
  await edge.killWorker(1)
  await until('no place in use', async () => (await placesOf(edge)).used === 0)
  await until('new workers', async () => (await edge.status()).workers.every(one => one.state === 'running'))
  const peer = await send(t, edge, '/after')
  await until('it is at the origin', () => origin.held.includes('/after'))
  origin.answerAll()
  assert.equal((await peer.response('GET')).status, 200)
})

test('a request that a client gives up keeps its place for a while: leaving early asks for no more of the origin', async t => {
  const origin = await startRawOrigin(
    t,
    answering(async () => {
      await new Promise(resolve => setTimeout(resolve, 100))
      return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    }),
  )
  const edge = await startEdge(t, { members: [origin.port], upstream: upstream({ ...fixed(50) }) })
  // What is answered before the limit is first looked at is not learnt from.
  await until('the latency to be known', async () => {
    for (const peer of await sendAll(t, edge, 50)) {
      assert.equal((await peer.response('GET')).status, 200)
      peer.destroy()
    }
    return (await placesOf(edge)).recentMs >= 50
  })
  const leaving = await sendAll(t, edge, 30)
  await until('all of them at the origin', async () => (await placesOf(edge)).used === 30)
  for (const peer of leaving) peer.destroy()
  await edge.idle()
  await until('no place in use', async () => (await placesOf(edge)).used === 0)
})

// --- the limit itself -------------------------------------------------------------------------------------------------

interface SlottedOrigin {
  readonly port: number
  workMs: number
  /** Requests in the origin, working or waiting in its own queue. */
  inside: number
  most: number
}

/** Works on some at once; the others wait in a queue of its own, as in a database's pool. */
async function slottedOrigin(t: TestContext, slots: number): Promise<SlottedOrigin> {
  const queue: (() => void)[] = []
  const origin: SlottedOrigin = { port: 0, workMs: 20, inside: 0, most: 0 }
  let working = 0
  const next = (): void => {
    if (working >= slots) return
    const one = queue.shift()
    if (one === undefined) return
    working++
    setTimeout(() => {
      working--
      one()
      next()
    }, origin.workMs)
  }
  const server = createServer((_request, response) => {
    origin.inside++
    origin.most = Math.max(origin.most, origin.inside)
    queue.push(() => {
      origin.inside--
      response.end('done')
    })
    next()
  })
  return Object.assign(origin, { port: await listening(t, server) })
}

/** So many clients ask one after the other until told to stop. */
function load(
  edge: EdgeUnderTest,
  clients: number,
): { statuses: Map<number, number>; stop(): Promise<void> } {
  const statuses = new Map<number, number>()
  let over = false
  const all = Array.from({ length: clients }, async () => {
    const peer = await RawPeer.connect(edge.port)
    while (!over) {
      peer.write('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')
      const { status } = await peer.response('GET')
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 503) await new Promise(resolve => setTimeout(resolve, 20))
    }
    peer.destroy()
  })
  return {
    statuses,
    stop: async () => {
      over = true
      await Promise.all(all)
    },
  }
}

for (const on of [true, false])
  test(
    on
      ? 'an origin that becomes slow is not buried: the limit follows, and is there again when it recovers'
      : 'without a limit the same load stands in the origin',
    async t => {
      const origin = await slottedOrigin(t, 8)
      const edge = await startEdge(t, {
        members: [origin.port],
        workers: 2,
        ...(on ? { upstream: upstream({ queueTargetMs: 20, queueIntervalMs: 200 }) } : {}),
      })
      const clients = load(edge, 120)
      const inside = async (): Promise<number> => {
        let most = 0
        for (let at = 0; at < 20; at++) {
          most = Math.max(most, origin.inside)
          await new Promise(resolve => setTimeout(resolve, 10))
        }
        return most
      }
      if (!on) {
        await until('all clients inside of the origin', async () => (await inside()) >= 110)
        await clients.stop()
        return
      }
      await until('the limit has risen to the slots', async () => (await placesOf(edge)).limit >= 8)
      origin.workMs = 120
      const begun = clients.statuses.get(200) ?? 0
      await until('answers of the slow origin', () => (clients.statuses.get(200) ?? 0) > begun + 100)
      await until('a short queue in the slow origin', async () => (await inside()) <= 40)
      origin.workMs = 10
      await until('places for all slots', async () => {
        const { limit, recentMs } = await placesOf(edge)
        return limit >= 8 && recentMs < 100
      })
      assert.ok((clients.statuses.get(503) ?? 0) > 0, 'somebody was told to come later')
      const { shed, reason } = await placesOf(edge)
      assert.ok(shed.normal > 0 && reason !== '', JSON.stringify({ shed, reason }))
      await clients.stop()
    },
  )

test('a limit that comes and goes with a reload loses nobody who waits', async t => {
  const origin = await heldOrigin(t)
  const edge = await startEdge(t, { members: [origin.port], upstream: upstream(fixed(2)) })
  const peers = await sendAll(t, edge, 10)
  await until('two at the origin', () => origin.held.length === 2)
  const plain = { connectionsMax: 0, inFlightMax: 3, pendingMax: 1_000, pendingTimeoutMs: 60_000 }
  await edge.apply({ upstream: { limits: plain } })
  await until('three at the origin', () => origin.held.length === 3)
  await edge.apply({ upstream: upstream(fixed(4)) })
  await until('all to have been at the origin', () => {
    origin.answerAll()
    return origin.seen >= 10
  })
  origin.answerAll()
  for (const peer of peers) assert.equal((await peer.response('GET')).status, 200)
})
