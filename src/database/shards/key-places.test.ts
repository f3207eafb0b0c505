import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyType } from '../../policy/shard/contract.ts'
import { firstMap } from '../../policy/shard/map.ts'
import { compilePlacement } from '../../policy/shard/placement.ts'
import { KeyPlaces, type PlaceRules, textArray } from './key-places.ts'

function rulesOf(type: KeyType): PlaceRules {
  const rule = { by: 'hash' } as const
  const table = { kind: 'sharded', key: ['k'], types: [type], with: null, rule } as const
  const map = firstMap({ shards: ['1', '2', '3', '4'], slots: 64, tables: { 'public.t': table } })
  return { map, placeCanonical: compilePlacement(map).placeCanonical }
}

interface Sent {
  readonly bytes: Buffer | null
  readonly format?: 0 | 1
  readonly declared?: number
  readonly array?: boolean
}

function placed(type: KeyType, { bytes, format = 0, declared = 0, array = false }: Sent): unknown {
  const places = new KeyPlaces(rulesOf(type), { values: [bytes], formats: [format], types: [declared] })
  return places.ofSources('public.t', [[{ from: 'parameter', index: 0, ...(array ? { array } : {}) }]])[0]
}

function eight(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

test('a value is on the same shard, however it is sent', () => {
  const text = placed('bigint', { bytes: Buffer.from('77') })
  assert.deepEqual(placed('bigint', { bytes: eight(77n), format: 1 }), text)
  assert.deepEqual(placed('bigint', { bytes: eight(77n), format: 1, declared: 20 }), text)
  assert.deepEqual(placed('bigint', { bytes: Buffer.from([0, 77]), format: 1, declared: 21 }), text)
  assert.deepEqual(placed('bigint', { bytes: Buffer.from(' 077'), declared: 1700 }), text)
})

test('bytes of another type are not taken for a key', () => {
  const float = Buffer.alloc(8)
  float.writeDoubleBE(77)
  const refused = { refused: 'not-a-value', value: null }
  assert.deepEqual(placed('bigint', { bytes: float, format: 1, declared: 701 }), refused)
  assert.deepEqual(placed('timestamptz', { bytes: eight(0n), format: 1, declared: 1114 }), refused)
  assert.deepEqual(placed('text', { bytes: Buffer.from('a  '), declared: 1042 }), {
    refused: 'not-a-value',
    value: 'a  ',
  })
  // An array of float8, as array_send writes it: one dimension, no nulls, one element.
  const head = Buffer.alloc(20)
  head.writeInt32BE(1, 0)
  head.writeInt32BE(701, 8)
  head.writeInt32BE(1, 12)
  head.writeInt32BE(1, 16)
  const size = Buffer.from([0, 0, 0, 8])
  assert.deepEqual(
    placed('bigint', { bytes: Buffer.concat([head, size, float]), format: 1, array: true }),
    refused,
  )
  head.writeInt32BE(20, 8)
  assert.deepEqual(
    placed('bigint', { bytes: Buffer.concat([head, size, eight(77n)]), format: 1, array: true }),
    placed('bigint', { bytes: Buffer.from('{77}'), array: true }),
  )
})

test('arrays in text are read as PostgreSQL writes them', () => {
  assert.deepEqual(textArray('{1, 2,NULL,"a \\"b","NULL"}'), ['1', '2', null, 'a "b', 'NULL'])
  assert.deepEqual(textArray('{}'), [])
  for (const odd of ['1,2', '{{1},{2}}', '[0:1]={1,2}', '{1,}']) assert.equal(textArray(odd), null, odd)
})
