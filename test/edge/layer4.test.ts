// TCP listeners over real sockets: bytes, ends and aborts pass as they are, members are chosen, tried again, limited,
// ejected and drained as for requests.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { ListenerSpec } from '../../src/edge/snapshot.ts'
import { type EdgeSetup, type EdgeUnderTest, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { closedPort, type RawOrigin, type Script, startRawOrigin } from '../tools/raw-origin.ts'
import { RawPeer } from '../tools/raw-peer.ts'

type TcpListener = Extract<ListenerSpec, { kind: 'tcp' }>

const tcp = (change: Partial<TcpListener> = {}): TcpListener => ({
  id: 'db',
  kind: 'tcp',
  host: '127.0.0.1',
  port: 0,
  upstream: 'app',
  idleTimeoutMs: 60_000,
  ...change,
})

const edge: EdgeUnderTest = await startEdge(await import('node:test'), {
  listeners: [tcp()],
  accessLog: true,
})
const port = await edge.portOf('db')

interface Ending {
  after(end: () => Promise<void> | void): void
}

async function connect(context: Ending, to = port): Promise<RawPeer> {
  const peer = await RawPeer.connect(to)
  context.after(() => peer.destroy())
  return peer
}

/** A connection that the edge is to reset at once: that may be seen while it is being made. */
async function connectRefused(): Promise<void> {
  const peer = await RawPeer.connect(port).catch((error: NodeJS.ErrnoException) => error)
  if (peer instanceof RawPeer) await peer.when('the reset', () => peer.over !== '')
  assert.equal(peer instanceof RawPeer ? peer.over : peer.code, 'ECONNRESET')
}

/** Sends back what comes, and ends when the peer has. */
const echo: Script = async peer => {
  for (;;) {
    const bytes = await peer.some()
    if (bytes.length === 0) return
    peer.write(bytes)
  }
}

/** Says its name at once and stays until the peer ends. */
const greeting =
  (name: string): Script =>
  async peer => {
    peer.write(name)
    await peer.rest()
  }

async function members(context: Ending, scripts: readonly Script[], setup: EdgeSetup = {}) {
  const origins: RawOrigin[] = []
  for (const script of scripts) origins.push(await startRawOrigin(context as never, script))
  await edge.apply({ members: origins.map(one => one.port), ...setup })
  return origins
}

test('bytes pass unchanged in both directions at once, 64 MB each', { timeout: 120_000 }, async t => {
  const block = randomBytes(1 << 20)
  const count = 64
  const sums: string[] = []
  const sink = async (peer: RawPeer): Promise<string> => {
    const hash = createHash('sha256')
    peer.socket.removeAllListeners('data')
    peer.socket.on('data', (bytes: Buffer) => hash.update(bytes))
    peer.socket.resume()
    for (let i = 0; i < count; i++) await peer.send(block)
    peer.halfClose()
    await peer.when('the end', () => peer.over !== '', 60_000)
    assert.equal(peer.over === 'end' || peer.over === 'closed', true, peer.over)
    return hash.digest('hex')
  }
  await members(t, [async peer => void sums.push(await sink(peer))])
  const client = await connect(t)
  sums.push(await sink(client))
  await until('both ends', () => sums.length === 2)
  const expected = createHash('sha256')
  for (let i = 0; i < count; i++) expected.update(block)
  const sum = expected.digest('hex')
  assert.deepEqual(sums, [sum, sum])
  await edge.idle()
})

test('a client that has ended its side still gets the whole answer', async t => {
  await members(t, [
    async peer => {
      const asked = await peer.rest()
      peer.write(`got ${asked.length}, `)
      peer.write('x'.repeat(300_000))
    },
  ])
  const client = await connect(t)
  client.write('question')
  client.halfClose()
  const answer = await client.rest()
  assert.equal(answer.length, 'got 8, '.length + 300_000)
  assert.equal(client.over, 'end')
})

test('a member that has ended its side still gets what the client sends', async t => {
  let heard = ''
  await members(t, [
    async peer => {
      peer.write('done')
      peer.halfClose()
      heard = (await peer.rest()).toString()
    },
  ])
  const client = await connect(t)
  assert.equal((await client.rest()).toString(), 'done')
  assert.equal(client.over, 'end')
  client.write('still talking')
  client.halfClose()
  await until('the member to hear it', () => heard !== '')
  assert.equal(heard, 'still talking')
  await edge.idle()
})

test('a reset of the client reaches the member as a reset', async t => {
  const [origin] = await members(t, [greeting('hello')])
  const client = await connect(t)
  assert.equal((await client.bytes(5)).toString(), 'hello')
  client.reset()
  const peer = origin?.connections[0] as RawPeer
  await peer.when('the reset', () => peer.over !== '')
  assert.equal(peer.over, 'ECONNRESET')
  await edge.idle()
})

test('a reset of the member reaches the client as a reset', async t => {
  const [origin] = await members(t, [greeting('hello')])
  const client = await connect(t)
  assert.equal((await client.bytes(5)).toString(), 'hello')
  origin?.connections[0]?.reset()
  await client.when('the reset', () => client.over !== '')
  assert.equal(client.over, 'ECONNRESET')
})

test('a slow reader holds its sender back, and the edge keeps little meanwhile', {
  timeout: 120_000,
}, async t => {
  let sent = 0
  await members(t, [
    async peer => {
      const block = Buffer.alloc(1 << 16)
      const done = { value: false }
      peer.socket.on('close', () => (done.value = true))
      while (!done.value && sent < 256 << 20) {
        await peer.send(block)
        sent += block.length
      }
    },
  ])
  const client = await connect(t)
  client.socket.pause()
  let before = -1
  await until('the sender to be held back', async () => {
    const same = sent === before && sent > 0
    before = sent
    await new Promise(resolve => setTimeout(resolve, 300))
    return same && sent === before
  })
  // What the kernel's buffers on both legs take, and one buffer of ours.
  assert.ok(sent < 64 << 20, `${sent} bytes were taken from the member`)
  assert.match(await edge.metrics(), /^edge_buffers\{worker="0"\} [12]$/m)
  client.reset()
  await edge.idle()
})

test('connections are spread as the upstream balances', async t => {
  await members(t, ['a', 'b', 'c'].map(greeting))
  const counts: Record<string, number> = {}
  for (let i = 0; i < 30; i++) {
    const client = await connect(t)
    const name = (await client.bytes(1)).toString()
    counts[name] = (counts[name] ?? 0) + 1
    client.halfClose()
  }
  assert.deepEqual(counts, { a: 10, b: 10, c: 10 })
  await edge.idle()
})

test('with a hash of the client address each connection of a client comes to one member', async t => {
  await members(t, ['a', 'b', 'c'].map(greeting), { upstream: { balance: { kind: 'ip-hash' } } })
  const names = new Set<string>()
  for (let i = 0; i < 12; i++) {
    const client = await connect(t)
    names.add((await client.bytes(1)).toString())
    client.halfClose()
  }
  assert.equal(names.size, 1)
})

test('a member that cannot be reached is replaced by another, and ejected after some failures', async t => {
  const dead = await closedPort()
  const origin = await startRawOrigin(t, greeting('alive'))
  const passive = { ...upstreamOf('x', []).health.passive, consecutiveFailures: 3, ejectBaseMs: 60_000 }
  const health = { active: null, passive, panicShare: 0 }
  await edge.apply({ members: [dead, origin.port], upstream: { health } })
  for (let i = 0; i < 10; i++) {
    const client = await connect(t)
    assert.equal((await client.bytes(5)).toString(), 'alive')
    client.halfClose()
  }
  await edge.idle()
  const member = await edge.member(0)
  assert.equal(member.state, 'ejected')
  assert.equal(member.failures, 3)
  assert.equal(member.retries, 3)
})

test('aborts before the first byte count against a member', async t => {
  const passive = { ...upstreamOf('x', []).health.passive, consecutiveFailures: 4, ejectBaseMs: 60_000 }
  const health = { active: null, passive, panicShare: 0 }
  await members(t, [async peer => peer.reset(), greeting('alive')], { upstream: { health } })
  await until('the ejection', async () => {
    // The abort may be seen while the connection is being made.
    const client = await RawPeer.connect(port).catch(() => null)
    client?.write('hello')
    await client?.when('an answer or the end', () => client.receivedBytes > 0 || client.over !== '')
    client?.destroy()
    return (await edge.member(0)).state === 'ejected'
  })
  assert.match((await edge.member(0)).reason, /4 failures in a row/)
})

test('with nobody in rotation a connection is reset', async () => {
  await edge.apply({ members: [] })
  await connectRefused()
})

test('when no member can be reached the connection is reset after the attempts', async () => {
  await edge.apply({ members: [await closedPort(), await closedPort()] })
  await connectRefused()
  const { failures } = await edge.member(0)
  assert.equal(failures + (await edge.member(1)).failures, 3, 'one attempt and two more')
})

test('a connection waits for a place, and gets it when another ends', async t => {
  const limits = { connectionsMax: 0, inFlightMax: 1, pendingMax: 1, pendingTimeoutMs: 20_000 }
  await members(t, [greeting('hi')], { upstream: { limits } })
  const first = await connect(t)
  await first.bytes(2)
  const second = await connect(t)
  await until('the second to wait', async () => (await edge.status()).upstreams[0]?.pending === 1)
  await connectRefused()
  assert.equal(second.receivedBytes, 0)
  first.halfClose()
  assert.equal((await second.bytes(2)).toString(), 'hi')
  second.halfClose()
  await edge.idle()
})

test('with waiting off a connection beyond the limit is reset at once', async t => {
  const limits = { connectionsMax: 2, inFlightMax: 0, pendingMax: 0, pendingTimeoutMs: 20_000 }
  await members(t, [greeting('hi')], { upstream: { limits } })
  for (let i = 0; i < 2; i++) await (await connect(t)).bytes(2)
  await connectRefused()
  assert.equal((await edge.member(0)).connections, 2)
})

test('who waits too long for a place is reset', async t => {
  const limits = { connectionsMax: 0, inFlightMax: 1, pendingMax: 5, pendingTimeoutMs: 200 }
  await members(t, [greeting('hi')], { upstream: { limits } })
  await (await connect(t)).bytes(2)
  const second = await connect(t)
  await second.when('the reset', () => second.over !== '')
  assert.equal(second.over, 'ECONNRESET')
})

test('a connection on which nothing moves is ended in good order', async t => {
  const origin = await startRawOrigin(t, greeting('hi'))
  const other = await startEdge(t, { members: [origin.port], listeners: [tcp({ idleTimeoutMs: 300 })] })
  const client = await connect(t, await other.portOf('db'))
  assert.equal((await client.bytes(2)).toString(), 'hi')
  await client.rest()
  assert.equal(client.over, 'end')
  await until('the member to hear of it', () => origin.open.size === 0)
})

test('a draining member keeps its connections and gets no new ones', async t => {
  const origins = [await startRawOrigin(t, greeting('a')), await startRawOrigin(t, greeting('b'))]
  const ports = origins.map(one => one.port)
  await edge.apply({ members: ports.map(one => ({ port: one, epoch: '1' })) })
  const kept: RawPeer[] = []
  for (let i = 0; i < 4; i++) kept.push(await connect(t))
  const names = await Promise.all(kept.map(async peer => (await peer.bytes(1)).toString()))
  assert.deepEqual(names.sort(), ['a', 'a', 'b', 'b'])
  await edge.apply({
    members: ports.map((one, i) => ({ port: one, epoch: '1', state: i === 0 ? 'draining' : 'active' })),
  })
  for (let i = 0; i < 4; i++) assert.equal((await (await connect(t)).bytes(1)).toString(), 'b')
  assert.equal((await edge.member(0)).inFlight, 2)
  assert.deepEqual(await edge.memberIdle('app-0', '1', 50), { idle: false, inFlight: 2 })
  assert.ok(
    kept.every(peer => peer.over === ''),
    'nobody is cut off',
  )
  for (const peer of kept) peer.halfClose()
  assert.equal((await edge.memberIdle('app-0', '1', 20_000)).idle, true)
})

test('a thousand connections live on through changes of the snapshot, also when their member has gone from it', {
  timeout: 120_000,
}, async t => {
  const origins = [await startRawOrigin(t, echo), await startRawOrigin(t, echo)]
  const all = origins.map(one => ({ port: one.port, epoch: t.name }))
  await edge.apply({ members: all })
  const peers: RawPeer[] = []
  for (let i = 0; i < 1_000; i += 50)
    peers.push(...(await Promise.all(Array.from({ length: 50 }, () => connect(t)))))
  const talk = async (word: string): Promise<void> => {
    for (const peer of peers) peer.write(word)
    for (const peer of peers) assert.equal((await peer.bytes(word.length)).toString(), word)
  }
  await talk('before')
  assert.equal((await edge.member(0)).inFlight + (await edge.member(1)).inFlight, 1_000)
  for (let i = 0; i < 20; i++) await edge.apply({ members: i % 2 === 0 ? [all[0]!] : all })
  await edge.apply({ members: [all[1]!] })
  await talk('after')
  assert.equal((await edge.member(0)).inFlight, 500)
  for (const peer of peers) peer.halfClose()
  await Promise.all(peers.map(peer => peer.rest()))
  await edge.idle()
})

test('snapshots that live connections can follow are let go of', async t => {
  const origin = await startRawOrigin(t, echo)
  await edge.apply({ members: [{ port: origin.port, epoch: t.name }] })
  const client = await connect(t)
  client.write('a')
  await client.bytes(1)
  // Each adds a member's place; were old snapshots kept, the 1,024 places would not do.
  for (let i = 0; i < 6; i++) {
    const others = Array.from({ length: 300 }, (_, k) => ({ port: 1 + k, id: `x-${i}-${k}`, epoch: `${i}` }))
    await edge.apply({ members: [{ port: origin.port, epoch: t.name }, ...others] })
  }
  client.write('b')
  assert.equal((await client.bytes(1)).toString(), 'b')
  client.halfClose()
  await client.rest()
  await edge.apply({ members: [origin.port] })
})

test('a stop lets connections go on, and cuts those off that are there at its limit', async t => {
  const origin = await startRawOrigin(t, echo)
  const other = await startEdge(t, { members: [origin.port], listeners: [tcp()] })
  const to = await other.portOf('db')
  const [ends, stays] = [await connect(t, to), await connect(t, to)]
  for (const peer of [ends, stays]) {
    peer.write('x')
    await peer.bytes(1)
  }
  await other.call('stop', { drainMs: 1_500 })
  ends.write('during')
  assert.equal((await ends.bytes(6)).toString(), 'during')
  ends.halfClose()
  await ends.rest()
  assert.equal(ends.over, 'end')
  await stays.when('the end', () => stays.over !== '')
  assert.equal(stays.over, 'ECONNRESET')
  await other.exited()
})

test('a connection is one line of the access log and one request of the metrics', async t => {
  const origin = await startRawOrigin(t, greeting('hello'))
  const other = await startEdge(t, { members: [origin.port], listeners: [tcp()], accessLog: true })
  const client = await connect(t, await other.portOf('db'))
  client.write('abc')
  await client.bytes(5)
  client.halfClose()
  await client.rest()
  await other.idle()
  const [line] = await other.logLines(1)
  const { at, ms, connectMs, ...rest } = line as Record<string, unknown>
  assert.ok(typeof at === 'string' && typeof ms === 'number' && typeof connectMs === 'number')
  assert.deepEqual(rest, {
    listener: 'db',
    protocol: 'tcp',
    client: '127.0.0.1',
    bytesIn: 3,
    bytesOut: 5,
    ended: 'client',
    member: 'app-0',
    chosenBy: 'round robin',
  })
  const metrics = await other.metrics()
  assert.match(metrics, /^edge_requests_total\{route="tcp:db",status="2xx"\} 1$/m)
  assert.match(metrics, /^edge_response_body_bytes_total\{route="tcp:db"\} 5$/m)
  const { listeners } = await other.status()
  assert.match(listeners.find(one => one.id === 'db')?.url ?? '', /^tcp:\/\/127\.0\.0\.1:\d+$/)
})

test('a killed worker takes its connections with it, and what they counted is given back', async t => {
  await members(t, [greeting('hi')])
  const client = await connect(t)
  await client.bytes(2)
  await edge.killWorker(0)
  await client.when('the end', () => client.over !== '')
  await edge.idle()
  await until('a new worker', async () => {
    const again = await RawPeer.connect(port).catch(() => null)
    if (again === null) return false
    await again.when('an answer or the end', () => again.receivedBytes > 0 || again.over !== '')
    const answered = again.receivedBytes > 0
    again.destroy()
    return answered
  })
})

test('a connection that was busy gives its buffers back when it is quiet, and goes on', async t => {
  const bytes = randomBytes(4 << 20)
  await members(t, [echo])
  const client = await connect(t)
  for (let round = 0; round < 2; round++) {
    const back = client.bytes(bytes.length)
    await client.send(bytes)
    assert.ok((await back).equals(bytes))
    await until('no buffer in use', async () => /^edge_buffers\{worker="0"\} 0$/m.test(await edge.metrics()))
    assert.equal((await edge.member(0)).inFlight, 1)
  }
  client.halfClose()
  await client.rest()
  await edge.idle()
})
