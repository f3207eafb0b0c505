// pgoutput read from bytes as the documentation lays them out (protocol-logicalrep-message-formats); the same against a
// real server is in test/database/feed.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LogicalMessage, readLogicalFrame, readLogicalMessage, standbyStatus } from './pgoutput.ts'

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255])
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const letter = (value: string): Buffer => Buffer.from(value)
const column = (value: string | null | undefined): Buffer => {
  if (value === null) return letter('n')
  if (value === undefined) return letter('u')
  return Buffer.concat([letter('t'), int32(Buffer.byteLength(value)), Buffer.from(value)])
}
const tuple = (...values: (string | null | undefined)[]): Buffer =>
  Buffer.concat([int16(values.length), ...values.map(column)])

function read(...parts: Buffer[]): LogicalMessage | null {
  return readLogicalMessage(Buffer.concat(parts), 0)
}

const samples: readonly (readonly [Buffer, LogicalMessage])[] = [
  [
    Buffer.concat([letter('B'), int64(0x1_0000_0010n), int64(5n), int32(-2)]),
    { kind: 'begin', finalLsn: 0x1_0000_0010, xid: 0xffff_fffe },
  ],
  [
    Buffer.concat([letter('C'), letter('\0'), int64(7n), int64(9n), int64(5n)]),
    { kind: 'commit', lsn: 7, endLsn: 9 },
  ],
  [
    Buffer.concat([
      letter('R'),
      int32(16_384),
      text('public'),
      text('films'),
      letter('d'),
      int16(2),
      Buffer.from([1]),
      text('id'),
      int32(20),
      int32(-1),
      Buffer.from([0]),
      text('größe'),
      int32(25),
      int32(-1),
    ]),
    {
      kind: 'relation',
      id: 16_384,
      schema: 'public',
      name: 'films',
      columns: [
        { name: 'id', key: true, typeId: 20 },
        { name: 'größe', key: false, typeId: 25 },
      ],
    },
  ],
  [
    Buffer.concat([letter('I'), int32(1), letter('N'), tuple('1', null, 'ä')]),
    { kind: 'insert', relation: 1, row: ['1', null, 'ä'] },
  ],
  [
    Buffer.concat([letter('U'), int32(1), letter('N'), tuple('1', undefined)]),
    { kind: 'update', relation: 1, old: null, oldWhole: false, row: ['1', undefined] },
  ],
  [
    Buffer.concat([letter('U'), int32(1), letter('K'), tuple('0', null), letter('N'), tuple('1', 'b')]),
    { kind: 'update', relation: 1, old: ['0', null], oldWhole: false, row: ['1', 'b'] },
  ],
  [
    Buffer.concat([letter('U'), int32(1), letter('O'), tuple('0', 'a'), letter('N'), tuple('1', 'b')]),
    { kind: 'update', relation: 1, old: ['0', 'a'], oldWhole: true, row: ['1', 'b'] },
  ],
  [
    Buffer.concat([letter('D'), int32(1), letter('K'), tuple('0')]),
    { kind: 'delete', relation: 1, old: ['0'], oldWhole: false },
  ],
  [
    Buffer.concat([letter('T'), int32(2), Buffer.from([1]), int32(1), int32(2)]),
    { kind: 'truncate', relations: [1, 2] },
  ],
  [
    Buffer.concat([letter('M'), Buffer.from([1]), int64(9n), text('tenfold'), int32(2), letter('hi')]),
    { kind: 'message', transactional: true, prefix: 'tenfold', content: letter('hi') },
  ],
  [Buffer.concat([letter('O'), int64(1n), text('node')]), { kind: 'other' }],
  [Buffer.concat([letter('Y'), int32(3), text('public'), text('mood')]), { kind: 'other' }],
]

test('each message of pgoutput is read as it is laid out', () => {
  for (const [bytes, meant] of samples) assert.deepEqual(read(bytes), meant)
})

test('a message that ends early, or goes on behind its end, is refused', () => {
  for (const [bytes, meant] of samples) {
    if (meant.kind === 'other') continue
    for (let end = 0; end < bytes.length; end++) assert.equal(read(bytes.subarray(0, end)), null)
    assert.equal(read(bytes, letter('x')), null)
  }
})

test('lengths that point elsewhere are refused before anything is made of them', () => {
  const insert = [letter('I'), int32(1), letter('N')]
  assert.equal(read(...insert, int16(65_535)), null)
  assert.equal(read(...insert, int16(1), letter('t'), int32(0x7fff_ffff)), null)
  assert.equal(read(...insert, int16(1), letter('t'), int32(-1)), null)
  assert.equal(read(...insert, int16(1), letter('b'), int32(0)), null, 'binary was not asked for')
  assert.equal(read(letter('T'), int32(0x7fff_ffff), Buffer.from([0])), null)
  assert.equal(read(letter('T'), int32(-1), Buffer.from([0])), null)
  assert.equal(read(letter('B'), int64(-1n), int64(0n), int32(1)), null, 'a position beyond 2^53')
  assert.equal(read(letter('Z')), null)
  assert.equal(readLogicalMessage(Buffer.alloc(0), 0), null)
})

test('whatever bytes come, the answer is a message or null', () => {
  fc.assert(
    fc.property(fc.constantFrom(...'BCRIUDTMOY'), fc.uint8Array({ maxLength: 80 }), (type, bytes) => {
      const message = read(letter(type), Buffer.from(bytes))
      assert.ok(message === null || typeof message.kind === 'string')
    }),
    { numRuns: 2_000 },
  )
})

test('data and keepalives are told apart, and the answer says how far everything is done', () => {
  const data = Buffer.concat([letter('w'), int64(1n), int64(2n), int64(3n), letter('B')])
  assert.deepEqual(readLogicalFrame(data), { kind: 'data', from: 25 })
  const keepalive = Buffer.concat([letter('k'), int64(0x2_0000_0001n), int64(3n), Buffer.from([1])])
  assert.deepEqual(readLogicalFrame(keepalive), {
    kind: 'keepalive',
    xlogEnd: 0x2_0000_0001,
    answerNow: true,
  })
  assert.equal(readLogicalFrame(data.subarray(0, 25)), null)
  assert.equal(readLogicalFrame(Buffer.concat([keepalive, letter('x')])), null)
  assert.equal(readLogicalFrame(Buffer.alloc(0)), null)
  const status = standbyStatus(0x2_0000_0001, 946_684_800_000_007)
  assert.equal(status.toString('latin1', 0, 1), 'r')
  for (const at of [1, 9, 17]) assert.equal(status.readBigUInt64BE(at), 0x2_0000_0001n)
  assert.equal(status.readBigInt64BE(25), 7n)
  assert.equal(status.length, 34)
})
