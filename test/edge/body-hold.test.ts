// Bodies that a gate sees whole before an instance sees any of them: whatever framed them, whenever they come, they go on
// byte for byte; what is too long goes on too, or is refused; who goes meanwhile is forgotten.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createEdgeCells, type EdgeCells } from '../../src/edge/cells.ts'
import { unroutedId } from '../../src/edge/compile.ts'
import { EdgeWorker } from '../../src/edge/edge-worker.ts'
import type { Exchange } from '../../src/edge/exchange.ts'
import { clientFailures } from '../../src/edge/failures.ts'
import { type Gate, gateAnswer } from '../../src/edge/gate.ts'
import type { WorkerGuard } from '../../src/edge/guard-port.ts'
import { memberKey } from '../../src/edge/slots.ts'
import { limitsOfTests, proxyRoute, until, upstreamOf } from '../tools/edge-harness.ts'
import { openHttp2 } from '../tools/http2-client.ts'
import { RawPeer } from '../tools/raw-peer.ts'

interface Reached {
  readonly method: string
  readonly fields: IncomingMessage['headers']
  readonly trailers: IncomingMessage['trailers']
  readonly hash: string
}

interface Trial {
  readonly port: number
  readonly cells: EdgeCells
  readonly reached: Reached[]
  /** Whether any byte of a request has reached the origin. */
  readonly begun: () => number
  connect(): Promise<RawPeer>
}

const hash = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')

/** Holds every body, notes what it saw, then passes, or refuses what is longer. */
class HoldGate implements Gate {
  readonly name = 'hold'
  readonly seen: (string | null)[] = []
  readonly bytesMax: number
  readonly passesLong: boolean
  calls = 0
  constructor(bytesMax: number, passesLong = true) {
    this.bytesMax = bytesMax
    this.passesLong = passesLong
  }
  enter(exchange: Exchange): number {
    const { serial } = exchange
    this.calls++
    let returned = false
    exchange.holdBody(this.bytesMax, body => {
      assert.ok(returned, 'never before holdBody returns')
      assert.equal(exchange.serial, serial, 'never after the exchange is over')
      this.seen.push(body === null ? null : hash(body))
      if (body === null && !this.passesLong) exchange.refusal = clientFailures.bodyTooLarge
      exchange.resumeGate(serial, body === null && !this.passesLong ? gateAnswer.refuse : gateAnswer.pass)
    })
    returned = true
    return gateAnswer.pending
  }
}

function guardWith(gates: readonly Gate[]): WorkerGuard {
  return {
    prepare: async () => {},
    looksAtConnections: false,
    connectionOpened: () => 0,
    connectionClosed: () => {},
    wantsHello: false,
    doors: () => [],
    gates: () => gates,
    step: (_route, _snapshot, behind) => behind,
    action: () => ({ run: exchange => exchange.respond(404, 'Content-Length: 0\r\n', '') }),
    hear: () => {},
    close: async () => {},
  }
}

/** A worker of the edge in this thread, with real sockets, and an origin that says what came. */
async function startTrial(
  t: TestContext,
  gates: readonly Gate[],
  change: { bodyTimeoutMs?: number; drops?: number; bodyBytesMax?: number; h2?: boolean } = {},
): Promise<Trial> {
  const reached: Reached[] = []
  let begun = 0
  let drops = change.drops ?? 0
  const origin = createServer((request, response) => {
    begun++
    if (drops-- > 0) {
      request.socket.destroy()
      return
    }
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const body = Buffer.concat(pieces)
      const { method = '', headers: fields, trailers } = request
      reached.push({ method, fields, trailers, hash: hash(body) })
      response.end(hash(body))
    })
    request.on('error', () => {})
  })
  await new Promise<void>(resolve => origin.listen(0, '127.0.0.1', () => resolve()))
  const cells = createEdgeCells(1)
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', () => resolve()))
  const { port } = probe.address() as AddressInfo
  await new Promise(resolve => probe.close(resolve))
  const member = { epoch: '1', port: (origin.address() as AddressInfo).port }
  const { bodyTimeoutMs = 20_000, bodyBytesMax = 32 << 20 } = change
  const snapshot = {
    format: 1 as const,
    version: 1,
    name: 'holds',
    listeners: [{ id: 'http', kind: 'http' as const, host: '127.0.0.1', port, http2: true }],
    trustedProxies: [],
    forwarded: 'x-forwarded' as const,
    limits: { ...limitsOfTests, bodyTimeoutMs, bodyBytesMax },
    accessLog: null,
    routes: [proxyRoute('/*')],
    upstreams: [upstreamOf('app', [member])],
    stickySecret: 'c2VjcmV0',
  }
  const worker = await EdgeWorker.create(
    {
      index: 0,
      memory: cells.memory,
      snapshot,
      slots: {
        members: new Map([[memberKey('app', 'app-0', '1'), 0]]),
        routes: new Map([
          ['/*', 0],
          [unroutedId, 1],
        ]),
        upstreams: new Map([['app', 0]]),
        canaries: new Map(),
      },
      ports: new Map([['http', port]]),
      pseudonym: 'tenfold-test',
      seed: '00112233445566778899aabbccddeeff',
      reusePort: false,
      connectionsMax: 1_000,
      challenges: new Map(),
      tls: { serial: 0, server: null, upstreams: new Map() },
      store: null,
      guard: {},
    },
    () => {},
    () => guardWith(gates),
  )
  await worker.listen(new Map([['http', port]]))
  t.after(async () => {
    worker.drain(1_000, 0)
    origin.closeAllConnections()
    await new Promise(resolve => origin.close(resolve))
    assert.equal(cells.worker.exchanges[0], 0, 'nothing is left under way')
  })
  return {
    port,
    cells,
    reached,
    begun: () => begun,
    connect: async () => {
      const peer = await RawPeer.connect(port)
      t.after(() => peer.destroy())
      return peer
    },
  }
}

const headOf = (framing: string, more = ''): string =>
  `POST /held HTTP/1.1\r\nHost: x\r\n${framing}\r\n${more}\r\n`

/** Chunks of uneven sizes, with an extension now and then. */
function chunked(body: Buffer, trailers = ''): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0, n = 1; at < body.length; n = (n * 7 + 3) % 40_000) {
    const piece = body.subarray(at, at + n + 1)
    pieces.push(Buffer.from(`${piece.length.toString(16)}${n % 3 === 0 ? ';a=b' : ''}\r\n`), piece)
    pieces.push(Buffer.from('\r\n'))
    at += piece.length
  }
  return Buffer.concat([...pieces, Buffer.from(`0\r\n${trailers}\r\n`)])
}

test('a body is held whole and goes on byte for byte, with its head or after it, by length and in chunks, on one connection', async t => {
  const gate = new HoldGate(1 << 20)
  const { reached, connect } = await startTrial(t, [gate])
  const peer = await connect()
  for (const size of [0, 1, 5_000, 16_384, 16_385, 70_000, 1 << 20])
    for (const framed of ['length', 'chunked'] as const)
      for (const apart of [false, true]) {
        const body = randomBytes(size)
        const head = headOf(framed === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked')
        const sent = framed === 'length' ? body : chunked(body, 'X-Trailer: 1\r\n')
        if (apart) {
          await peer.send(head)
          await new Promise(setImmediate)
          const middle = Math.floor(sent.length / 2)
          await peer.send(sent.subarray(0, middle))
          await new Promise(setImmediate)
          await peer.send(sent.subarray(middle))
        } else await peer.send(Buffer.concat([Buffer.from(head), sent]))
        const what = `${size} ${framed} ${apart ? 'apart' : 'together'}`
        const answer = await peer.response('POST')
        assert.equal(answer.status, 200, what)
        const last = reached.at(-1) as Reached
        assert.deepEqual([gate.seen.at(-1), last.hash], [hash(body), hash(body)], what)
        assert.equal(last.fields['content-length'], String(size), what)
        assert.equal(last.fields['transfer-encoding'], undefined, what)
        assert.deepEqual(last.trailers, {}, 'nobody has looked at trailers')
      }
})

test('nothing reaches an instance before the body is complete, and a client that goes meanwhile leaves nothing', async t => {
  const gate = new HoldGate(1 << 20)
  const { cells, begun, connect } = await startTrial(t, [gate])
  for (const end of ['reset', 'fin'] as const) {
    const peer = await connect()
    await peer.send(`${headOf('Content-Length: 100')}half`)
    await until('the gate to be asked', () => cells.worker.exchanges[0] === 1)
    if (end === 'reset') peer.reset()
    else peer.socket.end()
    await until('the exchange to be over', () => cells.worker.exchanges[0] === 0)
  }
  const peer = await connect()
  await peer.send(`${headOf('Transfer-Encoding: chunked')}5\r\nhello\r\nzz\r\n`)
  assert.equal((await peer.response('POST')).status, 400)
  assert.deepEqual([gate.seen, gate.calls, begun()], [[], 3, 0])
})

test('who waits for 100 is told by the edge, once, and the instance is not asked again', async t => {
  const gate = new HoldGate(1 << 20)
  const { reached, connect } = await startTrial(t, [gate])
  const peer = await connect()
  await peer.send(headOf('Content-Length: 40000', 'Expect: 100-continue\r\n'))
  assert.match((await peer.head()) as string, /^HTTP\/1\.1 100 /)
  const body = randomBytes(40_000)
  await peer.send(body)
  const interims: { readonly line?: string }[] = []
  const answer = await peer.response('POST', interims as never)
  assert.deepEqual([answer.status, interims.length], [200, 0])
  assert.equal((reached[0] as Reached).fields.expect, undefined)
  assert.equal((reached[0] as Reached).hash, hash(body))
})

test('a body past the bound goes on as it came where the gate lets it, in both framings', async t => {
  const gate = new HoldGate(10_000)
  const { reached, connect } = await startTrial(t, [gate])
  const peer = await connect()
  for (const size of [10_001, 60_000, 3_000_000])
    for (const framed of ['length', 'chunked'] as const) {
      const body = randomBytes(size)
      const head = headOf(framed === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked')
      await peer.send(Buffer.concat([Buffer.from(head), framed === 'length' ? body : chunked(body)]))
      const answer = await peer.response('POST')
      assert.equal(answer.status, 200, `${size} ${framed}`)
      assert.equal((reached.at(-1) as Reached).hash, hash(body), `${size} ${framed}`)
    }
  assert.deepEqual(new Set(gate.seen), new Set([null]))
})

test('a body past the bound is refused where the gate says so, before it is read when its length is told', async t => {
  const gate = new HoldGate(10_000, false)
  const { begun, connect } = await startTrial(t, [gate])
  const told = await connect()
  await told.send(headOf('Content-Length: 3000000', 'Expect: 100-continue\r\n'))
  const early = await told.response('POST')
  assert.deepEqual([early.status, early.fields.get('connection')], [413, 'close'])
  const untold = await connect()
  await untold.send(`${headOf('Transfer-Encoding: chunked')}4000\r\n${'x'.repeat(0x4000)}\r\n`)
  assert.equal((await untold.response('POST')).status, 413)
  assert.equal(begun(), 0)
})

test('two gates may each hold the body, the second with a larger bound', async t => {
  const first = new HoldGate(1_000)
  const second = new HoldGate(100_000)
  const third = new HoldGate(50)
  const { reached, connect } = await startTrial(t, [first, second, third])
  const peer = await connect()
  for (const framed of ['length', 'chunked'] as const) {
    const body = randomBytes(50_000)
    const head = headOf(framed === 'length' ? 'Content-Length: 50000' : 'Transfer-Encoding: chunked')
    await peer.send(Buffer.concat([Buffer.from(head), framed === 'length' ? body : chunked(body)]))
    assert.equal((await peer.response('POST')).status, 200)
    assert.deepEqual([first.seen.at(-1), second.seen.at(-1), third.seen.at(-1)], [null, hash(body), null])
    assert.equal((reached.at(-1) as Reached).hash, hash(body))
  }
})

test('over HTTP/2 a body is held and goes on byte for byte, short and long, past the bound too', async t => {
  const gate = new HoldGate(200_000)
  const { port, reached } = await startTrial(t, [gate])
  const peer = await openHttp2(t, `http://127.0.0.1:${port}`)
  for (const size of [1, 10_000, 60_000, 200_000, 2_000_000]) {
    const body = randomBytes(size)
    const answer = await peer.ask({ ':method': 'POST', ':path': '/held' }, body)
    assert.equal(answer.status, 200, `${size}`)
    assert.equal((reached.at(-1) as Reached).hash, hash(body), `${size}`)
    assert.equal(gate.seen.at(-1), size > 200_000 ? null : hash(body))
  }
})

test('a stream that is reset amid its held body leaves nothing', async t => {
  const gate = new HoldGate(200_000)
  const { port, cells, begun } = await startTrial(t, [gate])
  const peer = await openHttp2(t, `http://127.0.0.1:${port}`)
  const stream = peer.open({ ':method': 'POST', ':path': '/held', 'content-length': '100000' })
  stream.write(randomBytes(30_000))
  await until('the gate to be asked', () => gate.calls === 1)
  stream.close(8)
  await until('the exchange to be over', () => cells.worker.exchanges[0] === 0)
  assert.deepEqual([gate.seen, begun()], [[], 0])
})

test('a held body is sent again where the method allows it, and only there', async t => {
  const gate = new HoldGate(200_000)
  const { reached, begun, connect } = await startTrial(t, [gate], { drops: 1 })
  const peer = await connect()
  const body = randomBytes(100_000)
  const head = headOf('Content-Length: 100000')
  await peer.send(Buffer.concat([Buffer.from(head.replace('POST', 'PUT')), body]))
  assert.equal((await peer.response('PUT')).status, 200)
  assert.deepEqual([begun(), (reached[0] as Reached).hash], [2, hash(body)])
})

test('a body that stands still is refused at the edge’s own deadline', async t => {
  const gate = new HoldGate(200_000)
  const { begun, connect } = await startTrial(t, [gate], { bodyTimeoutMs: 300 })
  const peer = await connect()
  await peer.send(`${headOf('Content-Length: 100')}half`)
  assert.equal((await peer.response('POST')).status, 408)
  assert.deepEqual([gate.seen, begun()], [[], 0])
})

test('an answer in pieces reaches the client as it is written, and ends', async t => {
  let exchange: Exchange | null = null
  let cancelled = 0
  const gate: Gate = {
    name: 'events',
    enter: one => {
      exchange = one
      one.respondInPieces('Content-Type: text/event-stream\r\nCache-Control: no-store\r\n', {
        drained: () => {},
        cancel: () => {
          cancelled++
        },
      })
      return gateAnswer.taken
    },
  }
  const { cells, connect } = await startTrial(t, [gate])
  const peer = await connect()
  await peer.send('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.match((await peer.head()) as string, /^HTTP\/1\.1 200 [\s\S]*text\/event-stream/)
  const piece = Buffer.from('data: 1\n\n')
  ;(exchange as Exchange | null)?.localBytes(piece, 0, piece.length)
  assert.equal(await peer.upTo('\n\n'), '9\r\ndata: 1\n\n')
  ;(exchange as Exchange | null)?.localEnd()
  assert.equal(await peer.upTo('0\r\n\r\n'), '\r\n0\r\n\r\n')
  await peer.send('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
  await peer.head()
  peer.reset()
  await until('the source to be told', () => cancelled === 1)
  assert.equal(cells.worker.exchanges[0], 0)
})
