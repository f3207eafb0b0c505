import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRate, rateText } from './guard-limits.ts'
import { instantText } from './guard-rooms.ts'
import { sourceText } from './guard-sources.ts'
import { type CheckedSystem, checkSystem } from './index.ts'

function guardOf(guard: object): NonNullable<CheckedSystem['guard']> | null {
  const result = checkSystem({
    name: 'shop',
    services: { api: { command: 'node api.mjs' } },
    edge: { routes: [{ path: '/*', to: 'api', guard: 'a' }] },
    guard: { policies: { a: {} }, ...guard },
  })
  return result.ok ? (result.system.guard ?? null) : null
}

test('a rate means what it says, and is written back as what it means', () => {
  const table: readonly (readonly [string, 'rate' | 'bytes', number, number, string])[] = [
    ['5/min', 'rate', 5, 60_000, '5/min'],
    ['5/m', 'rate', 5, 60_000, '5/min'],
    ['5/minute', 'rate', 5, 60_000, '5/min'],
    ['50/s', 'rate', 50, 1_000, '50/s'],
    ['100/10s', 'rate', 100, 10_000, '100/10s'],
    ['90/90s', 'rate', 90, 90_000, '90/90s'],
    ['1000/h', 'rate', 1_000, 3_600_000, '1000/h'],
    ['1000/60min', 'rate', 1_000, 3_600_000, '1000/h'],
    ['5000/d', 'rate', 5_000, 86_400_000, '5000/d'],
    ['10MB/min', 'bytes', 10_485_760, 60_000, '10485760B/min'],
    ['1.5KB/s', 'bytes', 1_536, 1_000, '1536B/s'],
  ]
  for (const [text, kind, amount, perMs, written] of table) {
    assert.deepEqual(parseRate(text), { kind, amount, perMs }, text)
    assert.equal(rateText({ kind, amount, perMs }), written)
    assert.deepEqual(parseRate(written), { kind, amount, perMs })
  }
  for (const text of [
    '',
    '5',
    '/min',
    '5/',
    '5 /min',
    '-5/min',
    '5/min ',
    '5/w',
    '5MB',
    '1e3/s',
    '5/99999s',
    '５/s',
  ])
    assert.equal(parseRate(text), undefined, text)
})

test('times of rooms are the same instant in every offset; days that are not there are refused', () => {
  const opens = (text: string): string | null => {
    const room = guardOf({ rooms: { r: { admit: '1/s', opens: text } } })?.rooms.r
    return room?.opensAt === undefined ? null : instantText(room.opensAt)
  }
  for (const text of [
    '2028-02-29T18:00:00Z',
    '2028-02-29T18:00Z',
    '2028-02-29T19:00:00+01:00',
    '2028-02-29T12:30:00.000-05:30',
  ])
    assert.equal(opens(text), '2028-02-29T18:00:00.000Z', text)
  assert.equal(opens('2026-12-31T23:30:00-01:00'), '2027-01-01T00:30:00.000Z')
  for (const text of [
    '2026-02-29T18:00:00Z',
    '2026-13-01T18:00:00Z',
    '2026-12-01T24:00:00Z',
    '2026-12-01T18:60:00Z',
    '2026-12-01T18:00:00+19:00',
    '2026-12-01',
    'tomorrow',
  ])
    assert.equal(opens(text), null, text)
})

test('sources are written back as they were, and names of headers are one whatever their case', () => {
  const written = (by: string | readonly string[]): readonly string[] | undefined =>
    guardOf({
      identity: { account: 'cookie:account', session: 'cookie:sid', key: 'header:x-api-key' },
      policies: { a: { limit: { rate: '1/s', by } } },
    })?.policies.a?.limits[0]?.by.map(one => sourceText(one))
  for (const one of [
    'ip',
    'ip/24',
    'ip/24/48',
    'account',
    'session',
    'key',
    'fingerprint',
    'route',
    'all',
    'cookie:Sid',
    'query:id',
    'cookie:account',
  ])
    assert.deepEqual(written(one), [one])
  assert.deepEqual(written(['header:X-Team', 'ip/24']), ['header:x-team', 'ip/24'])
  assert.equal(written(['header:X-Team', 'header:x-team']), undefined, 'one source twice tells nobody apart')
  for (const one of ['ip/', 'ip/24/', 'ip/33', 'header:', 'header:a b', 'path:a-b', 'field:a'])
    assert.equal(written(one), undefined, one)
})

test('names of limits that nobody gave stay the same when limits with names come before them', () => {
  const names = (limit: readonly object[]): readonly string[] =>
    guardOf({ policies: { a: { limit } } })?.policies.a?.limits.map(one => one.name) ?? []
  const plain = [{ rate: '1/s' }, { rate: '9/h' }]
  assert.deepEqual(names(plain), ['ip', 'ip-2'])
  assert.deepEqual(names([{ name: 'first', rate: '5/s', by: 'all' }, ...plain]), ['first', 'ip', 'ip-2'])
  assert.deepEqual(names([{ name: 'ip', rate: '5/s' }, { rate: '1/s' }]), ['ip', 'ip-2'])
})
