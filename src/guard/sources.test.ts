import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckedSource } from '../file/checked-guard.ts'
import { sourceValue } from './sources.ts'
import { FakePassage, type FakeRequest } from './testing/fake-passage.ts'
import { type VisitSetup, visitFor } from './testing/visits.ts'

function valueIn(source: CheckedSource, request: FakeRequest, setup: VisitSetup = {}): string | undefined {
  const passage = new FakePassage(request)
  return sourceValue(source, passage, visitFor(passage, setup))
}

test('an address counts whole in IPv4, by its prefix in IPv6, and by other lengths where they are asked for', () => {
  const cases: readonly (readonly [string, CheckedSource, string])[] = [
    ['192.0.2.7', { by: 'ip' }, '192.0.2.7'],
    ['::ffff:192.0.2.7', { by: 'ip' }, '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', { by: 'ip' }, '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2::9%eth0', { by: 'ip' }, '2001:db8:1:2::/64'],
    ['192.0.2.7', { by: 'ip', ipv4Bits: 24 }, '192.0.2.0/24'],
    ['2001:db8:1:2::1', { by: 'ip', ipv4Bits: 24 }, '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', { by: 'ip', ipv6Bits: 48 }, '2001:db8:1::/48'],
    ['2001:db8:1:2::1', { by: 'ip', ipv6Bits: 128 }, '2001:db8:1:2::1'],
    ['192.0.2.07', { by: 'ip' }, 'unknown'],
    ['_hidden', { by: 'ip' }, 'unknown'],
  ]
  for (const [address, source, key] of cases) assert.equal(valueIn(source, { address }), key, address)
})

test('a field, a cookie or a parameter with several values is missing, with one value twice it is that value', () => {
  const header: CheckedSource = { by: 'header', name: 'X-Api-Key' }
  const accept: CheckedSource = { by: 'header', name: 'accept' }
  const cookie: CheckedSource = { by: 'cookie', name: 'sid' }
  const query: CheckedSource = { by: 'query', name: 'id' }
  const cases: readonly (readonly [CheckedSource, FakeRequest, string | undefined])[] = [
    [header, { fields: 'x-api-KEY: a\r\n' }, 'a'],
    [header, { fields: 'X-Api-Key: a\r\nx-api-key: b\r\n' }, undefined],
    [header, { fields: 'X-Api-Key: a\r\nx-api-key: a\r\n' }, 'a'],
    [header, { fields: 'X-Api-Key:\r\n' }, undefined],
    [header, { fields: 'X-Api-Keys: a\r\n' }, undefined],
    [accept, { fields: 'Accept: a\r\nAccept: b\r\n' }, undefined],
    [cookie, { fields: 'Cookie: a=b; sid=1; c=d\r\n' }, '1'],
    [cookie, { fields: 'Cookie: sid=1\r\nCookie: sid=2\r\n' }, undefined],
    [cookie, { fields: 'Cookie: sid=1; sid=2; sid=1\r\n' }, undefined],
    [cookie, { fields: 'Cookie: SID=1; xsid=2\r\n' }, undefined],
    [query, { target: '/?id=7' }, '7'],
    [query, { target: '/?%69d=%37&x=1' }, '7'],
    [query, { target: '/?id=7&id=8' }, undefined],
    [query, { target: '/?id=7&%69d=%37' }, '7'],
    [query, { target: '/?id' }, undefined],
    [query, { target: '/?id=a+b%20c' }, 'a b c'],
    [query, { target: '/?id=%zz' }, '%zz'],
  ]
  for (const [source, request, value] of cases)
    assert.equal(valueIn(source, request), value, JSON.stringify([source, request]))
})

test('other spellings of one session, key or name count as the same one', () => {
  const cookie: CheckedSource = { by: 'cookie', name: 'sid' }
  const key: CheckedSource = { by: 'header', name: 'Authorization' }
  const query: CheckedSource = { by: 'query', name: 'id' }
  const path: CheckedSource = { by: 'path', name: 'id' }
  const alike: readonly (readonly [CheckedSource, readonly FakeRequest[]])[] = [
    [
      cookie,
      ['sid=a.b', 'sid="a.b"', 'sid=%61.b', 'sid=a%2eb', 'sid=%61%2E%62'].map(one => ({
        fields: `Cookie: ${one}\r\n`,
      })),
    ],
    [
      key,
      ['Bearer k', 'bearer k', 'BEARER  k', 'bEaReR \t k'].map(one => ({
        fields: `Authorization: ${one}\r\n`,
      })),
    ],
    [
      key,
      ['Basic dTpw', 'basic dTpw', 'BASIC dTpw=', 'Basic dTp w'].map(one => ({
        fields: `Authorization: ${one}\r\n`,
      })),
    ],
    [query, ['/?id=b%ff', '/?id=%62%ff', '/?id=%62%FF'].map(target => ({ target }))],
    [path, ['b@x', 'b%40x', '%62%40%78'].map(id => ({ parameters: { id } }))],
  ]
  for (const [source, requests] of alike) {
    const values = new Set(requests.map(request => valueIn(source, request)))
    assert.equal(values.size, 1, JSON.stringify([...values]))
  }
  assert.notEqual(
    valueIn(key, { fields: 'Authorization: Bearer k\r\n' }),
    valueIn(key, { fields: 'Authorization: Bearer K\r\n' }),
  )
})

test('long values count by their hash, different ones differently', () => {
  const source: CheckedSource = { by: 'query', name: 'id' }
  const long = (end: string): string => valueIn(source, { target: `/?id=${'a'.repeat(5_000)}${end}` }) ?? ''
  assert.ok(long('1').length < 64)
  assert.notEqual(long('1'), long('2'))
})

test('accounts, sessions and keys are what the file says, sessions and keys by a name; claims and hooks where somebody set them', () => {
  const identity: VisitSetup['identity'] = {
    account: [
      { by: 'jwt', name: 'sub' },
      { by: 'header', name: 'x-user' },
    ],
    session: [{ by: 'cookie', name: 'sid' }],
    key: [{ by: 'key' }, { by: 'header', name: 'x-api-key' }],
  }
  const passage = new FakePassage({ fields: 'X-User: bob\r\nCookie: sid=secret\r\nX-Api-Key: k\r\n' })
  const visit = visitFor(passage, { identity })
  assert.equal(visit.account, 'bob')
  assert.equal(visit.isVerified('account'), false)
  assert.match(visit.session, /^[\w-]{22}$/)
  assert.match(visit.key, /^[\w-]{22}$/, 'a source that names itself has no value')
  const verified = visitFor(new FakePassage({ fields: 'X-User: bob\r\n' }), { identity })
  verified.claims = { sub: 42 }
  assert.deepEqual([verified.account, verified.isVerified('account')], ['42', true])
  const hooks = { country: (address: string) => (address === '192.0.2.1' ? 'DE' : undefined), asn: null }
  assert.equal(valueIn({ by: 'country' }, {}, { hooks }), 'DE')
  assert.equal(valueIn({ by: 'asn' }, {}, { hooks }), undefined)
  assert.equal(valueIn({ by: 'path', name: 'id' }, { parameters: { id: '7' } }), '7')
  assert.equal(valueIn({ by: 'route' }, {}), 'route-1')
})
