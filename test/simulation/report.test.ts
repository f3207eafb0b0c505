// The page of a simulation in a real browser: charts drawn, nothing loaded, nothing that a name can do.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { htmlReport, type SimulationResult } from '../../src/sim/index.ts'
import { play } from '../../src/sim/testing/play.ts'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
]

async function open(
  t: TestContext,
  results: readonly SimulationResult[],
): Promise<{ page: Page; troubles: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'tenfold-report-'))
  const file = join(directory, 'report.html')
  writeFileSync(
    file,
    htmlReport(results, ({ seed }) => `tenfold simulate x --seed ${seed}`),
  )
  const browser: Browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
  t.after(async () => {
    await browser.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const page = await browser.newPage()
  const troubles: string[] = []
  page.on('console', message => {
    if (message.type() === 'error') troubles.push(message.text())
  })
  page.on('pageerror', error => troubles.push(String(error)))
  page.on('request', request => {
    if (!request.url().startsWith('file:')) troubles.push(`asked for ${request.url()}`)
  })
  await page.goto(`file://${file}`)
  return { page, troubles }
}

const shop = play({
  name: 'shop',
  edge: { listen: { http: 8080 }, cache: {}, routes: [{ path: '/*', to: 'api', cache: { ttl: '1s' } }] },
  services: { api: { command: 'node api.mjs', instances: { min: 3, max: 3 } } },
  databases: { main: { replicas: 1 } },
  workload: {
    actions: { ask: { rate: '80/s', path: '/', objects: 50 } },
    services: { api: { time: '3ms', calls: [{ database: 'main', reads: 1, writes: 0.2 }] } },
  },
  rehearsals: {
    test: {
      duration: '30s',
      arrivals: 'mean',
      faults: [{ at: '10s', kill: 'api-1' }],
      expect: { p99: '<1s', errors: '<0%' },
    },
  },
})

test('charts, tables and the timeline are there; the filter leaves what it names; nothing is asked of anybody', async t => {
  const { page, troubles } = await open(t, [shop])
  assert.deepEqual(troubles, [])
  assert.ok((await page.locator('svg path.line').count()) >= 8)
  assert.ok((await page.locator('svg line.mark').count()) >= 2)
  for (const box of await page.locator('svg').all()) assert.ok(((await box.boundingBox())?.height ?? 0) > 100)
  const text = (await page.locator('body').textContent()) ?? ''
  for (const words of [
    'What clients saw',
    'api-1',
    'killed by the rehearsal',
    shop.hash,
    'every request',
    '1 of 2',
  ])
    assert.ok(text.includes(words), words)
  const rows = page.locator('#t0 tbody tr:visible')
  const before = await rows.count()
  await page.locator('input').fill('restart')
  const after = await rows.count()
  assert.ok(after > 0 && after < before)
})

test('a name is text, whatever it is; odd results are shown as well', async t => {
  const evil = '<img src=x onerror="document.title=1">\'&'
  const odd: SimulationResult = {
    ...shop,
    system: evil,
    unstable: [{ part: evil, load: 2, why: evil }],
    traffic: shop.traffic.map(row => ({ ...row, id: evil, latency: null })),
    series: shop.series.map(line => ({ ...line, label: evil, values: line.values.map(() => null) })),
    decisions: [{ atUs: 1, part: evil, kind: evil, what: evil, why: evil }],
    remarks: [evil],
    consistency: [],
  }
  const { page, troubles } = await open(t, [odd, shop])
  assert.deepEqual(troubles, [])
  assert.equal(await page.locator('img').count(), 0)
  assert.match(await page.title(), /^<img src=x/)
  assert.ok((await page.locator('header').count()) === 2)
  assert.ok(((await page.locator('body').textContent()) ?? '').includes('Unstable: <img'))
})
