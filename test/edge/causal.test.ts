// The token of a user's last write, from an instance through a cookie to the instances of the next requests.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proxyRoute, startEdge } from '../tools/edge-harness.ts'
import { answering, ok, startRawOrigin } from '../tools/raw-origin.ts'

const cookieForm = /^tenfold_after=([^;]+); Path=\/; Max-Age=60; HttpOnly; SameSite=Lax(; Secure)?$/

test('what an instance says of its write comes back with the user’s next requests, and nobody else’s', async t => {
  const seen: string[] = []
  let says = ''
  const origin = await startRawOrigin(
    t,
    answering(request => {
      seen.push(
        request.head
          .split('\r\n')
          .filter(line => /^tenfold-after:/i.test(line))
          .join(),
      )
      return ok('done', says === '' ? '' : `Tenfold-After: ${says}\r\nSet-Cookie: own=1\r\n`)
    }),
  )
  const edge = await startEdge(t, {
    routes: [proxyRoute('/plain/*'), proxyRoute('/*', { causal: true })],
    members: [origin.port],
    trustedProxies: ['127.0.0.0/8'],
  })
  const ask = async (path: string, headers: Record<string, string> = {}): Promise<Response> => {
    const response = await fetch(`${edge.url}${path}`, { headers })
    await response.text()
    return response
  }
  const cookiesOf = (response: Response): string[] =>
    response.headers.getSetCookie().filter(line => line.startsWith('tenfold_after'))

  says = '1/16B374D848'
  const wrote = await ask('/orders')
  assert.equal(wrote.headers.get('tenfold-after'), null, 'positions are not told to clients')
  const [cookie = ''] = cookiesOf(wrote)
  assert.match(cookie, cookieForm)
  assert.equal(cookieForm.exec(cookie)?.[1], says)
  assert.equal(wrote.headers.getSetCookie().length, 2, 'the instance’s own cookies stay')
  says = ''
  await ask('/orders', { cookie: `a=b; tenfold_after=1/16B374D848; c=d` })
  assert.equal(seen.at(-1), 'Tenfold-After: 1/16B374D848')
  await ask('/orders')
  assert.equal(seen.at(-1), '')

  await ask('/orders', { 'Tenfold-After': '9/FF' })
  assert.equal(seen.at(-1), '', 'a client’s own field is not believed')
  await ask('/orders', { 'Tenfold-After': '9/FF', cookie: 'tenfold_after=1/A' })
  assert.equal(seen.at(-1), 'Tenfold-After: 1/A')
  for (const wrong of ['1/A%0d%0aX: y', '1/a', '0/1', 'x'.repeat(3_000), '1/A"', '']) {
    await ask('/orders', { cookie: `tenfold_after=${wrong}` })
    assert.equal(seen.at(-1), '', wrong.slice(0, 40))
  }

  says = '1/50'
  const older = await ask('/orders', { cookie: 'tenfold_after=1/60' })
  assert.deepEqual(cookiesOf(older), [], 'the client has a later one')
  const switched = await ask('/orders', { cookie: 'tenfold_after=2/60' })
  assert.match(
    cookiesOf(switched)[0] ?? '',
    /^tenfold_after=1\/50;/,
    'positions of two timelines can’t be compared',
  )
  const secure = await ask('/orders', { 'x-forwarded-proto': 'https' })
  assert.match(cookiesOf(secure)[0] ?? '', /; Secure$/)
  says = 'nonsense'
  const wrong = await ask('/orders')
  assert.deepEqual(cookiesOf(wrong), [])
  assert.equal(wrong.headers.get('tenfold-after'), null)

  says = '1/70'
  const plain = await ask('/plain/orders', { cookie: 'tenfold_after=1/60' })
  assert.deepEqual(cookiesOf(plain), [], 'routes that are not causal have none of it')
  assert.equal(seen.at(-1), '')
})
