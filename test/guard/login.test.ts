// Logins on a real edge, at a real OpenID provider, over http on localhost as a developer has it: a client with a cookie
// jar, a browser, and services of two frameworks that ask `tenfold/guard` who it is. SCREENSHOTS names a folder in which to
// leave pictures.

import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
// @ts-expect-error: the package brings no types
import { Provider } from 'oidc-provider'
import { chromium } from 'playwright-core'
import { createIdentityChecks, type IdentityChecks, type IdentityWish } from '../../src/app/guard/index.ts'
import type { CheckedOidc, CheckedRequirement } from '../../src/file/checked-guard.ts'
import { humanKey } from '../../src/guard/challenge/keys.ts'
import type { GuardSpec } from '../../src/guard/part.ts'
import { proxyRoute, upstreamOf } from '../tools/edge-harness.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const patienceMs = 60_000
const base = '/.tenfold/guard/login/web/'
const clientSecret = 'a secret of the client, long enough'

// --- a provider, and services ---------------------------------------------------------------------------------------

async function listening(context: TestContext, server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

interface IdentityProvider {
  readonly issuer: string
  /** Until then it is away: it knows nobody. */
  open(site: string): void
}

async function startProvider(context: TestContext): Promise<IdentityProvider> {
  const server = createServer()
  const issuer = `http://127.0.0.1:${await listening(context, server)}`
  let handler: ((request: unknown, response: unknown) => unknown) | null = null
  server.on('request', (asked, response) => {
    if (handler === null) response.writeHead(500).end()
    else void handler(asked, response)
  })
  return {
    issuer,
    open: site => {
      const { warn } = console
      // It warns of its keys, which are for development.
      console.warn = () => {}
      const client = {
        client_id: 'shop',
        client_secret: clientSecret,
        redirect_uris: [`${site}${base}callback`],
        post_logout_redirect_uris: [`${site}/bye`],
      }
      const findAccount = (_context: unknown, id: string): object => ({
        accountId: id,
        claims: () => ({ sub: id, email: `${id}@shop.example` }),
      })
      const provider = new Provider(issuer, { clients: [client], claims: { email: ['email'] }, findAccount })
      console.warn = warn
      handler = provider.callback()
    },
  }
}

interface Seen {
  readonly identity: unknown
  readonly headers: IncomingHttpHeaders
}

async function startServices(
  context: TestContext,
  checks: IdentityChecks,
): Promise<{ express: number; fastify: number; seen: Seen[] }> {
  const seen: Seen[] = []
  const page = (identity: { subject?: string } | undefined): string =>
    `<!doctype html><html lang="en"><title>The shop</title><h1>Hello ${identity?.subject ?? 'nobody'}</h1></html>`
  const wish: IdentityWish = { by: ['oidc:web'], scopes: ['openid'] }
  const app = express()
  app.get('/open', (asked, response) => {
    seen.push({ identity: null, headers: asked.headers })
    response.send(page(undefined))
  })
  app.get('/bye', (asked, response) => {
    seen.push({ identity: null, headers: asked.headers })
    response.send('bye')
  })
  app.get('/e/*all', checks.express(wish), (asked, response) => {
    const { identity } = asked as unknown as { identity: { subject: string } }
    seen.push({ identity, headers: asked.headers })
    response.send(page(identity))
  })
  const server = createServer(app)
  const other = fastify()
  other.get('/f/*', { preHandler: checks.fastify(wish) }, (asked, reply) => {
    const { identity } = asked as unknown as { identity: { subject: string } }
    seen.push({ identity, headers: asked.headers })
    return reply.type('text/html').send(page(identity))
  })
  await other.listen({ port: 0, host: '127.0.0.1' })
  context.after(() => other.close())
  return {
    express: await listening(context, server),
    fastify: (other.server.address() as AddressInfo).port,
    seen,
  }
}

// --- the shop under test --------------------------------------------------------------------------------------------

interface Shop {
  readonly edge: GuardedEdge
  readonly site: string
  readonly provider: IdentityProvider
  readonly seen: Seen[]
  readonly guard: (change?: Partial<GuardSpec>, oidc?: Partial<CheckedOidc>) => GuardSpec
}

async function startShop(context: TestContext, { away = false } = {}): Promise<Shop> {
  const provider = await startProvider(context)
  const guard = (change: Partial<GuardSpec> = {}, more: Partial<CheckedOidc> = {}): GuardSpec => {
    const oidc = {
      issuer: provider.issuer,
      clientId: 'shop',
      // As the system compiles it.
      clientSecret: clientSecret as never,
      scopes: ['openid', 'email'],
      claims: ['email'],
      origins: [],
      idleMs: 3_600_000,
      absoluteMs: 43_200_000,
      afterLogout: '/bye',
      timeoutMs: 20_000,
      clockToleranceMs: 30_000,
      parameters: {},
      ...more,
    }
    const any = [{ method: 'oidc', name: 'web' }] as const
    const require: CheckedRequirement = { any, scopes: [], claims: {}, optional: false, forward: true }
    return specOf([policyOf('members', { require, sameSite: true }), policyOf('open')], {
      identity: { account: [], session: [], key: [], oidc: { web: oidc } },
      ...change,
    })
  }
  const checks = createIdentityChecks({ key: humanKey(guard().secretKey) })
  const services = await startServices(context, checks)
  const edge = await startGuardedEdge(context, guard(), {
    members: [services.express],
    upstreams: [upstreamOf('other', [services.fastify])],
    routes: [
      { id: '(guard)', match: { path: '/.tenfold/guard/*' }, action: { kind: 'guard' } },
      proxyRoute('/e/*', { guard: 'members' }),
      proxyRoute('/f/*', { guard: 'members' }, { upstream: 'other' }),
      proxyRoute('/*', { guard: 'open' }),
    ],
  })
  const site = `http://localhost:${edge.edge.port}`
  if (!away) provider.open(site)
  return { edge, site, provider, seen: services.seen, guard }
}

// --- a browser without a window -------------------------------------------------------------------------------------

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly url: string
}

/** As browsers ask for pages, cookies by host. */
class Client {
  readonly #jars = new Map<string, Map<string, string>>()

  jar(url: string): Map<string, string> {
    const { hostname } = new URL(url)
    const jar = this.#jars.get(hostname) ?? new Map<string, string>()
    this.#jars.set(hostname, jar)
    return jar
  }

  ask(url: string, headers: Record<string, string> = {}, form?: Record<string, string>): Promise<Answer> {
    const jar = this.jar(url)
    const { hostname, host, port, pathname, search } = new URL(url)
    assert.ok(['localhost', '127.0.0.1'].includes(hostname), url)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const body = form === undefined ? '' : new URLSearchParams(form).toString()
    return new Promise((resolve, reject) => {
      const asked = request({
        host: '127.0.0.1',
        port,
        path: pathname + search,
        method: form === undefined ? 'GET' : 'POST',
        agent: false,
        headers: {
          host,
          accept: 'text/html,application/xhtml+xml',
          'sec-fetch-mode': 'navigate',
          ...(cookie === '' ? {} : { cookie }),
          ...(form === undefined
            ? {}
            : {
                'content-type': 'application/x-www-form-urlencoded',
                'content-length': Buffer.byteLength(body),
              }),
          ...headers,
        },
      })
      asked.on('error', reject)
      asked.on('response', response => {
        for (const line of response.headers['set-cookie'] ?? []) keep(jar, line)
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (piece: string) => {
          text += piece
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, url }),
        )
      })
      asked.end(body)
    })
  }

  /** Follows redirects, logs in as `account` where the provider asks, and consents. */
  async browse(url: string, account = 'ada', form?: Record<string, string>): Promise<Answer> {
    let answer = await this.ask(url, {}, form)
    for (let hop = 0; hop < 30; hop++) {
      const to = answer.headers.location
      if (to !== undefined) {
        answer = await this.ask(new URL(to, answer.url).href)
        continue
      }
      const action = /action="([^"]+)"/.exec(answer.body)?.[1]
      const prompt = /name="prompt" value="(\w+)"/.exec(answer.body)?.[1]
      const leaves = /name="xsrf" value="([^"]+)"/.exec(answer.body)?.[1]
      if (action === undefined || (prompt === undefined && leaves === undefined)) return answer
      const fields =
        prompt === undefined
          ? { xsrf: leaves as string, logout: 'yes' }
          : { prompt, ...(prompt === 'login' ? { login: account, password: 'any' } : {}) }
      answer = await this.ask(new URL(action, answer.url).href, {}, fields)
    }
    throw new Error(`sent around, at last to ${answer.url}`)
  }
}

function keep(jar: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(';')
  const name = pair.slice(0, pair.indexOf('='))
  if (attributes.some(one => /^ *(?:max-age=0|expires=Thu, 01 Jan 1970)/i.test(one))) jar.delete(name)
  else jar.set(name, pair.slice(pair.indexOf('=') + 1))
}

const last = <T>(all: readonly T[]): T => all.at(-1) as T
const sessionName = 'tenfold_session_web'

// --- tests ----------------------------------------------------------------------------------------------------------

test('who asks for a page is sent to the provider, comes back to the page, is known to services, and logs out', async context => {
  const { site, provider, seen } = await startShop(context)
  const client = new Client()
  const first = await client.ask(`${site}/e/orders?a=1`)
  assert.equal(first.status, 302)
  assert.equal(first.headers['cache-control'], 'no-store, private')
  assert.equal(first.headers.location, `${base}start?to=${encodeURIComponent('/e/orders?a=1')}`)
  const start = await client.ask(new URL(first.headers.location ?? '', site).href)
  assert.ok(start.headers.location?.startsWith(provider.issuer), start.body)
  const landed = await client.browse(start.headers.location as string)
  assert.deepEqual([landed.status, landed.url], [200, `${site}/e/orders?a=1`], landed.body)
  assert.match(landed.body, /Hello ada/)
  assert.deepEqual(last(seen).identity, {
    by: 'oidc:web',
    subject: 'ada',
    scopes: ['openid', 'email'],
    claims: { email: 'ada@shop.example', sub: 'ada' },
  })
  const other = await client.ask(`${site}/f/orders`)
  assert.deepEqual([other.status, /Hello ada/.test(other.body)], [200, true], other.body)

  assert.equal((await client.ask(`${site}/e/x`, { 'sec-fetch-site': 'cross-site' }, {})).status, 403)
  const session = client.jar(site).get(sessionName) ?? ''
  const asks = await client.ask(`${site}${base}logout`)
  assert.match(asks.body, /<form method="post"/)
  const foreign = await client.ask(`${site}${base}logout`, { origin: 'https://evil.example' }, {})
  assert.equal(foreign.status, 403)
  const left = await client.browse(`${site}${base}logout`, 'ada', {})
  assert.deepEqual([left.status, left.url.split('?')[0]], [200, `${site}/bye`], left.body)
  assert.equal(client.jar(site).has(sessionName), false)
  const thief = new Client()
  thief.jar(site).set(sessionName, session)
  assert.equal((await thief.ask(`${site}/e/orders`)).status, 302, 'a copy of the cookie is worth nothing')
})

test('programs get 401 as JSON, with the address at which people log in', async context => {
  const { edge, site } = await startShop(context)
  const client = new Client()
  const asked: readonly Record<string, string>[] = [
    { accept: 'application/json' },
    { accept: 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
    { accept: 'application/json', cookie: `${sessionName}=forged` },
  ]
  for (const headers of asked) {
    const answer = await client.ask(`${site}/e/orders`, headers)
    assert.equal(answer.status, 401)
    const { error } = JSON.parse(answer.body) as { error: { code: string; message: string } }
    assert.equal(error.code, 'IDENTITY_MISSING')
    assert.ok(error.message.includes(`${base}start`), error.message)
    assert.match(answer.headers['www-authenticate'] ?? '', /^Tenfold-Login realm="web", uri="/)
  }
  const posted = await client.ask(`${site}/e/orders`, { accept: 'application/json' }, { a: '1' })
  assert.equal(posted.status, 401)
  const id = posted.headers['x-request-id'] as string
  assert.match((await edge.explained(id)).findings[0]?.would ?? '', /oidc:web/)
})

test('what a client says of itself, and its session, reach no service: on routes that ask who it is, and on others', async context => {
  const { site, seen } = await startShop(context)
  const client = new Client()
  await client.browse(`${site}/e/orders`)
  const session = client.jar(site).get(sessionName) as string
  const cookie = `a=1; ${sessionName}=${session}; tenfold_login_web_abc=x; b=2`
  const forged = { cookie, 'tenfold-identity': 'forged', 'Tenfold-Human': 'forged' }
  for (const path of ['/e/orders', '/f/orders', '/open']) {
    const answer = await client.ask(`${site}${path}`, forged)
    assert.equal(answer.status, 200, path)
    const { headers } = last(seen)
    assert.equal(headers.cookie, 'a=1; b=2', path)
    assert.doesNotMatch(JSON.stringify(headers), /forged/, path)
    assert.equal(headers['tenfold-identity'] === undefined, path === '/open', path)
  }
  assert.equal((await client.ask(`${site}/e/orders`, { tenfold_identity: 'forged' })).status, 400)
  const nobody = await new Client().ask(`${site}/e/orders`, { 'tenfold-identity': 'forged' })
  assert.equal(nobody.status, 302)
})

test('while the provider is away a page says so, the edge serves the rest, and logins go on when it is back', async context => {
  const { site, provider } = await startShop(context, { away: true })
  const client = new Client()
  assert.equal((await client.ask(`${site}/open`)).status, 200)
  const page = await client.browse(`${site}/e/orders`)
  assert.equal(page.status, 503, page.body)
  assert.match(page.body, /Logging in does not work right now/)
  assert.equal(page.headers['retry-after'], '10')
  const json = await client.ask(`${site}${base}start`, { accept: 'application/json' })
  assert.equal((JSON.parse(json.body) as { error: { code: string } }).error.code, 'LOGIN_AWAY')
  provider.open(site)
  const until = Date.now() + patienceMs
  for (;;) {
    const answer = await client.browse(`${site}/e/orders`)
    if (answer.status === 200) break
    assert.ok(Date.now() < until, answer.body)
    await new Promise(resolve => setTimeout(resolve, 200))
  }
})

test('sessions outlast a reload, also of other settings of their login, and end with its client or guard.secret', async context => {
  const { edge, site, guard } = await startShop(context)
  const client = new Client()
  await client.browse(`${site}/e/orders`)
  const status = async (): Promise<number> => (await client.ask(`${site}/e/orders`)).status
  await edge.reload(guard())
  assert.equal(await status(), 200, 'the same')
  await edge.reload(guard({}, { absoluteMs: 7_200_000, afterLogout: '/', scopes: ['openid'] }))
  assert.equal(await status(), 200, 'other settings')
  await edge.reload(guard({}, { clientId: 'another' }))
  assert.equal(await status(), 302, 'another client')
  await edge.reload(guard())
  assert.equal(await status(), 200, 'as before')
  const none = guard()
  await edge.reload({ ...none, identity: { account: [], session: [], key: [] } })
  assert.equal(await status(), 503, 'a policy whose login is gone lets nobody pass')
  await edge.reload(guard({ secretKey: Buffer.alloc(32, 7).toString('base64') }))
  assert.equal(await status(), 302, 'another secret')
  const again = await client.ask(`${site}/e/orders`)
  assert.equal(again.headers.location, `${base}start?to=${encodeURIComponent('/e/orders')}`)
})

test('a browser logs in, reads the page, and logs out', async context => {
  const { site } = await startShop(context)
  const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags, headless: true })
  context.after(() => browser.close())
  const page = await (await browser.newContext()).newPage()
  page.setDefaultTimeout(patienceMs)
  // The provider's own pages ask for a font elsewhere.
  await page.route(
    url => !['localhost', '127.0.0.1'].includes(url.hostname),
    route => route.abort(),
  )
  const picture = async (name: string): Promise<void> => {
    const folder = process.env.SCREENSHOTS
    if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) })
  }
  await page.goto(`${site}/e/orders`)
  await page.fill('input[name=login]', 'ada')
  await page.fill('input[name=password]', 'any')
  await picture('login-provider')
  await page.click('button[type=submit]')
  await page.click('button[type=submit]')
  await page.waitForSelector('text=Hello ada')
  assert.equal(page.url(), `${site}/e/orders`)
  await picture('login-page')
  const cookies = await page.context().cookies(site)
  const session = cookies.find(({ name }) => name === sessionName)
  assert.deepEqual([session?.httpOnly, session?.sameSite], [true, 'Lax'])
  assert.equal(await page.evaluate('document.cookie'), '')
  await page.goto(`${site}${base}logout`)
  await picture('login-logout')
  await page.click('button')
  await page.click('button[value=yes]')
  await page.waitForURL(url => url.pathname === '/bye')
  assert.ok(!(await page.context().cookies(site)).some(({ name }) => name === sessionName))
  await page.goto(`${site}/e/orders`)
  await page.waitForSelector('input[name=login], button[type=submit]')
})
