// Processes that are killed while people are using the site: instances, the edge, its threads, the supervisor. What HTTP
// allows to be repeated is not felt; the rest fails once, plainly, and is never executed a second time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, failed, mismatches, mixed, startLoad } from '../tools/load.ts'
import { dead, type Site, settled, site, until } from '../tools/system-harness.ts'

/** Of requests that may be repeated: was each answered? Of the others: executed once at most? */
function checkKilled(asked: readonly Asked[], executions: ReadonlyMap<string, number>): void {
  assert.deepEqual(failed(asked.filter(one => one.method === 'GET')), [], 'what may be repeated never fails')
  const posts = asked.filter(one => one.method === 'POST')
  assert.deepEqual(mismatches(posts, executions), [])
  for (const one of posts) assert.ok(one.outcome === 200 || one.outcome === 502, `${one.id}: ${one.outcome}`)
  assert.equal(new Set(asked.map(one => one.id)).size, asked.length, 'one answer each')
}

test('instances that are killed again and again are not felt by what may be repeated', async t => {
  const shop = site(t)
  const web = shop.service({ instances: { min: 3, max: 3 }, restart: { max: 100, backoffMax: '1s' } })
  shop.describe({ services: { web } })
  const { url } = await shop.begin()
  const load = startLoad(t, url, { clients: 12, ask: mixed })
  const killed: number[] = []
  for (let kill = 0; kill < 10; kill++) {
    await load.more(60)
    const { id, pid } = (await shop.members())[kill % 3] as { id: string; pid: number }
    process.kill(pid, 'SIGKILL')
    killed.push(pid)
    let now = await shop.member(id)
    await until(`${id} runs again`, async () => {
      now = await shop.member(id)
      return now.state === 'ready' && now.pid !== pid
    }).catch((cause: Error) => {
      throw new Error(`${cause.message}: ${JSON.stringify(now)}`)
    })
  }
  await load.more(60)
  await settled(shop, 3)
  checkKilled(await load.stop(), shop.executions())

  assert.ok(killed.every(dead))
  const status = await shop.status()
  const restarts = status.services[0]?.members.map(member => member.restarts) ?? []
  assert.equal(
    restarts.reduce((sum, count) => sum + count, 0),
    10,
  )
  const words = status.decisions.filter(event => /SIGKILL/.test(event.text)).map(event => event.text)
  assert.ok(words.length >= 3, `decisions say it: ${JSON.stringify(status.decisions)}`)
})

test('an edge that is killed is back by itself; clients that ask again get through, instances are untouched', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 2, max: 2 } }) } })
  const { url, status } = await shop.begin()
  const pids = status.services[0]?.members.map(member => member.pid)
  const load = startLoad(t, url, { clients: 12, ask: mixed, resend: true })
  for (let kill = 1; kill <= 3; kill++) {
    await load.more(150)
    process.kill((await shop.status()).edge.pid as number, 'SIGKILL')
    await until('another edge runs', async () => {
      const { edge } = await shop.status()
      return edge.restarts === kill && edge.state === 'running'
    })
  }
  await load.more(150)
  const asked = await load.stop()
  await settled(shop, 2)
  const now = await shop.status()
  assert.deepEqual(
    now.services[0]?.members.map(member => member.pid),
    pids,
  )
  const executions = shop.executions()
  for (const [id, sends] of Map.groupBy(asked, one => one.id)) {
    assert.equal(sends.at(-1)?.outcome, 200, `${id} got through`)
    const count = executions.get(id) ?? 0
    assert.ok(count >= 1 && count <= sends.length, `${id}: sent ${sends.length} times, executed ${count}`)
  }
  await checkIdle(shop)
})

/** Counters of what is in flight are back at nothing: nobody's share was lost with a process or a thread. */
async function checkIdle(shop: Site): Promise<void> {
  await until('nothing is in flight', async () => {
    const { edge, services } = await shop.status()
    const busy = edge.workers.reduce((sum, worker) => sum + worker.exchanges + worker.connections, 0)
    const held = services.flatMap(service => service.members.map(member => member.traffic?.inFlight ?? -1))
    return busy === 0 && held.every(count => count === 0) && services.every(service => service.pending === 0)
  })
}

test('a worker thread that is ended takes only its own connections with it', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 2, max: 2 } }) } })
  const { url } = await shop.begin()
  const load = startLoad(t, url, { clients: 24, ask: mixed })
  await load.more(200)
  const edge = await shop.edge()
  t.after(() => edge.close())
  const { workers, pid } = await edge.call('status', {})
  const victim = workers.find(worker => worker.connections > 0)
  assert.ok(victim)
  await edge.call('killWorker', { worker: victim.id })
  await until('it was replaced', async () => {
    const found = (await edge.call('status', {})).workers.find(worker => worker.id === victim.id)
    return found?.restarts === 1 && found.state === 'running'
  })
  await load.more(200)
  const asked = await load.stop()
  assert.equal((await edge.call('status', {})).pid, pid)
  const lost = asked.filter(one => one.outcome !== 200)
  assert.ok(lost.length <= victim.connections, `${lost.length} of ${victim.connections}: ${failed(asked)}`)
  for (const one of lost) assert.match(String(one.outcome), /ECONNRESET|CUT|socket hang up/)
  assert.deepEqual(
    mismatches(
      asked.filter(one => one.method === 'POST'),
      shop.executions(),
    ),
    [],
  )
  const broken = new Set(lost.map(one => one.connection))
  const used = new Set(asked.map(one => one.connection))
  assert.ok(used.size <= 24 + victim.connections, 'the other connections went on')
  assert.ok(broken.size <= victim.connections)
  await checkIdle(shop)
})

test('a killed supervisor is not felt, and the next one takes back what runs, replaces what died, rolls what changed', async t => {
  const shop = site(t)
  const web = { instances: { min: 3, max: 3 }, restart: { max: 100 } }
  const other = shop.service({ instances: { min: 2, max: 2 } })
  const routes = [
    { path: '/other/*', to: 'other' },
    { path: '/*', to: 'web' },
  ]
  shop.describe({ edge: { routes }, services: { web: shop.service(web), other } })
  const first = await shop.begin()
  const before = first.status.services.flatMap(service => service.members)
  const load = startLoad(t, first.url, {
    clients: 12,
    ask: n => ({ ...mixed(n), path: `${n % 2 === 0 ? '' : '/other'}${mixed(n).path}` }),
  })
  await load.more(100)
  first.child.kill('SIGKILL')
  assert.equal(await first.exited, 'SIGKILL')
  await load.more(300)

  const second = await shop.begin()
  await load.more(100)
  assert.equal(second.status.edge.pid, first.status.edge.pid)
  assert.deepEqual(
    second.status.services.flatMap(service => service.members).map(({ id, pid }) => ({ id, pid })),
    before.map(({ id, pid }) => ({ id, pid })),
  )
  second.child.kill('SIGKILL')
  await second.exited

  // While nobody watches, an instance dies and the file changes. From here on a POST may fail, once.
  const calm = await load.stop()
  assert.deepEqual(failed(calm), [])
  assert.deepEqual(mismatches(calm, shop.executions()), [])
  const storm = startLoad(t, first.url, { clients: 12, ask: mixed })
  await storm.more(50)
  const victim = before.find(member => member.id === 'web-2')?.pid as number
  process.kill(victim, 'SIGKILL')
  await storm.more(300)
  shop.describe({
    edge: { routes },
    services: { web: shop.service({ ...web, env: { GREETING: 'new' } }), other },
  })
  const third = await shop.begin()
  await settled(shop, 3)
  await storm.more(100)
  checkKilled(await storm.stop(), shop.executions())
  assert.equal(third.status.edge.pid, first.status.edge.pid)
  const after = await shop.members()
  assert.ok(
    !after.some(member => before.some(old => old.pid === member.pid)),
    'the changed service was rolled',
  )
  assert.deepEqual(
    (await shop.members('other')).map(member => member.pid),
    before.filter(member => member.id.startsWith('other')).map(member => member.pid),
  )
  assert.match(await (await fetch(first.url)).text(), /"greeting":"new"/)

  const pids = [...after, ...(await shop.members('other'))].map(member => member.pid as number)
  third.child.kill('SIGINT')
  assert.equal(await third.exited, 0)
  assert.ok([...pids, third.status.edge.pid as number].every(dead), 'nothing is left')
})

test('requests go elsewhere while an instance is frozen, and come back when it is not', async t => {
  const shop = site(t)
  const web = shop.service({
    instances: { min: 3, max: 3 },
    health: { path: '/healthz', interval: '1s', timeout: '1s', passive: { ejectFor: '500ms' } },
    // Those that meet it at once are more than the budget would allow.
    retry: { perTryTimeout: '2s', budgetMin: 20 },
  })
  shop.describe({ services: { web } })
  const { url } = await shop.begin()
  const frozen = await shop.member('web-1')
  const load = startLoad(t, url, { clients: 8, ask: () => ({ method: 'GET', path: '/work' }) })
  await load.more(100)
  process.kill(frozen.pid as number, 'SIGSTOP')
  t.after(() => dead(frozen.pid as number) || process.kill(frozen.pid as number, 'SIGCONT'))
  await until('the edge has left it', async () =>
    ['unhealthy', 'ejected'].includes((await shop.member('web-1')).traffic?.state ?? ''),
  )
  const { reason } = (await shop.member('web-1')).traffic as { reason: string }
  assert.match(reason, /probe|failure|timed out|time-out/)
  await load.more(200)
  process.kill(frozen.pid as number, 'SIGCONT')
  await settled(shop, 3)
  const served = load.asked.length
  await until('it answers again', () => load.asked.slice(served).some(one => one.instance === 'web-1'))
  assert.deepEqual(failed(await load.stop()), [])
  assert.equal((await shop.member('web-1')).pid, frozen.pid, 'it is the same process')
})
