import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { durationText, nearest, parseDurationMs, parseSizeBytes, sizeText } from './values.ts'

test('durations have a unit and become whole milliseconds', () => {
  const cases = {
    '250ms': 250,
    '2s': 2000,
    '1.5m': 90_000,
    '1h': 3_600_000,
    '30d': 2_592_000_000,
    '0s': 0,
    '0.0004s': undefined,
  }
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDurationMs(text), ms, text)
})

test('what is not a duration is not taken for one', () => {
  for (const text of [
    '',
    '5',
    's',
    '-1s',
    '1 s',
    '1S',
    '1e3s',
    '1s ',
    '0x1s',
    '1,5s',
    5,
    null,
    ['1s'],
    Number.NaN,
  ])
    assert.equal(parseDurationMs(text), undefined, String(text))
})

test('sizes are bytes or have a unit of powers of 1024', () => {
  const cases: readonly (readonly [unknown, number | undefined])[] = [
    ['64KB', 65_536],
    ['1MB', 1_048_576],
    ['1.5KB', 1536],
    ['7B', 7],
    [77, 77],
    ['77', undefined],
    ['1kb', undefined],
    [-1, undefined],
    [1.5, undefined],
    [Number.POSITIVE_INFINITY, undefined],
  ]
  for (const [value, bytes] of cases) assert.equal(parseSizeBytes(value), bytes, String(value))
})

test('a duration or size written as text reads back as the same number', () => {
  fc.assert(
    fc.property(fc.nat({ max: 400 * 86_400_000 }), ms => assert.equal(parseDurationMs(durationText(ms)), ms)),
  )
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), bytes => assert.equal(parseSizeBytes(sizeText(bytes)), bytes)),
  )
})

test('the nearest word is found over a typing error, and none where nothing is near', () => {
  const words = ['instances', 'health', 'balance', 'env']
  const cases = {
    instance: 'instances',
    helth: 'health',
    blaance: 'balance',
    Health: 'health',
    ENV: 'env',
    inst: 'instances',
    quux: undefined,
    x: undefined,
    '': undefined,
  }
  for (const [typed, word] of Object.entries(cases)) assert.equal(nearest(typed, words), word, typed)
})
