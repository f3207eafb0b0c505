import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSystem, renderProblems } from '../file/index.ts'
import { guardLines } from './guard-summary.ts'

function linesOf(guard: object | undefined, routes: readonly object[]): string[] {
  const result = checkSystem({
    name: 'shop',
    services: { api: { command: 'node api.mjs' } },
    edge: { routes },
    ...(guard ? { guard } : {}),
  })
  assert.ok(result.ok, result.ok ? '' : renderProblems('test', result.problems))
  return guardLines(result.system)
}

test('each policy says what it asks and of which routes; routes that let everybody pass are named', () => {
  const guard = {
    identity: { account: 'cookie:account' },
    policies: {
      checkout: {
        limit: [{ rate: '5/min', by: 'account' }, '50/s'],
        waf: 'block',
        uploads: ['image/png'],
        challenge: 'suspicious',
        room: { admit: '50/s' },
        quota: { by: 'account', amount: 4 },
        headers: 'strict',
        sameSite: true,
        detectOnly: ['limit', 'room'],
      },
      nothing: { waf: false },
    },
  }
  assert.deepEqual(
    linesOf(guard, [
      { path: '/orders', methods: ['POST'], to: 'api', guard: 'checkout' },
      { path: '/basket', to: 'api', guard: 'checkout' },
      { path: '/*', to: 'api' },
    ]),
    [
      'guard checkout: limit account + ip (only recorded), sameSite, risk, challenge suspicious, waf block, uploads, room checkout (only recorded), quota checkout, headers; POST /orders, /basket',
      'guard nothing: nothing; no route',
      'no guard: /*',
    ],
  )
})

test('many routes are counted', () => {
  const routes = Array.from({ length: 12 }, (_, index) => ({ path: `/${index}`, to: 'api', guard: 'a' }))
  assert.deepEqual(linesOf({ policies: { a: {} } }, routes), [
    'guard a: waf detect; /0, /1, /2, /3, /4, /5, /6, /7 and 4 more',
  ])
})

test('nothing is said where there is no guard', () => {
  assert.deepEqual(linesOf(undefined, [{ path: '/*', to: 'api' }]), [])
})
