import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reshardLine, reshardText } from './reshard-text.ts'

const plain = { paint: (_: string, text: string) => text } as never

const current = {
  id: 'a1',
  step: 'copying',
  state: 'moving' as const,
  begunAt: '2026-11-23T08:00:00.000Z',
  moves: [
    { family: 'public.orders', from: '1', into: '3', slots: 16 },
    { family: 'shop.visits', from: '2', into: '3', slots: null },
  ],
  joining: ['3'],
  tablesCopied: 1,
  tables: [{ stream: '1>3', table: 'public.orders', rows: 70, bytes: 2_048 }],
  changesApplied: 12,
  holds: 0,
  pauseMs: -1,
  trouble: '',
  differences: null,
  wayBack: '',
  wishes: [],
}

test('what moves, how far it is and what keeps it are told', () => {
  assert.equal(reshardLine({ database: 'main', current }), 'main: copying rows, 70 rows, 2 KB, 12 changes')
  const text = reshardText({ database: 'main', current: { ...current, trouble: 'shard 3 is down' } }, plain)
  assert.match(
    text,
    /shard 3 joins\n {2}16 slots of orders from shard 1 to 3\n {2}rows of shop.visits from shard 2 to 3/,
  )
  assert.match(text, /\n {2}1 to 3: orders: 70 rows, 2 KB\n/)
  const left = [{ stream: '1', table: 'public.orders', rows: 1, bytes: 0 }]
  const cleaned = reshardText({ database: 'main', current: { ...current, tables: left } }, plain)
  assert.match(cleaned, /\n {2}shard 1, deleted: orders: 1 row$/)
  assert.match(text, /shard 3 is down/)
  assert.equal(reshardText({ database: 'main', current: null }, plain), 'main was never resharded')
})

test('rows that differ are named with what can be done about it', () => {
  const rows = [
    { stream: '1>3', table: 'public.orders', key: ['7', null], kind: 'missing' as const },
    { stream: '2>3', table: 'shop.visits', key: ["o'neill"], kind: 'different' as const },
    { stream: '2>3', table: 'shop.visits', key: ['9'], kind: 'extra' as const },
  ]
  const comparing = { ...current, step: 'comparing', differences: { count: 5, rows } }
  assert.match(
    reshardText({ database: 'main', current: comparing }, plain),
    /\n {2}1 to 3: orders \(7, NULL\) is missing on shard 3\n {2}2 to 3: shop.visits \(o'neill\) is different on shard 3\n {2}2 to 3: shop.visits \(9\) is there only on shard 3\n {2}and 2 more\nnext: .*--recopy.*--cancel/,
  )
})

test('after the switch it says how long clients waited, and what comes next', () => {
  const moved = { ...current, step: 'reversible', state: 'moved' as const, pauseMs: 71, holds: 2 }
  const open = reshardText({ database: 'main', current: { ...moved, wayBack: 'open' } }, plain)
  assert.match(open, /clients waited for 71 ms, at the 2\. attempt\nnext: .*--finish.*--rollback/)
  const lost = reshardText({ database: 'main', current: { ...moved, wayBack: 'it failed over' } }, plain)
  assert.match(lost, /there is no way back: it failed over\nnext: `tenfold db reshard --finish`$/)
})
