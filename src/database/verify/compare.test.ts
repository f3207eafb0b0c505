// What proves a difference, and what only looks like one because somebody writes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidates, type RowVersion } from './compare.ts'

const rows = (...list: [string, string, string?, string?][]): Map<string, RowVersion> =>
  new Map(list.map(([place, hash, xmin = '10', xmax = '0']) => [place, { hash, xmin, xmax }]))
const none = new Set<string>()

test('rows that are the same are no difference', () => {
  const same = rows(['(0,1)', 'a'], ['(0,2)', 'b'])
  assert.deepEqual(candidates(same, same, same, none), [])
})

test('another content, a missing row and an extra one are found', () => {
  const primary = rows(['(0,1)', 'a'], ['(0,2)', 'b'])
  const replica = rows(['(0,1)', 'A'], ['(0,3)', 'c'])
  assert.deepEqual(candidates(primary, replica, primary, none), [
    { kind: 'differs', place: '(0,1)' },
    { kind: 'missing', place: '(0,2)' },
    { kind: 'extra', place: '(0,3)' },
  ])
})

test('versions that came or went between the two readings of the primary prove nothing', () => {
  const before = rows(['(0,1)', 'a'], ['(0,2)', 'b'])
  const after = rows(['(0,1)', 'new', '20'], ['(0,4)', 'd', '20'])
  const replica = rows(['(0,4)', 'd', '20'])
  assert.deepEqual(candidates(before, replica, after, none), [])
})

test('a commit that waits for its acknowledgement is seen by the replica first', () => {
  const primary = rows(['(0,1)', 'a', '10', '30'])
  const replica = rows(['(0,2)', 'b', '30'])
  assert.deepEqual(candidates(primary, replica, primary, new Set(['30'])), [])
  assert.equal(candidates(primary, replica, primary, none).length, 2)
})
