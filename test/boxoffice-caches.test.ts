// The example's caches as `npm start` runs it: the edge, what `api` keeps, sessions in a real Redis. Rows are changed by SQL
// that no service knows of, and nobody is shown what was before; seats are never shown free once they are sold.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Agent, fetch, type Response } from 'undici'
import type { CacheView } from '../src/system/index.ts'
import { copyBoxoffice } from './tools/boxoffice.ts'
import { startRedis } from './tools/redis-server.ts'
import { type Site, site, until } from './tools/system-harness.ts'

interface Got {
  readonly status: number
  readonly text: string
  readonly head: Response['headers']
}

interface Shop {
  readonly site: Site
  get(path: string, cookie?: string): Promise<Got>
  /** As an operator would type it. */
  sql(text: string, ...how: string[]): Promise<void>
  buy(screening: string, seats: readonly string[], cookie?: string): Promise<Got>
}

async function started(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Shop> {
  const made = site(t)
  const url = await copyBoxoffice(made, env)
  await made.begin()
  const got = async (response: Response): Promise<Got> => ({
    status: response.status,
    text: await response.text(),
    head: response.headers,
  })
  // As many as it takes for none to be refused by the limit on pages (60 a second an address).
  const visitors = Array.from({ length: 32 }, (_, at) => new Agent({ localAddress: `127.0.3.${at + 1}` }))
  t.after(() => Promise.all(visitors.map(visitor => visitor.destroy())))
  let visits = 0
  const cookies = (cookie: string | undefined): Record<string, string> => (cookie ? { cookie } : {})
  return {
    site: made,
    // A connection each: any worker of the edge may answer.
    get: async (path, cookie) =>
      got(
        await fetch(`${url}${path}`, {
          headers: { connection: 'close', ...cookies(cookie) },
          dispatcher: visitors[visits++ % visitors.length] as Agent,
        }),
      ),
    sql: async (text, ...how) => {
      const ran = await made.run('db', 'psql', 'main', ...how, '--command', text)
      assert.equal(ran.code, 0, `${text}: ${ran.out} ${ran.error}`)
      assert.match(ran.out, /UPDATE 1/)
    },
    buy: async (screening, seats, cookie) =>
      got(
        await fetch(`${url}${screening}/orders`, {
          method: 'POST',
          redirect: 'manual',
          headers: cookies(cookie),
          body: new URLSearchParams([
            ...seats.map(seat => ['seat', seat]),
            ['name', 'Ann Example'],
            ['email', 'ann@example.org'],
            ['key', crypto.randomUUID()],
          ]),
        }),
      ),
  }
}

const isHit = ({ head }: Got): boolean => /\bhit\b/.test(head.get('cache-status') ?? '')

/** Asked for until the edge has it: the first visit of a day plans a film's screenings, which changes the page. */
async function kept(shop: Shop, path: string): Promise<Got> {
  let last = await shop.get(path)
  await until(`the edge keeps ${path}`, async () => {
    last = await shop.get(path)
    assert.equal(last.status, 200, last.text)
    return isHit(last)
  })
  return last
}

/** Shown everywhere from some moment on, and from then on always. */
async function shows(shop: Shop, path: string, wanted: string): Promise<void> {
  await until(`${path} shows ${wanted}`, async () => (await shop.get(path)).text.includes(wanted))
  const later = await Promise.all(Array.from({ length: 30 }, () => shop.get(path)))
  for (const { status, text } of later)
    assert.ok(text.includes(wanted), `${path} went back on ${wanted}: ${status}`)
}

const screeningsIn = (page: string): string[] =>
  [...page.matchAll(/href="([^"]+\/screenings\/[^"]+)"/g)].map(match => match[1]!)
const freeIn = (page: string): string[] =>
  [...page.matchAll(/value="([A-H]\d+)"><span/g)].map(match => match[1]!)

test('a row changed by hand shows at once on pages that are kept, and what it does not concern stays', async t => {
  const shop = await started(t)
  const film = '/films/the-matrix-1999'
  const json = `/api${film}`
  await kept(shop, film)
  await kept(shop, '/?q=matrix')
  const other = '/films/jaws-1975'
  await kept(shop, other)
  for (const round of [1, 2, 3]) {
    const title = `By hand ${round}`
    // Through the router, and past it: then no replica is known to have it.
    const how = round === 2 ? ['--primary'] : []
    await shop.sql(`UPDATE films SET title = '${title}' WHERE id = 'the-matrix-1999'`, ...how)
    await shows(shop, film, title)
    await shows(shop, '/?q=matrix', title)
    await shows(shop, json, title)
    await kept(shop, film)
    await kept(shop, '/?q=matrix')
    // What its first visit planned has been told before what was changed behind it.
    if (round === 1) await kept(shop, other)
  }
  assert.ok(isHit(await shop.get(other)), 'another film was forgotten with it')

  const [first = ''] = screeningsIn((await kept(shop, film)).text)
  const id = first.split('/').at(-1)
  await shop.sql(`UPDATE screenings SET cents = 987654 WHERE film = 'the-matrix-1999' AND id = '${id}'`)
  await shows(shop, film, '€9,876.54')
  await shows(shop, json, '987654')
  assert.ok((await shop.get(first)).text.includes('€9,876.54'), 'the seat map has the old price')

  const view = JSON.parse((await shop.site.run('cache', 'status', '--json')).out) as CacheView
  t.diagnostic(JSON.stringify(view.routes))
  const route = view.routes.find(one => one.id === '/films/:film')
  assert.ok(route && route.hits > route.misses, 'the route of films is served from what is kept')
})

test('a seat that was just bought is shown free to nobody, through whichever instance', async t => {
  const shop = await started(t, { BOXOFFICE_REDIS: '' })
  const screenings = screeningsIn((await kept(shop, '/films/gladiator-2000')).text)
  let bought = 0
  for (const screening of screenings.slice(0, 4)) {
    const map = await shop.get(screening)
    assert.equal(map.head.get('cache-control'), 'no-store')
    for (const seat of freeIn(map.text).slice(0, 10)) {
      const answer = await shop.buy(screening, [seat])
      assert.equal(answer.status, 303, answer.text)
      assert.equal(answer.head.get('set-cookie'), null, 'nobody is remembered without Redis')
      bought++
      const looks = await Promise.all(Array.from({ length: 3 }, () => shop.get(screening)))
      for (const look of looks) assert.ok(!freeIn(look.text).includes(seat), `${seat} is sold and shown free`)
      const seats = await shop.get(`/api${screening}`)
      assert.equal(seats.head.get('cache-control'), 'private, no-cache')
      const { screening: told } = JSON.parse(seats.text) as { screening: { taken: string[] } }
      assert.ok(told.taken.includes(seat), `${seat} is sold and told free`)
    }
  }
  assert.equal(bought, 40)
})

test('who bought is remembered by every instance, also by those that start later, and nobody else is him', async t => {
  const redis = await startRedis(t)
  const shop = await started(t, { BOXOFFICE_REDIS: redis.url })
  const [screening = ''] = screeningsIn((await kept(shop, '/films/titanic-1997')).text)
  const map = await shop.get(screening)
  const answer = await shop.buy(screening, freeIn(map.text).slice(0, 1))
  assert.equal(answer.status, 303)
  const cookie = answer.head.get('set-cookie')?.split(';')[0]
  assert.match(cookie ?? '', /^__Host-session=/)

  const remembered = async (): Promise<string> => {
    const page = await shop.get(screening, cookie)
    assert.ok(page.text.includes('value="Ann Example"') && page.text.includes('value="ann@example.org"'))
    assert.equal(page.head.get('cache-control'), 'no-store')
    return page.head.get('x-served-by') ?? ''
  }
  const seen = new Set<string>()
  await until('every instance has shown the form', async () => seen.add(await remembered()).size === 3)
  for (const { pid } of await shop.site.members('web')) process.kill(pid!, 'SIGKILL')
  await until('instances answer again', async () => (await shop.get(screening)).status === 200)
  await remembered()

  assert.ok(!(await shop.get(screening)).text.includes('Ann Example'))
  for (const path of ['/', '/films/titanic-1997']) {
    await shop.get(path, cookie)
    const shared = await kept(shop, path)
    assert.ok(!shared.text.includes('Ann Example'), 'a page for everybody has somebody on it')
  }

  // Nobody is remembered for a while, and everything else goes on.
  await redis.kill()
  const without = await shop.get(screening, cookie)
  assert.equal(without.status, 200)
  assert.ok(!without.text.includes('Ann Example'))
  const more = await shop.buy(screening, freeIn(without.text).slice(0, 1), cookie)
  assert.equal(more.status, 303, more.text)
})
