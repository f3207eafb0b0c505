// Row 10 of the guard's checklist on guarded routes, by frames over a socket: floods end the connection that sends them,
// what they held in the guard is given back, limits have counted every request of them, and others are served meanwhile.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CheckedLimit } from '../../src/file/checked-guard.ts'
import { until } from '../tools/edge-harness.ts'
import {
  codeNames,
  flag,
  frame,
  frameType,
  H2Peer,
  headers,
  integer,
  literals,
  postFields,
  requestFields,
  settings,
  uint32,
} from '../tools/h2-peer.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const limit = (change: Partial<CheckedLimit>): CheckedLimit => ({
  name: 'rate',
  kind: 'rate',
  algorithm: 'gcra',
  amount: 1_000_000,
  perMs: 30 * 86_400_000,
  burst: 1_000_000,
  by: [{ by: 'ip' }],
  missingShare: 0.2,
  adaptiveShare: 1,
  local: false,
  banAfter: 0,
  detectOnly: false,
  ...change,
})
const atOnce = limit({ name: 'at-once', kind: 'concurrency', amount: 20, perMs: 0, burst: 1 })

/** Two workers; whoever is served meanwhile may sit beside the flood. */
function start(t: TestContext, limits: readonly CheckedLimit[], setup: object = {}): Promise<GuardedEdge> {
  return startGuardedEdge(
    t,
    specOf([policyOf('trial', { limits })]),
    { workers: 2, trustedProxies: ['127.0.0.1/32'], ...setup },
    answering(() => ok('x'.repeat(200_000))),
  )
}

async function underWay(guarded: GuardedEdge): Promise<number> {
  const { parts } = await guarded.question<{ parts: { limit: { underWay: number } } }>({ kind: 'status' })
  return parts.limit.underWay
}

/** Somebody else, by an address of his own, is served. */
async function served(guarded: GuardedEdge): Promise<void> {
  assert.equal((await guarded.ask({ client: '203.0.113.9' })).status, 200)
}

/** Sends until the edge has had enough; asks as somebody else all the while. */
async function flood(
  guarded: GuardedEdge,
  peer: H2Peer,
  bytes: (round: number) => Buffer,
  beside = true,
): Promise<string> {
  for (let round = 0; round < 100_000 && !peer.over && peer.goaway === null; round++) {
    await peer.send(bytes(round))
    if (round % 64 === 0 && beside) await served(guarded)
  }
  assert.ok(await peer.until(() => peer.over || peer.goaway !== null), 'the edge has had enough')
  const code = peer.goaways.findLast(one => one !== 0)
  peer.destroy()
  return code === undefined ? 'closed' : (codeNames[code] as string)
}

test('row 10: rapid reset of guarded requests ends the connection, and holds nothing afterwards', async t => {
  const guarded = await start(t, [atOnce])
  const code = await flood(guarded, await H2Peer.greeted(guarded.edge.port), round =>
    Buffer.concat(
      Array.from({ length: 50 }, (_, i) => {
        const stream = (round * 50 + i) * 2 + 1
        return Buffer.concat([headers(stream, requestFields), frame(frameType.reset, 0, stream, uint32(8))])
      }),
    ),
  )
  assert.ok(code === 'ENHANCE_YOUR_CALM' || code === 'closed', code)
  await until('nothing to be held', async () => (await underWay(guarded)) === 0)
  await served(guarded)
})

test('row 10: requests that are reset are counted like any: who resets is soon refused', async t => {
  const guarded = await start(t, [limit({ amount: 30, burst: 30 })])
  const peer = await H2Peer.greeted(guarded.edge.port)
  // Few enough that the connection may go on.
  for (let i = 0; i < 30; i++) {
    const stream = 2 * i + 1
    peer.write(headers(stream, requestFields), frame(frameType.reset, 0, stream, uint32(8)))
    await peer.answered()
  }
  peer.write(headers(61, requestFields))
  await peer.until(() => peer.statusOf(61) !== null)
  assert.equal(peer.statusOf(61), 429)
  peer.destroy()
  await served(guarded)
})

test('row 10: refusals that are taken back at once end the connection too', async t => {
  const guarded = await start(t, [limit({ amount: 1, burst: 1 })])
  const taken = (round: number): Buffer =>
    Buffer.concat(
      Array.from({ length: 50 }, (_, i) => {
        const stream = (round * 50 + i) * 2 + 1
        return Buffer.concat([
          headers(stream, postFields, flag.endHeaders),
          frame(frameType.reset, 0, stream, uint32(8)),
        ])
      }),
    )
  const code = await flood(guarded, await H2Peer.greeted(guarded.edge.port), taken, false)
  // Its last words are lost where the connection is reset under what still comes.
  assert.ok(code === 'ENHANCE_YOUR_CALM' || code === 'closed', code)
  assert.ok(guarded.origin.requests.length <= 1)
})

const floods: Readonly<Record<string, () => Buffer>> = {
  PING: () => Buffer.concat(Array.from({ length: 100 }, () => frame(frameType.ping, 0, 0, Buffer.alloc(8)))),
  SETTINGS: () => Buffer.concat(Array.from({ length: 100 }, () => settings([4, 65_535]))),
  'empty DATA': () => Buffer.concat(Array.from({ length: 200 }, () => frame(frameType.data, 0, 1))),
  CONTINUATION: () => frame(frameType.continuation, 0, 1, literals([['x-a', 'y'.repeat(1_000)]])),
}
for (const [what, bytes] of Object.entries(floods))
  test(`row 10: a flood of ${what} ends the connection, beside others who are served`, async t => {
    const guarded = await start(t, [atOnce])
    const peer = await H2Peer.greeted(guarded.edge.port)
    if (what === 'empty DATA') peer.write(headers(1, postFields, flag.endHeaders))
    if (what === 'CONTINUATION')
      peer.write(frame(frameType.headers, flag.endStream, 1, literals(requestFields)))
    await flood(guarded, peer, bytes)
    await until('nothing to be held', async () => (await underWay(guarded)) === 0)
    await served(guarded)
  })

test('row 10: fields that unpack to far more than they are long never reach the guard', async t => {
  const guarded = await start(t, [limit({ amount: 2, burst: 2 })])
  const peer = await H2Peer.greeted(guarded.edge.port)
  // An entry of 3,900 bytes in the dynamic table, and a reference of one byte to it, often (RFC 7541 6.1).
  const entry = Buffer.concat([
    Buffer.from([0x40, 3]),
    Buffer.from('x-a'),
    integer(3_900, 7),
    Buffer.alloc(3_900, 'y'),
  ])
  const whole = flag.endHeaders | flag.endStream
  peer.write(frame(frameType.headers, whole, 1, Buffer.concat([literals(requestFields), entry])))
  await peer.until(() => peer.over || peer.statusOf(1) !== null)
  const bomb = Buffer.concat([literals(requestFields), Buffer.alloc(14_000, 0x80 | 62)])
  peer.write(frame(frameType.headers, whole, 3, bomb))
  await peer.until(() => peer.over || peer.ended(3))
  assert.notEqual(peer.statusOf(3), 200)
  peer.destroy()
  assert.ok(guarded.origin.requests.length <= 1)
  await served(guarded)
})

test('row 10: windows that are never opened hold their places only until the time to send is over', async t => {
  const guarded = await start(t, [atOnce], { limits: { sendTimeoutMs: 300 } })
  const peer = await H2Peer.greeted(guarded.edge.port, [4, 0])
  const streams = Array.from({ length: 10 }, (_, i) => 2 * i + 1)
  for (const stream of streams) peer.write(headers(stream, requestFields))
  await served(guarded)
  await peer.until(() => peer.over || streams.every(stream => peer.resetOf(stream) !== null))
  await until('every place to be given back', async () => (await underWay(guarded)) === 0)
  await served(guarded)
  peer.destroy()
})
