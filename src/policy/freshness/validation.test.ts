import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fields, fieldsOf, httpDateAt } from './testing/fields.ts'
import { conditionalFields, headEffect, matches304, updatedFields } from './validation.ts'

const modified = httpDateAt(-3_000)

test('both validators are sent (RFC 9111 4.3.1)', () => {
  const stored = fields(['ETag', 'W/"a"'], ['Last-Modified', modified])
  assert.equal(conditionalFields(stored), `If-None-Match: W/"a"\r\nIf-Modified-Since: ${modified}\r\n`)
  assert.equal(conditionalFields(fields()), '')
})

test('a 304 is about what is stored, unless its date is another one (RFC 9111 4.3.4)', () => {
  const tagged = fields(['ETag', '"a"'])
  const dated = fields(['Last-Modified', modified])
  assert.ok(matches304(tagged, fields(['ETag', '"a"'])))
  assert.ok(matches304(tagged, fields()))
  assert.ok(matches304(tagged, fields(['ETag', 'W/"a"'])))
  assert.ok(matches304(dated, fields(['Last-Modified', modified])))
  assert.ok(matches304(dated, fields()))
  assert.ok(!matches304(dated, fields(['Last-Modified', httpDateAt(-1)])))
})

const stored =
  'Content-Type: text/plain\r\nETag: "a"\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 5\r\nCache-Control: max-age=1\r\n'

test('a 304 updates stored fields, all lines of a name at once (RFC 9111 3.2)', () => {
  const updated = fieldsOf(updatedFields(stored, 'x-a: 3\r\nX-B: 4\r\ncache-control: max-age=9\r\n'))
  assert.equal(updated.find('x-a'), '3')
  assert.equal(updated.find('x-b'), '4')
  assert.equal(updated.find('cache-control'), 'max-age=9')
  assert.equal(updated.find('content-type'), 'text/plain')
})

test('a 304 never changes what is of the bytes, of the connection or of one client (RFC 9111 3.2)', () => {
  const kept = [
    'Content-Length: 9',
    'Content-Encoding: br',
    'Content-Range: x',
    'Content-MD5: x',
    'ETag: "b"',
  ]
  const hops = [
    'Connection: X-Hop',
    'X-Hop: 1',
    'Keep-Alive: 5',
    'TE: x',
    'Upgrade: x',
    'Transfer-Encoding: chunked',
  ]
  const others = ['Age: 5', 'Set-Cookie: a=b', 'Proxy-Authenticate: x']
  const news = [...kept, ...hops, ...others].map(line => `${line}\r\n`).join('')
  assert.equal(updatedFields(stored, news), stored)
})

test('Set-Cookie is updated only where all may have it', () => {
  assert.equal(fieldsOf(updatedFields(stored, 'Set-Cookie: a=b\r\n', true)).find('set-cookie'), 'a=b')
})

test('a HEAD freshens what it agrees with and invalidates what it does not (RFC 9111 4.3.5)', () => {
  const is = fields(['ETag', '"a"'], ['Last-Modified', modified])
  const effect = (...pairs: readonly (readonly [string, string])[]): string =>
    headEffect(is, 200, 5, fields(...pairs), 200)
  assert.equal(effect(), 'freshen')
  assert.equal(effect(['ETag', '"a"'], ['Content-Length', '5']), 'freshen')
  assert.equal(effect(['ETag', '"b"']), 'invalidate')
  assert.equal(effect(['Last-Modified', httpDateAt(0)]), 'invalidate')
  assert.equal(effect(['Content-Length', '6']), 'invalidate')
  assert.equal(headEffect(is, 200, -1, fields(['Content-Length', '6']), 200), 'freshen')
  assert.equal(headEffect(is, 200, 5, fields(), 404), 'none')
  assert.equal(headEffect(is, 404, 5, fields(), 200), 'none')
})
