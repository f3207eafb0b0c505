// Logins against a real OpenID provider over real HTTP: the login's pages as the edge would call them, a browser's cookie
// jar, the provider's own login and consent.

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as soon } from 'node:timers/promises'
// @ts-expect-error: the package brings no types
import { Provider as OpenIdProvider } from 'oidc-provider'
import { type FakeClock, fakeClock } from '../../../kit/clock.ts'
import { SpentTable, spentTableBytes } from '../../challenge/spent-table.ts'
import { FakePassage, type FakeRequest } from '../../testing/fake-passage.ts'
import { visitFor } from '../../testing/visits.ts'
import type { VerifiedIdentity } from '../contract.ts'
import { Login } from './login.ts'
import type { LoginSpec } from './login-spec.ts'

const host = '127.0.0.1:8443'
const base = '/.tenfold/guard/login/web/'
const page = 'Accept: text/html\r\n'
const secretKey = Buffer.alloc(32, 9).toString('base64')

/** Cookies of one browser, for one host. */
class Jar {
  readonly cookies = new Map<string, string>()

  keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';')
      const name = pair.slice(0, pair.indexOf('='))
      const over = attributes.some(one => /^ *(?:max-age=0|expires=Thu, 01 Jan 1970)/i.test(one))
      if (over) this.cookies.delete(name)
      else this.cookies.set(name, pair.slice(pair.indexOf('=') + 1))
    }
  }

  get text(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }
}

interface Seen {
  readonly status: number
  readonly fields: string
  readonly body: string
  readonly location: string
}

interface Trial {
  readonly login: Login
  readonly spec: LoginSpec
  readonly clock: FakeClock
  readonly told: string[]
  readonly another: (change: Partial<LoginSpec>, name?: string) => Login
  ask(path: string, jar: Jar, request?: FakeRequest, login?: Login): Promise<Seen>
  who(jar: Jar, request?: FakeRequest, login?: Login): VerifiedIdentity | null
}

async function trial(
  t: TestContext,
  change: Partial<LoginSpec> = {},
  { down = false, pushed = true } = {},
): Promise<Trial> {
  const server: Server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const clock = fakeClock(Date.now() * 1_000)
  const ended = new SpentTable(new SharedArrayBuffer(spentTableBytes), 1)
  const told: string[] = []
  const spec: LoginSpec = {
    issuer,
    clientId: 'shop',
    clientSecret: 'a secret of the client, long enough',
    scopes: ['openid', 'profile', 'email'],
    claims: ['email'],
    origins: [],
    idleMs: 3_600_000,
    absoluteMs: 43_200_000,
    afterLogout: '/bye',
    timeoutMs: 10_000,
    clockToleranceMs: 30_000,
    parameters: {},
    ...change,
  }
  const silence = console.warn
  console.warn = () => {}
  const provider = new OpenIdProvider(issuer, {
    clients: [
      {
        client_id: 'shop',
        client_secret: 'a secret of the client, long enough',
        redirect_uris: [`http://${host}${base}callback`],
        post_logout_redirect_uris: [`http://${host}/bye`],
      },
    ],
    features: { pushedAuthorizationRequests: { enabled: pushed } },
    claims: { email: ['email'] },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email: id === 'much' ? 'x'.repeat(5_000) : `${id}@shop.example` }),
    }),
  })
  console.warn = silence
  const handler = provider.callback()
  server.on('request', (request, response) => {
    if (down) response.writeHead(500).end()
    else void handler(request, response)
  })
  const another = (other: Partial<LoginSpec>, name = 'web'): Login =>
    new Login(name, { ...spec, ...other }, secretKey, { clock, ended, tell: text => told.push(text) })
  const login = another({})
  return {
    login,
    spec,
    clock,
    told,
    another,
    ask: async (path, jar, request = {}, by = login) => {
      const { fields = page } = request
      const cookie = jar.text === '' ? '' : `Cookie: ${jar.text}\r\n`
      const passage = new FakePassage({ host, target: path, ...request, fields: fields + cookie })
      by.page(passage, path.slice(base.length).split('?')[0] as string, visitFor(passage))
      const until = performance.now() + 30_000
      while (passage.answer === null && performance.now() < until) await soon()
      const answer = passage.answer as unknown as { status: number; fields: string; body: string }
      const lines = answer.fields.split('\r\n')
      jar.keep(lines.flatMap(line => /^Set-Cookie: (.*)$/.exec(line)?.[1] ?? []))
      const location = lines.flatMap(line => /^Location: (.*)$/.exec(line)?.[1] ?? [])[0] ?? ''
      return { ...answer, location }
    },
    who: (jar, request = {}, by = login) => {
      const fields = `Cookie: ${jar.text}\r\n`
      return by.verify(new FakePassage({ host, fields, ...request })) as VerifiedIdentity | null
    },
  }
}

/** A person at the provider: logs in, consents; gives the address that the provider sends the browser to. */
async function atProvider(url: string, account: string, jar: Jar = new Jar()): Promise<string> {
  let next = url
  let form: URLSearchParams | null = null
  for (let hop = 0; hop < 20; hop++) {
    const answer: Response = await fetch(next, {
      redirect: 'manual',
      headers: { cookie: jar.text },
      ...(form === null ? {} : { method: 'POST', body: form }),
    })
    jar.keep(answer.headers.getSetCookie())
    const to = answer.headers.get('location')
    form = null
    if (to !== null) {
      next = new URL(to, next).href
      if (new URL(next).host === host) return next
      continue
    }
    const html = await answer.text()
    const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1]
    assert.ok(
      prompt !== undefined,
      `the provider shows no form at ${next}: ${answer.status} ${html.slice(0, 2_000)}`,
    )
    form = new URLSearchParams({ prompt, ...(prompt === 'login' ? { login: account, password: 'any' } : {}) })
    next = new URL(/action="([^"]+)"/.exec(html)?.[1] ?? next, next).href
  }
  throw new Error('the provider sends us around')
}

const pathOf = (url: string): string => url.slice(new URL(url).origin.length)

async function loggedIn(trialOf: Trial, jar: Jar, account = 'ada', to = '/orders?a=1'): Promise<Seen> {
  const start = await trialOf.ask(`${base}start?to=${encodeURIComponent(to)}`, jar)
  assert.equal(start.status, 302, start.body)
  return await trialOf.ask(pathOf(await atProvider(start.location, account)), jar)
}

test('who logs in at the provider has a session and lands where he wanted to go; nothing of the provider is in the clear', async t => {
  const one = await trial(t, {}, { pushed: false })
  const jar = new Jar()
  const start = await one.ask(`${base}start?to=${encodeURIComponent('/orders?a=1')}`, jar)
  const asked = new URL(start.location).searchParams
  assert.equal(asked.get('code_challenge_method'), 'S256')
  assert.ok((asked.get('state') ?? '').length >= 20 && (asked.get('nonce') ?? '').length >= 20)
  assert.match(start.fields, /Cache-Control: no-store/)
  assert.match(start.fields, /HttpOnly; SameSite=Lax/)
  const back = await one.ask(pathOf(await atProvider(start.location, 'ada')), jar)
  assert.deepEqual([back.status, back.location], [302, '/orders?a=1'], back.body + one.told.join())
  const who = one.who(jar)
  assert.deepEqual([who?.method, who?.source, who?.subject], ['oidc', 'web', 'ada'])
  assert.deepEqual(who?.claims, { email: 'ada@shop.example', sub: 'ada' })
  assert.ok(who?.scopes.includes('openid'))
  assert.equal(jar.cookies.size, 1, 'the cookie of the flow is gone')
  assert.doesNotMatch(
    Buffer.from([...jar.cookies.values()][0] as string, 'base64url').toString('latin1'),
    /ada|eyJ/,
  )
})

test('an answer of the provider counts once, in the browser that asked, for its own state, from its own issuer', async t => {
  const one = await trial(t)
  const jar = new Jar()
  const start = await one.ask(`${base}start`, jar)
  const saved = jar.text
  const url = pathOf(await atProvider(start.location, 'ada'))
  const victim = new Jar()
  assert.equal((await one.ask(url, victim)).status, 400, 'another browser: login CSRF')
  assert.equal(victim.cookies.size, 0)
  const otherState = url.replace(/state=[^&]{4}/, 'state=AAAA')
  assert.equal((await one.ask(otherState, jar)).status, 400)
  const twice = url.replace(/(state=[^&]*)/, '$1&state=x')
  assert.equal((await one.ask(twice, jar)).status, 400)
  assert.equal((await one.ask(url, jar)).status, 302)
  const replay = new Jar()
  replay.keep([saved])
  assert.equal((await one.ask(url, replay)).status, 400, 'the same answer again')
  for (const [what, change] of [
    [
      'mixed up',
      (text: string) => text.replace(/iss=[^&]*/, `iss=${encodeURIComponent('https://evil.example')}`),
    ],
    ['without its issuer', (text: string) => text.replace(/&iss=[^&]*/, '')],
    ['another code', (text: string) => text.replace(/code=[^&]*/, 'code=stolen')],
    ['without a code', (text: string) => text.replace(/code=[^&]*&?/, '')],
    ['an error', (text: string) => text.replace(/code=[^&]*/, 'error=access_denied')],
  ] as const) {
    const other = new Jar()
    const again = await one.ask(`${base}start`, other)
    const answer = pathOf(await atProvider(again.location, 'ada'))
    const refused = await one.ask(change(answer), other)
    assert.deepEqual([what, refused.status, one.who(other)], [what, 403, null])
  }
})

test('a code that was asked for with another verifier is refused by the provider: PKCE', async t => {
  const one = await trial(t)
  const [mine, stolen] = [new Jar(), new Jar()]
  const first = await one.ask(`${base}start`, mine)
  const other = await one.ask(`${base}start`, stolen)
  const code = new URL(await atProvider(other.location, 'ada')).searchParams.get('code') as string
  const own = new URL(await atProvider(first.location, 'eve'))
  own.searchParams.set('code', code)
  assert.equal((await one.ask(pathOf(own.href), mine)).status, 403)
  assert.equal(one.who(mine), null)
})

test('where the provider takes pushed requests, the browser carries none of it', async t => {
  const start = await (await trial(t)).ask(`${base}start`, new Jar())
  const names = [...new URL(start.location).searchParams.keys()].sort()
  assert.deepEqual(names, ['client_id', 'request_uri'])
})

test('nobody is sent anywhere else after a login', async t => {
  const one = await trial(t)
  const away = [
    '//evil.example',
    '/\\evil.example',
    '/\\/evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/.//evil.example',
    '/x/..//evil.example',
    '/\t/evil.example',
    '/a\r\nSet-Cookie: x=y',
    '%2F%2Fevil.example',
    '/%2e//evil.example',
    'evil',
    '/.tenfold/guard/login/web/logout',
    '',
  ]
  const { safePath } = await import('./place.ts')
  for (const to of away) assert.equal(safePath(to), '/', to)
  assert.equal(safePath('/a/b?c=%2F%2Fevil#d'), '/a/b?c=%2F%2Fevil')
  const landed = await loggedIn(one, new Jar(), 'ada', '//evil.example')
  assert.equal(landed.location, '/')
})

test('a session ends when nobody uses it, when its time is over, and when it is logged out, also for a copy', async t => {
  const one = await trial(t)
  const jar = new Jar()
  await loggedIn(one, jar)
  const copy = new Jar()
  copy.keep([jar.text])
  one.clock.advance(1_800_000_000)
  const used = new FakePassage({ host, fields: `Cookie: ${jar.text}\r\n` })
  assert.ok(one.login.verify(used))
  jar.keep([/Set-Cookie: (.*)\r\n/.exec(used.extraFields)?.[1] as string])
  one.clock.advance(1_900_000_000)
  assert.equal(one.who(copy), null, 'nobody used this one')
  assert.equal(one.who(jar)?.subject, 'ada')
  const kept = new Jar()
  kept.keep([jar.text])
  const foreign = await one.ask(`${base}logout`, jar, {
    method: 'POST',
    fields: `${page}Origin: https://evil.example\r\n`,
  })
  assert.equal(foreign.status, 403)
  assert.equal(one.who(jar)?.subject, 'ada')
  const out = await one.ask(`${base}logout`, jar, {
    method: 'POST',
    fields: `${page}Origin: http://${host}\r\n`,
  })
  assert.equal(out.status, 302)
  const landing = new URL(out.location).searchParams
  assert.equal(landing.get('post_logout_redirect_uri'), `http://${host}/bye`)
  assert.equal(one.who(jar), null)
  assert.equal(one.who(kept), null, 'a copy of the cookie is worth nothing')
})

test('a new login ends the session before it, and no session outlives its time however much it is used', async t => {
  const one = await trial(t, { idleMs: 43_200_000 })
  const jar = new Jar()
  await loggedIn(one, jar)
  const before = new Jar()
  before.keep([jar.text])
  await loggedIn(one, jar, 'bob')
  assert.equal(one.who(jar)?.subject, 'bob')
  assert.equal(one.who(before), null)
  one.clock.advance(43_200_000_000)
  assert.equal(one.who(jar), null)
})

test('a session is worth nothing under another login, client, secret or name, or changed', async t => {
  const one = await trial(t)
  const jar = new Jar()
  await loggedIn(one, jar)
  assert.equal(one.who(jar, {}, one.another({ clientId: 'other' })), null)
  assert.equal(one.who(jar, {}, one.another({ issuer: 'https://other.example' })), null)
  const [[name, value]] = [...jar.cookies] as [[string, string]]
  for (const text of [
    `tenfold_session_staff=${value}`,
    `${name}=${value.slice(0, -4)}AAAA`,
    `${name}=`,
    `${name}=${'A'.repeat(9_000)}`,
    `${name}=${value}; ${name}=x`,
  ])
    assert.equal(one.who(jar, { fields: `Cookie: ${text}\r\n` }), null, text.slice(0, 60))
  const tls = { serverName: 'x', protocol: 'http/1.1', version: 'TLSv1.3', cipher: 'x' }
  assert.equal(one.who(jar, { client: { tls } }), null, 'over TLS only the name that nobody can plant counts')
  assert.equal(
    one.who(jar, { client: { tls }, fields: `Cookie: __Host-${name}=${value}\r\n` })?.subject,
    'ada',
  )
})

test('several tabs log in at once, and the browser keeps no more than a few of them', async t => {
  const one = await trial(t)
  const jar = new Jar()
  const starts: Seen[] = []
  for (let tab = 0; tab < 7; tab++) {
    starts.push(await one.ask(`${base}start?to=/tab-${tab}`, jar))
    one.clock.advance(1_000_000)
  }
  assert.equal(jar.cookies.size, 4)
  const first = await one.ask(pathOf(await atProvider((starts[0] as Seen).location, 'ada')), jar)
  assert.equal(first.status, 400)
  for (const tab of [5, 6]) {
    const back = await one.ask(pathOf(await atProvider((starts[tab] as Seen).location, 'ada')), jar)
    assert.equal(back.location, `/tab-${tab}`)
  }
})

test('without the provider nobody new gets in, pages say so, and sessions go on', async t => {
  const one = await trial(t)
  const jar = new Jar()
  await loggedIn(one, jar)
  const other = one.another({ issuer: 'http://127.0.0.1:1' })
  const refused = await one.ask(`${base}start`, new Jar(), {}, other)
  assert.equal(refused.status, 503)
  assert.match(refused.fields, /Retry-After/)
  assert.match(refused.body, /does not work right now/)
  const json = await one.ask(`${base}start`, new Jar(), { fields: 'Accept: application/json\r\n' }, other)
  assert.equal((JSON.parse(json.body) as { error: { code: string } }).error.code, 'LOGIN_AWAY')
  assert.equal(one.who(jar)?.subject, 'ada')
  const broken = await trial(t, {}, { down: true })
  assert.equal((await broken.ask(`${base}start`, new Jar())).status, 503)
})

test('claims that do not fit into a cookie are told, and nobody is half logged in', async t => {
  const one = await trial(t)
  const jar = new Jar()
  assert.equal((await loggedIn(one, jar, 'much')).status, 502)
  assert.equal(jar.cookies.size, 0)
  assert.match(one.told.join(), /do not fit/)
})

test('nobody logs in in the clear where others can listen, or at a host that is none', async t => {
  const one = await trial(t)
  for (const name of ['shop.example', '127.0.0.1.evil.example', 'localhost.evil.example', 'a_b'])
    assert.equal((await one.ask(`${base}start`, new Jar(), { host: name })).status, 400, name)
})

test('where the file names origins, a login begins there', async t => {
  const one = await trial(t, { origins: ['http://localhost:9000'] })
  const start = await one.ask(`${base}start?to=/x`, new Jar())
  assert.equal(start.location, `http://localhost:9000${base}start?to=%2Fx`)
})

test('browsers that ask for a page are sent to the login, programs are not', async t => {
  const { login } = await trial(t)
  const invited = (request: FakeRequest): string | null => {
    const passage = new FakePassage({ host, target: '/orders?a=1', ...request })
    return login.invite(passage) ? (passage.answer?.fields ?? null) : null
  }
  assert.match(
    invited({ fields: page }) ?? '',
    /Location: \/\.tenfold\/guard\/login\/web\/start\?to=%2Forders%3Fa%3D1/,
  )
  assert.equal(invited({ fields: 'Accept: application/json\r\n' }), null)
  assert.equal(invited({ fields: page, method: 'POST' }), null)
  assert.equal(invited({ fields: `${page}Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n` }), null)
  assert.match(login.challenge(), /login\/web\/start/)
})
