import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalKey, canonicalOfBinary } from '../../policy/shard/key.ts'
import { bindFormattedMessage, readParameters } from '../../wire/postgres/index.ts'
import { integerParameter } from './integer-parameter.ts'

/** Behind type, length and two names without letters. */
const restFrom = 7

function bind(values: readonly (Buffer | null)[], formats: readonly number[]): Buffer {
  return bindFormattedMessage('', '', values, formats, [])
}

function eight(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

const texts = ['0', '7', '42', '123456789012345', '-1', '007', '', ' 1', '1.0', '9007199254740993', 'x']
const binaries = [
  Buffer.from([0, 9]),
  Buffer.from([255, 255]),
  Buffer.from([255, 255, 255, 254]),
  eight(2n ** 52n),
  eight(-5n),
  eight(2n ** 53n + 1n),
  Buffer.from([1]),
]

test('what is read in place is what the rules of keys say, or nothing', () => {
  const plain: number[] = []
  for (const [bytes, format] of [
    ...texts.map(text => [Buffer.from(text), 0] as const),
    ...binaries.map(one => [one, 1] as const),
  ])
    for (const [values, formats] of [
      [[bytes], [format]],
      [
        [null, Buffer.from('before'), bytes],
        [0, 0, format],
      ],
    ] as const) {
      const frame = bind(values, formats)
      const value = integerParameter(frame, restFrom, frame.length, values.length - 1, 0)
      if (Number.isNaN(value)) continue
      plain.push(value)
      const bound = readParameters(frame, restFrom, frame.length)
      assert.ok(bound.kind === 'values')
      const sent = bound.values.at(-1)?.bytes as Buffer
      const known = format === 0 ? canonicalKey('bigint', String(sent)) : canonicalOfBinary('bigint', sent)
      assert.equal(String(value), known)
    }
  assert.deepEqual([...new Set(plain)], [0, 7, 42, 123456789012345, 9, -1, -2, 2 ** 52, -5])
})

test('NULL, other types, a parameter that is not there and a message that is cut are not read', () => {
  const frame = bind([Buffer.from('5'), null], [])
  const read = (index: number, declared = 0, to = frame.length): number =>
    integerParameter(frame, restFrom, to, index, declared)
  assert.equal(read(0), 5)
  assert.equal(read(0, 23), 5)
  assert.ok(Number.isNaN(read(0, 1042)), 'char(n)')
  assert.ok(Number.isNaN(read(1)), 'NULL')
  assert.ok(Number.isNaN(read(2)), 'not there')
  for (let to = restFrom; to < restFrom + 9; to++) assert.ok(Number.isNaN(read(0, 0, to)), `cut at ${to}`)
})
