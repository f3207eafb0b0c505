import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { httpDate, parseHttpDate } from './http-date.ts'

const now = Date.UTC(2026, 8, 1) / 1000

test('the three forms of RFC 9110 are the same moment', () => {
  const moment = 784111777
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ])
    assert.equal(parseHttpDate(text, now), moment, text)
  assert.equal(parseHttpDate('Friday, 06-Nov-76 00:00:00 GMT', now), Date.UTC(2076, 10, 6) / 1000)
  assert.equal(parseHttpDate('Saturday, 06-Nov-77 00:00:00 GMT', now), Date.UTC(1977, 10, 6) / 1000)
})

test('what is no date is NaN', () => {
  for (const text of [
    '',
    'yesterday',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun, 31 Jun 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
    '784111777',
  ])
    assert.ok(Number.isNaN(parseHttpDate(text, now)), text)
})

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), at => parseHttpDate(httpDate(at), now) === at),
  )
})
