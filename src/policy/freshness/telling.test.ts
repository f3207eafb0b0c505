import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CacheReason, cacheReasonLabel, cacheReasonText } from './reason.ts'
import { bypassReason, unkeyedFields } from './request.ts'
import { browserCacheControl, type CacheStatus, cacheStatusText } from './telling.ts'
import { fields, plainKey, plainRules } from './testing/fields.ts'

const statuses: readonly (readonly [Omit<CacheStatus, 'name'>, string])[] = [
  [{ hit: true, ttlSeconds: 59.9 }, 'tenfold; hit; ttl=59'],
  [
    { hit: true, ttlSeconds: -3.5, detail: 'stale-revalidate' },
    'tenfold; hit; ttl=-3; detail=stale-revalidate',
  ],
  [{ forward: 'uri-miss', stored: true, ttlSeconds: 60 }, 'tenfold; fwd=uri-miss; ttl=60; stored'],
  [
    { forward: 'stale', forwardStatus: 304, collapsed: true },
    'tenfold; fwd=stale; fwd-status=304; collapsed',
  ],
  [{ forward: 'miss', key: 'a /p?"x"\\é' }, 'tenfold; fwd=miss; key="a /p?\\"x\\"\\\\?"'],
  [{ forward: 'bypass', detail: 'a rule' }, 'tenfold; fwd=bypass; detail="a rule"'],
]
for (const [said, expected] of statuses) {
  test(`Cache-Status: ${expected} (RFC 9211 2)`, () => {
    assert.equal(cacheStatusText({ name: 'tenfold', ...said }), expected)
  })
}

test('what caches nearer to the origin said stands first, and a name need not be a token', () => {
  assert.equal(cacheStatusText({ name: 'edge 1', hit: true }, 'origin; hit'), 'origin; hit, "edge 1"; hit')
})

test('browsers are told what a rule says in place of the origin, unless the answer is personal', () => {
  const told = (rules: object, control?: string, personal = false): string | null =>
    browserCacheControl(
      { ...plainRules, ...rules },
      fields(...(control === undefined ? [] : [['Cache-Control', control] as const])),
      personal,
    )
  assert.equal(told({}, 'max-age=5'), null)
  assert.equal(told({ browserTtlMs: 60_000 }, 's-maxage=5'), 'max-age=60')
  assert.equal(told({ browserTtlMs: 0 }, 'max-age=5'), 'no-cache')
  assert.equal(told({ browserTtlMs: 60_000, immutable: true }), 'max-age=60, immutable')
  assert.equal(told({ immutable: true }), 'max-age=31536000, immutable')
  assert.equal(told({ immutable: true }, 'max-age=5'), 'max-age=5, immutable')
  assert.equal(told({ immutable: true }, 'max-age=5, Immutable'), null)
  assert.equal(told({ browserTtlMs: 60_000, immutable: true }, 'private', true), null)
})

test('only GET and HEAD without a body are looked up', () => {
  assert.equal(bypassReason('GET', false, fields()), 0)
  assert.equal(bypassReason('HEAD', false, fields()), 0)
  assert.equal(bypassReason('POST', false, fields()), CacheReason.method)
  assert.equal(bypassReason('get', false, fields()), CacheReason.method)
  assert.equal(bypassReason('GET', true, fields()), CacheReason.requestBody)
  assert.equal(bypassReason('GET', false, fields(['Upgrade', 'websocket'])), CacheReason.upgrade)
})

test('fields by which origins are misled are not passed on, unless the key has them', () => {
  const names = unkeyedFields(plainKey)
  for (const name of [
    'x-original-url',
    'x-rewrite-url',
    'x-forwarded-scheme',
    'x-http-method-override',
    'x-host',
  ]) {
    assert.ok(names.includes(name), name)
  }
  assert.ok(!unkeyedFields({ ...plainKey, headers: ['x-host'] }).includes('x-host'))
})

test('every reason has words and a label of its own', () => {
  const labels = new Set<string>()
  const texts = new Set<string>()
  for (const code of Object.values(CacheReason)) {
    labels.add(cacheReasonLabel(code))
    texts.add(cacheReasonText(code, 60_000_000))
  }
  assert.equal(labels.size, Object.keys(CacheReason).length)
  assert.equal(texts.size, labels.size)
  for (const text of texts) assert.doesNotMatch(text, /[{}]/)
  assert.equal(cacheReasonText(CacheReason.storedMaxAge, 60_000_000), 'fresh for 1 min by max-age')
  assert.equal(cacheReasonText(CacheReason.tooManyNames, 16), 'not stored: it varies by more than 16 fields')
  assert.equal(cacheReasonText(999), 'reason 999')
  assert.equal(cacheReasonLabel(999), 'code-999')
})
