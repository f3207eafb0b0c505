// Encoded uploads on a route that inspects them: good ones arrive byte for byte, bombs and rubbish are refused, and then
// the instance has never seen a whole request.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import {
  brotliCompressSync,
  constants,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { proxyRoute, serve, startEdge } from '../tools/edge-harness.ts'
import { ok, readRequest, type Script } from '../tools/raw-origin.ts'
import type { RawResponse } from '../tools/raw-peer.ts'

const decodedBytesMax = 8 << 20
const edge = await startEdge({ after }, { routes: [proxyRoute('/*', { decodedBytesMax })] })
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const fast = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }
const pack: Record<string, (bytes: Buffer) => Buffer> = {
  gzip: bytes => gzipSync(bytes, { level: 1 }),
  'x-gzip': bytes => gzipSync(bytes, { level: 1 }),
  deflate: bytes => deflateSync(bytes, { level: 1 }),
  br: bytes => brotliCompressSync(bytes, fast),
  zstd: bytes => zstdCompressSync(bytes),
}

/** Counts whole requests; answers with the hash of what came. */
let whole = 0
const origin: Script = async (peer, _number, self) => {
  for (;;) {
    const request = await readRequest(peer, self).catch(() => null)
    if (request === null) return
    const told = request.fields.get('content-length')
    // The reader says of a chunked body whether its last chunk came.
    const cut =
      told === undefined ? (request as RawResponse).complete === false : request.body.length < Number(told)
    if (cut) return
    whole++
    peer.write(ok(hash(request.body), `X-Coding: ${request.fields.get('content-encoding')}\r\n`))
  }
}

async function upload(
  body: Buffer,
  coding: string,
  framed: 'length' | 'chunked' = 'length',
  pieceBytes = body.length,
): Promise<RawResponse> {
  const peer = await edge.connect()
  const framing = framed === 'length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked'
  await peer.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: ${coding}\r\n${framing}\r\n\r\n`)
  for (let at = 0; at < body.length && peer.over === ''; at += pieceBytes) {
    const piece = body.subarray(at, at + pieceBytes)
    if (framed === 'chunked') await peer.send(`${piece.length.toString(16)}\r\n`)
    await peer.send(piece)
    if (framed === 'chunked') await peer.send('\r\n')
  }
  if (framed === 'chunked' && peer.over === '') await peer.send('0\r\n\r\n')
  const response = await peer.response()
  peer.destroy()
  return response
}

test('what is within the bound arrives byte for byte, small or large, in any coding and framing', async t => {
  await serve(edge, t, origin)
  const bodies = [Buffer.from('small'), randomBytes(10_000), randomBytes(3_000_000), Buffer.alloc(0)]
  for (const coding of ['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'GZIP'])
    for (const body of bodies)
      for (const framed of ['length', 'chunked'] as const) {
        const packed = (pack[coding] ?? pack.gzip!)(body)
        const got = await upload(packed, coding, framed, 70_000)
        assert.equal(got.status, 200, `${coding} ${body.length} ${framed}: ${got.body}`)
        assert.equal(got.body.toString(), hash(packed))
        assert.equal(got.fields.get('x-coding'), coding)
      }
  const twice = brotliCompressSync(gzipSync(randomBytes(2_000_000)), fast)
  assert.equal((await upload(twice, 'gzip, br')).status, 200)
  const bare = deflateRawSync(randomBytes(200_000))
  assert.equal((await upload(bare, 'deflate')).status, 200)
  const members = Buffer.concat([gzipSync('one'), gzipSync('two')])
  assert.equal((await upload(members, 'gzip')).status, 200)
  await edge.idle()
})

test('bombs are refused with 413, and the instance never has a whole request', async t => {
  await serve(edge, t, origin)
  whole = 0
  const zeros = Buffer.alloc(256 << 20)
  const over = Buffer.concat([randomBytes(decodedBytesMax), Buffer.from('x')])
  const bombs: readonly (readonly [string, Buffer])[] = [
    ['gzip', pack.gzip!(zeros)],
    ['deflate', pack.deflate!(zeros)],
    ['br', pack.br!(zeros)],
    ['zstd', pack.zstd!(zeros)],
    ['gzip, gzip', gzipSync(pack.gzip!(zeros))],
    ['br, gzip', gzipSync(pack.br!(zeros))],
    ['zstd, br', brotliCompressSync(pack.zstd!(zeros), fast)],
    ['gzip', pack.gzip!(over)],
    ['zstd', pack.zstd!(over)],
    ['gzip', Buffer.concat(Array.from({ length: 40 }, () => pack.gzip!(Buffer.alloc(1 << 20))))],
  ]
  for (const [coding, bomb] of bombs)
    for (const framed of ['length', 'chunked'] as const) {
      const got = await upload(bomb, coding, framed, 50_000)
      assert.equal(got.status, 413, `${coding}, ${bomb.length} bytes, ${framed}`)
      assert.match(got.body.toString(), /decoded-too-large/)
    }
  await edge.idle()
  assert.equal(whole, 0)
})

test('a ratio that no text has is refused before the bound is reached', async t => {
  await serve(edge, t, origin)
  const dense = pack.gzip!(Buffer.alloc(4 << 20))
  assert.equal((await upload(dense, 'gzip')).status, 413)
  assert.equal((await upload(pack.gzip!(Buffer.alloc(1 << 20)), 'gzip')).status, 200)
})

test('what is not what its coding says is refused with 400; codings that nobody knows, or too many, with 415', async t => {
  await serve(edge, t, origin)
  whole = 0
  const good = randomBytes(100_000)
  for (const coding of ['gzip', 'deflate', 'br', 'zstd']) {
    const packed = pack[coding]!(good)
    const wrong: readonly Buffer[] = [
      packed.subarray(0, -5),
      packed.subarray(0, 20),
      randomBytes(50_000),
      Buffer.from('not packed at all'),
      ...(coding === 'gzip' ? [] : [Buffer.concat([packed, Buffer.from('more')])]),
    ]
    for (const body of wrong)
      for (const framed of ['length', 'chunked'] as const) {
        const got = await upload(body, coding, framed)
        assert.equal(got.status, 400, `${coding} ${body.length} ${framed}`)
        assert.match(got.body.toString(), /content-coding-bad/)
      }
  }
  for (const coding of ['compress', 'snappy', 'gzip, gzip, gzip', 'gzip; q=1', 'gzip,br,', 'x'.repeat(100)]) {
    const got = await upload(gzipSync('x'), coding)
    if (coding === 'gzip,br,') assert.equal(got.status, 400)
    else {
      assert.equal(got.status, 415, coding)
      assert.equal(got.fields.get('accept-encoding'), 'gzip, deflate, br, zstd')
      assert.match(got.body.toString(), /content-coding-unknown/)
    }
  }
  await edge.idle()
  assert.equal(whole, 0)
})

test('bodies without a coding pass untouched, and a client that goes away amid its upload leaves nothing', async t => {
  await serve(edge, t, origin)
  const body = randomBytes(300_000)
  assert.equal((await upload(body, 'identity')).body.toString(), hash(body))
  for (let i = 0; i < 10; i++) {
    const peer = await edge.connect()
    const packed = gzipSync(randomBytes(500_000))
    await peer.send(
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${packed.length}\r\n\r\n`,
    )
    await peer.send(packed.subarray(0, 40_000 * i))
    peer.destroy()
  }
  await edge.idle()
})
