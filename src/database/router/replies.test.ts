import assert from 'node:assert/strict'
import { test } from 'node:test'
import { owed, Replies } from './replies.ts'

function filled(...kinds: number[]): Replies {
  const replies = new Replies()
  for (const kind of kinds) replies.push(kind, { kind })
  return replies
}

const left = (replies: Replies): number[] =>
  Array.from({ length: replies.length }, (_, place) => replies.kindAt(place))

test('replies are owed in the order in which they were asked for, whatever their number', () => {
  const replies = new Replies()
  const seen: unknown[] = []
  let next = 0
  for (let round = 0; round < 50; round++) {
    for (let count = 0; count < round; count++) replies.push(owed.local, { number: next++ })
    for (let count = 0; count < round - 1; count++) {
      seen.push((replies.nextValue as { number: number }).number)
      replies.pop()
    }
  }
  assert.deepEqual(
    seen,
    Array.from({ length: seen.length }, (_, index) => index),
  )
  assert.equal(replies.length, next - seen.length)
})

test('nothing is owed by an empty ring', () => {
  const replies = filled(owed.bind)
  replies.pop()
  assert.equal(replies.next, owed.nothing)
  assert.equal(replies.nextValue, null)
})

test('an error drops what is owed up to the Sync of its batch, and no further', () => {
  const replies = filled(owed.parse, owed.bind, owed.local, owed.sync, owed.bind, owed.sync)
  const dropped: number[] = []
  replies.dropToSync(kind => dropped.push(kind))
  assert.deepEqual(dropped, [owed.local, owed.bind, owed.parse])
  assert.deepEqual(left(replies), [owed.sync, owed.bind, owed.sync])
})

test('an error in a batch whose Sync has not come drops all of it', () => {
  const replies = filled(owed.bind, owed.execute)
  replies.dropToSync(() => {})
  assert.equal(replies.length, 0)
})

test('COPY FROM STDIN takes away the Syncs that were sent before the end of its data', () => {
  const open = filled(owed.execute, owed.sync)
  assert.equal(open.copyBegan(), false)
  assert.deepEqual(left(open), [owed.execute])
  const ended = filled(owed.execute, owed.sync, owed.copyEnd, owed.sync)
  assert.equal(ended.copyBegan(), true)
  assert.deepEqual(left(ended), [owed.execute, owed.copyEnd, owed.sync])
})
