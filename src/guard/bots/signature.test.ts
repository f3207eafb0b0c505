import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakePassage } from '../testing/fake-passage.ts'
import { KeyDirectories } from './key-directories.ts'
import { nonceBytes, SharedNonces } from './nonces.ts'
import { signatureBase } from './signature.ts'
import { quotedText, signatureBytes, signatureInput } from './signature-fields.ts'
import { readKeySet } from './signature-keys.ts'

/** RFC 9421 B.1.4, and its thumbprint in RFC 8037's way. */
const key = { kty: 'OKP', crv: 'Ed25519', x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs' }
const keyId = 'poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U'

test('the signature of RFC 9421 B.2.6 is over the base that is made here', () => {
  const passage = new FakePassage({
    method: 'POST',
    target: '/foo?param=Value&Pet=dog',
    host: 'example.com',
    body: '{"hello": "world"}',
    fields: 'Date: Tue, 20 Apr 2021 02:07:55 GMT\r\nContent-Type: application/json\r\n',
  })
  const member =
    '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519";tag="x"'
  const input = signatureInput(`sig-b26=${member}`, 'x')!
  const base = signatureBase(passage, { ...input, text: input.text.replace(';tag="x"', '') })!
  const signature = signatureBytes(
    'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
    'sig-b26',
  )!
  assert.ok(verify(null, base, createPublicKey({ key, format: 'jwk' }), signature))
})

test('keys are known by their thumbprint; other kinds are left out', () => {
  const keys = readKeySet(JSON.stringify({ keys: [{ kty: 'RSA' }, null, { ...key, x: 'short' }, key] }))
  assert.deepEqual([...(keys?.keys() ?? [])], [keyId])
  for (const text of ['', 'null', '{}', '{ "keys": [] }', '{ "keys": 7 }'])
    assert.equal(readKeySet(text), null)
})

test('fields are understood whole or not at all', () => {
  const good = 'a=("x");tag="other", b=("@authority" "signature-agent");created=1;expires=2;keyid="k";tag="t"'
  const input = signatureInput(good, 't')
  assert.deepEqual(input?.components, ['@authority', 'signature-agent'])
  assert.equal(input?.text, '("@authority" "signature-agent");created=1;expires=2;keyid="k";tag="t"')
  assert.deepEqual([input?.label, input?.created, input?.expires, input?.keyId], ['b', 1, 2, 'k'])
  const bad = [
    'a=("x";key="y");tag="t"',
    'a=("x" "x");tag="t"',
    'a=("x""y");tag="t"',
    'a=("x");tag="t";tag="t"',
    'a=("x");created=1.5;tag="t"',
    'a=("x");tag="t",',
    'a=("x");tag="t" b',
    'a=("x");tag="t", b=("x");tag="t"',
    'a=("x',
    'a=("x");tag="t\\n"',
    '=("x");tag="t"',
    'a=("x");created=9999999999999999;tag="t"',
  ]
  for (const text of bad) assert.equal(signatureInput(text, 't'), null, text)
  assert.equal(signatureBytes('a=:AAAA:, a=:AAAA:', 'a'), null)
  assert.equal(signatureBytes('a=:A*:', 'a'), null)
  assert.deepEqual(signatureBytes('b=:AQ==:, a=:Ag==:', 'a'), Buffer.from([2]))
  assert.equal(quotedText('"https://bot.example"'), 'https://bot.example')
  assert.equal(quotedText('"a";b=1'), null)
})

test('any text has an answer', () => {
  const piece = fc.constantFrom(
    'a',
    '=',
    '(',
    ')',
    '"',
    ';',
    ',',
    ' ',
    ':',
    '\\',
    'tag="t"',
    'created=1',
    '("x")',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), pieces => {
      const text = pieces.join('')
      signatureInput(text, 't')
      signatureBytes(text, 'a')
      quotedText(text)
    }),
  )
})

test('a nonce counts once over all workers until it is old, and a full set takes no more', () => {
  const memory = new SharedArrayBuffer(nonceBytes)
  const [first, second] = [new SharedNonces(memory, [1, 2]), new SharedNonces(memory, [1, 2])]
  assert.equal(first.add(keyId, 'n', 100, 50), true)
  assert.equal(second.add(keyId, 'n', 100, 50), false)
  assert.equal(second.add(keyId, 'n', 900, 100), false)
  assert.equal(second.add(keyId, 'm', 100, 50), true)
  assert.equal(second.add(keyId, 'n', 200, 101), true)
  const small = new SharedNonces(new SharedArrayBuffer(8 * 8), [1, 2])
  const taken = Array.from({ length: 20 }, (_, i) => small.add(keyId, `n${i}`, 100, 50))
  assert.deepEqual([taken.filter(Boolean).length, taken.lastIndexOf(true)], [8, 7])
})

test('keys of a directory are fetched once an hour, kept for a day without an answer, and told of', async () => {
  let now = 0
  let answer: string | null = JSON.stringify({ keys: [key] })
  const asked: string[] = []
  const told: string[] = []
  const fetch = async (url: string): Promise<string> => {
    asked.push(url)
    if (answer === null) throw new Error('no way there')
    return answer
  }
  const directories = new KeyDirectories(
    () => now,
    (_subject, text) => told.push(text),
    fetch,
  )
  const take = async (): Promise<void> => {
    directories.take([{ agent: 'https://bot.example' }])
    await new Promise(resolve => setImmediate(resolve))
  }
  await take()
  assert.deepEqual(asked, ['https://bot.example/.well-known/http-message-signatures-directory'])
  assert.equal(directories.find(keyId)?.agent, 'https://bot.example')
  assert.equal(directories.find('other'), null)
  await take()
  assert.equal(asked.length, 1)
  answer = null
  now += 2 * 3_600_000
  await take()
  assert.equal(asked.length, 2)
  assert.deepEqual(told, ["the keys of https://bot.example can't be fetched: no way there"])
  assert.notEqual(directories.find(keyId), null)
  now += 23 * 3_600_000
  assert.equal(directories.find(keyId), null)
  directories.close()
})
