import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type IdentityClaims, type IdentityMac, readIdentity, writeIdentity } from './identity-header.ts'

const macUnder =
  (key: string): IdentityMac =>
  text =>
    createHmac('sha256', key).update(text).digest('base64url')
const mac = macUnder('a key')
const claims: IdentityClaims = {
  by: 'jwt',
  source: 'staff',
  sub: 'ada',
  scopes: ['orders:write'],
  claims: { role: 'admin' },
  until: 2_000,
  method: 'GET',
  host: 'shop.example',
  path: '/orders',
  rid: 'r1',
}
const nowMs = 1_000_000
const token = writeIdentity(claims, nowMs, mac) as string

test('what was written is read by who has the key, for a minute', () => {
  assert.deepEqual(readIdentity(token, nowMs + 60_000, mac)?.scopes, ['orders:write'])
  assert.equal(readIdentity(token, nowMs + 66_000, mac), null)
  assert.equal(readIdentity(token, nowMs - 6_000, mac), null)
  assert.equal(readIdentity(token, nowMs, macUnder('another key')), null)
})

test('what is changed, unsigned, of another algorithm or audience is nothing', () => {
  const [head = '', body = '', end = ''] = token.split('.')
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const changed = encoded({
    ...(JSON.parse(Buffer.from(body, 'base64url').toString()) as object),
    sub: 'eve',
  })
  const none = encoded({ alg: 'none', typ: 'JWT' })
  const human = encoded({ ...claims, iss: 'tenfold', aud: 'tenfold:instance', iat: 1_000, exp: 1_060 })
  const wrong = {
    changed: `${head}.${changed}.${end}`,
    unsigned: `${head}.${body}.`,
    none: `${none}.${body}.`,
    'none, signed': `${none}.${body}.${mac(`${none}.${body}`)}`,
    'of another audience': `${head}.${human}.${mac(`${head}.${human}`)}`,
    'with more behind it': `${token}.x`,
    empty: '',
    'too long': token + 'A'.repeat(9_000),
  }
  for (const [what, text] of Object.entries(wrong)) assert.equal(readIdentity(text, nowMs, mac), null, what)
})

test('claims that are too long for a field are not written', () => {
  assert.equal(writeIdentity({ ...claims, claims: { much: 'x'.repeat(9_000) } }, nowMs, mac), null)
})
