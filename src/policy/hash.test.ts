import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { type Random, seededRandom } from '../kit/random.ts'
import { hashBytes, hashText, mix32, mixPair } from './hash.ts'
import { chiSquare, chiSquareLimit } from './testing/spread.ts'

test('a hash is the same in every version, since members and keys are placed by it', () => {
  assert.deepEqual(
    ['', 'a', 'web-1', '10.0.0.5:3000', 'größe', '電'].map(text => hashText(text)),
    [2_872_998_923, 444_641_715, 544_574_265, 3_323_054_794, 2_538_389_087, 832_865_113],
  )
})

test('bytes and text of the same latin1 characters hash alike, and a seed changes both', () => {
  const random = seededRandom(7)
  for (let n = 0; n < 200; n++) {
    const bytes = Uint8Array.from({ length: random.below(40) }, () => random.below(256))
    const text = String.fromCharCode(...bytes)
    assert.equal(hashBytes(bytes), hashText(text))
    assert.equal(hashBytes(bytes, 0, bytes.length, 99), hashText(text, 99))
    assert.notEqual(hashText(text, 99), hashText(text))
  }
  assert.equal(hashBytes(Uint8Array.from([1, 2, 3, 4]), 1, 3), hashText('\x02\x03'))
})

test('each input bit flips each output bit about half of the time', () => {
  const random = seededRandom(11)
  const mixers: ((x: number) => number)[] = [mix32, x => mixPair(x, 12345), x => mixPair(12345, x)]
  const rounds = 4_000
  for (const mixer of mixers)
    for (const count of flipCounts(mixer, rounds, random))
      assert.ok(count > rounds * 0.45 && count < rounds * 0.55, `${count} of ${rounds}`)
})

/** How often each of 32 x 32 (input bit, output bit) pairs flips together. */
function flipCounts(mixer: (x: number) => number, rounds: number, random: Random): Uint32Array {
  const flips = new Uint32Array(32 * 32)
  for (let n = 0; n < rounds; n++) {
    const x = random.uint32()
    const plain = mixer(x)
    for (let bit = 0; bit < 32; bit++) {
      const changed = plain ^ mixer(x ^ (1 << bit))
      for (let out = 0; out < 32; out++) flips[bit * 32 + out]! += (changed >>> out) & 1
    }
  }
  return flips
}

test('the last letter of a text flips each output bit about half of the time', () => {
  const flips = new Uint32Array(32)
  const rounds = 8_000
  for (let n = 0; n < rounds; n++) {
    const changed = hashText(`/films/${n}/a`) ^ hashText(`/films/${n}/b`)
    for (let out = 0; out < 32; out++) flips[out]! += (changed >>> out) & 1
  }
  for (const count of flips)
    assert.ok(count > rounds * 0.45 && count < rounds * 0.55, `${count} of ${rounds}`)
})

test('keys as applications have them fall evenly into buckets', () => {
  const families = [
    (n: number) => `user-${n}`,
    (n: number) => `${n}`,
    (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
    (n: number) => `/rooms/${n.toString(36)}/messages`,
  ]
  for (const family of families) {
    for (const buckets of [7, 64, 1000]) {
      const counts = new Array<number>(buckets).fill(0)
      for (let n = 0; n < 100_000; n++) counts[hashText(family(n)) % buckets]!++
      const found = chiSquare(counts, new Array<number>(buckets).fill(1 / buckets))
      assert.ok(found < chiSquareLimit(buckets - 1), `${family(1)} into ${buckets}: chi-square ${found}`)
    }
  }
})

test('collisions are as rare as in a random function', () => {
  const seen = new Set<number>()
  for (let n = 0; n < 200_000; n++) seen.add(hashText(`key-${n}`))
  // Expected n^2 / 2^33 = 4.7.
  assert.ok(200_000 - seen.size < 20, `${200_000 - seen.size} collisions`)
})

test('the order of a pair matters', () => {
  const random = seededRandom(3)
  let same = 0
  for (let n = 0; n < 1_000; n++) {
    const a = random.uint32()
    const b = random.uint32()
    if (mixPair(a, b) === mixPair(b, a)) same++
  }
  assert.equal(same, 0)
})
