import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CacheReason, cacheReasonLabel, cacheReasonText } from './reason.ts'
import { unkeyedFields } from './request.ts'
import { browserCacheControl } from './telling.ts'
import { fields, plainKey, plainRules } from './testing/fields.ts'

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
