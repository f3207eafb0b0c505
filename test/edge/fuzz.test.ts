// Random clients and random instances that stop, cut, stall and misbehave at every phase, with a ledger: each complete
// answer is the one for its request, nothing is executed twice that must not be, and when all is over nothing is in use.
// `EDGE_FUZZ_SEED` repeats a run.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom } from '../../src/kit/random.ts'
import { startEdge, until, upstreamOf } from '../tools/edge-harness.ts'
import { type RawOrigin, readRequest, type Script, startRawOrigin } from '../tools/raw-origin.ts'
import type { RawMessage, RawPeer } from '../tools/raw-peer.ts'

const seed = Number(process.env.EDGE_FUZZ_SEED ?? Date.now() % 1_000_000)
const fuzzMs = 12_000

const chance = (random: Random, share: number): boolean => random.float() < share
const oneOf = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T

/** Bytes that only this request can get. */
function answerTo(id: string, bodyHash: string, length: number): Buffer {
  return Buffer.alloc(length, `${createHash('sha256').update(`${id} ${bodyHash}`).digest('hex')};`)
}
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

class Ledger {
  readonly executed = new Map<string, number>()
  complete = 0
  cut = 0
  refused = 0
  execute(id: string): void {
    this.executed.set(id, (this.executed.get(id) ?? 0) + 1)
  }
}

/** An instance that does what is asked most of the time. */
function moody(random: Random, ledger: Ledger): Script {
  return async (peer, _number, origin) => {
    for (;;) {
      if (chance(random, 0.02)) return peer.reset()
      if (chance(random, 0.05)) {
        // An answer before the request is read to its end.
        if ((await peer.head()) === null) return
        peer.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
        if (chance(random, 0.5)) return peer.reset()
        return
      }
      const request = await readRequest(peer, origin)
      if (request === null || !(await answer(random, ledger, peer, request))) return
    }
  }
}

/** False: the connection is done with. */
async function answer(random: Random, ledger: Ledger, peer: RawPeer, request: RawMessage): Promise<boolean> {
  const [method, path] = request.startLine.split(' ') as [string, string]
  const [, id = '', length = '0'] = path.split('/')
  const declared = Number(request.fields.get('content-length') ?? -1)
  const whole = request.fields.has('transfer-encoding')
    ? request.trailers.includes('X-End: 1')
    : declared < 0 || request.body.length === declared
  if (!whole) return false
  ledger.execute(`${method} ${id}`)
  if (chance(random, 0.02)) {
    peer.reset()
    return false
  }
  if (chance(random, 0.05)) await sleep(random.below(30))
  if (chance(random, 0.05)) peer.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n')
  const body = answerTo(id, hash(request.body), Number(length))
  const kind = oneOf(random, ['length', 'chunked', 'close'])
  const cutAt = chance(random, 0.05) ? random.below(body.length + 1) : -1
  const fields = {
    length: `Content-Length: ${body.length}\r\n`,
    chunked: 'Transfer-Encoding: chunked\r\n',
    close: '',
  }[kind]
  peer.write(`HTTP/1.1 200 OK\r\n${fields}\r\n`)
  for (let at = 0; at < body.length && peer.over === ''; ) {
    const size = Math.min(body.length - at, 1 + random.below(oneOf(random, [100, 5_000, 70_000])))
    const piece = body.subarray(at, at + size)
    if (cutAt >= 0 && at + size > cutAt) {
      peer.reset()
      return false
    }
    if (kind === 'chunked') peer.write(`${size.toString(16)}\r\n`)
    await peer.send(piece)
    if (kind === 'chunked') peer.write('\r\n')
    if (chance(random, 0.02)) await sleep(random.below(20))
    at += size
  }
  if (kind === 'chunked') peer.write('0\r\n\r\n')
  return kind !== 'close' && !chance(random, 0.05)
}

interface Edgeward {
  connect(): Promise<RawPeer>
}

/** A client that asks and goes away in every way there is. */
async function restless(
  random: Random,
  ledger: Ledger,
  edge: Edgeward,
  name: string,
  end: number,
): Promise<void> {
  for (let life = 0; performance.now() < end; life++) {
    const peer = await edge.connect()
    await oneLife(random, ledger, peer, `${name}.${life}`, end)
    if (chance(random, 0.3)) peer.reset()
    else peer.destroy()
  }
}

async function oneLife(
  random: Random,
  ledger: Ledger,
  peer: RawPeer,
  name: string,
  end: number,
): Promise<void> {
  for (let at = 0; performance.now() < end && peer.over === ''; at++) {
    const count = chance(random, 0.2) ? 1 + random.below(6) : 1
    const asked: { method: string; id: string; bodyHash: string; length: number }[] = []
    for (let i = 0; i < count; i++) {
      const id = `${name}.${at}.${i}`
      const length = oneOf(random, [0, 10, 4_000, 5_000, 60_000, 300_000])
      const method = oneOf(random, ['GET', 'GET', 'POST', 'PUT'])
      const body =
        method === 'GET' ? Buffer.alloc(0) : Buffer.alloc(oneOf(random, [0, 5, 10_000, 80_000, 400_000]), id)
      asked.push({ method, id, bodyHash: hash(body), length })
      if (!(await ask(random, peer, method, `/${id}/${length}`, body))) return
    }
    if (chance(random, 0.04)) return
    if (chance(random, 0.03)) peer.halfClose()
    if (chance(random, 0.1)) {
      peer.socket.pause()
      await sleep(random.below(60))
      peer.socket.resume()
    }
    for (const one of asked) if (!(await check(ledger, peer, one))) return
  }
}

/** False: it broke off in the middle. */
async function ask(
  random: Random,
  peer: RawPeer,
  method: string,
  target: string,
  body: Buffer,
): Promise<boolean> {
  const chunked = body.length > 0 && chance(random, 0.5)
  const framing =
    method === 'GET' ? '' : chunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`
  const head = `${method} ${target} HTTP/1.1\r\nHost: x\r\n${framing}\r\n`
  if (chance(random, 0.03)) {
    await peer.send(head.slice(0, random.below(head.length)))
    return false
  }
  peer.write(head)
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + random.below(oneOf(random, [1_000, 50_000, 500_000])))
    const piece = body.subarray(at, at + size)
    if (chance(random, 0.02)) return false
    if (chunked && chance(random, 0.01)) {
      peer.write('zz\r\n')
      return false
    }
    if (chunked) peer.write(`${size.toString(16)}\r\n`)
    if (chance(random, 0.3)) await peer.send(piece)
    else peer.write(piece)
    if (chunked) peer.write('\r\n')
    at += size
  }
  if (chunked) peer.write('0\r\nX-End: 1\r\n\r\n')
  return true
}

/** False: no more can come on this connection. */
async function check(
  ledger: Ledger,
  peer: RawPeer,
  asked: { method: string; id: string; bodyHash: string; length: number },
): Promise<boolean> {
  const response = await peer.response(asked.method).catch((cause: Error) => {
    if (!/^the connection ended/.test(cause.message)) throw cause
    return null
  })
  if (response === null) return false
  if (!response.complete) {
    ledger.cut++
    return false
  }
  if (response.status !== 200) {
    ledger.refused++
    assert.ok([403, 408, 502, 503, 504].includes(response.status), `${asked.id}: ${response.status}`)
    return response.fields.get('connection') !== 'close'
  }
  ledger.complete++
  const expected = answerTo(asked.id, asked.bodyHash, asked.length)
  if (!response.body.equals(expected))
    assert.fail(`${asked.id} got ${response.body.length} bytes that are not its own`)
  return true
}

test('whatever clients and instances do, complete answers are right, nothing runs twice, and nothing is left', async t => {
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const ledger = new Ledger()
  const origins: RawOrigin[] = []
  for (let i = 0; i < 3; i++) origins.push(await startRawOrigin({ after }, moody(random, ledger)))
  const passive = {
    ...upstreamOf('x', []).health.passive,
    consecutiveFailures: 8,
    ejectBaseMs: 200,
    ejectMaxMs: 400,
  }
  const edge = await startEdge(
    { after },
    {
      workers: 2,
      accessLog: true,
      members: origins.map(origin => origin.port),
      upstream: {
        balance: { kind: 'two-choices' },
        health: { active: null, passive, panicShare: 0.3 },
        limits: { connectionsMax: 0, inFlightMax: 12, pendingMax: 100, pendingTimeoutMs: 10_000 },
        hedge: { percentile: 99, delayMinMs: 5 },
      },
    },
  )
  const end = performance.now() + fuzzMs
  await Promise.all(Array.from({ length: 40 }, (_, at) => restless(random, ledger, edge, `c${at}`, end)))
  await edge.idle()
  t.diagnostic(`${ledger.complete} complete, ${ledger.cut} cut, ${ledger.refused} refused`)
  assert.ok(ledger.complete > 200, `enough happened: ${ledger.complete}`)
  const twice = [...ledger.executed].filter(([key, count]) => key.startsWith('POST') && count > 1)
  assert.deepEqual(twice, [], 'no POST runs twice')
  await until('connections of clients to be gone', async () =>
    (await edge.status()).workers.every(worker => worker.connections === 0),
  )
})
