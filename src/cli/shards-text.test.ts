import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shardsText } from './shards-text.ts'

const plain = { paint: (_: string, text: string): string => text }

test('each shard is told with its tables, estimates as estimates, troubles as troubles', () => {
  const table = {
    table: 'public.orders',
    place: 'by customer_id',
    exact: false,
    bytes: 2048,
    reads: 7,
    writes: 3,
  }
  const text = shardsText(
    {
      database: 'main',
      mapVersion: 4,
      shards: [
        {
          id: '1',
          group: 'main-s1',
          primary: 'main-s1-1',
          slots: { held: 3, all: 4 },
          trouble: '',
          tables: [{ ...table, rows: 20_000 }],
        },
        {
          id: '2',
          group: 'main-s2',
          primary: null,
          slots: { held: 1, all: 4 },
          trouble: 'it has no primary',
          tables: [],
        },
      ],
    },
    plain,
  )
  assert.match(text, /^main: 2 shards, map version 4/)
  assert.match(text, /shard 1 \(main-s1, primary main-s1-1\), 3 of 4 slots.*100 %/)
  assert.match(text, /orders +by customer_id +~20000 /)
  assert.match(text, /shard 2 \(main-s2\), 1 of 4 slots: it has no primary/)
})
