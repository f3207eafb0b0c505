// The example in a real browser: somebody buys tickets while a web instance is killed at every step, and somebody looks at
// pages whose rows are changed meanwhile. The pages show no error. The environment variable SCREENSHOTS names a folder in which to leave pictures of what was seen.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { copyBoxoffice } from '../tools/boxoffice.ts'
import { type Member, type Site, site, until } from '../tools/system-harness.ts'

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

/** Kills one ready instance of the pages while there is another one, and waits for nothing else. Resolves with its pid. */
async function killOne(shop: Site): Promise<number> {
  let ready: Member[] = []
  await until('two instances are ready', async () => {
    ready = (await shop.members('web')).filter(
      member => member.state === 'ready' && member.traffic?.state === 'healthy',
    )
    return ready.length >= 2
  })
  const [one] = ready
  assert.ok(one?.pid)
  process.kill(one.pid, 'SIGKILL')
  return one.pid
}

/** Everything that a visitor would see as an error. */
function troublesOf(page: Page): string[] {
  const troubles: string[] = []
  page.on('pageerror', error => troubles.push(`script: ${error.message}`))
  page.on('console', message => {
    if (message.type() === 'error') troubles.push(`console: ${message.text()}`)
  })
  page.on('response', response => {
    if (response.status() >= 400) troubles.push(`${response.status()} ${response.url()}`)
  })
  page.on('requestfailed', request => {
    // A page that is left ends its stream of seats itself.
    if (!request.url().endsWith('/events')) troubles.push(`${request.failure()?.errorText} ${request.url()}`)
  })
  return troubles
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

async function launched(t: TestContext): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags, headless: true })
  t.after(() => browser.close())
  return browser
}

test('tickets are bought in a browser while instances are killed, and no page shows an error', async t => {
  const shop = site(t)
  const url = await copyBoxoffice(shop)
  await shop.begin()
  const browser = await launched(t)
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } })
  page.setDefaultTimeout(patienceMs)
  const troubles = troublesOf(page)

  await page.goto(url)
  await picture(page, '1-programme')
  await killOne(shop)
  await page.getByRole('searchbox').fill('matrix')
  await page.getByRole('searchbox').press('Enter')
  await page.getByRole('heading', { name: /matrix/ }).waitFor()
  await picture(page, '2-search')
  await killOne(shop)
  await page.getByRole('link', { name: 'The Matrix 1999' }).click()
  await page.getByRole('heading', { name: 'Screenings' }).waitFor()
  await picture(page, '3-film')
  await killOne(shop)
  await page.locator('a.time').last().click()
  await page.getByRole('button', { name: 'Buy tickets' }).waitFor()
  const free = page.locator('input[name=seat]:not([disabled])')
  for (let chosen = 0; chosen < 2; chosen++) await free.nth(chosen + 3).check({ force: true })
  await page.getByLabel('Name').fill('Ann')
  await page.getByLabel('Email').fill('ann@example.org')
  await picture(page, '4-seats')

  // An order may not be sent twice: where its instance dies under it, it is lost. Here the instance is dead already.
  const killed = await killOne(shop)
  await until('its death is known', async () => (await shop.members('web')).every(one => one.pid !== killed))
  await page.getByRole('button', { name: 'Buy tickets' }).click()
  await page.getByRole('heading', { name: 'Enjoy the film, Ann' }).waitFor()
  assert.equal(await page.locator('.ticket').count(), 2)
  await picture(page, '5-tickets')
  await killOne(shop)
  await page.reload()
  await page.getByRole('heading', { name: 'Enjoy the film, Ann' }).waitFor()

  const phone = await browser.newPage({ viewport: { width: 390, height: 800 } })
  phone.setDefaultTimeout(patienceMs)
  await phone.goto(url)
  await picture(phone, '6-phone')
  assert.deepEqual(troubles, [])
  const restarts = (await shop.members('web')).reduce((sum, member) => sum + member.restarts, 0)
  assert.ok(restarts >= 4, 'the kills were real')
})

test('a title that somebody changes by hand is on the next page that a browser loads', async t => {
  const shop = site(t)
  const url = await copyBoxoffice(shop)
  await shop.begin()
  const page = await (await launched(t)).newPage()
  page.setDefaultTimeout(patienceMs)
  const troubles = troublesOf(page)
  const change = async (title: string): Promise<void> => {
    const sql = `UPDATE films SET title = '${title}' WHERE id = 'the-matrix-1999'`
    const ran = await shop.run('db', 'psql', 'main', '--command', sql)
    assert.match(ran.out, /UPDATE 1/, ran.error)
  }
  /** By a link, as people go; a browser may show what it has if it was told so. */
  const film = async (): Promise<string | null> => {
    await page.getByRole('link', { name: '1999' }).first().click()
    await page.getByRole('heading', { name: 'Screenings' }).waitFor()
    return page.getByRole('heading', { level: 1 }).textContent()
  }
  let title = 'The Matrix'
  for (const next of ['Neo and Friends', 'The Red Pill']) {
    await page.goto(`${url}/?q=matrix`)
    assert.equal(await film(), title)
    await change(next)
    await until('the page has the new title', async () => {
      await page.reload()
      return (await page.getByRole('heading', { level: 1 }).textContent()) === next
    })
    await page.goBack()
    await page.goto(`${url}/?q=matrix`)
    await page.getByRole('link', { name: `${next} 1999` }).waitFor()
    assert.equal(await film(), next)
    title = next
  }
  await picture(page, '7-changed')
  assert.deepEqual(troubles, [])
})
