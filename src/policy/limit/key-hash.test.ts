import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../kit/random.ts'
import { hashKey, hashStart } from './key-hash.ts'

const out = { low: 0, high: 0 }
const hash = (secret: readonly [number, number], prefix: string, text: string): string => {
  hashKey(hashStart(secret, prefix), text, out)
  return `${(out.high >>> 0).toString(16).padStart(8, '0')}${(out.low >>> 0).toString(16).padStart(8, '0')}`
}

test('a hundred thousand neighbouring keys have a hundred thousand hashes, evenly spread', () => {
  const start = hashStart([0x1234, 0x5678], 'login\0ip')
  const seen = new Set<bigint>()
  const buckets = new Int32Array(1_024)
  for (let i = 0; i < 100_000; i++) {
    hashKey(start, `127.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, out)
    seen.add((BigInt(out.high) << 32n) | BigInt(out.low >>> 0))
    buckets[out.low & 1_023]!++
  }
  assert.equal(seen.size, 100_000)
  // 97.7 expected; ten standard deviations.
  assert.ok(Math.max(...buckets) < 200 && Math.min(...buckets) > 20)
})

test('each bit of a key flips about half of the bits', () => {
  const random = seededRandom(7)
  let flipped = 0
  const rounds = 2_000
  for (let i = 0; i < rounds; i++) {
    const text = Array.from({ length: 12 }, () => String.fromCharCode(random.below(60_000))).join('')
    hashKey(hashStart([1, 2], 'x'), text, out)
    const { low, high } = out
    const at = random.below(12)
    const other = text.charCodeAt(at) ^ (1 << random.below(16))
    hashKey(hashStart([1, 2], 'x'), text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1), out)
    flipped += ones(low ^ out.low) + ones(high ^ out.high)
  }
  assert.ok(Math.abs(flipped / rounds - 32) < 1, `${flipped / rounds} of 64 bits`)
})

function ones(x: number): number {
  let count = 0
  for (let rest = x >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++
  return count
}

test('secret, prefix, text and where one ends and the other begins all count', () => {
  const all = [
    hash([1, 2], 'a', 'b'),
    hash([1, 3], 'a', 'b'),
    hash([0, 2], 'a', 'b'),
    hash([1, 2], 'ab', ''),
    hash([1, 2], '', 'ab'),
    hash([1, 2], 'a', 'b\0'),
    hash([1, 2], 'a', 'b\0\0'),
    hash([1, 2], 'a', ''),
    hash([1, 2], 'a\0', ''),
  ]
  assert.equal(new Set(all).size, all.length)
  assert.equal(hash([1, 2], 'a', 'b'), hash([1, 2], 'a', 'b'))
})
