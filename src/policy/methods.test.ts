import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { isIdempotentMethod, isSafeMethod } from './methods.ts'

test('methods are classed as RFC 9110 9.2 has them', () => {
  const classes = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'CONNECT'].map(
    method =>
      `${method} ${isSafeMethod(method) ? 'safe' : '-'} ${isIdempotentMethod(method) ? 'idempotent' : '-'}`,
  )
  assert.deepEqual(classes, [
    'GET safe idempotent',
    'HEAD safe idempotent',
    'OPTIONS safe idempotent',
    'TRACE safe idempotent',
    'PUT - idempotent',
    'DELETE - idempotent',
    'POST - -',
    'PATCH - -',
    'CONNECT - -',
  ])
})

test('an unknown method, or a known one in lower case, is neither safe nor idempotent', () => {
  for (const method of ['get', 'PURGE', 'X', '', 'toString', '__proto__'])
    assert.ok(!isSafeMethod(method) && !isIdempotentMethod(method), method)
})
