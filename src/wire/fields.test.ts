import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type FieldName,
  fieldHashStart,
  fieldHashStep,
  fieldId,
  fieldIdAt,
  fieldIdCount,
  fieldIdOf,
  fieldNameOf,
  sameFoldedName,
  sameName,
} from './fields.ts'

function idInBytes(name: string): number {
  const bytes = Buffer.from(`--${name}--`, 'latin1')
  let hash = fieldHashStart
  for (let i = 2; i < bytes.length - 2; i++) hash = fieldHashStep(hash, bytes[i] as number)
  return fieldIdAt(bytes, 2, bytes.length - 2, hash)
}

test('each interned name is found in any case, and has an id of its own below the count', () => {
  const ids = new Set<number>()
  for (const [name, id] of Object.entries(fieldId)) {
    assert.ok(id > 0 && id < fieldIdCount)
    ids.add(id)
    assert.equal(fieldNameOf(id), name)
    for (const form of [name, name.toUpperCase(), name.replace(/^./, c => c.toUpperCase())])
      assert.deepEqual([idInBytes(form), fieldIdOf(form)], [id, id], form)
  }
  assert.equal(ids.size, fieldIdCount - 1)
})

test('any other name has id 0, also one that differs from a known one in a single character', () => {
  const known = fc.constantFrom(...(Object.keys(fieldId) as FieldName[]))
  fc.assert(
    fc.property(known, fc.nat(30), fc.integer({ min: 33, max: 255 }), (name, at, code) => {
      const place = at % name.length
      const other = name.slice(0, place) + String.fromCharCode(code) + name.slice(place + 1)
      const expected = other.toLowerCase() === name ? fieldId[name] : (fieldId[other as FieldName] ?? 0)
      assert.deepEqual([idInBytes(other), fieldIdOf(other)], [expected, expected], other)
    }),
    { numRuns: 2_000 },
  )
  for (const name of ['', 'hos', 'hostt', 'constructor', '__proto__'])
    assert.deepEqual([idInBytes(name), fieldIdOf(name)], [0, 0], name)
})

test('names are compared without case; folded ones take underscore and hyphen for the same', () => {
  assert.equal(sameName('x-user', '>X-User<', 1, 7), true)
  assert.equal(sameName('x-user', 'X_User', 0, 6), false)
  assert.equal(sameName('x-user', 'X-Users', 0, 7), false)
  assert.equal(sameFoldedName('x-user', 'X_User', 0, 6), true)
  assert.equal(sameFoldedName('x_user', 'X-uSER', 0, 6), true)
  assert.equal(sameFoldedName('x-user', 'X.User', 0, 6), false)
  // `@` and `` ` ``, `[` and `{` differ in the same bit as letters do, and are no letters.
  assert.equal(sameName('a{', 'A[', 0, 2), false)
  assert.equal(sameFoldedName('a`', 'A@', 0, 2), false)
})
