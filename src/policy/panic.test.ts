import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { rotation, rotationText } from './panic.ts'

function shown(panicShare: number, ...tiers: [healthy: number, total: number][]): string {
  const use = rotation(
    tiers.map(([healthy, total]) => ({ healthy, total })),
    panicShare,
  )
  return `tiers 0-${use.tierMax}${use.useAll ? ', all' : ''}: ${rotationText(use)}`
}

test('one tier is used alone while its healthy share suffices', () => {
  assert.equal(shown(0.5, [5, 5]), 'tiers 0-0: normal')
  assert.equal(shown(0.5, [3, 6]), 'tiers 0-0: normal')
})

test('below the share all members are used, healthy or not', () => {
  assert.equal(shown(0.5, [2, 5]), 'tiers 0-0, all: panic: 2 of 5 healthy')
  assert.equal(shown(0.5, [0, 5]), 'tiers 0-0, all: panic: 0 of 5 healthy')
})

test('a share of 0 means never: the last healthy member carries all, and none means none', () => {
  assert.equal(shown(0, [1, 9]), 'tiers 0-0: normal')
  assert.equal(shown(0, [0, 9]), 'tiers 0-0: none of 9 healthy')
  assert.equal(shown(0.5, [0, 0]), 'tiers 0-0: none of 0 healthy')
  assert.equal(shown(0.5), 'tiers 0-0: none of 0 healthy')
})

test('a higher tier stays unused while the lower ones suffice', () => {
  assert.equal(shown(0.5, [2, 4], [3, 3]), 'tiers 0-0: normal')
})

test('a higher tier joins the healthy ones of the lower tiers when those lack', () => {
  assert.equal(shown(0.5, [1, 4], [1, 1]), 'tiers 0-1: tier 1 joins: 25 % of the tiers below are healthy')
  assert.equal(shown(0, [0, 4], [1, 1]), 'tiers 0-1: tier 1 joins: 0 % of the tiers below are healthy')
  assert.equal(
    shown(0.9, [1, 4], [1, 4], [2, 2]),
    'tiers 0-2: tier 2 joins: 25 % of the tiers below are healthy',
  )
})

test('a lone backup that is whole keeps a dead tier 0 out of use', () => {
  const use = rotation(
    [
      { healthy: 0, total: 40 },
      { healthy: 1, total: 1 },
    ],
    0.5,
  )
  assert.equal(use.useAll, false)
  assert.equal(use.tierMax, 1)
})

test('panic comes only when all tiers together fall short, and then uses them all', () => {
  assert.equal(shown(0.5, [1, 8], [0, 2]), 'tiers 0-1, all: panic: 1 of 10 healthy')
})

test('an empty tier is passed over without a word', () => {
  assert.equal(shown(0.5, [0, 0], [2, 2]), 'tiers 0-1: normal')
})
