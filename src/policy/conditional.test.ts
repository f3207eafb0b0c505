import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Conditions, judgeConditions, rangeStands } from './conditional.ts'

const strong = { tag: '"abc"', modifiedAt: 1000 }
const weak = { tag: 'W/"abc"', modifiedAt: 1000 }
const none: Conditions = {
  ifMatch: undefined,
  ifNoneMatch: undefined,
  ifModifiedSince: undefined,
  ifUnmodifiedSince: undefined,
}
const judge = (asked: Partial<Conditions>, is = strong): string => judgeConditions({ ...none, ...asked }, is)

test('If-Match compares strongly, If-None-Match weakly; both know lists and the star', () => {
  assert.equal(judge({ ifMatch: '"abc"' }), 'pass')
  assert.equal(judge({ ifMatch: '"x", "abc"' }), 'pass')
  assert.equal(judge({ ifMatch: '*' }), 'pass')
  assert.equal(judge({ ifMatch: 'W/"abc"' }), 'failed')
  assert.equal(judge({ ifMatch: '"abc"' }, weak), 'failed')
  assert.equal(judge({ ifMatch: '' }), 'failed')
  assert.equal(judge({ ifNoneMatch: '"abc"' }), 'not-modified')
  assert.equal(judge({ ifNoneMatch: 'W/"abc"' }), 'not-modified')
  assert.equal(judge({ ifNoneMatch: '"abc"' }, weak), 'not-modified')
  assert.equal(judge({ ifNoneMatch: '*' }), 'not-modified')
  assert.equal(judge({ ifNoneMatch: '"a,b", "abc"' }), 'not-modified')
  assert.equal(judge({ ifNoneMatch: 'abc' }), 'pass')
  assert.equal(judge({ ifNoneMatch: `${'"x", '.repeat(80)}"abc"` }), 'pass')
})

test('dates count only where the tag of the same kind is absent, and only when they are dates', () => {
  assert.equal(judge({ ifModifiedSince: 1000 }), 'not-modified')
  assert.equal(judge({ ifModifiedSince: 999 }), 'pass')
  assert.equal(judge({ ifModifiedSince: Number.NaN }), 'pass')
  assert.equal(judge({ ifUnmodifiedSince: 1000 }), 'pass')
  assert.equal(judge({ ifUnmodifiedSince: 999 }), 'failed')
  assert.equal(judge({ ifUnmodifiedSince: Number.NaN }), 'pass')
  assert.equal(judge({ ifNoneMatch: '"x"', ifModifiedSince: 2000 }), 'pass')
  assert.equal(judge({ ifMatch: '"abc"', ifUnmodifiedSince: 1 }), 'pass')
  assert.equal(judge({ ifMatch: '"x"', ifNoneMatch: '"abc"' }), 'failed')
  assert.equal(judge({ ifMatch: '"abc"', ifNoneMatch: '"abc"' }), 'not-modified')
})

test('If-Range keeps a range only for the very same strong tag, or for the exact date of an old enough file', () => {
  assert.equal(rangeStands('"abc"', Number.NaN, strong, 5000), true)
  assert.equal(rangeStands('W/"abc"', Number.NaN, weak, 5000), false)
  assert.equal(rangeStands('"abc"', Number.NaN, weak, 5000), false)
  assert.equal(rangeStands('"x"', Number.NaN, strong, 5000), false)
  assert.equal(rangeStands('a date', 1000, strong, 5000), true)
  assert.equal(rangeStands('a date', 1001, strong, 5000), false)
  assert.equal(rangeStands('a date', 1000, strong, 1001), false)
  assert.equal(rangeStands('rubbish', Number.NaN, strong, 5000), false)
})
