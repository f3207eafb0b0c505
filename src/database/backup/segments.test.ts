// The log's names against those that PostgreSQL gives, and the way through timelines.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  historyName,
  historyOf,
  historyTimeline,
  lsnOf,
  lsnText,
  segmentAt,
  segmentName,
  segmentOf,
  stretchesOf,
} from './segments.ts'

const MB16 = 16 * 1024 * 1024

test('positions are read and written as PostgreSQL does', () => {
  assert.equal(lsnOf('16/B374D848'), 0x16_b374d848)
  assert.equal(lsnText(0x16_b374d848), '16/B374D848')
  assert.equal(lsnText(0), '0/0')
  for (const wrong of ['', '16', 'x/1', '1/2/3', '16/B374D8480'])
    assert.throws(() => lsnOf(wrong), /no position in the log/)
})

test('segments are named as PostgreSQL names them, for any size', () => {
  // pg_walfile_name('16/B374D848') on timeline 3.
  assert.equal(segmentName(segmentAt(3, 0x16_b374d848, MB16), MB16), '0000000300000016000000B3')
  assert.deepEqual(segmentOf('0000000300000016000000B3', MB16), { timeline: 3, number: 0x16b3 })
  assert.equal(segmentName(segmentAt(1, 0x1_00000000, 1 << 20), 1 << 20), '000000010000000100000000')
  assert.equal(segmentOf('00000003.history', MB16), null)
  assert.equal(historyName(26), '0000001A.history')
  assert.equal(historyTimeline('0000001A.history'), 26)
  assert.equal(historyTimeline('0000000300000016000000B3'), null)
})

test('the way through timelines takes the segment of a switch from the newer one', () => {
  const history = historyOf(3, '1\t0/3000158\tno recovery target specified\n\n2\t0/5000000\tbefore\n')
  assert.deepEqual(
    history.map(step => step.timeline),
    [1, 2, 3],
  )
  assert.deepEqual(stretchesOf(history, { timeline: 1, lsn: 0x2000028 }, MB16), [
    { timeline: 1, first: 2, last: 3 },
    { timeline: 2, first: 3, last: 5 },
    { timeline: 3, first: 5, last: Number.POSITIVE_INFINITY },
  ])
  assert.deepEqual(stretchesOf(history, { timeline: 9, lsn: 0 }, MB16), [], 'a timeline that is not its past')
})
