import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verdict } from '../passage.ts'
import { FakePassage, type FakeRequest } from '../testing/fake-passage.ts'
import { policyOf, specOf } from '../testing/spec.ts'
import { visitFor } from '../testing/visits.ts'
import { createPart } from './index.ts'

const policy = policyOf('trial', { sameSite: true })
const route = { id: 'route-1', path: '/*' }

function asked(
  request: FakeRequest,
  change: Parameters<typeof policyOf>[1] = {},
): FakePassage & { readonly said: number } {
  const step = createPart().step({ ...policy, ...change }, route, specOf([policy]))
  assert.ok(step)
  const passage = new FakePassage(request)
  const said = step.enter(passage, visitFor(passage))
  return Object.assign(passage, { said })
}

const passes = (request: FakeRequest): boolean => asked(request).said === verdict.pass

test('a policy without sameSite has no step', () => {
  assert.equal(createPart().step(policyOf('trial'), route, specOf([policy])), null)
})

test('what changes something from a page of another site is refused; reading, and what our own pages send, is not', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['POST', 'Sec-Fetch-Site: same-origin\r\n', true],
    ['POST', 'Sec-Fetch-Site: same-site\r\n', true],
    ['POST', 'Sec-Fetch-Site: none\r\n', true],
    ['POST', 'Sec-Fetch-Site: cross-site\r\n', false],
    ['PUT', 'Sec-Fetch-Site: cross-site\r\n', false],
    ['DELETE', 'Sec-Fetch-Site: cross-site\r\n', false],
    ['PATCH', 'Sec-Fetch-Site: cross-site\r\n', false],
    ['get', 'Sec-Fetch-Site: cross-site\r\n', false],
    ['MADE-UP', 'Sec-Fetch-Site: cross-site\r\n', false],
    ['GET', 'Sec-Fetch-Site: cross-site\r\n', true],
    ['HEAD', 'Sec-Fetch-Site: cross-site\r\n', true],
    ['OPTIONS', 'Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n', true],
    ['GET', 'Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://evil.example\r\n', false],
    ['GET', 'Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://shop.example\r\n', true],
  ]
  for (const [method, fields, expected] of table)
    assert.equal(passes({ method, fields }), expected, `${method} ${JSON.stringify(fields)}`)
})

test('where a browser does not say Sec-Fetch-Site, Origin has to be the host that is asked', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['shop.example', 'https://shop.example', true],
    ['shop.example', 'http://shop.example', true],
    ['SHOP.example:443', 'https://shop.example', true],
    ['shop.example:8443', 'https://shop.example:8443', true],
    ['shop.example:8443', 'https://shop.example', false],
    ['shop.example', 'https://evil.example', false],
    ['shop.example', 'https://shop.example.evil.example', false],
    ['shop.example', 'https://evil.example/shop.example', false],
    ['shop.example', 'https://shop.example@evil.example', false],
    ['shop.example', 'null', false],
    ['shop.example', 'file://', false],
    ['[2001:db8::1]:80', 'http://[2001:db8::1]', true],
  ]
  for (const [host, origin, expected] of table)
    assert.equal(
      passes({ method: 'POST', host, fields: `Origin: ${origin}\r\n` }),
      expected,
      `${host} ${origin}`,
    )
})

test('a second value does not help, and Sec-Fetch-Site is believed before Origin', () => {
  for (const fields of [
    'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Site: same-origin\r\n',
    'Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n',
    'Origin: https://shop.example\r\nOrigin: https://evil.example\r\n',
    'Sec-Fetch-Site: cross-site\r\nOrigin: https://shop.example\r\n',
    'Sec-Fetch-Site: Same-Origin,\r\n',
  ])
    assert.equal(passes({ method: 'POST', fields }), false, fields)
})

test('a program that is no browser says neither, and passes', () => {
  assert.equal(passes({ method: 'POST' }), true)
})

test('the refusal says why, and a policy that only records lets it pass', () => {
  const request = { method: 'POST', fields: 'Origin: https://evil.example\r\n' }
  const refused = asked(request)
  assert.equal(refused.refusal?.status, 403)
  assert.equal(refused.refusal?.code, 'GUARD_CROSS_SITE')
  assert.equal(asked(request, { detectOnly: ['sameSite'] }).said, verdict.pass)
})
