// The edge's cache in a whole system, by the real command line: hits, purges that reach every process and every peer,
// pushes, looks, and what a change of the store does.

import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { CacheLookView, CacheView, PurgeView, StatusView } from '../../src/system/index.ts'
import { type Project, project, type Up, until } from '../tools/project.ts'

interface Got {
  readonly body: string
  /** `hit`, `fwd=miss`, ... of Cache-Status. */
  readonly cache: string
}

interface Shop extends Project {
  describe(over?: { route?: unknown; cache?: object; control?: object }): void
  begin(): Promise<Up>
  get(path: string): Promise<Got>
  /** Pages that the service was asked for, in order. */
  asked(): string[]
}

function shop(t: TestContext): Shop {
  const base = project(t)
  copyFileSync(join(import.meta.dirname, '../tools/caching-service.mjs'), join(base.directory, 'films.mjs'))
  base.write('ledger', '')
  // Services may run as another user.
  chmodSync(join(base.directory, 'ledger'), 0o666)
  let url = ''
  return {
    ...base,
    describe: ({ route = true, cache, control = { listen: 0 } } = {}) =>
      base.configure({
        name: 'shop',
        control,
        edge: {
          listen: { http: '127.0.0.1:0' },
          workers: 2,
          drainTimeout: '5s',
          cache: { memory: '16MB', entries: 1000, ...cache },
          routes: [{ path: '/films/:id', to: 'films', cache: route }],
        },
        services: {
          films: {
            command: [process.execPath, 'films.mjs'],
            instances: 1,
            health: { path: '/healthz' },
            env: { LEDGER: join(base.directory, 'ledger') },
          },
        },
      }),
    begin: async () => {
      const up = await base.up('--no-watch')
      url = up.status.edge.listeners[0]?.url ?? ''
      return up
    },
    get: async path => {
      const response = await fetch(`${url}${path}`, { headers: { connection: 'close' } })
      const body = await response.text()
      return { body, cache: response.headers.get('cache-status') ?? '' }
    },
    asked: () => readFileSync(join(base.directory, 'ledger'), 'utf8').split('\n').filter(Boolean),
  }
}

test('a page is fetched once, served to others, and fetched anew after its tag is purged', async t => {
  const films = shop(t)
  films.describe()
  await films.begin()
  assert.deepEqual((await films.get('/films/7')).body, '7 1')
  const hit = await films.get('/films/7')
  assert.equal(hit.body, '7 1')
  assert.match(hit.cache, /^tenfold; ?hit/)
  await films.get('/films/8')
  assert.deepEqual(films.asked(), ['/films/7', '/films/8'])

  const purged = await films.run('purge', '--tag', 'film:7', '--json')
  assert.equal(purged.code, 0, purged.out)
  assert.equal((JSON.parse(purged.out) as PurgeView).complete, true)
  assert.equal((await films.get('/films/7')).body, '7 3')
  assert.equal((await films.get('/films/8')).body, '8 2')

  const host = new URL((await films.status()).edge.listeners[0]?.url ?? '').host
  assert.equal((await films.run('purge', `http://${host}/films/8`)).code, 0)
  assert.equal((await films.get('/films/8')).body, '8 4')
  assert.equal((await films.run('purge', '/films/*')).code, 0)
  assert.equal((await films.get('/films/8')).body, '8 5')
  assert.equal((await films.run('purge', '--all')).code, 0)
  assert.equal((await films.get('/films/8')).body, '8 6')
})

test('what is kept can be looked at, is counted, and a purge that names nothing is refused', async t => {
  const films = shop(t)
  films.describe()
  const up = await films.begin()
  const url = `${up.status.edge.listeners[0]?.url}/films/7`
  for (let time = 0; time < 4; time++) await films.get('/films/7')

  const status = JSON.parse((await films.run('cache', '--json')).out) as CacheView
  assert.equal(status.store.entries, 1)
  assert.deepEqual(
    status.routes.map(({ id, hits, misses, hitRatio }) => ({ id, hits, misses, hitRatio })),
    [{ id: '/films/:id', hits: 3, misses: 1, hitRatio: 0.75 }],
  )
  assert.match((await films.run('cache')).out, /\/films\/:id +75\.0 % +3/)
  assert.match((await films.run('status')).out, /cache +75\.0 % hits, 1 answers/)
  assert.equal((await films.status()).edge.cache?.hitRatio, 0.75)

  const look = JSON.parse((await films.run('cache', 'look', url, '--json')).out) as CacheLookView
  assert.equal(look.route, '/films/:id')
  assert.equal(look.entry?.state, 'fresh')
  assert.match(look.entry?.fields ?? '', /cache-control: max-age=600/i)
  const none = await films.run('cache', 'look', url.replace('/7', '/9'))
  assert.match(none.out, /stored +no: /)

  const nothing = await films.run('purge')
  assert.equal(nothing.code, 2)
  assert.match(nothing.error, /CLI_ARGUMENT_MISSING/)
  assert.match(
    await metricsOf(up.status, films.directory),
    /edge_cache_requests_total\{[^}]*result="hit"[^}]*\} 3/,
  )
})

async function metricsOf({ controlUrl }: StatusView, directory: string): Promise<string> {
  const token = readFileSync(join(directory, '.tenfold', 'token'), 'utf8').trim()
  const response = await fetch(`${controlUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  return response.text()
}

test('a purge while the edge is replaced reaches the process that drains and the one that takes over', async t => {
  const films = shop(t)
  films.describe()
  await films.begin()
  await films.get('/films/7')
  const rolled = films.run('restart', 'edge')
  // Each after the other, until the change is over: whichever process answers, it has forgotten.
  let over = false
  void rolled.then(() => (over = true))
  let times = 0
  while (!over || times < 3) {
    times += 1
    assert.equal((await films.run('purge', '--tag', 'films')).code, 0)
    const before = films.asked().length
    await films.get('/films/7')
    assert.ok(films.asked().length > before, `purge ${times} was not seen by the edge that answered`)
  }
  assert.equal((await rolled).code, 0)
})

test('another store is another edge process, other rules are not; a page that is kept stays', async t => {
  const films = shop(t)
  films.describe()
  const up = await films.begin()
  const first = up.status.edge.pid
  await films.get('/films/7')
  films.describe({ route: { browserTtl: '1m' } })
  assert.equal((await films.run('reload')).code, 0)
  assert.equal((await films.status()).edge.pid, first)
  assert.equal((await films.get('/films/7')).body, '7 1')

  films.describe({ cache: { memory: '32MB' } })
  const reload = await films.run('reload')
  assert.equal(reload.code, 0, reload.error)
  assert.match(reload.out, /edge\.cache\.memoryBytes.*rolls edge/)
  const { edge } = await films.status()
  assert.notEqual(edge.pid, first)
  assert.equal(edge.cache?.bytesMax, 32 * 1024 ** 2)
  assert.equal((await films.get('/films/7')).body, '7 2')
})

test('pages are pushed ahead of the first request: from the service, or a file', async t => {
  const films = shop(t)
  films.describe()
  const up = await films.begin()
  const url = up.status.edge.listeners[0]?.url ?? ''
  const pushed = await films.run('push', `${url}/films/1`, `${url}/films/2`)
  assert.equal(pushed.code, 0, pushed.out + pushed.error)
  assert.deepEqual(films.asked().sort(), ['/films/1', '/films/2'])
  await films.get('/films/1')
  await films.get('/films/2')
  assert.equal(films.asked().length, 2)

  films.write('poster.txt', 'a poster')
  const file = ['--file', 'poster.txt', '--type', 'text/plain', '--ttl', '1h', '--tag', 'posters']
  const stored = await films.run('push', `${url}/films/poster`, ...file)
  assert.equal(stored.code, 0, stored.out + stored.error)
  assert.equal((await films.get('/films/poster')).body, 'a poster')
  assert.equal((await films.run('purge', '--tag', 'posters')).code, 0)
  assert.match((await films.get('/films/poster')).body, /^poster \d/)

  const wrong = await films.run('push', `${url}/films/1`, `${url}/elsewhere`, '--json')
  assert.equal(wrong.code, 1)
  const { results } = JSON.parse(wrong.out) as { results: { stored: boolean; why: string }[] }
  assert.equal(results[1]?.stored, false)
  assert.notEqual(results[1]?.why, '')
  assert.equal((await films.run('push', `${url}/films/1`, '--file', 'missing.txt')).code, 2)
})

test('what was pushed is there again after a restart of the whole system, where the cache has a disk', async t => {
  const films = shop(t)
  films.describe({ cache: { disk: { size: '32MB', objectMax: '1MB' } } })
  await films.begin()
  films.write('poster.txt', 'a poster')
  const url = 'http://shop.example/films/poster'
  const file = ['--file', 'poster.txt', '--type', 'text/plain', '--ttl', '1h']
  const pushed = await films.run('push', url, ...file)
  assert.equal(pushed.code, 0, pushed.out + pushed.error)
  assert.equal((await films.run('stop')).code, 0)
  await films.begin()
  const look = JSON.parse((await films.run('cache', 'look', url, '--json')).out) as CacheLookView
  assert.equal(look.entry?.bodyBytes, 8, look.why)
  assert.equal((await films.run('purge', url)).code, 0)
  const gone = JSON.parse((await films.run('cache', 'look', url, '--json')).out) as CacheLookView
  assert.equal(gone.entry, null)
})

test('a parent that cannot be found hinders nobody: the service is asked', async t => {
  const films = shop(t)
  films.describe({ cache: { parent: 'https://shield.invalid' } })
  const up = await films.begin()
  assert.equal((await films.get('/films/7')).body, '7 1')
  assert.equal((await films.get('/films/7')).body, '7 1')
  await until('the system is ready without it', async () => (await films.status()).ready)
  assert.ok(up.status.services.some(one => one.name === '(parent)'))
})

test('without a caching route nothing can be purged, and it is said', async t => {
  const films = shop(t)
  films.describe({ route: false })
  await films.begin()
  const purged = await films.run('purge', '--all')
  assert.equal(purged.code, 2)
  assert.match(purged.error, /SYSTEM_CACHE_UNASKED/)
  assert.equal((await films.status()).edge.cache, null)
})

test('peers forget when one is told; one that is away is named, and told when it is there again', async t => {
  const [one, other] = [shop(t), shop(t)]
  one.describe()
  other.describe()
  const ups = [await one.begin(), await other.begin()]
  const tokens = [one, other].map(({ directory }) =>
    readFileSync(join(directory, '.tenfold', 'token'), 'utf8').trim(),
  )
  const peer = (index: number): object => ({
    peers: [{ url: ups[index]?.status.controlUrl, token: tokens[index] }],
  })
  // The ports are known now: each names the other, and keeps its own.
  const controlOf = (index: number): object => ({
    listen: Number(new URL(ups[index]?.status.controlUrl ?? '').port),
  })
  await one.run('stop')
  await other.run('stop')
  one.describe({ cache: peer(1), control: controlOf(0) })
  other.describe({ cache: peer(0), control: controlOf(1) })
  await one.begin()
  const second = await other.begin()
  await one.get('/films/7')
  await other.get('/films/7')
  const purged = await one.run('purge', '--tag', 'film:7', '--json')
  assert.equal(purged.code, 0, purged.out)
  assert.equal((JSON.parse(purged.out) as PurgeView).edges.length, 2)
  const counts = [one.asked().length, other.asked().length]
  await one.get('/films/7')
  await other.get('/films/7')
  assert.deepEqual(
    [one.asked().length, other.asked().length],
    counts.map(count => count + 1),
  )

  // Its edge serves on without the supervisor, and without having heard.
  second.child.kill('SIGKILL')
  await second.exited
  const partly = await one.run('purge', '--tag', 'film:7', '--json')
  assert.equal(partly.code, 1)
  const { complete, edges } = JSON.parse(partly.out) as PurgeView
  assert.equal(complete, false)
  assert.deepEqual(
    edges.map(edge => edge.done),
    [true, false],
  )
  const before = other.asked().length
  await other.get('/films/7')
  assert.equal(other.asked().length, before)
  await other.begin()
  await until('the peer is told what it had missed', async () => {
    await other.get('/films/7')
    return other.asked().length > before
  })
  await until('nothing waits for the peer any more', async () => {
    const view = JSON.parse((await one.run('cache', '--json')).out) as CacheView
    return view.peers.every(({ waiting }) => waiting === 0)
  })
})
