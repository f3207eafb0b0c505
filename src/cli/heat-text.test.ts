import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adviceText, heatText } from './heat-text.ts'

const plain = { paint: (_: string, text: string): string => text }
const heat = {
  format: 1 as const,
  overMs: 2_000,
  shards: [
    { shard: '1', reads: 90, writes: 10 },
    { shard: '2', reads: 0, writes: 0 },
  ],
  families: {
    'public.orders': {
      reads: 90,
      writes: 10,
      slots: [{ slot: 7, shard: '1', reads: 80, writes: 0 }],
      keys: [{ key: ['eu', '42'], shard: '1', count: 60, error: 10, writes: 0 }],
    },
  },
}

test('rates and shares of shards and slots; keys for who asks', () => {
  const text = heatText(heat, false).join('\n')
  assert.match(text, / 1 +45 +5\.0 +100 %/)
  assert.match(text, / 2 +0\.0 +0\.0 +0 %/)
  assert.match(text, / orders +7 +1 +40 +0\.0 +80 %/)
  assert.doesNotMatch(text, /42/)
  assert.match(heatText(heat, true).join('\n'), / orders +eu, 42 +1 +<= 30 +50 %/)
  const idle = { ...heat, shards: [{ shard: '1', reads: 0, writes: 0 }], families: {} }
  assert.deepEqual(heatText(idle, true), ['no statement has come lately: nothing is hot'])
})

test('advice says the command, quoted for a shell, and what it would do', () => {
  const effect = { is: 0.8, would: 0.42 }
  const isolate = ['reshard', '--isolate', "public.users=o'neill", '--into', '3']
  const lines = adviceText(
    'main',
    [
      { kind: 'isolate', why: 'it is hot', command: isolate, file: null, effect },
      { kind: 'replicas', why: 'reads', command: null, file: 'replicas: 1', effect: null },
      { kind: 'enough', why: 'all is even' },
    ],
    plain,
  )
  assert.deepEqual(lines, [
    'give a key a shard of its own: it is hot',
    "  tenfold db reshard main --isolate 'public.users=o'\\''neill' --into 3: the hottest shard would have 42 % of the load instead of 80 %",
    'add a replica: reads',
    '  in the file: replicas: 1',
    'nothing to do about hot spots: all is even',
  ])
})
