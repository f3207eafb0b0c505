// The waiting room in a real browser: with scripts and without, light and dark, read by axe for what keeps people out.
// SCREENSHOTS names a folder in which to leave pictures.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { CheckedRoom } from '../../src/file/checked-guard.ts'
import { proxyRoute } from '../tools/edge-harness.ts'
import { answering, ok } from '../tools/raw-origin.ts'
import { type GuardedEdge, policyOf, specOf, startGuardedEdge } from './harness.ts'

const patienceMs = 60_000
const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const site = '<!doctype html><html lang="en"><title>The shop</title><h1>The shop</h1></html>'

const room: CheckedRoom = {
  name: 'sale',
  activeMax: 1,
  perMinute: 6_000,
  order: 'first-come',
  person: [],
  sessionMs: 600_000,
  // Short, so that a page without scripts asks again soon.
  graceMs: 30_000,
  grantMs: 6_000,
  revokeAfter: [],
  title: 'Tickets for the winter festival',
  placesMax: 1_000,
}
const routes = [
  { id: '(guard)', match: { path: '/.tenfold/guard/*' }, action: { kind: 'guard' } } as const,
  proxyRoute('/*', { guard: 'trial' }),
]

async function startShop(context: TestContext): Promise<{ edge: GuardedEdge; leave(): Promise<void> }> {
  const spec = specOf([policyOf('trial', { room: 'sale' })], { rooms: { sale: room } })
  const shop = answering(() => ok(site, 'Content-Type: text/html\r\n'))
  const edge = await startGuardedEdge(context, spec, { routes }, shop)
  const first = await edge.ask({ path: '/tickets' })
  const cookie = `Cookie: ${first.fields.get('set-cookie')?.split(';')[0]}\r\n`
  const leave = async (): Promise<void> => {
    await edge.ask({ method: 'POST', path: '/.tenfold/guard/room/sale/leave', fields: cookie })
  }
  return { edge, leave }
}

async function opened(
  context: TestContext,
  options: BrowserContextOptions,
): Promise<{ page: Page; troubles: string[] }> {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags, headless: true })
  context.after(() => browser.close())
  const page = await (await browser.newContext(options)).newPage()
  page.setDefaultTimeout(patienceMs)
  const troubles: string[] = []
  page.on('pageerror', error => troubles.push(`script: ${error.message}`))
  page.on('console', message => {
    if (message.type() === 'error' && !message.text().includes('favicon')) troubles.push(message.text())
  })
  page.on('request', request => {
    if (!request.url().startsWith('http://127.0.0.1:')) troubles.push(`asks ${request.url()}`)
  })
  return { page, troubles }
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

async function problemsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const run = (
      globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; help: string }[] }> } }
    ).axe
    return (await run.run()).violations.map(({ id, help }) => `${id}: ${help}`)
  })
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`a browser (${colorScheme}) waits, sees its place change, and goes in by itself`, async context => {
    const { edge, leave } = await startShop(context)
    const { page, troubles } = await opened(context, { colorScheme })
    await page.goto(`${edge.edge.url}/tickets`)
    assert.equal(await page.textContent('h1'), room.title)
    assert.equal(await page.textContent('#place'), '1')
    await picture(page, `room-${colorScheme}`)
    assert.deepEqual(await problemsOf(page), [])
    await leave()
    await page.waitForSelector('text=The shop')
    assert.deepEqual(troubles, [])
  })
}

test('a narrow browser without scripts waits and goes in too', async context => {
  const { edge, leave } = await startShop(context)
  const { page } = await opened(context, { javaScriptEnabled: false, viewport: { width: 360, height: 640 } })
  await page.goto(`${edge.edge.url}/tickets`)
  assert.equal(await page.textContent('#place'), '1')
  await picture(page, 'room-narrow')
  const width = await page.locator('main').evaluate(main => main.scrollWidth - main.clientWidth)
  assert.ok(width <= 0, 'nothing sticks out')
  await leave()
  await page.waitForSelector('text=The shop')
})
