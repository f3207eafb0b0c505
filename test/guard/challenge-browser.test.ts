// Challenges in a real browser: the proof of work solved by the page's own widget, Turnstile's page, the way without
// scripts; each read by axe for what keeps people out. SCREENSHOTS names a folder in which to leave pictures.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { cachedRoute, withCache } from '../tools/cached-edge.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { guardRoute, routes } from './challenges.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'
import { startSiteverify } from './siteverify.ts'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const patienceMs = 60_000
const always = [policyOf('trial', { challenge: 'always' })]
const challenge = {
  provider: 'pow',
  pow: { costMin: 200, costMax: 400, expiresMs: 300_000 },
  clearanceMs: 1_800_000,
  languages: ['en', 'de', 'fr', 'ja'],
} as const
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const site = '<!doctype html><html lang="en"><title>The shop</title><h1>The shop</h1></html>'
const shop = answering(() => ok(site, 'Content-Type: text/html\r\nCache-Control: public, max-age=600\r\n'))

async function opened(
  t: TestContext,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; troubles: string[] }> {
  const browser: Browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: flags,
    headless: true,
  })
  t.after(() => browser.close())
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(patienceMs)
  const troubles: string[] = []
  page.on('pageerror', error => troubles.push(`script: ${error.message}`))
  page.on('console', message => {
    // The page itself is a 403, which the console tells.
    if (message.type() === 'error' && !/status of 403/.test(message.text())) troubles.push(message.text())
  })
  page.on('request', request => {
    if (!/^(?:http:\/\/(?:localhost|127\.0\.0\.1)[:/]|blob:|data:)/.test(request.url()))
      troubles.push(`asks ${request.url()}`)
  })
  return { page, troubles }
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

async function barriers(page: Page): Promise<string[]> {
  // By the debugger's own means: the page's policy lets no script of ours in.
  const session = await page.context().newCDPSession(page)
  await session.send('Page.setBypassCSP', { enabled: false })
  await session.send('Runtime.evaluate', { expression: axe })
  const { result } = await session.send('Runtime.evaluate', {
    expression:
      "axe.run().then(found => JSON.stringify(found.violations.map(one => [one.id, ...one.nodes.map(node => node.html)].join(' | '))))",
    awaitPromise: true,
  })
  return JSON.parse(result.value as string) as string[]
}

const address = (edge: GuardedEdge, path: string): string => `http://localhost:${edge.edge.port}${path}`

test('a browser passes the proof of work by itself and lands where it wanted to go; the page bars nobody and asks no other host', async t => {
  const slow = { ...challenge, pow: { ...challenge.pow, costMin: 40_000, costMax: 40_000 } }
  const edge = await startGuardedEdge(t, specOf(always, { challenge: slow }), { routes }, shop)
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await opened(t, { colorScheme })
    await page.goto(address(edge, '/shows?day=2'), { waitUntil: 'commit' })
    await page.locator('.altcha').waitFor()
    await picture(page, `challenge-${colorScheme}`)
    assert.deepEqual(await barriers(page), [])
  }
  await edge.reload(specOf(always, { challenge }))
  const { page, troubles } = await opened(t)
  await page.goto(address(edge, '/shows?day=2'), { waitUntil: 'commit' })
  await page.locator('h1', { hasText: 'The shop' }).waitFor()
  assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, '/shows?day=2')
  assert.deepEqual(troubles, [])
  await page.goto(address(edge, '/other'))
  assert.equal(await page.title(), 'The shop')
})

test('the page speaks the language of the browser', async t => {
  const slow = { ...challenge, pow: { ...challenge.pow, costMin: 40_000, costMax: 40_000 } }
  const edge = await startGuardedEdge(t, specOf(always, { challenge: slow }), { routes }, shop)
  const { page } = await opened(t, { locale: 'de-AT', viewport: { width: 360, height: 640 } })
  await page.goto(address(edge, '/'), { waitUntil: 'commit' })
  await page.locator('h1', { hasText: 'Einen Moment bitte' }).waitFor()
  assert.equal(await page.locator('html').getAttribute('lang'), 'de')
  await page.locator('.altcha', { hasText: /Roboter|überprüft/ }).waitFor()
  await picture(page, 'challenge-de-phone')
  assert.deepEqual(await barriers(page), [])
})

test('row 27: a browser without scripts gets in by waiting, and one that keeps no cookies is told why it does not', async t => {
  const edge = await startGuardedEdge(t, specOf(always, { challenge }), { routes }, shop)
  const { page, troubles } = await opened(t, { javaScriptEnabled: false })
  await page.goto(address(edge, '/shows'))
  await picture(page, 'challenge-without-scripts')
  await page.getByRole('link', { name: 'Wait instead' }).click()
  await page.getByRole('status').waitFor()
  await picture(page, 'challenge-waiting')
  await page.locator('h1', { hasText: 'The shop' }).waitFor()
  assert.equal(new URL(page.url()).pathname, '/shows')
  assert.deepEqual(troubles, [])

  const other = await opened(t)
  const context = other.page.context()
  // As a browser that is told to keep no cookies of this site.
  await context.route('**/challenge/pass', async route => {
    const response = await route.fetch({ maxRedirects: 0 })
    await context.clearCookies()
    const { 'set-cookie': _, ...headers } = response.headers()
    await route.fulfill({ status: response.status(), headers })
  })
  await other.page.goto(address(edge, '/shows'), { waitUntil: 'commit' })
  await other.page.getByText('Please allow cookies').waitFor()
  await picture(other.page, 'challenge-no-cookies')
  assert.deepEqual(await barriers(other.page), [])
})

test('row 20: neither a challenge nor what is behind it is served to others from the cache', async t => {
  const setup = { routes: [guardRoute, cachedRoute('/*', {}, { guard: 'trial' })], more: withCache() }
  const edge = await startGuardedEdge(t, specOf(always, { challenge }), setup, shop)
  const { page } = await opened(t)
  await page.goto(address(edge, '/cached'), { waitUntil: 'commit' })
  await page.locator('h1', { hasText: 'The shop' }).waitFor()
  const stranger = await edge.ask({ path: '/cached', fields: 'Accept: text/html\r\n' })
  assert.deepEqual([stranger.status, stranger.fields.get('tenfold-challenge')], [403, 'pow'])
  assert.match(stranger.fields.get('cache-control') ?? '', /no-store/)
  await page.goto(address(edge, '/cached?again'))
  await page.goto(address(edge, '/cached'))
  assert.equal(await page.title(), 'The shop')
  // Once for each address: what is behind the challenge is kept, for who has passed it.
  assert.equal(edge.origin.requests.filter(({ startLine }) => startLine.startsWith('GET /cached ')).length, 1)
})

test('a browser passes Turnstile; when siteverify says no, it gets in by the proof of work', async t => {
  const stub = await startSiteverify(t)
  const turnstile = {
    siteKey: '0x4AAAAAAAtrialtrialtri',
    secret: stub.secret,
    hostnames: ['localhost'],
    verifyUrl: stub.url,
    scriptUrl: stub.scriptUrl,
    timeoutMs: 10_000,
    allowTestKeys: false,
  }
  const edge = await startGuardedEdge(
    t,
    specOf(always, { challenge: { ...challenge, provider: 'turnstile', turnstile }, production: true }),
    { routes },
    shop,
  )
  const { page, troubles } = await opened(t)
  await page.goto(address(edge, '/shows'), { waitUntil: 'commit' })
  await page.locator('h1', { hasText: 'The shop' }).waitFor()
  assert.deepEqual(troubles, [])
  assert.deepEqual([stub.asked.length, stub.asked[0]?.secret], [1, stub.secret])

  stub.answerWith({ success: false, 'error-codes': ['invalid-input-response'] })
  const other = await opened(t)
  await other.page.goto(address(edge, '/shows'), { waitUntil: 'commit' })
  await other.page.locator('h1', { hasText: 'The shop' }).waitFor()
  assert.equal(stub.asked.length, 2)
})
