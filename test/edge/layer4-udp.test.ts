// UDP listeners over real sockets: sessions, members, refusals, bounds.

import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { test } from 'node:test'
import type { ListenerSpec } from '../../src/edge/snapshot.ts'
import { type EdgeUnderTest, startEdge, until, upstreamOf } from '../tools/edge-harness.ts'

type UdpListener = Extract<ListenerSpec, { kind: 'udp' }>

const udp = (change: Partial<UdpListener> = {}): UdpListener => ({
  id: 'dns',
  kind: 'udp',
  host: '127.0.0.1',
  port: 0,
  upstream: 'app',
  sessionTimeoutMs: 1_000,
  sessionsMax: 1_000,
  ...change,
})

interface Ending {
  after(end: () => Promise<void> | void): void
}

interface Member {
  readonly port: number
  /** Port of the edge's session to how many datagrams came from it. */
  readonly sessions: Map<number, number>
  readonly socket: Socket
}

/** Answers each datagram with its name, a colon and the datagram. */
async function startMember(context: Ending, name: string): Promise<Member> {
  const socket = createSocket('udp4')
  const sessions = new Map<number, number>()
  socket.on('message', (bytes, from) => {
    sessions.set(from.port, (sessions.get(from.port) ?? 0) + 1)
    socket.send(Buffer.concat([Buffer.from(`${name}:`), bytes]), from.port, from.address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  let open = true
  socket.on('close', () => {
    open = false
  })
  context.after(() => void (open && socket.close()))
  return { port: socket.address().port, sessions, socket }
}

interface Client {
  readonly answers: Buffer[]
  /** Sends again until an answer came: UDP promises nothing. Gives the last answer. */
  ask(text: string): Promise<string>
  send(bytes: Buffer): void
}

async function startClient(context: Ending, port: number): Promise<Client> {
  const socket = createSocket('udp4')
  const answers: Buffer[] = []
  socket.on('message', (bytes, from) => {
    assert.equal(from.port, port, 'answers come from the port that was asked')
    answers.push(bytes)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  context.after(() => void socket.close())
  const send = (bytes: Buffer): void => void socket.send(bytes, port, '127.0.0.1')
  return {
    answers,
    send,
    ask: async text => {
      const before = answers.length
      let askedAt = -Infinity
      await until(`an answer to ${text}`, () => {
        if (answers.length === before && performance.now() - askedAt > 500) {
          askedAt = performance.now()
          send(Buffer.from(text))
        }
        return answers.length > before
      })
      return (answers.at(-1) as Buffer).toString()
    },
  }
}

const dropped = async (edge: EdgeUnderTest): Promise<number> => {
  const lines = (await edge.metrics()).matchAll(/^edge_datagrams_dropped_total\{worker="\d+"\} (\d+)$/gm)
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0)
}

test('a session keeps its member, and another after its time-out may get another', async t => {
  const members = [await startMember(t, 'a'), await startMember(t, 'b')]
  const edge = await startEdge(t, {
    members: members.map(one => one.port),
    listeners: [udp()],
    accessLog: true,
  })
  const port = await edge.portOf('dns')
  const client = await startClient(t, port)
  const first = (await client.ask('one'))[0] as string
  for (const word of ['two', 'three', 'four']) assert.equal(await client.ask(word), `${first}:${word}`)
  assert.equal((await edge.member(0)).inFlight + (await edge.member(1)).inFlight, 1)
  await edge.idle()
  const other = first === 'a' ? 'b' : 'a'
  assert.equal(await client.ask('five'), `${other}:five`, 'round robin goes on')
  const [line] = await edge.logLines(1)
  const { at, ms, ...rest } = line as Record<string, unknown>
  assert.ok(typeof at === 'string' && typeof ms === 'number')
  assert.deepEqual(rest, {
    listener: 'dns',
    protocol: 'udp',
    client: '127.0.0.1',
    datagramsIn: 4,
    datagramsOut: 4,
    bytesIn: 15,
    bytesOut: 23,
    ended: 'silent',
    member: `app-${first === 'a' ? 0 : 1}`,
    chosenBy: 'round robin',
  })
  assert.match((await edge.status()).listeners[1]?.url ?? '', new RegExp(`^udp://127.0.0.1:${port}$`))
})

test('datagrams are neither split nor joined, empty ones included', async t => {
  const member = await startMember(t, 'm')
  const edge = await startEdge(t, { members: [member.port], listeners: [udp()] })
  const client = await startClient(t, await edge.portOf('dns'))
  await client.ask('begin')
  const sizes = [0, 1, 512, 1_472, 1_473, 9_000, 40_000, 65_000]
  for (const size of sizes) {
    const before = client.answers.length
    let sentAt = -Infinity
    await until(`${size} bytes back`, () => {
      if (client.answers.length === before && performance.now() - sentAt > 500) {
        sentAt = performance.now()
        client.send(Buffer.alloc(size, 7))
      }
      return client.answers.length > before
    })
    assert.equal(client.answers.at(-1)?.length, size + 2)
  }
})

test('many clients are told apart over two workers, each with a session of its own', async t => {
  const member = await startMember(t, 'm')
  const edge = await startEdge(t, { members: [member.port], listeners: [udp()], workers: 2 })
  const port = await edge.portOf('dns')
  const clients = await Promise.all(Array.from({ length: 60 }, () => startClient(t, port)))
  for (let round = 0; round < 3; round++)
    await Promise.all(
      clients.map(async (client, i) => assert.equal(await client.ask(`${i}.${round}`), `m:${i}.${round}`)),
    )
  assert.equal(member.sessions.size, 60)
  await edge.idle()
  const metrics = await edge.metrics()
  assert.match(metrics, /^edge_requests_total\{route="udp:dns",status="2xx"\} 60$/m)
})

test('beyond its bound of sessions further clients are dropped and counted', async t => {
  const member = await startMember(t, 'm')
  const listeners = [udp({ sessionsMax: 2, sessionTimeoutMs: 3_000 })]
  const edge = await startEdge(t, { members: [member.port], listeners })
  const port = await edge.portOf('dns')
  const [one, two, three] = [
    await startClient(t, port),
    await startClient(t, port),
    await startClient(t, port),
  ]
  await one.ask('x')
  await two.ask('x')
  three.send(Buffer.from('x'))
  await until('the drop', async () => (await dropped(edge)) === 1)
  assert.equal(three.answers.length, 0)
  await edge.idle()
  assert.equal(await three.ask('y'), 'm:y')
})

test('a member that refuses is left by its clients, and ejected after some refusals', async t => {
  const [gone, alive] = [await startMember(t, 'gone'), await startMember(t, 'alive')]
  gone.socket.close()
  const passive = { ...upstreamOf('x', []).health.passive, consecutiveFailures: 3, ejectBaseMs: 60_000 }
  const edge = await startEdge(t, {
    members: [gone.port, alive.port],
    upstream: { health: { active: null, passive, panicShare: 0 } },
    listeners: [udp()],
  })
  const port = await edge.portOf('dns')
  for (let i = 0; i < 8; i++) assert.equal(await (await startClient(t, port)).ask('hi'), 'alive:hi')
  const member = await edge.member(0)
  assert.equal(member.state, 'ejected')
  assert.equal(member.failures, 3)
})

test('a draining member keeps its sessions, one that has gone loses them to another', async t => {
  const [a, b] = [await startMember(t, 'a'), await startMember(t, 'b')]
  const listeners = [udp({ sessionTimeoutMs: 5_000 })]
  const edge = await startEdge(t, { members: [a.port], listeners })
  const port = await edge.portOf('dns')
  const client = await startClient(t, port)
  assert.equal(await client.ask('1'), 'a:1')
  await edge.apply({ members: [{ port: a.port, state: 'draining' }, b.port] })
  assert.equal(await client.ask('2'), 'a:2')
  assert.equal(await (await startClient(t, port)).ask('new'), 'b:new')
  await edge.apply({ members: [{ port: b.port, id: 'app-1' }] })
  assert.equal(await client.ask('3'), 'b:3')
})

test('with nobody in rotation datagrams are dropped, and go on when a member is there', async t => {
  const edge = await startEdge(t, { members: [], listeners: [udp()] })
  const client = await startClient(t, await edge.portOf('dns'))
  client.send(Buffer.from('x'))
  await until('the drop', async () => (await dropped(edge)) === 1)
  const member = await startMember(t, 'm')
  await edge.apply({ members: [member.port] })
  assert.equal(await client.ask('y'), 'm:y')
})

test('a stop ends sessions at once and frees the port', async t => {
  const member = await startMember(t, 'm')
  const edge = await startEdge(t, { members: [member.port], listeners: [udp({ sessionTimeoutMs: 60_000 })] })
  const port = await edge.portOf('dns')
  const client = await startClient(t, port)
  await client.ask('x')
  await edge.call('stop', { drainMs: 10_000 })
  await edge.exited()
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(port, '127.0.0.1', resolve))
  socket.close()
})
