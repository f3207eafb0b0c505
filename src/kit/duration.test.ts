import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesText, durationText } from './duration.ts'

test('durations are written in the unit a person would choose', () => {
  const cases: [number, string][] = [
    [0, '0 ms'],
    [0.44, '0.4 ms'],
    [9.96, '10 ms'],
    [12.4, '12 ms'],
    [999.6, '1 s'],
    [1_249, '1.2 s'],
    [59_960, '1 min'],
    [200_000, '3 min 20 s'],
    [3_599_700, '1 h'],
    [7_500_000, '2 h 5 min'],
    [4 * 86_400_000 + 3 * 3_600_000, '4 d 3 h'],
  ]
  for (const [ms, text] of cases) assert.equal(durationText(ms), text)
})

test('sizes are written in powers of 1,024', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KB'],
    [65_536, '64 KB'],
    [1.5 * 1024 ** 2, '1.5 MB'],
    [1024 ** 2 - 1, '1 MB'],
    [3 * 1024 ** 4, '3 TB'],
    [5000 * 1024 ** 5, '5000 PB'],
  ]
  for (const [bytes, text] of cases) assert.equal(bytesText(bytes), text)
})

test('what is written is within a twentieth of what was meant', () => {
  const unit: Record<string, number> = {
    B: 1,
    KB: 2 ** 10,
    MB: 2 ** 20,
    GB: 2 ** 30,
    TB: 2 ** 40,
    PB: 2 ** 50,
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 52 }), bytes => {
      const [value, name] = bytesText(bytes).split(' ')
      const back = Number(value) * unit[name!]!
      assert.ok(Math.abs(back - bytes) <= bytes / 20, `${bytes} -> ${bytesText(bytes)}`)
    }),
  )
})
