import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionsText } from './partitions-text.ts'

const plain = { paint: (_: string, text: string): string => text }

test('tables, their partitions, what is due, what is in the way', () => {
  const table = {
    table: 'public.events',
    state: 'trouble' as const,
    partitions: [
      { name: 'events_p2026_11', bounds: "FOR VALUES FROM ('a') TO ('b')", rows: 20, bytes: 2048 },
      { name: 'events_rest', bounds: 'DEFAULT', rows: -1, bytes: 0 },
    ],
    made: ['events_p2026_12'],
    removed: ['events_p2024_10'],
    troubles: ['a lock'],
  }
  const waits = {
    ...table,
    table: 'public.later',
    state: 'waits' as const,
    partitions: [],
    made: [],
    removed: [],
    troubles: [],
  }
  const groups = [
    { name: 'main', trouble: '', tables: [table, waits] },
    { name: 'main-s2', trouble: 'it has no primary', tables: [] },
  ]
  const text = partitionsText({ database: 'main', groups }, plain)
  assert.match(
    text,
    /^main: public\.events, to be made: events_p2026_12, to be taken away: events_p2024_10\n {2}a lock\n/,
  )
  assert.match(text, /events_p2026_11 +FROM \('a'\) TO \('b'\) +~20 +2/)
  assert.match(text, /events_rest +DEFAULT +\? /)
  assert.match(text, /main: public\.later: the table is not there yet/)
  assert.match(text, /main-s2: it has no primary/)
  assert.equal(
    partitionsText({ database: 'main', groups: [{ name: 'main', trouble: '', tables: [] }] }, plain),
    'main: the file has no `partitions`',
  )
})
