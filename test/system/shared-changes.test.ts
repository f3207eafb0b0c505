// SQL typed by hand reaches values that services share in Redis: real PostgreSQL, a real Redis, two services; also where
// Redis is away or stands still meanwhile, or the router dies in between.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import pg from 'pg'
import { connectTo } from '../../src/system/index.ts'
import { fetched, project, until } from '../tools/project.ts'
import { startRedis } from '../tools/redis-server.ts'

test('a row changed by hand is forgotten in Redis by all services, whoever was away meanwhile', async t => {
  const redis = await startRedis(t)
  const shop = project(t)
  const service = (env: Record<string, string>): object => ({
    command: [process.execPath, join(import.meta.dirname, '../tools/shared-cache-service.mjs')],
    instances: 1,
    health: { path: '/healthz' },
    env,
  })
  shop.configure({
    name: 'shop',
    control: { listen: 0 },
    edge: {
      listen: { http: '127.0.0.1:0' },
      workers: 1,
      routes: [
        { path: '/hears/film', to: 'hears' },
        { path: '/deaf/film', to: 'deaf' },
      ],
    },
    // One hears of changes by the feed too; what the other knows comes through Redis alone.
    services: { hears: service({}), deaf: service({ WITHOUT_FEED: '1' }) },
    databases: { main: { invalidate: [{ on: 'films', tags: ['film:{id}'] }] } },
    caches: { main: { redis: redis.url } },
  })
  const { status } = await shop.up('--no-watch')
  const url = status.edge.listeners[0]?.url ?? ''
  const film = (of: string): Promise<string> => fetched(`${url}/${of}/film`)
  const both = async (what: string, are: (title: string) => boolean): Promise<void> => {
    let last: string[] = []
    await until(what, async () => {
      last = [await film('hears'), await film('deaf')]
      return last.every(are)
    }).catch((cause: unknown) => assert.fail(`${(cause as Error).message}; ${last.join(', ')}`))
  }
  const see = (title: string): Promise<void> => both(`both see ${title}`, one => one.endsWith(title))
  const keep = (title: string): Promise<void> => both(`both keep ${title}`, one => one === title)

  const primary = await connectTo({ file: shop.directory }).databases.connection('main', {
    server: 'primary',
  })
  const { host, port, user, password, database } = primary
  const client = new pg.Client({ host, port, user, password, database })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.end())
  const change = async (title: string): Promise<void> => {
    await client.query('UPDATE films SET title = $1 WHERE id = 7', [title])
  }
  await client.query(
    "CREATE TABLE films (id int PRIMARY KEY, title text); INSERT INTO films VALUES (7, 'M'); GRANT SELECT ON films TO PUBLIC",
  )
  await see('M')

  // A table that comes later is taken up by and by, and everything is forgotten then.
  await keep('M')
  await change('by hand')
  await see('by hand')
  await keep('by hand')

  // Redis dies; the change comes while it is away; it returns with nothing.
  await redis.kill()
  await change('while Redis was dead')
  await see('while Redis was dead')
  await redis.start()
  await keep('while Redis was dead')
  await change('after Redis was dead')
  await see('after Redis was dead')
  await keep('after Redis was dead')

  // It is stopped, and goes on with all that it had.
  redis.pause()
  try {
    await change('while Redis stood still')
  } finally {
    redis.resume()
  }
  await see('while Redis stood still')
  await keep('while Redis stood still')

  // The router dies, and what changes before the next one follows is not lost.
  const before = (await shop.status()).router?.pid as number
  process.kill(before, 'SIGKILL')
  await change('while the router was dead')
  await see('while the router was dead')
  await until('another router serves', async () => {
    const { router } = await shop.status()
    return router?.state === 'running' && router.pid !== before
  })
  await keep('while the router was dead')
  await change('told by the next router')
  await see('told by the next router')
})
