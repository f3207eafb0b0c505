// Rows 7, 9 and 12 of the checklist on a real edge: bodies that two readers take differently, bodies padded past what is
// looked at, bombs. What is clear reaches the instance byte for byte.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib'
import type { CheckedUploads } from '../../src/file/checked-guard.ts'
import { bodiesThatAreClear, bodiesThatAreNot } from '../../src/wire/body/testing/bodies.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { RawPeer, type RawResponse } from '../tools/raw-peer.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

// Uploads alone: the same readers as with rules, without any.
const uploads: CheckedUploads = {
  types: ['image/*', 'text/plain', 'application/json'],
  bytesMax: 8_192,
  countMax: 4,
}
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function start(t: Parameters<typeof startGuardedEdge>[0]): Promise<GuardedEdge> {
  const guard = specOf([policyOf('trial', { uploads })])
  return startGuardedEdge(
    t,
    guard,
    {},
    answering(request => ok(hash(request.body))),
  )
}

async function send(
  port: number,
  fields: string,
  body: Buffer,
  framed: 'length' | 'chunked' = 'length',
): Promise<RawResponse> {
  const peer = await RawPeer.connect(port)
  const framing = framed === 'length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked'
  const head = Buffer.from(
    `POST /form HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n${fields}${framing}\r\n\r\n`,
  )
  const chunks = [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]
  await peer.send(Buffer.concat([head, ...(framed === 'length' ? [body] : chunks)]))
  const response = await peer.response('POST')
  peer.destroy()
  return response
}

const codeOf = (response: RawResponse): string =>
  (JSON.parse(response.body.toString()) as { error: { code: string } }).error.code

test('row 7: bodies that two readers take differently get 400, and no instance sees them', async t => {
  const { edge, origin } = await start(t)
  for (const [what, , type, body] of bodiesThatAreNot) {
    if (body === '') continue
    const bytes = Buffer.from(body, 'latin1')
    for (const framed of ['length', 'chunked'] as const) {
      const refused = await send(edge.port, `Content-Type: ${type}\r\n`, bytes, framed)
      assert.deepEqual([refused.status, codeOf(refused)], [400, 'GUARD_BODY_AMBIGUOUS'], what)
    }
  }
  assert.equal(origin.requests.length, 0)
})

test('row 7: bodies that clients really send reach the instance byte for byte', async t => {
  const { edge } = await start(t)
  for (const [what, type, body] of bodiesThatAreClear) {
    const bytes = Buffer.from(body, 'latin1')
    for (const framed of ['length', 'chunked'] as const) {
      if (bytes.length === 0 && framed === 'chunked') continue
      const passed = await send(edge.port, `Content-Type: ${type}\r\n`, bytes, framed)
      assert.deepEqual([passed.status, passed.body.toString()], [200, hash(bytes)], what)
    }
  }
  const packed = gzipSync('{"signed":"webhook"}')
  const passed = await send(edge.port, 'Content-Type: application/json\r\nContent-Encoding: gzip\r\n', packed)
  assert.equal(passed.body.toString(), hash(packed))
})

test('row 9: bodies padded past what is looked at are refused, at 8 to 512 KB', async t => {
  const { edge, origin } = await start(t)
  const held = 128 << 10
  let reached = 0
  for (const kilobytes of [8, 16, 32, 64, 127, 128, 129, 256, 512]) {
    const padded = Buffer.from(JSON.stringify({ pad: 'x'.repeat(kilobytes * 1_024 - 40), q: '<script>' }))
    for (const framed of ['length', 'chunked'] as const) {
      const answer = await send(edge.port, 'Content-Type: application/json\r\n', padded, framed)
      const fits = padded.length <= held
      if (fits) reached++
      assert.equal(answer.status, fits ? 200 : 413, `${kilobytes} KB ${framed}`)
      if (!fits) assert.equal(codeOf(answer), 'GUARD_BODY_TOO_LARGE')
    }
  }
  assert.equal(origin.requests.length, reached)
})

test('row 12: bombs, many keys, deep nesting and prototypes are refused, and the edge goes on', async t => {
  const { edge, origin, ask } = await start(t)
  const zeros = Buffer.alloc(64 << 20)
  const packed: Record<string, Buffer> = {
    gzip: gzipSync(zeros, { level: 1 }),
    br: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
    zstd: zstdCompressSync(zeros),
  }
  for (const [coding, bomb] of Object.entries(packed)) {
    const fields = `Content-Type: application/json\r\nContent-Encoding: ${coding}\r\n`
    const answer = await send(edge.port, fields, bomb)
    assert.equal(answer.status, 413, `${coding}: ${bomb.length} bytes`)
  }
  const twice = gzipSync(gzipSync('{}'))
  assert.equal(
    (await send(edge.port, 'Content-Type: application/json\r\nContent-Encoding: gzip, gzip\r\n', twice))
      .status,
    415,
  )
  const keys = `{${Array.from({ length: 9_000 }, (_, i) => `"k${i}":1`).join()}}`
  const bodies = [keys, '['.repeat(60_000), '{"a":'.repeat(20_000), '{"__proto__":{"x":1}}']
  for (const body of bodies)
    assert.equal((await send(edge.port, 'Content-Type: application/json\r\n', Buffer.from(body))).status, 400)
  const form = Array.from({ length: 9_000 }, (_, i) => `k${i}=1`).join('&')
  assert.equal(
    (await send(edge.port, 'Content-Type: application/x-www-form-urlencoded\r\n', Buffer.from(form))).status,
    400,
  )
  assert.equal(origin.requests.length, 0)
  assert.equal((await ask()).status, 200)
})

test('files of a form are of the types that are allowed, by name, by what they say and by what they are', async t => {
  const { edge } = await start(t)
  const form = (name: string, type: string, bytes: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from(
        `--B\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n`,
      ),
      bytes,
      Buffer.from('\r\n--B--\r\n'),
    ])
  const png = Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    randomBytes(2_000).map(byte => byte | 0x80),
  ])
  const fields = 'Content-Type: multipart/form-data; boundary=B\r\n'
  const good = form('a.png', 'image/png', png)
  assert.equal((await send(edge.port, fields, good)).body.toString(), hash(good))
  for (const [name, type, bytes, status] of [
    ['a.php', 'image/png', png, 415],
    ['a.png', 'image/png', Buffer.from('<?php'), 415],
    ['a.png', 'application/x-php', png, 415],
    ['a.png', 'image/png', Buffer.concat([png, Buffer.alloc(9_000, 0x80)]), 413],
  ] as const)
    assert.equal((await send(edge.port, fields, form(name, type, bytes))).status, status, `${name} ${type}`)
})
