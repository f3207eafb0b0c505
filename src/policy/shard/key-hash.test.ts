import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KeyType, ShardKey } from './key.ts'
import { hashInt8 } from './key-hash.ts'

const into = { high: 0, low: 0 }
const signed = () => (BigInt(into.high) << 32n) | BigInt(into.low >>> 0)

function hashed(type: KeyType, text: string): bigint {
  const key = new ShardKey(type)
  assert.ok(key.readText(text), `${text} is read as ${type}`)
  key.hash(into)
  return signed()
}

test('the hash of 42 under the seed of partitions is the one that PostgreSQL gives', () => {
  hashInt8(0, 42, into, 0x7a5b2236, 0x7996dcfd | 0)
  assert.equal(signed(), 7363975540656877951n)
})

test('integers of every width have one hash, negative ones too', () => {
  for (const text of ['0', '1', '-1', '42', '-32768', '32767']) {
    assert.equal(hashed('int2', text), hashed('int8', text), text)
    assert.equal(hashed('int4', text), hashed('int8', text), text)
  }
})

test('what text and binary form say is one key', () => {
  const bytes = Buffer.alloc(8)
  for (const value of [0n, 1n, -1n, 2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n, -42n]) {
    bytes.writeBigInt64BE(value)
    const key = new ShardKey('int8')
    assert.ok(key.readBinary(bytes, 0, 8))
    assert.equal(key.text, String(value))
    key.hash(into)
    assert.equal(signed(), hashed('int8', String(value)))
  }
  const narrow = new ShardKey('int8')
  bytes.writeInt16BE(-7)
  assert.ok(narrow.readBinary(bytes, 0, 2))
  assert.equal(narrow.text, '-7')
})

test('a uuid is the same in every spelling that PostgreSQL reads', () => {
  const one = hashed('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
  for (const text of [
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
    'a0eebc999c0b4ef8bb6d6bb9bd380a11',
    'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
  ])
    assert.equal(hashed('uuid', text), one, text)
})

test('what depends on the session, or is no value of the type, is no key', () => {
  for (const [type, text] of [
    ['int8', '9223372036854775808'],
    ['int8', '4.5'],
    ['int8', ''],
    ['int8', '0x10'],
    ['uuid', 'a0eebc99'],
    ['date', '3.4.2026'],
    ['date', '2026-02-30'],
    ['timestamptz', '2026-02-03 10:00:00'],
    ['timestamp', '2026-02-03 10:00:00+01'],
    ['timestamp', '2026-02-03 25:00'],
    ['bytea', 'abc'],
    ['bool', 'maybe'],
  ] as const)
    assert.equal(new ShardKey(type).readText(text), false, `${text} as ${type}`)
})

test('times are microseconds since 2000, by UTC', () => {
  const key = new ShardKey('timestamptz')
  assert.ok(key.readText('2000-01-01T01:00:00.5+01:00'))
  assert.equal(key.text, '500000')
  assert.ok(key.readText('1999-12-31 23:59:59Z'))
  assert.equal(key.text, '-1000000')
  const date = new ShardKey('date')
  assert.ok(date.readText('2026-11-22'))
  assert.equal(date.text, String((Date.UTC(2026, 10, 22) - Date.UTC(2000, 0, 1)) / 86_400_000))
})

test('numbers are ordered by value and everything else by bytes', () => {
  const order = (type: KeyType, texts: readonly string[]) => {
    const keys = texts.map(text => {
      const key = new ShardKey(type)
      assert.ok(key.readText(text))
      return key
    })
    for (let i = 1; i < keys.length; i++) {
      assert.ok(keys[i - 1]!.compare(keys[i]!) < 0, `${texts[i - 1]} < ${texts[i]}`)
      assert.ok(keys[i]!.compare(keys[i - 1]!) > 0)
    }
  }
  order('int8', ['-9223372036854775808', '-4294967297', '-1', '0', '1', '4294967295', '4294967296'])
  order('text', ['', 'A', 'Z', 'a', 'aa', 'b', 'ä'])
})
