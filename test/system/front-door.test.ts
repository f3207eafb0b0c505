// The front door as one file describes it, in a whole system: what the file names on disk is served, changes with a
// reload although the file is the same, and is refused with a sentence when it is missing.

import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { settled, site } from '../tools/system-harness.ts'

/** What a raw TCP conversation answers until its end. */
function converse(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let answer = ''
    socket.setEncoding('latin1').on('data', (more: string) => {
      answer += more
    })
    socket.on('error', reject).on('close', () => resolve(answer))
  })
}

test('files, pages, a TCP port and a health port come from one file, and change with a reload', async t => {
  const shop = site(t)
  mkdirSync(join(shop.directory, 'public'))
  mkdirSync(join(shop.directory, 'pages'))
  const long = 'body { margin: 0 } '.repeat(200)
  shop.write('public/a.css', long)
  shop.write('public/index.html', '<h1>the app</h1>')
  shop.write('pages/404.html', '<h1>{status}: nothing here</h1>')
  const parts = {
    services: { web: shop.service({ instances: 1 }) },
    edge: {
      listen: { http: '127.0.0.1:0' },
      tcp: [{ name: 'raw', listen: '127.0.0.1:0', to: 'web' }],
      health: { listen: 0, path: '/up' },
      errorPages: { 404: 'pages/404.html' },
      routes: [
        { path: '/assets/*', files: 'public', compress: true },
        { path: '/app/*', files: { root: 'public', spa: true } },
        { path: '/work', to: 'web' },
      ],
    },
  }
  shop.describe(parts)
  const { url, status } = await shop.begin()
  await settled(shop, 1)
  const urls = new Map(status.edge.listeners.map(listener => [listener.id, listener.url]))
  assert.deepEqual([...urls.keys()], ['http', 'raw', 'health'])

  const style = await fetch(`${url}/assets/a.css`, { headers: { 'accept-encoding': 'gzip' } })
  assert.equal(style.headers.get('content-encoding'), 'gzip')
  assert.match(style.headers.get('content-type') ?? '', /^text\/css/)
  assert.equal(style.headers.get('cache-control'), 'no-cache')
  assert.equal(await style.text(), long)
  assert.equal(await (await fetch(`${url}/app/some/where`)).text(), '<h1>the app</h1>')

  const html = { headers: { accept: 'text/html' } }
  const missing = await fetch(`${url}/nowhere`, html)
  assert.equal(missing.status, 404)
  assert.equal(await missing.text(), '<h1>404: nothing here</h1>')

  const raw = Number(new URL(urls.get('raw') as string).port)
  assert.match(
    await converse(raw, 'GET /work HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 200/,
  )
  const health = urls.get('health') as string
  assert.equal((await fetch(new URL('/up', health))).status, 200)

  const text = await shop.run('status')
  for (const shown of [url, urls.get('raw') as string]) assert.ok(text.out.includes(shown), text.out)

  shop.write('pages/404.html', '<h1>gone, {status}</h1>')
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  assert.equal(await (await fetch(`${url}/nowhere`, html)).text(), '<h1>gone, 404</h1>')

  rmSync(join(shop.directory, 'pages/404.html'))
  const refused = await shop.run('reload')
  assert.equal(refused.code, 2)
  assert.match(refused.error, /edge\.errorPages.*"pages\/404\.html" does not exist/)
  assert.equal(await (await fetch(`${url}/nowhere`, html)).text(), '<h1>gone, 404</h1>')
  const checked = await shop.run('check')
  assert.equal(checked.code, 2)
  assert.match(checked.error, /FILE_INVALID|does not exist/)
})
