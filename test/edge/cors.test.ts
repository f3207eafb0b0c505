// CORS as a real browser enforces it: a page of one origin fetches from the edge, which is another.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { type Browser, chromium } from 'playwright-core'
import { proxyRoute, startEdge, upstreamOf } from '../tools/edge-harness.ts'
import { answering, ok, startRawOrigin } from '../tools/raw-origin.ts'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
]

/** What a fetch in the page gave: a status, body and the header X-Total, or that it failed. */
type Seen = { status: number; body: string; total: string | null } | 'refused'

test('a page reads what its origin is allowed to, sends what is allowed, and nothing else', async t => {
  const pages = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>a page</title>')
  })
  await new Promise<void>(resolve => pages.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    pages.closeAllConnections()
    pages.close()
  })
  const { port } = pages.address() as { port: number }
  const allowed = `http://127.0.0.1:${port}`
  const origin = await startRawOrigin(
    t,
    answering(request =>
      request.startLine.startsWith('GET /broken')
        ? 'HTTP/1.1 500 Broken\r\nContent-Length: 3\r\n\r\nbad'
        : ok('data', 'X-Total: 7\r\nAccess-Control-Allow-Origin: http://wrong.example\r\n'),
    ),
  )
  const cors = {
    origins: [allowed],
    methods: ['GET', 'PUT'],
    requestHeaders: ['X-Key'],
    exposeHeaders: ['X-Total'],
    credentials: true,
    maxAgeSeconds: 0,
  }
  const edge = await startEdge(
    { after },
    {
      routes: [proxyRoute('/gone', { cors }, { upstream: 'gone' }), proxyRoute('/*', { cors })],
      members: [origin.port],
      upstreams: [upstreamOf('gone', [])],
    },
  )
  const browser: Browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: flags,
    headless: true,
  })
  t.after(() => browser.close())
  const fetchFrom = async (pageOrigin: string, path: string, init: object = {}): Promise<Seen> => {
    const page = await browser.newPage()
    await page.goto(`${pageOrigin}/`)
    const seen = await page.evaluate(
      async ([url, options]) => {
        try {
          const response = await fetch(url as string, options as object)
          return {
            status: response.status,
            body: await response.text(),
            total: response.headers.get('x-total'),
          }
        } catch {
          return 'refused' as const
        }
      },
      [`${edge.url}${path}`, init] as const,
    )
    await page.close()
    return seen
  }
  const put = { method: 'PUT', headers: { 'x-key': '1' }, body: 'new', credentials: 'include' }
  assert.deepEqual(await fetchFrom(allowed, '/'), { status: 200, body: 'data', total: '7' })
  assert.deepEqual(await fetchFrom(allowed, '/', put), { status: 200, body: 'data', total: '7' })
  assert.deepEqual(await fetchFrom(allowed, '/broken'), { status: 500, body: 'bad', total: null })
  assert.equal(
    ((await fetchFrom(allowed, '/gone')) as { status: number }).status,
    503,
    "the edge's own error is read too",
  )
  assert.equal(
    await fetchFrom(allowed, '/', { ...put, headers: { 'x-other': '1' } }),
    'refused',
    'a header that is not allowed',
  )
  assert.equal(
    await fetchFrom(allowed, '/', { ...put, method: 'DELETE' }),
    'refused',
    'a method that is not allowed',
  )
  const other = `http://localhost:${port}`
  assert.equal(await fetchFrom(other, '/'), 'refused', 'another origin')
  assert.equal(await fetchFrom(other, '/', put), 'refused')
  const reached = origin.requests.map(request => request.startLine.split(' ')[0])
  assert.ok(!reached.includes('OPTIONS') && !reached.includes('DELETE'))
  assert.equal(
    reached.filter(method => method === 'PUT').length,
    1,
    'what a preflight refuses never reaches the instance',
  )
})
