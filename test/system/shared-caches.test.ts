// Shared caches of a whole system: what services are told of them, and what an operator sees and does, against a real
// Redis server.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCache } from '../../src/app/cache/index.ts'
import { createRedisTier } from '../../src/app/cache/shared/index.ts'
import type { SharedCacheView, SharedEntryView } from '../../src/system/index.ts'
import { fetched, project } from '../tools/project.ts'
import { startRedis } from '../tools/redis-server.ts'

const tellsVariables = `
import { createServer } from 'node:http'
const told = Object.entries(process.env).filter(([name]) => /^(CACHE_|SESSION_)/.test(name))
createServer((_, response) => response.end(JSON.stringify(Object.fromEntries(told))))
  .listen(Number(process.env.PORT), '127.0.0.1')
`

test('services get CACHE_URL and a secret that lasts; operators look into a cache and have it forget', async t => {
  const redis = await startRedis(t)
  const shop = project(t)
  shop.write('tells.mjs', tellsVariables)
  const service = { command: [process.execPath, 'tells.mjs'], instances: 1 }
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: {
      listen: { http: '127.0.0.1:0' },
      workers: 1,
      routes: [
        { path: '/a', to: 'api' },
        { path: '/b', to: 'other' },
      ],
    },
    services: { api: service, other: service },
    caches: { main: { redis: redis.url, access: ['api'] } },
  })
  const { status, child, exited } = await shop.up('--no-watch')
  const url = status.edge.listeners[0]?.url ?? ''
  const told = JSON.parse(await fetched(`${url}/a`)) as Record<string, string>
  assert.equal(told.CACHE_URL, redis.url)
  assert.equal(told.CACHE_KIND, 'server')
  assert.match(told.SESSION_SECRET ?? '', /^[\w-]{43}$/)
  assert.deepEqual(JSON.parse(await fetched(`${url}/b`)), {})

  const tier = createRedisTier({ name: 'films', redis: told.CACHE_URL })
  const cache = createCache({ name: 'films', tier })
  t.after(async () => {
    await cache.close()
    await tier.close()
  })
  await tier.attempted()
  assert.ok(await cache.set('7', { title: 'Metropolis' }, { ttlMs: 600_000, tags: ['new'] }))
  const found = await shop.run('cache', 'get', '7', '--of', 'films', '--json')
  const view = JSON.parse(found.out) as SharedEntryView
  assert.equal(view.state, 'hit', found.out)
  assert.match(view.entry?.value ?? '', /Metropolis/)
  const servers = JSON.parse((await shop.run('cache', '--of', 'films', '--json')).out) as SharedCacheView
  assert.equal(servers.servers[0]?.ready, true)
  assert.equal(servers.servers[0]?.entries, 1)
  assert.match((await shop.run('cache', '--of', 'films')).out, /ready +1 /)

  const purged = await shop.run('cache', 'purge', '--of', 'films', '--tag', 'new')
  assert.equal(purged.code, 0, purged.error)
  assert.match((await shop.run('cache', 'get', '7', '--of', 'films')).out, /miss/)

  assert.equal((await shop.run('cache', 'get', '7')).code, 2)
  assert.equal((await shop.run('cache', 'purge', '--of', 'films')).code, 2)
  const unknown = await shop.run('cache', 'get', '7', '--of', 'films', '--redis', 'elsewhere')
  assert.match(unknown.error, /SYSTEM_SHARED_CACHE_UNKNOWN/)
  await redis.kill()
  const away = await shop.run('cache', 'get', '7', '--of', 'films')
  assert.equal(away.code, 1)
  assert.match(away.error, /REDIS_AWAY/)

  child.kill('SIGTERM')
  await exited
  const again = await shop.up('--no-watch')
  const later = JSON.parse(await fetched(`${again.status.edge.listeners[0]?.url}/a`)) as typeof told
  assert.equal(later.SESSION_SECRET, told.SESSION_SECRET)
})
