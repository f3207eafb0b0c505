import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem } from '../file/index.ts'
import { workloadLines } from './workload-summary.ts'

function linesOf(more: object): string[] {
  const result = checkSystem({ name: 'shop', services: { web: { command: 'node web.mjs' } }, ...more })
  assert.ok(result.ok)
  return workloadLines(result.system)
}

test('a system without a workload has nothing to say of it', () => {
  assert.deepEqual(linesOf({}), [])
})

test('a workload is told in a line, its rehearsals in another, and many names are counted', () => {
  assert.deepEqual(
    linesOf({
      workload: {
        dailyUsers: 2_500_000,
        reads: { perUser: 10 },
        writes: { perUser: 0.1 },
        calibrated: { at: '2026-12-01T18:00:00Z', machine: 'a laptop' },
      },
    }),
    [
      'workload: reads, writes of 2,500,000 people a day, peak 3 x the mean; times measured 2026-12-01T18:00:00.000Z',
    ],
  )
  const rehearsals = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`r${index}`, {}]))
  assert.deepEqual(linesOf({ workload: { reads: { rate: '1/s' }, peak: 2 }, rehearsals }), [
    'workload: reads, peak 2 x the mean; times not measured here',
    'rehearsals: r0, r1, r2, r3, r4, r5, r6, r7 and 2 more',
  ])
})
