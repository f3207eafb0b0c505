import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createEdgeCells, type EdgeCells } from './cells.ts'
import { unroutedId } from './compile.ts'
import { EdgeWorker } from './edge-worker.ts'
import type { Exchange } from './exchange.ts'
import { clientFailures } from './failures.ts'
import { type Gate, gateAnswer } from './gate.ts'
import type { WorkerGuard } from './guard-port.ts'
import { memberKey } from './slots.ts'
import type { EdgeSnapshot } from './snapshot.ts'

function snapshotTo(originPort: number): EdgeSnapshot {
  return {
    format: 1,
    version: 1,
    name: 'gates',
    listeners: [{ id: 'http', kind: 'http', host: '127.0.0.1', port: 0 }],
    trustedProxies: [],
    forwarded: 'x-forwarded',
    limits: {
      requestLineBytesMax: 8_192,
      headerBytesMax: 16_384,
      headerCountMax: 100,
      bodyBytesMax: 1 << 20,
      headTimeoutMs: 10_000,
      idleTimeoutMs: 10_000,
      bodyTimeoutMs: 10_000,
      sendTimeoutMs: 10_000,
      connectionsMax: 100,
      requestsPerConnectionMax: 100,
      drainTimeoutMs: 1_000,
    },
    accessLog: null,
    routes: [{ id: '/*', match: { path: '/*' }, action: { kind: 'proxy', upstream: 'app', upgrade: false } }],
    upstreams: [
      {
        name: 'app',
        balance: { kind: 'round-robin' },
        members: [
          {
            id: 'app-1',
            epoch: '1',
            host: '127.0.0.1',
            port: originPort,
            weight: 1,
            tier: 0,
            state: 'active',
          },
        ],
        health: {
          active: null,
          passive: {
            consecutiveFailures: 0,
            failureShare: 0,
            requestsMin: 1,
            windowMs: 1_000,
            latencyFactor: 0,
            ejectBaseMs: 1_000,
            ejectMaxMs: 1_000,
            ejectShareMax: 1,
          },
          panicShare: 0,
        },
        limits: { connectionsMax: 0, inFlightMax: 0, pendingMax: 0, pendingTimeoutMs: 1_000 },
        retry: { attempts: 0, budgetShare: 0, budgetMin: 0, backoffBaseMs: 1, backoffMaxMs: 1, onStatus: [] },
        slowStartMs: 0,
        connectTimeoutMs: 5_000,
        responseTimeoutMs: 10_000,
        idleTimeoutMs: 10_000,
        upgradeIdleTimeoutMs: 10_000,
        keepAlive: { connectionsMax: 8, timeoutMs: 5_000 },
      },
    ],
    stickySecret: 'c2VjcmV0',
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  return (server.address() as { port: number }).port
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

/** A worker of the edge in this very thread, with real sockets, behind which one origin counts what reaches it. */
async function startWorker(
  t: TestContext,
  gates: readonly Gate[],
): Promise<{ url: string; port: number; cells: EdgeCells; reached: string[] }> {
  const reached: string[] = []
  const origin = createServer((request, response) => {
    reached.push(`${request.method} ${request.url}`)
    response.end('from the origin')
  })
  const snapshot = snapshotTo(await listen(origin))
  const probe = createServer()
  const port = await listen(probe)
  await new Promise(resolve => probe.close(resolve))
  const cells = createEdgeCells(1)
  const worker = await EdgeWorker.create(
    {
      index: 0,
      memory: cells.memory,
      snapshot,
      slots: {
        members: new Map([[memberKey('app', 'app-1', '1'), 0]]),
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
  })
  return { url: `http://127.0.0.1:${port}`, port, cells, reached }
}

/** Keeps every exchange that enters, until the test decides. */
class Turnstile implements Gate {
  readonly name = 'turnstile'
  readonly waiting: { exchange: Exchange; serial: number }[] = []
  onEnter: () => void = () => {}
  enter(exchange: Exchange): number {
    this.waiting.push({ exchange, serial: exchange.serial })
    this.onEnter()
    return gateAnswer.pending
  }
  entered(): Promise<void> {
    return new Promise(resolve => {
      this.onEnter = resolve
    })
  }
}

test('a gate that passes, and one that decides later, let a request through in order; nothing reaches the origin before', async t => {
  const seen: string[] = []
  const turnstile = new Turnstile()
  const pass: Gate = {
    name: 'pass',
    enter: one => {
      seen.push(one.path)
      return gateAnswer.pass
    },
  }
  const { url, reached } = await startWorker(t, [pass, turnstile, pass])
  const entered = turnstile.entered()
  const answer = fetch(`${url}/a/./b`, { method: 'POST', body: 'kept meanwhile' })
  await entered
  assert.deepEqual([seen, reached], [['/a/b'], []])
  const [first] = turnstile.waiting
  first!.exchange.resumeGate(first!.serial, gateAnswer.pass)
  assert.equal(await (await answer).text(), 'from the origin')
  assert.deepEqual([seen, reached], [['/a/b', '/a/b'], ['POST /a/b']])
})

test('a refusal, at once or later, is what the gate says, and the connection stays of use', async t => {
  const turnstile = new Turnstile()
  const refusal = { ...clientFailures.busy, status: 429, code: 'too-many', fields: 'Retry-After: 7\r\n' }
  const strict: Gate = {
    name: 'strict',
    enter: one => {
      if (one.path !== '/never') return gateAnswer.pass
      one.refusal = refusal
      return gateAnswer.refuse
    },
  }
  const { url, reached } = await startWorker(t, [strict, turnstile])
  const never = await fetch(`${url}/never`, { headers: { accept: 'application/json' } })
  assert.deepEqual([never.status, never.headers.get('retry-after')], [429, '7'])
  assert.equal(((await never.json()) as { error: { code: string } }).error.code, 'too-many')
  const entered = turnstile.entered()
  const later = fetch(`${url}/later`)
  await entered
  const [one] = turnstile.waiting
  one!.exchange.refusal = refusal
  one!.exchange.resumeGate(one!.serial, gateAnswer.refuse)
  assert.equal((await later).status, 429)
  assert.deepEqual(reached, [])
})

test('a decision that comes after the client has gone, or twice, changes nothing, also when the object serves somebody else by then', async t => {
  const turnstile = new Turnstile()
  const { url, port, cells, reached } = await startWorker(t, [turnstile])
  let entered = turnstile.entered()
  const gone = connect(port, '127.0.0.1')
  gone.write('GET /gone HTTP/1.1\r\nHost: x\r\n\r\n')
  await entered
  gone.resetAndDestroy()
  const end = Date.now() + 20_000
  while (cells.worker.exchanges[0] !== 0 && Date.now() < end)
    await new Promise(resolve => setTimeout(resolve, 5))
  assert.equal(cells.worker.exchanges[0], 0)
  entered = turnstile.entered()
  const answer = fetch(`${url}/stays`)
  await entered
  const [old, now] = turnstile.waiting
  assert.equal(old!.exchange, now!.exchange, 'the object is used again')
  old!.exchange.resumeGate(old!.serial, gateAnswer.pass)
  assert.deepEqual(reached, [], 'the late decision was not for this request')
  now!.exchange.resumeGate(now!.serial, gateAnswer.pass)
  now!.exchange.resumeGate(now!.serial, gateAnswer.pass)
  assert.equal(await (await answer).text(), 'from the origin')
  assert.deepEqual(reached, ['GET /stays'])
})

test('who fails at a held body refuses that request alone, whether the body came with its head or after it; others are served', async t => {
  let fails = true
  const reader: Gate = {
    name: 'reader',
    enter: one => {
      const { serial } = one
      one.holdBody(1 << 20, () => {
        if (fails) throw new TypeError('a strange body')
        one.resumeGate(serial, gateAnswer.pass)
      })
      return gateAnswer.pending
    },
  }
  const { url, cells, reached } = await startWorker(t, [reader])
  const send = async (body: string | ReadableStream<Uint8Array>): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { accept: 'application/json' },
    } as RequestInit)
  const code = async (answer: Response): Promise<unknown[]> => [
    answer.status,
    ((await answer.json()) as { error: { code: string } }).error.code,
  ]
  assert.deepEqual(await code(await send('small')), [503, 'gate-failed'])
  const pieces = new ReadableStream<Uint8Array>({
    async start(out) {
      for (const piece of ['in ', 'pieces']) {
        out.enqueue(Buffer.from(piece))
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      out.close()
    },
  })
  assert.deepEqual(await code(await send(pieces)), [503, 'gate-failed'])
  assert.deepEqual(reached, [])
  fails = false
  assert.equal(await (await send('plain')).text(), 'from the origin')
  assert.equal(cells.worker.exchanges[0], 0)
})
