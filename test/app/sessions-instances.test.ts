// Stateless instances behind our edge: a user's session is the same at each of them, and outlives any of them.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startRedis } from '../tools/redis-server.ts'
import { type Site, site, until } from '../tools/system-harness.ts'

const service = join(import.meta.dirname, '..', 'tools', 'session-service.ts')

interface Answer {
  readonly user: string | null
  readonly items: number
  readonly pid: number
}

async function asked(url: string, path: string, cookie = ''): Promise<{ answer: Answer; cookie: string }> {
  const response = await fetch(`${url}${path}`, { headers: { cookie } })
  assert.equal(response.status, 200, path)
  const set = response.headers.getSetCookie()[0]?.split(';')[0]
  return { answer: (await response.json()) as Answer, cookie: set ?? cookie }
}

async function bothReady(shop: Site, gone = 0): Promise<void> {
  await until('two instances are ready', async () => {
    const members = await shop.members()
    return members.filter(one => one.state === 'ready' && one.pid !== gone).length === 2
  })
}

test('a user stays logged in at every instance, and when instances are killed one after the other', async t => {
  const redis = await startRedis(t)
  const shop = site(t)
  const web = {
    command: [process.execPath, service],
    instances: { min: 2, max: 2 },
    health: { path: '/healthz' },
    restart: { max: 100, backoffMax: '1s' },
    env: { REDIS_URL: redis.url },
  }
  shop.describe({ services: { web } })
  const { url } = await shop.begin()
  await bothReady(shop)
  let { cookie } = await asked(url, '/add?item=before')
  const login = await asked(url, '/login?user=ada', cookie)
  cookie = login.cookie
  assert.deepEqual([login.answer.user, login.answer.items], ['ada', 1])
  const served = new Set<number>()
  for (let round = 0; round < 3; round++) {
    const seen = new Set<number>()
    await until('both instances served the user', async () => {
      const { answer } = await asked(url, '/', cookie)
      assert.equal(answer.user, 'ada')
      seen.add(answer.pid)
      return seen.size === 2
    })
    for (const pid of seen) served.add(pid)
    await Promise.all(Array.from({ length: 10 }, (_, i) => asked(url, `/add?item=${round}-${i}`, cookie)))
    assert.equal(
      (await asked(url, '/', cookie)).answer.items,
      1 + 10 * (round + 1),
      'parallel updates are kept',
    )
    const killed = [...seen][round % 2]!
    process.kill(killed, 'SIGKILL')
    assert.equal((await asked(url, '/', cookie)).answer.user, 'ada')
    await bothReady(shop, killed)
  }
  assert.ok(served.size >= 3)
  await asked(url, '/logout', cookie)
  for (let i = 0; i < 6; i++) assert.equal((await asked(url, '/', cookie)).answer.user, null)
})
