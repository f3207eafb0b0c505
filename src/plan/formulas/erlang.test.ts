// Erlang's formulas against published tables, each other, and what must hold for any load.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  erlangB,
  erlangC,
  halfinWhitt,
  halfinWhittBeta,
  mmc,
  mmck,
  mmcSojournQuantile,
  mmcWaitQuantile,
  squareRootStaffing,
} from './erlang.ts'
import { near, same, value } from './testing.ts'

const station = (
  servers: number,
  arrivalRate: number,
): { arrivalRate: number; serviceMean: number; servers: number } => ({
  arrivalRate,
  serviceMean: 1,
  servers,
})

test('M/M/c: P(wait), mean wait and 99 % of waits as in the tables', () => {
  const rows: [number, number, string, string, string][] = [
    [10, 8, '.40918', '.20459', '1.8558'],
    [10, 9, '.66873', '.66873', '4.2028'],
    [50, 45, '.36386', '.07277', '.7188'],
    [100, 90, '.21694', '.02169', '.3077'],
    [100, 95, '.50646', '.10129', '.7850'],
    [1000, 950, '.06825', '.00137', '.0384'],
  ]
  for (const [servers, offered, waits, mean, p99] of rows) {
    same(value(erlangC(servers, offered)), waits, `C(${servers}, ${offered})`)
    same(value(mmc(station(servers, offered))).waitMean, mean, `Wq of ${servers}`)
    same(value(mmcWaitQuantile(station(servers, offered), 0.99)), p99, `p99 of ${servers}`)
  }
})

test('the same utilisation of .9 with more servers: the mean sojourn falls towards the service time', () => {
  const rows: [number, string][] = [
    [1, '10'],
    [2, '5.263'],
    [4, '2.969'],
    [10, '1.669'],
    [50, '1.073'],
    [100, '1.022'],
  ]
  for (const [servers, mean] of rows) same(value(mmc(station(servers, 0.9 * servers))).sojournMean, mean)
})

test('Erlang B as in the tables', () => {
  const rows: [number, number, string][] = [
    [5, 3, '.11005'],
    [10, 8, '.12166'],
    [10, 10, '.21458'],
    [20, 12, '.00980'],
    [100, 90, '.02696'],
    [100, 100, '.07570'],
  ]
  for (const [servers, offered, lost] of rows) same(value(erlangB(servers, offered)), lost)
})

test('M/M/1/K loss as in the tables, beyond saturation too', () => {
  const rows: [number, number, string][] = [
    [0.8, 5, '.08882'],
    [0.9, 10, '.05081'],
    [1, 10, '.09091'],
    [1.2, 10, '.19259'],
    [1.2, 50, '.16668'],
  ]
  for (const [rho, places, lost] of rows) {
    const bounded = value(mmck(station(1, rho), places))
    same(bounded.lossProbability, lost)
    const closed = rho === 1 ? 1 / (places + 1) : ((1 - rho) * rho ** places) / (1 - rho ** (places + 1))
    near(bounded.lossProbability, closed, 1e-12)
  }
})

test('M/M/c/K: no places to wait is Erlang B, very many are M/M/c, and Little holds', () => {
  near(value(mmck(station(10, 8), 10)).lossProbability, value(erlangB(10, 8)), 1e-14)
  const wide = value(mmck(station(10, 8), 500))
  const open = value(mmc(station(10, 8)))
  near(wide.waitMean, open.waitMean, 1e-9)
  near(wide.sojournMean, open.sojournMean, 1e-9)
  // By hand: one server, two places, load 1: states 1/3 each; the queue holds 1/3, the throughput is 2/3.
  const small = value(mmck(station(1, 1), 2))
  near(small.queueMean, 1 / 3, 1e-12)
  near(small.waitMean, 0.5, 1e-12)
})

test('Halfin and Whitt, and the square-root rule as in the tables; exact Erlang C needs the same servers', () => {
  for (const [beta, waits] of [
    [0.5, '.5045'],
    [1, '.2234'],
    [1.5, '.0847'],
    [2, '.0269'],
  ] as const)
    same(value(halfinWhitt(beta)), waits)
  same(value(halfinWhittBeta(0.2)), '1.0615')
  for (const [offered, servers] of [
    [10, 14],
    [100, 111],
    [1000, 1034],
    [10_000, 10_107],
  ] as const) {
    assert.equal(value(squareRootStaffing(offered, 0.2)), servers)
    assert.ok(value(erlangC(servers, offered)) <= 0.2)
    assert.ok(value(erlangC(servers - 1, offered)) > 0.2)
  }
})

test('one server is M/M/1: sojourns are exponential, with quantiles in closed form', () => {
  for (const [rho, mean, p99] of [
    [0.5, '2', '9.21'],
    [0.8, '5', '23.03'],
    [0.9, '10', '46.05'],
    [0.95, '20', '92.10'],
    [0.99, '100', '460.5'],
  ] as const) {
    same(value(mmc(station(1, rho))).sojournMean, mean)
    same(value(mmcSojournQuantile(station(1, rho), 0.99)), p99)
    near(value(mmcSojournQuantile(station(1, rho), 0.999)), 6.907755 / (1 - rho), 1e-6)
  }
})

test('for any stable load: Little, more servers wait less, quantiles rise and give back their share', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.double({ min: 0.01, max: 0.999, noNaN: true }),
      (servers, rho) => {
        const here = station(servers, rho * servers)
        const figures = value(mmc(here))
        near(figures.queueMean, here.arrivalRate * figures.waitMean, 1e-12)
        near(figures.systemMean, here.arrivalRate * figures.sojournMean, 1e-9)
        assert.ok(figures.waitProbability >= 0 && figures.waitProbability <= 1)
        assert.ok(value(mmc({ ...here, servers: servers + 1 })).waitMean <= figures.waitMean)
        const [p50, p99] = [value(mmcSojournQuantile(here, 0.5)), value(mmcSojournQuantile(here, 0.99))]
        assert.ok(p50 < p99 && p50 > 0)
        const wait = value(mmcWaitQuantile(here, 0.99))
        assert.ok(wait <= p99)
        if (wait > 0)
          near(figures.waitProbability * Math.exp(-(servers - here.arrivalRate) * wait), 0.01, 1e-6)
      },
    ),
  )
})

test('the mean sojourn is the area under its tail: quantiles and means are of one law', () => {
  for (const here of [station(3, 2.4), station(2, 1), station(50, 49)]) {
    let sum = 0
    const steps = 20_000
    for (let i = 0; i < steps; i++) sum += value(mmcSojournQuantile(here, (i + 0.5) / steps))
    near(sum / steps, value(mmc(here)).sojournMean, 2e-3)
  }
})

test('a hundred thousand servers and loads beyond any range give figures, not NaN', () => {
  const large = value(mmc(station(100_336, 100_000)))
  assert.ok(large.waitProbability > 0.19 && large.waitProbability < 0.21)
  assert.equal(value(erlangB(10, 1e300)), 1)
  assert.equal(value(erlangC(10, 0)), 0)
  near(value(mmck(station(2, 1e12), 100)).lossProbability, 1, 1e-9)
})

test('what has no steady state is said to be unstable; what can not be is named', () => {
  const full = mmc(station(4, 4))
  assert.ok(!full.ok && full.unstable && /unstable: .*100 %/.test(full.why), JSON.stringify(full))
  for (const bad of [
    station(0, 1),
    station(1.5, 1),
    station(1, -1),
    station(1, Number.NaN),
    station(2e9, 1),
  ]) {
    const answer = mmc(bad)
    assert.ok(!answer.ok && !answer.unstable && answer.why.includes('it must be'), JSON.stringify(answer))
  }
  assert.ok(!mmcWaitQuantile(station(2, 1), 1).ok)
  assert.ok(!mmck(station(3, 1), 2).ok)
  assert.ok(!halfinWhitt(0).ok && !halfinWhittBeta(1).ok && !squareRootStaffing(-1, 0.2).ok)
})
