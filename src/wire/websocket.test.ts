import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { closeGoingAway, closeGoingAwayMasked, FrameTracker } from './websocket.ts'

function frame(opcode: number, payload: number, masked: boolean): Uint8Array {
  const length =
    payload < 126
      ? [payload]
      : payload < 65_536
        ? [126, payload >> 8, payload & 255]
        : [127, 0, 0, 0, 0, 0, payload >> 16, (payload >> 8) & 255, payload & 255]
  length[0]! |= masked ? 128 : 0
  return Uint8Array.from([
    0x80 | opcode,
    ...length,
    ...(masked ? [1, 2, 3, 4] : []),
    ...new Array<number>(payload).fill(0xff),
  ])
}

test('a boundary is seen exactly where a frame ends, however the bytes are cut', () => {
  const frames = fc.array(
    fc.record({ payload: fc.constantFrom(0, 1, 125, 126, 127, 300, 65_535, 65_536), masked: fc.boolean() }),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(frames, fc.integer({ min: 1, max: 9_000 }), (list, step) => {
      const bytes = Buffer.concat(list.map(one => frame(2, one.payload, one.masked)))
      const ends = new Set([0])
      let end = 0
      for (const one of list) ends.add((end += frame(2, one.payload, one.masked).length))
      const tracker = new FrameTracker()
      for (let at = 0; at < bytes.length; at += step) {
        const to = Math.min(bytes.length, at + step)
        tracker.push(bytes, at, to)
        assert.equal(tracker.atBoundary, ends.has(to), `after ${to} of ${bytes.length}`)
      }
      assert.equal(tracker.closed, false)
    }),
    { numRuns: 60 },
  )
})

test('a close frame is noticed, and the ones that we write are whole frames with code 1001', () => {
  for (const text of [closeGoingAway, closeGoingAwayMasked]) {
    const bytes = Buffer.from(text, 'latin1')
    const tracker = new FrameTracker()
    tracker.push(bytes, 0, bytes.length)
    assert.deepEqual([tracker.closed, tracker.atBoundary], [true, true])
    assert.equal(bytes.readUInt16BE(bytes.length - 2), 1001)
  }
})
