// How a site is stopped, and how one that cannot start says so: nothing is cut that need not be, nothing is left behind,
// every refusal is a sentence with its remedy.

import assert from 'node:assert/strict'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { failed, startLoad } from '../tools/load.ts'
import { dead, freePort, type Site, site, until } from '../tools/system-harness.ts'

async function busySite(shop: Site): Promise<void> {
  await until('a request is in flight', async () =>
    (await shop.status()).edge.workers.some(worker => worker.exchanges > 0),
  )
}

test('Ctrl-C once lets a slow request and a slow upload end; then nothing is left', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 2, max: 2 } }) } })
  const { url, status, child, exited } = await shop.begin()
  const load = startLoad(t, url, {
    clients: 4,
    ask: n => ({ method: n % 2 === 0 ? 'POST' : 'GET', path: '/work?delay=2000', body: 'x'.repeat(50_000) }),
  })
  await until('all are in flight', async () => {
    const { edge } = await shop.status()
    return edge.workers.reduce((sum, worker) => sum + worker.exchanges, 0) === 4
  })
  child.kill('SIGINT')
  const asked = await load.stop()
  assert.deepEqual(failed(asked), [])
  assert.ok(asked.length >= 4)
  assert.equal(await exited, 0)
  const pids = [status.edge.pid, ...(status.services[0]?.members.map(member => member.pid) ?? [])]
  assert.ok(pids.every(pid => dead(pid as number)))
  assert.ok(!existsSync(join(shop.directory, '.tenfold', 'lock.json')), 'the lock is gone')
})

test('Ctrl-C twice ends everything at once', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service({ instances: { min: 2, max: 2 } }) } })
  const { url, status, child, exited, lines } = await shop.begin()
  const load = startLoad(t, url, { clients: 1, ask: () => ({ method: 'GET', path: '/work?delay=60000' }) })
  await busySite(shop)
  child.kill('SIGINT')
  await until('it drains', () => lines.some(line => line.kind === 'stopping'))
  child.kill('SIGINT')
  assert.equal(await exited, 130)
  const pids = [status.edge.pid, ...(status.services[0]?.members.map(member => member.pid) ?? [])]
  assert.ok(pids.every(pid => dead(pid as number)))
  const [one] = await load.stop()
  assert.notEqual(one?.outcome, 200)
})

test('what cannot start is one sentence with its remedy and leaves nothing behind', async t => {
  const shop = site(t)
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const web = shop.service()
  const cases: [what: string, write: () => void, code: number, says: RegExp, remedy: RegExp][] = [
    [
      'a taken port',
      () => shop.describe({ services: { web }, edge: { listen: { http: `127.0.0.1:${port}` } } }),
      1,
      new RegExp(`127\\.0\\.0\\.1:${port}`),
      /End what holds the port|change .*port/,
    ],
    [
      'a command that does not exist',
      () => shop.describe({ services: { web: shop.service({ command: ['no-such-program-here'] }) } }),
      1,
      /no-such-program-here/,
      /command|install/i,
    ],
    [
      'a file that does not parse',
      () => shop.write('tenfold.config.mjs', 'export default {'),
      2,
      /tenfold\.config\.mjs/,
      /correct|fix|syntax/i,
    ],
    [
      'a service that is not there',
      () => shop.describe({ services: { web }, edge: { routes: [{ path: '/*', to: 'wbe' }] } }),
      2,
      /wbe/,
      /web/,
    ],
  ]
  for (const [what, write, code, says, remedy] of cases) {
    write()
    const ran = await shop.run('up', '--no-watch')
    assert.equal(ran.code, code, `${what}: ${ran.error}`)
    assert.match(ran.error, says, what)
    assert.match(ran.error, remedy, what)
    assert.ok(!/\n\s+at /.test(ran.error), `${what}: no stack: ${ran.error}`)
    assert.ok(!existsSync(join(shop.directory, '.tenfold', 'lock.json')), `${what}: no lock`)
  }
})

test('a second `up` in the same folder is refused, and the first one does not feel it', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service() } })
  const { url, child } = await shop.begin()
  const second = await shop.run('up')
  assert.equal(second.code, 1)
  assert.match(second.error, new RegExp(`${child.pid}`))
  assert.match(second.error, /tenfold status|tenfold stop|--state/)
  assert.equal((await fetch(`${url}/work`)).status, 200)
})

test('an access log that cannot be written costs lines, not requests, and is said', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service() }, edge: { accessLog: '/dev/full' } })
  const { url } = await shop.begin()
  for (let n = 0; n < 20; n++) assert.equal((await fetch(`${url}/work`)).status, 200)
  await until('the edge says it', async () =>
    (await shop.status()).decisions.some(event => /access log cannot be written.*ENOSPC/.test(event.text)),
  )
  for (let n = 0; n < 20; n++) assert.equal((await fetch(`${url}/work`)).status, 200)
})

test('a state directory that can no longer be written is said; what runs serves on, also without it', async t => {
  const shop = site(t)
  const services = { web: shop.service({ instances: { min: 2, max: 3 } }) }
  shop.describe({ services })
  const { url, child, exited } = await shop.begin()
  const load = startLoad(t, url, { clients: 4, ask: () => ({ method: 'GET', path: '/work' }) })
  const state = join(shop.directory, '.tenfold')
  for (const folder of ['snapshots', 'edge', 'fleet']) {
    renameSync(join(state, folder), join(state, `${folder}-before`))
    shop.write(join('.tenfold', folder), 'a file where the folder was')
  }
  const scaled = await shop.run('scale', 'web', '3')
  assert.equal(scaled.code, 0, scaled.error)
  const routes = [{ path: '/*', to: 'web', responseHeaders: { set: { 'x-shop': 'open' } } }]
  shop.describe({ services, edge: { routes } })
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 0, reloaded.error)
  await load.more(100)
  assert.deepEqual(failed(await load.stop()), [])
  const said = (await shop.status()).decisions.map(event => `${event.subject}: ${event.text}`).join('\n')
  assert.match(said, /edge: the snapshot cannot be written/)
  assert.match(said, /history: cannot be written/)

  // What the disk does not know, a new edge is told.
  for (const folder of ['edge', 'fleet']) {
    rmSync(join(state, folder))
    renameSync(join(state, `${folder}-before`), join(state, folder))
  }
  process.kill((await shop.status()).edge.pid as number, 'SIGKILL')
  await until('another edge runs', async () => {
    const { edge } = await shop.status()
    return edge.restarts === 1 && edge.state === 'running'
  })
  assert.equal((await fetch(`${url}/work`)).headers.get('x-shop'), 'open')
  child.kill('SIGINT')
  assert.equal(await exited, 0)
})

test('a state directory that cannot be used is refused before anything starts', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service() } })
  shop.write('in-the-way', '')
  const ran = await shop.run('up', '--no-watch', '--state', join(shop.directory, 'in-the-way'))
  assert.equal(ran.code, 1)
  assert.match(ran.error, /in-the-way.*--state.*SYSTEM_STATE_UNUSABLE/s)
})

test('an instance whose port is taken by another process starts on another port', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service() } })
  const { url } = await shop.begin()
  const before = await shop.member('web-1')
  const port = Number(before.address.split(':').at(-1))
  process.kill(before.pid as number, 'SIGKILL')
  const thief = createServer(socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthief'))
  t.after(() => thief.close())
  // As soon as the port is free; the fleet may be faster.
  await new Promise<void>(resolve => thief.once('error', () => resolve()).listen(port, '127.0.0.1', resolve))
  await until('it runs again', async () => {
    const now = await shop.member('web-1')
    return now.state === 'ready' && now.pid !== before.pid
  })
  await until('and answers by itself', async () =>
    (await (await fetch(`${url}/work`)).text()).includes('web-1'),
  )
})

test('a name that does not resolve is refused at the start, and by a reload what runs is kept', async t => {
  const shop = site(t)
  const far = { addresses: [`no-such-host.invalid:${await freePort()}`] }
  const alone = { services: { web: shop.service() } }
  const both = {
    services: { ...alone.services, far },
    edge: {
      routes: [
        { path: '/far/*', to: 'far' },
        { path: '/*', to: 'web' },
      ],
    },
  }
  shop.describe(both)
  const refused = await shop.run('up', '--no-watch')
  assert.equal(refused.code, 1)
  assert.match(
    refused.error,
    /services\.far\.addresses: no-such-host\.invalid.*name server.*FLEET_NAME_UNRESOLVED/s,
  )

  shop.describe(alone)
  const { url } = await shop.begin()
  shop.describe(both)
  const reloaded = await shop.run('reload')
  assert.equal(reloaded.code, 1)
  assert.match(reloaded.error, /no-such-host\.invalid/)
  assert.equal((await fetch(`${url}/far/work`)).status, 200, 'routes are the old ones')
})
