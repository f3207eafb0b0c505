// Availabilities and downtimes as the tables print them, and what must hold for any parts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  burnAlerts,
  burnRate,
  burnThreshold,
  correlated,
  downtime,
  errorBudget,
  fromRepair,
  kOfN,
  leaderWithFailover,
  nines,
  parallel,
  secondsPerMonth,
  series,
  serversFor,
} from './availability.ts'
import { near, same, value } from './testing.ts'

const of = (times: number, a: number): number[] => new Array<number>(times).fill(a)

test('k of n as in the tables', () => {
  const rows: [number, number, string][] = [
    [2, 3, '.999702'],
    [3, 5, '.99999015'],
    [1, 2, '.9999'],
    [9, 10, '.99573'],
    [10, 12, '.99979'],
  ]
  for (const [k, n, up] of rows) same(value(kOfN(k, n, 0.99)).up, up, `${k} of ${n}`)
})

test('in a row as in the tables: percents', () => {
  same(100 * value(series(of(5, 0.999))).up, '99.501')
  same(100 * value(series(of(10, 0.999))).up, '99.004')
  same(100 * value(series(of(30, 0.9999))).up, '99.700')
  // 99.9 % twice: 99.8 % in sequence, 99.9999 % in parallel.
  same(100 * value(series([0.999, 0.999])).up, '99.8')
  same(100 * value(parallel([0.999, 0.999])).up, '99.9999')
})

test('downtime as in the tables: a month of 30 days in minutes, a year', () => {
  const rows: [number, string, string, number][] = [
    [0.999, '43.2', '8.77', 3600],
    [0.9995, '21.6', '4.38', 3600],
    [0.9999, '4.32', '52.6', 60],
    [0.99999, '.432', '5.26', 60],
  ]
  for (const [up, month, year, unit] of rows) {
    const row = value(downtime(1 - up))
    same(row.perMonthSeconds / 60, month)
    same(row.perYearSeconds / unit, year)
    near(row.perWeekSeconds, 7 * row.perDaySeconds, 1e-12)
  }
  // A published table: 99.9 % is 10.08 min a week and 1.44 min a day.
  const three = value(downtime(0.001))
  same(three.perWeekSeconds / 60, '10.08')
  same(three.perDaySeconds / 60, '1.44')
  assert.ok(nines.every((up, at) => at === 0 || up > (nines[at - 1] as number)))
})

test('a leader with failover: twelve times 30 s a year', () => {
  same(100 * value(leaderWithFailover(12, 30)).up, '99.9989')
})

test('the share down keeps its digits where the share up is 1', () => {
  near(value(parallel(of(10, 0.99))).down, 1e-20, 1e-9)
  near(value(kOfN(1, 10, 0.99)).down, 1e-20, 1e-9)
  near(value(series(of(2, 1 - 1e-12))).down, 2e-12, 1e-3)
})

test('budgets and burn rates of the SRE workbook', () => {
  near(value(errorBudget(0.999, 1_000_000)), 1000, 1e-9)
  near(value(errorBudget(0.999, secondsPerMonth)), 2592, 1e-9)
  near(value(burnRate(0.0144, 0.999)), 14.4, 1e-9)
  for (const alert of burnAlerts)
    near(value(burnThreshold(alert.spent, alert.longSeconds, secondsPerMonth)), alert.rate, 1e-9)
})

test('a component from its repair time, and causes that are shared', () => {
  near(value(fromRepair(999, 1)).up, 0.999, 1e-12)
  // Two zones of 99.9 % beside each other, behind one region of 99.99 %: never better than the region.
  const beside = value(parallel([0.999, 0.999]))
  const both = value(correlated(beside.up, 0.9999))
  assert.ok(both.up < 0.9999)
  near(both.down, 1e-4 + 1e-6, 1e-4)
})

test('for any parts: k of n falls with k, 1 of n is parallel, n of n is series, and servers for a target are the fewest', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0.01, max: 0.9999, noNaN: true }),
      (n, a) => {
        let before = 1
        for (let k = 0; k <= n; k++) {
          const { up, down } = value(kOfN(k, n, a))
          assert.ok(up <= before + 1e-12 && up >= 0 && Math.abs(up + down - 1) < 1e-9)
          before = up
        }
        near(value(kOfN(1, n, a)).down, value(parallel(of(n, a))).down, 1e-9)
        near(value(kOfN(n, n, a)).up, value(series(of(n, a))).up, 1e-9)
      },
    ),
    { numRuns: 50 },
  )
  const n = value(serversFor(25, 0.99, 0.9999))
  assert.ok(value(kOfN(25, n, 0.99)).down <= 1e-4 && value(kOfN(25, n - 1, 0.99)).down > 1e-4)
  assert.equal(value(serversFor(1, 0.999, 0.99)), 1)
})

test('a million parts are summed in logarithms', () => {
  const half = value(kOfN(500_000, 1_000_000, 0.5))
  // 1/2 and half the middle term, 1/√(2πn·¼)/2.
  near(half.up, 0.5 + 1 / Math.sqrt(2 * Math.PI * 250_000) / 2, 1e-6)
})

test('what can not be is named', () => {
  for (const bad of [
    series([]),
    series([1.1]),
    parallel([Number.NaN]),
    kOfN(3, 2, 0.9),
    kOfN(1, 0, 0.9),
    kOfN(1.5, 3, 0.9),
    correlated(-1, 1),
    fromRepair(0, 1),
    leaderWithFailover(-1, 30),
    downtime(2),
    errorBudget(1, 100),
    burnRate(0.1, 1),
    burnThreshold(0.1, 0, 10),
  ])
    assert.ok(!bad.ok && /must be/.test(bad.why), JSON.stringify(bad))
  const never = serversFor(10, 0.001, 0.9999)
  assert.ok(!never.ok && /don't reach/.test(never.why))
})
