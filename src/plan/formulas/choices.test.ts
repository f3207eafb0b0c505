// What a choice of server costs, against tables and simulations of other hands.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  choices,
  dm1,
  ekm1,
  sojournByChoice,
  sojournQuantileByChoice,
  supermarket,
  supermarketQuantile,
  supermarketTail,
} from './choices.ts'
import { mmc } from './erlang.ts'
import { near, same, value } from './testing.ts'

test('D/M/1 and E100/M/1 as in the tables', () => {
  const loads = [0.5, 0.8, 0.9, 0.95]
  const even = ['1.2550', '2.6927', '5.1787', '10.1724']
  const hundred = ['1.2619', '2.7157', '5.2268', '10.2707']
  for (const [at, rho] of loads.entries()) {
    same(value(dm1(rho)), even[at] as string)
    same(value(ekm1(rho, 100)), hundred[at] as string)
  }
})

test('E_k/M/1 goes from M/M/1 at k = 1 to D/M/1', () => {
  for (const rho of [0.01, 0.5, 0.9, 0.999]) {
    near(value(ekm1(rho, 1)), 1 / (1 - rho), 1e-12)
    near(value(ekm1(rho, 1e9)), value(dm1(rho)), 1e-6)
    assert.ok(value(ekm1(rho, 2)) < value(ekm1(rho, 1)))
  }
  // E_2/M/1 in closed form, from σ(2 − σ)² = 1 without its root 1: at ρ = .5 it is (3 − √5)/2.
  near(value(ekm1(0.5, 2)), 1 / (1 - (3 - Math.sqrt(5)) / 2), 1e-12)
})

test('the supermarket model as in the tables', () => {
  const loads = [0.5, 0.7, 0.8, 0.9, 0.95, 0.99]
  const two = ['1.2657', '1.6145', '1.9474', '2.6141', '3.3830', '5.4320']
  const three = ['1.1252', '1.3568', '1.5809', '2.0279', '2.5351', '3.8578']
  for (const [at, rho] of loads.entries()) {
    same(value(supermarket(rho, 2)), two[at] as string)
    same(value(supermarket(rho, 3)), three[at] as string)
    near(value(supermarket(rho, 1)), 1 / (1 - rho), 1e-12)
  }
  for (const [at, tail] of ['.9', '.729', '.4783', '.2059', '.0382', '.00131'].entries())
    same(value(supermarketTail(0.9, 2, at + 1)), tail)
})

test('its quantiles are of the law that has its mean', () => {
  let sum = 0
  for (let i = 0; i < 4000; i++) sum += value(supermarketQuantile(0.9, 2, (i + 0.5) / 4000))
  near(sum / 4000, value(supermarket(0.9, 2)), 2e-3)
})

test('a hundred servers: within some per cent of simulations of 2e7 jobs, for each choice', () => {
  // load, [mean, p99] of random, round robin, two choices, shortest
  const rows: [number, [number, number][]][] = [
    [
      0.9,
      [
        [10.07, 46.5],
        [5.24, 24.2],
        [2.658, 8.96],
        [1.065, 4.88],
      ],
    ],
    [
      0.95,
      [
        [19.9, 91],
        [10.38, 48],
        [3.474, 10.5],
        [1.224, 5.41],
      ],
    ],
    [
      0.99,
      [
        [99, 419],
        [52.9, 240],
        [5.967, 15.3],
        [2.212, 8.48],
      ],
    ],
  ]
  for (const [rho, wanted] of rows)
    for (const [at, choice] of (['random', 'round-robin', 'two-choices', 'shortest'] as const).entries()) {
      const [mean, p99] = wanted[at] as [number, number]
      near(value(sojournByChoice(choice, 100, rho)).sojournMean, mean, 0.06, `${choice} at ${rho}`)
      near(value(sojournQuantileByChoice(choice, 100, rho, 0.99)), p99, 0.12, `p99 of ${choice} at ${rho}`)
    }
})

test('few servers: within 6 % of simulations of the mean, 10 % of the 99 % quantile', () => {
  // servers, load, mean and p99 of the shortest, of two choices: 2e6 jobs each, drawn job by job.
  const rows: [number, number, number, number, number, number][] = [
    [2, 0.5, 1.43, 6.44, 1.427, 6.43],
    [2, 0.8, 2.958, 12.96, 2.955, 13.25],
    [2, 0.9, 5.569, 25.13, 5.531, 25.32],
    [5, 0.5, 1.109, 5.06, 1.31, 5.78],
    [5, 0.8, 1.76, 7.56, 2.232, 8.74],
    [5, 0.9, 2.815, 11.8, 3.485, 13.19],
    [5, 0.95, 5.076, 22.38, 5.803, 22.31],
    [10, 0.8, 1.35, 5.87, 2.072, 7.93],
    [10, 0.9, 1.907, 7.88, 2.993, 10.46],
    [10, 0.95, 2.913, 11.66, 4.438, 14.98],
    [30, 0.8, 1.082, 4.94, 1.986, 7.52],
    [30, 0.9, 1.299, 5.65, 2.74, 9.26],
    [30, 0.95, 1.69, 6.9, 3.692, 11.37],
  ]
  for (const [servers, rho, ...wanted] of rows)
    for (const [at, choice] of (['shortest', 'two-choices'] as const).entries()) {
      const [mean, p99] = wanted.slice(2 * at) as [number, number]
      const where = `${choice} of ${servers} at ${rho}`
      near(value(sojournByChoice(choice, servers, rho)).sojournMean, mean, 0.06, where)
      near(value(sojournQuantileByChoice(choice, servers, rho, 0.99)), p99, 0.1, `p99 of ${where}`)
    }
  // At .9 where both draws may fall on one server: 3.137 with 10 servers; two different ones, as above, 2.993. 2.618 with 1,000.
  near(value(sojournByChoice('two-choices', 10, 0.9)).sojournMean, 3.137, 0.06)
  near(value(sojournByChoice('two-choices', 1000, 0.9)).sojournMean, 2.618, 0.005)
})

test('for any load: pooled <= shortest <= two choices <= random, round robin <= random; all alike with one server', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0.01, max: 0.995, noNaN: true }),
      (servers, rho) => {
        const mean = Object.fromEntries(
          choices.map(choice => [choice, value(sojournByChoice(choice, servers, rho)).sojournMean]),
        ) as Record<(typeof choices)[number], number>
        const least = 1 - 1e-9
        assert.ok(mean.pooled >= least && mean.pooled <= mean.shortest / least)
        assert.ok(mean.shortest <= mean['two-choices'] / least, JSON.stringify([servers, rho, mean]))
        assert.ok(mean['two-choices'] <= mean.random / least && mean['round-robin'] <= mean.random / least)
        if (servers === 1) for (const one of Object.values(mean)) near(one, 1 / (1 - rho), 1e-9)
        for (const choice of choices) {
          const [p50, p99] = [0.5, 0.99].map(q => value(sojournQuantileByChoice(choice, servers, rho, q)))
          assert.ok((p50 as number) < (p99 as number), choice)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('pooled is M/M/c itself', () => {
  near(
    value(sojournByChoice('pooled', 10, 0.8)).sojournMean,
    value(mmc({ arrivalRate: 8, serviceMean: 1, servers: 10 })).sojournMean,
    1e-12,
  )
})

test('unstable is said, and what can not be is named', () => {
  for (const full of [dm1(1), ekm1(1.1, 3), supermarket(1, 2), sojournByChoice('random', 3, 1)])
    assert.ok(!full.ok && full.unstable)
  for (const bad of [dm1(Number.NaN), ekm1(0.5, 0), supermarket(0.5, 1.5), sojournByChoice('pooled', 0, 0.5)])
    assert.ok(!bad.ok && !bad.unstable)
})
