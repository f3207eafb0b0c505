// The life of the edge itself under load: new snapshots, workers that die, a hopeless snapshot, a stop, many idle
// connections. Nothing is timed: what was lost is counted.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { type EdgeUnderTest, proxyRoute, startEdge, until } from '../tools/edge-harness.ts'
import { answering, ok, type RawOrigin, startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

const edge = await startEdge({ after }, { workers: 2 })

/** Answers with the path, so that each answer can be told to be its request's. */
const mirror = (t: TestContext): Promise<RawOrigin> =>
  startRawOrigin(
    t,
    answering(async request => {
      await new Promise(resolve => setTimeout(resolve, 2))
      return ok(request.startLine.split(' ')[1] as string)
    }),
  )

interface Load {
  answered: number
  /** Connections that ended where a request was waiting for its answer. */
  lost: number
  readonly wrong: string[]
  readonly byClient: number[]
  stop(): Promise<void>
}

/** Clients that ask one request after the other until told to stop; one that loses its connection takes another. */
function load(at: EdgeUnderTest, clients: number): Load {
  let going = true
  const result = {
    answered: 0,
    lost: 0,
    wrong: [] as string[],
    byClient: Array.from({ length: clients }, () => 0),
  }
  const one = async (client: number): Promise<void> => {
    let peer = await RawPeer.connect(at.port)
    for (let i = 0; going; i++) {
      const path = `/c${client}/${i}`
      peer.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const response = await peer.response().catch((cause: Error) => {
        if (!cause.message.startsWith('the connection ended')) throw cause
        return null
      })
      if (response === null) {
        result.lost++
        peer.destroy()
        peer = await RawPeer.connect(at.port)
        continue
      }
      result.answered++
      result.byClient[client]!++
      if (response.status !== 200 || response.body.toString() !== path)
        result.wrong.push(`${path}: ${response.status} ${response.body.toString().slice(0, 100)}`)
    }
    peer.destroy()
  }
  const all = Promise.all(Array.from({ length: clients }, (_, client) => one(client)))
  return Object.assign(result, {
    stop: async () => {
      going = false
      await all
    },
  })
}

test('snapshots that come under load lose nothing: members come and go, routes and limits change', async t => {
  const origins = await Promise.all(Array.from({ length: 4 }, () => mirror(t)))
  const ports = origins.map(origin => origin.port)
  await edge.apply({ members: ports })
  const running = load(edge, 30)
  await until('the load to run', () => running.answered > 100)
  for (let i = 0; i < 40; i++) {
    const before = running.answered
    const members = ports
      .filter((_, at) => (i + at) % 4 !== 0)
      .map((port, at) => ({
        port,
        id: `m${port}`,
        epoch: i % 5 === 0 ? `life ${i}` : 'one',
        weight: 1 + (at % 2),
      }))
    await edge.apply({
      members,
      routes: i % 2 ? [proxyRoute('/c1/*'), proxyRoute('/*')] : [proxyRoute('/*', { id: `all-${i}` })],
      upstream: { balance: { kind: i % 3 ? 'two-choices' : 'weighted-round-robin' } },
    })
    await until('requests to go on', () => running.answered > before + 20)
  }
  await running.stop()
  assert.deepEqual(running.wrong, [])
  assert.equal(running.lost, 0)
  assert.ok(
    running.byClient.every(count => count > 0),
    'nobody starved',
  )
  await edge.idle()
})

test('a snapshot that cannot work is refused, and the one in use goes on', async t => {
  const origin = await mirror(t)
  await edge.apply({ members: [origin.port] })
  const version = (await edge.status()).version
  const bad = [
    { ...edge.snapshot, version: version + 1, format: 99 },
    { ...edge.snapshot, version: version + 1, trustedProxies: ['300.1.1.1/8'] },
    { ...edge.snapshot, version: version + 1, routes: [proxyRoute('/*', {}, { upstream: 'nobody' })] },
    { ...edge.snapshot, version: version + 1, routes: [proxyRoute('/*'), proxyRoute('/*')] },
    { ...edge.snapshot, version },
  ]
  for (const snapshot of bad)
    await assert.rejects(edge.applySnapshot(snapshot as typeof edge.snapshot), /EDGE_SNAPSHOT/)
  assert.equal((await edge.status()).version, version)
  const client = await edge.connect()
  client.write('GET /still HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await client.response()).body.toString(), '/still')
})

test('a worker that dies takes its own connections only, is replaced, and leaves nothing counted', async t => {
  const origins = await Promise.all([mirror(t), mirror(t)])
  await edge.apply({
    members: origins.map(origin => origin.port),
    upstream: { limits: { connectionsMax: 0, inFlightMax: 50, pendingMax: 1_000, pendingTimeoutMs: 20_000 } },
  })
  const clients = 40
  const running = load(edge, clients)
  for (const worker of [0, 1, 0]) {
    const before = running.answered
    await until('the load to run', () => running.answered > before + 200)
    const { workers } = await edge.status()
    const lostBefore = running.lost
    const held = workers[worker]?.connections as number
    await edge.killWorker(worker)
    await until('the worker to be back', async () =>
      (await edge.status()).workers.every(one => one.state === 'running'),
    )
    const after = running.answered
    await until('requests to go on', () => running.answered > after + 200)
    assert.ok(running.lost - lostBefore <= held + 5, `${running.lost - lostBefore} lost, it held ${held}`)
  }
  await running.stop()
  assert.deepEqual(running.wrong, [])
  await edge.idle()
  const { workers, upstreams } = await edge.status()
  assert.deepEqual(
    workers.map(worker => worker.restarts),
    [2, 1],
  )
  for (const member of upstreams[0]?.members ?? []) assert.equal(member.inFlight, 0)
  await until('connections to be gone', async () =>
    (await edge.status()).workers.every(worker => worker.connections === 0),
  )
  assert.match(await edge.metrics(), /edge_worker_restarts_total 3\n/)
})

test('a stop lets what is in flight end, closes idle connections and takes no new ones', async t => {
  const own = await startEdge({ after: end => t.after(end) }, { workers: 2 })
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const origin = await startRawOrigin(
    t,
    answering(async () => {
      await held
      return ok('done')
    }),
  )
  await own.apply({ members: [origin.port] })
  const busy = await Promise.all(Array.from({ length: 20 }, () => own.connect()))
  const idle = await Promise.all(Array.from({ length: 20 }, () => own.connect()))
  for (const client of busy) client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('all to be in flight', () => origin.requests.length === 20)
  await own.call('stop', { drainMs: 15_000 })
  for (const client of idle) {
    await client.rest()
    assert.equal(client.over, 'end')
  }
  await until('the port to be closed', () => refuses(own.port))
  release()
  for (const client of busy) {
    const response = await client.response()
    assert.equal(response.body.toString(), 'done')
    await client.rest()
    assert.equal(client.over, 'end')
  }
})

function refuses(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

test('ten thousand idle keep-alive connections are held in bounded memory, and all still work', async t => {
  const origin = await startRawOrigin(
    t,
    answering(() => ok()),
  )
  await edge.apply({ members: [origin.port] })
  const before = residentBytes(edge.pid)
  const clients: RawPeer[] = []
  for (let i = 0; i < 100; i++) {
    const some = await Promise.all(Array.from({ length: 100 }, () => RawPeer.connect(edge.port)))
    for (const client of some) client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    for (const client of some) assert.equal((await client.response()).status, 200)
    clients.push(...some)
  }
  const { workers } = await edge.status()
  assert.equal(
    workers.reduce((sum, worker) => sum + worker.connections, 0),
    10_000,
  )
  const grown = residentBytes(edge.pid) - before
  assert.ok(grown < 300 << 20, `${grown >> 20} MB for 10,000 connections`)
  for (let i = 0; i < clients.length; i += 97) {
    clients[i]?.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await clients[i]?.response())?.status, 200)
  }
  for (const client of clients) client.destroy()
  await until('all to be gone', async () =>
    (await edge.status()).workers.every(worker => worker.connections === 0),
  )
})
