// Sessions over real Redis and in process: the same promises; then the adapters with the real frameworks.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { serve } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import {
  createSessions,
  type Session,
  type SessionOptions,
  type Sessions,
} from '../../src/app/sessions/index.ts'
import { fakeClock, SECOND } from '../../src/kit/clock.ts'
import { Failure } from '../../src/kit/failure.ts'
import { eventually, type RedisServer, startRedis } from '../tools/redis-server.ts'

interface Data {
  user: string
  visits: number
  cart: { items: string[] }
  [field: `f${number}`]: string
}

const secret = 'first-secret-of-at-least-32-characters'
const former = 'former-secret-of-at-least-32-characters'

function sessionsAt(
  t: TestContext,
  redis: string | readonly string[],
  more: Partial<SessionOptions> = {},
): Sessions<Data> {
  const sessions = createSessions<Data>({
    secrets: [secret],
    redis,
    link: { timeoutMs: 5_000, retryMsMax: 100 },
    ...more,
  })
  t.after(() => sessions.close())
  return sessions
}

/** `name=value` of a Set-Cookie. */
const cookieOf = (setCookie: string | null | undefined): string => {
  assert.ok(setCookie, 'no cookie was set')
  return setCookie.split(';')[0]!
}

async function answering(sessions: Sessions<Data>): Promise<void> {
  const probe = `__Host-session=${'a'.repeat(32)}.${'b'.repeat(43)}`
  await eventually('sessions answer', () =>
    sessions
      .open(probe)
      .then(
        async session => {
          session.set('user', 'probe')
          await session.save()
          await session.end()
          return true
        },
        () => false,
      )
      .catch(() => false),
  )
}

async function started(sessions: Sessions<Data>, user: string): Promise<string> {
  const session = await sessions.open(null)
  session.set('user', user)
  assert.equal(await session.save(), true)
  return cookieOf(session.setCookie())
}

const stores: readonly (readonly [string, (t: TestContext) => Promise<string | readonly string[]>])[] = [
  ['in process', async () => 'memory'],
  ['one server', async t => (await startRedis(t)).url],
  ['two servers', async t => [(await startRedis(t)).url, (await startRedis(t)).url]],
]

for (const [where, store] of stores) {
  test(`${where}: the promises of sessions`, async t => {
    const redis = await store(t)
    const sessions = sessionsAt(t, redis)
    await answering(sessions)

    await t.test('who has no data gets no cookie and costs the store nothing', async () => {
      const session = await sessions.open(undefined)
      assert.equal(session.get('user'), undefined)
      assert.equal(await session.save(), true)
      assert.deepEqual([session.setCookie(), session.id, session.state], [null, null, 'none'])
    })

    await t.test('what is set is there for the next request, also what was changed in place', async () => {
      const cookie = await started(sessions, 'ada')
      const second = await sessions.open(`a=b; ${cookie}; c=d`)
      assert.equal(second.get('user'), 'ada')
      second.set('cart', { items: ['x'] })
      assert.equal(await second.save(), true)
      assert.equal(second.setCookie(), null, 'the cookie is sent once')
      const third = await sessions.open(cookie)
      third.get('cart')!.items.push('y')
      third.delete('user')
      assert.equal(third.changed, true)
      await third.save()
      const fourth = await sessions.open(cookie)
      assert.deepEqual(
        [fourth.get('cart'), fourth.get('user'), fourth.names()],
        [{ items: ['x', 'y'] }, undefined, ['cart']],
      )
      assert.equal(fourth.changed, false)
    })

    await t.test('parallel requests that change different fields lose nothing', async () => {
      const cookie = await started(sessions, 'ada')
      const all = await Promise.all(Array.from({ length: 40 }, () => sessions.open(cookie)))
      for (const [i, session] of all.entries()) session.set(`f${i}`, `v${i}`)
      await Promise.all(all.map(session => session.save()))
      const after = await sessions.open(cookie)
      for (const i of all.keys()) assert.equal(after.get(`f${i}`), `v${i}`)
      assert.equal(after.get('user'), 'ada')
    })

    await t.test('a logout is not undone by a slower request, which is told', async () => {
      const cookie = await started(sessions, 'ada')
      const slow = await sessions.open(cookie)
      const logout = await sessions.open(cookie)
      await logout.end()
      assert.match(
        logout.setCookie()!,
        /^__Host-session=; Path=\/; Max-Age=0; HttpOnly; Secure; SameSite=Lax$/,
      )
      slow.set('visits', 2)
      assert.equal(await slow.save(), false)
      assert.equal(slow.setCookie(), null)
      const later = await sessions.open(cookie)
      assert.deepEqual([later.state, later.get('user'), later.get('visits')], ['none', undefined, undefined])
    })

    await t.test(
      'a login changes the id; the old one is worth nothing, and its requests undo nothing',
      async () => {
        const planted = await started(sessions, 'anonymous')
        const slow = await sessions.open(planted)
        const login = await sessions.open(planted)
        login.set('visits', 1)
        await login.regenerate()
        login.set('user', 'ada')
        await login.save()
        const cookie = cookieOf(login.setCookie())
        assert.notEqual(cookie, planted)
        const mine = await sessions.open(cookie)
        assert.deepEqual([mine.get('user'), mine.get('visits')], ['ada', 1])
        slow.set('visits', 9)
        assert.equal(await slow.save(), false)
        const thief = await sessions.open(planted)
        assert.deepEqual([thief.state, thief.get('user')], ['rotated', undefined])
        thief.set('visits', 7)
        assert.equal(await thief.save(), false)
        assert.equal(thief.setCookie(), null, 'a late request of before must not take the new cookie away')
        await thief.regenerate()
        thief.set('user', 'eve')
        assert.equal(await thief.save(), true)
        assert.notEqual(cookieOf(thief.setCookie()), cookie)
        assert.equal((await sessions.open(cookie)).get('user'), 'ada')
      },
    )

    await t.test('a login of one who has no session begins one', async () => {
      const login = await sessions.open(null)
      await login.regenerate()
      login.set('user', 'bob')
      await login.save()
      assert.equal((await sessions.open(cookieOf(login.setCookie()))).get('user'), 'bob')
    })

    await t.test('a session that ended while it logs in takes nothing of before along', async () => {
      const cookie = await started(sessions, 'old-user')
      const login = await sessions.open(cookie)
      assert.equal(login.get('user'), 'old-user')
      await (await sessions.open(cookie)).end()
      login.set('visits', 1)
      await login.regenerate()
      await login.save()
      const after = await sessions.open(cookieOf(login.setCookie()))
      assert.deepEqual([after.get('user'), after.get('visits')], [undefined, 1])
    })

    await t.test('a tampered, foreign or unsigned id is nobody, and is never adopted', async () => {
      const cookie = await started(sessions, 'ada')
      const value = cookie.slice(cookie.indexOf('=') + 1)
      const [id, signature] = value.split('.') as [string, string]
      const flip = (text: string): string =>
        text.startsWith('A') ? `B${text.slice(1)}` : `A${text.slice(1)}`
      for (const bad of [
        id,
        `${id}.`,
        `${flip(id)}.${signature}`,
        `${id}.${flip(signature)}`,
        `${value}x`,
        '',
        'x'.repeat(10_000),
      ]) {
        const session = await sessions.open(`__Host-session=${bad}`)
        assert.equal(session.state, 'none', bad)
        session.set('user', 'eve')
        await session.save()
        assert.ok(
          !cookieOf(session.setCookie()).includes(id) && !cookieOf(session.setCookie()).includes(flip(id)),
        )
      }
      const planted = await sessions.open(`__Host-session=${flip(id)}.${signature}; ${cookie}`)
      assert.equal(planted.get('user'), 'ada', 'a planted cookie in front does not log out')
    })

    await t.test('more than the bound is refused as a whole', async () => {
      const cookie = await started(sessions, 'ada')
      const big = await sessions.open(cookie)
      big.set('cart', { items: ['x'.repeat(40_000)] })
      big.set('visits', 3)
      await assert.rejects(big.save(), { code: 'SESSION_TOO_BIG' })
      const many = await sessions.open(cookie)
      for (let i = 0; i < 100; i++) many.set(`f${i}`, 'v')
      await assert.rejects(many.save(), { code: 'SESSION_TOO_BIG' })
      const after = await sessions.open(cookie)
      assert.deepEqual(after.names(), ['user'])
      assert.throws(() => after.set('cart', (() => {}) as never), { code: 'SESSION_VALUE_WRONG' })
      const circle: { items: string[]; self?: unknown } = { items: [] }
      circle.self = circle
      after.set('cart', circle)
      await assert.rejects(after.save(), { code: 'SESSION_VALUE_WRONG' })
    })

    await t.test(
      'secrets are rotated: the former still opens, the answer carries a new signature',
      async () => {
        const old = sessionsAt(t, redis, { secrets: [former] })
        const both = sessionsAt(t, redis, { secrets: [secret, former] })
        if (redis === 'memory') return
        await answering(both)
        await answering(old)
        const cookie = await started(old, 'ada')
        const session = await both.open(cookie)
        assert.equal(session.get('user'), 'ada')
        const renewed = cookieOf(session.setCookie())
        assert.notEqual(renewed, cookie)
        assert.equal((await sessions.open(renewed)).get('user'), 'ada')
        assert.equal((await sessions.open(cookie)).state, 'none', 'one who does not know the former secret')
      },
    )

    await t.test('a form token is good for its session only', async () => {
      const session = await sessions.open(null)
      const token = session.formToken()
      await session.save()
      const next = await sessions.open(cookieOf(session.setCookie()))
      assert.equal(next.isFormToken(token), true)
      for (const wrong of [undefined, null, '', 'x', `${token}x`])
        assert.equal(next.isFormToken(wrong), false)
      assert.equal((await sessions.open(await started(sessions, 'eve'))).isFormToken(token), false)
      assert.equal((await sessions.open(null)).isFormToken(token), false)
    })
  })
}

test('in process: each use begins the idle time anew, and after its absolute time a session ends in any case', async t => {
  const clock = fakeClock()
  const limits = { idleMs: 10_000, absoluteMs: 30_000, touchMs: 1_000 }
  const sessions = sessionsAt(t, 'memory', { ...limits, clock, cookie: { persistent: true } })
  const cookie = await started(sessions, 'ada')
  for (let second = 9; second < 30; second += 9) {
    clock.advance(9 * SECOND)
    const session = await sessions.open(cookie)
    assert.equal(session.get('user'), 'ada')
    assert.match(session.setCookie() ?? '', /Max-Age=10;/, 'a cookie that outlives the window is sent again')
  }
  assert.equal((await sessions.open(cookie)).setCookie(), null, 'not at each request')
  clock.advance(3 * SECOND)
  assert.equal((await sessions.open(cookie)).state, 'none')
  const idle = await started(sessions, 'bob')
  clock.advance(10 * SECOND)
  assert.equal((await sessions.open(idle)).state, 'none')
})

test("in Redis: the same, by the server's time", async t => {
  const server = await startRedis(t)
  const hourMs = 3_600_000
  const sessions = sessionsAt(t, server.url, { idleMs: hourMs, absoluteMs: 2 * hourMs, touchMs: 60_000 })
  await answering(sessions)
  const session = await sessions.open(null)
  session.set('user', 'ada')
  await session.save()
  const cookie = cookieOf(session.setCookie())
  const key = `tf:{sessions}:s:${session.id}`
  const leftMs = async (): Promise<number> => Number(await server.ask('PTTL', key))
  assert.ok((await leftMs()) > hourMs - 60_000)
  // Time goes by: less than what makes a use count, then more.
  await server.ask('PEXPIRE', key, String(hourMs - 30_000))
  await sessions.open(cookie)
  assert.ok((await leftMs()) <= hourMs - 30_000, 'a read stays a read')
  await server.ask('PEXPIRE', key, String(hourMs / 2))
  await sessions.open(cookie)
  assert.ok((await leftMs()) > hourMs - 60_000, 'its idle time began anew')
  const madeAt = Number(await server.ask('HGET', key, 'c'))
  await server.ask('HSET', key, 'c', String(madeAt - 1.5 * hourMs))
  await server.ask('PEXPIRE', key, String(hourMs / 4))
  await sessions.open(cookie)
  assert.ok((await leftMs()) <= hourMs / 2, 'not beyond its absolute time')
  await server.ask('HSET', key, 'c', String(madeAt - 2 * hourMs))
  const late = await sessions.open(cookie)
  assert.deepEqual([late.state, late.get('user'), await server.ask('EXISTS', key)], ['none', undefined, 0])
})

test('options that are unsafe or impossible are refused, with what is allowed', async () => {
  const redis = 'memory'
  const cases: readonly (readonly [SessionOptions, string, RegExp])[] = [
    [{ redis, secrets: [] }, 'SESSION_SECRET_WEAK', /at least 32/],
    [{ redis } as never, 'SESSION_SECRET_WEAK', /a list of 1 to 8/],
    [{ redis, secrets: [undefined] } as never, 'SESSION_SECRET_WEAK', /variable set/],
    [{ secrets: [secret] } as never, 'SESSION_OPTION_WRONG', /redis is absent; allowed: .*'memory'/],
    [{ redis, secrets: ['short'] }, 'SESSION_SECRET_WEAK', /at least 32/],
    [{ redis, secrets: [secret], idleMs: 1 }, 'SESSION_OPTION_WRONG', /idleMs is 1; allowed: 1000/],
    [{ redis, secrets: [secret], cookie: { name: 'a b' } }, 'SESSION_OPTION_WRONG', /cookie.name/],
    [{ redis, secrets: [secret], cookie: { path: '/;x' } }, 'SESSION_OPTION_WRONG', /cookie.path/],
    [{ redis, secrets: [secret], cookie: { domain: 'a;b' } }, 'SESSION_OPTION_WRONG', /cookie.domain/],
    [
      { redis, secrets: [secret], cookie: { sameSite: 'None', secure: false } },
      'SESSION_OPTION_WRONG',
      /Secure only/,
    ],
  ]
  for (const [options, code, sentence] of cases) {
    assert.throws(
      () => createSessions(options),
      error => error instanceof Failure && error.code === code && sentence.test(error.message),
    )
  }
})

test('cookies carry the names and attributes that browsers hold to', async t => {
  const one = async (cookie: SessionOptions['cookie']): Promise<string> => {
    const session = await sessionsAt(t, 'memory', { ...(cookie && { cookie }) }).open(null)
    session.set('user', 'ada')
    return session.setCookie()!.replace(/=[^;]*/, '=V')
  }
  assert.equal(await one(undefined), '__Host-session=V; Path=/; HttpOnly; Secure; SameSite=Lax')
  assert.equal(
    await one({ domain: 'a.example' }),
    '__Secure-session=V; Path=/; Domain=a.example; HttpOnly; Secure; SameSite=Lax',
  )
  assert.equal(
    await one({ path: '/app', sameSite: 'Strict' }),
    '__Secure-session=V; Path=/app; HttpOnly; Secure; SameSite=Strict',
  )
  assert.equal(await one({ secure: false, name: 'sid' }), 'sid=V; Path=/; HttpOnly; SameSite=Lax')
})

test('while the store is away a request with a session is refused, or anonymous where the service says so', async t => {
  const server = await startRedis(t)
  const sessions = sessionsAt(t, server.url)
  const lenient = sessionsAt(t, server.url, { whenAway: 'anonymous' })
  await answering(sessions)
  await answering(lenient)
  const cookie = await started(sessions, 'ada')
  await server.kill()
  await assert.rejects(sessions.open(cookie), error => error instanceof Failure && error.kind.status === 503)
  await assert.rejects(sessions.open(cookie), { code: 'SESSION_STORE_AWAY' })
  const anonymous = await lenient.open(cookie)
  assert.deepEqual(
    [anonymous.state, anonymous.get('user'), await anonymous.save()],
    ['away', undefined, true],
  )
  assert.equal(anonymous.setCookie(), null, 'the cookie stays good')
  anonymous.set('visits', 1)
  await assert.rejects(anonymous.save(), { code: 'SESSION_STORE_AWAY' })
  await assert.rejects((await lenient.open(cookie)).end(), { code: 'SESSION_STORE_AWAY' })
  assert.equal((await sessions.open(null)).state, 'none', 'who has no session is served')
})

// ---- the frameworks -----------------------------------------------------------------------------------------------

type Serve = (sessions: Sessions<Data>) => Promise<{ port: number; close(): Promise<void> }>

const page = (session: Session<Data>): string =>
  `${session.get('user') ?? 'nobody'} ${session.get('visits') ?? 0}`

async function act(path: string, session: Session<Data>): Promise<string> {
  if (path === '/login') {
    await session.regenerate()
    session.set('user', 'ada')
  }
  if (path === '/visit') session.set('visits', (session.get('visits') ?? 0) + 1)
  if (path === '/logout') await session.end()
  if (path === '/big') session.set('cart', { items: ['x'.repeat(50_000)] })
  return path === '/static' ? 'same for all' : page(session)
}

async function listening(server: Server): Promise<{ port: number; close(): Promise<void> }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const frameworks: Readonly<Record<string, Serve>> = {
  'node:http': sessions =>
    listening(
      createServer(
        sessions.node(async (request: { url: string }, response: ServerResponse, session) => {
          const text = await act(request.url, session)
          // A cookie of the service's own, given to writeHead, and one set before.
          response.setHeader('x-kept', '1')
          response.writeHead(200, 'OK', { 'set-cookie': 'own=1', 'content-type': 'text/plain' })
          response.end(text)
        }),
      ),
    ),
  express: sessions => {
    const app = express()
    app.use(sessions.express())
    app.use(async (request, response) => {
      const text = await act(request.path, (request as unknown as { session: Session<Data> }).session)
      response.set('x-kept', '1').cookie('own', '1').send(text)
    })
    return listening(createServer(app))
  },
  fastify: async sessions => {
    const app = fastify()
    await app.register(sessions.fastify())
    app.get('/*', async (request, reply) => {
      reply.header('x-kept', '1').header('set-cookie', 'own=1')
      return act(request.url, (request as unknown as { session: Session<Data> }).session)
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
  },
  hono: async sessions => {
    const app = new Hono<{ Variables: { session: Session<Data> } }>()
    app.use(sessions.hono())
    app.get('/*', async context => {
      context.header('x-kept', '1')
      context.header('set-cookie', 'own=1')
      return context.text(await act(context.req.path, context.get('session')))
    })
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
    if (!server.listening) await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      close: async () => {
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
      },
    }
  },
}

interface Got {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  readonly cookies: readonly string[]
}

async function get(port: number, path: string, cookie?: string): Promise<Got> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...(cookie && { headers: { cookie } }) })
  const { status, headers } = response
  return { status, text: await response.text(), headers, cookies: headers.getSetCookie() }
}

for (const [framework, serveWith] of Object.entries(frameworks)) {
  test(`${framework}: sessions over requests, beside the service's own headers; refused where they can't be kept`, async t => {
    const server: RedisServer = await startRedis(t)
    const sessions = sessionsAt(t, server.url)
    await answering(sessions)
    const running = await serveWith(sessions)
    t.after(() => running.close())
    const { port } = running

    const nobody = await get(port, '/static')
    assert.deepEqual(
      [nobody.text, nobody.cookies.length, nobody.headers.get('x-kept')],
      ['same for all', 1, '1'],
    )
    assert.equal(nobody.headers.get('cache-control'), null)
    const first = await get(port, '/visit')
    assert.equal(first.text, 'nobody 1')
    assert.deepEqual(first.cookies.map(one => one.split('=')[0]).sort(), ['__Host-session', 'own'])
    assert.equal(first.headers.get('cache-control'), 'private')
    const planted = cookieOf(first.cookies.find(one => one.startsWith('__Host-session')))
    assert.equal((await get(port, '/visit', planted)).text, 'nobody 2')
    const login = await get(port, '/login', planted)
    assert.equal(login.text, 'ada 2')
    const cookie = cookieOf(login.cookies.find(one => one.startsWith('__Host-session')))
    assert.equal((await get(port, '/', planted)).text, 'nobody 0')
    assert.equal((await get(port, '/', cookie)).text, 'ada 2')

    const big = await get(port, '/big', cookie)
    assert.equal(big.status, 500)
    assert.equal((await get(port, '/', cookie)).text, 'ada 2')

    const logout = await get(port, '/logout', cookie)
    assert.ok(logout.cookies.some(one => /^__Host-session=;.*Max-Age=0/.test(one)))
    assert.equal((await get(port, '/', cookie)).text, 'nobody 0')

    await server.kill()
    await eventually('it is seen', async () => (await get(port, '/visit')).status === 503)
    assert.equal((await get(port, '/', cookie)).status, 503)
    assert.equal((await get(port, '/static')).status, 200, 'who has no session is served')
  })
}

test('node:http: heads in every form, and bodies in pieces, carry the cookie; what comes after the head makes no session', async t => {
  const sessions = sessionsAt(t, 'memory')
  const heads: Readonly<Record<string, (response: ServerResponse) => void>> = {
    '/implicit': response => void response.write('a'),
    '/flushed': response => response.flushHeaders(),
    '/object': response => void response.writeHead(201, { 'Set-Cookie': ['own=1', 'two=2'] }).write('a'),
    '/list': response => void response.writeHead(201, ['set-cookie', 'own=1', 'x-a', 'b']),
    '/pairs': response => void response.writeHead(201, [['set-cookie', 'own=1'] as never]),
  }
  const running = await listening(
    createServer(
      sessions.node((request: { url: string }, response: ServerResponse, session) => {
        if (request.url !== '/late') session.set('user', 'ada')
        ;(heads[request.url] ?? heads['/flushed']!)(response)
        if (request.url === '/late') session.set('user', 'late')
        response.end('b')
      }),
    ),
  )
  t.after(() => running.close())
  for (const path of Object.keys(heads)) {
    const got = await get(running.port, path)
    const ours = got.cookies.filter(one => one.startsWith('__Host-session='))
    assert.equal(ours.length, 1, path)
    assert.equal(got.cookies.includes('own=1'), ['/object', '/list', '/pairs'].includes(path), path)
    assert.equal((await sessions.open(cookieOf(ours[0]))).get('user'), 'ada', path)
  }
  assert.equal((await get(running.port, '/late')).cookies.length, 0)
})
