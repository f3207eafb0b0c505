import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { renewAtMs, retryAtMs } from './renew.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000

test('a certificate of ninety days is renewed when a third of its life is left, or a little earlier', () => {
  const life = { notBeforeMs: 0, notAfterMs: 90 * dayMs }
  assert.equal(renewAtMs(life, null, 0), 60 * dayMs)
  assert.equal(renewAtMs(life, null, 0.5), 57.75 * dayMs)
  assert.equal(renewAtMs(life, 10 * dayMs, 0), 80 * dayMs)
})

test('a renewal is never asked for in the first four tenths of a life, whatever the file says', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.option(fc.integer({ min: 0, max: 100_000 })),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (days, before, unit) => {
        const life = { notBeforeMs: 1_000, notAfterMs: 1_000 + days * dayMs }
        const at = renewAtMs(life, before === null ? null : before * dayMs, unit)
        assert.ok(at >= life.notBeforeMs + 0.4 * days * dayMs && at <= life.notAfterMs)
      },
    ),
  )
})

test('what fails is tried at most four times in its first hour, and less often than hourly after a day', () => {
  for (const unit of [0, 0.5, 0.999]) {
    const tries = [0]
    for (let failures = 1; (tries.at(-1) as number) < 48 * hourMs; failures++)
      tries.push(retryAtMs(tries.at(-1) as number, failures, 0, unit))
    assert.ok(tries.filter(at => at < hourMs).length <= 4, String(tries))
    assert.ok(tries.filter(at => at >= 24 * hourMs && at < 48 * hourMs).length < 6)
  }
})

test('an authority that names a time is not asked before it, and is believed for a week at most', () => {
  assert.equal(retryAtMs(0, 1, 3 * hourMs, 0.5), 3 * hourMs)
  assert.equal(retryAtMs(0, 1, 1_000, 0.5), 5 * 60_000)
  assert.equal(retryAtMs(0, 1, 400 * dayMs, 0.5), 7 * dayMs)
})
