// Which transactions a server's snapshot shows; that feeds wait for it is shown in test/database/feed.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Names } from './names.ts'
import { ServerSnapshot, takeVisible } from './visible.ts'

test('a snapshot shows what ended before it, and nothing that runs or comes later', () => {
  const snapshot = new ServerSnapshot('100:110:102,105')
  const shown = [99, 100, 101, 102, 104, 105, 109, 110, 111].filter(xid => snapshot.shows(xid))
  assert.deepEqual(shown, [99, 100, 101, 104, 109])
})

test('numbers of transactions go round at 2^32', () => {
  const snapshot = new ServerSnapshot(`${2n ** 32n - 2n}:${2n ** 32n + 5n}:${2n ** 32n - 1n}`)
  assert.equal(snapshot.shows(2 ** 32 - 3), true)
  assert.equal(snapshot.shows(2 ** 32 - 2), true)
  assert.equal(snapshot.shows(2 ** 32 - 1), false)
  assert.equal(snapshot.shows(4), true)
  assert.equal(snapshot.shows(5), false)
})

test('visible ones leave the list in order, and none that was heard of after the question', () => {
  const list = [101, 102, 103].map(xid => ({
    endLsn: xid,
    xid,
    names: new Names(),
    before: xid - 1,
    sinceUs: 0,
  }))
  const visible = takeVisible(list, 2, new ServerSnapshot('102:200:'))
  assert.deepEqual(
    visible.map(one => one.xid),
    [101, 102],
  )
  assert.deepEqual(
    list.map(one => one.xid),
    [103],
  )
})
