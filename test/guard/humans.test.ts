// `tenfold/guard` in services behind a real edge: node:http, Express, Fastify and Hono, with what the edge says and with
// proofs that come with forms. Whatever is forged, missing, used up or can't be asked is no human.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { serve } from '@hono/node-server'
import type { Challenge } from 'altcha-lib'
import express from 'express'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import {
  createHumanChecks,
  type HumanChecks,
  type HumanWish,
  verifyHuman,
} from '../../src/app/guard/index.ts'
import { humanKey } from '../../src/guard/challenge/index.ts'
import { Failure } from '../../src/kit/failure.ts'
import { base, cleared, json, routes, solved, told } from './challenges.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'
import { startSiteverify } from './siteverify.ts'

// Nobody is asked for a challenge by the route itself: what is tested is what services do with what they are told.
const guard = specOf([policyOf('trial', { challenge: 'suspicious' })])
const everybody = specOf([policyOf('trial', { challenge: 'always' })])
const key = humanKey(guard.secretKey)

type Start = (checks: () => HumanChecks) => Promise<{ port: number; close(): Promise<void> }>

const listening = async (server: Server): Promise<{ port: number; close(): Promise<void> }> => {
  if (!server.listening) await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The same little service in each framework: `POST /login` with a form, `POST /buy` for who is cleared, once. */
const frameworks: Record<string, Start> = {
  'node:http': checks =>
    listening(
      createServer((request, response) => {
        let body = ''
        request.on('data', (bytes: Buffer) => {
          body += bytes.toString()
        })
        request.on('end', async () => {
          const form = body === '' ? undefined : Object.fromEntries(new URLSearchParams(body))
          const wish: HumanWish =
            request.url === '/buy' ? { once: true } : { action: 'login', proof: true, form }
          const result = await checks().verify(request, wish)
          response.writeHead(result.human ? 200 : result.status, { 'content-type': 'application/json' })
          response.end(
            JSON.stringify(result.human ? { by: result.by } : { error: { reason: result.reason } }),
          )
        })
      }),
    ),
  express: checks => {
    const app = express()
    app.use(express.urlencoded())
    const answer: express.RequestHandler = (request, response) => {
      response.json({ by: (request as unknown as { human: { by: string } }).human.by })
    }
    app.post(
      '/login',
      (request, response, next) =>
        checks().express({ action: 'login', proof: true })(request, response, next),
      answer,
    )
    app.post(
      '/buy',
      (request, response, next) => checks().express({ once: true })(request, response, next),
      answer,
    )
    return listening(createServer(app))
  },
  fastify: async checks => {
    const app = fastify()
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
    )
    const login = {
      preHandler: (request: FastifyRequest, reply: FastifyReply) =>
        checks().fastify({ action: 'login', proof: true })(request, reply),
    }
    app.post('/login', login, async () => ({ by: 'pow' }))
    app.post('/buy', async (request, reply) => {
      const result = await checks().verify(request, { once: true })
      return result.human
        ? { by: result.by }
        : reply.code(result.status).send({ error: { reason: result.reason } })
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
  },
  hono: async checks => {
    const app = new Hono()
    app.post(
      '/login',
      (context, next) => checks().hono({ action: 'login', proof: true })(context, next),
      context => context.json({ by: 'pow' }),
    )
    app.post('/buy', async context => {
      const result = await checks().verify(context, { once: true })
      return result.human
        ? context.json({ by: result.by })
        : context.json({ error: { reason: result.reason } }, result.status)
    })
    const server = await new Promise<Server>(resolve => {
      const started = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () =>
        resolve(started as Server),
      )
    })
    return listening(server)
  },
}

interface Answer {
  readonly by?: string
  readonly error?: { readonly reason: string }
}

async function served(
  t: TestContext,
  start: Start,
  spec = guard,
): Promise<{ edge: GuardedEdge; port: number }> {
  let checks: HumanChecks | null = null
  const { port, close } = await start(() => checks as HumanChecks)
  t.after(close)
  const edge = await startGuardedEdge(t, spec, { routes, members: [port] })
  checks = createHumanChecks({ key, url: `http://127.0.0.1:${edge.edge.port}`, timeoutMs: 20_000 })
  t.after(async () => checks?.close())
  return { edge, port }
}

const post = (edge: GuardedEdge, path: string, fields: string, form?: Readonly<Record<string, string>>) =>
  told<Answer>(edge, {
    method: 'POST',
    path,
    fields: `${json}${fields}${form === undefined ? '' : 'Content-Type: application/x-www-form-urlencoded\r\n'}`,
    ...(form === undefined ? {} : { body: new URLSearchParams(form).toString() }),
  })

for (const [name, start] of Object.entries(frameworks)) {
  test(`${name}: a form passes with a fresh proof of its own, once, for its own action`, async t => {
    const { edge } = await served(t, start)
    const proofFor = async (action: string): Promise<string> =>
      await solved((await told<Challenge>(edge, { path: `${base}new?action=${action}`, fields: json })).value)
    const altcha = await proofFor('login')
    const first = await post(edge, '/login', '', { altcha })
    assert.deepEqual([first.status, first.value.by], [200, 'pow'])
    const again = await post(edge, '/login', '', { altcha })
    assert.deepEqual([again.status, again.value.error?.reason], [403, 'spent'])
    const other = await post(edge, '/login', '', { altcha: await proofFor('signup') })
    assert.deepEqual([other.status, other.value.error?.reason], [403, 'other-action'])
    const none = await post(edge, '/login', '', { user: 'ada' })
    assert.deepEqual([none.status, none.value.error?.reason], [403, 'no-proof'])
    const stolen = await post(edge, '/login', 'User-Agent: thief\r\n', { altcha: await proofFor('login') })
    assert.deepEqual([stolen.status, stolen.value.error?.reason], [403, 'other-client'])
  })

  test(`${name}: who is cleared may buy once, then is challenged again; nobody is believed who says it himself`, async t => {
    const { edge, port } = await served(t, start, everybody)
    const cookie = await cleared(edge)
    const bought = await post(edge, '/buy', `Cookie: ${cookie}\r\n`)
    assert.deepEqual([bought.status, bought.value.by], [200, 'pow'])
    const again = await post(edge, '/buy', `Cookie: ${cookie}\r\n`)
    assert.equal(again.status, 403)
    const direct = await fetch(`http://127.0.0.1:${port}/buy`, {
      method: 'POST',
      headers: { 'tenfold-human': 'e30.e30.x' },
    })
    assert.equal(direct.status, 403)
    assert.equal(((await direct.json()) as Answer).error?.reason, 'no-statement')
  })
}

test('an uncleared client is told apart from one whose proof can not be asked about', async t => {
  const { edge } = await served(t, frameworks['node:http'] as Start)
  const uncleared = await post(edge, '/buy', '')
  assert.deepEqual([uncleared.status, uncleared.value.error?.reason], [403, 'not-cleared'])
  let statement = ''
  const service = await listening(
    createServer((request, response) => {
      statement = String(request.headers['tenfold-human'])
      response.end()
    }),
  )
  t.after(service.close)
  await edge.reload(guard, { members: [service.port] })
  await edge.ask({ method: 'POST', path: '/buy' })
  const request = { method: 'POST', headers: { 'tenfold-human': statement } }
  const wish = { action: 'login', form: { altcha: 'e30=' } }
  for (const url of ['http://127.0.0.1:1', `http://127.0.0.1:${service.port}`]) {
    const checks = createHumanChecks({ key, url, timeoutMs: 5_000 })
    const result = await checks.verify(request, wish)
    checks.close()
    assert.deepEqual(
      [result.human, !result.human && result.reason, !result.human && result.status],
      [false, 'unverifiable', 503],
    )
  }
  // Of another request: another method, or another id beside it.
  const checks = createHumanChecks({ key })
  t.after(async () => checks.close())
  assert.equal((await checks.verify({ ...request, method: 'GET' })).human, false)
  const other = { method: 'POST', headers: { 'tenfold-human': statement, 'x-request-id': 'another' } }
  const result = await checks.verify(other)
  assert.equal(!result.human && result.reason, 'no-statement')
  const strangers = createHumanChecks({ key: Buffer.alloc(32, 1).toString('base64url') })
  t.after(async () => strangers.close())
  const unsigned = await strangers.verify(request)
  assert.equal(!unsigned.human && unsigned.reason, 'no-statement')
})

test('Turnstile in a form of the app is verified with its action, and is good once', async t => {
  const stub = await startSiteverify(t)
  const turnstile = {
    siteKey: '0x4AAAAAAAtrialtrialtri',
    secret: stub.secret,
    hostnames: ['shop.example'],
    verifyUrl: stub.url,
    scriptUrl: stub.scriptUrl,
    timeoutMs: 10_000,
    allowTestKeys: false,
  }
  const spec = { ...guard, challenge: { ...guard.challenge, turnstile } }
  const { edge } = await served(t, frameworks['node:http'] as Start, spec)
  const token = stub.token({ hostname: 'shop.example', action: 'login' })
  const first = await post(edge, '/login', '', { 'cf-turnstile-response': token })
  assert.deepEqual([first.status, first.value.by], [200, 'turnstile'])
  const again = await post(edge, '/login', '', { 'cf-turnstile-response': token })
  assert.equal(again.status, 403)
  const other = await post(edge, '/login', '', {
    'cf-turnstile-response': stub.token({ hostname: 'shop.example', action: 'signup' }),
  })
  assert.deepEqual([other.status, other.value.error?.reason], [403, 'other-action'])
})

test('strangers can ask the edge nothing', async t => {
  const edge = await startGuardedEdge(t, guard, { routes })
  const ask = (fields: string): Promise<number> =>
    edge.ask({ method: 'POST', path: `${base}verify`, fields, body: '{}' }).then(({ status }) => status)
  assert.equal(await ask(''), 401)
  assert.equal(await ask('Authorization: Bearer e30.e30.AAAA\r\n'), 401)
  assert.equal(await ask('Authorization: Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30.\r\n'), 401)
})

test('without a key, or with an option that is wrong, a check says so at once', async () => {
  const saved = process.env.TENFOLD_GUARD_KEY
  delete process.env.TENFOLD_GUARD_KEY
  const code = (error: unknown): boolean => error instanceof Failure && error.code === 'HUMAN_KEY_MISSING'
  assert.throws(() => createHumanChecks(), code)
  await assert.rejects(verifyHuman({ method: 'GET', headers: {} }), code)
  if (saved !== undefined) process.env.TENFOLD_GUARD_KEY = saved
  const wrong = (error: unknown): boolean => error instanceof Failure && error.code === 'HUMAN_OPTION_WRONG'
  assert.throws(() => createHumanChecks({ key, url: 'ftp://x' }), wrong)
  assert.throws(() => createHumanChecks({ key, timeoutMs: 1 }), wrong)
  const checks = createHumanChecks({ key })
  await assert.rejects(checks.verify({ method: 'GET', headers: {} }, { action: 'tenfold-page' }), wrong)
  checks.close()
})
