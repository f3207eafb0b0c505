// Who services believe to be asking, in all four frameworks, by the field that the edge writes.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { Failure } from '../../kit/failure.ts'
import { writeIdentity } from '../../wire/identity-header.ts'
import { createIdentityChecks, requireScope, verifyIdentity } from './index.ts'

const key = Buffer.alloc(32, 5)
const checks = createIdentityChecks({ key: key.toString('base64url') })
const mac = (text: string): string => createHmac('sha256', key).update(text).digest('base64url')
const field = (change: object = {}, ageMs = 0): string =>
  writeIdentity(
    {
      by: 'jwt',
      source: 'staff',
      sub: 'ada',
      scopes: ['orders:write'],
      claims: { role: ['admin', 'buyer'] },
      until: 9_999_999_999,
      method: 'GET',
      host: 'shop.example',
      path: '/',
      rid: 'r1',
      ...change,
    },
    Date.now() - ageMs,
    mac,
  ) as string
const asked = (token: string, id = 'r1', method = 'GET') => ({
  method,
  headers: { 'tenfold-identity': token, 'x-request-id': id },
})

test('who the edge verified is known, with the scopes, claims and way that are wished for', () => {
  const result = checks.verify(asked(field()), {
    scopes: ['orders:write'],
    claims: { role: ['admin'] },
    by: ['jwt:staff'],
  })
  assert.equal(result.known && result.identity.subject, 'ada')
  const refused = (wish: object): unknown => {
    const one = checks.verify(asked(field()), wish)
    return one.known ? one : [one.status, one.reason]
  }
  assert.deepEqual(refused({ scopes: ['orders:write', 'orders'] }), [403, 'scope'])
  assert.deepEqual(refused({ claims: { role: ['owner'] } }), [403, 'claim'])
  assert.deepEqual(refused({ claims: { toString: ['undefined'] } }), [403, 'claim'])
  assert.deepEqual(refused({ claims: { missing: ['undefined'] } }), [403, 'claim'])
  assert.deepEqual(refused({ by: ['oidc', 'jwt:web'] }), [403, 'by'])
})

test('what is missing, forged, too old or of another request is nobody', () => {
  const wrong = {
    missing: asked(''),
    changed: asked(`${field().slice(0, -3)}AAA`),
    old: asked(field({}, 120_000)),
    'of another method': asked(field(), 'r1', 'DELETE'),
    'of another request': asked(field(), 'r2'),
    several: { method: 'GET', headers: { 'tenfold-identity': [field(), field()] } },
  }
  for (const [what, request] of Object.entries(wrong)) {
    const result = checks.verify(request)
    assert.deepEqual([what, !result.known && result.status], [what, 401])
  }
})

test('without a key a check says so at once', () => {
  const saved = process.env.TENFOLD_GUARD_KEY
  delete process.env.TENFOLD_GUARD_KEY
  const code = (error: unknown): boolean => error instanceof Failure && error.code === 'HUMAN_KEY_MISSING'
  assert.throws(() => verifyIdentity(asked(field())), code)
  if (saved !== undefined) process.env.TENFOLD_GUARD_KEY = saved
})

async function portOf(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function statuses(port: number): Promise<number[]> {
  const get = async (token: string): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: asked(token).headers })
    const text = await answer.text()
    if (answer.status === 200) assert.match(text, /ada/)
    return answer.status
  }
  return [await get(field()), await get(field({ scopes: [] })), await get('forged')]
}

test('Express, Fastify and Hono let who may go on, refuse who may not, and send away nobody knows who', async t => {
  const wish = requireScope('orders:write')
  const app = express()
  app.get('/', checks.express(wish), (request, response) => {
    response.json((request as unknown as { identity: object }).identity)
  })
  assert.deepEqual(await statuses(await portOf(t, createServer(app))), [200, 403, 401])
  const fast = fastify()
  fast.get(
    '/',
    { preHandler: checks.fastify(wish) },
    async request => (request as unknown as { identity: object }).identity,
  )
  await fast.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => fast.close())
  assert.deepEqual(await statuses((fast.server.address() as AddressInfo).port), [200, 403, 401])
  const hono = new Hono<{ Variables: { identity: object } }>()
  hono.get('/', checks.hono(wish), context => context.json(context.get('identity')))
  const got = async (token: string): Promise<number> =>
    (await hono.request('/', { headers: asked(token).headers })).status
  assert.deepEqual(
    [await got(field()), await got(field({ scopes: [] })), await got('forged')],
    [200, 403, 401],
  )
})
