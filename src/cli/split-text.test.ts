// A split of a table, as people read it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitLine, splitText } from './split-text.ts'

const plain = { paint: (_: string, text: string) => text }
const current = {
  id: 'a1b2c3d4',
  step: 'copying',
  state: 'working' as const,
  begunAt: '2026-03-04T05:06:07.000Z',
  table: 'public.films',
  hot: 'films_hot',
  cold: 'films_cold',
  columns: ['plot', 'poster'],
  shards: [
    { shard: '1', rows: 70, copied: true, compared: false, pauseMs: -1 },
    { shard: '2', rows: 30, copied: false, compared: false, pauseMs: -1 },
  ],
  trouble: '',
  wishes: [],
}

test('the line counts rows over all shards, and says what is in the way', () => {
  assert.equal(splitLine({ database: 'main', current }), 'main, public.films: copying rows, 100 rows')
  const stuck = splitLine({ database: 'main', current: { ...current, trouble: 'shard 2 is down' } })
  assert.equal(stuck, 'main, public.films: copying rows, 100 rows; shard 2 is down')
  assert.equal(splitLine({ database: 'main', current: null }), 'main: no table was ever split')
})

test('the text says how long clients waited, and what can be asked for next', () => {
  const shards = [{ shard: '', rows: 100, copied: true, compared: true, pauseMs: 12.5 }]
  const split = { ...current, step: 'split', state: 'split' as const, shards }
  const text = splitText({ database: 'main', current: split }, plain)
  assert.match(
    text,
    /films_cold: plot, poster; the rest in films_hot\n {2}100 rows copied; clients waited for 12.5 ms at most/,
  )
  assert.match(text, /next: `tenfold db split-columns --finish`.* or `tenfold db split-columns --undo`$/)
  const working = splitText({ database: 'main', current }, plain)
  assert.doesNotMatch(working, /next:/)
  assert.match(working, /shard 2: 30 rows copied$/)
  assert.equal(splitText({ database: 'main', current: null }, plain), 'no table of main was ever split')
})
