// Committed changes reach caches in a whole system: SQL typed by hand on the primary, past every service, has the edge
// fetch a page anew and the cache inside a process forget.

import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { createCache } from '../../src/app/cache/index.ts'
import { connectTo } from '../../src/system/index.ts'
import { fetched, project, until } from '../tools/project.ts'

test('a film changed by hand is fetched anew by the edge and forgotten in process; other films stay', async t => {
  const shop = project(t)
  copyFileSync(join(import.meta.dirname, '../tools/caching-service.mjs'), join(shop.directory, 'films.mjs'))
  shop.write('ledger', '')
  // Services may run as another user.
  chmodSync(join(shop.directory, 'ledger'), 0o666)
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: {
      listen: { http: '127.0.0.1:0' },
      workers: 2,
      cache: { memory: '16MB' },
      routes: [
        { path: '/films/:id', to: 'films', cache: true },
        { path: '/*', to: 'films' },
      ],
    },
    services: {
      films: {
        command: [process.execPath, 'films.mjs'],
        instances: 1,
        health: { path: '/healthz' },
        env: { LEDGER: join(shop.directory, 'ledger') },
      },
    },
    databases: {
      main: { invalidate: [{ on: 'films', tags: ['film:{id}'], keys: ['film {id}'] }] },
    },
  })
  const { status } = await shop.up('--no-watch')
  const url = status.edge.listeners[0]?.url ?? ''
  const asked = (): number => readFileSync(join(shop.directory, 'ledger'), 'utf8').split('\n').length - 1

  const primary = await connectTo({ file: shop.directory }).databases.connection('main', {
    server: 'primary',
  })
  const { host, port, user, password, database } = primary
  const client = new pg.Client({ host, port, user, password, database })
  // The servers end before what a failed test leaves open.
  client.on('error', () => {})
  await client.connect()
  await client.query(
    "CREATE TABLE films (id int PRIMARY KEY, title text); INSERT INTO films VALUES (7, 'M'), (8, 'N')",
  )

  // A table that comes later is taken up by and by: a first change that is heard shows that it is.
  const feed = await fetched(`${url}/feed`)
  assert.match(feed, /^tcp:\/\/127\.0\.0\.1:\d+\?token=/)
  const cache = createCache({ name: 'films', feed, ttlMs: 600_000, deafTtlMs: 0 })
  t.after(() => cache.close())
  await until('changes are heard', async () => {
    const before = asked()
    await fetched(`${url}/films/7`)
    if (asked() > before) await client.query("UPDATE films SET title = title || '.' WHERE id = 7")
    await fetched(`${url}/films/7`)
    return asked() > before + 1
  })
  await fetched(`${url}/films/8`)
  await until('the cache in process keeps, so it hears the feed', async () => {
    let loads = 0
    const load = async (): Promise<string> => `load ${++loads}`
    await cache.getOrSet('film 7', load)
    await cache.getOrSet('film 8', load)
    loads = 0
    await cache.getOrSet('film 7', load)
    await cache.getOrSet('film 8', load)
    return loads === 0
  })

  const before = asked()
  await fetched(`${url}/films/7`)
  await fetched(`${url}/films/8`)
  const kept = asked() - before
  assert.ok(kept <= 1, `${kept} pages were fetched though nothing had changed`)
  await client.query("UPDATE films SET title = 'by hand' WHERE id = 7")
  await until('the page is fetched anew', async () => {
    const was = asked()
    await fetched(`${url}/films/7`)
    return asked() > was
  })
  const after = asked()
  await fetched(`${url}/films/8`)
  assert.equal(asked(), after)
  await until('the cache in process has forgotten', async () => {
    let loaded = false
    await cache.getOrSet('film 7', async () => {
      loaded = true
      return 'new'
    })
    return loaded
  })
  let loaded = false
  await cache.getOrSet('film 8', async () => {
    loaded = true
    return 'new'
  })
  assert.equal(loaded, false)
  await client.end()
})
