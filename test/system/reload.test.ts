// The file changes while people are using the site: what changed is there afterwards, and no connection was dropped.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failed, mismatches, mixed, startLoad } from '../tools/load.ts'
import { freePort, listenersOf, settled, site, until } from '../tools/system-harness.ts'

const notFound = { path: '/new', respond: { status: 404, body: 'not yet' } }
const everything = { path: '/*', to: 'web' }

test('reloads under load drop not one keep-alive connection, whatever they change', async t => {
  const shop = site(t)
  const web = { instances: { min: 2, max: 4 } }
  const before = { services: { web: shop.service(web) }, edge: { routes: [notFound, everything] } }
  shop.describe(before)
  const { url, status } = await shop.begin()
  const clients = 16
  const load = startLoad(t, url, { clients, ask: mixed })
  const reload = async (...args: string[]): Promise<string> => {
    await load.more(60)
    const ran = await shop.run('reload', ...args)
    assert.equal(ran.code, 0, ran.error)
    await load.more(60)
    return ran.out
  }
  await load.more(60)

  const routes = [
    { path: '/new', respond: 'here it is' },
    {
      ...everything,
      requestHeaders: { set: { 'x-tag': 'tagged' } },
      responseHeaders: { set: { 'x-shop': 'open' } },
    },
  ]
  const open = { services: before.services, edge: { routes } }
  shop.describe(open)
  assert.match(await reload('--dry-run'), /nothing was applied/)
  assert.equal(await (await fetch(`${url}/new`)).text(), 'not yet')
  await reload()
  assert.equal(await (await fetch(`${url}/new`)).text(), 'here it is')
  const tagged = await fetch(`${url}/work`)
  assert.equal(tagged.headers.get('x-shop'), 'open')
  assert.equal(((await tagged.json()) as { tag: string }).tag, 'tagged')

  const old = (await shop.members()).map(member => member.pid)
  const greeted = { ...open, services: { web: shop.service({ ...web, env: { GREETING: 'hello' } }) } }
  shop.describe(greeted)
  assert.match(await reload(), /web/)
  await settled(shop, 2)
  assert.ok(!(await shop.members()).some(member => old.includes(member.pid)), 'a changed environment rolls')
  assert.match(await (await fetch(url)).text(), /"greeting":"hello"/)

  const port = await freePort()
  const listen = { http: ['127.0.0.1:0', `127.0.0.1:${port}`] }
  shop.describe({ ...greeted, edge: { routes, listen } })
  await reload()
  assert.equal((await fetch(`http://127.0.0.1:${port}/work`)).status, 200)
  assert.notEqual(listenersOf(shop, port).length, 0)
  shop.describe(greeted)
  await reload()
  assert.deepEqual(listenersOf(shop, port), [], 'nobody listens there any more')

  const last = await shop.status()
  shop.write('tenfold.config.mjs', 'export default { name: ')
  const broken = await shop.run('reload')
  assert.equal(broken.code, 2)
  assert.match(broken.error, /tenfold\.config\.mjs/)
  shop.describe({ ...greeted, edge: { routes: [{ path: '/*', to: 'wbe' }] } })
  const wrong = await shop.run('reload')
  assert.equal(wrong.code, 2)
  assert.match(wrong.error, /wbe.*web/s)
  const unchanged = await shop.status()
  assert.equal(unchanged.edge.snapshotVersion, last.edge.snapshotVersion)
  assert.deepEqual(
    unchanged.services[0]?.members.map(member => member.pid),
    last.services[0]?.members.map(member => member.pid),
  )
  assert.equal(unchanged.lastReload?.outcome, 'refused')

  const first = await shop.run('rollback', '1')
  assert.equal(first.code, 0, first.error)
  assert.equal(await (await fetch(`${url}/new`)).text(), 'not yet')
  await load.more(60)

  const asked = await load.stop()
  assert.deepEqual(failed(asked), [])
  assert.deepEqual(mismatches(asked, shop.executions()), [])
  assert.equal(new Set(asked.map(one => one.connection)).size, clients, 'each client kept its one connection')
  assert.equal((await shop.status()).edge.pid, status.edge.pid)
})

test('a member that is drained gets nothing new, fails nothing, and comes back when it is undrained', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 3, max: 3 } }) } })
  const { url } = await shop.begin()
  const load = startLoad(t, url, { clients: 12, ask: mixed })
  await load.more(100)
  assert.equal((await shop.run('drain', 'web-2')).code, 0)
  await until('it has ended what it had', async () => (await shop.member('web-2')).traffic?.inFlight === 0)
  const drained = load.asked.length
  await load.more(200)
  assert.ok(!load.asked.slice(drained + 12).some(one => one.instance === 'web-2'), 'nothing new for it')
  assert.equal((await shop.run('undrain', 'web-2')).code, 0)
  const back = load.asked.length
  await until('it serves again', () => load.asked.slice(back).some(one => one.instance === 'web-2'))
  const asked = await load.stop()
  assert.deepEqual(failed(asked), [])
  assert.deepEqual(mismatches(asked, shop.executions()), [])
})
