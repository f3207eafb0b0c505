// Packing and unpacking as streams: the same bytes come back, damage and cuts are told, and nobody is left waiting.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packed, unpacked } from './zstd.ts'

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function all(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const list: Buffer[] = []
  for await (const piece of source) list.push(piece)
  return Buffer.concat(list)
}

const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * index) % 251))

test('what was packed comes back, however it is cut into pieces', async () => {
  const small = await all(packed(pieces(content, 70_000)))
  assert.ok(small.length < content.length)
  assert.deepEqual(await all(unpacked(pieces(small, 999))), content)
  assert.deepEqual(await all(unpacked(packed(pieces(Buffer.alloc(0), 1)))), Buffer.alloc(0))
})

test('damage and a missing end are told', async () => {
  const small = await all(packed(pieces(content, 70_000)))
  const damaged = Buffer.from(small)
  damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] as number) ^ 0xff
  await assert.rejects(all(unpacked(pieces(damaged, 4096))))
  await assert.rejects(all(unpacked(pieces(small.subarray(0, -9), 4096))), { code: 'Z_BUF_ERROR' })
})

test('the failure of a source is the failure of the stream; a reader may leave in the middle', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield content
    throw new Error('the source broke')
  }
  await assert.rejects(all(packed(failing())), /the source broke/)
  for await (const piece of unpacked(packed(pieces(content, 1000)))) {
    assert.ok(piece.length > 0)
    break
  }
})
