import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberKey, SlotTable } from './slots.ts'

test('a key keeps its slot over snapshots, and a slot is handed out again only when nobody can use it', () => {
  const zeroed: number[] = []
  const table = new SlotTable(3, slot => zeroed.push(slot))
  const first = table.assign(['a', 'b'], 1)
  assert.deepEqual(
    [...table.assign(['b', 'c'], 2)],
    [
      ...new Map([
        ['b', first.get('b')],
        ['c', 2],
      ]),
    ],
  )
  assert.equal(table.fits(['b', 'c', 'd']), false, 'the slot of a is still in use')
  table.release(1)
  assert.equal(table.fits(['b', 'c', 'd']), false, 'an exchange of snapshot 1 may still hold it')
  table.release(2)
  assert.equal(table.assign(['b', 'c', 'd'], 3).get('d'), first.get('a'))
  assert.deepEqual(zeroed, [0, 1, 2, 0])
})

test('a member that left the list is still found by its key until its slot is free', () => {
  const table = new SlotTable(4, () => {})
  const old = memberKey('web', 'web-1', 'e1')
  const slot = table.assign([old], 1).get(old)
  table.assign([memberKey('web', 'web-1', 'e2')], 2)
  assert.equal(table.slotOf(old), slot)
  table.release(2)
  assert.equal(table.slotOf(old), undefined)
})
