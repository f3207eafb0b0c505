// What a hostile HTTP/2 client does, by frames over a socket: wrong frames and requests are refused as RFC 9113 wants,
// floods end with GOAWAY, stalls are bounded, and whatever comes, the edge serves the next client.

import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { serve, startEdge, until } from '../tools/edge-harness.ts'
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
  preface,
  requestFields,
  settings,
  uint32,
} from '../tools/h2-peer.ts'
import { isAllowed, probes, runProbe, toleratedProbes } from '../tools/h2-probes.ts'
import { openHttp2 } from '../tools/http2-client.ts'
import { answering, ok, type RawOrigin } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })
let origin: RawOrigin

beforeEach(async t => {
  origin = await serve(edge, t as unknown as { after(end: () => Promise<void> | void): void })
})

test('each wrong frame and request is refused as RFC 9113 wants, or its field never reaches an instance', async () => {
  for (const probe of probes) {
    const outcome = await runProbe(edge.port, probe)
    const known = toleratedProbes[probe.name]
    if (known === undefined) assert.ok(isAllowed(probe, outcome), `${probe.name}: ${outcome}`)
    else assert.equal(outcome, known, probe.name)
  }
  for (const { head, startLine } of origin.requests) {
    assert.match(startLine, /^(?:GET|POST) \/ HTTP\/1\.1$/)
    assert.doesNotMatch(head, /^x[ :]|^x-[ab]:|\0|^host: other/im)
  }
})

async function alive(t: { after(end: () => Promise<void> | void): void }): Promise<void> {
  const peer = await openHttp2(t, edge.url)
  assert.equal((await peer.ask({ ':path': '/' })).status, 200)
}

/** Sends until the edge has had enough; tells the code of its GOAWAY (null: it only closed). */
async function flood(peer: H2Peer, bytes: (round: number) => Buffer, rounds: number): Promise<string | null> {
  for (let round = 0; round < rounds && !peer.over && peer.goaway === null; round++) {
    await peer.send(bytes(round))
    if (round % 16 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  assert.ok(await peer.until(() => peer.over || peer.goaway !== null), 'the edge has had enough')
  const code = peer.goaways.findLast(one => one !== 0) ?? null
  peer.destroy()
  return code === null ? null : (codeNames[code] as string)
}

test('requests that are taken back at once end the connection with ENHANCE_YOUR_CALM', async t => {
  const peer = await H2Peer.greeted(edge.port)
  const code = await flood(
    peer,
    round => {
      const parts: Buffer[] = []
      for (let i = 0; i < 50; i++) {
        const stream = (round * 50 + i) * 2 + 1
        parts.push(headers(stream, requestFields), frame(frameType.reset, 0, stream, uint32(8)))
      }
      return Buffer.concat(parts)
    },
    2_000,
  )
  assert.equal(code, 'ENHANCE_YOUR_CALM')
  await alive(t)
})

for (const [what, field] of [
  ['nghttp2 refuses', ['connection', 'close']],
  ['the edge refuses', ['host', 'other.example']],
] as const)
  test(`malformed requests that ${what} end the connection when there are many`, async t => {
    const peer = await H2Peer.greeted(edge.port)
    await flood(
      peer,
      round => {
        const stream = (i: number): number => (round * 20 + i) * 2 + 1
        return Buffer.concat(
          Array.from({ length: 20 }, (_, i) => headers(stream(i), [...requestFields, field])),
        )
      },
      2_000,
    )
    assert.ok(peer.over || peer.goaway !== null)
    assert.equal(origin.requests.length, 0)
    await alive(t)
  })

const floods: Readonly<Record<string, (round: number) => Buffer>> = {
  PING: () => Buffer.concat(Array.from({ length: 100 }, () => frame(frameType.ping, 0, 0, Buffer.alloc(8)))),
  SETTINGS: () => Buffer.concat(Array.from({ length: 100 }, () => settings([4, 65_535]))),
  PRIORITY: () =>
    Buffer.concat(
      Array.from({ length: 500 }, (_, i) =>
        frame(frameType.priority, 0, 2 * i + 1, Buffer.from([0, 0, 0, 0, 1])),
      ),
    ),
  WINDOW_UPDATE: round =>
    Buffer.concat(
      Array.from({ length: 500 }, () => frame(frameType.window, 0, 0, uint32(round === -1 ? 0 : 1))),
    ),
}
for (const [what, bytes] of Object.entries(floods))
  test(`a flood of ${what} ends the connection`, async t => {
    const peer = await H2Peer.greeted(edge.port)
    await flood(peer, bytes, 100_000)
    await alive(t)
  })

test('a flood of empty DATA ends the connection', async t => {
  const peer = await H2Peer.greeted(edge.port)
  peer.write(headers(1, postFields, flag.endHeaders))
  await flood(
    peer,
    () => Buffer.concat(Array.from({ length: 200 }, () => frame(frameType.data, 0, 1))),
    100_000,
  )
  await alive(t)
})

test('DATA of one byte each, to an instance that does not read, ends the connection before its window is used up', async t => {
  await serve(edge, t, async peer => {
    peer.socket.pause()
    await new Promise(resolve => peer.socket.once('close', resolve))
  })
  const peer = await H2Peer.greeted(edge.port)
  for (let i = 0; i < 60; i++) peer.write(headers(2 * i + 1, postFields, flag.endHeaders))
  const code = await flood(
    peer,
    round =>
      Buffer.concat(
        Array.from({ length: 600 }, (_, i) =>
          frame(frameType.data, 0, 2 * (i % 60) + 1, Buffer.from([round & 255])),
        ),
      ),
    6_000,
  )
  assert.equal(code, 'ENHANCE_YOUR_CALM')
  await edge.idle()
})

test('a field block without an end is cut off', async t => {
  const peer = await H2Peer.greeted(edge.port)
  peer.write(frame(frameType.headers, flag.endStream, 1, literals(requestFields)))
  await flood(
    peer,
    () => frame(frameType.continuation, 0, 1, literals([['x-a', 'y'.repeat(1_000)]])),
    100_000,
  )
  await alive(t)
})

test('fields that unpack to far more than they are long are refused', async t => {
  const peer = await H2Peer.greeted(edge.port)
  // One entry of 4,000 bytes in the dynamic table, then a reference of one byte to it, often (RFC 7541 6.1).
  const entry = Buffer.concat([
    Buffer.from([0x40, 3]),
    Buffer.from('x-a'),
    integer(3_900, 7),
    Buffer.alloc(3_900, 'y'),
  ])
  peer.write(
    frame(
      frameType.headers,
      flag.endHeaders | flag.endStream,
      1,
      Buffer.concat([literals(requestFields), entry]),
    ),
  )
  const bomb = Buffer.concat([literals(requestFields), Buffer.alloc(14_000, 0x80 | 62)])
  peer.write(frame(frameType.headers, flag.endHeaders | flag.endStream, 3, bomb))
  await peer.until(() => peer.over || peer.ended(3))
  assert.notEqual(peer.statusOf(3), 200)
  peer.destroy()
  await alive(t)
})

test('streams beyond the bound are refused, and those within it served', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  await serve(
    edge,
    t,
    answering(async () => {
      await held
      return ok()
    }),
  )
  // It has not acknowledged the bound yet: nothing but REFUSED_STREAM is fair.
  const peer = await H2Peer.connect(edge.port)
  peer.write(Buffer.from(preface, 'latin1'), settings())
  for (let i = 0; i < 160; i++) peer.write(headers(2 * i + 1, requestFields))
  await peer.answered()
  const refused = peer.frames.filter(one => one.type === frameType.reset && one.payload.readUInt32BE(0) === 7)
  assert.equal(refused.length, 160 - 128)
  const knowing = await H2Peer.greeted(edge.port)
  for (let i = 0; i < 160; i++) knowing.write(headers(2 * i + 1, requestFields))
  await knowing.until(() => knowing.goaway !== null)
  assert.equal(knowing.goaway, 1)
  release()
  await peer.until(() => peer.ended(2 * 127 + 1))
  assert.equal(peer.statusOf(2 * 127 + 1), 200)
  peer.destroy()
  knowing.destroy()
})

test('a window that is never opened frees the instance when the time to send is over', async t => {
  await serve(
    edge,
    t,
    answering(() => ok('x'.repeat(300_000))),
    { limits: { sendTimeoutMs: 300 } },
  )
  const peer = await H2Peer.greeted(edge.port, [4, 0])
  for (const stream of [1, 3, 5]) peer.write(headers(stream, requestFields))
  await peer.until(() => [1, 3, 5].every(stream => peer.resetOf(stream) !== null))
  for (const stream of [1, 3, 5]) assert.notEqual(peer.resetOf(stream), null)
  await edge.idle()
  peer.destroy()
})

for (const method of ['POST', 'HEAD'])
  for (const code of [0, 8])
    test(`a ${method} whose client resets it with ${codeNames[code]} amid its body never looks whole to the instance`, async t => {
      let heard = ''
      await serve(edge, t, async peer => {
        peer.socket.on('data', bytes => {
          heard += bytes.toString('latin1')
        })
        await new Promise(resolve => peer.socket.once('close', resolve))
      })
      const peer = await H2Peer.greeted(edge.port)
      const fields = [[':method', method] as const, ...requestFields.slice(1)]
      peer.write(
        headers(1, fields, flag.endHeaders),
        frame(frameType.data, 0, 1, Buffer.alloc(20_000 - 5_000, 'x')),
      )
      await until('the body to arrive', () => heard.includes('xxx'))
      peer.write(frame(frameType.reset, 0, 1, uint32(code)))
      await edge.idle()
      assert.doesNotMatch(heard, /\r\n0\r\n/)
      peer.destroy()
    })

test('a body that stops is answered with 408', async t => {
  await serve(edge, t, undefined, { limits: { bodyTimeoutMs: 300 } })
  const peer = await H2Peer.greeted(edge.port)
  peer.write(headers(1, postFields, flag.endHeaders), frame(frameType.data, 0, 1, Buffer.from('half')))
  await peer.until(() => peer.statusOf(1) !== null)
  assert.equal(peer.statusOf(1), 408)
  peer.destroy()
})

test('an idle connection is told to go and closed, one that never says a frame too', async t => {
  await serve(edge, t, undefined, { limits: { idleTimeoutMs: 300 } })
  const idle = await H2Peer.greeted(edge.port)
  idle.write(headers(1, requestFields))
  await idle.until(() => idle.over)
  assert.equal(idle.statusOf(1), 200)
  assert.equal(idle.goaway, 0)
  const mute = await H2Peer.connect(edge.port)
  mute.write(Buffer.from(preface, 'latin1'))
  assert.ok(await mute.until(() => mute.over))
  idle.destroy()
  mute.destroy()
})

test('a connection has at most so many requests, and none of them is lost', async t => {
  await serve(edge, t, undefined, { limits: { requestsPerConnectionMax: 10 } })
  const peer = await openHttp2(t, edge.url)
  for (let i = 0; i < 9; i++) assert.equal((await peer.ask({ ':path': '/' })).status, 200)
  const last = await peer.ask({ ':path': '/' })
  assert.equal(last.status, 200)
  await peer.closed()
  assert.ok(peer.goaways.includes(0))
})

test('whatever frames come, the edge serves the next client', async t => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`seed ${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * below)
  }
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)))
  for (let round = 0; round < 60; round++) {
    const peer = await H2Peer.greeted(edge.port)
    for (let i = 0; i < 30 && !peer.over; i++) {
      const stream = random(3) === 0 ? random(2 ** 31) : random(12)
      const kind = random(6)
      if (kind === 0) peer.write(headers(stream, requestFields, random(64)))
      else if (kind === 1) peer.write(frame(frameType.headers, random(64), stream, bytes(random(60))))
      else if (kind === 2) peer.write(bytes(random(40)))
      else peer.write(frame(random(11), random(256), stream, bytes(random(40))))
    }
    await peer.answered(200)
    peer.destroy()
  }
  await alive(t)
  await until('no connection but the living', async () =>
    (await edge.status()).workers.every(one => one.restarts === 0),
  )
})
