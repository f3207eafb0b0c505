import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redacted, shortText } from './redact.ts'

test('what looks like a secret or a card never gets into a log', () => {
  const texts = [
    'token=abc123secret&x=1',
    'ARGS:password "hunter2secret" matched',
    '{"card_number": "4111 1111 1111 1111"}',
    'Authorization: Bearer abc123secret',
    'api-key%3Dabc123secret',
    'x 4111-1111-1111-1111 y',
    'my_session: abc123secret;',
    'passwd:abc123secret',
  ]
  for (const text of texts) assert.doesNotMatch(shortText(text, 500), /abc123secret|hunter2secret|4111/, text)
  assert.equal(
    shortText('nothing of that kind, on page 42 of 99', 500),
    'nothing of that kind, on page 42 of 99',
  )
})

test('a text stays one line without control characters, and short', () => {
  const odd = 'a\r\nb\u0000c\u001b[31m\u2028d\u202ee\u007f'
  assert.equal(shortText(odd, 500), 'a\\u000d\\u000ab\\u0000c\\u001b[31m\\u2028d\\u202ee\\u007f')
  assert.equal(shortText('x'.repeat(1_000), 10), 'xxxxxxxxxx...')
})

test('texts that strangers choose cost work in proportion to their length', () => {
  // A quadratic pattern would take minutes for these; the runner's limit is what would notice.
  for (const piece of ['a', 'token', 'passwd ', '1 ', '"', 'token=', 'Bearer '])
    assert.ok(redacted(piece.repeat(200_000 / piece.length)).length > 0)
})
