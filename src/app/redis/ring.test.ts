import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRing } from './ring.ts'

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.0.0.${i}:6379`)
const keys = Array.from({ length: 100_000 }, (_, i) => `film:${i}`)

test('no server owns more than the bound above the mean, for one server to many', () => {
  for (const count of [1, 2, 3, 7, 16, 100]) {
    const ring = createRing(names(count))
    const shares = names(count).map((_, server) => ring.shareOf(server))
    assert.ok(Math.max(...shares) <= (1.1 / count) * 1.002 + 1 / 8192, `${count}: ${Math.max(...shares)}`)
    assert.ok(Math.abs(shares.reduce((a, b) => a + b) - 1) < 1e-9)
  }
})

test('real keys fall on the servers as their shares say', () => {
  const ring = createRing(names(10))
  const counts = new Array<number>(10).fill(0)
  for (const key of keys) counts[ring.ownerOf(key)]!++
  for (const [server, count] of counts.entries()) {
    assert.ok(Math.abs(count / keys.length - ring.shareOf(server)) < 0.006, `${server}: ${count}`)
  }
})

test('the place of a key does not depend on the order in which servers are written', () => {
  const straight = createRing(names(7))
  const turned = createRing(names(7).reverse())
  for (const key of keys.slice(0, 10_000)) assert.equal(straight.ownerOf(key), 6 - turned.ownerOf(key))
})

test('a server that goes moves its own keys and hardly any others', () => {
  const before = createRing(names(20))
  const after = createRing(names(19))
  let moved = 0
  let stayedPossible = 0
  for (const key of keys) {
    const owner = before.ownerOf(key)
    if (owner !== 19) stayedPossible++
    if (owner !== after.ownerOf(key)) moved++
  }
  const lost = keys.length - stayedPossible
  // The bound makes a part of the others move too: their neighbours are fuller.
  assert.ok(moved >= lost && moved < lost * 2.2, `${moved} moved, ${lost} had to`)
})
