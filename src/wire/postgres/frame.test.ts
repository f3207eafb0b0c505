import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameBytes, frameProblem, frontendFrameBytes, stringEnd } from './frame.ts'
import { queryMessage, syncMessage } from './write-frontend.ts'

function header(type: string, length: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.write(type, 'latin1')
  bytes.writeInt32BE(length, 1)
  return bytes
}

test('a frame is as long as its length word and its type, once the header is there', () => {
  const frame = queryMessage('SELECT 1')
  for (let to = 0; to < 5; to++) assert.equal(frameBytes(frame, 0, to, 1_000), 0, `${to} bytes`)
  for (let to = 5; to <= frame.length; to++) assert.equal(frameBytes(frame, 0, to, 1_000), frame.length)
})

test('frames are found one behind the other, wherever the bytes begin', () => {
  const bytes = Buffer.concat([Buffer.from('xx'), syncMessage, queryMessage('a'), syncMessage])
  const found: number[] = []
  for (let at = 2; at < bytes.length; ) {
    const size = frontendFrameBytes(bytes, at, bytes.length, 1_000)
    found.push(size)
    at += size
  }
  assert.deepEqual(found, [5, 7, 5])
})

test('lengths of 0, 3, negative and beyond the limit are protocol violations', () => {
  for (const length of [0, 3, -1, -(2 ** 31), 2 ** 31 - 1, 1_000]) {
    const answer = frameBytes(header('Q', length), 0, 5, 1_000)
    assert.ok(answer < 0, `length ${length}`)
    assert.equal(frameProblem(answer).code, '08P01')
    assert.match(frameProblem(answer).sentence, length < 4 ? /below 4/ : /larger/)
  }
  assert.equal(frameBytes(header('Q', 4), 0, 5, 1_000), 5)
  assert.equal(frameBytes(header('Q', 999), 0, 5, 1_000), 1_000, 'exactly at the limit')
})

test('a type that no client sends is refused at its first byte', () => {
  const answer = frontendFrameBytes(Buffer.from('Z'), 0, 1, 1_000)
  assert.match(frameProblem(answer).sentence, /no client sends/)
})

test('short messages and passwords have bounds of their own, as PostgreSQL has them', () => {
  for (const type of 'CDEHSXcf') assert.ok(frontendFrameBytes(header(type, 10_001), 0, 5, 1 << 30) < 0, type)
  assert.equal(frontendFrameBytes(header('E', 10_000), 0, 5, 1 << 30), 10_001)
  assert.ok(frontendFrameBytes(header('p', 65_536), 0, 5, 1 << 30) < 0)
  for (const type of 'QFPBd')
    assert.equal(frontendFrameBytes(header(type, 1 << 29), 0, 5, 1 << 30), (1 << 29) + 1)
  assert.ok(frontendFrameBytes(header('E', 999), 0, 5, 500) < 0, 'a smaller general bound counts')
})

test('a string ends at its NUL, near or far, and never beyond its message', () => {
  for (const size of [0, 1, 31, 32, 33, 100]) {
    const bytes = Buffer.from(`${'a'.repeat(size)}\0rest\0`)
    assert.equal(stringEnd(bytes, 0, bytes.length), size)
    assert.equal(stringEnd(bytes, 0, size), -1, `the NUL of ${size} lies outside`)
  }
  assert.equal(stringEnd(Buffer.alloc(0), 0, 0), -1)
})
