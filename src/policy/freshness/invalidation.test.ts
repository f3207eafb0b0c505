import assert from 'node:assert/strict'
import { test } from 'node:test'
import { invalidatedTargets, invalidates, originTags } from './invalidation.ts'
import { fields } from './testing/fields.ts'

test('a successful unsafe request invalidates, an error or a safe one does not (RFC 9111 4.4)', () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH']) {
    assert.ok(invalidates(method, 200), method)
    assert.ok(invalidates(method, 303), method)
    assert.ok(!invalidates(method, 404), method)
    assert.ok(!invalidates(method, 500), method)
  }
  for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.ok(!invalidates(method, 200), method)
})

const own = { authority: 'Shop.example:80', target: '/a/b/c?d=1' }
const references: readonly (readonly [string, string | null])[] = [
  ['http://shop.example/x?y#z', '/x?y'],
  ['HTTPS://SHOP.example:443/x', '/x'],
  ['http://shop.example', '/'],
  ['http://shop.example?q', '/?q'],
  ['//shop.example/x', '/x'],
  ['http://evil.example/x', null],
  ['http://shop.example.evil/x', null],
  ['http://shop.example@evil.example/x', null],
  ['http://shop.example:8080/x', null],
  ['//evil.example/x', null],
  ['mailto:a@b', null],
  ['/x/./y/../z', '/x/z'],
  ['/../../x', '/x'],
  ['x', '/a/b/x'],
  ['./x', '/a/b/x'],
  ['../x', '/a/x'],
  ['..', '/a/'],
  ['.', '/a/b/'],
  ['?z', '/a/b/c?z'],
  ['', null],
  ['#top', null],
  ['x:y', null],
  ['/x:y?z=../..', '/x:y?z=../..'],
]
for (const [reference, expected] of references) {
  test(`Location ${JSON.stringify(reference)} invalidates ${expected ?? 'nothing more'} (RFC 3986 5.2)`, () => {
    const targets = invalidatedTargets(own, fields(['Location', reference]))
    assert.deepEqual(targets, expected === null ? [own.target] : [own.target, expected])
  })
}

test('Content-Location too, and each target once', () => {
  const targets = (...pairs: readonly [string, string][]): readonly string[] =>
    invalidatedTargets(own, fields(...pairs))
  assert.deepEqual(targets(['Location', '/x'], ['Content-Location', '/y']), [own.target, '/x', '/y'])
  assert.deepEqual(targets(['Location', '/x'], ['Content-Location', '/x']), [own.target, '/x'])
  assert.deepEqual(targets(['Content-Location', '/a/b/c?d=1']), [own.target])
})

test('tags of an origin are read from Surrogate-Key and Cache-Tag, and bounded', () => {
  assert.deepEqual(originTags(fields()), [])
  assert.deepEqual(originTags(fields(['Surrogate-Key', 'a  b'], ['Surrogate-Key', 'c'])), ['a', 'b', 'c'])
  assert.deepEqual(originTags(fields(['Cache-Tag', 'a, b c ,,a'])), ['a', 'b c'])
  assert.deepEqual(originTags(fields(['Cache-Tag', `${'x'.repeat(257)},ok`])), ['ok'])
  const many = Array.from({ length: 500 }, (_, index) => `t${index}`).join(' ')
  assert.equal(originTags(fields(['Surrogate-Key', many])).length, 128)
})
